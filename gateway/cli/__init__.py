"""The command ``caducee``: finds its subcommands by themselves, loads only the one that is asked for.

Each module of this package without a leading underscore is one subcommand, named after the module (``_`` becomes ``-``),
except those of :data:`SHARED`. It exposes either ``app`` (a :class:`typer.Typer` with subcommands of its own) or
``register(app)``, which adds one command to the application it is given. The first line of its docstring is its help; a French
one stands in :mod:`policies.catalogue.sentences_console` under ``cli.help.<name>``.
Promise: ``caducee --help`` imports no subcommand. Exit codes: 0 done, 1 the answer is no, 2 wrong usage or configuration,
3 the store or a service is unavailable. Failure: each known error becomes one readable message on standard error, in the
language asked for; anything else is a fault of ours and shows its traceback.
"""

from __future__ import annotations

import ast
import importlib
import os
import resource
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from gateway.cli.language import chosen, tr
from policies.catalogue.sentences_console import SENTENCES

SHARED = frozenset({"context", "output", "language", "session_file", "errors", "wrong_usage"})
HEAD_BYTES = 1000
# the order in which people need them; others follow by name
FIRST = ("serve", "config", "account", "mailbox", "device")


def names() -> list[str]:
    """Subcommands, in the order of ``--help``."""
    here = Path(__file__).parent
    found = {path.stem for path in here.glob("*.py") if not path.stem.startswith("_")} - SHARED
    shown = {name.replace("_", "-") for name in found}
    return [name for name in FIRST if name in shown] + sorted(shown - set(FIRST))


def short_help(name: str) -> str:
    """One line about a subcommand, without importing it."""
    sentence = SENTENCES.get(f"cli.help.{name}")
    if sentence is not None:
        return sentence.fr if chosen() == "fr" else sentence.en
    with (Path(__file__).parent / f"{name.replace('-', '_')}.py").open("rb") as file:
        head = file.read(HEAD_BYTES).decode("utf-8", "replace")
    first = head.split("\n", 1)[0].strip()
    try:
        return str(ast.literal_eval(first if first.endswith('"""') and len(first) > 3 else first + '"""'))
    except (SyntaxError, ValueError):
        return ""


class Root(TyperGroup):
    """The group of all subcommands: light stand-ins for the list, the real one when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return names()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return TyperCommand(cmd_name, help=short_help(cmd_name)) if cmd_name in names() else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else command(name), rest

    def get_help(self, ctx: Any) -> str:
        return _help(super().get_help, ctx)

    def main(self, *args: Any, **named: Any) -> Any:
        """Run, and say a wrong usage in our own words."""
        standalone_mode = named.pop("standalone_mode", True)
        named["standalone_mode"] = False
        try:
            ended = super().main(*args, **named)
        except typer.Abort:
            if not standalone_mode:
                raise
            from gateway.cli.errors import Said, told

            ended = told(Said("cli.given_up"), chosen())  # a question that got no answer
        except Exception as problem:
            if not standalone_mode or not hasattr(problem, "format_message"):
                raise
            from gateway.cli.wrong_usage import tell

            ended = tell(problem)
        if standalone_mode:
            sys.exit(ended if isinstance(ended, int) else 0)
        return ended

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as problem:
            if isinstance(problem, typer.Exit | typer.Abort) or hasattr(problem, "show"):
                raise  # an end that was asked for, or wrong usage: the framework says it
            from gateway.cli.errors import told

            code = told(problem, ctx.obj.language if ctx.obj else chosen())
            if code is None:
                raise
            raise typer.Exit(code) from None


def command(name: str) -> Any:
    """Import a subcommand."""
    module = importlib.import_module(f"gateway.cli.{name.replace('-', '_')}")
    if hasattr(module, "app"):
        return _plain(typer.main.get_group(module.app))
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    module.register(single)
    return _plain(typer.main.get_command(single))


def _plain(found: Any) -> Any:
    """Plain help, in the language asked for, of a command and all below it: Rich takes a fifth of a second to say the same."""
    waiting = [found]
    while waiting:
        one = waiting.pop()
        one.rich_markup_mode = None
        one.get_help = partial(_help, one.get_help)
        waiting.extend(getattr(one, "commands", {}).values())
    return found


def _help(page: Callable[[Any], str], ctx: Any) -> str:
    from gateway.cli.wrong_usage import french_help

    return french_help(page(ctx)) if chosen() == "fr" else page(ctx)


application = typer.Typer(
    cls=Root,
    name="caducee",
    help=tr(
        "Caducée : passerelle de messagerie médicale sécurisée.",
        "Caducée: secure medical mail gateway.",
    ),
    epilog=tr(
        "Codes de sortie : 0 fait, 1 réponse négative, 2 usage ou configuration, 3 service indisponible.",
        "Exit codes: 0 done, 1 the answer is no, 2 usage or configuration, 3 service unavailable.",
    ),
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


ConfigPath = Annotated[
    Path,
    typer.Option(
        "--config", "-c", envvar="CADUCEE_CONFIG", help=tr("Fichier de configuration.", "Configuration file.")
    ),
]
Lang = Annotated[
    str,
    typer.Option(
        "--lang", envvar="CADUCEE_LANG", help=tr("Langue des messages : fr ou en.", "Language of messages: fr or en.")
    ),
]


def _version(asked: bool) -> None:
    """What a fault is reported against, and what an upgrade starts from."""
    if asked:
        from importlib.metadata import version

        typer.echo(f"caducee {version('caducee')}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", is_eager=True, callback=_version, help=tr("Dire la version.", "Tell the version.")),
]


@application.callback()
def start(
    ctx: typer.Context, config: ConfigPath = Path("config.toml"), lang: Lang = "", version: Version = False
) -> None:
    """Options of every subcommand."""
    from gateway.cli.context import Console

    language = lang or chosen()
    if language not in ("fr", "en"):
        raise typer.BadParameter("fr, en", param_hint="--lang")
    ctx.obj = Console(config, "fr" if language == "fr" else "en")


def in_utf8() -> None:
    """Begin again in UTF-8 where Python was kept from it in a locale without any letters but ASCII's (C with PYTHONUTF8=0).

    Names of files in ``config.toml`` and on the command line could not be written there, and what libraries read as text
    (the schemas behind the white list's signature) could not be read. The environment is passed on to our processes.
    """
    if sys.getfilesystemencoding() == "ascii" and os.environ.get("PYTHONUTF8") != "1":
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "PYTHONUTF8": "1"})  # noqa: S606


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point; ends the process with an exit code."""
    from gateway.cli.output import speak_plainly

    if arguments is None:
        in_utf8()
    given = list(sys.argv[1:] if arguments is None else arguments)
    speak_plainly()
    # A dump of our memory would lay the master key and the mail under way on the disk, in clear; children inherit this.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        application(given, prog_name="caducee")
    except BrokenPipeError:
        # the reader went away (`caducee ... | head`): nobody is left to be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
