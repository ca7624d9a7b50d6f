"""A mailbox closed for good stays closed in every backup, and the others come back (crypto-erasure)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.engine import Database, open_database
from mailboxes.key_export import Outdated, export_keys, import_keys
from mailboxes.keys import Keyring, LocalMasterKey, WrongMasterKey, unwrap_key, wrap_key
from mailboxes.store import MailboxGone

OLD = LocalMasterKey(b"o" * 32)
NEW = LocalMasterKey(b"n" * 32)
DATA_KEY = b"d" * 32


def at(path: Path) -> Database:
    return open_database(f"sqlite:///{path}")


@pytest.fixture(scope="module")
def opened() -> Iterator[Database]:
    """A database whose keyring was opened once."""
    database = open_database("sqlite://")
    database.create_tables()
    with database.writer.begin() as connection:
        Keyring(OLD, lambda: 0.0).open(connection, 0)
    yield database
    database.dispose()


def test_a_backup_comes_back_without_the_mailboxes_closed_since(tmp_path: Path) -> None:
    live, backup = tmp_path / "live.db", tmp_path / "backup.db"
    database = at(live)
    database.create_tables()
    ring = Keyring(OLD, lambda: 0.0)
    with database.writer.begin() as connection:
        ring.open(connection, 0)
        for mailbox_id in (1, 2):
            ring.create(connection, mailbox_id, 0)
        wrapped = {one: wrap_key(ring.key(connection, one), DATA_KEY, one, 9) for one in (1, 2)}
    shutil.copyfile(live, backup)

    with database.writer.begin() as connection:  # the operator closes mailbox 1 for good
        ring.destroy(connection, 1)
        ring.rewrap(connection, NEW)
        exported = export_keys(connection, 10.0, {"register": b"wrapped"})

    restored = at(backup)
    with restored.writer.begin() as connection:
        with pytest.raises(WrongMasterKey):  # the old master key is destroyed; the new one opens nothing here
            Keyring(NEW, lambda: 0.0).open(connection, 0)
        assert import_keys(connection, exported) == (2, {"register": b"wrapped"})
        after = Keyring(NEW, lambda: 0.0)
        after.open(connection, 0)
        assert unwrap_key(after.key(connection, 2), wrapped[2], 2, 9) == DATA_KEY
        with pytest.raises(MailboxGone):
            after.key(connection, 1)


def test_an_export_shows_no_key(opened: Database) -> None:
    with opened.writer.begin() as connection:
        data = export_keys(connection, 10.0)
    assert b"b29vb29v" not in data  # the master key in base64
    assert json.loads(data)["format"] == 1


@given(
    st.binary(max_size=50)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_what_is_not_an_export_is_refused_and_changes_nothing(opened: Database, junk: bytes) -> None:
    with opened.writer.begin() as connection:
        before = export_keys(connection, 10.0)
        with pytest.raises(ValueError, match=r".+"):
            import_keys(connection, junk)
        assert export_keys(connection, 10.0) == before


def test_an_export_older_than_a_key_is_refused(tmp_path: Path) -> None:
    """A mailbox made since would lose its mail."""
    database = at(tmp_path / "live.db")
    database.create_tables()
    ring = Keyring(OLD, lambda: 0.0)
    with database.writer.begin() as connection:
        ring.open(connection, 0)
        exported = export_keys(connection, 10.0)
        ring.create(connection, 1, 10.0)
        before = export_keys(connection, 11.0)
        with pytest.raises(Outdated):
            import_keys(connection, exported)
        assert export_keys(connection, 11.0) == before
        assert import_keys(connection, before).number == 2
    database.dispose()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"check": "?"},
        {"keys": [[1]]},
        {"keys": [[1, "??", 0]]},
        {"at": "now"},
        {"also": [1]},
        {"also": {"register": "?"}},
    ],
)
def test_a_damaged_export_is_refused(opened: Database, change: dict[str, object]) -> None:
    with opened.writer.begin() as connection:
        damaged = json.dumps(json.loads(export_keys(connection, 10.0)) | change).encode()
        with pytest.raises(ValueError, match=r".+"):
            import_keys(connection, damaged)
