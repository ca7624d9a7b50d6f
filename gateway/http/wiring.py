"""Which parts the HTTP doors serve, each made from what it needs of the running process, and what the doors wait for and count."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp

from directory.allowance import Allowance
from gateway.compose import Storage
from gateway.config import public_url
from gateway.directory.wiring import directory
from gateway.http import autoconfig, fhir, health, metrics
from gateway.http.application import Bounds, Part, assemble
from gateway.http.login import Doorkeeper
from gateway.http.pages import Pages
from gateway.http.server import Patience
from gateway.monitoring.figures import Look
from gateway.monitoring.health import Health
from gateway.monitoring.monitoring import Monitoring
from gateway.portal import wiring as portal
from gateway.settings import Config
from gateway.smtp.limits import Limits, Rate
from gateway.trust_space import TrustSpace
from mailboxes.authentication import Authenticator
from mailboxes.rules import Judge
from mailboxes.tally import Tally
from policies.events import Event


@dataclass(frozen=True, slots=True)
class Behind:
    """What the parts lead to. ``config`` answers the configuration in force."""

    config: Callable[[], Config]
    storage: Storage
    space: TrustSpace
    monitoring: Monitoring
    judge: Judge
    authenticator: Authenticator
    tally: Tally
    record: Callable[[Event], object]


def public(behind: Behind) -> ASGIApp:
    """What everybody may ask for."""
    allowance = Allowance(*_allowed(behind.config()), time.monotonic, lambda: behind.tally.processes)
    parts = [autoconfig.part(behind.config)]
    parts.append(Part("portal", portal.served(behind.storage, behind.config, behind.judge, allowance)))
    if behind.config().http.directory:
        parts.append(fhir.part(_desk(behind, allowance)))
    return _assembled("https", parts, behind)


def monitor(behind: Behind) -> ASGIApp:
    """What those who watch the service may."""
    look = Look(behind.config, behind.space, behind.storage)
    standing = Health(behind.config, behind.space, behind.storage, behind.monitoring, look)
    parts = [health.part(standing, behind.monitoring), metrics.part(behind.monitoring, look)]
    return _assembled("monitor", parts, behind)


def _assembled(door: str, parts: list[Part], behind: Behind) -> ASGIApp:
    counts = behind.monitoring.counts
    return assemble(parts, lambda: _bounds(behind.config()), lambda status: counts.answered(door, status))


def _desk(behind: Behind, allowance: Allowance) -> fhir.Desk:
    config = behind.config()
    return fhir.Desk(
        directory(behind.storage),
        Doorkeeper(behind.authenticator, behind.space.facts, behind.space.asked, tokens=bool(config.tokens.issuer)),
        allowance,
        lambda: _allowed(behind.config()),
        Pages(behind.storage.volume_key),
        lambda: public_url(behind.config()),
        behind.record,
    )


def _allowed(config: Config) -> tuple[int, int]:
    return config.http.directory_searches_per_minute, config.http.directory_entries_per_hour


def _bounds(config: Config) -> Bounds:
    return Bounds(config.http.body_size, config.http.request_timeout, config.http.header_size)


def patience(config: Config) -> Patience:
    """What an HTTP door waits for and counts."""
    own, per_minute = config.http, config.limits.connections_per_minute
    counted = Limits(
        connections=own.connections,
        connections_per_ip=own.connections_per_ip,
        connections_rate_per_ip=Rate(per_minute, max(10, per_minute)),
        login_failures_per_ip=Rate.hourly(config.accounts.failures_per_ip),
    )
    return Patience(own.idle_timeout, own.request_timeout, own.header_size, counted)
