"""Where versions of the white list are kept: a port, a folder of files, and its twin in memory (MSS-011).

A folder holds, for each version, the bytes as received (``VERSION-DIGEST.xml``) and what is known of them (``.json``), a
candidate held for confirmation (``held.xml``, ``held.json``), and ``current.json``, which names the version in force and
when its source last confirmed it.
Promise: a file is written whole, synced, then renamed, and the folder synced; ``current.json`` comes last, so after a
power cut the folder names a complete version or the one before. Several processes may read while one writes.
Failure: ``OSError`` from the disk; :class:`Damaged` when what is read is not what was written.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from directory.trustlist import sha256

HELD = "held"


class Damaged(ValueError):
    """A kept version does not match its metadata; the text names the file."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known of a version. ``name`` is its key here; dates are aware, UTC."""

    name: str
    generated: datetime
    sha256: str
    accepted_at: datetime
    domains: int
    rows: int
    warnings: int
    signer: str = ""
    confirmed_by: str = ""  # who let a shrinking list pass


@dataclass(frozen=True, slots=True)
class Current:
    """Which version is in force, and when its source last said so."""

    name: str
    confirmed_at: datetime


class Versions(Protocol):
    """Keeps versions by name. ``HELD`` is a name like any other, never named by ``current``."""

    def names(self) -> tuple[str, ...]:
        """Complete versions, oldest first, without ``HELD``."""
        ...

    def read(self, name: str) -> tuple[bytes, Metadata]:
        """Raises KeyError when there is none, Damaged when it was altered."""
        ...

    def write(self, name: str, data: bytes, metadata: Metadata) -> None: ...

    def drop(self, name: str) -> None:
        """Forget a version; no error when there is none."""
        ...

    def current(self) -> Current | None: ...

    def point(self, current: Current) -> None: ...


def name_of(generated: datetime, digest: str) -> str:
    """A key that sorts by date of generation."""
    return f"{generated:%Y%m%dT%H%M%SZ}-{digest[:12]}"


class MemoryVersions:
    """The twin in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, Metadata]] = {}
        self._current: Current | None = None

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._kept.keys() - {HELD}))

    def read(self, name: str) -> tuple[bytes, Metadata]:
        return self._kept[name]

    def write(self, name: str, data: bytes, metadata: Metadata) -> None:
        self._kept[name] = (bytes(data), metadata)

    def drop(self, name: str) -> None:
        self._kept.pop(name, None)

    def current(self) -> Current | None:
        return self._current

    def point(self, current: Current) -> None:
        self._current = current


class FileVersions:
    """A folder of the data directory; created with mode 0700 when missing. Who may read it may read all of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def names(self) -> tuple[str, ...]:
        kept = (path.stem for path in self._folder.glob("*.json") if path.with_suffix(".xml").exists())
        return tuple(sorted(name for name in kept if name not in (HELD, "current")))

    def read(self, name: str) -> tuple[bytes, Metadata]:
        content, known = self._path(name, ".xml"), self._path(name, ".json")
        try:
            data = content.read_bytes()
            metadata = _metadata(json.loads(known.read_bytes()))
        except FileNotFoundError:
            raise KeyError(name) from None
        except (ValueError, KeyError, TypeError):
            raise Damaged(f"{name}.json is not readable") from None
        if sha256(data) != metadata.sha256:
            raise Damaged(f"{name}.xml was altered since it was accepted")
        return data, metadata

    def write(self, name: str, data: bytes, metadata: Metadata) -> None:
        self._replace(self._path(name, ".xml"), data)
        self._replace(self._path(name, ".json"), _json(asdict(metadata)))

    def drop(self, name: str) -> None:
        for suffix in (".json", ".xml"):
            self._path(name, suffix).unlink(missing_ok=True)

    def current(self) -> Current | None:
        try:
            said = json.loads(self._path("current", ".json").read_bytes())
            return Current(str(said["name"]), datetime.fromisoformat(said["confirmed_at"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise Damaged("current.json is not readable") from None

    def point(self, current: Current) -> None:
        self._replace(self._path("current", ".json"), _json(asdict(current)))

    def _path(self, name: str, suffix: str) -> Path:
        if not name or not all(character.isascii() and (character.isalnum() or character == "-") for character in name):
            raise KeyError(name)
        return self._folder / f"{name}{suffix}"

    def _replace(self, path: Path, content: bytes) -> None:
        partial = path.with_name(f"{path.name}.{os.getpid()}.new")
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            with suppress(OSError):  # some file systems have modes of their own
                os.fchmod(file.fileno(), 0o644)  # the folder says who comes as far
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _json(values: dict[str, Any]) -> bytes:
    plain = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}
    return json.dumps(plain, ensure_ascii=False, indent=1).encode()


def _metadata(said: dict[str, Any]) -> Metadata:
    return Metadata(
        name=str(said["name"]),
        generated=datetime.fromisoformat(said["generated"]),
        sha256=str(said["sha256"]),
        accepted_at=datetime.fromisoformat(said["accepted_at"]),
        domains=int(said["domains"]),
        rows=int(said["rows"]),
        warnings=int(said["warnings"]),
        signer=str(said["signer"]),
        confirmed_by=str(said["confirmed_by"]),
    )
