"""Check and show medical documents: HPRIM, CDA, IHE_XDM.zip, or a whole mail. Needs no configuration and no service."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.context import Console, here
from gateway.cli.errors import REFUSED, USAGE, Said, why
from gateway.cli.language import tr
from gateway.cli.output import Json

if TYPE_CHECKING:
    from hprim.model import Report
    from hprim.render import View
    from policies.decision import Language

LARGEST = 256 * 1024 * 1024
DONE = 0
_DOCUMENTS = 50

app = typer.Typer(no_args_is_help=True, help=tr("Documents médicaux.", "Medical documents."))
Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help=tr("Fichiers, - pour l’entrée standard.", "Files, - for standard input.")),
]
Production = Annotated[
    bool,
    typer.Option(
        "--production",
        help=tr(
            "Juger comme un échange réel : les identités de test (OID .10, .11) sont refusées.",
            "Judge as a live exchange: test identities (OID .10, .11) are refused.",
        ),
    ),
]
Header = Annotated[
    bool,
    typer.Option(
        "--require-header", help=tr("Exiger un en-tête HPRIM (Apicrypt).", "Require an HPRIM header (Apicrypt).")
    ),
]


@app.command(
    help=tr(
        "Vérifier : sortie 0 rien à refuser, 1 serait refusé, 2 illisible.",
        "Check: exit 0 nothing to refuse, 1 would be refused, 2 unreadable.",
    )
)
def check(
    ctx: typer.Context,
    files: Files,
    production: Production = False,
    require_header: Header = False,
    as_json: Json = False,
) -> None:
    from hprim.check import check_file
    from hprim.detect import messages_in
    from hprim.findings import Profile

    console = here(ctx)
    profile = Profile(name="check", test_identities=not production, require_header=require_header)
    found: list[tuple[str, Report | str]] = []
    for path in files:
        try:
            data = _read(path)
        except OSError as problem:
            found.append((str(path), why(problem, console.language)))
            continue
        messages = list(messages_in(data))
        for number, message in enumerate(messages, 1):
            name = f"{path} [{number}]" if len(messages) > 1 else str(path)
            found.append((name, check_file(message, path.name, profile=profile, today=_today())))
    if as_json:
        output.as_json(_json(found))
    else:
        for name, report in found:
            _say(console, name, report)
    raise typer.Exit(max(_code(report) for _, report in found))


@app.command(help=tr("Montrer en texte lisible, ou en HTML sûr.", "Show as readable text, or safe HTML."))
def show(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    html: Annotated[bool, typer.Option("--html", help=tr("Une page HTML.", "An HTML page."))] = False,
) -> None:
    console = here(ctx)
    try:
        data = _read(file)
    except OSError as problem:
        raise Said("hprim.file_unreadable", USAGE, file=file, reason=problem) from None
    shown = views(data, file.name, console.language)
    if not shown:
        raise Said("hprim.nothing_to_show", USAGE, file=file)
    sys.stdout.write(page(shown, console.language) if html else "\n".join(_printable(one.text()) for one in shown))


def views(data: bytes, name: str, language: Language) -> list[View]:
    """Every document of a file as a readable view; none when nothing can be shown."""
    from hprim.detect import detect, mail_start, messages_in
    from hprim.mime import split_mail
    from hprim.model import Format
    from hprim.render import cda_view, hprim_view, sante_view
    from hprim.xmlsafe import Unreadable
    from hprim.zipsafe import open_archive

    kind = detect(data, name, mail=True)
    try:
        if kind is Format.CDA:
            return [cda_view(data, _today(), language=language)]
        if kind is Format.ZIP:
            archive = open_archive(data)
            members = [entry for entry in archive.entries if entry.name.lower().endswith(".xml")][:_DOCUMENTS]
            return [view for entry in members for view in views(archive.read(entry, LARGEST), entry.name, language)]
    except Unreadable:
        return []
    if kind is Format.MAIL:
        mails = (split_mail(message[mail_start(message) :]) for message in messages_in(data))
        parts = islice((part for mail in mails for part in mail.parts), _DOCUMENTS)
        return [view for part in parts for view in views(part.data, part.name, language)]
    if kind is Format.HPRIM_SANTE:
        return [sante_view(data, _today(), language=language)]
    return [hprim_view(data, _today(), language=language)] if kind is Format.TEXT else []


def page(shown: list[View], language: Language) -> str:
    """A whole HTML page that may load nothing and run nothing."""
    body = "\n".join(one.html() for one in shown)
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'
        f"<title>Document</title></head>\n<body>\n{body}</body></html>\n"
    )


def _printable(text: str) -> str:
    return "\n".join(output.visible(line) for line in text.split("\n"))


def _read(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read(LARGEST)
    with path.open("rb") as file:
        return file.read(LARGEST)


def _today() -> Any:
    return datetime.now(UTC).date()


def _code(report: Report | str) -> int:
    if isinstance(report, str) or not report.readable:
        return USAGE
    return REFUSED if report.refused else DONE


def _json(found: list[tuple[str, Report | str]]) -> dict[str, Any]:
    """One object: every document, patient and problem with its file, and each file's own answer."""
    answer: dict[str, Any] = {"files": [], "documents": [], "patients": [], "problems": []}
    for name, report in found:
        code = _code(report)
        entry: dict[str, Any] = {"file": name, "exit": code}
        if isinstance(report, str):
            entry["error"] = report
        else:
            told = report.to_json()
            for key in ("documents", "patients", "problems"):
                answer[key] += [{"file": name, **one} for one in told[key]]
            entry |= told
        answer["files"].append(entry)
    return answer


def _say(console: Console, name: str, report: Report | str) -> None:
    if isinstance(report, str):
        output.line(console.say("hprim.file_unreadable", file=name, reason=report))
        return
    said = {DONE: "hprim.nothing_to_refuse", REFUSED: "hprim.would_be_refused", USAGE: "hprim.not_understood"}
    output.line(console.say(said[_code(report)], file=name))
    for problem in report.problems:
        output.line(f"  {problem.severity.value:2} {problem.text(console.language)}")
