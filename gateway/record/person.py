"""All that is kept about a person, in one JSON document, for that person (TOU-A16).

The rows that bear the account's number, those of the mailboxes it owns, and the journal's records of what it did and of what was
done in those mailboxes. The mail itself is not here: ``caducee mailbox export`` gives it. A table of a later release that bears
``account_id`` is in it by itself. Promise: never a secret or what proves one (passwords, digests, keys); rows of the journal are
read page by page and written as they come. Failure: :class:`mailboxes.accounts.Refused` for nobody; database errors propagate.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Float, Integer, LargeBinary, Table, func, or_, select

from gateway.medical.tables import seen_document, seen_patient
from gateway.record.journal import head
from gateway.record.tables import journal
from gateway.relay.tables import followed
from mailboxes import accounts
from mailboxes.account_tables import account, address, certificate_binding, mailbox
from mailboxes.address_columns import addresses_of
from mailboxes.rule_tables import mailbox_answer, mailbox_rule
from mailboxes.schema import metadata
from mailboxes.tables import folder, mailbox_state
from policies.events import Kind

T = TypeVar("T")
Ask = Callable[[Callable[[Connection], T]], T]

PAGE = 5000
SECRET = frozenset({"password", "totp", "totp_last", "digest", "token", "secret", "key", "wrapped", "hash"})
"""Columns never told, whatever their type; binary ones are not told either."""
_OWNED = (
    ("settings", mailbox_state, "mailbox_id"),
    ("certificates", certificate_binding, "mailbox_id"),
    ("rules", mailbox_rule, "mailbox_id"),
    ("answered", mailbox_answer, "mailbox_id"),
    ("sent", followed, "mailbox"),
)
"""What is told of each mailbox owned, beside its addresses and folders."""


def export(ask: Ask[Any], login: str, now: float) -> Iterator[str]:
    """Pieces of the document, in order."""
    found = ask(lambda connection: accounts.get(connection, login))
    told = {
        "person": found.login,
        "made": _date(now),
        "content": "caducee mailbox export ADDRESS FILE",
        "kept": ask(partial(_of_account, number=found.id)),
        "mailboxes": ask(partial(_mailboxes, number=found.id)),
    }
    head_of, _, _ = json.dumps(told, ensure_ascii=False, indent=1, default=str).rpartition("\n}")
    yield head_of + ',\n "journal": ['
    boxes = ask(partial(_owned, number=found.id))
    before = "\n  "
    for page in _journal(ask, found.login, boxes):
        for one in page:
            yield before + json.dumps(one, ensure_ascii=False, default=str)
            before = ",\n  "
    yield "\n ]\n}\n"


def _of_account(connection: Connection, number: int) -> dict[str, list[dict[str, Any]]]:
    """By table: the account's own row, and every table that bears its number."""
    kept = {account.name: _rows(connection, account, "id", number)}
    for name, table in sorted(metadata.tables.items()):
        if "account_id" in table.c:
            kept[name] = _rows(connection, table, "account_id", number)
    return kept


def _owned(connection: Connection, number: int) -> list[int]:
    return [row[0] for row in connection.execute(select(mailbox.c.id).where(mailbox.c.owner_id == number))]


def _mailboxes(connection: Connection, number: int) -> list[dict[str, Any]]:
    found = []
    for row in _rows(connection, mailbox, "owner_id", number):
        box = int(row["id"])
        named = connection.execute(select(address).where(address.c.mailbox_id == box).order_by(address.c.key))
        told = {name: _rows(connection, table, column, box) for name, table, column in _OWNED}
        found.append(
            {**row, "addresses": [dict(one) for one in named.mappings()], "folders": _folders(connection, box), **told}
            | {"documents_remembered": _remembered(connection, box)}
        )
    return found


def _folders(connection: Connection, box: int) -> list[dict[str, Any]]:
    """By number: their names are sealed with the mailbox's key, as its mail is."""
    columns = (folder.c.object_id, folder.c.special_use, folder.c.messages, folder.c.unseen, folder.c.bytes)
    rows = connection.execute(select(*columns).where(folder.c.mailbox_id == box).order_by(folder.c.id))
    return [dict(row) for row in rows.mappings()]


def _remembered(connection: Connection, box: int) -> dict[str, int]:
    """Patients and documents met, of which digests alone are kept (HID-090)."""
    return {
        table.name: int(connection.execute(select(func.count()).where(table.c.mailbox_id == box)).scalar() or 0)
        for table in (seen_patient, seen_document)
    }


def _rows(connection: Connection, table: Table, column: str, value: int) -> list[dict[str, Any]]:
    """Rows without secrets; instants as dates beside nothing else, 0 as null."""
    shown = [one for one in table.c if one.name not in SECRET and not isinstance(one.type, LargeBinary)]
    rows = connection.execute(select(*shown).where(table.c[column] == value).order_by(*table.primary_key))
    return [{one.name: _told(one, row[one.name]) for one in shown} for row in rows.mappings()]


def _told(column: Any, value: Any) -> Any:
    instant = column.name.endswith("_at") or column.name in ("since", "until")
    if instant and isinstance(column.type, Integer | Float):
        return _date(value) if 0 < value < _NEVER else None
    return value


_NEVER = 4e12


def _date(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return None


def _journal(ask: Ask[Any], login: str, boxes: list[int]) -> Iterator[list[dict[str, Any]]]:
    """What the person did, what was done with the account, and in the mailboxes it owns."""
    place, end = 0, int(ask(head)[0])
    while place < end:
        rows, place = ask(partial(_page, login=login, boxes=boxes, after=place, end=end))
        yield rows


def _page(
    connection: Connection, login: str, boxes: list[int], after: int, end: int
) -> tuple[list[dict[str, Any]], int]:
    """Some records, and up to which number was looked."""
    first = connection.execute(select(func.min(journal.c.seq)).where(journal.c.seq > after)).scalar()
    if first is None:
        return [], end
    stop = min(int(first) + PAGE - 1, end)
    named = journal.c.detail.contains(f'"account":{json.dumps(login)}', autoescape=True)
    theirs = or_(
        journal.c.actor == login,
        journal.c.mailbox.in_(boxes) & (journal.c.mailbox != 0),
        journal.c.kind.in_((Kind.ACCOUNT.word, Kind.MEMBER.word)) & named,
    )
    query = select(journal).where(journal.c.seq.between(first, stop), theirs).order_by(journal.c.seq)
    own = addresses_of(connection)
    found = [
        {
            "seq": row.seq,
            "time": datetime.fromtimestamp(row.at / 1e6, UTC).isoformat(timespec="milliseconds"),
            "kind": row.kind,
            "actor": row.actor,
            "message": row.message,
            "recipient": own.opened(row.recipient),
            "mailbox": row.mailbox,
            "detail": own.opened_json(row.detail),
        }
        for row in connection.execute(query)
    ]
    return found, stop
