"""Trying a SEARCH program on messages: reading what its tests need, cheapest first.

Promise: only messages that passed the cheap tests are read; reading is batched, and the event loop is given back between
batches. Failure: messages erased meanwhile are left out, and the reader knows it; what the store raises goes to the
caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial

from mailboxes.imap.content import Cache, Folding, batches, headers_now, reads
from mailboxes.imap.search import BOTH, CONTENT, INDEX, TEXT, Message, Test
from mailboxes.store import MissingBody

STRIDE = 64  # messages tried between two looks at the clock
TURN = 0.004  # seconds: what came before and comes after is in the same turn


async def matching(
    reader: Reader,
    messages: list[Message],
    tests: list[Test],
    progress: Callable[[int, int], Awaitable[None]] | None = None,
) -> list[Message]:
    """The messages all tests hold for, in order."""
    for test in tests:
        if test.need == INDEX:
            messages = await _holding(test, messages)
            continue
        kept: list[Message] = []
        entries = [message.entry for message in messages]
        slices = batches(entries) if test.need in (TEXT, BOTH) else _slices(len(entries))
        fill = partial(_fill, reader, messages, test.need)
        async with aclosing(reads(slices, fill)) as ready:
            async for _, end, task in ready:
                kept += await _holding(test, task.result())
                if progress is not None:
                    await progress(end, len(entries))
                await asyncio.sleep(0)
        messages = kept
    return messages


async def _fill(reader: Reader, messages: list[Message], need: int, start: int, end: int) -> list[Message]:
    return await reader.fill(messages[start:end], need)


async def _holding(test: Test, messages: list[Message]) -> list[Message]:
    """The messages a test holds for; a costly test gives the event loop back every few milliseconds."""
    if test.keep is not None:  # cheap
        return test.keep(messages)
    loop = asyncio.get_running_loop()
    last = loop.time()
    kept: list[Message] = []
    for start in range(0, len(messages), STRIDE):
        kept += test.kept(messages[start : start + STRIDE])
        if loop.time() - last > TURN:
            await asyncio.sleep(0)
            last = loop.time()
    return kept


def _slices(count: int, step: int = 1000) -> list[tuple[int, int]]:
    return [(start, min(start + step, count)) for start in range(0, count, step)]


class Reader:
    """Gives messages what their tests need. ``complete`` until some were erased meanwhile."""

    def __init__(self, cache: Cache, mailbox_id: int) -> None:
        self.cache = cache
        self.mailbox_id = mailbox_id
        self.complete = True
        self._folding = Folding()

    async def fill(self, messages: list[Message], need: int) -> list[Message]:
        """The messages, readable; those erased meanwhile are left out."""
        try:
            await self._fill(messages, need)
        except MissingBody:
            return await self._singly(messages, need)
        return messages

    def fill_now(self, messages: list[Message], need: int) -> bool:
        """The same from memory alone; False when something would have to be read."""
        if need == INDEX:
            return True
        summaries = self.cache.summaries_now([message.entry for message in messages])
        if summaries is None:
            return False
        for message, summary in zip(messages, summaries, strict=True):
            message.summary = summary
        entries = [message.entry for message in messages]
        headers = headers_now(summaries) if need in (CONTENT, BOTH) else []
        texts = self.cache.texts_now(entries) if need in (TEXT, BOTH) else []
        if headers is None or texts is None:
            return False
        for message, header in zip(messages, headers, strict=False):
            message.content = header
        for message, text in zip(messages, texts, strict=False):
            message.text = text
        return True

    async def _singly(self, messages: list[Message], need: int) -> list[Message]:
        kept: list[Message] = []
        for message in messages:
            try:
                await self._fill([message], need)
            except MissingBody:
                self.complete = False
                continue
            kept.append(message)
        return kept

    async def _fill(self, messages: list[Message], need: int) -> None:
        entries = [message.entry for message in messages]
        summaries = await self.cache.summaries(self.mailbox_id, entries)
        for message, summary in zip(messages, summaries, strict=True):
            message.summary = summary
        if need in (CONTENT, BOTH):
            await self._contents(messages)
        if need in (TEXT, BOTH):
            await self._texts(messages)

    async def _contents(self, messages: list[Message]) -> None:
        entries = [message.entry for message in messages]
        summaries = [message.summary for message in messages]
        headers = await self.cache.headers(self.mailbox_id, entries, summaries)
        for message, header in zip(messages, headers, strict=True):
            message.content = header

    async def _texts(self, messages: list[Message]) -> None:
        """The folded texts, made in a thread where they are not in memory."""
        held = self.cache.text_cache.get_all([message.entry[6] for message in messages])
        for message in messages:
            message.text = held.get(message.entry[6], b"")
        missing = [message for message in messages if message.entry[6] not in held]
        if not missing:
            return
        bodies = await self.cache.bodies(self.mailbox_id, [message.entry for message in missing])
        summaries = [message.summary for message in missing]
        texts = await asyncio.to_thread(self._folding.texts, bodies, summaries)
        for message, text in zip(missing, texts, strict=True):
            message.text = text
        self.cache.text_cache.put_all([message.entry[6] for message in missing], texts)
