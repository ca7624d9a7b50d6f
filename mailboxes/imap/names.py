"""Mailbox names on the wire: modified UTF-7 (RFC 3501 5.1.3), UTF-8 (RFC 9051 5.1, RFC 6855), and quoting.

Promise: :func:`decode` of :func:`written` gives the name back; a name that enters the store is NFC, holds no control
character, no empty level, and at most :data:`LONGEST` characters. INBOX is found in any case.
Failure: :class:`BadName` with a public reason.
"""

from __future__ import annotations

import binascii
import re
import unicodedata

SEPARATOR = "/"
LONGEST = 255
DEEPEST = 16

_PLAIN = re.compile(rb'[^\x00-\x1f\x7f-\xff"\\]*\Z')
_SHIFTED = re.compile(r"[^ -~]+")
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+\Z")


class BadName(ValueError):
    """The name cannot be a mailbox's."""


def encode_utf7(name: str) -> bytes:
    """Modified UTF-7 of ``name``."""
    return _SHIFTED.sub(_shift, name.replace("&", "&-")).encode("ascii")


def _shift(run: re.Match[str]) -> str:
    raw = run[0].encode("utf-16-be", "surrogatepass")
    return "&" + binascii.b2a_base64(raw, newline=False).decode("ascii").rstrip("=").replace("/", ",") + "-"


def decode_utf7(raw: bytes) -> str:
    """The name written as modified UTF-7; :class:`BadName` when it is not well formed."""
    pieces = raw.split(b"&")
    try:
        out = [pieces[0].decode("ascii")]
        for piece in pieces[1:]:
            coded, dash, rest = piece.partition(b"-")
            if not dash:
                raise BadName("unterminated shift in mailbox name")
            out.append(_unshift(coded))
            out.append(rest.decode("ascii"))
    except (UnicodeError, binascii.Error):
        raise BadName("mailbox name is not modified UTF-7") from None
    return "".join(out)


def _unshift(coded: bytes) -> str:
    if not coded:
        return "&"
    padded = coded.replace(b",", b"/") + b"=" * (-len(coded) % 4)
    return binascii.a2b_base64(padded, strict_mode=False).decode("utf-16-be")


def decode(raw: bytes, utf8: bool) -> str:
    """The Unicode name a client wrote; ``utf8`` once IMAP4rev2 or UTF8=ACCEPT is enabled."""
    if utf8 or not raw.isascii():
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise BadName("mailbox name is neither ASCII nor UTF-8") from None
    else:
        name = decode_utf7(raw)
    return canonical(name)


def canonical(name: str) -> str:
    """INBOX in capitals at the first level, NFC elsewhere."""
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    if name[:5].upper() == "INBOX" and (len(name) == 5 or name[5] == SEPARATOR):
        return "INBOX" + name[5:]
    return name


def acceptable(name: str) -> str:
    """``name`` without a trailing separator, when it may be created; :class:`BadName` says why not."""
    name = name.removesuffix(SEPARATOR)
    levels = name.split(SEPARATOR)
    if not name or any(not level or level.strip() != level for level in levels):
        raise BadName("a mailbox name needs a word at each level")
    if len(name) > LONGEST or len(levels) > DEEPEST:
        raise BadName("mailbox name is too long or too deep")
    for character in name:
        category = unicodedata.category(character)
        if category in ("Cc", "Cs", "Zl", "Zp", "Cn") or character in "%*":
            raise BadName("mailbox name holds a character it may not")
    return name


def written(name: str, utf8: bool) -> bytes:
    """The name as an astring, in the form the session speaks."""
    return astring(name.encode("utf-8"), utf8=True) if utf8 else astring(encode_utf7(name))


def formerly(spelled: bytes) -> bytes:
    """The item of a LIST answer that says under which other name the client knows it (RFC 9051 6.3.9.7)."""
    return b' ("OLDNAME" (%b))' % spelled


def astring(value: bytes, utf8: bool = False) -> bytes:
    """An atom when it can be, else a quoted string, else a literal."""
    if _ATOM.match(value) and value.upper() != b"NIL":
        return value
    return string(value, utf8)


def string(value: bytes, utf8: bool = False) -> bytes:
    """A quoted string when it can be, else a literal; ``utf8`` once the client takes UTF-8 in quotes."""
    if _PLAIN.match(value):
        return b'"%b"' % value
    if 0 in value or b"\r" in value or b"\n" in value or len(value) > 1000:
        return b"{%d}\r\n%b" % (len(value), value)
    if value.isascii() or (utf8 and _utf8(value)):
        return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b"{%d}\r\n%b" % (len(value), value)


def _utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
