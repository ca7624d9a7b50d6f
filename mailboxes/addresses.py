"""Addresses of patients as the database holds them: their local part is sealed, because it is the patient's number (INS).

``279039999900003@patient.mssante.fr`` is stored as a token between two marks, and ``@patient.mssante.fr``: the queue goes by
domains, so those stay as they are. The same address always gives the same token, so that rows are found by it and indexes serve. A
token opens only before the domain it was made for. In what servers said about a patient, numbers without a domain are sealed too.
Promise: a text that holds no address of a patient costs one search in it. Sealing what is sealed changes nothing, and
opening is the exact reverse, whatever domains are configured now. Failure: none. What does not open (altered, or of another
database) stays as it is stored.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Iterable
from typing import Any, Literal

from mailboxes.sealed_text import SealedText
from mailboxes.store import Corrupted

MARK = "%"
"""No local part that enters at a door holds it (policies.address: relay_hack)."""
Kind = Literal["address", "saying", "json"]
"""What a text is: an address or a parameter that may hold one, what a server said, or JSON."""
FILL = 32
REMEMBERED = 256
"""Domains whose keys are kept at hand."""

_CONTEXT = b"caducee patient address "
_APART = ""  # the place of a domain for what is sealed without one

_LOCAL = string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~.-"
_LOCAL_OCTETS = 64  # RFC 5321 4.5.3.1.1
_SEALED = r"%(?P<token>[A-Za-z0-9+/]{80,1000}={0,2})%"  # octets: a nonce, FILL or a multiple of it, a tag
_SEALED_OCTETS = 1004
# Sex, year, month, department, commune, order, and mostly the key; as one word, or in the groups of a card.
_DIGITS = r"[1-8] ?[0-9]{2} ?[0-9]{2} ?[0-9][0-9ABab] ?[0-9]{3} ?[0-9]{3}(?: ?[0-9]{2})?"
_NUMBERS = re.compile(rf"{_SEALED}|(?<![A-Za-z0-9])(?P<number>{_DIGITS})(?![A-Za-z0-9])")
_ENDED = re.compile(_SEALED + r"\Z")
_OPEN = re.compile(_SEALED + r"(?:@(?P<domain>[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9][A-Za-z0-9-]*)*))?")
_CODED = re.compile(r"\+([0-9A-F]{2})")  # xtext, RFC 3461 4
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


class Addresses:
    """Seals and opens. ``domains`` are those of patients' mailboxes, in lower case; with none nothing is sealed."""

    __slots__ = ("_at", "_key", "_signs", "_texts", "domains")

    def __init__(self, key: bytes, domains: Iterable[str]) -> None:
        self._key = key
        self._texts: dict[str, SealedText] = {}
        self.domains = frozenset(domains)
        self._signs = tuple(f"@{domain}" for domain in sorted(self.domains))
        ours = "|".join(re.escape(domain) for domain in sorted(self.domains, key=len, reverse=True))
        self._at = re.compile(rf"@({ours})(?![A-Za-z0-9-]|\.[A-Za-z0-9])", re.IGNORECASE)

    def concern(self, text: str) -> bool:
        """Whether a text holds an address of a patient, in letters of any case."""
        text = text.lower()
        for sign in self._signs:  # noqa: SIM110 - a generator takes three times as long, and this runs for each message
            if sign in text:
                return True
        return False

    def sealed(self, text: str) -> str:
        """A text with its addresses sealed: an address, or a parameter of a command that may hold one."""
        if not text:
            return text
        if self.concern(text):
            return self._sealed_before_domains(text)
        if "+" in text and self.concern(_CODED.sub(_decoded, text)):
            return self._token(_APART, text)  # some programs write more in hexadecimal than they must
        return text

    def sealed_saying(self, text: str) -> str:
        """What a server said, perhaps of a patient: numbers alone are sealed too, and letters may be of any case."""
        return _NUMBERS.sub(self._seal, self._sealed_before_domains(text)) if self._signs else text

    def sealed_json(self, text: str, *, patient: bool = False) -> str:
        """The texts of a JSON value, if it is about a ``patient`` or holds the address of one; keys stay."""
        if not (patient and self._signs) and not self.concern(text):
            return text
        return _encode(_each(json.loads(text), self._sealed_in))

    def stored(self, text: str, kind: Kind) -> str:
        """A text as a column of that kind holds it."""
        if kind == "json":
            return self.sealed_json(text)
        return self.sealed_saying(text) if kind == "saying" else self.sealed(text)

    def read(self, stored: str, kind: Kind) -> str:
        """What such a column holds, as it was."""
        if MARK not in stored:
            return stored
        return _encode(self.opened_json(stored)) if kind == "json" else self.opened(stored)

    def opened(self, text: str) -> str:
        """What was sealed, as it was."""
        return _OPEN.sub(self._open, text) if MARK in text else text

    def opened_json(self, text: str) -> Any:
        """The JSON value with what was sealed in it as it was."""
        value = json.loads(text)
        return _each(value, self.opened) if MARK in text else value

    def _sealed_in(self, text: str) -> str:
        return self.sealed_saying(self.sealed(text))

    def _sealed_before_domains(self, text: str) -> str:
        """By each domain, and from there back: to search for what may stand before one begins again at each letter."""
        pieces, done = list[str](), 0
        for found in self._at.finditer(text):
            end = found.start()
            before = text[max(done, end - _LOCAL_OCTETS) : end]
            local = before[len(before.rstrip(_LOCAL)) :]
            if not local or (local[-1] == MARK and _ENDED.search(text, max(done, end - _SEALED_OCTETS), end)):
                continue
            pieces += (text[done : end - len(local)], self._token(found[1].lower(), local))
            done = end
        return "".join((*pieces, text[done:])) if pieces else text

    def _seal(self, found: re.Match[str]) -> str:
        return found[0] if found["token"] else self._token(_APART, found[0])

    def _token(self, domain: str, text: str) -> str:
        return f"{MARK}{self._of(domain).sealed(text)}{MARK}"

    def _open(self, found: re.Match[str]) -> str:
        token, domain = found["token"], found["domain"]
        if domain:
            try:
                return f"{self._of(domain.lower()).opened(token)}@{domain}"
            except Corrupted:
                pass  # a number sealed apart may be followed by anything
        try:
            plain = self._of(_APART).opened(token)
        except Corrupted:
            return found[0]
        return f"{plain}@{domain}" if domain else plain

    def _of(self, domain: str) -> SealedText:
        text = self._texts.get(domain)
        if text is None:
            if len(self._texts) >= REMEMBERED:
                self._texts.clear()
            text = self._texts[domain] = SealedText(self._key, _CONTEXT + domain.encode("ascii"), FILL)
        return text


CLEAR = Addresses(bytes(32), ())
"""What seals nothing, and opens nothing."""


def _decoded(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value with each of its texts changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each(one, change) for one in value]
    if isinstance(value, dict):
        return {key: _each(one, change) for key, one in value.items()}
    return value
