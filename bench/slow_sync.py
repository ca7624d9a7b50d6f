"""Makes what starts from here on sync as slowly as a slower disk, on both sides of a comparison.

What a durable server costs is syncs as much as processor; on a disk whose syncs are quick only the second is seen. Needs cc.
"""

import subprocess
from pathlib import Path

SOURCE = Path(__file__).resolve().with_suffix(".c")


def slow_syncs(folder: Path, milliseconds: float) -> dict[str, str]:
    """The environment in which each fsync and fdatasync waits ``milliseconds`` first; ``folder`` keeps the library."""
    library = folder / "slow_sync.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    library.chmod(0o755)
    return {"LD_PRELOAD": str(library), "SYNC_MS": str(milliseconds)}
