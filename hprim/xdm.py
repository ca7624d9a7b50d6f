"""``IHE_XDM.zip``: the archive, its METADATA.XML, its documents, and whether the three agree.

Promise: each document named by the metadata is found, measured and hashed; each CDA is read, those the metadata forgot included;
the identity written in the metadata is one more reading, compared elsewhere (:mod:`hprim.consistency`).
Failure: an archive that cannot be read safely gives a document without patient and MSS-091 or MSS-114.
Source: MSS-090 to MSS-092, HID-075, HID-076; IHE ITI TF-2 3.32, TF-3 4.2 (XDM, document metadata), ECO.2.1.2.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from urllib.parse import unquote

from hprim import cda, dates, fields, hl7, insrules
from hprim.cda import refuse_unreadable
from hprim.detect import is_fhir_xml, is_office, sealed, unread
from hprim.ebrim import SET_PATIENT, DocumentEntry, entry_of, externals, said_by
from hprim.findings import Findings
from hprim.ins import SOCIAL_SECURITY
from hprim.model import Document, Format, Patient, Place, Severity, Source, Traits, Words, mask
from hprim.shown import shown
from hprim.xmlsafe import MAX_BYTES, Node, Unreadable, looks_xml, parse, root_of
from hprim.zipsafe import Archive, Entry, open_archive

MAX_METADATA = 4 << 20
MAX_SUBSETS = 20
MAX_DESCRIBED = 200
MAX_OTHERS = 60
MAX_OTHER = 8 << 20
_OF_THE_ARCHIVE = frozenset(("readme.txt", "index.htm", "index.html", "metadata.xml", ".ds_store"))
_FLAG_NAMES = {"INVISIBLE_REPRESENTANTS_LEGAUX": "INVISIBLE_REP_LEGAUX"}


Other = Callable[[bytes, Place], None]


@dataclass(slots=True)
class _Opened:
    """An archive being read, and what is gathered from it. ``announced``: the mail says that its document bears an INS."""

    archive: Archive
    place: Place
    findings: Findings
    today: date
    announced: bool
    documents: list[Document] = field(default_factory=list)
    readings: list[Patient] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    digests: dict[str, tuple[str, str]] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)

    def at(self, member: str) -> Place:
        """Where one file of the archive is."""
        return Place(self.place.part, member=member)

    def read_cda(self, data: bytes, file: Entry) -> Document:
        inside = self.place.part or "archive"
        return cda.read(
            data, self.at(file.name), self.findings, self.today, name=file.name, inside=inside, announced=self.announced
        )


def is_named_xdm(name: str) -> bool:
    """``IHE_XDM.zip`` and its spellings (MSS-090)."""
    bare = name.rpartition("/")[2].lower().replace("-", "_")
    return bare.startswith("ihe_xdm") and bare.endswith(".zip")


def _metadata_of(archive: Archive) -> list[Entry]:
    return [e for e in archive.entries if e.name.rpartition("/")[2].upper() == "METADATA.XML"][:MAX_SUBSETS]


def read(
    data: bytes,
    place: Place,
    findings: Findings,
    today: date,
    *,
    name: str = "",
    expected: bool = True,
    announced: bool = False,
    other: Other = lambda data, place: None,
) -> tuple[Document, ...]:
    """The archive and each document in it. ``expected``: its name or the subject says it is an XDM archive. ``other`` is called with
    each further file that may tell of a patient (HPRIM, HL7)."""
    try:
        archive = open_archive(data)
        metadata = _metadata_of(archive)
        if not metadata and not expected and (_hidden(archive) or not _has_cda(archive, findings)):
            found = _other_archive(archive, place, findings, name)
        else:
            _refuse_hidden(archive)
            found = _read_all(_Opened(archive, place, findings, today, announced), metadata, name)
        _tell_unopened(archive, place, findings, name)
        _read_others(archive, place, other)
        return found
    except Unreadable as error:
        refuse_unreadable(error, name, place, findings)
        return (Document(Format.XDM if expected else Format.ZIP, place, name=name, size=len(data)),)


def _read_others(archive: Archive, place: Place, other: Other) -> None:
    """Texts beside the documents: a result in HPRIM that no metadata names is still about a patient."""
    left = MAX_OTHERS
    for entry in archive.entries:
        bare = entry.name.rpartition("/")[2].lower()
        if entry.encrypted or not entry.size or entry.size > MAX_OTHER or bare in _OF_THE_ARCHIVE:
            continue
        if detect_text(archive.peek(entry, 4_096)):
            other(archive.read(entry, MAX_OTHER), Place(place.part, member=entry.name))
            left -= 1
        if not left:
            raise Unreadable("trop de fichiers de texte dans l'archive", "too many text files in the archive")


def detect_text(head: bytes) -> bool:
    """Whether a file may be HPRIM, HPRIM XML or HL7: text, or XML that is no CDA."""
    if looks_xml(head):
        root = root_of(head)
        known = root is not None and (cda.is_hprim_xml(root) or is_fhir_xml(root))
        return known or b"hprim" in head.lower().replace(b"\x00", b"")
    return bool(head) and not head.startswith((b"%PDF-", b"PK\x03\x04")) and head[:64].count(0) <= len(head[:64]) // 2


def _hidden(archive: Archive) -> bool:
    return any(entry.encrypted for entry in archive.entries)


def _other_archive(archive: Archive, place: Place, findings: Findings, name: str) -> tuple[Document, ...]:
    """An archive that is no health archive: carried, and said when its content could not be looked at."""
    if _hidden(archive):
        fr, en = "archive chiffrée : son contenu n'a pas été contrôlé", "encrypted archive: its content was not checked"
        given = shown(name) or Words("joint", "attached")
        findings.add("MSS-114", place, Severity.WARN, name=given, detail=Words(fr, en))
    return (Document(Format.ZIP, place, name=name, size=len(archive.data)),)


def _tell_unopened(archive: Archive, place: Place, findings: Findings, name: str) -> None:
    """An archive inside is carried and not looked into: another patient's results would go unseen."""
    heads = [(entry, archive.peek(entry, 512)) for entry in archive.entries if not entry.encrypted]
    letters = ((entry, kind) for entry, head in heads if (kind := unread(head, entry.name)) is not None)
    for entry, kind in islice(letters, 1):
        given = shown(entry.name) or Words("joint", "attached")
        findings.add("HID-100", Place(place.part, member=entry.name), name=given, kind=kind)
    if any(sealed(head) or _is_zip(entry, head) for entry, head in heads):
        tell_unopened(place, findings, name)


def tell_unopened(place: Place, findings: Findings, name: str) -> None:
    """Nobody looked into an archive inside another (MSS-114)."""
    fr, en = (
        "il contient une archive que la passerelle n'ouvre pas",
        "it holds an archive that the gateway does not open",
    )
    why = Words(f"{fr}, dont le contenu n'a pas été contrôlé", f"{en}, whose content was not checked")
    findings.add("MSS-114", place, Severity.WARN, name=shown(name) or Words("joint", "attached"), detail=why)


def _refuse_hidden(archive: Archive) -> None:
    if _hidden(archive):
        fr, en = "archive chiffrée : son contenu ne peut pas être contrôlé", "encrypted archive: cannot be checked"
        raise Unreadable(fr, en)
    if any(_is_zip(entry, archive.peek(entry, 4)) for entry in archive.entries):
        raise Unreadable("archive contenue dans une archive", "an archive inside an archive")


def _is_zip(entry: Entry, head: bytes) -> bool:
    return head.startswith(b"PK\x03\x04") and not is_office(entry.name)


def _looks_xml(archive: Archive, entry: Entry) -> bool:
    return looks_xml(archive.peek(entry, 1_024))


def _has_cda(archive: Archive, findings: Findings) -> bool:
    return any(_is_cda(archive, e, findings) for e in archive.entries if not e.encrypted)


def _is_cda(archive: Archive, entry: Entry, findings: Findings) -> bool:
    """Whether an entry is a CDA; read whole when it is a style sheet, and parsed when its first element is not in sight."""
    if not _looks_xml(archive, entry):
        return False
    head = archive.peek(entry, 65_536)
    root = root_of(head)
    if root is not None and not cda.is_sheet(root):
        return cda.is_cda(head)
    data = archive.read(entry, MAX_BYTES)
    if root_of(data) is not None:
        return cda.is_cda(data)
    findings.spend_markup(data)
    return cda.kind_of(parse(data, skip=frozenset({"component"}))) is Format.CDA


def _read_all(opened: _Opened, metadata: list[Entry], name: str) -> tuple[Document, ...]:
    archive, place, findings = opened.archive, opened.place, opened.findings
    if not metadata:
        detail = Words("l'archive n'a pas de METADATA.XML", "the archive has no METADATA.XML")
        findings.add("MSS-090", place, detail=detail)
    for expected in ("INDEX.HTM", "README.TXT") if metadata else ():
        if archive.find(expected) is None:
            _incoherent(place, findings, f"{expected} absent", f"{expected} missing", Severity.NOTE)
    for one in metadata:
        _read_subset(opened, one)
    _read_forgotten(opened, warn=bool(metadata))
    restrictions = ",".join(f"{k}={v}" for k, v in sorted(opened.flags.items()))
    head = Document(
        Format.XDM,
        place,
        name=name,
        size=len(archive.data),
        patients=tuple(opened.readings),
        details={"restrictions": restrictions} if restrictions else {},
    )
    return (head, *opened.documents)


def _read_subset(opened: _Opened, metadata: Entry) -> None:
    here, findings = opened.at(metadata.name), opened.findings
    opened.used.add(metadata.name)
    try:
        content = opened.archive.read(metadata, MAX_METADATA)
        findings.spend_markup(content)
        root = parse(content)
    except Unreadable as error:
        refuse_unreadable(error, metadata.name, here, findings)
        return
    entries = [entry_of(n) for n in root.walk() if n.name == "ExtrinsicObject"]
    if not entries:
        _incoherent(here, findings, "METADATA.XML ne décrit aucun document", "METADATA.XML describes no document")
    _submission_set(root, entries, here, findings)
    if len(entries) > MAX_DESCRIBED:
        raise Unreadable("METADATA.XML décrit trop de documents", "METADATA.XML describes too many documents")
    for entry in entries:
        _read_entry(opened, metadata, entry)


def _incoherent(place: Place, findings: Findings, fr: str, en: str, severity: Severity | None = None) -> None:
    findings.add("MSS-092", place, severity, detail=Words(fr, en))


def _submission_set(root: Node, entries: list[DocumentEntry], place: Place, findings: Findings) -> None:
    """The submission set is about the same patient as its entries."""
    for package in (n for n in root.walk() if n.name == "RegistryPackage"):
        given = {hl7.cx(raw) for raw in externals(package, SET_PATIENT, "XDSSubmissionSet.patientId") if raw}
        known = {e.patient_id for e in entries if e.patient_id}
        if known and not given <= known:
            findings.add("HID-075", place)


def _find(archive: Archive, metadata: Entry, uri: str) -> Entry | None:
    relative = uri.replace("\\", "/").removeprefix("./").lstrip("/")
    folder = metadata.folder
    for path in dict.fromkeys((relative, unquote(relative))):
        found = archive.find(f"{folder}/{path}" if folder else path) or archive.find(path)
        if found is not None:
            return found
    return None


def _read_entry(opened: _Opened, metadata: Entry, entry: DocumentEntry) -> None:
    for code in entry.confidentiality:
        flag = _FLAG_NAMES.get(code.upper(), code.upper())
        if flag in hl7.RESTRICTIONS:
            opened.flags[flag] = "Y"
    file = _find(opened.archive, metadata, entry.uri) if entry.uri else None
    member = file.name if file else metadata.name
    reading = _reading(entry, opened.at(member), opened.findings, opened.today)
    said, signs = said_by(entry.info), hl7.Signs()
    further = hl7.others(said.get("5", ""), signs, reading.traits)
    further += hl7.further_sexes(said.get("8", ""), signs, reading.traits)
    opened.readings += [reading, *(replace(reading, traits=traits) for traits in further)]
    if file is None:
        fr, en = f"le document {shown(entry.uri)} est absent", f"document {shown(entry.uri)} is missing"
        if not entry.uri:
            fr, en = "les métadonnées ne disent pas où est un document", "the metadata do not say where a document is"
        _incoherent(opened.at(metadata.name), opened.findings, fr, en)
        return
    if file.name in opened.digests:  # described twice: read once, compared each time
        _check_size(entry, file, opened.at(file.name), opened.findings)
        _check_hash(entry, opened.digests[file.name], opened.at(file.name), opened.findings)
        return
    opened.used.add(file.name)
    opened.documents.append(_check_file(opened, file, entry))


def _check_file(opened: _Opened, file: Entry, entry: DocumentEntry) -> Document:
    archive, here, findings = opened.archive, opened.at(file.name), opened.findings
    _check_size(entry, file, here, findings)
    if _looks_xml(archive, file):
        data = archive.read(file, MAX_BYTES)
        digests = (hashlib.sha1(data, usedforsecurity=False).hexdigest(), hashlib.sha256(data).hexdigest())
        opened.digests[file.name] = digests
        _check_hash(entry, digests, here, findings)
        return _xml_document(opened, data, file, entry)
    opened.digests[file.name] = archive.digest(file)
    _check_hash(entry, opened.digests[file.name], here, findings)
    if file.name.lower().endswith(".xml") or entry.mime.lower().endswith("xml"):
        refuse_unreadable(Unreadable("ce n'est pas du XML", "it is not XML", safety=False), file.name, here, findings)
    kind = Format.PDF if archive.peek(file, 5) == b"%PDF-" else Format.OTHER
    return Document(kind, here, name=file.name, size=file.size, code=entry.type_code, inside=opened.place.part)


def _check_size(entry: DocumentEntry, file: Entry, place: Place, findings: Findings) -> None:
    if entry.size and entry.size.lstrip("0") != str(file.size):
        _incoherent(place, findings, "taille différente de celle annoncée", "size differs from the announced one")


def _from_base64(text: str) -> str:
    """A hash that a sender wrote in base64 instead of hexadecimal, in hexadecimal."""
    try:
        return binascii.a2b_base64(text.encode("ascii", "replace")).hex()
    except binascii.Error:
        return ""


def _check_hash(entry: DocumentEntry, digests: tuple[str, str], place: Place, findings: Findings) -> None:
    if not entry.hash:
        _incoherent(
            place, findings, "empreinte absente des métadonnées", "hash missing from the metadata", Severity.WARN
        )
    elif entry.hash not in digests and _from_base64(entry.raw_hash) not in digests:
        _incoherent(
            place,
            findings,
            "le document a été modifié ou remplacé (empreinte différente)",
            "the document was altered or swapped (hash differs)",
        )


def _xml_document(opened: _Opened, data: bytes, file: Entry, entry: DocumentEntry) -> Document:
    here, findings, inside = opened.at(file.name), opened.findings, opened.place.part
    if not cda.is_cda(data):
        if file.name.lower().endswith((".xsl", ".xslt")):
            return Document(Format.XML, here, name=file.name, size=len(data), inside=inside)
        if not _hides_cda(data, file, here, findings):
            return Document(Format.XML, here, name=file.name, size=len(data), inside=inside)
    document = opened.read_cda(data, file)
    if entry.unique_id and document.identifier and entry.unique_id != document.identifier:
        fr = "l'identifiant unique des métadonnées n'est pas celui du document"
        _incoherent(here, findings, fr, "the metadata's unique identifier is not the document's", Severity.WARN)
    if entry.type_code and document.code and entry.type_code != document.code:
        fr = "le type des métadonnées n'est pas celui du document"
        _incoherent(here, findings, fr, "the metadata's type is not the document's", Severity.WARN)
    return document


def _hides_cda(data: bytes, file: Entry, place: Place, findings: Findings) -> bool:
    """Whether XML of no kind in sight is a CDA once parsed; what cannot be parsed is refused."""
    try:
        findings.spend_markup(data)
        return cda.kind_of(parse(data, skip=frozenset({"component"}))) is Format.CDA
    except Unreadable as error:
        refuse_unreadable(error, file.name, place, findings)
        return False


def _reading(entry: DocumentEntry, place: Place, findings: Findings, today: date) -> Patient:
    """The identity that the metadata give, as one more source."""
    said = said_by(entry.info)
    birth, used, first, used_first, listed = hl7.names(said.get("5", ""), hl7.Signs())
    raw = said.get("7", "")
    born = hl7.birth_date(raw) or dates.read_french(raw, today)
    if raw and born is None:
        findings.add("HID-021", place, Severity.WARN, value=mask(raw, 30), form=fields.COMPACT)
    traits = Traits(
        birth_surname=birth,
        used_surname=used,
        first_name=first,
        used_first_name=used_first,
        first_names=listed,
        birth_date=born,
        sex=next(iter(hl7.sexes(said.get("8", ""), hl7.Signs())), ""),
    )
    further = [hl7.cx(one) for one in said.get("3", "").split("~")[:20]]
    ids = tuple(dict.fromkeys(i for i in (*entry.source_ids, entry.patient_id, *further) if i and i.extension))
    if not ids:
        fr = "identifiant du patient absent des métadonnées"
        _incoherent(place, findings, fr, "patient identifier missing from the metadata", Severity.WARN)
    insrules.check_identifiers(ids, traits, place, findings)
    if entry.patient_id and entry.patient_id.root in SOCIAL_SECURITY:
        findings.add("HID-051", place, oid=entry.patient_id.root)
    return Patient(Source.XDM, place, traits, insrules.ins_ids(ids, findings.profile), ids)


def _read_forgotten(opened: _Opened, *, warn: bool) -> None:
    """CDA documents that no metadata names: the recipient may never see them, or see another patient's."""
    for file in opened.archive.entries:
        if file.name in opened.used or not _is_cda(opened.archive, file, opened.findings):
            continue
        if warn:
            fr, en = "document présent mais absent des métadonnées", "document present but not in the metadata"
            _incoherent(opened.at(file.name), opened.findings, fr, en, Severity.WARN)
        data = opened.archive.read(file, MAX_BYTES)
        opened.documents.append(opened.read_cda(data, file))
