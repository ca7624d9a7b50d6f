"""The unit of deploy/systemd under a real systemd, the first process of namespaces of its own: start, reload, hang, stop."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fault.operator import build
from tests.space.running import ROOT

pytestmark = [pytest.mark.fault, pytest.mark.slow]

MANAGER = "/lib/systemd/systemd"
UNITS = ROOT / "deploy" / "systemd"
SERVICE = "caducee@all.service"
PATIENCE = 60.0
BEGIN = """\
set -e
mount --make-rprivate /
mount -t proc proc /proc
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
mkdir -p /run/systemd/system /run/lock
cp -r "$1"/. /run/systemd/system
exec env -i container=test PATH="$PATH" {manager} --system --unit=empty.target --log-target=console \
  --machine-id=00000000000000000000000000000001
"""
DROP_IN = """\
[Unit]
DefaultDependencies=no
[Service]
User=root
Group=root
ExecStartPre=
ExecStart=
ExecStart={command}
WorkingDirectory={root}
WatchdogSec=5
BindReadOnlyPaths={root}
BindPaths={folder}
ReadWritePaths=
ReadWritePaths={folder}
"""


class Machine:
    """A systemd that manages nothing but our unit."""

    def __init__(self, process: subprocess.Popen[bytes], pid: int) -> None:
        self.process = process
        self.pid = pid

    def inside(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ["nsenter", "-t", str(self.pid), "-m", "-p", "-C", "-u", "-i", "-n", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)

    def control(self, *words: str) -> None:
        done = self.inside("systemctl", *words)
        assert done.returncode == 0, done.stderr

    def shown(self, key: str) -> str:
        return self.inside("systemctl", "show", SERVICE, "-p", key, "--value").stdout.strip()

    def until(self, **wanted: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while (seen := {key: self.shown(key) for key in wanted}) != wanted:
            assert time.monotonic() < deadline, seen
            time.sleep(0.2)


def groups() -> Iterator[Path]:
    """A control group of ours in each hierarchy systemd cares for."""
    for row in Path("/proc/mounts").read_text("utf-8").splitlines():
        _, place, kind, options, *_ = row.split()
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options):
            yield Path(place) / f"caducee-{os.getpid()}"


@pytest.fixture
def machine(tmp_path: Path, workers: int) -> Iterator[Machine]:
    if os.geteuid() != 0 or not Path(MANAGER).exists() or shutil.which("nsenter") is None:
        pytest.skip("a systemd of one's own needs root, systemd and util-linux")
    space = build(tmp_path)
    serve = f"{sys.executable} -m gateway.cli --config {space.sites[0].config} serve --workers {workers}"
    units = tmp_path / "units"
    shutil.copytree(UNITS, units)
    (units / "empty.target").write_text("[Unit]\nDefaultDependencies=no\n", "utf-8")
    (units / "caducee@.service.d").mkdir()
    text = DROP_IN.format(command=serve, root=ROOT, folder=tmp_path)
    (units / "caducee@.service.d" / "test.conf").write_text(text, "utf-8")
    begin = tmp_path / "begin.sh"
    begin.write_text(BEGIN.format(manager=MANAGER), "utf-8")
    own = list(groups())
    join = "".join(f"echo $$ > {group}/cgroup.procs; " for group in own)
    apart = "exec unshare --pid --mount --fork --cgroup --uts --ipc --net sh"
    try:
        for group in own:
            group.mkdir()
    except OSError as problem:
        pytest.skip(f"no control group of one's own: {problem.strerror}")
    with (tmp_path / "systemd.log").open("wb") as log:
        process = subprocess.Popen(
            ["sh", "-c", f"{join}{apart} {begin} {units}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    pid = 0
    try:
        pid = first_process(process)
        made = Machine(process, pid)
        deadline = time.monotonic() + PATIENCE
        while made.inside("systemctl", "is-active", "empty.target").returncode != 0:
            assert time.monotonic() < deadline, (tmp_path / "systemd.log").read_text("utf-8", "replace")
            time.sleep(0.2)
        yield made
    finally:
        with suppress(ProcessLookupError):  # the first of its namespace takes all others with it
            os.kill(pid or process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
        for group in own:
            empty(group)


def first_process(process: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + PATIENCE
    while True:
        if process.poll() is not None:
            pytest.skip("this system grants no namespaces")
        for child in children.read_text("ascii").split():
            if Path(f"/proc/{child}/comm").read_text("utf-8").strip() == "systemd":
                return int(child)
        assert time.monotonic() < deadline
        time.sleep(0.05)


def empty(group: Path) -> None:
    """Remove a control group and those systemd made in it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            for folder, _, _ in os.walk(group, topdown=False):
                Path(folder).rmdir()
            return
        except OSError:  # what was killed has not quite ended
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize("workers", [1, 2])
def test_systemd_knows_how_it_is(machine: Machine, workers: int) -> None:
    """`systemctl start` returns when the doors answer, a hang is ended and the service starts again, a stop is clean."""
    machine.control("start", SERVICE)
    assert machine.shown("ActiveState") == "active"
    first = machine.shown("MainPID")
    machine.control("reload", SERVICE)
    machine.until(ActiveState="active", SubState="running")
    assert machine.shown("MainPID") == first
    time.sleep(6)  # longer than it may be silent
    assert machine.shown("NRestarts") == "0"
    machine.inside("kill", "-STOP", first)
    machine.until(NRestarts="1", ActiveState="active")
    assert machine.shown("MainPID") != first
    machine.control("stop", SERVICE)
    assert machine.shown("Result") == "success"
    assert machine.shown("ActiveState") == "inactive"
