"""METADATA (RFC 5464): annotations of folders and of the mailbox, kept encrypted.

Names start with ``/private/`` or ``/shared/``; both belong to the mailbox here. Promise: values and their number are
bounded; what the server keeps for itself has names no client can write. ``/private/specialuse`` is the folder's special
use, the same that LIST shows (RFC 6154 4).
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from mailboxes.imap import values as v
from mailboxes.imap.folders import special_use
from mailboxes.imap.names import astring, string
from mailboxes.imap.session import BAD, LOGGED_IN, Refused, Session, command
from mailboxes.store import Folder

LONGEST_NAME = 256
SPECIAL_USE = "/private/specialuse"
_ROOTS = ("/private", "/shared")


def entry_name(raw: bytes) -> str:
    """A metadata name in lower case; BAD when it breaks RFC 5464 section 3.2."""
    name = raw.decode("utf-8", "replace").lower()
    wrong = len(name) > LONGEST_NAME or not raw.isascii() or "//" in name or name.endswith("/")
    if wrong or not name.startswith(("/private/", "/shared/")) or set("*%\0") & set(name):
        raise Refused("Metadata names begin with /private/ or /shared/", b"CLIENTBUG", BAD)
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in name):
        raise Refused("Metadata names hold no control character", b"CLIENTBUG", BAD)
    return name


def _asked_name(raw: bytes) -> str:
    """What may be read: also a root, which holds nothing but what is below it; KMail asks for that of each folder."""
    name = raw.decode("utf-8", "replace").lower()
    return name if name in _ROOTS else entry_name(raw)


async def _folder(session: Session, raw: bytes) -> Folder | None:
    """None for the mailbox itself, named by the empty string."""
    return await session.service.store.folder(session.mailbox_id, session.name(raw)) if raw else None


@command("GETMETADATA", LOGGED_IN)
def get_metadata(session: Session, asked: v.Command) -> Awaitable[None]:
    return _get(session, asked)


async def _get(session: Session, asked: v.Command) -> None:
    session.need("r")
    args: v.GetMetadata = asked.args
    names = [_asked_name(raw) for raw in args.entries]
    about = await _folder(session, args.mailbox)
    held = dict(await session.service.store.metadata(session.mailbox_id, about.id if about is not None else 0))
    if about is not None:
        held.pop(SPECIAL_USE, None)  # kept as any other before it meant something
        if about.special_use:
            held[SPECIAL_USE] = about.special_use.encode("ascii")
    found: list[bytes] = []
    longest = 0
    for name in _chosen(held, names, args.depth):
        value = held.get(name)
        if value is not None and 0 <= args.maxsize < len(value):
            longest = max(longest, len(value))
            continue
        said = _value(value) if value is not None else b"NIL"
        found.append(b"%b %b" % (astring(name.encode("ascii")), said))
    if found:
        folder = session.spelled(session.name(args.mailbox)) if args.mailbox else b'""'
        session.put(b"* METADATA %b (%b)\r\n" % (folder, b" ".join(found)))
    session.done(asked, f"[METADATA LONGENTRIES {longest}] Some were too long" if longest else "Metadata")


def _value(value: bytes) -> bytes:
    return b"~{%d}\r\n%b" % (len(value), value) if b"\0" in value else string(value)


def _chosen(held: Mapping[str, bytes], names: list[str], depth: int) -> list[str]:
    """The names asked, and with DEPTH those below them that hold something."""
    chosen: dict[str, None] = {}
    for name in names:
        if not depth or name in held:
            chosen[name] = None
        if depth:
            below = [one for one in held if one.startswith(name + "/")]
            deep = [one for one in below if depth > 1 or one.count("/") == name.count("/") + 1]
            chosen.update(dict.fromkeys(sorted(deep)))
    return list(chosen)


@command("SETMETADATA", LOGGED_IN)
def set_metadata(session: Session, asked: v.Command) -> Awaitable[None]:
    return _set(session, asked)


async def _set(session: Session, asked: v.Command) -> None:
    session.need("w")
    args: v.SetMetadata = asked.args
    limits = session.service.limits
    entries = {entry_name(raw): value for raw, value in args.entries}
    if any(value is not None and len(value) > limits.metadata_value for value in entries.values()):
        raise Refused("The value is too long", b"METADATA MAXSIZE %d" % limits.metadata_value)
    about = await _folder(session, args.mailbox)
    use = None
    if about is not None and SPECIAL_USE in entries:
        use = await _use(session, about, entries.pop(SPECIAL_USE))
    folder_id = about.id if about is not None else 0
    held = await session.service.store.metadata(session.mailbox_id, folder_id)
    kept = {name for name in held if name not in entries} | {name for name in entries if entries[name] is not None}
    if len(kept) > limits.metadata_entries:
        raise Refused("Too many annotations", b"METADATA TOOMANY")
    await session.note("SETMETADATA", about.reference if about is not None else "")
    await session.service.store.set_metadata(session.mailbox_id, folder_id, entries, use)
    session.done(asked, "Kept")


async def _use(session: Session, about: Folder, value: bytes | None) -> str:
    """The special use a client gives a folder, by the rules of CREATE."""
    folders = await session.service.store.folders(session.mailbox_id)
    return special_use((value or b"").split(), [folder for folder in folders if folder.id != about.id])
