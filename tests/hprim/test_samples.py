"""The published sample documents: each passes wrapped in XDM, and each way of putting in another patient is caught."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hprim.check import check_file
from hprim.compose import subject
from hprim.findings import TEST_SPACE
from hprim.ins import key_of
from hprim.model import Report, Severity
from tests.hprim.builders import ARC, DOC, META, attached, body, mail, member, rezip, xdm
from tests.hprim.conftest import SAMPLES
from tests.hprim.examples import TODAY

pytestmark = pytest.mark.samples

NAMES = sorted(p.name for p in Path(SAMPLES).glob("*.xml")) if SAMPLES.is_dir() else ["none"]
NUMBER = "279035121518989"


@pytest.fixture(params=NAMES)
def document(request: pytest.FixtureRequest, cda_samples: dict[str, bytes]) -> bytes:
    return cda_samples[request.param]


def send(archive: bytes, original: bytes, *more: object, **options: object) -> Report:
    """A whole conformant mail around ``archive``, with the subject and headers of the ``original`` document."""
    first = check_file(original, "DOC.XML", profile=TEST_SPACE, today=TODAY)
    told = first.documents[0]
    given: dict[str, object] = {
        "subject": subject(told.label, told.patients[0].traits),
        "headers": {"X-MSS-INS": "O", "X-MSS-CODECDA": told.code, "X-MSS-NIL": "DEV935997"},
        "profile": TEST_SPACE,
        **options,
    }
    return mail(body("Bonjour."), attached("IHE_XDM.zip", archive), *more, **given)  # type: ignore[arg-type]


def test_wrapped_in_xdm_nothing_is_refused_nor_warned(document: bytes) -> None:
    report = send(xdm(document), document)
    assert report.worst in (None, Severity.NOTE)
    assert report.qualified_ins
    assert len(report.patients) == 1
    assert report.ins == {(ARC + "10", NUMBER)}
    assert len(report.cda_codes) == 1


def test_alone_and_to_the_patient_too(document: bytes) -> None:
    assert check_file(document, "DOC.XML", profile=TEST_SPACE, today=TODAY).worst is Severity.NOTE
    report = send(xdm(document), document, recipients=[f"{NUMBER}@patient.mssante.fr"])
    assert report.worst in (None, Severity.NOTE)


def test_in_production_the_test_identity_is_refused(document: bytes) -> None:
    report = check_file(xdm(document), "IHE_XDM.zip", today=TODAY)
    assert {p.rule for p in report.refused} == {"HID-052"}


def other_key(data: bytes) -> bytes:
    return data.replace(NUMBER.encode(), b"279035121518988")


def other_number(data: bytes) -> bytes:
    number = "2790351215190"
    return data.replace(b'extension="' + NUMBER.encode(), b'extension="' + (number + key_of(number)).encode())


Change = Callable[[bytes], bytes]
MUTATIONS: list[tuple[str, Change, str]] = [
    ("other-name", lambda d: d.replace(b">PAT-TROIS<", b">DURAND<"), "HID-070"),
    ("other-name-metadata", lambda d: d.replace(b">PAT-TROIS<", b">DURAND<"), "HID-076"),
    (
        "other-first-name",
        lambda d: d.replace(b">DOMINIQUE<", b">SYLVIE<").replace(b"DOMINIQUE MARIE", b"SYLVIE MARIE"),
        "HID-071",
    ),
    ("other-birth-date", lambda d: d.replace(b'birthTime value="19790328"', b'birthTime value="19810412"'), "HID-072"),
    (
        "slip-in-birth-date",
        lambda d: d.replace(b'birthTime value="19790328"', b'birthTime value="19790329"'),
        "HID-072",
    ),
    ("other-sex", lambda d: d.replace(b'GenderCode code="F"', b'GenderCode code="M"'), "HID-073"),
    ("wrong-key", other_key, "HID-050"),
    ("wrong-key-metadata", other_key, "HID-075"),
    ("other-number", other_number, "HID-074"),
    ("other-oid-production", lambda d: d.replace(b"213.1.4.10", b"213.1.4.8"), "HID-075"),
    ("other-oid-unknown", lambda d: d.replace(b"213.1.4.10", b"213.1.4.12"), "HID-051"),
    ("other-oid-social-security", lambda d: d.replace(b"213.1.4.10", b"213.1.4.13"), "HID-075"),
]


@pytest.mark.parametrize(("change", "rule"), [m[1:] for m in MUTATIONS], ids=[m[0] for m in MUTATIONS])
@pytest.mark.parametrize("rehash", [False, True], ids=["stale-hash", "mended-hash"])
def test_another_patient_in_the_document_is_refused(document: bytes, change: Change, rule: str, rehash: bool) -> None:
    changed = change(document)
    assert changed != document
    report = send(rezip(xdm(document), {DOC: changed}, rehash=rehash), document)
    assert rule in {p.rule for p in report.refused}
    assert ("MSS-092" in report.rules) is not rehash


def test_altered_document_is_refused_by_its_hash_alone(document: bytes) -> None:
    report = send(rezip(xdm(document), {DOC: document + b"\n"}), document)
    assert {p.rule for p in report.refused} == {"MSS-092"}


def test_altered_hash_in_the_metadata(document: bytes) -> None:
    archive = xdm(document)
    meta = member(archive, META)
    at = meta.index(b'<Slot name="hash"><ValueList><Value>') + 36
    flipped = meta[:at] + (b"0" if meta[at : at + 1] != b"0" else b"1") + meta[at + 1 :]
    report = send(rezip(archive, {META: flipped}), document)
    assert {p.rule for p in report.refused} == {"MSS-092"}


def another_patient(document: bytes) -> bytes:
    number = "160079999900"
    number = f"{number}1{key_of(number + '1')}"
    return (
        document.replace(NUMBER.encode(), number.encode())
        .replace(b">PAT-TROIS<", b">DURAND<")
        .replace(b">DOMINIQUE<", b">PAUL<")
        .replace(b">DOMINIQUE MARIE-LOUISE<", b">PAUL MARC<")
        .replace(b'birthTime value="19790328"', b'birthTime value="19600712"')
        .replace(b'GenderCode code="F"', b'GenderCode code="M"')
    )


def test_swapped_archive_is_refused_by_the_subject(document: bytes) -> None:
    report = send(xdm(another_patient(document)), document)
    assert [p.severity for p in report.problems if p.rule == "HID-077"] == [Severity.SAFETY]


def test_swapped_archive_is_refused_by_the_patient_address(document: bytes) -> None:
    report = send(xdm(another_patient(document)), document, recipients=[f"{NUMBER}@patient.mssante.fr"])
    assert "HID-089" in {p.rule for p in report.refused}


def test_two_patients_in_one_archive_are_refused(document: bytes) -> None:
    report = send(xdm(document, another_patient(document)), document)
    assert {"HID-080", "HID-070", "HID-072", "HID-074"} <= {p.rule for p in report.refused}
    assert len(report.patients) == 2


def test_two_archives_of_two_patients_are_refused(document: bytes) -> None:
    report = send(xdm(document), document, attached("IHE_XDM2.zip", xdm(another_patient(document))))
    assert "HID-080" in {p.rule for p in report.refused}


def test_another_patient_is_himself_fine(document: bytes) -> None:
    changed = another_patient(document)
    assert send(xdm(changed), changed).worst in (None, Severity.NOTE)


def test_every_sample_together_is_one_patient(cda_samples: dict[str, bytes]) -> None:
    report = check_file(xdm(*cda_samples.values()), "IHE_XDM.zip", profile=TEST_SPACE, today=TODAY)
    assert report.worst is Severity.NOTE
    assert len(report.patients) == 1
    assert len(report.cda_codes) == len({d.code for d in report.documents if d.code})
