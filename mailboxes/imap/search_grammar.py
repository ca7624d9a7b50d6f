"""The grammar of SEARCH, SORT and THREAD: keys, return options, criteria.

RFC 9051 6.4.4, 4731 (ESEARCH), 5182 (SEARCHRES), 5032 (WITHIN), 5256 (SORT, THREAD), 5267 (CONTEXT), 5957
(SORT=DISPLAY), 7162 (MODSEQ), 8474 (OBJECTID), 8514 (SAVEDATE), 9394 (PARTIAL).
Promise: at most :data:`MOST_KEYS` keys nested at most :data:`DEEPEST` deep, built with a stack of our own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailboxes.imap.cursor import BadSyntax, Cursor
from mailboxes.imap.values import Key, Return, Search

MOST_KEYS = 1000
DEEPEST = 100
SORT_KEYS = frozenset(["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"])
THREAD_ALGORITHMS = frozenset(("ORDEREDSUBJECT", "REFERENCES", "REFS"))
_RETURNS = frozenset(["MIN", "MAX", "ALL", "COUNT", "SAVE", "UPDATE", "CONTEXT", "PARTIAL"])

_Args = tuple[Any, ...]


def _modseq(c: Cursor) -> _Args:
    """RFC 7162 3.1.5: an optional entry name and type, which all flags share here."""
    if c.at(b'"'):
        c.quoted()
        c.space()
        if c.word() not in ("PRIV", "SHARED", "ALL"):
            raise BadSyntax("expected priv, shared or all")
        c.space()
    return (c.number64(),)


def _pair(c: Cursor) -> _Args:
    name = c.astring()
    c.space()
    return name, c.astring()


def _each(names: str, read: Callable[[Cursor], _Args]) -> dict[str, Callable[[Cursor], _Args]]:
    return dict.fromkeys(names.split(), read)


_PLAIN = frozenset(
    [
        "ALL",
        "ANSWERED",
        "DELETED",
        "DRAFT",
        "FLAGGED",
        "NEW",
        "OLD",
        "RECENT",
        "SEEN",
        "UNANSWERED",
        "UNDELETED",
        "UNDRAFT",
        "UNFLAGGED",
        "UNSEEN",
        "SAVEDATESUPPORTED",
    ]
)
_LEAVES: dict[str, Callable[[Cursor], _Args]] = {
    **_each("BCC BODY CC FROM SUBJECT TEXT TO", lambda c: (c.astring(),)),
    **_each("KEYWORD UNKEYWORD", lambda c: (c.flag(),)),
    **_each("EMAILID THREADID", lambda c: (c.atom(),)),
    **_each("BEFORE ON SINCE SENTBEFORE SENTON SENTSINCE SAVEDBEFORE SAVEDON SAVEDSINCE", lambda c: (c.date(),)),
    **_each("LARGER SMALLER", lambda c: (c.number64(),)),
    **_each("OLDER YOUNGER", lambda c: (c.nz_number(),)),
    "UID": lambda c: (c.ranges(),),
    "HEADER": _pair,
    "MODSEQ": _modseq,
}


class _Frame:
    """An operator waiting for its operands; ``need`` is -1 while a parenthesis is open."""

    __slots__ = ("keys", "name", "need")

    def __init__(self, name: str, need: int) -> None:
        self.name = name
        self.need = need
        self.keys: list[Key] = []

    def key(self) -> Key:
        if self.name == "AND" and len(self.keys) == 1:
            return self.keys[0]
        return Key(self.name, tuple(self.keys))


def keys(c: Cursor) -> Key:
    """The search program from here to the end of the command."""
    stack = [_Frame("AND", -1)]
    count = 0
    while True:
        count += 1
        if count > MOST_KEYS or len(stack) > DEEPEST:
            raise BadSyntax("the search is too long or too deep")
        if c.take(b"("):
            stack.append(_Frame("AND", -1))
            continue
        leaf = _key(c, stack)
        if leaf is None:
            c.space()
            continue
        _settle(stack, leaf)
        while c.at(b")") and len(stack) > 1 and stack[-1].need == -1:
            c.pos += 1
            _settle(stack, stack.pop().key())
        if not c.take(b" "):
            break
    if len(stack) != 1:
        raise BadSyntax("the search is not complete")
    return stack[0].key()


def _key(c: Cursor, stack: list[_Frame]) -> Key | None:
    """One leaf, or None after pushing NOT or OR."""
    if c.at(b"*") or c.at(b"$") or c.text[c.pos : c.pos + 1].isdigit():
        return Key("SEQUENCE", (c.ranges(),))
    word = c.key()
    if word in _PLAIN:
        return Key(word)
    if word in ("NOT", "OR"):
        stack.append(_Frame(word, 1 if word == "NOT" else 2))
        return None
    read = _LEAVES.get(word)
    if read is None:
        raise BadSyntax("unknown search key")
    c.space()
    return Key(word, read(c))


def _settle(stack: list[_Frame], key: Key) -> None:
    """Give ``key`` to the operator that waits for it, and close those that are now complete."""
    while True:
        frame = stack[-1]
        frame.keys.append(key)
        if frame.need < 0 or len(frame.keys) < frame.need:
            return
        key = stack.pop().key()


def returns(c: Cursor) -> Return:
    """``RETURN (...)``, the word already read; no option at all means ALL."""
    c.space()
    partial: tuple[int, int] | None = None

    def option() -> str:
        nonlocal partial
        word = c.word()
        if word not in _RETURNS:
            raise BadSyntax("unknown RETURN option")
        if word == "PARTIAL":
            if partial is not None:
                raise BadSyntax("only one PARTIAL")
            c.space()
            partial = c.partial()
        return word

    options = frozenset(c.listed(option, least=0))
    if "PARTIAL" in options and "ALL" in options:
        raise BadSyntax("ALL and PARTIAL exclude each other")
    return Return(options or frozenset(("ALL",)), partial)


def _maybe(c: Cursor, word: bytes) -> bool:
    """Step over ``word`` if the next word is it."""
    end = c.pos + len(word)
    if c.text[c.pos : end].upper() == word and c.text[end : end + 1] == b" ":
        c.pos = end
        return True
    return False


def search(c: Cursor) -> Search:
    c.space()
    wanted = None
    if _maybe(c, b"RETURN"):
        wanted = returns(c)
        c.space()
    charset = b""
    if _maybe(c, b"CHARSET"):
        c.space()
        charset = c.astring()
        c.space()
    return Search(keys(c), charset, wanted)


def sort(c: Cursor) -> Search:
    """RFC 5256 and 5267; some programs put RETURN after the charset, which is accepted."""
    c.space()
    wanted = None
    if _maybe(c, b"RETURN"):
        wanted = returns(c)
        c.space()
    criteria: dict[str, bool] = {}
    for word, reverse in c.listed(lambda: _criterion(c)):
        criteria.setdefault(word, reverse)  # compared once, it decides no more; a thousand times are a thousand sorts
    c.space()
    charset = c.astring()
    c.space()
    if wanted is None and _maybe(c, b"RETURN"):
        wanted = returns(c)
        c.space()
    return Search(keys(c), charset, wanted, tuple(criteria.items()))


def _criterion(c: Cursor) -> tuple[str, bool]:
    word = c.word()
    reverse = word == "REVERSE"
    if reverse:
        c.space()
        word = c.word()
    if word not in SORT_KEYS:
        raise BadSyntax("unknown SORT criterion")
    return word, reverse


def thread(c: Cursor) -> Search:
    c.space()
    algorithm = c.word()
    if algorithm not in THREAD_ALGORITHMS:
        raise BadSyntax("unknown THREAD algorithm")
    c.space()
    charset = c.astring()
    c.space()
    return Search(keys(c), charset, thread=algorithm)
