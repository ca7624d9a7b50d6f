"""A private PostgreSQL server for the tests: own data directory, own loopback port, synced to disk as in production."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from gateway.admin.space import free_ports


def binaries() -> Path | None:
    """Directory of the newest server installed, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def _unprivileged(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


def free_port() -> int:
    return free_ports(1)[0]


class Server:
    """A running server. ``url()`` makes a fresh database in it, ``database()`` lends an empty one."""

    def __init__(self, directory: Path, tools: Path, port: int) -> None:
        self.directory = directory
        self.port = port
        self._tools = tools
        self._databases = 0
        self._spare: list[str] = []

    def control(self, *words: str) -> None:
        subprocess.run(self.controlling(*words), check=True, stdout=subprocess.DEVNULL, cwd="/")

    def controlling(self, *words: str) -> list[str]:
        command = [str(self._tools / "pg_ctl"), "-D", str(self.directory / "data"), "-w", "-t", "180", "-s", *words]
        return _unprivileged(command)

    def start(self) -> None:
        options = f"-p {self.port} -k {self.directory} -c listen_addresses=127.0.0.1 -c max_connections=60"
        options += " -c recovery_init_sync_method=syncfs"  # one sync, not one per file of each test's database
        self.control("-o", options, "-l", str(self.directory / "log"), "start")

    def alive(self) -> bool:
        try:
            psycopg.connect(self._address("postgres")).close()
        except psycopg.Error:
            return False
        return True

    def stop(self, mode: str = "fast") -> None:
        self.control("-m", mode, "stop")

    def send(self, number: int) -> None:
        """Signal the server and all its processes (SIGSTOP, SIGCONT)."""
        leader = int((self.directory / "data" / "postmaster.pid").read_text().split("\n")[0])
        children = Path(f"/proc/{leader}/task/{leader}/children").read_text(encoding="utf-8").split()
        for process in (leader, *map(int, children)):
            with suppress(ProcessLookupError):  # a connection that ended meanwhile
                os.kill(process, number)

    def url(self) -> str:
        self._databases += 1
        name = f"t{os.getpid()}_{self._databases}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://caducee@127.0.0.1:{self.port}/{name}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """An empty database until the end: to empty one that was used costs a tenth of writing another to the disk."""
        if self._spare:
            url = self._spare.pop()
            self._empty(url.rpartition("/")[2])
        else:
            url = self.url()
        yield url
        self._spare.append(url)

    def _empty(self, name: str) -> None:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        with psycopg.connect(self._address(name)) as connection:
            connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")

    def _address(self, database: str) -> str:
        return f"postgresql://caducee@127.0.0.1:{self.port}/{database}"


@contextmanager
def after_our_death(directory: Path, command: list[str]) -> Iterator[None]:
    """Should this process be killed inside (Ctrl-C, when tearing down takes long), run ``command`` and remove the folder."""
    script = 'read -r _; folder=$1; shift; "$@"; rm -rf "$folder"'
    quiet = subprocess.DEVNULL
    leash = subprocess.Popen(
        ["sh", "-c", script, "sh", str(directory), *command],
        stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, cwd="/", start_new_session=True,
    )  # fmt: skip
    yield
    leash.kill()  # only where all went well; otherwise the pipe, which ends with us, lets it go
    leash.communicate()


@contextmanager
def running(place: Path | None = None, settings: str = "", log_on: Path | None = None) -> Iterator[Server]:
    """Initialise, start, and stop and remove at the end; skips the test when PostgreSQL is not installed.

    In ``place`` (a small disk) with ``settings``; ``log_on``: its write-ahead log is moved to this folder.
    """
    tools = binaries()
    if tools is None:
        pytest.skip("no PostgreSQL server is installed")
    directory = Path(tempfile.mkdtemp(prefix="caducee-pg-", dir=place))
    if os.geteuid() == 0:
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL refuses to run as root and there is no user postgres")
        for each in (directory, *([log_on] if log_on else [])):
            os.chown(each, user.pw_uid, user.pw_gid)
    initialise = [
        str(tools / "initdb"), "-D", str(directory / "data"), "-U", "caducee", "-A", "trust", "-E", "UTF8",
        "--locale=C", "--no-instructions", "--no-sync", "--wal-segsize", "1" if place else "16",
    ]  # fmt: skip
    try:
        subprocess.run(_unprivileged(initialise), check=True, stdout=subprocess.DEVNULL, cwd="/")
        with (directory / "data" / "postgresql.conf").open("a", encoding="utf-8") as more:
            more.write(settings)
        if log_on is not None:
            ours = directory / "data" / "pg_wal"
            subprocess.run(_unprivileged(["mv", str(ours), str(log_on)]), check=True, cwd="/")
            ours.symlink_to(log_on / "pg_wal")
        server = Server(directory, tools, free_port())
        with after_our_death(directory, server.controlling("-m", "immediate", "stop")):
            server.start()
            try:
                yield server
            finally:
                server.stop("immediate")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
