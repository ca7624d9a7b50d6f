"""Tells the folder of large messages from the mount point of a disk that is not there.

A disk of its own that was not mounted leaves an empty folder of the same name on the disk below: what is written there
vanishes the day the disk is mounted again, and what is to be read looks lost, so that the courier would give queued mail
back for good. So the folder bears a word in a file, the database knows the word, and nothing is written or called lost
where it does not stand. A folder without any, which an older release filled or a backup left out, gets its word at a start
that finds one of the newest bodies in it.
Promise: the database never knows a word that was not on disk.
Failure: :class:`mailboxes.store.BlobsUnmounted`, which names the file and the word it should hold.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailboxes.given import create, make_folder, sync_folder
from mailboxes.sql import Sql
from mailboxes.store import BlobsUnmounted

NAME = "caducee.mark"
LOOKED_FOR = 32
"""Of the newest bodies in files; one that is found proves the folder."""
_LONGEST = 64

_KNOWN = Sql("SELECT word FROM blob_mark WHERE id = 1")
_REMEMBER = Sql("INSERT INTO blob_mark (id, word) VALUES (1, ?)")
_NEWEST = Sql("SELECT blob FROM body WHERE blob <> '' ORDER BY body_id DESC LIMIT ?")


@dataclass(frozen=True, slots=True)
class Mark:
    """The word a folder must bear; an empty one is any folder's."""

    root: Path
    word: str = ""

    def demand(self) -> None:
        """Raises :class:`BlobsUnmounted` where another disk, or none, is in the place of ours."""
        if self.word and _read(self.root) != self.word:
            raise BlobsUnmounted(self.root / NAME, self.word)


def kept(cursor: Any, root: Path) -> Mark:
    """The mark this database knows for ``root``; reads only."""
    row = _KNOWN(cursor).fetchone()
    return Mark(root, str(row[0]) if row else "")


def claim(cursor: Any, root: Path, lies_in: Callable[[str], bool]) -> Mark:
    """The mark of ``root``, made where this database has none yet; ``lies_in`` tells whether a blob is there.

    In a transaction that no other process is in at the same time. Where the mark cannot be written, such as on a full disk,
    the next start tries again.
    """
    known = kept(cursor, root).word
    try:
        found = _read(root)
        word = known or found or secrets.token_hex(8)
        if not found:
            newest = [blob for (blob,) in _NEWEST(cursor, LOOKED_FOR).fetchall()]
            if not any(map(lies_in, newest)) and (newest or known):
                return Mark(root, word)  # a word the database does not know yet counts as soon as it stands in the file
            _write(root, word)
    except OSError:
        return Mark(root, known)
    if not known:
        _REMEMBER(cursor, word)
    return Mark(root, word)


def _read(root: Path) -> str:
    try:
        with (root / NAME).open("rb") as file:
            return file.read(_LONGEST).decode("ascii", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _write(root: Path, word: str) -> None:
    make_folder(root)
    part = root / f"{NAME}.part"
    handle = create(part, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(handle, word.encode("ascii") + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)
    part.rename(root / NAME)
    sync_folder(root)
    sync_folder(root.parent)
