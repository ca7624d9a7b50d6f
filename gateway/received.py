"""The header block we add in front of a received message: Return-Path, Received, the MSSanté headers, and the Date and
Message-ID a user's program left out.

The message itself is never touched: what was received follows this block byte for byte (MSS-115).
Promise: every line ends with CRLF, holds printable ASCII only, and no value of a peer can break out of its line.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from policies.values import Address, Door, Peer

_UNPRINTABLE = re.compile(r"[^!-~]|[()<>;]")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def return_path(sender: Address | None) -> bytes:
    """RFC 5321 4.4: the line final delivery adds. The courier leaves it out when it relays."""
    return f"Return-Path: <{_plain(str(sender)) if sender else ''}>\r\n".encode("ascii", "replace")


def received(peer: Peer, hostname: str, message: str, now: float) -> bytes:
    """RFC 5321 4.4 trace line, naming how the message came in (RFC 3848: ESMTPS, ESMTPSA)."""
    if peer.door is Door.INTERNAL:
        return f"Received: by {hostname} id {message};\r\n\t{date(now)}\r\n".encode("ascii")
    with_ = "ESMTPSA" if peer.login else "ESMTPS" if peer.tls else "ESMTP"
    helo = _plain(peer.helo) or "unknown"
    literal = f"IPv6:{peer.ip}" if ":" in peer.ip else peer.ip
    line = f"Received: from {helo} ([{literal}])\r\n\tby {hostname} with {with_} id {message};\r\n\t{date(now)}\r\n"
    return line.encode("ascii", "replace")


def completing(missing: Container[bytes], hostname: str, message: str, now: float) -> bytes:
    """RFC 6409 8.2 and 8.3: the Date and Message-ID a mail program left out. Receipts name a message by the latter."""
    lines = [
        f"Date: {date(now)}\r\n" if b"date" in missing else "",
        f"Message-ID: <{message}@{hostname}>\r\n" if b"message-id" in missing else "",
    ]
    return "".join(lines).encode("ascii")


def resent(owner: Address, targets: Sequence[Address], hostname: str, token: str, now: float) -> bytes:
    """RFC 5322 3.6.6: the block of a mailbox whose rule sends the message on. It is also how we know it if it returns."""
    to = ",\r\n\t".join(f"<{_plain(str(target))}>" for target in targets)
    lines = (
        f"Resent-Date: {date(now)}\r\nResent-From: <{_plain(str(owner))}>\r\n"
        f"Resent-To: {to}\r\nResent-Message-ID: <{token}@{hostname}>\r\n"
    )
    return lines.encode("ascii", "replace")


def fields(values: Mapping[str, str]) -> bytes:
    """Further headers of ours, such as X-MSS-CODECDA; control and 8-bit characters are dropped from values."""
    return b"".join(f"{name}: {_plain(value)}\r\n".encode("ascii", "replace") for name, value in values.items())


def date(now: float) -> str:
    """RFC 5322 date in UTC, without the locale."""
    return _date(int(now))


@lru_cache(maxsize=8)
def _date(now: int) -> str:
    at = datetime.fromtimestamp(now, UTC)
    return f"{_DAYS[at.weekday()]}, {at.day} {_MONTHS[at.month - 1]} {at.year} {at:%H:%M:%S} +0000"


def _plain(value: str) -> str:
    return _UNPRINTABLE.sub("", value[:900])
