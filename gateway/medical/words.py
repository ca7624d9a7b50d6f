"""The reader's problems in words that may end in a log: the place and the fault, never a name, a date or a number of a patient.

A refusal is read by the sending program's logs, and a decision is kept in the journal (MSS-146). So a file is called by its rank
("pièce jointe 2") unless its name is one every archive has, and every value that comes from the document becomes ``…``.
Promise: no text of the sender passes but what an allow-list of forms lets through. Failure: none; the unknown is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hprim.model import Language, Place, Problem, Words

LEFT_OUT = "…"
_KNOWN = re.compile(
    r"(?:IHE[_-]XDM\.ZIP|(?:DOC|CDA|PDF)[0-9]{1,6}\.(?:XML|PDF)|METADATA\.XML|INDEX\.HTML?|README\.TXT)", re.IGNORECASE
)
_ABSENT = re.compile(r"(?:le )?document .{1,400} (est absent|is missing)", re.DOTALL)
_OURS = frozenset(
    {
        "count",
        "line",
        "limit",
        "missing",
        "field",
        "format",
        "kind",
        "detail",
        "hint",
        "header",
        "attribute",
        "tag",
        "where",
        "form",
    }
)
"""Parameters whose words are the reader's own."""
_FORMS = {
    "charset": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,24}"),
    "declared": re.compile(
        r"aucun|none|(?:us-)?ascii|macintosh|utf-?(?:7|8|16)|latin-?1|(?:iso-?8859-?|windows-?|cp-?|ibm-?|koi8-)[0-9ru]{1,4}",
        re.IGNORECASE,
    ),
    "oid": re.compile(r"[0-2](?:\.[0-9]{1,9}){3,20}"),
    "expected": re.compile(r"[A-Z0-9]{1,8}(?:-[A-Z0-9]{1,8}){0,3}(?:,[A-Z0-9]{1,8}(?:-[A-Z0-9]{1,8}){0,3}){0,20}"),
    "status": re.compile(r"[A-Z]{2,5}"),
    "sign": re.compile(r"[^A-Za-z0-9]"),
}
"""Parameters that repeat what the sender wrote: only these forms, which no name or number has."""
_FILES = frozenset({"name", "file"})
_SOURCES = frozenset({"a", "b"})


def safe_place(place: Place, labels: Mapping[str, Words], language: Language) -> str:
    """``ligne 7 de la pièce jointe 2``."""
    french = language == "fr"
    if place.header:
        return place.said(language)
    name = _file(place.part, labels, language)
    if place.member:
        inner = place.member.rpartition("/")[2]
        shown = inner if _KNOWN.fullmatch(inner) else ("un document" if french else "a document")
        name = f"{shown} ({name})"
    if not place.line:
        return name
    if not french:
        return f"line {place.line} of {name}"
    return f"ligne {place.line} {of_french(name)}"


def of_french(name: str) -> str:
    """``du corps du message``, ``de la pièce jointe 2``, ``d’une pièce jointe``."""
    if name.startswith("le "):
        return f"du {name[3:]}"
    return f"d’{name}" if name.startswith("un") else f"de {name}"


def safe_sentence(problem: Problem, labels: Mapping[str, Words], language: Language) -> str:
    """The rule's sentence with only what may be said."""
    template = problem.definition.fr if language == "fr" else problem.definition.en
    said = {name: _value(problem, name, labels, language) for name in problem.parameters}
    filled = template.format_map(said)
    return filled[:1].upper() + filled[1:]


def _value(problem: Problem, name: str, labels: Mapping[str, Words], language: Language) -> str:
    value = problem.parameters[name]
    text = value.said(language) if isinstance(value, Words) else value
    if name in _FILES:
        return _quoted(_file(problem.place.part, labels, language), language)
    if name in _SOURCES:
        return _without_file(text)
    if name in _OURS:
        return _ABSENT.sub(r"un document annoncé \1" if language == "fr" else r"an announced document \1", text)
    form = _FORMS.get(name)
    return text if form is not None and form.fullmatch(text) else LEFT_OUT


def _quoted(label: str, language: Language) -> str:
    """``le fichier « pièce jointe 2 »``: what stands after a noun is no name of a file, so it is quoted, without its article."""
    if _KNOWN.fullmatch(label):
        return label
    bare = _ARTICLE.sub("", label)
    return f"« {bare} »" if language == "fr" else f'"{bare}"'


_ARTICLE = re.compile(r"(?:une|la|le|the|an) ")


def _without_file(text: str) -> str:
    """``le document CDA (DOC0001.XML)``: the file only when its name is one that every archive has."""
    words, opened, name = text.partition(" (")
    return text if opened and _KNOWN.fullmatch(name.rstrip(")")) else words


def _file(name: str, labels: Mapping[str, Words], language: Language) -> str:
    found = labels.get(name)
    if found is not None:
        return found.said(language)
    if not name:
        return "le corps du message" if language == "fr" else "the message body"
    return "une pièce jointe" if language == "fr" else "an attachment"


def labels_of(names: Sequence[str]) -> dict[str, Words]:
    """What each attached file is called, by its name; in the order of the message."""
    found: dict[str, Words] = {}
    rank = 0
    for name in names:
        if not name:
            continue
        rank += 1
        if name in found:
            continue
        base = name.rpartition("/")[2]
        known = base if _KNOWN.fullmatch(base) else ""
        found[name] = Words(known or f"la pièce jointe {rank}", known or f"attachment {rank}")
    return found
