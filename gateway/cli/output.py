"""What commands print: JSON for programs, tables and short lines for people.

Promise: with ``--json`` standard output holds one JSON document and nothing else, or one per line when a command goes
on and on; colours only go to a terminal that wants them (NO_COLOR is obeyed). Texts from mail or partners are printed
without control characters.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from gateway.cli.language import chosen, tr
from policies.catalogue.sentence import octets as written

Json = Annotated[bool, typer.Option("--json", help=tr("Réponse en JSON.", "Answer in JSON."))]
Reason = Annotated[str, typer.Option("--reason", help=tr("Raison, gardée comme preuve.", "Reason, kept as evidence."))]
Yes = Annotated[bool, typer.Option("--yes", "-y", help=tr("Ne pas demander confirmation.", "Do not ask to confirm."))]


def _narrow() -> bool:
    """Whether this standard output cannot write every character: JSON has its own way to spell them."""
    return "utf" not in (sys.stdout.encoding or "utf-8").lower()


def plainer(problem: UnicodeError) -> tuple[str, int]:
    """What a terminal without our signs shows instead: letters without accents, straight quotes, else a question mark."""
    assert isinstance(problem, UnicodeEncodeError)
    text = problem.object[problem.start : problem.end].translate(_PLAIN)
    kept = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    return kept.encode("ascii", "replace").decode("ascii"), problem.end


_PLAIN = str.maketrans(
    {"’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"', "…": "...", "–": "-", "—": "-", "→": "->"}
    | {"œ": "oe", "Œ": "OE", "✓": "+", "✗": "x", "·": "-"}
)


def speak_plainly() -> None:
    """Let a terminal that is not UTF-8 show what it can, instead of ending the command."""
    codecs.register_error("caducee", plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="caducee")


def as_json(data: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(_json(data, indent=2) + "\n")


def as_json_line(data: Any) -> None:
    """One JSON document on a line of its own, at once: whoever reads a command that goes on would wait for a full buffer."""
    sys.stdout.write(_json(data) + "\n")
    sys.stdout.flush()


_UNSHOWN = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def _json(data: Any, indent: int | None = None) -> str:
    """JSON that any terminal shows and any UTF-8 output takes: a file of before UTF-8 has octets in its name that it does not."""
    said = json.dumps(data, ensure_ascii=_narrow(), indent=indent, default=str)
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", said)


def new_file(path: Path, pieces: Iterable[str | bytes]) -> int:
    """Write a file for its reader alone that was not there before; its octets. What cannot be finished is removed again."""
    from gateway.cli.errors import UNAVAILABLE, USAGE, Said

    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Said("transfer.exists", USAGE, place=path) from None
    except OSError as problem:
        raise Said("cli.cannot_write", UNAVAILABLE, path=path, reason=problem) from None
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                file.write(piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece)
            return file.tell()
    except BaseException as problem:
        path.unlink(missing_ok=True)
        if isinstance(problem, OSError):
            raise Said("cli.cannot_write", UNAVAILABLE, path=path, reason=problem) from None
        raise


def line(text: str) -> None:
    sys.stdout.write(visible(text) + "\n")


MOST_FITTED = 1000
"""Rows a table is fitted to the terminal for: it costs a millisecond each, and nobody reads a longer one line by line."""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table that fits the terminal, or tab-separated lines when the output is a pipe or long.

    On a terminal a column that is empty in every row is left out: eleven of them leave none of them room for a word.
    """
    kept = [[visible(str(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty() or len(kept) > MOST_FITTED:
        for row in [list(columns), *kept]:
            sys.stdout.write("\t".join(row) + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="" if os.environ.get("NO_COLOR") else "bold")
    used = [place for place in range(len(columns)) if not kept or any(row[place] for row in kept)]
    for place in used:
        shown.add_column(columns[place], overflow="fold")
    for row in kept:
        shown.add_row(*[row[place].replace("[", r"\[") for place in used])
    Console().print(shown)


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Name and value, one per line; empty values are left out."""
    kept = [(name, visible(str(value))) for name, value in pairs if value not in ("", None, (), [])]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        sys.stdout.write(f"{mark(sys.stdout, name.ljust(width), '1')}  {value}\n")


def remark(text: str) -> None:
    """A word to whoever reads over the shoulder of a table; a program that reads a pipe does not get it."""
    if sys.stdout.isatty():
        line(text)


def confirm(question: str) -> None:
    """Ask on standard error; anything but a clear yes ends the command with 1, and says that nothing was done."""
    from gateway.cli.errors import Said

    sys.stderr.write(f"{question} {tr('[o/N]', '[y/N]')} ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("o", "oui", "y", "yes"):
        raise Said("cli.given_up")


def secret(question: str, *, again: bool = False) -> str:
    """What a person types, never shown. It is asked on standard error: standard output may be one JSON document."""
    from gateway.cli.errors import USAGE, Said

    questions = (question, tr("Encore une fois", "Once more"))[: 2 if again else 1]
    typed = [str(typer.prompt(each, hide_input=True, prompt_suffix=tr(" : ", ": "), err=True)) for each in questions]
    if len(set(typed)) > 1:
        raise Said("cli.answers_differ", USAGE)
    return typed[0]


def when(seconds: float) -> str:
    """A date in local time; empty for never."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M") if seconds else ""


def size(octets: int) -> str:
    """Octets as a reader of this language writes them."""
    return written(octets, chosen())


def visible(text: str) -> str:
    """Without control characters: what a partner wrote must not drive our terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)


def mark(stream: TextIO, text: str, style: str) -> str:
    """``text`` in an ANSI style, on a terminal that wants it."""
    if not stream.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{style}m{text}\x1b[0m"
