"""Putting messages in order: SORT (RFC 5256, 5957) and THREAD (RFC 5256; REFS after draft-ietf-morg-inthread). Pure.

Promise: nothing recurses, whatever references say; loops in them are broken; ties keep the order of the folder.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mailboxes.anatomy import Summary, decode_words
from mailboxes.imap.content import fold
from mailboxes.imap.envelopes import FROM, TO, addresses
from mailboxes.imap.search import Message


def rank(text: str) -> str:
    """Text as SORT compares it: in capitals (RFC 5256 2, RFC 5051), so that ``_`` comes after letters."""
    return text.upper() if text.isascii() else unicodedata.normalize("NFC", text).upper()


def sent(message: Message) -> int:
    """RFC 5256 2.2: the Date field, or INTERNALDATE when it has none."""
    date = message.summary.date
    return date[0] if date is not None else message.entry[4]


def _display(field: int) -> Callable[[Message], str]:
    def key(message: Message) -> str:
        name, mailbox, host = next(iter(addresses(message.summary.envelope, field, 1)), (b"", b"", b""))
        if name:
            return rank(decode_words(name))
        return rank((mailbox + b"@" + host if host else mailbox).decode("utf-8", "replace"))

    return key


_KEYS: dict[str, Callable[[Message], Any]] = {
    "ARRIVAL": lambda message: message.entry[4],
    "CC": lambda message: rank(message.summary.first_cc),
    "DATE": sent,
    "FROM": lambda message: rank(message.summary.first_from),
    "SIZE": lambda message: message.entry[3],
    "SUBJECT": lambda message: rank(message.summary.base_subject.text),
    "TO": lambda message: rank(message.summary.first_to),
    "DISPLAYFROM": _display(FROM),
    "DISPLAYTO": _display(TO),
}


def sorted_by(messages: list[Message], criteria: Sequence[tuple[str, bool]]) -> list[Message]:
    """Messages in the order of the criteria, the first weighing most."""
    found = list(messages)
    for name, reverse in reversed(criteria):
        found.sort(key=_KEYS[name], reverse=reverse)
    return found


# --------------------------------------------------------------------------- THREAD


class Node:
    """A message in a thread, or the place of one that is not there."""

    __slots__ = ("children", "message", "parent", "subject")

    def __init__(self, message: Message | None = None) -> None:
        self.message = message
        self.subject: tuple[bytes, bool] | None = None  # base subject and whether it is a reply, once asked
        self.parent: Node | None = None
        self.children: list[Node] = []


def ordered_subject(messages: list[Message]) -> list[Node]:
    """RFC 5256 THREAD=ORDEREDSUBJECT: one level below the first message of each subject."""
    threads: dict[bytes, Node] = {}
    for message in sorted(messages, key=sent):
        subject = fold(message.summary.base_subject.text)
        root = threads.get(subject)
        if root is None:
            threads[subject] = Node(message)
        else:
            root.children.append(Node(message))
    return sorted(threads.values(), key=_date)


def _date(node: Node) -> int:
    """The date of a node, or of its first child when its message is not there."""
    if node.message is not None:
        return sent(node.message)
    return min((sent(child.message) for child in node.children if child.message is not None), default=0)


def references(messages: list[Message], by_subject: bool = True) -> list[Node]:
    """RFC 5256 THREAD=REFERENCES; without its step 5, and by latest arrival, it is THREAD=REFS."""
    roots = _prune(_link(messages))
    if by_subject:
        _sort(roots, _date)
        roots = _gather(roots)
        _sort(roots, _date)
        return roots
    _sort(roots, _date)
    return sorted(roots, key=_latest)


def _link(messages: list[Message]) -> list[Node]:
    """Step 1 and 2: parents from References or In-Reply-To."""
    table: dict[str, Node] = {}
    nodes: list[Node] = []
    for message in messages:
        summary = message.summary
        identifier = summary.message_id
        node = table.get(identifier) if identifier else None
        if node is None or node.message is not None:
            node = Node(message)
            nodes.append(node)
            if identifier and identifier not in table:
                table[identifier] = node
        else:
            node.message = message
        above = _chain(_ancestors(summary), table, nodes)
        if above is not None and above is not node and not _is_above(node, above):
            _adopt(above, node, replace=True)
    return [node for node in nodes if node.parent is None]


def _ancestors(summary: Summary) -> Sequence[str]:
    return summary.references or summary.in_reply_to[:1]


def _chain(identifiers: Iterable[str], table: dict[str, Node], nodes: list[Node]) -> Node | None:
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
    if node.subject is None:
        message = node.message or next((child.message for child in node.children if child.message), None)
        if message is None:
            return b"", False
        base = message.summary.base_subject
        node.subject = fold(base.text), base.reply
    return node.subject


def _gather(roots: list[Node]) -> list[Node]:
    """Step 5: threads of one base subject become one."""
    table: dict[bytes, Node] = {}
    for node in roots:
        subject, reply = _subject(node)
        if not subject:
            continue
        held = table.get(subject)
        if (
            held is None
            or (node.message is None and held.message is not None)
            or (node.message is not None and held.message is not None and _subject(held)[1] and not reply)
        ):
            table[subject] = node
    found: list[Node] = []
    merged: dict[int, Node] = {}
    for node in roots:
        subject, _ = _subject(node)
        held = table.get(subject) if subject else None
        if held is None or held is node:
            found.append(merged.get(id(node), node))
            continue
        _merge(node, held, merged)
    return list(dict.fromkeys(merged.get(id(node), node) for node in found))


def _merge(node: Node, held: Node, merged: dict[int, Node]) -> None:
    target = merged.get(id(held), held)
    if node.message is None and target.message is None:
        target.children += node.children
    elif target.message is None or (_subject(node)[1] and not _subject(held)[1]):
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
