"""Who may open, own, share and enter a mailbox. Pure: the facts were read elsewhere.

Promise: a login is granted only when account, mailbox, device or certificate, and right are all in force *now*; the
private reason of a refusal never changes the public words, except that the owner of a right secret is told of a
suspension (F61). Failure: none; every question is answered by a decision.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from policies.catalogue import rule
from policies.catalogue.sentences_trust import TRUST
from policies.decision import Decision, decide
from policies.lifecycle import AccountState
from policies.values import BalState, BalType

READ, WRITE, SEND_AS, ADMIN = "read", "write", "send_as", "admin"
RIGHTS = (READ, WRITE, SEND_AS, ADMIN)
OWNED = frozenset({BalType.PER, BalType.CAB})
STRUCTURAL = frozenset({BalType.ORG, BalType.APP})
# attribute -> the types that have it (mssante.md 3.1)
ATTRIBUTES: Mapping[str, frozenset[BalType]] = {
    "red_list": frozenset(BalType),
    "rank": frozenset(BalType),
    "phone": frozenset(BalType),
    "paperless": frozenset(BalType),
    "organisation": frozenset(BalType),
    "street": frozenset(BalType),
    "postal_code": frozenset(BalType),
    "town": frozenset(BalType),
    "description": frozenset({BalType.ORG, BalType.APP, BalType.CAB}),
    "service": frozenset({BalType.ORG, BalType.APP}),
    "responsible": frozenset({BalType.ORG, BalType.APP, BalType.CAB}),
}
IMMUTABLE = ("address", "type", "owner", "structure")


@dataclass(frozen=True, slots=True)
class Presented:
    """What is known when someone logs in. ``proved``: the secret or certificate is right; times are epoch seconds."""

    means: str  # "device", "certificate", "token"
    known: bool = False
    proved: bool = False
    withdrawn: bool = False
    expires: float = 0.0  # 0: never
    account: AccountState | None = None  # None: an APP mailbox, no person
    mailbox: BalState = BalState.DELETED
    type: BalType = BalType.PER
    rights: frozenset[str] = frozenset()
    locked_until: float = 0.0
    familiar: bool = False  # the same secret worked from this address before, and the lock follows another lock


def judge_login(facts: Presented, now: float) -> Decision:
    """Grant or refuse; ``detail`` of a refusal is the journal's reason word.

    A right secret from an address where it already worked passes a lock that follows another: a stranger behind the same
    address can keep the owner out for one lock, never by locking again and again (F73).
    """
    right = facts.known and facts.proved and not facts.withdrawn and not 0 < facts.expires <= now
    if now < facts.locked_until and not (right and facts.familiar):
        return decide(rule("session.auth_locked"), "locked")
    if not right:
        return _failed(_why(facts))
    if (facts.means == "certificate") is not (facts.type is BalType.APP):
        return _failed("means")
    if facts.account not in (None, AccountState.ACTIVE):
        return _failed("account")
    if facts.mailbox is not BalState.ACTIVE:
        return decide(rule("session.mailbox_suspended"), facts.mailbox)
    if READ not in facts.rights:
        return _failed("rights")
    return decide(rule("access.granted"))


def _failed(reason: str) -> Decision:
    return decide(rule("session.auth_failed"), reason)


def _why(facts: Presented) -> str:
    if not facts.known:
        return "unknown"
    if not facts.proved:
        return "password"
    return "withdrawn" if facts.withdrawn else "expired"


@dataclass(frozen=True, slots=True)
class Opening:
    """A mailbox someone wants to open. ``*_problem`` is empty when the identifier is in order."""

    type: BalType
    domain: str
    owner: str = ""  # national identifier of the owner's account
    owner_active: bool = False
    structure: str = ""
    structure_problem: str = ""
    attributes: frozenset[str] = frozenset()


def judge_opening(opening: Opening, domains: Iterable[str]) -> Decision:
    """May this mailbox be opened (MSS-050, MSS-052)?"""
    if opening.domain not in domains:
        return decide(rule("mailbox.domain_not_ours"), domain=opening.domain)
    if opening.type in OWNED and not (opening.owner and opening.owner_active):
        return decide(rule("mailbox.owner_missing"), type=opening.type)
    if opening.type in STRUCTURAL and not opening.structure:
        return decide(rule("mailbox.structure_missing"), type=opening.type)
    if opening.structure and opening.structure_problem:
        fr, en = TRUST[f"identity.{opening.structure_problem}"]
        named = {"identity": opening.structure, "problem_fr": fr, "problem_en": en}
        return decide(rule("mailbox.structure_malformed"), **named)
    return judge_attributes(opening.type, opening.attributes)


def judge_attributes(kind: BalType, attributes: Iterable[str]) -> Decision:
    """Are these attributes of this type, and may they change (MSS-051)?"""
    for attribute in sorted(attributes):
        if attribute in IMMUTABLE:
            return decide(rule("mailbox.immutable"), attribute=attribute)
        if kind not in ATTRIBUTES.get(attribute, frozenset()):
            return decide(rule("mailbox.attribute_foreign"), attribute=attribute, type=kind)
    return decide(rule("mailbox.acceptable"))


def judge_member(kind: BalType, rights: Iterable[str], *, account_active: bool, login: str, consent: bool) -> Decision:
    """May this person be admitted to this mailbox (MSS-061)?"""
    wanted = tuple(rights)
    if not wanted:
        return decide(rule("member.rights_missing"))
    for right in wanted:
        if right not in RIGHTS:
            return decide(rule("member.rights_unknown"), right=right)
    if kind is BalType.APP:
        return decide(rule("member.not_for_application"))
    if kind is BalType.PER and not consent:
        return decide(rule("member.consent_missing"))
    if not account_active:
        return decide(rule("account.unusable"), login=login)
    return decide(rule("member.acceptable"))


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device password someone wants for a mailbox."""

    login: str
    address: str
    name: str
    mailbox: BalState
    rights: frozenset[str]
    existing: int
    limit: int


def judge_device(device: NewDevice) -> Decision:
    """May this person have one more device password for this mailbox?"""
    if not 1 <= len(device.name) <= 64 or not device.name.isprintable() or not device.name.strip():
        return decide(rule("device.name_malformed"))
    if device.mailbox is not BalState.ACTIVE:
        return decide(rule("mailbox.unusable"), address=device.address)
    if READ not in device.rights:
        return decide(rule("device.no_right"), login=device.login, address=device.address)
    if device.existing >= device.limit:
        return decide(rule("device.too_many"), count=device.existing)
    return decide(rule("device.acceptable"))


def owner_rights() -> frozenset[str]:
    """What the owner of a mailbox may do: everything."""
    return frozenset(RIGHTS)


def evaluated_before_lock(per_hour: int, lock: float) -> int:
    """Failures after which a lock begins, so that no hour ever holds more than ``per_hour`` evaluated failures.

    After the first lock each further failure locks again at once, so an hour adds ``3600 / lock`` of them (F73).
    """
    return max(1, per_hour - math.ceil(3600 / lock) + 1)
