"""Doctor: examine our own service and a partner from outside, and say what to mend."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import output
from gateway.cli.context import here
from gateway.cli.errors import USAGE, Said
from gateway.cli.language import tr
from gateway.cli.output import Json

if TYPE_CHECKING:
    from gateway.admin.doctor_partner import Trip
    from gateway.admin.examination import Finding
    from gateway.config import Config
    from gateway.trust_space import TrustSpace

Partner = Annotated[str, typer.Option("--partner", help=tr("Domaine d’un partenaire.", "Domain of a partner."))]
Login = Annotated[
    str,
    typer.Option("--login", help=tr("Boîte d’où envoyer un message d’essai.", "Mailbox to send a test message from.")),
]
To = Annotated[str, typer.Option("--to", help=tr("Son destinataire.", "Its recipient."))]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help=tr("Fichier du mot de passe d’appareil.", "File of the device password.")),
]
TheirImap = Annotated[
    str,
    typer.Option(
        "--their-imap",
        help=tr("HÔTE:PORT où lire la boîte du destinataire.", "HOST:PORT where to read the recipient’s mailbox."),
    ),
]
TheirPassword = Annotated[
    Path | None,
    typer.Option("--their-password-file", help=tr("Fichier de son mot de passe.", "File of its password.")),
]
MARKS = {"GOOD": ("✓", "32"), "SKIPPED": ("·", "2"), "WARN": ("!", "33"), "BAD": ("✗", "31"), "AWAY": ("✗", "31")}


def register(app: typer.Typer) -> None:
    """Add the command."""
    text = tr(
        "Examiner le service, un partenaire, un aller-retour. Sortie 1 : à réparer ; 3 : ne répond pas.",
        "Examine the service, a partner, a round trip. Exit 1: to mend; 3: does not answer.",
    )
    app.command("doctor", help=text)(doctor)


def doctor(
    ctx: typer.Context,
    partner: Partner = "",
    login: Login = "",
    to: To = "",
    password_file: PasswordFile = None,
    their_imap: TheirImap = "",
    their_password_file: TheirPassword = None,
    as_json: Json = False,
) -> None:
    from directory import trustlist
    from gateway.admin.examination import exit_code
    from gateway.log import set_up
    from gateway.trust_space import kept_space

    console = here(ctx)
    config = console.config()
    set_up("error", config.log.format)
    if partner and trustlist.a_label(partner) is None:
        raise Said("cli.not_a_domain", USAGE, domain=partner[:254])
    trip = _trip(config, login, to, password_file, their_imap, their_password_file)
    space = kept_space(config, time.time)
    findings = asyncio.run(_partner(config, space, partner)) if partner else _own(config, space)
    if trip is not None:
        from gateway.admin.doctor_partner import send_and_wait

        findings = [*findings, send_and_wait(trip, _trust(config))]
    if as_json:
        told = [each.to_json(console.language) for each in findings]
        output.as_json({"healthy": not exit_code(findings), "findings": told})
    else:
        for each in findings:
            _show(each, console.language)
    raise typer.Exit(exit_code(findings))


def _own(config: Config, space: TrustSpace) -> list[Finding]:
    from gateway.admin.doctor import examine
    from gateway.cli.context import open_store
    from mailboxes.keys import WrongMasterKey
    from mailboxes.store import StoreError

    try:
        with open_store(config) as storage:
            return asyncio.run(examine(config, space, storage))
    except Said as full:
        return asyncio.run(
            examine(config, space, None, full.__cause__ if isinstance(full.__cause__, Exception) else full)
        )
    except (StoreError, WrongMasterKey, OSError) as problem:
        return asyncio.run(examine(config, space, None, problem))


async def _partner(config: Config, space: TrustSpace, domain: str) -> list[Finding]:
    from gateway.admin.doctor_partner import partner

    return await partner(config, space, domain)


def _trip(
    config: Config, login: str, to: str, password: Path | None, their_imap: str, their_password: Path | None
) -> Trip | None:
    """The test message asked for: its arrival is looked for at the recipient's, else the notice of it at ours."""
    from gateway.admin.doctor_partner import Mailbox, Trip

    if not (login or to or password):
        return None
    door, ours = config.submissions.listen, config.imaps.listen
    host, _, port = their_imap.rpartition(":")
    numeric = port.isascii() and port.isdigit()
    if not (login and to and password and door and ours) or bool(their_imap) is not bool(their_password and numeric):
        raise Said("cli.doctor_trip", USAGE)
    secret = _secret(password)
    if their_imap and their_password:
        awaited = Mailbox(host, int(port), to, _secret(their_password))
    else:
        awaited = Mailbox(_near(ours[0].host), ours[0].port, login, secret)
    return Trip(_near(door[0].host), door[0].port, login, secret, to, awaited)


def _near(host: str) -> str:
    return "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - read, not bound


def _secret(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as problem:
        raise Said("cli.cannot_read", USAGE, path=path, reason=problem) from None


def _trust(config: Config) -> ssl.SSLContext:
    """Our authorities only; a loopback address proves itself by the path, not by its name."""
    from gateway.trust_space import anchors

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    for path in anchors(config):
        context.load_verify_locations(cafile=str(path))
    return context


def _show(each: Finding, language: str) -> None:
    import sys

    sign, colour = MARKS[each.state.name]
    sentence, remedy = each.said("fr" if language == "fr" else "en")
    sys.stdout.write(f"{output.mark(sys.stdout, sign, colour)} {output.visible(sentence)}\n")
    if remedy:
        sys.stdout.write(f"    {output.visible(remedy)}\n")
