"""A wrong command line, said in the language asked for: what the framework says in English only.

Promise: one line on what is wrong, one on where to read more, exit code 2. A message the framework words in a way not known
here is shown as it is. Failure: none.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from gateway.cli.language import chosen
from gateway.cli.output import mark
from policies.catalogue.sentences_console import say

_FRENCH = (
    (r"Missing (?:option|argument) '?(.*?)'?\. Choose from: (.*)", r"il manque \1, au choix : \2"),
    (r"Missing argument '?(.*?)'?\.(.*)", r"il manque l’argument \1\2"),
    (r"Missing option '?(.*?)'?\.(.*)", r"il manque l’option \1\2"),
    (r"Missing parameter: (.*)", r"il manque \1"),
    (r"No such command '(.*?)'\.(.*)", r"la commande « \1 » n’existe pas\2"),
    (r"No such option: (\S+)(.*)", r"l’option \1 n’existe pas\2"),
    (r"Missing command\.", r"il manque une commande"),
    (r"Got unexpected extra argument(?:s|\(s\))? \((.*)\)", r"de trop : \1"),
    (r"Invalid value for '?(.*?)'?: Input should be a valid (?:int|integer)\b.*", r"\1 attend un nombre entier"),
    (r"Invalid value for '?(.*?)'?: Input should be a valid (?:float|number)\b.*", r"\1 attend un nombre"),
    (r"Invalid value for '?(.*?)'?: Input should be greater than or equal to (\S+)", r"\1 : au moins \2"),
    (r"Invalid value for '?(.*?)'?: Input should be less than or equal to (\S+)", r"\1 : au plus \2"),
    (r"Option '?(.*?)'? requires an argument\.", r"l’option \1 attend une valeur"),
    (
        r"Invalid value for '?(.*?)'?: '?(.*?)'? is not a valid (?:int|integer)\.",
        r"\1 : « \2 » n’est pas un nombre entier",
    ),
    (r"Invalid value for '?(.*?)'?: (\S+) is not in the range (.*)\.", r"\1 : \2 n’est pas dans les bornes \3"),
    (r"Invalid value for '?(.*?)'?: '?(.*?)'? is not one of (.*)\.", r"\1 : « \2 » n’est pas l’un de \3"),
    (r"Invalid value for '?(.*?)'?: \w+ '(.*)' does not exist\.", r"\1 : « \2 » n’existe pas"),
    (r"Invalid value for '?(.*?)'?: \w+ '(.*)' is a directory\.", r"\1 : « \2 » est un dossier"),
    (r"Invalid value for '?(.*?)'?: \w+ '(.*)' is not readable\.", r"\1 : « \2 » ne peut pas être lu"),
    (r"Invalid value for '?(.*?)'?: (.*)", r"\1 : \2"),
    (r"Invalid value: (.*)", r"\1"),
)
_TAILS = (
    (r"\(Possible options: (.*)\)", r"(voulez-vous dire \1 ?)"),
    (r"Did you mean '?([^'?]*)'?\?", r"(voulez-vous dire \1 ?)"),
)


_HELP = (
    (r"^Usage: ", "Usage : "),
    (r"^Arguments:$", "Arguments :"),
    (r"^Options:$", "Options :"),
    (r"^Commands:$", "Commandes :"),
    (r"Show this message and exit\.", "Montrer cette aide."),
    (r"\benv var:", "variable :"),
    (r"\bdefault:", "défaut :"),
    (r"\brequired\]", "obligatoire]"),
)


def french_help(text: str) -> str:
    """The framework's own words in a help page."""
    for pattern, wanted in _HELP:
        text = re.sub(pattern, wanted, text, flags=re.MULTILINE)
    return text


def tell(problem: Any) -> int:
    """Print a usage error of the framework; the exit code."""
    context = getattr(problem, "ctx", None)
    text = problem.format_message()
    if type(problem).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{text}\n")
        return int(problem.exit_code)
    text = " ".join(text.split()).replace(": Value error, ", ": ")  # choices come one a line
    said = french(text) if chosen() == "fr" else english(text)
    if text.startswith("No such command") and "Did you mean" not in text and context is not None:
        said = f"{said.rstrip('.')}. {say('cli.commands', chosen(), names=', '.join(context.command.list_commands(context)))}"
    early = re.match(r"No such option: (--lang|--config|-c|--version)\b", text)
    if early is not None:
        said = f"{said.rstrip('.')} : " if chosen() == "fr" else f"{said.rstrip('.')}: "
        said += say("cli.goes_before", chosen(), option=early[1])
    sys.stderr.write(f"{mark(sys.stderr, 'caducee:', '1;31')} {said}\n")
    if context is not None:
        sys.stderr.write(say("cli.usage_hint", chosen(), command=context.command_path) + "\n")
    return int(problem.exit_code)


def english(text: str) -> str:
    """Without the words that say nothing."""
    return re.sub(r"\AInvalid value: ", "", text)


def french(text: str) -> str:
    """The framework's sentence in French; the sentence itself when it is not known."""
    for pattern, wanted in _TAILS:
        text = re.sub(pattern, wanted, text)
    for pattern, wanted in _FRENCH:
        if re.fullmatch(pattern, text, re.DOTALL):
            return re.sub(pattern, wanted, text, count=1, flags=re.DOTALL)
    return text
