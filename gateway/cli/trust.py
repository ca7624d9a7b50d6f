"""The trust space: the white list in force, its versions and differences; publish one, as an authority does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.context import actor, here, open_store
from gateway.cli.errors import REFUSED, UNAVAILABLE, USAGE, Said
from gateway.cli.language import chosen, tr
from gateway.cli.output import Json

if TYPE_CHECKING:
    from directory.trustlist import LoadedList, Row
    from directory.trustlist_difference import Difference
    from directory.trustlist_history import Outcome
    from directory.trustlist_publish import SigningKey
    from directory.trustlist_versions import Metadata
    from gateway.trust_space import TrustSpace

app = typer.Typer(
    no_args_is_help=True, help=tr("L’espace de confiance et sa liste blanche.", "The trust space and its list.")
)

Version = Annotated[
    str, typer.Argument(help=tr("Version, ou « held » ; vide : en vigueur.", "Version, or “held”; empty: in force."))
]
FilePath = Annotated[Path, typer.Argument(help=tr("Fichier.", "File."))]
Domain = Annotated[str, typer.Option("--domain", help=tr("Seulement ce domaine.", "This domain only."))]


@app.command(help=tr("Montrer la liste en vigueur, son âge, ses lignes.", "Show the list in force, its age, its rows."))
def show(ctx: typer.Context, version: Version = "", domain: Domain = "", as_json: Json = False) -> None:
    space = _kept(ctx)
    known = _metadata(space, version)
    loaded = _version(space, known.name)
    rows = [row for row in loaded.rows if not domain or row.domain == domain.lower().rstrip(".")]
    facts = {**_flat(known), **_age(space, known)}
    if as_json:
        output.as_json({**facts, "list": [_row(row) for row in rows]})
    else:
        output.facts(_named(facts))
        output.table((tr("domaine", "domain"), tr("certificat", "certificate")), [(r.domain, r.subject) for r in rows])
    if domain and not rows:
        raise Said("cli.domain_not_listed", domain=domain[:254])


@app.command(help=tr("Versions gardées, de la plus ancienne à celle qui attend.", "Versions kept, oldest first."))
def history(ctx: typer.Context, as_json: Json = False) -> None:
    space = _kept(ctx)
    held = space.history.held()
    known = [*space.history.versions(), *([held] if held else [])]
    current = _current_name(space)
    if as_json:
        output.as_json([{**_flat(each), "in_force": each.name == current} for each in known])
        return
    columns = (tr("version", "version"), tr("domaines", "domains"), tr("acceptée", "accepted"), tr("par", "by"), "")
    marks = {current: tr("en vigueur", "in force"), "held": tr("attend une confirmation", "waits for confirmation")}
    output.table(
        columns,
        [
            (
                each.name,
                each.domains,
                f"{each.accepted_at:%Y-%m-%d %H:%M:%SZ}",
                each.confirmed_by,
                marks.get(each.name, ""),
            )
            for each in known
        ],
    )


@app.command(help=tr("Ce qui change d’une version à l’autre.", "What changes from one version to another."))
def diff(
    ctx: typer.Context,
    before: Annotated[str, typer.Argument(help=tr("Vide : la précédente.", "Empty: the one before."))] = "",
    after: Annotated[str, typer.Argument(help=tr("Vide : celle en vigueur.", "Empty: the one in force."))] = "",
    as_json: Json = False,
) -> None:
    space = _kept(ctx)
    newer = _metadata(space, after).name
    older = _metadata(space, before).name if before else _before(space, newer)
    _show_difference(space.history.diff(older, newer), as_json, older, newer)


@app.command(help=tr("Cette liste serait-elle acceptée ?", "Would this list be accepted?"))
def verify(ctx: typer.Context, file: FilePath, as_json: Json = False) -> None:
    from directory.trustlist_difference import difference, shrunk

    space = _kept(ctx)
    loaded = _load(ctx, space, file)
    current = space.trusted()
    changes = difference(current, loaded.trust)
    replay = current is not None and loaded.trust.generated < current.generated
    limit = here(ctx).config().trust.shrink_limit
    held = current is not None and shrunk(current, loaded.trust, limit)
    outcome = "replay" if replay else "held" if held else "good"
    warnings = [{"row": each.row, "what": each.word, "detail": each.detail} for each in loaded.warnings]
    facts = {
        "outcome": outcome,
        "version": loaded.trust.version,
        "sha256": loaded.trust.sha256,
        "signer": loaded.signer,
    }
    if as_json:
        output.as_json({**facts, "rows": len(loaded.rows), "warnings": warnings, "changes": asdict(changes)})
    else:
        output.facts(_named({**facts, "rows": len(loaded.rows), "warnings": len(warnings)}))
        for each in warnings:
            output.line(f"  {each['row']}: {each['what']} {each['detail']}")
        _show_difference(changes, as_json=False)
    if outcome != "good":
        raise typer.Exit(REFUSED)


@app.command(help=tr("Aller chercher la liste maintenant.", "Fetch the list now."))
def refresh(ctx: typer.Context, as_json: Json = False) -> None:
    _told(_live(ctx, lambda space: space.refresh()), as_json)


@app.command(help=tr("Laisser passer la liste qui attend.", "Let the list that waits pass."))
def confirm(ctx: typer.Context, as_json: Json = False) -> None:
    _told(_live(ctx, lambda space: space.confirm(actor())), as_json)


@app.command(
    help=tr(
        "Écrire et signer une liste : depuis un fichier de lignes « domaine nom-du-certificat », ou une liste modifiée.",
        "Write and sign a list: from a file of lines “domain certificate-name”, or from a list with changes.",
    )
)
def publish(
    file: FilePath,
    rows: Annotated[Path | None, typer.Option("--rows", help=tr("Fichier de lignes.", "File of rows."))] = None,
    base: Annotated[Path | None, typer.Option("--from", help=tr("Liste de départ.", "List to start from."))] = None,
    add: Annotated[
        list[str] | None, typer.Option("--add", help=tr("Ajouter : « DOMAINE NOM ».", "Add: “DOMAIN NAME”."))
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help=tr("Retirer un domaine.", "Remove a domain."))
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option("--certificate", help=tr("Certificat de signature et sa chaîne.", "Signing certificate.")),
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help=tr("Sa clé.", "Its key."))] = None,
    as_json: Json = False,
) -> None:
    from gateway.admin import authority

    try:
        signing = _signing(certificate, key)
        kept, follows = _starting_rows(rows, base, signing)
        added = [authority.row(*(text.partition(" ")[::2])) for text in add or ()]
        wanted = authority.changed(kept, added, remove or ())
        data = authority.issue(wanted, datetime.now(UTC), signing, follows)
    except authority.BadRows as problem:
        place = tr(f"ligne {problem.line} : ", f"row {problem.line}: ") if problem.line else ""
        raise Said(f"row.{problem.word}", USAGE, place=place, value=problem.value) from None
    except OSError as problem:
        raise Said("cli.cannot_read", USAGE, path=problem.filename, reason=problem) from None
    try:
        authority.write(file, data)
    except OSError as problem:
        raise Said("cli.cannot_write", UNAVAILABLE, path=file, reason=problem) from None
    if as_json:
        output.as_json({"file": str(file), "rows": len(wanted), "signed": key is not None})
    else:
        output.line(tr(f"{file} : {len(wanted)} lignes.", f"{file}: {len(wanted)} rows."))


# parts


def _kept(ctx: typer.Context) -> TrustSpace:
    """The space as the running service last left it: no store, no network."""
    import time

    from gateway.trust_space import kept_space

    return kept_space(here(ctx).config(), time.time)


def _live(ctx: typer.Context, ask: Callable[[TrustSpace], Coroutine[None, None, Outcome | None]]) -> Outcome:
    """Ask something that is recorded, on the open store. Another process that writes is waited for."""
    from gateway.log import set_up
    from gateway.trust_space import TrustSpace

    config = here(ctx).config()
    set_up("error", config.log.format)  # what became of the list is the answer, not a line of the log
    if not config.trust.list:
        raise Said("cli.no_list_source", USAGE)

    async def work() -> Outcome | None:
        space = TrustSpace(config, storage.committer, storage.clock, lambda: None)
        for _ in range(50):
            outcome = await ask(space)
            if outcome is not None:
                return outcome
            await asyncio.sleep(0.1)
        return None

    with open_store(config) as storage:
        found = asyncio.run(work())
    if found is None:
        raise Said("cli.list_busy", UNAVAILABLE)
    return found


def _told(outcome: Outcome, as_json: bool) -> None:
    version = outcome.trust.version if outcome.trust else ""
    detail = "" if outcome.reason == "nothing_held" else outcome.detail  # the reason says it all
    facts = {"outcome": outcome.word, "reason": outcome.reason, "detail": detail, "version": version}
    if as_json:
        output.as_json({**facts, "changes": asdict(outcome.changes)})
    else:
        output.facts(_named(facts))
        _show_difference(outcome.changes, as_json=False)
    if outcome.word in ("refused", "held"):
        raise typer.Exit(REFUSED)


_NAMES = {
    "name": ("version", "version"),
    "version": ("version", "version"),
    "generated": ("générée", "generated"),
    "sha256": ("empreinte SHA-256", "SHA-256"),
    "accepted_at": ("acceptée", "accepted"),
    "domains": ("domaines", "domains"),
    "rows": ("lignes", "rows"),
    "warnings": ("lignes écartées", "rows left out"),
    "signer": ("signée par", "signed by"),
    "confirmed_by": ("confirmée par", "confirmed by"),
    "fetched": ("vue à sa source", "seen at its source"),
    "age_seconds": ("âge", "age"),
    "state": ("fraîcheur", "freshness"),
    "outcome": ("résultat", "outcome"),
    "reason": ("raison", "reason"),
    "detail": ("détail", "detail"),
}
_STATES = {"fresh": "fraîche", "warn": "à surveiller", "alarm": "alarme", "stale": "périmée : les échanges attendent"}


def _named(facts: dict[str, Any]) -> list[tuple[str, object]]:
    """Facts as people read them; ``--json`` keeps the stable words."""
    from gateway.cli.errors import word

    said: list[tuple[str, object]] = []
    for key, value in facts.items():
        shown = value
        if key == "state":
            shown = tr(_STATES[value], value)
        elif key in ("generated", "accepted_at", "fetched") and value:
            shown = f"{datetime.fromisoformat(str(value)).astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
        elif key == "age_seconds":
            shown = f"{value // 3600} h {value % 3600 // 60:02} min"
        elif key in ("outcome", "reason") and value:
            shown = word({"outcome": "outcome", "reason": "list"}[key], str(value), chosen())
        said.append((tr(*_NAMES[key]), shown))
    return said


def _current_name(space: TrustSpace) -> str:
    current = space.trusted()
    found = [each.name for each in space.history.versions() if current is not None and each.sha256 == current.sha256]
    return found[-1] if found else ""


def _metadata(space: TrustSpace, name: str) -> Metadata:
    wanted = name or _current_name(space)
    held = space.history.held()
    for each in (*space.history.versions(), *([held] if held else [])):
        if each.name == wanted:
            return each
    raise Said("cli.no_such_list", version=name[:100]) if name else Said("cli.no_list")


def _version(space: TrustSpace, name: str) -> LoadedList:
    from directory.trustlist import Refused

    try:
        return space.history.version(name)
    except Refused as refusal:
        raise Said("cli.list_refused", reason=refusal.word, detail=refusal.detail) from None


def _before(space: TrustSpace, name: str) -> str:
    names = [each.name for each in space.history.versions()]
    if name == "held":
        return _current_name(space)
    place = names.index(name)
    if place == 0:
        raise Said("cli.no_list_before")
    return names[place - 1]


def _load(ctx: typer.Context, space: TrustSpace, file: Path) -> LoadedList:
    """A file, read as the service would read it."""
    from directory.trustlist import Refused

    try:
        with file.open("rb") as opened:
            data = opened.read(here(ctx).config().trust.list_size + 1)
        return space.history.read(data, space.now)
    except OSError as problem:
        raise Said("cli.cannot_read", USAGE, path=file, reason=problem) from None
    except Refused as refusal:
        raise Said("cli.list_refused", reason=refusal.word, detail=refusal.detail) from None


def _starting_rows(
    rows: Path | None, base: Path | None, signing: tuple[SigningKey, Any] | None
) -> tuple[list[Row], datetime | None]:
    """What to publish from. A list to start from that is signed must be signed under the same authority."""
    from directory import trustlist
    from gateway.admin import authority

    if (rows is None) is (base is None):
        raise Said("cli.rows_or_list", USAGE)
    if rows is not None:
        try:
            return authority.read_rows(rows.read_text("utf-8")), None
        except UnicodeDecodeError as problem:
            raise Said("cli.rows_not_utf8", USAGE, path=rows, place=problem.start) from None
    assert base is not None
    try:
        anchors = signing[1][1:] if signing is not None else ()
        read = trustlist.load(base.read_bytes(), anchors=anchors, require_signature=False, now=datetime.now(UTC))
    except trustlist.Refused as refusal:
        raise Said("cli.list_refused", reason=refusal.word, detail=refusal.detail) from None
    return list(read.rows), read.trust.generated


def _signing(certificate: Path | None, key: Path | None) -> tuple[SigningKey, Any] | None:
    from gateway.admin import authority

    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise Said("cli.signing_pair", USAGE)
    try:
        return authority.signer(certificate, key)
    except authority.BadSigner:
        raise Said("cli.bad_signer", USAGE, certificate=certificate, key=key) from None


def _show_difference(found: Difference, as_json: bool, older: str = "", newer: str = "") -> None:
    if as_json:
        output.as_json({"before": older, "after": newer, **asdict(found)})
        return
    if older:
        output.line(f"{older} → {newer}")
    for mark, domains in (("+", found.added), ("-", found.removed), ("~", found.changed)):
        for domain in domains:
            output.line(f"  {mark} {domain}")
    if older and found.empty:
        output.line(tr("aucun changement", "no change"))


def _flat(known: Metadata) -> dict[str, Any]:
    said = asdict(known)
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in said.items()}


def _age(space: TrustSpace, known: Metadata) -> dict[str, Any]:
    from policies.trust import freshness

    current = space.trusted()
    if current is None or current.sha256 != known.sha256:
        return {}
    seconds = int((space.now - current.fetched_at).total_seconds())
    state = freshness(current, space.now, space.settings).value
    return {"fetched": current.fetched_at.isoformat(), "age_seconds": seconds, "state": state}


def _row(row: Row) -> dict[str, str]:
    said = {"domain": row.domain, "subject": row.subject, "description": row.description, "contact": row.contact}
    return {**said, "support": row.support, "updated": row.updated.isoformat() if row.updated else ""}
