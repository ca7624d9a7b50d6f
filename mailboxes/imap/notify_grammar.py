"""The grammar of NOTIFY (RFC 5465 section 5). Promise and failure are those of :mod:`mailboxes.imap.grammar`."""

from __future__ import annotations

from mailboxes.imap import values as v
from mailboxes.imap.cursor import BadSyntax, Cursor
from mailboxes.imap.fetch_grammar import fetch_list

_EVENTS = {
    word.upper(): word for word in ["MessageNew", "MessageExpunge", "FlagChange", "MailboxName", "SubscriptionChange"]
}
_MOST_GROUPS = 100
_SCOPES = frozenset(("SELECTED", "SELECTED-DELAYED", "INBOXES", "PERSONAL", "SUBSCRIBED"))


def notify(c: Cursor) -> v.Notify:
    """NONE, or the events of each group of folders."""
    c.space()
    word = c.word()
    if word == "NONE":
        return v.Notify(None)
    if word != "SET":
        raise BadSyntax("expected NONE or SET")
    c.space()
    status = False
    if not c.at(b"("):
        if c.word() != "STATUS":
            raise BadSyntax("expected STATUS or a list")
        status = True
        c.space()
    filters = [_event_group(c)]
    while c.take(b" "):
        filters.append(_event_group(c))
        if len(filters) > _MOST_GROUPS:
            raise BadSyntax("too many event groups")
    return v.Notify(tuple(filters), status)


def _event_group(c: Cursor) -> v.Filter:
    c.expect(b"(")
    scope = c.word()
    mailboxes: tuple[bytes, ...] = ()
    if scope in ("SUBTREE", "SUBTREE-ONE", "MAILBOXES"):
        c.space()
        mailboxes = c.listed(c.mailbox) if c.at(b"(") else (c.mailbox(),)
    elif scope not in _SCOPES:
        raise BadSyntax("unknown mailbox filter")
    c.space()
    events, items = _events(c)
    c.expect(b")")
    return v.Filter(scope.lower(), mailboxes, events, items)


def _events(c: Cursor) -> tuple[frozenset[str], tuple[v.Item, ...]]:
    """The events of one group, and the items to fetch of what is new in it."""
    if not c.at(b"("):
        if c.word() != "NONE":
            raise BadSyntax("expected events or NONE")
        return frozenset(), ()
    found = c.listed(lambda: _event(c))
    items = next((items for _, items in reversed(found) if items), ())
    return frozenset([event for event, _ in found]), items


def _event(c: Cursor) -> tuple[str, tuple[v.Item, ...]]:
    """An event, and what is to be fetched of a new message. One that is not ours stays as written: the answer names those."""
    word = c.key()
    items: tuple[v.Item, ...] = ()
    if word == "MESSAGENEW" and c.text.startswith(b" (", c.pos):
        c.space()
        items = fetch_list(c)
    return _EVENTS.get(word, word), items
