"""An encrypted archive as origin and target of a transfer: what a user takes along, and brings back (reversibility).

A ZIP whose entries are encrypted with AES-256 (WinZip AE-2), so that 7-Zip and its like open it with the passphrase alone:
``folders/NNN/UID.eml`` and, last, ``manifest.json`` with names, flags, dates, sizes and SHA-256.
Promise: the passphrase is never stored; the archive appears under its name only when it is complete; reading back checks each
message against the manifest, takes no path from an entry and reads no more than the manifest says.
Failure: :class:`mailboxes.transfer.TransferFailed` for a wrong passphrase, a damaged or foreign archive.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyzipper

from mailboxes.transfer import Letter, Shelf, TransferFailed

MANIFEST = "manifest.json"
FORMAT = 1
MANIFEST_OCTETS = 256 * 1024 * 1024
FOLDERS = 10_000
_DAMAGE = (OSError, RuntimeError, zipfile.BadZipFile, pyzipper.BadZipFile, zlib.error, ValueError, KeyError)


class ArchiveTarget:
    """Writes an archive. ``open`` and ``put`` may alternate; :meth:`close` makes it final."""

    def __init__(self, path: Path, passphrase: str) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        if path.exists():
            raise TransferFailed(f"{path} exists already", "exists", path)
        self._partial.unlink(missing_ok=True)
        handle = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(handle, "wb")
        self._zip: Any = pyzipper.AESZipFile(
            self._file, "w", compression=zipfile.ZIP_DEFLATED, encryption=pyzipper.WZ_AES
        )
        self._zip.setpassword(passphrase.encode())
        self._folders: list[dict[str, Any]] = []

    def open(self, shelf: Shelf) -> None:
        self._folders.append(
            {"name": shelf.name, "special_use": shelf.special_use, "uidvalidity": shelf.uidvalidity, "messages": []}
        )

    def holds(self, letter: Letter) -> bool:
        """A new archive holds nothing of an earlier run."""
        return False

    def put(self, letters: Sequence[Letter]) -> list[str]:
        number = len(self._folders) - 1
        for letter in letters:
            self._zip.writestr(f"folders/{number:03d}/{letter.uid}.eml", letter.content)
            self._folders[number]["messages"].append(
                {
                    "uid": letter.uid,
                    "flags": list(letter.flags),
                    "date": letter.date.isoformat(),
                    "size": len(letter.content),
                    "sha256": letter.digest,
                }
            )
        return [""] * len(letters)

    def close(self) -> None:
        self._zip.writestr(MANIFEST, json.dumps({"format": FORMAT, "folders": self._folders}, ensure_ascii=False))
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self._path)


class ArchiveOrigin:
    """Reads an archive back, checking every message."""

    def __init__(self, path: Path, passphrase: str) -> None:
        file = path.open("rb")
        try:
            self._zip: Any = pyzipper.AESZipFile(file)
            self._zip.setpassword(passphrase.encode())
            self._folders = self._manifest()
        except (*_DAMAGE, TypeError) as problem:
            file.close()
            raise TransferFailed(f"{path}: not an archive of ours", "not_ours", path) from problem

    def _manifest(self) -> list[dict[str, Any]]:
        said = json.loads(self._read(MANIFEST, MANIFEST_OCTETS))
        if said["format"] != FORMAT or len(said["folders"]) > FOLDERS:
            raise ValueError("unknown format")
        folders: list[dict[str, Any]] = said["folders"]
        return folders

    def _read(self, name: str, limit: int) -> bytes:
        with self._zip.open(name) as entry:
            content: bytes = entry.read(limit + 1)
        if len(content) > limit:
            raise ValueError("an entry is larger than it says")
        return content

    def shelves(self) -> list[Shelf]:
        return [
            Shelf(
                str(folder["name"]),
                str(folder["special_use"]),
                int(folder["uidvalidity"]),
                tuple(int(message["uid"]) for message in folder["messages"]),
            )
            for folder in self._folders
        ]

    def letters(self, shelf: Shelf, uids: Sequence[int]) -> Iterator[Letter]:
        number, folder = next((n, f) for n, f in enumerate(self._folders) if f["name"] == shelf.name)
        wanted = set(uids)
        for message in folder["messages"]:
            if message["uid"] in wanted:
                yield self._letter(number, message)

    def _letter(self, number: int, message: dict[str, Any]) -> Letter:
        name = f"folders/{number:03d}/{int(message['uid'])}.eml"
        try:
            content = self._read(name, int(message["size"]))
            date = datetime.fromisoformat(message["date"])
        except _DAMAGE as problem:
            raise TransferFailed(f"the archive is damaged at {name}", "damaged", name) from problem
        if hashlib.sha256(content).hexdigest() != message["sha256"]:
            raise TransferFailed(f"the archive is damaged at {name}: its SHA-256 is another", "damaged", name)
        return Letter(int(message["uid"]), tuple(str(flag) for flag in message["flags"]), date, content)
