"""The session around the commands: TLS, login, capabilities, compression, limits, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
import threading
import zlib
from pathlib import Path

import pytest

from mailboxes.anatomy import dissect, pack
from mailboxes.authentication import LoginRefused
from mailboxes.imap.announce import announce
from mailboxes.imap.ports import Limits
from mailboxes.imap.view import gathered
from mailboxes.packed import Packed
from mailboxes.store import Entry, NewMessage
from policies.events import Kind
from policies.values import Login
from tests.mailboxes.imap.harness import Pki, Running, message, serving
from tests.waiting import until

USER = "u1@op-a.mssante.test"


def coded(*pieces: str) -> str:
    return base64.b64encode("\0".join(pieces).encode()).decode()


async def closed(client) -> bool:
    """True once the server has closed the connection."""
    try:
        return await asyncio.wait_for(client.reader.read(1 << 16), 10) == b""
    except (ConnectionError, ssl.SSLError):
        return True


# TLS and login


async def test_no_login_in_clear_text(running: Running) -> None:
    client = await running.client(tls=False)
    assert b"LOGINDISABLED" in client.greeting
    assert b"STARTTLS" in client.greeting
    assert b"AUTH=" not in client.greeting
    await client.no(f"LOGIN {USER} secret", "PRIVACYREQUIRED")
    await client.no(f"AUTHENTICATE PLAIN {coded('', USER, 'secret')}", "PRIVACYREQUIRED")
    await client.starttls()
    assert b"AUTH=PLAIN" in (await client.ok("CAPABILITY"))[0]
    await client.bad("STARTTLS")
    await client.ok(f"LOGIN {USER} secret")
    await client.close()


async def test_what_was_sent_before_the_handshake_is_forgotten(running: Running) -> None:
    client = await running.client(tls=False)
    await client.send(b"a STARTTLS\r\nb CAPABILITY\r\n")
    assert (await client.line()).startswith(b"a OK")
    await client.writer.start_tls(running.pki.client, server_hostname="localhost")
    assert (await client.ok("NOOP")) == []
    await client.close()


async def test_plain_with_and_without_initial_response(running: Running) -> None:
    client = await running.client()
    await client.ok(f"AUTHENTICATE PLAIN {coded('', USER, 'secret')}")
    await client.close()
    client = await running.client()
    await client.send(b"a AUTHENTICATE PLAIN\r\n")
    assert await client.line() == b"+ "
    await client.send(coded(USER, USER, "secret").encode() + b"\r\n")
    said = await client.finish(b"a")
    assert said.startswith(b"OK [CAPABILITY ")
    await client.bad(f"AUTHENTICATE PLAIN {coded('', USER, 'secret')}")
    await client.close()


async def test_what_mail_programs_use_all_day_is_announced_after_the_login(running: Running) -> None:
    """MSS-079."""
    client = await running.client()
    await client.ok(f"AUTHENTICATE PLAIN {coded('', USER, 'secret')}")
    words = (await client.ok("CAPABILITY"))[0].split()
    assert {b"IDLE", b"UIDPLUS", b"MOVE", b"QUOTA", b"SPECIAL-USE", b"CONDSTORE"} <= set(words)
    await client.close()


async def test_failed_logins_read_alike_and_are_counted(running: Running) -> None:
    client = await running.client()
    said = {
        await client.no(f"LOGIN {USER} wrong", "AUTHENTICATIONFAILED"),
        await client.no("LOGIN nobody@op-a.mssante.test secret", "AUTHENTICATIONFAILED"),
        await client.no(f"AUTHENTICATE PLAIN {coded('other@x.test', USER, 'secret')}", "AUTHENTICATIONFAILED"),
    }
    assert len(said) == 1
    await client.no("AUTHENTICATE SCRAM-SHA-256", "CANNOT")
    await client.bad("AUTHENTICATE PLAIN !!!")
    await client.bad(f"AUTHENTICATE PLAIN {coded('only', 'two')}")
    await client.send(b"a AUTHENTICATE PLAIN\r\n")
    await client.line()
    await client.send(b"*\r\n")
    assert (await client.finish(b"a")).startswith(b"BAD")
    await client.no(f"LOGIN {USER} wrong")
    await client.no(f"LOGIN {USER} wrong")
    assert (await client.line()).startswith(b"* BYE [LIMIT]")
    assert await closed(client)


async def test_a_login_that_cannot_be_judged_is_not_called_wrong(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail program forgets the password it was told is wrong; the database was only away (RFC 5530 3)."""

    async def away(*_: object) -> Login:
        raise LoginRefused("session.auth_unavailable", "the database is away")

    for means in ("password", "certificate", "token"):
        monkeypatch.setattr(running.people, means, away)
    client = await running.client(app=True)
    await client.no(f"LOGIN {USER} secret", "UNAVAILABLE")
    await client.no(f"AUTHENTICATE PLAIN {coded('', USER, 'secret')}", "UNAVAILABLE")
    await client.no("AUTHENTICATE EXTERNAL =", "UNAVAILABLE")
    bearer = base64.b64encode(b"n,,\x01auth=Bearer t\x01\x01").decode()
    await client.no(f"AUTHENTICATE OAUTHBEARER {bearer}", "UNAVAILABLE")
    await client.close()


async def test_external_needs_a_certificate(running: Running) -> None:
    client = await running.client(app=True)
    assert b"AUTH=EXTERNAL" in client.greeting
    await client.ok("AUTHENTICATE EXTERNAL =")
    await client.ok("SELECT INBOX")
    await client.close()
    client = await running.client(app=True)
    await client.no(f"AUTHENTICATE EXTERNAL {coded(USER)}", "AUTHENTICATIONFAILED")
    await client.close()
    client = await running.client()
    await client.no("AUTHENTICATE EXTERNAL =", "CANNOT")
    await client.close()


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
async def test_tokens(running: Running, mechanism: str) -> None:
    def response(token: str) -> str:
        lead = f"n,a={USER},\x01" if mechanism == "OAUTHBEARER" else f"user={USER}\x01"
        return base64.b64encode(f"{lead}auth=Bearer {token}\x01\x01".encode()).decode()

    client = await running.client()
    await client.send(f"a AUTHENTICATE {mechanism} {response('bad')}\r\n".encode())
    challenge = await client.line()
    assert challenge.startswith(b"+ ")
    told = {"OAUTHBEARER": "invalid_token", "XOAUTH2": "401"}
    assert json.loads(base64.b64decode(challenge[2:]))["status"] == told[mechanism]
    await client.send(b"AQ==\r\n")
    assert (await client.finish(b"a")).startswith(b"NO [AUTHENTICATIONFAILED]")
    await client.ok(f"AUTHENTICATE {mechanism} {response('good-token')}")
    await client.close()


async def test_enable(running: Running) -> None:
    client = await running.client()
    await client.bad("ENABLE CONDSTORE")
    await client.ok(f"LOGIN {USER} secret")
    assert await client.ok("ENABLE CONDSTORE NONSENSE IMAP4rev2") == [b"* ENABLED CONDSTORE IMAP4rev2"]
    assert await client.ok("ENABLE CONDSTORE") == [b"* ENABLED"]
    untagged = await client.ok("SELECT INBOX")
    assert not any(b"RECENT" in line or b"[UNSEEN" in line for line in untagged)
    assert b'* LIST () "/" INBOX' in untagged
    await client.bad("ENABLE")
    await client.close()


async def test_nothing_is_recent_in_imap4rev2(running: Running) -> None:
    client = await running.login(select="INBOX")
    await client.append(message())
    assert await client.ok("FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS (\\Recent))"]
    await client.ok("ENABLE IMAP4rev2")
    assert await client.ok("FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS ())"]
    await client.append(message())
    assert await client.ok("FETCH 2 FLAGS") == [b"* 2 FETCH (FLAGS ())"]
    other = await running.login()
    for opening in ("EXAMINE Sent", "SELECT Sent"):
        await other.append(message(), "Sent")
        await client.ok(opening)
        assert not any(b"Recent" in line for line in await client.ok("FETCH 1:* FLAGS"))
    await other.close()
    await client.close()


async def test_capabilities_are_those_of_the_issue(running: Running) -> None:
    client = await running.login()
    said = (await client.ok("CAPABILITY"))[0].decode().split()
    wanted = (
        "IMAP4rev1 IMAP4rev2 IDLE NAMESPACE ID CHILDREN UNSELECT UIDPLUS MOVE CONDSTORE QRESYNC ENABLE SASL-IR LITERAL+ "
        "BINARY MULTIAPPEND CATENATE ESEARCH SEARCHRES WITHIN CONTEXT=SEARCH CONTEXT=SORT PARTIAL SORT SORT=DISPLAY ESORT "
        "THREAD=REFERENCES THREAD=ORDEREDSUBJECT THREAD=REFS LIST-EXTENDED LIST-STATUS LIST-MYRIGHTS SPECIAL-USE "
        "CREATE-SPECIAL-USE STATUS=SIZE QUOTA ACL COMPRESS=DEFLATE NOTIFY METADATA PREVIEW SAVEDATE OBJECTID REPLACE "
        "UIDONLY UTF8=ACCEPT APPENDLIMIT=36700160 INPROGRESS"
    )
    assert set(wanted.split()) <= set(said)
    await client.close()


async def test_compression(running: Running) -> None:
    client = await running.login()
    await client.append(message("Compressible", "x" * 5000))
    await client.ok("COMPRESS DEFLATE")
    deflate, inflate = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)

    async def ask(text: bytes) -> bytes:
        await client.send(deflate.compress(b"x " + text + b"\r\n") + deflate.flush(zlib.Z_SYNC_FLUSH))
        said = b""
        while b"\r\nx " not in b"\r\n" + said or not said.endswith(b"\r\n"):
            said += inflate.decompress(await asyncio.wait_for(client.reader.read(65536), 10))
        return said

    assert b"* 1 EXISTS" in await ask(b"SELECT INBOX")
    assert b"x" * 5000 in await ask(b"FETCH 1 BODY[]")
    assert b"NO [COMPRESSIONACTIVE]" in await ask(b"COMPRESS DEFLATE")
    assert b"COMPRESS" not in await ask(b"CAPABILITY")
    await client.send(b"this is not deflate at all, and it is long enough to be noticed\r\n" * 10)
    while await asyncio.wait_for(client.reader.read(65536), 10):
        pass  # BYE, deflated, then the end
    other = await running.login()
    await other.bad("COMPRESS GZIP")
    await other.close()


async def test_large_answers_are_deflated_beside_the_loop(running: Running) -> None:
    """Deflating half a megabyte takes 20 ms, which every other session would wait."""
    body = base64.b64encode(os.urandom(1_500_000)).decode()
    small = [base64.b64encode(os.urandom(30_000)).decode() for _ in range(12)]
    client = await running.login()
    for one in (body, *small):
        await client.append(message("Grand", one))
    wire = next(iter(running.server.connections)).wire
    await client.ok("COMPRESS DEFLATE")
    deflate, inflate = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)
    on_loop: list[int] = []

    class Watched:
        def __init__(self) -> None:
            self.real = wire._deflate

        def compress(self, data: bytes) -> bytes:
            if threading.current_thread() is threading.main_thread():
                on_loop.append(len(data))
            return self.real.compress(data)

        def flush(self, mode: int) -> bytes:
            return self.real.flush(mode)

    wire._deflate = Watched()
    await client.send(
        deflate.compress(b"a SELECT INBOX\r\nb FETCH 1:* BODY.PEEK[]\r\n") + deflate.flush(zlib.Z_SYNC_FLUSH)
    )
    said = b""
    async with asyncio.timeout(20):
        while b"\r\nb OK" not in said:
            said += inflate.decompress(await client.reader.read(1 << 18))
    assert all(one.encode() in said for one in (body, *small))
    assert on_loop
    assert max(on_loop) < 1 << 16
    client.writer.transport.abort()


# hostile clients


async def test_http_is_shown_the_door(running: Running) -> None:
    client = await running.client()
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await closed(client)


async def test_long_lines_and_junk_end_the_session(running: Running) -> None:
    client = await running.client()
    await client.send(b"a NOOP " + b"x" * 70_000)
    assert (await client.line()).startswith(b"* BYE [LIMIT]")
    assert await closed(client)
    client = await running.client()
    for _ in range(19):
        await client.bad("NONSENSE")
    await client.send(b"z NONSENSE\r\n")
    assert (await client.line()).startswith(b"z BAD")
    assert (await client.line()).startswith(b"* BYE [LIMIT]")
    assert await closed(client)


async def test_literals_are_bounded_before_and_after_login(running: Running) -> None:
    client = await running.client()
    await client.bad("LOGIN {5000}")
    await client.send(b"a LOGIN {5000+}\r\n" + b"x" * 5000 + b" {3+}\r\nabc\r\n")
    assert b"[TOOBIG]" in await client.line()
    await client.ok("NOOP")
    await client.ok(f"LOGIN {USER} secret")
    await client.bad("SELECT {70000}")
    await client.ok("NOOP")
    await client.close()


async def test_connections_are_counted_by_address_and_account(tmp_path: Path, pki: Pki) -> None:
    limits = Limits(per_ip=3, per_account=2)
    async with serving(tmp_path, pki, limits=limits) as running:
        clients = [await running.login() for _ in range(2)]
        third = await running.client()
        await third.no(f"LOGIN {USER} secret", "LIMIT")
        fourth = await running.client()
        assert fourth.greeting.startswith(b"* BYE [LIMIT]")
        assert await closed(fourth)
        await clients[0].ok("LOGOUT")
        await clients[0].close()
        await until(lambda: len(running.server.connections) == 2)
        await third.ok(f"LOGIN {USER} secret")
        for client in (clients[1], third):
            await client.close()
        await until(lambda: not running.server.connections)
    assert not len(running.service.tally)  # type: ignore[arg-type]


async def test_silent_clients_are_sent_away(tmp_path: Path, pki: Pki) -> None:
    limits = Limits(login_time=1, idle_time=2, sweep_every=0.1)
    async with serving(tmp_path, pki, limits=limits) as running:
        client, other = await running.client(), await running.login()
        assert (await client.line()).startswith(b"* BYE [UNAVAILABLE] Login")
        assert await closed(client)
        assert (await other.line()).startswith(b"* BYE [UNAVAILABLE] Idle")
        assert await closed(other)


async def test_a_session_ends_at_its_longest_life_however_busy_it_was(tmp_path: Path, pki: Pki) -> None:
    """MSS-075."""
    async with serving(tmp_path, pki, limits=Limits(session_time=1, sweep_every=0.1)) as running:
        client = await running.login()
        said = b""
        for _ in range(30):
            with contextlib.suppress(ConnectionError):  # closed in between: the last words are still to be read
                await client.send(b"n NOOP\r\n")
            said = await client.line()
            if said.startswith(b"* BYE"):
                break
            await asyncio.sleep(0.1)
        assert said.startswith(b"* BYE [UNAVAILABLE] The session lasted long enough")
        assert await closed(client)


async def test_a_command_that_trickles_in_is_ended(tmp_path: Path, pki: Pki) -> None:
    limits = Limits(command_time=1, sweep_every=0.1)
    async with serving(tmp_path, pki, limits=limits) as running:
        client, patient = await running.login(), await running.login()
        await patient.send(b"i IDLE\r\n")
        await patient.line()
        await client.send(b"a APPEND INBOX {1000+}\r\n")
        for _ in range(20):
            try:
                await client.send(b"x")
            except ConnectionError:
                break
            await asyncio.sleep(0.1)
        assert (await client.line()).startswith(b"* BYE [LIMIT] The command came too slowly")
        await patient.send(b"DONE\r\n")
        assert (await patient.finish(b"i")).startswith(b"OK")
        await patient.close()


async def test_a_withdrawn_mailbox_is_cut(tmp_path: Path, pki: Pki) -> None:
    limits = Limits(alive_every=0, sweep_every=0.05)
    async with serving(tmp_path, pki, limits=limits) as running:
        client = await running.login(select="INBOX")
        await client.send(b"i IDLE\r\n")
        await client.line()
        other = await running.login("u2@op-a.mssante.test")
        running.people.withdrawn.add(USER)
        assert (await client.line()).startswith(b"* BYE [UNAVAILABLE] This mailbox or device was withdrawn")
        assert await closed(client)
        await other.ok("NOOP")
        await until(lambda: any(event.kind is Kind.CUT for event in running.journal.events))
        await asyncio.sleep(0.2)  # a few sweeps more
        assert [event.kind for event in running.journal.events if event.kind is Kind.CUT] == [Kind.CUT]
        again = await running.client()
        await again.no(f"LOGIN {USER} secret", "UNAVAILABLE")
        await other.ok("NOOP")
        await again.close()
        await other.close()


async def test_stopping_says_goodbye(tmp_path: Path, pki: Pki) -> None:
    async with serving(tmp_path, pki) as running:
        client = await running.login()
        await running.server.close(1)
        assert (await client.line()).startswith(b"* BYE [UNAVAILABLE]")
        assert await closed(client)


async def test_pipelined_commands_are_answered_in_order(running: Running) -> None:
    client = await running.login()
    one = message()
    await client.send(
        b"a CREATE un\r\nb CREATE deux\r\nc APPEND un {%d+}\r\n%b\r\nd STATUS un (MESSAGES)\r\ne NOOP\r\n"
        % (len(one), one)
    )
    lines = [await client.line() for _ in range(6)]
    assert [line.split()[0] for line in lines] == [b"a", b"b", b"c", b"*", b"d", b"e"]
    assert lines[3] == b"* STATUS un (MESSAGES 1)"
    await client.close()


async def test_commands_may_arrive_byte_by_byte(running: Running) -> None:
    client = await running.login()
    raw = b"a APPEND INBOX {18+}\r\nSubject: un\r\n\r\nx\r\n\r\nb STATUS INBOX (MESSAGES)\r\n"
    for place in range(len(raw)):
        await client.send(raw[place : place + 1])
        if place % 7 == 0:
            await asyncio.sleep(0.001)
    assert (await client.finish(b"a")).startswith(b"OK")
    assert (await client.finish(b"b")).startswith(b"OK")
    assert client.untagged == [b"* STATUS INBOX (MESSAGES 1)"]
    await client.close()


async def test_a_client_that_does_not_read_costs_little(running: Running) -> None:
    client = await running.login()
    body = base64.b64encode(os.urandom(150_000)).decode()
    await client.append(message("gros", body))
    await client.ok("SELECT INBOX")
    for _ in range(300):
        client.writer.write(b"x FETCH 1 BODY.PEEK[]\r\n")
    await asyncio.sleep(0.5)
    session = next(iter(running.server.connections))
    assert session.wire.transport is not None
    assert session.wire.transport.get_write_buffer_size() < 4 << 20
    other = await running.login()
    await other.ok("NOOP")
    client.writer.transport.abort()
    await other.close()


async def test_logout(running: Running) -> None:
    client = await running.login()
    untagged = await client.ok("LOGOUT")
    assert untagged == [b"* BYE Goodbye"]
    assert await closed(client)


@pytest.mark.parametrize(
    "raw", [b"\r\n", b" NOOP\r\n", b"NOOP\r\n", b"a\r\n", b"+ NOOP\r\n", b"a NOOP x\r\n", b"\x00\xff\r\n"]
)
async def test_nonsense_is_answered_bad(running: Running, raw: bytes) -> None:
    client = await running.client()
    await client.send(raw)
    assert b" BAD " in await client.line()
    await client.close()


async def test_a_deflated_bomb_costs_only_its_sender(running: Running) -> None:
    client = await running.login()
    await client.ok("COMPRESS DEFLATE")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(b"x" * (64 << 20)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    await client.send(bomb)
    while await asyncio.wait_for(client.reader.read(65536), 10):
        pass
    client = await running.login()
    await client.ok("COMPRESS DEFLATE")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    client.writer.write(deflate.compress(b"a NOOP\r\n" * 200_000) + deflate.flush(zlib.Z_SYNC_FLUSH))
    other = await running.login()
    loop = asyncio.get_running_loop()
    start = loop.time()
    await other.ok("NOOP")
    assert loop.time() - start < 2
    client.writer.transport.abort()
    await other.close()


async def test_a_client_that_idles_without_reading_does_not_pile_up_news(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailboxes.imap.session.LAG", 0)
    deaf, writer = await running.login(), await running.login()
    for number in range(20):
        await writer.append(message(f"Lettre {number}"))
    await deaf.ok("SELECT INBOX")
    session = next(one for one in running.server.connections if one.selected is not None)
    await writer.ok("SELECT INBOX")
    await deaf.send(b"i IDLE\r\n")
    assert await deaf.line() == b"+ idling"
    session.wire.pause_writing()
    for sign in b"+-" * 6:
        await writer.ok(f"STORE 1:* {chr(sign)}FLAGS.SILENT (\\Flagged)")
    assert session.selected is not None
    index = session.selected.index
    assert index.brought - session.selected.step.begun <= 2 * 20
    await writer.ok("STORE 7 +FLAGS.SILENT (\\Seen)")
    session.wire.resume_writing()
    told = [await asyncio.wait_for(deaf.line(), 10) for _ in range(20)]
    assert told[6] == b"* 7 FETCH (FLAGS (\\Seen \\Recent))"
    assert told[7] == b"* 8 FETCH (FLAGS (\\Recent))"
    await deaf.send(b"DONE\r\n")
    assert await deaf.line() == b"i OK Idle ended"
    await deaf.close()
    await writer.close()


async def test_a_silent_client_of_a_folder_that_was_emptied_is_not_gathered_for_at_each_message(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty thousand erasures it has not heard of would be gone through again, on the event loop, for each letter."""
    monkeypatch.setattr("mailboxes.imap.session.LAG", 0)
    silent, writer = await running.login(), await running.login()
    for number in range(20):
        await writer.append(message(f"Lettre {number}"))
    await silent.ok("SELECT INBOX")
    session = next(one for one in running.server.connections if one.selected is not None)
    await writer.ok("SELECT INBOX")
    await writer.ok("STORE 3:20 +FLAGS.SILENT (\\Deleted)")
    await writer.ok("EXPUNGE")
    assert session.selected is not None
    step = session.selected.step
    for number in range(4):
        await writer.append(message(f"Suite {number}"))
    assert session.selected.step is step
    assert sum(b"EXPUNGE" in line for line in await silent.ok("NOOP")) == 18
    await silent.close()
    await writer.close()


async def test_what_comes_right_behind_select_waits_for_the_entries(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, other = await running.login(), await running.login()
    for number in range(1, 5):
        await client.append(message(f"Lettre {number}"))
    goes, open_entries = threading.Event(), Packed.opened

    def slowly(packed: Packed) -> list[Entry]:
        assert goes.wait(10)
        return open_entries(packed)

    monkeypatch.setattr(Packed, "opened", slowly)
    monkeypatch.setattr("mailboxes.imap.beside.HERE", 2)
    assert b"* OK [UNSEEN 1] First unseen" in await client.ok("SELECT INBOX")
    await client.send(b"f FETCH 2 (UID RFC822.SIZE)\r\nbad\r\n")
    counted = asyncio.ensure_future(other.ok("STATUS INBOX (DELETED)"))
    arrived = asyncio.ensure_future(running.store.append(1, 1, [NewMessage(message(), pack(dissect(message())))]))
    await arrived
    await asyncio.sleep(0.1)
    assert not counted.done()
    goes.set()
    assert await counted == [b"* STATUS INBOX (DELETED 0)"]
    assert await client.line() == b"* 2 FETCH (UID 2 RFC822.SIZE %d)" % len(message("Lettre 2"))
    assert (await client.finish(b"f")).startswith(b"OK")
    assert b" BAD " in await client.line()
    assert b"* 5 EXISTS" in [*client.untagged, *await client.ok("NOOP")]
    await client.close()
    await other.close()


async def test_very_much_is_gathered_beside_the_event_loop(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two STOREs over 100 000 messages were gathered for a silent session at one go, 35 to 50 ms."""
    monkeypatch.setattr("mailboxes.imap.session.LAG", 0)
    monkeypatch.setattr("mailboxes.imap.session.GATHERED_HERE", 0)
    here, where = threading.get_ident(), []

    def elsewhere(*given):
        where.append(threading.get_ident() != here)
        return gathered(*given)

    monkeypatch.setattr("mailboxes.imap.session.gathered", elsewhere)
    silent, writer = await running.login(), await running.login()
    for number in range(6):
        await writer.append(message(f"Lettre {number}"))
    await silent.ok("SELECT INBOX")
    selected = next(one for one in running.server.connections if one.selected is not None).chosen()
    await writer.ok("SELECT INBOX")
    for _ in range(2):
        for sign in "+-+-":
            await writer.ok(f"STORE 1:* {sign}FLAGS.SILENT (\\Flagged)")
        while selected.gathering is not None:
            await asyncio.sleep(0.01)
    await writer.ok("STORE 2 +FLAGS.SILENT (\\Seen)")
    assert where == [True] * len(where)
    assert len(where) >= 2
    assert selected.behind <= 3 * 6
    told = await silent.ok("NOOP")
    assert told == [b"* %d FETCH (FLAGS (%s\\Recent))" % (at, b"\\Seen " * (at == 2)) for at in range(1, 7)]
    assert selected.behind == 0
    await silent.close()
    await writer.close()


async def test_a_client_far_behind_is_told_portion_by_portion(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred thousand changes told at once kept every other connection waiting for 120 ms."""
    for module in ("view", "session", "selecting"):
        monkeypatch.setattr(f"mailboxes.imap.{module}.MOST_TOLD", 4)
    portions: list[int] = []

    def measured(session, *given):
        step = session.chosen().step
        said = announce(session, *given)
        portions.append(session.chosen().step.begun - step.begun)
        return said

    monkeypatch.setattr("mailboxes.imap.session.announce", measured)
    behind, writer = await running.login(), await running.login()
    for number in range(30):
        await writer.append(message(f"Lettre {number}"))
    await behind.ok("SELECT INBOX")
    session = next(one for one in running.server.connections if one.selected is not None)
    await writer.ok("SELECT INBOX")
    await writer.ok("STORE 1:30 +FLAGS.SILENT (\\Flagged)")
    portions.clear()
    told = await behind.ok("NOOP")
    assert [b"FLAGS (\\Flagged" in line for line in told] == [True] * 30
    await writer.ok("STORE 1:18 +FLAGS.SILENT (\\Deleted)")
    await writer.ok("EXPUNGE")
    await writer.ok("STORE 1:12 -FLAGS.SILENT (\\Flagged)")
    told = await behind.ok("FETCH 1 UID")
    assert told[-1] == b"* 18 FETCH (FLAGS (\\Deleted \\Flagged \\Recent))"  # what came after the erasures waits
    told = await behind.ok("NOOP")
    assert sum(line.endswith(b" EXPUNGE") for line in told) == 18
    assert told[-1] == b"* 12 FETCH (FLAGS (\\Recent))"
    await behind.send(b"i IDLE\r\n")
    assert await behind.line() == b"+ idling"
    session.wire.pause_writing()
    await writer.ok("STORE 1:12 +FLAGS.SILENT (\\Seen)")
    await writer.append(message("Derni\u00e8re"))
    session.wire.resume_writing()
    told = [await asyncio.wait_for(behind.line(), 10) for _ in range(14)]
    assert told[11] == b"* 12 FETCH (FLAGS (\\Seen \\Recent))"
    assert told[12:] == [b"* 13 EXISTS", b"* 12 RECENT"]
    await behind.send(b"DONE\r\n")
    assert await behind.line() == b"i OK Idle ended"
    assert session.chosen().behind == 0
    assert max(portions) < 2 * 4
    await behind.ok("UNSELECT")
    await behind.ok("ENABLE QRESYNC")
    validity = (await running.store.folder(1, "INBOX")).uidvalidity
    told = await behind.ok(f"SELECT INBOX (QRESYNC ({validity} 1))")
    assert sum(b" FETCH (" in line for line in told) == 13
    await behind.close()
    await writer.close()


async def test_pipelined_fetches_do_not_pile_up(running: Running) -> None:
    client = await running.login()
    await client.append(message("moyen", "x" * 60_000))
    await client.ok("SELECT INBOX")
    await client.ok("FETCH 1 BODY.PEEK[]")
    client.writer.write(b"x FETCH 1 BODY.PEEK[]\r\n" * 2000)
    await asyncio.sleep(0.3)
    session = next(iter(running.server.connections))
    assert session.wire.transport is not None
    assert session.wire.transport.get_write_buffer_size() + session.wire._out_size < 4 << 20
    client.writer.transport.abort()


async def test_a_large_literal_waits_for_room_or_is_refused(running: Running) -> None:
    class NoRoom:
        async def take(self, octets: int, owner: str = "") -> None:
            assert owner == accounts[0]
            raise TimeoutError

        def release(self, octets: int, owner: str = "") -> None:
            raise AssertionError("nothing was taken")

    running.service.room = NoRoom()
    client = await running.login()
    accounts = [session.login.account for session in running.server.connections if session.login is not None]
    one = message(body="x" * 70_000)
    await client.no(b"APPEND INBOX {%d}" % len(one), "UNAVAILABLE")
    await client.no(b"APPEND INBOX {%d+}\r\n" % len(one) + one, "UNAVAILABLE")
    await client.ok("STATUS INBOX (MESSAGES)")
    assert client.untagged == [b"* STATUS INBOX (MESSAGES 0)"]
    await client.append(message())
    await client.close()


async def test_many_short_literals_ask_for_room_as_a_long_one_does(running: Running) -> None:
    """Two hundred literals of 64 KiB are 13 MB that nothing counted, in each of an account's fifty connections."""
    asked: list[int] = []

    class Watched:
        async def take(self, octets: int, owner: str = "") -> None:
            asked.append(octets)
            if sum(asked) > 250_000:
                raise TimeoutError

        def release(self, octets: int, owner: str = "") -> None:
            asked.append(-octets)

    running.service.room = Watched()
    client = await running.login()
    one = message(body="x" * 40_000)
    piece = b" {%d+}\r\n" % len(one) + one
    await client.ok(b"APPEND INBOX" + piece * 5)
    assert asked[:2] == [2 * len(one), 2 * len(one)]
    assert sum(asked) == 0
    asked.clear()
    await client.no(b"APPEND INBOX" + piece * 9, "UNAVAILABLE")
    await client.ok("STATUS INBOX (MESSAGES)")
    assert client.untagged == [b"* STATUS INBOX (MESSAGES 5)"]
    await client.close()


async def test_a_stranger_sends_few_literals(running: Running) -> None:
    client = await running.client()
    await client.send(b"a ID (" + b" ".join([b"{3+}\r\nabc"] * 40) + b")\r\n")
    assert await client.line() == b"a BAD [TOOBIG] The literal is too large"
    await client.ok(b"LOGIN {%d+}\r\n%b {6+}\r\nsecret" % (len(USER), USER.encode()))
    await client.close()


async def test_a_client_that_leaves_takes_its_literal_along(running: Running) -> None:
    """Connections end in circles that the collector finds late; a message half received must not wait for it."""
    client = await running.login()
    await client.send(b"a APPEND INBOX {3000000+}\r\n" + b"x" * 2_000_000)
    wire = next(iter(running.server.connections)).wire
    async with asyncio.timeout(10):
        while len(wire._literal or b"") < 2_000_000:
            await asyncio.sleep(0.01)
        client.writer.transport.abort()
        while running.server.connections:
            await asyncio.sleep(0.01)
    assert (wire._literal, wire._literals, wire._buffer, wire._text) == (None, [], b"", b"")


async def test_a_long_search_says_how_far_it_is(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailboxes.imap.searching.PROGRESS_EVERY", -1.0)
    client = await running.login()
    await client.append(message())
    await client.ok("SELECT INBOX")
    untagged = await client.ok("SEARCH TEXT bonjour")
    assert untagged[0].startswith(b'* OK [INPROGRESS ("t')
    assert untagged[-1] == b"* SEARCH 1"
    await client.close()


async def test_a_command_holds_a_bounded_number_of_literals(running: Running) -> None:
    client = await running.login()
    await client.send(b"a ID (" + b"{1+}\r\nx " * 250)
    assert (await client.line()).startswith(b"* BYE [LIMIT] command too long")
    assert await closed(client)
