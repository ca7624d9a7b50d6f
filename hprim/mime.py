"""A whole mail cut into leaves, for checking a file by hand. The gateway passes parts it has already cut.

Promise: one pass without recursion over raw bytes; at most 500 parts, depth 20, 256 KiB of header; transfer encodings undone;
names decoded from every form mail programs use. Failure: never raises; what cannot be decoded is passed as it is, and
:attr:`Mail.cut` says that a limit was met. Source: RFC 5322, 2045-2047, 2231.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from hprim.charset import decode, known
from hprim.model import Part

MAX_PARTS = 500
MAX_DEPTH = 20
MAX_HEADER = 262_144
MAX_FIELDS = 1_000
MAX_WORDS = 200


@dataclass(frozen=True, slots=True)
class Mail:
    """``headers``: lower-case name to first value, unfolded, not decoded. ``cut``: a limit stopped the walk."""

    headers: Mapping[str, str]
    subject: str
    recipients: tuple[str, ...]
    parts: tuple[Part, ...]
    cut: bool


@dataclass(slots=True)
class _Walk:
    parts: list[Part] = field(default_factory=list)
    cut: bool = False


_BLANK_LINE = re.compile(rb"\r?\n\r?\n|\r\r")
_FIELD = re.compile(r"([!-9;-~]{1,100}):[ \t]?(.*)", re.DOTALL)


def headers_of(block: bytes) -> dict[str, str]:
    """Header fields of ``block``: lower-case name to first value, unfolded."""
    text = _raw(block[:MAX_HEADER]).replace("\r\n", "\n").replace("\r", "\n")
    found: dict[str, str] = {}
    lines = text.split("\n", MAX_FIELDS * 20)
    current: list[str] = []
    for line in [*lines, ""]:
        if line[:1] in (" ", "\t") and current:
            if len(current) < 500:
                current.append(" " + line.strip())
            continue
        if current and (m := _FIELD.match("".join(current))):
            found.setdefault(m[1].lower(), m[2].strip())
        if len(found) >= MAX_FIELDS:
            break
        current = [line]
    return found


def _raw(block: bytes) -> str:
    try:
        return block.decode("utf-8")
    except UnicodeDecodeError:
        return block.decode("cp1252", "replace")


def _cut(data: memoryview, walk: _Walk) -> tuple[dict[str, str], memoryview]:
    """(headers, body) of one entity; a header block that never ends is said to ``walk``."""
    start = bytes(data[:2])
    if start == b"\r\n" or start[:1] == b"\n":
        return {}, data[2:] if start == b"\r\n" else data[1:]
    found = _BLANK_LINE.search(data, 0, MAX_HEADER)
    if found is None:
        walk.cut = walk.cut or len(data) > MAX_HEADER
        return headers_of(bytes(data[:MAX_HEADER])), data[len(data) :]
    return headers_of(bytes(data[: found.start()])), data[found.end() :]


_WORD = re.compile(r"=\?([A-Za-z0-9_.:-]{1,40})(?:\*[A-Za-z-]{0,20})?\?([BbQq])\?([^?\s]{0,1000})\?=")


def decode_words(text: str) -> str:
    """RFC 2047 encoded words, the first 200 of them; adjacent ones of one charset are joined before decoding."""
    out: list[str] = []
    held, charset, at = b"", "", 0
    for index, m in enumerate(_WORD.finditer(text)):
        if index >= MAX_WORDS:
            break
        between = text[at : m.start()]
        if held and (between.strip() or known(m[1]) != charset):
            out.append(decode(held, charset).text)
            held = b""
        if between.strip() or not index:
            out.append(between)
        held, charset, at = held + _word_bytes(m[2], m[3]), known(m[1]), m.end()
    if held:
        out.append(decode(held, charset).text)
    return "".join(out) + text[at:]


def _word_bytes(kind: str, text: str) -> bytes:
    raw = text.encode("latin-1", "replace")
    if kind in "Bb":
        return _base64(raw)
    return binascii.a2b_qp(raw.replace(b"_", b" "))


_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


def _base64(raw: bytes | memoryview) -> bytes:
    try:
        return binascii.a2b_base64(raw)
    except binascii.Error:  # cut short: what is whole is kept to the last octet, or a document would lose its end
        kept = bytes(raw).partition(b"=")[0].translate(None, _NOT_BASE64)
        if len(kept) % 4 == 1:
            kept = kept[:-1]
        return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


_PARAMETER = re.compile(
    r';\s{0,20}([A-Za-z0-9_.-]{1,40}(?:\*[0-9]{0,2}\*?)?)\s{0,20}=\s{0,20}("(?:[^"\\]|\\.){0,2000}"|[^;\s]{0,2000})'
)


def parameters(value: str) -> dict[str, str]:
    """The parameters of a structured field, lower-case names, RFC 2231 continuations joined, at most 64."""
    found: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, str, bool]]] = {}
    for index, m in enumerate(_PARAMETER.finditer(value[:20_000])):
        if index >= 64:
            break
        name, star, rest = m[1].lower().partition("*")
        text = re.sub(r"\\(.)", r"\1", m[2][1:-1]) if m[2].startswith('"') else m[2]
        if not star:
            found.setdefault(name, text)
        else:
            number = rest.rstrip("*")
            pieces.setdefault(name, []).append((int(number or 0), text, rest.endswith("*") or not rest))
    for name, several in pieces.items():
        found[name] = _extended(sorted(several))
    return found


def _extended(pieces: list[tuple[int, str, bool]]) -> str:
    charset, raw = "", b""
    for index, (_, text, encoded) in enumerate(pieces):
        if index == 0 and encoded and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        raw += unquote_to_bytes(text) if encoded else text.encode("utf-8", "replace")
    return decode(raw, charset).text


_TRAILING = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")


def _body(data: memoryview, encoding: str) -> bytes:
    """Without its transfer encoding, octet for octet as :mod:`mailboxes.words` gives it to who reads the message."""
    if encoding == "base64":
        return _base64(data)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(_TRAILING.sub(b"", data))
    if encoding in ("x-uuencode", "x-uue", "uuencode", "uue"):
        return _uuencoded(data)
    return bytes(data)


def _transfer_encoding(stated: str) -> str:
    """The one word of a Content-Transfer-Encoding, lower case, without the comments, quotes and parameters around it."""
    words = re.sub(r"\([^()]{0,200}\)", " ", stated[:1_000]).partition(";")[0].replace('"', " ").lower().split(None, 1)
    return words[0] if words else ""


_BEGIN = re.compile(rb"(?:\A|\n)begin [0-7]{3,4} [^\r\n]{0,250}\r?\n")
_LINE = re.compile(rb"[^\n]+")
_SHORT, _MOST_SHORT = 24, 50_000  # octets of a line: programs write 45, and millions of ones would take a second each


def _uuencoded(data: memoryview) -> bytes:
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


def _name(disposition: dict[str, str], kind: dict[str, str]) -> str:
    name = disposition.get("filename") or kind.get("name") or ""
    clean = "".join(c for c in decode_words(name) if c.isprintable())
    return clean.replace("\\", "/").rpartition("/")[2][:200]


def _children(body: memoryview, boundary: str) -> list[memoryview]:
    mark = re.escape(boundary.encode("utf-8", "replace"))
    cuts = [(m.start(), m.end(), bool(m[1])) for m in _marks(body, mark)]
    children: list[memoryview] = []
    for index, (_, end, last) in enumerate(cuts):
        if last:
            break
        stop = cuts[index + 1][0] if index + 1 < len(cuts) else len(body)
        children.append(body[end:stop])
        if len(children) > MAX_PARTS:
            break
    return children


def _marks(body: memoryview, mark: bytes) -> list[re.Match[bytes]]:
    pattern = re.compile(rb"(?:\A|\r\n|\n|\r)--" + mark + rb"(--)?[ \t]{0,100}(?:\r\n|\n|\r|\Z)")
    found: list[re.Match[bytes]] = []
    at = 0
    while len(found) <= MAX_PARTS + 1 and (m := pattern.search(body, at)):
        found.append(m)
        at = max(m.end() - 2, m.start() + 1)
    return found


def split_mail(data: bytes) -> Mail:
    """The leaves of a message and the headers a check needs."""
    walk = _Walk()
    headers, body = _cut(memoryview(data), walk)
    stack: list[tuple[dict[str, str], memoryview, int, bool]] = [(headers, body, 0, False)]
    while stack:
        fields, content, depth, attached = stack.pop()
        if len(walk.parts) >= MAX_PARTS or depth > MAX_DEPTH:
            walk.cut = True
            continue
        stack.extend(reversed(_step(fields, content, depth, attached, walk)))
    addresses = tuple(dict.fromkeys(a for n in ("to", "cc", "bcc") for a in find_addresses(headers.get(n, ""))))
    return Mail(headers, decode_words(headers.get("subject", "")), addresses, tuple(walk.parts), walk.cut)


def _step(
    fields: dict[str, str], content: memoryview, depth: int, attached: bool, walk: _Walk
) -> list[tuple[dict[str, str], memoryview, int, bool]]:
    """Keep a leaf, or give the entities below a multipart or an attached message."""
    raw = fields.get("content-type", "text/plain")
    media = raw.partition(";")[0].strip().lower() or "text/plain"
    kind = parameters(raw)
    if media.startswith("multipart/") and kind.get("boundary"):
        return [(*_cut(child, walk), depth + 1, attached) for child in _children(content, kind["boundary"])]
    encoding = _transfer_encoding(fields.get("content-transfer-encoding", ""))
    if media == "message/rfc822":
        inner = memoryview(_body(content, encoding)) if encoding in ("base64", "quoted-printable") else content
        return [(*_cut(inner, walk), depth + 1, True)]
    decoded = _body(content, encoding)
    raw_disposition = fields.get("content-disposition", "")
    name = _name(parameters(raw_disposition), kind)
    is_attachment = raw_disposition.strip().lower().startswith("attachment") or bool(name) or attached
    is_body = media.startswith("text/") and not is_attachment
    walk.parts.append(Part(name, media, kind.get("charset", ""), decoded, is_body))
    return []


_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}")


def find_addresses(text: str) -> list[str]:
    """Everything like an address in a header value (for hints and patient addresses, never for routing)."""
    return [m[0].rstrip(".") for m in _ADDRESS.finditer(text[:100_000])][:1_000]
