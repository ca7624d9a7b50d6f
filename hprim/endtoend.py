"""What stands around a part: signatures and encryption from end to end (CMS, OpenPGP), told by their octets, since names and
declared types lie; and a whole message attached as a mere file.

An opaque signature (signed-data) holds its content in clear: :func:`opened` puts the parts inside in its place, so that they are
read like any other; so is a message in a file, which the recipient opens with a click. What is encrypted is carried, and
:func:`unreadable` says that nobody looked into it. A signature beside the message it signs, or around a text in clear, is neither:
nothing is hidden.
Promise: pure, no exception; work is linear in the input, nesting ends at :data:`DEPTH`. No signature is verified. Failure: none; what
is damaged is told like what is encrypted. Source: RFC 5652, 5083, 8551, 9580; MSS-114.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from hprim.detect import mail_start, messages_in, opens_mail
from hprim.mime import split_mail
from hprim.model import Part, Words

DEPTH = 3
MAX_PARTS = 500
"""Parts of a message that are read; one more comes out where there are too many, so that whoever counts sees it."""
_MAX_CHUNKS = 100_000
_MOST_MESSAGES = 1_000
_SIGNED = bytes.fromhex("2a864886f70d010702")
_ENCRYPTED = Words(
    "chiffré de bout en bout, son contenu n'a pas été contrôlé", "encrypted end to end, its content was not checked"
)
_PRESSED = Words(
    "compressé d'une manière que la passerelle n'ouvre pas, son contenu n'a pas été contrôlé",
    "compressed in a way that the gateway does not open, its content was not checked",
)
_HIDDEN = {
    bytes.fromhex("2a864886f70d010703"): _ENCRYPTED,  # enveloped-data
    bytes.fromhex("2a864886f70d010706"): _ENCRYPTED,  # encrypted-data
    bytes.fromhex("2a864886f70d0109100117"): _ENCRYPTED,  # auth-enveloped-data
    bytes.fromhex("2a864886f70d0109100109"): _PRESSED,  # compressed-data
}
_DAMAGED = Words(
    "sa signature ne laisse pas lire ce qu'elle contient, qui n'a pas été contrôlé",
    "its signature does not let read what it holds, which was not checked",
)
_MEDIA = ("application/pkcs7-mime", "application/x-pkcs7-mime")
_ARMOR = b"-----BEGIN PGP MESSAGE-----"
_PGP_NAMES = (".pgp", ".gpg")
_LOOK = 65_536


def opened(parts: Iterable[Part], depth: int = DEPTH) -> Iterator[Part]:
    """The parts, each opaque signature and each message in a file replaced by what it holds; of one come no more than shows that there
    are more than :data:`MAX_PARTS`."""
    for part in parts:
        inside = _signed(part.data) if depth else None
        if depth and not part.is_body and opens_mail(part.data[:_LOOK]):
            yield from islice(opened(_attached(part), depth - 1), MAX_PARTS + 1)
        elif not inside:
            yield part
        elif _is_mail(inside):
            mail = split_mail(inside)
            yield from [part] if mail.cut else islice(opened(mail.parts, depth - 1), MAX_PARTS + 1)
        else:
            name = re.sub(r"\.p7[ms]$", "", part.name, flags=re.IGNORECASE)
            yield from opened([Part(name, "", "", inside, is_body=False)], depth - 1)


def unreadable(part: Part) -> Words | None:
    """Why nobody could look into this part; None when one can, or when it is nothing of the kind."""
    data = part.data
    if _armoured(data) or (data[:1] >= b"\x80" and part.name.lower().endswith(_PGP_NAMES)):
        return _ENCRYPTED
    kind = _kind(data)
    if kind in _HIDDEN:
        return _HIDDEN[kind]
    if kind == _SIGNED:
        return None if _signed(data) == b"" else _DAMAGED
    return _DAMAGED if part.media_type.lower() in _MEDIA and data else None


def _armoured(data: bytes) -> bool:
    """Whether a line, or an element of a page, begins with PGP's mark; quoted behind ``> `` it is somebody's answer."""
    at = data.find(_ARMOR, 0, _LOOK)
    while at > 0 and data[at - 1 : at] not in (b"\n", b"\r", b">"):
        at = data.find(_ARMOR, at + 1, _LOOK)
    return at >= 0


def _attached(part: Part) -> Iterator[Part]:
    """The leaves of each message in a file, none of which is the text of our own message. One that cannot be cut stays a file."""
    for message in messages_in(part.data, _MOST_MESSAGES):
        mail = split_mail(message[mail_start(message) :])
        if mail.cut or not mail.parts:
            yield replace(part, data=message)
        else:
            yield from (replace(one, name=one.name or part.name, is_body=False) for one in mail.parts)


def _is_mail(data: bytes) -> bool:
    """S/MIME signs a whole entity, its header first; a signed file has none."""
    return bool(
        re.match(rb"(?:[!-9;-~]{1,70}:[^\n]*\n(?:[ \t][^\n]*\n)*){0,200}?content-type:", data[:_LOOK], re.IGNORECASE)
    )


# BER, as far as it takes


class _Value(NamedTuple):
    """One value: its tag, where its content starts, and where it ends (None: at the two zeros that follow its last part)."""

    tag: int
    start: int
    end: int | None


class _Damaged(ValueError):
    """These octets are no BER."""


def _at(data: bytes, at: int) -> _Value:
    head = data[at : at + 2]
    if len(head) < 2:
        raise _Damaged
    tag, size = head
    if size == 0x80:
        return _Value(tag, at + 2, None)
    start = at + 2 + (size & 0x7F if size > 0x80 else 0)
    length = int.from_bytes(data[at + 2 : start]) if size > 0x80 else size
    if start - at > 10 or start + length > len(data):
        raise _Damaged
    return _Value(tag, start, start + length)


def _expect(data: bytes, at: int, *tags: int) -> _Value:
    found = _at(data, at)
    if found.tag not in tags:
        raise _Damaged
    return found


def _after(data: bytes, value: _Value, depth: int = 4) -> int:
    """Where what follows ``value`` begins."""
    if value.end is not None:
        return value.end
    at = value.start
    for _ in range(_MAX_CHUNKS if depth else 0):
        if data[at : at + 2] == b"\x00\x00":
            return at + 2
        at = _after(data, _at(data, at), depth - 1)
    raise _Damaged


def _content(data: bytes) -> tuple[bytes, int]:
    """What kind of CMS value this is, and where its content begins. ``_Damaged`` when it is none."""
    outer = _expect(data, 0, 0x30)
    kind = _expect(data, outer.start, 0x06)
    return data[kind.start : kind.end], _after(data, kind)


def _kind(data: bytes) -> bytes:
    try:
        return _content(data)[0]
    except _Damaged:
        return b""


def _signed(data: bytes) -> bytes | None:
    """What an opaque signature holds; b"" for a signature that stands beside its message; None when this is no readable one."""
    try:
        kind, at = _content(data)
        if kind != _SIGNED:
            return None
        signed = _expect(data, _expect(data, at, 0xA0).start, 0x30)
        version = _expect(data, signed.start, 0x02)
        digests = _expect(data, _after(data, version), 0x31)
        return _held(data, _expect(data, _after(data, digests), 0x30))
    except _Damaged:
        return None


def _held(data: bytes, info: _Value) -> bytes:
    at = _after(data, _expect(data, info.start, 0x06))
    if at == info.end or data[at : at + 2] == b"\x00\x00":
        return b""
    octets = _expect(data, _expect(data, at, 0xA0).start, 0x04, 0x24)
    if octets.tag == 0x04:
        return data[octets.start : octets.end]
    return b"".join(_chunks(data, octets))


def _chunks(data: bytes, octets: _Value) -> Iterator[bytes]:
    """The pieces of an octet string written in pieces."""
    at = octets.start
    for _ in range(_MAX_CHUNKS):
        if at == octets.end or (octets.end is None and data[at : at + 2] == b"\x00\x00"):
            return
        piece = _expect(data, at, 0x04)
        yield data[piece.start : piece.end]
        at = _after(data, piece)
    raise _Damaged
