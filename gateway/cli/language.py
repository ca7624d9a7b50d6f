"""Which language the command line speaks: ``--lang``, then ``CADUCEE_LANG``, then the system's, else English.

Help texts are fixed when a module is imported, so the choice is read from the arguments before anything else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache

from policies.decision import Language

LOCALES = ("LC_ALL", "LC_MESSAGES", "LANG")


def choose(arguments: Sequence[str], environment: Mapping[str, str]) -> Language:
    """The language these arguments and this environment ask for."""
    asked = environment.get("CADUCEE_LANG", "")
    for place, argument in enumerate(arguments):
        if argument == "--lang" and place + 1 < len(arguments):
            asked = arguments[place + 1]
        elif argument.startswith("--lang="):
            asked = argument.removeprefix("--lang=")
    if not asked:
        asked = next((environment[name] for name in LOCALES if environment.get(name)), "")
    return "fr" if asked.lower().startswith("fr") else "en"


@cache
def chosen() -> Language:
    """The language of this process."""
    return choose(sys.argv[1:], os.environ)


def tr(fr: str, en: str) -> str:
    """One of the two, for help texts."""
    return fr if chosen() == "fr" else en
