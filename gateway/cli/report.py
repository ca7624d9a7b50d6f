"""Report an unsolicited message that a mailbox of ours received; a person judges it (TOU-B05)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import output
from gateway.cli.context import actor, here, opened, session
from gateway.cli.errors import USAGE, Said
from gateway.cli.language import tr
from gateway.cli.output import Json


def register(app: typer.Typer) -> None:
    """Add ``caducee report``."""
    app.command("report", help=tr("Signaler un message non sollicité.", "Report an unsolicited message."))(report)


def report(
    ctx: typer.Context,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help=tr("Boîte qui l’a reçu.", "The mailbox that received it."))
    ],
    message: Annotated[
        str,
        typer.Argument(
            metavar="MESSAGE",
            help=tr(
                "Notre identifiant (dans Received), un Message-ID d’ici, ou le fichier du message.",
                "Our identifier (in Received), a Message-ID of ours, or the message’s file.",
            ),
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", help=tr("Ce qui ne va pas.", "What is wrong with it."))] = "",
    as_person: Annotated[
        bool,
        typer.Option(
            "--session",
            help=tr(
                "Agir comme la personne de la session forte (account session), non comme l’exploitant.",
                "Act as the person of the strong session (account session), not as the operator.",
            ),
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    from gateway.sanctions import reports
    from gateway.sanctions.wiring import cases
    from mailboxes import register as mailboxes
    from mailboxes.accounts import refuse

    with opened(ctx) as desk:
        config = desk.storage.config
        named = _named(message, config.operator.hostname)
        who = session(desk) if as_person else None
        mailbox = desk.ask(lambda connection: mailboxes.get(connection, address))
        if who is not None and not desk.ask(lambda c: mailboxes.rights(c, mailbox, who.account_id)):
            raise refuse("device.no_right", login=who.login, address=address)
        said = desk.ask(lambda connection: reports.of_recipient(connection, named, mailbox))
        by = who.login if who is not None else actor()
        found, new = desk.do(lambda unit: cases(config).open(unit, said, by, f"{named} {reason}".strip()))
    if as_json:
        output.as_json({"case": found.case.number, "new": new, "state": found.case.state, "message": found.message})
        return
    output.line(here(ctx).say("report.taken" if new else "report.known", number=found.case.number))


def _named(message: str, hostname: str) -> str:
    """The identifier given, or the one in the file given."""
    from gateway.sanctions.reports import HEADER_BYTES, identifier_in

    if not message.strip():
        raise Said("report.what", USAGE)
    path = Path(message)
    if len(message) > 255 or "\0" in message or not path.is_file():
        return message
    try:
        with path.open("rb") as file:
            found = identifier_in(file.read(HEADER_BYTES), hostname)
    except OSError as problem:
        raise Said("hprim.file_unreadable", USAGE, file=path, reason=problem) from None
    if not found:
        raise Said("report.no_trace", path=path)
    return found
