"""Carries parcels to partners: finds the server, opens or reuses a session, judges it again, hands the parcel over.

Promise: trust is judged for each parcel, on a fresh and on a reused session alike (F43, F46): the domain with
``may_deliver``, the server with its certificate, whose facts are read again after :data:`FACTS_SECONDS`. Full TLS
handshakes only: no tickets are kept, so no resumption can skip a revocation. A session idle longer than
:data:`IDLE_SECONDS` is closed.
Failure: :meth:`Partners.send` answers results, whatever DNS, network and peer do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from gateway.relay.parcel import Attempt, Parcel, Result
from gateway.smtp.outbound import Guard, NoSession, Patience, Session
from gateway.smtp.resolver import Resolver, Target, Unresolved
from policies.catalogue import rule
from policies.decision import Decision, Verdict, decide

IDLE_SECONDS = 30.0
FACTS_SECONDS = 30.0
MESSAGES_PER_SESSION = 500
MOST_SESSIONS = 200
ADDRESSES_PER_ATTEMPT = 6

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Kept:
    """An open session, when it was last used, and when its certificate was last read."""

    session: Session
    used_at: float
    judged_at: float


class Partners:
    """The :class:`~gateway.relay.parcel.Transport` in service. ``hello`` is our host name; ``now`` is monotonic.

    ``keep`` is how many seconds an unused session is kept, ``messages`` how many one session carries;
    both may be changed at any time. ``most`` sessions are open at once, those that are kept included: the one unused for
    longest makes room for the next.
    """

    def __init__(
        self,
        resolver: Resolver,
        guard: Guard,
        hello: str,
        now: Callable[[], float],
        patience: Patience | None = None,
        *,
        keep: float = IDLE_SECONDS,
        messages: int = MESSAGES_PER_SESSION,
        most: int = MOST_SESSIONS,
    ) -> None:
        self._resolver = resolver
        self._guard = guard
        self._hello = hello
        self._now = now
        self._patience = patience or Patience()
        self.keep = keep
        self.messages = messages
        self._most = most
        self._leaving: set[asyncio.Task[None]] = set()
        self._idle: dict[str, list[_Kept]] = {}
        self._busy: dict[str, int] = {}

    async def send(self, parcel: Parcel) -> Attempt:
        """See :class:`~gateway.relay.parcel.Transport`."""
        verdict = self._guard.may_deliver(parcel.domain)
        if verdict.rule.name == "trust.local":
            verdict = decide(rule("relay.loop"), "the domain is ours", domain=parcel.domain)
        if not verdict.accepted:
            # A list that is missing or stale (DEFER) concerns every parcel of the destination, a refusal this one too.
            return _all(parcel, verdict, broken=verdict.verdict is Verdict.DEFER)
        self._busy[parcel.domain] = self._busy.get(parcel.domain, 0) + 1
        try:
            return await self._carry(parcel)
        finally:
            self._busy[parcel.domain] -= 1
            if not self._busy[parcel.domain]:
                del self._busy[parcel.domain]

    async def _carry(self, parcel: Parcel) -> Attempt:
        kept = await self._reusable(parcel.domain)
        results = await self._deliver(parcel, kept) if kept is not None else None
        if kept is None or results is None:
            # The server had closed the idle session: nothing was said of this parcel, so it may be said again.
            self._make_room()
            try:
                kept = await self._open(parcel.domain)
            except NoSession as failure:
                return self._no_session(parcel, failure)
            results = await self._deliver(parcel, kept, fresh=True) or []
        if all(result.decision.rule.name == "relay.partner_deferred" for result in results):
            results = await self._elsewhere(parcel, kept.session) or results
        return Attempt(tuple(results), self._silence(results))

    async def _deliver(self, parcel: Parcel, kept: _Kept, *, fresh: bool = False) -> list[Result] | None:
        """The results on this session; None when it had ended before a word was said on it."""
        results = await kept.session.deliver(parcel)
        if kept.session.unheard and not fresh:
            return None
        await self._put_back(parcel.domain, kept)
        return results

    async def _elsewhere(self, parcel: Parcel, session: Session) -> list[Result] | None:
        """What the next server says when one that answers takes nothing now: a full disk at the first of two would keep
        everything until it is given up (RFC 5321 5.1). None when there is no next one to speak to."""
        self._make_room()
        try:
            kept = await self._open(parcel.domain, past=session.address)
        except NoSession:
            return None
        return await self._deliver(parcel, kept, fresh=True)

    def _silence(self, results: list[Result]) -> Decision | None:
        """A peer that lets every phase run into its timeout holds a lane for minutes: spare it (F31)."""
        first = results[0].decision
        return first if all(result.decision.rule.name == "relay.silent" for result in results) else None

    def _no_session(self, parcel: Parcel, failure: NoSession) -> Attempt:
        name = failure.decision.rule.name
        # A partner that is not who it should be, or a listed domain gone from DNS, is somebody's business now (F24-F27).
        alarm = name.startswith("trust.") or name in ("relay.domain_missing", "relay.loop")
        say = log.error if alarm else log.warning
        say("partner_not_reached", domain=parcel.domain, rule=name, detail=failure.decision.detail, alarm=alarm)
        # A server that has enough of our sessions is not down: the ones that stand go on working.
        crowded = name == "relay.partner_deferred" and self._busy.get(parcel.domain, 0) > 1
        crowded = crowded or name == "relay.busy"  # we are short of something ourselves
        # What is refused for good is refused for each message; only what may mend is waited for together.
        mends = failure.decision.verdict is Verdict.DEFER
        return _all(parcel, failure.decision, failure.reply, broken=mends and not crowded)

    # sessions

    async def _reusable(self, domain: str) -> _Kept | None:
        while stack := self._idle.get(domain):
            kept = stack.pop()
            if not stack:
                del self._idle[domain]
            if await self._good(domain, kept):
                return kept
            await kept.session.quit()
        return None

    async def _good(self, domain: str, kept: _Kept) -> bool:
        now = self._now()
        if not kept.session.usable or now - kept.used_at > self.keep:
            return False
        if now - kept.judged_at > FACTS_SECONDS:
            await kept.session.read_certificate(self._guard)
            kept.judged_at = now
        session = kept.session
        return self._guard.judge(domain, session.certificate, session.target.name).accepted

    def _make_room(self) -> None:
        """Before one more session: let go of those unused for longest when there would be too many."""
        for _ in range(sum(self._busy.values()) + self.idle - self._most):
            if not self._idle:
                return
            domain = min(self._idle, key=lambda name: self._idle[name][0].used_at)
            kept = self._idle[domain].pop(0)
            if not self._idle[domain]:
                del self._idle[domain]
            task = asyncio.ensure_future(kept.session.quit())  # a slow goodbye keeps nobody waiting
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _put_back(self, domain: str, kept: _Kept) -> None:
        if not kept.session.usable or kept.session.delivered >= self.messages:
            await kept.session.quit()
            return
        kept.used_at = self._now()
        self._idle.setdefault(domain, []).append(kept)

    async def _open(self, domain: str, *, past: str = "") -> _Kept:
        """A new session with the first server, of those behind the address ``past`` if one is given, that can be spoken to.

        Raises :class:`NoSession` with the best reason.
        """
        try:
            targets = await self._resolver.targets(domain)
        except Unresolved as unresolved:
            raise NoSession(decide(rule(unresolved.rule), unresolved.detail, domain=domain)) from None
        best: NoSession | None = None
        for target, address in _addresses(targets, past):
            try:
                session = await Session.open(target, address, domain, self._guard, self._hello, self._patience)
            except NoSession as failure:
                best = _more_telling(best, failure)
                continue
            now = self._now()
            return _Kept(session, now, now)
        raise best or NoSession(decide(rule("relay.unreachable"), "no address", host=domain))

    async def sweep(self) -> None:
        """See :class:`~gateway.relay.parcel.Transport`."""
        now = self._now()
        tired: list[_Kept] = []
        for domain, stack in list(self._idle.items()):
            tired += [kept for kept in stack if now - kept.used_at > self.keep or not kept.session.usable]
            fresh = [kept for kept in stack if kept not in tired]
            self._idle[domain] = fresh
            if not fresh:
                del self._idle[domain]
        await asyncio.gather(*(kept.session.quit() for kept in tired))

    def follow(self, resolver: Resolver, patience: Patience) -> None:
        """Other routes and patience, from the next session on; sessions that are kept stay what they were."""
        self._resolver = resolver
        self._patience = patience

    async def close(self) -> None:
        """See :class:`~gateway.relay.parcel.Transport`."""
        everyone = [kept for stack in self._idle.values() for kept in stack]
        self._idle.clear()
        await asyncio.gather(*(kept.session.quit() for kept in everyone), *self._leaving)

    @property
    def idle(self) -> int:
        """Open sessions waiting for work."""
        return sum(len(stack) for stack in self._idle.values())


def _addresses(targets: list[Target], past: str = "") -> list[tuple[Target, str]]:
    every = [(target, address) for target in targets for address in target.addresses][:ADDRESSES_PER_ATTEMPT]
    if not past:
        return every
    places = [place for place, (_, address) in enumerate(every) if address == past]
    return every[places[-1] + 1 :] if places else []


def _more_telling(before: NoSession | None, after: NoSession) -> NoSession:
    """What the trust space found wrong explains more than a server that does not answer (F25, F26)."""
    if before is not None and before.decision.rule.name.startswith("trust."):
        return before
    return after


def _all(parcel: Parcel, decision: Decision, reply: str = "", *, broken: bool) -> Attempt:
    result = Result(0, decision, decision.enhanced, reply, host=decision.parameters.get("host", ""))
    results = tuple(replace(result, id=way.id) for way in parcel.recipients)
    return Attempt(results, decision if broken else None)
