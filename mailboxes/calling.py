"""What the directory shows of a person and a mailbox beside names: profession, specialty, place of exercise (TOU-A07).

They stand beside the rows of accounts and mailboxes, which are read for each message. Promise: what nobody gave is empty; texts
are cleaned and bounded as the other attributes are. Failure: an error of the database propagates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, insert, select, update

from mailboxes import naming
from mailboxes.account_tables import account_calling, mailbox_place

LONGEST_TEXT = 255


@dataclass(frozen=True, slots=True)
class Calling:
    """A profession and a specialty: the label people read, and the code of the national nomenclature."""

    profession: str = ""
    profession_code: str = ""
    specialty: str = ""
    specialty_code: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mailbox's professional or service is to be found; ``organisation`` is the name of the structure."""

    organisation: str = ""
    street: str = ""
    postal_code: str = ""
    town: str = ""


PLACE = tuple(one.name for one in fields(Place))
CALLING = tuple(one.name for one in fields(Calling))
V = TypeVar("V", Calling, Place)


def calling(connection: Connection, account_id: int) -> Calling:
    """Of a person."""
    return _read(connection, account_calling, account_id, Calling)


def place(connection: Connection, mailbox_id: int) -> Place:
    """Of a mailbox."""
    return _read(connection, mailbox_place, mailbox_id, Place)


def set_calling(connection: Connection, account_id: int, given: Mapping[str, Any]) -> None:
    """Change what is given of it."""
    _write(connection, account_calling, account_id, {name: given[name] for name in CALLING if name in given})


def set_place(connection: Connection, mailbox_id: int, given: Mapping[str, Any]) -> None:
    """Change what is given of it."""
    _write(connection, mailbox_place, mailbox_id, {name: given[name] for name in PLACE if name in given})


def _read(connection: Connection, table: Table, number: int, kind: type[V]) -> V:
    (key,) = table.primary_key
    row = connection.execute(select(table).where(key == number)).mappings().one_or_none()
    return kind() if row is None else kind(**{one.name: row[one.name] for one in fields(kind)})


def _write(connection: Connection, table: Table, number: int, given: Mapping[str, Any]) -> None:
    if not given:
        return
    (key,) = table.primary_key
    values = {name: naming.clean(str(value))[:LONGEST_TEXT] for name, value in given.items()}
    if not connection.execute(update(table).where(key == number).values(values)).rowcount:
        blank = {column.name: "" for column in table.c if not column.primary_key}
        connection.execute(insert(table), {**blank, **values, key.name: number})
