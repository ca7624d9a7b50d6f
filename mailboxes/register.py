"""The register of mailboxes: opening them, their addresses, attributes, members and certificates, and their life.

Like :mod:`mailboxes.accounts`, everything is a function of a transaction or of a read connection.
Promise: an address, once given, is taken for ever (MSS-054); address, type, owner and structure never change (MSS-051);
each change is recorded with its actor and is in force everywhere within seconds. Failure: :class:`Refused`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import insert, select, update

from mailboxes import accounts, calling, naming
from mailboxes.account_tables import address, certificate_binding, device, mailbox, member
from mailboxes.accounts import AccountRules, Refused, Vault, refuse, require, withdrawn
from mailboxes.commit import Unit
from mailboxes.register_rows import (
    Mailbox,
    Membership,
    addresses,
    by_id,
    certificates,
    count_by_state,
    find,
    get,
    key_of,
    listed,
    members,
    of_person,
    rights,
    search,
)
from mailboxes.rule_tables import mailbox_rule
from mailboxes.tables import mailbox_key
from policies import dn
from policies.access import Opening, judge_attributes, judge_member, judge_opening
from policies.address import AddressError, parse
from policies.events import Event, Kind
from policies.lifecycle import AccountState, Step, move_mailbox
from policies.values import Address, BalState, BalType

_FINGERPRINT = re.compile(r"(?:[0-9a-f]{2}:){31}[0-9a-f]{2}|[0-9a-f]{64}", re.ASCII)
TEXTS = ("description", "service", "responsible", "phone")
FLAGS = ("red_list", "paperless")
LONGEST_TEXT = 255
LARGEST_RANK = 1000


@dataclass(frozen=True, slots=True)
class NewMailbox:
    """A mailbox to be opened. ``owner`` is a login; ``attributes`` are those of mssante.md 3.1 for the type."""

    address: str
    type: BalType
    owner: str = ""
    structure: str = ""
    quota: int | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Register:
    """The operations that change the register."""

    rules: AccountRules
    vault: Vault

    def open(self, unit: Unit, new: NewMailbox, actor: str) -> int:
        """Open a mailbox with its key, INBOX and quota; answers its id."""
        given = self._parsed(new.address)
        owner = accounts.get(unit.connection, new.owner) if new.owner else None
        problem = self._structure_problem(new.structure)
        require(
            judge_opening(
                Opening(
                    new.type,
                    given.domain,
                    owner=owner.identity if owner else "",
                    owner_active=owner is not None and owner.state is AccountState.ACTIVE,
                    structure=new.structure,
                    structure_problem=problem,
                    attributes=frozenset(new.attributes),
                ),
                self.rules.domains,
            )
        )
        mailbox_id = self._insert(unit, new, given, owner.id if owner else 0, actor)
        calling.set_place(unit.connection, mailbox_id, new.attributes)
        self._give(unit, given, mailbox_id, alias=False)
        self.vault.provision(unit, mailbox_id, self.rules.quota if new.quota is None else new.quota)
        unit.touched(mailbox_id, 0)
        unit.emit(_event(actor, mailbox_id, "opened", new.type, BalState.ACTIVE, "", given.key))
        return mailbox_id

    def _structure_problem(self, structure: str) -> str:
        if not structure:
            return ""
        test, check = self.rules.test_mode, self.rules.check_identifiers
        return naming.structure_problem(structure, test=test, check=check)

    def _parsed(self, written: str) -> Address:
        try:
            return parse(written)
        except AddressError as problem:
            raise refuse("mailbox.address_malformed", address=written[:254], **problem.said) from None

    def _insert(self, unit: Unit, new: NewMailbox, given: Address, owner_id: int, actor: str) -> int:
        now = int(unit.now)
        row = {
            "local": given.local,
            "domain": given.domain,
            "type": new.type,
            "owner_id": owner_id,
            "structure": new.structure,
            **dict.fromkeys(TEXTS, ""),
            **dict.fromkeys(FLAGS, False),
            "rank": 0,
            "state": BalState.ACTIVE,
            "state_at": now,
            "state_by": actor,
            "state_reason": "",
            "created_at": now,
            "last_login_at": 0,
            **cleaned(new.attributes),
        }
        key = unit.connection.execute(insert(mailbox), row).inserted_primary_key
        return int(key[0]) if key else 0

    def _give(self, unit: Unit, given: Address, mailbox_id: int, *, alias: bool) -> None:
        """Take an address for ever."""
        if unit.connection.execute(select(address.c.key).where(address.c.key == given.key)).first() is not None:
            raise refuse("mailbox.address_taken", address=str(given))
        row = {
            "key": given.key,
            "mailbox_id": mailbox_id,
            "alias": alias,
            "given_at": int(unit.now),
            "ended_at": 0,
        }
        unit.connection.execute(insert(address), row)

    def set_attributes(self, unit: Unit, written: str, attributes: Mapping[str, Any], actor: str) -> None:
        """Change what may change (MSS-051)."""
        found = get(unit.connection, written)
        require(judge_attributes(found.type, attributes))
        _usable(found)
        if values := cleaned(attributes):
            unit.connection.execute(update(mailbox).where(mailbox.c.id == found.id).values(values))
        calling.set_place(unit.connection, found.id, attributes)
        what = "attributes " + " ".join(_changed(found, attributes))
        unit.touched(found.id, 0)
        unit.emit(_event(actor, found.id, what, found.type, found.state, "", found.address.key))

    def set_quota(self, unit: Unit, written: str, quota: int, actor: str) -> None:
        """Bytes the mailbox may hold; 0 is no limit."""
        found = get(unit.connection, written)
        self.vault.set_quota(unit, found.id, quota)
        unit.touched(found.id, 0)
        unit.emit(_event(actor, found.id, f"quota {quota}", found.type, found.state, "", found.address.key))

    def move(self, unit: Unit, written: str, step: Step, reason: str, actor: str) -> BalState:
        """Suspend, resume, close or delete. Deleting destroys the mailbox's key; the address stays taken."""
        found = get(unit.connection, written)
        move = move_mailbox(found.state, step, reason)
        require(move.decision)
        values = {"state": move.state, "state_at": int(unit.now), "state_by": actor, "state_reason": reason}
        unit.connection.execute(update(mailbox).where(mailbox.c.id == found.id).values(values))
        if move.state == BalState.DELETED:
            _end_all(unit, found.id, actor)
            self.vault.destroy(unit, found.id)
        withdrawn(unit, found.id)
        unit.emit(_event(actor, found.id, step, found.type, move.state, reason, found.address.key))
        return BalState(move.state)

    # aliases

    def add_alias(self, unit: Unit, written: str, alias: str, actor: str) -> None:
        """One more address for the same mailbox, in a domain of ours."""
        found = get(unit.connection, written)
        _usable(found)
        given = self._parsed(alias)
        if given.domain not in self.rules.domains:
            raise refuse("mailbox.domain_not_ours", domain=given.domain)
        self._give(unit, given, found.id, alias=True)
        unit.touched(found.id, 0)
        unit.emit(_event(actor, found.id, "alias added", found.type, found.state, "", given.key))

    def end_alias(self, unit: Unit, alias: str, actor: str) -> None:
        """Withdraw an alias; the address stays taken."""
        found = get(unit.connection, alias)
        if key_of(alias) == found.address.key:
            raise refuse("mailbox.immutable", attribute="address")
        unit.connection.execute(update(address).where(address.c.key == key_of(alias)).values(ended_at=int(unit.now)))
        withdrawn(unit, found.id)
        unit.emit(_event(actor, found.id, "alias ended", found.type, found.state, "", key_of(alias)))

    # members

    def admit(
        self, unit: Unit, written: str, login: str, given: Iterable[str], actor: str, *, consent: bool = False
    ) -> None:
        """Admit a member or change the rights of one: the old membership ends, a dated new one begins (MSS-061).

        Never the owner: dismissing such a member would withdraw the owner's own devices.
        """
        found = get(unit.connection, written)
        _usable(found)
        person = accounts.get(unit.connection, login)
        if person.id == found.owner_id:
            raise refuse("member.owner", login=person.login, address=str(found.address))
        wanted = " ".join(sorted(set(given)))
        active = person.state is AccountState.ACTIVE
        require(judge_member(found.type, wanted.split(), account_active=active, login=person.login, consent=consent))
        self._end_membership(unit, found.id, person.id)
        row = {
            "mailbox_id": found.id,
            "account_id": person.id,
            "since": self._since(unit, found.id, person.id),
            "rights": wanted,
            "until": 0,
            "given_by": actor,
            "consent": consent,
        }
        unit.connection.execute(insert(member), row)
        withdrawn(unit, found.id)
        unit.emit(_member_event(actor, found.id, "admitted", person.login, wanted))

    def _since(self, unit: Unit, mailbox_id: int, account_id: int) -> int:
        """Now, or a second later when rights change twice within one second: the history keeps both."""
        here = (member.c.mailbox_id == mailbox_id) & (member.c.account_id == account_id)
        newest = unit.connection.execute(
            select(member.c.since).where(here).order_by(member.c.since.desc()).limit(1)
        ).scalar()
        return max(int(unit.now), int(newest) + 1 if newest is not None else 0)

    def _end_membership(self, unit: Unit, mailbox_id: int, account_id: int) -> bool:
        live = (member.c.mailbox_id == mailbox_id) & (member.c.account_id == account_id) & (member.c.until == 0)
        ended = unit.connection.execute(update(member).where(live).values(until=max(int(unit.now), 1)))
        return bool(ended.rowcount)

    def dismiss(self, unit: Unit, written: str, login: str, actor: str) -> None:
        """End a membership; the devices this person had for the mailbox stop working."""
        found = get(unit.connection, written)
        person = accounts.get(unit.connection, login)
        if not self._end_membership(unit, found.id, person.id):
            raise refuse("member.not_found", login=person.login, address=str(found.address))
        mine = (device.c.mailbox_id == found.id) & (device.c.account_id == person.id) & (device.c.revoked_at == 0)
        unit.connection.execute(update(device).where(mine).values(revoked_at=int(unit.now), revoked_by=actor))
        withdrawn(unit, found.id)
        unit.emit(_member_event(actor, found.id, "dismissed", person.login, ""))

    # certificates of APP mailboxes

    def bind(self, unit: Unit, written: str, certificate: str, actor: str) -> None:
        """Let a certificate log in: a SHA-256 fingerprint, or a subject name of the trust space's authority."""
        found = get(unit.connection, written)
        _usable(found)
        if found.type is not BalType.APP:
            raise refuse("certificate.only_application")
        value = binding_of(certificate)
        here = (certificate_binding.c.mailbox_id == found.id) & (certificate_binding.c.value == value)
        row = unit.connection.execute(select(certificate_binding.c.revoked_at).where(here)).one_or_none()
        if row is not None and row.revoked_at == 0:
            raise refuse("certificate.taken")
        if row is not None:
            unit.connection.execute(update(certificate_binding).where(here).values(revoked_at=0))
        else:
            self._insert_binding(unit, found.id, value, certificate)
        unit.touched(found.id, 0)
        unit.emit(_certificate_event(actor, found, "certificate bound", value))

    def _insert_binding(self, unit: Unit, mailbox_id: int, value: str, shown: str) -> None:
        row = {
            "mailbox_id": mailbox_id,
            "value": value,
            "shown": shown,
            "created_at": int(unit.now),
            "last_used_at": 0,
            "revoked_at": 0,
        }
        unit.connection.execute(insert(certificate_binding), row)

    def unbind(self, unit: Unit, written: str, certificate: str, actor: str) -> None:
        """Withdraw a certificate."""
        found = get(unit.connection, written)
        value = binding_of(certificate)
        here = (
            (certificate_binding.c.mailbox_id == found.id)
            & (certificate_binding.c.value == value)
            & (certificate_binding.c.revoked_at == 0)
        )
        ended = unit.connection.execute(
            update(certificate_binding).where(here).values(revoked_at=max(int(unit.now), 1))
        )
        if not ended.rowcount:
            raise refuse("certificate.not_found")
        withdrawn(unit, found.id)
        unit.emit(_certificate_event(actor, found, "certificate withdrawn", value))


def binding_of(certificate: str) -> str:
    """How a certificate is found again: ``sha256:<hex>`` for a fingerprint, ``dn:<canonical name>`` for a name."""
    plain = certificate.strip().removeprefix("sha256:").lower()
    if _FINGERPRINT.fullmatch(plain):
        return "sha256:" + plain.replace(":", "")
    try:
        return "dn:" + dn.key(certificate)
    except dn.BadName as problem:
        raise refuse("certificate.malformed", problem=str(problem)[:100]) from None


def cleaned(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attribute values as they are stored in the mailbox's own row."""
    values: dict[str, Any] = {}
    for name, value in attributes.items():
        if name in calling.PLACE:
            continue
        if name in FLAGS:
            values[name] = bool(value)
        elif name == "rank":
            values[name] = min(max(int(value), 0), LARGEST_RANK)
        else:
            values[name] = naming.clean(str(value))[:LONGEST_TEXT]
    return values


def _usable(found: Mailbox) -> None:
    if found.state in (BalState.CLOSED, BalState.DELETED):
        raise refuse("mailbox.unusable", address=str(found.address))


def bury_keyless(unit: Unit, actor: str) -> int:
    """Delete the mailboxes that have no key: those a backup brought back after they were deleted. Returns how many.

    Left as the backup has them they would take no mail for want of a key, and put off every sender for days.
    """
    kept = select(mailbox_key.c.mailbox_id)
    query = select(mailbox, address.c.key.label("known_as")).join(address, address.c.mailbox_id == mailbox.c.id)
    query = query.where(mailbox.c.state != BalState.DELETED, mailbox.c.id.not_in(kept), address.c.alias.is_(False))
    found = unit.connection.execute(query).all()
    reason = "deleted since the backup"
    for row in found:
        values = {"state": BalState.DELETED, "state_at": int(unit.now), "state_by": actor, "state_reason": reason}
        unit.connection.execute(update(mailbox).where(mailbox.c.id == row.id).values(values))
        _end_all(unit, row.id, actor)
        withdrawn(unit, row.id)
        unit.emit(_event(actor, row.id, Step.DELETE, row.type, BalState.DELETED, reason, row.known_as))
    return len(found)


def _end_all(unit: Unit, mailbox_id: int, actor: str) -> None:
    now = int(unit.now)
    execute = unit.connection.execute
    live = (device.c.mailbox_id == mailbox_id) & (device.c.revoked_at == 0)
    execute(update(device).where(live).values(revoked_at=now, revoked_by=actor))
    execute(update(member).where((member.c.mailbox_id == mailbox_id) & (member.c.until == 0)).values(until=max(now, 1)))
    bound = (certificate_binding.c.mailbox_id == mailbox_id) & (certificate_binding.c.revoked_at == 0)
    execute(update(certificate_binding).where(bound).values(revoked_at=now))
    ruled = (mailbox_rule.c.mailbox_id == mailbox_id) & (mailbox_rule.c.ended_at == 0)
    execute(update(mailbox_rule).where(ruled).values(ended_at=max(now, 1), ended_by=actor))


def _changed(found: Mailbox, attributes: Mapping[str, Any]) -> list[str]:
    """Names, which tell nothing of anybody; of the red list also what it is now, so that what it was at a date can be told (MSS-140)."""
    given = dict.fromkeys(sorted(attributes), "")
    if "red_list" in given and bool(attributes["red_list"]) is not found.red_list:
        given["red_list"] = "=on" if attributes["red_list"] else "=off"
    return [f"{name}{value}" for name, value in given.items()]


def _event(actor: str, mailbox_id: int, what: str, kind: str, state: str, reason: str, key: str) -> Event:
    detail = {"what": str(what), "type": str(kind), "state": str(state), "reason": reason, "address": key}
    return Event(Kind.MAILBOX, actor=actor, mailbox=mailbox_id, detail=detail)


def _certificate_event(actor: str, found: Mailbox, what: str, value: str) -> Event:
    """Which one: several may be bound, and what is withdrawn is shown nowhere else."""
    event = _event(actor, found.id, what, found.type, found.state, "", found.address.key)
    return replace(event, detail={**event.detail, "certificate": value})


def _member_event(actor: str, mailbox_id: int, what: str, login: str, given: str) -> Event:
    detail = {"what": what, "account": login, "rights": given}
    return Event(Kind.MEMBER, actor=actor, mailbox=mailbox_id, detail=detail)


__all__ = [
    "Mailbox",
    "Membership",
    "NewMailbox",
    "Refused",
    "Register",
    "addresses",
    "binding_of",
    "by_id",
    "certificates",
    "count_by_state",
    "find",
    "get",
    "key_of",
    "listed",
    "members",
    "of_person",
    "rights",
    "search",
]
