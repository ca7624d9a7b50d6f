"""Commands under a locale that knows ASCII alone, with Python kept from UTF-8 (``LC_ALL=C`` and ``PYTHONUTF8=0``)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fault.operator import build

ROOT = Path(__file__).parents[2]
NARROW = {"LC_ALL": "C", "PYTHONUTF8": "0"}


def caducee(config: Path, *words: str, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNDEFAULTENCODING": "1", **NARROW}
    command = [sys.executable, *python, "-m", "gateway.cli", "--config", str(config), *words]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=60)


def test_files_with_accents_and_the_signed_list_are_read(tmp_path: Path) -> None:
    """The schemas behind the list's signature were not readable as ASCII: the list was refused, and all mail waited."""
    site = build(tmp_path / "Hôpital Saint-Étienne").sites[0]
    taken = caducee(site.config, "trust", "refresh")
    assert taken.returncode == 0, taken.stderr
    assert json.loads(caducee(site.config, "trust", "show", "--json").stdout)["domains"]
    text = site.config.read_text("utf-8")
    assert '"Opérateur op-a"' in text
    shown = caducee(site.config, "config", "show")
    assert shown.returncode == 0, shown.stderr
    assert '"Opérateur op-a"' in shown.stdout
    opened = ("--family", "Lefèvre", "--given", "Zoé", "--identity", "ESSAI-zoe", "--verified", "vue à l’accueil")
    made = caducee(site.config, "account", "create", "zoe", *opened)
    assert made.returncode == 0, made.stderr
    assert "Lefèvre" in caducee(site.config, "account", "list", "--json").stdout


@pytest.mark.parametrize("python", [("-E",), ("-X", "utf8=0")])
def test_whoever_insists_gets_what_can_be_said(tmp_path: Path, python: tuple[str, ...]) -> None:
    """Where Python does not listen to its environment the command goes on as it is, and does not begin for ever."""
    done = caducee(tmp_path / "absent.toml", "--lang", "fr", "config", "check", python=("-P", *python))
    assert done.returncode == 2
    assert "absent.toml" in done.stderr
