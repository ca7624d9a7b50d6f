"""The budget of octets in flight: free beginnings, first come first served, no deadlock, room always given back."""

from __future__ import annotations

import asyncio
import platform

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.smtp.budget import FREE, Budget, BudgetTimeout
from mailboxes import heap

MIB = 1024 * 1024


async def test_small_messages_never_wait() -> None:
    budget = Budget(MIB)
    async with budget.reserve(MIB), budget.reserve(FREE):
        assert budget.borrowed == FREE
    assert (budget.reserved, budget.borrowed) == (0, 0)


async def test_room_is_given_in_the_order_of_asking() -> None:
    budget = Budget(10 * MIB)
    order: list[str] = []

    async def hold(name: str, octets: int) -> None:
        async with budget.reserve(octets):
            order.append(name)
            await asyncio.sleep(0.01)

    await budget.take(10 * MIB)
    waiting = [asyncio.create_task(hold(name, size * MIB)) for name, size in (("a", 9), ("b", 5), ("c", 5), ("d", 1))]
    await asyncio.sleep(0)
    assert budget.waiting == 4
    budget.release(10 * MIB)
    await asyncio.gather(*waiting)
    assert order[0] == "a"  # the big one is not overtaken by those who would fit
    assert order.index("b") < order.index("d")
    assert (budget.reserved, budget.waiting) == (0, 0)


async def test_the_first_in_line_enters_when_nobody_holds_room() -> None:
    """Even when free beginnings fill the total: else a crowd of small ones would starve every large message."""
    budget = Budget(MIB)
    budget.borrow(2 * MIB)
    await asyncio.wait_for(budget.take(MIB), 1)
    assert budget.reserved == MIB


async def test_a_quarter_stays_for_free_beginnings() -> None:
    budget = Budget(8 * MIB, patience=0.02)
    await budget.take(5 * MIB)
    with pytest.raises(BudgetTimeout):
        await budget.take(2 * MIB)
    await budget.take(MIB)
    assert budget.reserved == 6 * MIB


async def test_who_announces_much_leaves_room_to_others() -> None:
    """Two IMAP clients that announced 60 MB each and sent nothing kept every large message of everybody away."""
    budget = Budget(16 * MIB, spare=4 * MIB)  # 12 for announced ones, of which one owner may have 8
    await budget.take(6 * MIB, "hog")
    more = [asyncio.create_task(budget.take(3 * MIB, "hog")) for _ in range(3)]
    await asyncio.sleep(0)
    assert budget.waiting == 3
    await asyncio.wait_for(budget.take(4 * MIB, "alice"), 1)  # overtakes who has his share
    budget.release(4 * MIB, "alice")
    assert budget.waiting == 3
    budget.release(6 * MIB, "hog")
    await asyncio.wait_for(asyncio.gather(*more[:2]), 1)
    assert budget.waiting == 1
    budget.release(3 * MIB, "hog")
    await asyncio.wait_for(more[2], 1)
    budget.release(6 * MIB, "hog")
    assert (budget.reserved, budget.waiting) == (0, 0)


async def test_the_first_message_of_an_owner_may_be_larger_than_his_share() -> None:
    budget = Budget(16 * MIB, spare=16 * MIB, patience=0.02)
    await budget.take(11 * MIB, "large")
    with pytest.raises(BudgetTimeout):
        await budget.take(MIB, "large")
    await budget.take(MIB, "other")
    budget.release(11 * MIB, "large")
    await budget.take(6 * MIB, "large")  # spare is half of the room at most


async def test_large_blocks_go_back_to_the_system_on_glibc() -> None:
    assert heap.shape() is (platform.libc_ver()[0] == "glibc")


async def test_who_waits_too_long_is_told_and_the_next_one_enters() -> None:
    budget = Budget(10 * MIB, patience=0.05)
    await budget.take(3 * MIB)
    late = asyncio.create_task(budget.take(8 * MIB))
    await asyncio.sleep(0.03)
    fits = asyncio.create_task(budget.take(4 * MIB))
    with pytest.raises(BudgetTimeout):
        await late
    await asyncio.wait_for(fits, 1)
    assert budget.reserved == 7 * MIB


async def test_a_cancelled_wait_leaves_no_trace() -> None:
    budget = Budget(MIB)
    await budget.take(MIB)
    waiting = asyncio.create_task(budget.take(MIB))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.waiting == 0
    budget.release(MIB)
    assert budget.reserved == 0


async def test_room_given_at_the_moment_of_cancellation_is_not_lost() -> None:
    budget = Budget(MIB)
    await budget.take(MIB)
    waiting = asyncio.create_task(budget.take(MIB))
    await asyncio.sleep(0)
    budget.release(MIB)  # the future is resolved, the task has not run yet
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.reserved == 0


def test_a_budget_smaller_than_one_small_message_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        Budget(FREE - 1)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=30), st.integers(1, 30))
def test_everyone_is_served_and_the_total_holds(sizes: list[int], total: int) -> None:
    async def run() -> None:
        budget = Budget(total * MIB)
        most = 0

        async def send(size: int) -> None:
            nonlocal most
            budget.borrow(FREE)
            await budget.take(size * MIB)
            budget.give_back(FREE)
            most = max(most, budget.reserved if budget.reserved > size * MIB else 0)
            await asyncio.sleep(0)
            budget.release(size * MIB)

        await asyncio.wait_for(asyncio.gather(*(send(size) for size in sizes)), 10)
        assert (budget.reserved, budget.borrowed, budget.waiting) == (0, 0, 0)
        assert most <= total * MIB  # a lone message may exceed a total too small for it; two together never do

    asyncio.run(run())
