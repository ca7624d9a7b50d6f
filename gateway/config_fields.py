"""How a setting is declared: its kind, meaning, bounds and default stand together, once, beside its name.

:mod:`gateway.settings` declares the sections with these; :mod:`gateway.config` reads, checks and shows them by the same
declarations, and ``config.toml`` at the root is rendered from them (:mod:`gateway.config_document`).
Failure: a wrong declaration is a programming fault and raises at import.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Spec:
    """One setting. ``kind`` names a reader of :mod:`gateway.config_read`; ``meaning`` is its comment in config.toml.

    ``shipped`` is the value written in config.toml when there is no default. ``reload`` says that SIGHUP brings a new
    value into force; the others need a restart.
    """

    kind: str
    meaning: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    reload: bool = True
    shipped: Any = None


def setting(
    kind: str,
    meaning: str,
    default: Any = MISSING,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    reload: bool = True,
    shipped: Any = None,
) -> Any:
    """A dataclass field that carries its :class:`Spec`; without ``default`` the key is required."""
    metadata = {"spec": Spec(kind, meaning, low, high, choices, reload, shipped)}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


class SecretMissing(Exception):
    """A secret's file cannot be read, or its environment variable is not set. The text never holds the secret."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is, never the secret: ``file:PATH`` or ``env:NAME``; empty when not set."""

    reference: str = ""
    path: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.reference)

    def read(self, environment: Mapping[str, str] | None = None) -> bytes:
        """The secret's bytes, without a final line end. Raises :class:`SecretMissing`."""
        if self.path is not None:
            try:
                return self.path.read_bytes().rstrip(b"\r\n")
            except OSError as problem:
                raise SecretMissing(f"{self.reference}: {problem.strerror}") from None
        found = (os.environ if environment is None else environment).get(self.reference.removeprefix("env:"), "")
        if not found:
            raise SecretMissing(f"{self.reference}: not set")
        return found.encode()
