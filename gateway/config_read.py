"""From TOML values to typed settings, collecting every fault instead of stopping at the first.

Promise: :func:`read_table` always answers an instance (defaults where a value was faulty), so that cross-checks can go on;
the caller refuses the whole when any fault was reported. Nothing is opened here except to see that a named file exists
and who may read it.
Failure: none is raised; faults are given to ``report``.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Protocol

from gateway.config_fields import Secret, Spec
from gateway.config_units import (
    Unreadable,
    read_domain,
    read_duration,
    read_listen,
    read_size,
    read_text,
    shown,
)

MOST_ITEMS = 10_000
_ENVIRONMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
_RULE = re.compile(r"[A-Za-z]+(?:[-._][A-Za-z0-9]+)+", re.ASCII)
_DATABASE = re.compile(r"postgresql://[^/?#\s]{1,253}/[A-Za-z0-9_-]{1,63}(?:\?[^\s#]{0,500})?", re.ASCII)


class Report(Protocol):
    def __call__(self, where: tuple[str | int, ...], sentence: str, /, **parameters: object) -> None: ...


def nearest(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """The known name most like ``name``; empty when none is near."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def read_table(
    declared: type, table: Mapping[str, Any], path: tuple[str | int, ...], base: Path, report: Report
) -> Any:
    """One section: an instance of ``declared``. ``base`` is the folder relative paths start from."""
    specs = {item.name: item for item in fields(declared)}
    for name in table:
        if name not in specs:
            _unknown(name, tuple(specs), (*path, name), report)
    values = {name: _one(item, table, (*path, name), base, report) for name, item in specs.items()}
    return declared(**values)


def _unknown(name: str, known: tuple[str, ...], path: tuple[str | int, ...], report: Report) -> None:
    near = nearest(name, known)
    if near:
        report(path, "config.unknown_key_near", name=name, near=near)
    else:
        report(path, "config.unknown_key", name=name, known=", ".join(known))


def _one(item: Any, table: Mapping[str, Any], path: tuple[str | int, ...], base: Path, report: Report) -> Any:
    spec: Spec = item.metadata["spec"]
    default = item.default if item.default_factory is MISSING else item.default_factory()
    if item.name not in table:
        if default is MISSING:
            report(path, "config.required")
            return _placeholder(spec)
        return _default(spec, default, base)
    try:
        value = KINDS[spec.kind](table[item.name], spec, base)
        _within(value, spec)
        return value
    except Unreadable as fault:
        report(path, fault.sentence, **fault.parameters)
        return _placeholder(spec) if default is MISSING else _default(spec, default, base)


def _default(spec: Spec, default: Any, base: Path) -> Any:
    """Defaults are written relative to the file too."""
    if spec.kind in ("database", "blobs"):
        return KINDS[spec.kind](default, spec, base)
    return base / default if spec.kind == "place" else default


def _placeholder(spec: Spec) -> Any:
    """Any value of the right kind, so that later checks can run; the configuration is refused anyway."""
    return {"domains": (), "number": 0}.get(spec.kind, "")


def _within(value: Any, spec: Spec) -> None:
    if spec.low is not None and value < spec.low:
        raise Unreadable("config.too_small", low=spelled(spec.kind, spec.low))
    if spec.high is not None and value > spec.high:
        raise Unreadable("config.too_large", high=spelled(spec.kind, spec.high))


def spelled(kind: str, value: Any) -> str:
    """A bound or value in the unit people write."""
    from gateway.config_units import write_duration, write_size

    if kind == "size":
        return write_size(int(value))
    return write_duration(value) if kind == "duration" else str(value)


# one reader per kind


def _text(value: object, spec: Spec, base: Path) -> str:
    return read_text(value)


def _flag(value: object, spec: Spec, base: Path) -> bool:
    if not isinstance(value, bool):
        raise Unreadable("config.not_a_flag", value=shown(value))
    return value


def _number(value: object, spec: Spec, base: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unreadable("config.not_a_number", value=shown(value))
    if abs(value) > 10**15:
        raise Unreadable("config.too_large", high=str(10**15))
    return value


def _ratio(value: object, spec: Spec, base: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise Unreadable("config.not_a_ratio", value=shown(value))
    return float(value)


def _choice(value: object, spec: Spec, base: Path) -> str:
    text = read_text(value)
    if text not in spec.choices:
        raise Unreadable("config.not_a_choice", value=shown(value), choices=", ".join(spec.choices))
    return text


def _host(value: object, spec: Spec, base: Path) -> str:
    text = read_text(value)
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text if text == "localhost" else read_domain(text)


def _address(value: object, spec: Spec, base: Path) -> str:
    text = read_text(value)
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise Unreadable("config.not_an_ip", value=shown(value)) from None


def _file(value: object, spec: Spec, base: Path) -> Path | None:
    text = read_text(value)
    if not text:
        return None
    path = base / text
    if not path.is_file():
        raise Unreadable("config.no_such_file", path=text)
    if not os.access(path, os.R_OK):
        raise Unreadable("config.file_unreadable", path=text)
    return path


def _key(value: object, spec: Spec, base: Path) -> Path | None:
    path = _file(value, spec, base)
    if path is not None:
        refuse_public(path, str(value), 0o027)
    return path


def refuse_public(path: Path, written: str, forbidden: int) -> None:
    """A private file with one of the ``forbidden`` mode bits is refused (MSS-024). Keys may be read by a group."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & forbidden:
        raise Unreadable("config.file_public", path=written, mode=f"{mode:04o}")


def _place(value: object, spec: Spec, base: Path) -> Path:
    text = read_text(value)
    if not text:
        raise Unreadable("config.empty_path")
    return base / text


def _source(value: object, spec: Spec, base: Path) -> str:
    """An https URL as it is, or a file as an absolute path.

    What is published there may be away for a while, as a server may: the last version taken is kept (F40), and
    :func:`gateway.config.absent` tells.
    """
    text = read_text(value)
    if not text or text.startswith("https://"):
        return text
    if "://" in text:
        raise Unreadable("config.not_https", value=shown(value))
    return str(base / text)


def _crl_source(value: object, spec: Spec, base: Path) -> str:
    text = read_text(value)
    return text if text.startswith("http://") else _source(text, spec, base)


def _secret(value: object, spec: Spec, base: Path) -> Secret:
    text = read_text(value)
    if not text:
        return Secret()
    kind, _, rest = text.partition(":")
    if kind == "env" and _ENVIRONMENT.fullmatch(rest):
        return Secret(text)
    if kind != "file" or not rest:
        raise Unreadable("config.secret_in_clear")  # the value is not quoted: it may be the secret itself
    path = base / rest
    if not path.is_file():
        raise Unreadable("config.no_such_file", path=rest)
    if not os.access(path, os.R_OK):
        raise Unreadable("config.file_unreadable", path=rest)
    refuse_public(path, rest, 0o027)
    return Secret(text, path)


def _database(value: object, spec: Spec, base: Path) -> str:
    text = read_text(value)
    if text.startswith("postgresql://"):
        return _postgres(text)
    place = text.removeprefix("sqlite:")
    if not text.startswith("sqlite:") or not place or ":memory:" in place or "?" in place or place.startswith("//"):
        raise Unreadable("config.not_a_database")
    return f"sqlite:{base / place}"


def _postgres(text: str) -> str:
    if not _DATABASE.fullmatch(text):
        raise Unreadable("config.not_a_database")
    user, at, _ = text.removeprefix("postgresql://").split("/", 1)[0].rpartition("@")
    if (at and ":" in user) or "password=" in text:
        raise Unreadable("config.password_in_url")
    return text


def _blobs(value: object, spec: Spec, base: Path) -> str:
    text = read_text(value)
    if re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,62}(?:/[A-Za-z0-9._/-]{0,500})?", text, re.ASCII):
        return text
    if not text or "://" in text:
        raise Unreadable("config.not_blobs", value=shown(value))
    return str(base / text)


def _clamd(value: object, spec: Spec, base: Path) -> str:
    text = read_text(value)
    return text if text == "off" or text.startswith("/") else str(read_listen(text))


def _severities(value: object, spec: Spec, base: Path) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MOST_ITEMS:
        raise Unreadable("config.not_severities", value=shown(value))
    for rule, severity in value.items():
        if not _RULE.fullmatch(rule) or severity not in ("refuse", "warn", "note"):
            raise Unreadable("config.not_severities", value=shown({rule: severity}))
    return dict(value)


def _severities_by(value: object, spec: Spec, base: Path) -> dict[str, dict[str, str]]:
    if not isinstance(value, dict) or len(value) > MOST_ITEMS:
        raise Unreadable("config.not_severities", value=shown(value))
    return {name: _severities(table, spec, base) for name, table in value.items()}


def _sizes(value: object, spec: Spec, base: Path) -> dict[str, int]:
    if not isinstance(value, dict) or len(value) > MOST_ITEMS:
        raise Unreadable("config.not_sizes", value=shown(value))
    return {read_domain(name): read_size(size) for name, size in value.items()}


Reader = Callable[[object, Spec, Path], Any]


def _listing(reader: Reader) -> Reader:
    """A list of what ``reader`` reads, without repetition and without empty entries."""

    def read(value: object, spec: Spec, base: Path) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > MOST_ITEMS:
            raise Unreadable("config.not_a_list", value=shown(value))
        items = tuple(reader(item, spec, base) for item in value)
        if None in items or "" in items:
            raise Unreadable("config.empty_entry")
        if len(set(items)) != len(items):
            raise Unreadable("config.repeated_entry")
        return items

    return read


KINDS: Mapping[str, Reader] = {
    "text": _text,
    "flag": _flag,
    "number": _number,
    "ratio": _ratio,
    "choice": _choice,
    "size": lambda value, spec, base: read_size(value),
    "duration": lambda value, spec, base: read_duration(value),
    "domain": lambda value, spec, base: read_domain(value),
    "domains": _listing(lambda value, spec, base: read_domain(value)),
    "host": _host,
    "addresses": _listing(_address),
    "listen": _listing(lambda value, spec, base: read_listen(value)),
    "file": _file,
    "files": _listing(_file),
    "key": _key,
    "keys": _listing(_key),
    "place": _place,
    "source": _source,
    "sources": _listing(_crl_source),
    "names": _listing(_text),
    "roles": _listing(_choice),
    "secret": _secret,
    "database": _database,
    "blobs": _blobs,
    "clamd": _clamd,
    "sizes": _sizes,
    "severities": _severities,
    "severities_by": _severities_by,
}
