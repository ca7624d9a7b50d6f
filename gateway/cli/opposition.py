"""Patients who object to the exchange of their data (TOU-A10, TOU-F08): record, take back, list.

A patient is given by his number, by his traits, or by both; what he objects to is all exchange or that with mailboxes he names.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import output
from gateway.cli.context import Desk, actor, here, opened
from gateway.cli.errors import USAGE, Said, word
from gateway.cli.language import chosen, tr
from gateway.cli.output import Json, when
from gateway.cli.send import bytes_of, json_of
from gateway.identity import BadIdentity, identity_from
from gateway.medical.register_key import RegisterKey
from gateway.medical.registers import ANYBODY, SCOPES, PatientRegisters, Person, Wish
from gateway.send import traits_of
from hprim.ins import clean, is_matricule
from hprim.strict import recorded
from mailboxes.lookup import facts
from policies.address import AddressError, parse

app = typer.Typer(no_args_is_help=True, help=tr("Oppositions de patients.", "Patients' oppositions."))


class Scope(StrEnum):
    """What the patient objects to: messages to himself, exchanges between professionals, or both."""

    PATIENT = "patient"
    PROFESSIONALS = "professionals"
    BOTH = "both"


Number = Annotated[
    str | None,
    typer.Argument(
        metavar="NUMBER",
        help=tr(
            "Matricule INS ; - (ou rien, sans --patient ni traits) pour le lire sur l’entrée standard : il ne reste pas dans l’historique.",
            "INS number; - (or nothing, without --patient or traits) to read it from standard input: it stays out of the history.",
        ),
    ),
]
Patient = Annotated[
    Path | None,
    typer.Option(
        "--patient",
        help=tr(
            "Identité en JSON, comme pour « caducee send » ; - pour la lire sur l’entrée standard.",
            "Identity in JSON, as for “caducee send”; - to read it from standard input.",
        ),
    ),
]
BirthName = Annotated[str, typer.Option("--birth-name", help=tr("Nom de naissance.", "Birth name."))]
UsedName = Annotated[
    str, typer.Option("--used-name", help=tr("Nom utilisé, s’il diffère.", "Name in use, if it differs."))
]
FirstName = Annotated[
    str, typer.Option("--first-name", help=tr("Premier prénom de naissance.", "First birth first name."))
]
BirthDate = Annotated[
    str, typer.Option("--birth-date", help=tr("Date de naissance (AAAA-MM-JJ).", "Birth date (YYYY-MM-DD)."))
]
Sex = Annotated[str, typer.Option("--sex", help=tr("M ou F.", "M or F."))]
Professional = Annotated[
    list[str] | None,
    typer.Option(
        "--professional",
        metavar="ADDRESS",
        help=tr(
            "Seulement l’échange avec cette boîte ; à répéter. Sans elle, avec toutes.",
            "Only the exchange with this mailbox; may be repeated. Without it, with all.",
        ),
    ),
]
Wanted = Annotated[
    Scope,
    typer.Option(
        "--scope",
        help=tr(
            "Vers le patient, entre professionnels, ou les deux.", "To the patient, between professionals, or both."
        ),
    ),
]
Reference = Annotated[
    str,
    typer.Option(
        "--reference",
        help=tr("Référence de la demande écrite, sans nom.", "Reference of the written request, no name."),
    ),
]


@app.command(help=tr("Enregistrer une opposition.", "Record an opposition."))
def add(
    ctx: typer.Context,
    number: Number = None,
    patient: Patient = None,
    birth_name: BirthName = "",
    used_name: UsedName = "",
    first_name: FirstName = "",
    birth_date: BirthDate = "",
    sex: Sex = "",
    professional: Professional = None,
    scope: Wanted = Scope.BOTH,
    reference: Reference = "",
) -> None:
    person = _person(ctx, number, patient, _traits(birth_name, used_name, first_name, birth_date, sex))
    with opened(ctx) as desk:
        register, wish = _register(desk), Wish(_scopes(scope), _professionals(desk, professional))
        try:
            new = desk.do(lambda unit: register.object_to(unit, person, wish, reference, actor()))
        except ValueError:
            raise Said("opposition.bad_number", USAGE) from None
    said = "opposition.recorded" if new else "opposition.known"
    output.line(
        here(ctx).say(
            said,
            scopes=", ".join(
                (*(word("scope", each, chosen()) for each in _scopes(scope)), *filter(None, wish.addresses))
            ),
        )
    )


@app.command(help=tr("Retirer une opposition.", "Take an opposition back."))
def remove(
    ctx: typer.Context,
    number: Number = None,
    patient: Patient = None,
    birth_name: BirthName = "",
    used_name: UsedName = "",
    first_name: FirstName = "",
    birth_date: BirthDate = "",
    sex: Sex = "",
    professional: Professional = None,
    scope: Wanted = Scope.BOTH,
) -> None:
    person = _person(ctx, number, patient, _traits(birth_name, used_name, first_name, birth_date, sex))
    with opened(ctx) as desk:
        register, wish = _register(desk), Wish(_scopes(scope), _professionals(desk, professional))
        try:
            gone, left = desk.do(
                lambda unit: (register.withdraw(unit, person, wish, actor()), register.forbidden(unit, person))
            )
        except ValueError:
            raise Said("opposition.bad_number", USAGE) from None
    if left:
        output.line(here(ctx).say("opposition.left", professionals=", ".join(left)))
    if not gone:
        raise Said("opposition.unknown")
    output.line(here(ctx).say("opposition.withdrawn"))


@app.command("list", help=tr("Lister, sans aucun numéro.", "List, without any number."))
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    with opened(ctx) as desk:
        lines = desk.ask(_register(desk).listed)
    if as_json:
        output.as_json([line._asdict() for line in lines])
        return
    columns = tr(
        "marque,connu par,portée,professionnel,référence,par,depuis",
        "mark,known by,scope,professional,reference,by,since",
    ).split(",")
    named = {"number": tr("numéro", "number"), "traits": tr("traits", "traits")}
    rows = [
        (
            one.mark,
            " + ".join(named[kind] for kind in one.known_by),
            word("scope", one.scope, chosen()),
            one.professional or tr("tous", "all"),
            one.reference,
            one.actor,
            when(one.since),
        )
        for one in lines
    ]
    output.table(columns, rows)


def _register(desk: Desk) -> PatientRegisters:
    return PatientRegisters(desk.storage.reading, RegisterKey(desk.storage.master))


def _scopes(scope: Scope) -> tuple[str, ...]:
    return SCOPES if scope is Scope.BOTH else (scope.value,)


def _traits(birth_name: str, used_name: str, first_name: str, birth_date: str, sex: str) -> dict[str, str]:
    """What was given on the command line, as the fields of an identity file."""
    given = {
        "birth_surname": birth_name,
        "used_surname": used_name,
        "first_name": first_name,
        "birth_date": birth_date,
        "sex": sex,
    }
    return {name: text for name, text in given.items() if text}


def _person(ctx: typer.Context, number: str | None, patient: Path | None, traits: dict[str, str]) -> Person:
    """Who objects: a number, an identity, or both. An identity's own number counts too."""
    if (patient is not None and traits) or (number == "-" and patient == Path("-")):
        raise Said("opposition.which", USAGE)
    if patient is None and not traits:
        return Person(_number(number or "-"))
    given: object = traits
    if patient is not None:
        given = json_of(sys.stdin.buffer.read() if patient == Path("-") else bytes_of(patient))
    try:
        identity = identity_from(given)
        known = replace(traits_of(identity), first_names=identity.first_names, sex=identity.sex)
        kept = recorded(known)
    except BadIdentity as problem:
        raise Said("opposition.bad_identity", USAGE, reason=problem.said(here(ctx).language)) from None
    except ValueError:
        reason = tr("un nom n’a pas de lettre", "a name has no letter")
        raise Said("opposition.bad_identity", USAGE, reason=reason) from None
    return Person(_number(number) if number else identity.ins, kept, known)


def _professionals(desk: Desk, given: list[str] | None) -> tuple[str, ...]:
    """The mailboxes named, each by its main address; one of our own domains must exist: a slip would forbid nobody."""
    return tuple(dict.fromkeys(_mailbox(desk, text) for text in given or ())) or (ANYBODY,)


def _mailbox(desk: Desk, text: str) -> str:
    try:
        address = parse(text)
    except AddressError as problem:
        raise Said("cli.bad_address", USAGE, address=text[:254], problem=problem.word) from None
    found = desk.ask(lambda connection: facts(connection, address.key))
    if found is None and address.domain in desk.console.config().operator.domains:
        raise Said("send.unknown_mailbox", mailbox=str(address))
    return str(found.address.key) if found is not None else address.key


def _number(given: str) -> str:
    """The number as written. Raises :class:`Said` for a wrong key: a slip would protect somebody else, or nobody."""
    written = sys.stdin.readline().strip() if given == "-" else given
    whole = clean(written)
    if len(whole) == 15 and not is_matricule(whole):
        raise Said("opposition.bad_number", USAGE)
    return written
