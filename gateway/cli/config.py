"""The configuration: check it, show what is in force, create the operator's key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import errors, output
from gateway.cli.context import here
from gateway.cli.language import tr
from gateway.cli.output import Json, Yes
from gateway.config import ConfigError, Fault, absent, missing, show

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mailboxes.commit import Unit
    from policies.decision import Language

app = typer.Typer(no_args_is_help=True, help=tr("La configuration.", "The configuration."))


@app.command(
    help=tr("Dire ce qui est faux, et ce qui manque pour servir.", "Say what is wrong, and what is missing to serve.")
)
def check(
    ctx: typer.Context,
    as_json: Json = False,
    ready: Annotated[
        bool,
        typer.Option(
            "--ready", help=tr("Échouer aussi s’il manque quelque chose.", "Fail too when something is missing.")
        ),
    ] = False,
) -> None:
    console = here(ctx)
    try:
        config = console.config()
    except ConfigError as problem:
        if not as_json:
            raise
        output.as_json({"valid": False, "faults": [_fault(fault, console.language) for fault in problem.faults]})
        raise typer.Exit(errors.USAGE) from None
    lacking, away = missing(config), absent(config)
    if as_json:
        said = {"missing": lacking, "absent": away}
        told = {name: [_fault(fault, console.language) for fault in faults] for name, faults in said.items()}
        output.as_json({"valid": True, **told})
    else:
        told_of = "cli.config_lacks" if ready and (lacking or away) else "cli.config_valid"
        output.line(console.say(told_of, file=config.source))
        for fault in (*lacking, *away):
            output.line(f"  {errors.fault_text(fault, console.language)}")
    if ready and (lacking or away):
        raise typer.Exit(errors.REFUSED)


def _fault(fault: Fault, language: Language) -> dict[str, object]:
    return {
        "file": fault.file,
        "line": fault.line,
        "key": fault.key,
        "fault": fault.sentence,
        "problem": fault.says(language),
        "remedy": fault.advises(language),
    }


@app.command(
    "show", help=tr("Montrer les valeurs en vigueur, secrets masqués.", "Show the values in force, secrets masked.")
)
def show_values(
    ctx: typer.Context,
    section: Annotated[str, typer.Argument(help=tr("Une seule section.", "One section only."))] = "",
    as_json: Json = False,
) -> None:
    from gateway.config_document import literal

    values = show(here(ctx).config())
    if section and section not in values:
        raise errors.Said("cli.no_section", errors.USAGE, section=section, names=", ".join(values))
    chosen = {section: values[section]} if section else values
    if as_json:
        output.as_json(chosen)
        return
    for name, table in chosen.items():
        for item in table if isinstance(table, list) else [table]:
            output.line(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
            for key, value in item.items():
                output.line(f"{key} = {literal(value)}")
            output.line("")


@app.command(help=tr("Écrire une configuration commentée.", "Print a commented configuration."))
def default(ctx: typer.Context) -> None:
    from gateway.config_document import render

    typer.echo(render(), nl=False)


@app.command("master-key", help=tr("Créer la clé maîtresse de l’opérateur.", "Create the operator's master key."))
def master_key(ctx: typer.Context, file: Annotated[Path, typer.Argument()]) -> None:
    from mailboxes.keys import create_master_key_file

    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        create_master_key_file(file)
    except FileExistsError:
        raise errors.Said("cli.file_exists", path=file) from None
    except OSError as problem:
        raise errors.Said("cli.cannot_write", errors.UNAVAILABLE, path=file, reason=problem) from None
    output.line(here(ctx).say("cli.master_key_written", path=file))


@app.command(
    "rotate-key",
    help=tr(
        "Remplacer la clé maîtresse : service arrêté, toutes les clés de boîte sont rescellées.",
        "Replace the master key: with the service stopped, every mailbox key is wrapped anew.",
    ),
)
def rotate_key(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help=tr("Fichier de la nouvelle clé.", "File of the new key."))],
    yes: Yes = False,
) -> None:
    from gateway.cli.context import actor, open_store
    from gateway.medical.register_key import RegisterKey
    from mailboxes.keys import create_master_key_file
    from policies.events import Event, Kind

    console = here(ctx)
    if not yes:
        output.confirm(console.say("cli.rotation_asked"))

    with open_store(console.config()) as storage:
        if file.exists():
            raise errors.Said("cli.file_exists", path=file)
        new = create_master_key_file(file)
        done = Event(Kind.RELOADED, actor=actor(), detail={"outcome": "master key replaced", "reason": file.name})

        def rewrap(unit: Unit) -> int:
            unit.emit(done)
            RegisterKey(storage.master).rewrap(unit.connection, new)
            return storage.keyring.rewrap(unit.connection, new)

        count = storage.committer.run_sync(rewrap)
    output.line(console.say("cli.rotated", path=file, count=count))


@app.command(
    "export-keys",
    help=tr(
        "Écrire les clés scellées à côté des sauvegardes : ce qui est fermé pour toujours l’est alors aussi dans celles-ci.",
        "Write the wrapped keys beside the backups: what was closed for good is then closed in them too.",
    ),
)
def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help=tr("Remplacé s’il existe.", "Replaced when it exists."))],
) -> None:
    from gateway.cli.context import open_store
    from gateway.medical.register_key import RegisterKey
    from gateway.supervisor import write_atomically
    from mailboxes.key_export import export_keys

    console = here(ctx)
    with open_store(console.config()) as storage:

        def wrapped(connection: Connection) -> bytes:
            register = RegisterKey(storage.master).wrapped(connection)
            return export_keys(connection, storage.clock(), {_REGISTER: register} if register else None)

        data = storage.reading.run_sync(wrapped)
    try:
        write_atomically(file, data.decode("ascii"))
    except OSError as problem:
        raise errors.Said("cli.cannot_write", errors.UNAVAILABLE, path=file, reason=problem) from None
    output.line(console.say("cli.keys_exported", path=file))


_REGISTER = "patient register"


@app.command(
    "import-keys",
    help=tr(
        "Après le retour d’une sauvegarde, remettre les clés scellées les plus récentes : service arrêté.",
        "After a backup was put back, put the newest wrapped keys in place: with the service stopped.",
    ),
)
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help=tr("Fait par export-keys.", "Made by export-keys."))],
    yes: Yes = False,
) -> None:
    from gateway import compose
    from gateway.cli.context import actor
    from gateway.medical.register_key import RegisterKey
    from mailboxes.key_export import Outdated, import_keys
    from mailboxes.keys import Keyring
    from mailboxes.register import bury_keyless
    from mailboxes.store import Corrupted
    from policies.events import Event, Kind

    console = here(ctx)
    try:
        data = file.read_bytes()
    except OSError as problem:
        raise errors.Said("cli.cannot_read", errors.USAGE, path=file, reason=problem) from None
    if not yes:
        output.confirm(console.say("cli.rotation_asked"))
    config = console.config()
    master = compose.master_key(config)
    done = Event(Kind.RELOADED, actor=actor(), detail={"outcome": "keys replaced", "reason": file.name})

    def replace(unit: Unit) -> int:
        unit.emit(done)
        count, also = import_keys(unit.connection, data)
        Keyring(master, lambda: 0.0).open(unit.connection, unit.now)
        if _REGISTER in also:
            RegisterKey(master).restore(unit.connection, also[_REGISTER])
        bury_keyless(unit, actor())
        return count

    try:
        count = compose.beside_the_keys(config, replace)
    except Outdated:
        raise errors.Said("cli.keys_outdated", path=file) from None
    except (ValueError, Corrupted):
        raise errors.Said("cli.keys_unreadable", errors.USAGE, path=file) from None
    output.line(console.say("cli.keys_imported", count=count))
