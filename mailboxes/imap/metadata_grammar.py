"""The grammar of annotations (RFC 5464). Promise and failure are those of :mod:`mailboxes.imap.grammar`."""

from __future__ import annotations

from mailboxes.imap import values as v
from mailboxes.imap.cursor import BadSyntax, Cursor

_DEPTHS = {"0": 0, "1": 1, "INFINITY": 99}


def get_metadata(c: Cursor) -> v.GetMetadata:
    """RFC 5464 4.2; options are accepted before the mailbox (the grammar) and after it (its examples)."""
    c.space()
    maxsize, depth = -1, 0
    if c.at(b"("):
        maxsize, depth = _options(c)
        c.space()
    mailbox = c.mailbox()
    c.space()
    if c.text[c.pos : c.pos + 8].upper() in (b"(MAXSIZE", b"(DEPTH 0", b"(DEPTH 1", b"(DEPTH I"):
        maxsize, depth = _options(c)
        c.space()
    entries = c.listed(c.astring) if c.at(b"(") else (c.astring(),)
    return v.GetMetadata(mailbox, entries, maxsize, depth)


def _options(c: Cursor) -> tuple[int, int]:
    """MAXSIZE (-1: none given) and DEPTH."""
    options = dict(c.listed(lambda: _option(c)))
    return options.get("MAXSIZE", -1), options.get("DEPTH", 0)


def _option(c: Cursor) -> tuple[str, int]:
    word = c.word()
    c.space()
    if word == "MAXSIZE":
        return word, c.number64()
    if word != "DEPTH":
        raise BadSyntax("unknown GETMETADATA option")
    depth = _DEPTHS.get(c.word())
    if depth is None:
        raise BadSyntax("DEPTH is 0, 1 or infinity")
    return word, depth


def set_metadata(c: Cursor) -> v.SetMetadata:
    c.space()
    mailbox = c.mailbox()
    c.space()
    return v.SetMetadata(mailbox, c.listed(lambda: _entry(c)))


def _entry(c: Cursor) -> tuple[bytes, bytes | None]:
    """A name and its value; NIL removes it."""
    name = c.astring()
    c.space()
    return name, c.nstring()
