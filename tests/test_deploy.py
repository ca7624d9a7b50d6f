"""The systemd unit agrees with what the service does and needs."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from gateway import settings

UNIT = Path(__file__).parents[1] / "deploy" / "systemd" / "caducee@.service"
EXPOSURE = 25
"""Tenths of what systemd calls exposure (0 to 100): 19 with systemd 252; others count a little differently."""


def values(key: str) -> list[str]:
    """What the unit gives ``key``, line by line."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)


def test_it_waits_as_long_as_the_configuration_may_ask() -> None:
    """It killed after a minute whatever `service.grace` said: a message under way, and its sender sends it again."""
    (seconds,) = values("TimeoutStopSec")
    (grace,) = (each for each in fields(settings.Service) if each.name == "grace")
    assert int(seconds) >= grace.metadata["spec"].high + 10


def test_it_leaves_little_to_who_takes_the_service_over() -> None:
    """No system call but those of services, no memory both written and run, nothing of the kernel nor of other users."""
    if (program := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not installed")
    command = [program, "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", str(UNIT)]
    judged = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_it_takes_nothing_away_that_the_service_uses() -> None:
    assert values("RestrictSUIDSGID") == []  # mailboxes/given.py makes folders with the set-group-ID bit
    assert "@resources" not in " ".join(values("SystemCallFilter"))  # gateway/cores.py, mailboxes/precedence.py
    assert values("LimitNICE") == ["-10"]
    assert {"AF_INET", "AF_INET6", "AF_UNIX"} <= set(values("RestrictAddressFamilies")[0].split())
