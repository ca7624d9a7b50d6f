"""What the LDAP doors are made of: the directory, who logs in, TLS and limits.

Promise: both doors of a process count together what an account saw. A login is proved by the house's authenticator, with its
lock-out and in its time (MSS-078). Failure: ``ValueError`` for a base that is no LDAP name, at wiring.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from directory.allowance import Allowance
from directory.ldap import names
from directory.ldap.ports import BindRefused, Layer, Limits, Service
from directory.ldap.server import LdapServer
from directory.ldap.telling import Telling
from directory.ldap.wire import Code
from directory.search import Directory
from gateway.compose import Storage
from gateway.directory.wiring import directory
from gateway.settings import Config
from gateway.trust_space import pace
from mailboxes import layer
from mailboxes.authentication import Authenticator, LoginRefused
from mailboxes.tally import Tally
from policies.catalogue import rule
from policies.events import Event
from policies.values import Login

HANDSHAKE_SECONDS = 30
_CODES = {
    "session.auth_failed": Code.INVALID_CREDENTIALS,
    "session.auth_locked": Code.INVALID_CREDENTIALS,
    "session.mailbox_suspended": Code.UNWILLING_TO_PERFORM,
    # Nothing was found wrong: a program that hears invalidCredentials throws the password away and asks for another.
    "session.auth_unavailable": Code.UNAVAILABLE,
}


class LdapGate:
    """Device passwords, as IMAP and submission take them."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def password(self, login: str, secret: str, ip: str) -> Login:
        try:
            return await self._authenticator.password(login, secret, ip)
        except LoginRefused as refused:
            public = rule(refused.rule)
            code = _CODES.get(refused.rule, Code.INVALID_CREDENTIALS)
            raise BindRefused(code, f"{public.fr} / {public.en}") from None

    async def alive(self, login: Login) -> bool:
        return await self._authenticator.alive(login)


@dataclass(frozen=True, slots=True)
class LdapParts:
    """What the doors share."""

    config: Config
    directory: Directory
    gate: LdapGate
    allowance: Allowance
    telling: Telling
    tally: Tally
    record: Callable[[Event], object]
    layer: Layer

    def server(self, door: str, crowd: set[Any]) -> LdapServer:
        service = Service(
            directory=self.directory,
            gate=self.gate,
            allowance=self.allowance,
            telling=self.telling,
            tally=self.tally,
            record=self.record,
            layer=self.layer,
            base=self.config.ldap.base,
            limits=ldap_limits(self.config, door),
        )
        return LdapServer(service, door, implicit=door == "ldaps", crowd=crowd)


def ldap_parts(
    config: Config,
    storage: Storage,
    context: ssl.SSLContext,
    authenticator: Authenticator,
    tally: Tally,
    record: Callable[[Event], object],
) -> LdapParts:
    if not names.read(config.ldap.base):
        raise ValueError("ldap.base is empty")
    own = config.ldap
    allowance = Allowance(own.searches_per_minute, own.entries_per_hour, time.monotonic, lambda: tally.processes)
    return LdapParts(
        config=config,
        directory=directory(storage),
        gate=LdapGate(authenticator),
        allowance=allowance,
        telling=Telling(record, time.monotonic),
        tally=tally,
        record=record,
        layer=partial(_layer, context),
    )


def ldap_limits(config: Config, door: str) -> Limits:
    """What an LDAP door counts."""
    own = config.ldap if door == "ldap" else config.ldaps
    return Limits(
        connections=own.connections,
        per_ip=own.connections_per_ip,
        per_account=own.connections_per_account,
        login_time=own.login_timeout,
        idle_time=own.idle_timeout,
        session_time=own.session_timeout,
        search_time=config.ldap.search_timeout,
        entries=config.ldap.entries,
        alive_every=pace(config, Limits().alive_every),
    )


def _layer(
    context: ssl.SSLContext, inside: asyncio.Protocol, waiter: asyncio.Future[None], *, announced: bool
) -> layer.Layer:
    return layer.Layer(
        asyncio.get_running_loop(),
        inside,
        context,
        waiter,
        server_side=True,
        call_connection_made=not announced,
        ssl_handshake_timeout=HANDSHAKE_SECONDS,
        refuse=layer.only(b"ldap"),
    )
