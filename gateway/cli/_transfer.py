"""``caducee mailbox import`` and ``caducee mailbox export``: a user arrives from another operator, or leaves for one."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.context import Desk, actor, opened
from gateway.cli.errors import REFUSED, UNAVAILABLE, USAGE, Said
from gateway.cli.language import tr
from gateway.cli.output import Json

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from mailboxes.transfer import Origin, Report, Step, Target, TransferFailed

Where = Annotated[str, typer.Argument(metavar="ADDRESS", help=tr("Notre boîte.", "Our mailbox."))]
Place = Annotated[
    str,
    typer.Argument(
        metavar="PLACE",
        help=tr(
            "imaps://UTILISATEUR@HÔTE[:PORT], ou un fichier d’archive.", "imaps://USER@HOST[:PORT], or an archive file."
        ),
    ),
]
Ca = Annotated[
    Path | None,
    typer.Option("--ca", help=tr("Autorité du serveur distant (PEM).", "Authority of the remote server (PEM).")),
]
Ledger = Annotated[Path | None, typer.Option("--ledger", help=tr("Registre de reprise.", "Ledger, to resume from."))]
ReportFile = Annotated[
    Path | None, typer.Option("--report", help=tr("Rapport JSON à écrire.", "JSON report to write."))
]
Stdin = Annotated[
    bool,
    typer.Option(
        "--stdin", help=tr("Lire le mot de passe sur l’entrée standard.", "Read the password from standard input.")
    ),
]


def import_(
    ctx: typer.Context, address: Where, place: Place, ca: Ca = None, ledger: Ledger = None, report: ReportFile = None,
    stdin: Stdin = False, as_json: Json = False,
) -> None:  # fmt: skip
    from mailboxes.transfer_store import StoreTarget

    def ends(desk: Desk, mailbox: int, run: Any) -> tuple[Origin, Target]:
        return _origin(place, _secret(stdin), ca), StoreTarget(desk.storage.store, mailbox, run, actor(), _judge(desk))

    _do(ctx, address, place, ends, ledger, report, as_json)


def export(
    ctx: typer.Context, address: Where, place: Place, ca: Ca = None, ledger: Ledger = None, report: ReportFile = None,
    stdin: Stdin = False, as_json: Json = False,
) -> None:  # fmt: skip
    from mailboxes.transfer_store import StoreOrigin

    def ends(desk: Desk, mailbox: int, run: Any) -> tuple[Origin, Target]:
        return StoreOrigin(desk.storage.store, mailbox, run, actor()), _target(place, stdin, ca)

    _do(ctx, address, place, ends, ledger, report, as_json)


def _do(
    ctx: typer.Context,
    address: str,
    place: str,
    ends: Callable[[Desk, int, Any], tuple[Origin, Target]],
    ledger: Path | None,
    report_file: Path | None,
    as_json: bool,
) -> None:
    from mailboxes import register
    from mailboxes.transfer import Ledger, TransferFailed, transfer, write_report

    with opened(ctx) as desk, asyncio.Runner() as runner:
        mailbox = desk.ask(lambda connection: register.get(connection, address)).id
        kept = Ledger(ledger or _ledger_path(desk, address, place))
        try:
            origin, target = ends(desk, mailbox, runner.run)
            with _progress() as step:
                report = transfer(origin, target, kept, step)
        except TransferFailed as problem:
            raise _said(problem) from problem
        except OSError as problem:  # the archive or the ledger, while it is written
            raise Said("cli.transfer_failed", UNAVAILABLE, reason=problem) from problem
        if report_file is not None:
            try:
                write_report(report_file, report)
            except OSError as problem:
                raise Said("cli.cannot_write", UNAVAILABLE, path=report_file, reason=problem) from problem
    _tell(report, kept.path, as_json)
    if not report.complete:
        raise typer.Exit(REFUSED)


def _said(problem: TransferFailed) -> Said:
    if problem.word == "store":
        return Said("cli.store_unavailable", UNAVAILABLE, reason=problem)
    if not problem.word:
        return Said("cli.transfer_failed", UNAVAILABLE, reason=problem)
    code = USAGE if problem.word in ("place", "exists") else UNAVAILABLE
    return Said(f"transfer.{problem.word}", code, place=problem.place, reason=problem)


def _ledger_path(desk: Desk, address: str, place: str) -> Path:
    """The same for the same two ends, so that the same command resumes."""
    import hashlib

    folder = desk.storage.config.service.data / "transfers"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = hashlib.sha256(f"{address}\0{place}".encode()).hexdigest()[:24]
    ledger = folder / f"{name}.jsonl"
    if not place.startswith(("imap://", "imaps://")):
        ledger.unlink(missing_ok=True)  # an archive is written or read whole
    return ledger


def _tell(report: Report, ledger: Path, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        output.as_json(asdict(report))
        return
    output.facts(
        [
            (tr("Dossiers", "Folders"), report.folders),
            (tr("Messages transférés", "Messages moved"), report.moved),
            (tr("Déjà faits", "Done before"), report.already),
            (tr("Octets", "Octets"), report.octets),
            (tr("Refusés", "Refused"), len(report.refused)),
            ("SHA-256", report.digest),
            (tr("Registre", "Ledger"), ledger),
        ]
    )
    for folder, uid, reason in report.refused[:20]:
        output.line(f"  {folder} {uid}: {reason}")


def _judge(desk: Desk) -> Any:
    """The content policies of APPEND."""
    from gateway.content_gate import ContentGate
    from gateway.part_settings import scanner
    from policies.content import ContentSettings
    from policies.values import Address, Login

    config = desk.storage.config
    gate = ContentGate(scanner(config), lambda: ContentSettings(size=config.limits.append_size))
    nobody = Login(actor(), 0, Address("operator", config.operator.domains[0]), "transfer")

    async def judge(content: bytes, anatomy: Any) -> str:
        decision = await gate.judge(nobody, content, anatomy)
        return "" if decision.accepted else decision.rule.name

    return judge


def _origin(place: str, password: str, ca: Path | None) -> Origin:
    if place.startswith(("imap://", "imaps://")):
        from mailboxes.transfer_imap import ImapOrigin, connect

        return ImapOrigin(connect(place, password, _context(ca)))
    from mailboxes.transfer_archive import ArchiveOrigin

    try:
        return ArchiveOrigin(Path(place), password)
    except OSError as problem:
        raise Said("cli.cannot_read", USAGE, path=place, reason=problem) from problem


def _target(place: str, stdin: bool, ca: Path | None) -> Target:
    if place.startswith(("imap://", "imaps://")):
        from mailboxes.transfer_imap import ImapTarget, connect

        return ImapTarget(connect(place, _secret(stdin), _context(ca)))
    from mailboxes.passwords import new_device_secret
    from mailboxes.transfer_archive import ArchiveTarget

    passphrase = _secret(stdin) if stdin else new_device_secret()
    try:
        target = ArchiveTarget(Path(place), passphrase)
    except OSError as problem:
        raise Said("cli.cannot_write", UNAVAILABLE, path=place, reason=problem) from problem
    if not stdin:
        _show(passphrase)
    return target


def _show(passphrase: str) -> None:
    """Once: the archive is worth nothing without it."""
    sys.stderr.write(
        tr("Phrase secrète de l’archive (montrée une seule fois) : ", "Passphrase of the archive (shown once): ")
        + passphrase
        + "\n"
    )


def _secret(stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return output.secret(tr("Mot de passe", "Password"))


def _context(ca: Path | None) -> ssl.SSLContext:
    from gateway.submission_there import BadFile, trusting

    try:
        return trusting(ca)
    except BadFile as problem:
        raise Said("send.bad_authority", USAGE, file=problem.file) from None


@contextmanager
def _progress() -> Iterator[Step]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda folder, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None)
        yield lambda folder, done, total: bar.update(task, description=folder[:30], completed=done, total=total)
