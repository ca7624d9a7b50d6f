"""Memory of the whole service while fifty partners send 25 MB each at the same moment (`make bench`; issue 2, design 7).

The trust space in a box as it ships, mutual TLS, encrypted, judged and stored; ``smtpload`` opens all sessions at once. Memory is what the kernel
counts for the operator and all of its children (PSS: pages that several share are counted once), looked at every 20 ms.
    resting_mib   before the first byte
    peak_mib      the most seen while messages arrived; more than ``bytes_in_flight`` above rest ends the command with 1
    rate          messages a second, all accepted and visible in IMAP (a message kept waiting longer than a client's patience fails the command)

usage: large_at_once.py [--clients N] [--size BYTES] [--budget SIZE] [--workers N]
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from generator import build
from side_by_side import WORK, Case, start_ours

from gateway.config_units import read_size

LOOK_EVERY = 0.02
MIB = 1 << 20


def family(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for known in found:  # grows while it is walked: the children of children come last
        for thread in Path(f"/proc/{known}/task").glob("*/children"):
            found += [int(child) for child in thread.read_text("ascii").split()]
    return found


def weight(pid: int) -> int:
    """Octets in memory of a process and its children; one that ends while it is looked at weighs nothing."""
    total = 0
    for member in family(pid):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text("ascii").split("\n")
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


class Scales(threading.Thread):
    """Weighs a family of processes until told to stop."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._over = pid, threading.Event()
        self.peak = 0

    def run(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            self.peak = max(self.peak, weight(self._pid))

    def stop(self) -> int:
        self._over.set()
        self.join()
        return self.peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--size", type=int, default=25_000_000)
    parser.add_argument("--budget", default="256MiB", help="limits.bytes_in_flight")
    parser.add_argument("--workers", type=int, default=0, help="our processes; 0 is what the cores give")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    generator = build(WORK)
    settings = (f"limits.bytes_in_flight={options.budget}", f"inbound.connections_per_ip={options.clients}")
    process, ours, space = start_ours(options.workers, *settings)
    try:
        operator = space["operators"][0]["pid"]
        resting = weight(operator)
        scales = Scales(operator)
        scales.start()
        case = Case("large", options.size, 1, options.clients, 0, 0.0)
        rate = ours.run(case, options.clients, generator, connections=options.clients)
        peak = scales.stop()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    print(
        f"{options.clients} x {options.size / 1e6:.0f} MB, bytes_in_flight {options.budget}: "
        f"resting_mib {resting / MIB:.0f}  peak_mib {peak / MIB:.0f}  above {(peak - resting) / MIB:.0f}  rate {rate:.1f}"
    )
    sys.exit(peak - resting > read_size(options.budget))


if __name__ == "__main__":
    main()
