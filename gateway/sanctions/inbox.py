"""Reports that come by mail: a message to ``penalties.reports`` that holds, or names, the unsolicited one (TOU-B05).

It goes on to its mailbox, where people read it; beside, the case is opened in the transaction that accepts it, and whoever reported is
told of the case, or that no such message reached him. Who he is was proved at the door: a login, or a partner's certificate.
Promise: bounded: of a report the first :data:`MOST` messages attached or named are looked for, and one case is opened for each sender.
Failure: :class:`mailboxes.store.StoreError` of the reading is the acceptance's; nothing in a report makes it fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice

from sqlalchemy import Connection

from gateway.arrival import Arrival, Consequences, Followers, Work
from gateway.identifiers import LENGTH
from gateway.sanctions import letters, reports
from gateway.sanctions.cases import Cases, Report
from gateway.sanctions.letters import one_line
from gateway.settings import Config
from mailboxes import register
from mailboxes.accounts import Refused
from mailboxes.commit import Reading, Unit
from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.values import Address, Peer

MOST = 10
TEXTS, TEXT_BYTES = 3, 16 * 1024
_NAMED = re.compile(rb"<[!-;=?-~]{3,500}>|\b[0-9A-HJKMNP-TV-Z]{26}\b")


class Reporting:
    """Followers of the intake: ``inner`` and then, for mail to the mailbox of reports, the case. ``cases`` are those of the
    configuration in force."""

    def __init__(
        self,
        inner: Followers,
        reading: Reading,
        config: Callable[[], Config],
        cases: Callable[[Config], Cases],
    ) -> None:
        self._inner = inner
        self._reading = reading
        self._config = config
        self._cases = cases

    async def __call__(self, arrival: Arrival) -> Consequences:
        """What follows from this message."""
        entailed = await self._inner(arrival)
        config, sender = self._config(), arrival.transaction.sender
        to = config.penalties.reports.lower()
        if not to or sender is None or to not in arrival.local or arrival.anatomy.auto_submitted not in ("", "no"):
            return entailed
        named = list(dict.fromkeys(islice(_named(arrival, config.operator.hostname), 3 * MOST)))[:MOST]
        found, refused = await self._reading.run(lambda connection: _looked_for(connection, named, sender))
        return entailed._replace(also=(*entailed.also, self._work(self._cases(config), found, refused, arrival)))

    def _work(self, cases: Cases, found: list[tuple[Report, str]], refused: Decision | None, arrival: Arrival) -> Work:
        sender, who = arrival.transaction.sender, _who(arrival.transaction.peer)

        def work(unit: Unit) -> None:
            for each, named in found:
                dossier, _ = cases.open(unit, each, who, named)
                letters.owe(unit, str(sender), decide(rule("sanction.letter_reported"), number=dossier.case.number))
            if refused is not None and not found:
                said = decide(rule("sanction.letter_not_reported"), reference=one_line(refused.parameters["reference"]))
                letters.owe(unit, str(sender), said)

        return work


def _who(peer: Peer) -> str:
    """As the record of the message's acceptance names him."""
    if peer.login is not None:
        return peer.login.account
    return peer.certificate.subject if peer.certificate is not None else "system"


def _looked_for(
    connection: Connection, named: list[str], sender: Address
) -> tuple[list[tuple[Report, str]], Decision | None]:
    """The reports that hold, one for each sender, and what they were named by; else why the last one does not."""
    reporter = register.find(connection, str(sender))
    found: dict[str, tuple[Report, str]] = {}
    refused: Decision | None = decide(rule("sanction.not_received"), address=sender, reference="-")
    for each in named:
        try:
            if reporter is None:
                report = reports.of_stranger(connection, each, sender)
            else:
                report = reports.of_recipient(connection, each, reporter)
        except Refused as problem:
            if "reference" in problem.decision.parameters:
                refused = problem.decision
            continue
        found.setdefault(report.subject, (report, each))
    return list(found.values()), refused


def _named(arrival: Arrival, hostname: str) -> Iterator[str]:
    """What the report may speak of: the messages attached, first by our own mark; then what it names, and what it answers."""
    anatomy = arrival.anatomy
    attached = list(islice((part for part in anatomy.parts if part.message and part.index), MOST))
    for part in attached:
        if identifier := reports.identifier_of(part.values.get(b"received", ())[:MOST], hostname):
            yield identifier
        yield from _names(b"".join(part.values.get(b"message-id", ())[:1])[:1000])
    if attached:
        return
    for part in islice((part for part in anatomy.parts if part.kind == b"text"), TEXTS):
        yield from _names(arrival.raw[part.body_start : min(part.body_end, part.body_start + TEXT_BYTES)])
    yield from (*anatomy.in_reply_to[:1], *anatomy.references[-1:])


def _names(text: bytes) -> list[str]:
    return [each.decode("ascii") for each in _NAMED.findall(text) if b"@" in each or len(each) == LENGTH]
