"""What a running service does again and again: a round that failed comes again, sooner."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from gateway import rounds
from mailboxes.store import BlobsUnavailable


@dataclass(frozen=True)
class Opened:
    """A store no round of which looks into."""

    config: object = None


async def test_housekeeping_that_failed_does_not_wait_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = iter(
        [BlobsUnavailable("away"), BlobsUnavailable("away"), 0, BlobsUnavailable("away"), *[OSError()] * 10]
    )
    pauses: list[float] = []

    async def daily(storage: object) -> int:
        if isinstance(found := next(outcomes, None), Exception):
            raise found
        if found is None:
            raise asyncio.CancelledError
        return found

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(rounds.housekeeping, "daily", daily)
    monkeypatch.setattr(rounds.asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await rounds.retain(Opened(), lambda: None)  # type: ignore[arg-type,return-value]
    assert pauses[:5] == [300.0, 600.0, 86400.0, 300.0, 600.0]
    assert max(pauses) == 86400.0
