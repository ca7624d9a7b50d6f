"""Receipts and tracking between two running operators: DSN and MDN end to end, delays, failures, silence (issue: MSS-118)."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from gateway.admin.pki import OPERATORS
from gateway.admin.space import Partner
from tests.space.letters import ALL, Talk, acknowledgement
from tests.space.living import living, until

pytestmark = [pytest.mark.slow]
SHORT = {
    ("queue", "warn_after"): "2s",
    ("queue", "lifetime"): "25s",
    ("queue", "unknown_domain"): "20s",
    ("queue", "confirm_within"): "6s",  # long enough for a slow machine to see what comes before
}


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with socket.socket() as dead:  # bound, never listening: connections are refused
        dead.bind(("127.0.0.1", 0))
        partner = Partner(OPERATORS[2], "127.0.0.1", dead.getsockname()[1])
        with living(tmp_path_factory.mktemp("receipts"), SHORT, partners=[partner]) as alive:
            yield Talk(alive)


def message_id(content: bytes) -> str:
    return content.split(b"Message-ID: ")[1].split(b"\r\n")[0].decode()


def asking(talk: Talk, to: str, subject: str) -> bytes:
    return talk.written(talk.alice, to, subject, {"Disposition-Notification-To": talk.alice["address"]})


def kinds(talk: Talk, message: str) -> list[str]:
    return [step["kind"] for step in talk.track(talk.alice, message)[""]]


def _told(talk: Talk, *lines: str) -> int:
    """How many messages of Alice's hold all of this: others of hers may be late, or have failed, too."""
    with talk.space.imap(talk.a, talk.alice) as imap:
        _, found = imap.search(None, *(word for line in lines for word in ("TEXT", f'"{line}"')))
    return len(found[0].split())


def test_delivered_by_the_partner_s_notice_then_read_by_the_reader_s_program(talk: Talk) -> None:
    jeanne = talk.jeanne["address"]
    content = asking(talk, jeanne, "accuse 7101")
    message = talk.send(talk.alice, [jeanne], content, wish=ALL)
    talk.reaches(talk.alice, message, jeanne, "delivered")
    assert {"message.queued", "message.handed_over", "message.receipt"} <= set(kinds(talk, message))
    of_hers = (
        "Action: delivered",
        "Original-Envelope-Id: E-1",
        f"Final-Recipient: rfc822; {jeanne}",
        message_id(content),
    )
    until(lambda: _told(talk, *of_hers), 30)
    answer = acknowledgement(jeanne, talk.alice["address"], message_id(content))
    for _ in range(2):  # a double receipt is absorbed
        code, text = talk.submit(talk.jeanne, [talk.alice["address"]], answer, sender="")
        assert code == 250, text
    talk.reaches(talk.alice, message, jeanne, "read")
    talk.arrives(talk.alice, message_id(content))
    until(lambda: talk.count(talk.alice, "Lu") >= 2, 20)
    assert kinds(talk, message).count("message.receipt") == 2  # delivered, read; not the double


def test_a_colleague_of_the_same_operator_is_followed_too(talk: Talk) -> None:
    paul = talk.paul["address"]
    content = asking(talk, paul, "accuse 7102")
    message = talk.send(talk.alice, [paul], content, wish=ALL)
    line = talk.track(talk.alice, message)[paul]
    assert (line["state"], line["channel"]) == ("delivered", "local")
    code, text = talk.submit(talk.paul, [talk.alice["address"]], acknowledgement(
        paul, talk.alice["address"], message_id(content)), sender="")  # fmt: skip
    assert code == 250, text
    talk.reaches(talk.alice, message, paul, "read")


def test_another_s_word_is_not_believed(talk: Talk) -> None:
    """Paul says that Jeanne has read: in her name, in Alice's, then in his own, which he may but which proves nothing."""
    jeanne = talk.jeanne["address"]
    content = asking(talk, jeanne, "accuse 7103")
    message = talk.send(talk.alice, [jeanne], content, wish=ALL)
    talk.reaches(talk.alice, message, jeanne, "delivered")
    forged = acknowledgement(jeanne, talk.alice["address"], message_id(content)).replace(
        f"From: <{jeanne}>".encode(), f"From: <{talk.alice['address']}>".encode()
    )
    hers = acknowledgement(jeanne, talk.alice["address"], message_id(content))
    for lie in (hers, forged):
        code, text = talk.submit(talk.paul, [talk.alice["address"]], lie, sender="")
        assert code == 550
        assert "sender.header_not_yours" in text
    own = acknowledgement(jeanne, talk.alice["address"], message_id(content)).replace(
        f"From: <{jeanne}>".encode(), f"From: <{talk.paul['address']}>".encode()
    )
    code, text = talk.submit(talk.paul, [talk.alice["address"]], own, sender="")
    assert code == 250, text
    assert talk.state(talk.alice, message, jeanne) in ("delivered", "late")  # late on a slow machine, but never read
    assert kinds(talk, message).count("message.receipt") == 1  # her server's, of the delivery


def test_a_mailbox_that_acknowledges_by_itself(talk: Talk) -> None:
    karim = talk.karim["address"]
    talk.rule(talk.karim, "acknowledge", karim)
    message = talk.send(talk.alice, [karim], asking(talk, karim, "accuse 7104"))
    talk.reaches(talk.alice, message, karim, "read")
    receipt = talk.arrives(talk.alice, "MDN-sent-automatically")
    assert b"Subject: accuse 7104\r\n" in receipt


def test_silence_becomes_a_negative_notice_and_a_late_receipt_still_counts(talk: Talk) -> None:
    jeanne = talk.jeanne["address"]
    content = asking(talk, jeanne, "silence 7105")
    message = talk.send(talk.alice, [jeanne], content)
    until(lambda: "message.deadline" in kinds(talk, message), 40)
    told = until(lambda: _about(talk, message), 40)
    assert "Aucune confirmation" in told
    assert talk.state(talk.alice, message, jeanne) == "late"
    code, text = talk.submit(talk.jeanne, [talk.alice["address"]], acknowledgement(
        jeanne, talk.alice["address"], message_id(content)), sender="")  # fmt: skip
    assert code == 250, text
    talk.reaches(talk.alice, message, jeanne, "read")


def _about(talk: Talk, message: str) -> str:
    """The text of the notice about a message, decoded; empty while there is none."""
    import email
    from email.policy import default

    with talk.space.imap(talk.a, talk.alice) as imap:
        _, found = imap.search(None, "TEXT", f'"{message}"', "TEXT", '"multipart/report"')
        for number in found[0].split():
            _, data = imap.fetch(number.decode(), "(BODY.PEEK[])")
            notice = email.message_from_bytes(data[0][1], policy=default)
            text = notice.get_body(("plain",)) or next(iter(notice.walk()))
            if message in str(text.get_content()):
                return str(text.get_content())
    return ""


def test_a_partner_that_does_not_answer_delay_then_failure(talk: Talk) -> None:
    away = f"quelquun@{OPERATORS[2].domain}"
    message = talk.send(talk.alice, [away], talk.written(talk.alice, away, "retard 7106"), wish=ALL)
    assert talk.state(talk.alice, message, away) in ("queued", "delayed", "late")  # by how long the question takes
    until(lambda: _told(talk, "Action: delayed", away), 60)
    talk.reaches(talk.alice, message, away, "failed", 60)
    until(lambda: _told(talk, "Action: failed", "Status: 4.4.7", away), 40)
    assert {"message.deferred", "message.expired", "message.notice"} <= set(kinds(talk, message))
