"""The answer a practice system owes the sender of a document: filed, or refused with a code of ANS's volet (MSS-116, MSS-117).

When the message asked for a receipt, the answer is an MDN with the outcome and the documents it speaks of attached again as they
came; otherwise a plain message with the same subject rule. Only application mailboxes (APP) answer for a system.
Promise: one answer per message, marked on it by an IMAP keyword; the answer is durable before its identifier is given; the
documents are copied octet for octet. Failure: :class:`NotFound`, :class:`NotAnApplication`, :class:`NobodyToTell` with a reason,
``KeyError`` for a code that does not exist; what the intake refuses raises :class:`gateway.relay.parcel.Undeliverable`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.facts import is_notice
from gateway.intake import Intake
from gateway.notice_entry import NoticeEntry
from gateway.received import date
from gateway.record import journal
from gateway.relay.letters import raw_subject
from gateway.relay.notices import House, Original, encoded_word, field_line, message_id, quoted_printable, returned
from gateway.relay.receipts import KO, Acknowledgement, build_mdn, outcome_sentence
from mailboxes.anatomy import Anatomy, dissect
from mailboxes.mime import Part
from mailboxes.sqlstore import SqlStore
from mailboxes.store import Entry, FlagChange, Folder
from mailboxes.summary import unpack
from policies.address import AddressError, parse
from policies.events import Event, Kind
from policies.receipts import INTEGRATION, ReceiptFacts, may_acknowledge
from policies.values import Address, BalType, MailboxFacts

FILED, NOT_FILED = "$Integrated", "$IntegrationRefused"
CODES = ("0", *(str(code) for code in INTEGRATION if code >= 900))
"""What a practice system may answer: ANS's own codes, not those of HL7."""
_LOOKED_AT = 20_000


class NotFound(LookupError):
    """The mailbox does not hold this message."""


class NotAnApplication(ValueError):
    """The mailbox is not of type APP."""


class NobodyToTell(ValueError):
    """Nobody may be answered: ``word`` is ``automatic``, ``no_sender``, ``answered`` or ``confirm``."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


@dataclass(frozen=True, slots=True)
class Place:
    """Where the message is."""

    folder: Folder
    entry: Entry


@dataclass(frozen=True, slots=True)
class Integration:
    """Answers for the mailboxes of one operator."""

    store: SqlStore
    intake: Intake
    house: House

    async def answer(
        self,
        box: MailboxFacts,
        which: str,
        code: str,
        token: str,
        now: float,
        *,
        details: str = "",
        confirmed: bool = False,
    ) -> str:
        """Answer about ``which`` (UID in INBOX, our identifier, or Message-ID); our identifier of the answer.

        ``code`` is ``0`` or 900 to 906; ``confirmed`` says that a person looked at the address a receipt goes to when it is not
        the sender's own.
        """
        if code not in CODES:
            raise KeyError(code)
        if box.type is not BalType.APP:
            raise NotAnApplication(str(box.address))
        place = await self.find(box.id, which)
        if {FILED, NOT_FILED} & set(place.entry.flags.split()):
            raise NobodyToTell("answered")
        (content,) = await self.store.bodies(box.id, [place.entry])
        anatomy = dissect(content)
        to, receipt = _whom(anatomy, confirmed=confirmed)
        answer = _answer(box.address, to, code, anatomy, content, receipt=receipt, details=details)
        entry = NoticeEntry()
        entry.intake = self.intake
        identifier = await entry.notice(None, to, answer.build(self.house, now, token))
        await self._mark(box, place, code, identifier, anatomy)
        return identifier

    async def find(self, mailbox: int, which: str) -> Place:
        """Where a message of this mailbox is. Raises :class:`NotFound`."""
        if which.isascii() and which.isdigit():
            return await self._by_uid(mailbox, "INBOX", int(which))
        folder, uid = await self.store.reading.run(
            lambda connection: _delivered(journal.read(connection, message=which), mailbox)
        )
        if uid:
            return await self._by_uid(mailbox, folder, uid)
        return await self._by_message_id(mailbox, which.strip("<>"))

    async def _by_uid(self, mailbox: int, name: str, uid: int) -> Place:
        folder = await self.store.folder(mailbox, name)
        snapshot = await self.store.snapshot(mailbox, folder.id)
        for entry in snapshot.entries:
            if entry.uid == uid:
                return Place(folder, entry)
        raise NotFound(str(uid))

    async def _by_message_id(self, mailbox: int, wanted: str) -> Place:
        for folder in await self.store.folders(mailbox):
            snapshot = await self.store.snapshot(mailbox, folder.id)
            newest = snapshot.entries[: -_LOOKED_AT - 1 : -1]
            for entry, packed in zip(newest, await self.store.summaries(mailbox, newest), strict=True):
                if wanted and unpack(packed).message_id.strip("<>") == wanted:
                    return Place(folder, entry)
        raise NotFound(wanted)

    async def _mark(self, box: MailboxFacts, place: Place, code: str, identifier: str, anatomy: Anatomy) -> None:
        change = FlagChange("add", frozenset({FILED if code == "0" else NOT_FILED, "$MDNSent"}))
        about = anatomy.message_id.strip("<>")[:250]
        detail = {"notice": identifier, "about": about, "status": f"integration:{code}"}
        trace = [Event(Kind.NOTICE, mailbox=box.id, recipient=box.address.key, detail=detail)]
        await self.store.store_flags(box.id, place.folder.id, [place.entry.uid], change, trace)


def _delivered(records: Iterable[journal.Record], mailbox: int) -> tuple[str, int]:
    for record in records:
        if record.kind == Kind.DELIVERED.word and record.mailbox == mailbox:
            return str(record.detail["folder"]), int(record.detail["uid"])
    return "", 0


def _whom(anatomy: Anatomy, *, confirmed: bool) -> tuple[str, bool]:
    """Who is answered, and whether by an MDN. Raises :class:`NobodyToTell`."""
    if is_notice(anatomy):
        raise NobodyToTell("automatic")
    sender = _return_path(anatomy)
    if sender is None:
        raise NobodyToTell("no_sender")
    asked = anatomy.listed(b"disposition-notification-to").addresses
    facts = ReceiptFacts(tuple(dict.fromkeys(one.key for one in asked)), sender.key, automatic=False)
    verdict = may_acknowledge(facts).rule.name
    if verdict == "notice.receipt_ask":
        if not confirmed:
            raise NobodyToTell("confirm")
        return str(asked[0]), True
    return str(sender), verdict == "notice.receipt_due"


def _return_path(anatomy: Anatomy) -> Address | None:
    """The line our own delivery wrote; never the From, which anybody may write."""
    written = anatomy.values.get(b"return-path", [b""])[0].strip().strip(b"<>")
    try:
        return parse(written) if written else None
    except AddressError:
        return None


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is to be said, and the parts that go back with it."""

    reader: Address
    to: str
    code: str
    subject: bytes
    message_id: str
    receipt: bool
    original: Original
    files: tuple[bytes, ...]
    details: str

    def build(self, house: House, now: float, token: str) -> bytes:
        return self._mdn(house, now, token) if self.receipt else self._letter(house, now, token)

    def _mdn(self, house: House, now: float, token: str) -> bytes:
        about = Acknowledgement(str(self.reader), self.to, self.message_id, self.subject, int(self.code))
        content = build_mdn(about, self.original, house, now, token)
        delimiter = f"--=_caducee_{token}".encode("ascii")
        closing = delimiter + b"--\r\n"
        added = b"".join(delimiter + b"\r\n" + one + b"\r\n" for one in self.files)
        return content.removesuffix(closing) + added + closing

    def _letter(self, house: House, now: float, token: str) -> bytes:
        """The "standard e-mail" for senders that asked for no receipt."""
        boundary = f"=_caducee_{token}"
        fields = [
            ("Date", date(now)),
            ("From", f"<{self.reader}>"),
            ("To", f"<{self.to}>"),
            ("Message-ID", f"<{token}@{house.hostname}>"),
            ("Auto-Submitted", "auto-replied"),
            ("MIME-Version", "1.0"),
            ("Content-Type", f'multipart/mixed;\r\n\tboundary="{boundary}"'),
        ]
        if self.message_id:
            fields[4:4] = [("In-Reply-To", f"<{self.message_id}>"), ("References", f"<{self.message_id}>")]
        head = b"".join(field_line(name, value) for name, value in fields) + self._subject()
        reader, code = str(self.reader), int(self.code)
        said = (outcome_sentence(reader, code, "fr"), outcome_sentence(reader, code, "en"), self.details[:500])
        text = quoted_printable("\n".join([*filter(None, said), ""]))
        kind = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        delimiter = f"--{boundary}".encode("ascii")
        body = b"".join(delimiter + b"\r\n" + one + b"\r\n" for one in (kind + text, *self.files))
        return head + b"\r\n" + body + delimiter + b"--\r\n"

    def _subject(self) -> bytes:
        raw = self.subject or b"Document"
        if self.code == "0":
            return b"Subject: " + raw + b"\r\n"
        return b"Subject: " + encoded_word(f"{KO}[{self.code}] ").encode("ascii") + b"\r\n " + raw + b"\r\n"


def _answer(
    reader: Address, to: str, code: str, anatomy: Anatomy, content: bytes, *, receipt: bool, details: str
) -> _Answer:
    original = returned(content, len(content), "HDRS")
    return _Answer(
        reader=reader,
        to=to,
        code=code,
        subject=raw_subject(original.content),
        message_id=message_id(original.content),
        receipt=receipt,
        original=original,
        files=tuple(content[part.header_start : part.body_end] for part in _files(anatomy)),
        details=details,
    )


def _files(anatomy: Anatomy) -> Iterable[Part]:
    """The attached parts of the message itself, with their own headers."""
    for part in anatomy.parts[1:]:
        if part.children or part.kind == b"multipart" or part.parent != 0:
            continue
        if part.disposition is not None and part.disposition.main.lower() == b"attachment":
            yield part
