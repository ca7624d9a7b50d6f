"""Running a mail program, or skipping with the reason when it is not installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def program(name: str) -> str:
    """Path of an installed program; skips the test when there is none."""
    found = shutil.which(name) or next((str(p) for p in [Path("/usr/sbin") / name] if p.exists()), None)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str, timeout: float = 60, **options: object) -> subprocess.CompletedProcess[str]:
    """Run to the end with text output; the caller looks at the exit code."""
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)  # type: ignore[call-overload, no-any-return]
