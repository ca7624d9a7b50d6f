"""Statements of the hot paths: written once with ``?``, run through the driver's own cursor on either database.

SQLAlchemy Core costs 50 microseconds a statement, the drivers five; where a statement runs for each message the tables of
:mod:`mailboxes.tables` are spoken to directly. Everything else uses Core.
Promise: values always travel as parameters; the text of a statement never holds one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

ROWS_PER_INSERT = 64
IDS_PER_QUERY = 512


class Sql:
    """One statement. ``lock`` adds FOR UPDATE on PostgreSQL; on SQLite the writer holds the whole database anyway."""

    __slots__ = ("_postgres", "_sqlite")

    def __init__(self, text: str, *, lock: bool = False) -> None:
        self._sqlite = text
        self._postgres = text.replace("%", "%%").replace("?", "%s") + (" FOR UPDATE" if lock else "")

    def __call__(self, cursor: Any, *values: Any) -> Any:
        """Execute; returns the cursor."""
        return cursor.execute(self.text(cursor), values)

    def many(self, cursor: Any, rows: Sequence[Sequence[Any]]) -> None:
        """Execute once per row."""
        if rows:
            cursor.executemany(self.text(cursor), rows)

    def text(self, cursor: Any) -> str:
        return self._sqlite if isinstance(cursor, sqlite3.Cursor) else self._postgres


class Insert:
    """Rows into one table, many per statement: one step of the database engine, so one release of the GIL."""

    __slots__ = ("_columns", "_table")

    def __init__(self, table: str, columns: str) -> None:
        self._table = table
        self._columns = tuple(columns.split())

    def __call__(self, cursor: Any, rows: Sequence[tuple[Any, ...]]) -> None:
        for part in chunks(rows, ROWS_PER_INSERT):
            statement = _insert(self._table, self._columns, len(part))
            cursor.execute(statement.text(cursor), [*chain.from_iterable(part)])


@lru_cache(maxsize=1024)
def _insert(table: str, columns: tuple[str, ...], rows: int) -> Sql:
    row = "(" + ", ".join("?" * len(columns)) + ")"
    return Sql(f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}")  # noqa: S608


class InList:
    """A statement with one ``(...)`` that takes a list of identifiers, after its other parameters.

    Lists are padded to a power of two by repeating an identifier, so that few texts are prepared. One statement for
    many rows is also one release of the interpreter's lock, for which a busy event loop would make the writer queue.
    """

    __slots__ = ("_lock", "_text")

    def __init__(self, text: str, *, lock: bool = False) -> None:
        self._text = text
        self._lock = lock

    def __call__(self, cursor: Any, ids: Sequence[int], *values: Any) -> list[tuple[Any, ...]]:
        """All rows for ``ids`` (any number of them, in portions)."""
        rows: list[tuple[Any, ...]] = []
        for part in chunks(ids, IDS_PER_QUERY):
            rows.extend(self._execute(cursor, part, values).fetchall())
        return rows

    def change(self, cursor: Any, ids: Sequence[int], *values: Any) -> None:
        """Execute for ``ids`` a statement that returns nothing."""
        for part in chunks(ids, IDS_PER_QUERY):
            self._execute(cursor, part, values)

    def _execute(self, cursor: Any, part: Sequence[int], values: tuple[Any, ...]) -> Any:
        size = 1 << (len(part) - 1).bit_length()
        statement = _listed(self._text, size, self._lock)
        return cursor.execute(statement.text(cursor), [*values, *part, *([part[0]] * (size - len(part)))])


class Rows:
    """A statement with one ``VALUES (...)`` that takes a table of integers, joined to what it changes."""

    __slots__ = ("_text", "_width")

    def __init__(self, text: str, width: int) -> None:
        self._text = text
        self._width = width

    def __call__(self, cursor: Any, rows: Sequence[Sequence[int]]) -> None:
        for part in chunks(rows, ROWS_PER_INSERT):
            statement = _tabled(self._text, self._width, len(part))
            cursor.execute(statement.text(cursor), [*chain.from_iterable(part)])


@lru_cache(maxsize=256)
def _tabled(text: str, width: int, rows: int) -> Sql:
    # PostgreSQL takes the columns' types from the first row: plain integers of different lengths need the cast.
    row = "(" + ", ".join(["CAST(? AS BIGINT)"] * width) + ")"
    return Sql(text.replace("VALUES (...)", "VALUES " + ", ".join([row] * rows)))


@lru_cache(maxsize=512)
def _listed(text: str, size: int, lock: bool) -> Sql:
    return Sql(text.replace("(...)", "(" + ", ".join("?" * size) + ")"), lock=lock)


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """``items`` in slices of at most ``size``."""
    return (items[start : start + size] for start in range(0, len(items), size))
