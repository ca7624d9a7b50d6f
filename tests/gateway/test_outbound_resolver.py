"""Where mail goes: routes, MX, and what DNS can do wrong (F24, F25); the service and its twin under one contract."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from gateway.part_settings import routes
from gateway.settings import Config, Operator, Route
from gateway.smtp.resolver import (
    Answer,
    Dns,
    DnsFailed,
    DomainMissing,
    FixedNames,
    Loop,
    NameService,
    NullMx,
    Routed,
    Target,
    Unresolved,
    route,
)

MX = {
    "op-b.test": [(20, "mx2.op-b.test"), (10, "mx1.op-b.test"), (10, "mx0.op-b.test")],
    "none.test": [(0, ".")],
    "both.test": [(0, "."), (10, "mx2.op-b.test")],
    "half.test": [(10, "silent.test"), (20, "silent.test"), (30, "mx2.op-b.test")],
    "bare.test": [],
    "loop.test": [(10, "localhost.test")],
    "ours.test": [(10, "mx1.op-b.test"), (20, "our.test"), (30, "mx2.op-b.test")],
    "empty.test": [(10, "gone.test")],
    "broken.test": [(10, "servfail.test")],
}
HOSTS = {
    "mx0.op-b.test": ["192.0.2.10"],
    "mx1.op-b.test": ["2001:db8::1", "192.0.2.1"],
    "mx2.op-b.test": ["192.0.2.2"],
    "bare.test": ["192.0.2.9"],
    "localhost.test": ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "169.254.1.1"],
    "our.test": ["198.51.100.1"],
}
FAILING = {"servfail.test"}


class Zone(asyncio.DatagramProtocol):
    """A name server over UDP that answers from the mappings above, SERVFAIL, NXDOMAIN, or nothing at all."""

    def __init__(self) -> None:
        self.asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.asked += 1
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text().removesuffix(".")
        if name == "silent.test":
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if name in FAILING:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif name not in MX and name not in HOSTS:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        kind = dns.rdatatype.to_text(question.rdtype)
        texts = (
            [f"{rank} {host if host == '.' else host + '.'}" for rank, host in MX.get(name, [])] if kind == "MX" else []
        )
        if kind in ("A", "AAAA"):
            texts = [address for address in HOSTS.get(name, []) if (":" in address) == (kind == "AAAA")]
        if texts:
            answer.answer.append(dns.rrset.from_text_list(question.name, 300, "IN", kind, texts))
        self.transport.sendto(answer.to_wire(), addr)  # type: ignore[attr-defined]


@pytest.fixture(params=["dns", "twin"])
async def names(request: pytest.FixtureRequest) -> AsyncIterator[NameService]:
    if request.param == "twin":
        yield FixedNames(MX, HOSTS, FAILING)
        return
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Zone, local_addr=("127.0.0.1", 0))
    yield Dns([("127.0.0.1", transport.get_extra_info("sockname")[1])], lifetime=1.5)
    transport.close()


def routed(
    names: NameService, routes: dict[str, Target] | None = None, now: Callable[[], float] = lambda: 0.0
) -> Routed:
    return Routed(names, routes or {}, ["198.51.100.1"], now, lambda hosts: hosts.sort())


async def test_hosts_come_by_preference_and_ipv4_first(names: NameService) -> None:
    found = await routed(names).targets("OP-B.test")
    assert [target.name for target in found] == ["mx0.op-b.test", "mx1.op-b.test", "mx2.op-b.test"]
    assert found[1].addresses == ("192.0.2.1", "2001:db8::1")
    assert {target.port for target in found} == {25}


async def test_a_domain_without_mx_is_its_own_host(names: NameService) -> None:
    assert await routed(names).targets("bare.test") == [Target("bare.test", ("192.0.2.9",))]


@pytest.mark.parametrize(
    ("domain", "kind", "rule_name"),
    [
        ("none.test", NullMx, "relay.null_mx"),
        ("nowhere.test", DomainMissing, "relay.domain_missing"),
        ("servfail.test", DnsFailed, "relay.dns_failed"),
        ("broken.test", DnsFailed, "relay.dns_failed"),
        ("empty.test", DnsFailed, "relay.dns_failed"),
        ("loop.test", Loop, "relay.loop"),
    ],
)
async def test_what_dns_does_wrong_has_its_own_rule(
    names: NameService, domain: str, kind: type[Unresolved], rule_name: str
) -> None:
    with pytest.raises(kind) as caught:
        await routed(names).targets(domain)
    assert caught.value.rule == rule_name


async def test_hosts_less_preferred_than_ourselves_are_not_tried(names: NameService) -> None:
    """RFC 5321 5.1."""
    assert [target.name for target in await routed(names).targets("ours.test")] == ["mx1.op-b.test"]


async def test_a_null_mx_beside_a_server_fails_no_mail(names: NameService) -> None:
    """RFC 7505 3 has it alone; whoever forgot it beside his server would lose all mail at once."""
    assert [target.name for target in await routed(names).targets("both.test")] == ["mx2.op-b.test"]


async def test_hosts_whose_name_server_is_silent_keep_mail_from_the_next_one_once() -> None:
    """One after the other, each took the whole patience for its IPv4 and again for its IPv6 address."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Zone, local_addr=("127.0.0.1", 0))
    asked = Dns([("127.0.0.1", transport.get_extra_info("sockname")[1])], lifetime=0.3)
    async with asyncio.timeout(1.1):
        found = await routed(asked).targets("half.test")
    assert [target.name for target in found] == ["mx2.op-b.test"]
    transport.close()


async def test_a_silent_name_server_is_a_temporary_failure() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Zone, local_addr=("127.0.0.1", 0))
    asked = Dns([("127.0.0.1", transport.get_extra_info("sockname")[1])], lifetime=0.3)
    with pytest.raises(DnsFailed):
        await routed(asked).targets("silent.test")
    transport.close()


async def test_a_route_wins_and_may_lead_to_loopback(names: NameService) -> None:
    routes = {"op-b.test": route("127.0.0.1", 2525, "smtp.op-b.test"), "*": route("mx2.op-b.test", 26)}
    resolver = routed(names, routes)
    assert await resolver.targets("op-b.test") == [Target("smtp.op-b.test", ("127.0.0.1",), 2525, routed=True)]
    (other,) = await resolver.targets("anything.test")
    assert (other.name, other.addresses, other.port) == ("mx2.op-b.test", ("192.0.2.2",), 26)


async def test_a_route_to_a_name_that_dns_lost_is_temporary(names: NameService) -> None:
    with pytest.raises(DnsFailed):
        await routed(names, {"op-b.test": route("nowhere.test")}).targets("op-b.test")


def test_a_route_is_written_as_a_name_or_an_address() -> None:
    assert route("192.0.2.1").name is None
    assert route("[2001:db8::1]", 25, "mx.test") == Target("mx.test", ("2001:db8::1",), 25, routed=True)
    assert route("mx.test", 25, "cert.test").name == "cert.test"


async def test_a_route_of_the_configuration_is_looked_up_by_its_host_and_proven_by_its_name(names: NameService) -> None:
    config = Config(
        source=Path("config.toml"),
        operator=Operator(name="T", domains=("ours.test",), hostname="ours.test"),
        routes=(
            Route(domain="op-b.test", host="mx2.op-b.test", port=26, name="cert.op-b.test"),
            Route(domain="op-c.test", host="mx2.op-b.test"),
        ),
    )
    resolver = routed(names, routes(config))
    (named,), (plain,) = await resolver.targets("op-b.test"), await resolver.targets("op-c.test")
    assert (named.name, named.addresses, named.port) == ("cert.op-b.test", ("192.0.2.2",), 26)
    assert (plain.name, plain.addresses, plain.port) == ("mx2.op-b.test", ("192.0.2.2",), 25)


async def test_answers_are_kept_for_their_time_and_failures_shortly() -> None:
    class Counted(FixedNames):
        asked = 0

        async def mx(self, domain: str) -> Answer:
            self.asked += 1
            return await super().mx(domain)

    now = [0.0]
    names = Counted(MX, HOSTS, FAILING, ttl=300.0)
    resolver = routed(names, now=lambda: now[0])
    for _ in range(3):
        await resolver.targets("op-b.test")
        with contextlib.suppress(DomainMissing):
            await resolver.targets("nowhere.test")
    assert names.asked == 2
    now[0] = 61.0
    with contextlib.suppress(DomainMissing):
        await resolver.targets("nowhere.test")
    assert names.asked == 3
    now[0] = 301.0
    await resolver.targets("op-b.test")
    assert names.asked == 4
