"""The values every reader and check shares: where something stands, who it is about, what is wrong with it.

Promise: frozen values only, no reading and no judging here. A :class:`Report` is the whole answer about one file or one message.
Failure: none; building a value never raises on hostile content.
Health data: traits, matricules and document names are patient data. They may be shown to the sender, never logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from hprim.dates import PartialDate
from hprim.shown import shown

Language = Literal["fr", "en"]


class Severity(StrEnum):
    """``R!`` refuses and cannot be lowered, ``R`` refuses, ``W`` tells the sender, ``N`` is for the report only."""

    NOTE = "N"
    WARN = "W"
    REFUSE = "R"
    SAFETY = "R!"

    @property
    def rank(self) -> int:
        """0 for a note to 3 for a safety refusal."""
        return _RANKS[self]


_RANKS = {Severity.NOTE: 0, Severity.WARN: 1, Severity.REFUSE: 2, Severity.SAFETY: 3}


class Format(StrEnum):
    """What a part was recognised as, from its bytes."""

    HPRIM_MEDECINS = "hprim-medecins"
    HPRIM_SANTE = "hprim-sante"
    HPRIM_XML = "hprim-xml"
    CDA = "cda"
    XDM = "xdm"
    HL7 = "hl7v2"
    FHIR = "fhir"
    PDF = "pdf"
    ZIP = "zip"
    APICRYPT = "apicrypt"
    HTML = "html"
    XML = "xml"
    TEXT = "text"
    MAIL = "mail"
    EMPTY = "empty"
    OTHER = "other"


class Source(StrEnum):
    """Where an identity was read, in falling order of authority (the order of the members)."""

    CDA = "cda"
    PID = "hl7-pid"
    XDM = "xdm"
    FHIR = "fhir"
    HPRIM_XML = "hprim-xml"
    HPRIM_SANTE = "hprim-sante"
    HPRIM = "hprim"


AUTHORITY = {source: rank for rank, source in enumerate(Source)}


@dataclass(frozen=True, slots=True)
class Words:
    """A few words in both languages, to fill a sentence."""

    fr: str
    en: str

    def said(self, language: Language) -> str:
        return self.fr if language == "fr" else self.en


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the message: ``part`` is a file name ("" for the body), ``line`` counts from 1 (0: the whole part),
    ``member`` names a file inside the archive ``part``."""

    part: str = ""
    line: int = 0
    member: str = ""
    header: str = ""

    def at(self, line: int) -> Place:
        """The same part, at another line."""
        return Place(self.part, line, self.member, self.header)

    def said(self, language: Language) -> str:
        """``ligne 7 de lettre.hpr`` / ``line 7 of lettre.hpr``; a name that may be a patient's is cut."""
        french = language == "fr"
        if self.header:
            return f"en-tête {self.header}" if french else f"header {self.header}"
        name = shown(self.part) or self._own(french)
        if self.member:
            name = f"{shown(self.member)} ({name})"
        if not self.line:
            return name
        if not french:
            return f"line {self.line} of {name}"
        return f"ligne {self.line} du {name[3:]}" if name.startswith("le ") else f"ligne {self.line} de {name}"

    def _own(self, french: bool) -> str:
        """The message itself, or its body when a line of it is meant."""
        if self.line:
            return "le corps du message" if french else "the message body"
        return "le message" if french else "the message"


_LONG_NUMBER = re.compile(r"[0-9][0-9 .ABab]{10,20}[0-9]")


def mask(text: str, limit: int = 40) -> str:
    """``text`` fit for a sentence: one line, at most ``limit`` characters, anything like a NIR hidden but its start."""
    clean = "".join(c if c.isprintable() else "?" for c in text[: limit * 2])

    def hidden(found: re.Match[str]) -> str:
        start = found[0].replace(" ", "").replace(".", "")[:5]
        return f"{start[:1]} {start[1:3]} {start[3:5]} ** *** *** **"

    clean = _LONG_NUMBER.sub(hidden, clean)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


@dataclass(frozen=True, slots=True)
class InsId:
    """A matricule and the authority that gave it: the pair is the key, never the number alone."""

    oid: str
    matricule: str


@dataclass(frozen=True, slots=True)
class Identifier:
    """Any identifier of a patient: ``root`` is an OID ("" when the format has none)."""

    root: str
    extension: str


@dataclass(frozen=True, slots=True)
class Traits:
    """Who the patient is, as one source says. Strings as written (white space trimmed), "" when the source is silent.

    ``surname`` is a surname of unsaid kind (HPRIM line 2). ``first_names`` is the whole list, separated by spaces.
    ``sex`` is ``M``, ``F`` or "". ``birth_place`` is a COG code.
    """

    birth_surname: str = ""
    used_surname: str = ""
    surname: str = ""
    first_name: str = ""
    used_first_name: str = ""
    first_names: str = ""
    birth_date: PartialDate | None = None
    sex: str = ""
    birth_place: str = ""

    def any_surname(self) -> str:
        return self.birth_surname or self.surname or self.used_surname

    def any_first_name(self) -> str:
        return self.first_name or self.used_first_name or self.first_names


@dataclass(frozen=True, slots=True)
class Patient:
    """One reading of one patient. ``ids`` holds every identifier, INS included; ``nir`` is the social security number
    of an HPRIM line 8 (never an INS); ``status`` the PID-32 codes; ``whole`` says that this reading stands alone as a
    complete message (its own 12 lines and its own end tag). ``lines``: for a header, the line of each trait."""

    source: Source
    place: Place
    traits: Traits
    ins: tuple[InsId, ...] = ()
    ids: tuple[Identifier, ...] = ()
    nir: str = ""
    status: tuple[str, ...] = ()
    whole: bool = False
    addresses: tuple[str, ...] = ()
    lines: tuple[tuple[str, int], ...] = ()

    def where(self, trait: str) -> Place:
        """The place of ``surname``, ``first``, ``birth`` or ``number`` when it is known, else that of the patient."""
        line = next((number for name, number in self.lines if name == trait), 0)
        return self.place.at(line) if line else self.place

    def to_json(self) -> dict[str, Any]:
        t = self.traits
        return {
            "source": self.source.value,
            "place": self.place.said("en"),
            "birth_surname": t.birth_surname,
            "used_surname": t.used_surname,
            "surname": t.surname,
            "first_name": t.first_name,
            "used_first_name": t.used_first_name,
            "first_names": t.first_names,
            "birth_date": t.birth_date.iso() if t.birth_date else "",
            "sex": t.sex,
            "birth_place": t.birth_place,
            "ins": [{"oid": i.oid, "matricule": i.matricule} for i in self.ins],
            "nir": self.nir,
        }


@dataclass(frozen=True, slots=True)
class Document:
    """One thing found in the message. ``inside`` names the archive that holds it. ``identifier``, ``set_id``, ``version``,
    ``replaces``, ``code``, ``label`` and ``digest`` (SHA-256 of its octets) are a CDA's; ``details`` what else the format says (sender,
    receiver, dates)."""

    format: Format
    place: Place
    name: str = ""
    size: int = 0
    patients: tuple[Patient, ...] = ()
    code: str = ""
    code_system: str = ""
    label: str = ""
    title: str = ""
    identifier: str = ""
    set_id: str = ""
    version: str = ""
    replaces: tuple[str, ...] = ()
    written: str = ""
    author: str = ""
    inside: str = ""
    digest: str = ""
    details: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.format.value,
            "name": self.name,
            "inside": self.inside,
            "size": self.size,
            "code": self.code,
            "label": self.label,
            "title": self.title,
            "identifier": self.identifier,
            "set_id": self.set_id,
            "version": self.version,
            "replaces": list(self.replaces),
            "written": self.written,
            "author": self.author,
            "details": dict(self.details),
            "patients": [p.to_json() for p in self.patients],
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the catalogue (:mod:`hprim.rules`): ``fr``/``en`` with ``{named}`` parameters, what to do about it, and
    the sources that ask for it."""

    name: str
    severity: Severity
    fr: str
    en: str
    source: str
    remedy_fr: str = ""
    remedy_en: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One rule broken at one place."""

    definition: Rule
    severity: Severity
    place: Place
    parameters: Mapping[str, str | Words] = field(default_factory=dict)

    @property
    def rule(self) -> str:
        """The stable name: ``HID-072``."""
        return self.definition.name

    def sentence(self, language: Language = "fr") -> str:
        """What is wrong, in words a secretary understands. Never a whole NIR, never another patient's name."""
        template = self.definition.fr if language == "fr" else self.definition.en
        said = {k: v.said(language) if isinstance(v, Words) else v for k, v in self.parameters.items()}
        filled = template.format_map(said)
        return filled[:1].upper() + filled[1:]

    def remedy(self, language: Language = "fr") -> str:
        """What to do about it ("" when the sentence already says it)."""
        return self.definition.remedy_fr if language == "fr" else self.definition.remedy_en

    def text(self, language: Language = "fr") -> str:
        """Rule, place, sentence and remedy on one line: what goes into a refusal or a notice."""
        mark = "[{}] {} : {}" if language == "fr" else "[{}] {}: {}"
        line = mark.format(self.rule, self.place.said(language), self.sentence(language))
        remedy = self.remedy(language)
        return f"{line} {remedy}" if remedy else line

    def to_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "part": self.place.part,
            "member": self.place.member,
            "line": self.place.line,
            "place": {"fr": self.place.said("fr"), "en": self.place.said("en")},
            "sentence": {"fr": self.sentence("fr"), "en": self.sentence("en")},
            "remedy": {"fr": self.remedy("fr"), "en": self.remedy("en")},
        }


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of a message: ``data`` has its transfer encoding removed; ``charset`` is the declared one, "" if none."""

    name: str
    media_type: str
    charset: str
    data: bytes
    is_body: bool


@dataclass(frozen=True, slots=True)
class Report:
    """The answer about one file or message.

    ``patients``: the distinct people, each as its most authoritative source tells it; ``readings``: every identity read.
    ``cda_codes``: for ``X-MSS-CODECDA``, codes of the CDA documents inside XDM archives, in order, without repeats.
    ``qualified_ins``: for ``X-MSS-INS``. ``ins``: every (oid, matricule). ``flags``: restriction flags that are on
    (``MASQUE_PS``, ``INVISIBLE_PATIENT``...), ``restrictions`` all of them with their value.
    """

    documents: tuple[Document, ...] = ()
    patients: tuple[Patient, ...] = ()
    readings: tuple[Patient, ...] = ()
    problems: tuple[Problem, ...] = ()
    cda_codes: tuple[str, ...] = ()
    qualified_ins: bool = False
    has_header: bool = False
    ins: frozenset[tuple[str, str]] = frozenset()
    restrictions: Mapping[str, str] = field(default_factory=dict)
    readable: bool = True

    @property
    def flags(self) -> frozenset[str]:
        return frozenset(name for name, value in self.restrictions.items() if value == "Y")

    @property
    def worst(self) -> Severity | None:
        """The gravest severity, ``None`` when there is no problem at all."""
        return max((p.severity for p in self.problems), key=lambda s: s.rank, default=None)

    @property
    def refused(self) -> tuple[Problem, ...]:
        """The problems that a default policy refuses."""
        return tuple(p for p in self.problems if p.severity.rank >= Severity.REFUSE.rank)

    @property
    def rules(self) -> frozenset[str]:
        return frozenset(p.rule for p in self.problems)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values. Holds identities: health data."""
        return {
            "documents": [d.to_json() for d in self.documents],
            "patients": [p.to_json() for p in self.patients],
            "problems": [p.to_json() for p in self.problems],
            "cda_codes": list(self.cda_codes),
            "qualified_ins": self.qualified_ins,
            "ins": [{"oid": oid, "matricule": m} for oid, m in sorted(self.ins)],
            "flags": sorted(self.flags),
            "worst": self.worst.value if self.worst else None,
            "readable": self.readable,
        }


def ordered(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Gravest first, then by rule and place; exact repeats dropped; at most :data:`MOST_PROBLEMS`."""
    seen: set[tuple[str, Place, str]] = set()
    kept: list[Problem] = []
    for p in sorted(problems, key=lambda p: (-p.severity.rank, p.rule, p.place.part, p.place.line)):
        key = (p.rule, p.place, p.sentence("en"))
        if key not in seen:
            seen.add(key)
            kept.append(p)
    return tuple(kept[:MOST_PROBLEMS])


MOST_PROBLEMS = 500
