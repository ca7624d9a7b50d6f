"""Putting messages in order: SORT (RFC 5256, 5957) and THREAD (RFC 5256; REFS after draft-ietf-morg-inthread). Pure.

Promise: nothing recurses, whatever references say; loops in them are broken; ties keep the order of the folder.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from mailboxes.anatomy import BaseSubject, base_subject, decode_words
from mailboxes.imap.content import fold
from mailboxes.imap.envelopes import FROM, TO, addresses
from mailboxes.imap.search import Message
from mailboxes.summary import NO_DATE, column, epochs
from mailboxes.words import SUBJECT_LENGTH

SORTED_AT_ONCE = 20_000  # messages: 5 ms
PART = 2000
SAMPLED = 2000


def rank(text: str) -> str:
    """Text as SORT compares it: in capitals (RFC 5256 2, RFC 5051), so that ``_`` comes after letters."""
    return text.upper() if text.isascii() else unicodedata.normalize("NFC", text).upper()


def sent(messages: Sequence[Message]) -> list[int]:
    """RFC 5256 2.2: the Date field, or INTERNALDATE when it has none."""
    dates = epochs([message.summary for message in messages])
    if NO_DATE in dates:
        return [message.entry[4] if date == NO_DATE else date for date, message in zip(dates, messages, strict=True)]
    return dates


def bases(messages: Sequence[Message]) -> list[BaseSubject]:
    """RFC 5256 2.1."""
    subjects = column([message.summary for message in messages], "subject")
    return [base_subject(subject.decode("utf-8")) for subject in subjects]


def _ranked(name: str) -> Callable[[Sequence[Message]], list[str]]:
    """The key of a field whose text is in the summary."""

    def keys(messages: Sequence[Message]) -> list[str]:
        return [rank(text.decode("utf-8")) for text in column([message.summary for message in messages], name)]

    return keys


def _subjects(messages: Sequence[Message]) -> list[str]:
    """The same of base subjects."""
    found: list[str] = []
    for text in column([message.summary for message in messages], "subject"):
        # What has no mark and no white space to join is its own base; of ten thousand that spares half the time.
        if (
            text.isascii()
            and b":" not in text
            and b"[" not in text
            and b"  " not in text
            and text[:1] != b" "
            and text[-1:] not in (b" ", b")")
            and len(text) <= SUBJECT_LENGTH
        ):
            found.append(text.upper().decode("ascii"))
        else:
            found.append(rank(base_subject(text.decode("utf-8")).text))
    return found


def _display(field: int) -> Callable[[Sequence[Message]], list[str]]:
    return lambda messages: [_displayed(envelope, field) for envelope in _envelopes(messages)]


def _envelopes(messages: Sequence[Message]) -> Iterator[bytes]:
    return (message.summary.envelope for message in messages)


def _displayed(envelope: bytes, field: int) -> str:
    """RFC 5957: the name of the first address, else the address."""
    name, mailbox, host = next(iter(addresses(envelope, field, 1)), (b"", b"", b""))
    if name:
        return rank(decode_words(name))
    return rank((mailbox + b"@" + host if host else mailbox).decode("utf-8", "replace"))


_KEYS: dict[str, Callable[[Sequence[Message]], Sequence[Any]]] = {
    "ARRIVAL": lambda messages: [message.entry[4] for message in messages],
    "CC": _ranked("first_cc"),
    "DATE": sent,
    "FROM": _ranked("first_from"),
    "SIZE": lambda messages: [message.entry[3] for message in messages],
    "SUBJECT": _subjects,
    "TO": _ranked("first_to"),
    "DISPLAYFROM": _display(FROM),
    "DISPLAYTO": _display(TO),
}


def order_of(messages: Sequence[Message], criteria: Sequence[tuple[str, bool]]) -> list[int]:
    """Places of the messages in the order of the criteria, the first weighing most."""
    order = list(range(len(messages)))
    for name, reverse in reversed(criteria):
        order = _arranged(order, _KEYS[name](messages), reverse)
    return order


def _arranged(order: list[int], keys: Sequence[Any], reverse: bool) -> list[int]:
    """``order`` by ``keys``; equals stay as they were.

    Very many are parted first, by keys that some of them have: ``list.sort`` keeps the interpreter from every other thread, the
    event loop's too, for 30 to 60 ms of 100 000.
    """
    if len(order) <= SORTED_AT_ONCE:
        return sorted(order, key=keys.__getitem__, reverse=reverse)
    sample = sorted([keys[place] for place in order[:: len(order) // SAMPLED]])
    bounds = sample[:: max(SAMPLED * PART // len(order), 1)]
    parts: list[list[int]] = [[] for _ in range(len(bounds) + 1)]
    for place in order:
        parts[bisect_right(bounds, keys[place])].append(place)
    found: list[int] = []
    for part in reversed(parts) if reverse else parts:
        part.sort(key=keys.__getitem__, reverse=reverse)
        found += part
    return found


# --------------------------------------------------------------------------- THREAD


class Node:
    """A message in a thread, or the place of one that is not there."""

    __slots__ = ("base", "children", "date", "message", "parent")

    def __init__(self, message: Message | None = None, date: int = 0, base: BaseSubject | None = None) -> None:
        self.message = message
        self.date = date
        self.base = base
        self.parent: Node | None = None
        self.children: list[Node] = []


def ordered_subject(messages: Sequence[Message]) -> list[Node]:
    """RFC 5256 THREAD=ORDEREDSUBJECT: one level below the first message of each subject."""
    threads: dict[bytes, Node] = {}
    nodes = list(map(Node, messages, sent(messages), bases(messages)))
    for node in sorted(nodes, key=_date):
        subject, _ = _subject(node)
        root = threads.setdefault(subject, node)
        if root is not node:
            root.children.append(node)
    return sorted(threads.values(), key=_date)


def _date(node: Node) -> int:
    """The date of a node, or of its first child when its message is not there."""
    if node.message is not None:
        return node.date
    return min((child.date for child in node.children if child.message is not None), default=0)


def references(messages: Sequence[Message], by_subject: bool = True) -> list[Node]:
    """RFC 5256 THREAD=REFERENCES; without its step 5, and by latest arrival, it is THREAD=REFS."""
    roots = _prune(_link(messages, bases(messages) if by_subject else [_NO_BASE] * len(messages)))
    if by_subject:
        _sort(roots, _date)
        roots = _gather(roots)
        _sort(roots, _date)
        return roots
    _sort(roots, _date)
    return sorted(roots, key=_latest)


_NO_BASE = BaseSubject("", False)


def _link(messages: Sequence[Message], subjects: Sequence[BaseSubject]) -> list[Node]:
    """Step 1 and 2: parents from References or In-Reply-To."""
    summaries = [message.summary for message in messages]
    identifiers, replied = column(summaries, "message_id"), column(summaries, "in_reply_to")
    table: dict[bytes, Node] = {}
    nodes: list[Node] = []
    columns = zip(
        messages, sent(messages), subjects, identifiers, column(summaries, "references"), replied, strict=True
    )
    for message, date, base, identifier, above, answered in columns:
        node = table.get(identifier) if identifier else None
        if node is None or node.message is not None:
            node = Node(message, date, base)
            nodes.append(node)
            if identifier and identifier not in table:
                table[identifier] = node
        else:
            node.message, node.date, node.base = message, date, base
        if above or answered:
            parent = _chain(above.split() if above else answered.split()[:1], table, nodes)
            if parent is not None and parent is not node and not _is_above(node, parent):
                _adopt(parent, node, replace=True)
    return [node for node in nodes if node.parent is None]


def _chain(identifiers: Iterable[bytes], table: dict[bytes, Node], nodes: list[Node]) -> Node | None:
    """Link the references to one another where that makes no loop; the last one is the parent."""
    above: Node | None = None
    for identifier in identifiers:
        node = table.get(identifier)
        if node is None:
            node = table[identifier] = Node()
            nodes.append(node)
        if above is not None and node.parent is None and node is not above and not _is_above(node, above):
            _adopt(above, node)
        above = node
    return above


def _is_above(node: Node, below: Node) -> bool:
    """Whether ``node`` is an ancestor of ``below``."""
    if not node.children:
        return False
    at: Node | None = below
    while at is not None:
        if at is node:
            return True
        at = at.parent
    return False


def _adopt(parent: Node, child: Node, replace: bool = False) -> None:
    if child.parent is not None:
        if not replace:
            return
        child.parent.children.remove(child)
    child.parent = parent
    parent.children.append(child)


def _prune(roots: list[Node]) -> list[Node]:
    """Step 3: empty places without children go; those with children give them to their parent (or, at the root, when
    there is only one)."""
    top = Node()
    top.children = roots
    order: list[Node] = []
    stack = [top]
    while stack:
        node = stack.pop()
        order.append(node)
        stack += node.children
    for node in reversed(order):  # deepest first
        kept: list[Node] = []
        for child in node.children:
            if child.message is not None:
                kept.append(child)
            elif child.children and (node is not top or len(child.children) == 1):
                kept += child.children
            elif child.children:
                kept.append(child)
        node.children = kept
    for node in top.children:
        node.parent = None
    return top.children


def _sort(roots: list[Node], key: Callable[[Node], int]) -> None:
    """Step 4 and 6: siblings by date, deepest first so that dates of empty places are known."""
    order: list[Node] = []
    stack = list(roots)
    while stack:
        node = stack.pop()
        order.append(node)
        stack += node.children
    for node in reversed(order):
        if len(node.children) > 1:
            node.children.sort(key=key)
    roots.sort(key=key)


def _subject(node: Node) -> tuple[bytes, bool]:
    """The base subject of a thread's first message, and whether that is a reply."""
    base = node.base
    if node.message is None:
        base = next((child.base for child in node.children if child.message is not None), None)
    return (fold(base.text), base.reply) if base is not None else (b"", False)


def _gather(roots: list[Node]) -> list[Node]:
    """Step 5: threads of one base subject become one."""
    table: dict[bytes, tuple[Node, bool]] = {}  # with whether it is a reply
    subjects = list(map(_subject, roots))
    for node, (subject, reply) in zip(roots, subjects, strict=True):
        if not subject:
            continue
        held, held_reply = table.get(subject, (None, False))
        if (
            held is None
            or (node.message is None and held.message is not None)
            or (node.message is not None and held.message is not None and held_reply and not reply)
        ):
            table[subject] = node, reply
    found: list[Node] = []
    merged: dict[int, Node] = {}
    for node, (subject, reply) in zip(roots, subjects, strict=True):
        held, held_reply = table[subject] if subject else (node, reply)
        if held is node:
            found.append(merged.get(id(node), node))
            continue
        _merge(node, held, reply and not held_reply, merged)
    return list(dict.fromkeys(merged.get(id(node), node) for node in found))


def _merge(node: Node, held: Node, answers: bool, merged: dict[int, Node]) -> None:
    """``answers``: the node is a reply to what is held."""
    target = merged.get(id(held), held)
    if node.message is None and target.message is None:
        target.children += node.children
    elif target.message is None or answers:
        target.children.append(node)
    else:
        both = Node()
        both.children = [target, node]
        merged[id(held)] = both


def _latest(node: Node) -> int:
    latest, stack = 0, [node]
    while stack:
        one = stack.pop()
        if one.message is not None:
            latest = max(latest, one.message.entry[4])
        stack += one.children
    return latest


def rendered(roots: Iterable[Node], number: Callable[[Message], int]) -> bytes:
    """Threads as THREAD answers them: ``(2)(3 6 (4 23)(44 7 96))``."""
    out: list[bytes] = []
    # What is still to be written: a node that opens a branch, or text.
    stack: list[tuple[Node | None, bytes, bool]] = [(root, b"", True) for root in reversed(list(roots))]
    while stack:
        node, text, opens = stack.pop()
        if node is None:
            out.append(text)
            continue
        if opens:
            out.append(b"(")
            stack.append((None, b")", False))
        if node.message is not None:
            out.append((b"" if opens else b" ") + b"%d" % number(node.message))
        if len(node.children) == 1 and node.message is not None:
            stack.append((node.children[0], b"", False))
        elif node.children:
            if node.message is not None:
                out.append(b" ")
            stack += [(child, b"", True) for child in reversed(node.children)]
    return b"".join(out)


def dismantle(roots: list[Node]) -> None:
    """Take threads apart node by node: as they are they hold one another, and only a whole collection would find them."""
    while roots:
        node = roots.pop()
        roots += node.children
        node.children, node.parent = [], None
