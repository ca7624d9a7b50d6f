"""Folders: CREATE, DELETE, RENAME, SUBSCRIBE, LIST, LSUB, STATUS, NAMESPACE (RFC 9051 6.3, 5258, 5819, 6154, 8438).

Promise: superior names are created with their inferior; INBOX cannot be deleted; other sessions on a deleted folder are
told at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence

from mailboxes.imap import values as v
from mailboxes.imap.fetch import need_condstore
from mailboxes.imap.lists import (
    LONGEST_PATTERN,
    MOST_PATTERNS,
    Line,
    Pattern,
    Tree,
    listed,
    subscriptions_listed,
)
from mailboxes.imap.names import SEPARATOR, BadName, acceptable, decode
from mailboxes.imap.recent import recent
from mailboxes.imap.session import LOGGED_IN, Refused, Session, command
from mailboxes.store import Folder, FolderExists, NoSuchFolder
from policies.events import Event, Kind

SPECIAL_USES = {use.lower(): use for use in ("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash")}
SAID_AT_ONCE = 200  # lines of LIST before others have their turn: with STATUS some 4 ms
LISTED_HERE = 1000  # names times patterns matched on the event loop; more in a thread
__all__ = ["SPECIAL_USES", "special_use", "status_line"]


def _journal(session: Session, name: str, folder: Folder | None = None) -> tuple[Event, ...]:
    """Folders made or erased in a shared mailbox leave a trace (MSS-062); the store tells which one it made."""
    assert session.login is not None
    if session.standing is None or not session.standing.journalled:
        return ()
    kind = Kind.ERASED if name == "DELETE" else Kind.CHANGED
    detail = {"command": name, "folder": folder.reference if folder else "", "count": 0, "ip": session.ip}
    return (Event(kind, actor=session.login.account, mailbox=session.login.mailbox_id, detail=detail),)


# --------------------------------------------------------------------------- CREATE, DELETE, RENAME


@command("CREATE", LOGGED_IN)
def create(session: Session, asked: v.Command) -> Awaitable[None]:
    return _create(session, asked)


async def _create(session: Session, asked: v.Command) -> None:
    session.need("k")
    args: v.Create = asked.args
    name = acceptable(session.name(args.mailbox))
    store, mailbox_id = session.service.store, session.mailbox_id
    folders = {folder.name: folder for folder in await store.folders(mailbox_id)}
    if name in folders:
        raise FolderExists
    if len(folders) >= session.service.limits.folders:
        raise Refused("The mailbox has too many folders", b"LIMIT")
    use = special_use(args.special_use, folders.values())
    await _superiors(session, name, set(folders))
    made = await store.create_folder(mailbox_id, name, use, _journal(session, "CREATE"))
    called = args.mailbox.removesuffix(SEPARATOR.encode())
    if session.rev2 and called != name.encode("utf-8"):
        session.named(name, called, use)
    session.done(asked, f"[MAILBOXID ({made.object_id})] Created")


def special_use(wanted: Sequence[bytes], folders: Iterable[Folder]) -> str:
    """One use of RFC 6154, held by no other folder."""
    if not wanted:
        return ""
    use = SPECIAL_USES.get(wanted[0].decode("ascii", "replace").lower())
    if use is None or len(wanted) > 1:
        raise Refused("That special use is not kept here", b"USEATTR")
    if any(folder.special_use == use for folder in folders):
        raise Refused("Another folder has that special use", b"USEATTR")
    return use


async def _superiors(session: Session, name: str, known: set[str]) -> None:
    levels = name.split(SEPARATOR)[:-1]
    for depth in range(1, len(levels) + 1):
        superior = SEPARATOR.join(levels[:depth])
        if superior not in known:
            try:
                trace = _journal(session, "CREATE")
                await session.service.store.create_folder(session.mailbox_id, superior, trace=trace)
            except FolderExists:
                continue


@command("DELETE", LOGGED_IN)
def delete(session: Session, asked: v.Command) -> Awaitable[None]:
    return _delete(session, asked)


async def _delete(session: Session, asked: v.Command) -> None:
    session.need("x")
    name = session.name(asked.args.mailbox).removesuffix(SEPARATOR)
    if name == "INBOX":
        raise Refused("INBOX cannot be deleted", b"CANNOT")
    store, mailbox_id = session.service.store, session.mailbox_id
    folder = await store.folder(mailbox_id, name)
    if session.selected is not None and session.selected.folder.id == folder.id:
        session.unselect()
        session.put(b"* OK [CLOSED] The folder is being deleted\r\n")
    await store.delete_folder(mailbox_id, folder.id, _journal(session, "DELETE", folder))
    session.service.indexes.erased(mailbox_id, folder.id)
    session.done(asked, "Deleted")


@command("RENAME", LOGGED_IN)
def rename(session: Session, asked: v.Command) -> Awaitable[None]:
    return _rename(session, asked)


async def _rename(session: Session, asked: v.Command) -> None:
    session.need("kx")
    args: v.Rename = asked.args
    store, mailbox_id = session.service.store, session.mailbox_id
    old = session.name(args.old).removesuffix(SEPARATOR)
    new = acceptable(session.name(args.new))
    folders = {folder.name: folder for folder in await store.folders(mailbox_id)}
    if old not in folders:
        raise NoSuchFolder
    if new in folders:
        raise FolderExists
    if new.startswith(old + SEPARATOR) and old != "INBOX":
        raise Refused("A folder cannot become its own inferior", b"CANNOT")
    await _superiors(session, new, set(folders))
    await store.rename_folder(mailbox_id, folders[old].id, new, _journal(session, "RENAME", folders[old]))
    if old == "INBOX":
        await session.service.indexes.committed(mailbox_id, folders[old].id)
    elif session.rev2:
        session.named(new, old.encode("utf-8"), folders[old].special_use)
    session.done(asked, "Renamed")


@command("SUBSCRIBE", LOGGED_IN)
def subscribe(session: Session, asked: v.Command) -> Awaitable[None]:
    return _subscribe(session, asked, subscribed=True)


@command("UNSUBSCRIBE", LOGGED_IN)
def unsubscribe(session: Session, asked: v.Command) -> Awaitable[None]:
    return _subscribe(session, asked, subscribed=False)


async def _subscribe(session: Session, asked: v.Command, subscribed: bool) -> None:
    session.need("l")
    name = session.name(asked.args.mailbox).removesuffix(SEPARATOR)
    if subscribed:
        acceptable(name)
        limit = session.service.limits.folders * 2
        if len(await session.service.store.subscriptions(session.mailbox_id)) >= limit:
            raise Refused("Too many subscriptions", b"LIMIT")
    await session.note("SUBSCRIBE" if subscribed else "UNSUBSCRIBE")
    await session.service.store.subscribe(session.mailbox_id, name, subscribed)
    session.done(asked, "Done")


# --------------------------------------------------------------------------- LIST


@command("LIST", LOGGED_IN)
def list_(session: Session, asked: v.Command) -> Awaitable[None] | None:
    args: v.List = asked.args
    if not args.extended and args.patterns == (b"",):
        session.put(b'* LIST (\\Noselect) "/" ""\r\n')
        session.done(asked, "Listed")
        return None
    return _list(session, asked)


async def _tree(session: Session, *, subscribed: bool) -> tuple[Tree, dict[str, Folder]]:
    store = session.service.store
    folders = {folder.name: folder for folder in await store.folders(session.mailbox_id)}
    names = frozenset(await store.subscriptions(session.mailbox_id) if subscribed else ())
    return Tree({name: folder.special_use for name, folder in folders.items()}, names), folders


def _patterns(session: Session, args: v.List) -> list[Pattern]:
    """Reference and pattern joined; what cannot be a name matches nothing."""
    if len(args.patterns) > MOST_PATTERNS or any(len(one) > LONGEST_PATTERN for one in args.patterns):
        raise Refused("The pattern is too long", b"LIMIT")
    found: list[Pattern] = []
    for one in args.patterns:
        try:
            found.append(Pattern(decode(args.reference + one, session.utf8)))
        except BadName:
            continue
    return found


async def _list(session: Session, asked: v.Command) -> None:
    session.need("l")
    args: v.List = asked.args
    tree, folders = await _tree(session, subscribed="SUBSCRIBED" in args.select | args.returns)
    if "REMOTE" in args.select and not tree.folders:
        session.done(asked, "Listed")
        return
    patterns = _patterns(session, args)
    asked_of = (tree, patterns, args.select, args.returns)
    many = len(tree.folders) * len(patterns) > LISTED_HERE
    lines = await asyncio.to_thread(listed, *asked_of) if many else listed(*asked_of)
    recents = await _recents(session, [folders[line.name] for line in lines if line.exists], args.status)
    for count, line in enumerate(lines, 1):
        if not count % SAID_AT_ONCE:
            await session.out.drain()
        session.put(_list_line(session, b"LIST", line, plain=not args.extended and not session.rev2))
        if line.exists and args.status:
            session.put(await status_line(session, folders[line.name], args.status, recents))
        if line.exists and "MYRIGHTS" in args.returns:
            assert session.standing is not None
            rights = session.standing.rights.encode("ascii")
            session.put(b"* MYRIGHTS %b %b\r\n" % (session.spelled(line.name), rights))
    session.done(asked, "Listed")


def _list_line(session: Session, word: bytes, line: Line, plain: bool) -> bytes:
    attributes = " ".join(line.attributes)
    if plain:  # programs of before RFC 5258 know only \Noselect
        attributes = attributes.replace("\\NonExistent", "\\Noselect")
    said = b'* %b (%b) "/" %b' % (word, attributes.encode("ascii"), session.spelled(line.name))
    if line.child_info:
        words = " ".join(f'"{one}"' for one in line.child_info)
        said += b' ("CHILDINFO" (%b))' % words.encode("ascii")
    return said + b"\r\n"


@command("LSUB", LOGGED_IN)
def lsub(session: Session, asked: v.Command) -> Awaitable[None]:
    return _lsub(session, asked)


async def _lsub(session: Session, asked: v.Command) -> None:
    session.need("l")
    tree, _ = await _tree(session, subscribed=True)
    for pattern in _patterns(session, asked.args):
        many = len(tree.subscribed) > LISTED_HERE
        lines = (
            await asyncio.to_thread(subscriptions_listed, tree, pattern)
            if many
            else subscriptions_listed(tree, pattern)
        )
        for count, line in enumerate(lines, 1):
            if not count % SAID_AT_ONCE:
                await session.out.drain()
            session.put(_list_line(session, b"LSUB", line, plain=True))
    session.done(asked, "Listed")


@command("NAMESPACE", LOGGED_IN)
def namespace(session: Session, asked: v.Command) -> None:
    session.put(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
    session.done(asked, "Namespaces")


# --------------------------------------------------------------------------- STATUS


@command("STATUS", LOGGED_IN)
def status(session: Session, asked: v.Command) -> Awaitable[None]:
    return _status(session, asked)


async def _status(session: Session, asked: v.Command) -> None:
    session.need("r")
    args: v.Status = asked.args
    folder = await session.service.store.folder(session.mailbox_id, session.name(args.mailbox))
    if "HIGHESTMODSEQ" in args.items:
        need_condstore(session)
    recents = await _recents(session, [folder], args.items)
    session.put(await status_line(session, folder, args.items, recents))
    session.done(asked, "Status", expunge=True)


_COUNTED = frozenset(("RECENT", "DELETED", "DELETED-STORAGE"))


async def _recents(session: Session, folders: Sequence[Folder], items: Sequence[str]) -> dict[int, int]:
    """What RECENT is of folders that are not in memory: Thunderbird asks it of every folder, and the messages of them all
    are not read for that."""
    if _COUNTED.intersection(items) != {"RECENT"}:
        return {}
    mailbox_id, service = session.mailbox_id, session.service
    away = [folder for folder in folders if not service.indexes.holds(mailbox_id, folder.id)]
    return dict.fromkeys([folder.id for folder in away], 0) | await recent(service.store, mailbox_id, away)


async def status_line(
    session: Session, folder: Folder, items: Sequence[str], recents: Mapping[int, int] | None = None
) -> bytes:
    """``* STATUS name (...)``; what the folder row and ``recents`` do not count is counted in its index."""
    counted: dict[str, int] = {}
    if recents is not None and folder.id in recents:
        counted = {"RECENT": recents[folder.id]}
    elif _COUNTED.intersection(items):
        counted = await _counted(session, folder)
    numbers = {
        "MESSAGES": folder.messages,
        "UIDNEXT": folder.uidnext,
        "UIDVALIDITY": folder.uidvalidity,
        "UNSEEN": folder.unseen,
        "HIGHESTMODSEQ": max(folder.highestmodseq, 1),
        "SIZE": folder.bytes,
        "APPENDLIMIT": session.service.limits.message,
        **counted,
    }
    said = [f"MAILBOXID ({folder.object_id})" if item == "MAILBOXID" else f"{item} {numbers[item]}" for item in items]
    return b"* STATUS %b (%b)\r\n" % (session.spelled(folder.name), " ".join(said).encode("ascii"))


async def _counted(session: Session, folder: Folder) -> dict[str, int]:
    indexes = session.service.indexes
    index = await indexes.open(session.mailbox_id, folder.id)
    try:
        await index.recents.look()
        await index.whole()
        doomed = [entry for entry in index.snapshot.entries if "\\Deleted" in entry[2]]
        return {
            "RECENT": index.recents.count(index.snapshot.uids),
            "DELETED": len(doomed),
            "DELETED-STORAGE": sum(entry[3] for entry in doomed),
        }
    finally:
        indexes.release(index)
