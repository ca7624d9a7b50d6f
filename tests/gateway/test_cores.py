"""Which cores a worker runs on, and what it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

KEPT = """
import json, os, subprocess, sys
from gateway.cores import keep_to_core, let_go
keep_to_core(int(sys.argv[1]), int(sys.argv[2]))
own = os.sched_getaffinity(0)
reader = subprocess.Popen(["sleep", "30"])
let_go(reader.pid)
print(json.dumps([sorted(own), sorted(os.sched_getaffinity(reader.pid))]))
reader.kill()
"""

CORES = sorted(os.sched_getaffinity(0))


def kept(number: int, workers: int) -> list[list[int]]:
    done = subprocess.run([sys.executable, "-c", KEPT, str(number), str(workers)], capture_output=True, check=True)
    answer: list[list[int]] = json.loads(done.stdout)
    return answer


@pytest.mark.skipif(len(CORES) < 2, reason="one core")
def test_as_many_workers_as_cores_keep_to_one_each_and_what_they_start_does_not():
    assert kept(len(CORES) - 1, len(CORES)) == [[CORES[-1]], CORES]


@pytest.mark.parametrize("workers", [1, len(CORES) + 1])
def test_the_kernel_places_fewer_or_more(workers: int):
    assert kept(0, workers) == [CORES, CORES]
