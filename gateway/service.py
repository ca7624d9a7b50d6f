"""One running process of the gateway: its doors, its courier, its IMAP, and what keeps them true.

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
import ssl
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import structlog

from gateway import housekeeping, part_settings, people, policy_settings
from gateway.acceptance import Acceptor
from gateway.answering import Answering
from gateway.certificate_logins import CertificateLogins
from gateway.compose import Storage, storage, volumes
from gateway.config import ConfigError, absent, changes, load, postmaster
from gateway.config_units import Listen
from gateway.content_gate import ContentGate
from gateway.following import Following
from gateway.intake import Intake
from gateway.medical.answers import PatientAnswers
from gateway.medical.reader import DocumentReader
from gateway.medical.wiring import document_reader, medical_settings
from gateway.notice_entry import NoticeEntry
from gateway.record import journal
from gateway.redirecting import Judgement, Redirecting
from gateway.relay.bodies import StoreBodies
from gateway.relay.courier import Courier
from gateway.relay.guard import TrustGuard
from gateway.relay.notices import House
from gateway.relay.partners import Partners
from gateway.relay.reception import Reception
from gateway.rule_book import RuleBook
from gateway.scan import LiveScanner
from gateway.settings import Config, SmtpDoor
from gateway.sharing import DOORS, Adopt, Entrance, Sharing
from gateway.smtp import replies, tls
from gateway.smtp.budget import Budget
from gateway.smtp.edge import Doorway
from gateway.smtp.limits import Gate
from gateway.smtp.server import SmtpServer, serve_inbound, serve_submission
from gateway.standing import RegisterStandings
from gateway.trust_space import TrustSpace, anchors
from gateway.user_rules import UserRules
from gateway.volumes import SqlLedger, Volumes, forget
from mailboxes.given import make_folder
from mailboxes.imap.content import Cache
from mailboxes.imap.indexes import Indexes
from mailboxes.imap.ports import Service as ImapService
from mailboxes.imap.server import CROWDED, ImapServer
from mailboxes.seldom import Seldom
from mailboxes.store import StoreError
from mailboxes.tally import Crowd, LocalTally, SharedTally, Tally
from policies.catalogue import rule
from policies.content import ContentSettings
from policies.decision import Decision, decide
from policies.events import Event, Kind
from policies.values import CertificateFacts, Door

log = structlog.get_logger("service")

RECHECK_EVERY = 15.0
"""Seconds between two looks at whether open sessions may go on."""

ROOM_EVERY = 1.0
"""Seconds between two looks at the free disk space."""

STORE_AGAIN = 5.0
"""Seconds until what the store could not take is tried again."""

TASK_AGAIN = 1.0
"""Seconds until work that ended by a fault begins again; twice as many after each further one, up to a minute."""

PROBES = (
    (socket.TCP_KEEPIDLE, 240),
    (socket.TCP_KEEPINTVL, 30),
    (socket.TCP_KEEPCNT, 4),
    (socket.TCP_USER_TIMEOUT, 360_000),  # milliseconds, for one to whom something was said meanwhile
)
"""Seconds, and how often, until the kernel gives up a caller that vanished without a word: a phone that changes networks left
each time an idle session for half an hour, or a message half received for longer, which counted against its account."""

FORGET_EVERY = 600.0
"""Seconds between two looks at which rows of volumes are older than an hour."""

Work = Callable[[], Coroutine[Any, Any, None]]


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
        self.ports: dict[str, list[dict[str, Any]]] = {}
        self._smtp: list[tuple[str, SmtpServer]] = []
        self._imap: list[tuple[str, ImapServer]] = []
        self._courier: Courier | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloading = asyncio.Lock()
        self._concluding = asyncio.Lock()
        self._seldom = Seldom()
        self._contexts: list[ssl.SSLContext] = []
        self._storage: Storage | None = None
        self._partners: Partners | None = None
        self._documents: DocumentReader | None = None
        self._rules: UserRules | None = None
        self._tally: Tally = LocalTally()
        self._sharing: Sharing | None = None
        self._has_room = True

    # starting

    async def start(self) -> None:
        """Open everything; returns once every door of the roles answers."""
        try:
            await self._start()
        except BaseException:
            await self.stop(grace=0)
            raise

    async def _start(self) -> None:
        config = self.config
        tell_absent(config)
        opened = await asyncio.to_thread(storage, config)
        self._storage = opened
        await asyncio.to_thread(opened.mark.demand)
        await asyncio.to_thread(self._look_for_room)
        opened.notices.start()
        self._space = TrustSpace(config, opened.committer, opened.clock, self._trust_changed)
        await self._space.open()
        self._authenticator = CertificateLogins(
            people.authenticator(opened),
            lambda: self._space.reader,
            lambda: self._space.settings.certificate,
            self._now,
            self._record_soon,
            self._space.ready,
        )
        self._boxes = people.mailboxes(opened)
        self._budget = Budget(part_settings.budget(config, self.workers), spare=config.limits.message_size)
        if self.shared_ports:
            own = config.service.data / f"workers-{os.getuid()}"  # each role may run as a user of its own
            self._tally = tally = SharedTally(own / "connections")
            self._sharing = Sharing(tally, own)
        self._scanner = LiveScanner(part_settings.scanner(config))
        self._courier = self._make_courier(opened)
        self._documents = document_reader(config, opened, self._boxes)
        self._rules = rules = self._make_rules(opened)
        self._intake = self._make_intake(opened)
        self._entry.intake = self._intake
        if "inbound" in self.roles:
            await self._open_inbound()
        if "submission" in self.roles:
            await self._open_submission()
        if "imap" in self.roles:
            await self._open_imap(opened)
        await rules.rejudge(opened.committer)
        self._spawn(partial(_for_ever, self._space.run))
        self._spawn(partial(_for_ever, self._watch_room))
        self._spawn(partial(_for_ever, self._recheck))
        self._spawn(partial(_for_ever, self._anchor))
        self._spawn(partial(_for_ever, self._retain))
        self._spawn(partial(_for_ever, self._forget_volumes))
        if "courier" in self.roles:
            self._spawn(partial(_for_ever, self._courier.run))
        await self._record(Event(Kind.STARTED, detail={"roles": list(self.roles)}))

    def _spawn(self, work: Work) -> None:
        task = asyncio.create_task(work())
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_report)
        self._tasks.add(task)

    async def _record(self, *events: Event) -> None:
        assert self._storage is not None
        await self._storage.committer.run(lambda unit: unit.emit(*events))

    # parts

    def _now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)

    def _facts(self, tls_object: Any) -> CertificateFacts | None:
        return tls.peer_facts(tls_object, self._space.reader, self._now())

    async def _ready(self, tls_object: Any) -> None:
        """What must be asked elsewhere before this peer's certificate can be judged."""
        if self._space.asks:
            await self._space.ready(tls.presented(tls_object))

    def _der_facts(self, der: bytes) -> CertificateFacts | None:
        return self._space.reader.facts((der,), self._now())

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
            followers=self._make_following(opened),
            room=self._room,
            volumes=Volumes(SqlLedger(opened.reading), opened.clock, time.monotonic),
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
        hostname = self.config.operator.hostname
        self._redirecting = redirecting = Redirecting(
            book,
            self._boxes,
            judgement,
            opened.sealer,
            opened.store,
            bodies,
            policy_settings.schedule(self.config),
            self._courier.wake,
            hostname,
        )
        answering = Answering(book, opened.sealer, bodies, space.trusted, lambda: space.settings, clock)
        return UserRules(book, redirecting, answering, judgement, bodies)

    def _reception(self, opened: Storage) -> Reception:
        own = self.config
        bodies = StoreBodies(opened.store)
        patients = policy_settings.bounces(own)
        return Reception(bodies, own.operator.hostname, self._space.trusted, own.queue.confirm_within, patients)

    def _room(self) -> Decision | None:
        """A deferral when a disk is nearly full (F07)."""
        return None if self._has_room else decide(rule("store.full"), "free space below limits.free_space")

    def _look_for_room(self) -> None:
        """Blocks: a disk of the network may be silent, and nobody must wait for it who does not write there."""
        needed = self.config.limits.free_space
        folder, free = min(volumes(self.config).items(), key=itemgetter(1))
        had, self._has_room = self._has_room, not needed or free >= needed
        if had and not self._has_room:  # once: every message is now put off, and nothing else says so
            log.error("disk_low", folder=folder.as_posix(), free=free, needed=needed)
        elif self._has_room and not had:
            log.info("disk_has_room", free=free, needed=needed)

    async def _watch_room(self) -> None:
        while True:
            await asyncio.sleep(ROOM_EVERY)
            await asyncio.to_thread(self._look_for_room)

    def _make_courier(self, opened: Storage) -> Courier:
        config = self.config
        self._client_context = tls.client_context(
            part_settings.client_identity(config), suites=part_settings.suites(config)
        )
        guard = TrustGuard(
            self._space.trusted,
            lambda: self._space.settings,
            lambda: self._client_context,
            lambda: self._space.reader,
            self._now,
            self._ready,
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
            f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
            opened.committer,
            opened.reading,
            StoreBodies(opened.store),
            self._partners,
            self._entry,
            House(config.operator.hostname, postmaster(config.operator)),
            Wall(),
            random.SystemRandom().random,
            lambda: secrets.token_hex(16),
            part_settings.courier_settings(config),
        )

    # doors

    def _server_context(self, *, ask_certificate: bool) -> ssl.SSLContext:
        config = self.config
        context = tls.server_context(
            part_settings.identities(config),
            ask_certificate=ask_certificate,
            anchors=anchors(config),
            suites=part_settings.suites(config),
            tickets=config.tls.tickets,
        )
        self._contexts.append(context)
        return context

    def _doorway(self, door: Door, own: SmtpDoor, name: str, *, implicit_tls: bool = False) -> Doorway:
        limits = part_settings.smtp_limits(self.config, own)
        return Doorway(
            door=door,
            hostname=self.config.operator.hostname,
            context=self._server_context(ask_certificate=True),
            facts=self._facts,
            ready=self._ready,
            intake=self._intake,
            limits=limits,
            budget=self._budget,
            gate=Gate(limits, time.monotonic, self._tally, name),
            clock=time.monotonic,
            domain=self.config.operator.domains[0],
            implicit_tls=implicit_tls,
            authenticator=None if door is Door.INBOUND else self._authenticator,
            tokens=bool(self.config.tokens.issuer),
            record=self._record_soon,
        )

    def _record_soon(self, event: Event) -> None:
        task = asyncio.create_task(self._record(event))
        task.add_done_callback(_report)

    async def _open_inbound(self) -> None:
        for listen in self.config.inbound.listen:
            doorway = self._doorway(Door.INBOUND, self.config.inbound, "inbound")
            entrance, crowd = self._bind(listen, crowded()), Crowd[Any](self._tally, DOORS.index("inbound"))
            server = await serve_inbound(doorway, sock=entrance, crowd=crowd)
            self._opened("inbound", listen.host, server.port)
            self._share("inbound", entrance, crowd, server.adopt)
            self._smtp.append(("inbound", server))

    async def _open_submission(self) -> None:
        doors = (("submission", self.config.submission, False), ("submissions", self.config.submissions, True))
        for name, own, implicit in doors:
            for listen in own.listen:
                doorway = self._doorway(Door.SUBMISSION, own, name, implicit_tls=implicit)
                entrance = self._bind(listen, b"" if implicit else crowded())
                crowd = Crowd[Any](self._tally, DOORS.index(name))
                server = await serve_submission(doorway, sock=entrance, crowd=crowd)
                self._opened(name, listen.host, server.port)
                self._share(name, entrance, crowd, server.adopt)
                self._smtp.append((name, server))

    async def _open_imap(self, opened: Storage) -> None:
        context = self._server_context(ask_certificate=True)
        config = self.config
        own = ImapService(
            store=opened.store,
            authenticator=self._authenticator,
            standings=RegisterStandings(opened.reading),
            gate=ContentGate(self._scanner, self._content_settings),
            indexes=Indexes(opened.store, shared=self.shared_ports or config.store.url.startswith("postgresql")),
            cache=Cache(opened.store),
            clock=opened.clock,
            certificate=self._der_facts,
            room=self._budget,
            tally=self._tally,
            limits=part_settings.imap_limits(config, config.imap),
            tls=context,
            tokens=bool(config.tokens.issuer),
        )
        for name, door, implicit in (("imap", config.imap, False), ("imaps", config.imaps, True)):
            crowd, secure = Crowd[Any](self._tally, DOORS.index(name)), context if implicit else None
            server = ImapServer(replace(own, limits=part_settings.imap_limits(config, door)), crowd)
            self._imap.append((name, server))
            for listen in door.listen:
                entrance = self._bind(listen, b"" if implicit else CROWDED)
                port = await server.listen(sock=entrance, tls=secure)
                self._opened(name, listen.host, port)
                self._share(name, entrance, crowd, partial(server.adopt, tls=secure))

    def _content_settings(self) -> ContentSettings:
        return replace(self._intake.settings.content, size=self.config.limits.append_size)

    def _share(self, name: str, entrance: Entrance, crowd: Crowd[Any], adopt: Adopt) -> None:
        if self._sharing is not None:
            self._sharing.share(name, entrance, crowd, adopt)

    def _bind(self, listen: Listen, crowded: bytes) -> Entrance:
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # what is accepted inherits it
        for option, value in PROBES:
            bound.setsockopt(socket.IPPROTO_TCP, option, value)
        if self.shared_ports:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            bound.bind((listen.host, listen.port))
        except OSError as problem:  # the system does not say which of five doors it speaks of
            bound.close()
            raise OSError(problem.errno, f"{listen.host}:{listen.port}: {problem.strerror}") from None
        return Entrance(bound, crowded)

    def _opened(self, name: str, host: str, port: int) -> None:
        self.ports.setdefault(name, []).append({"host": host, "port": port})
        log.info("door_open", door=name, host=host, port=port)

    # keeping it true

    def _trust_changed(self) -> None:
        log.info("trust_list_in_force", version=(trusted.version if (trusted := self._space.trusted()) else ""))
        if self._rules is not None:  # while starting, they are judged once the rest is open
            self._spawn(partial(self._at_last, self._rejudge))

    async def _rejudge(self) -> None:
        """Rules that point outside the list now in force end, and their owners are told (MSS-058)."""
        assert self._storage is not None
        assert self._rules is not None
        if ended := await self._rules.rejudge(self._storage.committer):
            log.warning("rules_ended", count=ended)

    async def _recheck(self) -> None:
        """Ask again, for every open session, whether it may go on (F43 to F47); follow renewed certificates (F48)."""
        seen = self._key_times()
        while True:
            await asyncio.sleep(RECHECK_EVERY)
            try:
                await self._cut_sessions()
                if (now := self._key_times()) != seen:
                    seen = now
                    self._reload_certificates()
            except Exception as problem:  # noqa: BLE001 - the next round tries again
                log.error("recheck_failed", error=type(problem).__name__)

    async def _cut_sessions(self) -> None:
        for _, server in self._smtp:
            for connection in server.connections():
                peer = connection.peer
                if peer.certificate is None and peer.login is None:
                    continue
                decision = await self._intake.session(connection.peer_now())
                if decision.accepted and peer.login is not None:
                    if await self._authenticator.alive(peer.login):
                        connection.may_send_as(await self._authenticator.send_as(peer.login))
                    else:
                        decision = decide(rule("session.mailbox_suspended"))
                if not decision.accepted:
                    connection.close(decision)

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
            for context in self._contexts:
                tls.load(context, part_settings.identities(self.config))
        except tls.BadIdentity as problem:
            log.error("certificate_not_reloaded", reason=str(problem))
            return
        self._client_context = client
        log.info("certificates_reloaded")

    async def _anchor(self) -> None:
        """Write the head of the journal outside the database, in time (F35)."""
        assert self._storage is not None
        anchor = journal.AnchorFile(self.config.journal.anchor)
        make_folder(anchor.path.parent)
        while True:
            try:
                head = await self._storage.reading.run(journal.head)
                await asyncio.to_thread(anchor.write, *head, time.time())
            except Exception as problem:  # noqa: BLE001 - an anchor missed is an alarm, not the end of the service
                log.error("anchor_not_written", error=type(problem).__name__)
            await asyncio.sleep(self.config.journal.anchor_every)

    async def _retain(self) -> None:
        """Once a day, let go of what need not be kept any longer (MSS-145); sooner again when that failed."""
        assert self._storage is not None
        again = housekeeping.AGAIN
        while True:
            try:
                if removed := await housekeeping.daily(replace(self._storage, config=self.config)):
                    log.info("journal_purged", records=removed)
                pause, again = housekeeping.EVERY, housekeeping.AGAIN
            except Exception:  # kept a while too long is better than a service that ends
                pause, again = again, min(2 * again, housekeeping.EVERY)
                log.exception("housekeeping_failed", again=pause)
            await asyncio.sleep(pause)

    async def _forget_volumes(self) -> None:
        """What was sent more than an hour ago judges nobody."""
        assert self._storage is not None
        while True:
            await asyncio.sleep(FORGET_EVERY)
            try:
                await self._storage.committer.run(forget)
            except StoreError as problem:
                log.warning("volumes_not_forgotten", error=type(problem).__name__)

    def reload(self, path: Path) -> None:
        """Take up a changed configuration, soon; when it is refused the old one stays (F21)."""
        self._spawn(partial(self._reload, path))

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
        async with self._concluding:
            await self._at_last(partial(self._conclude, Event(Kind.RELOADED, detail=detail)))

    async def _conclude(self, event: Event) -> None:
        """The sources of the space as they are named now, then the journal."""
        if event.detail["outcome"] == "done":
            await self._space.open()
        await self._record(event)

    async def _at_last(self, work: Work) -> None:
        """What a store that is away must not make us forget is done when it is back (F11)."""
        while True:
            try:
                return await work()
            except StoreError as problem:
                if times := self._seldom.times("store"):
                    log.warning("work_waits_for_store", error=type(problem).__name__, times=times)
                await asyncio.sleep(STORE_AGAIN)

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
        doors = {"inbound": config.inbound, "submission": config.submission, "submissions": config.submissions}
        for name, server in self._smtp:
            limits = part_settings.smtp_limits(config, doors[name])
            server.doorway = replace(server.doorway, limits=limits)
            server.doorway.gate.follow(limits)
        self._budget.resize(part_settings.budget(config, self.workers), config.limits.message_size)
        self._scanner.inner = part_settings.scanner(config)
        for context in self._contexts:
            tls.follow(
                context, suites=part_settings.suites(config), tickets=config.tls.tickets, anchors=anchors(config)
            )
        schedule = policy_settings.schedule(config)
        self._acceptor.schedule = self._redirecting.schedule = schedule
        if self._courier is not None:
            self._courier.follow(schedule, policy_settings.lane(config))
        for name, door in self._imap:
            door.service.limits = part_settings.imap_limits(config, config.imap if name == "imap" else config.imaps)
        if self._partners is not None:
            self._partners.follow(part_settings.resolver(config), part_settings.patience(config))
            self._partners.keep = config.queue.keep_open
            self._partners.messages = config.queue.messages_per_connection

    # stopping

    async def stop(self, grace: float | None = None) -> None:
        """Drain the doors and end the courier, both within the same ``grace``, then close the store.

        What a door still accepts is in the queue when it says so: the courier need not outlive it.
        """
        patience_left = self.config.service.grace if grace is None else grace
        if self._sharing is not None:
            self._sharing.close()
        ending = [server.drain(patience_left) for _, server in self._smtp]
        ending += [server.close(min(patience_left, 5.0)) for _, server in self._imap]
        if self._courier is not None and "courier" in self.roles:
            ending.append(self._courier.stop(patience_left))
        await asyncio.gather(*ending)
        if self._partners is not None:
            await self._partners.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._documents is not None:
            await self._documents.close()
        if self._storage is not None:
            with suppress(Exception):
                await self._record(Event(Kind.STOPPED, detail={"roles": list(self.roles)}))
            await self._storage.close()


async def _for_ever(work: Work) -> None:
    """Work that goes on as long as the service does: whatever ends it, memory that ran out for one, it begins again.

    A courier that ended alone left a service behind that took mail and sent none.
    """
    pause = TASK_AGAIN
    while True:
        try:
            return await work()
        except Exception:
            with suppress(Exception):  # where memory ran out, telling fails too
                log.exception("task_ended", again=pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, 60 * TASK_AGAIN)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (problem := task.exception()) is not None:
        log.error("task_ended", exc_info=problem)


def crowded() -> bytes:
    """What a caller at an SMTP door hears when no descriptor is left (F08)."""
    return replies.reply(decide(rule("session.crowded")))


def tell_absent(config: Config) -> None:
    """A list or a revocation list whose file is gone is an alarm, not the end of the service (F40)."""
    for fault in absent(config):
        log.warning("source_absent", setting=fault.key, path=fault.parameters["path"])
