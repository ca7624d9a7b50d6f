"""What a filter asks, as a question to the directory; and whether it holds for an entry that describes the server.

A filter is true, false or undefined (RFC 4511 4.5.1.7): an attribute we do not have, a rule we do not know and an order of texts are
undefined, and stay so under a not. The directory's questions are true or false; so each filter becomes the question of
when it is true, or, under a not, of when it is false.
Promise: for a filter without several substrings in one item the question holds for exactly the entries whose attributes
(:func:`directory.ldap.entries.attributes`) make it true; several substrings are looked for each by itself, in any order.
Texts compare as the directory compares them, without regard to accents either. Failure: none; a question may be larger than
the directory answers (:func:`directory.search.demand_bounded`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from directory.ldap import schema
from directory.ldap.entries import Attributes
from directory.ldap.filters import And, Compare, Extensible, Filter, Item, Match, Not, Or, Present
from directory.ldap.schema import Attribute
from directory.search import Condition, Every, Field, Some, Way, folded
from directory.search import Not as Otherwise

TRUE: Condition = Every(())
FALSE: Condition = Some(())
RULES = frozenset(
    {"caseignorematch", "2.5.13.2", "caseexactmatch", "2.5.13.5", "caseignoreia5match", "1.3.6.1.4.1.1466.109.114.2"}
)
"""Matching rules of extensible matches that compare as we do."""
MOST_SPLITS = 3
"""Places at which a common name is cut into given and family name."""

Piece = tuple[Way, str]


def question(asked: Filter) -> Condition:
    """When ``asked`` is true."""
    return _when(asked, True)


def _when(asked: Filter, wanted: bool) -> Condition:
    """When a filter is true, or when it is false. It is no deeper than :data:`directory.search.DEPTH`."""
    if isinstance(asked, Not):
        return _when(asked.part, not wanted)
    if isinstance(asked, And | Or):
        parts = [_when(part, wanted) for part in asked.parts]
        return _every(parts) if isinstance(asked, And) == wanted else _some(parts)
    found = _item(asked)
    if found is None:
        return FALSE  # neither true nor false
    return found if wanted else _otherwise(found)


def _item(asked: Item) -> Condition | None:
    """When an item is true; None where it is undefined."""
    compared = _compared(asked)
    if compared is None:
        return None
    attribute, pieces = compared
    if attribute.name == "objectClass":
        return _of_class(pieces)
    if not attribute.fields:
        return None
    return _every([_FINDS.get(attribute.name, partial(_in_fields, attribute.fields))(piece) for piece in pieces])


def _compared(asked: Item) -> tuple[Attribute, Sequence[Piece]] | None:
    """The attribute an item is about, and the texts one of its values must have; None where it is undefined."""
    if isinstance(asked, Extensible) and (not asked.attribute or (asked.rule and asked.rule.lower() not in RULES)):
        return None
    if isinstance(asked, Compare) and asked.match in (Match.GREATER, Match.LESS):
        return None
    attribute = schema.find(asked.attribute)
    pieces = _pieces(asked)
    return None if attribute is None or pieces is None else (attribute, pieces)


def _pieces(asked: Item) -> Sequence[Piece] | None:
    if isinstance(asked, Present):
        return ((Way.PRESENT, ""),)
    if isinstance(asked, Compare | Extensible):
        return _texts(((Way.IS, asked.value),))
    middle = ((Way.CONTAINS, each) for each in asked.middle)
    found = _texts(((Way.BEGINS, asked.initial), *middle, (Way.ENDS, asked.final)))
    if found is None:
        return None
    return [piece for piece in found if piece[1]] or ((Way.PRESENT, ""),)


def _texts(pieces: Iterable[tuple[Way, bytes]]) -> Sequence[Piece] | None:
    try:
        return [(way, folded(octets.decode("utf-8"))) for way, octets in pieces]
    except UnicodeDecodeError:
        return None


def _of_class(pieces: Sequence[Piece]) -> Condition | None:
    """Whoever asks for a class asks it of every entry: all have the same."""
    ((way, text), *more) = pieces
    if way is Way.PRESENT:
        return TRUE
    if way is not Way.IS or more:
        return None
    return TRUE if text in map(str.lower, schema.CLASSES) else FALSE


def _in_fields(fields: Sequence[str], piece: Piece) -> Condition:
    way, text = piece
    if way is Way.IS and not text:
        return FALSE  # what has no value has none to compare with
    return _some([Field(name, way, text) for name in fields])


def _in_surname(piece: Piece) -> Condition:
    """An organisation is listed under its name, because a person's entry must have a surname."""
    if piece[0] is Way.PRESENT:
        return TRUE
    named = _in_fields(("family",), piece)
    return _some([named, _every([_otherwise(_has("family")), _in_fields(("name",), piece)])])


def _in_common_name(piece: Piece) -> Condition:
    """The name as lists show it, given name before family name, and the other way round."""
    way, text = piece
    shown = _in_fields(("name",), piece)
    words = text.split()
    if way is Way.PRESENT or not words:
        return shown
    found = [shown]
    if way is Way.IS:
        found.append(_every([Field("family", Way.IS, text), _otherwise(_has("given"))]))
    elif way is not Way.CONTAINS:  # whatever contains it is in the name as shown, too
        found += [_every([_has("family"), Field(name, way, text)]) for name in ("given", "family")]
    left, right = _SIDES[way]
    for cut in range(1, min(len(words), MOST_SPLITS + 1)):
        before, after = " ".join(words[:cut]), " ".join(words[cut:])
        for first, second in (("given", "family"), ("family", "given")):
            found.append(_every([Field(first, left, before), Field(second, right, after)]))
    return _some(found)


_SIDES = {
    Way.IS: (Way.IS, Way.IS),
    Way.BEGINS: (Way.IS, Way.BEGINS),
    Way.ENDS: (Way.ENDS, Way.IS),
    Way.CONTAINS: (Way.ENDS, Way.BEGINS),
}
"""How a text cut in two is compared with what stands before the cut, and after."""
_FINDS: dict[str, Callable[[Piece], Condition]] = {"sn": _in_surname, "cn": _in_common_name}


def _has(name: str) -> Condition:
    return Field(name, Way.PRESENT)


def _otherwise(condition: Condition) -> Condition:
    if condition == TRUE:
        return FALSE
    if condition == FALSE:
        return TRUE
    return condition.part if isinstance(condition, Otherwise) else Otherwise(condition)


def _every(parts: Sequence[Condition]) -> Condition:
    """All of ``parts``, as flat as it can be said: how deep and how long a question may be is bounded."""
    if FALSE in parts:
        return FALSE
    kept = [inner for part in parts for inner in (part.parts if isinstance(part, Every) else (part,))]
    return kept[0] if len(kept) == 1 else Every(tuple(dict.fromkeys(kept)))


def _some(parts: Sequence[Condition]) -> Condition:
    if TRUE in parts:
        return TRUE
    kept = [inner for part in parts for inner in (part.parts if isinstance(part, Some) else (part,))]
    return kept[0] if len(kept) == 1 else Some(tuple(dict.fromkeys(kept)))


# entries of the server itself


def true_of(asked: Filter, held: Attributes) -> bool:
    """Whether a filter is true of an entry with these attributes."""
    return _truth(asked, {key.lower(): [folded(value) for value in values] for key, values in held.items()}) is True


def _truth(asked: Filter, held: Attributes) -> bool | None:
    if isinstance(asked, Not):
        found = _truth(asked.part, held)
        return None if found is None else not found
    if isinstance(asked, And | Or):
        ends = isinstance(asked, Or)  # the value of one part that is the value of all
        each = [_truth(part, held) for part in asked.parts]
        return ends if ends in each else (None if None in each else not ends)
    compared = _compared(asked)
    if compared is None:
        return None
    attribute, pieces = compared
    values = held.get(attribute.name.lower(), ())
    return any(all(_fits(value, piece) for piece in pieces) for value in values)


def _fits(value: str, piece: Piece) -> bool:
    way, text = piece
    if way is Way.IS:
        return bool(text) and value == text
    if way is Way.BEGINS:
        return value.startswith(text)
    if way is Way.ENDS:
        return value.endswith(text)
    return text in value
