"""What people write in config.toml, read exactly: sizes, durations, listening addresses, host names.

Promise: each reader takes any Python value TOML can give and answers the parsed value or raises :class:`Unreadable` with
the name of a sentence of :mod:`policies.catalogue.sentences_console`; ``write_*`` is the inverse of ``read_*``.
Failure: only :class:`Unreadable`. Digits are ASCII digits; every text is bounded.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

LONGEST = 4096  # characters of one text value

SIZES = {
    "": 1,
    "B": 1,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
}
DURATIONS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "y": 365 * 86400.0}
LARGEST_SIZE = 1024**5
LONGEST_DURATION = 200 * 365 * 86400.0

_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,6})?) ?([A-Za-z]{0,3})", re.ASCII)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


class Unreadable(ValueError):
    """A value cannot be read: the sentence's name and its parameters."""

    def __init__(self, sentence: str, /, **parameters: object) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.parameters = {name: str(value) for name, value in parameters.items()}


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on. Port 0 asks the system for a free one (tests)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def collides(self, other: Listen) -> bool:
        """True when both cannot be bound at once: same port, and same host or one of them every host."""
        if self.port != other.port or self.port == 0:
            return False
        return self.host == other.host or bool({self.host, other.host} & {"0.0.0.0", "::", "*"})  # noqa: S104


def _quantity(value: object, units: dict[str, int] | dict[str, float], sentence: str) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Unreadable(sentence, value=shown(value))
    if not isinstance(value, str):
        return value
    match = _QUANTITY.fullmatch(value.strip()) if len(value) < 64 else None
    if match is None or match[2] not in units:
        raise Unreadable(sentence, value=shown(value))
    return float(match[1]) * units[match[2]] if "." in match[1] else int(match[1]) * units[match[2]]


def read_size(value: object) -> int:
    """Bytes: an integer, or ``"25MiB"``, ``"64 KiB"``, ``"1GB"``."""
    size = _quantity(value, SIZES, "config.not_a_size")
    if not 0 <= size <= LARGEST_SIZE or size != int(size):
        raise Unreadable("config.not_a_size", value=shown(value))
    return int(size)


def write_size(size: int) -> str:
    """The shortest exact form: 26214400 is ``25MiB``."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % SIZES[unit] == 0:
            return f"{size // SIZES[unit]}{unit}"
    return f"{size}B" if size else "0"


def read_duration(value: object) -> float:
    """Seconds: a number, or ``"300s"``, ``"15min"``, ``"4h"``, ``"5d"``, ``"1y"`` (365 days), ``"250ms"``."""
    if isinstance(value, str) and value.strip() not in ("", "0") and not value.strip()[-1:].isalpha():
        raise Unreadable("config.not_a_duration", value=shown(value))
    seconds = float(_quantity(value, {**DURATIONS, "": 1.0}, "config.not_a_duration"))
    if not 0 <= seconds <= LONGEST_DURATION:  # also refuses inf and nan, which TOML can write
        raise Unreadable("config.not_a_duration", value=shown(value))
    return seconds


def write_duration(seconds: float) -> str:
    """The shortest exact form: 345600 is ``4d``."""
    if seconds == 0:
        return "0"
    for unit in ("y", "d", "h", "min", "s"):
        if seconds % DURATIONS[unit] == 0:
            return f"{int(seconds // DURATIONS[unit])}{unit}"
    return f"{round(seconds * 1000)}ms"


def read_listen(value: object) -> Listen:
    """``"host:port"`` or ``"[v6]:port"``; the host is an IP address or a name, never empty."""
    text = read_text(value)
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise Unreadable("config.not_an_address", value=shown(value))
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or int(port) > 65535:
        raise Unreadable("config.not_an_address", value=shown(value))
    return Listen(_host(host, value), int(port))


def _host(host: str, value: object) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        if host != "localhost" and not is_domain(host.lower()):
            raise Unreadable("config.not_an_address", value=shown(value)) from None
        return host.lower()


def read_text(value: object) -> str:
    """A string without control characters."""
    if not isinstance(value, str) or len(value) > LONGEST:
        raise Unreadable("config.not_a_text", value=shown(value))
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise Unreadable("config.control_character", value=shown(value))
    return value


def is_domain(text: str) -> bool:
    """A lower-case A-label domain of two labels or more, without wildcard (MSS-005)."""
    labels = text.split(".")
    return len(text) <= 253 and len(labels) >= 2 and all(_LABEL.fullmatch(label) for label in labels)


def read_domain(value: object) -> str:
    text = read_text(value)
    if not is_domain(text):
        raise Unreadable("config.not_a_domain", value=shown(value))
    return text


def shown(value: object) -> str:
    """A value as it may be quoted in a message: one line, short."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
