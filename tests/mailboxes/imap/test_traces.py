"""Every IMAP command: what it reads, changes or erases in a mailbox that keeps traces is on record, or there is a reason (MSS-143).

Author, moment, action, request, mailbox, messages and result; the moment is the journal's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from mailboxes.imap.ports import Standing
from mailboxes.imap.session import HANDLERS
from policies.events import Event, Kind
from policies.values import BalType
from tests.mailboxes.imap.harness import Client, Running
from tests.mailboxes.imap.test_folders import message

READ, CHANGED, ERASED = Kind.READ, Kind.CHANGED, Kind.ERASED
MEMBER = "u2@op-a.mssante.test"
LITERAL = b"From: a@b\r\nSubject: s\r\n\r\ntexte\r\n"
SIZE = len(LITERAL)

TRACED: dict[str, tuple[Kind, str, str]] = {
    "FETCH": (READ, "FETCH 1:2 BODY.PEEK[]", "1:2"),
    "UID FETCH": (READ, "UID FETCH 2 BODY.PEEK[TEXT]", "2"),
    "SEARCH": (READ, "SEARCH BODY corps", "1:3"),
    "UID SEARCH": (READ, "UID SEARCH UID 2 TEXT corps", "2"),
    "SORT": (READ, "SORT (ARRIVAL) UTF-8 BODY corps", "1:3"),
    "UID SORT": (READ, "UID SORT (ARRIVAL) UTF-8 BODY corps", "1:3"),
    "THREAD": (READ, "THREAD REFERENCES UTF-8 BODY corps", "1:3"),
    "UID THREAD": (READ, "UID THREAD REFERENCES UTF-8 BODY corps", "1:3"),
    "STORE": (CHANGED, "STORE 1:2 +FLAGS (\\Flagged)", "1:2"),
    "UID STORE": (CHANGED, "UID STORE 3 +FLAGS (\\Flagged)", "3"),
    "COPY": (CHANGED, "COPY 1 autre", "1"),
    "UID COPY": (CHANGED, "UID COPY 2:3 autre", "2:3"),
    "MOVE": (CHANGED, "MOVE 1 autre", "1"),
    "UID MOVE": (CHANGED, "UID MOVE 3 autre", "3"),
    "EXPUNGE": (ERASED, "EXPUNGE", "1"),
    "UID EXPUNGE": (ERASED, "UID EXPUNGE 1", "1"),
    "CLOSE": (ERASED, "CLOSE", "1"),
    "CREATE": (CHANGED, "CREATE neuf", ""),
    "DELETE": (ERASED, "DELETE autre", ""),
    "RENAME": (CHANGED, "RENAME autre tiers", ""),
    "SUBSCRIBE": (CHANGED, "SUBSCRIBE autre", ""),
    "UNSUBSCRIBE": (CHANGED, "UNSUBSCRIBE autre", ""),
    "SETMETADATA": (CHANGED, 'SETMETADATA INBOX (/private/comment "x")', ""),
    "APPEND": (CHANGED, f"APPEND INBOX {{{SIZE}+}}\r\n{LITERAL.decode()}", ""),
    "REPLACE": (CHANGED, f"REPLACE 1 INBOX {{{SIZE}+}}\r\n{LITERAL.decode()}", "1"),
    "UID REPLACE": (CHANGED, f"UID REPLACE 2 INBOX {{{SIZE}+}}\r\n{LITERAL.decode()}", "2"),
}
"""Kind of the record, a command, the messages it is about. What NOTIFY fetches later is in test_sync."""

UNTRACED = {
    "before anybody is there": "CAPABILITY ID LOGOUT STARTTLS",
    "recorded by who judges logins (mailboxes.credentials)": "LOGIN AUTHENTICATE",
    "about the connection alone": "ENABLE COMPRESS NOOP CHECK IDLE NOTIFY CANCELUPDATE",
    "opens a folder, reads no message": "SELECT EXAMINE UNSELECT",
    "names of folders, counts, annotations, rights: no message": "LIST LSUB NAMESPACE STATUS GETMETADATA MYRIGHTS GETACL"
    " LISTRIGHTS GETQUOTA GETQUOTAROOT",
    "always refused, and on record as such": "SETACL DELETEACL SETQUOTA",
}


def test_each_command_leaves_a_trace_or_has_a_reason_not_to() -> None:
    without = [name for names in UNTRACED.values() for name in names.split()]
    assert sorted([*TRACED, *without]) == sorted(HANDLERS)


async def client_of(running: Running, kind: BalType = BalType.ORG) -> Client:
    """A member of a shared mailbox of three messages, the first of them flagged to be erased, and a folder beside."""
    running.people.types[2] = kind
    client = await running.login(MEMBER)
    for number in range(3):
        await client.append(message(f"n{number}", "corps"))
    await client.ok("CREATE autre")
    await client.ok("SELECT INBOX")
    await client.ok("STORE 1 +FLAGS (\\Deleted)")
    running.journal.events.clear()
    return client


def of(events: list[Event]) -> list[Event]:
    return [event for event in events if event.kind in (READ, CHANGED, ERASED)]


@pytest.mark.parametrize("name", sorted(TRACED))
async def test_a_command_tells_who_did_what_to_which_messages(running: Running, name: str) -> None:
    kind, command, uids = TRACED[name]
    client = await client_of(running)
    await client.ok(command)
    (told,) = of(running.journal.events)
    assert (told.kind, told.actor, told.mailbox, told.detail["command"]) == (kind, MEMBER, 2, name)
    assert told.detail.get("uids", "") == uids
    assert told.detail["ip"] == "127.0.0.1"
    assert "result" not in told.detail  # done
    await client.close()


async def test_superior_folders_that_are_made_along_are_on_record(running: Running) -> None:
    client = await client_of(running)
    await client.ok("CREATE haut/milieu/bas")
    told = of(running.journal.events)
    assert [event.detail["command"] for event in told] == ["CREATE"] * 3
    assert len({event.detail["folder"] for event in told}) == 3
    await client.close()


async def test_a_search_that_reads_no_text_leaves_none(running: Running) -> None:
    client = await client_of(running)
    for key in ("ALL", "UNSEEN", "FROM a@b", "LARGER 1", "SUBJECT n1"):
        await client.ok(f"SEARCH {key}")
    assert of(running.journal.events) == []
    await client.close()


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("STORE 1 +FLAGS (\\Deleted)", CHANGED),
        ("EXPUNGE", CHANGED),
        ("CREATE interdit", CHANGED),
        ("SETACL INBOX quelquun lrs", CHANGED),
        ("DELETEACL INBOX quelquun", CHANGED),
        ('SETQUOTA "" (STORAGE 1)', CHANGED),
    ],
)
async def test_what_was_not_allowed_is_on_record_with_its_result(running: Running, command: str, kind: Kind) -> None:
    """MSS-143: the result belongs to the trace, and an attempt is what an owner wants to know of."""
    await (await client_of(running)).close()
    running.people.rights[MEMBER] = "lr"
    client = await running.login(MEMBER)
    await client.ok("SELECT INBOX")
    running.journal.events.clear()
    await client.no(command, "NOPERM")
    await until(lambda: bool(of(running.journal.events)))
    (told,) = of(running.journal.events)
    assert (told.kind, told.actor, told.mailbox) == (kind, MEMBER, 2)
    assert (told.detail["command"], told.detail["result"]) == (command.split()[0], "NOPERM")
    await client.close()


async def until(question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not question():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_personal_mailbox_leaves_none_unless_the_operator_wants_it(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """journal.own_mailboxes: a commit for each message read is what it costs."""
    client = await client_of(running, BalType.PER)
    await client.ok("FETCH 1 BODY.PEEK[]")
    assert of(running.journal.events) == []
    of_login = running.people.of

    async def traced(login):
        standing = await of_login(login)
        return Standing(standing.type, standing.rights, traced=True)

    monkeypatch.setattr(running.people, "of", traced)
    own = await running.login(MEMBER, select="INBOX")
    await own.ok("FETCH 1 BODY.PEEK[]")
    await own.ok("STORE 2 +FLAGS (\\Flagged)")
    assert [event.detail["command"] for event in of(running.journal.events)] == ["FETCH", "STORE"]
    await client.close()
    await own.close()
