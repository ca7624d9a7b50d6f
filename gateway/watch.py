"""A watched folder: each file dropped in it is sent, and ends in ``done/`` or in ``refused/`` with a readable reason beside it.

A file is taken once its size and date have stayed the same for a while; an empty one, which its program may have only opened,
once it is old: nobody would be told otherwise that this result never left. It moves by rename only: from the folder to
``sending/``, from there to ``done/`` or ``refused/``; what a crash leaves in ``sending/`` is taken up again at the next look, and
so is what could not be sent for now. A file is known by the digest of its octets, kept in ``done/.sent``: the same octets leave
this folder once, and the Message-ID made from the digest, the sender and the recipients is the same at each attempt.
``cr.json`` (or ``cr.pdf.json``) beside ``cr.pdf`` tells whom it is about. It goes ahead of its document into ``sending/`` and
follows it out, as ``cr.pdf.json``, and counts in the digest: a leaflet may leave for two patients. A PDF waits for it; what comes
alone is refused once it is old.
Promise: at every moment each file is in exactly one place, whole, and one file never stops the others. Failure: a folder that is
missing, full or cannot be written raises ``OSError``, before anything leaves.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fcntl import LOCK_EX, LOCK_NB, flock
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Protocol

LARGEST = 64 * 1024 * 1024
_PATIENCE = 300.0
_LONGEST_NAME = 220
_ROOM = 16 * 1024
_PLACES = ("sending", "done", "refused")
_EMPTY = (
    "[HID-003] le fichier est vide : produisez-le de nouveau depuis le logiciel",
    "[HID-003] the file is empty: produce it again from your software",
)
_TOLD = ".json"
_LARGEST_TOLD = 1 << 20
_UNTOLD = (
    "attend le fichier .json du même nom, qui dit de qui il parle",
    "waits for the .json file of the same name, which tells whom it is about",
)
_ALONE = (
    "aucun document du même nom n’est venu : déposez les deux, celui-ci d’abord",
    "no document of the same name came: drop both, this one first",
)
_TEMPORARY = (".tmp", ".part", ".partial", ".filepart", ".crdownload", "~")


class Refused(Exception):
    """The file will never be sent as it is: ``french`` and ``english`` tell why, for a person."""

    def __init__(self, french: str, english: str) -> None:
        super().__init__(english)
        self.french = french
        self.english = english


class NotNow(Exception):
    """Try again later; ``french`` and ``english`` tell what is waited for."""

    def __init__(self, french: str, english: str) -> None:
        super().__init__(english)
        self.french = french
        self.english = english


class Send(Protocol):
    """Sends one file. ``digest`` is that of its octets, in hexadecimal; the same file always has the same. ``told`` is what stands
    beside it about its patient."""

    def __call__(self, data: bytes, name: str, digest: str, told: bytes | None = None) -> str:
        """The identifier under which it left. Raises :class:`Refused` or :class:`NotNow`."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: ``sent``, ``again`` (the same octets had left already), ``refused`` or ``later``; ``french`` and
    ``english`` are the identifier or the reason."""

    name: str
    what: str
    french: str
    english: str


class Taken(Exception):
    """Another program deals with this folder."""


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One program at a time in a folder: two would send a file twice, or stop over one that the other moved. Raises :class:`Taken`."""
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            flock(handle, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise Taken(str(path)) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)


@dataclass(slots=True)
class Folder:
    """The folder and what was last seen in it. ``settle`` is how many seconds a file must stay unchanged."""

    path: Path
    send: Send
    clock: Callable[[], float]
    settle: float = 2.0
    _seen: dict[str, tuple[int, int, float]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Make the places inside. The folder itself is there already: one made of a mistyped path would be watched in vain."""
        for name in _PLACES:
            (self.path / name).mkdir(mode=0o700, exist_ok=True)

    def look(self) -> list[Outcome]:
        """Take what is ready, and what was left over; one pass."""
        self._bring_together()
        ready = self._ready()
        here = {name.lower(): name for name in self._seen}
        alone = [outcome for name in ready if (outcome := self._pass(name, ready, here)) is not None]
        sending = sorted((self.path / "sending").iterdir())
        return [*alone, *(self._one(path) for path in sending if path.is_file() and not _tells(path.name))]

    # taking

    def _ready(self) -> dict[str, bool]:
        """The files that are whole, and whether each is old."""
        now, seen, ready = self.clock(), {}, {}
        for entry in sorted(os.scandir(self.path), key=lambda one: one.name):
            found = _candidate(entry)
            if found is None:
                continue
            size, changed = found.st_size, found.st_mtime_ns
            before = self._seen.get(entry.name)
            since = before[2] if before is not None and before[:2] == (size, changed) else now
            seen[entry.name] = (size, changed, since)
            if now - since >= self.settle and (size or time.time() - changed / 1e9 >= _PATIENCE):
                came = found.st_ctime_ns / 1e9  # whatever its date
                ready[entry.name] = time.time() - came >= _PATIENCE
        self._seen = seen
        return ready

    def _pass(self, name: str, ready: dict[str, bool], here: dict[str, str]) -> Outcome | None:
        """Take a document with what tells of it, if that is whole too; what is alone waits, or is refused."""
        if _tells(name):
            awaited = any(name.lower() in _tellers(one) for one in here if not _tells(one))
            return None if awaited or not ready[name] else self._refuse(self.path / name, Refused(*_ALONE))
        teller = next((here[one] for one in _tellers(name.lower()) if one in here), "")
        if not teller and name.lower().endswith(".pdf") and not ready[name]:
            return Outcome(name, "later", *_UNTOLD)
        if not teller or teller in ready:
            self._take(name, teller)
            here.pop(teller.lower(), None)
        return None

    def _take(self, name: str, teller: str) -> None:
        away = [self.path / place for place in _PLACES] if teller else []  # it ends under this name
        target = _free(self.path / "sending" / _short(name), *away)
        with suppress(FileNotFoundError):  # taken back by whoever dropped it
            if teller:
                (self.path / teller).rename(_beside(target))
                _sync(self.path, target.parent)
            (self.path / name).rename(target)
            _sync(self.path, target.parent)
        self._seen.pop(name, None)

    def _bring_together(self) -> None:
        """What a crash parted: the file that tells of a document goes where that one is, or back into the folder."""
        for path in sorted((self.path / "sending").iterdir()):
            document = path.name[: -len(_TOLD)]
            if not _tells(path.name) or (path.parent / document).exists():
                continue
            gone = next((place for place in ("done", "refused") if (self.path / place / document).exists()), "")
            path.rename(_free(self.path / gone / path.name))
            _sync(path.parent, self.path / gone)

    # sending

    def _one(self, path: Path) -> Outcome:
        try:
            if path.stat().st_size > LARGEST:
                return self._refuse(path, Refused(f"plus de {LARGEST >> 20} Mio", f"more than {LARGEST >> 20} MiB"))
            data, told = path.read_bytes(), _told(path)
            if not data:
                return self._refuse(path, Refused(*_EMPTY))
        except (PermissionError, FileNotFoundError):  # one file must not stop the folder
            return Outcome(
                path.name, "later", "lecture refusée : droits du fichier", "not readable: rights of the file"
            )
        digest = hashlib.sha256(data + b"\0" + told if told is not None else data).hexdigest()
        before = self.known(digest)
        if before:
            return self._done(path, before, "again")
        room = self.path / "done" / ".room"
        room.write_bytes(bytes(_ROOM))  # for the note that it left: on a full disk it would leave at each attempt
        try:
            identifier = self.send(data, path.name, digest, told)
        except Refused as refusal:
            return self._refuse(path, refusal)
        except NotNow as reason:
            return Outcome(path.name, "later", reason.french, reason.english)
        finally:
            room.unlink(missing_ok=True)
        self._remember(digest, identifier)
        return self._done(path, identifier, "sent")

    def _done(self, path: Path, identifier: str, what: str) -> Outcome:
        target = _free(self.path / "done" / _short(path.name))
        _write(target.with_name(f"{target.name}.sent.txt"), f"{identifier}\n")
        _move(path, target)
        return Outcome(path.name, what, identifier, identifier)

    def _refuse(self, path: Path, refusal: Refused) -> Outcome:
        target = _free(self.path / "refused" / _short(path.name))
        _write(target.with_name(f"{target.name}.reason.txt"), f"{refusal.french}\n\n{refusal.english}\n")
        _move(path, target)
        return Outcome(path.name, "refused", refusal.french, refusal.english)

    # what left already

    @property
    def _ledger(self) -> Path:
        return self.path / "done" / ".sent"

    def known(self, digest: str) -> str:
        """Searched where it lies: a laboratory's has a million lines after some years."""
        wanted = f"{digest} ".encode("ascii")
        with suppress(FileNotFoundError), self._ledger.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return ""
            with mmap(file.fileno(), 0, access=ACCESS_READ) as lines:
                start = 0 if lines[: len(wanted)] == wanted else lines.find(b"\n" + wanted) + 1
                if lines[start : start + len(wanted)] == wanted:
                    lines.seek(start + len(wanted))
                    return lines.readline().decode("ascii", "replace").strip()
        return ""

    def _remember(self, digest: str, identifier: str) -> None:
        with self._ledger.open("ab") as file:
            file.write(f"{digest} {identifier}\n".encode("ascii", "replace"))
            file.flush()
            os.fsync(file.fileno())


def _candidate(entry: os.DirEntry[str]) -> os.stat_result | None:
    """A file that may be taken: regular, not hidden, not still being written by its name."""
    if entry.name.startswith(".") or entry.name.lower().endswith(_TEMPORARY):
        return None
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _tells(name: str) -> bool:
    """Whether a file of this name tells of another."""
    return name.lower().endswith(_TOLD)


def _tellers(name: str) -> tuple[str, str]:
    """The names under which a file may tell of the document of this name."""
    return name + _TOLD, Path(name).stem + _TOLD


def _beside(path: Path) -> Path:
    return path.with_name(path.name + _TOLD)


def _told(path: Path) -> bytes | None:
    """What stands beside the document, if anything does."""
    try:
        with _beside(path).open("rb") as file:
            return file.read(_LARGEST_TOLD)
    except FileNotFoundError:
        return None


def _move(path: Path, target: Path) -> None:
    """The document, then what tells of it."""
    path.rename(target)
    with suppress(FileNotFoundError):
        _beside(path).rename(_beside(target))
    _sync(path.parent, target.parent)


def _short(name: str) -> str:
    """The name with room behind it for a number and ``.reason.txt``: a disk holds 255 octets, and one file must not stop the folder."""
    octets, suffix = os.fsencode(name), os.fsencode(Path(name).suffix)[-20:]
    if len(octets) <= _LONGEST_NAME:
        return name
    return (octets[: _LONGEST_NAME - len(suffix)] + suffix).decode("utf-8", "ignore")


def _free(path: Path, *away: Path) -> Path:
    """``path``, or the same with a number when a file of that name, or one that tells of it, is there already, or in ``away``."""
    number, tried = 1, path
    while any(
        one.exists() for folder in (path.parent, *away) for one in (folder / tried.name, _beside(folder / tried.name))
    ):
        number += 1
        tried = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return tried


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\r\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(*folders: Path) -> None:
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
