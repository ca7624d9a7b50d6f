"""Mail signed or encrypted end to end (MSS-114): what is signed is read, what is encrypted is said."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hprim.detect import messages_in
from hprim.endtoend import DEPTH, opened, unreadable
from hprim.model import Part
from tests.hprim.builders import attached, body, file, mail, xdm
from tests.hprim.examples import v1

DATA, SIGNED, HIDDEN = "2a864886f70d010701", "2a864886f70d010702", "2a864886f70d010703"
AUTHENTICATED, PRESSED, OTHER = "2a864886f70d0109100117", "2a864886f70d0109100109", "2a864886f70d010709"
PGP = "-----BEGIN PGP MESSAGE-----\n\nhQEMA0000000000000AQf/\n=0000\n-----END PGP MESSAGE-----\n"


def value(tag: int, *content: bytes, open_ended: bool = False) -> bytes:
    """One BER value, of known length or ended by two zeros."""
    inside = b"".join(content)
    if open_ended:
        return bytes([tag, 0x80]) + inside + b"\x00\x00"
    size = bytes([len(inside)]) if len(inside) < 128 else b"\x84" + len(inside).to_bytes(4)
    return bytes([tag]) + size + inside


def cms(kind: str, *content: bytes, open_ended: bool = False) -> bytes:
    inner = value(0xA0, *content, open_ended=open_ended) if content else b""
    return value(0x30, value(0x06, bytes.fromhex(kind)), inner, open_ended=open_ended)


def signed(content: bytes | None, *, streamed: bool = False, piece: int = 1_000) -> bytes:
    """Signed-data around ``content``; beside it when None; in pieces of open length as streaming programs write it."""
    held = b""
    if content is not None:
        pieces = [value(0x04, content[i : i + piece]) for i in range(0, len(content), piece)]
        octets = value(0x24, *pieces, open_ended=True) if streamed else value(0x04, content)
        held = value(0xA0, octets, open_ended=streamed)
    info = value(0x30, value(0x06, bytes.fromhex(DATA)), held, open_ended=streamed)
    digests = value(0x31, value(0x30, value(0x06, bytes.fromhex("608648016503040201"))), open_ended=streamed)
    whole = value(0x30, value(0x02, b"\x01"), digests, info, value(0x31), open_ended=streamed)
    return cms(SIGNED, whole, open_ended=streamed)


ENVELOPED = cms(HIDDEN, value(0x30, value(0x02, b"\x00"), value(0x31), value(0x30)))
ENTITY = b"MIME-Version: 1.0\r\nContent-Type: text/plain;\r\n charset=utf-8\r\n\r\n"


def p7m(data: bytes, name: str = "smime.p7m") -> Part:
    return attached(name, data, "application/pkcs7-mime")


def said(*parts: Part) -> list[str]:
    report = mail(*parts, subject="Avis", headers={"X-MSS-NIL": "X"})
    return [problem.sentence("fr") for problem in report.problems if problem.rule == "MSS-114"]


@pytest.mark.parametrize(
    "part",
    [
        p7m(ENVELOPED),
        p7m(cms(HIDDEN, value(0x30), open_ended=True)),
        p7m(cms(AUTHENTICATED, value(0x30))),
        attached("lettre.bin", ENVELOPED),
        body(PGP),
        body(f"Bonjour,\r\n\r\n{PGP}"),
        body(f"<html><p>{PGP}</p></html>"),
        attached("encrypted.asc", PGP.encode()),
        attached("cr.pdf.gpg", b"\x85\x01\x0c\x03" + bytes(40)),
    ],
)
def test_what_is_encrypted_is_said(part: Part) -> None:
    (sentence,) = said(body("Bonjour"), part)
    assert "chiffré de bout en bout" in sentence
    report = mail(body("Bonjour"), part, subject="Avis", headers={"X-MSS-NIL": "X"})
    assert not report.refused


@pytest.mark.parametrize(
    "part",
    [
        attached("smime.p7s", signed(None), "application/pkcs7-signature"),
        attached("smime.p7s", signed(None, streamed=True), "application/pkcs7-signature"),
        attached("signature.asc", b"-----BEGIN PGP SIGNATURE-----\n\n0000\n-----END PGP SIGNATURE-----\n"),
        body("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nBonjour\n-----BEGIN PGP SIGNATURE-----\n0\n"),
        body("> -----BEGIN PGP MESSAGE-----\n> 0000\n\nJe ne peux pas lire ceci."),
        attached("version.txt", b"Version: 1", "application/pgp-encrypted"),
        p7m(signed(ENTITY + b"Bonjour")),
        p7m(signed(ENTITY + b"Bonjour", streamed=True, piece=7)),
        attached("autre.der", cms(OTHER, value(0x30))),
        p7m(b""),
    ],
)
def test_what_can_be_read_says_nothing(part: Part) -> None:
    assert said(body("Bonjour"), part) == []


@pytest.mark.parametrize(
    "data",
    [
        signed(ENTITY)[:-40],
        cms(SIGNED, value(0x30)),
        cms(SIGNED),
        b"\x30",
        b"no CMS",
        cms(OTHER, value(0x30)),
        signed(ENTITY, streamed=True, piece=9)[:-24],
        cms(PRESSED, value(0x30)),
    ],
)
def test_what_cannot_be_opened_is_said(data: bytes) -> None:
    (sentence,) = said(body("Bonjour"), p7m(data))
    assert "pas été contrôlé" in sentence


def test_the_patient_inside_a_signature_counts() -> None:
    letter = ENTITY + v1()
    beside = attached("IHE_XDM.zip", xdm(), "application/zip")
    assert not mail(p7m(signed(letter)), beside).refused
    for streamed in (False, True):
        other = signed(ENTITY + v1({2: "DURAND"}), streamed=streamed)
        assert "HID-070" in {p.rule for p in mail(p7m(other), beside).refused}


def test_a_signed_file_is_read_under_its_own_name() -> None:
    (part,) = opened([attached("lettre.hpr.p7m", signed(v1()))])
    assert (part.name, part.data) == ("lettre.hpr", v1())
    assert file(signed(v1()), "lettre.hpr.p7m").readings
    assert "HID-026" in file(signed(v1({2: ""})), "lettre.hpr.p7m").rules


MESSAGE = b"From: a@x.test\r\nSubject: Avis\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"


@pytest.mark.parametrize(
    ("name", "media"), [("avis.eml", "application/octet-stream"), ("", "text/plain"), ("x", "a/b")]
)
def test_a_message_in_a_file_is_read(name: str, media: str) -> None:
    """HID-070: as a message/rfc822 part would be."""
    leaf = b"--b\r\nContent-Type: text/plain\r\n\r\nVoir.\r\n--b\r\nContent-Type: x/y; name=l.hpr\r\n\r\n"
    for changes, other in (({}, False), ({2: "DURAND"}, True)):
        part = attached(name, MESSAGE + leaf + v1(changes) + b"\r\n--b--\r\n", media)
        report = mail(part, attached("IHE_XDM.zip", xdm(), "application/zip"))
        assert ("HID-070" in {p.rule for p in report.refused}) is other
        assert not any(one.is_body for one in opened([part]))
    endless = attached("avis.eml", MESSAGE + b"--b\r\n\r\nx\r\n" * 600)
    assert list(opened([endless])) == [endless]


def test_each_message_of_a_mailbox_file_is_read() -> None:
    """HID-070: what followed the first was the end of its last part, which nobody looked into."""
    leaf = b"--b\r\nContent-Type: x/y; name=l.hpr\r\n\r\n"
    line = b"From a@x.test Mon Nov  3 10:15:00 2025\r\n"
    for changes, other in (({}, False), ({2: "DURAND"}, True)):
        letters = [line + MESSAGE + leaf + v1(one) + b"\r\n--b--\r\n" for one in ({}, changes)]
        part = attached("avis.mbox", b"\r\n".join(letters))
        report = mail(part, attached("IHE_XDM.zip", xdm(), "application/zip"))
        assert ("HID-070" in {p.rule for p in report.refused}) is other
        assert [one.name for one in opened([part])] == ["l.hpr"] * 2
    said = b"Bonjour,\n\nFrom now on we write: this.\n\nFrom Paris: nothing\n"
    assert list(messages_in(line + MESSAGE + said)) == [line + MESSAGE + said]
    assert list(messages_in(said)) == [said]


def test_a_file_of_lines_that_part_nothing_costs_little() -> None:
    data = b"From a\n" + MESSAGE + b"\n\nFrom a\nA:" * 200_000
    started = process_time()
    assert len(list(opened([attached("a.mbox", data)]))) == 1
    assert process_time() - started < 1.0


def test_too_many_parts_behind_one_file_are_said() -> None:
    """MSS-091: nothing is left out in silence."""
    leaf = b"--i\r\n\r\nx\r\n"
    inner = (
        b"Content-Type: a/b; name=i.eml\r\n\r\n" + MESSAGE.replace(b"boundary=b", b"boundary=i") + leaf * 300 + b"--i--"
    )
    whole = MESSAGE + (b"--b\r\n" + inner + b"\r\n") * 2 + b"--b--\r\n"
    assert "MSS-091" in mail(attached("avis.eml", whole), subject="Avis", headers={}).rules
    assert (
        "MSS-091"
        not in mail(attached("avis.eml", MESSAGE + b"--b\r\n" + inner + b"\r\n--b--"), subject="x", headers={}).rules
    )


def test_the_text_of_the_message_is_not_taken_for_a_file() -> None:
    text = body("From: a@x.test\r\nSubject: Avis\r\n\r\nVoir ci-dessous.")
    assert list(opened([text])) == [text]


def test_signatures_in_signatures_end() -> None:
    data = ENTITY + b"Bonjour"
    for _ in range(DEPTH):
        data = signed(data)
    assert said(p7m(data)) == []
    assert len(said(p7m(signed(data)))) == 1


def test_a_signed_mail_of_too_many_parts_is_said() -> None:
    many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 600 + b"--b--\r\n"
    assert len(said(p7m(signed(many)))) == 1


@given(st.binary(max_size=60), st.integers(0, 300), st.binary(max_size=3))
def test_damage_never_raises(noise: bytes, at: int, change: bytes) -> None:
    data = signed(ENTITY + noise, streamed=bool(at % 2), piece=5)
    damaged = data[:at] + change + data[at + 1 :]
    for part in opened([p7m(damaged)]):
        unreadable(part)
