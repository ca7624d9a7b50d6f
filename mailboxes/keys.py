"""The three layers of keys: the operator's, one per mailbox, one per message.

A message's key is wrapped by the key of each mailbox that holds it; a mailbox's key is wrapped by the operator's master
key behind the port :class:`MasterKey` (file, environment, memory; a PKCS#11 token or a KMS fits the same two methods).
Mailbox 0 is the outbound queue. Destroying a mailbox's key makes every copy of its messages unreadable, backups too.
Promise: AES-256-GCM everywhere, a format byte first in every wrapped key, associated data that binds a wrapped key to
its mailbox and message. A key destroyed by any process is forgotten by all within :data:`FORGET_SECONDS`.
Failure: :class:`WrongMasterKey` at start when the master key is missing or is not the one this database was written
with (F15): nothing is ever re-keyed silently. :class:`MailboxGone` when a mailbox has no key any more,
:class:`Corrupted` when a wrapped key fails its tag.
"""

from __future__ import annotations

import base64
import hashlib
import math
import os
import secrets
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from sqlalchemy import Connection, delete, insert, select, update

from mailboxes.engine import cursor_of
from mailboxes.folder_names import FolderNames
from mailboxes.given import group_bits, sync_folder
from mailboxes.keywords import Keywords
from mailboxes.sql import Sql
from mailboxes.store import Corrupted, MailboxGone
from mailboxes.tables import mailbox_key, master_check

FORMAT = b"\x01"
KEY_BYTES = 32
NONCE_BYTES = 12
FORGET_SECONDS = 45.0
CACHED_KEYS = 50_000
QUEUE = 0
"""The pseudo mailbox whose key wraps the keys of messages waiting to leave."""

_WRAPPED_BYTES = 1 + 4 + NONCE_BYTES + KEY_BYTES + 16
_CHECK = b"caducee master key check"


class WrongMasterKey(Exception):
    """The operator's key is missing, unreadable, or another one than this database was written with.

    ``word`` is stable for what an operator meets: ``other``, ``not_a_key`` (``where`` says which), ``no_check``.
    """

    def __init__(self, text: str, word: str = "", where: str = "") -> None:
        super().__init__(text)
        self.word = word
        self.where = where


class MasterKey(Protocol):
    """The operator's key. ``context`` is associated data: what is unwrapped must be asked for by the same name."""

    def wrap(self, key: bytes, context: bytes) -> bytes: ...
    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Raises :class:`Corrupted` when the tag fails or another key wrapped it."""
        ...


class LocalMasterKey:
    """A master key whose 32 bytes are in this process. Format: version, 4 bytes naming the key, nonce, ciphertext, tag."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise WrongMasterKey("the master key must be 32 bytes")
        self._name = hashlib.sha256(b"caducee master key name" + key).digest()[:4]
        self._cipher = AESGCM(key)

    def __repr__(self) -> str:
        return f"<LocalMasterKey {self._name.hex()}>"

    def wrap(self, key: bytes, context: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return FORMAT + self._name + nonce + self._cipher.encrypt(nonce, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        if wrapped[:1] != FORMAT or wrapped[1:5] != self._name:
            raise Corrupted("wrapped by another master key")
        return _decrypt(self._cipher, wrapped[5:17], wrapped[17:], context)


def new_master_key() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def create_master_key_file(path: Path) -> LocalMasterKey:
    """Write a new key to ``path`` (synced); refuses to overwrite. Only a first installation calls this.

    Its mode is 0600, or 0640 in a folder given to the group of the roles.
    """
    key = new_master_key()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if group_bits(path.parent):
            os.fchmod(handle, 0o640)
        os.write(handle, base64.b64encode(key) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)
    sync_folder(path.parent)  # mail is encrypted under it from now on, and lost with it
    return LocalMasterKey(key)


def master_key_from_file(path: Path) -> LocalMasterKey:
    """The key in ``path``, base64 on one line. Raises :class:`WrongMasterKey` when missing or readable by others."""
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()
    except OSError as error:
        raise WrongMasterKey(f"cannot read the master key {path}: {error.strerror}") from error
    if stat.S_IMODE(mode) & 0o027:  # a group may read it: one system user per role (deploy/systemd)
        raise WrongMasterKey(f"the master key {path} is accessible to other users: chmod 600 it")
    return LocalMasterKey(_decode(text, str(path)))


def master_key_from_environment(environment: Mapping[str, str], name: str = "CADUCEE_MASTER_KEY") -> LocalMasterKey:
    """The key in an environment variable, base64."""
    text = environment.get(name, "")
    if not text:
        raise WrongMasterKey(f"the environment variable {name} is not set")
    return LocalMasterKey(_decode(text.encode("utf-8"), name))


def _decode(text: bytes, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError as error:
        raise WrongMasterKey(f"{where} does not hold a base64 key", "not_a_key", where) from error
    if len(key) != KEY_BYTES:
        raise WrongMasterKey(f"{where} holds {len(key)} bytes instead of {KEY_BYTES}", "not_a_key", where)
    return key


def _decrypt(cipher: AESGCM, nonce: bytes, data: bytes, context: bytes) -> bytes:
    try:
        return cipher.decrypt(nonce, data, context)
    except (InvalidTag, ValueError) as error:  # ValueError: too short to hold a nonce
        raise Corrupted("authentication tag does not match") from error


# mailbox keys

_READ_KEY = Sql("SELECT wrapped FROM mailbox_key WHERE mailbox_id = ?")


class _Kept(NamedTuple):
    """What is made of a mailbox's key, and until when it may be used."""

    until: float
    cipher: AESGCM
    names: FolderNames
    keywords: Keywords


class Keyring:
    """Mailbox keys, unwrapped when needed and kept a short time. Used from the writer and from reading threads.

    ``clock`` must be monotonic: a step of the wall clock must not prolong the life of a destroyed key. The queue's own
    key is never destroyed, and once read it stays.
    """

    def __init__(self, master: MasterKey, clock: Callable[[], float], limit: int = CACHED_KEYS) -> None:
        self._master = master
        self._clock = clock
        self._limit = limit
        self._kept: dict[int, _Kept] = {}
        self._changing = threading.Lock()

    def known(self, connection: Connection) -> bool:
        """Whether a master key was ever used with this database; only a new one has none."""
        return connection.execute(select(master_check.c.id).where(master_check.c.id == 1)).first() is not None

    def open(self, connection: Connection, now: float) -> None:
        """At start: make sure this is the database's own master key, and have a key for the queue. Writes.

        Raises :class:`WrongMasterKey`; a database that holds mailbox keys but no check value is refused too.
        """
        stored = connection.execute(select(master_check.c.value).where(master_check.c.id == 1)).scalar()
        if stored is None:
            self._first_start(connection, now)
            return
        try:
            self._master.unwrap(bytes(stored), _CHECK)
        except Corrupted as error:
            raise WrongMasterKey("this is not the master key the database was written with", "other") from error
        self.key(connection, QUEUE)

    def _first_start(self, connection: Connection, now: float) -> None:
        if connection.execute(select(mailbox_key.c.mailbox_id).limit(1)).first() is not None:
            raise WrongMasterKey(
                "the database holds mailbox keys but no check value: restore it from a backup", "no_check"
            )
        connection.execute(insert(master_check), {"id": 1, "value": self._master.wrap(_CHECK, _CHECK)})
        self.create(connection, QUEUE, now)
        self.key(connection, QUEUE)

    def create(self, connection: Connection, mailbox_id: int, now: float) -> FolderNames:
        """A new key for a mailbox that has none (the primary key refuses a second one), for the names of its folders.

        It is not kept in memory: the transaction may fail, and the number be given to another mailbox.
        """
        key = secrets.token_bytes(KEY_BYTES)
        wrapped = self._master.wrap(key, _context(mailbox_id))
        row = {"mailbox_id": mailbox_id, "wrapped": wrapped, "created_at": int(now)}
        connection.execute(insert(mailbox_key), row)
        return FolderNames(key)

    def destroy(self, connection: Connection, mailbox_id: int) -> bool:
        """Erase the key: every message only this mailbox holds becomes noise. Whether there was one.

        It is overwritten first, so that its bytes do not stay in the free space of a database page.
        """
        mine = mailbox_key.c.mailbox_id == mailbox_id
        connection.execute(update(mailbox_key).where(mine).values(wrapped=bytes(_WRAPPED_BYTES)))
        gone = connection.execute(delete(mailbox_key).where(mine)).rowcount
        self.forget(mailbox_id)
        return bool(gone)

    def forget(self, mailbox_id: int) -> None:
        """Drop the unwrapped key from memory (call again after the commit that destroyed it)."""
        with self._changing:
            self._kept.pop(mailbox_id, None)

    def key(self, connection: Connection, mailbox_id: int) -> AESGCM:
        """The cipher of a mailbox. Raises :class:`MailboxGone` when it has no key."""
        return self.cached(mailbox_id) or self._fetch(cursor_of(connection), mailbox_id).cipher

    def names(self, cursor: Any, mailbox_id: int) -> FolderNames:
        """What seals and opens the names of a mailbox's folders. Raises :class:`MailboxGone` when it has no key."""
        return (self._current(mailbox_id) or self._fetch(cursor, mailbox_id)).names

    def keywords(self, cursor: Any, mailbox_id: int) -> Keywords:
        """The same of the flags of its messages."""
        return (self._current(mailbox_id) or self._fetch(cursor, mailbox_id)).keywords

    def drawn(self, cursor: Any, label: bytes) -> bytes:
        """32 octets made from the queue's key, for what ``label`` says: the operator's own, in every process and after
        each change of the master key the same. Raises :class:`Corrupted`."""
        wrapped = _READ_KEY(cursor, QUEUE).fetchone()
        if wrapped is None:
            raise MailboxGone("the queue has no key")
        return HKDFExpand(SHA256(), KEY_BYTES, label).derive(self._master.unwrap(bytes(wrapped[0]), _context(QUEUE)))

    def cached(self, mailbox_id: int) -> AESGCM | None:
        """The cipher, when it is at hand without asking the database."""
        kept = self._current(mailbox_id)
        return kept.cipher if kept is not None else None

    def _current(self, mailbox_id: int) -> _Kept | None:
        kept = self._kept.get(mailbox_id)
        return kept if kept is not None and kept.until > self._clock() else None

    def _fetch(self, cursor: Any, mailbox_id: int) -> _Kept:
        row = _READ_KEY(cursor, mailbox_id).fetchone()
        if row is None:
            self.forget(mailbox_id)
            raise MailboxGone(f"mailbox {mailbox_id} has no key")
        key = self._master.unwrap(bytes(row[0]), _context(mailbox_id))
        with self._changing:
            if len(self._kept) >= self._limit:
                queue = self._kept.get(QUEUE)
                self._kept = {QUEUE: queue} if queue else {}  # bounded; one unwrap each brings back those in use
            until = math.inf if mailbox_id == QUEUE else self._clock() + FORGET_SECONDS
            kept = self._kept[mailbox_id] = _Kept(until, AESGCM(key), FolderNames(key), Keywords(key))
        return kept

    def rewrap(self, connection: Connection, master: MasterKey) -> int:
        """Wrap every mailbox key with another master key, in the caller's transaction. Returns how many.

        Other processes must be restarted with the new key; messages are not touched.
        """
        rows = connection.execute(select(mailbox_key.c.mailbox_id, mailbox_key.c.wrapped)).all()
        for mailbox_id, wrapped in rows:
            key = self._master.unwrap(bytes(wrapped), _context(mailbox_id))
            connection.execute(
                update(mailbox_key)
                .where(mailbox_key.c.mailbox_id == mailbox_id)
                .values(wrapped=master.wrap(key, _context(mailbox_id)))
            )
        connection.execute(update(master_check).values(value=master.wrap(_CHECK, _CHECK)))
        return len(rows)


def _context(mailbox_id: int) -> bytes:
    return b"mailbox key" + mailbox_id.to_bytes(8, "big")


# message keys


def wrap_key(cipher: AESGCM, data_key: bytes, mailbox_id: int, body_id: int) -> bytes:
    """A message's key under a mailbox's: format byte, nonce, ciphertext and tag (61 bytes)."""
    nonce = os.urandom(NONCE_BYTES)
    return FORMAT + nonce + cipher.encrypt(nonce, data_key, b"%d/%d" % (mailbox_id, body_id))


def unwrap_key(cipher: AESGCM, wrapped: bytes, mailbox_id: int, body_id: int) -> bytes:
    """The reverse; raises :class:`Corrupted`, naming the body, for another mailbox, another message, or altered bytes."""
    if wrapped[:1] != FORMAT:
        raise Corrupted(f"{body_id:x}")
    try:
        return cipher.decrypt(wrapped[1:13], wrapped[13:], b"%d/%d" % (mailbox_id, body_id))
    except (InvalidTag, ValueError) as error:
        raise Corrupted(f"{body_id:x}") from error


def seal_value(cipher: AESGCM, value: bytes, context: bytes) -> bytes:
    """A small value (METADATA) under a mailbox's key: format byte, nonce, ciphertext and tag."""
    nonce = os.urandom(NONCE_BYTES)
    return FORMAT + nonce + cipher.encrypt(nonce, value, b"value" + context)


def open_value(cipher: AESGCM, sealed: bytes, context: bytes) -> bytes:
    """The reverse; raises :class:`Corrupted`."""
    if sealed[:1] != FORMAT:
        raise Corrupted("unknown format of a value")
    return _decrypt(cipher, sealed[1:13], sealed[13:], b"value" + context)
