"""A finding of the doctor: what was looked at, how it is, and the sentence that says so.

Promise: values; the exit code follows from the gravest state. Failure: none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from gateway.config import Fault
from policies.catalogue.sentence import octets
from policies.catalogue.sentences_doctor import DOCTOR, told
from policies.catalogue.trust import certificate_flaw
from policies.decision import Decision, Language


class State(IntEnum):
    """From good to not there at all; the number orders them."""

    GOOD = 0
    SKIPPED = 1  # could not be asked from here, and need not be
    WARN = 2
    BAD = 3
    AWAY = 4  # did not answer


class Octets(int):
    """A size, said as each language writes it."""


CODES = {State.BAD: 1, State.AWAY: 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """``check`` is what was looked at (``list``, ``door``...), ``name`` the sentence's own name."""

    check: str
    state: State
    name: str
    parameters: Mapping[str, object] = field(default_factory=dict)

    def said(self, language: Language) -> tuple[str, str]:
        """The sentence and what to mend."""
        parameters = dict(self.parameters)
        fault = parameters.pop("fault", None)
        if isinstance(fault, Fault):
            return f"{fault.key}: {fault.says(language)}", fault.advises(language)
        decision = parameters.pop("decision", None)
        if isinstance(decision, Decision):
            parameters |= {"sentence": decision.sentence(language), "remedy": decision.remedy(language)}
        parameters |= {key: octets(value, language) for key, value in parameters.items() if isinstance(value, Octets)}
        reason = f"why.{parameters.get('reason')}"
        if reason in DOCTOR:
            parameters["reason"] = told(reason, language, {})[0]
        if "flaw" in parameters:
            parameters["reason"] = certificate_flaw(str(parameters.pop("flaw")), language)
        return told(self.name, language, parameters)

    def to_json(self, language: Language) -> dict[str, Any]:
        sentence, remedy = self.said(language)
        decision = self.parameters.get("decision")
        rule = decision.rule.name if isinstance(decision, Decision) else ""
        return {
            "check": self.check,
            "state": self.state.name.lower(),
            "name": self.name,
            "says": sentence,
            "remedy": remedy,
            "rule": rule,
        }


def found(state: State, name: str, /, **parameters: object) -> Finding:
    """A finding whose check is the first word of its sentence's name."""
    return Finding(name.partition(".")[0], state, name, parameters)


def exit_code(findings: Iterable[Finding]) -> int:
    """0 when nothing is bad, 1 when something is, 3 when something did not answer."""
    return CODES.get(max((each.state for each in findings), default=State.GOOD), 0)
