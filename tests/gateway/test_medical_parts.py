"""The quick look: what is medical is read, ordinary mail is not; leaves are what the reader needs."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.medical.parts import LOOK, LOOKED_AT, leaves, worth_reading
from mailboxes.anatomy import dissect
from tests.gateway.medical_mail import hprim_text, mail, xdm
from tests.hprim.builders import cda
from tests.hprim.examples import V2, V3, V4, V5, v1

A, B = "a@op-a.mssante.test", "b@op-b.mssante.test"


def look(content: bytes | bytearray) -> bool:
    raw = bytes(content)
    return worth_reading(dissect(raw), raw)


def text_mail(text: bytes, encoding: str = "8bit", kind: str = "text/plain") -> bytes:
    body = base64.encodebytes(text).replace(b"\n", b"\r\n") if encoding == "base64" else text
    head = f"From: {A}\r\nTo: {B}\r\nSubject: x\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize("text", [v1(), *(one.encode().replace(b"\n", b"\r\n") for one in (V2, V3, V4, V5))])
@pytest.mark.parametrize("encoding", ["8bit", "base64"])
def test_every_valid_header_is_seen(text: bytes, encoding: str) -> None:
    assert look(text_mail(text, encoding))


def test_old_line_ends_behind_an_encoding_are_seen() -> None:
    assert look(text_mail(v1().replace(b"\r\n", b"\r").replace(b"*", b""), "base64"))
    assert look(text_mail(v1().replace(b"\r\n", b"=0D=\r\n").replace(b"*", b""), "quoted-printable"))
    assert look(text_mail("MOREL\n".encode("utf-16"), "base64"))
    assert look(text_mail("MOREL\n".encode("utf-16-le"), "base64"))


def test_a_name_in_the_type_makes_a_file_of_it() -> None:
    assert look(text_mail(b"", kind='text/plain; name="lettre.hpr"'))
    assert look(text_mail(b"<a/>", kind="text/xml"))


@pytest.mark.parametrize("encoding", ["8bit", "base64"])
def test_end_tags_are_seen_after_any_text(encoding: str) -> None:
    long = b"Bonjour a tous\r\n" * (LOOK // 8) + b"****FIN****\r\n****FINFICHIER****\r\n"
    assert look(text_mail(long, encoding))


@pytest.mark.parametrize(
    "text",
    [
        b"Bonjour,\r\n\r\nRendez-vous le 12/03/2026 a 14 h.\r\n",
        b"Tel 01 02 03 04 05\r\n",
        b"* point\r\n* autre point\r\n",
        b"",
        b"Bonjour\r\n" * 6000,
    ],
)
@pytest.mark.parametrize("encoding", ["8bit", "base64"])
def test_ordinary_letters_are_left_alone(text: bytes, encoding: str) -> None:
    assert not look(text_mail(text, encoding))


def test_a_header_in_a_page_is_seen() -> None:
    page = "<br>\r\n".join(hprim_text().split("\n")[:12]).encode()
    assert look(text_mail(b"<html><body>" + page + b"</body></html>", kind="text/html"))


@pytest.mark.parametrize("name", ["x.pdf", "IHE_XDM.zip", "lettre.hpr", "doc.xml", "x"])
def test_any_attached_document_is_read(name: str) -> None:
    assert look(mail(A, [B], files=[(name, b"x")]))


def test_pictures_and_signatures_of_text_are_not_documents() -> None:
    raw = text_mail(b"Bonjour").replace(b"Content-Type: text/plain", b'Content-Type: image/png; name="logo.png"; x')
    assert not look(raw)


def test_thousands_of_pictures_are_not_looked_at_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand took a third of a second; a doubt is a reason to read, beside it."""
    looked: list[object] = []

    def counted(part: object, raw: bytes) -> bool:
        looked.append(part)
        return True

    monkeypatch.setattr("gateway.medical.parts._is_sensed", counted)
    head = f"From: {A}\r\nTo: {B}\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n".encode()
    picture = b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n"
    assert not look(head + picture * LOOKED_AT + b"--b--\r\n")
    looked.clear()
    assert look(head + picture * 3_000 + b"--b--\r\n")
    assert len(looked) == LOOKED_AT


@pytest.mark.parametrize("kind", ["image/png", "audio/x-wav", "video/mp4"])
@pytest.mark.parametrize(
    "document", [cda(), cda().decode().encode("utf-16"), v1(), v1().replace(b"\r\n", b"\r"), xdm()]
)
def test_a_document_declared_a_picture_is_read_all_the_same(kind: str, document: bytes) -> None:
    raw = text_mail(document, "base64", f'{kind}; name="scan"')
    assert look(raw)
    assert [part.data for part in leaves(dissect(raw), raw)] == [document]


@pytest.mark.parametrize(
    "head", [b"\x89PNG\r\n\x1a\n\x00\x00", b"GIF89a\x01\x00\n\n\n\n\n\n", b"\xff\xd8\xff\xe0\x00", b""]
)
def test_pictures_are_left_out(head: bytes) -> None:
    raw = text_mail(head + bytes(range(256)), "base64", 'image/png; name="scan"')
    assert not look(raw)
    assert not tuple(leaves(dissect(raw), raw))


@pytest.mark.parametrize(
    "headers",
    [{"X-MSS-INS": "O"}, {"X-MSS-CODECDA": "34112-3"}, {"X-MSS-MES": "fin"}],
)
def test_announcing_a_document_is_enough(headers: dict[str, str]) -> None:
    assert look(mail(A, [B], headers=headers))


@pytest.mark.parametrize("subject", ["XDM/1.0/DDM+CR", "[Annule et remplace] XDM/1.0/DDM+CR", "2 61 02 38 999 001 90"])
def test_a_subject_may_be_enough(subject: str) -> None:
    assert look(mail(A, [B], subject=subject))


def test_receipts_without_documents_are_left_alone() -> None:
    raw = (
        f"From: {A}\r\nTo: {B}\r\nSubject: x\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nLu.\r\n--b\r\n"
        "Content-Type: message/disposition-notification\r\n\r\nDisposition: x; displayed\r\n--b--\r\n"
    )
    assert not look(raw.encode())


@given(st.binary(max_size=400))
def test_no_octets_make_the_look_fail(data: bytes) -> None:
    raw = bytes(mail(A, [B])) + data
    anatomy = dissect(raw)
    worth_reading(anatomy, raw)
    tuple(leaves(anatomy, raw))


def test_leaves_are_decoded_and_named() -> None:
    archive = xdm()
    raw = bytes(mail(A, [B], text=hprim_text(), files=[("IHE_XDM.zip", archive), ("x.pdf", b"%PDF-1.4" + bytes(9000))]))
    parts = tuple(leaves(dissect(raw), raw))
    assert [(part.name, part.is_body) for part in parts] == [("", True), ("IHE_XDM.zip", False), ("x.pdf", False)]
    assert parts[1].data == archive
    assert len(parts[2].data) == 4096


def test_a_forwarded_letter_is_not_the_body() -> None:
    inner = bytes(mail(A, [B], text=hprim_text()))
    raw = (
        (
            f"From: {A}\r\nTo: {B}\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=zz\r\n\r\n--zz\r\n\r\nVoir.\r\n--zz\r\n"
            "Content-Type: message/rfc822\r\n\r\n"
        ).encode()
        + inner
        + b"\r\n--zz--\r\n"
    )
    parts = tuple(leaves(dissect(raw), raw))
    assert [part.is_body for part in parts] == [True, False]
    assert look(raw)
