"""Hostile bytes against the IMAP grammar and the wire: no crash, no unbounded memory, always an answer.

``CADUCEE_FUZZ_EXAMPLES`` sets how long (default: seconds; hours on demand).
"""

from __future__ import annotations

import asyncio
import os
import time
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailboxes.imap import values as v
from mailboxes.imap.cursor import BadSyntax, parse_ranges
from mailboxes.imap.grammar import COMMANDS, CommandError, parse
from mailboxes.imap.lists import Pattern
from mailboxes.imap.names import BadName, acceptable, decode, decode_utf7, encode_utf7
from mailboxes.imap.sets import compact, inside, joined
from mailboxes.imap.urls import BadUrl, parse_url
from mailboxes.imap.view import Snapshot
from mailboxes.imap.wire import LONGEST_LINE, Wire
from mailboxes.store import Entry

EXAMPLES = int(os.environ.get("CADUCEE_FUZZ_EXAMPLES", "400"))
fuzz = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))

WORDS = [
    *[name.encode() for name in COMMANDS],
    *b"ALL NOT OR FROM TO SUBJECT BODY TEXT HEADER UID SEEN RETURN MIN MAX SAVE PARTIAL CHARSET UTF-8 DATE REVERSE".split(),
    *b"FLAGS BODY.PEEK[ BODY[HEADER.FIELDS ( ] <0.10> ENVELOPE RFC822.SIZE MODSEQ PREVIEW (LAZY) BINARY[1.2]".split(),
    *rb"\Seen \Deleted \* $Junk INBOX Sent/2026 1:* 1,2,3:4 * $ NIL 99999999999 4294967295 0 -1:-5 (CHANGEDSINCE 5)".split(),
    *b'"" "a b" "\\"" {3} {0} ~{2} {3+} ( ) (( )) [ ] < > % * & &AOk- CATENATE URL USE STATUS QRESYNC CONDSTORE'.split(),
    b'"1-Jan-2026"',
    b'"01-Jan-2026 10:00:00 +0100"',
    b"\r\n",
    b"\x00",
    b"\xff\xfe",
]
soup = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=8)), max_size=30).map(b" ".join)
literals = st.lists(st.binary(max_size=30), max_size=4)


@fuzz
@given(st.one_of(st.binary(max_size=300), soup), literals)
def test_any_bytes_are_parsed_or_refused(text: bytes, found: list[bytes]) -> None:
    refused: CommandError | None = None
    try:
        command = parse(b"a " + text, found)
    except CommandError as error:
        refused = error
    if refused is not None:
        assert refused.tag in (b"a", b"*")
        assert refused.text.isascii()
    else:
        assert command.name in COMMANDS


@fuzz
@given(st.sampled_from(sorted(COMMANDS)), soup, literals)
def test_every_command_survives_wrong_arguments(name: str, rest: bytes, found: list[bytes]) -> None:
    try:
        command = parse(b"a " + name.encode() + b" " + rest, found)
    except CommandError:
        return
    assert command.name.startswith(name.split(maxsplit=1)[0])


def test_the_worst_lines_cost_little() -> None:
    size = LONGEST_LINE - 100
    hostile = [
        b"SEARCH " + b"NOT " * (size // 4) + b"ALL",
        b"SEARCH " + b"(" * size,
        b"SEARCH " + b"OR " * (size // 3),
        b"SEARCH " + b"ALL " * (size // 4),
        b"SEARCH " + b"1," * (size // 2) + b"1",
        b"FETCH 1 (" + b"FLAGS " * (size // 6) + b")",
        b"FETCH 1 BODY[" + b"1." * (size // 2) + b"1]",
        b"FETCH 1 BODY[HEADER.FIELDS (" + b"a " * (size // 2) + b"a)]",
        b"STORE 1 FLAGS (" + b"a " * (size // 2) + b"a)",
        b'LOGIN "' + b"\\" * size,
        b'LOGIN "' + b'\\"' * (size // 2),
        b"LIST () (" + b"(" * size,
        b'LIST "" ' + b"*%" * (size // 2),
        b"NOTIFY SET " + b"(" * size,
        b"ID (" + b'"a" ' * (size // 4) + b")",
        b"SELECT x (QRESYNC (1 1 " + b"1," * (size // 2) + b"1))",
        b"A" * size,
        b"NOOP" + b" " * size + b"x",
        b"FETCH 1 (" + b"( " * (size // 2),
        b"SEARCH " + b'"\\"' * (size // 3),
    ]
    for text in hostile:
        start = time.process_time()
        try:
            parse(b"a " + text, [])
        except CommandError:
            pass
        assert time.process_time() - start < 1, text[:40]


@fuzz
@given(st.text(max_size=40))
def test_names_survive_modified_utf7(name: str) -> None:
    name = name.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    coded = encode_utf7(name)
    assert coded.isascii()
    assert decode_utf7(coded) == name


@fuzz
@given(st.binary(max_size=60), st.booleans())
def test_any_name_is_decoded_or_refused(raw: bytes, utf8: bool) -> None:
    try:
        name = acceptable(decode(raw, utf8))
    except BadName:
        return
    assert name
    assert not any(ord(character) < 32 for character in name)
    assert "//" not in name
    assert not name.startswith("/")


@fuzz
@given(st.text("ab/%*", max_size=12), st.text("ab/", max_size=12))
def test_patterns_match_what_the_definition_says(pattern: str, name: str) -> None:
    def slow(p: str, n: str) -> bool:
        if not p:
            return not n
        if p[0] in "%*":
            return slow(p[1:], n) or bool(n and (p[0] == "*" or n[0] != "/") and slow(p, n[1:]))
        return bool(n) and p[0] == n[0] and slow(p[1:], n[1:])

    assert Pattern(pattern).matches(name) == slow(pattern, name)


def test_no_pattern_is_slow() -> None:
    start = time.process_time()
    Pattern("*a%" * 170).matches("a" * 255)
    Pattern("%*" * 250 + "b").matches("a/" * 127)
    assert time.process_time() - start < 0.5


@fuzz
@given(st.lists(st.integers(1, 500)))
def test_sets_are_written_as_they_are_read(numbers: list[int]) -> None:
    numbers = sorted(set(numbers))
    written = compact(numbers)
    read = [n for low, high in (parse_ranges(written) if written else ()) for n in range(low, high + 1)]
    assert read == numbers


@fuzz
@given(st.binary(max_size=80))
def test_any_url_is_understood_or_refused(raw: bytes) -> None:
    for url in (raw, b"/INBOX/;uid=1" + raw, b"/INBOX" + raw + b"/;uid=1"):
        try:
            named = parse_url(url)
        except BadUrl:
            continue
        assert named.uid > 0


def test_ranges_out_of_bounds_are_refused() -> None:
    for raw in (b"0", b"4294967296", b"1:0", b"9999999999"):
        try:
            parse_ranges(raw)
        except BadSyntax:
            continue
        raise AssertionError(raw)
    assert parse_ranges(b"*:1") == ((1, v.STAR),)


class _Transport(asyncio.Transport):
    """Counts what is written and remembers whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0
        self.over = False

    def write(self, data: Any) -> None:
        self.written += len(data)

    def close(self) -> None:
        self.over = True

    abort = close

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return None

    def pause_reading(self) -> None:
        return None

    resume_reading = pause_reading


class _Echo:
    """A conversation that accepts small literals and answers each command."""

    def __init__(self) -> None:
        self.commands: list[tuple[bytes, list[bytes]]] = []
        self.wire: Wire

    def opened(self, wire: Wire) -> None:
        self.wire = wire

    def literal(self, text: bytes, size: int, synchronous: bool) -> bytes | None:
        return None if size <= 1000 else b"* BAD too large\r\n"

    async def reserve(self, size: int) -> bool:
        return True

    def no_room(self, text: bytes) -> bytes:
        return b"* NO\r\n"

    def release(self, size: int) -> None:
        return None

    def command(self, text: bytes, found: list[bytes]) -> None:
        self.commands.append((text, [bytes(one) for one in found]))
        self.wire.put(b"x OK\r\n")

    def wants_line(self) -> bool:
        return False

    def line(self, text: bytes) -> None:
        return None

    def rested(self) -> None:
        pass

    def closed(self) -> None:
        return None


@fuzz
@given(st.one_of(st.binary(max_size=400), soup), st.lists(st.integers(1, 40), max_size=20))
def test_the_wire_reads_the_same_however_bytes_arrive(raw: bytes, cuts: list[int]) -> None:
    raw = raw.replace(b"}", b"}\r\n")

    async def read(pieces: list[bytes]) -> tuple[list[Any], bool]:
        conversation = _Echo()
        wire = Wire(conversation, asyncio.get_running_loop())
        transport = _Transport()
        wire.connection_made(transport)
        for piece in pieces:
            wire.data_received(piece)
            await asyncio.sleep(0)
            assert len(wire._buffer) <= LONGEST_LINE + len(piece)
        return conversation.commands, transport.over

    async def both() -> None:
        pieces, at = [], 0
        for cut in cuts:
            pieces.append(raw[at : at + cut])
            at += cut
        pieces.append(raw[at:])
        assert await read([raw]) == await read([piece for piece in pieces if piece])

    asyncio.run(both())


@fuzz
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=20), st.lists(st.integers(1, 70)))
def test_joined_ranges_hold_the_same_numbers(ranges: list[tuple[int, int]], numbers: list[int]) -> None:
    ranges = [(min(pair), max(pair)) for pair in ranges]
    made = joined(ranges)
    assert {n for low, high in made for n in range(low, high + 1)} == {
        n for low, high in ranges for n in range(low, high + 1)
    }
    assert all(first[1] + 1 < second[0] for first, second in pairwise(made))
    assert inside(numbers, made) == [n for n in numbers if any(low <= n <= high for low, high in ranges)]


def test_sets_that_name_everything_many_times_cost_little() -> None:
    entries = [Entry(uid, 1, "", 1, 0, 0, uid, b"", 0) for uid in range(1, 50_001)]
    snapshot = Snapshot(entries, 1, 50_001)
    ranges = parse_ranges(b",".join([b"1:*"] * 8000))
    start = time.process_time()
    assert len(snapshot.by_uid(ranges)) == 50_000
    assert len(snapshot.by_number(ranges) or ()) == 50_000
    assert time.process_time() - start < 1
