"""Suspended sending: until penalties are paid, as a precaution, or of a partner's sender for a while (TOU-B08, TOU-F03, TOU-F04).

A precautionary suspension is announced with the breach and its remedy; the user has ``answer_within`` seconds, and then a person says
whether the breach persists. An immediate one is in force at once, and he has as long to ask for its end.
Promise: only sending is refused, never receiving nor reading; the operator's own people stay reachable (:mod:`gateway.sanctions.standing`).
The time to answer is counted while the service runs, never more in a round than :data:`MOST_AT_ONCE`: neither a clock that jumps nor a
service that was away shortens it. Nothing is removed. Failure: :class:`mailboxes.accounts.Refused`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from gateway.sanctions import letters, rows
from gateway.sanctions.letters import Words, day, money, one_line
from gateway.sanctions.rows import ACTIVE, ANNOUNCED, ENDED, OVER, PARTNER, PENALTY, PRECAUTION, Suspended
from gateway.sanctions.tables import sanction_act, suspension
from mailboxes.account_tables import address, mailbox
from mailboxes.accounts import refuse
from mailboxes.commit import Unit
from policies import penalties
from policies.catalogue import rule
from policies.decision import decide
from policies.events import Event, Kind
from policies.values import BalState

MOST_AT_ONCE = 1200
"""Seconds one round counts at most."""
LIVE = (ANNOUNCED, OVER, ACTIVE)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose sending: an address key, and his mailbox when it is ours."""

    key: str
    mailbox_id: int = 0


@dataclass(frozen=True, slots=True)
class Suspensions:
    """What is done to suspensions. ``answer_within`` is in seconds."""

    words: Words
    answer_within: float

    # of cases

    def until_paid(self, unit: Unit, subject: str, mailbox_id: int, actor: str) -> None:
        """A third case: no sending until its penalty is paid. The notice of the case tells of it."""
        if not _live(unit, subject, PENALTY):
            self._begin(unit, Subject(subject, mailbox_id), PENALTY, "", actor)

    def block(self, unit: Unit, subject: str, seconds: float, reason: str, actor: str) -> None:
        """A partner's sender is refused here for a while; a longer block takes the place of a shorter one."""
        until = int(unit.now + seconds)
        held = _live(unit, subject, PARTNER)
        if any(one.until >= until for one in held):
            return
        for one in held:
            self._move(unit, one, ENDED, "replaced", reason, actor)
        self._begin(unit, Subject(subject), PARTNER, reason, actor, until=until)

    def end(self, unit: Unit, subject: str, cause: str, reason: str, actor: str) -> bool:
        """End those of one cause; the user is told when he can send again."""
        held = _live(unit, subject, cause)
        for one in held:
            self._move(unit, one, ENDED, "lifted", reason, actor)
        if held and held[0].mailbox_id and not _live(unit, subject):
            self._tell(unit, held[0], "sanction.letter_lifted", reason)
        return bool(held)

    # of administrators

    def announce(self, unit: Unit, subject: Subject, ground: str, way: str, actor: str, structure: str = "") -> bool:
        """Inform of the breach, of the remedy and of the time to answer; once that is over, suspend because it persists.

        True when it is suspended now. Raises :class:`mailboxes.accounts.Refused` while the time runs.
        """
        held = _live(unit, subject.key, PRECAUTION)
        if not held:
            made = self._begin(unit, subject, PRECAUTION, ground, actor, way=way, structure=structure, state=ANNOUNCED)
            self._tell(unit, made, "sanction.letter_announced")
            return False
        [one] = held
        if one.state == ACTIVE:
            raise refuse("sanction.already_suspended", address=subject.key)
        if one.remaining > 0:
            raise refuse("sanction.delay_runs", address=subject.key, **day("until", unit.now + one.remaining))
        self._move(unit, one, ACTIVE, "persists", ground, actor)
        self._tell(unit, one, "sanction.letter_persists")
        return True

    def at_once(self, unit: Unit, subject: Subject, ground: str, actor: str, structure: str = "") -> None:
        """Security or confidentiality is at stake, or the breach cannot be put right."""
        for one in _live(unit, subject.key, PRECAUTION):
            if one.state == ACTIVE:
                raise refuse("sanction.already_suspended", address=subject.key)
            self._move(unit, one, ENDED, "replaced", ground, actor)
        made = self._begin(unit, subject, PRECAUTION, ground, actor, structure=structure)
        self._tell(unit, made, "sanction.letter_immediate")

    def lift(self, unit: Unit, subject: str, reason: str, actor: str) -> None:
        """End what is in force, and what was announced. A penalty's ends by payment alone."""
        ended = [self.end(unit, subject, cause, reason, actor) for cause in (PRECAUTION, PARTNER)]
        if any(ended):
            return
        if _live(unit, subject, PENALTY):
            owed = penalties.due(one.case for one in rows.of_subject(unit.connection, subject))
            raise refuse("sanction.unpaid_remains", address=subject, **money("due", owed))
        raise refuse("sanction.not_suspended", address=subject)

    # time that passes

    def count(self, unit: Unit) -> int:
        """Count the time to answer, end what has an end, and tell the operator what waits for him. Returns how many moved."""
        moved = 0
        for one in rows.suspensions(unit.connection, states=LIVE, locked=True):
            if one.cause == PARTNER and one.until <= unit.now:
                self._move(unit, one, ENDED, "expired", "", "system")
                moved += 1
            elif one.remaining > 0:
                moved += self._count(unit, one)
        return moved

    def _count(self, unit: Unit, one: Suspended) -> bool:
        passed = min(max(int(unit.now) - one.seen_at, 0), MOST_AT_ONCE)
        remaining = max(one.remaining - passed, 0)
        values = {"remaining": remaining, "seen_at": int(unit.now)}
        unit.connection.execute(update(suspension).where(suspension.c.id == one.number).values(values))
        if remaining:
            return False
        self._move(unit, one, OVER if one.state == ANNOUNCED else one.state, "delay over", "", "system")
        facts = {"address": one.subject, "ground": one_line(one.ground)}
        letters.owe(unit, self.words.contest, decide(rule("sanction.letter_delay_over"), **facts))
        return True

    # what they share

    def _begin(
        self,
        unit: Unit,
        subject: Subject,
        cause: str,
        ground: str,
        actor: str,
        *,
        way: str = "",
        structure: str = "",
        state: str = ACTIVE,
        until: int = 0,
    ) -> Suspended:
        row = {
            "subject": subject.key,
            "mailbox_id": subject.mailbox_id,
            "structure": structure,
            "cause": cause,
            "ground": ground[: letters.LONGEST],
            "way": way[: letters.LONGEST],
            "state": state,
            "opened_at": int(unit.now),
            "until": until,
            "remaining": int(self.answer_within) if cause == PRECAUTION else 0,
            "seen_at": int(unit.now),
        }
        unit.connection.execute(insert(suspension), row)
        made = rows.suspensions(unit.connection, subject=subject.key, states=LIVE)[-1]
        self._record(unit, made, "announced" if state == ANNOUNCED else "suspended", ground, actor)
        return made

    def _move(self, unit: Unit, one: Suspended, state: str, what: str, reason: str, actor: str) -> None:
        unit.connection.execute(update(suspension).where(suspension.c.id == one.number).values(state=state))
        self._record(unit, one, what, reason, actor)

    def _record(self, unit: Unit, one: Suspended, what: str, reason: str, actor: str) -> None:
        row = {
            "case_id": 0,
            "suspension_id": one.number,
            "at": int(unit.now),
            "actor": actor,
            "what": what,
            "reason": reason,
            "charged": 0,
            "received": 0,
        }
        unit.connection.execute(insert(sanction_act), row)
        detail = {
            "what": what,
            "number": one.number,
            "cause": one.cause,
            "structure": one.structure,
            "until": one.until,
            "reason": reason,
        }
        unit.emit(Event(Kind.SUSPENSION, actor=actor, recipient=one.subject, mailbox=one.mailbox_id, detail=detail))

    def _tell(self, unit: Unit, one: Suspended, name: str, reason: str = "") -> None:
        facts = {
            **self.words.facts(),
            **day("until", unit.now + one.remaining),
            "address": one.subject,
            "ground": one_line(one.ground),
            "way": one_line(one.way),
            "reason": one_line(reason),
        }
        letters.owe(unit, one.subject, decide(rule(name), **facts))


def _live(unit: Unit, subject: str, cause: str = "") -> list[Suspended]:
    held = rows.suspensions(unit.connection, subject=subject, states=LIVE, locked=True)
    return [one for one in held if cause in ("", one.cause)]


def of_structure(connection: Connection, structure: str) -> list[Subject]:
    """The active mailboxes of a structure (TOU-F04)."""
    query = (
        select(address.c.key, mailbox.c.id)
        .join(mailbox, mailbox.c.id == address.c.mailbox_id)
        .where(mailbox.c.structure == structure, mailbox.c.state == BalState.ACTIVE, address.c.alias.is_(False))
        .order_by(mailbox.c.id)
    )
    return [Subject(row.key, row.id) for row in connection.execute(query)]
