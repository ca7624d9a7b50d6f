"""XML from strangers: one pass, no DTD, no entity, no network, no recursion, and limits on everything.

Promise: libxml2 feeds events to :class:`_Tree`, which keeps a light tree of small nodes and drops what the caller does not want
(``skip``); text is cut at ``MAX_TEXT``. A document type declaration stops the reading at once.
Failure: :class:`Unreadable` with words for the sender, whatever the input. Source: HID-061.., MSS-091.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from hprim.model import Words

MAX_BYTES = 40 << 20
MAX_MARKUP = 400_000
MAX_ELEMENTS = 150_000
MAX_KEPT = 40_000
MAX_ATTRIBUTES = 200_000
MAX_EQUALS = 100_000
MAX_TAG = 1 << 20
MAX_DEPTH = 200
MAX_TEXT = 65_536
MAX_ALL_TEXT = 8 << 20
_CHUNK = 65_536
_OPTIONS: dict[str, Any] = {
    "resolve_entities": "internal",  # only &amp; and its kind remain: a DTD, where entities are declared, is refused
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "huge_tree": False,
}
_ENCODINGS = {
    "utf8": "utf-8",
    "usascii": "us-ascii",
    "ascii": "us-ascii",
    "iso88591": "iso-8859-1",
    "latin1": "iso-8859-1",
    "iso885915": "iso-8859-15",
    "latin9": "iso-8859-15",
    "windows1252": "windows-1252",
    "cp1252": "windows-1252",
    "utf16": "",
    "utf16le": "",
    "utf16be": "",
}
"""Charsets an XML declaration may name, without dashes, and what the parser calls them; the UTF-16 ones show in the bytes."""


class Unreadable(Exception):
    """The bytes are refused; ``words`` say why in both languages."""

    def __init__(self, fr: str, en: str, *, safety: bool = True) -> None:
        super().__init__(en)
        self.words = Words(fr, en)
        self.safety = safety


class TooMuch(Unreadable):
    """A text is longer than what is kept of one, and the caller wants all of it."""


@dataclass(slots=True)
class Node:
    """One element: local ``name``, namespace ``space``, attributes by local name, own text, children."""

    name: str
    space: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: list[Node] = field(default_factory=list)
    tail: str = ""

    def get(self, attribute: str) -> str:
        """The attribute, trimmed; "" when absent."""
        return self.attributes.get(attribute, "").strip()

    def all(self, *path: str) -> list[Node]:
        """The nodes reached by following child names."""
        level = [self]
        for name in path:
            level = [child for node in level for child in node.children if child.name == name]
        return level

    def one(self, *path: str) -> Node | None:
        """The first node at the end of ``path``."""
        found = self.all(*path)
        return found[0] if found else None

    def said(self, *path: str) -> str:
        """The trimmed text of the first node at the end of ``path``, or ""."""
        found = self.one(*path)
        return " ".join(found.text.split()) if found else ""

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in document order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))


class _Tree:
    """The parser's target: builds nodes, counts everything, raises :class:`Unreadable` past a limit."""

    def __init__(self, skip: frozenset[str], under: str, *, whole: bool) -> None:
        self.skip, self.under, self.whole = skip, under, whole
        self.stack: list[Node | None] = []
        self.root: Node | None = None
        self.elements = self.kept = self.attributes = self.all_text = 0
        self.buffer: list[str] = []
        self.room = MAX_TEXT
        self.hidden = 0

    def start(self, tag: str, attrib: dict[str, str], _nsmap: object = None) -> None:
        self._flush()
        self.elements += 1
        if self.elements > MAX_ELEMENTS or len(self.stack) >= MAX_DEPTH:
            raise Unreadable("XML trop profond ou trop d'éléments", "XML too deep or too many elements")
        space, _, name = tag.rpartition("}")
        parent = self.stack[-1] if self.stack else None
        if self.hidden or (name in self.skip and parent is not None and parent.name == self.under):
            self.hidden += 1
            self.stack.append(None)
            return
        self._keep(name, space[1:], attrib)

    def _keep(self, name: str, space: str, attrib: dict[str, str]) -> None:
        self.kept += 1
        self.attributes += len(attrib)
        if self.kept > MAX_KEPT or self.attributes > MAX_ATTRIBUTES:
            raise Unreadable("XML trop d'éléments", "XML has too many elements")
        local = {k.rpartition("}")[2]: v[:MAX_TEXT] for k, v in attrib.items()} if attrib else {}
        node = Node(name, space, local)
        if self.stack:
            parent = self.stack[-1]
            if parent is not None:
                parent.children.append(node)
        else:
            self.root = node
        self.stack.append(node)

    def end(self, _tag: str) -> None:
        self._flush()
        if self.stack.pop() is None:
            self.hidden -= 1

    def data(self, text: str) -> None:
        if not self.hidden and self.room > 0:
            if self.whole and len(text) > self.room:
                raise TooMuch("XML : un texte trop long", "XML holds a text that is too long")
            self.buffer.append(text[: self.room])
            self.room -= len(text)

    def _flush(self) -> None:
        if self.buffer:
            text = "".join(self.buffer)
            self.all_text += len(text)
            if self.all_text > MAX_ALL_TEXT:
                raise Unreadable("XML : trop de texte", "XML holds too much text")
            self._place(text)
            self.buffer = []
        self.room = MAX_TEXT

    def _place(self, text: str) -> None:
        holder = self.stack[-1] if self.stack else None
        if holder is None:
            return
        if holder.children:
            holder.children[-1].tail += text
        else:
            holder.text += text

    def comment(self, _text: str) -> None:
        """Comments are dropped."""

    def pi(self, _target: str, _data: str | None = None) -> None:
        """Processing instructions (style sheets) are never followed."""

    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        raise Unreadable("une DTD est interdite dans un document de santé", "a DTD is forbidden in a health document")

    def close(self) -> Node | None:
        return self.root


_LONG_TAG = re.compile(rb"<[^!?<>][^<>]{%d}" % MAX_TAG)
_DECLARED = re.compile(rb"<\?xml[^>]{0,100}?encoding\s{0,5}=\s{0,5}[\"']([A-Za-z0-9._-]{1,40})[\"']")


def trimmed(data: bytes) -> bytes:
    """``data`` without a BOM or blanks before ``<`` (a declaration must come first)."""
    head = data[:64]
    if head.startswith(b"\xef\xbb\xbf"):
        head = head[3:]
    bare = head.lstrip(b" \t\r\n")
    return data if len(bare) == min(len(data), 64) else data[min(len(data), 64) - len(bare) :]


def _checked(data: bytes) -> dict[str, Any]:
    """Options for the parser: the charset by its usual name, when the declaration spells it otherwise."""
    if len(data) > MAX_BYTES:
        raise Unreadable("XML trop volumineux", "XML too large")
    if data.count(b"<") > MAX_MARKUP:
        raise Unreadable("XML : trop de balises", "XML has too much markup")
    # The parser holds 240 octets for each attribute of a tag before it tells any.
    if data.count(b"=") > MAX_EQUALS and _LONG_TAG.search(data):
        raise Unreadable("XML : trop d'attributs", "XML has too many attributes")
    found = _DECLARED.match(data[:300])
    if found is None:
        return _OPTIONS
    said = found[1].decode("ascii").lower()
    name = _ENCODINGS.get(said.replace("-", "").replace("_", ""))
    if name is None:
        raise Unreadable("jeu de caractères XML non accepté", "XML charset not accepted")
    return _OPTIONS if name in ("", said) else {**_OPTIONS, "encoding": name}


def parse(
    data: bytes, *, skip: frozenset[str] = frozenset(), under: str = "ClinicalDocument", whole: bool = False
) -> Node:
    """The root of ``data``. Children of ``under`` named in ``skip`` are checked but not kept. ``whole``: a text that would be cut at
    ``MAX_TEXT`` is a failure, for those who show it."""
    data = trimmed(data)
    options = _checked(data)
    target: Any = _Tree(skip, under, whole=whole)
    parser = etree.XMLParser(target=target, **options)
    root = _feed(parser, data)
    if not isinstance(root, Node):
        raise Unreadable("document XML vide", "empty XML document", safety=False)
    return root


class _Whole:
    """The parser's target for :func:`text_at`: keeps one text, whatever its length up to a limit."""

    def __init__(self, path: tuple[str, ...], limit: int) -> None:
        self.path, self.room = path, limit
        self.stack: list[str] = []
        self.attributes: dict[str, str] | None = None
        self.pieces: list[str] = []
        self.inside = 0

    def start(self, tag: str, attrib: dict[str, str], _nsmap: object = None) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise Unreadable("XML trop profond ou trop d'éléments", "XML too deep or too many elements")
        self.stack.append(tag.rpartition("}")[2])
        if self.attributes is None and tuple(self.stack[-len(self.path) :]) == self.path:
            self.attributes = {k.rpartition("}")[2]: v[:MAX_TEXT] for k, v in attrib.items()}
            self.inside = len(self.stack)

    def end(self, _tag: str) -> None:
        if len(self.stack) == self.inside:
            self.inside = 0
        self.stack.pop()

    def data(self, text: str) -> None:
        if self.inside and len(self.stack) == self.inside:
            self.room -= len(text)
            if self.room < 0:
                raise Unreadable("XML : trop de texte", "XML holds too much text")
            self.pieces.append(text)

    def comment(self, _text: str) -> None:
        """Comments are dropped."""

    def pi(self, _target: str, _data: str | None = None) -> None:
        """Processing instructions are never followed."""

    def doctype(self, _name: str, _public: str | None, _system: str | None) -> None:
        raise Unreadable("une DTD est interdite dans un document de santé", "a DTD is forbidden in a health document")

    def close(self) -> _Whole:
        return self


def text_at(data: bytes, path: tuple[str, ...], limit: int) -> tuple[dict[str, str], str] | None:
    """Attributes and whole text of the first element under these local names, ``None`` when there is none."""
    data = trimmed(data)
    options = _checked(data)
    target: Any = _Whole(path, limit)
    _feed(etree.XMLParser(target=target, **options), data)
    return None if target.attributes is None else (target.attributes, "".join(target.pieces))


def _feed(parser: Any, data: bytes) -> object:
    view = memoryview(data)
    try:
        for at in range(0, len(data), _CHUNK):
            parser.feed(bytes(view[at : at + _CHUNK]))
        return parser.close()
    except Unreadable:
        raise
    except (etree.LxmlError, ValueError, LookupError, AssertionError) as error:
        fr, en = "XML mal formé ou tronqué", "malformed or truncated XML"
        if isinstance(error, etree.XMLSyntaxError) and error.lineno:
            fr, en = f"{fr} (ligne {error.lineno})", f"{en} (line {error.lineno})"
        raise Unreadable(fr, en, safety=False) from None


_ROOT = re.compile(r"<(?![?!])(?:([A-Za-z_][\w.-]{0,60}):)?([A-Za-z_][\w.-]{0,100})")
_WIDE = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"<\x00\x00\x00", "utf-32-le"),
    (b"\x00\x00\x00<", "utf-32-be"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"<\x00", "utf-16-le"),
    (b"\x00<", "utf-16-be"),
    (b"\x4c\x6f\xa7\x94", "cp500"),
)
_SEEN = 65_536
_SEARCHED = 4 << 20
_SKIPPED = 1_000


def wide(data: bytes) -> str:
    """The codec of an XML text that is not made of ASCII bytes (XML 1.0 appendix F), "" for any other bytes."""
    return next((codec for mark, codec in _WIDE if data.startswith(mark)), "")


def looks_xml(head: bytes) -> bool:
    """Whether bytes open like XML, in any charset a parser would try."""
    codec = wide(head)
    if not codec:
        return trimmed(head).startswith(b"<")
    return head[:256].decode(codec, "ignore").lstrip("\ufeff \t\r\n").startswith("<")


def root_of(data: bytes) -> tuple[str, str] | None:
    """The (namespace, local name) of the first element; ``None`` when it is not XML.

    However long the comments before it: a parser would skip them too. Cheap and lenient: used to recognise a format, never to trust it;
    what it cannot see, :func:`parse` does.
    """
    data = trimmed(data)
    codec = wide(data)
    if codec:
        found = _root_in(data[:_SEEN].decode(codec, "replace").encode("utf-8", "replace"))
        if found is None and len(data) > _SEEN:
            found = _root_in(data[:_SEARCHED].decode(codec, "replace").encode("utf-8", "replace"))
        return found
    return _root_in(data) if data.startswith(b"<") else None


def _root_in(data: bytes) -> tuple[str, str] | None:
    found = _first_element(data)
    if found is None:
        return None
    prefix, name, text = found
    attribute = f"xmlns:{prefix}" if prefix else "xmlns"
    space = re.search(rf"[\s]{re.escape(attribute)}\s{{0,5}}=\s{{0,5}}[\"']([^\"']{{0,200}})[\"']", text)
    return (space[1] if space else ""), name


def _first_element(data: bytes) -> tuple[str, str, str] | None:
    """Prefix and name of the first element, and the text from there; ``None`` behind more than :data:`_SKIPPED` other things."""
    at = 0
    for _ in range(_SKIPPED):
        at = data.find(b"<", at)
        if at < 0:
            return None
        if data.startswith(b"<!--", at):
            closing = data.find(b"-->", at + 4)
            if closing < 0:
                return None
            at = closing + 3
        elif data.startswith(b"<?", at):
            closing = data.find(b"?>", at + 2)
            if closing < 0:
                return None
            at = closing + 2
        elif data.startswith(b"<!", at):
            at += 2
        else:
            text = data[at : at + 8_000].decode("latin-1")
            found = _ROOT.match(text)
            return (found[1] or "", found[2], text) if found else None
    return None
