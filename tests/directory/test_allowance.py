"""How much of the directory one account may see (MSS-130)."""

from __future__ import annotations

from directory.allowance import ACCOUNTS, Allowance


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def people(first: int, count: int) -> list[str]:
    return [f"p{number}@op-a.mssante.test" for number in range(first, first + count)]


def test_new_entries_are_counted_and_known_ones_are_free() -> None:
    allowance = Allowance(0, 100, Clock())
    assert allowance.show("alice", people(0, 60)) == 60
    assert allowance.show("alice", people(0, 60)) == 60
    assert allowance.show("alice", people(40, 100)) in range(
        60, 64
    )  # twenty known, forty new, then one that passes as known
    assert allowance.show("alice", people(0, 60)) == 60
    assert allowance.show("alice", people(1000, 50)) < 5
    assert allowance.show("paul", people(1000, 50)) == 50


def test_no_more_than_one_in_thirty_passes_uncounted() -> None:
    allowance = Allowance(0, 5000, Clock())
    shown = sum(allowance.show("alice", people(at, 100)) for at in range(0, 20_000, 100))
    assert 5000 <= shown < 5600


def test_an_hour_later_it_begins_anew() -> None:
    clock = Clock()
    allowance = Allowance(0, 10, clock)
    assert allowance.show("alice", people(0, 10)) == 10
    assert allowance.show("alice", people(100, 10)) < 3
    clock.now = 3599
    assert allowance.show("alice", people(200, 10)) < 3
    clock.now = 3601
    assert allowance.show("alice", people(100, 10)) == 10


def test_questions_are_counted_by_the_minute() -> None:
    clock = Clock()
    allowance = Allowance(3, 0, clock)
    assert [allowance.ask("alice") for _ in range(4)] == [True, True, True, False]
    assert allowance.ask("paul")
    clock.now = 61
    assert allowance.ask("alice")


def test_workers_share_it_evenly() -> None:
    allowance = Allowance(4, 100, Clock(), lambda: 2)
    assert [allowance.ask("alice") for _ in range(3)] == [True, True, False]
    assert 50 <= allowance.show("alice", people(0, 100)) < 55


def test_nought_is_no_limit() -> None:
    allowance = Allowance(0, 0, Clock())
    assert all(allowance.ask("alice") for _ in range(1000))
    assert allowance.show("alice", people(0, 1000)) == 1000


def test_another_limit_may_be_set_while_it_runs() -> None:
    allowance = Allowance(1, 10, Clock())
    assert allowance.show("alice", people(0, 20)) < 14
    allowance.follow(5, 2000)
    assert [allowance.ask("alice") for _ in range(5)] == [True] * 5
    assert allowance.show("alice", people(0, 1000)) == 1000


def test_who_asked_longest_ago_is_forgotten_for_room() -> None:
    allowance = Allowance(1, 10, Clock())
    for number in range(ACCOUNTS + 1):
        assert allowance.ask(f"a{number}")
    assert not allowance.ask(f"a{ACCOUNTS}")
    assert allowance.ask("a0")
