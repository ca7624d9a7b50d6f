"""The journal: what is recorded is chained, and every way of tampering is found at its place (F35)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import StaticPool

from gateway.record import journal
from gateway.record.tables import journal as journal_table
from gateway.record.tables import journal_head, journal_segment
from policies.events import Event, Kind

TABLES = [journal_table, journal_head, journal_segment]


def events(count: int, start: int = 0) -> list[Event]:
    return [
        Event(Kind.DELIVERED, "system", f"M{number:025d}", "a@op-a.mssante.test", 7, {"folder": "INBOX", "uid": number})
        for number in range(start, start + count)
    ]


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as opened:
        for table in TABLES:
            table.create(opened)
        yield opened
    engine.dispose()


def filled(connection: Connection, count: int = 30) -> None:
    for start in range(0, count, 3):
        journal.Journal().append(connection, events(3, start), 1_700_000_000.0 + start)


def test_an_untouched_chain_verifies(connection: Connection) -> None:
    assert journal.verify(connection) is None
    filled(connection)
    assert journal.verify(connection) is None
    assert [record.seq for record in journal.read(connection, mailbox=7)] == list(range(1, 31))


def test_records_of_one_message_are_read_back_as_written(connection: Connection) -> None:
    filled(connection)
    (record,) = journal.read(connection, message=f"M{4:025d}")
    assert (record.kind, record.detail, record.recipient) == (
        "message.delivered",
        {"folder": "INBOX", "uid": 4},
        "a@op-a.mssante.test",
    )


@pytest.mark.parametrize(
    ("statement", "what", "seq"),
    [
        ("UPDATE journal SET actor = 'sysTem' WHERE seq = 12", "edited", 12),
        ("UPDATE journal SET detail = replace(detail, '13', '14') WHERE seq = 14", "edited", 14),
        ("UPDATE journal SET at = at + 1 WHERE seq = 3", "edited", 3),
        ("DELETE FROM journal WHERE seq = 20", "missing", 20),
        ("DELETE FROM journal WHERE seq > 25", "tail", 26),
        ("UPDATE journal SET seq = seq + 1000 WHERE seq = 30", "missing", 30),
    ],
)
def test_tampering_is_found_at_its_place(connection: Connection, statement: str, what: str, seq: int) -> None:
    """MSS-144."""
    filled(connection)
    connection.execute(text(statement))
    assert journal.verify(connection) == journal.Break(seq, what)


def test_two_swapped_rows_are_found(connection: Connection) -> None:
    filled(connection)
    for old, new in ((10, -1), (11, 10), (-1, 11)):
        connection.execute(text(f"UPDATE journal SET seq = {new} WHERE seq = {old}"))
    assert journal.verify(connection) == journal.Break(10, "edited")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(position=st.integers(0, 29), bit=st.integers(0, 255))
def test_any_flipped_bit_of_a_hash_is_found(position: int, bit: int) -> None:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as connection:
        for table in TABLES:
            table.create(connection)
        filled(connection)
        row = connection.execute(text("SELECT hash FROM journal WHERE seq = :s"), {"s": position + 1}).scalar_one()
        changed = bytearray(row)
        changed[bit // 8] ^= 1 << (bit % 8)
        connection.execute(
            text("UPDATE journal SET hash = :h WHERE seq = :s"), {"h": bytes(changed), "s": position + 1}
        )
        found = journal.verify(connection)
    engine.dispose()
    assert found is not None
    assert found.seq == position + 1


def test_a_rollback_of_the_whole_shows_against_an_anchor(connection: Connection, tmp_path: Path) -> None:
    filled(connection, 9)
    anchors = journal.AnchorFile(tmp_path / "anchor")
    filled_head = journal.head(connection)
    anchors.write(*filled_head, now=1.0)
    assert journal.verify(connection, anchors.read()) is None
    # the database of yesterday comes back: a valid chain, but shorter than what the anchor saw
    connection.execute(text("DELETE FROM journal WHERE seq > 6"))
    old = connection.execute(text("SELECT hash FROM journal WHERE seq = 6")).scalar_one()
    connection.execute(text("UPDATE journal_head SET seq = 6, hash = :h"), {"h": old})
    assert journal.verify(connection) is None
    assert journal.verify(connection, anchors.read()) == journal.Break(9, "rollback")


def test_another_history_of_the_same_length_shows_against_an_anchor(connection: Connection, tmp_path: Path) -> None:
    filled(connection, 9)
    anchors = journal.AnchorFile(tmp_path / "anchor")
    anchors.write(9, b"\x07" * 32, now=1.0)
    assert journal.verify(connection, anchors.read()) == journal.Break(9, "rollback")


def test_an_anchor_cut_by_a_power_failure_is_left_out(tmp_path: Path) -> None:
    anchors = journal.AnchorFile(tmp_path / "anchor")
    anchors.write(1, b"\x01" * 32, now=1.0)
    with anchors.path.open("ab") as file:
        file.write(b"2 0202")
    assert anchors.read() == [(1, b"\x01" * 32)]
    anchors.write(3, b"\x03" * 32, now=3.0)
    assert anchors.read() == [(1, b"\x01" * 32), (3, b"\x03" * 32)]
    with anchors.path.open("ab") as file:
        file.write(b"4 04045 0505 5\n")  # what an earlier release made of a line cut short
    assert anchors.read() == [(1, b"\x01" * 32), (3, b"\x03" * 32)]


def test_half_an_anchor_on_a_full_disk_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anchors = journal.AnchorFile(tmp_path / "anchor")
    whole = os.write
    with monkeypatch.context() as full:
        full.setattr("os.write", lambda handle, line: whole(handle, line[:20]))
        with pytest.raises(OSError, match="No space"):
            anchors.write(1, b"\x01" * 32, now=1.0)
    anchors.write(2, b"\x02" * 32, now=2.0)
    assert anchors.read() == [(2, b"\x02" * 32)]


def test_pruned_segments_leave_a_chain_that_verifies(connection: Connection) -> None:
    filled(connection)
    removed = journal.prune(connection, int((1_700_000_000 + 15) * 1e6), 1)
    assert removed == 15
    assert journal.verify(connection) is None
    assert journal.read(connection, mailbox=7)[0].seq == 16
    assert journal.prune(connection, 0, 1) == 0


def test_a_record_dated_too_old_by_a_wrong_clock_stays_with_its_neighbours(connection: Connection) -> None:
    filled(connection, 3)
    journal.Journal().append(connection, events(1), 1_000_000_000)
    assert journal.prune(connection, int(1_600_000_000 * 1e6), 1) == 0


def test_pruning_takes_no_more_at_once_than_asked_and_can_take_all(connection: Connection) -> None:
    filled(connection)
    late = int(2_000_000_000 * 1e6)
    assert [journal.prune(connection, late, 1, most=20) for _ in range(3)] == [20, 10, 0]
    assert journal.verify(connection) is None
    assert journal.older(connection, late) == 0
    filled(connection, 2)
    assert journal.verify(connection) is None
    assert journal.read(connection)[0].seq == 31


def test_an_undeclared_key_is_refused_where_the_event_is_made() -> None:
    with pytest.raises(ValueError, match="subject"):
        Event(Kind.DELIVERED, detail={"subject": "secret"})
