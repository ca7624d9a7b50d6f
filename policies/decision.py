"""A decision is a value: verdict, stable rule name, the words for the sender, the detail for the operator.

Promise: a :class:`Decision` can only be built from a rule of the catalogue (:mod:`policies.catalogue`), so every answer
Caducée ever gives has a stable name, an SMTP code, a sentence in French and English, and a source.
Failure: an unknown rule name or a missing parameter raises :class:`CatalogueError` at construction, never when a peer
is waiting for its reply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from string import Formatter
from typing import Literal

Language = Literal["fr", "en"]


class Verdict(StrEnum):
    """What is to be done. ``NOTE`` lets the message pass and tells the sender something (TOU-B02)."""

    ACCEPT = "accept"
    NOTE = "note"
    DEFER = "defer"
    REFUSE = "refuse"


SEVERITY = {Verdict.ACCEPT: 0, Verdict.NOTE: 1, Verdict.DEFER: 2, Verdict.REFUSE: 3}


class CatalogueError(LookupError):
    """A rule is unknown, declared twice, or its sentence names a parameter it was not given."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the catalogue.

    ``code`` is the SMTP reply code (250 for accept and note), ``enhanced`` its RFC 3463 status without the class check,
    ``fr``/``en`` the public sentences with ``{named}`` parameters, ``remedy_fr``/``remedy_en`` what the reader can do,
    ``sources`` the RFC sections and requirement ids (MSS-, HID-, TOU-) that ask for it.
    """

    name: str
    verdict: Verdict
    code: int
    enhanced: str
    fr: str
    en: str
    sources: tuple[str, ...]
    remedy_fr: str = ""
    remedy_en: str = ""

    def __hash__(self) -> int:
        return hash(self.name)  # a name stands in the catalogue once


_GOES_ON = (Verdict.ACCEPT, Verdict.NOTE)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one question about one recipient (or one session). Build it with :func:`decide`.

    ``parameters`` fill the public sentence; one that differs by language is given twice, as ``place_fr`` and ``place_en``
    for ``{place}``. ``detail`` is for the operator's journal only and never leaves the house. ``reference`` is where the
    journal tells of this decision, for the reader to quote; empty when it does not.
    """

    rule: Rule
    parameters: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""
    reference: str = field(default="", compare=False)

    @property
    def verdict(self) -> Verdict:
        return self.rule.verdict

    @property
    def accepted(self) -> bool:
        """True for accept and note: the message may go on."""
        return self.rule.verdict in _GOES_ON

    @property
    def code(self) -> int:
        return self.rule.code

    @property
    def enhanced(self) -> str:
        return self.rule.enhanced

    def sentence(self, language: Language) -> str:
        """The public sentence, parameters filled in."""
        template = self.rule.fr if language == "fr" else self.rule.en
        return template.format_map(self.said(language))

    def remedy(self, language: Language) -> str:
        """What the reader can do about it; empty when nothing."""
        template = self.rule.remedy_fr if language == "fr" else self.rule.remedy_en
        return template.format_map(self.said(language))

    def said(self, language: Language) -> Mapping[str, str]:
        """The parameters as one language says them: ``place_fr`` also answers to ``place`` in French."""
        mark = f"_{language}"
        both = {name[:-3]: value for name, value in self.parameters.items() if name.endswith(mark)}
        return {**self.parameters, **both} if both else self.parameters


@cache
def parameters_of(rule: Rule) -> frozenset[str]:
    """Names of the parameters the rule's sentences and remedies need."""
    texts = (rule.fr, rule.en, rule.remedy_fr, rule.remedy_en)
    return frozenset(name for text in texts for _, name, _, _ in Formatter().parse(text) if name)


def decide(rule: Rule, /, detail: str = "", **parameters: object) -> Decision:
    """Build a decision, checking that its sentences can be filled.

    Raises :class:`CatalogueError` when a named parameter is missing.
    """
    if not parameters and not detail:
        return _bare(rule)
    return _made(rule, detail, parameters)


@cache
def _bare(rule: Rule) -> Decision:
    return _made(rule, "", {})


def _made(rule: Rule, detail: str, parameters: Mapping[str, object]) -> Decision:
    given = parameters.keys() | {
        name[:-3] for name in parameters if name.endswith("_fr") and f"{name[:-3]}_en" in parameters
    }
    missing = parameters_of(rule) - given
    if missing:
        raise CatalogueError(f"{rule.name}: sentence needs the parameter {', '.join(sorted(missing))}")
    return Decision(rule, {name: str(value) for name, value in parameters.items()}, detail)


def gravest(decisions: tuple[Decision, ...] | list[Decision]) -> Decision:
    """The decision that wins when several apply: refuse over defer over note over accept; first of equals."""
    return max(decisions, key=lambda decision: SEVERITY[decision.verdict])
