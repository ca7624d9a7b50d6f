"""The white list in force: what may replace it, what was before, how old it is (MSS-009 to MSS-013, F40 to F42).

A candidate is read, then guarded: an older date of generation is a replay, the same date with another content is a
conflict, a list that loses more than a share of its bindings is held until a person confirms it. Whatever happens, the
list in force stays in force until a better one is durable.

Promise: each candidate ends in an :class:`Outcome` with the events for the journal; nothing raises for a bad candidate.
Failure: ``OSError`` of the disk, and :class:`directory.trustlist_versions.Damaged` for a kept file that was altered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from cryptography import x509

from directory import trustlist
from directory.trustlist import Defect, LoadedList, Refused
from directory.trustlist_difference import Difference, difference, shrunk
from directory.trustlist_versions import HELD, Current, Metadata, Versions, name_of
from policies.events import Event, Kind
from policies.trust import Freshness, TrustList, TrustSettings, freshness

Word = Literal["accepted", "unchanged", "held", "refused"]


@dataclass(frozen=True, slots=True)
class ListSettings:
    """How lists are judged. ``shrink_limit`` is a share of 1; ``signers`` as in :func:`directory.trustlist.load`."""

    anchors: Sequence[x509.Certificate] = ()
    require_signature: bool = False
    signers: tuple[str, ...] = ()
    shrink_limit: float = 0.2
    versions_kept: int = 30
    maximum_size: int = trustlist.MAXIMUM_SIZE


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a candidate. ``trust`` is the list in force afterwards, ``reason`` a stable word when refused."""

    word: Word
    trust: TrustList | None
    reason: str = ""
    detail: str = ""
    changes: Difference = field(default_factory=Difference)
    warnings: tuple[Defect, ...] = ()
    events: tuple[Event, ...] = ()


class History:
    """The versions and the rules between them. One process accepts; any process may ask :meth:`current`."""

    def __init__(self, versions: Versions, settings: ListSettings) -> None:
        self._versions = versions
        self._settings = settings
        # One attribute, replaced whole: a refresh in a thread never shows half of itself.
        self._state: tuple[Current, TrustList | None] | None = None

    def current(self) -> TrustList | None:
        """The list in force, or None before the first. Cheap: reads one small file, and a version when it changed.

        Another process's change is seen at the next call.
        """
        named = self._versions.current()
        if named is None:
            return None
        state = self._state
        if state is None or state[0].name != named.name:
            state = (named, self._in_force(named))
        elif state[0] != named:
            state = (named, replace(state[1], fetched_at=named.confirmed_at) if state[1] is not None else None)
        self._state = state
        return state[1]

    def accept(self, data: bytes, *, now: datetime, companion: bytes | None = None) -> Outcome:
        """Judge a candidate just fetched, with its checksum ``companion`` when the source has one, and keep it if good."""
        try:
            if companion is not None:
                trustlist.check_companion(data, companion)
            loaded = self._load(data, now)
            before = self.current()
            unchanged = self._guard(before, loaded)
        except Refused as refusal:
            return self._refused(refusal)
        if unchanged:
            return self._unchanged(now)
        if before is not None and shrunk(before, loaded.trust, self._settings.shrink_limit):
            return self._hold(before, loaded, data, now)
        return self._keep(loaded, data, now, "")

    def confirm_held(self, *, now: datetime, by: str) -> Outcome:
        """A person lets the held candidate pass; ``by`` is who. Refused (``nothing_held``, or as :meth:`accept`)."""
        try:
            data, _ = self._versions.read(HELD)
            loaded = self._load(data, now)
            self._guard(self.current(), loaded)
        except KeyError:
            return self._refused(Refused("nothing_held", "no list waits for confirmation"))
        except Refused as refusal:
            return self._refused(refusal)
        return self._keep(loaded, data, now, by)

    def held(self) -> Metadata | None:
        """What waits for confirmation, if anything."""
        try:
            return self._versions.read(HELD)[1]
        except KeyError:
            return None

    def versions(self) -> tuple[Metadata, ...]:
        """What is kept, oldest first."""
        return tuple(self._versions.read(name)[1] for name in self._versions.names())

    def version(self, name: str) -> LoadedList:
        """A kept version (or ``held``), read again by today's settings. Raises KeyError, Refused."""
        return self._read(name)

    def diff(self, a: str, b: str) -> Difference:
        """From version ``a`` to version ``b``, by name. Raises KeyError, Refused."""
        return difference(self._read(a).trust, self._read(b).trust)

    def read(self, data: bytes, now: datetime) -> LoadedList:
        """Any list, read and verified by these settings, and kept nowhere. Raises Refused."""
        return self._load(data, now)

    def _load(self, data: bytes, now: datetime) -> LoadedList:
        return trustlist.load(
            data,
            anchors=self._settings.anchors,
            require_signature=self._settings.require_signature,
            signers=self._settings.signers,
            maximum_size=self._settings.maximum_size,
            now=now,
        )

    def _read(self, name: str) -> LoadedList:
        data, metadata = self._versions.read(name)
        # Judged at the moment it was accepted: a signing certificate that expired since does not undo it.
        return self._load(data, metadata.accepted_at)

    def _in_force(self, named: Current) -> TrustList | None:
        """None when the settings became stricter than the kept list is: partners wait until a good one is fetched."""
        try:
            trust = self._read(named.name).trust
        except Refused:
            return None
        return replace(trust, fetched_at=named.confirmed_at)

    @staticmethod
    def _guard(before: TrustList | None, loaded: LoadedList) -> bool:
        """True when the candidate is the list in force. Raises Refused for a replay or a conflict."""
        if before is None:
            return False
        if loaded.trust.sha256 == before.sha256:
            return True
        if loaded.trust.generated < before.generated:
            raise Refused("replay", f"generated {loaded.trust.version}, older than {before.version}")
        if loaded.trust.generated == before.generated:
            if difference(before, loaded.trust).empty:
                return True
            raise Refused("conflict", f"another content for the same date {before.version}")
        return False

    def _unchanged(self, now: datetime) -> Outcome:
        named = self._versions.current()
        assert named is not None
        if now > named.confirmed_at:
            self._versions.point(replace(named, confirmed_at=now))
        return Outcome("unchanged", self.current())

    def _keep(self, loaded: LoadedList, data: bytes, now: datetime, by: str) -> Outcome:
        before = self.current()
        changes = difference(before, loaded.trust)
        metadata = _metadata(loaded, now, by)
        self._versions.write(metadata.name, data, metadata)
        self._versions.point(Current(metadata.name, now))
        self._versions.drop(HELD)
        self._prune(metadata.name)
        self._state = (Current(metadata.name, now), loaded.trust)
        event = _event("accepted", loaded, changes, by)
        return Outcome("accepted", loaded.trust, changes=changes, warnings=loaded.warnings, events=(event,))

    def _hold(self, before: TrustList, loaded: LoadedList, data: bytes, now: datetime) -> Outcome:
        changes = difference(before, loaded.trust)
        known = self.held()
        self._versions.write(HELD, data, replace(_metadata(loaded, now, ""), name=HELD))
        # The same candidate comes back at each refresh; it is told once.
        again = known is not None and known.sha256 == loaded.trust.sha256
        events = () if again else (_event("held", loaded, changes, "shrink"),)
        return Outcome("held", before, "shrink", changes=changes, warnings=loaded.warnings, events=events)

    def _refused(self, refusal: Refused) -> Outcome:
        event = Event(Kind.TRUST_LIST, detail={"what": "refused", "reason": refusal.word})
        return Outcome("refused", self.current(), refusal.word, refusal.detail, events=(event,))

    def _prune(self, keep: str) -> None:
        names = [name for name in self._versions.names() if name != keep]
        for name in names[: max(0, len(names) - self._settings.versions_kept + 1)]:
            self._versions.drop(name)


def ageing(
    trust: TrustList | None, now: datetime, settings: TrustSettings, before: Freshness | None
) -> tuple[Freshness | None, tuple[Event, ...]]:
    """The state of the list's clock, and the event owed when it differs from the one known ``before`` (MSS-013)."""
    if trust is None:
        return None, ()
    state = freshness(trust, now, settings)
    if state is before or (before is None and state is Freshness.FRESH):
        return state, ()
    detail = {"what": f"age_{state.value}", "version": trust.version, "sha256": trust.sha256}
    return state, (Event(Kind.TRUST_LIST, detail=detail),)


def _metadata(loaded: LoadedList, now: datetime, by: str) -> Metadata:
    trust = loaded.trust
    return Metadata(
        name=name_of(trust.generated, trust.sha256),
        generated=trust.generated,
        sha256=trust.sha256,
        accepted_at=now,
        domains=len(trust.domains),
        rows=len(loaded.rows),
        warnings=len(loaded.warnings),
        signer=loaded.signer,
        confirmed_by=by,
    )


def _event(what: str, loaded: LoadedList, changes: Difference, reason: str) -> Event:
    detail = {
        "what": what,
        "version": loaded.trust.version,
        "generated": loaded.trust.generated.isoformat(),
        "rows": len(loaded.rows),
        "added": len(changes.added),
        "removed": len(changes.removed),
        "changed": len(changes.changed),
        "sha256": loaded.trust.sha256,
        "reason": reason,
    }
    return Event(Kind.TRUST_LIST, detail=detail)
