"""The grammar of IMAP commands: bytes in, a :class:`mailboxes.imap.values.Command` out. Pure.

RFC 9051 section 9 and the extensions named beside each function; ``COMMANDS`` names the function of each command, and the modules
``*_grammar`` hold those of one subject. Promise: time and memory are bounded by the length of the command, which the wire
bounds; nothing recurses; an unknown or malformed command raises :class:`CommandError`,
which carries the tag, and never anything else. The grammar has one space between words and none inside parentheses;
programs write more (aioimaplib's ``ID ( "name" "x" )``) and Dovecot reads it, so a command that only has spaces to spare
is read without them.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from mailboxes.imap import values as v
from mailboxes.imap.access_grammar import acl, quota_root, set_acl, set_quota
from mailboxes.imap.append_grammar import append, replace
from mailboxes.imap.cursor import BadSyntax, Cursor
from mailboxes.imap.fetch_grammar import fetch, uid_fetch
from mailboxes.imap.folder_grammar import create, list_, lsub, rename, select, status_of
from mailboxes.imap.metadata_grammar import get_metadata, set_metadata
from mailboxes.imap.notify_grammar import notify
from mailboxes.imap.search_grammar import search, sort, thread

_REPEATED = frozenset((b"FETCH ", b"UID FE", b"NOOP", b"IDLE", b"STORE ", b"UID ST", b"CHECK"))
_TAG = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,64} ?")
_SPARE = re.compile(rb'("(?>(?:[^"\\]|\\.)*)"?)|(?<=[ (]) ++| ++(?=\)|\Z)', re.DOTALL)  # strings are kept as they are


class CommandError(ValueError):
    """The command is answered BAD. ``tag`` is ``*`` when none could be read."""

    def __init__(self, tag: bytes, text: str, unknown: bool = False) -> None:
        super().__init__(text)
        self.tag = tag
        self.text = text
        self.unknown = unknown


def parse(text: bytes, literals: list[bytes]) -> v.Command:
    """The command in ``text`` (without its final CRLF) and its literals."""
    found = _TAG.match(text)
    if not found or not found[0].endswith(b" "):
        raise CommandError(b"*", "a command begins with a tag and a space")
    tag = found[0][:-1]
    start = found.end()
    try:
        name, args = _read(tag, text, literals, start)
    except CommandError as error:
        plain = text[:start] + _SPARE.sub(rb"\1", text[start:].lstrip(b" "))
        if error.unknown or len(plain) == len(text):
            raise
        name, args = _read(tag, plain, literals, start)
    return v.Command(tag, name, args)


def _read(tag: bytes, text: bytes, literals: list[bytes], start: int) -> tuple[str, Any]:
    if not literals and len(text) < 200 and text[start : start + 6].upper() in _REPEATED:
        return _cached(tag, text[start:])
    return _command(tag, text, literals, start)


def _cached(tag: bytes, rest: bytes) -> tuple[str, Any]:
    try:
        return _short(rest)
    except CommandError as error:
        raise CommandError(tag, error.text, error.unknown) from None


@lru_cache(4096)
def _short(rest: bytes) -> tuple[str, Any]:
    # Programs ask the same few questions all day. No login, search word or message is ever kept here.
    return _command(b"", rest, [], 0)


def _command(tag: bytes, text: bytes, literals: list[bytes], pos: int) -> tuple[str, Any]:
    cursor = Cursor(text, literals, pos)
    try:
        name = cursor.word()
        if name == "UID":
            cursor.space()
            name = "UID " + cursor.word()
        read = COMMANDS.get(name)
        if read is None:
            raise CommandError(tag, "unknown command", unknown=True)
        args = read(cursor)
        cursor.end()
    except BadSyntax as error:
        raise CommandError(tag, str(error)) from None
    return name, args


# arguments, one function per shape


def _nothing(_cursor: Cursor) -> None:
    return None


def _named(c: Cursor) -> v.Named:
    c.space()
    return v.Named(c.mailbox())


def _login(c: Cursor) -> v.Credentials:
    c.space()
    user = c.astring()
    c.space()
    return v.Credentials(user, c.astring())


def decode_base64(raw: bytes) -> bytes:
    """SASL's base64 (RFC 4648, padded); :class:`BadSyntax` otherwise."""
    try:
        return a2b_base64(raw, strict_mode=bool(raw))
    except Base64Error:
        raise BadSyntax("not base64") from None


def _authenticate(c: Cursor) -> v.Authenticate:
    """RFC 4959: the initial response is base64, or ``=`` when empty."""
    c.space()
    mechanism = c.word()
    if not c.take(b" "):
        return v.Authenticate(mechanism, None)
    start, c.pos = c.pos, len(c.text)
    coded = c.text[start:]
    return v.Authenticate(mechanism, b"" if coded == b"=" else decode_base64(coded))


def _words(c: Cursor) -> v.Words:
    found: list[bytes] = []
    while c.take(b" "):
        found.append(c.astring())
    if not found:
        raise BadSyntax("expected a word")
    return v.Words(tuple(found))


def _id(c: Cursor) -> v.Words:
    """RFC 2971: NIL or at most 30 pairs of strings."""
    c.space()
    if not c.at(b"("):
        if c.word() != "NIL":
            raise BadSyntax("expected a list or NIL")
        return v.Words(())
    pairs = c.listed(c.nstring, least=0)
    if len(pairs) % 2 or len(pairs) > 60:
        raise BadSyntax("ID takes pairs")
    return v.Words(tuple(value or b"" for value in pairs))


_OPERATIONS = {"": "set", "+": "add", "-": "remove"}


def _store(c: Cursor) -> v.Store:
    c.space()
    ranges = c.ranges()
    c.space()
    unchanged_since = -1
    if c.take(b"("):
        if c.word() != "UNCHANGEDSINCE":
            raise BadSyntax("unknown STORE modifier")
        c.space()
        unchanged_since = c.number64()
        c.expect(b")")
        c.space()
    word = c.word()
    sign = word[0] if word[0] in "+-" else ""
    if word[len(sign) :] not in ("FLAGS", "FLAGS.SILENT"):
        raise BadSyntax("expected FLAGS")
    c.space()
    if c.at(b"("):
        flags = c.flags()
    else:
        found = [c.flag()]
        while c.take(b" "):
            found.append(c.flag())
        flags = tuple(found)
    return v.Store(ranges, _OPERATIONS[sign], flags, word.endswith(".SILENT"), unchanged_since)


def _copy(c: Cursor) -> v.Copy:
    c.space()
    ranges = c.ranges()
    c.space()
    return v.Copy(ranges, c.mailbox())


def _ranges(c: Cursor) -> v.Ranges:
    c.space()
    return c.ranges()


COMMANDS: dict[str, Callable[[Cursor], Any]] = {
    "CAPABILITY": _nothing,
    "NOOP": _nothing,
    "LOGOUT": _nothing,
    "ID": _id,
    "STARTTLS": _nothing,
    "AUTHENTICATE": _authenticate,
    "LOGIN": _login,
    "ENABLE": _words,
    "COMPRESS": _words,
    "SELECT": select,
    "EXAMINE": select,
    "CREATE": create,
    "DELETE": _named,
    "RENAME": rename,
    "SUBSCRIBE": _named,
    "UNSUBSCRIBE": _named,
    "LIST": list_,
    "LSUB": lsub,
    "NAMESPACE": _nothing,
    "STATUS": status_of,
    "APPEND": append,
    "IDLE": _nothing,
    "CHECK": _nothing,
    "CLOSE": _nothing,
    "UNSELECT": _nothing,
    "EXPUNGE": _nothing,
    "UID EXPUNGE": _ranges,
    "SEARCH": search,
    "UID SEARCH": search,
    "SORT": sort,
    "UID SORT": sort,
    "THREAD": thread,
    "UID THREAD": thread,
    "FETCH": fetch,
    "UID FETCH": uid_fetch,
    "STORE": _store,
    "UID STORE": _store,
    "COPY": _copy,
    "UID COPY": _copy,
    "MOVE": _copy,
    "UID MOVE": _copy,
    "REPLACE": replace,
    "UID REPLACE": replace,
    "CANCELUPDATE": _words,
    "GETQUOTA": quota_root,
    "GETQUOTAROOT": _named,
    "SETQUOTA": set_quota,
    "GETACL": _named,
    "SETACL": set_acl,
    "DELETEACL": acl,
    "LISTRIGHTS": acl,
    "MYRIGHTS": _named,
    "GETMETADATA": get_metadata,
    "SETMETADATA": set_metadata,
    "NOTIFY": notify,
}
