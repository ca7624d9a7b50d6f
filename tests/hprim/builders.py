"""Builders of made-up documents and mails: every value can be changed, nothing is read from disk."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from hprim.check import check_file, check_message
from hprim.compose import SubmissionSet, xdm_archive
from hprim.findings import DEFAULT, TEST_SPACE, Profile
from hprim.history import History
from hprim.ins import key_of
from hprim.model import Part, Report
from tests.hprim.examples import TODAY

ARC = "1.2.250.1.213.1.4."
NUMBER = "261023899900190"
OTHER_NUMBER = "261023899900289"
assert NUMBER[13:] == key_of(NUMBER[:13])
assert OTHER_NUMBER[13:] == key_of(OTHER_NUMBER[:13])


def patient_xml(
    *,
    ids: Sequence[tuple[str, str]] = ((ARC + "8", NUMBER), ("1.2.3.4", "IPP42")),
    names: str | None = None,
    surname: str = "LEFEVRE",
    used: str = "",
    first: str = "ANDREE",
    listed: str = "ANDREE MARIE",
    sex: str | None = "F",
    born: str | None = "19610214",
    county: str = "38999",
    more: str = "",
    telecom: str = "",
) -> str:
    """A ``recordTarget``."""
    identifiers = "".join(f'<id root="{r}" extension="{e}"/>' for r, e in ids)
    given = f"<given>{listed}</given>" if listed else ""
    given += f'<given qualifier="BR">{first}</given>' if first else ""
    family = f'<family qualifier="BR">{surname}</family>' if surname else ""
    family += f'<family qualifier="CL">{used}</family>' if used else ""
    name = f"<name>{family}{given}</name>" if names is None else names
    gender = f'<administrativeGenderCode code="{sex}" codeSystem="2.16.840.1.113883.5.1"/>' if sex else ""
    birth = f'<birthTime value="{born}"/>' if born is not None else ""
    place = f"<birthplace><place><addr><county>{county}</county></addr></place></birthplace>" if county else ""
    person = f"<patient>{name}{gender}{birth}{more}{place}</patient>"
    return f"<recordTarget><patientRole>{identifiers}{telecom}{person}</patientRole></recordTarget>"


def cda(
    target: str | None = None,
    *,
    code: str = "34112-3",
    label: str = "CR hospitalier",
    oid: str = "1.2.3.99.1",
    template: str = "",
    related: str = "",
    extra: str = "",
    **patient: object,
) -> bytes:
    """A small CDA R2 document."""
    target = patient_xml(**patient) if target is None else target  # type: ignore[arg-type]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><realmCode code="FR"/>'
        f'<templateId root="1.2.250.1.213.1.1.1.29" extension="{template}"/>'
        f'<id root="{oid}"/><code code="{code}" displayName="{label}" codeSystem="2.16.840.1.113883.6.1"/>'
        "<title>Compte rendu</title>"
        '<effectiveTime value="20251103101500+0100"/><confidentialityCode code="N"/><languageCode code="fr-FR"/>'
        f'<setId root="{oid}.0"/><versionNumber value="1"/>{target}{extra}{related}'
        "<component><structuredBody><component><section><title>Conclusion</title><text><paragraph>Rien de notable."
        "</paragraph></text></section></component></structuredBody></component></ClinicalDocument>"
    ).encode()


SUBMISSION = SubmissionSet(datetime(2025, 11, 3, 10, 20), "1.2.3.77", "1.2.3", "Documents")  # noqa: DTZ001


def xdm(*documents: bytes, today: date = TODAY) -> bytes:
    """``IHE_XDM.zip`` of these documents."""
    return xdm_archive(documents or (cda(),), SUBMISSION, today=today)


def rezip(archive: bytes, changes: Mapping[str, bytes | None], *, rehash: bool = False) -> bytes:
    """The archive with some members replaced (``None``: removed); ``rehash`` mends hash and size in the metadata."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        members = {n: source.read(n) for n in source.namelist()}
    if rehash:
        name = "IHE_XDM/SUBSET01/METADATA.XML"
        for changed, data in changes.items():
            old = members.get(changed)
            if old is not None and data is not None:
                for before, after in (
                    (hashlib.sha1(old).hexdigest(), hashlib.sha1(data).hexdigest()),
                    (f"<Value>{len(old)}</Value>", f"<Value>{len(data)}</Value>"),
                ):
                    members[name] = members[name].replace(before.encode(), after.encode())
    for changed, data in changes.items():
        if data is None:
            members.pop(changed)
        else:
            members[changed] = data
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for n, d in members.items():
            target.writestr(n, d)
    return out.getvalue()


DOC = "IHE_XDM/SUBSET01/DOC0001.XML"
META = "IHE_XDM/SUBSET01/METADATA.XML"


def member(archive: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        return source.read(name)


def body(text: str | bytes, charset: str = "utf-8") -> Part:
    data = text.encode(charset) if isinstance(text, str) else text
    return Part("", "text/plain", charset, data, is_body=True)


def attached(name: str, data: bytes, media: str = "application/octet-stream") -> Part:
    return Part(name, media, "", data, is_body=False)


SUBJECT = "XDM/1.0/DDM+CR hospitalier LEFEVRE Andree 14/02/1961"
HEADERS = {"X-MSS-INS": "O", "X-MSS-CODECDA": "34112-3", "X-MSS-NIL": "DEV935997"}


def mail(
    *parts: Part,
    subject: str = SUBJECT,
    recipients: Sequence[str] = ("paul.essai@test.mssante.fr",),
    headers: Mapping[str, str] = HEADERS,
    profile: Profile = DEFAULT,
    known: History | None = None,
) -> Report:
    return check_message(
        parts, subject=subject, recipients=recipients, headers=headers, profile=profile, today=TODAY, seen=known
    )


def xdm_mail(archive: bytes | None = None, *more: Part, **options: object) -> Report:
    """A mail with an archive, whole and coherent unless told otherwise."""
    zipped = attached("IHE_XDM.zip", xdm() if archive is None else archive, "application/zip")
    return mail(body("Bonjour."), zipped, *more, **options)  # type: ignore[arg-type]


def file(data: bytes, name: str = "lettre.hpr", profile: Profile = DEFAULT) -> Report:
    return check_file(data, name, profile=profile, today=TODAY)


def pid(
    *,
    ids: str = f"{NUMBER}^^^ASIP-SANTE-INS-NIR&{ARC}8&ISO^INS~IPP42^^^&1.2.3.4&ISO^PI",
    name: str = "LEFEVRE^ANDREE^ANDREE MARIE^^^^L",
    born: str = "19610214",
    sex: str = "F",
    status: str = "VALI",
    birth_place: str = "^^^^^^BDL^^38999",
    obx: Sequence[str] = (),
) -> bytes:
    """An HL7 v2 message with one PID."""
    fields = ["PID", "", "", ids, "", name, "", born, sex, "", "", birth_place, *[""] * 20, status]
    lines = ["MSH|^~\\&|SRC|ES|DST|MSS|20251103||MDM^T02|1|P|2.6", "|".join(fields), *obx]
    return "\r".join(lines).encode()


LISTED = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-birth-list-given-name"


def fhir(*, surname: str = "LEFEVRE", used: str = "MARTIN", born: str = "1961-02-14", number: str = NUMBER) -> bytes:
    """A FHIR bundle with one patient, as French guides have him."""
    listed = [{"url": LISTED, "valueString": "ANDREE MARIE"}]
    names = [{"use": "official", "family": surname, "given": ["ANDREE"], "extension": listed}]
    names += [{"use": "usual", "family": used, "given": ["ANDREE"]}]
    ids = [{"system": f"urn:oid:{ARC}8", "value": number}, {"system": "https://cabinet.test/ipp", "value": "42"}]
    person = {"resourceType": "Patient", "identifier": ids, "name": names, "birthDate": born, "gender": "female"}
    doctor = {"resourceType": "Practitioner", "name": [{"family": "ESSAI", "given": ["PAUL"]}]}
    entries = [{"resource": doctor}, {"resource": person}]
    return json.dumps({"resourceType": "Bundle", "type": "document", "entry": entries}).encode()


def fhir_xml(surname: str = "LEFEVRE") -> bytes:
    """The same patient alone, in XML."""
    return (
        f'<Patient xmlns="http://hl7.org/fhir"><identifier><system value="urn:oid:{ARC}8"/><value value="{NUMBER}"/></identifier>'
        f'<name><extension url="{LISTED}"><valueString value="ANDREE MARIE"/></extension><use value="official"/>'
        f'<family value="{surname}"/><given value="ANDREE"/></name><name><use value="usual"/><family value="MARTIN"/>'
        '<given value="ANDREE"/></name><gender value="female"/><birthDate value="1961-02-14"/></Patient>'
    ).encode()


def sante(
    *patients: str, head: str = "H|~^\\&|ESSAI01.HPR||LAB01~LABO TEST||ORU|||MED01~DR ESSAI||P|H2.3~C|202511031015"
) -> bytes:
    """An HPRIM Santé file."""
    lines = [head, *(patients or ("P|0001|506232||2511030001|LEFEVRE~ANDREE||19610214|F|",)), "L|1|", ""]
    return "\r".join(lines).encode("latin-1")


def hxml(*patients: str) -> bytes:
    """An HPRIM XML file."""
    found = "".join(patients) or hxml_patient()
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?><evenementsPatients xmlns="http://www.hprim.org/hprimXML" version="1.05">'
        f"<enteteMessage><identifiantMessage>1</identifiantMessage></enteteMessage>{found}</evenementsPatients>"
    ).encode("latin-1", "xmlcharrefreplace")


def hxml_patient(surname: str = "LEFEVRE", first: str = "ANDREE", born: str = "1961-02-14", sex: str = "F") -> str:
    return (
        "<patient><identifiant><emetteur><valeur>42</valeur></emetteur></identifiant>"
        f'<personnePhysique sexe="{sex}"><nomUsuel>{surname}</nomUsuel><prenoms><prenom>{first}</prenom></prenoms>'
        f"<dateNaissance><date>{born}</date></dateNaissance></personnePhysique></patient>"
    )


__all__ = [
    "ARC",
    "DEFAULT",
    "DOC",
    "HEADERS",
    "META",
    "NUMBER",
    "OTHER_NUMBER",
    "SUBJECT",
    "TEST_SPACE",
]
