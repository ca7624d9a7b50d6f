"""Tell in good time that a certificate of ours runs out (MSS-021, U12, F48): 90, 60, 30, 14 and 7 days before, and after.

Promise: pure; each threshold is told once for each certificate. Failure: none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from cryptography import x509

from policies.events import Event, Kind

THRESHOLDS = (90, 60, 30, 14, 7, 0)


def days_left(certificate: x509.Certificate, now: datetime) -> int:
    """Whole days until the certificate expires; negative once it has."""
    return (certificate.not_valid_after_utc - now).days


def alarms(
    certificates: Iterable[x509.Certificate], now: datetime, told: Mapping[int, int]
) -> tuple[dict[int, int], tuple[Event, ...]]:
    """The thresholds reached by serial number, and an event for each one not in ``told`` (what a call before returned).

    A certificate that is far from its end is in neither.
    """
    reached: dict[int, int] = {}
    events = []
    for certificate in certificates:
        left = days_left(certificate, now)
        passed = [threshold for threshold in THRESHOLDS if left < threshold]
        if not passed:
            continue
        serial = certificate.serial_number
        reached[serial] = passed[-1]
        if told.get(serial) != passed[-1]:
            detail = {"subject": certificate.subject.rfc4514_string(), "days": left}
            events.append(Event(Kind.CERTIFICATE_EXPIRY, detail=detail))
    return reached, tuple(events)
