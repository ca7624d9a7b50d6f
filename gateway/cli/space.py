"""A trust space in a box: two operators on this machine, with a test authority, to try and to test."""

from __future__ import annotations

import shlex
import signal
import ssl
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.errors import UNAVAILABLE, USAGE, Said
from gateway.cli.language import chosen, tr
from policies.catalogue.sentences_console import say

if TYPE_CHECKING:
    from gateway.admin.space import Space

Dir = Annotated[Path, typer.Option("--dir", help=tr("Dossier de l’espace d’essai.", "Folder of the test space."))]
Ready = Annotated[
    Path | None,
    typer.Option(
        "--ready-file", help=tr("Fichier JSON écrit quand tout répond.", "JSON file written once everything answers.")
    ),
]
Partners = Annotated[
    list[str] | None,
    typer.Option("--partner", help=tr("Opérateur tiers : DOMAINE=HÔTE:PORT.", "Third operator: DOMAIN=HOST:PORT.")),
]
Load = Annotated[
    int,
    typer.Option(
        "--load-mailboxes",
        min=0,
        help=tr("Boîtes user0… en plus, pour un essai de charge.", "More mailboxes user0…, for a load test."),
    ),
]
Demo = Annotated[
    bool, typer.Option("--demo", help=tr("Montrer un premier échange A → B → A.", "Show a first exchange A → B → A."))
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help=tr("Réglage des deux opérateurs : section.clé=valeur.", "Setting of both operators: section.key=value."),
    ),
]


Leash = Annotated[int, typer.Option("--leash", hidden=True)]  # as for ``serve``


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("space", help=tr("Démarrer un espace de confiance d’essai.", "Start a test trust space."))(space)


def space(
    ctx: typer.Context,
    directory: Dir = Path("run"),
    ready_file: Ready = None,
    partner: Partners = None,
    load_mailboxes: Load = 0,
    demo: Demo = False,
    set_: Set = None,
    leash: Leash = -1,
) -> None:
    from gateway.admin.space import Space, SpaceFailed
    from gateway.admin.space import partner as read_partner
    from gateway.cli.serve import fresh

    try:
        partners = [read_partner(text) for text in partner or ()]
        settings = dict(_setting(text) for text in set_ or ())
        built = Space(
            directory,
            partners=partners,
            settings=settings,
            load_mailboxes=load_mailboxes,
            say=lambda text: _step("·", text),
        )
        try:
            built.hold()
        except OSError as problem:
            raise Said("cli.cannot_write", UNAVAILABLE, path=directory, reason=problem) from None
        fresh(ready_file)
        built.build()
        built.start()
    except SpaceFailed as problem:
        code = USAGE if problem.sentence in ("space.partner", "space.setting") else UNAVAILABLE
        raise Said(problem.sentence, code, **problem.parameters) from None
    raise typer.Exit(_keep(built, ready_file, demo, leash))


def _keep(built: Space, ready_file: Path | None, demo: bool, leash: int) -> int:
    """Serve until SIGTERM or SIGINT; an operator that dies by itself ends the space with a failure."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        if ready_file is not None:
            built.write_ready(ready_file)
        if demo:
            _show_exchange(built)
            _show_connection(built.facts())
        while not stopping.wait(0.5) and not _let_go(leash):
            dead = built.dead()
            if dead is not None:
                raise Said("space.ended", UNAVAILABLE, domain=dead.operator.domain, log=dead.log)
    finally:
        built.stop()
    return 0


def _let_go(leash: int) -> bool:
    """Whether the other end of the pipe was closed."""
    import os
    import select

    return leash >= 0 and bool(select.select([leash], [], [], 0)[0]) and not os.read(leash, 4096)


def _setting(text: str) -> tuple[tuple[str, str], Any]:
    """``section.key=value`` as a configuration value: TOML where it is TOML, text otherwise."""
    import tomllib

    from gateway.admin.space import SpaceFailed

    name, equals, value = text.partition("=")
    section, dot, key = name.partition(".")
    if not equals or not dot:
        raise SpaceFailed("space.setting", text=text)
    try:
        return (section, key), tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        return (section, key), value


def _step(mark: str, text: str) -> None:
    from rich.console import Console

    Console(highlight=False).print(f" [bold cyan]{mark}[/] {text}")


def _show_exchange(built: Space) -> None:
    """Two operators, one message each way, one refusal: by ordinary mail libraries, against the running doors."""
    import smtplib

    from imapclient.exceptions import IMAPClientError
    from rich.console import Console
    from rich.panel import Panel

    from gateway.admin.exchange import ExchangeFailed, correspondent, exchange

    facts = built.facts()
    first, second = facts["operators"]
    trust = ssl.create_default_context(cafile=facts["pki"]["ca"])
    console = Console(highlight=False)
    console.print(Panel.fit(tr("Premier échange", "First exchange"), style="bold green"))
    ends = [correspondent(operator, operator["mailboxes"][0]) for operator in (first, second)]

    def step(title: str, detail: str) -> None:
        console.print(f" [bold green]✓[/] {title}\n   [dim]{detail}[/]")

    try:
        exchange(ends[0], ends[1], trust, chosen(), step)
    except ExchangeFailed as problem:
        reason: object = say(problem.sentence, chosen(), **problem.parameters)
    except smtplib.SMTPRecipientsRefused as problem:
        code, words = next(iter(problem.recipients.values()))
        reason = f"{code} {words.decode('utf-8', 'replace')}"
    except smtplib.SMTPException as problem:
        reason = str(problem)  # an OSError too, without anything such an error has
    except (IMAPClientError, OSError) as problem:
        reason = problem
    else:
        return
    raise Said("space.exchange", UNAVAILABLE, reason=reason, logs=" ".join(str(site.log) for site in built.sites))


def _show_connection(facts: dict[str, Any]) -> None:
    """What to type into Thunderbird, a browser and a terminal: whole lines, however narrow this one is."""
    from rich.console import Console
    from rich.table import Table

    operator = facts["operators"][0]
    box = operator["mailboxes"][0]

    def door(name: str) -> str:
        return f"{operator[name]['host']}  port {operator[name]['port']}  SSL/TLS"

    program = {
        tr("Adresse", "Address"): box["address"],
        "IMAP": door("imaps"),
        "SMTP": door("submissions"),
        "LDAP": door("ldaps"),
        tr("Identifiant", "User name"): box["login"],
        tr("Mot de passe", "Password"): box["device_password"],
    }
    portal = {
        tr("Adresse", "Address"): f"https://{operator['https']['host']}:{operator['https']['port']}/",
        tr("Identifiant", "User name"): box["account"],
        tr("Mot de passe", "Password"): box["password"],
        tr("Secret du code (TOTP)", "Secret of the code (TOTP)"): box["totp_secret"],
    }
    console = Console(highlight=False, markup=False)
    for title, rows in (
        (tr("Relier Thunderbird", "Connect Thunderbird"), program),
        (tr("Ouvrir le portail", "Open the portal"), portal),
    ):
        shown = Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=False)
        shown.add_column(style="bold")
        shown.add_column(overflow="fold")
        for row in rows.items():
            shown.add_row(*row)
        console.print()
        console.print(shown)
    command = shlex.join([_ourselves(), "--config", operator["config"], "mailbox", "list"])
    for title, line in (
        (tr("Autorité à importer", "Authority to import"), facts["pki"]["ca"]),
        (tr("Administrer", "Administer"), command),
    ):
        console.print(f"\n{title}\n  {line}", soft_wrap=True)
    console.print(
        tr("\nLes deux opérateurs servent ; Ctrl-C pour arrêter.", "\nBoth operators are serving; Ctrl-C to stop.")
    )


def _ourselves() -> str:
    """This command as it was called: in a clone, ``caducee`` is in no folder where a shell looks for commands."""
    return sys.argv[0] if Path(sys.argv[0]).name == "caducee" else "caducee"
