"""Whether the disks have room: which of them is full, and said once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from gateway import compose
from gateway.admin import doctor
from gateway.admin.examination import State
from gateway.config import load
from gateway.disk_room import DiskRoom
from gateway.settings import Config
from mailboxes.keys import create_master_key_file
from tests.gateway.test_cli import CONFIG


def configured(folder: Path, store: str = "") -> Config:
    path = folder / "config.toml"
    path.write_text(CONFIG.replace("[store]\n", f"[store]\n{store}"))
    create_master_key_file(folder / "master.key")
    return load(path)


def test_a_service_says_once_that_its_disk_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is put off then, and whoever reads the log must not have to guess why."""
    config = configured(tmp_path)
    room = DiskRoom(lambda: config)
    needed, said = config.limits.free_space, []
    for free in (needed, needed - 1, needed - 2, needed):
        monkeypatch.setattr(compose.shutil, "disk_usage", lambda path, free=free: SimpleNamespace(free=free))
        with capture_logs() as logs:
            room.look()
        deferred = room.decision() is not None
        said.append((deferred, [each["event"] for each in logs if each["log_level"] == "error"]))
    assert said == [(False, []), (True, ["disk_low"]), (True, []), (False, [])]


@pytest.mark.parametrize("full", ["data", "database", "blobs"])
def test_a_full_disk_is_seen_on_whatever_volume_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    """Only that of `service.data` was looked at: mail was taken until the database's own was full to the last octet."""
    where = f'url = "sqlite:{tmp_path}/database/new/caducee.db"\nblobs = "{tmp_path}/blobs"\n'
    config = configured(tmp_path, where)
    disks = {}
    for number, name in enumerate(("data", "database", "blobs")):
        (tmp_path / name).mkdir(exist_ok=True)
        disks[tmp_path / name] = SimpleNamespace(st_dev=number)
    free = {folder: 4 * config.limits.free_space - (folder.name == full) for folder in disks}
    asked = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **how: disks.get(path) or asked(path, **how))
    monkeypatch.setattr(compose.shutil, "disk_usage", lambda path: SimpleNamespace(free=free[path]))
    assert list(compose.volumes(config).values()) == list(free.values())
    low = [each.parameters["path"] for each in doctor.disk(config) if each.state is not State.GOOD]
    assert [Path(str(folder)).relative_to(tmp_path).parts[0] for folder in low] == [full]
