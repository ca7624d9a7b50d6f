"""Unsolicited mail: cases, penalties, suspensions of sending (TOU-B05 to TOU-B10, TOU-F03, TOU-F04)."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from gateway.cli import output
from gateway.cli.context import Desk, actor, opened
from gateway.cli.errors import USAGE, Said, word
from gateway.cli.language import chosen, tr
from gateway.cli.output import Json, Reason, when
from gateway.sanctions import letters, reports, rows, statement
from gateway.sanctions.cases import ADMINISTRATOR, LETTER_OF, OPERATOR, Cases, Report
from gateway.sanctions.rows import Dossier, Suspended
from gateway.sanctions.suspensions import LIVE, Subject, of_structure
from gateway.sanctions.wiring import cases
from mailboxes import register
from mailboxes.accounts import refuse
from policies.address import AddressError, parse
from policies.penalties import CaseState

app = typer.Typer(
    no_args_is_help=True,
    help=tr(
        "Envois non sollicités : dossiers, pénalités, suspensions.", "Unsolicited mail: cases, penalties, suspensions."
    ),
)
DAY = 86400.0
_AMOUNT = re.compile(r"([0-9]{1,7})(?:[.,]([0-9]{2}))?", re.ASCII)
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])", re.ASCII)

Number = Annotated[int, typer.Argument(metavar="CASE", min=1, help=tr("Numéro du dossier.", "Number of the case."))]
Who = Annotated[str, typer.Argument(metavar="ADDRESS", help=tr("Adresse de l’expéditeur.", "The sender's address."))]
Recipients = Annotated[
    int | None,
    typer.Option("--recipients", min=1, max=1_000_000, help=tr("Nombre de destinataires.", "Number of recipients.")),
]


class Source(StrEnum):
    """Who says so."""

    ADMINISTRATOR = ADMINISTRATOR
    OPERATOR = OPERATOR


# cases


@app.command("list", help=tr("Les dossiers et les suspensions.", "Cases and suspensions."))
def list_(
    ctx: typer.Context,
    waiting: Annotated[bool, typer.Option("--open", help=tr("Seulement à juger.", "Only those to be judged."))] = False,
    as_json: Json = False,
) -> None:
    state = CaseState.OPEN if waiting else ""
    with opened(ctx) as desk:
        found = desk.ask(lambda connection: rows.listed(connection, state=state))
        suspended = [] if waiting else desk.ask(lambda connection: rows.suspensions(connection, states=LIVE))
    if as_json:
        output.as_json({"cases": [_data(one) for one in found], "suspensions": [asdict(one) for one in suspended]})
        return
    columns = tr(
        "dossier|expéditeur|état|étape|destinataires|montant|payé|source|ouvert",
        "case|sender|state|step|recipients|amount|paid|source|opened",
    ).split("|")
    output.table(columns, [_line(one) for one in found])
    if suspended:
        output.line("")
        names = tr("suspension|expéditeur|cause|état|jusqu’au|motif", "suspension|sender|cause|state|until|ground")
        output.table(names.split("|"), [_suspension(one) for one in suspended])


def _line(found: Dossier) -> tuple[Any, ...]:
    case, language = found.case, chosen()
    return (
        case.number,
        found.subject,
        word("case", case.state, language),
        word("step", str(int(case.step)), language) if case.step else "",
        case.recipients,
        letters.euros(case.amount, language) if case.amount else "",
        when(found.paid_at),
        word("source", found.source, language),
        when(found.opened_at),
    )


def _suspension(one: Suspended) -> tuple[Any, ...]:
    until = one.until or (one.seen_at + one.remaining if one.remaining else 0)
    return (
        one.number,
        one.subject,
        one.cause,
        word("suspension", one.state, chosen()),
        when(until),
        one.ground,
    )


def _data(found: Dossier) -> dict[str, Any]:
    """A case as one flat object; ``amount`` is in cents."""
    case = asdict(found.case)
    rest = {name: value for name, value in asdict(found).items() if name != "case"}
    return {**case, "step": int(found.case.step), **rest}


@app.command(help=tr("Tout ce qui est su d’un dossier.", "All that is known of a case."))
def show(ctx: typer.Context, number: Number, as_json: Json = False) -> None:
    with opened(ctx) as desk:
        _show(desk, number, as_json)


def _show(desk: Desk, number: int, as_json: bool, **more: Any) -> None:
    found, acts = desk.ask(lambda connection: (rows.get(connection, number), rows.acts(connection, case=number)))
    contact = desk.ask(lambda connection: rows.contact(connection, found.mailbox_id))
    if as_json:
        output.as_json({**_data(found), "contact": contact, "acts": [asdict(act) for act in acts], **more})
        return
    names = tr(
        "dossier|expéditeur|état|étape|destinataires|montant|payé|source|ouvert|message|signalé par|contact",
        "case|sender|state|step|recipients|amount|paid|source|opened|message|reported by|contact",
    ).split("|")
    output.facts(zip(names, (*_line(found), found.message, found.reporter, contact), strict=True))
    output.line("")
    columns = tr("quand|qui|quoi|facturé|reçu|raison", "when|who|what|charged|received|reason").split("|")
    lines = [(when(act.at), act.actor, act.what, _sum(act.charged), _sum(act.received), act.reason) for act in acts]
    output.table(columns, lines)


def _sum(cents: int) -> str:
    return letters.euros(cents, chosen()) if cents else ""


@app.command("open", help=tr("Ouvrir un dossier, à juger ensuite.", "Open a case, to be judged afterwards."))
def open_(
    ctx: typer.Context,
    address: Who,
    reason: Reason = "",
    message: Annotated[
        str,
        typer.Option(
            "--message",
            help=tr("Identifiant du message, ou son Message-ID.", "Identifier of the message, or its Message-ID."),
        ),
    ] = "",
    recipients: Recipients = None,
    source: Annotated[Source, typer.Option("--source", help=tr("Qui le dit.", "Who says so."))] = Source.ADMINISTRATOR,
    as_json: Json = False,
) -> None:
    if not message and recipients is None:
        raise Said("sanction.recipients", USAGE)

    def work(unit: Any, own: Cases) -> tuple[Dossier, bool]:
        subject, mailbox = _subject(desk, unit.connection, address)
        if message:
            report = reports.of_sender(unit.connection, message, mailbox, subject.key)
        else:
            report = Report(subject.key, subject.mailbox_id, 0)
        return own.open(unit, _completed(report, recipients, source), actor(), reason)

    with opened(ctx) as desk:
        found, new = desk.do(lambda unit: work(unit, cases(desk.storage.config)))
        if not new:
            fr, en = word("case", found.case.state, "fr"), word("case", found.case.state, "en")
            raise refuse("sanction.already_judged", number=found.case.number, state_fr=fr, state_en=en)
        _show(desk, found.case.number, as_json)


def _completed(report: Report, recipients: int | None, source: Source) -> Report:
    from dataclasses import replace

    return replace(report, recipients=report.recipients if recipients is None else recipients, source=source.value)


def _subject(desk: Desk, connection: Connection, address: str) -> tuple[Subject, register.Mailbox | None]:
    """Whose sending: a mailbox of ours, by any of its addresses, or a partner's address."""
    try:
        written = parse(address)
    except AddressError as problem:
        raise Said("cli.bad_address", USAGE, address=address[:254], problem=problem.word) from None
    if written.domain not in desk.storage.config.operator.domains:
        return Subject(written.key), None
    found = register.get(connection, address)
    return Subject(found.address.key, found.id), found


def _judge(ctx: typer.Context, number: int, as_json: bool, work: Callable[[Any, Cases], Any]) -> None:
    with opened(ctx) as desk:
        desk.do(lambda unit: work(unit, cases(desk.storage.config)))
        _show(desk, number, as_json)


@app.command(
    help=tr(
        "Confirmer : l’étape suivante de l’échelle s’applique, l’expéditeur est averti.",
        "Confirm: the next step of the ladder applies, the sender is told.",
    )
)
def confirm(
    ctx: typer.Context, number: Number, reason: Reason, recipients: Recipients = None, as_json: Json = False
) -> None:
    _judge(ctx, number, as_json, lambda unit, own: own.confirm(unit, number, reason, actor(), recipients))


@app.command(help=tr("Écarter : rien n’est retenu.", "Dismiss: nothing is held against the sender."))
def dismiss(ctx: typer.Context, number: Number, reason: Reason, as_json: Json = False) -> None:
    _judge(ctx, number, as_json, lambda unit, own: own.dismiss(unit, number, reason, actor()))


@app.command(help=tr("Changer le montant.", "Change the amount."))
def adjust(
    ctx: typer.Context,
    number: Number,
    reason: Reason,
    amount: Annotated[str, typer.Option("--amount", help=tr("En euros, comme 60.50.", "In euros, such as 60.50."))],
    as_json: Json = False,
) -> None:
    cents = _cents(amount)
    _judge(ctx, number, as_json, lambda unit, own: own.adjust(unit, number, cents, reason, actor()))


def _cents(text: str) -> int:
    """Exactly what was written, never through a float."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise Said("sanction.amount", USAGE, value=text[:40])
    return int(found[1]) * 100 + int(found[2] or 0)


@app.command(
    help=tr(
        "Annuler un dossier confirmé : il ne compte plus, les suivants descendent.",
        "Cancel a confirmed case: it no longer counts, later ones go down.",
    )
)
def cancel(ctx: typer.Context, number: Number, reason: Reason, as_json: Json = False) -> None:
    with opened(ctx) as desk:
        _, changes = desk.do(lambda unit: cases(desk.storage.config).cancel(unit, number, reason, actor()))
        _show(desk, number, as_json, later=[{**asdict(one), "step": int(one.step)} for one in changes])
        for one in changes if not as_json else ():
            told = _sum(one.refund) or tr("rien", "nothing")
            amount = letters.euros(one.amount, chosen())
            output.line(
                tr(
                    f"dossier {one.number} : étape {int(one.step)}, {amount} ; à rembourser : {told}",
                    f"case {one.number}: step {int(one.step)}, {amount}; to be given back: {told}",
                )
            )


@app.command(
    help=tr(
        "Enregistrer un paiement ; quand plus rien n’est dû, la boîte envoie de nouveau.",
        "Record a payment; when nothing more is due, the mailbox sends again.",
    )
)
def paid(
    ctx: typer.Context,
    number: Number,
    reference: Annotated[
        str, typer.Option("--reference", help=tr("Référence du paiement.", "Reference of the payment."))
    ],
    as_json: Json = False,
) -> None:
    _judge(ctx, number, as_json, lambda unit, own: own.pay(unit, number, reference, actor()))


@app.command(
    help=tr(
        "Imprimer l’avis d’un dossier, pour la poste : rien n’est envoyé hors de l’espace de confiance.",
        "Print the notice of a case, for the post: nothing is sent outside the trust space.",
    )
)
def letter(ctx: typer.Context, number: Number, as_json: Json = False) -> None:
    with opened(ctx) as desk:
        found = desk.ask(lambda connection: rows.get(connection, number))
        if found.case.state is not CaseState.CONFIRMED:
            raise Said("sanction.no_letter", number=number)
        told = desk.ask(lambda connection: cases(desk.storage.config).letter(connection, found))
        text = letters.text(LETTER_OF[found.case.step], told.parameters)
        contact = desk.ask(lambda connection: rows.contact(connection, found.mailbox_id))
    if as_json:
        output.as_json({"case": number, "to": found.subject, "contact": contact, "text": text})
        return
    for each in text.split("\n"):
        output.line(each)


@app.command(
    "statement",
    help=tr("L’état d’un mois, en CSV, pour la comptabilité.", "The statement of a month, as CSV, for accounting."),
)
def statement_(
    ctx: typer.Context,
    month: Annotated[str, typer.Argument(metavar="YYYY-MM")],
    to: Annotated[
        Path | None, typer.Option("--output", help=tr("Fichier à écrire, à créer.", "File to write, a new one."))
    ] = None,
) -> None:
    found = _MONTH.fullmatch(month)
    if found is None:
        raise Said("sanction.month", USAGE, value=month[:20])
    year, number = int(found[1]), int(found[2])
    first = datetime(year, number, 1).astimezone().timestamp()
    after = datetime(year + number // 12, number % 12 + 1, 1).astimezone().timestamp()
    with opened(ctx) as desk:
        text = desk.ask(lambda connection: statement.csv_of(connection, int(first), int(after)))
    if to is None:
        sys.stdout.write(text)
        return
    try:
        with to.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as problem:
        raise Said("cli.cannot_write", path=to, reason=problem) from None


# suspensions


@app.command(
    help=tr(
        "Avertir d’un manquement ; passé le délai, suspendre les envois s’il persiste. D’un partenaire : bloquer.",
        "Tell of a breach; once the delay is over, suspend sending if it persists. A partner's: block.",
    )
)
def suspend(
    ctx: typer.Context,
    reason: Reason,
    address: Annotated[str, typer.Argument(metavar="[ADDRESS]")] = "",
    remedy: Annotated[
        str, typer.Option("--remedy", help=tr("Comment remédier au manquement.", "How to put the breach right."))
    ] = "",
    immediate: Annotated[
        bool,
        typer.Option(
            "--immediate",
            help=tr(
                "Tout de suite : sécurité ou confidentialité en jeu, ou manquement irréparable.",
                "At once: security or confidentiality is at stake, or the breach cannot be put right.",
            ),
        ),
    ] = False,
    structure: Annotated[
        str,
        typer.Option(
            "--structure", help=tr("Toutes les boîtes de cette structure.", "All mailboxes of this structure.")
        ),
    ] = "",
    days: Annotated[
        int,
        typer.Option(
            "--days", min=0, max=3650, help=tr("Durée du blocage d’un partenaire.", "How long a partner's is blocked.")
        ),
    ] = 0,
    as_json: Json = False,
) -> None:
    if bool(address) is bool(structure):
        raise Said("sanction.who", USAGE)

    def work(unit: Any) -> None:
        own = cases(desk.storage.config).suspensions
        for one in _meant(desk, unit.connection, address, structure):
            if not one.mailbox_id:
                if not days:
                    raise Said("sanction.elsewhere", USAGE, address=one.key)
                own.block(unit, one.key, days * DAY, reason, actor())
            elif immediate:
                own.at_once(unit, one, reason, actor(), structure)
            else:
                _announce(unit, own, one, reason, remedy, structure)

    with opened(ctx) as desk:
        if not reason.strip():
            raise refuse("lifecycle.reason_missing")
        desk.do(work)
        _show_suspensions(desk, as_json)


def _announce(unit: Any, own: Any, one: Subject, reason: str, remedy: str, structure: str) -> None:
    running = rows.suspensions(unit.connection, subject=one.key, states=LIVE)
    if not remedy.strip() and not any(each.cause == rows.PRECAUTION for each in running):
        raise Said("sanction.way", USAGE)
    own.announce(unit, one, reason, remedy, actor(), structure)


@app.command(help=tr("Lever une suspension, ou y renoncer.", "Lift a suspension, or give up one that was announced."))
def lift(
    ctx: typer.Context,
    reason: Reason,
    address: Annotated[str, typer.Argument(metavar="[ADDRESS]")] = "",
    structure: Annotated[
        str,
        typer.Option(
            "--structure", help=tr("Toutes les boîtes de cette structure.", "All mailboxes of this structure.")
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    if bool(address) is bool(structure):
        raise Said("sanction.who", USAGE)

    def work(unit: Any) -> None:
        for one in _meant(desk, unit.connection, address, structure):
            cases(desk.storage.config).suspensions.lift(unit, one.key, reason, actor())

    with opened(ctx) as desk:
        if not reason.strip():
            raise refuse("lifecycle.reason_missing")
        desk.do(work)
        _show_suspensions(desk, as_json)


def _meant(desk: Desk, connection: Connection, address: str, structure: str) -> list[Subject]:
    if address:
        return [_subject(desk, connection, address)[0]]
    found = of_structure(connection, structure)
    if not found:
        raise refuse("sanction.structure_empty", reference=structure[:64])
    return found


def _show_suspensions(desk: Desk, as_json: bool) -> None:
    found = desk.ask(lambda connection: rows.suspensions(connection, states=LIVE))
    if as_json:
        output.as_json([asdict(one) for one in found])
        return
    names = tr("suspension|expéditeur|cause|état|jusqu’au|motif", "suspension|sender|cause|state|until|ground")
    output.table(names.split("|"), [_suspension(one) for one in found])
