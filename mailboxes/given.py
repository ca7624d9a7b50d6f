"""What is created beside the database is for the service's user alone, or also for the group its folder was given to.

With one system user per role, the folders of the service bear the set-group-ID bit and the group of the roles
(docs/operations.md): what one role creates there, or an administrator before the first start, the others must open. Such a
folder gives its group the same rights on what is in it; any other folder gives nobody anything.
Promise: the umask of whoever comes first changes nothing. Failure: ``OSError``, as from the calls underneath.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def group_bits(folder: Path) -> int:
    """The rights ``folder`` gives its group on what is created in it."""
    try:
        mode = folder.stat().st_mode
    except OSError:
        return 0
    return mode & stat.S_IRWXG if mode & stat.S_ISGID and not mode & stat.S_IRWXO else 0


def create(path: Path, flags: int) -> int:
    """A descriptor of ``path``, created when missing."""
    handle = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        share(handle, path.parent)
    except OSError as problem:  # of an open file, the system does not say which
        os.close(handle)
        raise OSError(problem.errno, problem.strerror, str(path)) from None
    return handle


def share(place: int | Path, folder: Path) -> None:
    """Give the group of ``folder`` its rights on a file of ours, open or by its path."""
    bits = group_bits(folder) & 0o060
    if bits:
        found = os.fstat(place) if isinstance(place, int) else place.stat()
        if found.st_uid == os.geteuid() and found.st_mode & bits != bits:
            mode = stat.S_IMODE(found.st_mode) | bits
            os.fchmod(place, mode) if isinstance(place, int) else place.chmod(mode)


def make_folder(folder: Path) -> None:
    """Create ``folder`` and what is missing above it."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        bits = group_bits(one.parent)
        one.mkdir(mode=0o700, exist_ok=True)
        if bits and one.stat().st_uid == os.geteuid():
            one.chmod(stat.S_ISGID | stat.S_IRWXU | bits)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable: a file that is synced may still vanish with the power while its name is not."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
