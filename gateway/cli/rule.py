"""Rules of a mailbox: forward inside the trust space, answer during an absence, acknowledge by itself; list, remove."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import errors, output
from gateway.cli.context import Desk, actor, opened, session
from gateway.cli.language import tr
from gateway.cli.output import Json, when

if TYPE_CHECKING:
    from mailboxes.rules import Judge

app = typer.Typer(no_args_is_help=True, help=tr("Les règles d’une boîte.", "Rules of a mailbox."))

TEXT_BYTES = 16 * 1024
KINDS = {"forward": "transfert", "absence": "absence", "acknowledge": "accusé automatique"}

Where = Annotated[str, typer.Argument(metavar="ADDRESS", help=tr("Adresse de la boîte.", "The mailbox's address."))]
AsPerson = Annotated[
    bool,
    typer.Option(
        "--session",
        help=tr(
            "Agir comme la personne de la session forte (account session), non comme l’exploitant.",
            "Act as the person of the strong session (account session), not as the operator.",
        ),
    ),
]


@app.command(
    help=tr(
        "Transférer ce qui arrive vers une adresse de l’espace de confiance.",
        "Forward what arrives to an address of the trust space.",
    )
)
def forward(
    ctx: typer.Context,
    address: Where,
    target: Annotated[str, typer.Argument(metavar="TARGET", help=tr("Où transférer.", "Where to."))],
    keep: Annotated[
        bool,
        typer.Option("--keep/--no-keep", help=tr("Garder une copie dans la boîte.", "Keep a copy in the mailbox.")),
    ] = True,
    as_person: AsPerson = False,
    as_json: Json = False,
) -> None:
    from mailboxes import rules

    def work(desk: Desk, unit: Any, who: str) -> int:
        domains = desk.people.rules.domains
        return rules.forward(unit, address, target, who, _judge(desk), keep=keep, domains=domains)

    _write(ctx, address, as_person, as_json, work)


@app.command(
    help=tr(
        "Répondre pendant une absence, une fois par semaine et par correspondant.",
        "Answer during an absence, once a week and correspondent.",
    )
)
def absence(
    ctx: typer.Context,
    address: Where,
    until: Annotated[
        str, typer.Option("--until", help=tr("Dernier jour, comme 2026-08-15.", "Last day, such as 2026-08-15."))
    ],
    since: Annotated[
        str, typer.Option("--from", help=tr("Premier jour ; aujourd’hui sinon.", "First day; today otherwise."))
    ] = "",
    text: Annotated[str, typer.Option("--text", help=tr("Le texte de la réponse.", "The text of the reply."))] = "",
    text_file: Annotated[
        str,
        typer.Option("--text-file", help=tr("Le même, d’un fichier ; - l’entrée.", "The same from a file; - input.")),
    ] = "",
    as_person: AsPerson = False,
    as_json: Json = False,
) -> None:
    from mailboxes import rules

    ends = _instant(until, end=True)
    said = _file(text_file) if text_file else text

    def work(desk: Desk, unit: Any, who: str) -> int:
        starts = _instant(since, end=False) if since else unit.now
        return rules.absence(unit, address, starts, ends, said, who)

    _write(ctx, address, as_person, as_json, work)


@app.command(
    help=tr(
        "Envoyer dès l’arrivée les accusés de lecture demandés.",
        "Send the reading receipts asked for as soon as mail arrives.",
    )
)
def acknowledge(ctx: typer.Context, address: Where, as_person: AsPerson = False, as_json: Json = False) -> None:
    from mailboxes import rules

    def work(desk: Desk, unit: Any, who: str) -> int:
        return rules.acknowledge(unit, address, who)

    _write(ctx, address, as_person, as_json, work)


@app.command("list", help=tr("Lister les règles d’une boîte, ou de toutes.", "List the rules of a mailbox, or of all."))
def list_(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="[ADDRESS]", help=tr("D’une boîte.", "Of one mailbox."))] = "",
    ended: Annotated[
        bool, typer.Option("--all", help=tr("Aussi celles qui ont pris fin.", "Those that ended, too."))
    ] = False,
    as_json: Json = False,
) -> None:
    with opened(ctx) as desk:
        _show(desk, address, as_json, ended=ended)


@app.command(help=tr("Retirer une règle.", "Remove a rule."))
def remove(
    ctx: typer.Context,
    address: Where,
    number: Annotated[int, typer.Argument(min=1, metavar="NUMBER")],
    as_person: AsPerson = False,
    as_json: Json = False,
) -> None:
    from mailboxes import rules

    def work(desk: Desk, unit: Any, who: str) -> None:
        rules.remove(unit, address, number, who)

    _write(ctx, address, as_person, as_json, work)


def _write(
    ctx: typer.Context, address: str, as_person: bool, as_json: bool, work: Callable[[Desk, Any, str], Any]
) -> None:
    with opened(ctx) as desk:
        who = _who(desk, address, as_person)
        desk.do(lambda unit: work(desk, unit, who))
        _show(desk, address, as_json)


def _who(desk: Desk, address: str, as_person: bool) -> str:
    """The actor: the operator, or the person of the strong session when that person may change this mailbox's rules."""
    if not as_person:
        return actor()
    from mailboxes import rules

    who = session(desk)
    desk.ask(lambda connection: rules.may_change(connection, address, who))
    return who.login


def _judge(desk: Desk) -> Judge:
    """The white list as the running service last took it up."""
    from gateway import policy_settings
    from gateway.redirecting import Judgement
    from gateway.trust_space import kept_space

    config, clock = desk.storage.config, desk.storage.clock
    space = kept_space(config, clock)
    judgement = Judgement(space.trusted, lambda: space.settings, lambda: policy_settings.recipient(config), clock)
    return judgement.written


def _show(desk: Desk, address: str, as_json: bool, *, ended: bool = False) -> None:
    from mailboxes import rules

    found: list[rules.Rule] = desk.ask(lambda connection: rules.listed(connection, address, ended=ended))
    if as_json:
        output.as_json([{**asdict(one), "owner": str(one.owner)} for one in found])
        return
    columns = tr(
        "boîte|n°|règle|vers|copie|du|au|écrite|par|finie|raison",
        "mailbox|no.|rule|to|copy|from|until|written|by|ended|reason",
    ).split("|")
    output.table(
        columns,
        [
            (
                one.owner,
                one.number,
                tr(KINDS[one.kind], one.kind),
                one.target,
                (tr("oui", "yes") if one.keep else tr("non", "no")) if one.kind == "forward" else "",
                when(one.starts_at),
                when(one.ends_at),
                when(one.created_at),
                one.created_by,
                when(one.ended_at),
                one.ended_why,
            )
            for one in found
        ],
    )


def _instant(text: str, *, end: bool) -> float:
    """A day or an instant in local time as epoch seconds; a day that ends, ends at midnight."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise errors.Said("cli.date_unreadable", errors.USAGE, text=output.visible(text)) from None
    if end and len(text) <= len("2026-08-15") and at.time() == time():
        at += timedelta(days=1)
    return at.timestamp()


def _file(path: str) -> str:
    try:
        raw = sys.stdin.buffer.read(TEXT_BYTES) if path == "-" else Path(path).read_bytes()[:TEXT_BYTES]
    except OSError as problem:
        raise errors.Said("cli.cannot_read", errors.USAGE, path=path, reason=problem) from None
    return raw.decode("utf-8", "replace")
