"""Letters we owe: what users and partners wrote stays where it belongs, whatever it holds."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.relay import letters
from gateway.relay.notices import House, Original
from gateway.relay.outbox import Entry, Owed
from mailboxes.anatomy import AMBIGUOUS, dissect
from mailboxes.rules import _cleaned

HOUSE = House("smtp.op-a.mssante.test", "postmaster@op-a.mssante.test")
ALICE, BOB = "alice@op-a.mssante.test", "bob@op-b.mssante.test"


def owed(action: str, rule: str, **parameters: str) -> Owed:
    entry = Entry(ALICE, "", "2.0.0", "", "", rule, parameters, 0.0, 0.0)
    return Owed(1, 1, action, "M" * 26, BOB, 0, b"", "", "", 0.0, (entry,), 0)


def built(notice: Owed, original: bytes = b"") -> bytes:
    held = Original(original, whole=False) if original else None
    return letters.build(notice, held, HOUSE, BOB, 1_772_442_000.0, "f" * 32)


@settings(max_examples=300)
@given(st.text(max_size=2000))
def test_whatever_an_absent_owner_wrote_the_reply_is_one_plain_message(said: str) -> None:
    notice = owed(letters.ABSENCE, "notice.absent", address=ALICE, text=_cleaned(said), message_id="m1@op-b")
    found = dissect(built(notice))
    assert not found.problems & AMBIGUOUS
    assert len(found.parts) == 1
    assert found.auto_submitted == "auto-replied"
    assert [address.key for address in found.listed(b"to").addresses] == [BOB]
    assert [address.key for address in found.from_addresses] == [ALICE]
    assert set(found.values) == {
        b"date", b"from", b"to", b"message-id", b"in-reply-to", b"references", b"subject", b"auto-submitted",
        b"mime-version", b"content-type", b"content-transfer-encoding",
    }  # fmt: skip


@settings(max_examples=500)
@given(st.binary(max_size=3000) | st.from_regex(rb"(Subject: [ -~]{0,40}\r\n( [ -~]{0,90}\r\n){0,30}|X: y\r\n){0,4}"))
def test_the_raw_subject_is_bounded_and_holds_no_field_end(header: bytes) -> None:
    found = letters.raw_subject(header)
    assert len(found) < letters.SUBJECT_BYTES
    assert b"\r\n" not in found.replace(b"\r\n ", b"").replace(b"\r\n\t", b"")
    assert found in header


def test_the_raw_subject_keeps_its_folds_and_its_charset() -> None:
    header = b"X-Subject: non\r\nSubject: =?utf-8?Q?r=C3=A9sultat?=\r\n\tsuite\r\nTo: x\r\n\r\nSubject: corps\r\n"
    assert letters.raw_subject(header) == b"=?utf-8?Q?r=C3=A9sultat?=\r\n\tsuite"
    assert letters.raw_subject(b"To: x\r\n\r\nSubject: corps\r\n") == b""
    assert letters.raw_subject(b"") == b""


@settings(max_examples=200)
@given(st.binary(max_size=600))
def test_an_automatic_receipt_is_well_formed_whatever_it_is_about(header: bytes) -> None:
    notice = owed(letters.PROCESSED, "notice.processed", address=ALICE, recipient=BOB, message_id="m1@op-b")
    content = built(notice, b"Subject: " + header.replace(b"\r", b"").replace(b"\n", b"") + b"\r\nTo: x\r\n")
    found = dissect(content)
    assert found.parts[0].full_type == "multipart/report"
    assert [address.key for address in found.listed(b"to").addresses] == [BOB]
    assert b"disposition-notification-to" not in found.values  # never asks in turn


def test_the_owner_of_a_rule_that_ended_reads_why_in_both_languages() -> None:
    notice = owed(letters.RULE_DISABLED, "redirection.rule_disabled", domain="op-b.mssante.test")
    found = dissect(built(notice))
    assert found.subject == letters.SUBJECTS[letters.RULE_DISABLED]
    assert found.auto_submitted == "auto-generated"
    assert "désactivée" in found.preview


def test_what_is_no_letter_is_a_delivery_notice() -> None:
    notice = owed("delivered", "notice.delivered")
    assert dissect(built(notice)).parts[0].full_type == "multipart/report"
