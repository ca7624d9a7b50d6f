"""``caducee queue`` and ``caducee track`` on a real store."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from gateway import compose
from gateway.admin.derive import derive
from gateway.cli import application
from gateway.config import load
from gateway.config_document import render
from gateway.relay import queue, tracking
from gateway.relay.queue import Queued
from gateway.relay.tracking import Followed
from mailboxes import body_rows
from mailboxes.commit import Unit
from policies.events import Event, Kind
from policies.receipts import State
from policies.retry import Schedule
from policies.values import DsnRequest


@pytest.fixture
def config(tmp_path: Path) -> Path:
    key = tmp_path / "master.key"
    key.write_text(base64.b64encode(os.urandom(32)).decode())
    key.chmod(0o600)
    values = {
        ("store", "url"): f"sqlite:{tmp_path}/c.db",
        ("store", "blobs"): f"{tmp_path}/blobs",
        ("store", "master_key"): f"file:{key}",
    }
    path = tmp_path / "config.toml"
    path.write_text(derive(render(), values))
    fill(path)
    return path


def fill(path: Path) -> None:
    """Two messages: one for two recipients of B, one for one of C."""
    storage = compose.storage(load(path))
    try:
        asyncio.run(_fill(storage))
    finally:
        storage.close_sync()


async def _fill(storage: compose.Storage) -> None:
    for message, recipients in (("A" * 26, ["b1@op-b.test", "b2@op-b.test"]), ("B" * 26, ["c@op-c.test"])):
        sealed = await storage.sealer.seal(b"Subject: x\r\n\r\ny\r\n", b"")
        wrapped = storage.sealer.wrap(sealed, 0)
        rows = [
            Queued(
                message,
                sealed.body_id,
                wrapped,
                sealed.size,
                "a@op-a.test",
                recipient,
                recipient.partition("@")[2],
                DsnRequest(),
            )
            for recipient in recipients
        ]
        follow = [
            Followed(message, recipient, 7, "a@op-a.test", f"{message}@x", "", "mssante", frozenset({"delivery"}))
            for recipient in recipients
        ]

        def accept(unit: Unit, sealed: Any = sealed, rows: Any = rows, follow: Any = follow) -> None:
            storage.store.put_body(unit, [sealed])
            body_rows.hold(unit.cursor, [sealed.body_id] * len(rows))
            queue.enqueue(unit, rows, Schedule())
            tracking.follow(unit, follow, 3600.0)
            tracking.note(unit, rows[0].message, rows[0].recipient, State.HANDED_OVER)

        await storage.committer.run(accept)


def run(config: Path, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(application, ["-c", str(config), "--lang", "en", *words])
    assert result.exit_code == code, result.output
    return result.output


def listed(config: Path, *words: str) -> list[tuple[str, str]]:
    found = json.loads(run(config, "queue", "list", "--json", *words))
    return [(row["recipient"], row["state"]) for row in found["rows"]]


def test_list_shows_rows_and_destinations(config: Path) -> None:
    text = run(config, "queue", "list")
    assert text.count("\n") == 4
    assert "c@op-c.test" in text
    assert listed(config, "--domain", "op-c.test") == [("c@op-c.test", "waiting")]
    assert json.loads(run(config, "queue", "list", "--limit", "1", "--json"))["total"] == 3
    found = json.loads(run(config, "queue", "list", "--destinations", "--json"))
    assert [(line["domain"], line["rows"]) for line in found] == [("op-b.test", 2), ("op-c.test", 1)]


def test_hold_release_and_retry(config: Path) -> None:
    assert json.loads(run(config, "queue", "hold", "--domain", "op-b.test", "--json")) == {"selected": 2, "done": 2}
    assert [state for _, state in listed(config)] == ["held", "held", "waiting"]
    assert len(listed(config, "--held")) == 2
    run(config, "queue", "release", "A" * 26)
    assert [state for _, state in listed(config)] == ["waiting"] * 3
    assert json.loads(run(config, "queue", "retry", "--all", "--json")) == {"selected": 3, "done": 3}


def test_show_tells_what_is_known(config: Path) -> None:
    rows = json.loads(run(config, "queue", "show", "A" * 26, "--json"))
    assert [row["recipient"] for row in rows] == ["b1@op-b.test", "b2@op-b.test"]
    assert "a@op-a.test" in run(config, "queue", "show", str(rows[0]["id"]))
    run(config, "queue", "show", "Z" * 26, code=1)


def test_show_says_why_a_row_waits_in_words(config: Path) -> None:
    """The name of the rule alone told an operator nothing."""
    storage = compose.storage(load(config))
    why = update(queue.queue).where(queue.queue.c.recipient == "c@op-c.test").values(rule="relay.unreachable")
    storage.committer.run_sync(lambda unit: unit.connection.execute(why))
    storage.close_sync()
    shown = run(config, "queue", "show", "B" * 26)
    assert "The server op-c.test does not answer." in shown
    assert "[relay.unreachable]" in shown


def test_drop_asks_first_and_nothing_chosen_is_a_usage_error(config: Path) -> None:
    run(config, "queue", "drop", "--all", code=1)
    assert len(listed(config)) == 3
    assert json.loads(run(config, "queue", "drop", "--to", "c@op-c.test", "--yes", "--json"))["done"] == 1
    assert len(listed(config)) == 2
    run(config, "queue", "retry", code=2)


def test_track_shows_recipients_and_steps(config: Path) -> None:
    found = json.loads(run(config, "track", "A" * 26, "--json"))
    assert [(line["recipient"], line["state"]) for line in found["recipients"]] == [
        ("b1@op-b.test", "handed_over"),
        ("b2@op-b.test", "queued"),
    ]
    assert [step["kind"] for step in found["steps"]] == ["message.queued", "message.queued"]
    text = run(config, "track", f"<{'A' * 26}@x>")
    assert "b2@op-b.test" in text
    run(config, "track", "Z" * 26, code=1)


def test_explain_and_track_tell_of_a_hold(config: Path) -> None:
    """The operator asks about one message, not about the queue."""
    run(config, "queue", "hold", "A" * 26)
    assert [step["kind"] for step in json.loads(run(config, "track", "A" * 26, "--json"))["steps"]][-2:] == [
        "message.held"
    ] * 2
    run(config, "queue", "release", "--to", "b2@op-b.test")
    assert "message.released  b2@op-b.test" in run(config, "explain", "A" * 26)


def test_explain_says_when_the_next_attempt_is_as_a_time(config: Path) -> None:
    storage = compose.storage(load(config))
    detail = {"host": "mx", "reply": "451", "rule": "relay.partner_deferred", "attempt": 1, "next": 1795788000}
    event = Event(Kind.DEFERRED, message="A" * 26, recipient="b1@op-b.test", detail=detail)
    try:
        asyncio.run(storage.committer.run(lambda unit: unit.emit(event)))
    finally:
        storage.close_sync()
    assert "next=2026-11-27T14:00:00+00:00" in run(config, "explain", "A" * 26)


def test_a_step_is_explained_with_its_rule(config: Path) -> None:
    """Why a recipient failed or waits is the rule of that step, and the reply may be empty."""
    run(config, "queue", "drop", "--to", "c@op-c.test", "--yes")
    assert "rule=relay.dropped" in run(config, "explain", "B" * 26)


def test_a_patient_is_found_after_his_domain_was_named_and_the_master_key_replaced(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C becomes a domain of patients: its rows are sealed at the next start, and open with each key the operator has later."""
    monkeypatch.setattr("mailboxes.addresses_in_clear.SETTLE", 0.0)

    def rows() -> str:
        with closing(sqlite3.connect(config.with_name("c.db"))) as connection:
            return "\n".join(line for line in connection.iterdump() if "journal" not in line)

    def found() -> None:
        assert listed(config, "--to", "c@op-c.test") == [("c@op-c.test", "waiting")]
        assert "c@op-c.test" in run(config, "track", "B" * 26)
        assert "c@op-c.test" in run(config, "explain", "B" * 26)
        assert "c@op-c.test" not in rows()

    assert "c@op-c.test" in rows()
    config.write_text(
        derive(config.read_text(encoding="utf-8"), {("limits", "patient_domains"): ["op-c.test"]}), encoding="utf-8"
    )
    found()
    new, keys = config.with_name("new.key"), config.with_name("keys.json")
    run(config, "config", "rotate-key", str(new), "--yes")
    config.write_text(
        derive(config.read_text(encoding="utf-8"), {("store", "master_key"): f"file:{new}"}), encoding="utf-8"
    )
    found()
    run(config, "config", "export-keys", str(keys))
    run(config, "config", "import-keys", str(keys), "--yes")
    found()
    config.write_text(derive(config.read_text(encoding="utf-8"), {("limits", "patient_domains"): []}), encoding="utf-8")
    found()  # what was sealed once stays so
    run(config, "queue", "hold", "--to", "c@op-c.test")
    run(config, "queue", "drop", "--to", "c@op-c.test", "--yes")
    assert listed(config, "--domain", "op-c.test") == []
    assert '"c@op-c.test"' in run(config, "journal", "list", "--message", "B" * 26, "--json")
    assert json.loads(run(config, "journal", "verify", "--json"))["intact"]
    assert "c@op-c.test" not in rows()
