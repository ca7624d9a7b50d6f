"""What a part is, from its first bytes: names and declared types lie.

Promise: cheap (the first 64 KiB, and what stands before the first element of XML), no parsing, no exception. Failure:
:attr:`hprim.model.Format.OTHER`. Source: HID-017, HID-009.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from hprim import cda, sante
from hprim.model import Format, Words
from hprim.xmlsafe import looks_xml, root_of, trimmed

HPRIM_NAMES = (".hpr", ".hprim", ".hpm", ".hpm1", ".hpm2", ".hpm3")
_SEEN = 65_536
_HL7 = re.compile(rb"(?:MSH|FHS|BHS)[^A-Za-z0-9\s]")
_MAIL_LINE = re.compile(rb"[!-9;-~]{1,70}:")
_BEFORE_MAIL = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:[ \t]*\r?\n)*(?:>?From [^\r\n]*\r?\n)?")
_FROM = re.compile(rb"From [^\r\n]{1,400}\r?\n")
_NEXT = re.compile(rb"\n\r?\n(?=From [^\r\n]{1,400}\r?\n[!-9;-~]{1,70}:)")
_HEADER = 2_048
_MAIL_NAMES = re.compile(
    rb"(?:^|\n)(?:from|to|subject|date|message-id|mime-version|received|return-path|content-type):", re.IGNORECASE
)
_APICRYPT = b"#BINASCII1#"


def is_hprim_name(name: str) -> bool:
    """A file name by which senders mean HPRIM (Médecins or Santé)."""
    return name.lower().endswith(HPRIM_NAMES)


_SEALED = (
    *(b"\x1f\x8b\x08", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"BZh9", b"\xfd7zXZ\x00", b"MSCF\x00"),
    b'x\x9f>"',  # winmail.dat, which few programs but Outlook open
)


def sealed(data: bytes) -> bool:
    """Whether this is an archive of a kind that is carried but not looked into."""
    return data.startswith(_SEALED) or data[257:262] == b"ustar"


_OFFICE_NAMES = (".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp")
_OFFICE = Words("bureautique", "office file")
UNREAD_FHIR = Words("ressource FHIR", "FHIR resource")
_UNREAD = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": Words("bureautique ou Outlook", "office file or Outlook"),  # .doc, .xls, .msg
    b"{\\rtf": Words("texte RTF", "RTF text"),
}


def is_office(name: str) -> bool:
    """An office document, which is a ZIP archive too."""
    return name.lower().endswith(_OFFICE_NAMES)


def unread(data: bytes, name: str) -> Words | None:
    """What this is, when it is of a kind that people write letters in and that no reader here opens."""
    if data.startswith(b"PK\x03\x04"):
        inside = b"[Content_Types].xml" in data[-_SEEN:] or data[30:80].startswith(b"mimetypeapplication/vnd.oasis")
        return _OFFICE if inside or is_office(name) else None
    return next((kind for opening, kind in _UNREAD.items() if data.startswith(opening)), None)


def is_fhir_xml(root: tuple[str, str]) -> bool:
    """Whether this first element is a FHIR resource."""
    return root[0] == "http://hl7.org/fhir"


def mail_start(data: bytes) -> int:
    """Where a message saved to a file begins: behind a byte order mark, empty lines and the ``From `` line of a mailbox file."""
    found = _BEFORE_MAIL.match(data[:_SEEN])
    return found.end() if found else 0


def messages_in(data: bytes, most: int = 1_000_000) -> Iterator[bytes]:
    """The messages of a mailbox file, one after the other; ``data`` itself when it is none. A line of a letter that begins with
    ``From `` parts nothing unless a header follows it; beyond ``most`` such lines the rest is one."""
    start = 0
    if _FROM.match(data[:_SEEN].lstrip(b"\xef\xbb\xbf \t\r\n")):
        for found in islice(_NEXT.finditer(data), most):
            if opens_mail(data[found.end() : found.end() + _HEADER]):
                yield data[start : found.start()]
                start = found.end()
    yield data[start:]


def detect(data: bytes, name: str = "", media_type: str = "", *, mail: bool = False) -> Format:
    """The format of ``data``. ``mail``: it may be a whole message (a file given on the command line)."""
    head = data[:_SEEN]
    if not head.strip(b" \t\r\n\x00\xef\xbb\xbf"):
        return Format.EMPTY if len(data) <= _SEEN else Format.OTHER
    if b"%PDF-" in head[:1024] and head.lstrip(b"\xef\xbb\xbf \t\r\n")[:5] == b"%PDF-":
        return Format.PDF
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return Format.ZIP
    if name.lower().endswith(".apz") or _APICRYPT in head[:8_192]:
        return Format.APICRYPT
    return _markup(data, head, media_type) or _text(head, name, media_type, mail=mail)


def _markup(data: bytes, head: bytes, media_type: str) -> Format | None:
    start = trimmed(head)[:1_024].lower()
    html = start.startswith((b"<!doctype html", b"<html")) or media_type.lower() == "text/html"
    if not looks_xml(head):
        return Format.HTML if html else None
    root = root_of(head) or root_of(data)  # beyond the head only for what hides its first element behind comments
    if root is not None and cda.is_cda(data):
        return Format.CDA  # whatever is declared: the recipient's software looks at the content too
    if html or (root is not None and root[1].lower() == "html"):
        return Format.HTML
    if root is None:
        return Format.XML if start.startswith((b"<?xml", b"<!doctype")) or b"\x00" in start[:4] else None
    if is_fhir_xml(root):
        return Format.FHIR
    return Format.HPRIM_XML if cda.is_hprim_xml(root) else Format.XML


def _text(head: bytes, name: str, media_type: str, *, mail: bool) -> Format:
    bare = head.lstrip(b"\xef\xbb\xbf \t\r\n\x0b")
    if _HL7.match(bare):
        return Format.HL7
    if bare.startswith(b"{") and b'"resourceType"' in head:
        return Format.FHIR
    if any(_is_sante(line) for line in _first_lines(bare)):
        return Format.HPRIM_SANTE
    if mail and opens_mail(head):
        return Format.MAIL
    meant = is_hprim_name(name) or media_type.lower().startswith("text/") or b"****FIN" in head
    binary = b"\x00" in head[:4_096] and head[:2] not in _UTF16
    return Format.OTHER if binary and not meant else Format.TEXT


def opens_mail(head: bytes) -> bool:
    """Whether these octets begin like a whole message."""
    start = mail_start(head)
    return bool(_MAIL_LINE.match(head, start)) and len(_MAIL_NAMES.findall(head[start:])) >= 2


_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def _first_lines(head: bytes) -> list[bytes]:
    return re.split(rb"\r\n|\n|\r", head[:4_096], maxsplit=5)[:5]


def _is_sante(line: bytes) -> bool:
    if not line.startswith(b"H") or len(line) > 2_000:
        return False
    text = line.decode("latin-1")
    s = sante.signs(text)
    return s is not None and text.count(s.field) >= 10
