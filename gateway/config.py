"""The configuration: read it whole or refuse it whole, show what is in force, tell what a reload changes.

Promise: :func:`load` answers a :class:`gateway.settings.Config` on which every check passed; it reads the file once and
opens only the files the configuration names. A secret never appears in a fault, in :func:`show` or in a ``repr``.
Failure: :class:`ConfigError` carries *every* fault found, each with file, line, key, problem and remedy.
"""

from __future__ import annotations

import errno
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from gateway import config_check, config_scan
from gateway.config_fields import Secret, SecretMissing, Spec
from gateway.config_read import nearest, read_table, spelled
from gateway.config_units import Listen
from gateway.settings import REPEATED, SECTIONS, Config, Operator
from policies.catalogue.sentences_console import remedy, say
from policies.decision import Language

__all__ = [
    "Change",
    "Config",
    "ConfigError",
    "Fault",
    "Listen",
    "Secret",
    "SecretMissing",
    "absent",
    "changes",
    "load",
    "missing",
    "show",
]

LARGEST = 1024 * 1024
MOST_ROUTES = 10_000
HTTPS = 443
_UNREAD = {errno.ENOENT: "config.no_such_configuration", errno.EACCES: "config.denied"}
_TOML_LINE = re.compile(r" \(at (?:line ([0-9]{1,9}), column [0-9]{1,9}|end of document)\)$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``sentence`` and ``parameters`` name a text of the catalogue; ``problem`` and ``remedy`` are English."""

    file: str
    line: int
    key: str
    sentence: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        return self.says("en")

    @property
    def remedy(self) -> str:
        return self.advises("en")

    def says(self, language: Language) -> str:
        return say(self.sentence, language, **self.parameters)

    def advises(self, language: Language) -> str:
        return remedy(self.sentence, language, **self.parameters)

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}: {key}{self.problem}. {self.remedy}".rstrip()


class ConfigError(Exception):
    """The configuration is refused; nothing of it was put in force."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


def load(path: str | Path) -> Config:
    """Read and check ``path``. Raises :class:`ConfigError`."""
    return _Loading(Path(path)).config()


class _Loading:
    """One reading of one file: collects faults, and knows the lines of keys."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.base = path.absolute().parent
        self.faults: list[Fault] = []
        self.lines: dict[tuple[str | int, ...], int] = {}

    def config(self) -> Config:
        table = self._parse(self._text())
        sections = self._sections(table)
        config = Config(source=self.path.absolute(), **sections)
        config_check.combinations(config, self.report)
        if self.faults:
            raise ConfigError(sorted(self.faults, key=lambda fault: fault.line))
        return config

    def report(self, path: tuple[str | int, ...], sentence: str, /, **parameters: object) -> None:
        if any(fault.key == dotted(path) for fault in self.faults):
            return  # one fault per key: the others would only follow from it
        texts = {name: str(value) for name, value in parameters.items()}
        line = config_scan.line_of(self.lines, path)
        self.faults.append(Fault(str(self.path), line, dotted(path), sentence, texts))

    def _refuse(self, line: int, sentence: str, **parameters: object) -> ConfigError:
        texts = {name: str(value) for name, value in parameters.items()}
        return ConfigError([Fault(str(self.path), line, "", sentence, texts)])

    def _text(self) -> str:
        try:
            with self.path.open("rb") as file:
                raw = file.read(LARGEST + 1)
        except OSError as problem:
            sentence = _UNREAD.get(problem.errno or 0, "config.no_file")
            raise self._refuse(1, sentence, reason=problem.strerror) from None
        if len(raw) > LARGEST:
            raise self._refuse(1, "config.too_big", limit=spelled("size", LARGEST))
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as problem:
            line = raw.count(b"\n", 0, problem.start) + 1
            raise self._refuse(line, "config.not_utf8", place=problem.start) from None

    def _parse(self, text: str) -> dict[str, Any]:
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as problem:
            raise self._refuse(
                _line_of(problem, text), "config.not_toml", reason=_TOML_LINE.sub("", str(problem))
            ) from None
        except RecursionError:
            raise self._refuse(1, "config.not_toml", reason="nested too deeply") from None
        self.lines = config_scan.lines(text.replace("\r\n", "\n"))
        return table

    def _sections(self, table: dict[str, Any]) -> dict[str, Any]:
        for name in table.keys() - SECTIONS.keys():
            self._unknown(name)
        found: dict[str, Any] = {}
        for name, declared in SECTIONS.items():
            value = table.get(name, [] if name in REPEATED else {})
            if name in REPEATED:
                found[name] = self._repeated(name, declared, value)
            elif isinstance(value, dict):
                found[name] = read_table(declared, value, (name,), self.base, self.report)
            else:
                self.report((name,), "config.not_a_table", name=name)
                found[name] = read_table(declared, {}, (name,), self.base, lambda *_, **__: None)
        return found

    def _unknown(self, name: str) -> None:
        near = nearest(name, tuple(SECTIONS))
        if near:
            self.report((name,), "config.unknown_key_near", name=name, near=near)
        else:
            self.report((name,), "config.unknown_key", name=name, known=", ".join(SECTIONS))

    def _repeated(self, name: str, declared: type, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > MOST_ROUTES or not all(isinstance(item, dict) for item in value):
            self.report((name,), "config.not_tables", name=name)
            return ()
        return tuple(
            read_table(declared, item, (name, index), self.base, self.report) for index, item in enumerate(value)
        )


def _line_of(problem: tomllib.TOMLDecodeError, text: str) -> int:
    match = _TOML_LINE.search(str(problem))
    return int(match[1]) if match and match[1] else text.count("\n") + 1


def dotted(path: tuple[str | int, ...]) -> str:
    """``("routes", 0, "host")`` as people write it: ``routes[0].host``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def missing(config: Config) -> list[Fault]:
    """What the service still needs before it can start; empty when nothing."""
    lines = config_scan.lines(config.source.read_text("utf-8")) if config.source.is_file() else {}
    return [
        Fault(str(config.source), config_scan.line_of(lines, path), dotted(path), sentence)
        for path, sentence in config_check.missing_to_serve(config)
    ]


def absent(config: Config) -> list[Fault]:
    """Files to be read from time to time that are not there now. The service starts without them, on what it kept."""
    lines = config_scan.lines(config.source.read_text("utf-8")) if config.source.is_file() else {}
    return [
        Fault(str(config.source), config_scan.line_of(lines, key), dotted(key), "config.source_absent", {"path": path})
        for key, path in config_check.absent_sources(config)
    ]


def show(config: Config, *, mask: bool = True) -> dict[str, Any]:
    """Effective values in the units people write, JSON-able: section -> key -> value.

    Secrets are only ever references; with ``mask`` even these are hidden.
    """
    found: dict[str, Any] = {}
    for name in SECTIONS:
        value = getattr(config, name)
        found[name] = [_section(item, mask) for item in value] if name in REPEATED else _section(value, mask)
    return found


def _section(section: Any, mask: bool) -> dict[str, Any]:
    return {item.name: written(item.metadata["spec"], getattr(section, item.name), mask) for item in fields(section)}


def written(spec: Spec, value: Any, mask: bool = True) -> Any:
    """A value as config.toml writes it."""
    if isinstance(value, Secret):
        return "********" if mask and value else value.reference
    if spec.kind in ("size", "duration"):
        return spelled(spec.kind, value)
    if spec.kind == "sizes":
        return {name: spelled("size", size) for name, size in value.items()}
    if isinstance(value, tuple):
        return [written(spec, item, mask) for item in value]
    if isinstance(value, Path | Listen):
        return str(value)
    return "" if value is None else value


@dataclass(frozen=True, slots=True)
class Change:
    """A key whose value differs, and whether it needs a restart to be in force."""

    key: str
    restart: bool


def changes(old: Config, new: Config) -> list[Change]:
    """What a reload would change, in the order of the file."""
    found: list[Change] = []
    for name, declared in SECTIONS.items():
        before, after = getattr(old, name), getattr(new, name)
        if name in REPEATED:
            found += [Change(name, False)] if before != after else []
            continue
        for item in fields(declared):
            if getattr(before, item.name) != getattr(after, item.name):
                found.append(Change(f"{name}.{item.name}", not item.metadata["spec"].reload))
    return found


def postmaster(operator: Operator) -> str:
    """The operator's own address."""
    return operator.postmaster or f"postmaster@{operator.domains[0]}"


def public_url(config: Config) -> str:
    """How the HTTP door is reached from outside, without a final slash."""
    if config.http.url:
        return config.http.url.rstrip("/")
    port = config.http.listen[0].port if config.http.listen else HTTPS
    return f"https://{config.operator.hostname}" + (f":{port}" if port != HTTPS else "")
