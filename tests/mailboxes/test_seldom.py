"""What repeats itself is told once a minute, with its number."""

from __future__ import annotations

from mailboxes.seldom import Seldom


def test_the_first_is_told_at_once_and_the_others_are_counted() -> None:
    now = [0.0]
    seldom = Seldom(lambda: now[0])
    told = []
    for now[0] in range(0, 150, 10):
        told.append(seldom.times("database away"))
    assert told == [1, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 6, 0, 0]
    assert seldom.times("disk full") == 1
