"""Work beside the doors outlives its own faults."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from gateway import tasks


async def test_work_that_goes_on_for_ever_outlives_its_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """A courier that ended by one left a service behind that took mail and sent none."""
    monkeypatch.setattr(tasks, "TASK_AGAIN", 0.0)
    faults = [MemoryError(), ValueError("of ours")]

    async def work() -> None:
        if faults:
            raise faults.pop()

    with capture_logs() as logs:
        await asyncio.wait_for(tasks.for_ever(work), 5)
    assert [line["event"] for line in logs] == ["task_ended", "task_ended"]
