"""The functional trace of a mailbox, as its owner reads it: author, moment, action, request, messages, result (MSS-143, TOU-F01).

Promise: a reading of the journal; each record that bears the mailbox is a line. Nothing of a message is told but its
identifier, numbers and sizes. Failure: none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from gateway.record.journal import Record, read
from policies.events import Kind


@dataclass(frozen=True, slots=True)
class Action:
    """One line. ``folder`` is the folder's number, ``messages`` our identifier, or how many and which UIDs."""

    time: str
    author: str
    action: str
    request: str
    folder: str
    messages: str
    result: str
    origin: str


def of_mailbox(connection: Connection, mailbox: int, newest: int) -> list[Action]:
    """The newest actions, oldest of them first."""
    return [_action(record) for record in read(connection, mailbox=mailbox, newest=newest)]


_REFUSED = frozenset({Kind.LOGIN_REFUSED.word, Kind.MESSAGE_REFUSED.word, Kind.PEER_REFUSED.word})


def _action(record: Record) -> Action:
    detail = record.detail
    time = datetime.fromtimestamp(record.at / 1e6, UTC).isoformat(sep=" ", timespec="seconds")
    return Action(
        time.removesuffix("+00:00"),
        record.actor,
        record.kind,
        _request(detail),
        str(detail.get("folder", "")),
        _messages(record),
        _result(record),
        str(detail.get("ip", "")),
    )


def _request(detail: Mapping[str, Any]) -> str:
    """What was asked of the server: the command of IMAP, the door of SMTP, the means of a login, the change of an administrator."""
    for key in ("command", "door", "means", "what", "notice"):
        if detail.get(key):
            return str(detail[key])
    return ""


def _messages(record: Record) -> str:
    detail = record.detail
    if record.message:
        return record.message
    count, uids = detail.get("count", 0), detail.get("uids", "")
    return f"{count} ({uids})" if uids else str(count or "")


def _result(record: Record) -> str:
    """``done`` unless it was refused; then why."""
    detail = record.detail
    if detail.get("result"):
        return str(detail["result"])
    if record.kind not in _REFUSED:
        return "done"
    rules = [entry[2] for entry in detail.get("decisions", ())]
    return str(detail.get("reason") or detail.get("rule") or (rules[-1] if rules else "refused"))
