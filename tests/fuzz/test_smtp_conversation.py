"""Any octets, in any packets, at any moment of an SMTP conversation: well-formed replies, no fault of ours, no octet kept."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.smtp.inbound import Inbound
from gateway.smtp.limits import Limits
from gateway.smtp.submission import Submission
from policies.catalogue import rules
from policies.values import Door
from tests.gateway.smtp_twin import QUICK, MemoryAuthenticator, MemoryIntake, Pki, doorway, make_pki
from tests.gateway.test_smtp_edge import Paper

LINES = [
    b"EHLO x", b"HELO x", b"MAIL FROM:<a@b.test>", b"MAIL FROM:<> SIZE=10 RET=FULL", b"RCPT TO:<c@d.test>", b"DATA",
    b"RSET", b"NOOP", b"VRFY x", b"EXPN x", b"HELP", b"HELP MAIL", b"QUIT", b"STARTTLS", b"AUTH PLAIN", b"AUTH LOGIN",
    b"AUTH PLAIN AGEAYg==", b"AUTH XOAUTH2 dXNlcj1hAWF1dGg9QmVhcmVyIHgBAQ==", b"*", b"=", b"", b" ", b".", b"..", b"a: b",
    b"BDAT 5", b"GET / HTTP/1.1", b"\xff\xfe", b"MAIL FROM:<\xe9@b.test>", b"x" * 3000,
]  # fmt: skip
ENDS = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r", b"", b"\0", b"\r\n.\r\n"])
piece = st.one_of(
    st.tuples(st.sampled_from(LINES), ENDS).map(b"".join),
    st.binary(max_size=40),
    st.just(b"EHLO x\r\n"),
    st.just(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"),
)


@pytest.fixture(scope="module")
def pki() -> Pki:
    return make_pki(Path(tempfile.mkdtemp()))


async def _converse(pki: Pki, submission: bool, packets: list[bytes]) -> tuple[MemoryIntake, str]:
    intake, paper = MemoryIntake(), Paper()
    shared = doorway(
        pki,
        door=Door.SUBMISSION if submission else Door.INBOUND,
        intake=intake,
        authenticator=MemoryAuthenticator(),
        limits=Limits(**{**QUICK, "linger": 0.0, "message_size": 2000, "header_size": 500, "line_length": 200}),
    )
    edge = (Submission if submission else Inbound)(shared)
    edge.connection_made(paper)
    edge.session.tls = True
    for packet in packets:
        await asyncio.sleep(0)
        edge.data_received(packet)
        for _ in range(6):
            await asyncio.sleep(0)
    edge.connection_lost(None)
    await asyncio.wait_for(edge.ended, 5)
    assert (shared.budget.borrowed, shared.budget.reserved) == (0, 0)
    return intake, paper.said


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.booleans(), st.lists(piece, max_size=25), st.data())
def test_any_conversation(pki: Pki, submission: bool, pieces: list[bytes], data: st.DataObject) -> None:
    octets = b"".join(pieces).replace(b"STARTTLS", b"STARTTLX")  # there is no TLS below this transport
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=10)))
    packets = [octets[start:end] for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    intake, said = asyncio.run(_converse(pki, submission, [each for each in packets if each]))
    assert said == "" or said.endswith("\r\n")
    for line in said.split("\r\n")[:-1]:
        assert line[:3].isdecimal()
        assert line[3] in " -"
        assert len(line) <= 510
        if line.endswith("]") and " [" in line:
            assert line[line.rindex("[") + 1 : -1] in rules()
    assert "[session.unknown_error]" not in said
    for transaction, content in intake.kept:
        assert transaction.recipients
        assert b"\0" not in content
        assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")
        assert submission is (transaction.peer.login is not None)
