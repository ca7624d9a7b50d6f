"""Staying in step: IDLE, CONDSTORE, QRESYNC, UIDONLY, NOTIFY, and two server processes on one mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from mailboxes.blobs import MemoryBlobs
from mailboxes.imap.recent import Recents
from mailboxes.store import Entry, Folder, StoreUnavailable
from policies.events import Kind
from policies.values import BalType
from tests.mailboxes.imap.harness import Client, Pki, Running, message, serving


async def filled(running: Running, count: int) -> Client:
    client = await running.login()
    for number in range(1, count + 1):
        await client.append(message(f"s{number}"))
    await client.ok("SELECT INBOX")
    return client


def code(untagged: list[bytes], name: bytes) -> int:
    line = next(line for line in untagged if b"[" + name + b" " in line)
    return int(line.split(b"[" + name + b" ")[1].split(b"]")[0])


async def test_idle_tells_at_once(running: Running) -> None:
    idler = await filled(running, 2)
    other = await running.login(select="INBOX")
    await idler.send(b"i IDLE\r\n")
    assert await idler.line() == b"+ idling"
    await other.append(message("neuf"))
    assert await idler.line() == b"* 3 EXISTS"
    assert (await idler.line()).endswith(b"RECENT")
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await idler.line() == b"* 1 FETCH (FLAGS (\\Deleted \\Recent))"
    await other.ok("EXPUNGE")
    assert await idler.line() == b"* 1 EXPUNGE"
    await idler.send(b"DONE\r\n")
    assert (await idler.finish(b"i")).startswith(b"OK")
    await idler.send(b"i IDLE\r\n")
    await idler.line()
    await idler.send(b"NOOP\r\n")
    assert (await idler.finish(b"i")).startswith(b"BAD")
    await idler.ok("NOOP")
    await idler.close()
    await other.close()


async def test_idle_tells_again_what_was_told_in_passing(running: Running) -> None:
    """Thunderbird overlooks a size within the answer to FETCH: its next poll came ten minutes later."""
    idler = await filled(running, 1)
    other = await running.login()

    async def idled() -> list[bytes]:
        await idler.send(b"i IDLE\r\n")
        await idler.send(b"DONE\r\n")
        assert (await idler.finish(b"i")).startswith(b"OK")
        return [line for line in idler.untagged if line.endswith(b"EXISTS")]

    await other.append(message("pendant"))
    assert b"* 2 EXISTS" in await idler.ok("UID FETCH 2:* (FLAGS)")
    assert await idled() == [b"* 2 EXISTS"]
    assert await idled() == []  # once: a program that looks for news each time must come to rest
    await other.append(message("demande"))
    assert b"* 3 EXISTS" in await idler.ok("NOOP")
    assert await idled() == []
    await other.append(message("attente"))
    assert await idled() == [b"* 4 EXISTS"]
    assert await idled() == []
    await idler.close()
    await other.close()


async def test_condstore(running: Running) -> None:
    client = await filled(running, 4)
    untagged = await client.ok("FETCH 1 MODSEQ")
    assert untagged[0].startswith(b"* OK [HIGHESTMODSEQ ")
    highest = code(untagged, b"HIGHESTMODSEQ")
    stored = await client.ok("STORE 3 +FLAGS (\\Seen)")
    assert stored == [b"* 3 FETCH (FLAGS (\\Seen \\Recent) MODSEQ (%d))" % (highest + 1)]
    assert await client.ok("STORE 2 +FLAGS.SILENT (\\Seen)") == [b"* 2 FETCH (MODSEQ (%d))" % (highest + 2)]
    untagged = await client.ok(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {highest})")
    assert untagged == [
        b"* 2 FETCH (FLAGS (\\Seen \\Recent) MODSEQ (%d))" % (highest + 2),
        b"* 3 FETCH (FLAGS (\\Seen \\Recent) MODSEQ (%d))" % (highest + 1),
    ]
    said = await client.command(f"STORE 1:3 (UNCHANGEDSINCE {highest}) +FLAGS (\\Flagged)")
    assert said.startswith(b"OK [MODIFIED 2:3]")
    said = await client.command("UID STORE 2 (UNCHANGEDSINCE 0) +FLAGS (\\Flagged)")
    assert said.startswith(b"OK [MODIFIED 2]")
    assert await client.ok(f"SEARCH MODSEQ {highest + 2}") == [b"* SEARCH 1 2 (MODSEQ %d)" % (highest + 3)]
    untagged = await client.ok(f'SEARCH RETURN (MIN) MODSEQ "/flags/\\\\seen" all {highest + 1}')
    assert untagged[0].endswith(b" MIN 1 MODSEQ %d" % (highest + 3))
    untagged = await client.ok(f"SEARCH RETURN (MIN MAX) 2:3 MODSEQ {highest + 1}")
    assert untagged[0].endswith(b" MIN 2 MAX 3 MODSEQ %d" % (highest + 2))
    untagged = await client.ok("SEARCH RETURN (ALL) MODSEQ 999999")
    assert b"MODSEQ" not in untagged[0]
    other = await running.login()
    untagged = await other.ok("SELECT INBOX (CONDSTORE)")
    assert code(untagged, b"HIGHESTMODSEQ") == highest + 3
    await client.ok("STORE 4 +FLAGS (\\Seen)")
    assert await other.ok("NOOP") == [b"* 4 FETCH (FLAGS (\\Seen) MODSEQ (%d))" % (highest + 4)]
    await client.bad("FETCH 1 FLAGS (CHANGEDSINCE)")
    await client.bad("FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)")
    await client.bad("UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)")
    await client.close()
    await other.close()


async def test_qresync_after_any_history(running: Running) -> None:
    client = await filled(running, 6)
    untagged = await client.ok("SELECT INBOX")
    validity, before = code(untagged, b"UIDVALIDITY"), code(untagged, b"HIGHESTMODSEQ")
    await client.ok("STORE 2,5 +FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    await client.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
    await client.append(message("neuf"))
    other = await running.login()
    await other.bad(f"SELECT INBOX (QRESYNC ({validity} {before}))")
    assert await other.ok("ENABLE QRESYNC") == [b"* ENABLED QRESYNC"]
    untagged = await other.ok(f"SELECT INBOX (QRESYNC ({validity} {before}))")
    assert b"* VANISHED (EARLIER) 2,5" in untagged
    assert any(line.startswith(b"* 1 FETCH (UID 1 FLAGS (\\Flagged") for line in untagged)
    assert any(line.startswith(b"* 5 FETCH (UID 7 FLAGS (") for line in untagged)
    assert not any(line.startswith(b"* 2 FETCH") for line in untagged)
    untagged = await other.ok(f"SELECT INBOX (QRESYNC ({validity} {before} 1:3 (1:3 1:3)))")
    assert b"* OK [CLOSED] Previous folder is closed" in untagged
    assert b"* VANISHED (EARLIER) 2" in untagged
    untagged = await other.ok(f"SELECT INBOX (QRESYNC ({validity + 1} {before}))")
    assert not any(b"VANISHED" in line for line in untagged)
    untagged = await other.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {before} VANISHED)")
    assert untagged[0] == b"* VANISHED (EARLIER) 2,5"
    # from now on erasures are told by UID
    await client.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    untagged = await other.ok("NOOP")
    assert untagged == [b"* VANISHED 4"]
    said = await other.command("EXPUNGE")
    assert said.startswith(b"OK [HIGHESTMODSEQ ")
    await client.close()
    await other.close()


@pytest.mark.parametrize(
    "listen", [b"i IDLE\r\n", b"i NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange))\r\n"]
)
@pytest.mark.parametrize("first", [True, False])
async def test_who_listens_hears_how_far_an_erasure_brings_him(running: Running, listen: bytes, first: bool) -> None:
    """VANISHED has no MODSEQ: interimap, which goes by the number, took the folder for unchanged. Dovecot tells it too."""
    other = await filled(running, 3)
    listener = await running.login()
    await listener.ok("ENABLE QRESYNC")
    await listener.ok("SELECT INBOX")
    await other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await listener.ok("NOOP")
    if first:
        await other.ok("EXPUNGE")
    await listener.send(listen)
    if not first:
        while not (await listener.line()).startswith((b"+ idling", b"i OK")):
            pass
        await other.ok("EXPUNGE")
    while (await asyncio.wait_for(listener.line(), 10)) != b"* VANISHED 2":
        pass
    told = b""
    while not told.startswith(b"* OK [HIGHESTMODSEQ"):
        told = await asyncio.wait_for(listener.line(), 10)
    now = (await other.ok("STATUS INBOX (HIGHESTMODSEQ)"))[-1].partition(b"HIGHESTMODSEQ ")[2].strip(b")")
    assert told == b"* OK [HIGHESTMODSEQ %b] Highest" % now
    await listener.close()
    await other.close()


async def test_close_promises_no_more_than_was_told(running: Running) -> None:
    """A client resynchronises from the MODSEQ of CLOSE: what others did and it never heard must come after it."""
    other = await filled(running, 6)
    client = await running.login()
    await client.ok("ENABLE QRESYNC")
    untagged = await client.ok("SELECT INBOX")
    validity, told = code(untagged, b"UIDVALIDITY"), code(untagged, b"HIGHESTMODSEQ")
    await client.ok("STORE 6 +FLAGS.SILENT (\\Deleted)")
    said = await client.command("CLOSE")
    assert code([said], b"HIGHESTMODSEQ") == told + 2  # nobody else did anything
    untagged = await client.ok(f"SELECT INBOX (QRESYNC ({validity} {told + 2}))")
    assert not any(b"VANISHED" in line or b" FETCH " in line for line in untagged)
    await client.ok("STORE 5 +FLAGS.SILENT (\\Deleted)")
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.ok("UID EXPUNGE 1")
    await other.ok("UID STORE 2 +FLAGS.SILENT (\\Flagged)")
    said = await client.command("CLOSE")
    untagged = await client.ok(f"SELECT INBOX (QRESYNC ({validity} {code([said], b'HIGHESTMODSEQ')}))")
    assert b"* VANISHED (EARLIER) 1,5" in untagged
    assert any(line.startswith(b"* 1 FETCH (UID 2 FLAGS (\\Flagged)") for line in untagged)
    await client.close()
    await other.close()


async def test_uidonly(running: Running) -> None:
    client = await filled(running, 3)
    assert await client.ok("ENABLE UIDONLY") == [b"* ENABLED UIDONLY"]
    for text in (
        "FETCH 1 FLAGS",
        "STORE 1 +FLAGS (\\Seen)",
        "COPY 1 INBOX",
        "SEARCH ALL",
        "UID SEARCH 1:2",
        "MOVE 1 Sent",
    ):
        said = await client.command(text)
        assert said.startswith(b"BAD [UIDREQUIRED]"), text
    assert await client.ok("UID FETCH 2 (UID FLAGS)") == [b"* 2 UIDFETCH (FLAGS (\\Recent))"]
    assert await client.ok("UID FETCH 2 UID") == [b"* 2 UIDFETCH (UID 2)"]
    assert await client.ok("UID STORE 2 +FLAGS (\\Deleted)") == [b"* 2 UIDFETCH (FLAGS (\\Deleted \\Recent))"]
    assert await client.ok("UID EXPUNGE 2") == [b"* VANISHED 2", b"* 2 RECENT"]
    await client.ok("ENABLE QRESYNC")
    said = await client.command("SELECT INBOX (QRESYNC (1 1 1:3 (1:3 1:3)))")
    assert said.startswith(b"BAD [UIDREQUIRED]")
    await client.close()


async def test_notify_statuses(running: Running) -> None:
    client = await running.login()
    other = await running.login()
    await other.ok("CREATE deux")
    await other.append(message(), "deux")
    untagged = await client.ok("NOTIFY SET STATUS (mailboxes deux (MessageNew MessageExpunge))")
    assert untagged[0].startswith(b"* STATUS deux (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ")
    assert b"HIGHESTMODSEQ" not in untagged[0]
    untagged = await client.ok("NOTIFY SET STATUS (mailboxes deux (MessageNew MessageExpunge FlagChange))")
    assert b"HIGHESTMODSEQ" in untagged[0]
    assert await client.ok("NOTIFY SET (mailboxes deux (MessageNew MessageExpunge FlagChange))") == []
    await other.append(message(), "deux")
    assert (await client.line()).startswith(b"* STATUS deux (MESSAGES 2 UIDNEXT 3")
    await client.ok("NOTIFY SET (personal (MailboxName SubscriptionChange))")
    await other.ok("CREATE trois")
    assert await client.line() == b'* LIST () "/" trois'
    await other.ok("RENAME trois quatre")
    assert await client.line() == b'* LIST () "/" quatre ("OLDNAME" (trois))'
    await other.ok("DELETE quatre")
    assert await client.line() == b'* LIST (\\NonExistent) "/" quatre'
    await client.ok("NOTIFY NONE")
    await other.ok("CREATE cinq")
    await asyncio.sleep(0.1)
    assert await client.ok("NOOP") == []
    await client.no("NOTIFY SET (personal (AnnotationChange))", "BADEVENT")
    await client.no("NOTIFY SET (personal (MessageNew MessageExpunge Unheard-Of))", "BADEVENT (FlagChange")
    await client.bad("NOTIFY SET (personal (MessageNew))")
    await client.bad("NOTIFY SET (nowhere (MessageNew MessageExpunge))")
    await client.bad("NOTIFY")
    await client.close()
    await other.close()


async def test_news_never_stand_inside_an_answer(running: Running) -> None:
    """A large literal leaves in pieces: what is told meanwhile would become part of the message."""
    client = await running.login()
    large = message("grand", "texte\r\n" * 2_000_000)
    await client.append(large)
    await client.ok("NOTIFY SET (personal (MessageNew MessageExpunge))")
    await client.ok("SELECT INBOX")
    other = await running.login()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await client.send(b"f FETCH 1 BODY.PEEK[]\r\n")
    await asyncio.sleep(0.2)
    await other.append(message(), "Drafts")
    await asyncio.sleep(0.2)
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    said = await client.line()
    assert said.endswith(large + b")")
    assert (await client.line()).startswith(b"f OK")
    assert (await client.line()).startswith(b"* STATUS Drafts (MESSAGES 1 ")
    await client.close()
    await other.close()


async def test_news_of_folders_do_not_pile_up_for_a_client_that_does_not_read(running: Running) -> None:
    """Each wake would keep all folders as they were then, for as long as an answer waits to be read."""
    client, other = await running.login(), await running.login()
    await client.ok("NOTIFY SET (personal (MessageNew MessageExpunge))")
    session = next(one for one in running.server.connections if one.notify is not None)
    session.wire.pause_writing()
    await client.send(b"n NOOP\r\n")
    assert (await client.line()).startswith(b"n OK ")
    for _ in range(5):
        await other.append(message(), "Drafts")
        await asyncio.sleep(0.05)
    assert len(session.wire._asides) <= 1
    session.wire.resume_writing()
    while not (await asyncio.wait_for(client.line(), 10)).startswith(b"* STATUS Drafts (MESSAGES 5 "):
        pass
    assert await client.ok("NOOP") == []
    await client.close()
    await other.close()


def slowly(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages take a while to be read."""
    running.service.cache.clear()
    bodies = running.store.bodies

    async def late(mailbox_id: int, entries: Sequence[Entry]) -> list[bytes]:
        read = await bodies(mailbox_id, entries)
        await asyncio.sleep(0.3)
        return read

    monkeypatch.setattr(running.store, "bodies", late)


async def test_what_notify_fetches_has_the_number_it_has_by_then(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await filled(running, 3)
    other = await running.login(select="INBOX")
    await client.ok("NOTIFY SET (selected (MessageNew (UID BODY.PEEK[TEXT]) MessageExpunge))")
    slowly(running, monkeypatch)
    await other.append(message("neuf"))
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    await client.ok("NOOP")
    said = [line for line in client.untagged if b" FETCH (UID " in line or b" EXPUNGE" in line]
    number = 3 if said[0].endswith(b"EXPUNGE") else 4
    fetched = next(line for line in said if b" FETCH " in line)
    assert fetched.startswith(b"* %d FETCH (UID 4 BODY[TEXT] {9}\r\nBonjour" % number)
    await client.close()
    await other.close()


async def test_a_live_search_does_not_name_what_was_erased_while_it_was_read(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await filled(running, 3)
    other = await running.login(select="INBOX")
    await client.ok("SEARCH RETURN (UPDATE ALL) BODY bonjour")
    slowly(running, monkeypatch)
    heard: list[bytes] = []
    await other.append(message("neuf"))
    heard += await client.ok("NOOP")
    await other.ok("STORE 4 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    await other.append(message("autre"))
    told: list[bytes] = []
    async with asyncio.timeout(15):
        while len(told) < 4:
            heard += await client.ok("NOOP")
            told = [line.partition(b") ")[2] or line for line in heard if b"ESEARCH" in line or b"EXPUNGE" in line]
    assert told == [b"ADDTO (0 4)", b"REMOVEFROM (0 4)", b"* 4 EXPUNGE", b"ADDTO (0 4)"]
    await client.close()
    await other.close()


async def test_a_live_search_that_cannot_read_says_so(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await filled(running, 1)
    await client.ok("SEARCH RETURN (UPDATE) BODY bonjour")
    tag = b"t%d" % client.number

    async def mute(mailbox_id: int, entries: Sequence[Entry]) -> list[bytes]:
        raise StoreUnavailable

    monkeypatch.setattr(running.store, "bodies", mute)
    await client.append(message("neuf"))
    assert any(line.startswith(b'* NO [NOUPDATE "%b"]' % tag) for line in await client.ok("NOOP"))
    await client.bad(f'CANCELUPDATE "{tag.decode()}"')
    await client.close()


async def test_what_notify_fetches_in_a_shared_mailbox_is_journalled(running: Running) -> None:
    """MSS-062: a body is read, whether it was asked for once or for all to come."""
    running.people.types[1] = BalType.ORG
    client = await running.login(select="INBOX")
    await client.ok("NOTIFY SET (selected (MessageNew (UID ENVELOPE) MessageExpunge))")
    other = await running.login()
    await other.append(message("un"))
    await client.ok("NOOP")
    assert not [event for event in running.journal.events if event.kind is Kind.READ]
    await client.ok("NOTIFY SET (selected (MessageNew (UID BODY.PEEK[TEXT]) MessageExpunge))")
    await other.append(message("deux"))
    while b" FETCH (UID 2 BODY[TEXT]" not in await client.line():
        pass
    [read] = [event for event in running.journal.events if event.kind is Kind.READ]
    assert (read.actor, read.mailbox, read.detail["uids"]) == ("u1@op-a.mssante.test", 1, "2")
    await client.close()
    await other.close()


async def test_a_new_folder_that_is_heard_of_with_its_mail(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process is heard a moment later: the folder and its first message come in one look."""
    client = await running.login()
    await client.ok("NOTIFY SET (personal (MailboxName MessageNew MessageExpunge FlagChange))")
    folders = running.store.folders

    async def late(mailbox_id: int) -> list[Folder]:
        await asyncio.sleep(0.3)
        return await folders(mailbox_id)

    other = await running.login()
    await running.store.create_folder(1, "vide")
    assert await client.line() == b'* LIST () "/" vide'
    monkeypatch.setattr(running.store, "folders", late)
    await running.store.create_folder(1, "neuf")
    await other.append(message(), "neuf")
    assert await client.line() == b'* LIST () "/" neuf'
    assert (await client.line()).startswith(b"* STATUS neuf (MESSAGES 1 UIDNEXT 2 ")
    await client.close()
    await other.close()


async def test_notify_fetches_what_arrives(running: Running) -> None:
    client = await filled(running, 1)
    await client.ok("NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge))")
    other = await running.login(select="INBOX")
    await other.append(message("arrive"))
    assert await client.line() == b"* 2 EXISTS"
    assert (await client.line()).endswith(b"RECENT")
    assert await client.line() == b"* 2 FETCH (UID 2 BODY[HEADER.FIELDS (SUBJECT)] {19}\r\nSubject: arrive\r\n\r\n)"
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    assert (await client.line()).startswith(b"* 1 ")
    await client.close()
    await other.close()


@pytest.mark.parametrize(
    ("enabled", "told"),
    [
        ("CONDSTORE", b"* 2 FETCH (FLAGS () MODSEQ (3))"),
        ("QRESYNC", b"* 2 FETCH (UID 2 FLAGS () MODSEQ (3))"),
        ("UIDONLY", b"* 2 UIDFETCH (FLAGS ())"),
    ],
)
async def test_what_notify_fetches_bears_what_was_enabled(running: Running, enabled: str, told: bytes) -> None:
    other = await filled(running, 1)
    client = await running.login()
    await client.ok(f"ENABLE {enabled}")
    await client.ok("EXAMINE INBOX")
    await client.ok("NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge))")
    await other.append(message("neuf"))
    assert [await client.line() for _ in range(3)] == [b"* 2 EXISTS", b"* 0 RECENT", told]
    await client.close()
    await other.close()


async def test_a_deleted_folder_ends_its_sessions(running: Running) -> None:
    client = await running.login()
    await client.ok("CREATE vite")
    await client.ok("SELECT vite")
    other = await running.login(select="vite")
    assert b"* OK [CLOSED]" in (await other.ok("DELETE vite"))[0]
    assert (await client.line()).startswith(b"* BYE ")
    await client.close()
    await other.close()


async def test_a_folder_deleted_while_it_is_opened_is_not_there(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that opened it then would never have been told, and gone on in a folder that is none."""
    one, two = await running.login(), await running.login()
    await one.ok("CREATE bref")

    async def meanwhile(_recents: Recents, _uidnext: int) -> None:
        monkeypatch.undo()
        await two.ok("DELETE bref")

    monkeypatch.setattr(Recents, "claim", meanwhile)
    await one.no("SELECT bref", "NONEXISTENT")
    await one.bad("FETCH 1 FLAGS")
    await one.close()
    await two.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database two processes may open."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shared.db"
    return str(request.getfixturevalue("postgres_url"))


async def test_two_processes_on_one_mailbox(tmp_path: Path, pki: Pki, shared_url: str) -> None:
    async with serving(tmp_path, pki, url=shared_url) as first:
        one = await filled(first, 2)
        async with serving(tmp_path, pki, url=shared_url, provisioned=True) as second:
            two = await second.login(select="INBOX")
            assert await two.ok("FETCH 1:* UID") == [b"* 1 FETCH (UID 1)", b"* 2 FETCH (UID 2)"]
            await two.send(b"i IDLE\r\n")
            await two.line()
            await one.append(message("d'un autre"))
            assert await two.line() == b"* 3 EXISTS"
            await one.ok("STORE 3 +FLAGS.SILENT (\\Seen)")
            lines = [await two.line(), await two.line()]
            assert any(line.startswith(b"* 3 FETCH (FLAGS (\\Seen") for line in lines)
            await two.send(b"DONE\r\n")
            await two.finish(b"i")
            # flags set on both sides add up
            await two.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
            await one.ok("STORE 1 +FLAGS.SILENT (\\Answered)")
            await two.ok("STORE 1 +FLAGS.SILENT ($Suivi)")
            await one.ok("SELECT INBOX")
            assert b"(\\Answered \\Flagged $Suivi" in (await one.ok("FETCH 1 FLAGS"))[0]
            # a folder deleted on one side ends the sessions of the other
            await one.ok("CREATE bref")
            await two.ok("SELECT bref")
            await one.ok("DELETE bref")
            assert (await two.line()).startswith(b"* BYE ")
            await two.close()
        await one.close()


async def test_what_another_process_did_is_there_when_it_is_asked_for(
    tmp_path: Path, pki: Pki, shared_url: str
) -> None:
    """NOOP, CHECK, EXPUNGE and CLOSE look at the store; nobody waits for the next wake."""
    blobs = MemoryBlobs()
    async with (
        serving(tmp_path, pki, url=shared_url, shared=blobs) as first,
        serving(tmp_path, pki, url=shared_url, shared=blobs, provisioned=True) as second,
    ):
        one = await filled(first, 4)
        two = await second.login(select="INBOX")
        await one.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
        assert await two.ok("NOOP") == [b"* 1 FETCH (FLAGS (\\Flagged))"]
        await one.ok("STORE 1 -FLAGS.SILENT (\\Flagged)")
        assert await two.ok("CHECK") == [b"* 1 FETCH (FLAGS ())"]
        await one.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        assert b"* 1 EXPUNGE" in await two.ok("EXPUNGE")
        assert b"* 1 EXPUNGE" in await one.ok("NOOP")
        await one.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        await two.ok("CLOSE")
        assert b"* 1 EXPUNGE" in await one.ok("NOOP")
        assert await two.ok("STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 2)"]
        for client in (one, two):
            await client.close()


async def test_a_message_is_recent_in_one_session_of_one_process(tmp_path: Path, pki: Pki, shared_url: str) -> None:
    blobs = MemoryBlobs()
    async with (
        serving(tmp_path, pki, url=shared_url, shared=blobs) as first,
        serving(tmp_path, pki, url=shared_url, shared=blobs, provisioned=True) as second,
    ):
        setter = await first.login()
        await setter.append(message("un"))
        two = await second.login()
        assert b"* 1 RECENT" in await two.ok("EXAMINE INBOX")  # looking takes nothing
        assert await setter.ok("STATUS INBOX (RECENT)") == [b"* STATUS INBOX (RECENT 1)"]
        assert b"* 1 RECENT" in await two.ok("SELECT INBOX")
        one = await first.login()
        assert b"* 0 RECENT" in await one.ok("SELECT INBOX")
        assert await setter.ok("STATUS INBOX (RECENT)") == [b"* STATUS INBOX (RECENT 0)"]
        shown = {1: 1, 2: 0}
        for number in range(2, 6):
            await setter.append(message(f"n{number}"))
            for which, client in ((1, two), (2, one)):
                told = [line for line in await client.ok("NOOP") if line.endswith(b" RECENT")]
                shown[which] = int(told[0].split(b" ")[1])
            assert sum(shown.values()) == number
        flags = [await client.ok("FETCH 1:* FLAGS") for client in (one, two)]
        assert [sum(b"\\Recent" in line for line in pair) for pair in zip(*flags, strict=True)] == [1] * 5
        for client in (setter, one, two):
            await client.close()
