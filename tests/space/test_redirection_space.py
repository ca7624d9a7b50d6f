"""Nothing leaves the trust space by a side door (TOU-A02, MSS-058 to MSS-060, F78): two operators, and a listener outside.

The listener answers for ``evil.test``, which both operators could reach: it has a route and a certificate of the authority,
only the white list does not name it. It must hear nothing at all, until the last test lists it to prove the way was open.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from directory.trustlist import Row
from gateway.admin.pki import OperatorName
from gateway.admin.space import Partner
from policies.redirection import POINTING_FIELDS
from tests.space.letters import ALL, Talk, settle
from tests.space.living import living, until

pytestmark = [pytest.mark.slow]
EVIL = "voleur@evil.test"


class Listener:
    """Counts who knocks, and says nothing."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture(scope="module")
def evil() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory, evil: Listener) -> Iterator[Talk]:
    partner = Partner(OperatorName("evil", "evil.test", "99900000000091"), "127.0.0.1", evil.port)
    with living(tmp_path_factory.mktemp("redirection"), {}, partners=[partner], listed=False) as alive:
        yield Talk(alive)


@pytest.fixture(autouse=True)
def silent(evil: Listener, request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "proof" not in request.node.name:
        assert evil.connections == 0


# written


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (EVIL, "espace de confiance"),
        (f"{EVIL[:6]}@sub.evil.test", "espace de confiance"),
        ("a%evil.test@op-b.mssante.test", "mailbox.address_malformed"),
    ],
)
def test_a_rule_cannot_be_written_outside(talk: Talk, target: str, said: str) -> None:
    done = talk.rule(talk.alice, "forward", talk.alice["address"], target, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert talk.rule(talk.alice, "list", talk.alice["address"], "--json") == []


def test_an_alias_cannot_stand_outside(talk: Talk) -> None:
    done = talk.space.caducee(talk.a, "mailbox", "alias", "add", talk.alice["address"], EVIL, check=False)
    assert done.returncode == 1
    assert "mailbox.domain_not_ours" in done.stderr


# headers and invitations, from a user and from a partner


def partner_says(talk: Talk, content: bytes, sender: str = "") -> tuple[int, str]:
    """Operator B's own server hands a message to operator A."""
    with talk.alive.partner() as smtp:
        code, text = smtp.mail(sender or talk.jeanne["address"])
        if code == 250:
            code, text = smtp.rcpt(talk.alice["address"], [ALL])
        if code == 250:
            code, text = smtp.data(content)
    return code, text.decode("utf-8", "replace")


@pytest.mark.parametrize("field", sorted(POINTING_FIELDS))
def test_no_header_leads_answers_outside(talk: Talk, field: str) -> None:
    value = f"<mailto:{EVIL}>" if field.startswith("list-") else f"Un Nom <{EVIL}>"
    mine = talk.written(talk.alice, talk.jeanne["address"], "en-tête 7201", {field.title(): value})
    code, text = talk.submit(talk.alice, [talk.jeanne["address"]], mine)
    assert code == 550, text
    mine_first = (
        "sender.header_not_yours" if field in ("resent-from", "resent-sender") else "redirection.header_outside"
    )
    assert mine_first in text
    theirs = talk.written(talk.jeanne, talk.alice["address"], "en-tête 7201", {field.title(): value})
    code, text = partner_says(talk, theirs)
    assert code == 550, text
    assert "redirection.header_outside" in text


def test_no_invitation_leads_answers_outside(talk: Talk) -> None:
    calendar = f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nORGANIZER;CN=X:mailto:{EVIL}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    plain = talk.written(talk.alice, talk.jeanne["address"], "invitation 7202")
    head = plain.partition(b"\r\n\r\n")[0].replace(b"text/plain", b"text/calendar")
    code, text = talk.submit(talk.alice, [talk.jeanne["address"]], head + b"\r\n\r\n" + calendar.encode())
    assert code == 550
    assert "redirection.calendar_outside" in text


# envelopes


@pytest.mark.parametrize("extra", [{}, {"Resent-From": "alice.martin@op-a.mssante.test", "X-Forwarded-To": EVIL}])
def test_a_program_that_forwards_outside_is_refused(talk: Talk, extra: dict[str, str]) -> None:
    content = talk.written(talk.alice, EVIL, "transfert 7203", extra)
    code, text = talk.submit(talk.alice, [EVIL], content)
    assert code == 550
    assert "trust.recipient_not_listed" in text


def answers_by_itself(talk: Talk) -> None:
    """Alice is absent and acknowledges automatically; in force when this returns."""
    if {one["kind"] for one in talk.rule(talk.alice, "list", talk.alice["address"], "--json")} >= {
        "absence",
        "acknowledge",
    }:
        return
    talk.rule(talk.alice, "absence", talk.alice["address"], "--until", _soon(), "--text", "Absente.")
    talk.rule(talk.alice, "acknowledge", talk.alice["address"])
    settle(3)


def test_a_notice_never_goes_to_a_forged_sender(talk: Talk) -> None:
    """Neither door takes such a sender, so that no DSN, no receipt and no absence reply can be owed to it."""
    answers_by_itself(talk)
    forged = talk.written(talk.jeanne, talk.alice["address"], "forgé 7204")
    code, text = partner_says(talk, forged, sender=EVIL)
    assert code == 550
    assert "trust.sender_not_listed" in text
    code, text = talk.submit(talk.alice, [talk.jeanne["address"]], forged, wish=ALL, sender=EVIL)
    assert code == 553
    assert "sender.not_yours" in text
    settle()


def test_the_absence_reply_reaches_the_writer_once_and_nobody_else(talk: Talk) -> None:
    answers_by_itself(talk)
    for number in range(2):
        content = talk.written(talk.jeanne, talk.alice["address"], f"question 7205 {number}")
        talk.send(talk.jeanne, [talk.alice["address"]], content)
    reply = talk.arrives(talk.jeanne, "Absente.")
    assert b"Auto-Submitted: auto-replied\r\n" in reply
    assert b"question" not in reply
    settle()
    assert talk.count(talk.jeanne, "automatique") == 1


def test_two_absent_people_do_not_talk_for_ever(talk: Talk) -> None:
    answers_by_itself(talk)
    talk.rule(talk.karim, "absence", talk.karim["address"], "--until", _soon(), "--text", "Parti.")
    settle(3)
    talk.send(talk.jeanne, [talk.karim["address"]], talk.written(talk.jeanne, talk.karim["address"], "essai 7206"))
    talk.arrives(talk.jeanne, "Parti.")  # he does answer people
    content = talk.written(talk.karim, talk.alice["address"], "dialogue 7206")
    talk.send(talk.karim, [talk.alice["address"]], content)
    talk.arrives(talk.karim, "Absente.")
    settle()
    assert talk.count(talk.alice, "automatique") == 0


def test_a_receipt_asked_for_outside_is_refused_and_one_inside_is_sent(talk: Talk) -> None:
    answers_by_itself(talk)
    inside = {"Disposition-Notification-To": talk.jeanne["address"]}
    content = talk.written(talk.jeanne, talk.alice["address"], "reçu 7207", inside)
    message = talk.send(talk.jeanne, [talk.alice["address"]], content)
    talk.reaches(talk.jeanne, message, talk.alice["address"], "read")
    code, text = partner_says(talk, content.replace(b"Disposition-Notification-To: " + talk.jeanne["address"].encode(),
                                                    b"Disposition-Notification-To: " + EVIL.encode()))  # fmt: skip
    assert code == 550, text


# loops


def test_two_mailboxes_that_forward_to_each_other_lose_nothing_and_end(talk: Talk) -> None:
    paul, karim = talk.paul["address"], talk.karim["address"]
    for box in (talk.alice, talk.karim):
        for one in talk.rule(box, "list", box["address"], "--json"):
            talk.rule(box, "remove", box["address"], str(one["number"]))
    talk.rule(talk.paul, "forward", paul, karim, "--no-keep")
    talk.rule(talk.karim, "forward", karim, paul, "--no-keep")
    settle(3)
    talk.send(talk.alice, [paul], talk.written(talk.alice, paul, "ronde 7208"))
    until(lambda: talk.count(talk.paul, "ronde 7208") + talk.count(talk.karim, "ronde 7208"), 40)
    settle(6)
    assert (talk.count(talk.paul, "ronde 7208"), talk.count(talk.karim, "ronde 7208")) == (1, 0)
    returned = talk.arrives(talk.paul, "ronde 7208")
    assert returned.count(b"Resent-From: ") == 2
    assert _queue(talk) == []


def test_a_partner_s_writer_is_forwarded_back_to_his_own_operator(talk: Talk) -> None:
    """The author is at B, the forwarder at A, the reader at B: the Resent block lets it through (MSS-034)."""
    paul, karim, jeanne = talk.paul["address"], talk.karim["address"], talk.jeanne["address"]
    for one in talk.rule(talk.karim, "list", karim, "--json"):
        talk.rule(talk.karim, "remove", karim, str(one["number"]))
    settle(3)
    talk.send(talk.jeanne, [paul], talk.written(talk.jeanne, paul, "retour 7209"))
    got = talk.arrives(talk.karim, "retour 7209", 40)
    assert got.startswith(f"Return-Path: <{paul}>".encode())
    assert f"From: {jeanne}".encode() in got
    assert f"Resent-From: <{paul}>".encode() in got


def test_a_failure_of_the_forward_comes_back_to_the_owner_and_stays(talk: Talk) -> None:
    paul, nobody = talk.paul["address"], "personne@op-b.mssante.test"
    talk.rule(talk.paul, "forward", paul, nobody, "--no-keep")
    settle(3)
    talk.send(talk.jeanne, [paul], talk.written(talk.jeanne, paul, "échec 7210"))
    notice = talk.arrives(talk.paul, nobody, 40)
    assert b"Action: failed" in notice
    assert b"Voici." in notice  # the message itself comes back: the owner kept no copy
    assert talk.count(talk.paul, "Message non remis") == 1
    settle()
    assert talk.count(talk.jeanne, "Message non remis") == 0


# the list changes


def test_a_target_that_leaves_the_space_ends_the_rule_and_the_owner_is_told(talk: Talk) -> None:
    paul = talk.paul["address"]
    data = talk.alive.made(talk.alive.without("op-b.mssante.test"))
    talk.alive.put(data)
    talk.alive.in_force(talk.alive.a, data)
    until(lambda: talk.rule(talk.paul, "list", paul, "--json") == [], 30)
    ended = talk.rule(talk.paul, "list", paul, "--all", "--json")
    assert {one["ended_why"] for one in ended if one["ended_by"] == "system"} == {"redirection.rule_disabled"}
    told = talk.arrives(talk.paul, "auto-generated", 40)
    assert b"personne@op-b.mssante.test" in told
    talk.send(talk.alice, [paul], talk.written(talk.alice, paul, "reste 7211"))
    talk.arrives(talk.paul, "reste 7211")
    talk.alive.publish()


def test_proof_that_the_way_was_open(talk: Talk, evil: Listener) -> None:
    """Listed, the same domain is knocked at: only the white list kept it silent."""
    assert evil.connections == 0
    cards = talk.alive.pki.operators["evil"]
    data = talk.alive.made([*talk.alive.rows, Row("evil.test", cards.subject)])
    talk.alive.put(data)
    talk.alive.in_force(talk.alive.a, data)
    until(lambda: talk.submit(talk.alice, [EVIL], talk.written(talk.alice, EVIL, "preuve 7212"))[0] == 250, 30)
    until(lambda: evil.connections > 0, 30)


def _soon() -> str:
    return time.strftime("%Y-%m-%d", time.localtime(time.time() + 5 * 86400))


def _queue(talk: Talk) -> list[Any]:
    found: list[Any] = []
    for operator in (talk.a, talk.b):
        found += json.loads(talk.space.caducee(operator, "queue", "list", "--json").stdout)["rows"]
    return found
