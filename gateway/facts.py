"""From the anatomy of a message to the facts policies judge: who wrote, what it holds, where it points.

Promise: addresses come from the strict reader only; a field it refuses becomes an ``unreadable`` fact, never a guess.
Failure: none; whatever cannot be read is said to be so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from mailboxes.anatomy import OVER_LIMIT, Anatomy, Listed
from mailboxes.words import decode_part
from policies.address import AddressError, addresses, parse
from policies.content import ContentFacts
from policies.redirection import FORWARD_MARKS, POINTING_FIELDS, Pointers
from policies.sender import Originators
from policies.values import Address

REFUSED = OVER_LIMIT | {"bare_cr", "bare_lf", "nul", "duplicate_content_type", "encoded_container"}
"""Problems that make two programs read two messages; other oddities of field software are let through."""

_POINTING = tuple(sorted(name.encode("ascii") for name in POINTING_FIELDS))
_MARKS = tuple(sorted(name.encode("ascii") for name in FORWARD_MARKS))
_MAILTO = re.compile(rb"<mailto:([^>?\s]{1,320})", re.IGNORECASE)
# RFC 5545 3.2: a colon inside quotes ends no parameter. Quotes that do not pair are no quotes, so that nothing hides in them.
_PARAMETERS = rb"(?:[^\":\r\n]*(?:\"[^\"\r\n]*\"[^\":\r\n]*)*|[^:\r\n]*)"
_ORGANISER = re.compile(
    rb"^ORGANIZER" + _PARAMETERS + rb":(?:\"?mailto:)?([^\r\n]{1,320})", re.IGNORECASE | re.MULTILINE
)
_CALENDAR_FOLD = re.compile(rb"\r?\n[ \t]")  # RFC 5545 3.1: the white space goes too
_CALENDAR_TYPES = frozenset({"text/calendar", "application/ics"})  # mail programs open both
_CALENDAR_OCTETS = 256 * 1024
_CALENDARS = 20


def originators(anatomy: Anatomy) -> Originators:
    """Who the headers say wrote or resent the message."""
    read = {name: anatomy.listed(name) for name in (b"from", b"sender", b"resent-from", b"resent-sender")}
    return Originators(
        from_fields=anatomy.from_fields,
        authors=read[b"from"].addresses,
        senders=read[b"sender"].addresses,
        resent=(*read[b"resent-from"].addresses, *read[b"resent-sender"].addresses),
        unreadable=tuple(name.decode("ascii") for name, listed in read.items() if listed.problem),
    )


def hidden(anatomy: Anatomy) -> tuple[Address, ...] | None:
    """The blind copies the headers still name; None when a field cannot be read. An empty one names nobody."""
    values = [value for name in (b"bcc", b"resent-bcc") for value in anatomy.values.get(name, ()) if value.strip()]
    try:
        return tuple(each for value in values for each in addresses(value, anatomy.address_limit))
    except AddressError:
        return None


def content(anatomy: Anatomy, own_host: str, own: int = 0) -> ContentFacts:
    """What the one walk found. ``own_host`` finds our own traces; ``own`` of them are of this very passage."""
    stamp = b"by " + own_host.encode("ascii")
    return ContentFacts(
        size=anatomy.size,
        problems=tuple(sorted(anatomy.problems & REFUSED)),
        received=anatomy.received - own,
        own_traces=sum(1 for value in anatomy.values.get(b"received", ()) if stamp in value) - own,
        content_types=tuple(part.full_type for part in anatomy.parts),
        attachment_names=anatomy.file_names,
    )


def pointers(anatomy: Anatomy, raw: bytes) -> Pointers:
    """Where headers and calendars of the message would make answers go."""
    present = [name for name in _POINTING if name in anatomy.values]
    fields: dict[str, tuple[Address, ...]] = {}
    unreadable = []
    for name in present:
        listed = _list_targets(anatomy, name) if name.startswith(b"list-") else anatomy.listed(name)
        if listed.problem:
            unreadable.append(name.decode("ascii"))
        fields[name.decode("ascii")] = listed.addresses
    organisers = _organisers(anatomy, raw)
    if organisers.problem:
        unreadable.append("organizer")
    marks, embedded = _forwarded(anatomy)
    return Pointers(fields, tuple(unreadable), organisers.addresses, marks, embedded)


def forwarding(anatomy: Anatomy) -> Pointers:
    """Of the pointers those that a forwarding leaves; no part is read for them."""
    marks, embedded = _forwarded(anatomy)
    return Pointers({}, marks=marks, embedded=embedded)


def _forwarded(anatomy: Anatomy) -> tuple[frozenset[str], bool]:
    marks = frozenset([name.decode("ascii") for name in _MARKS if name in anatomy.values])
    return marks, any(part.message for part in anatomy.parts[1:])


def is_notice(anatomy: Anatomy) -> bool:
    """A multipart/report or an automatic message: the only kind that may have a null sender."""
    return anatomy.parts[0].full_type == "multipart/report" or anatomy.auto_submitted not in ("", "no")


def _list_targets(anatomy: Anatomy, name: bytes) -> Listed:
    """``mailto:`` targets of a List-* field (RFC 2369); web links are not mail."""
    return _read(target for value in anatomy.values[name] for target in _MAILTO.findall(value))


def _organisers(anatomy: Anatomy, raw: bytes) -> Listed:
    """Organisers of attached invitations (RFC 5545 3.8.4.3)."""
    found: list[bytes] = []
    calendars = [part for part in anatomy.parts if part.full_type in _CALENDAR_TYPES]
    for part in calendars[:_CALENDARS]:
        stop = min(part.body_end, part.body_start + _CALENDAR_OCTETS)
        text = _CALENDAR_FOLD.sub(b"", decode_part(raw[part.body_start : stop], part.encoding, _CALENDAR_OCTETS))
        found.extend(unquote_to_bytes(target.strip(b'" \t')) for target in _ORGANISER.findall(text))
    return _read(target for target in found if b"@" in target)


def _read(targets: Iterable[bytes]) -> Listed:
    read = []
    for target in targets:
        try:
            read.append(parse(target))
        except AddressError as error:
            return Listed(problem=error.word)
    return Listed(tuple(read))
