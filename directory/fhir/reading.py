"""The mailboxes in a resource somebody else wrote, however he coded them (MSS-125).

Servers and guides disagree: the type of a mailbox is coded in TRE_R257 or TRE_R256, as a CodeableConcept, a Coding or a bare code, and
``digitization`` comes and goes. Promise: what is read is what any of them means; a contact point that is no mailbox of the space is passed
over. Failure: none; what has another shape is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from directory.fhir import systems

TYPES = frozenset({"PER", "ORG", "APP", "CAB"})


@dataclass(frozen=True, slots=True)
class Mailbox:
    """``type`` is empty where it is not said; ``red`` is what a feed says, the public directory never does."""

    address: str
    type: str = ""
    description: str = ""
    service: str = ""
    rank: int = 0
    paperless: bool | None = None
    red: bool = False


def mailboxes(resource: object) -> tuple[Mailbox, ...]:
    """Those in the ``telecom`` of a resource."""
    return tuple(_mailboxes(_list(_dict(resource).get("telecom"))))


def _mailboxes(points: list[Any]) -> Iterator[Mailbox]:
    for point in map(_dict, points):
        extensions = [_dict(each) for each in _list(point.get("extension"))]
        known = next((each for each in extensions if each.get("url") in (systems.MAILBOX, systems.MAILBOX_ONCE)), None)
        address = point.get("value")
        if point.get("system") != "email" or not isinstance(address, str):
            continue
        if known is None and not any(_code(each) == "MSSANTE" for each in extensions):
            continue
        yield _mailbox(address, point.get("rank"), _list((known or {}).get("extension")))


def _mailbox(address: str, rank: object, parts: list[Any]) -> Mailbox:
    said = {str(part.get("url")): part for part in map(_dict, parts)}
    kind = _code(said.get("type", {}))
    paperless = said.get("digitization", {}).get("valueBoolean")
    return Mailbox(
        address,
        kind if kind in TYPES else "",
        _text(said.get("description", {})),
        _text(said.get("service", {})),
        rank if isinstance(rank, int) and not isinstance(rank, bool) and rank > 0 else 0,
        paperless if isinstance(paperless, bool) else None,
        said.get("listeRouge", {}).get("valueBoolean") is True,
    )


def _code(extension: dict[str, Any]) -> str:
    """The code an extension holds, in any of the forms met."""
    bare = extension.get("valueCode")
    codings = [
        _dict(extension.get("valueCoding")),
        *map(_dict, _list(_dict(extension.get("valueCodeableConcept")).get("coding"))),
    ]
    found = [bare, *(coding.get("code") for coding in codings)]
    return next((code for code in found if isinstance(code, str) and code), "")


def _text(extension: dict[str, Any]) -> str:
    text = extension.get("valueString")
    return text if isinstance(text, str) else ""


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
