"""Decisions and plain answers as SMTP reply bytes.

Promise: every line is ASCII, at most 512 octets with its CRLF (RFC 5321 4.5.3.1.5), has the form
``CODE[- ]STATUS text [rule.name]``, French first, then English (RFC 2034, RFC 3463); nothing of a decision's private
detail is in it, and no octet of a parameter can start a new line. A refusal that the journal tells of has a line that
names its reference, between the two: mail programs that show one line of a reply show its last (Alpine) or its
first, and either must say what is wrong.
Failure: none; a sentence of any length is cut over several lines.
"""

from __future__ import annotations

import unicodedata
from functools import cache

from policies.catalogue import rule
from policies.catalogue.session import REFERENCE_EN, REFERENCE_FR
from policies.decision import Decision, Language, Rule, decide

LANGUAGES: tuple[Language, Language] = ("fr", "en")
_LIMIT = 510  # without CRLF
_MARK = b"0" * 26  # as long as an identifier, so that lines are cut at the same place
_ASCII = {
    "œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ß": "ss", "’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"',
    "–": "-", "—": "-", "‑": "-", "−": "-", "…": "...", "€": "EUR", "°": "o", "·": ".", "•": "-",
}  # fmt: skip
_TABLE = str.maketrans(_ASCII)
_SPACES = str.maketrans(
    dict.fromkeys(map(chr, [*range(0x21), 0x7F, 0x85, 0xA0, 0x2007, 0x2009, 0x202F, 0x2028, 0x2029]), " ")
)

_plain: dict[str, bytes] = {}
_templates: dict[str, tuple[str, str]] = {}


def ascii_text(text: str) -> str:
    """``text`` in printable ASCII: accents dropped, typographic signs replaced, anything else a question mark."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    text = text.translate(_SPACES).replace("« ", "«").replace(" »", "»").translate(_TABLE)
    kept = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    printable = kept.translate(_SPACES).encode("ascii", "replace").decode("ascii")
    return " ".join(printable.split())


_REFERENCE = ascii_text(f"{REFERENCE_FR} {REFERENCE_EN}")


def reply(decision: Decision) -> bytes:
    """The whole reply to a decision. Replies without parameters are built once per rule."""
    if decision.parameters or decision.reference:
        return _build(decision)
    known = _plain.get(decision.rule.name)
    if known is None:
        known = _plain[decision.rule.name] = _build(decision)
    return known


def accepted(identifier: str) -> bytes:
    """The reply to a message taken: every message has it, with our identifier of it in its place."""
    return _accepted().replace(_MARK, identifier.encode("ascii"))


@cache
def _accepted() -> bytes:
    return reply(decide(rule("session.message_accepted"), identifier=_MARK.decode("ascii")))


def joined(*decisions: Decision) -> bytes:
    """One reply that says several accepting decisions; the code is the first one's."""
    lines = [line for decision in decisions for line in _lines(decision)]
    return _number(decisions[0].code, lines)


def plain(code: int, *texts: str) -> bytes:
    """A reply of given ASCII lines: greeting, EHLO, 354, 334, 235."""
    return _number(code, list(texts))


def _build(decision: Decision) -> bytes:
    return _number(decision.code, _lines(decision))


def _lines(decision: Decision) -> list[str]:
    tag = f" [{decision.rule.name}]"
    room = _LIMIT - 4 - len(decision.enhanced) - 1 - len(tag)
    texts = [
        template.format_map({name: ascii_text(value) for name, value in decision.said(language).items()}).strip()
        for language, template in zip(LANGUAGES, _template(decision.rule), strict=True)
    ]
    if decision.reference:
        texts.insert(1, _REFERENCE.format(reference=ascii_text(decision.reference)))
    return [f"{decision.enhanced} {piece}{tag}" for text in texts for piece in _wrapped(text, room)]


def _template(rule: Rule) -> tuple[str, str]:
    """Both sentences of a rule with their remedies, transliterated once."""
    known = _templates.get(rule.name)
    if known is None:
        known = ascii_text(f"{rule.fr} {rule.remedy_fr}"), ascii_text(f"{rule.en} {rule.remedy_en}")
        _templates[rule.name] = known
    return known


def _wrapped(text: str, room: int) -> list[str]:
    """``text`` cut at spaces into pieces of at most ``room`` octets; a longer word is cut inside."""
    pieces = []
    while len(text) > room:
        cut = text.rfind(" ", 1, room + 1)
        cut = cut if cut > 0 else room
        pieces.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*pieces, text]


def _number(code: int, lines: list[str]) -> bytes:
    head, last = lines[:-1], lines[-1]
    return "".join([*(f"{code}-{line}\r\n" for line in head), f"{code} {last}\r\n"]).encode("ascii", "replace")
