"""A letter of the service to the owner of a mailbox, in that mailbox's INBOX: what is going to happen to it, in French and English.

Promise: it is placed in the caller's transaction, with the record of what it told; nothing of it is logged. Failure: a full
mailbox takes none, which :func:`place` answers; the record is the caller's to write all the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from gateway.compose import Storage
from gateway.config import postmaster
from gateway.received import date
from gateway.relay.notices import encoded_word, field_line, quoted_printable
from mailboxes.anatomy import dissect, pack
from mailboxes.register import Mailbox
from mailboxes.store import Delivery, Sealed, StoreError
from mailboxes.unit import Unit


async def sealed(storage: Storage, box: Mailbox, subject: str, texts: Sequence[str]) -> Sealed:
    """The letter, encrypted and ready to be placed; to be discarded if it is not."""
    config = storage.config
    fields = (
        ("Date", date(storage.clock())),
        ("From", f"Caducee <{postmaster(config.operator)}>"),
        ("To", f"<{box.address}>"),
        ("Subject", encoded_word(subject)),
        ("Message-ID", f"<{secrets.token_hex(16)}@{config.operator.hostname}>"),
        ("Auto-Submitted", "auto-generated"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "quoted-printable"),
    )
    head = b"".join(field_line(title, value) for title, value in fields)
    content = head + b"\r\n" + quoted_printable("\n\n".join(texts) + "\n")
    return await storage.sealer.seal(content, pack(dissect(content)))


def place(unit: Unit, storage: Storage, box: Mailbox, letter: Sealed) -> bool:
    """Whether there was room for it."""
    storage.store.put_body(unit, [letter])
    (outcome,) = storage.store.deliver(unit, [Delivery(letter, box.id, int(unit.now))])
    if isinstance(outcome, StoreError):
        storage.store.release_body(unit, letter.body_id, 0)
    return not isinstance(outcome, StoreError)
