"""The directory: search it, show one entry, import the national list, tell how fresh it is."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import errors, output
from gateway.cli.context import Desk, actor, here, opened
from gateway.cli.errors import REFUSED, UNAVAILABLE, USAGE, Said
from gateway.cli.language import tr
from gateway.cli.output import Json, when

if TYPE_CHECKING:
    from directory.entry import Entry
    from directory.search import Answer, Condition

app = typer.Typer(
    no_args_is_help=True,
    help=tr(
        "L’annuaire : qui l’on peut joindre, la liste nationale.",
        "The directory: who can be reached, the national list.",
    ),
)
MOST_SHOWN = 500

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="WORDS...", help=tr("Mots du nom, du lieu, du métier.", "Words of the name, the place, the calling.")
    ),
]


@app.command(help=tr("Chercher qui l’on peut joindre.", "Search who can be reached."))
def search(
    ctx: typer.Context,
    words: Words = None,
    name: Annotated[str, typer.Option("--name", help=tr("Nom, prénom ou structure.", "Name or structure."))] = "",
    rpps: Annotated[
        str, typer.Option("--rpps", help=tr("Numéro RPPS, ou IdNat entier.", "RPPS number, or the whole IdNat."))
    ] = "",
    profession: Annotated[
        str, typer.Option("--profession", help=tr("Profession : mots, ou code.", "Profession: words, or code."))
    ] = "",
    specialty: Annotated[
        str, typer.Option("--specialty", help=tr("Spécialité : mots, ou code.", "Specialty: words, or code."))
    ] = "",
    place: Annotated[
        str,
        typer.Option("--place", help=tr("Commune, code postal ou département.", "Town, postal code or department.")),
    ] = "",
    kind: Annotated[str, typer.Option("--type", help="PER, ORG, APP, CAB")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_SHOWN)] = 50,
    as_json: Json = False,
) -> None:
    from directory.search import demand_bounded

    condition = _question(" ".join(words or ()), name, rpps, profession, specialty, place, kind)
    try:
        demand_bounded(condition)
    except ValueError:
        raise Said("directory.bad_question", USAGE) from None
    with opened(ctx) as desk:
        answer = _find(desk, condition, limit)
    if as_json:
        output.as_json({"entries": [_data(one) for one in answer.entries], "more": answer.more})
    else:
        _table(answer)
    if not answer.entries:
        if as_json:
            raise typer.Exit(REFUSED)
        raise Said("directory.nobody")
    if answer.more and not as_json:
        output.remark(here(ctx).say("directory.more"))


def _question(line: str, name: str, rpps: str, profession: str, specialty: str, place: str, kind: str) -> Condition:
    """All that was given must hold."""
    from directory.search import Every, Field, Some, Way, folded
    from directory.search import words as of_line

    parts: list[Condition] = [of_line(line)] if folded(line) else []
    named = ("name", "given", "organisation", "service")
    parts += [Some(tuple(Field(one, Way.CONTAINS, word) for one in named)) for word in folded(name).split()]
    if rpps:
        parts.append(Field("person", Way.IS, _idnat(rpps)))
    for label, text in (("profession", profession), ("specialty", specialty)):
        if text:
            parts.append(Some((Field(label, Way.CONTAINS, text), Field(f"{label}_code", Way.IS, text))))
    if place:
        where = (
            Field("town", Way.CONTAINS, place),
            Field("postal_code", Way.BEGINS, place),
            Field("department", Way.IS, place),
        )
        parts.append(Some(where))
    if kind:
        parts.append(Field("type", Way.IS, kind))
    if not parts:
        raise Said("directory.no_question", USAGE)
    return Every(tuple(parts))


def _find(desk: Desk, condition: Condition, limit: int) -> Answer:
    from directory.search import DirectoryUnavailable
    from gateway.directory.wiring import directory

    try:
        return asyncio.run(directory(desk.storage).find(condition, limit))
    except DirectoryUnavailable as problem:
        raise problem.__cause__ or problem from None


def _data(one: Entry) -> dict[str, Any]:
    return {**asdict(one), "source": one.source.value}


def _table(answer: Answer) -> None:
    columns = tr(
        "nom|profession|spécialité|code postal|commune|type|adresse",
        "name|profession|specialty|postal code|town|type|address",
    ).split("|")
    rows = [
        (one.name, one.profession, one.specialty, one.postal_code, one.town, one.type, one.address)
        for one in answer.entries
    ]
    if rows:
        output.table(columns, rows)


@app.command(help=tr("Montrer une entrée.", "Show one entry."))
def show(
    ctx: typer.Context,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help=tr("Adresse de la boîte.", "The mailbox's address."))
    ],
    as_json: Json = False,
) -> None:
    from directory.search import DirectoryUnavailable
    from gateway.directory.wiring import directory

    with opened(ctx) as desk:
        try:
            one = asyncio.run(directory(desk.storage).get(address))
        except DirectoryUnavailable as problem:
            raise problem.__cause__ or problem from None
    if one is None:
        raise Said("directory.not_found", address=address[:254])
    if as_json:
        output.as_json(_data(one))
        return
    names = tr(
        "nom|adresse|type|source|identifiant|profession|spécialité|structure|organisation|service|description|téléphone|rue|commune"
        "|département|pays|rang|zéro papier",
        "name|address|type|source|identifier|profession|specialty|structure|organisation|service|description|phone|street|town"
        "|department|country|rank|no paper",
    ).split("|")
    paperless = {None: "", True: tr("oui", "yes"), False: tr("non", "no")}[one.paperless]
    source = tr("registre", "register") if one.source.value == "local" else tr("liste nationale", "national list")
    values: list[Any] = [one.name, one.address, one.type, source, one.person]
    values += [f"{one.profession} {one.profession_code}".strip(), f"{one.specialty} {one.specialty_code}".strip()]
    values += [one.structure, one.organisation, one.service, one.description, one.phone, one.street]
    values += [f"{one.postal_code} {one.town}".strip(), one.department, one.country, one.rank or "", paperless]
    output.facts(zip(names, values, strict=True))


@app.command(
    help=tr("Interroger l’annuaire national (FHIR), à l’instant.", "Ask the national directory (FHIR), at this moment.")
)
def ask(
    ctx: typer.Context,
    what: Annotated[
        str, typer.Argument(metavar="ADDRESS|RPPS", help=tr("Adresse, ou numéro RPPS.", "Address, or RPPS number."))
    ],
    as_json: Json = False,
) -> None:
    from directory.search import Answer
    from gateway.directory import own

    with opened(ctx) as desk:
        found = asyncio.run(_ask(desk, what))
        # Of an address of ours only the register speaks, and it may be silent (MSS-121).
        ours = set(desk.ask(lambda connection: own.ours(connection, [one.address.lower() for one in found])))
    told = Answer(tuple(one for one in found if one.address.lower() not in ours))
    if as_json:
        output.as_json({"entries": [_data(one) for one in told.entries]})
    else:
        _table(told)
    if not told.entries:
        if as_json:
            raise typer.Exit(REFUSED)
        raise Said("directory.nobody")


async def _ask(desk: Desk, what: str) -> tuple[Entry, ...]:
    from directory.sources.national import Api, NationalDirectory
    from directory.trustlist_fetch import Unreachable
    from gateway.directory.refresh import anchors

    config = desk.storage.config
    if not config.directory.api:
        raise Said("directory.no_api", USAGE)
    key = config.directory.api_key.read().decode("ascii", "replace") if config.directory.api_key else ""
    api = Api(base=config.directory.api, key=key, anchors=config.directory.api_anchors or anchors(config))
    national = NationalDirectory(api)
    try:
        return await (national.by_address(what) if "@" in what else national.by_person(_idnat(what)))
    except Unreachable as problem:
        reason = errors.word("extraction", problem.word, desk.console.language)
        raise Said("directory.api_away", UNAVAILABLE, reason=reason) from None
    finally:
        await national.close()


def _idnat(number: str) -> str:
    """An RPPS number gets its digit."""
    return f"8{number}" if len(number) == 11 and number.isascii() and number.isdigit() else number


@app.command("import", help=tr("Reprendre une liste nationale d’un fichier.", "Take a national list from a file."))
def import_(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help=tr("Extraction, zip ou texte.", "Extraction, zip or text."))
    ],
    shrunk: Annotated[
        bool,
        typer.Option(
            "--shrunk", help=tr("Même si elle a perdu beaucoup de boîtes.", "Even if it lost many mailboxes.")
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    from dataclasses import replace

    from gateway.directory.feed import Feed, NotTaken
    from gateway.directory.refresh import limits

    with opened(ctx) as desk:
        asked = limits(desk.storage.config)
        asked = replace(asked, shrink=1.0) if shrunk else asked
        try:
            counts = Feed(desk.storage, asked, rest=lambda _took: None, actor=actor()).bring(file)
        except NotTaken as problem:
            reason = errors.word("extraction", problem.word, here(ctx).language)
            told = f"{reason} ({problem.detail})" if problem.detail else reason
            raise Said("directory.not_taken", reason=told) from None
    facts = {"entries": counts.entries, "added": counts.added, "changed": counts.changed, "removed": counts.removed}
    if as_json:
        output.as_json({**facts, "doubled": counts.doubled})
    else:
        output.line(here(ctx).say("directory.imported", **facts))


@app.command(help=tr("Dire l’âge de la liste nationale.", "Tell the age of the national list."))
def status(ctx: typer.Context, as_json: Json = False) -> None:
    from gateway.directory import feed

    with opened(ctx) as desk:
        known = desk.ask(feed.status)
        own, now = desk.storage.config.directory, desk.storage.clock()
    if known is None:
        raise Said("directory.no_list")
    old = known.old(now, own.alarm_age)
    if as_json:
        output.as_json({**{name: getattr(known, name) for name in known.__slots__}, "source": own.source, "old": old})
    else:
        names = tr(
            "source|boîtes|faite|reprise|cherchée|nouvelles|changées|retirées|dernier essai|trop vieille",
            "source|mailboxes|made|taken|looked for|new|changed|removed|last try|too old",
        ).split("|")
        trouble = errors.word("extraction", known.trouble, here(ctx).language) if known.trouble else ""
        values = [own.source, known.entries, when(known.stamped_at), when(known.taken_at), when(known.tried_at)]
        values += [known.added, known.changed, known.removed, trouble, tr("oui", "yes") if old else ""]
        output.facts(zip(names, values, strict=True))
    if old:
        raise typer.Exit(REFUSED)
