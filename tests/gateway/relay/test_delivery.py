"""Queue, courier and client together, against a peer over real TLS: what the sender learns in each case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from gateway.relay.courier import Courier
from gateway.relay.partners import Partners
from gateway.smtp.resolver import FixedNames, Routed, Target
from tests.gateway.relay.house import MESSAGE, House, Intake, running
from tests.gateway.relay.peer import Peer, serving
from tests.gateway.relay.space import DOMAIN, HOST, QUICK, Space
from tests.waiting import until

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Space:
    return Space.build(tmp_path_factory.mktemp("pki"))


@dataclass
class Stage:
    house: House
    space: Space
    peer: Peer
    intake: Intake
    names: FixedNames
    courier: Courier

    async def notice(self) -> bytes:
        await until(lambda: self.intake.notices)
        return self.intake.notices[0][1]

    async def settled(self, message: str, word: str) -> None:
        async def found() -> bool:
            return word in await self.house.words(message) and not self.courier._leases

        await until(found)

    async def rules(self, message: str) -> list[str]:
        return [str(record.detail["rule"]) for record in await self.house.journal(message) if "rule" in record.detail]


@pytest.fixture
async def stage(lite: House, built: Space) -> AsyncIterator[Stage]:
    space = built.fresh()
    async with serving(Peer(space.server())) as peer:
        names = FixedNames({"op-c.mssante.test": [(0, ".")]}, {})
        routes = {DOMAIN: Target(HOST, ("127.0.0.1",), peer.port)}
        resolver = Routed(names, routes, (), lite.time.monotonic, lambda hosts: None)
        partners = Partners(resolver, space.guard(), "mail.op-a.mssante.test", lite.time.monotonic, QUICK)
        intake = Intake()
        courier = lite.courier(partners, intake)
        with running(courier):
            yield Stage(lite, space, peer, intake, names, courier)
            await partners.close()


async def test_the_message_arrives_byte_for_byte(stage: Stage) -> None:
    message = await stage.house.send()
    await stage.settled(message, "message.handed_over")
    assert stage.peer.messages == [MESSAGE.replace(b"\r\n.une", b"\r\n..une") + b".\r\n"]
    assert await stage.house.bodies_left() == 0


async def test_one_transaction_for_all_recipients_of_one_destination(stage: Stage) -> None:
    await stage.house.send([f"u{number}@{DOMAIN}" for number in range(30)])
    await until(lambda: stage.peer.messages)
    assert len(stage.peer.messages) == 1
    assert sum(line.startswith(b"RCPT") for line in stage.peer.commands) == 30


async def test_a_domain_removed_while_its_mail_waits_is_told_with_the_rule(stage: Stage) -> None:
    """F43."""
    stage.peer.mail = b"451 4.3.0 wait\r\n"
    message = await stage.house.send()
    await stage.settled(message, "message.deferred")
    stage.space.listed[:] = [row for row in stage.space.listed if row[0] != DOMAIN]
    stage.house.time.pass_(301)
    notice = await stage.notice()
    assert b"Status: 5.7.1\r\n" in notice
    assert b"X-Caducee-Rule: trust.recipient_not_listed\r\n" in notice
    assert stage.peer.messages == []


async def test_without_starttls_it_waits_and_never_goes_in_clear(stage: Stage) -> None:
    """F26, MSS-039: deferred, and delivered once the partner has mended its server."""
    stage.peer.before_tls = b"250 mx.test\r\n"
    message = await stage.house.send()
    await stage.settled(message, "message.deferred")
    assert "trust.partner_no_tls" in await stage.rules(message)
    stage.peer.before_tls = b"250-mx.test\r\n250 STARTTLS\r\n"
    stage.house.time.pass_(301)
    await stage.settled(message, "message.handed_over")
    assert b"MAIL" not in stage.peer.clear
    assert stage.intake.notices == []


async def test_injected_bytes_are_noticed_and_the_message_waits(stage: Stage) -> None:
    """F27."""
    stage.peer.starttls = b"220 go\r\n250 injected\r\n"
    message = await stage.house.send()
    await stage.settled(message, "message.deferred")
    assert await stage.rules(message) == ["trust.partner_injected"]


async def test_null_mx_refuses_each_message_at_once(stage: Stage) -> None:
    """F24: nothing is spared, because nothing will mend."""
    for _ in range(3):
        await stage.house.send(("u@op-c.mssante.test",))
    await until(lambda: len(stage.intake.notices) == 3)
    assert all(b"Status: 5.1.10\r\n" in content for _, content in stage.intake.notices)


async def test_a_listed_domain_gone_from_dns_waits_a_day_then_all_its_old_mail_fails(stage: Stage) -> None:
    stage.space.listed.append(("gone.mssante.test", stage.space.pki.operators["op-b"].subject))
    first = await stage.house.send(("u@gone.mssante.test",))
    await stage.settled(first, "message.deferred")
    assert stage.intake.notices == []
    for _ in range(4):
        await stage.house.send(("u@gone.mssante.test",))
    stage.house.time.pass_(stage.house.schedule.unknown_domain + 10)
    await until(lambda: sum(b"relay.domain_unknown" in content for _, content in stage.intake.notices) == 5)
    assert await stage.house.waiting() == 0


async def test_a_dropped_connection_after_the_dot_is_tried_again(stage: Stage) -> None:
    """F28: a duplicate is allowed, loss never."""
    stage.peer.dot = b"<close>"
    message = await stage.house.send()
    await stage.settled(message, "message.deferred")
    stage.peer.dot = b"250 2.0.0 ok\r\n"
    stage.house.time.pass_(301)
    await stage.settled(message, "message.handed_over")
    assert len(stage.peer.messages) == 2


async def test_a_dead_destination_does_not_slow_another(stage: Stage) -> None:
    """F32: a flood to a silent partner, one message to a lively one."""
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(3600), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    stage.space.listed.append(("dead.mssante.test", stage.space.pki.operators["op-b"].subject))
    stage.courier._transport._resolver._routes["dead.mssante.test"] = Target(HOST, ("127.0.0.1",), port)  # type: ignore[attr-defined]
    for _ in range(200):
        await stage.house.send(("u@dead.mssante.test",))
    await stage.house.send()
    await until(lambda: stage.peer.messages, 5)
    silent.close()
    assert len(stage.peer.messages) == 1


async def test_many_destinations_share_few_sessions_without_closing_one_another_s(lite: House, built: Space) -> None:
    """A handshake costs more than a message: as many destinations as sessions keep one each instead of opening one a time."""
    space = built.fresh()
    names = [f"d{number}.mssante.test" for number in range(10)]
    space.listed += [(name, space.pki.operators["op-b"].subject) for name in names]
    for number in range(200):
        await lite.send((f"u@{names[number % 10]}",))
    async with serving(Peer(space.server())) as peer:
        partners = space.partners(peer.port, domains=names, now=lite.time.monotonic, most=10)
        courier = lite.courier(partners, sessions=10)
        with running(courier):
            await until(lambda: len(peer.messages) == 200, 50)
            await courier.stop()
    assert peer.connections <= 40, peer.connections


async def test_our_own_list_gone_stale_defers_without_growing(stage: Stage) -> None:
    """F42: nothing leaves, nothing is refused, and mail flows soon after the list is back."""
    guard = stage.courier._transport._guard  # type: ignore[attr-defined]
    lists = guard._lists
    guard._lists = lambda: None
    message = await stage.house.send()
    for _ in range(4):
        await stage.settled(message, "message.deferred")
        stage.house.time.pass_(331)
        await asyncio.sleep(0.1)
    assert set(await stage.rules(message)) == {"trust.list_missing"}
    guard._lists = lists
    stage.house.time.pass_(331)
    await stage.settled(message, "message.handed_over")
