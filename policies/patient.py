"""Judge what the medical reader found: refuse, warn or only note, as each recipient, sender and partner asks (TOU-B01, TOU-B02).

The findings come as plain facts, in words that name no patient. Each has the severity the reader gave it; configuration may
change it per rule, direction, sending mailbox type, partner and recipient domain, except ``R!`` which always refuses.
When a message has several recipients the strictest of them decides: one message, one answer.
Promise: pure; the same facts give the same decisions, the gravest first. Failure: none; a rule that configuration does not
name keeps its own severity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from policies.catalogue import rule
from policies.decision import Decision, Verdict, decide
from policies.values import Address, Door

Level = Literal["refuse", "warn", "note"]
Levels = Mapping[str, Level]

_RANK: dict[Level, int] = {"note": 0, "warn": 1, "refuse": 2}
_STANDARD: dict[str, Level] = {"R!": "refuse", "R": "refuse", "W": "warn", "N": "note"}
_STRICT: dict[str, Level] = {**_STANDARD, "W": "refuse"}
_PROFILES: dict[str, dict[str, Level]] = {
    "standard": _STANDARD,
    "strict": _STRICT,
    "observe": {"R!": "refuse", "R": "note", "W": "note", "N": "note"},
}
_SHOWN = 8
BODY_SAYS_SOMETHING = 200
"""Characters of text from which the body is taken to hold the information itself (TOU-B02)."""
UNQUALIFIED = "HID-087"
CLOSING = "FIN"
CLOSING_SUBJECT = "[FIN]"


@dataclass(frozen=True, slots=True)
class Said:
    """The same words in both languages."""

    fr: str = ""
    en: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the reader found. ``severity`` is ``R!``, ``R``, ``W`` or ``N``; the words name no patient."""

    name: str
    severity: str
    place: Said
    sentence: Said
    advice: Said = Said()


@dataclass(frozen=True, slots=True)
class PatientSettings:
    """What a deployment asks for. ``directions`` by door name, ``partners`` by sending domain, ``domains`` by recipient
    domain, ``types`` by type of the sending mailbox; within one table the key is a rule of the reader.

    ``header_domains``: recipient domains, sub-domains included, whose mail needs an HPRIM header; ``header_types`` types of
    sending mailboxes that must always give one. ``derogation``: an INS of an identity that is not qualified may go to
    professionals, with a warning (MSS-109).
    """

    profile: str = "standard"
    severity: Levels = field(default_factory=dict)
    directions: Mapping[str, Levels] = field(default_factory=dict)
    types: Mapping[str, Levels] = field(default_factory=dict)
    partners: Mapping[str, Levels] = field(default_factory=dict)
    domains: Mapping[str, Levels] = field(default_factory=dict)
    header_domains: tuple[str, ...] = ("apicrypt.org",)
    header_types: frozenset[str] = frozenset()
    patient_domains: frozenset[str] = frozenset({"patient.mssante.fr"})
    remark_attached: bool = True
    derogation: bool = True


DEFAULT = PatientSettings()


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """What is known of one message. ``sender_type`` is empty for partners; ``opposed`` says that the register holds the
    patient for this kind of exchange, ``forbidden`` which mailboxes of the exchange he forbade by name, ``alike`` that it holds somebody
    who is nearly the same; ``body_length`` counts the
    characters of the text a reader sees; ``sealed`` says that something is encrypted end to end, so that nobody knows where the
    information is; ``header_asked`` that :func:`header_required` asked for a header."""

    door: Door
    findings: tuple[Finding, ...] = ()
    recipients: tuple[Address, ...] = ()
    sender_domain: str = ""
    sender_type: str = ""
    has_header: bool = False
    has_cda: bool = False
    attachments: int = 0
    body_length: int = 0
    sealed: bool = False
    qualified: bool = False
    opposed: bool = False
    forbidden: tuple[str, ...] = ()
    alike: bool = False
    closing: str = ""
    header_asked: bool = False


def judge(facts: PatientFacts, settings: PatientSettings = DEFAULT) -> tuple[Decision, ...]:
    """Every decision about the message, the gravest first; one that accepts when there is nothing to say."""
    if facts.opposed:
        return (decide(rule("patient.opposed")),)
    if facts.forbidden:
        return (decide(rule("patient.forbidden"), professionals=_few(facts.forbidden)),)
    levels = sorted(
        ((level(found, facts, settings), found) for found in facts.findings), key=lambda pair: -_RANK[pair[0]]
    )
    refused = [found for one, found in levels if one == "refuse"]
    decisions = [*_by_itself(facts, settings), *_refusals(refused, facts)]
    if facts.alike:
        decisions.append(decide(rule("patient.maybe_opposed")))
    decisions += [_told("patient.warned", found) for one, found in levels if one == "warn"]
    decisions += _remarks(facts, settings)
    decisions += [_told("patient.noted", found) for one, found in levels if one == "note"]
    return tuple(decisions) or (decide(rule("patient.accepted")),)


def level(found: Finding, facts: PatientFacts, settings: PatientSettings = DEFAULT) -> Level:
    """How this finding counts for this message: for its strictest recipient."""
    return level_of(found.name, found.severity, facts, settings)


def level_of(name: str, severity: str, facts: PatientFacts, settings: PatientSettings) -> Level:
    """The same by name and severity. ``R!`` is never lowered."""
    if severity == "R!":
        return "refuse"
    usual = _PROFILES.get(settings.profile, _STANDARD)[severity]
    if name == UNQUALIFIED and (not settings.derogation or to_patients(facts.recipients, settings)):
        usual = "refuse"
    tables = (
        settings.severity,
        settings.directions.get(facts.door.value, {}),
        settings.types.get(facts.sender_type, {}),
        settings.partners.get(facts.sender_domain, {}),
    )
    for table in tables:
        usual = table.get(name, usual)
    if not settings.domains:
        return usual
    asked = [settings.domains.get(address.domain, {}).get(name, usual) for address in facts.recipients]
    return max(asked, key=_RANK.__getitem__, default=usual)


def header_required(recipients: Iterable[Address], sender_type: str, settings: PatientSettings = DEFAULT) -> bool:
    """TOU-B01: whether a recipient, or the sender's own type, asks for an HPRIM header."""
    if sender_type in settings.header_types:
        return True
    return any(under(address.domain, settings.header_domains) for address in recipients)


def under(domain: str, domains: Iterable[str]) -> bool:
    """Whether ``domain`` is one of ``domains`` or below one."""
    return any(domain == one or domain.endswith("." + one) for one in domains)


def to_patients(recipients: Iterable[Address], settings: PatientSettings = DEFAULT) -> tuple[Address, ...]:
    """The recipients that are patients."""
    return tuple(address for address in recipients if address.domain in settings.patient_domains)


def is_closing(mark: str, subject: str) -> bool:
    """MSS-102: does this message of a professional close the exchange with the patient?"""
    return mark == CLOSING or CLOSING_SUBJECT in subject


def judge_answer(*, known: bool, closed: bool) -> Decision:
    """A message from a patient (MSS-101, MSS-102): it must answer one of ours, in an exchange still open."""
    if not known:
        return decide(rule("patient.conversation_unknown"))
    if closed:
        return decide(rule("patient.conversation_closed"))
    return decide(rule("patient.accepted"))


def judge_poison(failures: int, most: int = 3) -> Decision:
    """The reader died on this message ``failures`` times (F09)."""
    return decide(rule("patient.quarantined" if failures >= most else "patient.reader_stopped"), str(failures))


def warnings(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """What the sender is to be told in one notice, when the message passes."""
    return tuple(decision for decision in decisions if decision.verdict is Verdict.NOTE)


def _by_itself(facts: PatientFacts, settings: PatientSettings) -> list[Decision]:
    """What needs no reader: closing marks, and documents for patients."""
    found = []
    if facts.closing and facts.closing != CLOSING:
        found.append(decide(rule("patient.closing_mark")))
    if facts.attachments and not facts.qualified and to_patients(facts.recipients, settings):
        found.append(decide(rule("patient.not_qualified")))
    return found


def _refusals(refused: list[Finding], facts: PatientFacts) -> list[Decision]:
    """One decision per finding; the first names the others, since it is the one the sender reads."""
    decisions = []
    for index, found in enumerate(refused):
        if found.name == "HID-001" and facts.header_asked:
            decisions.append(decide(rule("patient.header_required")))
            continue
        others = sorted({one.name for one in refused} - {found.name}) if index == 0 else []
        decisions.append(_told("patient.refused", found, _more(others)))
    return decisions


def _more(others: list[str]) -> Said:
    if not others:
        return Said()
    names = _few(others)
    return Said(f" (aussi : {names})", f" (also: {names})")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _told(name: str, found: Finding, more: Said = Said()) -> Decision:
    return decide(
        rule(name),
        finding=found.name,
        place_fr=found.place.fr,
        place_en=found.place.en,
        sentence_fr=found.sentence.fr.rstrip(". ") + more.fr,
        sentence_en=found.sentence.en.rstrip(". ") + more.en,
        advice_fr=found.advice.fr,
        advice_en=found.advice.en,
    )


def _remarks(facts: PatientFacts, settings: PatientSettings) -> list[Decision]:
    """TOU-B02: an attached document while the text says nothing. A structured document is meant to be attached."""
    if (
        not settings.remark_attached
        or facts.door is not Door.SUBMISSION
        or facts.has_cda
        or facts.has_header
        or facts.sealed
    ):
        return []
    if facts.attachments == 0 or facts.body_length >= BODY_SAYS_SOMETHING:
        return []
    return [decide(rule("patient.information_attached"))]
