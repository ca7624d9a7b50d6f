"""How pages speak: the language of the reader, dates, sizes, and the templates that hold it all.

Promise: every text comes from the one catalogue (:mod:`policies.catalogue.sentences_portal`) and is escaped on its way into a page; a template
that names what it was not given fails instead of leaving a hole. Failure: :class:`policies.decision.CatalogueError`, jinja2's errors: ours
to mend.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from policies.catalogue.sentence import octets
from policies.catalogue.sentences_portal import say
from policies.decision import Decision, Language

LANGUAGES: tuple[Language, ...] = ("fr", "en")
LONGEST_WISH = 200


def preferred(header: str) -> Language:
    """The first language of ours in ``Accept-Language`` (RFC 9110 12.5.4), by weight; French when there is none."""
    wished = [part.strip().partition(";") for part in header[:LONGEST_WISH].split(",")]
    found = [
        (_weight(weight), language)
        for name, _, weight in wished
        for language in LANGUAGES
        if name.lower().split("-")[0] == language
    ]
    best = max(found, key=lambda pair: pair[0], default=(0.0, LANGUAGES[0]))
    return best[1] if best[0] > 0 else LANGUAGES[0]


def _weight(text: str) -> float:
    name, _, value = text.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0


def when(seconds: float, language: Language) -> str:
    """A moment in local time, as readers of this language write it; empty for never."""
    if not seconds:
        return ""
    form = "%d/%m/%Y à %H:%M" if language == "fr" else "%d %b %Y at %H:%M"
    return datetime.fromtimestamp(seconds).astimezone().strftime(form)


def advice(decision: Decision, language: Language) -> str:
    """What the reader of a page can do about a refusal: what only a command line can is left out."""
    found = decision.remedy(language)
    return "" if "caducee " in found else found


@cache
def environment() -> Environment:
    """The templates, all compiled: one takes longer than the event loop may be held."""
    made = Environment(
        loader=PackageLoader("gateway.portal", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.clear()
    for name in made.list_templates(extensions=["html"]):
        made.get_template(name)
    return made


def render(template: str, language: Language, facts: Mapping[str, Any]) -> str:
    """A page."""
    speaking = {
        "language": language,
        "t": partial(_say, language),
        "when": partial(when, language=language),
        "size": partial(octets, language=language),
        "sentence": lambda decision: decision.sentence(language),
        "advice": partial(advice, language=language),
    }
    return environment().get_template(template).render({**speaking, **facts})


def _say(language: Language, name: str, /, **parameters: object) -> str:
    return say(name, language, **parameters)
