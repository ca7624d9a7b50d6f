"""The two SMTP doors over real sockets: order of things, TLS, login, what is kept and what is refused."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from gateway.smtp.limits import Limits, Rate
from gateway.smtp.server import SmtpServer, serve_inbound, serve_submission
from policies.catalogue import rule
from policies.decision import decide
from policies.events import Event, Kind
from policies.values import CertificateFacts, Door, Revocation
from tests.gateway.smtp_twin import (
    QUICK,
    Client,
    MemoryAuthenticator,
    MemoryIntake,
    Pki,
    doorway,
    facts,
    make_pki,
)
from tests.waiting import until

Open = Callable[..., Awaitable[SmtpServer]]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def opened(pki: Pki) -> AsyncIterator[Open]:
    """Opens doors on free ports and closes them after the test."""
    servers: list[SmtpServer] = []

    async def start(*, submission: bool = False, **named: Any) -> SmtpServer:
        door = Door.SUBMISSION if submission else Door.INBOUND
        if submission:
            named.setdefault("authenticator", MemoryAuthenticator())
        serve = serve_submission if submission else serve_inbound
        servers.append(await serve(doorway(pki, door=door, **named), "127.0.0.1", 0))
        return servers[-1]

    yield start
    for server in servers:
        server.cut()
    await asyncio.sleep(0)


async def test_a_partner_sends_a_message_over_mutual_tls(opened: Open, pki: Pki) -> None:
    intake = MemoryIntake()
    server = await opened(intake=intake)
    client = await Client.secured(server.port, pki.client_context())
    assert (await client.envelope()).startswith("354")
    await client.send(b"Subject: x\r\n\r\n..dot\r\nend\r\n.\r\n")
    answer = await client.reply()
    assert answer.startswith("250-2.0.0 ")
    assert "m1" in answer
    assert (await client.say("QUIT")).startswith("221")
    assert await client.closed()
    transaction, content = intake.kept[0]
    assert content == b"Subject: x\r\n\r\n.dot\r\nend\r\n"
    assert transaction.peer.certificate is not None
    assert transaction.peer.certificate.subject == "CN=client"
    assert (transaction.peer.tls, transaction.peer.helo, transaction.peer.ip) == (True, "client.test", "127.0.0.1")


async def test_nothing_but_tls_is_possible_in_clear(opened: Open) -> None:
    server = await opened()
    client = await Client.connect(server.port)
    await client.reply()
    offered = await client.say("EHLO client.test")
    assert "STARTTLS" in offered
    assert "AUTH" not in offered
    for line in ("MAIL FROM:<a@b.test>", "RCPT TO:<a@b.test>", "DATA", "VRFY a", "HELO x", "HELP"):
        answer = await client.say(line)
        assert answer.startswith("530-5.7.0 ")
        assert "[session.starttls_required]" in answer


async def test_what_is_offered_under_tls(opened: Open, pki: Pki) -> None:
    server = await opened()
    client = await Client.secured(server.port, pki.client_context())
    offered = {line[4:] for line in (await client.say("EHLO client.test")).split("\n")[1:]}
    expected = {"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "HELP", f"SIZE {Limits().message_size}"}
    assert offered == expected
    assert (await client.say("AUTH PLAIN AGEAYg==")).startswith("500")
    assert "[session.tls_already_active]" in await client.say("STARTTLS")


async def test_commands_buffered_before_tls_are_never_run(opened: Open, pki: Pki) -> None:
    intake = MemoryIntake()
    server = await opened(intake=intake)
    client = await Client.connect(server.port)
    await client.reply()
    await client.say("EHLO client.test")
    await client.send(b"STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@evil.test>\r\nNOOP\r\n")
    assert (await client.reply()).startswith("220")
    await client.start_tls(pki.client_context())
    # The EHLO given before TLS is forgotten too (RFC 3207 4.2).
    assert "[session.bad_sequence]" in await client.say("MAIL FROM:<a@b.test>")
    assert (await client.say("NOOP")).startswith("250 ")


async def test_pipelined_commands_are_answered_in_one_write(opened: Open, pki: Pki) -> None:
    server = await opened()
    client = await Client.secured(server.port, pki.client_context())
    await client.send(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@op-a.mssante.test>\r\nDATA\r\n")
    answers = await client.reader.read(4096)
    assert [line[:3] for line in answers.split(b"\r\n")[:-1]] == [b"250", b"250", b"354"]


async def test_a_session_refused_later_is_refused_at_the_next_mail(opened: Open, pki: Pki) -> None:
    intake = MemoryIntake()
    server = await opened(intake=intake)
    client = await Client.secured(server.port, pki.client_context())
    await client.envelope()
    await client.send(b"x: y\r\n\r\n.\r\n")
    assert (await client.reply()).startswith("250")
    intake.refuse_session = decide(
        rule("trust.certificate_revoked"), detail="serial 42 revoked", certificate="CN=client"
    )
    answer = await client.say("MAIL FROM:<a@b.test>")
    assert answer.startswith("554-5.7.5")
    assert "[trust.certificate_revoked]" in answer
    assert "serial" not in answer
    assert "[session.bad_sequence]" in await client.say("RCPT TO:<c@d.test>")


async def test_no_certificate_reaches_the_intake_as_such(opened: Open, pki: Pki) -> None:
    intake = MemoryIntake(refuse_session=decide(rule("session.client_certificate_missing")))
    server = await opened(intake=intake)
    client = await Client.secured(server.port, pki.client_context(certificate=False))
    assert "[session.client_certificate_missing]" in await client.say("MAIL FROM:<a@b.test>")
    assert intake.sessions[0].certificate is None


async def test_a_message_for_nobody_says_that_its_recipients_were_refused(opened: Open, pki: Pki) -> None:
    server = await opened()
    client = await Client.secured(server.port, pki.client_context())
    await client.say("EHLO mx.b.test")
    await client.say("MAIL FROM:<a@b.test>")
    assert "[session.bad_sequence]" in await client.say("DATA")
    assert "[session.bad_address]" in await client.say("RCPT TO:<not an address>")
    answer = await client.say("DATA")
    assert answer.startswith("554")
    assert "[session.no_recipients]" in answer


@pytest.mark.parametrize(
    ("line", "rule_name"),
    [
        ("MAIL FROM:a@b.test", "session.bad_address"),
        ("MAIL FROM:<a@b.test> SIZE=10 SIZE=10", "session.syntax"),
        ("MAIL FROM:<a@b.test> SIZE=abc", "session.syntax"),
        ("MAIL FROM:<a@b.test> SIZE=" + "9" * 21, "session.syntax"),
        ("MAIL FROM:<a@b.test> SIZE=99999999999", "session.message_too_large"),
        ("MAIL FROM:<a@b.test> BODY=BINARYMIME", "session.syntax"),
        ("MAIL FROM:<a@b.test> RET=ALL", "session.syntax"),
        ("MAIL FROM:<a@b.test> ENVID=a+2", "session.syntax"),
        ("MAIL FROM:<a@b.test> ENVID=" + "a" * 101, "session.syntax"),
        ("MAIL FROM:<a@b.test> FOO=1", "session.parameter_unknown"),
        ("MAIL FROM:<a@b.test> SMTPUTF8", "session.smtputf8_unsupported"),
        ("MAIL FROM:<jos\xe9@b.test>", "session.smtputf8_unsupported"),
        ("MAIL FROM:<Postmaster>", "session.bad_address"),
        ("MAIL FROM:<a@b.test>RET=FULL", "session.bad_address"),
        ("MAIL", "session.syntax"),
        ("RCPT TO:<a@b.test>", "session.bad_sequence"),
        ("DATA", "session.bad_sequence"),
        ("BDAT 10 LAST", "session.command_unknown"),
        ("RSET now", "session.syntax"),
        ("EHLO", "session.syntax"),
        ("EHLO a b", "session.syntax"),
        ("EHLO h\xf4pital.b.test", "session.syntax"),
        ("HELP \xe0 moi", "session.syntax"),
        ("EXPN team", "session.expn"),
    ],
)
async def test_each_wrong_command_has_its_rule(opened: Open, pki: Pki, line: str, rule_name: str) -> None:
    server = await opened()
    client = await Client.secured(server.port, pki.client_context())
    answer = await client.say(line)
    assert f"[{rule_name}]" in answer
    assert (await client.say("NOOP")).startswith("250")


@pytest.mark.parametrize(
    ("line", "good"),
    [
        ("RCPT TO:<c@d.test> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;c+2Bx@d.test", True),
        ("RCPT TO:<c@d.test> notify=never", True),
        ("RCPT TO:<POSTMASTER>", True),
        ("RCPT TO:<c@d.test> NOTIFY=NEVER,SUCCESS", False),
        ("RCPT TO:<c@d.test> NOTIFY=SUCCESS,SUCCESS", False),
        ("RCPT TO:<c@d.test> NOTIFY=", False),
        ("RCPT TO:<c@d.test> ORCPT=c@d.test", False),
        ("RCPT TO:<c@d.test> ORCPT=rfc822;" + "c" * 500, False),
        ("RCPT TO:<>", False),
    ],
)
async def test_recipients_and_their_parameters(opened: Open, pki: Pki, line: str, good: bool) -> None:
    server = await opened()
    client = await Client.secured(server.port, pki.client_context())
    assert (await client.say("MAIL FROM:<> RET=HDRS ENVID=QQ314159 BODY=8BITMIME SIZE=1000")).startswith("250")
    assert (await client.say(line)).startswith("250") is good


async def test_the_parameters_reach_the_intake(opened: Open, pki: Pki) -> None:
    intake = MemoryIntake()
    server = await opened(intake=intake)
    client = await Client.secured(server.port, pki.client_context())
    await client.say("MAIL FROM:<> RET=HDRS ENVID=QQ314159 BODY=8BITMIME")
    await client.say("RCPT TO:<Postmaster> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@y.test")
    await client.say("DATA")
    await client.send(b"a: \xe9\r\n\r\n\xff\r\n.\r\n")
    assert (await client.reply()).startswith("250")
    transaction, content = intake.kept[0]
    assert content == b"a: \xe9\r\n\r\n\xff\r\n"
    assert transaction.sender is None
    assert (transaction.ret, transaction.envid, transaction.eight_bit) == ("HDRS", "QQ314159", True)
    recipient = transaction.recipients[0]
    assert str(recipient.address) == "postmaster@op-a.mssante.test"
    assert recipient.dsn.notify == {"SUCCESS", "DELAY"}
    assert recipient.dsn.orcpt == "rfc822;x@y.test"


async def test_refusals_are_per_recipient(opened: Open, pki: Pki) -> None:
    unknown = decide(rule("trust.recipient_not_listed"), domain="evil.test")
    intake = MemoryIntake(refused_recipients={"x@evil.test": unknown})
    server = await opened(intake=intake)
    client = await Client.secured(server.port, pki.client_context())
    await client.say("MAIL FROM:<a@b.test>")
    assert (await client.say("RCPT TO:<x@evil.test>")).startswith("550")
    assert (await client.say("RCPT TO:<c@d.test>")).startswith("250")
    await client.say("DATA")
    await client.send(b"a: b\r\n\r\n.\r\n")
    assert (await client.reply()).startswith("250")
    assert [str(each.address) for each in intake.kept[0][0].recipients] == ["c@d.test"]


@pytest.mark.parametrize("method", ["session", "sender", "recipient", "message"])
async def test_a_broken_intake_is_a_451_and_tells_nothing(opened: Open, pki: Pki, method: str) -> None:
    intake = MemoryIntake(broken=method)
    server = await opened(intake=intake)
    client = await Client.secured(server.port, pki.client_context())
    await client.send(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n")
    answers = [await client.reply(), await client.reply()]
    if method == "message":
        await client.say("DATA")
        await client.send(b"a: b\r\n\r\n.\r\n")
        answers = [await client.reply()]
    assert any("[store.unavailable]" in answer and answer.startswith("451-4.3.0") for answer in answers)
    assert "Dupont" not in "".join(answers)
    assert intake.kept == []
    assert (await client.say("NOOP")).startswith("250")


async def test_a_refused_message_is_not_kept_and_the_session_goes_on(opened: Open, pki: Pki) -> None:
    intake = MemoryIntake(verdict=decide(rule("content.loop")))
    server = await opened(intake=intake)
    client = await Client.secured(server.port, pki.client_context())
    await client.envelope()
    await client.send(b"a: b\r\n\r\n.\r\n")
    assert "[content.loop]" in await client.reply()
    intake.verdict = decide(rule("session.accepted"))
    await client.envelope()
    await client.send(b"a: b\r\n\r\n.\r\n")
    assert (await client.reply()).startswith("250")


def _plain(login: str, password: str) -> str:
    return base64.b64encode(f"\0{login}\0{password}".encode()).decode()


async def test_submission_needs_tls_then_login(opened: Open, pki: Pki) -> None:
    intake = MemoryIntake()
    server = await opened(submission=True, intake=intake)
    client = await Client.connect(server.port)
    await client.reply()
    assert "AUTH" not in await client.say("EHLO pc")
    assert "[session.starttls_required]" in await client.say(f"AUTH PLAIN {_plain('a', 'b')}")
    client.close()
    client = await Client.secured(server.port, pki.client_context(certificate=False))
    assert "AUTH PLAIN LOGIN OAUTHBEARER XOAUTH2\n" in await client.say("EHLO pc")
    assert "[session.auth_required]" in await client.say("MAIL FROM:<jeanne@op-a.mssante.test>")
    credentials = _plain("jeanne@op-a.mssante.test", "s3cret-device")
    assert (await client.say(f"AUTH PLAIN {credentials}")).startswith("235 2.7.0")
    assert "[session.auth_already_done]" in await client.say(f"AUTH PLAIN {credentials}")
    assert (await client.envelope("jeanne@op-a.mssante.test")).startswith("354")
    await client.send(b"a: b\r\n\r\n.\r\n")
    assert (await client.reply()).startswith("250")
    login = intake.kept[0][0].peer.login
    assert login is not None
    assert (login.account, login.means) == ("jeanne", "device")


@pytest.mark.parametrize("name", ["PC-Secrétariat", "Poste du médecin", " pc "])
@pytest.mark.parametrize("charset", ["utf-8", "cp1252"])
async def test_the_name_of_a_computer_is_taken_as_it_is(opened: Open, pki: Pki, name: str, charset: str) -> None:
    """Postfix takes these names too; a physician cannot be told to rename the computer."""
    intake = MemoryIntake()
    server = await opened(submission=True, implicit_tls=True, intake=intake)
    client = await Client.connect(server.port, pki.client_context(certificate=False))
    await client.reply()
    for verb in (b"HELO ", b"EHLO "):
        await client.send(verb + name.encode(charset) + b"\r\n")
        assert (await client.reply()).startswith("250")
    await client.say(f"AUTH PLAIN {_plain('jeanne@op-a.mssante.test', 's3cret-device')}")
    assert (await client.say("MAIL FROM:<jeanne@op-a.mssante.test>")).startswith("250")
    assert intake.sessions[0].helo == {"PC-Secrétariat": "PC-Secr-tariat", " pc ": "pc"}.get(name, "Poste-du-m-decin")
    for nothing in ("EHLO", "EHLO  "):
        assert "[session.syntax]" in await client.say(nothing)


async def test_tokens_are_offered_only_where_somebody_issues_them(opened: Open, pki: Pki) -> None:
    """Sylpheed takes XOAUTH2 when it sees it, has no token, and gives up."""
    server = await opened(submission=True, tokens=False)
    client = await Client.secured(server.port, pki.client_context(certificate=False))
    assert "AUTH PLAIN LOGIN\n" in await client.say("EHLO pc")
    assert "[session.auth_mechanism_unknown]" in await client.say("AUTH XOAUTH2")
    credentials = _plain("jeanne@op-a.mssante.test", "s3cret-device")
    assert (await client.say(f"AUTH PLAIN {credentials}")).startswith("235 2.7.0")


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_each_mechanism_logs_in(opened: Open, pki: Pki) -> None:
    server = await opened(submission=True, implicit_tls=True)
    address = "jeanne@op-a.mssante.test"
    dialogues = [
        [("AUTH PLAIN", "334 "), (_plain(address, "s3cret-device"), "235")],
        [("AUTH LOGIN", "334 VXNlcm5hbWU6"), (_b64(address), "334 UGFzc3dvcmQ6"), (_b64("s3cret-device"), "235")],
        [(f"AUTH LOGIN {_b64(address)}", "334"), (_b64("s3cret-device"), "235")],
        [("AUTH EXTERNAL =", "235")],
        [(f"AUTH EXTERNAL {_b64(address)}", "235")],
        [(f"AUTH OAUTHBEARER {_b64(f'n,a={address},' + chr(1) + 'auth=Bearer tok.en' + chr(1) * 2)}", "235")],
        [(f"AUTH XOAUTH2 {_b64(f'user={address}' + chr(1) + 'auth=Bearer tok.en' + chr(1) * 2)}", "235")],
    ]
    for dialogue in dialogues:
        client = await Client.connect(server.port, pki.client_context())
        assert (await client.reply()).startswith("220")
        assert "EXTERNAL" in await client.say("EHLO pc")
        for line, expected in dialogue:
            assert (await client.say(line)).startswith(expected), line
        client.close()


async def test_a_token_longer_than_any_command_logs_in_with_its_command(opened: Open, pki: Pki) -> None:
    """RFC 4954 4, MSS-071: access tokens of Pro Santé Connect are two or three thousand octets and come in one line."""
    token = "e" * 6000
    server = await opened(submission=True, authenticator=MemoryAuthenticator(access_token=token))
    login = _b64("user=jeanne@op-a.mssante.test\x01auth=Bearer " + token + "\x01\x01")
    client = await Client.secured(server.port, pki.client_context())
    assert (await client.say(f"AUTH XOAUTH2 {login}")).startswith("235")
    client = await Client.secured(server.port, pki.client_context())
    await client.send(b"auth xoauth2 " + b"A" * 40_000)
    assert "[session.line_too_long]" in await client.reply()
    client = await Client.secured(server.port, pki.client_context())
    await client.send(b"AUTX" + b"A" * 4_000)
    assert "[session.line_too_long]" in await client.reply()


async def test_a_refused_token_is_explained_before_it_is_refused(opened: Open, pki: Pki) -> None:
    server = await opened(submission=True, implicit_tls=True)
    client = await Client.connect(server.port, pki.client_context())
    await client.reply()
    await client.say("EHLO pc")
    address = "jeanne@op-a.mssante.test"
    for mechanism, message in (
        ("OAUTHBEARER", f"n,a={address},\x01auth=Bearer old\x01\x01"),
        ("XOAUTH2", f"user={address}\x01auth=Bearer old\x01\x01"),
    ):
        challenge = await client.say(f"AUTH {mechanism} {_b64(message)}")
        assert challenge.startswith("334 ")
        assert b'"status"' in base64.b64decode(challenge[4:])
        answer = await client.say("AQ==")
        assert "session.auth_token_refused" in answer
        assert "Pro Sante Connect" in answer  # nobody is sent to look for a password he does not have
        assert "appareil" not in answer


async def test_a_certificate_that_opens_nothing_is_not_called_a_wrong_password(opened: Open, pki: Pki) -> None:
    server = await opened(submission=True, authenticator=MemoryAuthenticator(rule_name="session.auth_failed"))
    client = await Client.secured(server.port, pki.client_context())
    answer = await client.say(f"AUTH EXTERNAL {_b64('nobody@op-a.mssante.test')}")
    assert answer.startswith("535")
    assert "session.auth_certificate_refused" in answer


async def test_a_token_nobody_can_judge_is_not_called_invalid(opened: Open, pki: Pki) -> None:
    away = MemoryAuthenticator(rule_name="session.auth_unavailable")
    server = await opened(submission=True, implicit_tls=True, authenticator=away)
    client = await Client.connect(server.port, pki.client_context())
    await client.reply()
    await client.say("EHLO pc")
    answer = await client.say(f"AUTH OAUTHBEARER {_b64('n,,' + chr(1) + 'auth=Bearer old' + chr(1) * 2)}")
    assert answer.startswith("454")
    assert "[session.auth_unavailable]" in answer


@pytest.mark.parametrize(
    ("line", "rule_name"),
    [
        ("AUTH", "session.syntax"),
        ("AUTH CRAM-MD5", "session.auth_mechanism_unknown"),
        ("AUTH EXTERNAL =", "session.auth_mechanism_unknown"),
        ("AUTH PLAIN !!!", "session.auth_malformed"),
        ("AUTH PLAIN " + _b64("no nulls"), "session.auth_malformed"),
        ("AUTH PLAIN " + _b64("other\0jeanne@op-a.mssante.test\0s3cret-device"), "session.auth_malformed"),
        ("AUTH PLAIN " + _plain("jeanne@op-a.mssante.test", "wrong"), "session.auth_failed"),
        ("AUTH PLAIN " + _plain("nobody@op-a.mssante.test", "s3cret-device"), "session.auth_failed"),
        ("AUTH OAUTHBEARER " + _b64("p=tls-unique,,\x01auth=Bearer x\x01\x01"), "session.auth_malformed"),
    ],
)
async def test_each_wrong_login_has_its_rule(opened: Open, pki: Pki, line: str, rule_name: str) -> None:
    server = await opened(submission=True)
    client = await Client.secured(server.port, pki.client_context(certificate=False))
    assert f"[{rule_name}]" in await client.say(line)
    assert "[session.auth_required]" in await client.say("MAIL FROM:<a@b.test>")


async def test_a_login_can_be_cancelled(opened: Open, pki: Pki) -> None:
    server = await opened(submission=True)
    client = await Client.secured(server.port, pki.client_context(certificate=False))
    await client.say("AUTH LOGIN")
    assert "[session.auth_cancelled]" in await client.say("*")


async def test_three_failed_logins_end_the_session(opened: Open, pki: Pki) -> None:
    server = await opened(submission=True)
    client = await Client.secured(server.port, pki.client_context(certificate=False))
    for _ in range(2):
        await client.say("AUTH PLAIN " + _plain("a@b.test", "wrong"))
    assert "[session.auth_failed]" in await client.say("AUTH PLAIN " + _plain("a@b.test", "wrong"))
    assert "[session.too_many_errors]" in await client.reply()
    assert await client.closed()


async def test_a_broken_authenticator_lets_nobody_in(opened: Open, pki: Pki) -> None:
    server = await opened(submission=True, authenticator=MemoryAuthenticator(broken=True))
    client = await Client.secured(server.port, pki.client_context(certificate=False))
    answer = await client.say("AUTH PLAIN " + _plain("jeanne@op-a.mssante.test", "s3cret-device"))
    assert answer.startswith("454-4.7.0")
    assert "[session.auth_required]" in await client.say("MAIL FROM:<a@b.test>")


async def test_a_session_refused_after_login_is_not_logged_in(opened: Open, pki: Pki) -> None:
    refusal = decide(rule("session.rate_limited"))
    server = await opened(submission=True, intake=MemoryIntake(refuse_session=refusal))
    client = await Client.secured(server.port, pki.client_context(certificate=False))
    answer = await client.say("AUTH PLAIN " + _plain("jeanne@op-a.mssante.test", "s3cret-device"))
    assert "[session.rate_limited]" in answer
    assert "[session.auth_required]" in await client.say("MAIL FROM:<a@b.test>")


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST /x HTTP/1.0", "Host: smtp", "PRI * HTTP/2.0"])
async def test_other_protocols_are_hung_up_on(opened: Open, line: str) -> None:
    server = await opened()
    client = await Client.connect(server.port)
    await client.reply()
    assert "[session.wrong_protocol]" in await client.say(line)
    assert await client.closed()


async def test_limits_of_command_lines(opened: Open) -> None:
    server = await opened()
    client = await Client.connect(server.port)
    await client.reply()
    await client.send(b"EHLO " + b"a" * 4000)
    assert "[session.line_too_long]" in await client.reply()
    assert await client.closed()


@pytest.mark.parametrize("octets", [b"NOOP\nNOOP\r\n", b"NOOP\rNOOP\r\n", b"NO\0OP\r\n", b"NOOP\n"])
async def test_bare_line_ends_in_commands(opened: Open, octets: bytes) -> None:
    server = await opened()
    client = await Client.connect(server.port)
    await client.reply()
    await client.send(octets)
    assert "[session.bare_line_end]" in await client.reply()
    assert await client.closed()


async def test_content_sent_before_354_is_a_reason_to_hang_up(opened: Open, pki: Pki) -> None:
    intake = MemoryIntake()
    server = await opened(intake=intake)
    client = await Client.secured(server.port, pki.client_context())
    await client.send(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\na: b\r\n\r\n.\r\n")
    answers = [await client.reply() for _ in range(3)]
    assert "[session.bad_pipelining]" in answers[2]
    assert await client.closed()
    assert intake.kept == []


async def test_too_many_errors_junk_recipients_connections(opened: Open, pki: Pki) -> None:
    limits = Limits(
        **{**QUICK, "hard_errors": 3, "junk_commands": 5, "recipients": 2, "overshoot": 10, "connections_per_ip": 2}
    )
    server = await opened(limits=limits)
    client = await Client.secured(server.port, pki.client_context())
    await client.say("MAIL FROM:<a@b.test>")
    for number in range(2):
        assert (await client.say(f"RCPT TO:<u{number}@d.test>")).startswith("250")
    for number in range(11):  # ten more than the limit are no error: who has a long list names it all
        assert (await client.say(f"RCPT TO:<v{number}@d.test>")).startswith("452-4.5.3")
    await client.say("FOO")
    await client.send(b"FOO\r\n")
    assert "[session.command_unknown]" in await client.reply()
    assert "[session.too_many_errors]" in await client.reply()
    assert await client.closed()
    client = await Client.secured(server.port, pki.client_context())
    for _ in range(5):
        assert (await client.say("NOOP")).startswith("250")
    assert "[session.too_many_errors]" in await client.say("NOOP")
    one, two = await Client.connect(server.port), await Client.connect(server.port)
    assert {(await one.reply())[:3], (await two.reply())[:3]} == {"220"}
    three = await Client.connect(server.port)
    assert "[session.too_many_connections]" in await three.reply()
    assert await three.closed()


async def test_too_large_declared_or_not(opened: Open, pki: Pki) -> None:
    intake = MemoryIntake()
    server = await opened(intake=intake, limits=Limits(**{**QUICK, "message_size": 1000}))
    client = await Client.secured(server.port, pki.client_context())
    assert "[session.message_too_large]" in await client.say("MAIL FROM:<a@b.test> SIZE=1001")
    await client.envelope()
    await client.send(b"a: b\r\n\r\n" + b"x" * 500 + b"\r\n" + b"x" * 600 + b"\r\n.\r\n")
    assert "[session.message_too_large]" in await client.reply()
    await client.envelope()
    await client.send(b"a: b\r\n\r\n" + b"x" * 500 + b"\r\n.\r\n")
    assert (await client.reply()).startswith("250")
    assert len(intake.kept) == 1


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_failed_handshake_is_an_event_with_its_rule(opened: Open, pki: Pki, implicit: bool) -> None:
    events: list[Event] = []
    server = await opened(submission=True, implicit_tls=implicit, record=events.append)
    client = await Client.connect(server.port)
    if not implicit:
        await client.reply()
        await client.say("EHLO x")
        assert (await client.say("STARTTLS")).startswith("220")
    await client.send(b"EHLO in the clear\r\n")
    assert await client.closed()
    assert [(event.kind, event.detail["rule"], event.detail["detail"]) for event in events] == [
        (Kind.PEER_REFUSED, "session.tls_handshake_failed", "SSLError, not tls")
    ]
    assert server.connections() == ()


async def test_a_certificate_is_read_again_for_open_sessions(opened: Open, pki: Pki) -> None:
    known: list[CertificateFacts] = []

    def later(ssl_object: Any) -> CertificateFacts | None:
        found = facts(ssl_object)
        assert found is not None
        known.append(replace(found, revocation=Revocation.REVOKED if known else Revocation.GOOD))
        return known[-1]

    server = await opened(facts=later)
    await Client.secured(server.port, pki.client_context())
    (connection,) = server.connections()
    assert connection.peer.certificate is not None
    assert connection.peer.certificate.revocation is Revocation.GOOD
    now = connection.peer_now().certificate
    assert now is not None
    assert now.revocation is Revocation.REVOKED
    assert connection.peer.certificate == now


async def test_a_right_to_send_is_taken_from_an_open_session(opened: Open, pki: Pki) -> None:
    """MSS-074, F47: the policies are asked with what the login may do now."""
    server = await opened(submission=True)
    client = await Client.secured(server.port, pki.client_context())
    assert (await client.say(f"AUTH PLAIN {_plain('jeanne@op-a.mssante.test', 's3cret-device')}")).startswith("235")
    (connection,) = server.connections()
    before = connection.peer.login
    assert before is not None
    connection.may_send_as(before.send_as)
    assert connection.peer.login is before
    connection.may_send_as(frozenset())
    assert connection.peer.login == replace(before, send_as=frozenset())


async def test_the_server_looks_after_who_is_silent(opened: Open) -> None:
    server = await opened(limits=Limits(**{**QUICK, "command_timeout": 0.1}))
    client = await Client.connect(server.port)
    await client.reply()
    assert "[session.timeout]" in await client.reply()
    assert await client.closed()


async def test_small_verbs(opened: Open, pki: Pki) -> None:
    server = await opened()
    client = await Client.secured(server.port, pki.client_context())
    expected = {
        "HELO client.test": "250 smtp.op-a.mssante.test",
        "NOOP any thing": "250 2.0.0",
        "VRFY jeanne": "252-2.5.0",
        "VRFY": "501-",
        "HELP": "214 2.0.0 DATA EHLO EXPN HELO HELP MAIL NOOP QUIT RCPT RSET STARTTLS VRFY",
        "HELP mail": "214 2.0.0 MAIL FROM:<address>",
        "STARTTLS now": "501-",
        "QUIT now": "501-",
        "DATA now": "501-",
        "RSET": "250 2.0.0",
    }
    for line, answer in expected.items():
        assert (await client.say(line)).startswith(answer), line


async def test_the_rate_of_messages_of_one_address(opened: Open, pki: Pki) -> None:
    one, intake = Rate(per_minute=0.001, burst=1), MemoryIntake()
    server = await opened(intake=intake, limits=Limits(**{**QUICK, "messages_per_ip": one}))
    client = await Client.secured(server.port, pki.client_context())
    await client.say("MAIL FROM:<a@b.test>")
    await client.say("RSET")
    refused = await client.say("MAIL FROM:<a@b.test>")
    assert refused.startswith("450-4.7.1")
    assert "[session.rate_limited]" in refused
    assert "Reference to quote: r1" in refused
    assert intake.turned == [("mail", "session.rate_limited")]


async def test_a_note_is_told_with_the_acceptance(opened: Open, pki: Pki) -> None:
    note = decide(rule("trust.revocation_unknown_tolerated"), certificate="CN=client")
    server = await opened(intake=MemoryIntake(verdict=note))
    client = await Client.secured(server.port, pki.client_context())
    await client.envelope()
    await client.send(b"a: b\r\n\r\n.\r\n")
    answer = await client.reply()
    assert "[session.message_accepted]" in answer
    assert "[trust.revocation_unknown_tolerated]" in answer
    assert {line[:3] for line in answer.split("\n")} == {"250"}


async def test_a_421_decision_ends_the_session(opened: Open, pki: Pki) -> None:
    refusal = decide(rule("session.too_many_connections"))
    server = await opened(intake=MemoryIntake(refuse_session=refusal))
    client = await Client.secured(server.port, pki.client_context())
    assert (await client.say("MAIL FROM:<a@b.test>")).startswith("421")
    assert await client.closed()


async def test_a_long_list_of_full_mailboxes_keeps_the_message_from_nobody(opened: Open, pki: Pki) -> None:
    full = decide(rule("recipient.over_quota"), recipient="x@op-a.mssante.test")
    names = [f"x{number}@op-a.mssante.test" for number in range(40)]
    intake = MemoryIntake(refused_recipients=dict.fromkeys(names, full))
    server = await opened(intake=intake, limits=Limits(**{**QUICK, "refused_recipients": 2, "hard_errors": 3}))
    client = await Client.secured(server.port, pki.client_context())
    await client.say("MAIL FROM:<a@b.test>")
    for name in names:
        assert (await client.say(f"RCPT TO:<{name}>")).startswith("452")
    await client.say("RCPT TO:<c@d.test>")
    await client.say("DATA")
    await client.send(b"a: b\r\n\r\n.\r\n")
    assert (await client.reply()).startswith("250")


async def test_harvesting_ends_the_session_between_good_messages_too(opened: Open, pki: Pki) -> None:
    unknown = decide(rule("trust.recipient_not_listed"), domain="evil.test")
    intake = MemoryIntake(refused_recipients={"x@evil.test": unknown})
    server = await opened(intake=intake, limits=Limits(**{**QUICK, "refused_recipients": 2}))
    client = await Client.secured(server.port, pki.client_context())
    for _ in range(2):
        await client.say("MAIL FROM:<a@b.test>")
        assert (await client.say("RCPT TO:<x@evil.test>")).startswith("550")
        await client.say("RCPT TO:<c@d.test>")
        await client.say("DATA")
        await client.send(b"a: b\r\n\r\n.\r\n")
        assert (await client.reply()).startswith("250")
    await client.say("MAIL FROM:<a@b.test>")
    assert "[session.too_many_errors]" in await client.say("RCPT TO:<x@evil.test>")


async def test_an_account_has_its_number_of_sessions_and_a_guessing_address_waits(opened: Open, pki: Pki) -> None:
    guesses = Rate(per_minute=0.001, burst=1)
    limits = Limits(**{**QUICK, "connections_per_account": 1, "login_failures_per_ip": guesses})
    server = await opened(submission=True, limits=limits)
    good = "AUTH PLAIN " + _plain("jeanne@op-a.mssante.test", "s3cret-device")
    one = await Client.secured(server.port, pki.client_context(certificate=False))
    assert (await one.say(good)).startswith("235")
    two = await Client.secured(server.port, pki.client_context(certificate=False))
    assert "[session.too_many_connections]" in await two.say(good)
    assert await two.closed()
    assert (await one.say("QUIT")).startswith("221")
    assert await one.closed()
    three = await Client.secured(server.port, pki.client_context(certificate=False))
    assert "[session.auth_failed]" in await three.say("AUTH PLAIN " + _plain("a@b.test", "guess"))
    assert "[session.auth_locked]" in await three.say(good)


async def test_errors_slow_the_session_down(opened: Open, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    server = await opened(limits=Limits(**{**QUICK, "soft_errors": 2, "soft_error_delay": 7.0}))
    client = await Client.secured(server.port, pki.client_context())
    monkeypatch.setattr("gateway.smtp.dialogue.asyncio.sleep", wait)
    for _ in range(4):
        await client.say("FOO")
    assert waits == [7.0, 7.0]


async def test_a_door_without_authenticator_cannot_open(pki: Pki) -> None:
    with pytest.raises(ValueError, match="authenticator"):
        await serve_submission(doorway(pki, door=Door.SUBMISSION), "127.0.0.1", 0)


async def test_many_that_come_at_once_are_let_in_by_turns(pki: Pki) -> None:
    """A loop that takes all who wait in one turn keeps everybody else waiting: 1.4 s when 3 000 came to a TLS port."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    server = await serve_inbound(doorway(pki, limits=Limits(**{**QUICK, "connections_per_ip": 200})), sock=bound)
    callers = [socket.create_connection(bound.getsockname()) for _ in range(100)]  # the kernel keeps them all
    seen = [len(server.connections())]
    while seen[-1] < 100 and len(seen) < 1000:
        await asyncio.sleep(0)
        seen.append(len(server.connections()))
    assert seen[-1] == 100
    assert max(after - before for before, after in pairwise(seen)) <= 32
    for each in callers:
        each.close()
    server.cut()
    await asyncio.sleep(0)


async def test_too_many_connections_on_the_tls_port_are_closed_unheard(opened: Open, pki: Pki) -> None:
    limits = Limits(**{**QUICK, "connections_per_ip": 1})
    server = await opened(submission=True, implicit_tls=True, limits=limits)
    one = await Client.connect(server.port, pki.client_context())
    assert (await one.reply()).startswith("220")
    two = await Client.connect(server.port)
    assert await two.closed()


async def test_connections_are_limited_by_the_minute(opened: Open) -> None:
    limits = Limits(**{**QUICK, "connections_rate_per_ip": Rate.hourly(2)})
    server = await opened(limits=limits)
    answers = []
    for _ in range(3):
        client = await Client.connect(server.port)
        answers.append((await client.reply())[:3])
        client.close()
    assert answers == ["220", "220", "421"]


async def test_drain_says_421_to_who_waits_and_lets_a_message_end(opened: Open, pki: Pki) -> None:
    intake = MemoryIntake(gate=asyncio.Event())
    server = await opened(intake=intake)
    idle = await Client.secured(server.port, pki.client_context())
    busy = await Client.secured(server.port, pki.client_context())
    await busy.envelope()
    port = server.port
    draining = asyncio.create_task(server.drain())
    assert "[session.shutting_down]" in await idle.reply()
    await busy.send(b"a: b\r\n\r\n.\r\n")
    await until(lambda: intake.waiting)
    assert intake.gate is not None
    intake.gate.set()
    assert (await busy.reply()).startswith("250")
    assert "[session.shutting_down]" in await busy.reply()
    await asyncio.wait_for(draining, 5)
    with pytest.raises(OSError, match="onnect"):
        await Client.connect(port)


async def test_a_client_that_leaves_after_the_dot_does_not_cancel_the_commit(opened: Open, pki: Pki) -> None:
    intake = MemoryIntake(gate=asyncio.Event())
    server = await opened(intake=intake)
    client = await Client.secured(server.port, pki.client_context())
    await client.envelope()
    await client.send(b"a: b\r\n\r\n.\r\n")
    await until(lambda: intake.waiting)
    client.close()
    await asyncio.sleep(0.1)
    assert intake.gate is not None
    intake.gate.set()
    await until(lambda: intake.kept and not server.connections())
    assert len(intake.kept) == 1


async def test_a_supervisor_sees_and_closes_sessions(opened: Open, pki: Pki) -> None:
    server = await opened()
    client = await Client.secured(server.port, pki.client_context())
    (connection,) = server.connections()
    assert (connection.peer.helo, connection.peer.certificate is not None) == ("client.test", True)
    connection.close(decide(rule("trust.certificate_revoked"), certificate="CN=client"))
    assert "[trust.certificate_revoked]" in await client.reply()
    assert await client.closed()
