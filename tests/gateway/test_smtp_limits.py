"""Counting who connects and how fast, with a clock the test moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp.limits import KEYS, Buckets, Gate, Limits, Rate


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills() -> None:
    clock = Clock()
    buckets = Buckets(Rate(per_minute=60, burst=3), clock)
    assert [buckets.allow("a") for _ in range(4)] == [True, True, True, False]
    assert buckets.allow("b")
    clock.now += 1
    assert buckets.empty("a") is False
    assert [buckets.allow("a") for _ in range(2)] == [True, False]
    clock.now += 3600
    assert [buckets.allow("a") for _ in range(4)] == [True, True, True, False]


def test_no_rate_means_no_limit() -> None:
    buckets = Buckets(Rate(), Clock())
    assert all(buckets.allow("a") for _ in range(10_000))
    assert not buckets.empty("a")


def test_strangers_do_not_fill_the_memory() -> None:
    buckets = Buckets(Rate(per_minute=1, burst=1), Clock())
    for number in range(KEYS + 50):
        buckets.allow(str(number))
    assert len(buckets) == KEYS


@given(st.lists(st.floats(0, 30), max_size=60))
def test_never_more_than_the_burst_and_the_rate(pauses: list[float]) -> None:
    clock = Clock()
    buckets = Buckets(Rate(per_minute=60, burst=5), clock)
    allowed = 0
    for pause in pauses:
        clock.now += pause
        allowed += buckets.allow("a")
    assert allowed <= 5 + sum(pauses) + 1e-6


def test_connections_are_counted_by_address_account_and_in_all() -> None:
    limits = Limits(connections=4, connections_per_ip=2, connections_per_account=1)
    gate = Gate(limits, Clock())
    assert [gate.enter("a"), gate.enter("a"), gate.enter("a")] == [True, True, False]
    assert [gate.enter("b"), gate.enter("b"), gate.enter("c")] == [True, True, False]
    gate.leave("a")
    assert gate.enter("c")
    assert [gate.log_in("x"), gate.log_in("x")] == [True, False]
    gate.log_out("x")
    assert gate.log_in("x")


def test_messages_of_one_address_have_a_rate() -> None:
    gate = Gate(Limits(messages_per_ip=Rate(per_minute=1, burst=1)), Clock())
    assert [gate.message("a"), gate.message("a"), gate.message("b")] == [True, False, True]


def test_other_limits_hold_from_now_on_and_what_was_used_stays_used() -> None:
    clock = Clock()
    gate = Gate(Limits(connections_per_ip=2, messages_per_ip=Rate(per_minute=1, burst=2)), clock)
    assert [gate.enter("a"), gate.enter("a"), gate.message("a"), gate.message("a")] == [True] * 4
    gate.follow(Limits(connections_per_ip=3, messages_per_ip=Rate(per_minute=60, burst=3)))
    assert [gate.enter("a"), gate.enter("a")] == [True, False]
    assert [gate.message("a"), gate.message("a")] == [True, False]
    clock.now += 1
    assert gate.message("a")


def test_an_address_that_fails_logins_waits() -> None:
    clock = Clock()
    gate = Gate(Limits(login_failures_per_ip=Rate(per_minute=1, burst=2)), clock)
    for _ in range(2):
        assert gate.may_log_in("a")
        gate.login_failed("a")
    assert not gate.may_log_in("a")
    assert gate.may_log_in("b")
    clock.now += 60
    assert gate.may_log_in("a")
