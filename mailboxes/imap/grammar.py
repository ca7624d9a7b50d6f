"""The grammar of IMAP commands: bytes in, a :class:`mailboxes.imap.values.Command` out. Pure.

RFC 9051 section 9 and the extensions named beside each function. Promise: time and memory are bounded by the length of
the command, which the wire bounds; nothing recurses; an unknown or malformed command raises :class:`CommandError`,
which carries the tag, and never anything else. The grammar has one space between words and none inside parentheses;
programs write more (aioimaplib's ``ID ( "name" "x" )``) and Dovecot reads it, so a command that only has spaces to spare
is read without them.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from mailboxes.imap import values as v
from mailboxes.imap.cursor import BadSyntax, Cursor
from mailboxes.imap.fetch_grammar import fetch_items, fetch_list
from mailboxes.imap.search_grammar import search, sort, thread

_REPEATED = frozenset((b"FETCH ", b"UID FE", b"NOOP", b"IDLE", b"STORE ", b"UID ST", b"CHECK"))
_TAG = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,64} ?")
_SPARE = re.compile(rb'("(?>(?:[^"\\]|\\.)*)"?)|(?<=[ (]) ++| ++(?=\)|\Z)', re.DOTALL)  # strings are kept as they are


class CommandError(ValueError):
    """The command is answered BAD. ``tag`` is ``*`` when none could be read."""

    def __init__(self, tag: bytes, text: str, unknown: bool = False) -> None:
        super().__init__(text)
        self.tag = tag
        self.text = text
        self.unknown = unknown


def parse(text: bytes, literals: list[bytes]) -> v.Command:
    """The command in ``text`` (without its final CRLF) and its literals."""
    found = _TAG.match(text)
    if not found or not found[0].endswith(b" "):
        raise CommandError(b"*", "a command begins with a tag and a space")
    tag = found[0][:-1]
    start = found.end()
    try:
        name, args = _read(tag, text, literals, start)
    except CommandError as error:
        plain = text[:start] + _SPARE.sub(rb"\1", text[start:].lstrip(b" "))
        if error.unknown or len(plain) == len(text):
            raise
        name, args = _read(tag, plain, literals, start)
    return v.Command(tag, name, args)


def _read(tag: bytes, text: bytes, literals: list[bytes], start: int) -> tuple[str, Any]:
    if not literals and len(text) < 200 and text[start : start + 6].upper() in _REPEATED:
        return _cached(tag, text[start:])
    return _command(tag, text, literals, start)


def _cached(tag: bytes, rest: bytes) -> tuple[str, Any]:
    try:
        return _short(rest)
    except CommandError as error:
        raise CommandError(tag, error.text, error.unknown) from None


@lru_cache(4096)
def _short(rest: bytes) -> tuple[str, Any]:
    # Programs ask the same few questions all day. No login, search word or message is ever kept here.
    return _command(b"", rest, [], 0)


def _command(tag: bytes, text: bytes, literals: list[bytes], pos: int) -> tuple[str, Any]:
    cursor = Cursor(text, literals, pos)
    try:
        name = cursor.word()
        if name == "UID":
            cursor.space()
            name = "UID " + cursor.word()
        read = COMMANDS.get(name)
        if read is None:
            raise CommandError(tag, "unknown command", unknown=True)
        args = read(cursor)
        cursor.end()
    except BadSyntax as error:
        raise CommandError(tag, str(error)) from None
    return name, args


# arguments, one function per shape


def _nothing(_cursor: Cursor) -> None:
    return None


def _named(c: Cursor) -> v.Named:
    c.space()
    return v.Named(c.mailbox())


def _login(c: Cursor) -> v.Credentials:
    c.space()
    user = c.astring()
    c.space()
    return v.Credentials(user, c.astring())


def decode_base64(raw: bytes) -> bytes:
    """SASL's base64 (RFC 4648, padded); :class:`BadSyntax` otherwise."""
    try:
        return a2b_base64(raw, strict_mode=bool(raw))
    except Base64Error:
        raise BadSyntax("not base64") from None


def _authenticate(c: Cursor) -> v.Authenticate:
    """RFC 4959: the initial response is base64, or ``=`` when empty."""
    c.space()
    mechanism = c.word()
    if not c.take(b" "):
        return v.Authenticate(mechanism, None)
    start, c.pos = c.pos, len(c.text)
    coded = c.text[start:]
    return v.Authenticate(mechanism, b"" if coded == b"=" else decode_base64(coded))


def _words(c: Cursor) -> v.Words:
    found: list[bytes] = []
    while c.take(b" "):
        found.append(c.astring())
    if not found:
        raise BadSyntax("expected a word")
    return v.Words(tuple(found))


def _id(c: Cursor) -> v.Words:
    """RFC 2971: NIL or at most 30 pairs of strings."""
    c.space()
    if not c.at(b"("):
        if c.word() != "NIL":
            raise BadSyntax("expected a list or NIL")
        return v.Words(())
    pairs = c.listed(c.nstring, least=0)
    if len(pairs) % 2 or len(pairs) > 60:
        raise BadSyntax("ID takes pairs")
    return v.Words(tuple(value or b"" for value in pairs))


def _select(c: Cursor) -> v.Select:
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


def _create(c: Cursor) -> v.Create:
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


def _rename(c: Cursor) -> v.Rename:
    c.space()
    old = c.mailbox()
    c.space()
    return v.Rename(old, c.mailbox())


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


def _status_item(c: Cursor) -> str:
    word = c.word()
    if word not in STATUS_ITEMS:
        raise BadSyntax("unknown STATUS item")
    return word


def _lsub(c: Cursor) -> v.List:
    c.space()
    reference = c.mailbox()
    c.space()
    return v.List(reference, (c.pattern(),))


def _list(c: Cursor) -> v.List:
    """RFC 9051 6.3.9 with RFC 5258, 5819, 6154, 8440."""
    c.space()
    select: frozenset[str] = frozenset()
    extended = False
    if c.at(b"("):
        select = frozenset(c.listed(c.word, least=0))
        c.space()
        extended = True
        if select - LIST_SELECT:
            raise BadSyntax("unknown LIST selection option")
        if "RECURSIVEMATCH" in select and not select & {"SUBSCRIBED", "SPECIAL-USE"}:
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
    return v.List(reference, patterns, select, wanted, status, (), extended)


def _list_returns(c: Cursor) -> tuple[frozenset[str], tuple[str, ...]]:
    if c.word() != "RETURN":
        raise BadSyntax("expected RETURN")
    c.space()
    wanted: set[str] = set()
    status: tuple[str, ...] = ()

    def option() -> None:
        nonlocal status
        word = c.word()
        if word == "STATUS":
            c.space()
            status = c.listed(lambda: _status_item(c))
        elif word in LIST_RETURN:
            wanted.add(word)
        else:
            raise BadSyntax("unknown LIST return option")

    c.listed(option, least=0)
    return frozenset(wanted), status


def _status(c: Cursor) -> v.Status:
    c.space()
    mailbox = c.mailbox()
    c.space()
    return v.Status(mailbox, c.listed(lambda: _status_item(c)))


def _flags(c: Cursor) -> tuple[bytes, ...]:
    return c.listed(c.flag, least=0)


def _message(c: Cursor) -> v.Message:
    """One message of APPEND, MULTIAPPEND (RFC 3502), CATENATE (RFC 4469), UTF8 (RFC 6855) or REPLACE."""
    flags: tuple[bytes, ...] = ()
    date = None
    if c.at(b"("):
        flags = _flags(c)
        c.space()
    if c.at(b'"'):
        date = c.date_time()
        c.space()
    if c.at_literal():
        text = c.literal()
        return v.Message(flags, date, (v.Part(text),), binary=c.binary)
    word = c.word()
    c.space()
    if word == "UTF8":
        c.expect(b"(")
        text = c.literal()
        c.expect(b")")
        return v.Message(flags, date, (v.Part(text),), utf8=True)
    if word == "CATENATE":
        binary = False

        def piece() -> v.Part:
            nonlocal binary
            part = _part(c)
            binary = binary or (part.text is not None and c.binary)
            return part

        return v.Message(flags, date, c.listed(piece), binary=binary)
    raise BadSyntax("expected a message")


def _part(c: Cursor) -> v.Part:
    word = c.word()
    c.space()
    if word == "TEXT":
        return v.Part(c.literal())
    if word == "URL":
        return v.Part(None, c.astring())
    raise BadSyntax("expected TEXT or URL")


def _append(c: Cursor) -> v.Append:
    c.space()
    mailbox = c.mailbox()
    messages: list[v.Message] = []
    while c.take(b" "):
        messages.append(_message(c))
    if not messages:
        raise BadSyntax("expected a message")
    return v.Append(mailbox, tuple(messages))


def _replace(c: Cursor) -> v.Replace:
    """RFC 8508; the number may be ``*``."""
    c.space()
    number = v.STAR if c.take(b"*") else c.nz_number()
    c.space()
    mailbox = c.mailbox()
    c.space()
    return v.Replace(number, mailbox, _message(c))


def _fetch(c: Cursor) -> v.Fetch:
    """RFC 9051 6.4.5, modifiers of RFC 7162 3.1.4.1 and RFC 9394 3.3."""
    c.space()
    ranges = c.ranges()
    c.space()
    items = fetch_items(c)
    changed_since, vanished, partial = -1, False, None
    if c.take(b" "):
        c.expect(b"(")
        while True:
            word = c.word()
            if word == "CHANGEDSINCE":
                c.space()
                changed_since = c.number64()
            elif word == "VANISHED":
                vanished = True
            elif word == "PARTIAL":
                c.space()
                partial = c.partial()
            else:
                raise BadSyntax("unknown FETCH modifier")
            if not c.take(b" "):
                break
        c.expect(b")")
        if vanished and changed_since < 0:
            raise BadSyntax("VANISHED needs CHANGEDSINCE")
    return v.Fetch(ranges, items, changed_since, vanished, partial)


def _plain_fetch(c: Cursor) -> v.Fetch:
    fetch = _fetch(c)
    if fetch.vanished:
        raise BadSyntax("VANISHED is for UID FETCH")
    return fetch


_OPERATIONS = {"": "set", "+": "add", "-": "remove"}


def _store(c: Cursor) -> v.Store:
    c.space()
    ranges = c.ranges()
    c.space()
    unchanged_since = -1
    if c.take(b"("):
        if c.word() != "UNCHANGEDSINCE":
            raise BadSyntax("unknown STORE modifier")
        c.space()
        unchanged_since = c.number64()
        c.expect(b")")
        c.space()
    word = c.word()
    sign = word[0] if word[0] in "+-" else ""
    if word[len(sign) :] not in ("FLAGS", "FLAGS.SILENT"):
        raise BadSyntax("expected FLAGS")
    c.space()
    if c.at(b"("):
        flags = _flags(c)
    else:
        found = [c.flag()]
        while c.take(b" "):
            found.append(c.flag())
        flags = tuple(found)
    return v.Store(ranges, _OPERATIONS[sign], flags, word.endswith(".SILENT"), unchanged_since)


def _copy(c: Cursor) -> v.Copy:
    c.space()
    ranges = c.ranges()
    c.space()
    return v.Copy(ranges, c.mailbox())


def _ranges(c: Cursor) -> v.Ranges:
    c.space()
    return c.ranges()


def _acl(with_rights: bool) -> Callable[[Cursor], v.Acl]:
    def read(c: Cursor) -> v.Acl:
        c.space()
        mailbox = c.mailbox()
        c.space()
        identifier = c.astring()
        rights = b""
        if with_rights:
            c.space()
            rights = c.astring()
        return v.Acl(mailbox, identifier, rights)

    return read


def _set_quota(c: Cursor) -> v.SetQuota:
    """RFC 9208 4.1.3."""
    c.space()
    root = c.astring()
    c.space()

    def limit() -> tuple[bytes, int]:
        resource = c.atom()
        c.space()
        return resource, c.number64()

    return v.SetQuota(root, c.listed(limit, least=0))


def _root(c: Cursor) -> v.Named:
    c.space()
    return v.Named(c.astring())


def _get_metadata(c: Cursor) -> v.GetMetadata:
    """RFC 5464 4.2; options are accepted before the mailbox (the grammar) and after it (its examples)."""
    c.space()
    maxsize, depth = -1, 0
    if c.at(b"("):
        maxsize, depth = _metadata_options(c)
        c.space()
    mailbox = c.mailbox()
    c.space()
    if c.text[c.pos : c.pos + 8].upper() in (b"(MAXSIZE", b"(DEPTH 0", b"(DEPTH 1", b"(DEPTH I"):
        maxsize, depth = _metadata_options(c)
        c.space()
    entries = c.listed(c.astring) if c.at(b"(") else (c.astring(),)
    return v.GetMetadata(mailbox, entries, maxsize, depth)


def _metadata_options(c: Cursor) -> tuple[int, int]:
    maxsize, depth = -1, 0

    def option() -> None:
        nonlocal maxsize, depth
        word = c.word()
        c.space()
        if word == "MAXSIZE":
            maxsize = c.number64()
        elif word == "DEPTH":
            depths = {"0": 0, "1": 1, "INFINITY": 99}
            chosen = depths.get(c.word())
            if chosen is None:
                raise BadSyntax("DEPTH is 0, 1 or infinity")
            depth = chosen
        else:
            raise BadSyntax("unknown GETMETADATA option")

    c.listed(option)
    return maxsize, depth


def _set_metadata(c: Cursor) -> v.SetMetadata:
    c.space()
    mailbox = c.mailbox()
    c.space()

    def entry() -> tuple[bytes, bytes | None]:
        name = c.astring()
        c.space()
        return name, c.nstring()

    return v.SetMetadata(mailbox, c.listed(entry))


_EVENTS = {
    word.upper(): word for word in ["MessageNew", "MessageExpunge", "FlagChange", "MailboxName", "SubscriptionChange"]
}
_SCOPES = frozenset(("SELECTED", "SELECTED-DELAYED", "INBOXES", "PERSONAL", "SUBSCRIBED"))


def _notify(c: Cursor) -> v.Notify:
    """RFC 5465 section 5."""
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
        if len(filters) > 100:
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
    if not c.at(b"("):
        if c.word() != "NONE":
            raise BadSyntax("expected events or NONE")
        return frozenset(), ()
    items: tuple[v.Item, ...] = ()

    def event() -> str:
        nonlocal items
        word = c.key()
        if word == "MESSAGENEW" and c.text.startswith(b" (", c.pos):
            c.space()
            items = fetch_list(c)
        return _EVENTS.get(word, word)  # not one of ours: the answer names those

    return frozenset(c.listed(event)), items


COMMANDS: dict[str, Callable[[Cursor], Any]] = {
    "CAPABILITY": _nothing,
    "NOOP": _nothing,
    "LOGOUT": _nothing,
    "ID": _id,
    "STARTTLS": _nothing,
    "AUTHENTICATE": _authenticate,
    "LOGIN": _login,
    "ENABLE": _words,
    "COMPRESS": _words,
    "SELECT": _select,
    "EXAMINE": _select,
    "CREATE": _create,
    "DELETE": _named,
    "RENAME": _rename,
    "SUBSCRIBE": _named,
    "UNSUBSCRIBE": _named,
    "LIST": _list,
    "LSUB": _lsub,
    "NAMESPACE": _nothing,
    "STATUS": _status,
    "APPEND": _append,
    "IDLE": _nothing,
    "CHECK": _nothing,
    "CLOSE": _nothing,
    "UNSELECT": _nothing,
    "EXPUNGE": _nothing,
    "UID EXPUNGE": _ranges,
    "SEARCH": search,
    "UID SEARCH": search,
    "SORT": sort,
    "UID SORT": sort,
    "THREAD": thread,
    "UID THREAD": thread,
    "FETCH": _plain_fetch,
    "UID FETCH": _fetch,
    "STORE": _store,
    "UID STORE": _store,
    "COPY": _copy,
    "UID COPY": _copy,
    "MOVE": _copy,
    "UID MOVE": _copy,
    "REPLACE": _replace,
    "UID REPLACE": _replace,
    "CANCELUPDATE": _words,
    "GETQUOTA": _root,
    "GETQUOTAROOT": _named,
    "SETQUOTA": _set_quota,
    "GETACL": _named,
    "SETACL": _acl(with_rights=True),
    "DELETEACL": _acl(with_rights=False),
    "LISTRIGHTS": _acl(with_rights=False),
    "MYRIGHTS": _named,
    "GETMETADATA": _get_metadata,
    "SETMETADATA": _set_metadata,
    "NOTIFY": _notify,
}
