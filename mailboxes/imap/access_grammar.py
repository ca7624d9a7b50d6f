"""The grammar of access lists (RFC 4314) and quotas (RFC 9208). Promise and failure are those of :mod:`mailboxes.imap.grammar`."""

from __future__ import annotations

from mailboxes.imap import values as v
from mailboxes.imap.cursor import Cursor


def acl(c: Cursor) -> v.Acl:
    """Whose rights to a mailbox are asked for or taken away."""
    c.space()
    mailbox = c.mailbox()
    c.space()
    return v.Acl(mailbox, c.astring())


def set_acl(c: Cursor) -> v.Acl:
    """The same, and the rights given."""
    whose = acl(c)
    c.space()
    return whose._replace(rights=c.astring())


def quota_root(c: Cursor) -> v.Named:
    c.space()
    return v.Named(c.astring())


def set_quota(c: Cursor) -> v.SetQuota:
    """RFC 9208 4.1.3."""
    c.space()
    root = c.astring()
    c.space()
    return v.SetQuota(root, c.listed(lambda: _limit(c), least=0))


def _limit(c: Cursor) -> tuple[bytes, int]:
    resource = c.atom()
    c.space()
    return resource, c.number64()
