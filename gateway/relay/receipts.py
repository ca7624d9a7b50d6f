"""Receipts as bytes: reads the DSNs and MDNs that come in, builds the MDNs that go out (RFC 3464, RFC 8098, ANS form).

The reader is lenient, as the field demands (mssante.md 5.5): misspelt headers, more than three parts, no blank line before
the fields, ``Error:`` inside the Disposition, ANS codes such as ``902^Identifiant de patient inconnu^...``, and error
mails that are no report at all but say so in their subject. It is bounded in size, groups and fields, decides nothing by
itself, and never raises: what cannot be read gives no receipt.
The builder never decodes and re-encodes what it received: the original's Subject is copied as raw bytes or left out.
Failure: :func:`build_mdn` raises ``ValueError`` for a value of ours that could break its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.received import date
from gateway.relay import bounces
from gateway.relay.bounces import Bounces
from gateway.relay.notices import House, Original, encoded_word, field_line, message_id, quoted_printable, xtext
from gateway.relay.tracking import Receipt
from mailboxes.anatomy import Anatomy
from mailboxes.words import decode_part, decode_words
from policies.address import AddressError, parse
from policies.catalogue import rule
from policies.decision import Language, decide
from policies.receipts import INTEGRATION, State, integration_label

REPORT_BYTES = 64 * 1024  # read of one report part
GROUPS = 200
FIELDS = 50

MES = Bounces()
KO = "[KO Intégration système !]"

_SUBJECT = re.compile(
    r"\[(?:KO Int[ée]gration syst[èe]me|Erreur d.int[ée]gration)\s{0,3}!?\s{0,3}\]\s{0,3}\[([0-9]{1,4})\]",
    re.IGNORECASE,
)
_UNDONE = re.compile(r"(?:error|failure)(.*)", re.IGNORECASE | re.DOTALL)
_CODE = re.compile(r"[0-9]{1,4}")
_DISPOSITIONS = {
    "displayed": State.READ,
    "processed": State.READ,
    "dispatched": State.DELIVERED,
    "denied": State.DELIVERED,
    "deleted": State.REFUSED,
    "failed": State.REFUSED,
}
_ACTIONS = {
    "delivered": State.DELIVERED,
    "relayed": State.HANDED_OVER,
    "expanded": State.HANDED_OVER,
    "delayed": State.DELAYED,
    "failed": State.FAILED,
}

Group = dict[str, str]


def read(anatomy: Anatomy, content: bytes, patients: Bounces = MES) -> tuple[Receipt, ...]:
    """Every receipt a message holds; empty for a message that is none. ``patients``: what their mailboxes' bounces look like."""
    return bounces.read(anatomy, content, _reported(anatomy, content), patients)


def _reported(anatomy: Anatomy, content: bytes) -> tuple[Receipt, ...]:
    found: list[Receipt] = []
    for part in anatomy.parts:
        kind = part.full_type
        if kind not in ("message/disposition-notification", "message/delivery-status"):
            continue
        # From the part's own header on: some programs leave out the blank line, and the fields end up in the header.
        raw = content[part.header_start : part.body_start]
        body = decode_part(content[part.body_start : part.body_end], _encoding(part.values, raw), REPORT_BYTES)
        groups = _groups(raw + b"\r\n" + body) if kind.endswith("-notification") else _groups(body) or _groups(raw)
        found += _mdn(groups) if kind.endswith("-notification") else _dsn(groups, _original_id(anatomy, content))
    return tuple(found) or _from_subject(anatomy)


def _encoding(values: dict[bytes, list[bytes]], raw: bytes) -> bytes:
    stated = values.get(b"content-transfer-encoding")
    if stated:
        return stated[0].strip()
    for line in raw.split(b"\n"):  # the French misspelling of ANS's own example
        name, colon, value = line.partition(b":")
        if colon and name.strip().lower() == b"content-transfert-encoding":
            return value.strip()
    return b"7bit"


def _groups(raw: bytes) -> list[Group]:
    """Blocks of ``Name: value`` separated by blank lines; folded lines joined; the first of a name wins."""
    groups: list[Group] = [{}]
    last = ""
    for line in raw[:REPORT_BYTES].replace(b"\r\n", b"\n").split(b"\n"):
        text = line.decode("utf-8", "replace")
        if not text.strip():
            if groups[-1]:
                if len(groups) == GROUPS:
                    break
                groups.append({})
            last = ""
        elif text[0] in " \t" and last:
            groups[-1][last] = (groups[-1][last] + " " + text.strip())[:1000]
        else:
            last = _field(groups[-1], text)
    return [group for group in groups if group]


def _field(group: Group, text: str) -> str:
    name, colon, value = text.partition(":")
    key = name.strip().lower()
    if not colon or not key or len(key) > 60 or len(group) >= FIELDS or key in group:
        return ""
    group[key] = value.strip()[:1000]
    return key


# MDN


def _mdn(groups: list[Group]) -> list[Receipt]:
    merged: Group = {}
    for group in groups:
        for key, value in group.items():
            merged.setdefault(key, value)
    recipient = _address(merged.get("final-recipient", ""))
    original = _address(merged.get("original-recipient", ""))
    if "disposition" not in merged or not (recipient or original):
        return []
    state, code, word = _disposition(merged)
    return [
        Receipt(
            message_id=_identifier(merged.get("original-message-id", "")),
            envid="",
            recipient=original or recipient,
            also=recipient,
            state=state,
            code=code,
            disposition=word,
        )
    ]


def _disposition(group: Group) -> tuple[State, str, str]:
    """State, integration code (empty when none), and the disposition type as a plain word."""
    _mode, _, rest = group["disposition"].partition(";")
    kind, _, modifiers = (rest or group["disposition"]).strip().partition("/")
    word = kind.strip().lower()
    error = group.get("error", "")
    if undone := _UNDONE.search(modifiers):
        error = error or undone[1] or "906"
    if word not in _DISPOSITIONS:
        return State.DELIVERED, "", "other"
    if not error and "failure" not in group:
        return _DISPOSITIONS[word], "", word
    digits = _CODE.search(error)
    code = int(digits[0]) if digits else 906
    if code == 0:  # "0^Message accepté"
        return _DISPOSITIONS[word], "0", word
    return State.REFUSED, str(code), f"{word}/error"


def _from_subject(anatomy: Anatomy) -> tuple[Receipt, ...]:
    """The error mail that is no report (ANS "standard e-mail"): its subject says so, its thread says about what."""
    raw = anatomy.values.get(b"subject")
    said = _SUBJECT.search(decode_words(raw[0])[:500]) if raw else None
    authors = anatomy.from_addresses
    about = anatomy.in_reply_to or anatomy.references[-1:]
    if said is None or len(authors) != 1 or not about:
        return ()
    return (
        Receipt(
            message_id=about[0].strip("<>"),
            envid="",
            recipient=authors[0].key,
            also="",
            state=State.REFUSED,
            code=str(int(said[1])),
            disposition="processed/error",
        ),
    )


# DSN


def _dsn(groups: list[Group], original: str) -> list[Receipt]:
    if not groups:
        return []
    envid = groups[0].get("original-envelope-id", "")[:100]
    found = []
    for group in groups:
        state = _ACTIONS.get(group.get("action", "").split(" ")[0].lower())
        recipient = _address(group.get("final-recipient", ""))
        first = _address(group.get("original-recipient", "")) or recipient
        if state is None or not first:
            continue
        code = group.get("status", "").split(" ")[0][:12] if state is State.FAILED else ""
        found.append(
            Receipt(original, envid, first, recipient, state, code, f"dsn/{group['action'].split(' ')[0].lower()}")
        )
    return found


def _original_id(anatomy: Anatomy, content: bytes) -> str:
    """The Message-ID of what the report returns."""
    for part in anatomy.parts[1:]:
        if part.full_type in ("text/rfc822-headers", "message/rfc822-headers", "message/rfc822"):
            body = decode_part(content[part.body_start : part.body_end], part.encoding, REPORT_BYTES)
            found = message_id(body)
            if found:
                return found
    return ""


def _address(value: str) -> str:
    """``rfc822; user@domain`` as an address key; empty when it is not one."""
    kind, semicolon, rest = value.partition(";")
    text = (rest if semicolon else kind).strip().strip("<>")
    try:
        return parse(xtext(text)).key
    except (AddressError, UnicodeEncodeError):
        return ""


def _identifier(value: str) -> str:
    start, end = value.find("<"), value.find(">")
    inner = value[start + 1 : end] if 0 <= start < end else value.strip()
    return inner if inner.isascii() and inner.isprintable() and " " not in inner else ""


# building an MDN


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What is to be acknowledged. ``code`` 0 is success, else an integration error (MSS-116).

    ``reader`` is the address that speaks, ``to`` the one that asked; ``subject`` is the raw value of the original's
    Subject field; ``automatic`` tells whether a program or a person caused it.
    """

    reader: str
    to: str
    message_id: str
    subject: bytes = b""
    code: int = 0
    automatic: bool = True
    original_recipient: str = ""


def build_mdn(
    about: Acknowledgement, original: Original | None, house: House, now: float, token: str, language: Language = "fr"
) -> bytes:
    """The whole MDN, in the ANS form: the same subject as the original, prefixed when integration failed."""
    boundary = f"=_caducee_{token}"
    parts = [_mdn_text(about, language), _mdn_fields(about, house)]
    if original is not None:
        kind = b"message/rfc822" if original.whole else b"text/rfc822-headers"
        encoding = b"7bit" if original.content.isascii() else b"8bit"
        parts.append(
            b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + original.content
        )
    delimiter = b"--" + boundary.encode("ascii")
    body = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts)
    return _mdn_head(about, original, house, now, token, boundary) + b"\r\n" + body + delimiter + b"--\r\n"


def _mdn_head(
    about: Acknowledgement, original: Original | None, house: House, now: float, token: str, boundary: str
) -> bytes:
    fields: list[tuple[str, str]] = [
        ("Date", date(now)),
        ("From", f"<{about.reader}>"),
        ("To", f"<{about.to}>"),
        ("Message-ID", f"<{token}@{house.hostname}>"),
        ("Auto-Submitted", "auto-replied" if about.automatic else "no"),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/report; report-type=disposition-notification;\r\n\tboundary="{boundary}"'),
    ]
    if about.message_id:
        fields[4:4] = [("In-Reply-To", f"<{about.message_id}>"), ("References", f"<{about.message_id}>")]
    if original is not None and not original.content.isascii():
        fields.append(("Content-Transfer-Encoding", "8bit"))
    head = [field_line(name, value) for name, value in fields]
    head.insert(3, _mdn_subject(about))
    return b"".join(head)


def _mdn_subject(about: Acknowledgement) -> bytes:
    """The original's subject as it was, raw; a folded value is copied only when each fold is a proper one."""
    raw = about.subject.strip(b" \r\n")
    unfolded = raw.replace(b"\r\n ", b"").replace(b"\r\n\t", b"")
    if not raw or len(raw) > 900 or any(byte in unfolded for byte in b"\r\n\0"):
        raw = b"Accuse de lecture"
    if not about.code:
        return b"Subject: " + raw + b"\r\n"
    # The space is inside the encoded word: between two encoded words it would be lost (RFC 2047 6.2).
    return b"Subject: " + encoded_word(f"{KO}[{about.code}] ").encode("ascii") + b"\r\n " + raw + b"\r\n"


def _mdn_text(about: Acknowledgement, language: Language) -> bytes:
    other: Language = "en" if language == "fr" else "fr"
    sentences = [outcome_sentence(about.reader, about.code, tongue) for tongue in (language, other)]
    text = quoted_printable("\n".join([*sentences, ""]))
    return b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + text


def outcome_sentence(reader: str, code: int, language: Language) -> str:
    """What became of a document, as its sender reads it."""
    name = "notice.not_integrated" if code else "notice.read"
    label = integration_label(code, language)
    return decide(rule(name), recipient=reader, code=code, label=label).sentence(language)


def _mdn_fields(about: Acknowledgement, house: House) -> bytes:
    mode = "automatic-action/MDN-sent-automatically" if about.automatic else "manual-action/MDN-sent-manually"
    disposition = f"{mode}; processed"
    if about.code:
        label = INTEGRATION.get(about.code, INTEGRATION[906])[0]
        disposition += f"/Error: {about.code}^{_ascii(label)}"
    fields = [("Reporting-UA", f"{house.hostname}; Caducee"), ("Final-Recipient", f"rfc822; {about.reader}")]
    if about.original_recipient:
        fields.insert(1, ("Original-Recipient", f"rfc822; {about.original_recipient}"))
    if about.message_id:
        fields.append(("Original-Message-ID", f"<{about.message_id}>"))
    fields.append(("Disposition", disposition))
    text = b"".join(field_line(name, value) for name, value in fields)
    return b"Content-Type: message/disposition-notification\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" + text


def _ascii(text: str) -> str:
    """Labels travel in a field that has no encoding: accents are dropped."""
    plain = text.translate(str.maketrans("éèêàçîôùÉ’", "eeeaciouE'"))
    return "".join(character for character in plain if 32 <= ord(character) < 127)
