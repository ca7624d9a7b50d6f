"""Who is at the door: the facts of a login by device, certificate or token, and what a proved one rests on.

Promise: looking for what does not exist runs the same statements as finding it (F61); nothing is judged here
(:func:`policies.access.judge_login` does). Failure: database errors propagate.
"""

from __future__ import annotations

import hmac
import math
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from mailboxes import login_rows, register_rows
from mailboxes.attempts import network
from mailboxes.commit import Unit
from mailboxes.engine import raw
from mailboxes.login_rows import Door
from mailboxes.tokens import Claims
from policies.access import READ, SEND_AS, Presented, owner_rights
from policies.dn import BadName
from policies.dn import key as dn_key
from policies.lifecycle import AccountState
from policies.values import BalState, CertificateFacts, Login


@dataclass(frozen=True, slots=True)
class Found:
    """Facts about a mailbox, and about who is at its door."""

    facts: Presented
    mailbox: Door | None = None
    account_id: int = 0
    actor: str = "unknown"
    credential: str = ""
    digest: bytes = b""


def by_device(cursor: Any, name: str, digest: bytes, ip: str) -> Found:
    """Three statements, whether the mailbox exists or not."""
    found = login_rows.door(cursor, register_rows.key_of(name))
    row = login_rows.device(cursor, found.id if found is not None else 0, digest)
    given = _rights(cursor, found, row.account_id if row is not None else 0)
    if found is None or row is None:
        return Found(Presented("device", known=found is not None), found)
    facts = Presented(
        "device",
        known=True,
        proved=hmac.compare_digest(row.digest, digest),
        withdrawn=row.revoked_at != 0,
        expires=row.expires_at,
        account=AccountState(row.state),
        mailbox=found.state,
        type=found.type,
        rights=given,
        familiar=row.last_ip != "" and network(row.last_ip) == network(ip),
    )
    return Found(facts, found, row.account_id, row.login, f"device:{row.number}", digest)


def _rights(cursor: Any, found: Door | None, account_id: int) -> frozenset[str]:
    """What a person may do here; asked of the database even when the answer is known, for equal time."""
    shared = login_rows.rights(cursor, found.id if found is not None else 0, account_id)
    if found is not None and account_id and found.owner_id == account_id:
        return owner_rights()
    return shared


def by_certificate(cursor: Any, name: str, certificate: CertificateFacts) -> Found:
    """The binding by fingerprint or by name; with no login, the one mailbox this certificate is bound to."""
    bound = login_rows.bindings(cursor, _bindings(certificate))
    ids = {mailbox_id for mailbox_id, _ in bound}
    if name:
        found = login_rows.door(cursor, register_rows.key_of(name))
    else:
        found = login_rows.door_by_id(cursor, ids.pop()) if len(ids) == 1 else None
    values = [value for mailbox_id, value in bound if found is not None and mailbox_id == found.id]
    if found is None or not values:
        return Found(Presented("certificate", known=found is not None), found, actor=certificate.subject)
    facts = Presented(
        "certificate", known=True, proved=True, mailbox=found.state, type=found.type, rights=frozenset({READ, SEND_AS})
    )
    return Found(facts, found, 0, certificate.subject, f"certificate:{values[0]}")


def _bindings(certificate: CertificateFacts) -> tuple[str, str]:
    """How this certificate may be bound. A name nobody can read binds nothing; the fingerprint still may."""
    fingerprint = f"sha256:{certificate.fingerprint.lower()}"
    try:
        return fingerprint, "dn:" + dn_key(certificate.subject)
    except BadName:
        return fingerprint, fingerprint


def by_token(cursor: Any, name: str, claims: Claims) -> Found:
    """The person a token names, and the mailbox asked for (their own when none is).

    Its times were judged with its signature, with the difference of clocks that is tolerated: not again here, without it.
    """
    person = login_rows.person(cursor, claims.identity)
    account_id = person.id if person is not None else 0
    found = login_rows.door(cursor, register_rows.key_of(name)) if name else login_rows.own_door(cursor, account_id)
    given = _rights(cursor, found, account_id)
    if found is None or person is None:
        return Found(Presented("token", known=found is not None, proved=False), found)
    facts = Presented(
        "token",
        known=True,
        proved=True,
        account=person.state,
        mailbox=found.state,
        type=found.type,
        rights=given,
    )
    return Found(facts, found, person.id, person.login, f"token:{claims.identity}")


@dataclass(frozen=True, slots=True)
class Standing:
    """What a proved login still rests on: ``until`` in epoch seconds (0: nothing), and what it may write from."""

    until: float = 0.0
    send_as: frozenset[str] = frozenset()


def send_as(cursor: Any, found: Found) -> frozenset[str]:
    """Addresses this login may write from: the mailbox's own and aliases, and those of active mailboxes whose members may
    send as them (MSS-074)."""
    assert found.mailbox is not None
    own = found.mailbox.id if SEND_AS in found.facts.rights else 0
    return login_rows.send_as(cursor, own, found.account_id)


def note_use(unit: Unit, found: Found, ip: str) -> None:
    """Dates on the mailbox, the person, and what they came in by."""
    assert found.mailbox is not None
    now, mailbox_id = int(unit.now), found.mailbox.id
    login_rows.used(unit.cursor, now, mailbox_id, found.account_id)
    if found.digest:
        login_rows.device_used(unit.cursor, now, ip, mailbox_id, found.digest)
    if found.credential.startswith("certificate:"):
        login_rows.binding_used(unit.cursor, now, mailbox_id, found.credential.removeprefix("certificate:"))


def in_force(connection: Connection, login: Login) -> Standing:
    """What this login rests on today."""
    cursor = raw(connection).cursor()
    found = login_rows.door_by_id(cursor, login.mailbox_id)
    if found is None or found.state is not BalState.ACTIVE:
        return Standing()
    kind, _, value = login.credential.partition(":")
    if kind == "certificate":
        until = math.inf if login_rows.bound(cursor, found.id, value) else 0.0
        return Standing(until, login_rows.send_as(cursor, found.id, 0))
    person = login_rows.person_by_login(cursor, login.account)
    if person is None or person.state is not AccountState.ACTIVE:
        return Standing()
    given = _rights(cursor, found, person.id)
    if READ not in given:
        return Standing()
    until = login_rows.device_until(cursor, found.id, int(value)) if kind == "device" else math.inf
    return Standing(until, login_rows.send_as(cursor, found.id if SEND_AS in given else 0, person.id))
