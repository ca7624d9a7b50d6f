"""First dialogue: from the greeting to reading a message."""

from __future__ import annotations

from tests.mailboxes.imap.harness import Running, message


async def test_a_mail_program_reads_its_mail(running: Running) -> None:
    client = await running.client()
    assert client.greeting.startswith(b"* OK [CAPABILITY IMAP4rev1 IMAP4rev2")
    await client.ok("LOGIN u1@op-a.mssante.test secret")
    said = await client.append(message("Compte rendu"))
    assert b"[APPENDUID " in said
    untagged = await client.ok("SELECT INBOX")
    assert b"* 1 EXISTS" in untagged
    assert b"* 1 RECENT" in untagged
    untagged = await client.ok("FETCH 1 (UID FLAGS ENVELOPE BODY[TEXT])")
    assert untagged[0].startswith(b'* 1 FETCH (UID 1 FLAGS (\\Recent) ENVELOPE ("Mon, 02 Mar 2026 10:00:00 +0100"')
    assert untagged[0].endswith(b"BODY[TEXT] {9}\r\nBonjour\r\n)")
    assert untagged[1] == b"* 1 FETCH (FLAGS (\\Seen \\Recent))"
    assert await client.ok("SEARCH TEXT bonjour") == [b"* SEARCH 1"]
    assert await client.ok('LIST "" %')
    await client.ok("STORE 1 +FLAGS (\\Deleted)")
    assert await client.ok("EXPUNGE") == [b"* 1 EXPUNGE", b"* 0 RECENT"]
    await client.ok("LOGOUT")


async def test_spaces_to_spare_are_read_over(running: Running) -> None:
    """Dovecot reads them, so programs write them; those within a string are part of it."""
    client = await running.client()
    assert await client.ok('ID ( "name" "aioimaplib"  "version" NIL ) ')
    await client.ok(" LOGIN u1@op-a.mssante.test  secret ")
    await client.append(message("Compte  rendu"))
    await client.ok("NOOP ")
    await client.ok("SELECT  INBOX ")
    await client.ok("CREATE {7}\r\nEssai 1 ")
    assert await client.ok("STATUS INBOX (MESSAGES )") == [b"* STATUS INBOX (MESSAGES 1)"]
    assert await client.ok("FETCH 1  ( UID  FLAGS ) ") == [b"* 1 FETCH (UID 1 FLAGS (\\Recent))"]
    said = await client.ok("UID  FETCH 1 (BODY.PEEK[HEADER.FIELDS ( Subject  To )])")
    assert b"Subject: Compte  rendu" in said[0]
    assert await client.ok("UID SEARCH UNDELETED UID 1:* ") == [b"* SEARCH 1"]
    assert await client.ok('SEARCH SUBJECT  "Compte  rendu" ') == [b"* SEARCH 1"]
    assert await client.ok('SEARCH SUBJECT  "Compte rendu" ') == [b"* SEARCH"]
    await client.bad('SEARCH SUBJECT  "Compte  rendu')
    await client.bad("FETCH 1 (UID ) FLAGS")
    await client.bad("FETCH 1 ( )")
    await client.ok("LOGOUT  ")


async def test_a_person_at_a_terminal_is_answered(running: Running) -> None:
    """``openssl s_client`` ends lines in LF alone."""
    client = await running.client()
    await client.send(b'a LOGIN "u1@op-a.mssante.test" {6}\nsecret\nb APPEND INBOX {8+}\nA: b\r\n\r\n\nc IDLE\n')
    told = [await client.line() for _ in range(4)]
    assert told[0].startswith(b"+ ")
    assert [line.split(b" ")[:2] for line in told[1:]] == [[b"a", b"OK"], [b"b", b"OK"], [b"+", b"idling"]]
    await client.send(b'DONE\nd LIST INBOX "\rx"\n')
    assert (await client.line()).startswith(b"c OK")
    assert (await client.line()).startswith(b"d BAD")
    await client.close()
