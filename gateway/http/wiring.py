"""Which parts the HTTP doors serve, each made from what it needs of the running process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp

from gateway.http import health
from gateway.http.application import Bounds, Part, assemble
from gateway.settings import Config


@dataclass(frozen=True, slots=True)
class Behind:
    """What the parts lead to. ``config`` answers the configuration in force."""

    config: Callable[[], Config]


def public(behind: Behind) -> ASGIApp:
    """What everybody may ask for."""
    parts: list[Part] = []
    return assemble(parts, lambda: _bounds(behind.config()))


def monitor(behind: Behind) -> ASGIApp:
    """What those who watch the service may."""
    return assemble([health.part()], lambda: _bounds(behind.config()))


def _bounds(config: Config) -> Bounds:
    return Bounds(config.http.body_size, config.http.request_timeout)
