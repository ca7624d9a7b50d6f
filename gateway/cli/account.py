"""Accounts of people: open, list, suspend, resume, close; password, one-time code, strong session."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import errors, output
from gateway.cli.context import Desk, actor, here, opened
from gateway.cli.language import tr
from gateway.cli.output import Json, Reason, when
from mailboxes import accounts
from mailboxes.accounts import Account, NewAccount
from mailboxes.calling import Calling, calling
from policies.events import Event, Kind
from policies.lifecycle import Step

app = typer.Typer(no_args_is_help=True, help=tr("Les comptes des personnes.", "Accounts of people."))

Login = Annotated[str, typer.Argument(metavar="LOGIN", help=tr("Identifiant de la personne.", "The person's login."))]
Stdin = Annotated[
    bool,
    typer.Option(
        "--stdin",
        help=tr(
            "Lire les réponses sur l’entrée, une par ligne.", "Read the answers from standard input, one per line."
        ),
    ),
]


Profession = Annotated[
    str | None, typer.Option("--profession", help=tr("Profession, comme Médecin.", "Profession, such as Médecin."))
]
ProfessionCode = Annotated[
    str | None,
    typer.Option("--profession-code", help=tr("Son code (TRE_G15), comme 10.", "Its code (TRE_G15), such as 10.")),
]
Specialty = Annotated[
    str | None,
    typer.Option("--specialty", help=tr("Spécialité, comme Cardiologie.", "Specialty, such as Cardiologie.")),
]
SpecialtyCode = Annotated[
    str | None,
    typer.Option("--specialty-code", help=tr("Son code (TRE_R38), comme SM04.", "Its code (TRE_R38), such as SM04.")),
]


@app.command(help=tr("Ouvrir un compte.", "Open an account."))
def create(
    ctx: typer.Context,
    login: Login,
    family: Annotated[str, typer.Option("--family", help=tr("Nom.", "Surname."))],
    given: Annotated[str, typer.Option("--given", help=tr("Prénom.", "First name."))],
    identity: Annotated[
        str,
        typer.Option(
            "--identity",
            help=tr(
                "Identifiant national : RPPS, ou 8+RPPS, ou 0+ADELI.",
                "National identifier: RPPS, or 8+RPPS, or 0+ADELI.",
            ),
        ),
    ] = "",
    title: Annotated[str, typer.Option("--title", help=tr("Titre, comme Dr.", "Title, such as Dr."))] = "",
    contact: Annotated[
        str,
        typer.Option(
            "--contact", help=tr("Adresse hors de la messagerie sécurisée.", "Address outside the secure service.")
        ),
    ] = "",
    verified: Annotated[
        str,
        typer.Option(
            "--verified",
            help=tr(
                "Comment l’identité a été vérifiée ; sinon le compte attend.",
                "How the identity was checked; otherwise the account waits.",
            ),
        ),
    ] = "",
    profession: Profession = None,
    profession_code: ProfessionCode = None,
    specialty: Specialty = None,
    specialty_code: SpecialtyCode = None,
    as_json: Json = False,
) -> None:
    shown = Calling(profession or "", profession_code or "", specialty or "", specialty_code or "")
    new = NewAccount(login, family, given, identity, title, contact, verified, shown)
    with opened(ctx) as desk:
        desk.do(lambda unit: desk.people.accounts.open(unit, new, actor()))
        _show(desk, login, as_json)


@app.command("set", help=tr("Changer ce que l’annuaire montre.", "Change what the directory shows."))
def set_(
    ctx: typer.Context,
    login: Login,
    family: Annotated[str | None, typer.Option("--family", help=tr("Nom.", "Surname."))] = None,
    given: Annotated[str | None, typer.Option("--given", help=tr("Prénom.", "First name."))] = None,
    title: Annotated[str | None, typer.Option("--title", help=tr("Titre, comme Dr.", "Title, such as Dr."))] = None,
    profession: Profession = None,
    profession_code: ProfessionCode = None,
    specialty: Specialty = None,
    specialty_code: SpecialtyCode = None,
    as_json: Json = False,
) -> None:
    asked = {
        "family_name": family,
        "given_name": given,
        "title": title,
        "profession": profession,
        "profession_code": profession_code,
        "specialty": specialty,
        "specialty_code": specialty_code,
    }
    changed = {name: value for name, value in asked.items() if value is not None}
    with opened(ctx) as desk:
        desk.do(lambda unit: desk.people.accounts.describe(unit, login, changed, actor()))
        _show(desk, login, as_json)


@app.command("list", help=tr("Lister les comptes.", "List the accounts."))
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    with opened(ctx) as desk:
        found: list[Account] = desk.ask(accounts.listed)
    if as_json:
        output.as_json([asdict(item) for item in found])
        return
    columns = tr("identifiant|nom|identité|état|dernière connexion", "login|name|identity|state|last login").split("|")
    output.table(
        columns,
        [
            (
                item.login,
                f"{item.given_name} {item.family_name}",
                item.identity,
                errors.word("account", item.state, here(ctx).language),
                when(item.last_login_at),
            )
            for item in found
        ],
    )


@app.command(help=tr("Montrer un compte.", "Show an account."))
def show(ctx: typer.Context, login: Login, as_json: Json = False) -> None:
    with opened(ctx) as desk:
        _show(desk, login, as_json)


def _show(desk: Desk, login: str, as_json: bool) -> None:
    found: Account = desk.ask(lambda connection: accounts.get(connection, login))
    shown: Calling = desk.ask(lambda connection: calling(connection, found.id))
    if as_json:
        output.as_json({**asdict(found), **asdict(shown)})
        return
    yes, no = tr("oui", "yes"), tr("non", "no")
    names = tr(
        "identifiant|nom|identité|profession|spécialité|contact|état|depuis|par|raison|mot de passe|code|dernière connexion",
        "login|name|identity|profession|specialty|contact|state|since|by|reason|password|code|last login",
    ).split("|")
    values: list[Any] = [
        found.login,
        f"{found.title} {found.given_name} {found.family_name}".strip(),
        found.identity,
        " ".join(filter(None, (shown.profession, shown.profession_code))),
        " ".join(filter(None, (shown.specialty, shown.specialty_code))),
        found.contact,
        errors.word("account", found.state, desk.console.language),
        when(found.state_at),
        found.state_by,
        found.state_reason,
        yes if found.has_password else no,
        yes if found.has_code else no,
        when(found.last_login_at),
    ]
    output.facts(zip(names, values, strict=True))


def _move(ctx: typer.Context, login: str, step: Step, reason: str, as_json: bool) -> None:
    with opened(ctx) as desk:
        desk.do(lambda unit: desk.people.accounts.move(unit, login, step, reason, actor()))
        _show(desk, login, as_json)


@app.command(
    help=tr("Activer un compte dont l’identité est vérifiée.", "Activate an account whose identity is checked.")
)
def activate(ctx: typer.Context, login: Login, reason: Reason, as_json: Json = False) -> None:
    _move(ctx, login, Step.ACTIVATE, reason, as_json)


@app.command(help=tr("Suspendre un compte.", "Suspend an account."))
def suspend(ctx: typer.Context, login: Login, reason: Reason, as_json: Json = False) -> None:
    _move(ctx, login, Step.SUSPEND, reason, as_json)


@app.command(help=tr("Rétablir un compte suspendu.", "Resume a suspended account."))
def resume(ctx: typer.Context, login: Login, reason: Reason, as_json: Json = False) -> None:
    _move(ctx, login, Step.RESUME, reason, as_json)


@app.command(help=tr("Fermer un compte pour toujours.", "Close an account for ever."))
def close(ctx: typer.Context, login: Login, reason: Reason, as_json: Json = False) -> None:
    _move(ctx, login, Step.CLOSE, reason, as_json)


@app.command(
    help=tr(
        "Donner à une personne tout ce qui est gardé d’elle, dans un fichier JSON ; ni secret, ni courrier.",
        "Give a person all that is kept about them, in one JSON file; no secret, and no mail.",
    )
)
def export(
    ctx: typer.Context,
    login: Login,
    out: Annotated[Path, typer.Option("--out", help=tr("Fichier à écrire, qui n’existe pas encore.", "New file."))],
    as_json: Json = False,
) -> None:
    from gateway.record import person

    with opened(ctx) as desk:
        found: Account = desk.ask(lambda connection: accounts.get(connection, login))
        octets = output.new_file(out, person.export(desk.ask, found.login, desk.storage.clock()))
        desk.do(lambda unit: desk.people.accounts.exported(unit, found.login, actor()))
        if as_json:
            output.as_json({"login": found.login, "file": str(out), "octets": octets})
        else:
            output.line(desk.console.say("record.exported", login=found.login, path=out, size=output.size(octets)))


@app.command(
    help=tr(
        "Revoir les comptes : qui ne se connecte pas, boîtes, membres et appareils sans usage, ce qui expire.",
        "Review accounts: who does not log in, mailboxes, members and devices unused, what ends.",
    )
)
def review(
    ctx: typer.Context,
    days: Annotated[
        int, typer.Option("--days", min=1, max=3650, help=tr("Sans usage depuis.", "Without use for so long."))
    ] = 90,
    ahead: Annotated[
        int, typer.Option("--ahead", min=0, max=3650, help=tr("Qui expire d’ici là.", "What ends by then."))
    ] = 30,
    done: Annotated[
        bool, typer.Option("--done", help=tr("Retenir que la revue est faite.", "Record that the review was done."))
    ] = False,
    as_json: Json = False,
) -> None:
    from gateway.record import review as reviewing
    from gateway.settings.units import DAY

    limits = reviewing.Limits(days * DAY, ahead * DAY)
    with opened(ctx) as desk:
        before = desk.ask(reviewing.last)
        found = desk.ask(lambda connection: reviewing.remarks(connection, desk.storage.clock(), limits))
        if done:
            detail = {"what": reviewing.REVIEWED, "reason": f"{len(found)} remarks, {days} days"}
            desk.do(lambda unit: unit.emit(Event(Kind.ACCOUNT, actor=actor(), detail=detail)))
    if as_json:
        output.as_json({"reviewed_before": int(before), "recorded": done, "remarks": [asdict(one) for one in found]})
        return
    language = here(ctx).language
    columns = tr("quoi|personne|boîte|détail|depuis", "what|person|mailbox|detail|since").split("|")
    output.table(
        columns,
        [
            (errors.word("review", one.what, language), one.login, one.mailbox, one.detail, when(one.since))
            for one in found
        ],
    )
    output.line(here(ctx).say("review.counted", count=len(found), before=when(before) or tr("jamais", "never")))


@app.command(help=tr("Donner un mot de passe.", "Set a password."))
def password(ctx: typer.Context, login: Login, stdin: Stdin = False) -> None:
    with opened(ctx) as desk:
        desk.ask(lambda connection: accounts.get(connection, login))
        chosen = _answers(stdin, (tr("Mot de passe", "Password"),), confirm=True)[0]
        desk.do(lambda unit: desk.people.accounts.set_password(unit, login, chosen, actor()))
        output.line(desk.console.say("cli.password_set", login=login))


@app.command(help=tr("Donner un nouveau secret de code à usage unique.", "Give a new secret for one-time codes."))
def totp(ctx: typer.Context, login: Login, as_json: Json = False) -> None:
    from mailboxes.passwords import totp_uri

    with opened(ctx) as desk:
        secret: str = desk.do(lambda unit: desk.people.accounts.new_code(unit, login, actor()))
        uri = totp_uri(secret, login, desk.storage.config.operator.name)
        if as_json:
            output.as_json({"login": login, "secret": secret, "uri": uri})
        else:
            output.line(desk.console.say("cli.totp_new", login=login))
            output.line(f"  {secret}")
            output.line(f"  {uri}")


@app.command(
    help=tr(
        "Inviter une personne : un lien, une fois, pour choisir son mot de passe et ses codes dans le portail.",
        "Invite a person: one link, once, to choose a password and take up codes in the portal.",
    )
)
def invite(
    ctx: typer.Context,
    login: Login,
    to_contact: Annotated[
        bool,
        typer.Option(
            "--to-contact",
            help=tr(
                "Le lien part à l’adresse de contact ; s’en servir la vérifie.",
                "The link goes to the contact address; using it verifies that address.",
            ),
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    from gateway.portal.links import invitation_link
    from mailboxes import invitations

    with opened(ctx) as desk:
        config = desk.storage.config
        lifetime = config.portal.invitation
        token: str = desk.do(
            lambda unit: invitations.invite(unit, desk.people.accounts, login, lifetime, actor(), to_contact=to_contact)
        )
        link, until = invitation_link(config, token), desk.storage.clock() + lifetime
        contact: str = desk.ask(lambda connection: accounts.get(connection, login)).contact if to_contact else ""
        if as_json:
            output.as_json({"login": login, "link": link, "until": int(until), "contact": contact})
            return
        said = "cli.invited_contact" if to_contact else "cli.invited"
        output.line(desk.console.say(said, login=login, until=when(until), contact=contact))
        output.line(f"  {link}")


@app.command(
    help=tr(
        "Donner à une personne le droit d’administrer comptes et boîtes dans le portail, ou le retirer (--end).",
        "Give a person the right to administer accounts and mailboxes in the portal, or take it back (--end).",
    )
)
def grant(
    ctx: typer.Context,
    login: Login,
    end: Annotated[bool, typer.Option("--end", help=tr("Retirer le droit.", "Take the right back."))] = False,
    as_json: Json = False,
) -> None:
    from mailboxes import account_rights

    with opened(ctx) as desk:
        desk.do(lambda unit: (account_rights.end if end else account_rights.grant)(unit, login, actor()))
        if as_json:
            output.as_json({"login": login, "right": account_rights.ADMINISTRATOR, "granted": not end})
        else:
            output.line(desk.console.say("cli.right_ended" if end else "cli.right_granted", login=login))


@app.command(help=tr("Ouvrir une session forte : mot de passe et code.", "Open a strong session: password and code."))
def session(
    ctx: typer.Context,
    login: Annotated[str, typer.Argument(metavar="[LOGIN]")] = "",
    stdin: Stdin = False,
    end: Annotated[bool, typer.Option("--end", help=tr("Fermer la session.", "End the session."))] = False,
    as_json: Json = False,
) -> None:
    from gateway.cli import session_file
    from mailboxes import sessions

    console = here(ctx)
    kept = session_file.read()
    if end:
        if kept is not None:
            with opened(ctx) as desk:
                desk.do(lambda unit: sessions.end(unit, kept.token))
        session_file.forget()
        if as_json:
            output.as_json({"ended": kept is not None})
        else:
            output.line(console.say("cli.session_ended"))
        return
    if not login:
        raise errors.Said("cli.login_needed", errors.USAGE)
    with opened(ctx) as desk:
        secret, code = _answers(stdin, (tr("Mot de passe", "Password"), "Code"))
        given = sessions.Credential(login, secret, code, session_file.bound_to())
        token, made = desk.people.sessions.open(desk.storage.committer, given)
        try:
            path = session_file.write(session_file.Kept(made.login, token, made.expires_at))
        except OSError as problem:
            place = session_file.place()
            raise errors.Said("cli.cannot_write", errors.UNAVAILABLE, path=place, reason=problem) from None
        if as_json:
            output.as_json({"login": made.login, "expires_at": made.expires_at, "file": str(path)})
        else:
            output.line(console.say("cli.session_open", login=made.login, until=when(made.expires_at)))


def _answers(stdin: bool, questions: tuple[str, ...], *, confirm: bool = False) -> list[str]:
    """What the person types, never shown; from standard input, one line each."""
    if not stdin:
        return [output.secret(text, again=confirm) for text in questions]
    lines = [sys.stdin.readline(2000).rstrip("\r\n") for _ in questions]
    if not all(lines):
        raise errors.Said("cli.answer_missing", errors.USAGE)
    return lines
