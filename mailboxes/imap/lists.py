"""Which names LIST and LSUB answer: patterns, selection, children (RFC 9051 6.3.9, RFC 5258). Pure.

Patterns are matched with a bit per position of the name, one pass over the pattern, so that no pattern can make the
server backtrack. Promise: time is the pattern's length times the name's levels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mailboxes.imap.names import SEPARATOR

_WILDCARDS = re.compile("[*%]+")
LONGEST_PATTERN = 512
MOST_PATTERNS = 20


class Pattern:
    """``*`` matches anything, ``%`` anything within a level."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = _WILDCARDS.sub(lambda run: "*" if "*" in run[0] else "%", text)

    def matches(self, name: str) -> bool:
        if self.text == "*":  # what mail programs ask for
            return True
        if name[:5] == "INBOX" and _step(self.text.upper(), name):
            return True
        return _step(self.text, name)


def _step(pattern: str, name: str) -> bool:
    length = len(name)
    everywhere = (1 << (length + 1)) - 1
    where: dict[str, int] = {}
    for place, character in enumerate(name):
        where[character] = where.get(character, 0) | 1 << place
    breaks = [place for place, character in enumerate(name) if character == SEPARATOR]
    at = 1
    for character in pattern:
        if character == "*":
            at = everywhere & ~((at & -at) - 1)
        elif character == "%":
            at = _within_levels(at, breaks, length)
        else:
            at = (at & where.get(character, 0)) << 1
        if not at:
            return False
    return bool(at >> length & 1)


def _within_levels(at: int, breaks: list[int], length: int) -> int:
    """From each position on, every position up to the end of its level."""
    reached, start = 0, 0
    for end in (*breaks, length):
        level = ((1 << (end + 1)) - 1) & ~((1 << start) - 1)
        first = at & level
        if first:
            reached |= level & ~((first & -first) - 1)
        start = end + 1
    return reached


@dataclass(frozen=True, slots=True)
class Line:
    """One LIST answer: attributes in the order they are said; ``child_info`` names what recursive children match."""

    name: str
    attributes: tuple[str, ...]
    child_info: tuple[str, ...] = ()
    exists: bool = True


@dataclass(frozen=True, slots=True)
class Tree:
    """The names of a mailbox: folders with their special use, and subscriptions (to folders that exist or not)."""

    folders: dict[str, str]
    subscribed: frozenset[str]

    def parents(self) -> set[str]:
        """Every name that has inferiors."""
        found: set[str] = set()
        for name in self.folders:
            found.update(above(name))
        return found


def above(name: str) -> Iterable[str]:
    """The superiors of a name, the highest first."""
    place = name.find(SEPARATOR)
    while place >= 0:
        yield name[:place]
        place = name.find(SEPARATOR, place + 1)


def listed(tree: Tree, patterns: list[Pattern], select: frozenset[str], returns: frozenset[str]) -> list[Line]:
    """The LIST answers for ``patterns``, INBOX first."""
    parents = tree.parents()
    names = set(tree.folders) | parents
    wanted = _selection(tree, select)
    if "SUBSCRIBED" in select:
        names |= tree.subscribed
    matching = {name for name in names if any(pattern.matches(name) for pattern in patterns)}
    children = _child_info(tree, matching, select, wanted)
    show_subscribed = "SUBSCRIBED" in select or "SUBSCRIBED" in returns
    lines: list[Line] = []
    for name in sorted(matching | (children.keys() & _matching(children, patterns)), key=_inbox_first):
        info = children.get(name, ())
        if wanted(name) or info:
            attributes = _attributes(tree, name, parents, show_subscribed)
            lines.append(Line(name, attributes, info, name in tree.folders))
    return lines


def _matching(names: Iterable[str], patterns: list[Pattern]) -> set[str]:
    return {name for name in names if any(pattern.matches(name) for pattern in patterns)}


def _inbox_first(name: str) -> tuple[bool, str]:
    return name != "INBOX", name


def _selection(tree: Tree, select: frozenset[str]) -> Callable[[str], bool]:
    def wanted(name: str) -> bool:
        if "SUBSCRIBED" in select and name not in tree.subscribed:
            return False
        return not ("SPECIAL-USE" in select and not tree.folders.get(name))

    return wanted


def _child_info(
    tree: Tree, matching: set[str], select: frozenset[str], wanted: Callable[[str], bool]
) -> dict[str, tuple[str, ...]]:
    """Parents of selected names that no pattern matches (RFC 5258 3.5)."""
    if "RECURSIVEMATCH" not in select:
        return {}
    words = tuple(word for word in ("SUBSCRIBED", "SPECIAL-USE") if word in select)
    found: dict[str, tuple[str, ...]] = {}
    for name in set(tree.folders) | tree.subscribed:
        if wanted(name) and name not in matching:
            for parent in above(name):
                found[parent] = words
    return found


def _attributes(tree: Tree, name: str, parents: set[str], show_subscribed: bool) -> tuple[str, ...]:
    found: list[str] = []
    if show_subscribed and name in tree.subscribed:
        found.append("\\Subscribed")
    if name not in tree.folders:
        found.append("\\NonExistent")
    found.append("\\HasChildren" if name in parents else "\\HasNoChildren")
    use = tree.folders.get(name)
    if use:
        found.append(use)
    return tuple(found)


def subscriptions_listed(tree: Tree, pattern: Pattern) -> list[Line]:
    """The LSUB answers: subscribed names, and with ``%`` the levels above them (RFC 3501 6.3.9)."""
    found: dict[str, tuple[str, ...]] = {}
    for name in tree.subscribed:
        if pattern.matches(name):
            found[name] = ()
        elif pattern.text.endswith("%"):
            for parent in above(name):
                if pattern.matches(parent) and parent not in tree.subscribed:
                    found.setdefault(parent, ("\\Noselect",))
    return [Line(name, found[name]) for name in sorted(found, key=_inbox_first)]
