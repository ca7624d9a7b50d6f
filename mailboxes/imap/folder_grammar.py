"""The grammar of commands about folders: SELECT, CREATE, RENAME, LIST, LSUB, STATUS.

RFC 9051 6.3 with RFC 4466 (parameters), 5258 and 5819 (LIST-EXTENDED, LIST-STATUS), 6154 (SPECIAL-USE), 7162 (CONDSTORE, QRESYNC)
and 8440 (MYRIGHTS). Promise and failure are those of :mod:`mailboxes.imap.grammar`.
"""

from __future__ import annotations

from mailboxes.imap import values as v
from mailboxes.imap.cursor import BadSyntax, Cursor

LIST_SELECT = frozenset(("SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"))
LIST_RETURN = frozenset(("SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "MYRIGHTS"))
STATUS_ITEMS = frozenset(
    [
        "MESSAGES",
        "RECENT",
        "UIDNEXT",
        "UIDVALIDITY",
        "UNSEEN",
        "HIGHESTMODSEQ",
        "SIZE",
        "DELETED",
        "DELETED-STORAGE",
        "APPENDLIMIT",
        "MAILBOXID",
    ]
)


def select(c: Cursor) -> v.Select:
    """RFC 4466 parameters: CONDSTORE and QRESYNC (RFC 7162 3.2.5)."""
    c.space()
    mailbox = c.mailbox()
    condstore, qresync = False, None
    if c.take(b" "):
        c.expect(b"(")
        while True:
            option = c.word()
            if option == "CONDSTORE":
                condstore = True
            elif option == "QRESYNC":
                c.space()
                qresync = _qresync(c)
            else:
                raise BadSyntax("unknown SELECT parameter")
            if not c.take(b" "):
                break
        c.expect(b")")
    return v.Select(mailbox, condstore, qresync)


def _qresync(c: Cursor) -> v.QResync:
    c.expect(b"(")
    uidvalidity = c.nz_number()
    c.space()
    modseq = c.number64()
    known, match = None, None
    if c.take(b" "):
        if not c.at(b"("):
            known = c.ranges()
            c.take(b" ")
        if c.take(b"("):
            sequences = c.ranges()
            c.space()
            match = (sequences, c.ranges())
            c.expect(b")")
    c.expect(b")")
    return v.QResync(uidvalidity, modseq, known, match)


def create(c: Cursor) -> v.Create:
    """RFC 6154: ``CREATE name (USE (\\Sent))``."""
    c.space()
    mailbox = c.mailbox()
    use: tuple[bytes, ...] = ()
    if c.take(b" "):
        c.expect(b"(")
        if c.word() != "USE":
            raise BadSyntax("unknown CREATE parameter")
        c.space()
        use = c.listed(c.flag)
        c.expect(b")")
    return v.Create(mailbox, use)


def rename(c: Cursor) -> v.Rename:
    c.space()
    old = c.mailbox()
    c.space()
    return v.Rename(old, c.mailbox())


def lsub(c: Cursor) -> v.List:
    c.space()
    reference = c.mailbox()
    c.space()
    return v.List(reference, (c.pattern(),))


def list_(c: Cursor) -> v.List:
    """RFC 9051 6.3.9 with RFC 5258, 5819, 6154, 8440."""
    c.space()
    selection: frozenset[str] = frozenset()
    extended = False
    if c.at(b"("):
        selection = frozenset(c.listed(c.word, least=0))
        c.space()
        extended = True
        if selection - LIST_SELECT:
            raise BadSyntax("unknown LIST selection option")
        if "RECURSIVEMATCH" in selection and not selection & {"SUBSCRIBED", "SPECIAL-USE"}:
            raise BadSyntax("RECURSIVEMATCH needs another selection option")
    reference = c.mailbox()
    c.space()
    if c.at(b"("):
        patterns = c.listed(c.pattern)
        extended = True
    else:
        patterns = (c.pattern(),)
    wanted: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    if c.take(b" "):
        extended = True
        wanted, status = _list_returns(c)
    return v.List(reference, patterns, selection, wanted, status, (), extended)


def _list_returns(c: Cursor) -> tuple[frozenset[str], tuple[str, ...]]:
    """``RETURN (...)``: the options, and the items asked of each folder by STATUS among them."""
    if c.word() != "RETURN":
        raise BadSyntax("expected RETURN")
    c.space()
    options = dict(c.listed(lambda: _list_return(c), least=0))
    status = options.pop("STATUS", ())
    return frozenset(options), status


def _list_return(c: Cursor) -> tuple[str, tuple[str, ...]]:
    """The name of an option, and for STATUS its items."""
    word = c.word()
    if word == "STATUS":
        c.space()
        return word, c.listed(lambda: _status_item(c))
    if word not in LIST_RETURN:
        raise BadSyntax("unknown LIST return option")
    return word, ()


def status_of(c: Cursor) -> v.Status:
    c.space()
    mailbox = c.mailbox()
    c.space()
    return v.Status(mailbox, c.listed(lambda: _status_item(c)))


def _status_item(c: Cursor) -> str:
    word = c.word()
    if word not in STATUS_ITEMS:
        raise BadSyntax("unknown STATUS item")
    return word
