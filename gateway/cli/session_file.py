"""Where the token of a strong session is kept on the command line: one file of mode 0600 per system user.

Promise: the file is created with its mode, never made readable afterwards; a file that others can read, or of another
owner, is not used. Failure: no usable file is no session (None); a file that cannot be
written raises OSError.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from dataclasses import dataclass, field
from pathlib import Path

LARGEST = 4096


@dataclass(frozen=True, slots=True)
class Kept:
    login: str
    token: str = field(repr=False)
    expires_at: int


def place() -> Path:
    """``$CADUCEE_SESSION``, else a file in the user's runtime or cache folder."""
    named = os.environ.get("CADUCEE_SESSION", "")
    if named:
        return Path(named)
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return (Path(runtime) if runtime else Path.home() / ".cache") / "caducee" / "session"


def bound_to() -> str:
    """The system user and host a session belongs to."""
    return f"{socket.gethostname()}:{os.getuid()}"


def write(kept: Kept) -> Path:
    """Keep a token, replacing the one before."""
    path = place()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({"login": kept.login, "token": kept.token, "expires_at": kept.expires_at}, file)
    temporary.replace(path)
    return path


def read() -> Kept | None:
    """The token kept, if it is ours alone."""
    try:
        handle = os.open(place(), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077:
            return None
        raw = file.read(LARGEST)
    try:
        found = json.loads(raw)
        return Kept(str(found["login"]), str(found["token"]), int(found["expires_at"]))
    except (ValueError, KeyError, TypeError):
        return None


def forget() -> None:
    """Remove the file."""
    place().unlink(missing_ok=True)
