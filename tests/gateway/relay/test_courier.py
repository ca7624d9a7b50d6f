"""The courier on a real store, with a transport that does what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from gateway.relay.parcel import Attempt, Parcel
from mailboxes.commit import Committer, Unit
from mailboxes.store import StoreUnavailable
from tests.gateway.relay.house import (
    MESSAGE,
    House,
    Intake,
    Script,
    accepted,
    answering,
    running,
)
from tests.waiting import until

T = TypeVar("T")


async def test_what_is_queued_is_carried_once_with_its_bytes(house: House) -> None:
    script = Script()
    with running(house.courier(script)):
        message = await house.send(("bob@op-b.mssante.test", "eve@op-b.mssante.test", "dan@op-c.mssante.test"))
        await until(lambda: len(script.sent) == 2)

        async def empty() -> bool:
            return await house.waiting() == 0

        await until(empty)
    assert {parcel.domain for parcel in script.sent} == {"op-b.mssante.test", "op-c.mssante.test"}
    assert sorted(len(parcel.recipients) for parcel in script.sent) == [1, 2]
    assert script.bodies == [MESSAGE, MESSAGE]
    words = await house.words(message)
    assert words.count("message.queued") == 3
    assert words.count("message.handed_over") == 3
    assert await house.bodies_left() == 0


async def test_a_refusal_is_told_to_the_sender_with_status_reply_and_headers(house: House) -> None:
    intake = Intake()
    script = Script(answering("relay.partner_refused", "550 5.1.1 no such mailbox"))
    with running(house.courier(script, intake)):
        message = await house.send()
        await until(lambda: intake.notices)

        async def forgotten() -> bool:
            return await house.bodies_left() == 0

        await until(forgotten)
    to, content = intake.notices[0]
    assert to == "alice@op-a.mssante.test"
    assert b"Final-Recipient: rfc822; bob@op-b.mssante.test\r\n" in content
    assert b"Action: failed\r\n" in content
    assert b"Status: 5.1.1\r\n" in content
    assert b"Diagnostic-Code: smtp; 550 5.1.1 no such mailbox\r\n" in content
    assert b"Content-Type: text/rfc822-headers\r\n" in content
    assert b"Bonjour" not in content
    assert "message.failed" in await house.words(message)
    assert "message.notice" in await house.words(message)


async def test_only_the_deferred_recipient_waits(house: House) -> None:
    """F29: 4xx for one of three."""

    def answer(parcel: Parcel) -> Attempt:
        good, bad = accepted(parcel), answering("relay.partner_deferred", "450 4.2.1 later")(parcel)
        pairs = zip(parcel.recipients, good.results, bad.results, strict=True)
        return Attempt(tuple(no if way.recipient.startswith("eve") else yes for way, yes, no in pairs))

    script = Script(answer)
    with running(house.courier(script)):
        message = await house.send([f"{name}@op-b.mssante.test" for name in ("bob", "eve", "zoe")])

        async def one_left() -> bool:
            return await house.waiting() == 1

        await until(one_left)
        script.answer = accepted
        house.time.pass_(400)
        await until(lambda: len(script.sent) == 2)
    assert [way.recipient for way in script.sent[1].recipients] == ["eve@op-b.mssante.test"]
    assert (await house.words(message)).count("message.deferred") == 1


def run_code() -> None:
    """Stands in for work that is no plain function."""


class Away:
    """A committer whose store is away for the first few writes of an outcome."""

    def __init__(self, inner: Committer, script: Script) -> None:
        self._inner = inner
        self._script = script
        self.refused = 0

    async def run(self, work: Callable[[Unit], T]) -> T:
        if self._script.sent and self.refused < 3 and "write" in getattr(work, "__code__", run_code.__code__).co_names:
            self.refused += 1
            raise StoreUnavailable("away")
        return await self._inner.run(work)


async def test_an_outcome_waits_for_a_store_that_is_away_instead_of_sending_again(house: House) -> None:
    """F11: the partner has the message; only our own note of it is late."""
    script = Script()
    courier = house.courier(script)
    away = Away(house.committer, script)
    courier._committer = away  # type: ignore[assignment]
    with running(courier):
        message = await house.send()

        async def gone() -> bool:
            return await house.waiting() == 0

        await until(gone)
    assert away.refused == 3
    assert len(script.sent) == 1
    assert (await house.words(message)).count("message.handed_over") == 1


async def test_a_transport_that_breaks_defers_its_own_parcel_only(house: House) -> None:
    def answer(parcel: Parcel) -> Attempt:
        if parcel.domain == "op-b.mssante.test":
            raise RuntimeError("a fault of ours")
        return accepted(parcel)

    script = Script(answer)
    with running(house.courier(script)):
        broken = await house.send()
        fine = await house.send(("dan@op-c.mssante.test",))

        async def both() -> bool:
            return "message.deferred" in await house.words(broken) and "message.handed_over" in await house.words(fine)

        await until(both)
    assert [record.detail.get("rule") for record in await house.journal(broken)][-1] == "relay.busy"


async def test_a_partner_slow_to_say_goodbye_holds_nobody_up(house: House) -> None:
    """F31: idle sessions are closed beside the loop."""

    class Clinging(Script):
        async def sweep(self) -> None:
            await asyncio.sleep(3600)

    script = Clinging()
    with running(house.courier(script)):
        for _ in range(3):
            before = len(script.sent)
            await house.send()
            await until(lambda before=before: len(script.sent) > before, 5)
