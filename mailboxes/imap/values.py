"""What a client can ask: one value per command.

Made by :mod:`mailboxes.imap.grammar`, understood by :mod:`mailboxes.imap.session`.
They are tuples because thousands are made each second. Mailbox names stay as written (``bytes``): only the session
knows which encoding the client enabled. Sequence sets are pairs with :data:`STAR` for ``*``; :data:`SAVED` is ``$``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mailboxes.dates import Moment

STAR = 1 << 32
Ranges = tuple[tuple[int, int], ...]
SAVED: Ranges = ((-1, -1),)
"""``$``: the result kept by SEARCH RETURN (SAVE), RFC 5182."""


class Section(NamedTuple):
    """``BODY[path.text (fields)]``: ``text`` is empty, HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT or MIME."""

    path: tuple[int, ...] = ()
    text: str = ""
    fields: tuple[bytes, ...] = ()


class Item(NamedTuple):
    """One FETCH data item. ``label`` is how the response names it; ``partial`` is (offset, length or -1)."""

    kind: str
    label: bytes
    section: Section = Section()
    partial: tuple[int, int] | None = None
    seen: bool = False  # fetching it sets \Seen


class Fetch(NamedTuple):
    ranges: Ranges
    items: tuple[Item, ...]
    changed_since: int = -1
    vanished: bool = False
    partial: tuple[int, int] | None = None


class Store(NamedTuple):
    ranges: Ranges
    operation: str  # set, add, remove
    flags: tuple[bytes, ...]
    silent: bool
    unchanged_since: int = -1


class Copy(NamedTuple):
    ranges: Ranges
    mailbox: bytes


class Key(NamedTuple):
    """One search key; ``args`` are other keys for AND, OR and NOT."""

    name: str
    args: tuple[Any, ...] = ()


class Return(NamedTuple):
    """RETURN (...) of RFC 4731, 5182, 5267, 9394. ``partial`` is an ordered pair, negative from the end."""

    options: frozenset[str]
    partial: tuple[int, int] | None = None


class Search(NamedTuple):
    key: Key
    charset: bytes = b""
    returns: Return | None = None
    sort: tuple[tuple[str, bool], ...] = ()  # criterion, reversed
    thread: str = ""


class QResync(NamedTuple):
    uidvalidity: int
    modseq: int
    known: Ranges | None = None
    match: tuple[Ranges, Ranges] | None = None


class Select(NamedTuple):
    mailbox: bytes
    condstore: bool = False
    qresync: QResync | None = None


class Part(NamedTuple):
    """A piece of CATENATE: text, or a URL."""

    text: bytes | None
    url: bytes = b""


class Message(NamedTuple):
    """One message of APPEND. ``parts`` is one text unless CATENATE was used; ``date`` is a moment or None."""

    flags: tuple[bytes, ...]
    date: Moment | None
    parts: tuple[Part, ...]
    binary: bool = False
    utf8: bool = False


class Append(NamedTuple):
    mailbox: bytes
    messages: tuple[Message, ...]


class Replace(NamedTuple):
    number: int
    mailbox: bytes
    message: Message


class List(NamedTuple):
    """LIST and LSUB. ``extended`` when any RFC 5258 syntax was used."""

    reference: bytes
    patterns: tuple[bytes, ...]
    select: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    metadata: tuple[bytes, ...] = ()
    extended: bool = False


class Status(NamedTuple):
    mailbox: bytes
    items: tuple[str, ...]


class Create(NamedTuple):
    mailbox: bytes
    special_use: tuple[bytes, ...] = ()


class Rename(NamedTuple):
    old: bytes
    new: bytes


class Named(NamedTuple):
    """A command whose one argument is a mailbox."""

    mailbox: bytes


class Authenticate(NamedTuple):
    mechanism: str
    initial: bytes | None


class Credentials(NamedTuple):
    user: bytes
    password: bytes


class Acl(NamedTuple):
    mailbox: bytes
    identifier: bytes
    rights: bytes = b""


class SetQuota(NamedTuple):
    root: bytes
    limits: tuple[tuple[bytes, int], ...]


class GetMetadata(NamedTuple):
    mailbox: bytes
    entries: tuple[bytes, ...]
    maxsize: int = -1
    depth: int = 0  # 0, 1, or a large number for infinity


class SetMetadata(NamedTuple):
    mailbox: bytes
    entries: tuple[tuple[bytes, bytes | None], ...]


class Filter(NamedTuple):
    """One mailbox filter of NOTIFY: ``scope`` is selected, selected-delayed, inboxes, personal, subscribed, subtree,
    subtree-one or mailboxes; ``items`` is what MessageNew asks to fetch."""

    scope: str
    mailboxes: tuple[bytes, ...]
    events: frozenset[str]
    items: tuple[Item, ...] = ()


class Notify(NamedTuple):
    filters: tuple[Filter, ...] | None  # None for NOTIFY NONE
    status: bool = False


class Words(NamedTuple):
    """Atoms or strings in a row: ENABLE, CANCELUPDATE, COMPRESS, ID."""

    words: tuple[bytes, ...]


class Command(NamedTuple):
    tag: bytes
    name: str
    args: Any
