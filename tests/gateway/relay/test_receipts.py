"""Receipts in every dress the field knows (mssante.md 5.5), and our own; read back, never raising on junk."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.relay import receipts
from gateway.relay.notices import House, Original, build, returned
from gateway.relay.outbox import Entry, Owed
from gateway.relay.receipts import Acknowledgement, build_mdn
from gateway.relay.tracking import Receipt
from mailboxes.anatomy import dissect
from policies.receipts import State

HOUSE = House("mail.op-a.mssante.test", "postmaster@op-a.mssante.test")
TOKEN = "t" * 32

# The shape of ANS's own example: misspelt header, four parts, Error inside Disposition, no blank line before the fields.
ANS = (
    b"From: <bal@op-b.mssante.test>\r\nTo: <alice@op-a.mssante.test>\r\n"
    b"Subject: =?UTF-8?Q?=5BKO_Int=C3=A9gration_syst=C3=A8me_!=5D=5B902=5D?= XDM/1.0/DDM+CR ESSAI Test 01/02/1980\r\n"
    b"Content-Type: multipart/report; report-type=disposition-notification; boundary=b1\r\n\r\n"
    b"--b1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfert-Encoding: 8bit\r\n\r\n902\r\n"
    b"--b1\r\nContent-Type: message/disposition-notification\r\nContent-Transfert-Encoding: 7bit\r\n"
    b"Original-Recipient: rfc822;bal@op-b.mssante.test\r\nFinal-Recipient: rfc822; BAL@op-b.mssante.test\r\n"
    b"Original-Message-ID: <m1@op-a.mssante.test>\r\n"
    b"Disposition: automatic-action/MDN-sent-automatically; processed/Error:\r\n"
    b" 902^Identifiant de patient inconnu^messageErrorCondition| E^Error^errorSeverity\r\n"
    b"--b1\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\nMessage-ID: <m1@op-a.mssante.test>\r\n\r\ny\r\n"
    b"--b1\r\nContent-Type: application/zip; name=IHE_XDM.zip\r\n\r\nPK\r\n--b1--\r\n"
)


def read(content: bytes) -> tuple[Receipt, ...]:
    return receipts.read(dissect(content), content)


def mdn(disposition: str, extra: str = "") -> bytes:
    return (
        "From: <bob@op-b.test>\r\nContent-Type: multipart/report; boundary=x\r\n\r\n--x\r\n\r\nread\r\n--x\r\n"
        "Content-Type: message/disposition-notification\r\n\r\nFinal-Recipient: rfc822;bob@op-b.test\r\n"
        f"Original-Message-ID: <m@op-a.test>\r\nDisposition: {disposition}\r\n{extra}\r\n--x--\r\n"
    ).encode()


def test_the_form_of_ans_is_understood() -> None:
    """MSS-116."""
    (found,) = read(ANS)
    assert found == Receipt(
        "m1@op-a.mssante.test",
        "",
        "bal@op-b.mssante.test",
        "bal@op-b.mssante.test",
        State.REFUSED,
        "902",
        "processed/error",
    )


@pytest.mark.parametrize(
    ("disposition", "extra", "state", "code"),
    [
        ("automatic-action/MDN-sent-automatically; processed", "", State.READ, ""),
        ("manual-action/MDN-sent-manually; displayed", "", State.READ, ""),
        ("manual-action/MDN-sent-manually;displayed", "", State.READ, ""),
        ("automatic-action/MDN-sent-automatically; deleted", "", State.REFUSED, ""),
        ("automatic-action/MDN-sent-automatically; dispatched", "", State.DELIVERED, ""),
        ("automatic-action/MDN-sent-automatically; processed/error", "Error: 905^INS", State.REFUSED, "905"),
        ("automatic-action/MDN-sent-automatically; processed/Error: 906", "", State.REFUSED, "906"),
        ("automatic-action/MDN-sent-automatically; processed/error", "", State.REFUSED, "906"),
        ("automatic-action/MDN-sent-automatically; processed/Error: 0^accepte", "", State.READ, "0"),
        ("automatic-action/MDN-sent-automatically; failed", "Failure: no", State.REFUSED, "906"),
        ("automatic-action/MDN-sent-automatically; processed/Failure", "", State.REFUSED, "906"),
        ("automatic-action/MDN-sent-automatically; processed/error: disque plein", "", State.REFUSED, "906"),
        ("Automatic-Action/mdn-sent-automatically;processed/error: 905", "", State.REFUSED, "905"),
        ("processed", "", State.READ, ""),
        ("automatic-action/MDN-sent-automatically; invented", "", State.DELIVERED, ""),
    ],
)
def test_dispositions(disposition: str, extra: str, state: State, code: str) -> None:
    (found,) = read(mdn(disposition, extra))
    assert (found.state, found.code, found.message_id) == (state, code, "m@op-a.test")


@pytest.mark.parametrize(
    "mark",
    [
        "[KO Intégration système !][904] XDM",
        "[Erreur d’intégration !][904]",
        "[Erreur d'integration !] [904]",
        "[ko integration systeme][904] XDM",
    ],
)
def test_an_error_mail_that_is_no_report_is_understood_by_its_subject(mark: str) -> None:
    content = (
        f"From: Bob <bob@op-b.test>\r\nSubject: {mark}\r\nIn-Reply-To: <m@op-a.test>\r\n\r\nbonjour\r\n"
    ).encode()
    (found,) = read(content)
    assert (found.state, found.code, found.recipient, found.message_id) == (
        State.REFUSED,
        "904",
        "bob@op-b.test",
        "m@op-a.test",
    )


def test_an_ordinary_mail_is_no_receipt() -> None:
    assert read(b"From: <a@b.test>\r\nSubject: bonjour\r\n\r\nx\r\n") == ()


def test_our_own_mdn_is_read_back_with_its_subject_prefixed() -> None:
    original = Original(b"Subject: =?utf-8?q?caf=C3=A9?=\r\nMessage-ID: <m@op-b.test>\r\n\r\nz\r\n", whole=True)
    about = Acknowledgement(
        "alice@op-a.mssante.test", "bob@op-b.test", "m@op-b.test", b" =?utf-8?q?caf=C3=A9?=\r\n", code=903
    )
    content = build_mdn(about, original, HOUSE, 1_800_000_000.0, TOKEN)
    (found,) = read(content)
    assert (found.state, found.code, found.recipient, found.message_id) == (
        State.REFUSED,
        "903",
        "alice@op-a.mssante.test",
        "m@op-b.test",
    )
    anatomy = dissect(content)
    assert anatomy.subject == "[KO Intégration système !][903] café"
    assert anatomy.problems == frozenset()
    assert [part.full_type for part in anatomy.parts][:4] == [
        "multipart/report",
        "text/plain",
        "message/disposition-notification",
        "message/rfc822",
    ]
    assert (
        b"Disposition: automatic-action/MDN-sent-automatically; processed/Error: 903^INS absente du document\r\n"
        in content
    )


def test_a_success_keeps_the_subject_as_it_was() -> None:
    about = Acknowledgement("a@op-a.test", "b@op-b.test", "m@op-b.test", b"XDM/1.0/DDM+CR\r\n folded")
    content = build_mdn(about, None, HOUSE, 0.0, TOKEN)
    assert b"Subject: XDM/1.0/DDM+CR\r\n folded\r\n" in content
    assert read(content)[0].state is State.READ


@pytest.mark.parametrize("subject", [b"x\r\nBcc: evil@evil.test", b"x\nBcc: e", b"x\rBcc: e", b"\0", b"y" * 1000])
def test_a_subject_that_could_break_out_is_left_out(subject: bytes) -> None:
    content = build_mdn(Acknowledgement("a@op-a.test", "b@op-b.test", "", subject), None, HOUSE, 0.0, TOKEN)
    assert b"Bcc" not in content
    assert b"Subject: Accuse de lecture\r\n" in content


@pytest.mark.parametrize("address", ["a@b.test\r\nBcc: e@evil.test", "a@b.test\nX: y"])
def test_an_address_that_could_break_out_is_an_error(address: str) -> None:
    with pytest.raises(ValueError, match="line end"):
        build_mdn(Acknowledgement(address, "b@op-b.test", ""), None, HOUSE, 0.0, TOKEN)


def owed(action: str = "failed", status: str = "5.1.1", reply: str = "550 5.1.1 no") -> Owed:
    entry = Entry(
        "bob@op-b.test",
        "rfc822;Bob+2Bx@op-b.test",
        status,
        reply,
        "mx.test",
        "relay.partner_refused",
        {"host": "mx.test"},
        0.0,
        0.0,
    )
    return Owed(1, 1, action, "M" * 26, "alice@op-a.test", 1, b"", "HDRS", "E+2B1", 0.0, (entry,), 0)


def test_our_own_dsn_is_read_back() -> None:
    header = b"Return-Path: <x@y.test>\r\nSubject: =?utf-8?q?=0ABcc:_e=40evil.test?=\r\nMessage-ID: <m@op-a.test>\r\n\r\nsecret\r\n"
    content = build(owed(), returned(header, len(header), "HDRS"), HOUSE, "alice@op-a.test", 5.0, TOKEN)
    (found,) = read(content)
    assert found == Receipt(
        "m@op-a.test", "E+1", "bob+x@op-b.test", "bob@op-b.test", State.FAILED, "5.1.1", "dsn/failed"
    )
    assert b"secret" not in content
    assert b"Return-Path" not in content
    assert b"\r\nBcc:" not in content  # raw bytes are returned, nothing is decoded (CVE-2024-6923)
    anatomy = dissect(content)
    assert anatomy.problems == frozenset()
    assert anatomy.auto_submitted == "auto-replied"
    text = content.decode()
    assert "n=E2=80=99a pas =C3=A9t=C3=A9" in text  # French
    assert "was not delivered" in text  # English
    assert "Code 550" in text
    body = message_from_bytes(content, policy=default).get_body(("plain",))
    assert body is not None
    french, english = body.get_content().split("Your message")
    assert "Code 550 : " in french
    assert "Message envoyé le " in french  # of thirty sent this morning, which one?
    assert " :" not in english


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ("delivered", State.DELIVERED),
        ("relayed", State.HANDED_OVER),
        ("delayed", State.DELAYED),
        ("failed", State.FAILED),
    ],
)
def test_every_action_has_its_state(action: str, state: State) -> None:
    status = "4.4.1" if action == "delayed" else "2.0.0" if action in ("delivered", "relayed") else "5.0.0"
    content = build(owed(action, status), None, HOUSE, "alice@op-a.test", 5.0, TOKEN)
    assert [one.state for one in read(content)] == [state]


def test_ret_full_returns_everything_unless_it_is_large() -> None:
    content = b"Subject: x\r\n\r\n" + b"y" * 100 + b"\r\n"
    assert returned(content, len(content), "FULL") == Original(content, whole=True)
    assert returned(content, len(content), "") == Original(b"Subject: x\r\n", whole=False)
    assert returned(content[:20], 10**7, "FULL") == Original(b"Subject: x\r\n", whole=False)


@given(st.binary(max_size=600))
def test_junk_gives_no_exception(junk: bytes) -> None:
    content = (
        b"Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n" + junk
    )
    read(content)
    read(content.replace(b"delivery-status", b"disposition-notification"))
    read(b"Content-Type: message/disposition-notification\r\n" + junk)


@given(
    st.lists(
        st.sampled_from(
            [b"Action: failed", b"Final-Recipient: rfc822;a@b.test", b"", b" fold", b"x", b":", b"Status: 5.9.9"]
        ),
        max_size=40,
    )
)
def test_mixed_fields_give_no_exception(lines: list[bytes]) -> None:
    body = b"\r\n".join(lines)
    content = (
        b"Content-Type: multipart/report; boundary=x\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n"
        + body
        + b"\r\n--x--\r\n"
    )
    assert all(one.state is State.FAILED for one in read(content))
