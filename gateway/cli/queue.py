"""Messages waiting to leave: list, show, retry, hold, release, drop."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.context import Desk, actor, here, opened
from gateway.cli.errors import Said, decision_text
from gateway.cli.language import tr
from gateway.cli.output import Json, Yes, when
from gateway.relay import desk as bureau
from gateway.relay.bodies import StoreBodies
from gateway.relay.desk import Row, Selection, Summary
from gateway.relay.outcomes import remembered
from mailboxes.commit import Unit
from policies.decision import Language

app = typer.Typer(no_args_is_help=True, help=tr("Les messages en attente de départ.", "Messages waiting to leave."))

Which = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID|MESSAGE]...",
        help=tr("Numéros de ligne ou identifiants de message.", "Row numbers or message identifiers."),
    ),
]
Domain = Annotated[str, typer.Option("--domain", help=tr("Domaine destinataire.", "Recipient domain."))]
Sender = Annotated[str, typer.Option("--from", help=tr("Adresse de l’expéditeur.", "Address of the sender."))]
Recipient = Annotated[str, typer.Option("--to", help=tr("Adresse du destinataire.", "Address of the recipient."))]
All = Annotated[bool, typer.Option("--all", help=tr("Toute la file.", "The whole queue."))]


@app.command("list", help=tr("Lister ce qui attend, ou les destinations.", "List what waits, or the destinations."))
def list_(
    ctx: typer.Context,
    domain: Domain = "",
    sender: Sender = "",
    recipient: Recipient = "",
    held: Annotated[
        bool, typer.Option("--held", help=tr("Seulement ce qui est retenu.", "Only what is held."))
    ] = False,
    destinations: Annotated[
        bool, typer.Option("--destinations", help=tr("Une ligne par destination.", "One line per destination."))
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help=tr("Lignes au plus.", "Lines at most."))] = 100,
    as_json: Json = False,
) -> None:
    chosen = Selection(domain=domain, sender=sender, recipient=recipient, held=True if held else None)
    with opened(ctx) as desk:
        if destinations:
            _show_destinations(desk.ask(bureau.summary), as_json=as_json)
            return
        now = desk.storage.clock()
        rows: list[Row] = desk.ask(lambda connection: bureau.rows(connection, chosen, now, limit=limit))
        total: int = desk.ask(lambda connection: bureau.count(connection, chosen))
    if as_json:
        output.as_json({"total": total, "rows": [row._asdict() for row in rows]})
        return
    columns = tr(
        "n°|message|destinataire|état|essais|prochain|raison",
        "no.|message|recipient|state|tries|next|reason",
    ).split("|")
    output.table(columns, [_cells(row) for row in rows])
    if not rows:
        output.remark(tr("Rien n’attend.", "Nothing waits."))
    if total > len(rows):
        output.line(tr(f"… {len(rows)} sur {total}", f"… {len(rows)} of {total}"))


def _cells(row: Row) -> Sequence[object]:
    return (row.id, row.message, row.recipient, _state(row), row.attempts, when(row.due_at), row.rule)


def _state(row: Row) -> str:
    french = {
        "waiting": "en attente",
        "carrying": "en cours",
        "spared": "destination en panne",
        "held": "retenu",
    }
    return tr(french[row.state], row.state)


def _show_destinations(found: list[Summary], *, as_json: bool) -> None:
    if as_json:
        output.as_json([line._asdict() for line in found])
        return
    columns = tr(
        "domaine|lignes|retenues|depuis|échecs|prochain essai|raison|réponse",
        "domain|rows|held|since|failures|next try|reason|answer",
    ).split("|")
    output.table(
        columns,
        [
            (
                line.domain,
                line.rows,
                line.held,
                when(line.oldest_at),
                line.failures,
                when(line.retry_at),
                line.rule,
                line.reply,
            )
            for line in found
        ],
    )


@app.command(help=tr("Tout ce qui est su d’une ligne ou d’un message.", "All that is known of a row or a message."))
def show(ctx: typer.Context, which: Which = None, as_json: Json = False) -> None:
    with opened(ctx) as desk:
        rows: list[Row] = []
        now = desk.storage.clock()
        for chosen in _selections(which, "", "", ""):
            rows += desk.ask(partial(_all_rows, chosen=chosen, now=now))
    if as_json:
        output.as_json([row._asdict() for row in rows])
    for row in rows if not as_json else ():
        output.facts(_facts(row, here(ctx).language))
        output.line("")
    if not rows:
        raise Said("cli.not_queued")


def _all_rows(connection: Any, chosen: Selection, now: float) -> list[Row]:
    return list(bureau.every_row(connection, chosen, now))


def _facts(row: Row, language: Language) -> list[tuple[str, object]]:
    names = tr(
        "n°|message|expéditeur|destinataire|taille|accepté|prochain essai|abandon|essais|état|raison|réponse",
        "no.|message|sender|recipient|size|accepted|next try|gives up|tries|state|reason|answer",
    ).split("|")
    values = (
        row.id,
        row.message,
        row.sender or "<>",
        row.recipient,
        row.size,
        when(row.accepted_at),
        when(row.due_at),
        when(row.expires_at),
        row.attempts,
        _state(row),
        decision_text(remembered(row.rule, row.domain), language) if row.rule else "",
        row.reply,
    )
    return list(zip(names, values, strict=True))


# actions


@app.command(help=tr("Réessayer tout de suite.", "Try again at once."))
def retry(
    ctx: typer.Context,
    which: Which = None,
    domain: Domain = "",
    sender: Sender = "",
    recipient: Recipient = "",
    everything: All = False,
    as_json: Json = False,
) -> None:
    _act(ctx, bureau.retry, _selections(which, domain, sender, recipient, everything=everything), as_json=as_json)


@app.command(help=tr("Retenir jusqu’à nouvel ordre.", "Keep until further notice."))
def hold(
    ctx: typer.Context,
    which: Which = None,
    domain: Domain = "",
    sender: Sender = "",
    recipient: Recipient = "",
    everything: All = False,
    as_json: Json = False,
) -> None:
    _act(ctx, bureau.hold, _selections(which, domain, sender, recipient, everything=everything), as_json=as_json)


@app.command(help=tr("Laisser repartir ce qui était retenu.", "Let go what was held."))
def release(
    ctx: typer.Context,
    which: Which = None,
    domain: Domain = "",
    sender: Sender = "",
    recipient: Recipient = "",
    everything: All = False,
    as_json: Json = False,
) -> None:
    _act(ctx, bureau.release, _selections(which, domain, sender, recipient, everything=everything), as_json=as_json)


@app.command(
    help=tr(
        "Retirer de la file ; l’expéditeur reçoit un avis de non-remise.",
        "Take out of the queue; the sender gets a notice of non-delivery.",
    )
)
def drop(
    ctx: typer.Context,
    which: Which = None,
    domain: Domain = "",
    sender: Sender = "",
    recipient: Recipient = "",
    everything: All = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    chosen = _selections(which, domain, sender, recipient, everything=everything)
    question = tr("Retirer ces messages de la file ?", "Take these messages out of the queue?")
    if not yes:
        output.confirm(question)
    _act(ctx, None, chosen, as_json=as_json)


Action = Callable[[Unit, Sequence[int], str], int]


def _act(ctx: typer.Context, action: Action | None, chosen: list[Selection], *, as_json: bool) -> None:
    """Run an action chunk by chunk, showing how far it is; ``None`` is to drop."""
    with opened(ctx) as desk:
        who = actor()
        work = action or partial(_drop, StoreBodies(desk.storage.store))
        ids = [number for one in chosen for number in _ids(desk, one)]
        done = 0
        with _progress(len(ids)) as advance:
            for start in range(0, len(ids), bureau.PAGE):
                part = ids[start : start + bureau.PAGE]
                done += desk.do(lambda unit, part=part: work(unit, part, who))
                advance(len(part))
    if as_json:
        output.as_json({"selected": len(ids), "done": done})
    elif ids:
        output.line(tr(f"{done} ligne(s) sur {len(ids)}", f"{done} row(s) of {len(ids)}"))
        if done < len(ids):
            output.line(here(ctx).say("cli.queue_untouched"))
    if not ids:
        raise Said("cli.not_queued")
    if not done:
        raise typer.Exit(1)


def _drop(bodies: StoreBodies, unit: Unit, ids: Sequence[int], who: str) -> int:
    return bureau.drop(unit, bodies, ids, who)


def _ids(desk: Desk, chosen: Selection) -> list[int]:
    found: list[int] = desk.ask(
        lambda connection: [number for part in bureau.chunks(connection, chosen) for number in part]
    )
    return found


class _progress:  # noqa: N801 - reads as a statement
    """A bar on a terminal when there is much to do; silence in a pipe."""

    def __init__(self, total: int) -> None:
        self._bar: Any = None
        if total > bureau.PAGE and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True))
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Callable[[int], None]:
        if self._bar is None:
            return lambda count: None
        self._bar.start()
        return lambda count: self._bar.advance(self._task, count)

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _selections(
    which: list[str] | None, domain: str, sender: str, recipient: str, *, everything: bool = False
) -> list[Selection]:
    """What the words on the command line choose; a usage error when they choose nothing."""
    rest = Selection(domain=domain, sender=sender, recipient=recipient)
    if which:
        numbers = tuple(int(word) for word in which if word.isascii() and word.isdigit() and len(word) < 16)
        messages = [word for word in which if not (word.isascii() and word.isdigit() and len(word) < 16)]
        found = [Selection(message, domain, sender, recipient) for message in messages]
        return found + ([Selection("", domain, sender, recipient, numbers)] if numbers else [])
    if rest == Selection() and not everything:
        raise typer.BadParameter(
            tr(
                "dites lesquels : numéros, messages, --domain, --from, --to, ou --all",
                "say which: numbers, messages, --domain, --from, --to, or --all",
            )
        )
    return [rest]
