"""How the service stands: whether it can take mail this moment, and everything the doctor looks at from inside (MSS-147).

Promise: nothing is changed and nothing blocks the event loop; one examination serves all who ask within :data:`FRESH` seconds; findings
are those of :mod:`gateway.admin.doctor`, made by the same functions. Failure: none; what does not answer is a finding.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from gateway.admin import doctor
from gateway.admin.doctor_directory import extraction
from gateway.admin.examination import Finding, State, exit_code, found
from gateway.monitoring import checks
from gateway.monitoring.figures import FRESH, Figures, Look
from gateway.monitoring.monitoring import Monitoring
from mailboxes.store import StoreError
from policies.decision import Language

if TYPE_CHECKING:
    from gateway.compose import Storage
    from gateway.settings import Config
    from gateway.trust_space import TrustSpace

PATIENCE: Final = 5.0
"""Seconds the store has to take an empty transaction."""
WORDS: Mapping[State, str] = {
    State.GOOD: "ok",
    State.SKIPPED: "ok",
    State.WARN: "warn",
    State.BAD: "fail",
    State.AWAY: "fail",
}


@dataclass(frozen=True, slots=True)
class Examined:
    """All findings, and the figures behind some of them."""

    findings: tuple[Finding, ...]
    figures: Figures
    hour: tuple[int, int, int]
    at: float

    @property
    def status(self) -> str:
        return WORDS[max((each.state for each in self.findings), default=State.GOOD)]

    def to_json(self, language: Language) -> dict[str, Any]:
        arrived, failed, notices = self.hour
        figures = {**asdict(self.figures), "queue_depth": self.figures.depth, "arrived_last_hour": arrived}
        return {
            "status": self.status,
            "exit": exit_code(self.findings),
            "at": self.at,
            "figures": {**figures, "failed_last_hour": failed, "notices_last_hour": notices},
            "checks": [{**each.to_json(language), "status": WORDS[each.state]} for each in self.findings],
        }


class Health:
    """Of the process asked, and of what it shares with the others."""

    def __init__(
        self, config: Callable[[], Config], space: TrustSpace, storage: Storage, monitoring: Monitoring, look: Look
    ) -> None:
        self._config = config
        self._space = space
        self._storage = storage
        self._monitoring = monitoring
        self._look = look
        self._alone = asyncio.Lock()
        self._seen: tuple[float, Examined] | None = None

    async def hindrances(self) -> list[Finding]:
        """Why no mail can be taken now; empty when it can."""
        if self._storage.reads_only:
            return [found(State.AWAY, "store.reads_only")]
        try:
            async with asyncio.timeout(PATIENCE):
                await self._storage.committer.run(lambda _unit: None)
        except (StoreError, TimeoutError) as problem:
            return [found(State.AWAY, "store.away", reason=str(problem) or type(problem).__name__)]
        disks = await asyncio.to_thread(doctor.disk, self._config())
        return [each for each in disks if each.state >= State.BAD]

    async def examined(self) -> Examined:
        async with self._alone:
            if self._seen is None or time.monotonic() - self._seen[0] > FRESH:
                self._seen = (time.monotonic(), await self._fresh())
            return self._seen[1]

    async def _fresh(self) -> Examined:
        config, space = self._config(), self._space
        away = [each for each in await self.hindrances() if each.check == "store"]
        kept, files, told, figures = await asyncio.gather(
            asyncio.to_thread(self._kept, config, bool(away)),
            asyncio.to_thread(doctor.own_files, config),
            self._monitoring.everyone(),
            self._look.figures(),
        )
        findings = [*away, *kept, *doctor.revocation(space, config), *doctor.own(space, config, files)]
        findings += checks.of(config, figures, told)
        return Examined(tuple(findings), figures, checks.hour(told), space.now.timestamp())

    def _kept(self, config: Config, away: bool) -> list[Finding]:
        """What the doctor reads in the store and on the disks."""
        storage = replace(self._storage, config=config)
        stored: list[Finding] = []
        if not away:
            try:
                stored = [*doctor.writing(storage), *doctor.journal_head(storage), *extraction(storage)]
            except StoreError as problem:
                stored = [found(State.AWAY, "store.away", reason=str(problem) or type(problem).__name__)]
            if not stored or stored[0].check != "store":
                stored.insert(0, found(State.GOOD, "store.good"))
        return [*stored, *doctor.bodies(storage), *doctor.disk(config), *doctor.white_list(self._space)]
