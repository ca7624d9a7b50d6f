"""IMAP URLs inside CATENATE (RFC 5092, RFC 4469): which part of which message of this mailbox.

Promise: only messages of the session's own mailbox can be named. Failure: :class:`BadUrl`.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from mailboxes.imap.cursor import BadSyntax, Cursor
from mailboxes.imap.fetch_grammar import parse_section
from mailboxes.imap.values import Section


class BadUrl(ValueError):
    """The URL cannot be understood, or names nothing here."""


class Named(NamedTuple):
    """``mailbox`` is empty for the selected folder; ``uidvalidity`` 0 when not given."""

    mailbox: bytes
    uidvalidity: int
    uid: int
    section: Section
    partial: tuple[int, int] | None


def parse_url(url: bytes) -> Named:
    """``[imap://user@host]/mailbox[;UIDVALIDITY=n]/;UID=n[/;SECTION=s][/;PARTIAL=o[.l]]``."""
    if url[:7].lower() == b"imap://":
        _, slash, path = url[7:].partition(b"/")
        url = slash + path
    mailbox, found, rest = _split(url)
    uidvalidity, uid, section, partial = 0, 0, Section(), None
    for piece in rest.split(b"/;"):
        name, _, value = piece.partition(b"=")
        word = name.strip(b";/").lower()
        if word == b"uid":
            uid = _number(value)
        elif word == b"section":
            section = _section(unquote_to_bytes(value))
        elif word == b"partial":
            offset, dot, length = value.partition(b".")
            partial = (_number(offset, least=0), _number(length) if dot else -1)
        else:
            raise BadUrl("unknown part of the URL")
    name, _, validity = mailbox.partition(b";")
    if validity:
        word, _, value = validity.partition(b"=")
        if word.lower() != b"uidvalidity":
            raise BadUrl("unknown part of the URL")
        uidvalidity = _number(value)
    if not found or not uid:
        raise BadUrl("the URL names no message")
    return Named(unquote_to_bytes(name), uidvalidity, uid, section, partial)


def _split(url: bytes) -> tuple[bytes, bool, bytes]:
    """The mailbox, and what follows it from ``;UID=`` on."""
    at = url.lower().find(b";uid=")
    if at < 0:
        return url, False, b""
    return url[:at].strip(b"/"), True, url[at + 1 :].rstrip(b"/")


def _number(value: bytes, least: int = 1) -> int:
    value = value.rstrip(b"/")
    if not value or len(value) > 10 or value.strip(b"0123456789") or int(value) < least:
        raise BadUrl("a number of the URL is wrong")
    return int(value)


def _section(value: bytes) -> Section:
    cursor = Cursor(value + b"]", [])
    try:
        section = parse_section(cursor)
        cursor.expect(b"]")
        cursor.end()
    except BadSyntax:
        raise BadUrl("the URL's section is wrong") from None
    return section
