"""Seals the addresses of patients that an older release, or another configuration, left in clear: at a start, in portions.

``sealed_domain`` tells which domains are done. One that the configuration names and that table does not is written there
first, so that every process seals it from then on; :data:`SETTLE` seconds later none writes it in clear any more, and it is
looked for in every column that may hold it (:class:`mailboxes.address_columns.Addressed`). It stays sealed, whatever the
configuration says later. The journal is left as it is: what was chained in clear cannot be changed.
Promise: a start that was cut begins again, and what is sealed already stays the same. Failure: a database error propagates
and undoes its portion.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Table, Text, bindparam, insert, select, tuple_, type_coerce, update

from mailboxes.address_columns import LOOK_EVERY, Addressed, addresses_of
from mailboxes.addresses import Kind
from mailboxes.engine import overwriting
from mailboxes.schema import metadata
from mailboxes.tables import sealed_domain
from mailboxes.unit import Unit

TOGETHER = 5000
"""Rows looked at in one transaction."""
SETTLE = 3 * LOOK_EVERY
"""Seconds in which processes that serve meanwhile learn of a domain and end the transactions they are in."""


class Place(NamedTuple):
    """How far a start has come: the number of a table, and the key of its last row that was looked at."""

    table: int = 0
    key: tuple[Any, ...] = ()


class Begun(NamedTuple):
    """The domains to be sealed, and where to begin with what lies in clear: nowhere when all is done."""

    domains: frozenset[str]
    place: Place | None


def begin(connection: Connection, named: Iterable[str]) -> Begun:
    """Write down the domains that the configuration names. Whoever does this at the same moment must wait for us."""
    done = {row.domain: row.done for row in connection.execute(select(sealed_domain))}
    fresh = sorted(set(named) - done.keys())
    if fresh:
        connection.execute(insert(sealed_domain), [{"domain": one, "done": 0} for one in fresh])
    return Begun(frozenset(done).union(fresh), None if all(done.values()) and not fresh else Place())


def known(connection: Connection) -> Begun:
    """The domains sealed so far, for a process that can write nothing."""
    return Begun(frozenset(connection.execute(select(sealed_domain.c.domain)).scalars()), None)


def seal(unit: Unit, domains: Iterable[str], after: Place) -> Place | None:
    """Seal a portion of what lies in clear beyond ``after``; returns up to which, None when the ``domains`` are done."""
    if after.table == len(_tables()):
        unit.connection.execute(update(sealed_domain).where(sealed_domain.c.domain.in_(domains)).values(done=1))
        return None
    table = _tables()[after.table]
    with overwriting(unit.cursor):
        last = _portion(unit.connection, table, after.key)
    return Place(after.table + 1) if last is None else Place(after.table, last)


@cache
def _tables() -> tuple[Table, ...]:
    """Those with a column that may hold an address."""
    return tuple(table for table in metadata.sorted_tables if _addressed(table))


def _addressed(table: Table) -> dict[str, Kind]:
    return {column.name: column.type.kind for column in table.columns if isinstance(column.type, Addressed)}


def _portion(connection: Connection, table: Table, after: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The key of the last row looked at, None when there is no more."""
    stored = {column.name: _as_stored(column) for column in table.columns}
    keys, held = [column.name for column in table.primary_key.columns], _addressed(table)
    place = [stored[name] for name in keys]
    query = select(*(stored[name].label(name) for name in sorted({*keys, *held}))).order_by(*place).limit(TOGETHER)
    rows = connection.execute(query.where(tuple_(*place) > tuple_(*after)) if after else query).mappings().all()
    own, changed = addresses_of(connection), list[dict[str, Any]]()
    for row in rows:
        sealed = {name: own.stored(row[name], kind) for name, kind in held.items()}
        if any(row[name] != text for name, text in sealed.items()):
            changed.append({f"old_{name}": row[name] for name in keys} | {f"new_{name}": sealed[name] for name in held})
    if changed:
        here = [stored[name] == bindparam(f"old_{name}") for name in keys]
        new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in held}
        connection.execute(update(table).where(*here).values(new), changed)
    return tuple(rows[-1][name] for name in keys) if len(rows) == TOGETHER else None


def _as_stored(column: Column[Any]) -> Any:
    """A column whose values are not opened."""
    return type_coerce(column, Text) if isinstance(column.type, Addressed) else column
