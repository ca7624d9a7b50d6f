"""Mailboxes: open, list, suspend, resume, close, delete; members, aliases, certificates, quota."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import _transfer, errors, output
from gateway.cli.context import Desk, actor, here, opened
from gateway.cli.language import tr
from gateway.cli.output import Json, Reason, Yes, when
from gateway.config_units import Unreadable, read_size
from mailboxes import calling, lookup, register
from mailboxes.register import Mailbox, NewMailbox
from policies.lifecycle import Activity, Step, activity
from policies.values import BalState, BalType

app = typer.Typer(no_args_is_help=True, help=tr("Les boîtes.", "Mailboxes."))
member = typer.Typer(no_args_is_help=True, help=tr("Les membres d’une boîte.", "Members of a mailbox."))
alias = typer.Typer(no_args_is_help=True, help=tr("Les autres adresses d’une boîte.", "Other addresses of a mailbox."))
certificate = typer.Typer(
    no_args_is_help=True, help=tr("Les certificats d’une boîte applicative.", "Certificates of an APP mailbox.")
)
app.add_typer(member, name="member")
app.add_typer(alias, name="alias")
app.add_typer(certificate, name="certificate")

Where = Annotated[str, typer.Argument(metavar="ADDRESS", help=tr("Adresse de la boîte.", "The mailbox's address."))]
Person = Annotated[str, typer.Argument(metavar="LOGIN", help=tr("Identifiant de la personne.", "The person's login."))]
Size = Annotated[str, typer.Option("--quota", help=tr("Comme 5GiB ; 0 sans limite.", "Such as 5GiB; 0 for no limit."))]


class Kind(StrEnum):
    """Types as an option."""

    PER = "PER"
    ORG = "ORG"
    APP = "APP"
    CAB = "CAB"


def _attributes(**given: Any) -> dict[str, Any]:
    """Only what was asked for."""
    return {name: value for name, value in given.items() if value is not None}


Description = Annotated[str | None, typer.Option("--description")]
Service = Annotated[
    str | None, typer.Option("--service", help=tr("Service de rattachement.", "Service it belongs to."))
]
Responsible = Annotated[
    str | None, typer.Option("--responsible", help=tr("Responsable, jamais publié.", "Person in charge, never public."))
]
Phone = Annotated[str | None, typer.Option("--phone")]
RedList = Annotated[
    bool | None,
    typer.Option(
        "--red-list/--public", help=tr("Liste rouge : absente de l’annuaire.", "Red list: not in the directory.")
    ),
]
Paperless = Annotated[bool | None, typer.Option("--paperless/--paper", help=tr("Zéro papier.", "No paper wanted."))]
Rank = Annotated[
    int | None, typer.Option("--rank", min=0, max=1000, help=tr("1 : boîte préférentielle.", "1: preferred mailbox."))
]

Organisation = Annotated[
    str | None, typer.Option("--organisation", help=tr("Nom de la structure.", "Name of the structure."))
]
Street = Annotated[
    str | None,
    typer.Option("--street", help=tr("Lieu d’exercice : numéro et voie.", "Place of exercise: number, street.")),
]
PostalCode = Annotated[str | None, typer.Option("--postal-code")]
Town = Annotated[str | None, typer.Option("--town")]


@app.command(help=tr("Ouvrir une boîte.", "Open a mailbox."))
def create(
    ctx: typer.Context,
    address: Where,
    kind: Annotated[Kind, typer.Option("--type", help=tr("Type de boîte.", "Type of mailbox."))],
    owner: Annotated[
        str,
        typer.Option(
            "--owner", help=tr("Identifiant du professionnel (PER, CAB).", "Login of the professional (PER, CAB).")
        ),
    ] = "",
    structure: Annotated[
        str, typer.Option("--structure", help=tr("1+FINESS ou 3+SIRET (ORG, APP).", "1+FINESS or 3+SIRET (ORG, APP)."))
    ] = "",
    quota: Size = "",
    description: Description = None,
    service: Service = None,
    responsible: Responsible = None,
    phone: Phone = None,
    red_list: RedList = None,
    paperless: Paperless = None,
    rank: Rank = None,
    organisation: Organisation = None,
    street: Street = None,
    postal_code: PostalCode = None,
    town: Town = None,
    as_json: Json = False,
) -> None:
    attributes = _attributes(
        description=description,
        service=service,
        responsible=responsible,
        phone=phone,
        red_list=red_list,
        paperless=paperless,
        rank=rank,
        organisation=organisation,
        street=street,
        postal_code=postal_code,
        town=town,
    )
    size = _size(quota) if quota else None
    new = NewMailbox(address, BalType(kind), owner, structure, size, attributes)
    _change(ctx, address, lambda desk, unit: desk.people.register.open(unit, new, actor()), as_json)
    if not red_list and not as_json:
        output.line(here(ctx).say("mailbox.published", address=address))


@app.command("set", help=tr("Changer ce qui peut changer.", "Change what may change."))
def set_(
    ctx: typer.Context,
    address: Where,
    description: Description = None,
    service: Service = None,
    responsible: Responsible = None,
    phone: Phone = None,
    red_list: RedList = None,
    paperless: Paperless = None,
    rank: Rank = None,
    organisation: Organisation = None,
    street: Street = None,
    postal_code: PostalCode = None,
    town: Town = None,
    as_json: Json = False,
) -> None:
    given = _attributes(
        description=description,
        service=service,
        responsible=responsible,
        phone=phone,
        red_list=red_list,
        paperless=paperless,
        rank=rank,
        organisation=organisation,
        street=street,
        postal_code=postal_code,
        town=town,
    )
    _change(
        ctx, address, lambda desk, unit: desk.people.register.set_attributes(unit, address, given, actor()), as_json
    )


@app.command("list", help=tr("Lister les boîtes.", "List the mailboxes."))
def list_(
    ctx: typer.Context,
    idle: Annotated[
        bool,
        typer.Option(
            "--idle",
            help=tr(
                "Seulement celles dont personne ne se sert : titulaire à prévenir, ou boîte à fermer.",
                "Only those nobody uses: to warn about, or to close.",
            ),
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    with opened(ctx) as desk:
        found: list[Mailbox] = desk.ask(register.listed)
        judged = [(item, _activity(desk, item)) for item in found]
    if idle:
        judged = [(item, activity) for item, activity in judged if activity is not Activity.USED]
    if as_json:
        output.as_json([{**_data(item), "activity": activity} for item, activity in judged])
        return
    columns = tr(
        "adresse|type|état|liste rouge|dernière connexion|usage", "address|type|state|red list|last login|use"
    ).split("|")
    output.table(
        columns,
        [
            (
                item.address,
                item.type,
                errors.word("mailbox", item.state, here(ctx).language),
                tr("oui", "yes") if item.red_list else "",
                when(item.last_login_at),
                "" if item.state in _PAST else errors.word("use", use, here(ctx).language),
            )
            for item, use in judged
        ],
    )


_PAST = (BalState.CLOSED, BalState.DELETED)


def _activity(desk: Desk, found: Mailbox) -> Activity:
    """Closed mailboxes are past that question."""
    if found.state in _PAST:
        return Activity.USED
    own = desk.storage.config.accounts
    now = desk.storage.clock()
    return activity(found.last_login_at, found.created_at, now, own.inactivity, own.inactivity_notice)


@app.command(help=tr("Montrer une boîte, jamais son contenu.", "Show a mailbox, never its content."))
def show(ctx: typer.Context, address: Where, as_json: Json = False) -> None:
    with opened(ctx) as desk:
        _show(desk, address, as_json)


def _data(found: Mailbox) -> dict[str, Any]:
    return {**asdict(found), "address": str(found.address)}


def _show(desk: Desk, address: str, as_json: bool) -> None:
    found, addresses, members, bound, facts, place = desk.ask(lambda connection: _read(connection, address))
    people = [asdict(item) for item in members]
    if as_json:
        more = {
            "addresses": [key for key, _ in addresses],
            "members": people,
            "certificates": bound,
            **asdict(place),
            "published": found.state is BalState.ACTIVE and not found.red_list,
            "quota": facts.quota,
            "used": facts.used,
        }
        output.as_json({**_data(found), **more})
        return
    names = tr(
        "adresse|alias|type|état|depuis|par|raison|structure|description|service|responsable|téléphone|lieu|liste rouge"
        "|quota|occupé|dernière connexion|membres|certificats",
        "address|aliases|type|state|since|by|reason|structure|description|service|responsible|phone|place|red list"
        "|quota|used|last login|members|certificates",
    ).split("|")
    values: list[Any] = [
        found.address,
        ", ".join(key for key, other in addresses if other),
        found.type,
        errors.word("mailbox", found.state, desk.console.language),
        when(found.state_at),
        found.state_by,
        found.state_reason,
        found.structure,
        found.description,
        found.service,
        found.responsible,
        found.phone,
        ", ".join(filter(None, (place.organisation, place.street, f"{place.postal_code} {place.town}".strip()))),
        tr("oui", "yes") if found.red_list else "",
        output.size(facts.quota) if facts.quota else "",
        _used(facts, desk.storage.config.accounts.quota_warning),
        when(found.last_login_at),
        ", ".join(f"{item.login} ({' '.join(item.rights)})" for item in members if not item.until),
        ", ".join(bound),
    ]
    output.facts(zip(names, values, strict=True))


def _used(facts: Any, warning: float) -> str:
    """How much is used, and whether that is worth a warning (MSS-065)."""
    share = facts.used / facts.quota if facts.quota else 0.0
    text = output.size(facts.used) + (f" ({share:.0%})".replace("%", tr(" %", "%")) if facts.quota else "")
    return f"{text} {tr('bientôt pleine', 'nearly full')}" if share >= warning and facts.quota else text


def _read(connection: Any, address: str) -> tuple[Any, ...]:
    found = register.get(connection, address)
    return (
        found,
        register.addresses(connection, found.id),
        register.members(connection, found.id),
        register.certificates(connection, found.id),
        lookup.facts_by_id(connection, found.id),
        calling.place(connection, found.id),
    )


def _change(ctx: typer.Context, address: str, work: Callable[[Desk, Any], Any], as_json: bool) -> None:
    with opened(ctx) as desk:
        desk.do(lambda unit: work(desk, unit))
        _show(desk, address, as_json)


def _move(ctx: typer.Context, address: str, step: Step, reason: str, as_json: bool) -> None:
    _change(ctx, address, lambda desk, unit: desk.people.register.move(unit, address, step, reason, actor()), as_json)


@app.command(help=tr("Suspendre : ni lecture, ni envoi, ni réception.", "Suspend: no reading, sending or receiving."))
def suspend(ctx: typer.Context, address: Where, reason: Reason, as_json: Json = False) -> None:
    _move(ctx, address, Step.SUSPEND, reason, as_json)


@app.command(help=tr("Rétablir une boîte suspendue.", "Resume a suspended mailbox."))
def resume(ctx: typer.Context, address: Where, reason: Reason, as_json: Json = False) -> None:
    _move(ctx, address, Step.RESUME, reason, as_json)


@app.command(
    help=tr(
        "Fermer : l’adresse refuse, le contenu peut encore être exporté.",
        "Close: the address refuses, content can still be exported.",
    )
)
def close(ctx: typer.Context, address: Where, reason: Reason, as_json: Json = False) -> None:
    _move(ctx, address, Step.CLOSE, reason, as_json)


@app.command(
    help=tr(
        "Détruire la clé d’une boîte fermée : rien n’est plus lisible.",
        "Destroy the key of a closed mailbox: nothing is readable any more.",
    )
)
def delete(
    ctx: typer.Context,
    address: Where,
    reason: Reason,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    if not yes:
        output.confirm(
            tr(f"Détruire pour toujours le contenu de {address} ?", f"Destroy the content of {address} for ever?")
        )
    _move(ctx, address, Step.DELETE, reason, as_json)


@app.command(
    help=tr(
        "Détruire une boîte fermée, effacer ce qui en reste, et en écrire le certificat signé, que le journal prouve.",
        "Destroy a closed mailbox, erase what is left of it, and write the signed certificate, which the journal proves.",
    )
)
def destroy(
    ctx: typer.Context,
    address: Where,
    out: Annotated[Path, typer.Option("--out", help=tr("Fichier à écrire, qui n’existe pas encore.", "New file."))],
    reason: Annotated[
        str, typer.Option("--reason", help=tr("Raison, gardée comme preuve.", "Reason, kept as evidence."))
    ] = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    from gateway.cli import _destroying

    _destroying.destroy(ctx, address, out, reason, yes=yes, as_json=as_json)


@app.command(help=tr("Changer le quota.", "Change the quota."))
def quota(
    ctx: typer.Context, address: Where, size: Annotated[str, typer.Argument(metavar="SIZE")], as_json: Json = False
) -> None:
    wanted = _size(size)
    _change(ctx, address, lambda desk, unit: desk.people.register.set_quota(unit, address, wanted, actor()), as_json)


def _size(text: str) -> int:
    try:
        return read_size(int(text) if text.isascii() and text.isdecimal() else text)
    except Unreadable as problem:
        raise errors.Said(problem.sentence, errors.USAGE, **problem.parameters) from None


@member.command("add", help=tr("Admettre un membre, ou changer ses droits.", "Admit a member, or change their rights."))
def add_member(
    ctx: typer.Context,
    address: Where,
    login: Person,
    rights: Annotated[str, typer.Option("--rights", help="read, write, send_as, admin")] = "read,write,send_as",
    consent: Annotated[
        bool,
        typer.Option(
            "--consent", help=tr("Le titulaire d’une boîte PER est d’accord.", "The owner of a PER mailbox agrees.")
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    given = [right.strip() for right in rights.split(",") if right.strip()]
    _change(
        ctx,
        address,
        lambda desk, unit: desk.people.register.admit(unit, address, login, given, actor(), consent=consent),
        as_json,
    )


@member.command("remove", help=tr("Renvoyer un membre.", "Dismiss a member."))
def remove_member(ctx: typer.Context, address: Where, login: Person, as_json: Json = False) -> None:
    _change(ctx, address, lambda desk, unit: desk.people.register.dismiss(unit, address, login, actor()), as_json)


@alias.command("add", help=tr("Donner une autre adresse.", "Give another address."))
def add_alias(
    ctx: typer.Context, address: Where, other: Annotated[str, typer.Argument(metavar="ALIAS")], as_json: Json = False
) -> None:
    _change(ctx, address, lambda desk, unit: desk.people.register.add_alias(unit, address, other, actor()), as_json)


@alias.command(
    "remove", help=tr("Retirer une autre adresse, qui reste prise.", "Withdraw another address, which stays taken.")
)
def remove_alias(ctx: typer.Context, other: Annotated[str, typer.Argument(metavar="ALIAS")]) -> None:
    with opened(ctx) as desk:
        desk.do(lambda unit: desk.people.register.end_alias(unit, other, actor()))
        output.line(desk.console.say("cli.alias_ended", address=other))


Certificate = Annotated[
    str,
    typer.Argument(
        metavar="CERTIFICATE",
        help=tr("Fichier PEM, empreinte SHA-256 ou nom complet.", "PEM file, SHA-256 fingerprint or whole name."),
    ),
]


@certificate.command("add", help=tr("Lier un certificat.", "Bind a certificate."))
def add_certificate(ctx: typer.Context, address: Where, given: Certificate, as_json: Json = False) -> None:
    value = _certificate(given)
    _change(ctx, address, lambda desk, unit: desk.people.register.bind(unit, address, value, actor()), as_json)


@certificate.command("remove", help=tr("Délier un certificat.", "Unbind a certificate."))
def remove_certificate(ctx: typer.Context, address: Where, given: Certificate, as_json: Json = False) -> None:
    value = _certificate(given)
    _change(ctx, address, lambda desk, unit: desk.people.register.unbind(unit, address, value, actor()), as_json)


def _certificate(given: str) -> str:
    """A file becomes the fingerprint of its first certificate; anything else is taken as it is."""
    path = Path(given)
    if not path.is_file():
        return given
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).fingerprint(hashes.SHA256()).hex()
    except (ValueError, OSError):
        raise errors.Said("config.not_a_certificate", errors.USAGE, path=given) from None


app.command(
    "import", help=tr("Reprendre une boîte d’un autre opérateur.", "Bring a mailbox in from another operator.")
)(_transfer.import_)
app.command(
    "export",
    help=tr("Emporter une boîte : archive chiffrée ou IMAP.", "Take a mailbox along: encrypted archive or IMAP."),
)(_transfer.export)
