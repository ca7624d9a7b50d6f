"""Patients who object to the exchange of their data: record, take back, list."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from gateway.cli import output
from gateway.cli.context import Desk, actor, here, opened
from gateway.cli.errors import USAGE, Said
from gateway.cli.language import tr
from gateway.cli.output import Json, when
from gateway.medical.register_key import RegisterKey
from gateway.medical.registers import SCOPES, PatientRegisters
from hprim.ins import clean, is_matricule

app = typer.Typer(no_args_is_help=True, help=tr("Oppositions de patients.", "Patients' oppositions."))


class Scope(StrEnum):
    """What the patient objects to: messages to himself, exchanges between professionals, or both."""

    PATIENT = "patient"
    PROFESSIONALS = "professionals"
    BOTH = "both"


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
Wanted = Annotated[
    Scope,
    typer.Option(
        "--scope",
        help=tr(
            "Vers le patient, entre professionnels, ou les deux.", "To the patient, between professionals, or both."
        ),
    ),
]
Reference = Annotated[
    str,
    typer.Option(
        "--reference",
        help=tr("Référence de la demande écrite, sans nom.", "Reference of the written request, no name."),
    ),
]


@app.command(help=tr("Enregistrer une opposition.", "Record an opposition."))
def add(ctx: typer.Context, number: Number = "-", scope: Wanted = Scope.BOTH, reference: Reference = "") -> None:
    given = _number(number)
    with opened(ctx) as desk:
        register = _register(desk)
        try:
            new = desk.do(lambda unit: register.object_to(unit, given, _scopes(scope), reference, actor()))
        except ValueError:
            raise Said("opposition.bad_number", USAGE) from None
    said = "opposition.recorded" if new else "opposition.known"
    output.line(here(ctx).say(said, scopes=", ".join(_scopes(scope))))


@app.command(help=tr("Retirer une opposition.", "Take an opposition back."))
def remove(ctx: typer.Context, number: Number = "-", scope: Wanted = Scope.BOTH) -> None:
    given = _number(number)
    with opened(ctx) as desk:
        register = _register(desk)
        try:
            gone = desk.do(lambda unit: register.withdraw(unit, given, _scopes(scope), actor()))
        except ValueError:
            raise Said("opposition.bad_number", USAGE) from None
    if not gone:
        raise Said("opposition.unknown")
    output.line(here(ctx).say("opposition.withdrawn"))


@app.command("list", help=tr("Lister, sans aucun numéro.", "List, without any number."))
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    with opened(ctx) as desk:
        lines = desk.ask(_register(desk).listed)
    if as_json:
        output.as_json([line._asdict() for line in lines])
        return
    columns = tr("marque,portée,référence,par,depuis", "mark,scope,reference,by,since").split(",")
    output.table(columns, [(one.mark, one.scope, one.reference, one.actor, when(one.since)) for one in lines])


def _register(desk: Desk) -> PatientRegisters:
    return PatientRegisters(desk.storage.reading, RegisterKey(desk.storage.master))


def _scopes(scope: Scope) -> tuple[str, ...]:
    return SCOPES if scope is Scope.BOTH else (scope.value,)


def _number(given: str) -> str:
    """The number as written. Raises :class:`Said` for a wrong key: a slip would protect somebody else, or nobody."""
    written = sys.stdin.readline().strip() if given == "-" else given
    whole = clean(written)
    if len(whole) == 15 and not is_matricule(whole):
        raise Said("opposition.bad_number", USAGE)
    return written
