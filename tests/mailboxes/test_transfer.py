"""The engine of a transfer, against ends that break at every moment: nothing twice, nothing lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailboxes.transfer import Ledger, Letter, Shelf, TransferFailed, transfer
from mailboxes.transfer_archive import ArchiveOrigin, ArchiveTarget

DATE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def letter(uid: int) -> Letter:
    return Letter(uid, ("\\Seen",) if uid % 2 else (), DATE, f"Subject: {uid}\r\n\r\ncorps {uid}\r\n".encode())


@dataclass
class Here:
    """An origin in memory."""

    folders: dict[str, int] = field(default_factory=lambda: {"INBOX": 120, "Archives/2025": 7, "Vide": 0})

    def shelves(self) -> list[Shelf]:
        return [Shelf(name, "", 9, tuple(range(1, count + 1))) for name, count in self.folders.items()]

    def letters(self, shelf: Shelf, uids: Sequence[int]) -> Iterator[Letter]:
        yield from (letter(uid) for uid in uids)


@dataclass
class There:
    """A target in memory that stops after some messages, before or after they are stored."""

    held: dict[str, list[Letter]] = field(default_factory=dict)
    breaks_after: int = 10**9
    keeps_the_last: bool = False
    refused: frozenset[int] = frozenset()
    name: str = ""

    def open(self, shelf: Shelf) -> None:
        self.name = shelf.name
        self.held.setdefault(shelf.name, [])

    def holds(self, wanted: Letter) -> bool:
        return any(kept.content == wanted.content for kept in self.held[self.name])

    def put(self, letters: Sequence[Letter]) -> list[str]:
        total = sum(len(kept) for kept in self.held.values())
        if total + len(letters) > self.breaks_after:
            if self.keeps_the_last:
                self.held[self.name].extend(letters)
            raise TransferFailed("the line went dead")
        self.held[self.name].extend(each for each in letters if each.uid not in self.refused)
        return ["virus" if each.uid in self.refused else "" for each in letters]

    def close(self) -> None:
        self.name = ""


def complete(there: There, here: Here) -> bool:
    return all(
        [kept.uid for kept in there.held[name]] == list(range(1, count + 1)) for name, count in here.folders.items()
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(breaks=st.lists(st.tuples(st.integers(0, 130), st.booleans()), max_size=5))
def test_a_transfer_cut_anywhere_ends_complete_and_without_doubles(
    breaks: list[tuple[int, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    here, there = Here(), There()
    for after, keeps in breaks:
        there.breaks_after, there.keeps_the_last = after, keeps
        try:
            transfer(here, there, Ledger(path))
        except TransferFailed:
            continue
    there.breaks_after = 10**9
    report = transfer(here, there, Ledger(path))
    assert complete(there, here)
    assert report.folders == 3
    assert report.moved + report.already == 127


def test_the_same_command_again_moves_nothing_and_gives_the_same_digest(tmp_path: Path) -> None:
    here, there = Here(), There()
    first = transfer(here, there, Ledger(tmp_path / "l"))
    again = transfer(here, there, Ledger(tmp_path / "l"))
    assert (again.moved, again.already, again.digest) == (0, 127, first.digest)


def test_a_refused_message_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    here, there = Here(), There(refused=frozenset({3}))
    report = transfer(here, there, Ledger(tmp_path / "l"))
    assert report.refused == [("INBOX", 3, "virus"), ("Archives/2025", 3, "virus")]
    assert report.moved == 125
    assert not report.complete


def test_a_ledger_cut_in_its_last_line_is_read(tmp_path: Path) -> None:
    here, there = Here({"INBOX": 60}), There()
    transfer(here, there, Ledger(tmp_path / "l"))
    content = (tmp_path / "l").read_bytes()
    (tmp_path / "l").write_bytes(content[:-40])
    transfer(here, there, Ledger(tmp_path / "l"))
    assert complete(there, here)


def test_an_archive_gives_back_what_was_put_in(tmp_path: Path) -> None:
    """TOU-E07."""
    path, here, there = tmp_path / "a.zip", Here(), There()
    first = transfer(here, ArchiveTarget(path, "phrase secrète"), Ledger(tmp_path / "out"))
    assert b"corps 7" not in path.read_bytes()
    second = transfer(ArchiveOrigin(path, "phrase secrète"), there, Ledger(tmp_path / "in"))
    assert complete(there, here)
    assert second.digest == first.digest
    assert there.held["INBOX"][0].flags == ("\\Seen",)
    assert there.held["INBOX"][0].date == DATE


def test_an_archive_needs_its_passphrase(tmp_path: Path) -> None:
    transfer(Here(), ArchiveTarget(tmp_path / "a.zip", "juste"), Ledger(tmp_path / "out"))
    with pytest.raises(TransferFailed):
        ArchiveOrigin(tmp_path / "a.zip", "fausse")


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    transfer(Here(), ArchiveTarget(path, "juste"), Ledger(tmp_path / "out"))
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    with pytest.raises(TransferFailed):
        transfer(ArchiveOrigin(path, "juste"), There(), Ledger(tmp_path / "in"))


def test_an_archive_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("mine")
    with pytest.raises(TransferFailed, match="exists"):
        ArchiveTarget(tmp_path / "a.zip", "x")
    assert (tmp_path / "a.zip").read_text() == "mine"


def test_an_archive_that_was_cut_never_takes_its_name(tmp_path: Path) -> None:
    target = ArchiveTarget(tmp_path / "a.zip", "x")
    target.open(Shelf("INBOX", "", 1, (1,)))
    target.put([letter(1)])
    assert not (tmp_path / "a.zip").exists()


def test_the_ledger_holds_no_content(tmp_path: Path) -> None:
    transfer(Here({"INBOX": 3}), There(), Ledger(tmp_path / "l"))
    for line in (tmp_path / "l").read_bytes().split(b"\n")[:-1]:
        assert set(json.loads(line)) == {"state", "folder", "uidvalidity", "letters"}
    assert b"corps" not in (tmp_path / "l").read_bytes()
