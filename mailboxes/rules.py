"""The rules users set for their mailbox: forward inside the space, answer during an absence, acknowledge by itself.

Like :mod:`mailboxes.register`, everything is a function of a transaction or of a read connection. Who may be a target is
asked with a :data:`Judge`, because the trust space is not ours to know.
Promise: a rule is judged before it is written; every change is recorded with its actor and is in force in every process
within seconds; a rule ends once, whoever ends it. Failure: :class:`mailboxes.accounts.Refused`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update

from mailboxes import register
from mailboxes.account_tables import address, mailbox
from mailboxes.accounts import refuse, require
from mailboxes.register import Mailbox
from mailboxes.rule_tables import mailbox_answer, mailbox_rule
from mailboxes.sessions import StrongSession
from mailboxes.unit import Unit
from policies.address import AddressError, parse
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.events import Event, Kind
from policies.redirection import judge_absence, judge_number
from policies.values import Address, BalState

FORWARD, ABSENCE, ACKNOWLEDGE = "forward", "absence", "acknowledge"
ANSWERS_KEPT = 30 * 86400

Judge = Callable[[Address, Address], Decision]
"""May a rule of this owner's mailbox send on to this target?"""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, ended ones included. ``number`` is what people call it by; ``owner`` is the mailbox's own address."""

    number: int
    mailbox_id: int
    owner: Address
    kind: str
    target: str
    keep: bool
    starts_at: int
    ends_at: int
    text: str
    created_at: int
    created_by: str
    ended_at: int
    ended_by: str
    ended_why: str

    @property
    def destination(self) -> Address:
        """The target of a forward; it was parsed when it was written."""
        return parse(self.target)


def may_change(connection: Connection, written: str, session: StrongSession) -> None:
    """The owner of a mailbox and its administrators may; raises :class:`mailboxes.accounts.Refused` for anybody else."""
    found = register.get(connection, written)
    if "admin" not in register.rights(connection, found, session.account_id):
        raise refuse("redirection.no_right", address=str(found.address))


# writing


def forward(
    unit: Unit,
    written: str,
    target: str,
    actor: str,
    judge: Judge,
    *,
    keep: bool = True,
    domains: Collection[str] = (),
) -> int:
    """Send on whatever arrives; answers the rule's number. A target in one of our ``domains`` must be a mailbox."""
    found = _usable(unit.connection, written)
    to = _parsed(target)
    require(judge_number(len(_live(unit.connection, found.id, FORWARD))))
    local = register.find(unit.connection, str(to))
    if local is None and to.domain in domains:
        raise refuse("mailbox.not_found", address=str(to))
    if local is not None and local.id == found.id:
        require(decide(rule("redirection.to_itself")))
    require(judge(found.address, to))
    for row in _live(unit.connection, found.id, FORWARD):
        if parse(row.target).key == to.key:
            _end(unit, row.id, actor, "")
    return _write(unit, found, actor, FORWARD, target=str(to), keep=keep)


def absence(unit: Unit, written: str, starts: float, ends: float, said: str, actor: str) -> int:
    """Answer whoever writes between two instants (epoch seconds); replaces an earlier absence."""
    found = _usable(unit.connection, written)
    said = _cleaned(said)
    require(judge_absence(starts, ends, unit.now, said))
    for row in _live(unit.connection, found.id, ABSENCE):
        _end(unit, row.id, actor, "")
    return _write(unit, found, actor, ABSENCE, starts_at=int(starts), ends_at=int(ends), text=said)


def acknowledge(unit: Unit, written: str, actor: str) -> int:
    """Send the reading receipts that are asked for as soon as a message arrives (``processed``, MSS-116)."""
    found = _usable(unit.connection, written)
    live = _live(unit.connection, found.id, ACKNOWLEDGE)
    return live[0].id if live else _write(unit, found, actor, ACKNOWLEDGE)


def remove(unit: Unit, written: str, number: int, actor: str) -> None:
    """Withdraw a rule."""
    found = register.get(unit.connection, written)
    here = (mailbox_rule.c.id == number) & (mailbox_rule.c.mailbox_id == found.id) & (mailbox_rule.c.ended_at == 0)
    row = unit.connection.execute(select(mailbox_rule).where(here)).one_or_none()
    if row is None:
        raise refuse("redirection.rule_unknown", address=str(found.address), number=number)
    _end(unit, number, actor, "")
    unit.emit(_event(actor, found.id, f"{row.kind} removed", number, row.target))


def disable(unit: Unit, ended: Rule, why: str) -> bool:
    """The rule may no longer be executed; True when this call is the one that ended it."""
    if not _end(unit, ended.number, "system", why):
        return False
    unit.emit(_event("system", ended.mailbox_id, f"{ended.kind} disabled: {why}", ended.number, ended.target))
    return True


def _write(unit: Unit, found: Mailbox, actor: str, kind: str, **given: Any) -> int:
    row = {
        "mailbox_id": found.id,
        "kind": kind,
        "target": "",
        "keep": True,
        "starts_at": 0,
        "ends_at": 0,
        "text": "",
        "created_at": int(unit.now),
        "created_by": actor,
        "ended_at": 0,
        "ended_by": "",
        "ended_why": "",
        **given,
    }
    key = unit.connection.execute(insert(mailbox_rule), row).inserted_primary_key
    number = int(key[0]) if key else 0
    unit.emit(_event(actor, found.id, f"{kind} written", number, row["target"]))
    return number


def _end(unit: Unit, number: int, actor: str, why: str) -> bool:
    live = (mailbox_rule.c.id == number) & (mailbox_rule.c.ended_at == 0)
    values = {"ended_at": max(int(unit.now), 1), "ended_by": actor, "ended_why": why}
    return bool(unit.connection.execute(update(mailbox_rule).where(live).values(values)).rowcount)


def _usable(connection: Connection, written: str) -> Mailbox:
    found = register.get(connection, written)
    if found.state in (BalState.CLOSED, BalState.DELETED):
        raise refuse("mailbox.unusable", address=str(found.address))
    return found


def _parsed(target: str) -> Address:
    try:
        return parse(target)
    except AddressError as problem:
        raise refuse("mailbox.address_malformed", address=target[:254], **problem.said) from None


def _cleaned(said: str) -> str:
    """Lines as people wrote them, without control characters."""
    lines = said.replace("\r\n", "\n").replace("\r", "\n").strip("\n ").split("\n")
    return "\n".join("".join(each for each in line if each.isprintable()).rstrip() for line in lines)


# reading

_RULES = select(mailbox_rule, mailbox.c.local, mailbox.c.domain).join(
    mailbox, mailbox.c.id == mailbox_rule.c.mailbox_id
)


def listed(connection: Connection, written: str = "", *, ended: bool = False) -> list[Rule]:
    """The rules of a mailbox, or of all, oldest first."""
    query = _RULES.order_by(mailbox_rule.c.mailbox_id, mailbox_rule.c.id).limit(100_000)
    if written:
        query = query.where(mailbox_rule.c.mailbox_id == register.get(connection, written).id)
    if not ended:
        query = query.where(mailbox_rule.c.ended_at == 0)
    return [_rule(row) for row in connection.execute(query)]


def version(connection: Connection) -> tuple[int, int]:
    """Another value whenever a rule began or ended: rules never change otherwise."""
    live = mailbox_rule.c.ended_at == 0
    query = select(func.count(), func.coalesce(func.max(mailbox_rule.c.id), 0)).where(live)
    found, newest = connection.execute(query).one()
    return int(found), int(newest)


def names(connection: Connection) -> dict[int, frozenset[str]]:
    """The keys of all addresses of the mailboxes that have rules in force."""
    with_rules = select(mailbox_rule.c.mailbox_id).where(mailbox_rule.c.ended_at == 0)
    query = select(address.c.mailbox_id, address.c.key).where(address.c.mailbox_id.in_(with_rules))
    found: dict[int, set[str]] = {}
    for row in connection.execute(query.where(address.c.ended_at == 0)):
        found.setdefault(row.mailbox_id, set()).add(row.key)
    return {mailbox_id: frozenset(keys) for mailbox_id, keys in found.items()}


def _live(connection: Connection, mailbox_id: int, kind: str) -> list[Any]:
    here = (mailbox_rule.c.mailbox_id == mailbox_id) & (mailbox_rule.c.kind == kind) & (mailbox_rule.c.ended_at == 0)
    return list(connection.execute(select(mailbox_rule).where(here).order_by(mailbox_rule.c.id)))


def _rule(row: Any) -> Rule:
    return Rule(
        row.id,
        row.mailbox_id,
        Address(row.local, row.domain),
        row.kind,
        row.target,
        row.keep,
        row.starts_at,
        row.ends_at,
        row.text,
        row.created_at,
        row.created_by,
        row.ended_at,
        row.ended_by,
        row.ended_why,
    )


# whom a rule answered

_CLAIM = text(
    "INSERT INTO mailbox_answer (mailbox_id, kind, whom, answered_at) VALUES (:mailbox_id, :kind, :whom, :now)"
    " ON CONFLICT (mailbox_id, kind, whom) DO UPDATE SET answered_at = :now WHERE mailbox_answer.answered_at <= :before"
).bindparams(bindparam("whom", type_=mailbox_answer.c.whom.type))


def claim(unit: Unit, mailbox_id: int, kind: str, whom: str, period: float) -> bool:
    """True for the one answer to ``whom`` within ``period`` seconds (RFC 5230 4.2); committed with it."""
    now = int(unit.now)
    given = {"mailbox_id": mailbox_id, "kind": kind, "whom": whom, "now": now, "before": now - int(period)}
    return bool(unit.connection.execute(_CLAIM, given).rowcount)


def forget(unit: Unit) -> int:
    """Drop answers too old to matter."""
    old = mailbox_answer.c.answered_at < int(unit.now) - ANSWERS_KEPT
    return unit.connection.execute(delete(mailbox_answer).where(old)).rowcount


def _event(actor: str, mailbox_id: int, what: str, number: int, target: str) -> Event:
    return Event(Kind.RULE, actor=actor, mailbox=mailbox_id, detail={"what": what, "rule": number, "target": target})
