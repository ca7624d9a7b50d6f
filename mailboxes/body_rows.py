"""Rows of message bodies, and how many entries and queue rows need each.

Promise: a body's rows go in the transaction that releases its last reference; its blob goes after the commit.
Failure: database errors propagate to the unit they happened in.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mailboxes.sql import InList, Insert
from mailboxes.store import Sealed

_BODY = Insert("body", "body_id refs size sha256 blob")
_CONTENT = Insert("content", "body_id data")
_SUMMARY = Insert("summary", "body_id data")
_ADD = InList("UPDATE body SET refs = refs + ? WHERE body_id IN (...)")
_HELD = InList("SELECT body_id, refs, blob FROM body WHERE body_id IN (...) ORDER BY body_id", lock=True)
_DELETE = tuple(InList(f"DELETE FROM {table} WHERE body_id IN (...)") for table in ("body", "content", "summary"))  # noqa: S608


def put_bodies(cursor: Any, sealed: Sequence[Sealed], references: Sequence[int] = ()) -> None:
    """Insert bodies with so many references each; of those nobody needs yet, the same transaction says who does."""
    counts = references or [0] * len(sealed)
    rows = zip(sealed, counts, strict=True)
    _BODY(cursor, [(one.body_id, count, one.size, one.sha256, one.blob) for one, count in rows])
    _SUMMARY(cursor, [(one.body_id, one.summary) for one in sealed])
    inline = [(one.body_id, one.inline) for one in sealed if one.inline is not None]
    if inline:
        _CONTENT(cursor, inline)


def hold(cursor: Any, body_ids: Iterable[int]) -> None:
    """One more reference for each occurrence of a body."""
    _add(cursor, Counter(body_ids))


def _add(cursor: Any, counts: Mapping[int, int]) -> None:
    """One statement for all bodies that gain or lose the same number; nearly always that is one."""
    alike: dict[int, list[int]] = defaultdict(list)
    for body_id in sorted(counts):
        alike[counts[body_id]].append(body_id)
    for count, body_ids in alike.items():
        _ADD.change(cursor, body_ids, count)


def release(cursor: Any, counts: Mapping[int, int]) -> list[str]:
    """That many references fewer; rows of bodies nobody needs are deleted. Returns the blobs to delete after commit."""
    kept: dict[int, int] = {}
    gone: list[int] = []
    blobs: list[str] = []
    for body_id, refs, blob in _HELD(cursor, sorted(counts)):
        if refs > counts[body_id]:
            kept[body_id] = -counts[body_id]
        else:
            gone.append(body_id)
            if blob:
                blobs.append(blob)
    _add(cursor, kept)
    for statement in _DELETE:
        statement.change(cursor, gone)
    return blobs
