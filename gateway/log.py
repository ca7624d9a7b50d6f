"""The operations log: one line per thing an operator should know, on standard error.

Promise: no patient data, subject, address of a patient, token or secret (MSS-146): only words, counts, rule names and
error types are logged, and :func:`_guarded` hides the keys that could ever hold more. An error is told by its type and by
the places it passed through; its message and the values around it may hold anything, and are not. What libraries log
goes the same way: their own words without what they were filled with.
Failure: a log that cannot be written is lost; what must not be lost is in the journal.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from pathlib import Path
from traceback import extract_tb
from typing import Any, Literal

import structlog

FORBIDDEN = frozenset(
    [
        "subject",
        "content",
        "body",
        "text",
        "raw",
        "data",
        "token",
        "password",
        "passphrase",
        "secret",
        "code",
        "otp",
        "authorization",
        "cookie",
        "key",
        "recipient",
        "recipients",
        "sender",
        "sender_address",
        "address",
        "addresses",
        "mail",
        "email",
        "patient",
        "family",
        "given",
        "first_name",
        "last_name",
        "surname",
        "birth",
        "birth_date",
        "ins",
        "nir",
        "matricule",
        "identity",
        "oid",
        "document",
        "filename",
        "attachment",
        "header",
        "headers",
        "line",
        "payload",
    ]
)
PLACES = 12
"""Places an error passed through that one line tells, from the innermost."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_ROOMS = Path(__file__).resolve().parents[1]


def set_up(level: str, style: Literal["json", "text"]) -> None:
    """Configure structlog, and what libraries log, once per process."""
    renderer: Any
    if style == "json":
        renderer = structlog.processors.JSONRenderer(sort_keys=True)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _traced,
            _guarded,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=_Stderr,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    if not any(isinstance(handler, Libraries) for handler in root.handlers):
        root.addHandler(Libraries())
    root.setLevel(max(_LEVELS[level], logging.WARNING))


def where(problem: BaseException) -> str:
    """The places an error passed through, innermost first: ``gateway/scan.py:70 scan < ...``; never a value."""
    steps = extract_tb(problem.__traceback__)[-PLACES:][::-1]
    return " < ".join(f"{_place(step.filename)}:{step.lineno} {step.name}" for step in steps)


def _place(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(_ROOMS)) if path.is_relative_to(_ROOMS) else f"{path.parent.name}/{path.name}"


def _traced(logger: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Where an error came from instead of its traceback, whose last line is its message."""
    given = event.pop("exc_info", None)
    problem = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(problem, BaseException):
        event.setdefault("error", type(problem).__name__)
        if isinstance(problem, OSError) and (name := errno.errorcode.get(problem.errno or 0)):
            event.setdefault("reason", name)
        event["where"] = where(problem)
    event.pop("stack_info", None)
    return event


def _guarded(logger: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    for key in FORBIDDEN & event.keys():
        event[key] = "…"
    return event


class _Stderr:
    """Writes lines to standard error as it is at that moment; a line that cannot be written is lost.

    Past the stream's buffer: a line left in it by a full disk would be tried again at exit, which then ends with 120.
    """

    def __init__(self, *_names: object) -> None:
        pass

    def msg(self, line: str) -> None:
        stream = sys.stderr
        if stream is None:  # started with no error output at all
            return
        redirected = stream is not sys.__stderr__
        try:
            if redirected:
                stream.write(line + "\n")
            else:
                os.write(stream.fileno(), (line + "\n").encode("utf-8", "backslashreplace"))
        except (OSError, ValueError):
            pass

    debug = info = warning = error = critical = exception = log = msg


class Libraries(logging.Handler):
    """Takes what libraries log: the name of the logger and the sentence before it was filled in, its first line only."""

    def emit(self, record: logging.LogRecord) -> None:
        sentence = str(record.msg).split("\n", 1)[0][:120] if isinstance(record.msg, str) else type(record.msg).__name__
        method = "error" if record.levelno >= logging.ERROR else "warning"
        said = structlog.get_logger(record.name)
        getattr(said, method)("library", library=record.name, sentence=sentence, exc_info=record.exc_info)
