"""What is counted, how processes tell one another, and that Prometheus reads it (TOU-E10)."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert

from gateway.monitoring.counts import DOMAINS, OTHER, Counts, Hour, Spread
from gateway.monitoring.exposition import exposition
from gateway.monitoring.figures import DESTINATIONS, Figures, waiting_in
from gateway.monitoring.monitoring import Monitoring
from gateway.monitoring.telling import FORGOTTEN, SILENT, Teller, living, read
from gateway.relay.tables import queue
from mailboxes.commit import Committer, NoJournal
from mailboxes.engine import open_database
from mailboxes.schema import metadata
from policies.events import Event, Kind

ADDRESS = "jeanne.patiente@patient.mssante.test"


def handed_over(domain: str) -> Event:
    return Event(Kind.HANDED_OVER, recipient=f"bob@{domain}", detail={"host": f"mx.{domain}"})


def some_of_each() -> list[Event]:
    decision = ["rcpt", ADDRESS, "recipient.unknown", {}, ADDRESS]
    return [
        Event(Kind.MESSAGE_ACCEPTED, detail={"door": "inbound", "sender": ADDRESS, "ip": "192.0.2.1"}),
        Event(Kind.MESSAGE_REFUSED, detail={"door": "submission", "decisions": [decision], "recipients": [ADDRESS]}),
        Event(Kind.PEER_REFUSED, detail={"door": "inbound", "rule": "trust.not_listed", "ip": "192.0.2.1"}),
        handed_over("op-b.mssante.test"),
        Event(Kind.DEFERRED, recipient=ADDRESS, detail={"rule": "relay.connect_failed", "reply": ADDRESS}),
        Event(Kind.FAILED, recipient=ADDRESS, detail={"rule": "relay.refused", "reply": ADDRESS}),
        Event(Kind.EXPIRED, recipient=ADDRESS, detail={"reply": ADDRESS}),
        Event(Kind.NOTICE, recipient=ADDRESS),
    ]


def told_by(counts: Counts, name: str = "all-0") -> dict[str, Any]:
    other = {"process": name, "doors": {"imaps": 3}, "cpu": 1.5, "resident": 1 << 20, "started": 1.0, "age": 0.0}
    return {**counts.told(), **other}


def samples(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(page.decode())
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for each in families for one in each.samples}


def test_each_thing_is_counted_under_its_door_and_rule_and_no_address_is_told() -> None:
    counts = Counts()
    counts.committed(some_of_each(), 0.004)
    counts.imap_command("FETCH")
    counts.answered("https", 200)
    page = exposition([told_by(counts)], Figures(queue={"op-b.mssante.test": 2}, oldest=7.0))
    found = samples(page)
    by_process = ("process", "all-0")
    for name, labels in (
        ("caducee_messages_accepted_total", [("door", "inbound")]),
        ("caducee_refusals_total", [("door", "submission"), ("rule", "recipient.unknown")]),
        ("caducee_refusals_total", [("door", "inbound"), ("rule", "trust.not_listed")]),
        ("caducee_recipients_handed_over_total", [("domain", "op-b.mssante.test")]),
        ("caducee_attempts_deferred_total", [("rule", "relay.connect_failed")]),
        ("caducee_recipients_failed_total", [("rule", "relay.refused")]),
        ("caducee_recipients_failed_total", [("rule", "message.expired")]),
        ("caducee_imap_commands_total", [("command", "FETCH")]),
        ("caducee_http_answers_total", [("door", "https"), ("status", "200")]),
        ("caducee_commit_seconds_count", []),
        ("caducee_commit_seconds_bucket", [("le", "0.005")]),
    ):
        assert found[name, tuple(sorted([*labels, by_process]))] == 1, name
    assert found["caducee_commit_seconds_bucket", tuple(sorted([("le", "0.002"), by_process]))] == 0
    assert found["caducee_sessions", tuple(sorted([("door", "imaps"), by_process]))] == 3
    assert found["caducee_queue_recipients", (("domain", "op-b.mssante.test"),)] == 2
    assert b"@" not in page
    assert b"192.0.2" not in page
    assert counts.told()["hour"] == [1, 2, 1]


def test_partners_cannot_make_labels_without_end() -> None:
    counts = Counts()
    counts.committed([handed_over(f"d{number}.mssante.test") for number in range(10 * DOMAINS)], 0.001)
    assert len(counts.handed_over) == DOMAINS + 1
    assert counts.handed_over[OTHER] == 9 * DOMAINS


def test_an_hour_forgets_what_is_older() -> None:
    now = [0.0]
    hour = Hour(lambda: now[0])
    for minute in range(0, 90, 10):
        now[0] = minute * 60.0
        hour.add(0)
    assert hour.told()[0] == 6
    now[0] = 1e6
    assert hour.told() == [0, 0, 0]


def test_a_spread_counts_at_its_bounds() -> None:
    spread = Spread((0.1, 1.0))
    for seconds in (0.1, 0.2, 5.0):
        spread.add(seconds)
    assert spread.counts == [1, 1, 1]


def test_what_is_durable_is_counted_and_what_is_undone_is_not(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'x.db'}")
    committer = Committer(database, journal=NoJournal(), clock=time.time)
    committer.meter = counts = Counts()
    try:
        committer.run_sync(lambda unit: unit.emit(Event(Kind.NOTICE)))
        with pytest.raises(ZeroDivisionError):
            committer.run_sync(lambda unit: (unit.emit(Event(Kind.NOTICE)), 1 // 0))
    finally:
        committer.close_sync()
        database.dispose()
    assert counts.events == {"message.notice": 1}
    assert sum(counts.commits.counts) == 1


def test_a_meter_that_fails_fails_no_commit(tmp_path: Path) -> None:
    class Broken:
        def committed(self, events: object, seconds: float) -> None:
            raise ValueError

    database = open_database(f"sqlite:///{tmp_path / 'x.db'}")
    committer = Committer(database, journal=NoJournal(), clock=time.time)
    committer.meter = Broken()
    try:
        assert committer.run_sync(lambda _unit: 7) == 7
    finally:
        committer.close_sync()
        database.dispose()


# telling


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "processes"


def teller(folder: Path, *roles: str) -> Teller:
    return Teller(folder, roles, lambda: {"doors": {}})


def test_any_process_answers_for_all_and_each_keeps_its_name(folder: Path) -> None:
    both = [teller(folder, "imap"), teller(folder, "imap"), teller(folder, "inbound", "imap")]
    for each in both:
        each.tell()
    assert [each.name for each in both] == ["imap-0", "imap-1", "all-0"]
    assert {each["process"] for each in both[1].everyone()} == {"imap-0", "imap-1", "all-0"}
    assert both[1].everyone()[0]["process"] == "imap-1"
    both[0].leave()
    assert {each["process"] for each in both[1].everyone()} == {"imap-1", "all-0"}
    again = teller(folder, "imap")
    again.tell()
    assert again.name == "imap-0"


KILLED = """
import sys, time
from pathlib import Path
from gateway.monitoring.telling import Teller
Teller(Path(sys.argv[1]), ["imap"], lambda: {"doors": {}}).tell()
print("told", flush=True)
time.sleep(600)
"""


def test_one_that_was_killed_is_seen_to_be_silent_and_its_name_is_taken_again(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "told\n"
        other = teller(folder, "imap")
        other.tell()
        assert other.name == "imap-1"
        process.send_signal(signal.SIGKILL)
    _aged(folder / "imap-0.json", SILENT + 1)
    assert [each["process"] for each in living(other.everyone())] == ["imap-1"]
    assert len(other.everyone()) == 2
    _aged(folder / "imap-0.json", FORGOTTEN + 1)
    assert len(other.everyone()) == 1
    heir = teller(folder, "imap")
    heir.tell()
    assert heir.name == "imap-0"


def _aged(path: Path, seconds: float) -> None:
    said = json.loads(path.read_bytes())
    path.write_text(json.dumps(said | {"at": time.time() - seconds}), "utf-8")


@pytest.mark.parametrize("held", [b"", b"{", b"[]", b'{"process": 3, "at": 1}', b'{"at": "x"}', bytes(1 << 21)])
def test_a_file_that_says_nothing_is_passed_over(folder: Path, held: bytes) -> None:
    own = teller(folder, "imap")
    own.tell()
    (folder / "other-0.json").write_bytes(held)
    assert [each["process"] for each in own.everyone()] == ["imap-0"]


def test_where_nothing_can_be_written_a_process_tells_of_itself(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    own = Teller(tmp_path / "file" / "processes", ["imap"], lambda: {"doors": {"imap": 2}})
    assert [(each["process"], each["doors"]) for each in own.everyone()] == [("imap", {"imap": 2})]
    assert read(tmp_path / "file") == []


def test_who_left_tells_no_more(folder: Path) -> None:
    """The thread that tells may come last: the file it left behind was missed as that of a process killed."""
    own = teller(folder, "imap")
    own.tell()
    own.leave()
    own.tell()
    assert list(folder.glob("*.json")) == []


async def test_a_process_tells_what_it_is(folder: Path) -> None:
    made = Monitoring(folder, ["imap"])
    made.counts.imap_command("NOOP")
    (own,) = await made.everyone()
    assert own["imap"] == {"NOOP": 1}
    assert own["resident"] > 1 << 20
    assert own["cpu"] > 0
    made.leave()
    assert list(folder.glob("*.json")) == []


# the store


@pytest.fixture
def committer(tmp_path: Path) -> Iterator[Committer]:
    database = open_database(f"sqlite:///{tmp_path / 'x.db'}")
    with database.writer.begin() as connection:
        metadata.create_all(connection)
    made = Committer(database, journal=NoJournal(), clock=time.time)
    yield made
    made.close_sync()
    database.dispose()


def _rows(domain: str, count: int, at: float) -> list[dict[str, Any]]:
    plain: dict[str, Any] = {
        column.name: b"" if column.name == "wrapped" else 0 if "INT" in str(column.type).upper() else ""
        for column in queue.columns
        if column.name != "id"
    }
    times = dict.fromkeys(("accepted_at", "due_at", "deadline_at", "expires_at"), at)
    return [{**plain, **times, "domain": domain} for _ in range(count)]


def test_the_queue_is_counted_by_its_longest_destinations(committer: Committer) -> None:
    rows = [row for number in range(DESTINATIONS + 5) for row in _rows(f"d{number:02}.test", 30 - number, 5.0 + number)]
    committer.run_sync(lambda unit: unit.connection.execute(insert(queue), rows))
    told, oldest = committer.run_sync(lambda unit: waiting_in(unit.connection))
    assert oldest == 5.0
    assert told["d00.test"] == 30
    assert len(told) == DESTINATIONS + 1
    assert sum(told.values()) == len(rows)


@pytest.mark.client
def test_promtool_finds_nothing_to_say(tmp_path: Path) -> None:
    """The judge of the format and of names is Prometheus's own."""
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed")
    counts = Counts()
    counts.committed(some_of_each(), 0.004)
    counts.lag.add(0.1)
    figures = Figures(
        queue={"op-b.mssante.test": 2},
        database=1,
        free={"/var": 1},
        list_age=1.0,
        revocation_left={"CN=x": 2.0},
        certificate_left={'CN="y"\\': 3.0},
        anchor_age=1.0,
        extraction_age=1.0,
    )
    page = exposition([told_by(counts), told_by(counts, "imap-1")], figures)
    judged = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False, timeout=60)
    assert (judged.returncode, judged.stdout + judged.stderr) == (0, b"")


def test_a_process_of_another_release_spoils_no_answer() -> None:
    assert b"caducee_process" in exposition([told_by(Counts()), {"process": "imap-0", "age": 0.0}], Figures())
