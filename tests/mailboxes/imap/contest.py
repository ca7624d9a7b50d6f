"""Several players on one folder for a while, who must agree at every checkpoint and about every copy at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.mailboxes.imap.hearing import Account, Asked, Lie, World
from tests.mailboxes.imap.players import COPIES, Player
from tests.mailboxes.imap.replies import octets

FOLDER = "Essais"


async def contest(
    accounts: Sequence[Account], seconds: float, seed: int, *, every: float = 3.0, processes: int = 1
) -> World:
    """One player per account, a checkpoint ``every`` so many seconds; they share a folder made for them.

    A process never knows a keyword that lived and went in another one between two looks: with several ``processes`` the
    keyword lists may differ.
    """
    world = World(f"w{seed}", seed, FOLDER)
    players = [
        Player(world, number, account, seed * 100 + number, qresync=number % 3 == 1)
        for number, account in enumerate(accounts)
    ]
    for player in players:
        await player.connect()
    await players[0].play([Asked(f"CREATE {name}".encode()) for name in (FOLDER, COPIES)])
    for player in players:
        await player.select()
    await _live(players, processes, max(round(seconds / every), 1), min(seconds, every))
    await _copies_are_true(players[0])
    await players[0].play([Asked(b"UNSELECT"), *[Asked(f"DELETE {name}".encode()) for name in (COPIES, FOLDER)]])
    for player in players[1:]:
        player.writer.close()
    await players[0].leave()
    return world


async def _live(players: Sequence[Player], processes: int, rounds: int, every: float) -> None:
    barrier = asyncio.Barrier(len(players))

    async def live(player: Player) -> None:
        loop = asyncio.get_running_loop()
        try:
            for _ in range(rounds):
                end = loop.time() + every
                while loop.time() < end:
                    await player.step()
                await _checkpoint(players, processes, barrier, player)
        except BaseException:
            await barrier.abort()  # the others are not to wait for this one
            raise

    try:
        async with asyncio.TaskGroup() as group:
            for player in players:
                group.create_task(live(player))
    except BaseExceptionGroup as failed:
        lies = failed.subgroup(Lie)  # the others only waited for the one who was told it
        if lies is None:
            raise
        raise lies.exceptions[0] from None


async def _checkpoint(players: Sequence[Player], processes: int, barrier: asyncio.Barrier, player: Player) -> None:
    """Everybody stops, says CHECK and compares, first what is known, then everything."""
    await barrier.wait()
    await player.play([Asked(b"CHECK")])
    if await barrier.wait() == 0:
        _agree(players, full=False)
    await barrier.wait()
    every = Asked(b"FETCH 1:* (UID FLAGS MODSEQ INTERNALDATE RFC822.SIZE EMAILID ENVELOPE)")
    threads = Asked(b"THREAD REFERENCES UTF-8 ALL", answered_by=b"THREAD")
    status = Asked(f"STATUS {FOLDER} (MESSAGES)".encode(), answered_by=b"STATUS")
    await player.play([*([every] if player.view else []), threads, status])
    player.threads = threads.answers
    if status.answers[-1].rpartition(b"(")[2] != b"MESSAGES %d)" % len(player.view):
        raise Lie(f"{status.answers} for {len(player.view)} messages")
    if await barrier.wait() == 0:
        _agree(players, full=True)
        if processes == 1 and len({frozenset(player.keywords) for player in players}) != 1:
            raise Lie(f"keywords differ: {[player.keywords for player in players]}")
        _recents(players)
        if len({tuple(one.threads) for one in players}) != 1:
            raise Lie("THREAD differs")
    await barrier.wait()


def _agree(players: Sequence[Player], *, full: bool) -> None:
    """Everybody knows the same folder; ``full`` once everything was asked."""
    first = players[0]
    for player in players:
        if len(player.view) != len(first.view):
            raise Lie(f"players {first.number}, {player.number} see {len(first.view)}, {len(player.view)} messages")
    for place in range(len(first.view)):
        _same(players, place, full)


def _same(players: Sequence[Player], place: int, full: bool) -> None:
    rows = [player.view[place] for player in players]
    for name, known in (
        ("UID", {row.uid for row in rows if row.uid}),
        ("flags", {row.flags - {"\\recent"} for row in rows if row.flags is not None}),
        ("MODSEQ", {row.modseq for row in rows if row.modseq}),
    ):
        if len(known) > 1 or (full and not known):
            raise Lie(f"{name} of number {place + 1} differ: {known} in {rows}")


def _recents(players: Sequence[Player]) -> None:
    """RECENT counts what is shown ``\\Recent``; while nobody has left, every message is, somewhere."""
    world = players[0].world
    for player in players:
        recents = [seen.uid for seen in player.view if "\\recent" in (seen.flags or ())]
        if len(recents) != player.recent:
            raise Lie(f"player {player.number} was told of {player.recent} recents, sees {len(recents)}")
    if not world.ended_sessions:
        nobody = [seen.uid for seen in players[0].view if seen.uid not in world.recent and seen.uid in world.given]
        if nobody:
            raise Lie(f"UIDs {nobody} are \\Recent nowhere")


async def _copies_are_true(player: Player) -> None:
    """What was copied and moved is there, and is what it was."""
    world = player.world
    player.world = World("copies", 0, COPIES)
    player.qresync, player.kept_view = False, []
    await player.select()
    asked = Asked(b"FETCH 1:* (UID INTERNALDATE RFC822.SIZE EMAILID ENVELOPE)")
    await player.play([asked] if player.view else [])
    there = {int(octets(found[b"UID"])): found for found in asked.heard.values()}
    if set(there) != set(world.copies):
        raise Lie(f"copied {sorted(world.copies)}, there are {sorted(there)}")
    for copy, source in world.copies.items():
        for name in (b"INTERNALDATE", b"RFC822.SIZE", b"EMAILID", b"ENVELOPE"):
            known = world.facts.get(source, {})
            if name in known and known[name] != there[copy][name]:
                raise Lie(f"{name!r} of copy {copy} differs from UID {source}")
    player.world = world
