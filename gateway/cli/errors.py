"""Turns the errors a command may meet into words and an exit code.

Promise: the words are in the language asked for, name key, file, line and remedy where there are any, and never hold a
secret. Failure: an error that is not known here is answered by None: it is ours to mend, not the user's.
"""

from __future__ import annotations

import sys

from gateway.cli.output import mark
from gateway.config import ConfigError, Fault, SecretMissing
from policies.catalogue.sentences_console import remedy, say
from policies.decision import Decision, Language

DONE, REFUSED, USAGE, UNAVAILABLE = 0, 1, 2, 3


class Said(Exception):
    """An answer of the command line itself: a sentence of the console's catalogue and an exit code."""

    def __init__(self, sentence: str, code: int = REFUSED, /, **parameters: object) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.parameters = parameters


def told(problem: Exception, language: Language) -> int | None:
    """Print what ``problem`` means; the exit code, or None when it is unknown."""
    if isinstance(problem, ConfigError):
        for fault in problem.faults:
            _print(fault_text(fault, language))
        return USAGE
    if isinstance(problem, Said):
        advice = remedy(problem.sentence, language, **problem.parameters)
        _print(f"{say(problem.sentence, language, **problem.parameters)} {advice}".strip())
        return problem.code
    return _from_the_rooms(problem, language)


def _from_the_rooms(problem: Exception, language: Language) -> int | None:
    from mailboxes.accounts import Refused
    from mailboxes.engine import refusal
    from mailboxes.keys import WrongMasterKey
    from mailboxes.store import StoreError

    if isinstance(problem, Refused):
        _print(decision_text(problem.decision, language))
        return REFUSED
    if isinstance(problem, WrongMasterKey | SecretMissing):
        _print(say("cli.key_refused", language, reason=problem))
        return UNAVAILABLE
    away = problem if isinstance(problem, StoreError) else refusal(problem)  # migrations meet the database first
    if away is not None:
        _print(say("cli.store_unavailable", language, reason=str(away) or type(away).__name__))
        return UNAVAILABLE
    return None


def decision_text(decision: Decision, language: Language) -> str:
    """Sentence, remedy and rule name of a decision."""
    advice = decision.remedy(language)
    return f"{decision.sentence(language)}{' ' + advice if advice else ''} [{decision.rule.name}]"


def fault_text(fault: Fault, language: Language) -> str:
    """``file:line: key: problem. Remedy.``"""
    key = f"{fault.key}: " if fault.key else ""
    advice = fault.advises(language)
    return f"{fault.file}:{fault.line}: {key}{fault.says(language)}.{' ' + advice if advice else ''}"


def _print(text: str) -> None:
    sys.stderr.write(f"{mark(sys.stderr, 'caducee:', '1;31')} {text}\n")
