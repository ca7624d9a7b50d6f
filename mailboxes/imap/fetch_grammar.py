"""The grammar of FETCH and its items: macros, sections, partials, BINARY (RFC 3516), PREVIEW (RFC 8970) and the small ones."""

from __future__ import annotations

from mailboxes.imap.cursor import BadSyntax, Cursor
from mailboxes.imap.names import astring
from mailboxes.imap.values import Fetch, Item, Section

DEEPEST_PATH = 64
MOST_ITEMS = 64

_SIMPLE = {
    name: Item(name, name.encode("ascii"))
    for name in (
        "FLAGS",
        "UID",
        "ENVELOPE",
        "INTERNALDATE",
        "RFC822.SIZE",
        "BODYSTRUCTURE",
        "MODSEQ",
        "SAVEDATE",
        "EMAILID",
        "THREADID",
    )
}
_SIMPLE["RFC822"] = Item("SECTION", b"RFC822", seen=True)
_SIMPLE["RFC822.HEADER"] = Item("SECTION", b"RFC822.HEADER", Section(text="HEADER"))
_SIMPLE["RFC822.TEXT"] = Item("SECTION", b"RFC822.TEXT", Section(text="TEXT"), seen=True)
_SIMPLE["RFC822.PEEK"] = Item("SECTION", b"RFC822")  # of RFC 1730; Outlook asks for it to this day
_SIMPLE["RFC822.TEXT.PEEK"] = Item("SECTION", b"RFC822.TEXT", Section(text="TEXT"))
_FAST = (_SIMPLE["FLAGS"], _SIMPLE["INTERNALDATE"], _SIMPLE["RFC822.SIZE"])
_BODY = Item("BODY", b"BODY")
_MACROS = {
    "FAST": _FAST,
    "ALL": (*_FAST, _SIMPLE["ENVELOPE"]),
    "FULL": (*_FAST, _SIMPLE["ENVELOPE"], _BODY),
}
_TEXTS = frozenset(("HEADER", "TEXT", "MIME"))
_WITH_FIELDS = frozenset(("HEADER.FIELDS", "HEADER.FIELDS.NOT"))


def uid_fetch(c: Cursor) -> Fetch:
    """RFC 9051 6.4.5, modifiers of RFC 7162 3.1.4.1 and RFC 9394 3.3."""
    c.space()
    ranges = c.ranges()
    c.space()
    items = fetch_items(c)
    changed_since, vanished, partial = -1, False, None
    if c.take(b" "):
        c.expect(b"(")
        while True:
            word = c.word()
            if word == "CHANGEDSINCE":
                c.space()
                changed_since = c.number64()
            elif word == "VANISHED":
                vanished = True
            elif word == "PARTIAL":
                c.space()
                partial = c.partial()
            else:
                raise BadSyntax("unknown FETCH modifier")
            if not c.take(b" "):
                break
        c.expect(b")")
        if vanished and changed_since < 0:
            raise BadSyntax("VANISHED needs CHANGEDSINCE")
    return Fetch(ranges, items, changed_since, vanished, partial)


def fetch(c: Cursor) -> Fetch:
    asked = uid_fetch(c)
    if asked.vanished:
        raise BadSyntax("VANISHED is for UID FETCH")
    return asked


def fetch_items(c: Cursor) -> tuple[Item, ...]:
    """A macro, one item, or a parenthesized list of items."""
    if c.at(b"("):
        return fetch_list(c)
    start = c.pos
    macro = _MACROS.get(c.key())
    if macro:
        return macro
    c.pos = start
    return (_item(c),)


def fetch_list(c: Cursor) -> tuple[Item, ...]:
    """A parenthesized list; an item asked twice is answered once."""
    items = tuple(dict.fromkeys(c.listed(lambda: _item(c))))
    if len(items) > MOST_ITEMS:
        raise BadSyntax("too many items")
    return items


def _item(c: Cursor) -> Item:
    word = c.key()
    simple = _SIMPLE.get(word)
    if simple:
        return simple
    if word in ("BODY", "BODY.PEEK") and c.at(b"["):
        return _body(c, peek=word == "BODY.PEEK")
    if word == "BODY":
        return _BODY
    if word in ("BINARY", "BINARY.PEEK", "BINARY.SIZE"):
        return _binary(c, word)
    if word == "PREVIEW":
        if c.text[c.pos : c.pos + 7].upper() == b" (LAZY)":
            c.pos += 7
            return Item("PREVIEW.LAZY", b"PREVIEW")
        return Item("PREVIEW", b"PREVIEW")
    raise BadSyntax("unknown FETCH item")


def _body(c: Cursor, peek: bool) -> Item:
    c.expect(b"[")
    section = parse_section(c)
    c.expect(b"]")
    partial = _partial(c)
    label = b"BODY[" + _spelled(section) + b"]"
    if partial:
        label += b"<%d>" % partial[0]
    return Item("SECTION", label, section, partial, seen=not peek)


def _binary(c: Cursor, word: str) -> Item:
    c.expect(b"[")
    # The RFC asks for part numbers only; programs made for Dovecot also name HEADER, TEXT and MIME.
    section = parse_section(c)
    c.expect(b"]")
    spelled = b"[" + _spelled(section) + b"]"
    if word == "BINARY.SIZE":
        return Item("BINARY.SIZE", b"BINARY.SIZE" + spelled, section)
    partial = _partial(c)
    label = b"BINARY" + spelled + (b"<%d>" % partial[0] if partial else b"")
    return Item("BINARY", label, section, partial, seen=word == "BINARY")


def _path(c: Cursor) -> tuple[int, ...]:
    found: list[int] = []
    while c.text[c.pos : c.pos + 1].isdigit():
        found.append(c.nz_number())
        if len(found) > DEEPEST_PATH:
            raise BadSyntax("a section is too deep")
        following = c.text[c.pos + 1 : c.pos + 2]
        if not (c.at(b".") and following.isdigit()):
            break
        c.pos += 1
    return tuple(found)


def parse_section(c: Cursor) -> Section:
    path = _path(c)
    if c.at(b"]"):
        return Section(path)
    if path:
        c.expect(b".")
    text = c.key()
    if text in _WITH_FIELDS:
        c.space()
        return Section(path, text, c.listed(c.astring))
    if text not in _TEXTS or (text == "MIME" and not path):
        raise BadSyntax("unknown section")
    return Section(path, text)


def _partial(c: Cursor) -> tuple[int, int] | None:
    """``<offset.length>``; without a length, to the end."""
    if not c.take(b"<"):
        return None
    offset = c.number64()
    length = c.nz_number() if c.take(b".") else -1
    c.expect(b">")
    return offset, length


def _spelled(section: Section) -> bytes:
    words = [b".".join([b"%d" % number for number in section.path])] if section.path else []
    if section.text:
        words.append(section.text.encode("ascii"))
    spelled = b".".join(words)
    if section.fields:
        spelled += b" (" + b" ".join([astring(name) for name in section.fields]) + b")"
    return spelled
