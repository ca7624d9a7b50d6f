"""Kill -9 while users' rules are executed: a forward is committed with the message or not at all (F01 to F04, MSS-040)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.fault.operator import Killable, Ledger, build

pytestmark = [pytest.mark.fault, pytest.mark.slow]
KILLS = [
    ("fdatasync", 5, 0),
    ("pwrite64", 45, 0),
    ("pwrite64", 80, 0),
    ("sendto", 90, 0),
    ("sendto", 150, 0),
    ("fsync", 4, 400_000),
]
CLIENTS = 3


def test_what_was_accepted_is_where_the_rules_send_it(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    killable = Killable(build(tmp_path, ""))
    alice, paul, _, cabinet, *_ = [box["address"] for box in killable.site.mailboxes]
    for words in ((alice, cabinet, "--no-keep"), (paul, "jeanne.bernard@op-b.mssante.test", "--keep")):
        killable.start()
        done = killable.caducee("rule", "forward", *words)
        assert done.returncode == 0, done.stderr
        killable.kill()
    ledger = Ledger()
    for number, (syscall, when, size) in enumerate(KILLS):
        killable.start()
        killable.inject(syscall, "signal=KILL", str(when))
        killable.send(ledger, f"r{number}", 6, size, CLIENTS)
        killable.kill()
    killable.start()
    assert len(ledger.accepted) >= len(KILLS), "too few messages were accepted: the sweep proves little"
    for index in (1, 3):
        held = killable.received(index)
        assert [mark for mark in ledger.accepted if not held[mark]] == []
        assert sum(count - 1 for count in held.values()) <= len(KILLS) * CLIENTS
    assert not +killable.received(0)
    kept, sent_on = killable.received(1), json.loads(killable.caducee("queue", "list", "--json").stdout)
    assert sent_on["total"] == sum(kept.values())  # one row for each copy that stayed, no more and no fewer
    assert json.loads(killable.caducee("journal", "verify", "--json").stdout)["intact"]
    assert killable.stop() == 0
