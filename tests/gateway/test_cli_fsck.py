"""`caducee fsck`: health, faults, repair, and what the queue still needs."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text
from typer.testing import CliRunner

from gateway import compose, housekeeping
from gateway.cli import application
from gateway.cli.fsck import held_by_the_relay
from gateway.config import load
from gateway.medical import registers
from gateway.people import people
from gateway.record.journal import read
from gateway.relay.tables import queue
from mailboxes import upkeep
from mailboxes.account_tables import mailbox as mailboxes
from mailboxes.keys import create_master_key_file
from mailboxes.register import NewMailbox
from mailboxes.store import NewMessage
from mailboxes.unit import Unit
from policies.lifecycle import Step
from policies.values import BalType

CONFIG = """\
[operator]
name = "Test"
domains = ["op.mssante.test"]
hostname = "mail.op.mssante.test"
test_mode = true
[store]
master_key = "file:master.key"
"""
MESSAGE = b"From: a@op.mssante.test\r\n\r\nbonjour\r\n"

BOX = {column.name: 0 if column.type.python_type in (int, bool) else "" for column in mailboxes.columns} | {
    "id": 1,
    "local": "Labo",
    "domain": "op.mssante.test",
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    create_master_key_file(tmp_path / "master.key")
    storage = compose.storage(load(path))
    storage.committer.run_sync(lambda unit: storage.store.provision(unit, 1, 0))
    asyncio.run(storage.store.append(1, 1, [NewMessage(MESSAGE, b"summary")]))
    storage.close_sync()
    return path


def run(config: Path, *words: str) -> tuple[int, Any]:
    result = CliRunner().invoke(application, ["--config", str(config), "fsck", "--json", *words])
    return result.exit_code, json.loads(result.stdout)


def change(config: Path, statement: Any, values: Any = None) -> None:
    storage = compose.storage(load(config))
    storage.committer.run_sync(lambda unit: unit.connection.execute(statement, values or {}))
    storage.close_sync()


def test_a_healthy_store(config: Path) -> None:
    code, report = run(config, "--all")
    assert (code, report["healthy"], report["read"]) == (0, True, 1)


def test_counters_are_repaired(config: Path) -> None:
    change(config, text("UPDATE folder SET messages = 7 WHERE id = 1"))
    code, report = run(config)
    assert (code, len(report["drifts"])) == (1, 1)
    code, report = run(config, "--repair")
    assert (code, report["repaired"]["folders"]) == (0, 1)
    assert run(config)[1]["healthy"]


def test_a_lost_message_is_told_not_invented(config: Path) -> None:
    change(config, text("DELETE FROM content"))
    code, report = run(config, "--repair", "--all")
    assert code == 1
    assert report["lost"] >= 1
    change(config, insert(mailboxes), BOX)
    change(config, text("UPDATE folder SET messages = 7 WHERE id = 1"))
    shown = CliRunner().invoke(application, ["--config", str(config), "fsck", "--all"])
    assert shown.exit_code == 1
    body = report["missing_rows"][0]
    for said in (
        f"  body {body} (Labo@op.mssante.test INBOX UID 1)",
        "  Labo@op.mssante.test INBOX",
        "  Labo@op.mssante.test INBOX UID 1 (body missing)",
    ):
        assert said in shown.stdout.splitlines()


def test_a_start_seals_the_names_an_older_release_left_in_clear(config: Path) -> None:
    """Nothing of them stays in the file, and `fsck` still names the folder."""
    storage = compose.storage(load(config))
    made = asyncio.run(storage.store.create_folder(1, "Vide"))
    storage.close_sync()
    change(config, text(f"UPDATE folder SET name = 'Dupont Jean', messages = 7 WHERE id = {made.id}"))
    change(config, text("INSERT INTO subscription VALUES (1, 'Dupont Marie')"))
    change(config, text("INSERT INTO names_in_clear VALUES (1)"))
    files = [config.parent / "data" / name for name in ("caducee.db", "caducee.db-wal")]
    assert b"Dupont" in b"".join(path.read_bytes() for path in files if path.exists())
    change(config, insert(mailboxes), BOX)
    shown = CliRunner().invoke(application, ["--config", str(config), "fsck"])
    assert "  Labo@op.mssante.test Dupont Jean" in shown.stdout.splitlines()
    assert b"Dupont" not in b"".join(path.read_bytes() for path in files if path.exists())


def test_a_start_seals_the_keywords_an_older_release_left_in_clear(config: Path) -> None:
    """Nothing of them stays in the file; one that does not open is told with its message."""
    change(config, text("UPDATE entry SET flags = 'Dupont_Jean'"))
    change(config, text("INSERT INTO keywords_in_clear VALUES (1)"))
    files = [config.parent / "data" / name for name in ("caducee.db", "caducee.db-wal")]
    assert b"Dupont" in b"".join(path.read_bytes() for path in files if path.exists())
    assert run(config)[0] == 0
    assert b"Dupont" not in b"".join(path.read_bytes() for path in files if path.exists())
    storage = compose.storage(load(config))
    [entry] = asyncio.run(storage.store.snapshot(1, 1)).entries
    storage.close_sync()
    assert entry.flags == "Dupont_Jean"
    change(config, insert(mailboxes), BOX)
    change(config, text("UPDATE entry SET flags = '%AAAA'"))
    shown = CliRunner().invoke(application, ["--config", str(config), "fsck"])
    assert shown.exit_code == 1
    assert shown.stdout.splitlines()[:2] == ["unreadable labels: 1", "  Labo@op.mssante.test INBOX UID 1"]


def test_what_the_queue_needs_is_no_orphan(config: Path) -> None:
    storage = compose.storage(load(config))
    body = storage.reading.run_sync(lambda connection: connection.execute(text("SELECT body_id FROM body")).scalar())
    row: dict[str, Any] = {column.name: "" for column in queue.columns if column.name != "id"}
    numbers = (
        "size",
        "eight_bit",
        "accepted_at",
        "due_at",
        "deadline_at",
        "expires_at",
        "attempts",
        "held",
        "warned",
        "fence",
    )
    row |= dict.fromkeys(numbers, 0) | {"body_id": body, "wrapped": b"x", "message": "m"}
    storage.committer.run_sync(lambda unit: unit.connection.execute(insert(queue), [row, row]))
    assert storage.reading.run_sync(held_by_the_relay) == {body: 2}
    storage.close_sync()
    code, report = run(config)
    assert (code, report["wrong_refs"]) == (1, [[body, 1, 3]])


def uidnext(config: Path) -> int:
    storage = compose.storage(load(config))
    folder = asyncio.run(storage.store.folder(1, "INBOX"))
    storage.close_sync()
    return folder.uidnext


def test_a_restored_store_never_gives_a_uid_again(config: Path) -> None:
    before = uidnext(config)
    code, report = run(config, "--restored")
    assert (code, report["healthy"]) == (0, True)
    assert uidnext(config) == before + upkeep.UID_GAP
    storage = compose.storage(load(config))
    told = storage.reading.run_sync(read)[-1]
    storage.close_sync()
    assert (told.kind, told.detail) == ("service.store_fault", {"reference": "1 mailboxes", "what": "restored"})


def test_the_daily_round_forgets_patients_not_met_again_and_those_of_closed_mailboxes(config: Path) -> None:
    now = int(time.time())
    old, fresh = now - 181 * 86400, now - 86400
    for mailbox, at in ((1, old), (1, fresh), (0, fresh), (77, fresh)):
        mark = f"X'{mailbox:02d}{at:030d}'"
        change(config, text(f"INSERT INTO seen_patient VALUES ({mailbox}, {mark}, X'7b7d', {at})"))
    storage = compose.storage(load(config))
    asyncio.run(housekeeping.daily(storage))
    kept = storage.reading.run_sync(lambda connection: connection.execute(text("SELECT * FROM seen_patient")).all())
    assert sorted((row.mailbox_id, row.at) for row in kept) == [(0, fresh), (1, fresh)]
    storage.close_sync()


def test_the_daily_round_forgets_exchanges_too_old_to_be_answered_in(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They grew with every message to a patient, for ever (MSS-101, MSS-103)."""
    monkeypatch.setattr(registers, "CHUNK", 2)
    now = int(time.time())
    old, fresh = now - 1096 * 86400, now - 1094 * 86400
    for number, at in enumerate((old, old, fresh, old)):
        digest = f"X'{number:064x}'"
        change(config, text(f"INSERT INTO patient_conversation VALUES ({digest}, 1, {at})"))
        change(
            config, text(f"INSERT INTO patient_answer VALUES ({digest}, 'labo@op.mssante.test', 'dr@op.mssante.test')")
        )
    storage = compose.storage(load(config))
    asyncio.run(housekeeping.daily(storage))
    for table in ("patient_conversation", "patient_answer"):
        query = text(f"SELECT digest FROM {table}")
        kept = storage.reading.run_sync(lambda connection, query=query: connection.execute(query).scalars().all())
        assert [int.from_bytes(digest, "big") for digest in kept] == [2]
    storage.close_sync()


def test_the_daily_round_removes_what_is_left_of_a_deleted_mailbox(config: Path) -> None:
    """Its messages and its folders' names are noise, but its flags are in clear, and all of it is room on the disk."""
    change(config, text("INSERT INTO sqlite_sequence VALUES ('mailbox', 9)"))  # number 1 is in no register here
    storage = compose.storage(load(config))
    register = people(storage).register
    address = "gone@op.mssante.test"

    def opened(unit: Unit) -> int:
        new = NewMailbox(address, BalType.ORG, structure="399900000000018", attributes={"description": "Test"})
        return register.open(unit, new, "test")

    mailbox = storage.committer.run_sync(opened)
    asyncio.run(storage.store.append(mailbox, 1, [NewMessage(MESSAGE, b"summary")]))

    def rows() -> list[int]:
        tables = ("entry", "folder", "subscription", "mailbox_state")
        counts = " UNION ALL ".join(f"SELECT count(*) FROM {table} WHERE mailbox_id = {mailbox}" for table in tables)
        query = text(f"{counts} UNION ALL SELECT count(*) FROM content")
        return list(storage.reading.run_sync(lambda connection: connection.execute(query).scalars().all()))

    for step in (Step.CLOSE, Step.DELETE):
        asyncio.run(housekeeping.daily(storage))
        assert rows() == [1, 6, 6, 1, 2]  # a closed one may be opened again
        storage.committer.run_sync(lambda unit, step=step: register.move(unit, address, step, "left", "test"))
    asyncio.run(housekeeping.daily(storage))
    assert rows() == [0, 0, 0, 0, 1]
    purged = storage.reading.run_sync(lambda connection: read(connection, mailbox=mailbox))[-1]
    assert (purged.kind, purged.detail) == ("service.purged", {"what": "mailbox", "count": 1})
    asyncio.run(housekeeping.daily(storage))
    assert storage.reading.run_sync(lambda connection: read(connection, mailbox=mailbox))[-1] == purged
    storage.close_sync()


def test_the_daily_round_shortens_histories_and_can_be_repeated(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(config, text("INSERT INTO expunged VALUES (1, 1, 5, 1), (1, 1, 6, 2), (1, 1, 7, 3)"))
    monkeypatch.setattr(upkeep, "HISTORY", 1)
    storage = compose.storage(load(config))
    for _ in range(2):
        assert asyncio.run(housekeeping.daily(storage)) == 0
        kept = storage.reading.run_sync(
            lambda connection: connection.execute(text("SELECT modseq FROM expunged")).all()
        )
        assert [row[0] for row in kept] == [7]
    storage.close_sync()
