"""Messages that enter by IMAP: APPEND, MULTIAPPEND, CATENATE, REPLACE (RFC 9051 6.3.12, 3502, 4469, 8508, 3516, 6855).

Promise: what enters passes the content policies first; all messages of a command are stored or none; the bytes are stored
as received, except that a literal8 with NUL has its binary parts re-coded (RFC 3516 4.3 asks that BODY never holds one).
"""

from __future__ import annotations

import asyncio
import hashlib
from binascii import b2a_base64
from collections.abc import Awaitable, Sequence

from mailboxes.anatomy import Anatomy, dissect, pack
from mailboxes.imap import values as v
from mailboxes.imap.announce import allowed_flags, announce
from mailboxes.imap.changing import absent, canonical_flags, destination
from mailboxes.imap.content import field_value
from mailboxes.imap.sections import cut, header_fields, section_span
from mailboxes.imap.session import BAD, LOGGED_IN, SELECTED, Refused, Session, command
from mailboxes.imap.sets import compact
from mailboxes.imap.urls import BadUrl, Named, parse_url
from mailboxes.store import Entry, Folder, MissingBody, NewMessage, NoSuchFolder
from policies.events import Kind

OFF_LOOP = 128 * 1024  # larger messages are walked in a thread


@command("APPEND", LOGGED_IN)
def append(session: Session, asked: v.Command) -> Awaitable[None]:
    return _append(session, asked)


async def _append(session: Session, asked: v.Command) -> None:
    args: v.Append = asked.args
    session.need("i")
    name = session.name(args.mailbox)
    if not _brief(args.messages):
        await destination(session, args.mailbox)  # before anything is done for a message that has nowhere to go
    messages = [await _made(session, message) for message in args.messages]
    trace = session.trace(Kind.CHANGED, "APPEND", "", [], len(messages))
    try:
        added = await session.service.store.append_to(session.mailbox_id, name, messages, trace)
    except NoSuchFolder:
        raise absent() from None
    await session.service.indexes.added(session.mailbox_id, added)
    uids = compact([entry.uid for entry in added.entries]).decode("ascii")
    session.done(asked, f"[APPENDUID {added.uidvalidity} {uids}] Appended")


def _brief(messages: Sequence[v.Message]) -> bool:
    """Whether making the messages ready is a matter of microseconds."""
    parts = [part for message in messages for part in message.parts]
    return all(part.text is not None for part in parts) and sum(len(part.text or b"") for part in parts) <= OFF_LOOP


async def _made(session: Session, message: v.Message) -> NewMessage:
    """A message checked, judged and walked over, ready to be stored."""
    content = await _content(session, message)
    if not content:
        raise Refused("An empty message is not kept", b"CLIENTBUG")
    if len(content) > session.service.limits.message:
        raise Refused("The message is too large", b"TOOBIG")
    if message.utf8 and not session.utf8:
        raise Refused("Enable UTF8=ACCEPT first", b"CLIENTBUG", BAD)
    if b"\0" in content:
        if not message.binary:
            raise Refused("A message holds no NUL outside a literal8", b"CLIENTBUG")
        content = recoded(content)
    anatomy = await walked(content)
    assert session.login is not None
    decision = await session.service.gate.judge(session.login, content, anatomy)
    if not decision.accepted:
        raise Refused(f"{decision.rule.name}: {decision.sentence('en')}", _refusal_code(decision.code))
    flags = allowed_flags(session, canonical_flags(message.flags, {}))
    date, zone = message.date if message.date is not None else (int(session.service.clock()), None)
    return NewMessage(content, pack(anatomy), " ".join(flags), date, thread_number(anatomy), zone)


def _refusal_code(code: int) -> bytes:
    """RFC 5530's word for what a policy answers in SMTP's codes."""
    if code < 500:
        return b"UNAVAILABLE"
    return b"LIMIT" if code == 552 else b"CANNOT"


async def walked(content: bytes) -> Anatomy:
    """One walk over the message; large ones in a thread."""
    if len(content) > OFF_LOOP:
        return await asyncio.to_thread(dissect, content)
    return dissect(content)


def thread_number(anatomy: Anatomy) -> int:
    """RFC 8474 THREADID: messages whose references lead to one first message share it. 0 when there is nothing."""
    first = next(iter((*anatomy.references, *anatomy.in_reply_to[:1], anatomy.message_id)), "")
    if not first:
        return 0
    return int.from_bytes(hashlib.sha256(first.encode()).digest()[:7], "big")


# --------------------------------------------------------------------------- CATENATE


async def _content(session: Session, message: v.Message) -> bytes:
    if len(message.parts) == 1 and message.parts[0].text is not None:
        return message.parts[0].text
    pieces: list[bytes] = []
    size = 0
    for part in message.parts:
        piece = part.text if part.text is not None else await _named(session, part.url)
        pieces.append(piece)
        size += len(piece)
        if size > session.service.limits.message:
            raise Refused("The message is too large", b"TOOBIG")
    return b"".join(pieces)


async def _named(session: Session, url: bytes) -> bytes:
    """What a URL names, or ``NO [BADURL]``."""
    session.need("r")
    try:
        named = parse_url(url)
        entry = await _entry(session, named)
    except (BadUrl, NoSuchFolder):
        raise _bad_url(url) from None
    try:
        data = await _section(session, named, entry)
    except MissingBody:
        if await _gone(session, named):
            raise _bad_url(url) from None
        raise
    if data is None:
        raise _bad_url(url)
    read = session.trace(Kind.READ, "CATENATE", "", [entry.uid])
    if read:
        await session.service.store.record(read)
    return cut(data, named.partial)


async def _section(session: Session, named: Named, entry: Entry) -> bytes | None:
    """The part of a message that a URL names; None when it has no such part."""
    service, mailbox_id = session.service, session.mailbox_id
    summary = (await service.cache.summaries(mailbox_id, [entry]))[0]
    span = section_span(summary, named.section)
    if span is None:
        return None
    reader = await service.store.open_body(mailbox_id, entry)
    data = await reader.read(span[0], span[1] - span[0]) if span[1] > span[0] else b""
    return header_fields(data, named.section) if named.section.fields else data


async def _gone(session: Session, named: Named) -> bool:
    """Whether the message was erased while it was being read."""
    try:
        await _entry(session, named)
    except (BadUrl, NoSuchFolder):
        return True
    return False


def _bad_url(url: bytes) -> Refused:
    """RFC 4469: the URL is repeated, as far as it can stand in a response code."""
    shown = bytes(byte if 0x20 < byte < 0x7F and byte not in b'"\\]' else 0x3F for byte in url[:200])
    return Refused("The URL names nothing here", b'BADURL "%b"' % shown)


async def _entry(session: Session, named: Named) -> Entry:
    if named.mailbox:
        # Percent-encoded UTF-8 in a URL, whatever the session speaks.
        folder = await session.service.store.folder(session.mailbox_id, _url_name(session, named.mailbox))
    elif session.selected is not None:
        folder = session.selected.folder
    else:
        raise BadUrl("no folder is selected")
    if named.uidvalidity and named.uidvalidity != folder.uidvalidity:
        raise BadUrl("the folder has changed")
    index = await session.service.indexes.open(session.mailbox_id, folder.id)
    try:
        entry = index.snapshot.find(named.uid)
    finally:
        session.service.indexes.release(index)
    if entry is None:
        raise BadUrl("no such message")
    return entry


def _url_name(session: Session, raw: bytes) -> str:
    try:
        return session.name(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")


# --------------------------------------------------------------------------- binary


def recoded(content: bytes) -> bytes:
    """The message with each ``binary`` leaf that holds a NUL re-coded as base64."""
    anatomy = dissect(content)
    parents = {part.parent for part in anatomy.parts if part.index}
    edits: list[tuple[int, int, bytes]] = []
    for part in anatomy.parts:
        body = content[part.body_start : part.body_end]
        if part.index in parents or b"\0" not in body:
            continue
        header = content[part.header_start : part.body_start]
        if field_value(header, b"content-transfer-encoding").lower() != b"binary":
            raise Refused("A part with NUL must declare Content-Transfer-Encoding: binary", b"UNKNOWN-CTE")
        edits.append((part.header_start, part.body_start, _declare_base64(header)))
        edits.append((part.body_start, part.body_end, _lines(body)))
    return _edited(content, edits)


def _declare_base64(header: bytes) -> bytes:
    lower = header.lower()
    at = lower.index(b"content-transfer-encoding")
    value = lower.index(b"binary", at)
    return header[:value] + b"base64" + header[value + 6 :]


def _lines(body: bytes) -> bytes:
    return b"\r\n".join([b2a_base64(body[at : at + 57], newline=False) for at in range(0, len(body), 57)])


def _edited(content: bytes, edits: Sequence[tuple[int, int, bytes]]) -> bytes:
    pieces: list[bytes] = []
    at = 0
    for start, end, new in edits:
        pieces += [content[at:start], new]
        at = end
    return b"".join([*pieces, content[at:]])


# --------------------------------------------------------------------------- REPLACE


@command("REPLACE", SELECTED)
def replace(session: Session, asked: v.Command) -> Awaitable[None]:
    return _replace(session, asked, by_uid=False)


@command("UID REPLACE", SELECTED)
def uid_replace(session: Session, asked: v.Command) -> Awaitable[None]:
    return _replace(session, asked, by_uid=True)


async def _replace(session: Session, asked: v.Command, by_uid: bool) -> None:
    """RFC 8508: the new message appears and the old one goes, together."""
    selected = session.writable()
    session.need("ite")
    args: v.Replace = asked.args
    if session.uidonly and not by_uid:
        raise Refused("Sequence numbers are not used once UIDONLY is enabled", b"UIDREQUIRED", BAD)
    uid = _replaced(session, args.number, by_uid)
    target: Folder = await destination(session, args.mailbox)
    message = await _made(session, args.message)
    trace = session.trace(Kind.CHANGED, asked.name, selected.folder.reference, [uid])
    uidvalidity, appended = await session.service.store.replace(
        session.mailbox_id, selected.folder.id, uid, target.id, message, trace
    )
    await selected.index.refresh()
    if target.id != selected.folder.id:
        await session.service.indexes.committed(session.mailbox_id, target.id)
    session.put(b"* OK [APPENDUID %d %d] Replacement\r\n" % (uidvalidity, appended.uid))
    await session.catch_up(expunge=True)
    announce(session, may_expunge=True)
    session.done(asked, "Replaced")


def _replaced(session: Session, number: int, by_uid: bool) -> int:
    snapshot = session.chosen().snapshot
    if number == v.STAR:
        if not snapshot.uids:
            raise Refused("The folder is empty", b"CLIENTBUG", BAD)
        return snapshot.uids[-1]
    if by_uid:
        if snapshot.place(number) < 0:
            raise Refused("No message has that UID", b"NONEXISTENT")
        return number
    if number > len(snapshot.uids):
        raise Refused("No message has that number", b"CLIENTBUG", BAD)
    return snapshot.uids[number - 1]
