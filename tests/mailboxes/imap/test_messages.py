"""Messages: FETCH, STORE, COPY, MOVE, EXPUNGE, APPEND and what extends them, alone and between two sessions."""

from __future__ import annotations

import base64
import gc
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from mailboxes import fsck, sqlstore, store
from mailboxes.imap import changing, fetch, selecting
from mailboxes.imap.content import batches
from mailboxes.store import Entry
from policies.events import Kind
from policies.values import BalType
from tests.mailboxes.imap.harness import Client, Running, message


async def filled(running: Running, count: int, folder: str = "INBOX") -> Client:
    client = await running.login()
    for number in range(1, count + 1):
        await client.append(message(f"s{number}", f"body{number}"), folder)
    await client.ok(f"SELECT {folder}")
    return client


# FETCH


async def test_fetch_sequence_sets_and_macros(running: Running) -> None:
    client = await filled(running, 3)
    assert await client.ok("FETCH 3:1 UID") == [b"* %d FETCH (UID %d)" % (n, n) for n in (1, 2, 3)]
    assert await client.ok("FETCH 1,* UID") == [b"* 1 FETCH (UID 1)", b"* 3 FETCH (UID 3)"]
    assert await client.ok("FETCH *:1 UID") == [b"* %d FETCH (UID %d)" % (n, n) for n in (1, 2, 3)]
    assert await client.ok("UID FETCH 7:* UID") == [b"* 3 FETCH (UID 3)"]
    await client.ok("STORE 2 FLAGS \\Deleted")
    assert await client.ok("EXPUNGE") == [b"* 2 EXPUNGE", b"* 2 RECENT"]
    assert await client.ok("UID FETCH 1,* UID") == [b"* 1 FETCH (UID 1)", b"* 2 FETCH (UID 3)"]
    assert await client.ok("UID FETCH 2 UID") == []
    await client.bad("FETCH 3 UID")
    await client.bad("FETCH 0 UID")
    await client.bad("FETCH 1 NOTHING")
    await client.bad("FETCH 1")
    untagged = await client.ok("FETCH 1 FULL")
    for word in (b"FLAGS (", b"INTERNALDATE ", b"RFC822.SIZE ", b"ENVELOPE (", b"BODY ("):
        assert word in untagged[0]
    assert b"BODY" not in (await client.ok("FETCH 1 ALL"))[0]
    assert b"ENVELOPE" not in (await client.ok("FETCH 1 FAST"))[0]
    await client.close()


async def test_fetch_sections_and_partials(running: Running) -> None:
    client = await filled(running, 2)
    one = message("s1", "body1")
    head, _ = one.split(b"\r\n\r\n", 1)
    assert await client.ok("FETCH 1 RFC822.HEADER") == [
        b"* 1 FETCH (RFC822.HEADER {%d}\r\n%b\r\n\r\n)" % (len(head) + 4, head)
    ]
    assert await client.ok("FETCH 1 (FLAGS BODY.PEEK[TEXT])") == [
        b"* 1 FETCH (FLAGS (\\Recent) BODY[TEXT] {7}\r\nbody1\r\n)"
    ]
    assert await client.ok("UID FETCH 1 (UID RFC822.peek)") == [  # Outlook
        b"* 1 FETCH (UID 1 RFC822 {%d}\r\n%b)" % (len(one), one)
    ]
    assert await client.ok("FETCH 1 RFC822.TEXT.PEEK") == [b"* 1 FETCH (RFC822.TEXT {7}\r\nbody1\r\n)"]
    assert await client.ok("FETCH 1 RFC822.TEXT") == [
        b"* 1 FETCH (RFC822.TEXT {7}\r\nbody1\r\n)",
        b"* 1 FETCH (FLAGS (\\Seen \\Recent))",
    ]
    assert await client.ok("FETCH 2 BODY.PEEK[TEXT]<0.3>") == [b"* 2 FETCH (BODY[TEXT]<0> {3}\r\nbod)"]
    assert await client.ok("FETCH 2 BODY.PEEK[TEXT]<5.20>") == [b"* 2 FETCH (BODY[TEXT]<5> {2}\r\n\r\n)"]
    assert await client.ok("FETCH 2 BODY.PEEK[TEXT]<90.1>") == [b"* 2 FETCH (BODY[TEXT]<90> {0}\r\n)"]
    assert await client.ok("FETCH 2 BODY.PEEK[HEADER.FIELDS (subject xyz)]") == [
        b"* 2 FETCH (BODY[HEADER.FIELDS (subject xyz)] {15}\r\nSubject: s2\r\n\r\n)"
    ]
    assert await client.ok("FETCH 2 BODY.PEEK[HEADER.FIELDS (xyz)]") == [
        b"* 2 FETCH (BODY[HEADER.FIELDS (xyz)] {2}\r\n\r\n)"
    ]
    untagged = await client.ok("FETCH 2 BODY.PEEK[HEADER.FIELDS.NOT (from to date message-id)]")
    assert untagged[0].endswith(b"Subject: s2\r\n\r\n)")
    assert await client.ok("FETCH 2 BODY.PEEK[7]") == [b"* 2 FETCH (BODY[7] NIL)"]
    assert await client.ok("FETCH 2 BODY.PEEK[1]") == [b"* 2 FETCH (BODY[1] {7}\r\nbody2\r\n)"]
    await client.bad("FETCH 2 BODY[MIME]")
    await client.bad("FETCH 2 BODY[1.]")
    await client.bad("FETCH 2 BODY.PEEK[TEXT]<5.0>")
    await client.close()


NESTED = (
    b"From: user@domain.org\r\nMime-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=out\r\n\r\nprologue\r\n"
    b"--out\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    b"--out\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n"
    b"--in\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--in\r\nContent-Type: text/plain\r\n\r\nplain\r\n--in--\r\n"
    b"--out--\r\n"
)


async def test_fetch_nested_parts(running: Running) -> None:
    client = await running.login()
    await client.append(NESTED)
    await client.ok("SELECT INBOX")
    expected = {
        "1": b"hello",
        "1.MIME": b"Content-Type: text/plain\r\n\r\n",
        "2.MIME": b"Content-Type: message/rfc822\r\n\r\n",
        "2.HEADER.FIELDS (subject)": b"Subject: inner\r\n\r\n",
        "2.1": b"<p>x</p>",
        "2.2": b"plain",
        "2.2.MIME": b"Content-Type: text/plain\r\n\r\n",
    }
    for section, content in expected.items():
        untagged = await client.ok(f"FETCH 1 BODY.PEEK[{section}]")
        assert untagged == [b"* 1 FETCH (BODY[%b] {%d}\r\n%b)" % (section.encode(), len(content), content)]
        untagged = await client.ok(f"FETCH 1 (BINARY.PEEK[{section}] BINARY.SIZE[{section}])")
        said = (section.encode(), len(content), content, section.encode(), len(content))
        assert untagged == [b"* 1 FETCH (BINARY[%b] {%d}\r\n%b BINARY.SIZE[%b] %d)" % said]
    untagged = await client.ok("FETCH 1 (BINARY.SIZE[] BINARY.PEEK[TEXT]<0.8>)")
    assert untagged == [b"* 1 FETCH (BINARY.SIZE[] %d BINARY[TEXT]<0> {8}\r\nprologue)" % len(NESTED)]
    await client.close()


async def test_binary_decodes_and_counts(running: Running) -> None:
    client = await running.login()
    data = bytes(range(256)) * 2
    coded = base64.encodebytes(data).replace(b"\n", b"\r\n")
    head = b"From: a@b.c\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: "
    await client.append(head + b"base64\r\n\r\n" + coded)
    await client.append(head + b"quoted-printable\r\n\r\nh=C3=A9=\r\nllo\r\n")
    await client.append(head + b"x-unknown\r\n\r\nabc\r\n")
    await client.ok("SELECT INBOX")
    assert await client.ok("FETCH 1 BINARY.SIZE[1]") == [b"* 1 FETCH (BINARY.SIZE[1] 512)"]
    assert await client.ok("FETCH 1 BINARY.PEEK[1]") == [b"* 1 FETCH (BINARY[1] ~{512}\r\n" + data + b")"]
    assert await client.ok("FETCH 1 BINARY.PEEK[1]<250.10>") == [
        b"* 1 FETCH (BINARY[1]<250> ~{10}\r\n" + data[250:260] + b")"
    ]
    assert await client.ok("FETCH 2 BINARY.PEEK[1]") == [b"* 2 FETCH (BINARY[1] {8}\r\nh\xc3\xa9llo\r\n)"]
    await client.no("FETCH 3 BINARY.PEEK[1]", "UNKNOWN-CTE")
    assert await client.ok("FETCH 1 BINARY[9]") == [
        b"* 1 FETCH (BINARY[9] NIL)",
        b"* 1 FETCH (FLAGS (\\Seen \\Recent))",
    ]
    await client.close()


async def test_large_messages_are_streamed(running: Running) -> None:
    client = await running.login()
    coded = base64.encodebytes(b"\x00\xff" * 400_000).replace(b"\n", b"\r\n")
    big = (
        b"From: a@b.c\r\nSubject: gros\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nmot rare\r\n--x\r\n"
        b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + coded + b"\r\n--x--\r\n"
    )
    await client.append(big)
    await client.ok("SELECT INBOX")
    assert await client.ok("FETCH 1 (UID BODY.PEEK[])") == [b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b)" % (len(big), big)]
    untagged = await client.ok("FETCH 1 (BINARY.SIZE[2] BODY.PEEK[1] BODY.PEEK[HEADER.FIELDS (SUBJECT)] RFC822.SIZE)")
    assert untagged == [
        b"* 1 FETCH (BINARY.SIZE[2] 800000 BODY[1] {8}\r\nmot rare BODY[HEADER.FIELDS (SUBJECT)] "
        b"{17}\r\nSubject: gros\r\n\r\n RFC822.SIZE %d)" % len(big)
    ]
    untagged = await client.ok("FETCH 1 BODY.PEEK[]<1000000.5>")
    assert untagged == [b"* 1 FETCH (BODY[]<1000000> {5}\r\n%b)" % big[1000000:1000005]]
    assert await client.ok('SEARCH BODY "mot rare"') == [b"* SEARCH 1"]
    await client.close()


async def test_headers_come_from_wherever_they_are_kept(running: Running) -> None:
    """In the summary, in the message when they are too long for it, in a blob when the message is large too."""
    client = await running.login()
    long = b"X-Long: " + b"x" * 998 + b"\r\n"
    head = b"From: a@b.test\r\nSubject: s\r\n"
    headers = [head, head + 20 * long, head, head + 20 * long]
    for number, (header, body) in enumerate(zip(headers, [1, 1, 300_000, 300_000], strict=True)):
        mark = b"X-Mark: m%d\r\n\r\n" % number
        headers[number] = header + mark
        await client.append(header + mark + b"y" * body + b"\r\n")
    await client.ok("SELECT INBOX")
    expected = [
        b"* %d FETCH (UID %d BODY[HEADER] {%d}\r\n%b)" % (number, number, len(header), header)
        for number, header in enumerate(headers, 1)
    ]
    assert await client.ok("FETCH 1:* (UID BODY.PEEK[HEADER])") == expected
    assert await client.ok("FETCH 4 (UID BODY.PEEK[HEADER])") == expected[3:]
    assert await client.ok("FETCH 3:4 BODY.PEEK[HEADER.FIELDS (Subject)]<9.3>") == [
        b"* %d FETCH (BODY[HEADER.FIELDS (Subject)]<9> {3}\r\ns\r\n)" % number for number in (3, 4)
    ]
    whole = await client.ok("FETCH 1:* (BODY.PEEK[HEADER] BODY.PEEK[TEXT]<0.1>)")
    for number, said in enumerate(whole, 1):
        header = headers[number - 1]
        assert said.startswith(b"* %d FETCH (BODY[HEADER] {%d}\r\n%b BODY[TEXT]<0> {1}" % (number, len(header), header))
    assert await client.ok("SEARCH HEADER X-Mark m3") == [b"* SEARCH 4"]
    assert await client.ok("SEARCH HEADER X-Mark m") == [b"* SEARCH 1 2 3 4"]
    await client.close()


async def test_identifiers_preview_and_dates(running: Running) -> None:
    client = await running.login()
    await client.append(message("a", "Bonjour à tous"), flags='(\\Seen) "05-Mar-2026 10:20:30 +0000"')
    await client.ok("CREATE autre")
    await client.ok("SELECT INBOX")
    await client.ok("COPY 1 autre")
    first = (await client.ok("FETCH 1 (EMAILID THREADID PREVIEW INTERNALDATE SAVEDATE)"))[0]
    assert b"EMAILID (M" in first
    assert b"THREADID (T" in first
    assert "Bonjour à tous".encode() in first
    assert b"20:30 " in first.partition(b"INTERNALDATE")[2]
    await client.ok("SELECT autre")
    copy = (await client.ok("FETCH 1 (EMAILID)"))[0]
    assert copy.partition(b"EMAILID")[2].strip(b" )") in first
    identifier = copy.partition(b"EMAILID (")[2].rstrip(b")").decode()
    assert await client.ok(f"SEARCH EMAILID {identifier}") == [b"* SEARCH 1"]
    assert await client.ok("SEARCH EMAILID Mzz") == [b"* SEARCH"]
    assert b"PREVIEW {" in (await client.ok("FETCH 1 PREVIEW (LAZY)"))[0]
    await client.close()


# STORE


async def test_store_and_two_sessions(running: Running) -> None:
    one = await filled(running, 4)
    two = await running.login(select="INBOX")
    assert await one.ok("STORE 1:3 FLAGS.SILENT (\\Seen)") == []
    assert await two.ok("CHECK") == [b"* %d FETCH (FLAGS (\\Seen))" % n for n in (1, 2, 3)]
    untagged = await one.ok("STORE 2,4 +FLAGS ($Hello World)")
    assert untagged[0].startswith(b"* FLAGS (")
    assert b"* 4 FETCH (FLAGS ($Hello World \\Recent))" in untagged
    assert b"* 4 FETCH (FLAGS ($Hello World))" in await two.ok("NOOP")
    await one.ok("STORE 3 +FLAGS.SILENT (Nouveau)")
    assert (await two.ok("FETCH 3 FLAGS"))[0].startswith(b"* FLAGS (")  # named before it is shown
    # keywords keep their first spelling
    assert await one.ok("STORE 4 FLAGS (world)") == [b"* 4 FETCH (FLAGS (World \\Recent))"]
    # neither overwrites the other
    await one.ok("STORE 1 +FLAGS (\\Draft)")
    await two.ok("STORE 1 -FLAGS (\\Seen)")
    assert await one.ok("NOOP") == [b"* 1 FETCH (FLAGS (\\Draft \\Recent))"]
    assert await two.ok("FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS (\\Draft))"]
    await one.bad("STORE 1 FLAGS (\\Recent)")
    await one.bad("STORE 1 FLAGS (\\Nonsense)")
    await one.bad("STORE 9 FLAGS (\\Seen)")
    await one.bad("STORE 1 COLOURS (\\Seen)")
    await one.no(f"STORE 1 FLAGS ({'k' * 200})", "LIMIT")
    await one.ok("EXAMINE INBOX")
    await one.no("STORE 1 FLAGS (\\Seen)", "NOPERM")
    await one.close()
    await two.close()


async def test_expunge_waits_where_it_must(running: Running) -> None:
    one = await filled(running, 5)
    two = await running.login(select="INBOX")
    await one.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    await two.ok("NOOP")
    assert await one.ok("EXPUNGE") == [b"* 3 EXPUNGE", b"* 1 EXPUNGE", b"* 3 RECENT"]
    # FETCH, STORE and SEARCH by number hear of no EXPUNGE, and numbers mean what they meant
    assert await two.ok("FETCH 5 UID") == [b"* 5 FETCH (UID 5)"]
    assert await two.ok("SEARCH 1:5") == [b"* SEARCH 1 2 3 4 5"]
    assert await two.ok("STORE 4 +FLAGS (\\Flagged)") == [b"* 4 FETCH (FLAGS (\\Flagged))"]
    assert await two.ok("FETCH 4 (FLAGS)") == [b"* 4 FETCH (FLAGS (\\Flagged))"]
    said = await two.command("FETCH 1,4 BODY.PEEK[]")
    assert said.startswith(b"OK [EXPUNGEISSUED]")
    assert len(two.untagged) == 1
    # UID commands may hear
    assert await two.ok("UID FETCH 4 FLAGS") == [
        b"* 4 FETCH (UID 4 FLAGS (\\Flagged))",
        b"* 3 EXPUNGE",
        b"* 1 EXPUNGE",
    ]
    assert await two.ok("FETCH 1:* UID") == [b"* 1 FETCH (UID 2)", b"* 2 FETCH (UID 4)", b"* 3 FETCH (UID 5)"]
    await one.close()
    await two.close()


async def test_new_mail_and_erasure_in_one_poll(running: Running) -> None:
    one = await filled(running, 3)
    two = await running.login(select="INBOX")
    await one.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await one.append(message("neuf"))
    await one.ok("EXPUNGE")
    await one.append(message("neuf encore"))
    assert await two.ok("NOOP") == [b"* 2 EXPUNGE", b"* 4 EXISTS", b"* 0 RECENT"]
    assert await two.ok("FETCH 3:4 (UID FLAGS)") == [b"* 3 FETCH (UID 4 FLAGS ())", b"* 4 FETCH (UID 5 FLAGS ())"]
    await one.close()
    await two.close()


async def test_recent_goes_to_one_session(running: Running) -> None:
    client = await running.login()
    await client.append(message())
    await client.append(message())
    assert b"* 2 RECENT" in await client.ok("EXAMINE INBOX")
    assert b"* 2 RECENT" in await client.ok("SELECT INBOX")
    assert b"* OK [UNSEEN 1] First unseen" in client.untagged
    other = await running.login()
    assert b"* 0 RECENT" in await other.ok("SELECT INBOX")
    assert await other.ok("STATUS INBOX (RECENT)") == [b"* STATUS INBOX (RECENT 0)"]
    assert await client.ok("SEARCH RECENT") == [b"* SEARCH 1 2"]
    assert await client.ok("SEARCH NEW") == [b"* SEARCH 1 2"]
    assert await other.ok("SEARCH OLD") == [b"* SEARCH 1 2"]
    await client.close()
    await other.close()


# COPY, MOVE


async def test_copy(running: Running) -> None:
    client = await filled(running, 5)
    other = await running.login()
    await other.ok("CREATE cible")
    await other.ok("SELECT cible")
    await client.ok("STORE 2 FLAGS.SILENT (\\Draft \\Flagged)")
    said = await client.command("COPY 1:2,4 cible")
    validity = next(line for line in await other.ok("STATUS cible (UIDVALIDITY)") if b"STATUS" in line)
    number = validity.rsplit(b" ", 1)[1].rstrip(b")")
    assert said.startswith(b"OK [COPYUID " + number + b" 1:2,4 1:3]")
    await other.ok("NOOP")
    assert await other.ok("FETCH 1:3 FLAGS") == [
        b"* 1 FETCH (FLAGS (\\Recent))",
        b"* 2 FETCH (FLAGS (\\Draft \\Flagged \\Recent))",
        b"* 3 FETCH (FLAGS (\\Recent))",
    ]
    await client.no("COPY 1 nowhere", "TRYCREATE")
    await client.bad("COPY 9 cible")
    assert (await client.command("UID COPY 99 cible")).startswith(b"OK Nothing")
    await client.close()
    await other.close()


async def test_move(running: Running) -> None:
    client = await filled(running, 3)
    await client.ok("CREATE cible")
    untagged = await client.ok("MOVE 1 cible")
    assert untagged[0].startswith(b"* OK [COPYUID ")
    assert untagged[1:] == [b"* 1 EXPUNGE", b"* 2 RECENT"]
    untagged = await client.ok("UID MOVE 2 cible")
    assert untagged[0].endswith(b" 2 2] Moved")
    # to itself: a new UID
    untagged = await client.ok("MOVE 1 INBOX")
    assert untagged[0].endswith(b" 3 4] Moved")
    assert untagged[1:3] == [b"* 1 EXPUNGE", b"* 1 EXISTS"]
    await client.no("MOVE 1 nowhere", "TRYCREATE")
    await client.ok("EXAMINE INBOX")
    await client.no("MOVE 1 cible", "NOPERM")
    await client.close()


async def test_uid_expunge_and_close(running: Running) -> None:
    client = await filled(running, 4)
    await client.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
    assert await client.ok("UID EXPUNGE 2:9") == [b"* 3 EXPUNGE", b"* 2 EXPUNGE", b"* 2 RECENT"]
    assert await client.ok("CLOSE") == []
    await client.bad("FETCH 1 UID")
    assert b"* 1 EXISTS" in await client.ok("SELECT INBOX")
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.ok("UNSELECT")
    assert b"* 1 EXISTS" in await client.ok("SELECT INBOX")
    await client.close()


# APPEND


async def test_append_refusals(running: Running) -> None:
    client = await running.login()
    await client.no(b"APPEND nowhere {5+}\r\na: b\n", "TRYCREATE")
    await client.no(b"APPEND INBOX {0+}\r\n", "CLIENTBUG")
    await client.no(b"APPEND INBOX {6+}\r\na: \0b\n", "CLIENTBUG")
    await client.no(b"APPEND INBOX {99999999999}", "TOOBIG")
    await client.bad(b"APPEND INBOX (\\Recent) {5+}\r\na: b\n")
    await client.bad(b'APPEND INBOX "not a date" {5+}\r\na: b\n')
    await client.bad(b'APPEND INBOX "31-Feb-2026 10:00:00 +0100" {5+}\r\na: b\n')  # not 3 March
    await client.bad(b'APPEND INBOX "29-Feb-2026 10:00:00 +0100" {5+}\r\na: b\n')
    await client.bad(b"APPEND INBOX")
    virus = message(body="EICAR!")
    said = await client.command(b"APPEND INBOX {%d+}\r\n" % len(virus) + virus)
    assert said.startswith(b"NO [CANNOT] content.infected")
    await client.ok("SELECT INBOX")
    assert b"* 0 EXISTS" in client.untagged
    await client.close()


async def test_a_synchronising_literal_waits_for_the_server(running: Running) -> None:
    client = await running.login()
    one = message()
    await client.send(b"a APPEND INBOX (\\Seen) {%d}\r\n" % len(one))
    assert await client.line() == b"+ OK"
    await client.send(one + b"\r\n")
    assert (await client.finish(b"a")).startswith(b"OK [APPENDUID ")
    await client.close()


async def test_multiappend_is_all_or_nothing(running: Running) -> None:
    client = await running.login()
    one, two = message("un"), message("deux", "EICAR!")
    both = b"APPEND INBOX (\\Seen) {%d+}\r\n%b {%d+}\r\n%b" % (len(one), one, len(two), two)
    await client.no(both, "CANNOT")
    assert await client.ok("STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 0)"]
    two = message("deux")
    both = b'APPEND INBOX (\\Seen) {%d+}\r\n%b "02-Feb-2026 10:00:00 +0100" {%d+}\r\n%b' % (
        len(one),
        one,
        len(two),
        two,
    )
    said = await client.command(both)
    assert b" 1:2] Appended" in said
    await client.close()


async def test_catenate(running: Running) -> None:
    client = await running.login()
    await client.append(b"From: foo@example.com\r\n\r\nHello world body\r\n")
    await client.append(b"From: foo2@example.com\r\n\r\nLookslike: header\r\n\r\nAnother body\r\n")
    await client.ok("CREATE but")
    validity = (await client.ok("STATUS INBOX (UIDVALIDITY)"))[0].rsplit(b" ", 1)[1].rstrip(b")").decode()
    text = "TEXT {7+}\r\nbody1\r\n"
    for url in (
        "/INBOX/;uid=1/;section=header",
        f"/INBOX;uidvalidity={validity}/;uid=1/;section=header",
        "imap://u1@localhost/INBOX/;uid=1/;section=HEADER",
    ):
        await client.ok(f'APPEND but (\\Seen) CATENATE (URL "{url}" {text})')
    await client.ok(f'APPEND but CATENATE (URL "/INBOX/;uid=2/;section=text" {text})')
    await client.ok('APPEND but CATENATE (URL "/INBOX/;uid=2/;partial=100000.1" TEXT {6+}\r\nA: b\r\n)')
    await client.ok('APPEND but CATENATE (URL "/INBOX/;uid=1") CATENATE (URL "/INBOX/;uid=2")')
    await client.no(f'APPEND but CATENATE (URL "/INBOX;uidvalidity=12345/;uid=1" {text})', "BADURL")
    await client.no(f'APPEND but CATENATE ({text} URL "/nowhere/;uid=1")', "BADURL")
    await client.no(f'APPEND but CATENATE ({text} URL "/INBOX/;uid=77")', "BADURL")
    await client.no('APPEND but CATENATE (URL "http://x/")', "BADURL")
    await client.no(f'APPEND nowhere CATENATE (URL "/INBOX/;uid=1" {text})', "TRYCREATE")
    await client.bad("APPEND but CATENATE ()")
    await client.ok("SELECT but")
    untagged = await client.ok("FETCH 1:* BODY.PEEK[]")
    bodies = [line.split(b"}\r\n", 1)[1][:-1] for line in untagged]
    assert bodies[0] == bodies[1] == bodies[2] == b"From: foo@example.com\r\n\r\nbody1\r\n"
    assert bodies[3] == b"Lookslike: header\r\n\r\nAnother body\r\nbody1\r\n"
    assert bodies[4] == b"A: b\r\n"
    assert bodies[5].endswith(b"Hello world body\r\n")
    assert len(bodies) == 7
    await client.close()


async def test_binary_append_keeps_the_bytes_reachable(running: Running) -> None:
    client = await running.login()
    head = b"From: a@b.c\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    data = b"a\0b" * 100
    whole = head + data
    await client.ok(b"APPEND INBOX ~{%d+}\r\n" % len(whole) + whole)
    await client.no(b"APPEND INBOX ~{14+}\r\nFrom: a\r\n\r\nx\0y", "UNKNOWN-CTE")
    await client.ok("SELECT INBOX")
    assert await client.ok("FETCH 1 BINARY.PEEK[1]") == [b"* 1 FETCH (BINARY[1] ~{300}\r\n" + data + b")"]
    assert b"\0" not in (await client.ok("FETCH 1 BODY.PEEK[]"))[0]
    await client.close()


async def test_utf8_append_needs_to_be_enabled(running: Running) -> None:
    client = await running.login()
    one = "Subject: été\r\n\r\nx\r\n".encode()
    await client.bad(b"APPEND INBOX UTF8 (~{%d+}\r\n%b)" % (len(one), one))
    await client.ok("ENABLE UTF8=ACCEPT")
    await client.ok(b"APPEND INBOX UTF8 (~{%d+}\r\n%b)" % (len(one), one))
    await client.close()


async def test_replace(running: Running) -> None:
    client = await filled(running, 2)
    one = message("neuf")
    untagged = await client.ok(b"REPLACE 1 INBOX (\\Draft) {%d+}\r\n%b" % (len(one), one))
    assert untagged[0].endswith(b" 3] Replacement")
    assert untagged[1:4] == [b"* 1 EXPUNGE", b"* 2 EXISTS", b"* 2 RECENT"]
    untagged = await client.ok(b"UID REPLACE 2 Drafts {%d+}\r\n%b" % (len(one), one))
    assert b"* 1 EXPUNGE" in untagged
    await client.no(b"UID REPLACE 2 INBOX {%d+}\r\n%b" % (len(one), one), "NONEXISTENT")
    await client.bad(b"REPLACE 9 INBOX {%d+}\r\n%b" % (len(one), one))
    await client.no(b"REPLACE 1 nowhere {%d+}\r\n%b" % (len(one), one), "TRYCREATE")
    await client.close()


@pytest.mark.parametrize("word", ["FETCH 1 UID", "STORE 1 FLAGS ()", "SEARCH ALL", "COPY 1 INBOX", "EXPUNGE", "CLOSE"])
async def test_nothing_of_a_folder_before_select(running: Running, word: str) -> None:
    client = await running.login()
    await client.bad(word)
    await client.close()


# portions


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for where in (store, sqlstore):
        monkeypatch.setattr(where, "PORTION", 2)


async def test_many_messages_are_changed_portion_by_portion(running: Running, small: None) -> None:
    """Everybody's mail waits for a transaction: one that held 100 000 messages held it for seconds."""
    running.people.types[1] = BalType.ORG
    client = await filled(running, 5)
    await client.ok("CREATE cible")

    async def counts(command: str, kind: Kind) -> tuple[list[bytes], list[int]]:
        running.journal.events.clear()
        told = await client.ok(command)
        return told, [event.detail["count"] for event in running.journal.events if event.kind is kind]

    await client.ok("ENABLE QRESYNC")
    told, events = await counts("STORE 1:* +FLAGS (\\Deleted)", Kind.CHANGED)
    assert events == [2, 2, 1]
    assert [b"\\Deleted" in line for line in told if b"FETCH" in line] == [True] * 5
    told, events = await counts("MOVE 1:* cible", Kind.CHANGED)
    assert events == [2, 2, 1]
    assert [line.split()[-3:-1] for line in told if b"COPYUID" in line] == [[b"1:5", b"1:5]"]]
    assert b"* VANISHED 1:5" in told
    await client.ok("SELECT cible")
    told, events = await counts("UID EXPUNGE 1:3", Kind.ERASED)
    assert [line for line in told if b"VANISHED" in line] == [b"* VANISHED 1:2", b"* VANISHED 3"]
    assert events == [2, 1]
    for number in range(3):
        await client.append(message(f"m{number}", "text"), "cible", "(\\Deleted)")
    highest = (await client.ok("STATUS cible (HIGHESTMODSEQ)"))[-1].rstrip(b")").split()[-1]
    running.journal.events.clear()
    said = await client.command("CLOSE")
    assert [event.detail["count"] for event in running.journal.events if event.kind is Kind.ERASED] == [2, 2, 1]
    assert b"[HIGHESTMODSEQ %d]" % (int(highest) + 3) in said
    await client.close()


async def test_what_many_messages_change_is_told_portion_by_portion(running: Running, small: None) -> None:
    """Told at the end, 100 000 messages and a live search kept everybody waiting for half a second."""
    client = await filled(running, 5)
    await client.ok("SEARCH RETURN (UPDATE COUNT) UNSEEN")
    tag = b't%d") ' % client.number
    told = await client.ok("STORE 1:* +FLAGS (\\Seen)")
    assert [line.partition(tag)[2] for line in told if tag in line] == [
        b"REMOVEFROM (0 1:2)",
        b"REMOVEFROM (0 3:4)",
        b"REMOVEFROM (0 5)",
    ]
    assert [line.split()[1] for line in told if b"FETCH" in line] == [b"1", b"2", b"3", b"4", b"5"]
    await client.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    told = await client.ok("EXPUNGE")
    assert [line for line in told if b"EXPUNGE" in line] == [b"* %d EXPUNGE" % number for number in (2, 1, 2, 1, 1)]
    await client.close()


async def test_reading_many_messages_marks_them_portion_by_portion(running: Running, small: None) -> None:
    client = await filled(running, 5)
    before = (await client.ok("STATUS INBOX (HIGHESTMODSEQ)"))[-1].rstrip(b")").split()[-1]
    await client.ok("FETCH 1:* BODY[]")
    after = (await client.ok("STATUS INBOX (HIGHESTMODSEQ UNSEEN)"))[0]
    assert after.endswith(b"(HIGHESTMODSEQ %d UNSEEN 0)" % (int(before) + 3))
    await client.close()


async def test_a_large_folder_is_deleted_and_inbox_renamed_portion_by_portion(
    running: Running, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await filled(running, 5)
    works: list[object] = []
    run = running.store.committer.run

    async def counted(work: Any) -> Any:
        works.append(work)
        return await run(work)

    monkeypatch.setattr(running.store.committer, "run", counted)
    await client.ok("UNSELECT")
    await client.ok("RENAME INBOX Archive2026")
    assert len(works) == 4
    status = await client.ok("STATUS Archive2026 (MESSAGES UIDNEXT)")
    assert status == [b"* STATUS Archive2026 (MESSAGES 5 UIDNEXT 6)"]
    assert await client.ok("STATUS INBOX (MESSAGES)") == [b"* STATUS INBOX (MESSAGES 0)"]
    works.clear()
    await client.ok("DELETE Archive2026")
    assert len(works) == 3
    await client.no("SELECT Archive2026", "NONEXISTENT")
    assert (await running.store.quota(1)).messages == 0
    report = await fsck.check(running.store, now=0)
    assert report.healthy
    await client.close()


async def test_what_is_asked_of_very_many_is_looked_for_beside_the_event_loop(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of these kept everybody waiting for 10 to 55 ms of 100 000 messages."""
    here, seen = threading.get_ident(), set()
    steps = {
        fetch: ("_chosen", "_uids_of", "_compacted"),
        changing: ("_stored_text", "_copyuid", "marked"),
        selecting: ("_changed_since",),
    }

    def watched(name: str, work: Callable[..., Any], *given: Any) -> Any:
        if threading.get_ident() != here:
            seen.add(name)
        return work(*given)

    for module, names in steps.items():
        for name in names:
            monkeypatch.setattr(module, name, partial(watched, name, getattr(module, name)))
    monkeypatch.setattr("mailboxes.imap.beside.HERE", 2)
    monkeypatch.setattr(fetch, "CHOSEN_HERE", 2)
    client, other = await filled(running, 8), await running.login()
    await other.ok("ENABLE QRESYNC")
    await other.ok("SELECT INBOX")
    inbox = (await running.store.folder(1, "INBOX")).uidvalidity
    await client.ok("CREATE autre")
    await client.ok("SEARCH RETURN (SAVE) OR 1:3 7:8")
    assert [line[:9] for line in await client.ok("FETCH $ UID")] == [b"* %d FETCH" % at for at in (1, 2, 3, 7, 8)]
    assert len(await client.ok("UID FETCH 2:* (FLAGS) (PARTIAL -1:-4)")) == 4
    assert (await client.ok("FETCH 1:* (FLAGS) (CHANGEDSINCE 1000)"))[1:] == []
    await client.bad("FETCH 1:100 UID")
    assert (await client.command("COPY $ autre")).endswith(b" 1:3,7:8 1:5] Copied")
    said = await client.command("STORE 1:* (UNCHANGEDSINCE 2) +FLAGS (\\Flagged)")
    assert said.startswith(b"OK [MODIFIED 2:8]"), said
    await client.ok("STORE $ +FLAGS.SILENT (\\Deleted)")
    assert b"* OK [COPYUID %d 4:6 6:8] Moved" % (await running.store.folder(1, "autre")).uidvalidity in await other.ok(
        "MOVE 4:6 autre"
    )
    await client.ok("UID EXPUNGE 1:3")
    await client.ok("CLOSE")
    await other.ok("UNSELECT")
    assert b"* VANISHED (EARLIER) 1:8" in await other.ok(f"SELECT INBOX (QRESYNC ({inbox} 1))")
    validity = (await running.store.folder(1, "autre")).uidvalidity
    told = await other.ok(f"SELECT autre (QRESYNC ({validity} 1 1:4,6))")
    assert [line.split()[1] for line in told if b" FETCH (" in line] == [b"1", b"2", b"3", b"4", b"6"]
    assert seen == {name for names in steps.values() for name in names}
    await client.close()
    await other.close()


def test_the_batches_of_a_large_folder_are_found_as_they_are_read() -> None:
    """Of 100 000 messages the first waited for the last, 14 ms."""
    looked: list[int] = []

    class Looked(list[Entry]):
        def __iter__(self):
            for place in range(len(self)):
                looked.append(place)
                yield self[place]

    entries = Looked(Entry(uid, 1, "", 1000, 0, 0, uid, b"", 0) for uid in range(1, 10_001))
    found = batches(entries, 500)
    assert next(found) == (0, 500)
    assert len(looked) <= 501
    assert [*found][-1] == (9500, 10_000)


async def test_what_is_erased_portion_by_portion_is_freed_portion_by_portion(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EXPUNGE of 50 000 here and there held on to them all until its end, where to free them took 8 ms."""
    monkeypatch.setattr(store, "PORTION", 2)
    client = await filled(running, 9)
    await client.ok("STORE 1:4,6:9 +FLAGS.SILENT (\\Deleted)")
    left: list[int] = []
    expunge = running.store.expunge

    async def counted(*given: Any) -> list[int]:
        gc.collect()
        left.append(sum(isinstance(one, Entry) and "\\Deleted" in one.flags for one in gc.get_objects()))
        return await expunge(*given)

    monkeypatch.setattr(running.store, "expunge", counted)
    await client.ok("EXPUNGE")
    assert len(left) == 4
    assert left[-1] < left[0]
    await client.close()
