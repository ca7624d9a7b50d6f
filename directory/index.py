"""The directory in SQL: questions as statements, on SQLite and on PostgreSQL alike.

A question that names three characters in a row is first put to the trigrams (:mod:`directory.grams`). Where they leave few
rows, those are asked and sorted; else the entries are walked in the order of their names until the answer is full, and where that
takes too long all are read. That is the longest a question takes: 0.7 s of half a million (docs/performance.md).
Promise: what answers is what :func:`directory.search.holds` holds for, in the order of :class:`directory.search.MemoryDirectory`;
only rows of the generation in force answer, and only where ``visible`` holds for them at the moment of the answer
(MSS-121, MSS-122). Texts of a question travel as parameters; ``%``, ``_`` and quotes in them are themselves.
Failure: ``ValueError`` for a question beyond its bounds; an error of the database propagates.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, false, not_, or_, select, text, true

from directory.entry import Entry, Source
from directory.grams import Sieve, sieve, spelled, storable
from directory.search import TEXTS, Answer, Condition, Every, Field, Not, Way, demand_bounded, folded
from directory.tables import NATIONAL, POSTGRES_ALL, entry, source

FEW = 4000
"""Rows the trigrams may leave for them to be fetched and sorted: thirty milliseconds."""
WALK = 100_000
"""Rows walked in the order of their names, each somewhere else in the file, before all are read as they lie there."""
FAR_SECONDS = 60.0
"""How long it is remembered up to which name that is."""
MOST = 1000
"""Entries in one answer, whatever was asked for (MSS-130)."""


def shown(one: Entry) -> str:
    """An entry as it is kept; empty fields are left out."""
    kept = {name: value for name, value in asdict(one).items() if name != "source" and (value or value is False)}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def read(row: Any) -> Entry:
    """The reverse."""
    return Entry(source=Source.NATIONAL if row.owner == NATIONAL else Source.LOCAL, **json.loads(row.shown))


def _sorted(connection: Connection, where: Sequence[ColumnElement[bool]], limit: int) -> Sequence[Any]:
    """By an expression, which is in no index: the rows found are sorted, instead of all walked in the order asked for."""
    order = (entry.c.name.op("||")(""), entry.c.key)
    return connection.execute(select(entry.c.owner, entry.c.shown).where(*where).order_by(*order).limit(limit)).all()


def in_force() -> ColumnElement[bool]:
    """Own mailboxes, and the national entries of the generation in force."""
    now = select(source.c.generation).where(source.c.name == Source.NATIONAL.value).scalar_subquery()
    return or_(entry.c.owner != NATIONAL, and_(entry.c.since <= now, entry.c.until > now))


class Index:
    """The questions. ``visible`` is a condition on a row of :data:`directory.tables.entry`, from whoever knows who is hidden."""

    def __init__(self, visible: ColumnElement[bool]) -> None:
        self.visible = visible
        self._far: tuple[float, str | None] | None = None

    def find(self, connection: Connection, condition: Condition, limit: int) -> Answer:
        """At most ``limit`` entries, by name."""
        demand_bounded(condition)
        limit = min(max(limit, 0), MOST)
        if connection.dialect.name == "postgresql":  # compiling such a statement takes it 300 ms, running it 20
            connection.execute(text("SET LOCAL jit = off"))
        where = [clause(condition), in_force(), self.visible]
        few = _few(connection, condition)
        if few is not None:
            rows = _sorted(connection, [*where, entry.c.id.in_(few)], limit + 1)
        else:
            rows = self._walked(connection, where, limit + 1)
        return Answer(tuple(read(row) for row in rows[:limit]), len(rows) > limit)

    def _walked(self, connection: Connection, where: Sequence[ColumnElement[bool]], limit: int) -> Sequence[Any]:
        """In the order of the names until there are enough. Where many ask for little, all rows in their own order are less work."""
        far = self._far_name(connection)
        query = select(entry.c.owner, entry.c.shown).where(*where).order_by(entry.c.name, entry.c.key).limit(limit)
        rows = connection.execute(query if far is None else query.where(entry.c.name < far)).all()
        return rows if far is None or len(rows) == limit else _sorted(connection, where, limit)

    def _far_name(self, connection: Connection) -> str | None:
        """Up to which name is walked; None where there are fewer. An old one does no harm: all names before it are walked."""
        now = time.monotonic()
        if self._far is None or now - self._far[0] > FAR_SECONDS:
            query = select(entry.c.name).order_by(entry.c.name, entry.c.key).offset(WALK).limit(1)
            self._far = now, connection.execute(query).scalar()
        return self._far[1]

    def get(self, connection: Connection, address: str) -> Entry | None:
        """The entry of one address."""
        key = address.lower()
        if not storable(key):
            return None
        query = select(entry.c.owner, entry.c.shown).where(entry.c.key == key, in_force(), self.visible)
        row = connection.execute(query).first()
        return None if row is None else read(row)


def clause(condition: Condition) -> ColumnElement[bool]:
    """What :func:`directory.search.holds` asks, as a condition on a row."""
    if isinstance(condition, Field):
        return _compare(condition)
    if isinstance(condition, Not):
        return not_(clause(condition.part))
    parts = [clause(part) for part in condition.parts]
    if isinstance(condition, Every):
        return and_(true(), *parts)
    return or_(false(), *parts)


def _compare(field: Field) -> ColumnElement[bool]:
    column, sought = entry.c[field.name], folded(field.text)
    if field.way is Way.PRESENT:
        return column != ""
    if not storable(sought):
        return false()
    if field.way is Way.IS:
        return column == sought
    if field.way is Way.BEGINS:
        return column.startswith(sought, autoescape=True)
    if field.way is Way.ENDS:
        return column.endswith(sought, autoescape=True)
    return column.contains(sought, autoescape=True)


def _few(connection: Connection, condition: Condition) -> list[int] | None:
    """The rows that may answer, when the trigrams leave few."""
    found = sieve(condition)
    if found is None:
        return None
    query, parameters = _SIEVED[connection.dialect.name](found)
    rows = connection.execute(text(query), {**parameters, "most": FEW + 1}).all()
    return None if len(rows) > FEW else [int(row[0]) for row in rows]


_IN_NONE = '"\n \n"'
"""No field is a blank."""


def _sqlite(found: Sieve) -> tuple[str, dict[str, Any]]:
    def every(grams: Iterable[str]) -> str:
        return " AND ".join('"' + gram.replace('"', '""') + '"' for gram in grams)

    query = "SELECT rowid FROM directory_gram WHERE directory_gram MATCH :sought LIMIT :most"
    return query, {"sought": spelled(found, every, _IN_NONE)}


def _postgresql(found: Sieve) -> tuple[str, dict[str, Any]]:
    parameters: dict[str, Any] = {}

    def every(grams: Iterable[str]) -> str:
        name = f"grams{len(parameters)}"
        parameters[name] = list(grams)
        return f"directory_grams({POSTGRES_ALL}) @> CAST(:{name} AS text[])"

    return f"SELECT id FROM directory_entry WHERE {spelled(found, every, 'false')} LIMIT :most", parameters  # noqa: S608


_SIEVED = {"sqlite": _sqlite, "postgresql": _postgresql}


# writing


def put(connection: Connection, entries: Sequence[Entry], owners: Sequence[int], since: int, until: int) -> None:
    """Insert rows, one per entry; ``owners`` beside them."""
    rows = [
        {
            "key": one.address.lower(),
            "since": since,
            "until": until,
            "owner": owner,
            "shown": shown(one),
            **_folded(one),
        }
        for one, owner in zip(entries, owners, strict=True)
    ]
    if rows:
        connection.execute(entry.insert(), rows)


def _folded(one: Entry) -> dict[str, str]:
    return {column: folded(str(getattr(one, column))) for column in TEXTS}
