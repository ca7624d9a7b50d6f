"""Turns the errors a command may meet into words and an exit code.

Promise: the words are in the language asked for, name key, file, line and remedy where there are any, and never hold a
secret. Failure: an error that is not known here is answered by None: it is ours to mend, not the user's.
"""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING

from gateway.cli.output import mark
from gateway.config import ConfigError, Fault, SecretMissing
from policies.catalogue.sentences_console import SENTENCES, remedy, say
from policies.decision import Decision, Language

if TYPE_CHECKING:
    from mailboxes.store import StoreError

DONE, REFUSED, USAGE, UNAVAILABLE = 0, 1, 2, 3


class Said(Exception):
    """An answer of the command line itself: a sentence of the console's catalogue and an exit code.

    A parameter that is an ``OSError`` is told as :func:`why`.
    """

    def __init__(self, sentence: str, code: int = REFUSED, /, **parameters: object) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.parameters = parameters


def said_text(problem: Said, language: Language) -> str:
    """The sentence, a full stop where it has none, and what to do about it."""
    given = {name: _worded(problem.sentence, name, value, language) for name, value in problem.parameters.items()}
    text, advice = say(problem.sentence, language, **given), remedy(problem.sentence, language, **given)
    if not advice:
        return text
    return f"{text if text.endswith(('.', '!', '?', '»', ':')) else text + '.'} {advice}"


_WORDED = {("cli.bad_address", "problem"): "address", ("cli.list_refused", "reason"): "list"}


def _worded(sentence: str, name: str, value: object, language: Language) -> object:
    """A stable word of another module, as people say it."""
    if isinstance(value, OSError):
        return why(value, language)
    subject = _WORDED.get((sentence, name))
    return word(subject, str(value), language) if subject else value


def told(problem: Exception, language: Language) -> int | None:
    """Print what ``problem`` means; the exit code, or None when it is unknown."""
    if isinstance(problem, ConfigError):
        for fault in problem.faults:
            _print(fault_text(fault, language))
        return USAGE
    if isinstance(problem, Said):
        _print(said_text(problem, language))
        return problem.code
    return _from_the_rooms(problem, language)


def _from_the_rooms(problem: Exception, language: Language) -> int | None:
    from gateway.migrations import NewerDatabase
    from mailboxes.accounts import Refused
    from mailboxes.engine import refusal
    from mailboxes.keys import WrongMasterKey
    from mailboxes.store import StoreError

    if isinstance(problem, Refused):
        _print(decision_text(problem.decision, language))
        return REFUSED
    if isinstance(problem, WrongMasterKey) and problem.word:
        _print(said_text(Said(f"key.{problem.word}", where=problem.where), language))
        return UNAVAILABLE
    if isinstance(problem, WrongMasterKey | SecretMissing):
        _print(say("cli.key_refused", language, reason=problem))
        return UNAVAILABLE
    if isinstance(problem, NewerDatabase):
        _print(said_text(Said("cli.store_newer", found=problem.found, known=problem.known), language))
        return UNAVAILABLE
    store = problem if isinstance(problem, StoreError) else refusal(problem)  # migrations meet the database first
    if store is not None:
        _print(said_text(away(store), language))
        return UNAVAILABLE
    return None


def away(problem: StoreError) -> Said:
    """Which part of the store does not answer, and why."""
    from mailboxes.store import BlobsUnavailable, BlobsUnmounted, StoreEmptied

    if isinstance(problem, StoreEmptied):
        return Said("cli.store_emptied", UNAVAILABLE, anchor=problem.anchor, records=problem.records)
    if isinstance(problem, BlobsUnmounted):
        return Said("cli.blobs_unmounted", UNAVAILABLE, path=problem.root, file=problem.file, word=problem.word)
    name = "cli.blobs_unavailable" if isinstance(problem, BlobsUnavailable) else "cli.store_unavailable"
    return Said(name, UNAVAILABLE, reason=str(problem) or type(problem).__name__)


def word(subject: str, value: str, language: Language) -> str:
    """``list.replay``, ``outcome.held``... in words; the word itself when nobody wrote any."""
    name = f"{subject}.{value}"
    return say(name, language) if name in SENTENCES else value


def why(problem: OSError, language: Language) -> str:
    """Why a file cannot be read or written, in words of ours for the usual reasons."""
    name = _REASONS.get(problem.errno or 0)
    return say(name, language) if name else problem.strerror or type(problem).__name__


_REASONS = {
    errno.ENOENT: "file.missing",
    errno.EACCES: "file.denied",
    errno.EPERM: "file.denied",
    errno.EISDIR: "file.directory",
    errno.ENOTDIR: "file.missing",
    errno.ENOSPC: "file.full",
}


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
