"""The doors of one process: what it listens with, which certificate it shows there, and who may stay inside.

Promise: every door of a role answers once :meth:`Doors.open` returned; what is shared between the workers of a machine is
shared door by door. Whoever is inside is asked about again by :meth:`Doors.cut_sessions`, and hears why when he has to leave.
Failure: an ``OSError`` that names the address a door could not have; :class:`gateway.smtp.tls.BadIdentity`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog
from starlette.types import ASGIApp

from directory.ldap.server import CROWDED as LDAP_CROWDED
from directory.ldap.server import LdapServer
from gateway import part_settings
from gateway.certificate_logins import CertificateLogins
from gateway.compose import Storage
from gateway.config_units import Listen
from gateway.content_gate import ContentGate
from gateway.http import connection as http_connection
from gateway.http import wiring as http_wiring
from gateway.http.server import HttpServer
from gateway.intake import Intake
from gateway.ldap_doors import ldap_limits, ldap_parts
from gateway.monitoring.monitoring import Monitoring
from gateway.scan import Scanner
from gateway.settings import Config, SmtpDoor
from gateway.sharing import DOORS, Adopt, Entrance, Sharing
from gateway.smtp import replies, tls
from gateway.smtp.budget import Budget
from gateway.smtp.edge import Doorway
from gateway.smtp.limits import Gate
from gateway.smtp.server import SmtpServer, serve_inbound, serve_submission
from gateway.standing import RegisterStandings
from gateway.trust_space import TrustSpace, anchors
from mailboxes.imap.content import Cache
from mailboxes.imap.indexes import Indexes
from mailboxes.imap.ports import Service as ImapService
from mailboxes.imap.server import CROWDED, ImapServer
from mailboxes.rules import Judge
from mailboxes.tally import Crowd, Tally
from policies.catalogue import rule
from policies.content import ContentSettings
from policies.decision import decide
from policies.events import Event
from policies.values import Door

log = structlog.get_logger("service")

PROBES = (
    (socket.TCP_KEEPIDLE, 240),
    (socket.TCP_KEEPINTVL, 30),
    (socket.TCP_KEEPCNT, 4),
    (socket.TCP_USER_TIMEOUT, 360_000),  # milliseconds, for one to whom something was said meanwhile
)
"""Seconds, and how often, until the kernel gives up a caller that vanished without a word: a phone that changes networks left
each time an idle session for half an hour, or a message half received for longer, which counted against its account."""


@dataclass(frozen=True, slots=True)
class Behind:
    """What every door of a process leads to, or counts with."""

    space: TrustSpace
    intake: Intake
    authenticator: CertificateLogins
    scanner: Scanner
    budget: Budget
    tally: Tally
    record: Callable[[Event], None]
    monitoring: Monitoring
    judge: Judge
    """Whether a mailbox may forward to a target."""


class Doors:
    """With ``sharing``, other workers of this machine listen on the same ports."""

    def __init__(self, config: Config, behind: Behind, sharing: Sharing | None) -> None:
        self.ports: dict[str, list[dict[str, Any]]] = {}
        self._config = config
        self._behind = behind
        self._sharing = sharing
        self._smtp: list[tuple[str, SmtpServer]] = []
        self._imap: list[tuple[str, ImapServer]] = []
        self._http: list[HttpServer] = []
        self._open: dict[str, list[set[Any]]] = {}
        behind.monitoring.sessions = self.sessions
        self._ldap: list[tuple[str, LdapServer]] = []
        self._contexts: list[ssl.SSLContext] = []

    # opening

    async def open(self, roles: tuple[str, ...], storage: Storage) -> None:
        """Listen at every address the configuration gives to ``roles``."""
        if "inbound" in roles:
            await self._open_inbound()
        if "submission" in roles:
            await self._open_submission()
        if "imap" in roles:
            await self._open_imap(storage)
        if "http" in roles:
            await self._open_https(storage)
            await self._open_monitor(storage)
        if "ldap" in roles:
            await self._open_ldap(storage)

    async def _open_inbound(self) -> None:
        for listen in self._config.inbound.listen:
            doorway = self._doorway(Door.INBOUND, self._config.inbound, "inbound")
            entrance, crowd = self._bind(listen, crowded()), self._crowd("inbound")
            server = await serve_inbound(doorway, sock=entrance, crowd=crowd)
            self._opened("inbound", listen.host, server.port)
            self._share("inbound", entrance, crowd, server.adopt)
            self._smtp.append(("inbound", server))

    async def _open_submission(self) -> None:
        doors = (("submission", self._config.submission, False), ("submissions", self._config.submissions, True))
        for name, own, implicit in doors:
            for listen in own.listen:
                doorway = self._doorway(Door.SUBMISSION, own, name, implicit_tls=implicit)
                entrance, crowd = self._bind(listen, b"" if implicit else crowded()), self._crowd(name)
                server = await serve_submission(doorway, sock=entrance, crowd=crowd)
                self._opened(name, listen.host, server.port)
                self._share(name, entrance, crowd, server.adopt)
                self._smtp.append((name, server))

    async def _open_imap(self, storage: Storage) -> None:
        context = self._server_context()
        config = self._config
        own = self._imap_service(storage, context)
        for name, door, implicit in (("imap", config.imap, False), ("imaps", config.imaps, True)):
            crowd, secure = self._crowd(name), context if implicit else None
            server = ImapServer(replace(own, limits=part_settings.imap_limits(config, door)), crowd)
            self._imap.append((name, server))
            for listen in door.listen:
                entrance = self._bind(listen, b"" if implicit else CROWDED)
                port = await server.listen(sock=entrance, tls=secure)
                self._opened(name, listen.host, port)
                self._share(name, entrance, crowd, partial(server.adopt, tls=secure))

    async def _open_https(self, storage: Storage) -> None:
        listens = self._config.http.listen
        if not listens:
            return
        context = self._server_context(ask_certificate=self._config.http.certificates)
        context.set_alpn_protocols([http_connection.PROTOCOL])
        crowd = self._crowd("https")
        server = self._http_server("https", http_wiring.public(self._http_behind(storage)), crowd)
        for listen in listens:
            entrance = self._bind(listen, b"")
            port = await server.listen(entrance, context)
            self._opened("https", listen.host, port)
            self._share("https", entrance, crowd, partial(server.adopt, tls=context))

    async def _open_monitor(self, storage: Storage) -> None:
        """One that cannot be had keeps no mail from flowing: whoever watches notices at once."""
        server = self._http_server("monitor", http_wiring.monitor(self._http_behind(storage)), None)
        for listen in self._config.monitor.listen:
            try:
                entrance = self._bind(listen, http_connection.CROWDED)
            except OSError as taken:
                log.error("door_not_open", door="monitor", host=listen.host, port=listen.port, reason=taken.strerror)
                continue
            self._opened("monitor", listen.host, await server.listen(entrance, None))

    def _http_server(self, name: str, application: ASGIApp, crowd: Crowd[Any] | None) -> HttpServer:
        patience = http_wiring.patience(self._config)
        server = HttpServer(name, application, patience, self._behind.tally, crowd)
        self._http.append(server)
        return server

    def _http_behind(self, storage: Storage) -> http_wiring.Behind:
        behind = self._behind
        return http_wiring.Behind(
            lambda: self._config,
            storage,
            behind.space,
            behind.monitoring,
            behind.judge,
            behind.authenticator,
            behind.tally,
            behind.record,
        )

    def sessions(self) -> dict[str, int]:
        """How many are connected, by door."""
        return {door: sum(map(len, crowds)) for door, crowds in self._open.items()}

    async def _open_ldap(self, storage: Storage) -> None:
        config, behind = self._config, self._behind
        if not (config.ldap.listen or config.ldaps.listen):
            return
        # Nobody logs in by certificate here, and programs would ask their user for one.
        context = self._server_context(ask_certificate=False)
        parts = ldap_parts(config, storage, context, behind.authenticator, behind.tally, behind.record)
        for name, door in (("ldap", config.ldap), ("ldaps", config.ldaps)):
            crowd = self._crowd(name)
            server = parts.server(name, crowd)
            self._ldap.append((name, server))
            for listen in door.listen:
                entrance = self._bind(listen, b"" if name == "ldaps" else LDAP_CROWDED)
                self._opened(name, listen.host, await server.listen(entrance))
                self._share(name, entrance, crowd, server.adopt)

    def _doorway(self, door: Door, own: SmtpDoor, name: str, *, implicit_tls: bool = False) -> Doorway:
        limits = part_settings.smtp_limits(self._config, own)
        behind = self._behind
        return Doorway(
            door=door,
            hostname=self._config.operator.hostname,
            context=self._server_context(),
            facts=behind.space.facts,
            ready=behind.space.asked,
            intake=behind.intake,
            limits=limits,
            budget=behind.budget,
            gate=Gate(limits, time.monotonic, behind.tally, name),
            clock=time.monotonic,
            domain=self._config.operator.domains[0],
            implicit_tls=implicit_tls,
            authenticator=None if door is Door.INBOUND else behind.authenticator,
            tokens=bool(self._config.tokens.issuer),
            record=behind.record,
        )

    def _imap_service(self, storage: Storage, context: ssl.SSLContext) -> ImapService:
        config, behind = self._config, self._behind
        several = self._sharing is not None or config.store.url.startswith("postgresql")
        return ImapService(
            store=storage.store,
            authenticator=behind.authenticator,
            standings=RegisterStandings(storage.reading, traced=self._config.journal.own_mailboxes),
            gate=ContentGate(behind.scanner, self._content_settings),
            indexes=Indexes(storage.store, shared=several),
            cache=Cache(storage.store),
            clock=storage.clock,
            certificate=behind.space.der_facts,
            room=behind.budget,
            tally=behind.tally,
            limits=part_settings.imap_limits(config, config.imap),
            tls=context,
            tokens=bool(config.tokens.issuer),
            count=behind.monitoring.counts.imap_command,
        )

    def _content_settings(self) -> ContentSettings:
        return replace(self._behind.intake.settings.content, size=self._config.limits.append_size)

    def _server_context(self, *, ask_certificate: bool = True) -> ssl.SSLContext:
        config = self._config
        context = tls.server_context(
            part_settings.identities(config),
            ask_certificate=ask_certificate,
            anchors=anchors(config),
            suites=part_settings.suites(config),
            tickets=config.tls.tickets,
        )
        self._contexts.append(context)
        return context

    def _bind(self, listen: Listen, crowded: bytes) -> Entrance:
        return bind(listen, crowded, shared=self._sharing is not None)

    def _crowd(self, name: str) -> Crowd[Any]:
        crowd: Crowd[Any] = Crowd(self._behind.tally, DOORS.index(name))
        self._open.setdefault(name, []).append(crowd)
        return crowd

    def _share(self, name: str, entrance: Entrance, crowd: Crowd[Any], adopt: Adopt) -> None:
        if self._sharing is not None:
            self._sharing.share(name, entrance, crowd, adopt)

    def _opened(self, name: str, host: str, port: int) -> None:
        self.ports.setdefault(name, []).append({"host": host, "port": port})
        log.info("door_open", door=name, host=host, port=port)

    # keeping them true

    async def cut_sessions(self) -> None:
        """Ask again, for every open SMTP session, whether it may go on (F43 to F47). Sessions of IMAP ask for themselves."""
        intake, authenticator = self._behind.intake, self._behind.authenticator
        for _, server in self._smtp:
            for connection in server.connections():
                peer = connection.peer
                if peer.certificate is None and peer.login is None:
                    continue
                decision = await intake.session(connection.peer_now())
                if decision.accepted and peer.login is not None:
                    if await authenticator.alive(peer.login):
                        connection.may_send_as(await authenticator.send_as(peer.login))
                    else:
                        decision = decide(rule("session.mailbox_suspended"))
                if not decision.accepted:
                    connection.close(decision)

    def load(self, identities: Sequence[tls.Identity]) -> None:
        """Show these certificates to whoever connects from here on."""
        for context in self._contexts:
            tls.load(context, identities)

    def follow(self, config: Config) -> None:
        """Take up other limits, suites and anchors; the addresses and the roles wait for the next start."""
        self._config = config
        smtp = {"inbound": config.inbound, "submission": config.submission, "submissions": config.submissions}
        for name, server in self._smtp:
            limits = part_settings.smtp_limits(config, smtp[name])
            server.doorway = replace(server.doorway, limits=limits)
            server.doorway.gate.follow(limits)
        suites, tickets = part_settings.suites(config), config.tls.tickets
        for context in self._contexts:
            tls.follow(context, suites=suites, tickets=tickets, anchors=anchors(config))
        for name, door in self._imap:
            door.service.limits = part_settings.imap_limits(config, config.imap if name == "imap" else config.imaps)
        for served in self._http:
            served.follow(http_wiring.patience(config))
        for name, answering in self._ldap:
            answering.service.limits = ldap_limits(config, name)
            answering.service.allowance.follow(config.ldap.searches_per_minute, config.ldap.entries_per_hour)

    # closing

    async def drain(self, grace: float) -> None:
        """Let nobody in any more; those inside have ``grace`` seconds, at IMAP and LDAP five at most."""
        if self._sharing is not None:
            self._sharing.close()
        smtp = [server.drain(grace) for _, server in self._smtp]
        imap = [server.close(min(grace, 5.0)) for _, server in self._imap]
        http = [server.drain(grace) for server in self._http]
        ldap = [server.close(min(grace, 5.0)) for _, server in self._ldap]
        await asyncio.gather(*smtp, *imap, *http, *ldap)


def bind(listen: Listen, crowded: bytes, *, shared: bool) -> Entrance:
    """A socket bound to ``listen``. ``crowded`` is told to callers for whom no descriptor is left; ``shared`` lets other
    processes of ours have the same port. Raises ``OSError`` that names the address."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # what is accepted inherits it
    for option, value in PROBES:
        bound.setsockopt(socket.IPPROTO_TCP, option, value)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((listen.host, listen.port))
    except OSError as problem:  # the system does not say which of five doors it speaks of
        bound.close()
        raise OSError(problem.errno, f"{listen.host}:{listen.port}: {problem.strerror}") from None
    return Entrance(bound, crowded)


def crowded() -> bytes:
    """What a caller at an SMTP door hears when no descriptor is left (F08)."""
    return replies.reply(decide(rule("session.crowded")))
