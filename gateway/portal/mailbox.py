"""One mailbox: what was sent and where it is, who opened it, its rules, its members (TOU-C02, MSS-058, MSS-061, MSS-062).

Promise: whoever may read the mailbox sees what was sent from it; whoever administers it sees who opened it and changes rules and members, by
the same operations, and with the same judgement, as on the command line; for anybody else the page does not exist. Each page of a list
is bounded. Failure: :class:`mailboxes.accounts.Refused`, shown on the page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import Connection
from starlette.responses import Response

from gateway.portal.frame import Page
from gateway.portal.home import Mine, one_of
from gateway.portal.visit import Visit
from gateway.record import journal
from gateway.record.journal import Record
from gateway.relay import tracking
from gateway.relay.tables import NEVER
from gateway.relay.tracking import Line
from mailboxes import register, rules
from mailboxes.accounts import Refused, refuse
from mailboxes.unit import Unit
from policies.access import RIGHTS
from policies.bounces import cause_of
from policies.values import BalState, BalType

LINES = 50
MOST_RECIPIENTS = 2000
ACCESSES = 100
LONGEST_ABSENCE = 8000


def pages() -> list[Page]:
    return [
        Page("/mailboxes/{id}/sent", show_sent),
        Page("/mailboxes/{id}/access", show_access),
        Page("/mailboxes/{id}/rules", show_rules),
        Page("/mailboxes/{id}/rules/absence", show_rules, absence),
        Page("/mailboxes/{id}/rules/forward", show_rules, forward),
        Page("/mailboxes/{id}/rules/remove", show_rules, remove),
        Page("/mailboxes/{id}/members", show_members, admit),
        Page("/mailboxes/{id}/members/dismiss", show_members, dismiss),
    ]


async def _own(visit: Visit, allows: Callable[[Mine], bool]) -> Mine | None:
    own, number = visit.who.account_id, visit.number("id")
    found = await visit.ask(lambda connection: one_of(connection, own, number))
    return found if found is not None and allows(found) else None


def _reads(one: Mine) -> bool:
    return "read" in one.rights


def _administers(one: Mine) -> bool:
    return one.administers


# sent


async def show_sent(visit: Visit) -> Response:
    one = await _own(visit, _reads)
    if one is None:
        return await visit.missing()
    box, before = one.box.id, _moment(visit.asked("before"))
    lines, older = await visit.ask(lambda connection: _board(connection, box, before))
    causes = [cause_of(line.state, line.code, visit.language) for line in lines]
    return await visit.page("sent.html", one=one, lines=list(zip(lines, causes, strict=True)), older=older)


def _board(connection: Connection, box: int, before: float) -> tuple[list[Line], float]:
    """A page of the board, whole messages only, and where the next one begins; 0 at the end."""
    lines = tracking.board(connection, box, before=before, limit=LINES + 1)
    if len(lines) <= LINES:
        return lines, 0.0
    whole = [line for line in lines if line.sent_at != lines[-1].sent_at]
    if not whole:  # one message to more recipients than a page has lines
        whole = tracking.board(connection, box, before=before, limit=MOST_RECIPIENTS)
    return whole, whole[-1].sent_at


def _moment(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        return NEVER
    return found if 0 < found < NEVER else NEVER


# who opened it

_SHOWN = {
    "session.login",
    "session.login_refused",
    "mailbox.read",
    "mailbox.changed",
    "mailbox.erased",
    "account.mailbox",
    "account.member",
    "account.device",
    "account.rule",
}


@dataclass(frozen=True, slots=True)
class Access:
    """One line of the log; ``kind`` is a word of the catalogue."""

    at: float
    kind: str
    actor: str
    what: str
    ip: str


def _access(record: Record) -> Access:
    detail = record.detail
    said = detail.get("command") or detail.get("what") or detail.get("means") or ""
    more = detail.get("count") or detail.get("account") or ""
    folder = detail.get("folder") or ""
    what = " ".join(str(part) for part in (said, folder, more) if part)
    return Access(record.at / 1_000_000, record.kind, record.actor, what, str(detail.get("ip") or ""))


async def show_access(visit: Visit) -> Response:
    one = await _own(visit, _administers)
    if one is None:
        return await visit.missing()
    box = one.box.id
    found = await visit.ask(lambda connection: journal.read(connection, mailbox=box, newest=ACCESSES * 2))
    lines = [_access(record) for record in found[::-1] if record.kind in _SHOWN][:ACCESSES]
    return await visit.page("access.html", one=one, lines=lines, most=ACCESSES)


# rules


async def show_rules(visit: Visit) -> Response:
    one = await _own(visit, _administers)
    if one is None:
        return await visit.missing()
    found = await visit.ask(lambda connection: rules.listed(connection, one.address))
    today = datetime.fromtimestamp(visit.now).astimezone().date()
    typed = {name: visit.given(name) for name in ("target", "from", "until", "text")}
    return await visit.page(
        "rules.html",
        one=one,
        forwards=[each for each in found if each.kind == rules.FORWARD],
        absences=[each for each in found if each.kind == rules.ABSENCE],
        typed=typed,
        today=today.isoformat(),
    )


async def absence(visit: Visit) -> Response:
    first, last = _day(visit.given("from")), _day(visit.given("until"))
    if first is None or last is None:
        visit.problem = "rules.bad_day"
        return await show_rules(visit)
    starts, ends = _instant(first), _instant(last + timedelta(days=1))
    said, login = visit.given("text")[:LONGEST_ABSENCE], visit.who.login

    def work(unit: Unit, one: Mine) -> None:
        rules.absence(unit, one.address, max(starts, unit.now), ends, said, login)

    return await _changed(visit, work, "rules", "absence")


async def forward(visit: Visit) -> Response:
    target, keep, login = visit.given("target").strip()[:320], "yes" in visit.all("keep"), visit.who.login
    judge, domains = visit.ports.judge, visit.ports.people.rules.domains

    def work(unit: Unit, one: Mine) -> None:
        rules.forward(unit, one.address, target, login, judge, keep=keep, domains=domains)

    return await _changed(visit, work, "rules", "forward")


async def remove(visit: Visit) -> Response:
    number, login = visit.number("number"), visit.who.login
    return await _changed(
        visit, lambda unit, one: rules.remove(unit, one.address, number, login), "rules", "rule_removed"
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _instant(day: date) -> float:
    return datetime.combine(day, time()).astimezone().timestamp()


# members


async def show_members(visit: Visit) -> Response:
    one = await _own(visit, lambda each: each.administers and each.box.type is not BalType.APP)
    if one is None:
        return await visit.missing()
    box = one.box.id
    found = await visit.ask(lambda connection: register.members(connection, box))
    live = [member for member in found if not member.until]
    typed = visit.given("login")[:64]
    return await visit.page("members.html", one=one, members=live, rights=RIGHTS, typed=typed, own=visit.who.login)


async def admit(visit: Visit) -> Response:
    """The owner of a PER mailbox who admits somebody agrees by that; an administrator of the mailbox does not agree for its owner."""
    login, given, who = visit.given("login").strip().lower()[:64], visit.all("right"), visit.who

    def work(unit: Unit, one: Mine) -> None:
        agreed = one.box.owner_id == who.account_id
        visit.ports.people.register.admit(unit, one.address, login, given, who.login, consent=agreed)

    try:
        return await _changed(visit, work, "members", "member_admitted")
    except Refused as refused:
        if refused.decision.rule.name not in ("account.not_found", "account.unusable"):
            raise
        visit.problem = "members.nobody"  # who has an account, in which state, is not asked by guessing
        return await show_members(visit)


async def dismiss(visit: Visit) -> Response:
    login, who = visit.given("login")[:64], visit.who
    return await _changed(
        visit,
        lambda unit, one: visit.ports.people.register.dismiss(unit, one.address, login, who.login),
        "members",
        "member_dismissed",
    )


async def _changed(visit: Visit, work: Callable[[Unit, Mine], object], page: str, done: str) -> Response:
    """``work`` in one transaction that asks again whether the reader still may."""
    own, number = visit.who.account_id, visit.number("id")
    if await _own(visit, _administers) is None:
        return await visit.missing()

    def guarded(unit: Unit) -> None:
        one = one_of(unit.connection, own, number)
        if one is None or not one.administers or one.box.state is BalState.CLOSED:
            raise refuse("redirection.no_right", address="" if one is None else one.address)
        work(unit, one)

    await visit.do(guarded)
    return visit.to(f"/mailboxes/{number}/{page}", done)
