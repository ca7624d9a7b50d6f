"""Builds the load generator (smtpload.c) with the machine's C compiler; needs cc and OpenSSL's headers."""

import subprocess
from pathlib import Path


def build(folder: Path) -> Path:
    """The program, made anew in ``folder``."""
    program, source = folder / "smtpload", Path(__file__).with_name("smtpload.c")
    subprocess.run(["cc", "-O2", "-o", program, source, "-lssl", "-lcrypto", "-lpthread"], check=True)
    return program
