"""The bell between processes: who rings, who hears, who is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailboxes.bell import Bell


@pytest.fixture
def place(tmp_path: Path) -> Path:
    deep = tmp_path / ("deep" * 30)  # a path longer than the 108 octets of a socket's name
    deep.mkdir()
    return deep / "bells"


def test_all_others_hear_and_the_ringer_does_not(place: Path) -> None:
    bells = [Bell(place, str(number)) for number in range(3)]
    for bell in bells:
        bell.hang()
        bell.hang()
    bells[0].ring()
    assert [bell.wait(0) for bell in bells] == [False, True, True]
    bells[1].hush()
    assert [bell.wait(0) for bell in bells] == [False, False, True]
    for bell in bells:
        bell.close()
    assert list(place.iterdir()) == []


def test_one_that_hangs_later_is_heard_too(place: Path) -> None:
    first, second = Bell(place, "1"), Bell(place, "2")
    first.hang()
    first.ring()
    second.hang()
    first.ring()
    assert second.wait(0)
    first.close()
    second.close()


def test_many_rings_are_one_and_never_block(place: Path) -> None:
    first, second = Bell(place, "1"), Bell(place, "2")
    first.hang()
    second.hang()
    for _ in range(10_000):
        first.ring()
    assert second.wait(0)
    second.hush()
    assert not second.wait(0)
    first.close()
    second.close()


def test_the_bell_of_a_dead_process_is_taken_down(place: Path) -> None:
    first, second = Bell(place, "1"), Bell(place, "2")
    first.hang()
    second.hang()
    assert second._socket is not None
    second._socket.close()  # as a killed process leaves it
    first.ring()
    assert [path.name for path in place.iterdir()] == ["1"]
    first.close()


def test_without_sockets_waiting_is_a_sleep(tmp_path: Path) -> None:
    (tmp_path / "bells").write_text("in the way")
    bell = Bell(tmp_path / "bells", "1")
    bell.hang()
    bell.ring()
    assert not bell.wait(0.01)
    bell.hush()
    bell.close()
