"""The statement of a span of time for accounting: every act that charged, took off or received something, as CSV.

Promise: amounts are whole cents, so that sums are exact; a text never begins as a spreadsheet's formula does; what was written once never
changes, so a month that is over gives the same file again. Failure: none.
"""

from __future__ import annotations

import csv
import io
from datetime import datetime

from sqlalchemy import Connection

from gateway.sanctions import rows
from mailboxes import register

COLUMNS = (
    "date",
    "case",
    "sender",
    "structure",
    "what",
    "charged_cents",
    "received_cents",
    "step",
    "recipients",
    "reason",
)
_FORMULA = ("=", "+", "-", "@", "\t")


def csv_of(connection: Connection, since: int, before: int) -> str:
    """The acts of a span that changed what is owed, the oldest first."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for act in rows.acts(connection, since=since, before=before):
        found = rows.find(connection, act.case) if act.charged or act.received else None
        if found is None:
            continue
        mailbox = register.find(connection, found.subject) if found.mailbox_id else None
        day = datetime.fromtimestamp(act.at).astimezone().date().isoformat()
        texts = (found.subject, mailbox.structure if mailbox else "", act.what)
        numbers = (act.charged, act.received, int(found.case.step), found.case.recipients)
        writer.writerow((day, act.case, *map(_plain, texts), *numbers, _plain(act.reason)))
    return out.getvalue()


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
