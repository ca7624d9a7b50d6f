"""The one catalogue of rules: every sentence a sender or partner can ever read, in French and English.

One file per subject; each exports ``RULES``. :func:`rule` finds a rule by its stable name (``trust.sender_not_listed``).
Failure: two rules with one name, or an unknown name, raise :class:`policies.decision.CatalogueError`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from policies.decision import CatalogueError, Rule

SUBJECTS = (
    "session",
    "trust",
    "sender",
    "recipient",
    "content",
    "redirection",
    "patient",
    "store",
    "account",
    "relay",
    "notices",
    "sanction",
)


@cache
def rules() -> dict[str, Rule]:
    """Every rule by name."""
    found: dict[str, Rule] = {}
    for subject in SUBJECTS:
        for entry in import_module(f"policies.catalogue.{subject}").RULES:
            if entry.name in found:
                raise CatalogueError(f"rule {entry.name} is declared twice")
            found[entry.name] = entry
    return found


def rule(name: str) -> Rule:
    """The rule called ``name``; :class:`CatalogueError` when there is none."""
    try:
        return rules()[name]
    except KeyError:
        raise CatalogueError(f"no rule is called {name}") from None
