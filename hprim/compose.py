"""Build what is sent: HPRIM text, ``IHE_XDM.zip`` with its metadata, subject, file names, display names. Bytes out, no mail.

Promise: what is built passes :mod:`hprim.check` with the same identity; lines are cut and cleaned so that no value can add a
line, a tag or a header; the same arguments give the same bytes (time and identifiers are arguments).
Failure: :class:`ComposeError` when a mandatory value is missing or a document is not a CDA.
Source: H.PR.I.M. Médecins 3.0; IHE XDM, ECO.2.1.2 to 2.1.6, ECO.2.2.3.
"""

from __future__ import annotations

import hashlib
import io
import unicodedata
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from html import escape

from hprim import cda
from hprim.ebrim import (
    CONFIDENTIALITY,
    ENTRY_PATIENT,
    ENTRY_UNIQUE,
    EXTRINSIC,
    SET_PATIENT,
    SET_SOURCE,
    SET_UNIQUE,
    TYPE_CODE,
)
from hprim.findings import TEST_SPACE, Findings
from hprim.ins import key_of
from hprim.insrules import ins_ids
from hprim.model import Document, Patient, Place, Traits
from hprim.names import display
from hprim.subject import XDM_MARK


class ComposeError(ValueError):
    """Something compulsory is missing; the text says what, in French then English."""


@dataclass(frozen=True, slots=True)
class HeaderFields:
    """The twelve lines of an HPRIM Médecins header. Surname, first name and birth date are compulsory."""

    surname: str
    first_name: str
    birth_date: date
    patient_code: str = ""
    address: tuple[str, str] = ("", "")
    postcode: str = ""
    city: str = ""
    nir: str = ""
    file_number: str = ""
    file_date: date | None = None
    sender_code: str = ""
    sender: str = ""
    receiver_code: str = ""
    receiver: str = ""


def _line(text: str, width: int = 80) -> str:
    """One line: no control character, no run of stars that could read as a tag, at most ``width`` characters."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    while "**" in clean:
        clean = clean.replace("**", "*")
    return clean[:width]


def _number(nir: str) -> str:
    """13 + space + 2, the key added when it is missing."""
    bare = "".join(nir.split()).upper()
    if len(bare) == 13:
        try:
            return f"{bare} {key_of(bare)}"
        except ValueError:
            return bare
    return f"{bare[:13]} {bare[13:15]}".strip()


def _coded(code: str, label: str) -> str:
    return f"{_line(code, 10) or '.':<10} {_line(label, 69)}".rstrip()


def header_lines(fields: HeaderFields) -> list[str]:
    """The twelve lines, without line ends."""
    if not _line(fields.surname) or not _line(fields.first_name):
        raise ComposeError("nom et prénom obligatoires / surname and first name are compulsory")
    written = fields.file_date.strftime("%d/%m/%Y") if fields.file_date else ""
    return [
        _line(fields.patient_code, 40) or ".",
        _line(fields.surname, 50),
        _line(fields.first_name, 50),
        _line(fields.address[0]),
        _line(fields.address[1]),
        _line(f"{fields.postcode} {fields.city}"),
        fields.birth_date.strftime("%d/%m/%Y"),
        _number(fields.nir),
        _line(fields.file_number),
        written,
        _coded(fields.sender_code, fields.sender),
        _coded(fields.receiver_code, fields.receiver),
    ]


def hprim_text(fields: HeaderFields, body: str, results: Sequence[str] = ()) -> str:
    """A whole HPRIM message with CR LF: header, blank line, text, coded ``RES|``/``TEX|`` lines if any, end tags."""
    text = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [*header_lines(fields), "", *(_body_line(t) for t in text)]
    if results:
        lines += ["****LAB****", *(_line(r, 1_000) for r in results)]
    lines += ["****FIN****", "****FINFICHIER****", ""]
    return "\r\n".join(lines)


def _body_line(line: str) -> str:
    """A body line as it is, unless it would read as a tag."""
    clean = "".join(c if c.isprintable() or c == "\t" else " " for c in line)
    return clean.replace("**", "* ") if clean.strip().startswith("**") else clean


def latin_bytes(text: str) -> tuple[bytes, bool]:
    """``text`` in ISO-8859-1 for old receivers; True when some characters had to be spelt otherwise (Œ to OE)."""
    spelt = text.translate(
        {0x152: "OE", 0x153: "oe", 0x2019: "'", 0x2018: "'", 0x20AC: "EUR", 0x2013: "-", 0x2014: "-", 0x2026: "..."}
    )
    raw = spelt.encode("iso-8859-1", "replace")
    return raw, raw.decode("iso-8859-1") != text


def plain(text: str) -> str:
    """``text`` without accents, case kept."""
    folded = unicodedata.normalize("NFD", text.translate({0x152: "OE", 0x153: "oe"}))
    return "".join(c for c in folded if not unicodedata.combining(c))


def subject(label: str, traits: Traits, *, documents: int = 1, replaces: bool = False) -> str:
    """ECO.2.1.3: ``XDM/1.0/DDM+<label> <NOM> <prénom> <date>``; several documents: ``N documents``."""
    said = _line(label, 40) if documents == 1 else f"{documents} documents"
    surname = display(traits.any_surname())
    first = _line(plain(traits.any_first_name()))
    born = traits.birth_date.french() if traits.birth_date and traits.birth_date.whole else ""
    opening = "[Annule et remplace] " if replaces else ""
    return f"{opening}{XDM_MARK}{' '.join(x for x in (said, surname, first, born) if x)}"


_UNSAFE = dict.fromkeys(map(ord, '/\\:*?"<>|_'), " ")


def _name_part(text: str, width: int = 60) -> str:
    return _line(text.translate(_UNSAFE), width).strip(" .")


def pdf_name(act: date, label: str, traits: Traits, number: str = "") -> str:
    """ECO.2.1.6: ``<date>_<type>_<NOM>_<prenom>_<numéro>.pdf``."""
    parts = [act.strftime("%Y%m%d"), _name_part(label), _name_part(display(traits.any_surname()))]
    parts += [_name_part(plain(traits.any_first_name()).replace(".", " ")), _name_part(number)]
    return "_".join(p for p in parts if p) + ".pdf"


def display_name(surname: str, first_name: str = "", title: str = "", organization: str = "") -> str:
    """The display name of a mailbox: ``Dr Zoé TEST (Laboratoire)``; no character that needs quoting in a header."""
    person = " ".join(x for x in (title, first_name, display(surname)) if x)
    whole = f"{person} ({organization})" if person and organization else person or organization
    return _line(whole.translate(dict.fromkeys(map(ord, '"<>@,;:\\[]'), " ")), 120)


@dataclass(frozen=True, slots=True)
class SubmissionSet:
    """What the metadata need and no document says: when, a unique OID for this sending, the sender's OID, its label."""

    sent: datetime
    unique_id: str
    source_oid: str
    title: str = ""
    author: str = ""


@dataclass(slots=True)
class _Item:
    """One CDA ready to be described."""

    data: bytes
    document: Document
    patient: Patient
    uri: str
    entry: str
    extra: dict[str, str] = field(default_factory=dict)


def xdm_archive(documents: Sequence[bytes], submission: SubmissionSet, *, today: date) -> bytes:
    """``IHE_XDM.zip`` for CDA documents of one patient: README.TXT, INDEX.HTM, METADATA.XML and the documents, byte for byte.

    :class:`ComposeError` when a document is not a CDA that names a patient.
    """
    items = [_item(data, index, today) for index, data in enumerate(documents, 1)]
    if not items:
        raise ComposeError("aucun document / no document")
    out = io.BytesIO()
    stamp = submission.sent.timetuple()[:6]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "README.TXT", _readme(submission), stamp)
        _add(archive, "INDEX.HTM", _index(items, submission), stamp)
        _add(archive, "IHE_XDM/SUBSET01/METADATA.XML", metadata(items, submission), stamp)
        for item in items:
            _add(archive, f"IHE_XDM/SUBSET01/{item.uri}", item.data, stamp)
    return out.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes, stamp: tuple[int, ...]) -> None:
    entry = zipfile.ZipInfo(name, (stamp[0], stamp[1], stamp[2], stamp[3], stamp[4], stamp[5]))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    archive.writestr(entry, data)


def _item(data: bytes, index: int, today: date) -> _Item:
    document = cda.read(data, Place(), Findings(TEST_SPACE), today)
    if not document.patients:
        raise ComposeError("le document n'est pas un CDA lisible / the document is not a readable CDA")
    patient = document.patients[0]
    if not patient.ids:
        raise ComposeError("le document n'identifie pas le patient / the document does not identify the patient")
    return _Item(data, document, patient, f"DOC{index:04d}.XML", f"urn:uuid:{_uuid(data, index)}")


def _uuid(data: bytes, index: int) -> str:
    """A name-based UUID for a document entry: same document, same name."""
    h = hashlib.sha256(b"%d" % index + data).hexdigest()
    return f"{h[:8]}-{h[8:12]}-8{h[13:16]}-a{h[17:20]}-{h[20:32]}"


def _readme(submission: SubmissionSet) -> bytes:
    lines = [
        "Archive IHE XDM (Cross-Enterprise Document Media Interchange).",
        "Ouvrez INDEX.HTM pour voir la liste des documents.",
        "Open INDEX.HTM to see the list of documents.",
        f"Emis le / sent on {submission.sent.strftime('%d/%m/%Y %H:%M')}",
        "",
    ]
    return "\r\n".join(lines).encode("ascii", "replace")


def _index(items: Sequence[_Item], submission: SubmissionSet) -> bytes:
    rows = "\n".join(
        f'<li><a href="IHE_XDM/SUBSET01/{i.uri}">{escape(i.document.label or i.document.title or i.uri)}</a></li>'
        for i in items
    )
    title = escape(submission.title or "Documents")
    page = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML Basic 1.1//EN" "http://www.w3.org/TR/xhtml-basic/xhtml-basic11.dtd">\n'
        f'<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="fr"><head><title>{title}</title></head>\n'
        f"<body><h1>{title}</h1>\n<ul>\n{rows}\n</ul>\n<p>{escape(submission.author)}</p></body></html>\n"
    )
    return page.encode("utf-8")


_RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
_LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"


def _slot(name: str, *values: str) -> str:
    listed = "".join(f"<Value>{escape(v)}</Value>" for v in values if v)
    return f'<Slot name="{name}"><ValueList>{listed}</ValueList></Slot>' if listed else ""


def _classified(owner: str, scheme: str, code: str, system: str, label: str, number: str) -> str:
    if not code:
        return ""
    return (
        f'<Classification id="{number}" classifiedObject="{owner}" classificationScheme="{scheme}"'
        f' nodeRepresentation="{escape(code)}">{_slot("codingScheme", system)}'
        f'<Name><LocalizedString value="{escape(label or code)}"/></Name></Classification>'
    )


def _identified(owner: str, scheme: str, value: str, name: str, number: str) -> str:
    return (
        f'<ExternalIdentifier id="{number}" registryObject="{owner}" identificationScheme="{scheme}"'
        f' value="{escape(value)}"><Name><LocalizedString value="{name}"/></Name></ExternalIdentifier>'
    )


def _patient_id(patient: Patient) -> str:
    """The CX of ``patientId``: the INS when there is one, else the first identifier."""
    found = ins_ids(patient.ids, TEST_SPACE)
    if found:
        return f"{found[0].matricule}^^^&{found[0].oid}&ISO^NH"
    return f"{patient.ids[0].extension}^^^&{patient.ids[0].root}&ISO^PI"


def _source_id(patient: Patient) -> str:
    accepted = {(i.oid, i.matricule) for i in ins_ids(patient.ids, TEST_SPACE)}
    local = [i for i in patient.ids if (i.root, i.extension) not in accepted]
    one = (local or list(patient.ids))[0]
    return f"{one.extension}^^^&{one.root}&ISO"


def _info(patient: Patient) -> list[str]:
    t = patient.traits
    surname, first = t.birth_surname or t.any_surname(), t.first_name or t.any_first_name()
    names = f"{surname}^{first}^{t.first_names}^^^^L"
    if t.used_surname and t.used_surname != surname:
        names += f"~{t.used_surname}^{t.used_first_name or first}^^^^^D"
    born = t.birth_date.compact() if t.birth_date else ""
    return [f"PID-5|{names}", f"PID-7|{born}" if born else "", f"PID-8|{t.sex}" if t.sex else ""]


def _time(text: str) -> str:
    """The digits of an HL7 time, zone dropped."""
    return text.split("+", 1)[0].split("-", 1)[0].split(".", 1)[0][:14]


def _entry(item: _Item) -> str:
    d = item.document
    slots = [
        _slot("creationTime", _time(d.written)),
        _slot("hash", hashlib.sha1(item.data, usedforsecurity=False).hexdigest()),
        _slot("languageCode", d.details.get("language", "fr-FR")),
        _slot("size", str(len(item.data))),
        _slot("sourcePatientId", _source_id(item.patient)),
        _slot("sourcePatientInfo", *_info(item.patient)),
        _slot("URI", item.uri),
    ]
    e = item.entry
    codes = [
        _classified(e, TYPE_CODE, d.code, d.code_system, d.label, f"{e}-type"),
        _classified(
            e,
            CONFIDENTIALITY,
            d.details.get("confidentiality", "N"),
            "2.16.840.1.113883.5.25",
            "",
            f"{e}-confidentiality",
        ),
    ]
    ids = [
        _identified(e, ENTRY_PATIENT, _patient_id(item.patient), "XDSDocumentEntry.patientId", f"{e}-patient"),
        _identified(e, ENTRY_UNIQUE, d.identifier, "XDSDocumentEntry.uniqueId", f"{e}-unique"),
    ]
    name = f'<Name><LocalizedString value="{escape(d.title or d.label)}"/></Name>'
    body = "".join(slots) + name + "".join(codes) + "".join(ids)
    return f'<ExtrinsicObject id="{e}" mimeType="text/xml" objectType="{EXTRINSIC}">{body}</ExtrinsicObject>'


def _package(items: Sequence[_Item], submission: SubmissionSet) -> str:
    owner = "SubmissionSet01"
    ids = [
        _identified(owner, SET_PATIENT, _patient_id(items[0].patient), "XDSSubmissionSet.patientId", "set-patient"),
        _identified(owner, SET_UNIQUE, submission.unique_id, "XDSSubmissionSet.uniqueId", "set-unique"),
        _identified(owner, SET_SOURCE, submission.source_oid, "XDSSubmissionSet.sourceId", "set-source"),
    ]
    title = f'<Name><LocalizedString value="{escape(submission.title)}"/></Name>' if submission.title else ""
    time = _slot("submissionTime", submission.sent.strftime("%Y%m%d%H%M%S"))
    return f'<RegistryPackage id="{owner}">{time}{title}{"".join(ids)}</RegistryPackage>'


def _member(item: _Item, number: int) -> str:
    return (
        f'<Association id="member{number:02d}" associationType="urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"'
        f' sourceObject="SubmissionSet01" targetObject="{item.entry}">'
        f"{_slot('SubmissionSetStatus', 'Original')}</Association>"
    )


def metadata(items: Sequence[_Item], submission: SubmissionSet) -> bytes:
    """METADATA.XML: an ebRIM 3.0 ``SubmitObjectsRequest`` with one entry per document and one submission set."""
    entries = "\n".join(_entry(item) for item in items)
    members = "\n".join(_member(item, number) for number, item in enumerate(items, 1))
    node = '<Classification id="set-node" classifiedObject="SubmissionSet01" classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"/>'
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<lcm:SubmitObjectsRequest xmlns:lcm="{_LCM}" xmlns="{_RIM}"><RegistryObjectList>\n'
        f"{entries}\n{_package(items, submission)}\n{node}\n{members}\n"
        "</RegistryObjectList></lcm:SubmitObjectsRequest>\n"
    )
    return text.encode("utf-8")
