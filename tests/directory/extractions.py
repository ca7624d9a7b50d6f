"""Makes files like the national extraction, for tests: 31 columns, made-up people of made-up operators."""

from __future__ import annotations

from bench.directory_speed import HEAD
from directory.sources.extraction import COLUMNS

BARE_HEAD = HEAD.replace(" structure BAL|", "|").removesuffix(" structure BAL")
"""The header as other readers of the list have seen it."""


def line(address: str, family: str = "Martin", given: str = "Élise", **more: str) -> str:
    """One line of a PER mailbox; ``more`` by place, as ``c17="N"``."""
    fields = [""] * COLUMNS
    fields[:5] = ["PER", address, "8", "99900000001", "899900000001"]
    fields[8:11] = ["Docteur", family, given]
    fields[13:18] = ["10", "Médecin", "SM04", "Cardiologie", "O"]
    fields[22:26] = ["12", "B", "RUE", "DES LILAS"]
    fields[27:31] = ["75013 PARIS CEDEX 13", "75013", "75", "FRANCE"]
    for place, value in more.items():
        fields[int(place.removeprefix("c"))] = value
    return "|".join(fields)


def text(*lines: str, head: str = HEAD, end: str = "\n") -> bytes:
    return ("\n".join((head, *lines)) + end).encode()


def people(count: int, first: int = 0, **more: str) -> list[str]:
    return [line(f"p{number}@op-n.mssante.test", f"Martin{number}", **more) for number in range(first, first + count)]
