"""Watches our own certificates and tells in good time that one runs out: 90, 60, 30, 14, 7 days before, and after (F48).

Promise: each threshold of each certificate is told once, in the journal and in the log, also across restarts and among the
processes of one service (a small file remembers). Failure: a certificate that cannot be read is logged and looked at again
the next time; a file that cannot be written means that the same alarm may be told twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import structlog
from cryptography import x509

from gateway.config import Config
from gateway.smtp import expiry
from gateway.supervisor import write_atomically
from policies.events import Event

log = structlog.get_logger("expiry")
URGENT = 14
"""Days from which a line of the log is an error rather than a warning."""


def own_certificates(config: Config, *, sending: bool = True) -> list[x509.Certificate]:
    """The first certificate of each file we serve or, if asked for, send with; those above it are the authority's business."""
    files = dict.fromkeys([*config.tls.certificates, *([config.tls.client_certificate] if sending else [])])
    return list(_read(path for path in files if path is not None))


def _read(paths: Iterable[Path]) -> Iterable[x509.Certificate]:
    for path in paths:
        try:
            yield x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError) as problem:
            log.error("certificate_unreadable", file=str(path), error=type(problem).__name__)


class ExpiryWatch:
    """``folder`` is where the thresholds already told are kept."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "expiry.json"

    def look(self, certificates: Sequence[x509.Certificate], now: datetime) -> tuple[Event, ...]:
        """The events owed now; each is logged."""
        told = self._told()
        reached, events = expiry.alarms(certificates, now, told)
        if reached != told:
            self._keep(reached)
        for event in events:
            days = int(event.detail["days"])
            say = log.error if days < URGENT else log.warning
            say("certificate_expires", holder=event.detail["subject"], days=days)
        return events

    def _told(self) -> dict[int, int]:
        try:
            said = json.loads(self._path.read_bytes())
            return {int(serial, 16): int(threshold) for serial, threshold in said.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _keep(self, reached: dict[int, int]) -> None:
        try:
            write_atomically(self._path, json.dumps({f"{serial:x}": step for serial, step in reached.items()}))
        except OSError as problem:
            log.error("expiry_not_kept", error=type(problem).__name__)
