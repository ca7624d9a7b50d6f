"""Turn mail's encodings into text: transfer encodings, charsets, encoded words, base subjects, previews.

Promise: bounded and linear in the input; charsets come from an allow-list, never from ``codecs.lookup`` of what a sender
wrote; nothing raises on any bytes. Decoded text holds no control character, so it can neither forge a header line nor a
log line. Failure: what cannot be decoded becomes U+FFFD or stays as written.
Sources: RFC 2045 6, RFC 2047, RFC 5256 2.1, RFC 8970.
"""

from __future__ import annotations

import binascii
import html
import re
from typing import NamedTuple

ENCODED_WORDS = 200
"""Encoded words decoded in one value; the rest stays as written."""

SUBJECT_LENGTH = 998

_UNIQUE = [
    "utf-8",
    "us-ascii",
    "koi8-r",
    "koi8-u",
    "gb2312",
    "gbk",
    "gb18030",
    "big5",
    "iso-2022-jp",
    "shift_jis",
    "euc-jp",
    "euc-kr",
    "macintosh",
]
_LATIN = [f"iso-8859-{n}" for n in range(1, 17) if n != 12] + [f"windows-{n}" for n in range(1250, 1259)]
_CODECS = {name: name for name in _UNIQUE + _LATIN} | {
    "utf8": "utf-8",
    "ascii": "us-ascii",
    "iso8859-1": "iso-8859-1",
    "iso8859-15": "iso-8859-15",
    "iso_8859-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "cp1252": "windows-1252",
    "cp850": "cp850",
    "ibm850": "cp850",
    "ks_c_5601-1987": "euc-kr",
    "x-sjis": "shift_jis",
    "x-mac-roman": "macintosh",
}
_WORD = re.compile(rb"=\?([A-Za-z0-9_.:-]{1,40}+)(?:\*[A-Za-z0-9-]{0,40}+)?\?([BbQq])\?([^? \t\r\n]*+)\?=")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160), 8232, 8233), " ")
_SPACED_ENDS = (b" \r\n", b"\t\r\n", b" \n", b"\t\n")
_TRAILING = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


def decode_text(data: bytes, charset: str = "") -> str:
    """Bytes to text. An unknown or missing charset is read as UTF-8 when it is valid UTF-8, else as Windows-1252."""
    codec = _CODECS.get(charset.lower())
    if codec is not None and codec != "us-ascii":
        return data.decode(codec, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("windows-1252", "replace")


def unfold(value: bytes) -> bytes:
    """A field value on one line (RFC 5322 2.2.3), outer white space removed."""
    if b"\n" in value:
        value = _FOLD.sub(b"", value)
    return value.strip(b" \t\r\n")


def decode_words(value: bytes, limit: int = ENCODED_WORDS) -> str:
    """A field value as text: unfolded, RFC 2047 encoded words decoded, at most ``limit`` of them."""
    value = unfold(value)
    if b"=?" not in value:
        text = value.decode("ascii") if value.isascii() else decode_text(value)
        return text if text.isprintable() else text.translate(_CONTROLS)
    return "".join(_pieces(value, limit)).translate(_CONTROLS)


def _pieces(value: bytes, limit: int) -> list[str]:
    """Plain runs and decoded words; neighbours in one charset are joined first, as a character may be cut in two."""
    pieces: list[str] = []
    held: list[bytes] = []
    charset, end = "", 0
    for count, word in enumerate(_WORD.finditer(value)):
        if count >= limit:
            break
        between = value[end : word.start()]
        name = word[1].decode("ascii").lower()
        if not held or between.strip(b" \t") or name != charset:
            pieces.append(decode_text(b"".join(held), charset))
            if not held or between.strip(b" \t"):
                pieces.append(decode_text(between))
            held = []
        charset, end = name, word.end()
        held.append(_word_bytes(word[2], word[3]))
    pieces.append(decode_text(b"".join(held), charset))
    pieces.append(decode_text(value[end:]))
    return pieces


def _word_bytes(encoding: bytes, text: bytes) -> bytes:
    return decode_base64(text) if encoding in b"Bb" else binascii.a2b_qp(text, header=True)


def decode_base64(data: bytes) -> bytes:
    """Base64 in any state: foreign bytes skipped, a cut tail dropped, reading ends at the first padding."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        kept = data.partition(b"=")[0].translate(None, _NOT_BASE64)
        if len(kept) % 4 == 1:
            kept = kept[:-1]
        return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


def decode_part(data: bytes, encoding: str | bytes, limit: int = 0) -> bytes:
    """A part's body without its transfer encoding; at most ``limit`` bytes when not 0. Unknown encodings are identity."""
    name = (encoding if isinstance(encoding, bytes) else encoding.encode("ascii", "replace")).strip().lower()
    if limit and len(data) > 4 * limit:
        data = data[: 4 * limit]
    if name == b"base64":
        data = decode_base64(data)
    elif name == b"quoted-printable":
        data = binascii.a2b_qp(_without_trailing(data))
    elif name in _UUENCODE:
        data = _from_uuencode(data)
    return data[:limit] if limit else data


def transfer_encoding(stated: bytes) -> bytes:
    """The one word of a Content-Transfer-Encoding, lower case; ``7bit`` when there is none."""
    return bare_word(stated).lower() or b"7bit"


def bare_word(stated: bytes) -> bytes:
    """The first word of a value, without the comments, quotes and parameters around it."""
    bare = _COMMENT.sub(b" ", stated) if b"(" in stated else stated
    words = bare.partition(b";")[0].replace(b'"', b" ").split(None, 1)
    return words[0] if words else b""


_COMMENT = re.compile(rb"\([^()]{0,200}\)")
_UUENCODE = frozenset({b"x-uuencode", b"x-uue", b"uuencode", b"uue"})
_BEGIN = re.compile(rb"(?:\A|\n)begin [0-7]{3,4} [^\r\n]{0,250}\r?\n")
_LINE = re.compile(rb"[^\n]+")
_SHORT, _MOST_SHORT = 24, 50_000  # octets of a line: programs write 45, and millions of ones would take a second each


def _from_uuencode(data: bytes) -> bytes:
    """What old programs wrote between ``begin`` and ``end``; mail programs still open it."""
    begin = _BEGIN.search(data)
    found, short = bytearray(), 0
    for line in _LINE.finditer(data, begin.end()) if begin else ():
        octets = (line[0][0] - 32) & 63 if line[0].strip() else 0
        short += octets < _SHORT
        if not octets or short > _MOST_SHORT:
            break
        try:
            found += binascii.a2b_uu(line[0][: 1 + (octets + 2) // 3 * 4].rstrip(b"\r"))
        except binascii.Error:
            break
    return bytes(found)


def _without_trailing(data: bytes) -> bytes:
    """White space at the end of a line was added on the way (RFC 2045 6.7, rule 3). Most text has none."""
    seen = any(end in data for end in _SPACED_ENDS) or data.endswith((b" ", b"\t"))
    return _TRAILING.sub(b"", data) if seen else data


# --------------------------------------------------------------------------- base subject (RFC 5256 2.1)


class BaseSubject(NamedTuple):
    """``text`` without its reply and forward marks; ``reply`` tells whether it had any."""

    text: str
    reply: bool


_BLOB = r"\[[^\[\]]*+\][ \t]*+"
_LEADER = re.compile(rf"(?>(?:{_BLOB})*)(?:re|fwd?)[ \t]*+(?>(?:{_BLOB})?):|[ \t]", re.IGNORECASE)
_BLOBS = re.compile(_BLOB)


def base_subject(subject: str) -> BaseSubject:
    """The base subject of an already decoded subject; only its first 998 characters count."""
    text = subject[:SUBJECT_LENGTH]
    if not (text.isascii() and text.isprintable()) or "  " in text or text[:1] == " " or text[-1:] == " ":
        text = " ".join(text.split())
    if ":" not in text and "[" not in text and text[-1:] != ")":
        return BaseSubject(text, False)  # nothing here could be a mark
    reply = False
    while True:
        text, trailed = _without_trailer(text)
        text, led = _without_leader(text)
        reply = reply or trailed or led
        if text[:5].lower() == "[fwd:" and text.endswith("]"):
            text, reply = text[5:-1], True
        else:
            return BaseSubject(text, reply)


def _without_trailer(text: str) -> tuple[str, bool]:
    found = False
    text = text.rstrip(" ")
    while text[-5:].lower() == "(fwd)":
        text, found = text[:-5].rstrip(" "), True
    return text, found


def _without_leader(text: str) -> tuple[str, bool]:
    found = False
    position = 0
    while True:
        leader = _LEADER.match(text, position)
        if leader is not None:
            found = found or leader[0][-1] == ":"
            position = leader.end()
            continue
        blob = _BLOBS.match(text, position)
        if blob is None or blob.end() >= len(text):
            return text[position:], found
        position = blob.end()


# --------------------------------------------------------------------------- preview (RFC 8970)

PREVIEW_LENGTH = 200
PREVIEW_BYTES = 2048
PREVIEW_HTML_BYTES = 16384

_TAG = re.compile(r"<[^<>]*+>?")
_HIDDEN = re.compile(r"<(style|script|head|title|!--)", re.IGNORECASE)
_HIDDEN_END = {name: f"</{name}" for name in ("style", "script", "head", "title")} | {"!--": "-->"}


def preview(data: bytes, encoding: bytes, charset: str, is_html: bool) -> str:
    """The first 200 characters a reader would see; reads a bounded prefix of ``data``."""
    bound = PREVIEW_HTML_BYTES if is_html else PREVIEW_BYTES
    text = decode_text(decode_part(data[: 2 * bound], encoding, bound), charset)
    if is_html:
        text = html.unescape(_TAG.sub(" ", _without_hidden(text)))
    text = " ".join(text.split())[:PREVIEW_LENGTH]
    return text if text.isprintable() else "".join([each if each.isprintable() else " " for each in text])


def _without_hidden(text: str) -> str:
    """Drop comments and what is between style, script, head and title tags; an unclosed one hides the rest."""
    kept: list[str] = []
    position = 0
    lower = text.lower()
    if len(lower) != len(text):  # some letters grow when lowered: offsets would not match
        lower = text
    while (hidden := _HIDDEN.search(text, position)) is not None:
        kept.append(text[position : hidden.start()])
        position = lower.find(_HIDDEN_END[hidden[1].lower()], hidden.end())
        if position < 0:
            return " ".join(kept)
        position = lower.find(">", position) + 1 or len(text)
    kept.append(text[position:])
    return " ".join(kept)
