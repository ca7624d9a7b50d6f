"""Autoconfig: what mail programs and the DNS need to find the doors by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import output
from gateway.cli.context import here
from gateway.cli.errors import UNAVAILABLE, Said
from gateway.cli.language import tr
from gateway.cli.output import Json

if TYPE_CHECKING:
    from gateway.admin.autoconfig import Door
    from gateway.config import Config

Folder = Annotated[
    Path | None,
    typer.Argument(help=tr("Dossier où écrire les fichiers.", "Folder to write the files to."), show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    text = tr(
        "Ce que les logiciels de messagerie et le DNS doivent savoir pour trouver les portes ; avec un dossier, écrire "
        "config-v1.1.xml (Thunderbird), caducee.mobileconfig (iPhone, iPad, Mac) et caducee.zone (DNS).",
        "What mail programs and the DNS must know to find the doors; with a folder, write config-v1.1.xml "
        "(Thunderbird), caducee.mobileconfig (iPhone, iPad, Mac) and caducee.zone (DNS).",
    )
    app.command("autoconfig", help=text)(autoconfig)


def autoconfig(ctx: typer.Context, folder: Folder = None, as_json: Json = False) -> None:
    from gateway.admin.autoconfig import NoDoor, both_ways, doors, records

    config = here(ctx).config()
    found = doors(config)
    try:
        both_ways(found)
    except NoDoor as missing:
        raise Said(f"autoconfig.no_{missing.protocol}") from None
    _certified(config)
    written = _write(config, folder) if folder is not None else []
    wanted = records(config)
    if as_json:
        output.as_json(
            {
                "doors": [
                    {"service": door.service, "host": door.host, "port": door.port, "tls": _tls(door)} for door in found
                ],
                "records": [str(record) for record in wanted],
                "files": [str(path) for path in written],
            }
        )
        return
    columns = ("", tr("serveur", "server"), "port", tr("sécurité", "security"))
    output.table(columns, [(door.protocol.upper(), door.host, door.port, _tls(door)) for door in found])
    for line in ("", *(str(record) for record in wanted), *(["", *map(str, written)] if written else [])):
        output.line(line)


def _tls(door: Door) -> str:
    return "TLS" if door.implicit else "STARTTLS"


def _certified(config: Config) -> None:
    """Mail programs refuse a server whose certificate does not name it: whoever hands out its name must know before."""
    from gateway.expiry_watch import own_certificates
    from gateway.smtp.chain import dns_names

    host = config.operator.hostname
    for certificate in own_certificates(config, sending=False):
        if host.lower() not in (names := dns_names(certificate)):
            raise Said("autoconfig.not_certified", host=host, names=", ".join(names) or "-")


def _write(config: Config, folder: Path) -> list[Path]:
    from gateway.admin.autoconfig import apple, mozilla, records

    files = {
        "config-v1.1.xml": mozilla(config),
        "caducee.mobileconfig": apple(config),
        "caducee.zone": "".join(f"{record}\n" for record in records(config)).encode("ascii"),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, octets in files.items():
            (folder / name).write_bytes(octets)
    except OSError as problem:
        raise Said("cli.cannot_write", UNAVAILABLE, path=folder, reason=problem) from None
    return [folder / name for name in files]
