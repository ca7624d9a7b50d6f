"""What a login may do in its mailbox, in the letters of RFC 4314, from the rights of the register (MSS-061).

Promise: an owner, and the software behind an APP mailbox, have every right; a member has those given to him today.
Failure: :class:`mailboxes.store.StoreUnavailable` when the database does not answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from mailboxes import accounts, register
from mailboxes.commit import Reading
from mailboxes.imap.ports import ALL_RIGHTS, Standing
from mailboxes.lookup import facts_by_id
from policies.access import ADMIN, READ, SEND_AS, WRITE, owner_rights
from policies.values import BalType, Login

LETTERS = {READ: "lrs", WRITE: "wikxte", SEND_AS: "p", ADMIN: "a"}


def letters(rights: Iterable[str]) -> str:
    """RFC 4314 letters in the RFC's order."""
    held = "".join(LETTERS.get(right, "") for right in rights)
    return "".join(letter for letter in ALL_RIGHTS if letter in held)


class RegisterStandings:
    """Implements :class:`mailboxes.imap.ports.Standings`."""

    def __init__(self, reading: Reading, *, traced: bool = False) -> None:
        """``traced``: what is done in personal mailboxes leaves traces too (MSS-143)."""
        self._reading = reading
        self._traced = traced

    async def of(self, login: Login) -> Standing:
        """The type of the mailbox and the rights of this login."""
        return replace(await self._reading.run(lambda connection: _standing(connection, login)), traced=self._traced)

    async def members(self, mailbox_id: int) -> Sequence[tuple[str, str]]:
        """Logins and letters of everyone with a right."""
        return await self._reading.run(
            lambda connection: [
                (member.login, letters(member.rights)) for member in register.members(connection, mailbox_id)
            ]
        )


def _standing(connection: Connection, login: Login) -> Standing:
    facts = facts_by_id(connection, login.mailbox_id)
    if facts is None:
        return Standing(BalType.PER, "")
    if facts.type is BalType.APP:
        return Standing(facts.type)
    person = accounts.find(connection, login.account)
    found = register.find(connection, str(facts.address))
    if person is None or found is None:
        return Standing(facts.type, "")
    held = register.rights(connection, found, person.id)
    return Standing(facts.type, ALL_RIGHTS if held == owner_rights() else letters(held))
