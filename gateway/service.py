"""One running process of the gateway: makes its parts, starts them, keeps them to the configuration in force, and ends them.

What it opens is in :mod:`gateway.compose` (the store) and :mod:`gateway.doors`, what goes on beside them in
:mod:`gateway.rounds`, :mod:`gateway.disk_room` and :mod:`gateway.tasks`.

Promise: everything opened by :meth:`Service.start` is closed by :meth:`Service.stop`, in the order that loses nothing:
doors and courier drain first, then the store. A change of trust, certificate, revocation or mailbox state is in
force on open sessions within a minute. A reload that does not pass its checks changes nothing and says so.
Failure: whatever keeps a part from starting is raised from :meth:`start` with what was opened closed again.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from gateway import part_settings, people, policy_settings, rounds
from gateway.acceptance import Acceptor
from gateway.answering import Answering
from gateway.certificate_logins import CertificateLogins
from gateway.compose import Storage, storage
from gateway.config import ConfigError, absent, changes, load, postmaster
from gateway.directory import refresh
from gateway.disk_room import DiskRoom
from gateway.doors import Behind, Doors
from gateway.following import Following
from gateway.intake import Intake
from gateway.medical.answers import PatientAnswers
from gateway.medical.reader import DocumentReader
from gateway.medical.wiring import document_reader, medical_settings
from gateway.monitoring.monitoring import Monitoring
from gateway.notice_entry import NoticeEntry
from gateway.redirecting import Judgement, Redirecting
from gateway.relay.bodies import StoreBodies
from gateway.relay.courier import Courier
from gateway.relay.guard import TrustGuard
from gateway.relay.notices import House
from gateway.relay.partners import Partners
from gateway.relay.reception import Reception
from gateway.rule_book import RuleBook
from gateway.sanctions.wiring import at_the_doors, keep_time, reporting
from gateway.scan import LiveScanner
from gateway.settings import Config
from gateway.sharing import Sharing
from gateway.smtp import tls
from gateway.smtp.budget import Budget
from gateway.tasks import Tasks, Work, report
from gateway.trust_space import TrustSpace, pace
from gateway.user_rules import UserRules
from gateway.volumes import SqlLedger, Volumes
from mailboxes.store import StoreError
from mailboxes.tally import LocalTally, SharedTally, Tally
from policies.events import Event, Kind

log = structlog.get_logger("service")

RECHECK_EVERY = 15.0
"""Seconds between two looks at whether open sessions may go on, and at our own certificates; fewer where the list or revocations are
fetched more often."""


class Wall:
    """The clocks of the courier."""

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class Service:
    """One process of ``workers`` alike; with ``shared_ports`` they listen on the same ports."""

    def __init__(self, config: Config, roles: tuple[str, ...], *, shared_ports: bool = False, workers: int = 1) -> None:
        self.config = config
        self.roles = roles
        self.workers = workers
        self.shared_ports = shared_ports
        self.reloaded: Callable[[], None] = lambda: None
        """Called after each reload, once its configuration is in force or refused."""
        self._tasks = Tasks()
        self._reloading = asyncio.Lock()
        self._concluding = asyncio.Lock()
        self._room = DiskRoom(lambda: self.config)
        self._monitoring = Monitoring(config.service.data / "processes", roles)
        self._storage: Storage | None = None
        self._doors: Doors | None = None
        self._courier: Courier | None = None
        self._partners: Partners | None = None
        self._documents: DocumentReader | None = None
        self._rules: UserRules | None = None

    @property
    def ports(self) -> dict[str, list[dict[str, Any]]]:
        """Where each door listens, by its name."""
        return self._doors.ports if self._doors is not None else {}

    # starting

    async def start(self) -> None:
        """Open everything; returns once every door of the roles answers."""
        try:
            await self._start()
        except BaseException:
            await self.stop(grace=0)
            raise

    async def _start(self) -> None:
        tell_absent(self.config)
        opened = await self._open_storage()
        await self._make_parts(opened)
        self._doors = doors = self._make_doors()
        await doors.open(self.roles, opened)
        await self._now_or_at_last(self._rejudge)
        self._keep_up(opened)
        if opened.reads_only:
            self._tasks.begin(partial(self._tasks.at_last, opened.take_number))
        await self._now_or_at_last(partial(self._record, Event(Kind.STARTED, detail={"roles": list(self.roles)})))

    async def _now_or_at_last(self, work: Work) -> None:
        """Do ``work``; where the store takes no write (a full disk) the doors open all the same, and ``work`` is done later."""
        try:
            await work()
        except StoreError:
            self._tasks.begin(partial(self._tasks.at_last, work))

    async def _open_storage(self) -> Storage:
        self._storage = opened = await asyncio.to_thread(storage, self.config)
        opened.committer.meter = self._monitoring.counts
        await asyncio.to_thread(opened.mark.demand)
        await asyncio.to_thread(self._room.look)
        opened.notices.start()
        return opened

    async def _make_parts(self, opened: Storage) -> None:
        """What the doors lead to, each part after those it asks."""
        config = self.config
        self._space = TrustSpace(config, opened.committer, opened.clock, self._trust_changed)
        await self._now_or_at_last(self._space.open)
        self._authenticator = CertificateLogins(
            people.authenticator(opened),
            reader=lambda: self._space.reader,
            settings=lambda: self._space.settings.certificate,
            now=lambda: self._space.now,
            record=self._record_soon,
            ready=self._space.ready,
        )
        self._boxes = people.mailboxes(opened)
        self._budget = Budget(part_settings.budget(config, self.workers), spare=config.limits.message_size)
        self._scanner = LiveScanner(part_settings.scanner(config))
        self._courier = self._make_courier(opened)
        self._documents = document_reader(config, opened, self._boxes)
        self._rules = self._make_rules(opened)
        self._intake = self._make_intake(opened)
        self._entry.intake = self._intake

    def _keep_up(self, opened: Storage) -> None:
        """All that goes on from here to the end."""
        lasting: list[Work] = [
            self._space.run,
            self._room.watch,
            self._recheck,
            self._monitoring.run,
            partial(rounds.anchor, opened, lambda: self.config),
            partial(rounds.retain, opened, lambda: self.config),
            partial(rounds.forget_volumes, opened),
            partial(keep_time, opened, lambda: self.config),
            partial(refresh.keep, opened, lambda: self.config),
        ]
        if self._courier is not None and "courier" in self.roles:
            lasting.append(self._courier.run)
        for work in lasting:
            self._tasks.keep_up(work)

    async def _record(self, *events: Event) -> None:
        assert self._storage is not None
        await self._storage.committer.run(lambda unit: unit.emit(*events))

    def _record_soon(self, event: Event) -> None:
        task = asyncio.create_task(self._record(event))
        task.add_done_callback(report)

    # parts

    def _make_doors(self) -> Doors:
        assert self._rules is not None
        tally: Tally = LocalTally()
        sharing = None
        if self.shared_ports:
            own = self.config.service.data / f"workers-{os.getuid()}"  # each role may run as a user of its own
            tally = shared = SharedTally(own / "connections")
            sharing = Sharing(shared, own)
        behind = Behind(
            space=self._space,
            intake=self._intake,
            authenticator=self._authenticator,
            scanner=self._scanner,
            budget=self._budget,
            tally=tally,
            record=self._record_soon,
            monitoring=self._monitoring,
            judge=self._rules.judgement.written,
        )
        return Doors(self.config, behind, sharing)

    def _make_intake(self, opened: Storage) -> Intake:
        assert self._courier is not None
        self._acceptor = Acceptor(opened.store, policy_settings.schedule(self.config), self._courier.wake)
        return Intake(
            settings=part_settings.intake_settings(self.config, self._space),
            trusted=self._space.trusted,
            mailboxes=self._boxes,
            scanner=self._scanner,
            sealer=opened.sealer,
            committer=opened.committer,
            acceptor=self._acceptor,
            clock=opened.clock,
            pool=opened.pool,
            medical=self._documents,
            followers=reporting(self._make_following(opened), opened, lambda: self.config),
            room=self._room.decision,
            sanctions=at_the_doors(opened, lambda: self.config),
            volumes=Volumes(SqlLedger(opened.reading), opened.clock, time.monotonic, opened.volume_key),
        )

    def _make_following(self, opened: Storage) -> Following:
        self._following = Following(self._reception(opened), opened.sealer, self._rules, self._patient_answers())
        return self._following

    def _patient_answers(self) -> PatientAnswers | None:
        """Where patients' answers go, when the operator wants Reply-To honoured (MSS-103)."""
        assert self._documents is not None
        if not self.config.hprim.reply_to:
            return None
        return PatientAnswers(self._documents.registers, self._boxes, frozenset(self.config.limits.patient_domains))

    def _make_rules(self, opened: Storage) -> UserRules:
        assert self._courier is not None
        space, clock, bodies = self._space, opened.clock, StoreBodies(opened.store)
        book = RuleBook(opened.reading, time.monotonic)
        judgement = Judgement(space.trusted, lambda: space.settings, lambda: self._intake.settings.recipient, clock)
        self._redirecting = redirecting = Redirecting(
            book=book,
            boxes=self._boxes,
            judgement=judgement,
            sealer=opened.sealer,
            store=opened.store,
            bodies=bodies,
            schedule=policy_settings.schedule(self.config),
            wake=self._courier.wake,
            hostname=self.config.operator.hostname,
        )
        answering = Answering(book, opened.sealer, bodies, space.trusted, lambda: space.settings, clock)
        return UserRules(book, redirecting, answering, judgement, bodies)

    def _reception(self, opened: Storage) -> Reception:
        own = self.config
        bodies = StoreBodies(opened.store)
        patients = policy_settings.bounces(own)
        return Reception(bodies, own.operator.hostname, self._space.trusted, own.queue.confirm_within, patients)

    def _make_courier(self, opened: Storage) -> Courier:
        config = self.config
        self._client_context = tls.client_context(
            part_settings.client_identity(config), suites=part_settings.suites(config)
        )
        guard = TrustGuard(
            lists=self._space.trusted,
            settings=lambda: self._space.settings,
            context=lambda: self._client_context,
            reader=lambda: self._space.reader,
            now=lambda: self._space.now,
            ready=self._space.asked,
        )
        self._partners = Partners(
            part_settings.resolver(config),
            guard,
            config.operator.hostname,
            time.monotonic,
            part_settings.patience(config),
            keep=config.queue.keep_open,
            messages=config.queue.messages_per_connection,
            most=config.queue.connections,
        )
        self._entry = NoticeEntry()
        return Courier(
            name=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
            committer=opened.committer,
            reading=opened.reading,
            bodies=StoreBodies(opened.store),
            transport=self._partners,
            submit=self._entry,
            house=House(config.operator.hostname, postmaster(config.operator)),
            clock=Wall(),
            chance=random.SystemRandom().random,
            token=lambda: secrets.token_hex(16),
            settings=part_settings.courier_settings(config),
        )

    # keeping it true

    def _trust_changed(self) -> None:
        log.info("trust_list_in_force", version=(trusted.version if (trusted := self._space.trusted()) else ""))
        if self._rules is not None:  # while starting, they are judged once the rest is open
            self._tasks.begin(partial(self._tasks.at_last, self._rejudge))

    async def _rejudge(self) -> None:
        """Rules that point outside the list now in force end, and their owners are told (MSS-058)."""
        assert self._storage is not None
        assert self._rules is not None
        if ended := await self._rules.rejudge(self._storage.committer):
            log.warning("rules_ended", count=ended)

    async def _recheck(self) -> None:
        """Ask again, for every open session, whether it may go on (F43 to F47); follow renewed certificates (F48)."""
        assert self._doors is not None
        doors, seen = self._doors, self._key_times()
        while True:
            await asyncio.sleep(pace(self.config, RECHECK_EVERY))
            try:
                await doors.cut_sessions()
                if (now := self._key_times()) != seen:
                    seen = now
                    self._reload_certificates()
            except Exception as problem:  # noqa: BLE001 - the next round tries again
                log.error("recheck_failed", error=type(problem).__name__)

    def _key_times(self) -> tuple[float, ...]:
        paths = [*self.config.tls.certificates, *self.config.tls.keys]
        paths += [path for path in (self.config.tls.client_certificate, self.config.tls.client_key) if path]
        return tuple(path.stat().st_mtime for path in paths if path.exists())

    def _reload_certificates(self) -> None:
        """Connections from now on use the certificates on disk; a faulty pair leaves the old one in use."""
        try:
            client = tls.client_context(
                part_settings.client_identity(self.config), suites=part_settings.suites(self.config)
            )
            if self._doors is not None:
                self._doors.load(part_settings.identities(self.config))
        except tls.BadIdentity as problem:
            log.error("certificate_not_reloaded", reason=str(problem))
            return
        self._client_context = client
        log.info("certificates_reloaded")

    def reload(self, path: Path) -> None:
        """Take up a changed configuration, soon; when it is refused the old one stays (F21)."""
        self._tasks.begin(partial(self._reload, path))

    async def _reload(self, path: Path) -> None:
        async with self._reloading:  # one after the other: of two read at once the older could come last
            try:
                config = await asyncio.to_thread(load, path)
            except ConfigError as refused:
                for fault in refused.faults:
                    log.error("reload_refused", fault=str(fault))
                detail = {"outcome": "refused", "reason": str(refused)[:500]}
            else:
                detail = {"outcome": "done", "reason": " ".join(self._take_up(config))}
            finally:
                self.reloaded()
        async with self._concluding:
            await self._tasks.at_last(partial(self._conclude, Event(Kind.RELOADED, detail=detail)))

    async def _conclude(self, event: Event) -> None:
        """The sources of the space as they are named now, then the journal."""
        if event.detail["outcome"] == "done":
            await self._space.open()
        await self._record(event)

    def _take_up(self, config: Config) -> list[str]:
        """Have ``config`` in force; the keys that wait for the next start."""
        tell_absent(config)
        waiting = [change.key for change in changes(self.config, config) if change.restart]
        self.config = config
        self._space.reload(config)
        self._intake.follow(part_settings.intake_settings(config, self._space))
        self._following.reception = replace(
            self._following.reception,
            deadline=config.queue.confirm_within,
            patients=policy_settings.bounces(config),
        )
        self._following.patients = self._patient_answers()
        if self._documents is not None:
            self._documents.settings = medical_settings(config)
        self._reload_certificates()
        self._apply_limits(config)
        if waiting:
            log.warning("reload_needs_restart", keys=waiting)
        return waiting

    def _apply_limits(self, config: Config) -> None:
        if self._doors is not None:
            self._doors.follow(config)
        self._budget.resize(part_settings.budget(config, self.workers), config.limits.message_size)
        self._scanner.inner = part_settings.scanner(config)
        schedule = policy_settings.schedule(config)
        self._acceptor.schedule = self._redirecting.schedule = schedule
        if self._courier is not None:
            self._courier.follow(schedule, policy_settings.lane(config))
        if self._partners is not None:
            self._partners.follow(part_settings.resolver(config), part_settings.patience(config))
            self._partners.keep = config.queue.keep_open
            self._partners.messages = config.queue.messages_per_connection

    # stopping

    async def stop(self, grace: float | None = None) -> None:
        """Drain the doors and end the courier, both within the same ``grace``, then close the store.

        What a door still accepts is in the queue when it says so: the courier need not outlive it.
        """
        within = self.config.service.grace if grace is None else grace
        ending = []
        if self._doors is not None:
            ending.append(self._doors.drain(within))
        if self._courier is not None and "courier" in self.roles:
            ending.append(self._courier.stop(within))
        await asyncio.gather(*ending)
        if self._partners is not None:
            await self._partners.close()
        await self._tasks.end()
        self._monitoring.leave()
        if self._documents is not None:
            await self._documents.close()
        if self._storage is not None:
            with suppress(Exception):
                await self._record(Event(Kind.STOPPED, detail={"roles": list(self.roles)}))
            await self._storage.close()


def tell_absent(config: Config) -> None:
    """A list or a revocation list whose file is gone is an alarm, not the end of the service (F40)."""
    for fault in absent(config):
        log.warning("source_absent", setting=fault.key, path=fault.parameters["path"])
