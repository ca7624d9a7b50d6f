"""ZIP archives from strangers: read by position and by count, never by path, never to disk.

Own reading of the central directory, so that an archive is judged before anything is inflated: entries, names, declared sizes,
ratio, encryption, links, overlaps, two files of one name. Inflation counts what really comes out and stops at the limit.
Failure: :class:`hprim.xmlsafe.Unreadable` with words for the sender. Source: MSS-091; zip CVEs 2024-0450, 2025-8291.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from hprim.xmlsafe import Unreadable

MAX_ENTRIES = 200
MAX_TOTAL = 128 << 20
MAX_RATIO = 100
RATIO_FLOOR = 2 << 20
"""Below this expanded size a high ratio is harmless (a page of blanks)."""
MAX_NAME = 260
MOST_NAMES = 5_000
_STEP = 65_536

_EOCD = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive. ``name`` has forward slashes; ``start`` is where its packed bytes begin."""

    name: str
    size: int
    packed: int
    method: int
    crc: int
    start: int
    encrypted: bool

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Archive:
    """The directory of an archive that passed every check but those only inflation can tell."""

    data: bytes
    entries: tuple[Entry, ...]

    def find(self, path: str) -> Entry | None:
        """The entry at ``path``, whatever its case."""
        wanted = path.lower()
        return next((e for e in self.entries if e.name.lower() == wanted), None)

    def read(self, entry: Entry, limit: int) -> bytes:
        """The whole content; :class:`Unreadable` above ``limit`` bytes or when the content contradicts the directory."""
        if entry.size > limit:
            raise Unreadable("fichier trop volumineux dans l'archive", "file too large inside the archive")
        return b"".join(self._inflate(entry))

    def digest(self, entry: Entry) -> tuple[str, str]:
        """(SHA-1, SHA-256) in hexadecimal, without holding the content."""
        one, two = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
        for block in self._inflate(entry):
            one.update(block)
            two.update(block)
        return one.hexdigest(), two.hexdigest()

    def peek(self, entry: Entry, count: int = 8) -> bytes:
        """The first ``count`` bytes (at most)."""
        packed = self.data[entry.start : entry.start + min(entry.packed, max(1_024, count))]
        if entry.method == 0:
            return packed[:count]
        try:
            return zlib.decompressobj(-15).decompress(packed, count)
        except zlib.error:
            return b""

    def _inflate(self, entry: Entry) -> Iterator[bytes]:
        total, crc = 0, 0
        for block in self._blocks(entry):
            total += len(block)
            crc = zlib.crc32(block, crc)
            if total > entry.size:
                raise Unreadable("archive : taille annoncée fausse", "archive: announced size is false")
            yield block
        if total != entry.size or crc != entry.crc:
            raise Unreadable("archive endommagée (somme de contrôle)", "damaged archive (checksum)", safety=False)

    def _blocks(self, entry: Entry) -> Iterator[bytes]:
        view = memoryview(self.data)
        end = entry.start + entry.packed
        engine = zlib.decompressobj(-15) if entry.method else None
        try:
            for at in range(entry.start, end, _STEP):
                piece: bytes | memoryview = view[at : min(at + _STEP, end)]
                while engine is not None and piece:
                    yield engine.decompress(piece, _STEP * 4)
                    piece = engine.unconsumed_tail
                if engine is None:
                    yield bytes(piece)
            if engine is not None:
                yield engine.flush()
        except zlib.error:
            raise Unreadable("archive endommagée", "damaged archive", safety=False) from None


def _end_record(data: bytes) -> int:
    """Where the record is that ends an archive; -1 when there is none."""
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - 65_557))
    return at if at + _EOCD.size <= len(data) else -1


def _directory(data: bytes) -> tuple[int, int, int]:
    """(count, offset, size) of the central directory."""
    at = _end_record(data)
    if at < 0:
        raise Unreadable("archive tronquée ou illisible", "truncated or unreadable archive", safety=False)
    _, disk, first_disk, here, count, size, offset, _ = _EOCD.unpack_from(data, at)
    if disk or first_disk or here != count or 0xFFFF in (here, count) or 0xFFFFFFFF in (size, offset):
        raise Unreadable("archive en plusieurs volumes ou trop grande", "multi-volume or oversized archive")
    if count > MAX_ENTRIES:
        raise Unreadable("trop de fichiers dans l'archive", "too many files in the archive")
    if offset + size > at:
        raise Unreadable("archive incohérente", "inconsistent archive", safety=False)
    return count, offset, size


def names_in(data: bytes) -> tuple[str, ...]:
    """The names that the directory of an archive shows, whatever else is wrong with it: at most :data:`MOST_NAMES`.

    No exception: what is no archive shows none.
    """
    end = _end_record(data)
    if end < 0:
        return ()
    at = _EOCD.unpack_from(data, end)[6]
    found: list[str] = []
    while len(found) < MOST_NAMES and at + _CENTRAL.size <= end:
        fields = _CENTRAL.unpack_from(data, at)
        if fields[0] != b"PK\x01\x02":
            break
        start, (name, extra, comment) = at + _CENTRAL.size, fields[10:13]
        found.append(data[start : start + name].decode("utf-8", "replace"))
        at = start + name + extra + comment
    return tuple(found)


def _name(raw: bytes, flags: int) -> str:
    """The entry's name with forward slashes; a name that leaves the archive is refused."""
    try:
        name = raw.decode("utf-8") if flags & 0x800 else raw.decode("cp437")
    except UnicodeDecodeError:
        name = raw.decode("cp437")
    name = name.replace("\\", "/")
    parts = name.split("/")
    if not name or len(name) > MAX_NAME or "\x00" in name or name.startswith("/") or ".." in parts or name[1:2] == ":":
        raise Unreadable("chemin interdit dans l'archive", "forbidden path in the archive")
    return "/".join(p for p in parts if p not in ("", ".")) + ("/" if name.endswith("/") else "")


def _is_link(made_by: int, attributes: int) -> bool:
    return made_by >> 8 == 3 and (attributes >> 28) & 0xF not in (0, 4, 8)


def _entry(data: bytes, at: int) -> tuple[Entry | None, int]:
    """The entry described at ``at`` (``None`` for a folder) and the offset of the next one."""
    if at + _CENTRAL.size > len(data):
        raise Unreadable("archive tronquée", "truncated archive", safety=False)
    fields = _CENTRAL.unpack_from(data, at)
    sign, made_by, _, flags, method, _, _, crc, packed, size, n, extra, comment, _, _, attributes, local = fields
    if sign != b"PK\x01\x02":
        raise Unreadable("archive incohérente", "inconsistent archive", safety=False)
    name = _name(data[at + _CENTRAL.size : at + _CENTRAL.size + n], flags)
    after = at + _CENTRAL.size + n + extra + comment
    if _is_link(made_by, attributes):
        raise Unreadable("lien ou fichier spécial dans l'archive", "link or special file in the archive")
    if method not in (0, 8) and not flags & 0x1:
        raise Unreadable("méthode de compression non acceptée", "compression method not accepted")
    if name.endswith("/"):
        return None, after
    start = _content_start(data, local, name, flags)
    if start + packed > len(data) or (method == 0 and packed != size and not flags & 0x1):
        raise Unreadable("archive tronquée", "truncated archive", safety=False)
    return Entry(name, size, packed, method, crc, start, bool(flags & 0x41)), after


def _content_start(data: bytes, local: int, name: str, flags: int) -> int:
    if local + _LOCAL.size > len(data):
        raise Unreadable("archive tronquée", "truncated archive", safety=False)
    head = _LOCAL.unpack_from(data, local)
    if head[0] != b"PK\x03\x04":
        raise Unreadable("archive incohérente", "inconsistent archive", safety=False)
    written = data[local + _LOCAL.size : local + _LOCAL.size + head[9]]
    if _name(written, flags) != name:
        raise Unreadable("archive à double lecture (noms différents)", "ambiguous archive (names differ)")
    return local + _LOCAL.size + int(head[9]) + int(head[10])


def open_archive(data: bytes) -> Archive:
    """The archive in ``data``, checked as far as its directory tells."""
    count, at, _ = _directory(data)
    entries: list[Entry] = []
    for _ in range(count):
        entry, at = _entry(data, at)
        if entry:
            entries.append(entry)
    _check_sizes(entries)
    _check_names(entries)
    _check_overlaps(entries)
    return Archive(data, tuple(entries))


def _check_sizes(entries: list[Entry]) -> None:
    total = sum(e.size for e in entries)
    packed = sum(e.packed for e in entries)
    if total > MAX_TOTAL:
        raise Unreadable("archive trop volumineuse une fois ouverte", "archive too large once opened")
    if total > RATIO_FLOOR and total > MAX_RATIO * max(packed, 1):
        raise Unreadable("taux de compression anormal (bombe)", "abnormal compression ratio (bomb)")
    if any(e.size > RATIO_FLOOR and e.size > MAX_RATIO * max(e.packed, 1) for e in entries):
        raise Unreadable("taux de compression anormal (bombe)", "abnormal compression ratio (bomb)")


def _check_names(entries: list[Entry]) -> None:
    names = [e.name.lower() for e in entries]
    if len(set(names)) != len(names):
        raise Unreadable("deux fichiers de même nom dans l'archive", "two files of one name in the archive")


def _check_overlaps(entries: list[Entry]) -> None:
    end = 0
    for entry in sorted(entries, key=lambda e: e.start):
        if entry.start < end:
            raise Unreadable("fichiers superposés dans l'archive", "overlapping files in the archive")
        end = entry.start + entry.packed
