"""Examine the national list of the directory: is there one, how old is it by its own time stamp, was the last one taken (MSS-127).

Promise: nothing is changed; an operator who asked for no list hears nothing of it. Failure: none but those of the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.admin.examination import Finding, State, found
from gateway.directory.feed import status

if TYPE_CHECKING:
    from gateway.compose import Storage


def extraction(storage: Storage) -> list[Finding]:
    """One finding about its age, and one more when the last try was not taken."""
    own, known = storage.config.directory, storage.reading.run_sync(status)
    if known is None or not known.taken_at:
        return [found(State.WARN, "directory.missing")] if own.source else []
    now = storage.clock()
    hours = max(0, int((now - known.stamped_at) // 3600))
    findings = []
    if known.old(now, own.alarm_age):
        findings.append(found(State.BAD if own.source else State.WARN, "directory.old", hours=hours))
    else:
        findings.append(found(State.GOOD, "directory.good", entries=known.entries, hours=hours))
    if known.trouble:
        findings.append(found(State.WARN, "directory.not_taken", reason=known.trouble))
    return findings
