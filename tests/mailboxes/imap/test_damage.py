"""When the store fails under a session: precise codes, never garbage, and the session lives on (F11, F13, F14)."""

from __future__ import annotations

import base64
import os

import pytest

from mailboxes.blobs import MemoryBlobs
from mailboxes.store import MailboxGone, StoreFull, StoreUnavailable
from tests.mailboxes.imap.harness import Running, message


@pytest.mark.parametrize(
    ("error", "code"), [(StoreUnavailable, b"UNAVAILABLE"), (StoreFull, b"LIMIT"), (RuntimeError, b"SERVERBUG")]
)
async def test_a_failing_store_is_told_precisely(running: Running, error: type[Exception], code: bytes) -> None:
    client = await running.login(select="INBOX")

    async def failing(*_args: object, **_more: object) -> None:
        raise error

    append, running.store.append_to = running.store.append_to, failing  # type: ignore[assignment, method-assign]
    one = message()
    said = await client.command(b"APPEND INBOX {%d+}\r\n" % len(one) + one)
    assert said.startswith(b"NO [" + code + b"]")
    running.store.append_to = append  # type: ignore[method-assign]
    await client.append(one)
    await client.close()


async def test_a_mailbox_that_is_gone_ends_the_session(running: Running) -> None:
    client = await running.login()

    async def failing(*_args: object) -> None:
        raise MailboxGone

    running.store.folders = failing  # type: ignore[assignment, method-assign]
    await client.send(b'a LIST "" *\r\n')
    assert (await client.line()).startswith(b"* BYE [UNAVAILABLE]")
    await client.close()


async def damaged(running: Running, size: int) -> bytes:
    """A message of about ``size`` bytes whose last stored byte is flipped afterwards."""
    client = await running.login()
    one = message("gros", base64.encodebytes(os.urandom(size)).replace(b"\n", b"\r\n").decode())
    await client.append(one)
    blobs = running.store.blobs
    assert isinstance(blobs, MemoryBlobs)
    for reference, data in blobs.kept.items():
        blobs.kept[reference] = data[:-1] + bytes([data[-1] ^ 1])
    assert blobs.kept
    await client.close()
    return one


async def test_a_flipped_bit_in_a_large_message_is_corruption(running: Running) -> None:
    await damaged(running, 250_000)
    client = await running.login(select="INBOX")
    said = await client.command("FETCH 1 BODY.PEEK[]<300000.30000>")
    assert said.startswith(b"NO [CORRUPTION]")
    assert client.untagged == []
    await client.ok("NOOP")
    await client.close()


async def test_corruption_found_late_ends_the_connection(running: Running) -> None:
    await damaged(running, 1_500_000)
    client = await running.login(select="INBOX")
    with pytest.raises((EOFError, ConnectionError)):
        await client.command("FETCH 1 BODY.PEEK[]")
    await client.close()
