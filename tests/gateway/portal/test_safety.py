"""The pace of a network, and the few places where hashes are computed: both are bounded."""

from __future__ import annotations

import asyncio

import pytest

from gateway.portal import signing_in
from gateway.smtp import limits
from gateway.smtp.limits import Buckets, Rate
from mailboxes.attempts import network
from tests.gateway.portal.serving import House
from tests.mailboxes.people import Clock


def test_a_network_has_its_burst_and_then_its_pace() -> None:
    clock = Clock()
    buckets = Buckets(Rate(per_minute=120, burst=10), clock)

    def allows(ip: str) -> bool:
        return buckets.allow(network(ip))

    assert [allows("192.0.2.1") for _ in range(12)] == [True] * 10 + [False] * 2
    assert allows("192.0.2.2"), "another network is not concerned"
    clock.pass_(1)
    assert [allows("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert not all(allows(f"2001:db8::{n}") for n in range(11)), "one subscriber has a whole /64"


def test_the_networks_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEYS", 100)
    buckets = Buckets(Rate(per_minute=60, burst=2), Clock())
    for n in range(1000):
        buckets.allow(network(f"10.0.{n // 250}.{n % 250}"))
        assert len(buckets) <= 100


def test_too_many_sign_ins_at_once_are_asked_to_come_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.person("rita.foule")
    monkeypatch.setattr(signing_in, "WAITING", 0)
    answer = house.browser().sign_in("rita.foule")
    assert answer.status_code == 503
    monkeypatch.undo()
    assert house.browser().sign_in("rita.foule").url.path == "/"


async def test_a_long_page_is_not_drawn_on_the_event_loop(house: House) -> None:
    """The one that serves pages may be the one that serves mail."""
    seen: list[bool] = []

    def render(template: str, language: str, facts: object) -> str:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            seen.append(True)
        return ""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.portal.words.render", render)
        assert (await asyncio.to_thread(house.browser().get, "/sign-in")).status_code == 200
    assert seen == [True]
