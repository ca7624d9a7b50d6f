"""Moves a whole mailbox: from another operator, to another operator, or into an archive; nothing twice, nothing lost.

Folders, flags and dates are kept; each message is compared by its SHA-256. A ledger on disk says what was done, so an
interrupted transfer goes on where it stopped (F86, TOU-E07).
Promise: a message is in the ledger only after the target confirmed it; a batch whose confirmation was lost is looked for at
the target before it is sent again. Memory is bounded by :data:`BATCH_OCTETS` plus one message.
Failure: :class:`TransferFailed` for what stops everything; a message that the target refuses is counted and named by its
folder and UID in the report, and the others go on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

BATCH = 50
BATCH_OCTETS = 8 * 1024 * 1024


class TransferFailed(Exception):
    """The transfer cannot go on; the text says why, never with a password or a message's content.

    ``word`` is stable and names what is ours to say: ``place``, ``exists``, ``not_ours``, ``damaged``, ``anew``, ``full``,
    ``store``, ``unknown_server``, ``login``; it is empty where the text is the server's own. ``place`` is the file, folder or part.
    """

    def __init__(self, text: str, word: str = "", place: object = "") -> None:
        super().__init__(text)
        self.word = word
        self.place = place


class Letter(NamedTuple):
    """One message on its way. ``flags`` without ``\\Recent``; ``date`` is its INTERNALDATE, aware."""

    uid: int
    flags: tuple[str, ...]
    date: datetime
    content: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class Shelf(NamedTuple):
    """A folder of the origin. ``name`` uses ``/``; ``special_use`` as RFC 6154 or empty; ``uids`` in order."""

    name: str
    special_use: str
    uidvalidity: int
    uids: tuple[int, ...]


class Origin(Protocol):
    """Where messages come from."""

    def shelves(self) -> list[Shelf]: ...

    def letters(self, shelf: Shelf, uids: Sequence[int]) -> Iterator[Letter]:
        """The messages of these UIDs; those that vanished meanwhile are left out."""
        ...


class Target(Protocol):
    """Where messages go."""

    def open(self, shelf: Shelf) -> None:
        """Make sure the folder exists; following letters are for it."""
        ...

    def holds(self, letter: Letter) -> bool:
        """Whether this very message is in the open folder already."""
        ...

    def put(self, letters: Sequence[Letter]) -> list[str]:
        """Store them durably; one reason per letter, empty when it is there. Raises TransferFailed."""
        ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Report:
    """The outcome. ``refused`` holds (folder, UID, reason); ``digest`` covers the SHA-256 of all messages moved, in order."""

    folders: int = 0
    moved: int = 0
    octets: int = 0
    already: int = 0
    refused: list[tuple[str, int, str]] = field(default_factory=list)
    digest: str = ""

    @property
    def complete(self) -> bool:
        return not self.refused


class Ledger:
    """What was done, one JSON line each, synced: ``sent`` before a batch, ``done`` after it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[tuple[str, int, int], str] = {}
        self.unsure: set[tuple[str, int, int]] = set()
        for line in path.read_bytes().split(b"\n") if path.exists() else ():
            self._learn(line)

    def _learn(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            name, validity = said["folder"], said["uidvalidity"]
            for uid, digest in said["letters"]:
                key = (name, validity, uid)
                if said["state"] == "done":
                    self.done[key] = digest
                    self.unsure.discard(key)
                elif key not in self.done:
                    self.unsure.add(key)
        except (ValueError, KeyError, TypeError):
            return  # the last line of a run that was cut

    def write(self, state: str, shelf: Shelf, letters: Iterable[tuple[int, str]]) -> None:
        """Append and sync."""
        kept = list(letters)
        said = {"state": state, "folder": shelf.name, "uidvalidity": shelf.uidvalidity, "letters": kept}
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, json.dumps(said).encode() + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        if state == "done":
            self.done.update({(shelf.name, shelf.uidvalidity, uid): digest for uid, digest in kept})

    def digest(self) -> str:
        """SHA-256 over the digests of all messages done, by folder and UID."""
        ordered = sorted(self.done.items())
        return hashlib.sha256("".join(f"{key[0]}\0{key[2]}\0{value}\n" for key, value in ordered).encode()).hexdigest()


Step = Callable[[str, int, int], None]
"""Told (folder, messages handled, messages in all) as the work goes on."""


def transfer(origin: Origin, target: Target, ledger: Ledger, step: Step = lambda folder, done, total: None) -> Report:
    """Move everything that the ledger does not know yet."""
    report = Report()
    shelves = origin.shelves()
    total = sum(len(shelf.uids) for shelf in shelves)
    handled = 0
    for shelf in shelves:
        target.open(shelf)
        report.folders += 1
        wanted = [uid for uid in shelf.uids if (shelf.name, shelf.uidvalidity, uid) not in ledger.done]
        report.already += len(shelf.uids) - len(wanted)
        handled += len(shelf.uids) - len(wanted)
        step(shelf.name, handled, total)
        for batch in _batches(origin, shelf, wanted):
            _move(target, ledger, shelf, batch, report)
            handled += len(batch)
            step(shelf.name, handled, total)
    target.close()
    report.digest = ledger.digest()
    return report


def _batches(origin: Origin, shelf: Shelf, uids: Sequence[int]) -> Iterator[list[Letter]]:
    """Letters in portions of at most :data:`BATCH` messages and about :data:`BATCH_OCTETS`."""
    batch: list[Letter] = []
    octets = 0
    for start in range(0, len(uids), BATCH):
        for letter in origin.letters(shelf, uids[start : start + BATCH]):
            if batch and (octets + len(letter.content) > BATCH_OCTETS or len(batch) == BATCH):
                yield batch
                batch, octets = [], 0
            batch.append(letter)
            octets += len(letter.content)
    if batch:
        yield batch


def _move(target: Target, ledger: Ledger, shelf: Shelf, batch: list[Letter], report: Report) -> None:
    there = [
        letter
        for letter in batch
        if (shelf.name, shelf.uidvalidity, letter.uid) in ledger.unsure and target.holds(letter)
    ]
    known = {letter.uid for letter in there}
    fresh = [letter for letter in batch if letter.uid not in known]
    ledger.write("sent", shelf, [(letter.uid, letter.digest) for letter in fresh])
    reasons = target.put(fresh) if fresh else []
    kept = there + [letter for letter, reason in zip(fresh, reasons, strict=True) if not reason]
    report.refused += [(shelf.name, letter.uid, why) for letter, why in zip(fresh, reasons, strict=True) if why]
    if kept:
        ledger.write("done", shelf, [(letter.uid, letter.digest) for letter in kept])
    report.moved += len(kept)
    report.octets += sum(len(letter.content) for letter in kept)


def write_report(path: Path, report: Report) -> None:
    """The report as JSON beside the ledger."""
    path.write_text(json.dumps(asdict(report), indent=2, ensure_ascii=False), "utf-8")
