"""Names and national identifiers of people and structures: their form, their key, and the name shown in mail.

Promise: the checks are those of the registers (mssante.md 3.2): RPPS with its Luhn digit, ADELI, FINESS, SIREN, SIRET.
Test identities are not numeric and are exempt only where the caller says so.
Failure: a check answers a stable word, which :data:`policies.catalogue.sentences_trust.TRUST` says as ``identity.<word>``, empty
when the identifier is in order; nothing is raised.
"""

from __future__ import annotations

import re
import unicodedata

_FREE = re.compile(r"[A-Za-z0-9][A-Za-z0-9./_-]{0,63}", re.ASCII)
_LOGIN = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])", re.ASCII)
_RPPS = re.compile(r"[0-9]{11}", re.ASCII)
_ADELI = re.compile(r"[0-9]{2}[0-9AB][0-9]{6}|[0-9][0-9AB][0-9]{7}", re.ASCII)
_FINESS = re.compile(r"[0-9][0-9AB][0-9]{7}", re.ASCII)
_SIREN = re.compile(r"[0-9]{9}", re.ASCII)
_SIRET = re.compile(r"[0-9]{14}", re.ASCII)
_PRACTICE = re.compile(r"[0-9]{11}[0-9]{1,14}", re.ASCII)
LA_POSTE = "356000000"  # its establishments do not follow the Luhn rule
UNSAFE = str.maketrans(dict.fromkeys('<>"\r\n\t\\,;:', " "))


def is_login(text: str) -> bool:
    """2 to 64 lower-case letters, digits, dots, hyphens, underscores."""
    return _LOGIN.fullmatch(text) is not None


def luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812 over ASCII digits."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def person(identity: str) -> str:
    """The IdNat form of a person's identifier: a bare RPPS number gets its prefix ``8``."""
    identity = identity.strip()
    return f"8{identity}" if _RPPS.fullmatch(identity) else identity


def person_problem(identity: str, *, test: bool, check: bool) -> str:
    """What is wrong with an IdNat_PS: ``8`` + RPPS, or ``0`` + ADELI."""
    if _FREE.fullmatch(identity) is None:
        return "characters"
    if test or not check:
        return ""
    prefix, number = identity[0], identity[1:]
    if prefix == "8":
        return _digits("rpps", number, _RPPS)
    if prefix == "0":
        return "" if _ADELI.fullmatch(number) else "adeli_form"
    return "person_prefix"


def structure_problem(identity: str, *, test: bool, check: bool) -> str:
    """What is wrong with an IdNat_Struct: ``1`` + FINESS, ``2`` + SIREN, ``3`` + SIRET, ``4`` + RPPS and rank."""
    if _FREE.fullmatch(identity) is None:
        return "characters"
    if test or not check:
        return ""
    prefix, number = identity[0], identity[1:]
    if prefix == "1":
        return "" if _FINESS.fullmatch(number) else "finess_form"
    if prefix == "2":
        return _digits("siren", number, _SIREN)
    if prefix == "3":
        exempt = number.startswith(LA_POSTE) and _SIRET.fullmatch(number) is not None
        return "" if exempt else _digits("siret", number, _SIRET)
    if prefix == "4":
        return "" if _PRACTICE.fullmatch(number) else "practice_form"
    return "structure_prefix"


def _digits(name: str, number: str, form: re.Pattern[str]) -> str:
    if form.fullmatch(number) is None:
        return f"{name}_form"
    return "" if luhn(number) else f"{name}_key"


def display_name(*, title: str = "", given: str = "", family: str = "", entity: str = "") -> str:
    """The name shown beside an address (ECO.2.2.7, MSS-064).

    A person: ``Dr_Marie_MARTIN_Cabinet Medical``, title and entity optional; a structure: its entity alone.
    Characters that would end a header or a quoted name become spaces.
    """
    if not family:
        return clean(entity)
    parts = (clean(title), clean(given), clean(family).upper(), clean(entity))
    return "_".join(part for part in parts if part)


def clean(text: str) -> str:
    """One line of visible characters, composed, spaces run together."""
    composed = unicodedata.normalize("NFC", text).translate(UNSAFE)
    visible = "".join(character if character.isprintable() else " " for character in composed)
    return " ".join(visible.split(" ")).strip() if "  " not in visible else " ".join(visible.split())
