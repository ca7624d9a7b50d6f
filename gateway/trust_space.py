"""The living trust space of one process: the list in force, refreshed in time; who reads certificates; what is revoked.

One process at a time fetches (a file lock on the versions' folder); all of them see a change at their next look, seconds
later. Policies are asked with :attr:`TrustSpace.trusted`, never with a copy.
Promise: a source that fails, lies or shrinks leaves the list in force untouched, and each candidate leaves its events in
the journal (MSS-009 to MSS-013). Failure: ``OSError`` of our own disk at a start without a kept list; else it is logged and the list ages.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from cryptography import x509

from directory.trustlist_fetch import Fetch, WebFetch, refresh
from directory.trustlist_history import History, ListSettings, Outcome, ageing
from directory.trustlist_versions import FileVersions
from gateway import policy_settings
from gateway.expiry_watch import ExpiryWatch, own_certificates
from gateway.settings import Config
from gateway.smtp import tls
from gateway.smtp.chain import PathReader, RevocationStatus, read_certificates
from gateway.smtp.ocsp import Combined, Responders
from gateway.smtp.revocation import FolderCache, RevocationLists
from mailboxes.commit import Committer
from mailboxes.given import create, make_folder
from policies.events import Event
from policies.trust import Freshness, TrustList
from policies.values import CertificateFacts

log = structlog.get_logger("trust")

FIRST_LIST_SECONDS = 5.0
FIRST_LIST_LOOK = 0.1
LOOK_EVERY = 5.0
"""Seconds between two looks at what other processes accepted."""

EXPIRY_EVERY = 3600.0
"""Seconds between two looks at how long our own certificates last."""

NONCE = 16
OCSP_PATIENCE = 3.0
"""Seconds a new session waits for the responder of its certificate; afterwards its revocation is unknown, for now."""


def certificates(paths: tuple[Path, ...]) -> list[x509.Certificate]:
    """Every certificate in these files. :class:`gateway.smtp.chain.BadCertificateFile` names the file."""
    return [one for path in paths for one in read_certificates(path)]


def anchors(config: Config) -> tuple[Path, ...]:
    """The authorities in force: test and production are never mixed (MSS-016, MSS-148)."""
    return config.trust.test_anchors if config.operator.test_mode else config.trust.anchors


class TrustSpace:
    """What :mod:`gateway.service` asks about the space. Make it once per process; :meth:`reload` follows the settings."""

    def __init__(
        self, config: Config, committer: Committer | None, clock: Callable[[], float], changed: Callable[[], None]
    ) -> None:
        self._committer = committer
        self._clock = clock
        self._changed = changed
        self._folder = config.service.data / "trust"
        self._seen: TrustList | None = None
        self._freshness: Freshness | None = None
        self._expiry = ExpiryWatch(self._folder)
        self._asking: set[asyncio.Task[Any]] = set()
        self.reload(config)

    def reload(self, config: Config) -> None:
        """Take up new settings."""
        own = config.trust
        self._config = config
        self.settings = policy_settings.trust(config)
        make_folder(self._folder)
        self._history = History(
            FileVersions(self._folder),
            ListSettings(
                anchors=tuple(certificates(own.list_anchors or anchors(config))),
                require_signature=own.signature_required,
                signers=own.list_signers,
                shrink_limit=own.shrink_limit,
                versions_kept=own.versions_kept,
                maximum_size=own.list_size,
            ),
        )
        self._fetch: Fetch = WebFetch(own.list_anchors or anchors(config))
        authorities = [*certificates(anchors(config)), *certificates(own.intermediates)]
        self._revocations = RevocationLists(
            own.crls,
            authorities,
            WebFetch(anchors(config), plain=True),
            FolderCache(self._folder / "crl"),
            grace=timedelta(seconds=own.crl_grace),
        )
        self.reader = PathReader(certificates(anchors(config)), certificates(own.intermediates), self._status(config))

    def _status(self, config: Config) -> RevocationStatus:
        """Who is asked about revocation: the lists, and responders behind them when so configured."""
        self._responders: Combined | None = None
        if not config.trust.ocsp:
            return self._revocations
        responders = Responders(
            WebFetch(anchors(config), plain=True),
            lambda: secrets.token_bytes(NONCE),
            require_nonce=config.trust.ocsp_nonce,
            again=timedelta(seconds=config.trust.crl_refresh),
        )
        live = self._committer is not None
        self._responders = Combined(self._revocations, responders, self._ask_later if live else None)
        return self._responders

    def facts(self, tls_object: Any) -> CertificateFacts | None:
        """What the peer of a TLS connection showed, as it is known now; None when it showed nothing."""
        return tls.peer_facts(tls_object, self.reader, self.now)

    def der_facts(self, der: bytes) -> CertificateFacts | None:
        """The same of a certificate that came without its chain."""
        return self.reader.facts((der,), self.now)

    async def asked(self, tls_object: Any) -> None:
        """What must be asked elsewhere before the certificate of this peer can be judged."""
        if self._responders is not None:
            await self.ready(tls.presented(tls_object))

    async def ready(self, chain: Sequence[bytes]) -> None:
        """Before a presented chain is judged for the first time: let its responders answer, for a moment (F45).

        Who gives up waiting does not stop the question: the next session finds the answer.
        """
        if self._responders is None or not chain:
            return
        for certificate, issuer in self.reader.links(chain, self.now):
            task = asyncio.ensure_future(self._responders.prepare(certificate, issuer, self.now))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
            await asyncio.wait((task,), timeout=OCSP_PATIENCE)

    def _ask_later(self, asking: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(asking)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def revocation_lists(self) -> RevocationLists:
        """What is held, for the doctor."""
        return self._revocations

    @property
    def history(self) -> History:
        """Versions of the list, for the command line and the doctor."""
        return self._history

    def trusted(self) -> TrustList | None:
        """The list in force, at most :data:`LOOK_EVERY` seconds old."""
        return self._seen

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def look(self) -> None:
        """See what any process accepted; tells when it is another list than before."""
        before, self._seen = self._seen, self._history.current()
        if (before and before.sha256) != (self._seen and self._seen.sha256):
            self._changed()

    def load_kept(self) -> tuple[Event, ...]:
        """The list and the revocation lists kept on disk."""
        events = self._revocations.load_cached(self.now)
        self.look()
        return events

    async def open(self) -> None:
        """At start and after a reload: what is kept on disk first, then the sources."""
        await self._record(self.load_kept())
        await self._record(await self._revocations.refresh(self.now))
        try:
            fetched = await self.refresh()
        except OSError as problem:
            if self._seen is None:
                raise
            # As later: the one in force ages.
            log.warning("trust_list_not_kept", reason=os.strerror(problem.errno or 0))
            return
        if fetched is None:
            await self._first_list()

    async def _first_list(self) -> None:
        """At a first start another process may still be reading the list: a door without one would defer everybody."""
        patience = FIRST_LIST_SECONDS if self._config.trust.list else 0.0
        while self._seen is None and patience > 0:
            await asyncio.sleep(FIRST_LIST_LOOK)
            patience -= FIRST_LIST_LOOK
            self.look()

    async def refresh(self) -> Outcome | None:
        """Fetch once and record what came of it; None without a source, or while another process is at it."""
        source = self._config.trust.list
        if not source:
            return None
        with _alone(self._folder / "lock") as mine:
            if not mine:
                return None
            limit = self._config.trust.list_size
            checksum = self._config.trust.list_checksum
            outcome = await refresh(self._history, self._fetch, source, now=self.now, checksum=checksum, limit=limit)
        await self._record(outcome.events)
        if outcome.word in ("refused", "held"):
            log.warning("list_not_taken", outcome=outcome.word, reason=outcome.reason)
        self.look()
        return outcome

    async def confirm(self, by: str) -> Outcome | None:
        """Let the list that waits pass; None while another process writes. Every process follows at its next look."""
        with _alone(self._folder / "lock") as mine:
            if not mine:
                return None
            outcome = self._history.confirm_held(now=self.now, by=by)
        await self._record(outcome.events)
        self.look()
        return outcome

    async def age(self) -> None:
        """The staleness clock: an event when the list grows old (MSS-013)."""
        self._freshness, events = ageing(self._seen, self.now, self.settings, self._freshness)
        await self._record(events)
        for event in events:
            log.warning("list_age", state=str(event.detail["what"]))

    async def look_at_own(self) -> None:
        """Tell when a certificate of ours runs out."""
        with _alone(self._folder / "expiry.lock") as mine:
            if mine:
                await self._record(self._expiry.look(own_certificates(self._config), self.now))

    async def _record(self, events: tuple[Event, ...]) -> None:
        if events and self._committer is not None:
            await self._committer.run(lambda unit: unit.emit(*events))

    async def run(self) -> None:
        """Look often, fetch rarely, for ever."""
        loop = asyncio.get_running_loop()
        list_due = loop.time() + self._config.trust.refresh
        crl_due = loop.time() + self._config.trust.crl_refresh
        expiry_due = loop.time()
        while True:
            await asyncio.sleep(pace(self._config, LOOK_EVERY))
            try:
                self.look()
                if loop.time() >= expiry_due:
                    expiry_due = loop.time() + EXPIRY_EVERY
                    await self.look_at_own()
                await self.age()
                await self._record(await self._revocations.refresh_changed(self.now))
                if loop.time() >= list_due:
                    list_due = loop.time() + self._config.trust.refresh
                    await self.refresh()
                if loop.time() >= crl_due:
                    crl_due = loop.time() + self._config.trust.crl_refresh
                    await self._record(await self._revocations.refresh(self.now))
            except Exception:  # the clock of the list must go on; the list ages meanwhile
                log.exception("trust_watch_failed")


def pace(config: Config, seconds: float) -> float:
    """How long to wait before looking again: no longer than between two fetches, or what was fetched would wait to count."""
    return min(seconds, config.trust.refresh, config.trust.crl_refresh)


def kept_space(config: Config, clock: Callable[[], float]) -> TrustSpace:
    """The space as the running service last left it on disk, for commands that only ask."""
    space = TrustSpace(config, None, clock, lambda: None)
    space.load_kept()
    return space


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """True for the one process that holds the lock."""
    with os.fdopen(create(path, os.O_WRONLY | os.O_APPEND), "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError as problem:  # a file system without locks, such as some network ones
            raise OSError(problem.errno, problem.strerror, str(path)) from None
        yield True
