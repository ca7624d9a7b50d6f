"""Hostile input of every kind: a clear answer, within the stated time and memory, and nothing raised."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable

import pytest

from hprim import zipsafe
from hprim.findings import Profile
from hprim.model import Report
from tests.hprim.builders import DOC, META, attached, body, cda, file, mail, member, rezip, sante, xdm, xdm_mail
from tests.hprim.examples import V1, V3, text, unix, v1

MIB = 1 << 20


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def bomb() -> bytes:
    return zipped({META: b"\0" * (100 * MIB)})


def test_the_names_an_archive_shows() -> None:
    members = {"a/b.txt": b"1", "c.exe": b"MZ", "é.pdf": b"2"}
    assert zipsafe.names_in(zipped(members)) == tuple(members)
    assert len(zipsafe.names_in(zipped({f"{n}": b"" for n in range(6_000)}))) == zipsafe.MOST_NAMES
    for data in (b"", b"PK\x05\x06", zipped(members)[:-5], b"PK\x05\x06" + b"\xff" * 18):
        assert zipsafe.names_in(data) == ()


def false_size_bomb() -> bytes:
    """The directory announces 1 kB, the content inflates to 30 MB."""
    archive = bytearray(zipped({META: b"\0" * (30 * MIB)}))
    at = archive.find(b"PK\x01\x02")
    struct.pack_into("<L", archive, at + 24, 1000)
    return bytes(archive)


def encrypted() -> bytes:
    archive = bytearray(zipped({META: b"secret"}, zipfile.ZIP_STORED))
    archive[6] |= 1
    at = archive.find(b"PK\x01\x02")
    archive[at + 8] |= 1
    return bytes(archive)


def linked() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        entry = zipfile.ZipInfo(META)
        entry.create_system = 3
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    return out.getvalue()


def two_names() -> bytes:
    """One name in the directory, another beside the content."""
    archive = zipped({"IHE_XDM/A.XML": b"<a/>"}, zipfile.ZIP_STORED)
    return archive.replace(b"IHE_XDM/A.XML", b"IHE_XDM/B.XML", 1)


def overlapping() -> bytes:
    archive = bytearray(zipped({"a.xml": b"x" * 200, "b.xml": b"x" * 200}, zipfile.ZIP_STORED))
    first = archive.find(b"PK\x01\x02")
    second = archive.find(b"PK\x01\x02", first + 4)
    archive[second + 42 : second + 46] = struct.pack("<L", 0)
    archive[second + 46 : second + 51] = b"a.xml"
    return bytes(archive)


def many_entries() -> bytes:
    return zipped({f"f{i}.xml": b"<a/>" for i in range(5000)}, zipfile.ZIP_STORED)


def quine_like() -> bytes:
    inner = zipped({"x": b"y"})
    return zipped({META: member(xdm(), META), "inner.zip": inner})


UNSAFE = {
    "bomb": bomb,
    "false-size": false_size_bomb,
    "encrypted": encrypted,
    "link": linked,
    "two-names": two_names,
    "overlap": overlapping,
    "many-entries": many_entries,
    "nested": quine_like,
    "traversal": lambda: zipped({"../../evil.xml": b"<a/>", META: b"<a/>"}),
    "absolute": lambda: zipped({"/etc/evil.xml": b"<a/>"}),
    "drive": lambda: zipped({"C:\\evil.xml": b"<a/>"}),
    "backslash-traversal": lambda: zipped({"..\\evil.xml": b"<a/>"}),
    "twice": lambda: zipped({"IHE_XDM/a.xml": b"<a/>", "ihe_xdm/A.XML": b"<b/>"}),
    "xxe-metadata": lambda: rezip(xdm(), {META: b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'}),
    "xxe-cda": lambda: rezip(
        xdm(), {DOC: b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + cda().partition(b"?>")[2]}
    ),
}


@pytest.mark.parametrize("make", UNSAFE.values(), ids=UNSAFE)
def test_unsafe_archive_is_refused(make: Callable[[], bytes]) -> None:
    report = xdm_mail(make())
    assert "MSS-091" in {p.rule for p in report.refused}
    assert "root:" not in str(report.to_json())


def cut_archive() -> bytes:
    return xdm()[:-40]


def bad_checksum() -> bytes:
    archive = bytearray(xdm())
    at = archive.find(b"PK\x01\x02", archive.find(b"PK\x01\x02") + 4)
    archive[at + 16] ^= 0xFF
    at = archive.find(b"PK\x01\x02", at + 4)
    archive[at + 16] ^= 0xFF
    return bytes(archive)


@pytest.mark.parametrize("make", [cut_archive, bad_checksum, lambda: b"PK\x03\x04" + b"\0" * 40])
def test_damaged_archive_is_refused_as_unreadable(make: Callable[[], bytes]) -> None:
    assert {"MSS-114"} <= {p.rule for p in xdm_mail(make()).refused}


LAUGHS = b'<!DOCTYPE a [<!ENTITY a0 "ha">' + b"".join(
    b'<!ENTITY a%d "&a%d;&a%d;&a%d;&a%d;&a%d;">' % ((i,) + (i - 1,) * 5) for i in range(1, 30)
)
XML = {
    "laughs": LAUGHS + b"]><ClinicalDocument xmlns='urn:hl7-org:v3'>&a29;</ClinicalDocument>",
    "deep": b"<a>" * 10_000,
    "deep-cda": cda().replace(b"<component>", b"<component>" + b"<x>" * 10_000, 1),
    "wide": b"<a>" + b"<b/>" * 1_000_000 + b"</a>",
    "attributes": b"<a " + b" ".join(b'a%d=""' % i for i in range(300_000)) + b"/>",
    "parameter-entity": b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]><a/>',
    "utf-16-dtd": '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
    "utf-7": b'<?xml version="1.0" encoding="UTF-7"?><a/>',
}


@pytest.mark.parametrize("data", XML.values(), ids=XML)
def test_unsafe_xml_is_refused(data: bytes) -> None:
    report = file(data, "DOC.XML")
    assert "MSS-091" in {p.rule for p in report.refused}
    assert not report.readable


@pytest.mark.parametrize("cut", [60, 400, 1200])
def test_truncated_cda_is_refused(cut: int) -> None:
    assert file(cda()[:-cut], "DOC.XML").refused


def test_forbidden_entity_never_reads_a_file(tmp_path: object) -> None:
    secret = f"{tmp_path}/secret.txt"
    with open(secret, "w", encoding="utf-8") as out:
        out.write("canary-7193")
    data = cda().replace(b"?>", f'?><!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]>'.encode(), 1)
    assert "canary-7193" not in str(file(data.replace(b">LEFEVRE<", b">&x;<"), "D.XML").to_json())


TEXTS = {
    "megabyte-lines": text(["A" * MIB] * 14),
    "megabyte-body": v1({14: "B" * (3 * MIB)}),
    "only-newlines": b"\n" * (6 * MIB),
    "mixed-ends": b"\r\n".join(V1[i].encode() + (b"\r", b"\n", b"\r\r\n")[i % 3] for i in range(len(V1))),
    "nuls": b"\0" * MIB,
    "random": os.urandom(MIB),
    "stars": b"*" * (2 * MIB),
    "star-lines": b"****FIN****\n" * 150_000,
    "res-lines": b"RES|\n" * 190_000,
    "quoted": b"> \n" * 150_000,
    "dates": b"14/02/1961\n" * 150_000,
    "patients": b"Patient : M. " * 200_000,
    "html": b"<html>" + b"<p" * MIB,
    "html-2": b"<html>" + b"<br>x &amp; " * 200_000,
    "html-3": b"<html>" + b"<style>" * 100_000,
    "hprim-sante": b"H|~^\\&|x||||||||||\r" + b"P|" * MIB,
    "hprim-sante-2": b"H|~^\\&|x||||||||||\r" + b"A|x\r" * 100_000,
    "hl7": b"MSH|^~\\&|x\r" + b"PID|||" + b"~" * MIB,
    "utf-16": b"\xff\xfe" + b"\x41\x00" * 100_000,
}


@pytest.mark.parametrize("data", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("name", ["a.hpr", ""])
def test_hostile_text_gets_an_answer(data: bytes, name: str) -> None:
    report = file(data, name)
    assert report.to_json()["worst"] in (None, "N", "W", "R", "R!")
    assert len(report.problems) <= 500


def hostile_mail() -> bytes:
    """Depth, parts, boundaries and encoded words all at once."""
    lines = [b"From: a@b.fr", b"Subject: " + b"=?utf-8?q?x?= " * 20_000, b"MIME-Version: 1.0"]
    lines.append(b'Content-Type: multipart/mixed; boundary="b0"')
    for i in range(200):
        lines += [b"", b"--b%d" % i, b'Content-Type: multipart/mixed; boundary="b%d"' % (i + 1)]
    return b"\r\n".join(lines)


def many_parts() -> bytes:
    head = b'From: a@b.fr\r\nTo: c@d.fr\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    return head + b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" * 20_000 + b"--b--"


@pytest.mark.parametrize("make", [hostile_mail, many_parts])
def test_hostile_mail_is_refused(make: Callable[[], bytes]) -> None:
    assert "MSS-091" in {p.rule for p in file(make(), "mail.eml").refused}


def test_a_thousand_small_hostile_parts_share_one_budget() -> None:
    part = attached("d.xml", b"<a>" + b"<b/>" * 30_000 + b"</a>")
    assert "MSS-091" in {p.rule for p in mail(*[part] * 400).refused}


def test_more_parts_than_allowed_is_said() -> None:
    assert "MSS-091" in {p.rule for p in mail(*[body("x")] * 501).refused}


def test_remarks_cannot_crowd_out_a_refusal() -> None:
    noisy = cda(first="J3AN", surname="LEF3VRE", used="X3", listed="J3AN P4UL", county="3818", sex="F")
    archive = xdm(*[noisy] * 120, cda(surname="DURAND", first="PAUL", born="19800101", sex="M"))
    report = xdm_mail(archive)
    assert {"HID-080", "HID-070"} <= {p.rule for p in report.refused}
    assert len(report.problems) <= 500


def test_a_patient_beyond_the_limits_is_never_waved_through() -> None:
    batches = Profile(lab_batches=True)
    message = text(V1[:-2])
    many = b"".join([message] * 60) + unix(V3)
    assert "MSS-114" in {p.rule for p in file(many, profile=batches).refused}
    late = v1().replace(b"****FIN****", b"x" * 80 + b"\r\n", 1).replace(b"x" * 80, b"\r\n".join([b"x" * 80] * 120_000))
    assert "MSS-114" in {p.rule for p in file(late + unix(V3)).refused}
    segments = sante(*[f"P|{i}|1|||LEFEVRE~ANDREE||19610214|F|" for i in range(60)])
    assert "MSS-114" in {p.rule for p in file(segments).refused}


def test_a_mark_of_encryption_does_not_hide_a_header() -> None:
    hidden = v1({2: "DURAND"}) + b"#BINASCII1#0000#ENDBINASCII1#"
    assert "HID-070" in {p.rule for p in xdm_mail(None, attached("x.txt", hidden)).refused}


def test_a_nul_does_not_hide_a_header() -> None:
    hidden = text([*V1[:1], "DURAND", *V1[2:13], "\x00", "Bonjour"])
    assert "HID-070" in {p.rule for p in xdm_mail(None, body(hidden)).refused}


def test_an_archive_that_is_none() -> None:
    assert "MSS-090" in {p.rule for p in mail(body("x"), attached("IHE_XDM.zip", b"not a zip")).refused}


def test_archives_are_read_without_touching_the_disk(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    xdm_mail(zipped({"../../evil.xml": b"<a/>", META: b"<a/>"}))
    xdm_mail()
    assert os.listdir(str(tmp_path)) == []


def test_report_is_plain_json() -> None:
    report: Report = xdm_mail()
    assert report.to_json()["patients"][0]["birth_surname"] == "LEFEVRE"
    assert zlib.crc32(str(report.to_json()).encode()) == zlib.crc32(str(xdm_mail().to_json()).encode())
