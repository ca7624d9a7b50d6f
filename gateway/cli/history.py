"""What mailboxes remember of patients and documents, and who did what in them."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from gateway.cli import output
from gateway.cli.context import Desk, actor, here, opened, session
from gateway.cli.errors import USAGE, Said
from gateway.cli.language import tr
from gateway.cli.output import Json, when
from gateway.medical.memory import OPERATOR, StoredMemory, counted
from gateway.medical.register_key import RegisterKey
from hprim.ins import clean, is_matricule, key_of
from mailboxes import register
from mailboxes.commit import Unit
from mailboxes.rules import may_change
from policies.events import Event, Kind

app = typer.Typer(no_args_is_help=True, help=tr("Patients déjà rencontrés.", "Patients met before."))

Number = Annotated[
    str,
    typer.Argument(
        metavar="NUMBER",
        help=tr(
            "Matricule INS ; - pour le lire sur l’entrée standard (il ne reste pas dans l’historique).",
            "INS number; - to read it from standard input (it stays out of the history).",
        ),
    ),
]
Mailbox = Annotated[str, typer.Option("--mailbox", help=tr("Dans cette boîte seulement.", "In this mailbox only."))]


@app.command(
    help=tr("Combien de patients et de documents sont retenus.", "How many patients and documents are remembered.")
)
def show(ctx: typer.Context, as_json: Json = False) -> None:
    with opened(ctx) as desk:
        people, documents, oldest = desk.ask(counted)
    if as_json:
        output.as_json({"patients": people, "documents": documents, "oldest": oldest})
        return
    since = when(oldest) if oldest else tr("aucun", "none")
    output.line(here(ctx).say("history.counted", patients=people, documents=documents, since=since))


@app.command(
    help=tr(
        "Oublier ce qui est retenu d’un patient (une identité corrigée est refusée comme collision, HID-091).",
        "Forget what is remembered of a patient (a corrected identity is refused as a collision, HID-091).",
    )
)
def forget(ctx: typer.Context, number: Number = "-", mailbox: Mailbox = "") -> None:
    given = _whole(sys.stdin.readline().strip() if number == "-" else number)
    with opened(ctx) as desk:
        within = [desk.ask(lambda connection: register.get(connection, mailbox)).id] if mailbox else []
        gone = desk.do(lambda unit: _forget(unit, desk, given, within))
    if not gone:
        raise Said("history.unknown")
    output.line(here(ctx).say("history.forgotten"))


@app.command(
    help=tr(
        "Qui a fait quoi dans une boîte : lu, changé, effacé, envoyé, reçu, refusé ; pour l’exploitant, ou son titulaire.",
        "Who did what in a mailbox: read, changed, erased, sent, received, refused; for the operator, or its owner.",
    )
)
def access(
    ctx: typer.Context,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help=tr("Adresse de la boîte.", "The mailbox's address."))
    ],
    as_person: Annotated[
        bool,
        typer.Option(
            "--session",
            help=tr(
                "Comme la personne de la session forte ; les dossiers portent alors leur nom.",
                "As the person of the strong session; folders then bear their names.",
            ),
        ),
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000)] = 200,
    as_json: Json = False,
) -> None:
    from gateway.record import actions

    with opened(ctx) as desk:
        if as_person:
            who = session(desk)
            desk.ask(lambda connection: may_change(connection, address, who))
        number = desk.ask(lambda connection: register.get(connection, address)).id
        folders = _folders(desk, number) if as_person else {}
        told = desk.ask(lambda connection: actions.of_mailbox(connection, number, limit))
    if as_json:
        output.as_json([{**asdict(one), "folder": folders.get(one.folder, one.folder)} for one in told])
        return
    columns = tr(
        "heure (UTC)|auteur|action|requête|dossier|messages|résultat|depuis",
        "time (UTC)|author|action|request|folder|messages|result|from",
    ).split("|")
    output.table(
        columns,
        [
            (
                one.time,
                one.author,
                one.action,
                one.request,
                folders.get(one.folder, one.folder),
                one.messages,
                one.result,
                one.origin,
            )
            for one in told
        ],
    )


def _folders(desk: Desk, number: int) -> dict[str, str]:
    """Names by the numbers the journal knows folders by."""
    with asyncio.Runner() as runner:
        return {one.reference: one.name for one in runner.run(desk.storage.store.folders(number))}


def _forget(unit: Unit, desk: Desk, number: str, mailboxes: list[int]) -> int:
    memory = StoredMemory(desk.storage.reading, RegisterKey(desk.storage.master))
    gone = memory.forget(unit, [number], mailboxes)
    if gone:
        box = mailboxes[0] if mailboxes else OPERATOR
        detail = {"what": "history forgotten", "target": f"{gone} entries"}
        unit.emit(Event(Kind.RULE, actor=actor(), mailbox=box, detail=detail))
    return gone


def _whole(number: str) -> str:
    """Fifteen characters. Raises :class:`Said`."""
    bare = clean(number)
    try:
        whole = bare + key_of(bare) if len(bare) == 13 else bare
    except ValueError:
        whole = ""
    if not is_matricule(whole):
        raise Said("opposition.bad_number", USAGE)
    return whole
