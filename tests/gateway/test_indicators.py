"""Monthly indicators: counted from the journal, made again octet for octet, nameless when their time has passed (MSS-140 to MSS-142)."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from gateway.record import journal
from gateway.record.indicators import files
from gateway.record.indicators.counting import count
from gateway.record.indicators.figures import BadMonth, Count, Month
from gateway.record.journal import Journal
from gateway.settings.indicators import Indicators
from mailboxes.account_tables import mailbox
from mailboxes.commit import Committer, Reading
from mailboxes.engine import Database, open_database
from mailboxes.unit import Unit
from policies.events import Event, Kind
from policies.lifecycle import Step
from policies.values import BalState, BalType
from tests.gateway.test_cli import MARIE, Terminal, marie, terminal

__all__ = ["marie", "terminal"]

OURS, THEIRS, PATIENTS = "op-a.mssante.test", "op-b.mssante.test", "patient.mssante.test"
NOVEMBER = Month(2026, 11)


def moment(day: int, month: int = 11, hour: float = 10.0) -> float:
    return datetime(2026, month, day, tzinfo=UTC).timestamp() + hour * 3600


class House:
    """A database with a journal, whose clock the test sets."""

    def __init__(self, url: str, folder: Path) -> None:
        self.now = moment(1, 10)
        self.database: Database = open_database(url)
        self.database.create_tables()
        self.committer = Committer(self.database, journal=Journal(), clock=lambda: self.now)
        self.reading = Reading(self.database)
        self.settings = Indicators(folder=folder / "indicators")
        self.serial = 0

    @property
    def desk(self) -> files.Desk:
        return files.Desk(self.reading.run_sync, self.committer.run_sync, self.settings, (OURS,), (PATIENTS,))

    def close(self) -> None:
        self.committer.close_sync()
        self.reading.close_sync()
        self.database.dispose()

    def emit(self, at: float, *events: Event) -> None:
        self.now = at
        self.committer.run_sync(lambda unit: unit.emit(*events))

    def box(self, name: str, kind: BalType = BalType.PER, created: float | None = None, domain: str = OURS) -> int:
        row = {
            "local": name, "domain": domain, "type": kind, "owner_id": 0, "structure": "", "description": "",
            "service": "", "responsible": "", "phone": "", "red_list": False, "paperless": False, "rank": 0,
            "state": BalState.ACTIVE, "state_at": int(created or moment(2, 10)), "state_by": "", "state_reason": "",
            "created_at": int(created or moment(2, 10)), "last_login_at": 0,
        }  # fmt: skip

        def work(unit: Unit) -> int:
            key = unit.connection.execute(insert(mailbox), row).inserted_primary_key
            assert key is not None
            return int(key[0])

        return self.committer.run_sync(work)

    def login(self, at: float, box: int) -> None:
        def work(unit: Unit) -> None:
            unit.connection.execute(mailbox.update().where(mailbox.c.id == box).values(last_login_at=int(at)))
            unit.emit(Event(Kind.LOGIN, actor="x", mailbox=box))

        self.now = at
        self.committer.run_sync(work)

    def message(
        self,
        at: float,
        sender: str,
        recipients: list[str],
        copies: list[int],
        *,
        box: int = 0,
        size: int = 1000,
        **more: Any,
    ) -> None:
        """Accepted, with its copies, as the acceptance writes it."""
        self.serial += 1
        name = f"M{self.serial:025d}"
        door = more.pop("door", "submission" if box else "inbound")
        detail = {"door": door, "size": size, "sender": sender, "recipients": recipients, **more}
        told = [Event(Kind.MESSAGE_ACCEPTED, "x", name, "", box, detail)]
        told += [Event(Kind.DELIVERED, "x", name, "y", copy, {"folder": "INBOX", "uid": 1}) for copy in copies]
        self.emit(at, *told)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    url = f"sqlite:///{tmp_path}/c.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = House(str(url), tmp_path)
    yield made
    made.close()


def rows(made: list[files.Made], folder: Path, sheet: str) -> list[dict[str, str]]:
    (name,) = [one.name for one in made if one.name.endswith(f"_{sheet}.csv")]
    text = (folder / str(made[0].month) / name).read_text("utf-8")
    return list(csv.DictReader(io.StringIO(text), delimiter=";"))


def busy(house: House) -> tuple[int, int]:
    """A month with a little of everything, and something before and after it. Returns alice's and the service's mailboxes."""
    alice, service = house.box("alice"), house.box("cardio", BalType.ORG)
    house.login(moment(30, 10), service)
    house.login(moment(3), alice)
    house.login(moment(3, hour=11), alice)
    house.login(moment(30, hour=23.9), alice)
    out = [f"jean@{THEIRS}", f"luc@{THEIRS}", f"cardio@{OURS}", f"%{'A' * 80}%@{PATIENTS}"]
    more = {"codes": ["34112-3", "11502-2"], "ins": "O", "nil": "DEV935997"}
    house.message(moment(3), f"alice@{OURS}", out, [service], box=alice, size=500, **more)
    house.message(
        moment(3), f"jean@{THEIRS}", [f"alice@{OURS}", f"cardio@{OURS}"], [alice, service], codes=["34112-3"], ins="N"
    )
    house.message(moment(4), "", [f"alice@{OURS}"], [alice])
    house.message(moment(4), f"postmaster@{OURS}", [f"alice@{OURS}"], [alice], door="internal")
    house.message(moment(31, 10), f"alice@{OURS}", [f"jean@{THEIRS}"], [], box=alice)
    house.message(moment(1, 12, 0), f"alice@{OURS}", [f"jean@{THEIRS}"], [], box=alice)
    return alice, service


def test_a_month_is_counted_by_recipient_and_by_submission(house: House) -> None:
    """MSS-142: by code, INS, program, domain, patient or professional; both counts add up."""
    busy(house)
    made = house.desk.build(NOVEMBER, moment(2, 12))
    folder = house.settings.folder
    sent = rows(made, folder, "EMISSIONS")
    assert {(one["domaine_correspondant"], one["nb_messages"], one["nb_envois"]) for one in sent} == {
        (THEIRS, "2", "1"),
        (OURS, "1", "0"),
        (PATIENTS, "1", "0"),
    }
    assert [one["nb_messages_patient"] for one in sent if one["domaine_correspondant"] == PATIENTS] == ["1"]
    assert {one["date"] for one in sent} == {"2026-11-03"}
    assert sum(int(one["nb_ins_O"]) for one in sent) == sum(int(one["nb_avec_xdm"]) for one in sent) == 4
    assert (sum(int(one["volume_octets"]) for one in sent), sum(int(one["volume_envois"]) for one in sent)) == (
        2000,
        500,
    )
    received = rows(made, folder, "RECEPTIONS")
    assert {
        (one["type_bal"], one["domaine_correspondant"], one["nb_messages"], one["nb_envois"]) for one in received
    } == {
        ("PER", THEIRS, "1", "1"),
        ("ORG", THEIRS, "1", "0"),
        ("ORG", OURS, "1", "1"),
        ("PER", "", "1", "1"),
    }
    documents = rows(made, folder, "DOCUMENTS")
    told = {(one["sens"], one["code_cda"], one["nil"]): (one["nb"], one["nb_envois"]) for one in documents}
    assert told[("EMISSION", "34112-3", "DEV935997")] == told[("EMISSION", "11502-2", "DEV935997")] == ("4", "1")
    assert told[("RECEPTION", "34112-3", "")] == ("2", "1")


def test_connections_tell_each_day_and_say_when_none_is_known(house: House) -> None:
    """MSS-141: an unknown date is an empty cell; the last connection before the month is still told."""
    busy(house)
    house.box("jamais")
    house.box("apres", created=moment(3, 12))
    made = house.desk.build(NOVEMBER, moment(5, 12))
    boxes = {one["adresse"]: one for one in rows(made, house.settings.folder, "BAL")}
    assert {address: one["date_derniere_connexion"] for address, one in boxes.items()} == {
        f"alice@{OURS}": "2026-11-30",
        f"cardio@{OURS}": "2026-10-30",
        f"jamais@{OURS}": "",
    }
    days = [(one["adresse"].partition("@")[0], one["date"]) for one in rows(made, house.settings.folder, "CONNEXIONS")]
    assert days == [("alice", "2026-11-03"), ("alice", "2026-11-30"), ("cardio", ""), ("jamais", "")]


def test_a_month_made_again_is_the_same_whatever_happened_since(house: House) -> None:
    """MSS-140: state, red list and last connection are those of the month's end."""
    alice, service = busy(house)
    made = house.desk.build(NOVEMBER, moment(2, 12))
    folder = house.settings.folder / "202611"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    house.login(moment(3, 12), alice)
    house.login(moment(3, 12), service)

    def changed(unit: Unit) -> None:
        where = mailbox.c.id == alice
        unit.connection.execute(
            mailbox.update().where(where).values(state="suspended", state_at=int(house.now), red_list=True)
        )
        told = {"type": "PER", "reason": "", "address": "", "state": "active", "what": "attributes phone red_list=on"}
        unit.emit(Event(Kind.MAILBOX, mailbox=alice, detail=told))
        unit.emit(Event(Kind.MAILBOX, mailbox=alice, detail={**told, "what": str(Step.SUSPEND), "state": "suspended"}))

    house.now = moment(4, 12)
    house.committer.run_sync(changed)
    assert house.desk.build(NOVEMBER, moment(20, 12)) != made  # made at another time
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    december = house.desk.build(Month(2026, 12), moment(2, 12) + 40 * 86400)
    states = {one["adresse"]: (one["etat"], one["liste_rouge"]) for one in rows(december, house.settings.folder, "BAL")}
    assert states[f"alice@{OURS}"] == ("SUSPENDUE", "O")


def test_the_checksums_are_those_of_the_files(house: House) -> None:
    busy(house)
    house.desk.build(NOVEMBER, moment(2, 12))
    folder = house.settings.folder / "202611"
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_after_three_months_no_mailbox_is_named_any_more(house: House) -> None:
    """TOU-A12: neither on the disk nor in what is made anew; numbers stay."""
    busy(house)
    made = house.desk.build(NOVEMBER, moment(2, 12))
    named = rows(made, house.settings.folder, "EMISSIONS")
    late = NOVEMBER.end + house.settings.keep
    assert house.desk.make_anonymous(late) == []
    house.now = late + 1
    assert house.desk.make_anonymous(late + 1) == [NOVEMBER]
    assert house.desk.make_anonymous(late + 2) == []
    folder = house.settings.folder / "202611"
    assert not any(b"alice" in path.read_bytes() or b"cardio" in path.read_bytes() for path in folder.iterdir())
    made = house.desk.build(NOVEMBER, late + 5)
    assert rows(made, house.settings.folder, "BAL") == [
        {"type": "ORG", "etat": "ACTIVE", "liste_rouge": "N", "nb": "1"},
        {"type": "PER", "etat": "ACTIVE", "liste_rouge": "N", "nb": "1"},
    ]
    assert rows(made, house.settings.folder, "EMISSIONS") == named
    assert all(one.anonymous for one in made)


def test_patients_are_never_named(house: House) -> None:
    """TOU-A12: at once."""
    alice = house.box("alice")
    number = "199999912345678"
    house.message(moment(5), f"alice@{OURS}", [f"{number}@{PATIENTS}"], [], box=alice)
    house.message(moment(5), f"{number}@{PATIENTS}", [f"alice@{OURS}"], [alice])
    house.desk.build(NOVEMBER, moment(2, 12))
    folder = house.settings.folder / "202611"
    assert not any(number.encode() in path.read_bytes() for path in folder.iterdir())


def test_a_deposit_is_remembered_with_what_was_deposited(house: House) -> None:
    busy(house)
    with pytest.raises(files.NotBuilt):
        house.desk.deposit(NOVEMBER, "R1", "operator:x")
    with pytest.raises(files.NotOver):
        house.desk.build(NOVEMBER, moment(20))
    house.now = moment(20)
    house.desk.build(NOVEMBER, moment(20), partial=True)
    with pytest.raises(files.NotBuilt):
        house.desk.deposit(NOVEMBER, "R1", "operator:x")
    house.now = moment(2, 12)
    house.desk.build(NOVEMBER, house.now)
    altered = house.settings.folder / "202611" / f"{OURS}_202611_BAL.csv"
    kept = altered.read_bytes()
    altered.write_bytes(kept + b"x")
    with pytest.raises(files.Altered):
        house.desk.deposit(NOVEMBER, "R1", "operator:x")
    altered.write_bytes(kept)
    made = house.desk.deposit(NOVEMBER, "R1", "operator:x")
    assert {(one.reference, one.deposited_by, one.changed) for one in made} == {("R1", "operator:x", False)}
    made = house.desk.build(NOVEMBER, house.now)
    assert {one.changed for one in made} == {False}
    house.message(moment(5, 12), "x@y", [], [])
    with house.database.turn(), house.database.reader.connect() as connection:
        told = journal.read(connection, kind=Kind.INDICATORS)
    assert [one.detail["what"] for one in told] == ["built", "built", "deposited", "built"]
    assert told[2].detail["reference"] == "R1"


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "26-01", "", "2026-11-01", "9999-12", "٢٠٢٦-11"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(BadMonth):
        Month.read(text)


def test_hostile_numbers_of_programs_are_counted_together(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.record.indicators.counting.MOST_DOCUMENTS", 5)
    alice = house.box("alice")
    for number in range(20):
        house.message(moment(5), f"alice@{OURS}", [f"x@{THEIRS}"], [], box=alice, nil=f"A{number}")
    found = count(house.reading.run_sync, NOVEMBER, ()).documents
    assert len(found) == 6
    assert found[(OURS, "sent", "*", "*")] == Count(15, 15)


def test_memory_is_of_mailboxes_and_lines_and_not_of_messages(tmp_path: Path) -> None:
    """The journal is read page by page: four times the messages take no more memory."""
    house = House(f"sqlite:///{tmp_path}/c.db", tmp_path)
    alice = house.box("alice")

    def many(total: int) -> None:
        detail = {
            "door": "submission",
            "size": 1,
            "sender": f"alice@{OURS}",
            "recipients": [f"x@{THEIRS}"],
            "helo": "x" * 200,
        }
        for _ in range(total // 500):
            events = [Event(Kind.MESSAGE_ACCEPTED, "x", f"M{number}", "", alice, detail) for number in range(500)]
            house.emit(moment(5) + house.serial, *events)
            house.serial += 1

    def peak() -> int:
        tracemalloc.start()
        count(house.reading.run_sync, NOVEMBER, ())
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    many(10_000)
    few = peak()
    many(30_000)
    assert peak() < 1.3 * few
    house.close()


# the command


def test_the_command_makes_lists_and_deposits(marie: Terminal) -> None:
    now = datetime.now(UTC)
    this = f"{now:%Y-%m}"
    before = str(Month(now.year - (now.month == 1), (now.month - 2) % 12 + 1))
    assert "not over" in marie.refused("indicators", "build", this)
    assert "pas fini" in marie.refused("indicators", "build", this, lang="fr")
    assert "YYYY-MM" in marie.refused("indicators", "build", "hier", code=2)
    assert "indicators build" in marie.refused("indicators", "deposited", before)
    made = marie.json("indicators", "build", before)
    assert Path(made["folder"]).is_dir()
    assert len(made["files"]) == 5
    assert marie.json("indicators", "list") == made["files"]
    marie.ok("indicators", "deposited", before, "--reference", "DEP-1")
    assert {one["reference"] for one in marie.json("indicators", "list")} == {"DEP-1"}
    aside = marie.json("indicators", "build", this, "--partial", "--dir", str(marie.folder / "aside"))
    text = (Path(aside["folder"]) / f"op.mssante.test_{this.replace('-', '')}_BAL.csv").read_text()
    assert MARIE in text
    assert len(marie.json("indicators", "list")) == 5  # what was made elsewhere is not remembered


def test_a_usage_control_is_given_the_mailbox_and_whether_it_was_used(marie: Terminal) -> None:
    """TOU-A13: nothing more; and the hand-over is on record."""
    this = f"{datetime.now(UTC):%Y-%m}"
    assert marie.ok("indicators", "usage", this).splitlines() == ["boite;utilisee", f"{MARIE};N"]
    assert marie.json("indicators", "usage", this) == [{"mailbox": MARIE, "used": False}]
    assert marie.json("indicators", "usage", this, "--domain", "autre.test") == []
    with closing(sqlite3.connect(marie.folder / "data/caducee.db")) as base:
        told = base.execute("SELECT detail FROM journal WHERE kind = 'service.indicators'").fetchall()
    assert [json.loads(one[0])["what"] for one in told] == ["usage handed over"] * 3
    assert "not named" in marie.refused("indicators", "usage", "2020-01")


def test_the_red_list_tells_what_it_became(marie: Terminal) -> None:
    """So that what it was at the end of a month can be told later (MSS-140)."""
    for option in ("--red-list", "--red-list", "--public"):
        marie.ok("mailbox", "set", MARIE, option)
    with closing(sqlite3.connect(marie.folder / "data/caducee.db")) as base:
        told = base.execute("SELECT detail FROM journal WHERE kind = 'account.mailbox' ORDER BY seq").fetchall()
    said = [json.loads(one[0])["what"] for one in told]
    assert said[-3:] == ["attributes red_list=on", "attributes red_list", "attributes red_list=off"]
