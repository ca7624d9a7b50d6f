"""The grammar of messages that a program gives: APPEND and REPLACE, and what one message may be made of.

RFC 9051 6.3.12 with RFC 3502 (MULTIAPPEND), 4469 (CATENATE), 6855 (UTF8) and 8508 (REPLACE). Promise and failure are those of
:mod:`mailboxes.imap.grammar`.
"""

from __future__ import annotations

from mailboxes.imap import values as v
from mailboxes.imap.cursor import BadSyntax, Cursor


def append(c: Cursor) -> v.Append:
    c.space()
    mailbox = c.mailbox()
    messages: list[v.Message] = []
    while c.take(b" "):
        messages.append(_message(c))
    if not messages:
        raise BadSyntax("expected a message")
    return v.Append(mailbox, tuple(messages))


def replace(c: Cursor) -> v.Replace:
    """RFC 8508; the number may be ``*``."""
    c.space()
    number = v.STAR if c.take(b"*") else c.nz_number()
    c.space()
    mailbox = c.mailbox()
    c.space()
    return v.Replace(number, mailbox, _message(c))


def _message(c: Cursor) -> v.Message:
    """One message of APPEND, MULTIAPPEND (RFC 3502), CATENATE (RFC 4469), UTF8 (RFC 6855) or REPLACE."""
    flags: tuple[bytes, ...] = ()
    date = None
    if c.at(b"("):
        flags = c.flags()
        c.space()
    if c.at(b'"'):
        date = c.date_time()
        c.space()
    if c.at_literal():
        text = c.literal()
        return v.Message(flags, date, (v.Part(text),), binary=c.binary)
    word = c.word()
    c.space()
    if word == "UTF8":
        c.expect(b"(")
        text = c.literal()
        c.expect(b")")
        return v.Message(flags, date, (v.Part(text),), utf8=True)
    if word == "CATENATE":
        pieces = c.listed(lambda: _piece(c))
        binary = any(binary for _, binary in pieces)
        return v.Message(flags, date, tuple([part for part, _ in pieces]), binary=binary)
    raise BadSyntax("expected a message")


def _piece(c: Cursor) -> tuple[v.Part, bool]:
    """One part of CATENATE, and whether it came as a literal8 (RFC 3516)."""
    word = c.word()
    c.space()
    if word == "TEXT":
        return v.Part(c.literal()), c.binary
    if word == "URL":
        return v.Part(None, c.astring()), False
    raise BadSyntax("expected TEXT or URL")
