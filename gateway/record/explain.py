"""Why a message went where it went: the decisions and steps of one message, read back from the journal.

Promise: the answer is a reading of evidence, not a second judgement; each decision cites its rule, source and remedy in
the language asked for. Failure: :class:`UnknownMessage` when the journal holds nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from gateway.record.journal import Record, read
from policies.catalogue import rule
from policies.decision import CatalogueError, Decision, Language, decide


class UnknownMessage(LookupError):
    """No record speaks of this message."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One decision about one recipient (empty: about the message as a whole)."""

    stage: str
    recipient: str
    rule: str
    verdict: str
    sentence: str
    remedy: str
    sources: tuple[str, ...]
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return asdict(self) | {"sources": list(self.sources)}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. ``at`` is ISO 8601, UTC."""

    at: str
    what: str
    recipient: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """``sender`` is empty for the null reverse-path, None where none was ever named; ``actor`` is who spoke."""

    message: str
    accepted: bool
    actor: str
    sender: str | None
    reasons: tuple[Reason, ...]
    steps: tuple[Step, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "message": self.message,
            "accepted": self.accepted,
            "actor": self.actor,
            "sender": self.sender,
            "decisions": [reason.to_json() for reason in self.reasons],
            "steps": [
                {"at": step.at, "what": step.what, "recipient": step.recipient, **dict(step.facts)}
                for step in self.steps
            ],
        }


def noted(stage: str, recipient: str, decision: Decision) -> list[Any]:
    """How a decision is written into an event: rule name and parameters, so that it can be said again in any language."""
    return [stage, recipient, decision.rule.name, dict(decision.parameters), decision.detail]


def explain(connection: Connection, message: str, language: Language) -> Explanation:
    """Everything the journal knows about one message. Raises :class:`UnknownMessage`."""
    records = read(connection, message=message)
    if not records:
        raise UnknownMessage(message)
    reasons = tuple(reason for record in records for reason in _reasons(record, language))
    sender = next((str(r.detail["sender"]) for r in records if "sender" in r.detail), None)
    accepted = any(record.kind == "message.accepted" for record in records)
    return Explanation(message, accepted, records[0].actor, sender, reasons, tuple(_steps(records)))


def _reasons(record: Record, language: Language) -> Iterable[Reason]:
    for stage, recipient, name, parameters, detail in record.detail.get("decisions", ()):
        yield reason(stage, recipient, name, parameters, detail, language)


def reason(
    stage: str, recipient: str, name: str, parameters: Mapping[str, str], detail: str, language: Language
) -> Reason:
    """A written decision in words. A rule that a later release removed is shown by its name alone."""
    try:
        decision = decide(rule(name), detail, **parameters)
    except CatalogueError:
        return Reason(stage, recipient, name, "", name, "", (), detail)
    return Reason(
        stage,
        recipient,
        name,
        decision.verdict.value,
        decision.sentence(language),
        decision.remedy(language),
        decision.rule.sources,
        detail,
    )


def _steps(records: Sequence[Record]) -> Iterable[Step]:
    for record in records:
        facts = {key: value for key, value in record.detail.items() if key not in ("decisions", "sender")}
        at = datetime.fromtimestamp(record.at / 1e6, UTC).isoformat(timespec="milliseconds")
        yield Step(at, record.kind, record.recipient, facts)
