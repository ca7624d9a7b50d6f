"""Wires what every command needs, from a :class:`gateway.settings.Config`: database, keys, blobs, journal, messages.

:mod:`gateway.service` adds the doors, the courier and IMAP on top of it.
Promise: what is opened here is closed by the ``close`` of what it returned, in reverse order. Failure:
:class:`mailboxes.keys.WrongMasterKey` for a master key that is missing or another one (F15),
:class:`mailboxes.store.StoreUnavailable` for a database that cannot be opened as promised; both before anything serves. One
that can be read but takes no write, on a full disk, is opened for reading.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import structlog
from sqlalchemy import URL, Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

import mailboxes.account_tables
import mailboxes.rule_tables
import mailboxes.tables  # noqa: F401
from gateway import migrations
from gateway.directory import own
from gateway.record.journal import AnchorFile, Journal
from gateway.settings import Config
from mailboxes import addresses_in_clear, blob_mark, upkeep
from mailboxes.address_columns import seal_with
from mailboxes.blob_mark import Mark
from mailboxes.blobs import Blobs, FileBlobs, S3Blobs, place
from mailboxes.commit import Committer, Reading
from mailboxes.engine import Database, cursor_of, open_database
from mailboxes.given import make_folder
from mailboxes.keys import (
    Keyring,
    LocalMasterKey,
    MasterKey,
    WrongMasterKey,
    master_key_from_environment,
    master_key_from_file,
)
from mailboxes.notices import LocalNotices, open_notices
from mailboxes.provision import next_instance
from mailboxes.reading import PATIENCE_SECONDS
from mailboxes.seal import FRAME, NO_INSTANCE, BodyIds, Sealer
from mailboxes.sqlstore import SqlStore
from mailboxes.store import StoreEmptied, StoreError
from mailboxes.unit import Unit

S3_SECONDS = PATIENCE_SECONDS
"""How long a bucket may be silent, or go on failing, until it is away: by itself obstore tries for three minutes, and the
mail program that waits for it has given up by then, without a word why."""
ROOM_SECONDS = 1.0
"""Seconds an answer about free room is good for."""
NOBODYS = 1 << 40
"""From here on numbers are never given: by one drawn here a process without its own is told from others in notices."""
POOL_THREADS = 4
"""Threads for what is too heavy for the event loop: large messages, blobs, bulk decryption."""

log = structlog.get_logger("store")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Storage:
    """Everything durable, opened. ``ids`` hold the number of this process among those on the same database.

    The folder of large messages may lack its ``mark``: whoever cannot do without it asks for it. Where nothing could be
    written (a full disk) it serves reading; :meth:`take_number`, once that is over, has it number new messages too.
    ``volume_key`` is that of the digests of recipients (:mod:`gateway.volumes`).
    """

    config: Config
    database: Database
    master: MasterKey
    committer: Committer
    reading: Reading
    keyring: Keyring
    blobs: Blobs
    sealer: Sealer
    notices: LocalNotices
    store: SqlStore
    journal: Journal
    pool: ThreadPoolExecutor
    ids: BodyIds
    clock: Callable[[], float]
    mark: Mark
    volume_key: bytes

    @property
    def reads_only(self) -> bool:
        """Whether nothing could be written since it was opened."""
        return self.ids.instance == NO_INSTANCE

    async def take_number(self) -> None:
        """Raises :class:`mailboxes.store.StoreError` while nothing can be written."""
        self.ids.instance = await self.committer.run(lambda unit: next_instance(unit.cursor))

    async def close(self) -> None:
        """Commit what waits, then let go of everything."""
        await self.notices.close()
        await self.committer.close()
        await self.reading.close()
        self._release()

    def close_sync(self) -> None:
        """The same for a command without an event loop."""
        self.committer.close_sync()
        self.reading.close_sync()
        self._release()

    def _release(self) -> None:
        self.pool.shutdown()
        self.database.dispose()


def beside_the_keys(config: Config, work: Callable[[Unit], T]) -> T:
    """Do ``work`` in a transaction on the database alone: its keys may be those of another master key (a restored backup)."""
    database = _database(config)
    committer = Committer(database, journal=own.Publishing(Journal()), clock=time.time)
    try:
        return committer.run_sync(work)
    finally:
        committer.close_sync()
        database.dispose()


def _database(config: Config) -> Database:
    if config.store.url.startswith("sqlite:"):
        make_folder(Path(make_url(database_url(config)).database or "").parent)
    database = open_database(database_url(config))
    migrations.upgrade(database)
    return database


def storage(config: Config, *, clock: Callable[[], float] = time.time) -> Storage:
    """Open the operator's store; creates or upgrades its tables first, and seals what an older release left in clear."""
    database = _database(config)
    journal = Journal()
    committer = Committer(database, journal=own.Publishing(journal), clock=clock)
    master = master_key(config)
    keyring = Keyring(master, time.monotonic)
    try:
        _demand_ours(database, keyring, config)
        begun = _begun(database, committer, keyring, config)
        seal_with(database, begun.address_key, begun.patients.domains)
        names, words, rows = begun.names_left, begun.keywords_left, begun.patients.place
        while names is not None:
            names = committer.run_sync(partial(upkeep.seal_names, keyring=keyring, after=names))
        while words is not None:
            words = committer.run_sync(partial(upkeep.seal_keywords, keyring=keyring, after=words))
        if rows is not None and begun.instance > 1:
            time.sleep(addresses_in_clear.SETTLE)
        while rows is not None:
            rows = committer.run_sync(partial(addresses_in_clear.seal, domains=begun.patients.domains, after=rows))
    except BaseException:
        committer.close_sync()
        database.dispose()
        raise
    pool = ThreadPoolExecutor(POOL_THREADS, "pool")
    reading = Reading(database, config.store.readers)
    blobs = blob_store(config, pool, begun.mark)
    limit = min(config.store.inline_limit, FRAME)
    ids = BodyIds(begun.instance, clock)
    sealer = Sealer(keyring, blobs, ids, pool, limit, room=room(config, committer))
    notices = open_notices(database, begun.instance or NOBODYS + secrets.randbelow(NOBODYS))
    committer.announcer = notices
    store = SqlStore(committer, reading, keyring, blobs, sealer, notices, pool)
    return Storage(
        config,
        database,
        master,
        committer,
        reading,
        keyring,
        blobs,
        sealer,
        notices,
        store,
        journal,
        pool,
        ids,
        clock,
        begun.mark,
        begun.volume_key,
    )


class _Begun(NamedTuple):
    """What the first transaction of a process found; ``..._left`` is where sealing what an older release left in clear goes on."""

    instance: int
    mark: Mark
    names_left: int | None
    keywords_left: upkeep.Place | None
    patients: addresses_in_clear.Begun
    address_key: bytes
    volume_key: bytes


def _begun(database: Database, committer: Committer, keyring: Keyring, config: Config) -> _Begun:
    """Where nothing can be written, what is there may still be read, by mail programs and by whoever must mend it."""
    try:
        return committer.run_sync(lambda unit: _begin(unit, keyring, config))
    except StoreError as refused:
        try:
            with database.turn(), database.reader.connect() as connection:
                begun = _begin_reading(connection, keyring, config)
        except (StoreError, SQLAlchemyError):
            raise refused from None
        log.error("nothing_can_be_written", kind=type(refused).__name__)
        return begun


def _begin_reading(connection: Connection, keyring: Keyring, config: Config) -> _Begun:
    keyring.open(connection, 0)
    root, cursor = blob_folder(config), cursor_of(connection)
    mark = Mark(Path()) if root is None else blob_mark.kept(cursor, root)
    patients = addresses_in_clear.known(connection)
    return _Begun(
        NO_INSTANCE, mark, None, None, patients, keyring.drawn(cursor, _ADDRESSES), keyring.drawn(cursor, _VOLUMES)
    )


def _demand_ours(database: Database, keyring: Keyring, config: Config) -> None:
    """Raises :class:`StoreEmptied` for a new database where the anchors of a journal tell of one in use.

    Begun anew, the service would tell every sender for good that nobody lives here.
    """
    with database.turn(), database.reader.connect() as connection:
        known = keyring.known(connection)
    if not known and (anchors := AnchorFile(config.journal.anchor).read()):
        raise StoreEmptied(config.journal.anchor, anchors[-1][0])


def _begin(unit: Unit, keyring: Keyring, config: Config) -> _Begun:
    keyring.open(unit.connection, unit.now)
    instance = next_instance(unit.cursor)  # and with it the turn of all that begin
    own.begin(unit.connection)
    root = blob_folder(config)
    mark = Mark(Path()) if root is None else blob_mark.claim(unit.cursor, root, lambda one: place(root, one).exists())
    return _Begun(
        instance,
        mark,
        upkeep.seal_names(unit, keyring),
        upkeep.seal_keywords(unit, keyring),
        addresses_in_clear.begin(unit.connection, config.limits.patient_domains),
        keyring.drawn(unit.cursor, _ADDRESSES),
        keyring.drawn(unit.cursor, _VOLUMES),
    )


_ADDRESSES, _VOLUMES = b"caducee addresses of patients", b"caducee digests of recipients"


def database_url(config: Config) -> str:
    """SQLAlchemy's form of ``store.url``, with the password from its own place."""
    url = config.store.url
    if url.startswith("sqlite:"):
        return f"sqlite:///{url.removeprefix('sqlite:').removeprefix('///')}"
    parsed: URL = make_url(url).set(drivername="postgresql+psycopg")
    if config.store.password:
        parsed = parsed.set(password=config.store.password.read().decode())
    return parsed.render_as_string(hide_password=False)


def master_key(config: Config) -> MasterKey:
    """The operator's key. Raises :class:`WrongMasterKey` naming the setting when there is none."""
    reference = config.store.master_key
    if not reference:
        raise WrongMasterKey("store.master_key is not set: create one with `caducee config master-key FILE`")
    if reference.path is not None:
        return master_key_from_file(reference.path)
    key: LocalMasterKey = master_key_from_environment({"KEY": reference.read().decode("ascii", "replace")}, "KEY")
    return key


def volumes(config: Config) -> dict[Path, int]:
    """Octets free on each volume of this machine that the service writes to, by the folder that lies there."""
    found: dict[int, Path] = {}
    for folder in (config.service.data, _database_folder(config), blob_folder(config)):
        if folder is not None:
            found.setdefault(_there(folder).stat().st_dev, folder)
    return {folder: shutil.disk_usage(_there(folder)).free for folder in found.values()}


def flaws(config: Config) -> dict[Path, str]:
    """The volumes of :func:`volumes` on which nothing new can be made: ``read_only``, ``no_inodes`` or ``full``."""
    found = {folder: _flaw(_there(folder)) for folder in volumes(config)}
    return {folder: flaw for folder, flaw in found.items() if flaw}


NO_ROOM = 1 << 20
"""Octets free below which SQLite and its log cannot grow any more."""


def _flaw(folder: Path) -> str:
    volume = os.statvfs(folder)
    if volume.f_flag & os.ST_RDONLY or _in_emergency(folder):
        return "read_only"
    if volume.f_files and not volume.f_favail:  # some file systems count none
        return "no_inodes"
    return "full" if volume.f_bavail * volume.f_frsize < NO_ROOM else ""


def _in_emergency(folder: Path) -> bool:
    """Whether ext4 let go of a disk after an error: newer kernels go on calling it writable, and say so in one place alone."""
    device = folder.stat().st_dev
    mark = f" {os.major(device)}:{os.minor(device)} "
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return False
    return any(mark in mount and "emergency_ro" in mount.rpartition(" ")[2].split(",") for mount in mounts)


def _database_folder(config: Config) -> Path | None:
    """Where SQLite's file is; None on PostgreSQL."""
    if not config.store.url.startswith("sqlite:"):
        return None
    return Path(make_url(database_url(config)).database or ".").parent


def _there(folder: Path) -> Path:
    """The folder, or the one above it in which it will be made."""
    while not folder.exists():
        folder = folder.parent
    return folder


def room(config: Config, committer: Committer) -> Callable[[], int] | None:
    """Octets still free where this machine stores, asked of the system once a second; None when it stores elsewhere."""
    folder = _database_folder(config) or blob_folder(config)
    if folder is None:
        return None
    asked, free = -1.0, 0

    def answer() -> int:
        nonlocal asked, free
        now = time.monotonic()
        if asked < 0 or now - asked > ROOM_SECONDS:
            asked = now
            free = shutil.disk_usage(_there(folder)).free
        return free + committer.reusable_bytes

    return answer


def blob_folder(config: Config) -> Path | None:
    """Where large messages are files; None when they are in a bucket."""
    return None if config.store.blobs.startswith("s3://") else Path(config.store.blobs)


def blob_store(config: Config, pool: ThreadPoolExecutor, mark: Mark | None = None) -> Blobs:
    """A folder, or a bucket."""
    root = blob_folder(config)
    if root is not None:
        return FileBlobs(root, pool, mark)
    from obstore.store import S3Store

    bucket, _, prefix = config.store.blobs.removeprefix("s3://").partition("/")
    patience = timedelta(seconds=S3_SECONDS)
    client: dict[str, Any] = {"timeout": patience}
    options: dict[str, Any] = {
        "region": config.store.s3_region,
        "client_options": client,
        "retry_config": {"retry_timeout": patience},
    }
    if config.store.s3_endpoint:
        options["endpoint"] = config.store.s3_endpoint
        options["virtual_hosted_style_request"] = False
    if config.store.s3_access_key:
        options["access_key_id"] = config.store.s3_access_key.read().decode()
        options["secret_access_key"] = config.store.s3_secret_key.read().decode()
    if config.store.s3_endpoint.startswith("http://"):
        client["allow_http"] = True
    return S3Blobs(S3Store(bucket, **options), prefix.rstrip("/") or "bodies")
