"""Reading processes: the same answers as reading here, limits of memory and time, deaths that touch one message only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.medical.pool import ROOT, ReaderDied, ReaderHere, Readers
from gateway.medical.question import PartBytes, Question, ReaderOptions, answer_bytes, answer_from
from gateway.medical.worker import read
from tests.hprim import builders
from tests.hprim.examples import v1

TODAY = date(2026, 11, 23)


def question(*parts: PartBytes, subject: str = builders.SUBJECT) -> Question:
    return Question(parts, subject, ("paul@op-b.mssante.test",), {}, ReaderOptions(), TODAY)


def archive(data: bytes) -> PartBytes:
    return PartBytes("IHE_XDM.zip", "application/zip", "", data, is_body=False)


def body(data: bytes) -> PartBytes:
    return PartBytes("", "text/plain", "utf-8", data, is_body=True)


QUESTIONS = [
    question(body(v1())),
    question(body(v1({2: "DURAND", 7: "31 fevrier"})), archive(builders.xdm())),
    question(archive(b"PK\x03\x04" + bytes(50))),
    question(body(b"\xff\xfe\x00" * 50)),
    question(),
]


@pytest.fixture
async def readers():
    made = Readers(2)
    yield made
    await made.close()


async def test_a_process_answers_as_reading_here_does(readers: Readers) -> None:
    for asked in QUESTIONS:
        assert await readers.read(asked) == await ReaderHere().read(asked)


async def test_many_questions_share_few_processes(readers: Readers) -> None:
    answers = await asyncio.gather(*(readers.read(QUESTIONS[1]) for _ in range(20)))
    assert len({answer.findings for answer in answers}) == 1
    assert len(readers._alive) <= 2


def limited(work: str) -> subprocess.CompletedProcess[str]:
    """Run ``work`` in a process that bounded itself as a reader does: 16 MiB above its own, one second."""
    program = f"""
from gateway.medical import worker
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
worker._bound(worker._address_space() + 16 * 1024 * 1024, 1)
{work}
"""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=30, check=False
    )


def test_memory_beyond_the_bound_is_not_given() -> None:
    assert limited("bytearray(8 * 1024 * 1024)").returncode == 0
    done = limited("bytearray(64 * 1024 * 1024)")
    assert done.returncode == 1
    assert "MemoryError" in done.stderr


def test_time_beyond_the_bound_ends_the_process() -> None:
    assert limited("while True: pass").returncode == -signal.SIGXCPU


async def test_a_process_killed_at_work_is_said_and_replaced() -> None:
    readers = Readers(1)
    assert (await readers.read(QUESTIONS[0])).has_header
    (process,) = readers._alive
    os.kill(process.pid, signal.SIGSTOP)
    asked = asyncio.create_task(readers.read(QUESTIONS[0]))
    await asyncio.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(ReaderDied):
        await asked
    assert (await readers.read(QUESTIONS[0])).has_header
    await readers.close()


async def test_a_process_that_does_not_answer_is_given_up() -> None:
    readers = Readers(1, patience=0.3)
    with contextlib.suppress(ReaderDied):
        await readers.read(QUESTIONS[0])  # the first start may take longer than this patience
    readers._patience = 30.0
    assert (await readers.read(QUESTIONS[0])).has_header
    (process,) = readers._alive
    os.kill(process.pid, signal.SIGSTOP)
    readers._patience = 0.3
    with pytest.raises(ReaderDied):
        await readers.read(QUESTIONS[0])
    readers._patience = 30.0
    assert (await readers.read(QUESTIONS[0])).has_header
    await readers.close()


@given(st.binary(max_size=200))
def test_a_mad_answer_is_refused_not_believed(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        answer_from(data)


@pytest.mark.parametrize(
    "answer",
    [
        b"{}",
        b"[]",
        b'{"findings": [["x"]]}',
        b'{"findings": [["x","R?","","","","","","","","","",""]]}',
        b"[" * 100_000,
    ],
)
def test_half_an_answer_is_refused(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        answer_from(answer)


ANSWER = answer_bytes(read(QUESTIONS[1]))


@pytest.mark.parametrize("odd", [None, float("inf"), float("nan"), 1.5, -5, 10**400, "x" * 9000, "", [], {}, [[]]])
def test_an_answer_with_one_odd_value_is_refused_or_bounded(odd: Any) -> None:
    for where in paths(json.loads(ANSWER)):
        whole = json.loads(ANSWER)
        target = whole
        for step in where[:-1]:
            target = target[step]
        target[where[-1]] = odd
        with contextlib.suppress(ValueError):
            met = answer_from(json.dumps(whole).encode()).met
            assert all(0 <= one.version < 10**9 and len(one.own) <= 500 for one in met.documents)


def paths(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value of a JSON document is."""
    if before:
        yield before
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield from paths(one, (*before, key))


async def test_an_answer_crosses_the_pipe_whole() -> None:
    for asked in QUESTIONS:
        found = await ReaderHere().read(asked)
        assert answer_from(answer_bytes(found)) == found


async def test_processes_know_no_secret(readers: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CADUCEE_MASTER_KEY", "secret")
    await readers.read(QUESTIONS[0])
    (process,) = readers._alive
    with open(f"/proc/{process.pid}/environ", "rb") as file:
        assert b"secret" not in file.read()
