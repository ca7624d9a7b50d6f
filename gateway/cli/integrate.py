"""Answer the sender of a document for a practice system: filed, or refused with a code (900 to 906)."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import output
from gateway.cli.context import Console, here
from gateway.cli.errors import REFUSED, USAGE, Said
from gateway.cli.language import tr
from gateway.cli.output import Json

if TYPE_CHECKING:
    from policies.values import Address

REASONS = {
    "automatic": ("c’est un message automatique", "it is an automatic message"),
    "no_sender": ("il n’a pas d’expéditeur", "it has no sender"),
    "answered": ("la réponse est déjà partie", "the answer has left already"),
    "confirm": (
        "l’accusé est demandé à une autre adresse que l’expéditeur ; --confirm si c’est voulu",
        "the receipt is asked for at another address than the sender's; --confirm if that is right",
    ),
}

Mailbox = Annotated[
    str, typer.Option("--mailbox", help=tr("La boîte applicative (APP).", "The application mailbox (APP)."))
]
Message = Annotated[
    str,
    typer.Argument(
        metavar="MESSAGE",
        help=tr("UID dans INBOX, notre identifiant, ou Message-ID.", "UID in INBOX, our identifier, or Message-ID."),
    ),
]
Accepted = Annotated[bool, typer.Option("--accepted", help=tr("Le document est intégré.", "The document is filed."))]
RefusedCode = Annotated[str, typer.Option("--refused", metavar="CODE", help=tr("900 à 906.", "900 to 906."))]
Confirm = Annotated[
    bool,
    typer.Option(
        "--confirm",
        help=tr(
            "Répondre même si l’accusé va à une autre adresse.", "Answer even if the receipt goes to another address."
        ),
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    text = tr("Répondre à l’expéditeur d’un document.", "Answer the sender of a document.")
    app.command("integrate", help=text)(integrate)


def integrate(
    ctx: typer.Context,
    message: Message,
    mailbox: Mailbox,
    accepted: Accepted = False,
    refused: RefusedCode = "",
    confirm: Confirm = False,
    as_json: Json = False,
) -> None:
    from gateway.send import recipients_of
    from policies.address import AddressError

    console = here(ctx)
    if accepted is bool(refused):
        raise Said("integrate.which", USAGE)
    try:
        (address,) = recipients_of([mailbox])
    except AddressError as problem:
        raise Said("cli.bad_address", USAGE, address=mailbox, problem=problem.word) from None
    code = "0" if accepted else refused
    identifier = asyncio.run(_answered(console, address, message, code, confirmed=confirm))
    if as_json:
        output.as_json({"message": identifier, "about": message, "code": code})
    else:
        output.line(console.say("integrate.sent", message=identifier))


async def _answered(console: Console, address: Address, message: str, code: str, *, confirmed: bool) -> str:
    from gateway.integration import CODES, Integration, NobodyToTell, NotAnApplication, NotFound
    from gateway.medical.wiring import medical_settings
    from gateway.relay.parcel import Undeliverable
    from gateway.submission_here import UnknownMailbox, way_in

    config = console.config()
    async with way_in(config) as way:
        integration = Integration(way.storage.store, way.intake, medical_settings(config).house)
        now = way.storage.clock()
        try:
            box = await way.mailbox(address)
            return await integration.answer(box, message, code, secrets.token_hex(16), now, confirmed=confirmed)
        except UnknownMailbox:
            raise Said("send.unknown_mailbox", REFUSED, mailbox=address) from None
        except NotAnApplication:
            raise Said("integrate.not_an_application", REFUSED, mailbox=address) from None
        except NotFound:
            raise Said("integrate.unknown_message", REFUSED, mailbox=address) from None
        except NobodyToTell as problem:
            reason = REASONS[problem.word][0 if console.language == "fr" else 1]
            raise Said("integrate.nobody_to_tell", REFUSED, reason=reason) from None
        except Undeliverable as problem:
            raise Said("integrate.nobody_to_tell", REFUSED, reason=problem) from None
        except KeyError:
            raise Said("integrate.unknown_code", USAGE, code=code, codes=", ".join(CODES[1:])) from None
