"""The header of a CDA R2 document: whose it is, what it is, which version, what it replaces.

Promise: the body is checked to be well-formed XML but not kept; the patient is read from ``recordTarget`` alone (not from
guardians, authors or text). Failure: unreadable XML gives a document without patient and one problem (MSS-091, MSS-114).
Source: HID-050 to HID-069, HID-097; ANS "Structuration minimale des documents de santé".
"""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass, replace
from datetime import date, timedelta

from hprim import dates, fields, header, ins, insrules, names
from hprim.findings import DEFAULT, Findings
from hprim.lines import split
from hprim.match import names_another
from hprim.model import Document, Format, Identifier, Patient, Place, Severity, Source, Traits, Words, mask
from hprim.shown import shown
from hprim.xmlsafe import MAX_BYTES, Node, Unreadable, parse, root_of, text_at

NAMESPACE = "urn:hl7-org:v3"
_BODY = frozenset({"component"})
_FORBIDDEN = frozenset({"raceCode", "religiousAffiliationCode", "ethnicGroupCode"})
_LONGEST = 100


def is_cda(data: bytes) -> bool:
    """Whether ``data`` opens like a CDA, alone or inside the style sheet that shows it ("autoprésentable")."""
    root = root_of(data)
    return root == (NAMESPACE, _ROOT) or (is_sheet(root) and _holds_document(data))


def is_sheet(root: tuple[str, str] | None) -> bool:
    """Whether this first element opens a style sheet, which may hold the document it shows anywhere, at its end too."""
    return root is not None and root[1] in ("stylesheet", "transform")


def _holds_document(data: bytes) -> bool:
    """Whether a style sheet holds a document, and does not only speak of one in a comment or a quotation.

    Beyond :data:`_SEARCHED` octets or :data:`_QUOTED` quotations the word itself is enough: the parser then decides.
    """
    at = 0
    for _ in range(_QUOTED):
        found = _NESTED.search(data, at, _SEARCHED)
        if found is None:
            at = max(at, _SEARCHED)
            break
        if found[0] not in _QUOTING:
            return True
        at = data.find(_QUOTING[found[0]], found.end())
        if at < 0:
            return False
    return data.find(b"ClinicalDocument", at) >= 0


_ROOT = "ClinicalDocument"
_SEARCHED = 4 << 20
_QUOTED = 100_000
_QUOTING = {b"<!--": b"-->", b"<![CDATA[": b"]]>"}
_NESTED = re.compile(rb"<(?:!--|!\[CDATA\[|(?:[A-Za-z_][A-Za-z0-9_.-]{0,40}:)?ClinicalDocument[\s>])")


def kind_of(root: Node) -> Format:
    """What parsed XML is."""
    if root.name == _ROOT and root.space == NAMESPACE:
        return Format.CDA
    return Format.HPRIM_XML if is_hprim_xml((root.space, root.name)) else Format.XML


def is_hprim_xml(root: tuple[str, str]) -> bool:
    """Whether this first element is one of HPRIM XML, by its namespace or, as old exports write it without any, by its name."""
    space, name = root
    return space.rstrip("/") == "http://www.hprim.org/hprimXML" or (not space and bool(_HPRIM_ROOT.fullmatch(name)))


_HPRIM_ROOT = re.compile(r"(?:evenement|acquittement)s?[A-Z][A-Za-z]{2,40}")


def documents_in(root: Node) -> list[Node]:
    """The ``ClinicalDocument`` elements: the root, or those inside a style sheet; :class:`Unreadable` if there is none."""
    if root.name == _ROOT:
        return [root]
    found = [n for n in root.walk() if n.name == _ROOT and n.space == NAMESPACE][:10]
    if not found:
        raise Unreadable("aucun document CDA dans ce fichier", "no CDA document in this file", safety=False)
    return found


@dataclass(frozen=True, slots=True)
class Enclosed:
    """What a level 1 document wraps: a PDF, a text, a picture."""

    media_type: str
    content: bytes


def enclosed(data: bytes) -> Enclosed | None:
    """The file inside a level 1 CDA (``nonXMLBody``); ``None`` for a structured document, or for what is no base64.

    :class:`Unreadable` when ``data`` is not XML.
    """
    return _file(text_at(data, ("component", "nonXMLBody", "text"), MAX_BYTES))


def own_copy(data: bytes) -> bytes | None:
    """The PDF that the document holds of itself: what a level 1 wraps, or the attached "copie du document" of a structured one."""
    found = enclosed(data)
    if found is None and _COPY in data:
        found = _file(text_at(data, ("observationMedia", "value"), MAX_BYTES))
    if found is None or found.media_type != "application/pdf" or not found.content.startswith(b"%PDF-"):
        return None
    return found.content


_COPY = b'"55108-5"'


def _file(found: tuple[dict[str, str], str] | None) -> Enclosed | None:
    if found is None:
        return None
    attributes, text = found
    media = attributes.get("mediaType", "text/plain").strip().lower()
    if attributes.get("representation", "TXT").strip().upper() != "B64":
        return Enclosed(media, text.encode("utf-8")) if media.startswith("text/") else None
    try:
        return Enclosed(media, binascii.a2b_base64(text.encode("ascii")))
    except (binascii.Error, UnicodeEncodeError):
        return None


def refuse_unreadable(
    error: Unreadable, name: str, place: Place, findings: Findings, severity: Severity | None = None
) -> None:
    """One problem for bytes that could not be read: MSS-091 for a danger, MSS-114 for damage."""
    if error.safety:
        findings.add("MSS-091", place, severity, detail=error.words)
    else:
        given = shown(name) or Words("joint", "attached")
        findings.add("MSS-114", place, severity, name=given, detail=error.words)


def read(
    data: bytes,
    place: Place,
    findings: Findings,
    today: date,
    *,
    name: str = "",
    inside: str = "",
    announced: bool = False,
) -> Document:
    """The document in ``data``. ``announced``: the mail says ``X-MSS-INS: O``. ``inside``: the archive that holds it."""
    try:
        findings.spend_markup(data)
        roots = documents_in(parse(data, skip=_BODY))
    except Unreadable as error:
        refuse_unreadable(error, name or place.member or place.part, place, findings)
        return Document(Format.CDA, place, name=name, size=len(data), inside=inside)
    root = roots[0]
    patients = (*_patients(roots, place, findings, today, announced), *_of_text(data, place, findings, today))
    _check_written((root.one("effectiveTime") or Node("")).get("value"), patients, place, findings, today)
    return _document(root, place, findings, patients, name, data, inside)


_TEXT_BODY = re.compile(
    rb"<(?:[A-Za-z_][\w.-]{0,40}:)?nonXMLBody[\s>][^<]{0,200}<(?:[\w.-]{1,40}:)?text\b([^>]{0,400})>"
)


def _of_text(data: bytes, place: Place, findings: Findings, today: date) -> tuple[Patient, ...]:
    """The patient of a letter that a level 1 document wraps as text: the recipient's software shows it under the document's own."""
    found = _TEXT_BODY.search(data) if b"nonXMLBody" in data else None
    if found is None or b"application/" in found[1] or b"image/" in found[1]:
        return ()
    text = enclosed(data)
    if text is None or not text.media_type.startswith("text/"):
        return ()
    findings.spend_lines(text.content)
    lines, aside = split(text.content[:_LONGEST_TEXT]), Findings(findings.profile)
    letter = header.read(lines, place, aside, today, sure=False)
    return tuple(one for document in letter.documents for one in document.patients) if letter else ()


_LONGEST_TEXT = 1 << 20


def _document(
    root: Node, place: Place, findings: Findings, patients: tuple[Patient, ...], name: str, data: bytes, inside: str
) -> Document:
    code = root.one("code") or Node("code")
    replaces = _replaced(root)
    if replaces:
        findings.add("HID-097", place)
    return Document(
        Format.CDA,
        place,
        name=name,
        size=len(data),
        patients=patients,
        code=_safe(code.get("code")),
        code_system=code.get("codeSystem"),
        label=code.get("displayName"),
        title=root.said("title"),
        identifier=_instance(root.one("id")),
        set_id=_instance(root.one("setId")),
        version=(root.one("versionNumber") or Node("")).get("value"),
        replaces=replaces,
        written=(root.one("effectiveTime") or Node("")).get("value"),
        author=_author(root),
        inside=inside,
        digest=hashlib.sha256(data).hexdigest(),
        details=_details(root),
    )


def _check_written(raw: str, patients: tuple[Patient, ...], place: Place, findings: Findings, today: date) -> None:
    """A document older than its patient, or from the future: often the wrong patient (HID-036, HID-037)."""
    written = dates.read_compact(raw)
    if written is None or not written.whole:
        return
    if written.first_day() > today + timedelta(days=1):
        findings.add("HID-037", place, date=written.french())
    born = patients[0].traits.birth_date if patients else None
    if born and born.first_day() > written.first_day():
        findings.add("HID-036", place, first=written.french(), second=born.french())


_NOT_HEADER = re.compile(r"[^\x21-\x7e]|[,;]")


def _safe(code: str) -> str:
    """A code fit for a mail header: no blank, control or comma (values of headers come from attached XML)."""
    return _NOT_HEADER.sub("", code)[:64]


def _instance(node: Node | None) -> str:
    """``root`` or ``root^extension`` of an instance identifier."""
    if node is None or not node.get("root"):
        return ""
    extension = node.get("extension")
    return f"{node.get('root')}^{extension}" if extension else node.get("root")


def _replaced(root: Node) -> tuple[str, ...]:
    found = [n for n in root.all("relatedDocument") if n.get("typeCode") == "RPLC"]
    ids = [_instance(i) for n in found for i in n.all("parentDocument", "id")]
    return tuple(i or "?" for i in ids) or (("?",) if found else ())


def _author(root: Node) -> str:
    person = root.one("author", "assignedAuthor", "assignedPerson", "name")
    if person is None:
        return root.said("author", "assignedAuthor", "representedOrganization", "name")
    return " ".join(filter(None, (person.said("prefix"), person.said("given"), person.said("family"))))


def _details(root: Node) -> dict[str, str]:
    found = {
        "confidentiality": (root.one("confidentialityCode") or Node("")).get("code"),
        "language": (root.one("languageCode") or Node("")).get("code"),
        "custodian": root.said("custodian", "assignedCustodian", "representedCustodianOrganization", "name"),
        "author_organization": root.said("author", "assignedAuthor", "representedOrganization", "name"),
        "related": ",".join(n.get("typeCode") for n in root.all("relatedDocument")),
        "template": _template_year(root),
        "act": _act(root),
    }
    return {k: v for k, v in found.items() if v}


def _act(root: Node) -> str:
    """When the act was done: the first of ``low``, ``value`` and ``high`` that the service event gives."""
    times = root.all("documentationOf", "serviceEvent", "effectiveTime")[:5]
    given = [(t.one("low") or t).get("value") or (t.one("high") or t).get("value") for t in times]
    return next((value for value in given if value), "")


def _template_year(root: Node) -> str:
    years = [t.get("extension")[:4] for t in root.all("templateId") if re.match("20[0-9]{2}", t.get("extension"))]
    return max(years, default="")


def _patients(roots: list[Node], place: Place, findings: Findings, today: date, announced: bool) -> tuple[Patient, ...]:
    roles = [role for root in roots for role in root.all("recordTarget", "patientRole")]
    people = [(role, person) for role in roles[:10] for person in role.all("patient")[:10] or [Node("patient")]]
    if len(roots[0].all("recordTarget")) != 1 or len(roles) != 1 or len(people) != 1:
        findings.add("HID-060", place)
    year = _template_year(roots[0])
    read = [_patient(role, person, place, findings, today, announced, year) for role, person in people[:20]]
    return tuple(one for patient, (_, person) in zip(read, people, strict=False) for one in _named(patient, person))


def _named(patient: Patient, person: Node) -> list[Patient]:
    """The patient, and whoever else his repeated names name (HID-062 says that they repeat, and may be lowered)."""
    t, aside = patient.traits, Findings(DEFAULT)
    found = [patient]
    for name in person.all("name")[1:10]:
        families, givens = _families(name, patient.place, aside, False, ""), _givens(name, patient.place, aside, "")
        surname, first = next(filter(None, families.values()), ""), next(filter(None, givens.values()), "")
        if names_another(surname, first, t, sure=True):
            found.append(replace(patient, traits=Traits(surname, first_name=first, birth_date=t.birth_date, sex=t.sex)))
    return found


def _patient(
    role: Node, person: Node, place: Place, findings: Findings, today: date, announced: bool, year: str
) -> Patient:
    ids = _identifiers(role, place, findings)
    found = insrules.ins_ids(ids, findings.profile)
    traits = _traits(person, place, findings, today, bool(found), year)
    insrules.check_identifiers(ids, traits, place, findings)
    if not found:
        findings.add("HID-057", place)
    insrules.check_traits(found, traits, place, findings, today, announced=announced)
    addresses = _addresses(role)
    _check_addresses(addresses, found, place, findings)
    return Patient(Source.CDA, place, traits, found, ids, whole=True, addresses=addresses)


def _identifiers(role: Node, place: Place, findings: Findings) -> tuple[Identifier, ...]:
    ids = role.all("id")
    if not ids or any(i.get("nullFlavor") or not i.get("root") or not i.get("extension") for i in ids):
        findings.add("HID-061", place)
    return tuple(Identifier(i.get("root"), i.get("extension")) for i in ids[:50] if i.get("extension"))


def _addresses(role: Node) -> tuple[str, ...]:
    values = (t.get("value") for t in role.all("telecom")[:50])
    return tuple(v[7:] for v in values if v.lower().startswith("mailto:"))


def _check_addresses(addresses: tuple[str, ...], found: tuple[object, ...], place: Place, findings: Findings) -> None:
    """The patient's own address inside the document names the patient of the document."""
    numbers = {getattr(i, "matricule", "") for i in found}
    for address in addresses:
        matricule = ins.address_matricule(address)
        if not matricule or not numbers or matricule in numbers:
            continue
        if ins.is_matricule(matricule):
            a = Words("l'identifiant du document", "the document's identifier")
            b = Words("l'adresse patient du même document", "the patient address of the same document")
            findings.add("HID-074", place, Severity.REFUSE, a=a, b=b)
        else:
            findings.add("MSS-098", place, Severity.WARN)


def _traits(person: Node, place: Place, findings: Findings, today: date, has_ins: bool, year: str) -> Traits:
    if any(child.name in _FORBIDDEN for child in person.children):
        findings.add("HID-069", place)
    whole = person.all("name")
    if len(whole) != 1:
        findings.add("HID-062", place)
    name = whole[0] if whole else Node("name")
    families = _families(name, place, findings, has_ins, year)
    givens = _givens(name, place, findings, year)
    if len(whole) == 1 and not any(families.values()):
        findings.add("HID-062", place)
    _name_rules(families, givens, place, findings)
    return Traits(
        birth_surname=families["BR"],
        used_surname=families["CL"],
        surname=families[""],
        first_name=givens["BR"],
        used_first_name=givens["CL"],
        first_names=givens[""],
        birth_date=_birth(person, place, findings, today, has_ins),
        sex=_sex(person, place, findings, has_ins),
        birth_place=_birth_place(person, place, findings),
    )


def _qualifiers(node: Node) -> list[str]:
    return node.get("qualifier").split() or [""]


def _families(name: Node, place: Place, findings: Findings, has_ins: bool, year: str) -> dict[str, str]:
    found = {"BR": "", "CL": "", "": ""}
    wrong = False
    for node in name.all("family")[:20]:
        for qualifier in _qualifiers(node):
            key = "CL" if qualifier == "SP" else qualifier if qualifier in ("BR", "CL") else ""
            wrong = wrong or key == "" or (qualifier == "SP" and year >= "2024")
            found[key] = _with(found[key], " ".join(node.text.split()))
    if wrong:
        findings.add("HID-063", place, Severity.REFUSE if has_ins else None)
    return found


def _with(before: str, text: str) -> str:
    """A name given in several elements is all of them; the same one again is one."""
    repeated = names.normal(text).words <= names.normal(before).words
    return before if before and repeated else f"{before} {text}".strip()


def _givens(name: Node, place: Place, findings: Findings, year: str) -> dict[str, str]:
    found = {"BR": "", "CL": "", "": ""}
    births: list[str] = []
    apart = year < "2023"
    for node in name.all("given")[:40]:
        text = " ".join(node.text.split())
        for qualifier in _qualifiers(node):
            if qualifier in ("BR", "CL"):
                found[qualifier] = found[qualifier] or text
                births += [text] * (qualifier == "BR")
                apart = apart and not (qualifier == "BR" and found[""])
            elif qualifier == "":
                found[""] = f"{found['']} {text}".strip()
            else:
                findings.add("HID-064", place)
    if apart and found["BR"] and found[""]:
        found[""] = _whole_list(found["BR"], found[""])
    found[""] = found[""] or " ".join(births if len(births) > 1 else ())
    if any(not names.normal(one).words <= names.normal(found[""]).words for one in births[1:]):
        findings.add("HID-068", place)  # another program may read the last where we read the first
    return found


def _whole_list(first: str, listed: str) -> str:
    """The list of first names of a document up to 2022, where it often was only what follows the first."""
    follows = names.normal(first).words.isdisjoint(names.normal(listed).words)
    return f"{first} {listed}" if follows else listed


def _name_rules(families: dict[str, str], givens: dict[str, str], place: Place, findings: Findings) -> None:
    before = set(families.values())
    for value in sorted(before):
        fields.name_value(value, fields.SURNAME, place, findings, longest=_LONGEST)
    for value in sorted(set(givens.values())):
        fields.name_value(value, fields.FIRST, place, findings, longest=_LONGEST)
    surname = families["BR"] or families["CL"] or families[""]
    fields.whole_name(surname, givens["BR"] or givens["CL"] or givens[""], place, findings)
    if givens["BR"] and givens[""] and not names.opens_list(givens["BR"], givens[""]):
        findings.add("HID-068", place)


def _birth(person: Node, place: Place, findings: Findings, today: date, has_ins: bool) -> dates.PartialDate | None:
    node = person.one("birthTime")
    value = node.get("value") if node else ""
    unknown = node is not None and bool(node.get("nullFlavor"))
    born = dates.read_compact(value)
    if len({one.get("value") for one in person.all("birthTime")}) > 1:
        findings.add("HID-065", place)
        return None
    if not value or (born is None and not value[:8].isdigit()):
        findings.add("HID-065", place, Severity.WARN if unknown and not has_ins else None)
        return None
    return fields.birth_value(born, value, place, findings, today)


def _sex(person: Node, place: Place, findings: Findings, has_ins: bool) -> str:
    node = person.one("administrativeGenderCode")
    code = node.get("code") if node else ""
    if len({one.get("code") for one in person.all("administrativeGenderCode")}) > 1:
        findings.add("HID-066", place, Severity.REFUSE, value="-")
        return ""
    if code not in ("M", "F", "UN") or (has_ins and code == "UN"):
        findings.add("HID-066", place, Severity.REFUSE if has_ins else None, value=mask(code, 10) or "-")
    return code if code in ("M", "F") else ""


def _birth_place(person: Node, place: Place, findings: Findings) -> str:
    county = person.said("birthplace", "place", "addr", "county")
    if county and not ins.is_cog(county):
        findings.add("HID-067", place, value=mask(county, 10))
        return ""
    return county
