"""What figures and tellings mean, by the thresholds of the configuration: findings, as the doctor's (MSS-147).

Promise: pure. ``/health/details`` and ``caducee doctor`` both ask here, so they cannot disagree. Failure: none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gateway.admin.examination import Finding, State, found
from gateway.monitoring.counts import ARRIVED, FAILED, NOTICES
from gateway.monitoring.figures import Figures
from gateway.monitoring.telling import living

if TYPE_CHECKING:
    from gateway.settings import Config

ANCHORS_LATE, ANCHORS_LOST = 5, 60
"""Anchors not written in time, from which it is worth a warning, and a failure."""
MINUTE = 60
SUM_OF: Final = (ARRIVED, FAILED, NOTICES)


def graded(value: float, warn: float, fail: float) -> State:
    """Where more is worse."""
    return State.BAD if value >= fail else State.WARN if value >= warn else State.GOOD


def queue(config: Config, figures: Figures) -> list[Finding]:
    """Its length, and how old its oldest recipient is."""
    if figures.queue is None:
        return []
    own = config.monitor
    facts = {"count": figures.depth, "minutes": int(figures.oldest // MINUTE)}
    length = graded(figures.depth, own.queue_warn, own.queue_fail)
    age = graded(figures.oldest, own.oldest_warn, own.oldest_fail)
    findings = [found(length, "queue.long", **facts)] if length is not State.GOOD else []
    findings += [found(age, "queue.old", **facts)] if age is not State.GOOD else []
    return findings or [found(State.GOOD, "queue.good", **facts)]


def notices(config: Config, processes: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Of the recipients settled in the last hour at partners, those whose sender was told that it failed."""
    own = config.monitor
    arrived, failed, sent = hour(processes)
    share = failed / max(1, arrived + failed)
    state = graded(share, own.dsn_warn, own.dsn_fail) if failed >= own.dsn_least else State.GOOD
    facts = {"failed": failed, "count": arrived + failed, "notices": sent}
    return [found(state, "notices.good" if state is State.GOOD else "notices.many", **facts)]


def hour(processes: Sequence[Mapping[str, Any]]) -> tuple[int, int, int]:
    """Arrived, failed, notices of the last hour, or since the processes began."""
    hours = [each.get("hour", (0, 0, 0)) for each in processes]
    arrived, failed, sent = (sum(int(each[place]) for each in hours) for place in SUM_OF)
    return arrived, failed, sent


def anchor(config: Config, figures: Figures) -> list[Finding]:
    """The head of the journal is written outside the database in time (F35)."""
    age, every = figures.anchor_age, config.journal.anchor_every
    if age is None:
        return []  # told where the anchor is compared
    state = graded(age, ANCHORS_LATE * every, ANCHORS_LOST * every)
    return [found(state, "journal.anchor_old", minutes=int(age // MINUTE))] if state is not State.GOOD else []


def processes(told: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Each process of this machine tells of itself: one that was killed and not started again is missed."""
    alive = living([dict(each) for each in told])
    names = {each["process"] for each in alive}
    silent = [each for each in told if each["process"] not in names]
    findings = [
        found(State.BAD, "process.silent", process=each["process"], minutes=int(each.get("age", 0) // MINUTE))
        for each in silent
    ]
    if alive:
        doors = sorted({door for each in alive for door in each.get("doors", {})})
        facts = {"names": ", ".join(sorted(names)), "doors": ", ".join(doors) or "-"}
        findings.append(found(State.GOOD, "process.good", **facts))
    return findings


def of(config: Config, figures: Figures, told: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """All of them."""
    return [
        *queue(config, figures),
        *notices(config, told),
        *anchor(config, figures),
        *processes(told),
    ]
