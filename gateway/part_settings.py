"""From the configuration to what each part of the service takes: one function per part, nothing decided here.

Promise: what a command tries (``caducee doctor``, ``caducee send``) is made as the running service makes it.
Failure: :class:`gateway.smtp.tls.BadIdentity` is left to whoever loads the identities named here.
"""

from __future__ import annotations

import ipaddress
import random
import socket
import time
from contextlib import suppress

from gateway import policy_settings
from gateway.intake import IntakeSettings
from gateway.relay.courier import Settings as CourierSettings
from gateway.scan import Clamd, NoScanner, Scanner
from gateway.settings import CBC_SUITES, Config, ImapDoor, SmtpDoor
from gateway.smtp import tls
from gateway.smtp.limits import Limits, Rate
from gateway.smtp.outbound import Patience
from gateway.smtp.resolver import Dns, Routed, Target, route
from gateway.trust_space import TrustSpace, pace
from mailboxes.anatomy import Limits as AnatomyLimits
from mailboxes.imap.ports import Limits as ImapLimits

HEAD_ROOM = 3
"""A message in flight exists up to three times for a moment: as received, as judged, as sealed. The byte budget of the
doors is the configured one divided by this, and by the number of workers, so that all together stay within it."""


def budget(config: Config, workers: int = 1) -> int:
    """Octets of messages the doors of one of ``workers`` may hold at once; always enough for one."""
    return max(config.limits.bytes_in_flight // HEAD_ROOM // workers, config.limits.message_size)


def suites(config: Config) -> tuple[str, ...]:
    """TLS 1.2 suites, with the two CBC ones when asked for (MSS-023)."""
    return (*config.tls.suites, *CBC_SUITES) if config.tls.cbc else config.tls.suites


def identities(config: Config) -> list[tls.Identity]:
    """Our server certificates."""
    pairs = zip(config.tls.certificates, config.tls.keys, strict=True)
    return [tls.Identity(certificate, key) for certificate, key in pairs]


def client_identity(config: Config) -> tls.Identity | None:
    """What we show when we send."""
    if config.tls.client_certificate is not None and config.tls.client_key is not None:
        return tls.Identity(config.tls.client_certificate, config.tls.client_key)
    return next(iter(identities(config)), None)


def scanner(config: Config) -> Scanner:
    """clamd, or nothing."""
    if config.scan.clamd == "off":
        return NoScanner()
    return Clamd(config.scan.clamd, timeout=config.scan.timeout)


def courier_settings(config: Config) -> CourierSettings:
    own = config.queue
    return CourierSettings(
        schedule=policy_settings.schedule(config),
        lane=policy_settings.lane(config),
        sessions=own.connections,
        lease=own.lease,
    )


def patience(config: Config) -> Patience:
    own = config.queue
    return Patience(
        connect=own.connect_timeout,
        greeting=own.command_timeout,
        command=own.command_timeout,
        data=own.data_timeout,
        block=own.block_timeout,
        dot=own.final_timeout,
    )


def resolver(config: Config) -> Routed:
    """Static routes first, then DNS."""
    servers = [(server, config.dns.port) for server in config.dns.servers]
    return Routed(
        Dns(servers, config.dns.timeout),
        routes(config),
        own_addresses(config),
        time.monotonic,
        random.SystemRandom().shuffle,
        port=config.queue.port,
        longest=config.dns.cache,
        allow_loopback=config.dns.allow_loopback,
    )


def routes(config: Config) -> dict[str, Target]:
    """``[[routes]]`` as targets."""
    return {each.domain: route(each.host, each.port, each.name) for each in config.routes}


def own_addresses(config: Config) -> set[str]:
    """Numeric addresses that lead back to us: those listened on, and those of our own name."""
    found = {listen.host for listen in config.inbound.listen if _numeric(listen.host)}
    with suppress(OSError):
        found |= {str(entry[4][0]) for entry in socket.getaddrinfo(config.operator.hostname, None)}
    return found


def _numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def intake_settings(config: Config, space: TrustSpace) -> IntakeSettings:
    """What the intake judges by."""
    limits = config.limits
    return IntakeSettings(
        hostname=config.operator.hostname,
        trust=space.settings,
        recipient=policy_settings.recipient(config),
        content=policy_settings.content(config),
        volume=policy_settings.volume(config),
        limits=AnatomyLimits(header=limits.header_size, depth=limits.mime_depth, parts=limits.mime_parts),
    )


def smtp_limits(config: Config, own: SmtpDoor) -> Limits:
    """What a door counts."""
    limits = config.limits
    return Limits(
        message_size=limits.message_size,
        header_size=limits.header_size,
        recipients=limits.recipients,
        hard_errors=limits.errors,
        soft_errors=max(1, limits.errors // 2),
        junk_commands=limits.junk,
        connections=own.connections,
        connections_per_ip=own.connections_per_ip,
        connections_per_account=getattr(own, "connections_per_account", own.connections),
        connections_rate_per_ip=Rate(limits.connections_per_minute, max(10, limits.connections_per_minute)),
        refused_recipients=limits.unknown_recipients,
        messages_per_ip=Rate.hourly(limits.messages_per_ip),
        login_failures_per_ip=Rate.hourly(config.accounts.failures_per_ip),
        session_timeout=own.session_timeout,
        command_timeout=own.idle_timeout,
        content_timeout=own.data_timeout,
        content_rate=own.minimum_rate,
        drain=config.service.grace,
    )


def imap_limits(config: Config, own: ImapDoor) -> ImapLimits:
    """What an IMAP door counts."""
    return ImapLimits(
        message=config.limits.append_size,
        alive_every=pace(config, ImapLimits().alive_every),
        login_time=int(own.login_timeout),
        idle_time=int(own.idle_timeout),
        session_time=int(own.session_timeout),
        connections=own.connections,
        per_ip=own.connections_per_ip,
        per_account=own.connections_per_account,
    )
