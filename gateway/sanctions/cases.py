"""Cases of unsolicited mail: opened by reports, judged by a person, charged, adjusted, cancelled, paid (TOU-B05 to TOU-B10).

Everything is a function of a transaction: the case, what was done to it, the event and the notice it owes are one commit.
Promise: a message has one case, however often it is reported; cases of one sender are judged one after the other; nothing is removed,
and every cent that was charged, taken off or paid stands in an act of its own. Failure: :class:`mailboxes.accounts.Refused`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.sanctions import letters, rows
from gateway.sanctions.letters import Words, day, money, one_line
from gateway.sanctions.rows import Dossier
from gateway.sanctions.suspensions import Suspensions
from gateway.sanctions.tables import sanction_act, sanction_case
from mailboxes.accounts import require
from mailboxes.commit import Unit
from policies import penalties
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.events import Event, Kind
from policies.penalties import Act, Case, CaseState, Step

ADMINISTRATOR, RECIPIENT, OPERATOR, AUTOMATIC = "administrator", "recipient", "operator", "automatic"
LETTER_OF: Mapping[Step, str] = {
    Step.NONE: "sanction.letter_partner",
    Step.WARNED: "sanction.letter_warned",
    Step.CHARGED: "sanction.letter_charged",
    Step.SUSPENDED: "sanction.letter_suspended",
}
SPELL = 3600
"""Seconds within which what passes the thresholds is one case: as long as volumes are counted."""


@dataclass(frozen=True, slots=True)
class Report:
    """A message said to be unsolicited. ``subject`` is its sender's address key, ``mailbox_id`` his mailbox or 0 for a partner's."""

    subject: str
    mailbox_id: int
    recipients: int
    source: str = ADMINISTRATOR
    message: str = ""
    sent_at: float = 0
    reporter: str = ""

    def once(self, now: float) -> bytes:
        """What makes two reports one case: the message, or for one made by a threshold the time."""
        if not self.message and self.source != AUTOMATIC:
            return secrets.token_bytes(32)
        of = self.message or f"{now // SPELL:.0f}"
        return hashlib.sha256(f"{self.subject} {of}".encode()).digest()


@dataclass(frozen=True, slots=True)
class Cases:
    """What is done to cases. ``partner_block`` is how many seconds a partner's sender is refused here once his case is confirmed."""

    words: Words
    suspensions: Suspensions
    partner_block: float

    def open(self, unit: Unit, report: Report, actor: str, reason: str = "") -> tuple[Dossier, bool]:
        """Open a case, which waits for a person; the one there is when the message was reported before, and False."""
        once = report.once(unit.now)
        row = {
            "subject": report.subject,
            "mailbox_id": report.mailbox_id,
            "message": report.message,
            "sent_at": int(report.sent_at or unit.now),
            "recipients": report.recipients,
            "source": report.source,
            "reporter": report.reporter,
            "opened_at": int(unit.now),
            "opened_by": actor,
            "once": once,
            "state": CaseState.OPEN,
            "decided_at": 0,
            "step": Step.NONE,
            "amount": 0,
            "adjusted": False,
            "paid_at": 0,
        }
        made = sqlite.insert if unit.connection.dialect.name == "sqlite" else postgresql.insert
        opening = made(sanction_case).on_conflict_do_nothing(index_elements=["once"]).returning(sanction_case.c.id)
        new = unit.connection.execute(opening, row).first() is not None
        number = unit.connection.execute(select(sanction_case.c.id).where(sanction_case.c.once == once)).scalar_one()
        dossier = rows.get(unit.connection, number)
        if new:
            self._act(unit, dossier, "opened", reason, actor)
            if report.source == AUTOMATIC:
                letters.owe(unit, self.words.contest, self.letter(unit.connection, dossier, "sanction.letter_opened"))
        elif report.reporter:
            self._act(unit, dossier, "reported", report.reporter, actor)
        return dossier, bool(new)

    def confirm(self, unit: Unit, number: int, reason: str, actor: str, recipients: int | None = None) -> Dossier:
        """A person found it unsolicited: the next step of the ladder, or for a partner's sender a report to his operator."""
        dossier, others = self._held(unit, number)
        require(penalties.judge_act(dossier.case, Act.CONFIRM, reason))
        case = replace(dossier.case, recipients=dossier.case.recipients if recipients is None else recipients)
        if dossier.mailbox_id:
            case = penalties.confirmed(case, [one.case for one in others], int(unit.now), self.words.scale)
        else:
            case = replace(case, state=CaseState.CONFIRMED, decided=int(unit.now))
        dossier = self._write(unit, dossier, case)
        self._act(unit, dossier, "confirmed", reason, actor, charged=case.amount)
        if not dossier.mailbox_id:
            self._tell_partner(unit, dossier, reason, actor)
            return dossier
        if penalties.suspends([case]):
            self.suspensions.until_paid(unit, dossier.subject, dossier.mailbox_id, actor)
        letters.owe(unit, dossier.subject, self.letter(unit.connection, dossier), dossier.message)
        return dossier

    def _tell_partner(self, unit: Unit, dossier: Dossier, reason: str, actor: str) -> None:
        """No amount: a report to his operator, and he is refused here for a while."""
        letters.owe(unit, _postmaster(dossier), self.letter(unit.connection, dossier), dossier.message)
        self.suspensions.block(unit, dossier.subject, self.partner_block, reason, actor)

    def dismiss(self, unit: Unit, number: int, reason: str, actor: str) -> Dossier:
        """A person found nothing wrong: nobody is told, nothing counts."""
        return self._settle(unit, number, Act.DISMISS, "dismissed", reason, actor)[0]

    def adjust(self, unit: Unit, number: int, cents: int, reason: str, actor: str) -> Dossier:
        """Another amount than the scale's (TOU-B10)."""
        dossier, _ = self._held(unit, number)
        require(penalties.judge_act(dossier.case, Act.ADJUST, reason, cents))
        before = dossier.case.amount
        dossier = self._write(unit, dossier, replace(dossier.case, amount=cents, adjusted=True))
        self._act(unit, dossier, "adjusted", reason, actor, charged=cents - before, before=before)
        self._tell(
            unit, dossier, "sanction.letter_adjusted", reason, before, before - cents if dossier.case.paid else 0
        )
        self._lift_when_paid(unit, dossier, reason, actor)
        return dossier

    def cancel(self, unit: Unit, number: int, reason: str, actor: str) -> tuple[Dossier, list[penalties.Change]]:
        """As if it had not been: later cases stand lower by the rule of :func:`policies.penalties.lowered`, which is answered."""
        dossier, others = self._settle(unit, number, Act.CANCEL, "cancelled", reason, actor)
        paid = dossier.case.amount if dossier.case.paid else 0
        changes: list[penalties.Change] = []
        if dossier.mailbox_id:
            self._tell(unit, dossier, "sanction.letter_cancelled", reason, refund=paid)
            known = {one.case.number: one for one in others}
            now = [dossier.case, *(one.case for one in others)]
            changes = penalties.lowered(now, self.words.scale)
            for change in changes:
                if not change.refund:
                    self._lower(unit, known[change.number], change, actor)
            self._lift_when_paid(unit, dossier, reason, actor)
        else:
            self.suspensions.end(unit, dossier.subject, rows.PARTNER, reason, actor)
            told = self.letter(unit.connection, dossier, "sanction.letter_cancelled", reason)
            letters.owe(unit, _postmaster(dossier), told, dossier.message)
        return dossier, changes

    def _lower(self, unit: Unit, dossier: Dossier, change: penalties.Change, actor: str) -> None:
        before = dossier.case.amount
        dossier = self._write(unit, dossier, replace(dossier.case, step=change.step, amount=change.amount))
        self._act(unit, dossier, "lowered", "", actor, charged=change.amount - before, before=before)
        self._tell(unit, dossier, "sanction.letter_lowered", "", before)

    def pay(self, unit: Unit, number: int, reference: str, actor: str) -> Dossier:
        """Paid in full. When nothing more is due the mailbox sends again (TOU-B08)."""
        dossier, _ = self._held(unit, number)
        require(penalties.judge_act(dossier.case, Act.PAY, reference))
        dossier = self._write(unit, dossier, replace(dossier.case, paid=True))
        self._act(unit, dossier, "paid", reference, actor, received=dossier.case.amount)
        self._tell(unit, dossier, "sanction.letter_paid", reference)
        self._lift_when_paid(unit, dossier, reference, actor)
        return dossier

    # what they share

    def _held(self, unit: Unit, number: int) -> tuple[Dossier, list[Dossier]]:
        """The case and the others of its sender, all of them locked."""
        subject = rows.get(unit.connection, number).subject
        found = rows.of_subject(unit.connection, subject, locked=True)
        dossier = next(one for one in found if one.case.number == number)
        return dossier, [one for one in found if one is not dossier]

    def _settle(
        self, unit: Unit, number: int, act: Act, what: str, reason: str, actor: str
    ) -> tuple[Dossier, list[Dossier]]:
        dossier, others = self._held(unit, number)
        require(penalties.judge_act(dossier.case, act, reason))
        state = penalties.ACTS[dossier.case.state][act]
        decided = dossier.case.decided or int(unit.now)
        dossier = self._write(unit, dossier, replace(dossier.case, state=state, decided=decided))
        taken_off = -dossier.case.amount if act is Act.CANCEL else 0
        self._act(unit, dossier, what, reason, actor, charged=taken_off)
        return dossier, others

    def _write(self, unit: Unit, dossier: Dossier, case: Case) -> Dossier:
        paid_at = dossier.paid_at or (int(unit.now) if case.paid else 0)
        values = {
            "recipients": case.recipients,
            "state": case.state,
            "decided_at": case.decided,
            "step": case.step,
            "amount": case.amount,
            "adjusted": case.adjusted,
            "paid_at": paid_at,
        }
        unit.connection.execute(update(sanction_case).where(sanction_case.c.id == case.number).values(values))
        return replace(dossier, case=case, paid_at=paid_at)

    def _act(
        self,
        unit: Unit,
        dossier: Dossier,
        what: str,
        reason: str,
        actor: str,
        *,
        charged: int = 0,
        received: int = 0,
        before: int = 0,
    ) -> None:
        case = dossier.case
        row = {
            "case_id": case.number,
            "suspension_id": 0,
            "at": int(unit.now),
            "actor": actor,
            "what": what,
            "reason": reason,
            "charged": charged,
            "received": received,
        }
        unit.connection.execute(insert(sanction_act), row)
        detail = {
            "what": what,
            "case": case.number,
            "source": dossier.source,
            "step": int(case.step),
            "amount": case.amount,
            "before": before,
            "recipients": case.recipients,
            "reason": reason,
        }
        unit.emit(Event(Kind.SANCTION, actor, dossier.message, dossier.subject, dossier.mailbox_id, detail))

    def _lift_when_paid(self, unit: Unit, dossier: Dossier, reason: str, actor: str) -> None:
        held = [one.case for one in rows.of_subject(unit.connection, dossier.subject)]
        if not penalties.suspends(held):
            self.suspensions.end(unit, dossier.subject, rows.PENALTY, reason, actor)

    def _tell(self, unit: Unit, dossier: Dossier, name: str, reason: str, before: int = 0, refund: int = 0) -> None:
        told = self.letter(unit.connection, dossier, name, reason, before, refund)
        letters.owe(unit, dossier.subject, told, dossier.message)

    def letter(
        self,
        connection: Connection,
        dossier: Dossier,
        name: str = "",
        reason: str = "",
        before: int = 0,
        refund: int = 0,
    ) -> Decision:
        """The notice of a case as it stands: by default the one that its confirmation owes."""
        case = dossier.case
        owed = penalties.due(one.case for one in rows.of_subject(connection, dossier.subject))
        facts: dict[str, Any] = {
            **self.words.facts(),
            **self.words.repeat(case.step),
            **money("amount", case.amount),
            **money("due", owed),
            **money("before", before),
            **(money("refund", refund) if refund > 0 else {}),
            **day("date", case.at),
            "address": dossier.subject,
            "number": case.number,
            "recipients": case.recipients,
            "reference_fr": dossier.message or "aucune",
            "reference_en": dossier.message or "none",
            "step": int(case.step),
            "reason": one_line(reason),
        }
        return decide(rule(name or LETTER_OF[case.step]), **facts)


def _postmaster(dossier: Dossier) -> str:
    """Who answers for a partner's sender."""
    return f"postmaster@{dossier.subject.rpartition('@')[2]}"
