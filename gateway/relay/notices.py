"""Builds delivery status notifications (RFC 3464) in French and English around the untouched bytes of the original.

Promise: the original is returned byte for byte, its headers only unless RET=FULL and it is small; it is never parsed
into objects and written back (header injection by decoding, CVE-2024-6923). Every value that came from outside is
printable ASCII of bounded length before it enters a field. The notice itself is 7-bit but for the returned original.
Failure: none for a bad original; a header value of ours that could break its line raises ``ValueError``.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime

from gateway.received import date
from gateway.relay.outbox import Entry, Owed
from gateway.relay.tables import NEVER
from policies.catalogue import rule
from policies.decision import Language, decide
from policies.receipts import field_error

HEADER_BYTES = 64 * 1024  # returned of the original's header
FULL_BYTES = 1024 * 1024  # a larger original is returned as headers, whatever RET says

ACTIONS = {  # what we owe -> RFC 3464 Action, and the rule whose sentence opens the notice
    "failed": ("failed", "notice.failed"),
    "delayed": ("delayed", "notice.delayed"),
    "delivered": ("delivered", "notice.delivered"),
    "relayed": ("relayed", "notice.relayed"),
    "unanswered": ("delayed", "notice.unanswered"),
    "unread": ("delivered", "notice.unread"),
    "double_bounce": ("failed", "notice.double_bounce"),
}
SUBJECTS = {
    "failed": "Message non remis / Message not delivered",
    "delayed": "Message en attente / Message delayed",
    "delivered": "Message remis / Message delivered",
    "relayed": "Message pris en charge / Message relayed",
    "unanswered": "Pas de confirmation / No confirmation received",
    "unread": "Sans accusé de lecture / No reading receipt",
    "double_bounce": "Avis non distribuable / Undeliverable notice",
}


@dataclass(frozen=True, slots=True)
class House:
    """Who speaks: our host name, and the address notices come from (a postmaster of ours)."""

    hostname: str
    postmaster: str


@dataclass(frozen=True, slots=True)
class Original:
    """What is returned of the original: raw bytes, all of it or its header block."""

    content: bytes
    whole: bool


def returned(content: bytes, size: int, ret: str) -> Original:
    """Choose what is returned. ``content`` is at least the first :data:`HEADER_BYTES` of the original."""
    content, size = _without_return_path(content, size)
    if ret == "FULL" and size <= FULL_BYTES and len(content) == size:
        return Original(content, whole=True)
    end = content.find(b"\r\n\r\n")
    header = content[: end + 2] if 0 <= end <= HEADER_BYTES else content[:HEADER_BYTES]
    if not header.endswith(b"\r\n"):
        header = header[: header.rfind(b"\r\n") + 2]
    return Original(header, whole=False)


def _without_return_path(content: bytes, size: int) -> tuple[bytes, int]:
    if content[:12].lower() != b"return-path:":
        return content, size
    end = content.find(b"\r\n") + 2
    return (content[end:], size - end) if end >= 2 else (content, size)


def build(notice: Owed, original: Original | None, house: House, to: str, now: float, token: str) -> bytes:
    """The whole notice. ``token`` is at least 128 random bits in printable characters, for boundary and Message-ID."""
    boundary = f"=_caducee_{token}"
    parts = [_text_part(notice, now), _status_part(notice, house)]
    if original is not None:
        parts.append(_original_part(original))
    head = _head(notice, original, house, to, now, token, boundary)
    delimiter = b"--" + boundary.encode("ascii")
    body = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts)
    return head + b"\r\n" + body + delimiter + b"--\r\n"


def _head(
    notice: Owed, original: Original | None, house: House, to: str, now: float, token: str, boundary: str
) -> bytes:
    fields = [
        ("Date", date(now)),
        ("From", f"Caducee <{house.postmaster}>"),
        ("To", f"<{to}>"),
        ("Subject", encoded_word(SUBJECTS[notice.action])),
        ("Message-ID", f"<{token}@{house.hostname}>"),
        ("Auto-Submitted", "auto-replied"),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"'),
    ]
    reference = message_id(original.content) if original else ""
    if reference:
        fields[5:5] = [("In-Reply-To", f"<{reference}>"), ("References", f"<{reference}>")]
    if original is not None and _eight_bit(original.content):
        fields.append(("Content-Transfer-Encoding", "8bit"))
    return b"".join(field_line(name, value) for name, value in fields)


def field_line(name: str, value: str) -> bytes:
    """One header field of ours. ValueError when the value could end its line or is not ASCII."""
    bare = value.replace("\r\n\t", "")
    if "\r" in bare or "\n" in bare or "\0" in bare:
        raise ValueError(f"{name}: a line end inside a value")
    return f"{name}: {value}\r\n".encode("ascii")


def encoded_word(text: str) -> str:
    """RFC 2047 B encoding when needed; the text is ours, short, and fits one word."""
    if text.isascii():
        return text
    return f"=?UTF-8?B?{base64.b64encode(text.encode()).decode('ascii')}?="


def quoted_printable(text: str) -> bytes:
    """RFC 2045 6.7 with CRLF line ends."""
    encoded = binascii.b2a_qp(text.replace("\r\n", "\n").encode(), istext=True)
    return encoded.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def message_id(content: bytes) -> str:
    """The Message-ID of a raw header block, without brackets; empty when absent or not plain."""
    lowered = b"\r\n" + content[:HEADER_BYTES].split(b"\r\n\r\n", 1)[0]
    at = lowered.lower().find(b"\r\nmessage-id:")
    if at < 0:
        return ""
    value = lowered[at + 13 : at + 13 + 1000]
    start, end = value.find(b"<"), value.find(b">")
    found = value[start + 1 : end]
    plain = 0 <= start < end and 0 < len(found) <= 250 and all(33 <= byte < 127 and byte != 60 for byte in found)
    return found.decode("ascii") if plain else ""


# the parts


def _text_part(notice: Owed, now: float) -> bytes:
    text = "\n".join(_human(notice, language, now) for language in ("fr", "en"))
    return (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + quoted_printable(text)
    )


def _human(notice: Owed, language: Language, now: float) -> str:
    hours = max(1, int((now - notice.accepted_at) // 3600))
    opening = decide(rule(ACTIONS[notice.action][1]), hours=hours)
    lines = [*filter(None, (opening.sentence(language), opening.remedy(language))), ""]
    for entry in notice.entries:
        lines += _human_entry(entry, language, opened=entry.rule == opening.rule.name)
    sent = datetime.fromtimestamp(notice.accepted_at).astimezone()
    if language == "fr":
        lines.append(f"Message envoyé le {sent:%d/%m/%Y} à {sent:%H:%M}. Référence : {notice.message}")
    else:
        lines.append(f"Message sent on {sent:%Y-%m-%d} at {sent:%H:%M}. Reference: {notice.message}")
    return "\n".join([*lines, ""])


def _human_entry(entry: Entry, language: Language, *, opened: bool) -> list[str]:
    sentence, remedy = ("", "") if opened else entry.sentence(language)
    lines = [f"  {entry.recipient}"]
    if sentence:
        lines.append(f"    {sentence}")
    if remedy:
        lines.append(f"    {remedy}")
    # The notice of a silence tells of no error: its status is not the server's.
    code, label = (0, "") if opened else field_error(entry.status, language, entry.reply)
    if code:
        lines.append(f"    Code {code} : {label}" if language == "fr" else f"    Code {code}: {label}")
    if entry.reply:
        said = "Réponse du serveur :" if language == "fr" else "Answer of the server:"
        lines.append(f"    {said} {_plain(entry.reply)[:300]}")
    return [*lines, ""]


def _status_part(notice: Owed, house: House) -> bytes:
    head = [("Reporting-MTA", f"dns; {house.hostname}"), ("Arrival-Date", date(notice.accepted_at))]
    if notice.envid:
        head.insert(0, ("Original-Envelope-Id", xtext(notice.envid)))
    groups = [head, *(_entry_fields(notice, entry) for entry in notice.entries)]
    text = "\r\n".join("".join(f"{name}: {_plain(value)}\r\n" for name, value in group) for group in groups)
    return b"Content-Type: message/delivery-status\r\n\r\n" + text.encode("ascii")


def _entry_fields(notice: Owed, entry: Entry) -> list[tuple[str, str]]:
    action = ACTIONS[notice.action][0]
    fields = [("Final-Recipient", f"rfc822; {entry.recipient}"), ("Action", action), ("Status", _status(entry, action))]
    kind, _, original = entry.orcpt.partition(";")
    if original:
        fields.insert(0, ("Original-Recipient", f"{kind}; {xtext(original)}"))
    if entry.host:
        fields.append(("Remote-MTA", f"dns; {entry.host}"))
    if entry.reply and action in ("failed", "delayed"):
        fields.append(("Diagnostic-Code", f"smtp; {entry.reply}"))
    if entry.at > 0:
        fields.append(("Last-Attempt-Date", date(entry.at)))
    if notice.action == "delayed" and entry.until < NEVER / 2:
        fields.append(("Will-Retry-Until", date(entry.until)))
    if entry.rule and not entry.rule.startswith("notice."):
        fields.append(("X-Caducee-Rule", entry.rule))
    return fields


def _status(entry: Entry, action: str) -> str:
    """RFC 3464 2.3.4: the class agrees with the action, but 4.4.7 may end a message that was only ever delayed."""
    if action in ("delivered", "relayed"):
        return entry.status if entry.status[:1] == "2" else "2.0.0"
    if action == "delayed":
        return "4" + entry.status[1:]
    return entry.status


def _original_part(original: Original) -> bytes:
    kind = b"message/rfc822" if original.whole else b"text/rfc822-headers"
    encoding = b"8bit" if _eight_bit(original.content) else b"7bit"
    return b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + original.content


def _eight_bit(content: bytes) -> bool:
    return not content.isascii()


def _plain(value: str) -> str:
    return "".join([character if 32 <= ord(character) < 127 else "?" for character in value[:900]])


def xtext(value: str) -> str:
    """Decode RFC 3461 xtext; what would not be printable ASCII stays encoded."""
    out: list[str] = []
    at = 0
    while at < len(value):
        pair = value[at + 1 : at + 3]
        if value[at] == "+" and len(pair) == 2 and all(digit in "0123456789ABCDEF" for digit in pair):
            decoded = int(pair, 16)
            out.append(chr(decoded) if 32 < decoded < 127 else value[at : at + 3])
            at += 3
        else:
            out.append(value[at])
            at += 1
    return "".join(out)
