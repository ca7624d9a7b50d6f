"""Rights and quotas as commands: ACL (RFC 4314, 8440) and QUOTA (RFC 9208).

Who may do what in a shared mailbox is decided by its owner with the administrator, never by IMAP: rights can be read,
changing them is refused. Members see the list of rights only when they administer (``a``).
"""

from __future__ import annotations

from collections.abc import Awaitable

from mailboxes.imap import values as v
from mailboxes.imap.names import astring
from mailboxes.imap.ports import ALL_RIGHTS
from mailboxes.imap.session import BAD, LOGGED_IN, Refused, Session, command

ROOT = b'""'
_LETTERS = frozenset(ALL_RIGHTS + "cd")


async def _existing(session: Session, raw: bytes) -> bytes:
    """The folder's name as said, once it is known to exist."""
    folder = await session.service.store.folder(session.mailbox_id, session.name(raw))
    return session.spelled(folder.name)


def _rights(session: Session) -> bytes:
    assert session.standing is not None
    return session.standing.rights.encode("ascii")


@command("MYRIGHTS", LOGGED_IN)
def my_rights(session: Session, asked: v.Command) -> Awaitable[None]:
    return _my_rights(session, asked)


async def _my_rights(session: Session, asked: v.Command) -> None:
    name = await _existing(session, asked.args.mailbox)
    session.put(b"* MYRIGHTS %b %b\r\n" % (name, _rights(session)))
    session.done(asked, "Rights")


@command("GETACL", LOGGED_IN)
def get_acl(session: Session, asked: v.Command) -> Awaitable[None]:
    return _get_acl(session, asked)


async def _get_acl(session: Session, asked: v.Command) -> None:
    name = await _existing(session, asked.args.mailbox)
    session.need("a")
    pairs = await session.service.standings.members(session.mailbox_id)
    listed = b"".join(
        [b" %b %b" % (astring(who.encode("utf-8")), rights.encode("ascii") or b'""') for who, rights in pairs]
    )
    session.put(b"* ACL %b%b\r\n" % (name, listed))
    session.done(asked, "Rights")


@command("LISTRIGHTS", LOGGED_IN)
def list_rights(session: Session, asked: v.Command) -> Awaitable[None]:
    return _list_rights(session, asked)


async def _list_rights(session: Session, asked: v.Command) -> None:
    """Rights are given as a whole by the administrator: what a member has is required, nothing is optional."""
    args: v.Acl = asked.args
    name = await _existing(session, args.mailbox)
    session.need("a")
    pairs = dict(await session.service.standings.members(session.mailbox_id))
    held = pairs.get(args.identifier.decode("utf-8", "replace"), "").encode("ascii")
    session.put(b"* LISTRIGHTS %b %b %b\r\n" % (name, astring(args.identifier), held or b'""'))
    session.done(asked, "Rights")


@command("SETACL", LOGGED_IN)
def set_acl(session: Session, asked: v.Command) -> Awaitable[None]:
    rights = asked.args.rights.lstrip(b"+-").decode("ascii", "replace")
    if set(rights) - _LETTERS:
        raise Refused("Unknown right", b"CLIENTBUG", BAD)
    return _unchangeable(session, asked)


@command("DELETEACL", LOGGED_IN)
def delete_acl(session: Session, asked: v.Command) -> Awaitable[None]:
    return _unchangeable(session, asked)


async def _unchangeable(session: Session, asked: v.Command) -> None:
    await _existing(session, asked.args.mailbox)
    raise Refused("Members and their rights are managed by your administrator", b"NOPERM")


# --------------------------------------------------------------------------- QUOTA


async def _quota_line(session: Session) -> bytes:
    """RFC 9208: STORAGE counts units of 1024 octets."""
    quota = await session.service.store.quota(session.mailbox_id)
    if not quota.bytes_limit:
        return b"* QUOTA %b ()\r\n" % ROOT
    used, limit = -(-quota.bytes_used // 1024), quota.bytes_limit // 1024
    return b"* QUOTA %b (STORAGE %d %d)\r\n" % (ROOT, used, limit)


@command("GETQUOTA", LOGGED_IN)
def get_quota(session: Session, asked: v.Command) -> Awaitable[None]:
    if asked.args.mailbox:
        raise Refused("No such quota root", b"NONEXISTENT")
    return _get_quota(session, asked)


async def _get_quota(session: Session, asked: v.Command) -> None:
    session.put(await _quota_line(session))
    session.done(asked, "Quota")


@command("GETQUOTAROOT", LOGGED_IN)
def get_quota_root(session: Session, asked: v.Command) -> Awaitable[None]:
    return _get_quota_root(session, asked)


async def _get_quota_root(session: Session, asked: v.Command) -> None:
    name = await _existing(session, asked.args.mailbox)
    session.put(b"* QUOTAROOT %b %b\r\n" % (name, ROOT))
    session.put(await _quota_line(session))
    session.done(asked, "Quota")


@command("SETQUOTA", LOGGED_IN)
def set_quota(session: Session, asked: v.Command) -> None:
    raise Refused("Quotas are set by your administrator", b"NOPERM")
