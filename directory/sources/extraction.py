"""The national flat extraction, ``Extraction_Correspondance_MSSante``: half a million lines of 31 columns (MSS-127).

UTF-8, ``|`` between columns, one header line; alone, or in a zip that holds nothing else. Columns are known by their place: two
namings of the header are in use, with and without `` structure BAL`` at the end of the last eleven. The national address of a line is its only
key, and some stand on several lines: whoever imports keeps the first (:mod:`directory.reconcile`).
Promise: read as a stream, line by line, in memory that does not grow with the file; octets, lines, and what a zip unpacks to are
bounded by :class:`Bounds`. A line that is no entry is counted and passed over, up to a share of all.
Failure: :class:`BadExtraction`, with a word for people and the journal; what was read before it is to be thrown away.
"""

from __future__ import annotations

import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from directory.entry import Entry, Source
from directory.sources.lines import LONGEST_FIELD, bounded, is_address

COLUMNS = 31
KiB, GiB = 1 << 10, 1 << 30
TYPES = frozenset({"PER", "ORG", "APP", "CAB"})
# Those an entry is made of: their meaning is not left to their place alone.
_NAMED = {
    0: "typedebal",
    1: "adressebal",
    4: "identificationnationalepp",
    5: "typeidentifiantstructure",
    6: "identificationstructure",
    9: "nomdexercice",
    10: "prenomdexercice",
    13: "codeprofession",
    15: "codesavoirfaire",
    28: "codepostal",
}
_SUFFIX = "structurebal"
_STAMP = re.compile(r"(?<![0-9])(20[0-9]{2})([01][0-9])([0-3][0-9])([0-2][0-9])([0-5][0-9])(?![0-9])", re.ASCII)


class BadExtraction(Exception):
    """The file is not taken. ``word``: ``unreadable``, ``not_an_extraction``, ``truncated``, ``too_large``, ``line_too_long``,
    ``bad_lines``, ``bad_zip``."""

    def __init__(self, word: str, detail: str = "") -> None:
        super().__init__(f"{word}: {detail}" if detail else word)
        self.word = word


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a file may be. ``octets`` are those of the text, unpacked."""

    octets: int = GiB
    line: int = 16 * KiB
    lines: int = 5_000_000
    bad_share: float = 0.01


def stamp(name: str) -> datetime | None:
    """When a file was made, by its name: ``Extraction_Correspondance_MSSante_202608260213.zip`` (taken for UTC)."""
    for found in _STAMP.finditer(name):
        try:
            return datetime(*map(int, found.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]
        except ValueError:
            continue
    return None


_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What :mod:`zipfile` makes of a file that is no zip, is cut, or is packed in a way of its own."""


@contextmanager
def opened(path: Path, bounds: Bounds) -> Iterator[tuple[IO[bytes], str]]:
    """The text as octets, and the name that may bear a stamp. Raises :class:`BadExtraction`."""
    with ExitStack() as stack:
        with _told():
            text, name = _text(path, bounds, stack)
        yield text, name


def _text(path: Path, bounds: Bounds, stack: ExitStack) -> tuple[IO[bytes], str]:
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):  # a pipe would have no end
        raise BadExtraction("unreadable", "not a file")
    file = stack.enter_context(path.open("rb"))
    packed = file.read(4) == b"PK\x03\x04"
    file.seek(0)
    if not packed:
        return file, path.name
    archive = stack.enter_context(zipfile.ZipFile(file))
    member = _only(archive, bounds)
    return stack.enter_context(archive.open(member)), path.name if stamp(path.name) else member.filename


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except _BROKEN as problem:
        raise BadExtraction("bad_zip", type(problem).__name__) from None
    except OSError as problem:
        raise BadExtraction("unreadable", problem.strerror or type(problem).__name__) from None


def _only(archive: zipfile.ZipFile, bounds: Bounds) -> zipfile.ZipInfo:
    members = [one for one in archive.infolist() if not one.is_dir()]
    if len(members) != 1:
        raise BadExtraction("bad_zip", f"{len(members)} files")
    if members[0].flag_bits & 1:
        raise BadExtraction("bad_zip", "encrypted")
    if members[0].file_size > bounds.octets:
        raise BadExtraction("too_large", f"{members[0].file_size} octets")
    return members[0]


class Reader:
    """The entries of one text; how many lines, bad ones and octets were read so far can be asked meanwhile."""

    def __init__(self, text: IO[bytes], bounds: Bounds | None = None) -> None:
        self._text = text
        self._bounds = bounds or Bounds()
        self.lines = 0
        self.bad = 0
        self.octets = 0

    def __iter__(self) -> Iterator[Entry]:
        """Raises :class:`BadExtraction`."""
        self._demand_header(self._line())
        while line := self._line():
            self.lines += 1
            if self.lines > self._bounds.lines:
                raise BadExtraction("too_large", f"more than {self._bounds.lines} lines")
            entry = _entry(line)
            if entry is not None:
                yield entry
                continue
            if not line.endswith(b"\n"):
                raise BadExtraction("truncated", f"in line {self.lines + 1}")
            self.bad += 1
        if self.bad > self._bounds.bad_share * self.lines:
            raise BadExtraction("bad_lines", f"{self.bad} of {self.lines}")

    def _line(self) -> bytes:
        try:
            line = self._text.readline(self._bounds.line + 1)
        except (*_BROKEN, OSError) as problem:
            raise BadExtraction("bad_zip", type(problem).__name__) from None
        self.octets += len(line)
        if len(line) > self._bounds.line:
            raise BadExtraction("line_too_long", f"line {self.lines + 2}")
        if self.octets > self._bounds.octets:
            raise BadExtraction("too_large", f"more than {self._bounds.octets} octets")
        return line

    def _demand_header(self, line: bytes) -> None:
        names = line.decode("utf-8-sig", "replace").rstrip("\r\n").split("|")
        if len(names) != COLUMNS:
            raise BadExtraction("not_an_extraction", f"{len(names)} columns")
        for place, wanted in _NAMED.items():
            if _bare(names[place]).removesuffix(_SUFFIX) != wanted.removesuffix(_SUFFIX):
                raise BadExtraction("not_an_extraction", f"column {place + 1}")


def _bare(name: str) -> str:
    spread = unicodedata.normalize("NFKD", name.casefold())
    return "".join(one for one in spread if one.isascii() and one.isalnum())


def _entry(line: bytes) -> Entry | None:
    """None for a line that is no entry."""
    try:
        fields = line.decode("utf-8").rstrip("\r\n").split("|")
    except UnicodeDecodeError:
        return None
    if len(fields) != COLUMNS:
        return None
    fields = [bounded(one) for one in fields]
    type_, address = fields[0].upper(), fields[1]
    if type_ not in TYPES or not is_address(address):
        return None
    return _made(type_, address, fields)


def _made(type_: str, address: str, fields: list[str]) -> Entry:
    number = " ".join(filter(None, (fields[22] + fields[23], fields[24], fields[25])))
    return Entry(
        address=address,
        type=type_,
        source=Source.NATIONAL,
        title=fields[8],
        family=fields[9],
        given=fields[10],
        person=fields[4],
        profession_code=fields[13],
        profession=fields[14],
        specialty_code=fields[15],
        specialty=fields[16],
        structure=_structure(fields[5], fields[6]),
        service=fields[7],
        organisation=fields[18] or fields[19],
        street=", ".join(filter(None, (fields[20], fields[21], number, fields[26])))[:LONGEST_FIELD],
        postal_code=fields[28],
        town=_town(fields[27], fields[28]),
        department=fields[29],
        country=fields[30],
        paperless={"O": True, "N": False}.get(fields[17].upper()),
    )


_PREFIXES = {"FINESS": "1", "SIREN": "2", "SIRET": "3", "RPPS-RANG": "4", "1": "1", "2": "2", "3": "3", "4": "4"}
_DIGITS = {"1": 9, "2": 9, "3": 14}


def _structure(kind: str, number: str) -> str:
    """The IdNat_Struct: the number with the digit of its kind, which some lines already have."""
    prefix = _PREFIXES.get(kind.upper(), "")
    if not number or not prefix or (number.startswith(prefix) and len(number) == _DIGITS.get(prefix, 0) + 1):
        return number
    return prefix + number


def _town(routing: str, postal_code: str) -> str:
    """The town of an address' last line, ``75013 PARIS CEDEX 13``."""
    return routing.removeprefix(postal_code).strip() if postal_code else routing
