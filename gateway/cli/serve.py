"""Serve: open the doors, carry the queue, answer mail programs, until told to stop."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.context import Console, here, telling_disk
from gateway.cli.errors import UNAVAILABLE, USAGE, Said
from gateway.cli.language import tr
from gateway.leash import NONE, hold

if TYPE_CHECKING:
    from gateway.settings import Config

Role = Annotated[
    list[str] | None,
    typer.Option("--role", help=tr("Rôle(s) de ce processus.", "Role(s) of this process.")),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers", min=0, help=tr("Nombre de processus (0 : configuration).", "Processes (0: configuration).")
    ),
]
ReadyFile = Annotated[
    Path | None,
    typer.Option("--ready-file", help=tr("Fichier écrit quand tout répond.", "File written once everything answers.")),
]
Worker = Annotated[int, typer.Option("--worker", hidden=True)]
Leash = Annotated[int, typer.Option("--leash", hidden=True)]  # a descriptor: we end when its other end closes

LAST_WORDS = 8.0
"""Seconds beyond ``service.grace`` for what a stop has to tell the store: fewer than the supervisor and systemd grant."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve", help=tr("Servir jusqu’à SIGTERM.", "Serve until SIGTERM."))(serve)


def serve(
    ctx: typer.Context,
    role: Role = None,
    workers: Workers = 0,
    ready_file: ReadyFile = None,
    worker: Worker = -1,
    leash: Leash = NONE,
) -> None:
    hurried = Hurried()
    from gateway.config import ConfigError, missing
    from gateway.cores import keep_to_core, one_per_core
    from gateway.log import set_up
    from gateway.settings import ROLES
    from gateway.supervisor import die_with_supervisor

    console = here(ctx)
    config = console.config()
    roles = tuple(role or config.service.roles)
    unknown = [name for name in roles if name not in ROLES]
    if unknown:
        raise Said("cli.unknown_role", USAGE, role=unknown[0], roles=", ".join(ROLES))
    if lacking := missing(config):
        raise ConfigError(lacking)
    set_up(config.log.level, config.log.format)
    take_descriptors()
    fresh(ready_file)
    count = workers or config.service.workers or one_per_core()
    if worker < 0 and count > 1:
        raise typer.Exit(_supervise(console, roles, count, ready_file, leash, config.service.grace))
    if worker >= 0:
        die_with_supervisor()
        keep_to_core(worker, count)
    with telling_disk(config):
        ended = asyncio.run(_one(config, console.config_path, roles, count, worker >= 0, ready_file, leash, hurried))
    raise typer.Exit(ended)


def take_descriptors() -> None:
    """As many open files as this process may have: a shell gives 1024 at first, a tenth of what one IMAP door may hold."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def fresh(ready_file: Path | None) -> None:
    """Without the ready file of an earlier run: whoever waits for it would take its ports, processes and passwords for ours.

    Raises :class:`Said` when its folder is not there: that is said before all is started, not after.
    """
    if ready_file is None:
        return
    try:
        ready_file.parent.stat()
        ready_file.unlink(missing_ok=True)
    except OSError as problem:
        raise Said("cli.cannot_write", USAGE, path=ready_file, reason=problem.strerror) from None


class Hurried:
    """Remembers a SIGHUP that comes before we serve, such as from a hook that renews certificates while we start.

    By itself it would end the process, and systemd, which takes that for a clean end, would leave it ended.
    """

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGHUP, self._remember)

    def _remember(self, number: int, frame: object) -> None:
        self.asked = True


def _supervise(
    console: Console, roles: tuple[str, ...], count: int, ready_file: Path | None, leash: int, grace: float
) -> int:
    from gateway.supervisor import GRACE, Supervisor, ourselves

    command = [*ourselves(), "--config", str(console.config_path), "--lang", console.language]
    command += ["serve", "--workers", str(count)]
    for name in roles:
        command += ["--role", name]
    return asyncio.run(Supervisor(command, count, ready_file, leash, max(GRACE, grace + 10.0)).run())


async def _one(
    config: Config,
    config_path: Path,
    roles: tuple[str, ...],
    workers: int,
    shared_ports: bool,
    ready_file: Path | None,
    leash: int,
    hurried: Hurried,
) -> int:
    """This very process serves."""
    import structlog

    from gateway.sd_notify import Systemd
    from gateway.service import Service
    from gateway.smtp.tls import BadIdentity
    from mailboxes import heap
    from mailboxes.collector import settle

    log = structlog.get_logger("service")
    heap.shape()
    service = Service(config, roles, shared_ports=shared_ports, workers=workers)
    try:
        await service.start()
        settle()
    except (OSError, ValueError) as problem:
        reason = problem.args[0] if isinstance(problem, BadIdentity) else problem
        log.error("not_started", error=type(problem).__name__, reason=str(reason))
        return UNAVAILABLE
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    hold(leash, stopping.set)
    systemd = Systemd({} if shared_ports else os.environ)  # a worker's supervisor tells it

    def reload() -> None:
        systemd.reloading()
        service.reload(config_path)

    service.reloaded = partial(_say, {"reloaded": True}) if shared_ports else systemd.ready
    loop.add_signal_handler(signal.SIGHUP, reload)
    _announce(service.ports, shared_ports, ready_file)
    if shared_ports:
        pulse()
    systemd.ready()
    systemd.beat()
    if hurried.asked:
        reload()
    await stopping.wait()
    log.info("stopping")
    systemd.stopping()
    leave_within(service.config.service.grace + LAST_WORDS)
    await service.stop()
    return 0


def leave_within(seconds: float) -> None:
    """End by then, whatever still waits: of a server that fell silent its threads wait for ever, and everybody for them.

    What was said to be accepted is durable, and what is under way is given up as by a kill -9.
    """

    def leave() -> None:
        import structlog

        structlog.get_logger("service").error("stop_forced", after=seconds)
        os._exit(UNAVAILABLE)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()


def _announce(ports: dict[str, Any], shared_ports: bool, ready_file: Path | None) -> None:
    """Tell the supervisor (on standard output) or whoever waits for the file."""
    from gateway.supervisor import write_atomically

    said = {"ready": True, "pid": os.getpid(), "doors": ports}
    if shared_ports:
        _say(said)
    if ready_file is not None:
        write_atomically(ready_file, json.dumps(said))


def pulse() -> None:
    """From now on tell the supervisor that the running loop turns."""
    from gateway.supervisor import PULSE

    _say({"alive": True})
    asyncio.get_running_loop().call_later(PULSE, pulse)


def _say(said: dict[str, Any]) -> None:
    """One line to the supervisor."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
