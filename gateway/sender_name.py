"""The display name of one of our mailboxes, as ECO asks it to be shown: the person of a PER or CAB, the service of the others.

Promise: a name that needs no quoting in a header. Failure: an empty string when the register knows none.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from hprim.compose import display_name as composed
from mailboxes.account_tables import account
from mailboxes.register_rows import find
from policies.values import BalType


def display_name(connection: Connection, address: str) -> str:
    """``Dr Alice MARTIN``, ``Hôpital d’essai – Cardiologie``."""
    box = find(connection, address)
    if box is None:
        return ""
    if box.type in (BalType.ORG, BalType.APP):
        return composed("", organization=box.description or box.service)
    query = select(account.c.family_name, account.c.given_name, account.c.title).where(account.c.id == box.owner_id)
    owner = connection.execute(query).first()
    if owner is None:
        return composed("", organization=box.description)
    cabinet = box.description if box.type is BalType.CAB else ""
    return composed(owner.family_name, owner.given_name, owner.title, cabinet)
