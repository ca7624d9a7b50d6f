"""What the worst inputs cost, measured in a process of their own: under 2 s of CPU and 64 MiB above the input."""

from __future__ import annotations

import base64
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hprim.builders import META, cda, member, xdm
from tests.hprim.examples import text, v1
from tests.hprim.test_hostile import MIB, XML, bomb, false_size_bomb, many_parts, zipped

PROBE = """
import sys, time
from datetime import date
from hprim.check import check_file

def peak():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

data = open(sys.argv[1], "rb").read()
check_file(b"x", today=date(2026, 11, 23))
with open("/proc/self/clear_refs", "w") as reset:
    reset.write("5")
before, start = peak(), time.process_time()
report = check_file(data, sys.argv[2], today=date(2026, 11, 23))
print(time.process_time() - start, (peak() - before) / 1024, report.worst)
"""

HEAVY = {
    "bomb": bomb,
    "false-size": false_size_bomb,
    "100-MB-xml": lambda: b"<a>" + b"x" * (100 * MIB) + b"</a>",
    "39-MB-cda": lambda: cda(extra="<x>" + "A" * (38 * MIB) + "</x>"),
    "wide": lambda: b"<a>" + b"<b c='d'>e</b>" * 180_000 + b"</a>",
    "wide-cda": lambda: cda(extra="<b c='d'>e</b>" * 39_000),
    "laughs": lambda: XML["laughs"],
    "xdm-of-wide": lambda: zipped(
        {META: member(xdm(), META), **{f"IHE_XDM/SUBSET01/D{i}.XML": wide_cda() for i in range(40)}}
    ),
    "megabyte-lines": lambda: text(["A" * MIB] * 40),
    "accents": lambda: b"\xe9\x82" * (10 * MIB),
    "mail": lambda: eml_of(os.urandom(20 * MIB)),
    "mail-zip": lambda: eml_of(xdm(cda(extra="<x>" + base64.b64encode(os.urandom(8 * MIB)).decode() + "</x>"))),
    "parts": many_parts,
    "html-parts": lambda: html_parts(b"<br>" * 900_000),
    "text-parts": lambda: html_parts(b"a: b\n" * 150_000, b"text/plain"),
    "header-parts": lambda: html_parts(v1() * 300, b"text/plain"),
}


def html_parts(page: bytes, media: bytes = b"text/html") -> bytes:
    head = b'From: a@b.fr\r\nTo: c@d.fr\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    return head + (b"--b\r\nContent-Type: " + media + b"\r\n\r\n" + page + b"\r\n") * 10 + b"--b--"


def wide_cda() -> bytes:
    """Many elements, and too varied for its archive to look like a bomb."""
    chance = random.Random(7)
    return cda(extra="".join(f"<b c='{chance.getrandbits(64)}'>{i}</b>" for i in range(20_000)))


def eml_of(data: bytes) -> bytes:
    head = b'From: a@b.fr\r\nTo: c@d.fr\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
    inner = b'Content-Type: application/zip; name="IHE_XDM.zip"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    return head + inner + base64.encodebytes(data) + b"\r\n--b--\r\n"


@pytest.mark.parametrize("name", HEAVY)
def test_cost_is_bounded(name: str, tmp_path: Path) -> None:
    path = f"{tmp_path}/{name}"
    with open(path, "wb") as out:
        out.write(HEAVY[name]())
    kind = {
        "mail": "m.eml",
        "mail-zip": "m.eml",
        "html-parts": "m.eml",
        "text-parts": "m.eml",
        "bomb": "IHE_XDM.zip",
        "xdm-of-wide": "IHE_XDM.zip",
    }.get(name, "a.xml")
    done = subprocess.run(
        [sys.executable, "-c", PROBE, path, kind], capture_output=True, text=True, check=True, timeout=60
    )
    cpu, memory, _ = done.stdout.split()
    print(f"{name}: {cpu} s, {memory} MiB")
    assert float(cpu) < 2.0
    assert float(memory) < 64
