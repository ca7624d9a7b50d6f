"""Keys: the right master or none (F15), wrapped keys bound to their place, destroyed keys forgotten everywhere."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from mailboxes.engine import Database, cursor_of, heal, open_database
from mailboxes.keys import (
    CACHED_KEYS,
    FORGET_SECONDS,
    QUEUE,
    Keyring,
    LocalMasterKey,
    MasterKey,
    WrongMasterKey,
    create_master_key_file,
    master_key_from_environment,
    master_key_from_file,
    new_master_key,
    open_value,
    seal_value,
    unwrap_key,
    wrap_key,
)
from mailboxes.store import Corrupted, MailboxGone
from mailboxes.tables import mailbox_key, master_check

MASTER = LocalMasterKey(b"m" * 32)
OTHER = LocalMasterKey(b"o" * 32)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database() -> Database:
    opened = open_database("sqlite://")
    opened.create_tables()
    return opened


def keyring(master: MasterKey = MASTER, clock: Clock | None = None, limit: int = CACHED_KEYS) -> Keyring:
    return Keyring(master, clock or Clock(), limit)


# the master key


def test_a_master_key_file_is_private_and_written_once(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    made = create_master_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        create_master_key_file(path)
    assert master_key_from_file(path).unwrap(made.wrap(b"x" * 32, b"c"), b"c") == b"x" * 32


def test_a_master_key_is_on_disk_before_it_wraps_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name too: what a power cut takes with the folder, no backup of the database brings back."""
    synced: list[Path] = []
    monkeypatch.setattr("os.fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").readlink()))
    create_master_key_file(tmp_path / "master.key")
    assert synced == [tmp_path / "master.key", tmp_path]


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0, "cannot read"),
        (base64.b64encode(b"k" * 32), 0o644, "other users"),
        (base64.b64encode(b"k" * 32), 0o660, "other users"),
        (b"not base64 !", 0o600, "base64"),
        (base64.b64encode(b"k" * 31), 0o600, "31 bytes"),
        (b"", 0o600, "0 bytes"),
    ],
)
def test_a_master_key_file_that_does_not_do_is_refused(
    tmp_path: Path, content: bytes | None, mode: int, words: str
) -> None:
    path = tmp_path / "master.key"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    with pytest.raises(WrongMasterKey, match=words):
        master_key_from_file(path)


def test_a_master_key_comes_from_the_environment_too() -> None:
    key = new_master_key()
    given_by = {"CADUCEE_MASTER_KEY": base64.b64encode(key).decode()}
    wrapped = LocalMasterKey(key).wrap(b"x" * 32, b"c")
    assert master_key_from_environment(given_by).unwrap(wrapped, b"c") == b"x" * 32
    with pytest.raises(WrongMasterKey, match="not set"):
        master_key_from_environment({})
    with pytest.raises(WrongMasterKey):
        LocalMasterKey(b"short")


def test_a_master_key_shows_nothing_of_itself() -> None:
    assert "6d6d6d" not in repr(MASTER)
    assert b"m" * 32 not in MASTER.wrap(b"x" * 32, b"c")


def test_what_another_master_wrapped_or_for_another_context_is_refused() -> None:
    wrapped = MASTER.wrap(b"x" * 32, b"here")
    for master, context in ((OTHER, b"here"), (MASTER, b"there")):
        with pytest.raises(Corrupted):
            master.unwrap(wrapped, context)


# start (F15)


def test_a_database_accepts_only_the_master_it_was_written_with(database: Database) -> None:
    with database.writer.begin() as connection:
        keyring().open(connection, 0)
        keyring().open(connection, 0)
        with pytest.raises(WrongMasterKey, match="not the master key"):
            keyring(OTHER).open(connection, 0)


def test_a_database_with_keys_and_no_check_is_refused(database: Database) -> None:
    with database.writer.begin() as connection:
        keyring().open(connection, 0)
        connection.execute(delete(master_check))
        with pytest.raises(WrongMasterKey, match="backup"):
            keyring().open(connection, 0)


def test_rewrapping_changes_the_master_and_nothing_else(database: Database) -> None:
    with database.writer.begin() as connection:
        ring = keyring()
        ring.open(connection, 0)
        ring.create(connection, 7, 0)
        wrapped = wrap_key(ring.key(connection, 7), b"d" * 32, 7, 1)
        drawn = ring.drawn(cursor_of(connection), b"a")
        assert ring.rewrap(connection, OTHER) == 2
        with pytest.raises(WrongMasterKey):
            keyring().open(connection, 0)
        after = keyring(OTHER)
        after.open(connection, 0)
        assert unwrap_key(after.key(connection, 7), wrapped, 7, 1) == b"d" * 32
        assert after.drawn(cursor_of(connection), b"a") == drawn != after.drawn(cursor_of(connection), b"b")


# mailbox keys


def test_a_mailbox_has_one_key_for_life(database: Database) -> None:
    with database.writer.begin() as connection:
        ring = keyring()
        ring.create(connection, 7, 0)
        with pytest.raises(Exception, match="UNIQUE"):
            ring.create(connection, 7, 0)
        ring.key(connection, 7)
        assert ring.destroy(connection, 7)
        assert not ring.destroy(connection, 7)
        assert ring.cached(7) is None
        with pytest.raises(MailboxGone):
            ring.key(connection, 7)


def test_a_destroyed_key_leaves_no_bytes_in_the_file(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/x.db")
    database.create_tables()
    ring = keyring()
    with database.writer.begin() as connection:
        ring.open(connection, 0)
        for mailbox_id in range(1, 30):
            ring.create(connection, mailbox_id, 0)
        wrapped = connection.execute(select(mailbox_key.c.wrapped).where(mailbox_key.c.mailbox_id == 7)).scalar_one()
    with database.writer.begin() as connection:
        ring.destroy(connection, 7)
    heal(database, None).close()  # empties the log into the file
    assert (tmp_path / "x.db").read_bytes().count(wrapped) == 0


def test_a_key_destroyed_elsewhere_is_forgotten_within_a_minute(database: Database) -> None:
    clock = Clock()
    with database.writer.begin() as connection:
        here, there = keyring(clock=clock), keyring(clock=clock)
        here.open(connection, 0)
        here.create(connection, 7, 0)
        here.key(connection, 7)
        there.destroy(connection, 7)
        assert here.cached(7) is not None
        clock.now += FORGET_SECONDS
        assert FORGET_SECONDS < 60
        assert here.cached(7) is None
        with pytest.raises(MailboxGone):
            here.key(connection, 7)
        assert here.cached(QUEUE) is not None


def test_the_keys_kept_in_memory_are_bounded(database: Database) -> None:
    with database.writer.begin() as connection:
        ring = keyring(limit=3)
        ring.open(connection, 0)
        for mailbox_id in range(1, 8):
            ring.create(connection, mailbox_id, 0)
            ring.key(connection, mailbox_id)
        assert sum(ring.cached(mailbox_id) is not None for mailbox_id in range(8)) <= 3
        assert ring.cached(QUEUE) is not None


def test_a_mailbox_key_moved_to_another_mailbox_is_refused(database: Database) -> None:
    with database.writer.begin() as connection:
        ring = keyring()
        for mailbox_id in (1, 2):
            ring.create(connection, mailbox_id, 0)
        stolen = connection.execute(select(mailbox_key.c.wrapped).where(mailbox_key.c.mailbox_id == 1)).scalar()
        connection.execute(update(mailbox_key).where(mailbox_key.c.mailbox_id == 2).values(wrapped=stolen))
        with pytest.raises(Corrupted):
            ring.key(connection, 2)


# message keys


def test_a_wrapped_key_opens_only_in_its_place() -> None:
    cipher, other = AESGCM(b"1" * 32), AESGCM(b"2" * 32)
    wrapped = wrap_key(cipher, b"d" * 32, 7, 42)
    assert len(wrapped) == 61
    assert unwrap_key(cipher, wrapped, 7, 42) == b"d" * 32
    for mailbox_id, body_id in ((8, 42), (7, 43)):
        with pytest.raises(Corrupted):
            unwrap_key(cipher, wrapped, mailbox_id, body_id)
    with pytest.raises(Corrupted):
        unwrap_key(other, wrapped, 7, 42)
    with pytest.raises(Corrupted):
        unwrap_key(cipher, b"\x02" + wrapped[1:], 7, 42)


@given(st.binary(max_size=80))
def test_no_bytes_make_unwrapping_do_anything_but_refuse(junk: bytes) -> None:
    with pytest.raises(Corrupted):
        unwrap_key(AESGCM(b"1" * 32), junk, 7, 42)
    with pytest.raises(Corrupted):
        MASTER.unwrap(junk, b"c")
    with pytest.raises(Corrupted):
        open_value(AESGCM(b"1" * 32), junk, b"c")


def test_a_value_opens_only_in_its_context() -> None:
    cipher = AESGCM(b"1" * 32)
    sealed = seal_value(cipher, b"comment", b"1/2/x")
    assert open_value(cipher, sealed, b"1/2/x") == b"comment"
    with pytest.raises(Corrupted):
        open_value(cipher, sealed, b"1/2/y")
