"""The operations log: one line per thing an operator should know, on standard error.

Promise: no patient data, subject, address of a patient, token or secret (MSS-146): only words, counts, rule names and
error types are logged, and :func:`_guarded` drops the keys that could ever hold more. Failure: a log that cannot be
written is lost; what must not be lost is in the journal.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import structlog

FORBIDDEN = frozenset({"subject", "content", "body", "token", "password", "secret", "recipient", "patient", "ins"})
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def set_up(level: str, style: Literal["json", "text"]) -> None:
    """Configure structlog once per process."""
    renderer: Any
    if style == "json":
        renderer = structlog.processors.JSONRenderer(sort_keys=True)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _guarded,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _guarded(logger: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    for key in FORBIDDEN & event.keys():
        event[key] = "…"
    return event
