"""Messages another session erased, which this one may not be told yet: they still have a number, and answers (RFC 2180)."""

from __future__ import annotations

from collections.abc import Sequence

from mailboxes.anatomy import Summary
from mailboxes.store import Entry
from tests.mailboxes.imap.harness import Client, Running, message
from tests.mailboxes.imap.test_sync import code, filled


async def erase(client: Client, numbers: str, other: Client) -> None:
    """The other session knows what is about to go, and not that it went."""
    await client.ok(f"STORE {numbers} +FLAGS.SILENT (\\Deleted)")
    await other.ok("NOOP")
    await client.ok("EXPUNGE")


async def test_store_gives_an_erased_message_flags_for_the_asker_alone(running: Running) -> None:
    one = await filled(running, 3)
    two = await running.login(select="INBOX")
    await erase(one, "2", two)
    said = await two.command("STORE 1:2 +FLAGS (\\Flagged $Neuf)")
    assert said.startswith(b"OK [EXPUNGEISSUED]")
    assert two.untagged[-2:] == [
        b"* 1 FETCH (FLAGS (\\Flagged $Neuf))",
        b"* 2 FETCH (FLAGS (\\Deleted \\Flagged $Neuf))",
    ]
    assert any(line.startswith(b"* FLAGS (") and b"$Neuf" in line for line in two.untagged)
    assert await two.ok("FETCH 2 (UID FLAGS)") == [b"* 2 FETCH (UID 2 FLAGS (\\Deleted \\Flagged $Neuf))"]
    assert (await two.command("STORE 2 -FLAGS.SILENT (\\Flagged)")).startswith(b"OK [EXPUNGEISSUED]")
    assert await two.ok("FETCH 2 FLAGS") == [b"* 2 FETCH (FLAGS (\\Deleted $Neuf))"]
    assert await two.ok("NOOP") == [b"* 2 EXPUNGE"]
    await one.ok("NOOP")
    assert await one.ok("FETCH 1:* (UID FLAGS)") == [
        b"* 1 FETCH (UID 1 FLAGS (\\Flagged $Neuf \\Recent))",
        b"* 2 FETCH (UID 3 FLAGS (\\Recent))",
    ]
    await one.close()
    await two.close()


async def test_search_sort_and_thread_say_that_an_erased_message_is_left_out(running: Running) -> None:
    one = await filled(running, 4)
    two = await running.login(select="INBOX")
    await erase(one, "3", two)
    running.service.cache.clear()
    for asked, answer in (
        ("SEARCH TEXT bonjour", b"* SEARCH 1 2 4"),
        ("SORT (SUBJECT) UTF-8 ALL", b"* SORT 1 2 4"),
        ("THREAD ORDEREDSUBJECT UTF-8 ALL", b"* THREAD (1)(2)(4)"),
    ):
        said = await two.command(asked)
        assert said.startswith(b"OK [EXPUNGEISSUED] "), asked
        assert two.untagged == [answer], asked
    assert await two.ok("SEARCH ALL") == [b"* SEARCH 1 2 3 4"]  # the index is enough
    assert await two.ok("NOOP") == [b"* 3 EXPUNGE"]
    said = await two.command("SEARCH TEXT bonjour")
    assert said == b"OK Searched"
    await one.close()
    await two.close()


async def test_reading_what_was_just_erased_is_no_fault_of_the_store(running: Running) -> None:
    one = await filled(running, 2)
    two = await running.login(select="INBOX")
    await erase(one, "1", two)
    running.service.cache.clear()
    before = len(running.journal.events)
    said = await two.command("FETCH 1:2 BODY.PEEK[TEXT]")
    assert said.startswith(b"OK [EXPUNGEISSUED]")
    assert two.untagged == [b"* 2 FETCH (BODY[TEXT] {9}\r\nBonjour\r\n)"]
    assert len(running.journal.events) == before
    await one.close()
    await two.close()


async def test_while_an_erasure_waits_the_other_messages_are_told_as_they_are(running: Running) -> None:
    one = await filled(running, 3)
    two = await running.login()
    await two.ok("SELECT INBOX (CONDSTORE)")
    await one.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await two.ok("NOOP")
    await one.ok("STORE 3 +FLAGS.SILENT (\\Answered)")
    await one.ok("EXPUNGE")
    await one.ok("STORE 2 +FLAGS.SILENT (\\Flagged)")  # the same message, on the other side of the erasure
    told = await two.ok("FETCH 3 (UID)")
    assert told[0] == b"* 3 FETCH (UID 3)"
    flags = [line for line in told if b" 3 FETCH (FLAGS (\\Answered \\Flagged)" in line]
    assert len(flags) == 1
    assert await two.ok("NOOP") == [b"* 1 EXPUNGE"]  # nothing of UID 3 again, least of all an older state
    await one.close()
    await two.close()


async def test_a_modseq_told_ahead_of_an_erasure_does_not_hide_it_from_qresync(running: Running) -> None:
    one = await filled(running, 3)
    two = await running.login()
    await two.ok("ENABLE QRESYNC")
    opened = await two.ok("SELECT INBOX")
    validity, before = code(opened, b"UIDVALIDITY"), code(opened, b"HIGHESTMODSEQ")
    await erase(one, "1", two)
    told = await two.ok("STORE 3 +FLAGS (\\Flagged)")
    assert any(b"3 FETCH (UID 3 FLAGS (\\Flagged) MODSEQ (" in line for line in told)
    behind = code(told, b"HIGHESTMODSEQ")
    assert before <= behind < before + 2  # not after the erasure
    await two.close()
    again = await running.login()
    await again.ok("ENABLE QRESYNC")
    assert b"* VANISHED (EARLIER) 1" in await again.ok(f"SELECT INBOX (QRESYNC ({validity} {behind}))")
    await one.close()
    await again.close()


async def test_recent_is_counted_again_after_an_erasure(running: Running) -> None:
    client = await filled(running, 3)
    other = await running.login(select="INBOX")
    await other.append(message("neuf"))
    await client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await client.ok("EXPUNGE") == [b"* 1 EXPUNGE", b"* 2 RECENT"]
    assert await other.ok("NOOP") == [b"* 1 EXPUNGE"]  # it was not recent here
    await client.close()
    await other.close()


async def test_a_silent_store_tells_what_another_session_changed(running: Running) -> None:
    one = await filled(running, 2)
    two = await running.login(select="INBOX")
    await one.ok("STORE 1 +FLAGS.SILENT (\\Answered)")
    assert await two.ok("STORE 1:2 +FLAGS.SILENT (\\Flagged)") == [b"* 1 FETCH (FLAGS (\\Answered \\Flagged))"]
    assert await two.ok("STORE 1:2 -FLAGS.SILENT (\\Flagged)") == []
    await one.close()
    await two.close()


async def test_catenating_what_is_erased_meanwhile_is_a_bad_url(running: Running) -> None:
    """Not a damage the operator should look into: the URL names nothing any more (RFC 4469 4)."""
    one = await filled(running, 1)
    two = await running.login()
    await one.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    cache = running.service.cache
    summaries = cache.summaries

    async def erased_before(mailbox_id: int, entries: Sequence[Entry]) -> list[Summary]:
        await one.ok("EXPUNGE")
        cache.clear()
        return await summaries(mailbox_id, entries)

    cache.summaries = erased_before  # type: ignore[method-assign]
    try:
        said = await two.no('APPEND INBOX CATENATE (URL "/INBOX/;uid=1")', "BADURL")
    finally:
        cache.summaries = summaries  # type: ignore[method-assign]
    assert said == b'NO [BADURL "/INBOX/;uid=1"] The URL names nothing here'
    await one.close()
    await two.close()
