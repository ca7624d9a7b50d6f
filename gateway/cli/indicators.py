"""Monthly indicators of use: made, listed, deposited; and what a usage control may be given."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.context import Desk, actor, opened
from gateway.cli.errors import UNAVAILABLE, USAGE, Said
from gateway.cli.language import tr
from gateway.cli.output import Json, when
from gateway.record.indicators import files
from gateway.record.indicators.counting import used
from gateway.record.indicators.figures import BadMonth, Month
from policies.events import Event, Kind

app = typer.Typer(no_args_is_help=True, help=tr("Les indicateurs mensuels d’usage.", "Monthly indicators of use."))

When = Annotated[str, typer.Argument(metavar="YYYY-MM", help=tr("Le mois, en UTC.", "The month, in UTC."))]
REFERENCE = 200


@app.command(
    help=tr(
        "Faire les fichiers d’un mois, ou les refaire à l’identique.", "Make the files of a month, or make them again."
    )
)
def build(
    ctx: typer.Context,
    month: When,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", help=tr("Ailleurs que indicators.folder, sans les retenir.", "Elsewhere, and not remembered.")
        ),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help=tr("Un mois qui n’est pas fini.", "A month that is not over.")),
    ] = False,
    as_json: Json = False,
) -> None:
    wanted = _month(month)
    with opened(ctx) as desk:
        place = folder or desk.storage.config.indicators.folder
        try:
            made = _desk(desk).build(wanted, desk.storage.clock(), partial=partial, folder=folder)
        except files.NotOver:
            raise Said("indicators.not_over", month=wanted) from None
        except OSError as problem:
            raise Said("cli.cannot_write", UNAVAILABLE, path=place, reason=problem) from None
    if as_json:
        output.as_json({"folder": str(place / str(wanted.packed)), "files": [_data(one) for one in made]})
        return
    _show(made)
    output.line(desk.console.say("indicators.built", folder=place / str(wanted.packed), sums=files.SUMS))


@app.command("list", help=tr("Les fichiers faits, et ce qui en est déposé.", "The files made, and what was deposited."))
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    with opened(ctx) as desk:
        made = desk.ask(files.made)
    if as_json:
        output.as_json([_data(one) for one in made])
    else:
        _show(made)


@app.command(
    help=tr("Retenir que les fichiers d’un mois sont déposés.", "Remember that the files of a month were deposited.")
)
def deposited(
    ctx: typer.Context,
    month: When,
    reference: Annotated[
        str,
        typer.Option("--reference", help=tr("Référence donnée par le destinataire.", "What the receiver calls it.")),
    ] = "",
    as_json: Json = False,
) -> None:
    wanted = _month(month)
    if len(reference) > REFERENCE or not (reference.isprintable() or not reference):
        raise Said("indicators.bad_reference", USAGE, limit=REFERENCE)
    with opened(ctx) as desk:
        try:
            made = _desk(desk).deposit(wanted, reference, actor())
        except files.NotBuilt:
            raise Said("indicators.not_built", month=wanted) from None
        except files.Altered as problem:
            raise Said("indicators.altered", month=wanted, name=problem.args[0]) from None
    if as_json:
        output.as_json([_data(one) for one in made])
    else:
        _show(made)


@app.command(
    help=tr(
        "Ce qui peut être remis au contrôle d’usage : chaque boîte, utilisée ou non, rien d’autre.",
        "What a usage control may be given: each mailbox, used or not, nothing more.",
    )
)
def usage(
    ctx: typer.Context,
    month: When,
    domain: Annotated[str, typer.Option("--domain", help=tr("D’un domaine.", "Of one domain."))] = "",
    as_json: Json = False,
) -> None:
    wanted = _month(month)
    with opened(ctx) as desk:
        now, keep = desk.storage.clock(), desk.storage.config.indicators.keep
        if now > wanted.end + keep:
            raise Said("indicators.too_old", month=wanted)
        found = used(desk.ask, wanted)
        rows = [(box, "O" if one else "N") for box, one in sorted(found.items())]
        rows = [row for row in rows if not domain or row[0].rpartition("@")[2] == domain.lower()]
        detail = {"what": "usage handed over", "month": str(wanted), "count": len(rows)}
        desk.do(lambda unit: unit.emit(Event(Kind.INDICATORS, actor=actor(), detail=detail)))
    if as_json:
        output.as_json([{"mailbox": box, "used": one == "O"} for box, one in rows])
        return
    writer = csv.writer(sys.stdout, delimiter=";", lineterminator="\r\n")
    writer.writerows([("boite", "utilisee"), *rows])


def _month(text: str) -> Month:
    try:
        return Month.read(text)
    except BadMonth:
        raise Said("indicators.bad_month", USAGE, month=text[:20]) from None


def _desk(desk: Desk) -> files.Desk:
    config = desk.storage.config
    return files.Desk(desk.ask, desk.do, config.indicators, config.operator.domains, config.limits.patient_domains)


def _data(one: files.Made) -> dict[str, Any]:
    return {**asdict(one), "month": str(Month.numbered(one.month)), "changed": one.changed}


def _show(made: Sequence[files.Made]) -> None:
    columns = tr(
        "mois|fichier|octets|fait|anonyme|déposé|par|référence|changé depuis",
        "month|file|octets|made|anonymous|deposited|by|reference|changed since",
    ).split("|")
    yes = tr("oui", "yes")
    rows = [
        (
            Month.numbered(one.month),
            one.name,
            one.size,
            when(one.built_at),
            yes if one.anonymous else "",
            when(one.deposited_at),
            one.deposited_by,
            one.reference,
            yes if one.changed else "",
        )
        for one in made
    ]
    output.table(columns, rows)
