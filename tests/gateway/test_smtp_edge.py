"""One connection on a transport made of lists: writes, pauses, time, room, without any socket or waiting."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.smtp.budget import FREE, Budget
from gateway.smtp.inbound import Inbound
from gateway.smtp.limits import Limits
from policies.catalogue import rule
from policies.decision import decide
from policies.events import Event
from tests.gateway.smtp_twin import QUICK, MemoryIntake, Pki, doorway, make_pki
from tests.waiting import until

MIB = 1024 * 1024


class Paper:
    """A transport that remembers."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.reading = True
        self.closed = False
        self.aborted = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.7", 1234) if name == "peername" else default

    def write(self, octets: bytes) -> None:
        assert not self.closed
        self.writes.append(bytes(octets))

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    @property
    def said(self) -> str:
        return b"".join(self.writes).decode()


class Clock:
    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


class Secured(Inbound):
    """An inbound connection that believes it is inside TLS."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.session.tls = True


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


class Scene:
    """A connection, its transport, its clock."""

    def __init__(self, pki: Pki, budget: Budget | None = None, **limits: Any) -> None:
        self.clock, self.paper, self.intake = Clock(), Paper(), MemoryIntake()
        self.events: list[Event] = []
        self.doorway = doorway(
            pki,
            intake=self.intake,
            limits=Limits(**{**QUICK, **limits}),
            clock=self.clock,
            budget=budget,
            record=self.events.append,
        )
        self.edge = Secured(self.doorway)
        self.edge.connection_made(self.paper)

    async def hear(self, octets: bytes) -> str:
        """Deliver octets; what was said since."""
        before = len(self.paper.writes)
        self.edge.data_received(octets)
        await settle()
        return b"".join(self.paper.writes[before:]).decode()

    async def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.edge.check(self.clock.now)
        await settle()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def in_data(scene: Scene, parameters: str = "") -> None:
    await settle()
    group = f"EHLO x\r\n|MAIL FROM:<a@b.test>{parameters}\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"
    for part in group.split("|"):
        said = await scene.hear(part.encode())
    assert said.endswith("354 2.0.0 End data with <CRLF>.<CRLF>\r\n")


async def test_a_group_of_commands_is_answered_by_one_write(pki: Pki) -> None:
    scene = Scene(pki)
    await settle()
    assert len(scene.paper.writes) == 1
    await scene.hear(b"EHLO x\r\n")
    await scene.hear(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nRCPT TO:<e@d.test>\r\nDATA\r\n")
    assert len(scene.paper.writes) == 3
    await scene.hear(b"a: b\r\n\r\n.\r\nMAIL FROM:<a@b.test>\r\nNOOP\r\n")
    assert len(scene.paper.writes) == 4


async def test_commands_cut_anywhere(pki: Pki) -> None:
    scene = Scene(pki)
    await settle()
    for octet in b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n":
        await scene.hear(bytes([octet]))
    assert scene.paper.said.count("2.1.0 Ok") == scene.paper.said.count("2.1.5 Ok") == 1


async def test_silence_is_ended_after_the_command_timeout(pki: Pki) -> None:
    scene = Scene(pki, command_timeout=300)
    await settle()
    await scene.pass_time(299)
    assert not scene.paper.said.count("421")
    await scene.pass_time(2)
    assert "421-4.4.2" in scene.paper.said
    assert "[session.timeout]" in scene.paper.said
    await until(lambda: scene.paper.closed)
    assert [event.detail["reason"] for event in scene.events] == ["session.timeout"]


@pytest.mark.parametrize(
    ("seen", "ip", "counted"),
    [
        (("192.0.2.7", 1), "192.0.2.7", "192.0.2.7"),
        (("::ffff:192.0.2.7", 1, 0, 0), "192.0.2.7", "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1, 0, 0), "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::1%eth0", "fe80::/64"),
        ("", "", ""),
    ],
)
async def test_who_counts_as_one_caller(pki: Pki, seen: Any, ip: str, counted: str) -> None:
    class Far(Paper):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return seen if name == "peername" else default

    edge = Secured(Scene(pki).doorway)
    edge.connection_made(Far())
    assert (edge.ip, edge.origin) == (ip, counted)


async def test_a_stranger_cannot_fill_the_journal(pki: Pki) -> None:
    scene = Scene(pki)
    await settle()
    for _ in range(100):
        other = Secured(scene.doorway)
        other.connection_made(Paper())
        await settle()
        other.data_received(b"GET / HTTP/1.1\r\n")
        await settle()
    assert 0 < len(scene.events) <= 30


async def test_a_refused_header_gives_its_octets_back_at_once(pki: Pki) -> None:
    scene = Scene(pki, header_size=1000)
    await in_data(scene)
    await scene.hear(b"a: b\r\n" * 100)
    assert scene.doorway.budget.borrowed > 0
    await scene.hear(b"a: b\r\n" * 100)
    assert scene.doorway.budget.borrowed == 0
    assert "[session.header_too_large]" in await scene.hear(b"\r\n.\r\n")


async def test_a_command_dripped_octet_by_octet_does_not_win_time(pki: Pki) -> None:
    scene = Scene(pki, command_timeout=300)
    await settle()
    for _ in range(31):
        await scene.hear(b"E")
        await scene.pass_time(10)
    assert "[session.timeout]" in scene.paper.said


async def test_each_command_starts_its_own_time(pki: Pki) -> None:
    scene = Scene(pki, command_timeout=300)
    await settle()
    for _ in range(5):
        await scene.pass_time(200)
        assert (await scene.hear(b"NOOP\r\n")).startswith("250")


async def test_a_dripped_message_is_ended_by_its_rate(pki: Pki) -> None:
    scene = Scene(pki, content_rate=500, content_grace=30)
    await in_data(scene)
    await scene.hear(b"x" * 10_000)
    await scene.pass_time(19)
    assert "421" not in scene.paper.said
    await scene.pass_time(12)
    assert "[session.timeout]" in scene.paper.said
    assert scene.intake.kept == []
    assert scene.doorway.budget.borrowed == 0


async def test_a_steady_message_is_ended_by_the_longest_time(pki: Pki) -> None:
    scene = Scene(pki, content_timeout=600)
    await in_data(scene)
    for _ in range(59):
        await scene.hear(b"x" * 20_000 + b"\r\n")
        await scene.pass_time(10)
    assert "421" not in scene.paper.said
    await scene.pass_time(11)
    assert "[session.timeout]" in scene.paper.said


async def test_a_session_has_an_end(pki: Pki) -> None:
    scene = Scene(pki, session_timeout=1000)
    await settle()
    for _ in range(4):
        await scene.pass_time(240)
        await scene.hear(b"NOOP\r\n")
    await scene.pass_time(100)
    assert "[session.lifetime]" in scene.paper.said


async def test_who_does_not_read_our_answers_is_dropped(pki: Pki) -> None:
    scene = Scene(pki, command_timeout=300)
    await settle()
    scene.edge.pause_writing()
    await scene.hear(b"NOOP\r\n")
    await scene.pass_time(301)
    assert scene.paper.aborted


async def test_a_flood_of_commands_is_not_read_faster_than_answered(pki: Pki) -> None:
    scene = Scene(pki, junk_commands=100_000, command_length=2048)
    await settle()
    scene.edge.pause_writing()
    await scene.hear(b"NOOP\r\n")
    await scene.hear(b"NOOP\r\n" * 20_000)
    assert not scene.paper.reading
    scene.edge.resume_writing()
    await settle()
    assert scene.paper.reading
    assert scene.paper.said.count("250 2.0.0 Ok") == 20_001


async def test_a_large_message_waits_for_room_and_reads_no_further(pki: Pki) -> None:
    budget = Budget(4 * MIB)
    await budget.take(4 * MIB)
    scene = Scene(pki, budget=budget)
    await in_data(scene, f" SIZE={2 * MIB}")
    await scene.hear(b"a: b\r\n\r\n")
    assert scene.paper.reading
    await scene.hear((b"x" * 62 + b"\r\n") * (FREE // 64))
    assert not scene.paper.reading
    assert budget.waiting == 1
    await scene.pass_time(10_000)  # waiting for our own room is not the client's slowness
    assert "421" not in scene.paper.said
    budget.release(4 * MIB)
    await settle()
    assert scene.paper.reading
    assert 2 * MIB < budget.reserved < 3 * MIB
    assert budget.borrowed == 0
    await scene.hear((b"x" * 62 + b"\r\n") * (MIB // 64))
    assert (await scene.hear(b".\r\n")).startswith("250")
    assert budget.reserved == 0
    assert len(scene.intake.kept) == 1


async def test_no_room_in_time_is_a_452_and_the_session_goes_on(pki: Pki) -> None:
    budget = Budget(4 * MIB, patience=0.02)
    await budget.take(4 * MIB)
    scene = Scene(pki, budget=budget)
    await in_data(scene)
    await scene.hear(b"a: b\r\n\r\n" + b"x" * 60_000 + b"\r\n")
    await scene.hear((b"x" * 62 + b"\r\n") * (FREE // 64))
    await asyncio.sleep(0.1)
    assert scene.paper.reading
    said = await scene.hear((b"x" * 62 + b"\r\n") * (FREE // 64) + b".\r\nNOOP\r\n")
    assert said.startswith("452-4.3.1")
    assert "[store.busy]" in said
    assert said.endswith("250 2.0.0 Ok\r\n")
    assert (budget.borrowed, budget.reserved) == (0, 4 * MIB)
    assert scene.intake.kept == []


async def test_more_than_was_declared_is_refused_not_read_on_credit(pki: Pki) -> None:
    scene = Scene(pki)
    await in_data(scene, " SIZE=1000")
    await scene.hear(b"a: b\r\n\r\n")
    for _ in range(8):
        await scene.hear((b"x" * 62 + b"\r\n") * 1024)
    said = await scene.hear(b".\r\n")
    assert "[session.message_too_large]" in said
    assert scene.doorway.budget.reserved == 0


async def test_room_is_given_back_when_the_client_leaves(pki: Pki) -> None:
    budget = Budget(64 * MIB)
    scene = Scene(pki, budget=budget)
    await in_data(scene)
    await scene.hear(b"a: b\r\n\r\n" + b"x" * 1000 + b"\r\n")
    await scene.hear((b"x" * 62 + b"\r\n") * (FREE // 64))
    assert budget.reserved > 0
    assert set(budget._held) == {scene.edge.origin}  # a partner with a certificate is known by its name
    reader = scene.edge._incoming
    assert reader is not None
    assert reader.kept
    assert reader.blocks
    scene.edge.connection_lost(None)
    await settle()
    assert (budget.reserved, budget.borrowed) == (0, 0)
    assert reader.blocks == []  # room given back is memory given back, whoever still holds the conversation
    assert scene.edge._incoming is None
    assert scene.edge.ended.done()


async def test_a_fault_of_ours_ends_one_conversation_with_451(pki: Pki) -> None:
    scene = Scene(pki)
    await settle()
    scene.edge.envelope = None  # type: ignore[assignment]
    await scene.hear(b"RCPT TO:<a@b.test>\r\n")
    assert "[session.unknown_error]" in scene.paper.said


async def test_closing_a_busy_session_waits_for_its_answer(pki: Pki) -> None:
    scene = Scene(pki)
    await in_data(scene)
    assert scene.edge.busy
    scene.edge.close(decide(rule("session.shutting_down")))
    assert "421" not in scene.paper.said
    said = await scene.hear(b"a: b\r\n\r\n.\r\nNOOP\r\n")
    assert said.startswith("250")
    assert said.count("421") >= 1
    assert "2.0.0 Ok" not in said
