"""Where a message is: its recipients, one by one, and what happened to each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from gateway.cli import output
from gateway.cli.context import opened
from gateway.cli.errors import Said
from gateway.cli.language import chosen, tr
from gateway.cli.output import Json, when
from gateway.record import journal
from gateway.relay import tracking
from gateway.relay.tracking import Line
from policies.bounces import cause_of

FRENCH = {
    "queued": "en file",
    "delayed": "retardé",
    "handed_over": "transmis",
    "delivered": "remis",
    "read": "lu",
    "refused": "refusé",
    "failed": "non remis",
    "late": "sans réponse",
}


def register(app: typer.Typer) -> None:
    """Add ``caducee track``."""

    @app.command(
        help=tr("Suivre un message, destinataire par destinataire.", "Follow a message, recipient by recipient.")
    )
    def track(
        ctx: typer.Context,
        message: Annotated[
            str,
            typer.Argument(
                metavar="MESSAGE",
                help=tr("Notre identifiant, ou le Message-ID.", "Our identifier, or the Message-ID."),
            ),
        ],
        as_json: Json = False,
    ) -> None:
        with opened(ctx) as desk:
            lines: list[Line]
            lines, steps = desk.ask(lambda connection: read(connection, message))
        if as_json:
            output.as_json({"message": message, "recipients": [_flat(line) for line in lines], "steps": steps})
        else:
            _show(lines, steps)
        if not lines and not steps:
            raise Said("cli.not_tracked", message=message[:200])


def read(connection: Connection, message: str) -> tuple[list[Line], list[dict[str, Any]]]:
    """The followed recipients and the journal of the message they belong to."""
    lines = tracking.track(connection, message)
    messages = {line.message for line in lines} or {message}
    steps = [
        {
            "at": datetime.fromtimestamp(record.at / 1_000_000, UTC).isoformat(timespec="milliseconds"),
            "kind": record.kind,
            "recipient": record.recipient,
            **{key: value for key, value in record.detail.items() if key in _SHOWN},
        }
        for one in sorted(messages)
        for record in journal.read(connection, message=one)
        if record.kind in _STEPS
    ]
    return lines, steps


_STEPS = frozenset(
    (
        "message.accepted",
        "message.delivered",
        "message.queued",
        "message.handed_over",
        "message.deferred",
        "message.held",
        "message.released",
        "message.failed",
        "message.expired",
        "message.notice",
        "message.receipt",
        "message.deadline",
    )
)
_SHOWN = frozenset(["host", "reply", "rule", "attempt", "status", "notice", "disposition", "code", "folder", "domain"])


def _flat(line: Line) -> dict[str, Any]:
    return {
        "message": line.message,
        "recipient": line.recipient,
        "channel": line.channel,
        "sent_at": line.sent_at,
        "state": line.state.value,
        "state_at": line.state_at,
        "code": line.code,
        "wants": sorted(line.wants),
        "deadline_at": line.deadline_at,
        "cause": cause_of(line.state, line.code, "fr"),
        "cause_en": cause_of(line.state, line.code, "en"),
    }


def _show(lines: list[Line], steps: list[dict[str, Any]]) -> None:
    if lines:
        columns = tr(
            "destinataire|canal|envoyé|état|depuis|code|échéance", "recipient|channel|sent|state|since|code|deadline"
        ).split("|")
        output.table(
            columns,
            [
                (
                    line.recipient,
                    line.channel,
                    when(line.sent_at),
                    tr(FRENCH[line.state.value], line.state.value),
                    when(line.state_at),
                    line.code,
                    when(line.deadline_at),
                )
                for line in lines
            ],
        )
        for line in lines:
            cause = cause_of(line.state, line.code, "fr" if chosen() == "fr" else "en")
            if cause:
                output.line(f"{line.recipient} : {cause}." if chosen() == "fr" else f"{line.recipient}: {cause}.")
        output.line("")
    for step in steps:
        said = " ".join(f"{key}={value}" for key, value in step.items() if key in _SHOWN and value not in ("", 0))
        output.line(f"{step['at']}  {step['kind']:<20} {step['recipient']}  {said}")
