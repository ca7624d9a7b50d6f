"""Several clients on one mailbox at random, each holding the server to what it was told.

Each client keeps the sequence it was told (UIDs by number, flags it saw), and owns the flags of some messages: a flag it
set must still be there when it looks again. Checked at each response: EXPUNGE within bounds and never inside FETCH, STORE or
SEARCH; EXISTS never shrinks; a number always means the same UID; at the end every client and a fresh one agree.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
from pathlib import Path

import pytest

from tests.mailboxes.imap.harness import Client, Pki, Running, message, serving

SECONDS = float(os.environ.get("CADUCEE_STRESS_SECONDS", "4"))
_FETCH = re.compile(rb"\* ([0-9]+) FETCH \((.*)\)\Z", re.DOTALL)
_UID = re.compile(rb"UID ([0-9]+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
OWNED = [b"\\Answered", b"\\Flagged", b"\\Draft", b"$Suivi"]


class Model:
    """What one client was told."""

    def __init__(self, client: Client, number: int, of: int, seed: int) -> None:
        self.client = client
        self.number = number
        self.of = of
        self.random = random.Random(seed)
        self.uids: list[int] = []  # 0 while unknown
        self.mine: dict[int, frozenset[bytes]] = {}
        self.recent: set[int] = set()

    def hear(self, line: bytes, expunge_allowed: bool) -> None:
        words = line.split(b" ", 3)
        if line.endswith(b" EXPUNGE"):
            assert expunge_allowed, line
            place = int(words[1])
            assert 1 <= place <= len(self.uids), line
            gone = self.uids.pop(place - 1)
            self.mine.pop(gone, None)
        elif line.endswith(b" EXISTS"):
            count = int(words[1])
            assert count >= len(self.uids), (line, len(self.uids))
            self.uids += [0] * (count - len(self.uids))
        else:
            self._fetched(line)

    def _fetched(self, line: bytes) -> None:
        found = _FETCH.match(line)
        if not found:
            return
        place = int(found[1])
        assert 1 <= place <= len(self.uids), line
        uid = _UID.search(found[2])
        if uid:
            known = self.uids[place - 1]
            assert known in (0, int(uid[1])), (line, known)
            self.uids[place - 1] = int(uid[1])
            below = [one for one in self.uids[: place - 1] if one]
            assert not below or max(below) < int(uid[1])
        flags = _FLAGS.search(found[2])
        if flags and self.uids[place - 1] in self.mine:
            held = frozenset(flags[1].split()) & frozenset(OWNED)
            assert held == self.mine[self.uids[place - 1]], (line, self.mine[self.uids[place - 1]])

    async def say(self, text: str | bytes, expunge_allowed: bool, ok: bool = True) -> bytes:
        said = await self.client.command(text)
        for line in self.client.untagged:
            self.hear(line, expunge_allowed)
        assert said.startswith(b"OK") or not ok, (text, said)
        return said

    async def step(self) -> None:
        choose = self.random
        count = len(self.uids)
        action = choose.randrange(14)
        if not count or action == 0:
            await self.client.append(message(f"n{choose.random()}"))
            for line in self.client.untagged:
                self.hear(line, True)
        elif action in (1, 2):
            low = choose.randint(1, count)
            await self.say(f"FETCH {low}:{min(count, low + 9)} (UID FLAGS)", False)
        elif action == 3:
            await self.say(f"FETCH {choose.randint(1, count)} (UID BODY.PEEK[HEADER] ENVELOPE)", False)
        elif action == 4:
            await self.say(f"SEARCH {choose.choice(['SEEN', 'ALL', 'DELETED', 'SUBJECT n'])}", False)
        elif action in (5, 6, 7):
            await self._store(choose.randint(1, count))
        elif action == 8:
            await self.say("NOOP", True)
        elif action == 9:
            await self.say(f"STORE {choose.randint(1, count)} +FLAGS.SILENT (\\Deleted)", False)
        elif action == 10 and choose.random() < 0.4:
            await self.say("EXPUNGE", True)
        elif action == 11:
            await self._idle()
        elif action == 12:
            uid = choose.choice(self.uids)
            if uid:
                await self.say(f"UID FETCH {uid} (FLAGS)", True)
        elif action == 13:
            await self.say(f"COPY {choose.randint(1, count)} Archive{self.number}", False, ok=False)

    async def _store(self, place: int) -> None:
        uid = self.uids[place - 1]
        if not uid:
            await self.say(f"FETCH {place} UID", False)
            uid = self.uids[place - 1]
        if not uid or uid % self.of != self.number:
            return
        flags = frozenset(self.random.sample(OWNED, self.random.randint(0, len(OWNED))))
        before = self.mine.get(uid)
        wanted = b" ".join(flags)
        self.mine.pop(uid, None)
        said = await self.say(b"STORE %d FLAGS (%b)" % (place, wanted), False)
        if b"EXPUNGEISSUED" not in said:  # an erased message keeps what it had
            self.mine[uid] = flags
        elif before is not None:
            self.mine[uid] = before
        await self.say(f"FETCH {place} (UID)", False)

    async def _idle(self) -> None:
        await self.client.send(b"i IDLE\r\n")
        while not (line := await self.client.line()).startswith(b"+"):
            self.hear(line, True)
        await asyncio.sleep(self.random.random() / 50)
        await self.client.send(b"DONE\r\n")
        await self.client.finish(b"i")
        for line in self.client.untagged:
            self.hear(line, True)


async def model(running: Running, number: int, of: int, seed: int) -> Model:
    one = Model(await running.login(), number, of, seed)
    await one.say("SELECT INBOX", True)
    return one


async def play(servers: list[Running], seed: int) -> None:
    """Four clients spread over the servers, for a while; at the end they all agree."""
    setter = await servers[0].login()
    for number in range(4):
        await setter.ok(f"CREATE Archive{number}")
    for number in range(30):
        await setter.append(message(f"n{number}"))
    models = [await model(servers[number % len(servers)], number, 4, seed * 100 + number) for number in range(4)]
    steps = 0

    async def live(one: Model) -> None:
        nonlocal steps
        end = asyncio.get_running_loop().time() + SECONDS
        while asyncio.get_running_loop().time() < end:
            await one.step()
            steps += 1

    await asyncio.gather(*[live(one) for one in models])
    if len(servers) > 1:
        await asyncio.sleep(1.5)  # what one process did reaches the other within a second
    for one in models:
        await one.say("NOOP", True)
    fresh = await model(servers[0], 0, 4, 0)
    views = []
    for one in [*models, fresh]:
        if one.uids:
            await one.say("FETCH 1:* (UID)", False)
        flags = await one.client.ok("FETCH 1:* (UID FLAGS)") if one.uids else []
        views.append((one.uids, [line.replace(b" \\Recent", b"").replace(b"\\Recent", b"") for line in flags]))
    assert all(view == views[0] for view in views)
    assert steps > 50
    for one in [*models, fresh]:
        await one.client.close()
    await setter.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_random_clients_are_never_lied_to(running: Running, seed: int) -> None:
    await play([running], seed)


@pytest.mark.slow
async def test_nor_over_two_processes(tmp_path: Path, pki: Pki) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    async with (
        serving(tmp_path, pki, url=url) as first,
        serving(tmp_path, pki, url=url, provisioned=True) as second,
    ):
        await play([first, second], 3)
