"""A FHIR search as a question to the directory (MSS-123, MSS-131).

Promise: pure; every parameter is understood or refused, because a client that asks for one town and is answered for all must not take that
for the answer; texts are compared without case and accents, from the beginning unless ``:exact`` or ``:contains`` says otherwise.
Several values after one name are alternatives, a name said twice must hold twice, both for one and the same mailbox. Failure: :class:`BadSearch`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from directory.fhir import systems
from directory.fhir.keys import Kind, of_kind, sought
from directory.search import Condition, Every, Field, Some, Way, demand_bounded

MOST_NAMES = 20
MOST_VALUES = 10
LONGEST = 200
PAGE = 50
"""Resources in one answer at most, as at the national directory."""
IGNORED = frozenset({"_format", "_pretty", "_total"})
"""What changes the form of an answer only."""
_APART = re.compile(r"(?<!\\),")
_WAYS = {"": Way.BEGINS, "exact": Way.IS, "contains": Way.CONTAINS}


class BadSearch(ValueError):
    """``code`` is FHIR's word for what is wrong, ``sentence`` names the text of :mod:`policies.catalogue.sentences_fhir`."""

    def __init__(self, sentence: str, parameter: str = "", code: str = "invalid") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.parameter = parameter
        self.code = code


Made = Callable[[Kind, str, str], Condition]
"""Kind, modifier, value."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One that can be asked for; ``type`` is FHIR's word for its kind."""

    type: str
    made: Made
    definition: str = ""
    mailbox: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """A question, and how many resources a page holds. ``asked`` is what it was made of, to be asked again."""

    kind: Kind
    condition: Condition
    count: int
    asked: tuple[tuple[str, str], ...] = field(default=())


def search(kind: Kind, asked: Sequence[tuple[str, str]]) -> Search:
    """The question ``asked`` by names and values, as they stood in the request."""
    if len(asked) > MOST_NAMES:
        raise BadSearch("fhir.too_many_parameters", code="too-costly")
    known, count, mailbox = PARAMETERS[kind], PAGE, False
    conditions: list[Condition] = []
    for written, value in asked:
        name, _, modifier = written.partition(":")
        if written == "_count":
            count = _count(value)
        elif written not in IGNORED:
            if name not in known:
                raise BadSearch("fhir.unknown_parameter", written, "not-supported")
            parameter = known[name]
            mailbox = mailbox or parameter.mailbox
            values = _values(written, value)
            conditions.append(Some(tuple(parameter.made(kind, modifier, each) for each in values)))
    question = Every((of_kind(kind, mailbox=mailbox), *conditions))
    try:
        demand_bounded(question)
    except ValueError:
        raise BadSearch("fhir.too_many_parameters", code="too-costly") from None
    return Search(kind, question, count, tuple((name, value) for name, value in asked if name not in IGNORED))


def _count(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 6 or int(value) == 0:
        raise BadSearch("fhir.bad_value", "_count")
    return min(int(value), PAGE)


def _values(name: str, text: str) -> list[str]:
    """Alternatives, with ``\\,`` and ``\\|`` as they are meant (FHIR R4 3.1.1.5.7)."""
    values = [value.strip() for value in _APART.split(text)]
    if len(values) > MOST_VALUES:
        raise BadSearch("fhir.too_many_parameters", name, "too-costly")
    if any(not value or len(value) > LONGEST for value in values):
        raise BadSearch("fhir.bad_value", name)
    return values


def _plain(text: str) -> str:
    return re.sub(r"\\([,|$\\])", r"\1", text)


def _string(names: Sequence[str], _kind: Kind, modifier: str, value: str) -> Condition:
    if modifier not in _WAYS:
        raise BadSearch("fhir.unknown_modifier", modifier, "not-supported")
    return Some(tuple(Field(name, _WAYS[modifier], _plain(value)) for name in names))


def _token(value: str, modifier: str) -> tuple[str | None, str]:
    """System and code; None where the system may be any."""
    if modifier:
        raise BadSearch("fhir.unknown_modifier", modifier, "not-supported")
    system, bar, code = value.rpartition("|")
    return (system if bar else None), _plain(code)


def _code(name: str, systems_known: Sequence[str], _kind: Kind, modifier: str, value: str) -> Condition:
    system, code = _token(value, modifier)
    if system is not None and system not in systems_known:
        return Some(())
    return Field(name, Way.IS, code) if code else Some(())


def _number(name: str, prefixes: Mapping[str, str], _kind: Kind, modifier: str, value: str) -> Condition:
    """An identifier: of one system, or of any of those ``prefixes`` know."""
    system, number = _token(value, modifier)
    if not number:
        return Some(())
    if system is not None:
        return Field(name, Way.IS, prefixes[system] + number) if system in prefixes else Some(())
    return Some(tuple(Field(name, Way.IS, prefix + number) for prefix in prefixes.values()))


def _identity(kind: Kind, modifier: str, value: str) -> Condition:
    if modifier:
        raise BadSearch("fhir.unknown_modifier", modifier, "not-supported")
    return sought(kind, value) or Some(())


def _active(_kind: Kind, modifier: str, value: str) -> Condition:
    _, said = _token(value, modifier)
    if said not in ("true", "false"):
        raise BadSearch("fhir.bad_value", "active")
    return Every(()) if said == "true" else Some(())


def _reference(target: Kind, _kind: Kind, modifier: str, value: str) -> Condition:
    """The person of a role."""
    if modifier not in ("", target.value):
        raise BadSearch("fhir.unknown_modifier", modifier, "not-supported")
    known = value.removeprefix(f"{target.value}/")
    return Every((sought(target, known) or Some(()), Field("person", Way.PRESENT)))


_PERSONS = {systems.IDNAT_PS: "", systems.RPPS: "8"}
_STRUCTURES = {systems.IDNAT_STRUCT: "", systems.FINESS: "1", systems.SIRET: "3"}


def _text(*names: str) -> Parameter:
    return Parameter("string", partial(_string, names))


_COMMON: Mapping[str, Parameter] = {
    "_id": Parameter("token", _identity),
    "active": Parameter("token", _active),
    "mailbox-mss": Parameter("string", partial(_string, ("address",)), systems.SEARCH_MAILBOX, mailbox=True),
    "mailbox-mss-type": Parameter(
        "token",
        partial(_code, "type", (systems.MAILBOX_TYPE, systems.MAILBOX_KIND)),
        systems.SEARCH_MAILBOX_TYPE,
        mailbox=True,
    ),
}
_PERSON = Parameter("token", partial(_number, "person", _PERSONS))
_STRUCTURE = Parameter("token", partial(_number, "structure", _STRUCTURES))
_PROFESSION = Parameter("token", partial(_code, "profession_code", (systems.PROFESSION,)))
_PLACE: Mapping[str, Parameter] = {
    "address": _text("street", "town", "postal_code", "department"),
    "address-city": _text("town"),
    "address-postalcode": _text("postal_code"),
}

PARAMETERS: Mapping[Kind, Mapping[str, Parameter]] = {
    Kind.PRACTITIONER: {
        **_COMMON,
        **_PLACE,
        "identifier": _PERSON,
        "name": _text("family", "given"),
        "family": _text("family"),
        "given": _text("given"),
        "qualification-code": _PROFESSION,
    },
    Kind.ROLE: {
        **_COMMON,
        "practitioner": Parameter("reference", partial(_reference, Kind.PRACTITIONER)),
        "practitioner.identifier": _PERSON,
        "practitioner.name": _text("family", "given"),
        "practitioner.family": _text("family"),
        "practitioner.given": _text("given"),
        "organization.identifier": _STRUCTURE,
        "organization.name": _text("organisation"),
        "organization.address-city": _text("town"),
        "organization.address-postalcode": _text("postal_code"),
        "role": _PROFESSION,
        "specialty": Parameter("token", partial(_code, "specialty_code", (systems.SPECIALTY,))),
    },
    Kind.ORGANIZATION: {
        **_COMMON,
        **_PLACE,
        "identifier": _STRUCTURE,
        "name": _text("organisation"),
    },
}
