"""TOU-A06, F77 with several processes behind one port: a user's thresholds are his, not those of the process he fell into."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import smtplib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.space.living import Living, children, living, until

pytestmark = [pytest.mark.slow]
REFUSE, RATE, HELD = 12, 5, 10
GREETINGS = {"inbound": (b"220", b"421"), "imaps": (b"* OK", b"* BYE")}


@pytest.fixture(scope="module")
def alive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    settings = {("service", "workers"): 2, ("unsolicited", "refuse"): REFUSE, ("unsolicited", "slow_down"): 0,
                ("inbound", "connections_per_ip"): HELD, ("imaps", "connections_per_ip"): HELD}  # fmt: skip
    with living(tmp_path_factory.mktemp("volumes"), settings) as made:
        yield made


def _one(alive: Living, index: int, number: int) -> str:
    """One message on a connection of its own, to a colleague; the rule of the answer, or 250."""
    box, other = alive.a.mailboxes[index], alive.a.mailboxes[1 - index]["address"]
    with smtplib.SMTP_SSL("127.0.0.1", alive.a.ports["submissions"], context=alive.trust(), timeout=30) as smtp:
        smtp.login(box["login"], box["device_password"])
        for code, text in (smtp.mail(box["address"]), smtp.rcpt(other)):
            if code != 250:
                return text.decode("ascii").rpartition("[")[2].rstrip("]")
        lines = (f"From: {box['address']}", "To: x", "Subject: s", f"Message-ID: <{time.time_ns()}@op-a.mssante.test>",
                 "Date: Mon, 02 Mar 2026 10:00:00 +0100", "", f"message {number}", "")  # fmt: skip
        code, text = smtp.data("\r\n".join(lines).encode("ascii"))
        return "250" if code == 250 else text.decode("ascii").rpartition("[")[2].rstrip("]")


def test_two_processes_and_a_restart_count_as_one(alive: Living) -> None:
    said = [_one(alive, 0, number) for number in range(REFUSE + 4)]
    assert said == ["250"] * REFUSE + ["sender.volume_refused"] * 4
    assert alive.a.process is not None
    os.killpg(alive.a.process.pid, signal.SIGKILL)
    alive.a.process.wait(20)
    alive.space.stop()
    alive.space.start()
    assert [_one(alive, 0, 100 + number) for number in range(4)] == ["sender.volume_refused"] * 4


def test_many_sessions_at_once_pass_a_threshold_once(alive: Living) -> None:
    """Whatever is under way in one process is counted there; another sees it as soon as it is accepted."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda number: _one(alive, 1, number), range(REFUSE * 2)))
    assert set(said) == {"250", "sender.volume_refused"}
    # Two processes may each be accepting one message at the very moment the last place is taken.
    assert REFUSE - 2 <= said.count("250") <= REFUSE + 7


def test_one_address_has_one_limit_whichever_worker_answers(alive: Living) -> None:
    """F55: by SMTP and by IMAP; what is closed makes room, and what a killed worker held is forgotten."""
    assert [_answers(alive, door) for door in GREETINGS] == [(HELD, 6), (HELD, 6)]
    assert alive.a.process is not None
    supervisor = alive.a.process.pid
    workers = children(supervisor)
    held = [_greeted(alive, "inbound") for _ in range(HELD)]
    os.kill(workers[0], signal.SIGKILL)
    until(lambda: len(children(supervisor)) == 2 and workers[0] not in children(supervisor), 20, "it is started again")
    for connection, _ in held:
        connection.close()
    until(lambda: _answers(alive, "inbound") == (HELD, 6), 20, "the one in its place wipes what it held")
    assert _answers(alive, "imaps") == (HELD, 6)


def _answers(alive: Living, door: str) -> tuple[int, int]:
    """Of a few connections more than one address may hold: how many are let in, how many are told so."""
    called = [_greeted(alive, door) for _ in range(HELD + 6)]
    for connection, _ in called:
        connection.close()
    time.sleep(1)
    good, full = GREETINGS[door]
    return sum(said.startswith(good) for _, said in called), sum(said.startswith(full) for _, said in called)


def _greeted(alive: Living, door: str) -> tuple[socket.socket, bytes]:
    connection = socket.create_connection(("127.0.0.1", alive.a.ports[door]), timeout=20)
    if door == "imaps":
        connection = alive.trust().wrap_socket(connection, server_hostname="localhost")
    return connection, connection.recv(4096)


def test_the_rate_of_a_mailbox_is_one_for_all_processes(tmp_path: Path) -> None:
    settings = {("service", "workers"): 2, ("limits", "messages_per_account"): RATE}
    with living(tmp_path, settings) as alive:
        said = [_one(alive, 0, number) for number in range(RATE + 6)]
        assert said == ["250"] * RATE + ["session.rate_limited"] * 6
        assert _one(alive, 1, 0) == "250"
