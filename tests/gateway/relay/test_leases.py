"""Leases: what is in hand, until when, and what a second taking of the same row does to the first (F16, F19)."""

from __future__ import annotations

from typing import Any

from gateway.relay.leases import Leases
from gateway.relay.parcel import DsnRequest
from gateway.relay.queue import Taken


class Clocks:
    """A wall and a monotonic clock, moved by hand."""

    def __init__(self) -> None:
        self.at, self.steady = 1_772_442_000.0, 50.0

    def wall(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.steady


def row(number: int, fence: int) -> Taken:
    return Taken(number, fence, "M", 1, b"", 1, "a@a", "b@b", "b", DsnRequest(), False, 0.0, 0.0, 0, False)


def leases(clocks: Clocks) -> Leases:
    committer: Any = None  # nothing is lengthened or given back here
    return Leases("me", committer, clocks, 30.0)


def test_a_row_is_ours_until_its_lease_ends_or_it_is_dropped() -> None:
    clocks = Clocks()
    held, one, two = leases(clocks), row(1, 1), row(2, 1)
    held.add([one, two], 1000.0)
    assert held.ours([one, two])
    assert held.age_now(one) == 1050.0
    held.drop([two])
    assert held.ours([one])
    assert not held.ours([one, two])
    clocks.steady += 31
    assert not held.ours([one])


def test_a_row_taken_again_belongs_to_the_newer_taking_whatever_the_older_does() -> None:
    """A clock that jumps makes a lease look old: the courier takes what it still carries. Only one may end it."""
    clocks = Clocks()
    held, older, newer = leases(clocks), row(3, 1), row(3, 2)
    held.add([older], 1000.0)
    held.add([newer], 519_400.0)
    assert not held.ours([older])
    assert held.ours([newer])
    held.drop([older])
    assert held.ours([newer])
    assert held.age_now(newer) == 519_450.0
    assert held.pairs() == [(3, 2)]
    held.drop([newer])
    assert held.age_now(older) == clocks.wall()  # settled too late: an age all the same, never an error
    assert len(held) == 0
