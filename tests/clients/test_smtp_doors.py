"""The SMTP doors against programs we did not write: swaks, curl, msmtp, openssl s_client, Postfix's smtp-source."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.smtp.limits import Limits
from gateway.smtp.server import SmtpServer, serve_inbound, serve_submission
from policies.catalogue import rule
from policies.decision import decide
from policies.values import Door
from tests.gateway.smtp_twin import HOSTNAME, QUICK, MemoryAuthenticator, MemoryIntake, Pki, doorway, make_pki

pytestmark = pytest.mark.client

LOGIN = "jeanne@op-a.mssante.test"
PASSWORD = "s3cret-device"
Open = Callable[..., Awaitable[SmtpServer]]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = make_pki(tmp_path_factory.mktemp("pki"))
    for key in (made.server_key, made.client_key):
        key.chmod(0o600)
    return made


@pytest.fixture
async def opened(pki: Pki) -> AsyncIterator[Open]:
    servers: list[SmtpServer] = []

    async def start(door: Door = Door.INBOUND, **named: Any) -> SmtpServer:
        named.setdefault("intake", MemoryIntake())
        if door is Door.SUBMISSION:
            named["authenticator"] = MemoryAuthenticator()
        serve = serve_submission if door is Door.SUBMISSION else serve_inbound
        servers.append(await serve(doorway(pki, door=door, **named), "127.0.0.1", 0))
        return servers[-1]

    yield start
    for server in servers:
        server.cut()
    await asyncio.sleep(0)


async def run(*command: str, given: bytes = b"", timeout: float = 30) -> tuple[int, str]:
    """Run a program; its exit code and all it said."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(given), timeout)
    return process.returncode or 0, output.decode("utf-8", "replace")


def kept(server: SmtpServer) -> list[tuple[Any, bytes]]:
    intake = server.doorway.intake
    assert isinstance(intake, MemoryIntake)
    return intake.kept


def swaks(server: SmtpServer, *more: str) -> list[str]:
    address = ["swaks", "--server", "127.0.0.1", "--port", str(server.port), "--helo", "client.test"]
    return [*address, "--from", "a@b.test", "--to", LOGIN, "--timeout", "10", *more]


async def test_swaks_in_clear_is_refused(opened: Open) -> None:
    server = await opened()
    code, said = await run(*swaks(server))
    assert code != 0
    assert "530 5.7.0" in said
    assert "[session.starttls_required]" in said
    assert kept(server) == []


async def test_swaks_without_certificate_hears_the_rule(opened: Open) -> None:
    refusal = decide(rule("session.client_certificate_missing"))
    server = await opened(intake=MemoryIntake(refuse_session=refusal))
    code, said = await run(*swaks(server, "--tls"))
    assert code != 0
    assert "[session.client_certificate_missing]" in said


async def test_swaks_over_mutual_tls(opened: Open, pki: Pki) -> None:
    server = await opened()
    certificate = ["--tls-cert", str(pki.client), "--tls-key", str(pki.client_key)]
    code, said = await run(*swaks(server, "--tls", *certificate, "--body", ".\n..two dots\nend", "--pipeline"))
    assert code == 0, said
    transaction, content = kept(server)[0]
    assert transaction.peer.certificate.subject == "CN=client"
    assert b"\r\n.\r\n..two dots\r\nend\r\n" in content


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("implicit", [False, True])
async def test_swaks_logs_in(opened: Open, mechanism: str, implicit: bool) -> None:
    server = await opened(Door.SUBMISSION, implicit_tls=implicit)
    login = ["--auth", mechanism, "--auth-user", LOGIN, "--auth-password"]
    transport = "--tls-on-connect" if implicit else "--tls"
    code, said = await run(*swaks(server, transport, *login, PASSWORD))
    assert code == 0, said
    assert kept(server)[0][0].peer.login.account == "jeanne"
    code, said = await run(*swaks(server, transport, *login, "wrong"))
    assert code != 0
    assert "[session.auth_failed]" in said
    code, said = await run(*swaks(server, transport))
    assert "[session.auth_required]" in said
    assert len(kept(server)) == 1


async def test_swaks_without_tls_cannot_log_in(opened: Open) -> None:
    server = await opened(Door.SUBMISSION)
    code, said = await run(*swaks(server, "--auth", "PLAIN", "--auth-user", LOGIN, "--auth-password", PASSWORD))
    assert code != 0
    assert "-> AUTH" not in said.replace("~", "-")
    assert kept(server) == []


def curl(server: SmtpServer, pki: Pki, scheme: str, *more: str) -> list[str]:
    where = [
        "--url",
        f"{scheme}://{HOSTNAME}:{server.port}/client.test",
        "--resolve",
        f"{HOSTNAME}:{server.port}:127.0.0.1",
    ]
    mail = ["--mail-from", LOGIN, "--mail-rcpt", "a@b.test", "--upload-file", "-", "--max-time", "20"]
    return ["curl", "-sv", "--ssl-reqd", "--cacert", str(pki.ca), *where, *mail, *more]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_curl_sends_with_password_and_token(opened: Open, pki: Pki, scheme: str) -> None:
    server = await opened(Door.SUBMISSION, implicit_tls=scheme == "smtps")
    message = b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\n.z\r\n"
    code, said = await run(*curl(server, pki, scheme, "-u", f"{LOGIN}:{PASSWORD}"), given=message)
    assert code == 0, said
    for options in ("AUTH=OAUTHBEARER", "AUTH=XOAUTH2"):
        token = ["--login-options", options, "-u", LOGIN, "--oauth2-bearer"]
        code, said = await run(*curl(server, pki, scheme, *token, "tok.en", "--sasl-ir"), given=message)
        assert code == 0, said
        code, said = await run(*curl(server, pki, scheme, *token, "old.token"), given=message)
        assert code == 67, said  # CURLE_LOGIN_DENIED
    assert [content for _, content in kept(server)] == [message] * 3


async def test_curl_keeps_one_connection_for_two_messages(opened: Open, pki: Pki, tmp_path: Path) -> None:
    server = await opened(Door.SUBMISSION, implicit_tls=True)
    message = tmp_path / "message"
    message.write_bytes(b"Subject: x\r\n\r\ny\r\n" * 20_000)
    one = curl(server, pki, "smtps", "-u", f"{LOGIN}:{PASSWORD}")
    one[one.index("--upload-file") + 1] = str(message)
    code, said = await run(*one, "--next", *one[1:])
    assert code == 0, said
    assert [len(content) for _, content in kept(server)] == [message.stat().st_size] * 2


async def test_msmtp_logs_in_by_certificate(opened: Open, pki: Pki) -> None:
    server = await opened(Door.SUBMISSION)
    where = [
        "msmtp",
        "--host=127.0.0.1",
        f"--port={server.port}",
        "--file=/dev/null",
        "--tls=on",
        "--tls-certcheck=off",
    ]
    certificate = [f"--tls-cert-file={pki.client}", f"--tls-key-file={pki.client_key}"]
    options = ["--auth=external", f"--user={LOGIN}", f"--from={LOGIN}", "--timeout=10"]
    code, said = await run(*where, *certificate, *options, "a@b.test", given=b"Subject: x\n\nhello\n")
    assert code == 0, said
    transaction, content = kept(server)[0]
    assert transaction.peer.login.means == "certificate"
    assert content.endswith(b"\r\n\r\nhello\r\n")


async def s_client(server: SmtpServer, pki: Pki, steps: list[bytes], *more: str) -> str:
    """Speak through openssl's own TLS; one step per half second of silence from us."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-quiet", "-cert", str(pki.client)]
    process = await asyncio.create_subprocess_exec(
        *command,
        *["-key", str(pki.client_key), *more],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdin is not None
    for step in steps:
        await asyncio.sleep(0.4)
        try:
            process.stdin.write(step)
            await process.stdin.drain()
        except ConnectionError:
            break
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    return output.decode("latin-1")


async def test_s_client_smuggles_nothing(opened: Open, pki: Pki) -> None:
    server = await opened()
    group = b"EHLO x\r\n", b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"
    evil = (
        b"Subject: x\r\n\r\nbody\n.\r\nMAIL FROM:<evil@evil.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nboo\r\n.\r\nQUIT\r\n"
    )
    said = await s_client(server, pki, [*group, evil], "-starttls", "smtp")
    assert said.count("[session.bare_line_end]") == 3  # French, English, the reference
    assert "221" not in said
    assert kept(server) == []


async def test_s_client_sends_a_message(opened: Open, pki: Pki) -> None:
    server = await opened()
    group = b"EHLO x\r\n", b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"
    said = await s_client(server, pki, [*group, b"a: b\r\n\r\nbody\r\n.\r\nQUIT\r\n"], "-starttls", "smtp")
    assert "221 2.0.0" in said
    assert [content for _, content in kept(server)] == [b"a: b\r\n\r\nbody\r\n"]


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
async def test_s_client_wanting_http_is_turned_away(opened: Open, pki: Pki, protocol: str) -> None:
    server = await opened(Door.SUBMISSION, implicit_tls=True)
    code, said = await run("openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-alpn", protocol)
    assert code != 0
    assert "alert" in said
    assert "220 " not in said


async def test_smtp_source_in_numbers_through_socat(opened: Open, pki: Pki, unused_tcp_port: int) -> None:
    """Postfix's own client, 20 sessions, messages above and below what needs room in the budget."""
    server = await opened(implicit_tls=True, limits=Limits(**QUICK))
    if shutil.which("socat") is None:
        pytest.skip("socat is not installed")
    remote = f"OPENSSL:127.0.0.1:{server.port},verify=0,cert={pki.client},key={pki.client_key}"
    tunnel = await asyncio.create_subprocess_exec(
        "socat", f"TCP-LISTEN:{unused_tcp_port},bind=127.0.0.1,reuseaddr,fork,backlog=128", remote
    )
    try:
        await asyncio.sleep(0.3)
        for length, count in ((50_000, 100), (600_000, 20)):
            load = ["smtp-source", "-s", "20", "-l", str(length), "-m", str(count), "-f", "a@b.test", "-t", "c@d.test"]
            code, said = await run(*load, f"inet:127.0.0.1:{unused_tcp_port}", timeout=60)
            assert code == 0, said
    finally:
        tunnel.terminate()
        await tunnel.wait()
    assert len(kept(server)) == 120
    assert all(len(content) >= 50_000 for _, content in kept(server))
    assert server.doorway.budget.reserved == server.doorway.budget.borrowed == 0
