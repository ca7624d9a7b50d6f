"""Device passwords of mail programs: create in a strong session, list, withdraw."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from gateway.cli import output
from gateway.cli.context import actor, opened, session
from gateway.cli.language import tr
from gateway.cli.output import Json, when
from mailboxes import devices

app = typer.Typer(no_args_is_help=True, help=tr("Les mots de passe d’appareil.", "Device passwords."))

Where = Annotated[str, typer.Argument(metavar="ADDRESS", help=tr("Adresse de la boîte.", "The mailbox's address."))]


@app.command(
    help=tr(
        "Créer un mot de passe pour un logiciel de courrier ; demande une session forte (account session).",
        "Create a password for a mail program; needs a strong session (account session).",
    )
)
def create(
    ctx: typer.Context,
    address: Where,
    name: Annotated[
        str, typer.Option("--name", help=tr("Comme « Thunderbird du cabinet ».", "Such as “practice Thunderbird”."))
    ],
    as_json: Json = False,
) -> None:
    with opened(ctx) as desk:
        who = session(desk)
        made: devices.Created = desk.do(lambda unit: devices.create(unit, desk.people.rules, who, address, name))
        if as_json:
            data = {
                "address": address,
                "login": who.login,
                "number": made.number,
                "name": name,
                "password": made.secret,
            }
            output.as_json(data)
            return
        output.line(desk.console.say("cli.device_created", address=address, number=made.number))
        output.line(f"  {made.secret}")


@app.command("list", help=tr("Lister les appareils.", "List the devices."))
def list_(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="[ADDRESS]", help=tr("D’une boîte.", "Of one mailbox."))] = "",
    mailbox: Annotated[str, typer.Option("--mailbox", hidden=True)] = "",
    login: Annotated[str, typer.Option("--login", help=tr("D’une personne.", "Of one person."))] = "",
    as_json: Json = False,
) -> None:
    with opened(ctx) as desk:
        found: list[devices.Device] = desk.ask(
            lambda connection: devices.listed(connection, written=address or mailbox, login=login)
        )
    if as_json:
        output.as_json([asdict(item) for item in found])
        return
    columns = tr(
        "boîte|n°|personne|nom|créé|dernier usage|depuis l’adresse|retiré",
        "mailbox|no.|person|name|created|last used|from|withdrawn",
    ).split("|")
    output.table(
        columns,
        [
            (
                item.address,
                item.number,
                item.login,
                item.name,
                when(item.created_at),
                when(item.last_used_at),
                item.last_ip,
                when(item.revoked_at),
            )
            for item in found
        ],
    )


@app.command(help=tr("Retirer un appareil : ses sessions s’arrêtent.", "Withdraw a device: its sessions end."))
def revoke(ctx: typer.Context, address: Where, number: Annotated[int, typer.Argument(min=1)]) -> None:
    with opened(ctx) as desk:
        desk.do(lambda unit: devices.revoke(unit, address, number, actor()))
        output.line(desk.console.say("cli.device_revoked", address=address, number=number))


@app.command(
    "revoke-all",
    help=tr(
        "Retirer tous les appareils d’une personne (perte, fuite).", "Withdraw every device of a person (loss, leak)."
    ),
)
def revoke_all(ctx: typer.Context, login: Annotated[str, typer.Argument(metavar="LOGIN")]) -> None:
    with opened(ctx) as desk:
        count: int = desk.do(lambda unit: devices.revoke_all(unit, login, actor()))
        output.line(desk.console.say("cli.devices_revoked", login=login, count=count))
