"""The port behind which folders and messages live, and the values that cross it.

IMAP, delivery and transfer speak only to :class:`MailStore`; :mod:`mailboxes.sqlstore` is the one implementation, on
SQLite or PostgreSQL (its in-memory twin is the same code on an in-memory SQLite database).
Promise: a method that changes something returns after the change is durable, and the change is one transaction together
with the events that record it; only deleting a folder of more than :data:`PORTION` messages, and renaming INBOX, are several,
the first of which holds the events. UIDs grow for ever within a folder's UIDVALIDITY and are never reused; MODSEQ grows with
each change of a folder (RFC 7162). Every method may be called from several processes at once.
Failure: :class:`StoreUnavailable` (nothing changed, try again later), :class:`StoreFull`, :class:`OverQuota`,
:class:`NoSuchFolder`, :class:`FolderExists`, :class:`Corrupted` (a body fails its authentication tag: the bytes are
never returned), :class:`MissingBody`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from policies.events import Event

if TYPE_CHECKING:
    from mailboxes.packed import Packed

PORTION = 2000
"""Messages changed or erased in one transaction: some 50 ms, for which all other changes of this process wait."""


def portions(uids: list[int]) -> Iterator[list[int]]:
    """As many messages at a time as one transaction may change."""
    return (uids[start : start + PORTION] for start in range(0, len(uids), PORTION))


class StoreError(Exception):
    """Base of what a store can say no with."""


class StoreUnavailable(StoreError):
    """The database or blob store does not answer; nothing was changed."""


class StoreEmptied(StoreUnavailable):
    """A database without anything in it stands in the place of one that was in use: its disk is not mounted, or was lost."""

    def __init__(self, anchor: Path, records: int) -> None:
        super().__init__("an empty database is in the place of the one that was in use")
        self.anchor = anchor
        self.records = records


class BlobsUnavailable(StoreUnavailable):
    """The folder or bucket of large bodies does not answer, whatever the database does."""


class BlobsUnmounted(BlobsUnavailable):
    """Another disk, or none, is in the place of the folder of large bodies (:mod:`mailboxes.blob_mark`)."""

    def __init__(self, file: Path, word: str) -> None:
        super().__init__("the disk of store.blobs is not mounted")
        self.root, self.file, self.word = file.parent, file, word


class StoreFull(StoreError):
    """The disk is full; nothing was changed."""


class OverQuota(StoreError):
    """The mailbox would exceed its quota; nothing was changed."""


class NoSuchFolder(StoreError):
    """The folder does not exist, or no longer."""


class FolderExists(StoreError):
    """A folder of that name exists already."""


class Corrupted(StoreError):
    """Stored bytes fail their authentication tag."""


class MissingBody(StoreError):
    """A row refers to a body that is not there."""


class MailboxGone(StoreError):
    """The mailbox was suspended, closed or deleted: its key is not to be used."""


class Entry(NamedTuple):
    """One message in one folder. A tuple because a folder of 10 000 is read at once.

    ``flags`` is the canonical rendering: system flags then keywords, each sorted, joined by one space, without
    ``\\Recent``. Times are seconds since the epoch, UTC; ``zone`` is the minutes east of UTC in which the internal date
    was stated. ``key`` is the body's key, wrapped by the mailbox's key.
    """

    uid: int
    modseq: int
    flags: str
    size: int
    internal_date: int
    save_date: int
    body_id: int
    key: bytes
    thread_id: int
    zone: int = 0


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder. ``name`` is a Unicode string with ``/`` as the hierarchy separator; INBOX is spelled ``INBOX``.

    ``special_use`` is empty or an RFC 6154 attribute such as ``\\Sent``. ``object_id`` is the RFC 8474 MAILBOXID.
    """

    id: int
    name: str
    uidvalidity: int
    uidnext: int
    highestmodseq: int
    object_id: str
    special_use: str = ""
    subscribed: bool = True
    messages: int = 0
    unseen: int = 0
    bytes: int = 0

    @property
    def reference(self) -> str:
        """What the journal calls it: it holds no name (MSS-146), and physicians name folders after patients."""
        return self.name if self.name == "INBOX" else self.object_id


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A folder and its entries in UID order, read at one instant; ``entries`` are made anew each time they are asked for."""

    folder: Folder
    packed: Packed

    @property
    def entries(self) -> list[Entry]:
        return self.packed.opened()


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a folder after a MODSEQ: entries new or changed, in UID order, and UIDs gone, sorted."""

    highestmodseq: int
    uidnext: int
    changed: list[Entry]
    vanished: list[int]


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to append. ``content`` is stored byte for byte; ``summary`` is :func:`mailboxes.anatomy.pack` of it.

    Without an ``internal_date`` it is that of the commit; 0 is a date like any other, which broken stores hand on.
    ``zone`` is that of the internal date, in minutes east of UTC; None is the server's at that date.
    """

    content: bytes | bytearray | memoryview
    summary: bytes
    flags: str = ""
    internal_date: int | None = None
    thread_id: int = 0
    zone: int | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    uid: int
    modseq: int
    body_id: int


@dataclass(frozen=True, slots=True)
class Added:
    """New entries, and the numbers of their folder now that it has them."""

    folder_id: int
    uidvalidity: int
    uidnext: int
    highestmodseq: int
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class FlagChange:
    """STORE: ``operation`` is ``set``, ``add`` or ``remove``; entries whose MODSEQ exceeds ``unchanged_since`` are kept.

    ``kept`` are the flags that ``set`` does not touch (:func:`mailboxes.flags.change`).
    """

    operation: str
    flags: frozenset[str]
    unchanged_since: int | None = None
    kept: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Stored:
    """Outcome of STORE: the entries as they are now, and the UIDs refused by UNCHANGEDSINCE.

    ``altered`` when any flag changed: then ``highestmodseq`` is the MODSEQ of this change and of no other.
    """

    changed: list[Entry]
    modified: list[int]
    highestmodseq: int
    altered: bool


@dataclass(frozen=True, slots=True)
class Copied:
    """COPYUID: destination UIDVALIDITY, source UIDs and destination UIDs pairwise."""

    uidvalidity: int
    source: list[int]
    destination: list[int]


@dataclass(frozen=True, slots=True)
class Quota:
    """Use and limits of one mailbox; a limit of 0 is none."""

    bytes_used: int
    bytes_limit: int
    messages: int


class BodyReader(Protocol):
    """Decrypted bytes of one message, by range."""

    size: int

    async def read(self, offset: int, length: int) -> bytes:
        """Bytes ``offset`` to ``offset + length``; shorter only at the end. Raises Corrupted or MissingBody."""
        ...


class Notices(Protocol):
    """Wakes whoever watches a mailbox: IDLE, NOTIFY, other sessions on the same folder.

    In one process at once; between processes within a second (SQLite polling, PostgreSQL LISTEN/NOTIFY).
    """

    def watch(self, mailbox_id: int, wake: Callable[[int], None]) -> Callable[[], None]:
        """Call ``wake(folder_id)`` after each committed change (0 = the folder tree or mailbox state changed).

        ``wake`` runs on the event loop. Returns the function that stops watching.
        """
        ...


class MailStore(Protocol):
    """Folders and messages of all mailboxes. ``trace`` events are committed with the change they record."""

    notices: Notices

    # folders
    async def folders(self, mailbox_id: int) -> list[Folder]: ...
    async def folder(self, mailbox_id: int, name: str) -> Folder: ...
    async def create_folder(
        self, mailbox_id: int, name: str, special_use: str = "", trace: Sequence[Event] = ()
    ) -> Folder:
        """The events of ``trace`` are completed with the reference of the new folder."""
        ...

    async def delete_folder(self, mailbox_id: int, folder_id: int, trace: Sequence[Event] = ()) -> None: ...
    async def rename_folder(self, mailbox_id: int, folder_id: int, name: str, trace: Sequence[Event] = ()) -> None:
        """Rename, inferiors included (RFC 9051 6.3.6); renaming INBOX moves its messages to a new folder."""
        ...

    async def subscribe(self, mailbox_id: int, name: str, subscribed: bool) -> None: ...
    async def subscriptions(self, mailbox_id: int) -> list[str]: ...

    # reading
    async def snapshot(self, mailbox_id: int, folder_id: int) -> Snapshot: ...
    async def changes(self, mailbox_id: int, folder_id: int, since_modseq: int) -> Changes: ...
    async def summaries(self, mailbox_id: int, entries: Sequence[Entry]) -> list[bytes]:
        """Decrypted packed summaries, in order. Up to a few thousand at a time."""
        ...

    async def bodies(self, mailbox_id: int, entries: Sequence[Entry]) -> list[bytes]:
        """Whole decrypted messages, in order; callers bound the sum of sizes."""
        ...

    async def open_body(self, mailbox_id: int, entry: Entry) -> BodyReader: ...

    # changing
    async def append(
        self, mailbox_id: int, folder_id: int, messages: Sequence[NewMessage], trace: Sequence[Event] = ()
    ) -> tuple[int, list[Appended]]:
        """All or none. Returns UIDVALIDITY and what was appended."""
        ...

    async def append_to(
        self, mailbox_id: int, name: str, messages: Sequence[NewMessage], trace: Sequence[Event] = ()
    ) -> Added:
        """The same for the folder of that name, looked for in the same transaction; its reference completes ``trace``."""
        ...

    async def store_flags(
        self,
        mailbox_id: int,
        folder_id: int,
        uids: Sequence[int],
        change: FlagChange,
        trace: Sequence[Event] = (),
    ) -> Stored: ...

    async def copy(
        self,
        mailbox_id: int,
        folder_id: int,
        uids: Sequence[int],
        destination_id: int,
        trace: Sequence[Event] = (),
        kept: frozenset[str] | None = None,
    ) -> Copied:
        """``kept`` are the flags copies may have (:func:`mailboxes.flags.change`): None for those of their messages."""
        ...

    async def move(
        self,
        mailbox_id: int,
        folder_id: int,
        uids: Sequence[int],
        destination_id: int,
        trace: Sequence[Event] = (),
    ) -> Copied: ...

    async def expunge(
        self, mailbox_id: int, folder_id: int, uids: Sequence[int] | None, trace: Sequence[Event] = ()
    ) -> list[int]:
        """Erase entries flagged ``\\Deleted`` (all, or those among ``uids``); returns the UIDs erased, sorted."""
        ...

    async def replace(
        self,
        mailbox_id: int,
        folder_id: int,
        uid: int,
        destination_id: int,
        message: NewMessage,
        trace: Sequence[Event] = (),
    ) -> tuple[int, Appended]:
        """RFC 8508: append and erase ``uid`` in one transaction."""
        ...

    # mailbox-wide
    async def quota(self, mailbox_id: int) -> Quota: ...
    async def metadata(self, mailbox_id: int, folder_id: int) -> Mapping[str, bytes]: ...
    async def set_metadata(
        self, mailbox_id: int, folder_id: int, entries: Mapping[str, bytes | None], special_use: str | None = None
    ) -> None:
        """All or none; with ``special_use``, the folder's special use as well."""
        ...

    async def raise_mark(self, mailbox_id: int, folder_id: int, name: str, value: int) -> int:
        """Raise a number kept as metadata of the folder; returns what it was (0: never raised). Nobody is told."""
        ...

    async def beyond(self, mailbox_id: int, folder_ids: Collection[int], name: str) -> dict[int, int]:
        """How many messages of each folder have a UID at or beyond its mark ``name`` (:meth:`raise_mark`); all where it has none."""
        ...

    async def record(self, trace: Sequence[Event]) -> None:
        """Commit events that accompany no change (a FETCH of bodies in an ORG mailbox, MSS-062)."""
        ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted message, ready to be committed. ``data_key`` stays in memory and is never shown."""

    body_id: int
    size: int
    sha256: bytes
    inline: bytes | None  # ciphertext, when small
    blob: str  # reference in the blob store, when large
    summary: bytes  # ciphertext
    data_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One local recipient of a sealed message. ``folder`` is a name; it is INBOX when the folder is gone."""

    sealed: Sealed
    mailbox_id: int
    internal_date: int | None  # None is the moment of the commit
    folder: str = "INBOX"
    flags: str = ""
    thread_id: int = 0
    zone: int | None = None  # of the internal date, in minutes east of UTC; None is the server's


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a delivery landed."""

    mailbox_id: int
    folder_id: int
    uid: int
    modseq: int
