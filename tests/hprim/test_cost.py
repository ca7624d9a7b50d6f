"""What the worst inputs cost, measured in a process of their own: under 2 s of CPU and 64 MiB above the input."""

from __future__ import annotations

import base64
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hprim.builders import DOC, META, cda, member, pid, xdm
from tests.hprim.examples import V1, text, v1
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
    "uuencoded": lambda: (
        b"From: a@b.test\r\nContent-Type: application/xml; name=a.xml\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n"
        b"begin 644 a.xml\r\n" + b"!\n" * (8 * MIB)
    ),
    "mail-zip": lambda: eml_of(xdm(cda(extra="<x>" + base64.b64encode(os.urandom(8 * MIB)).decode() + "</x>"))),
    "parts": many_parts,
    "html-parts": lambda: html_parts(b"<br>" * 900_000),
    "text-parts": lambda: html_parts(b"a: b\n" * 150_000, b"text/plain"),
    "never-an-element": lambda: b"<!" * (10 * MIB),
    "only-comments": lambda: b"<!---->" * (5 * MIB),
    "comment-first": lambda: b"<!--" + b"x" * (38 * MIB) + b"-->" + cda().partition(b"?>")[2],
    "wide-comment-first": lambda: b"\xff\xfe" + f"<!--{'x' * (18 * MIB)}-->".encode("utf-16-le"),
    "references": lambda: cda(extra=f"<x>{'&#65;' * (5 * MIB)}</x>"),
    "attributes": lambda: cda(extra="<x " + " ".join(f'a{i}="x"' for i in range(100_000)) + "/>"),
    "a-million-attributes": lambda: cda(extra="<x " + " ".join(f'a{i}="x"' for i in range(1_000_000)) + "/>"),
    "namespaces": lambda: cda(extra="<x " + " ".join(f'xmlns:n{i}="u{i}"' for i in range(50_000)) + "/>"),
    "one-document-described-often": lambda: described_often(),
    "text-members": lambda: zipped({f"f{i}.txt": b"ligne %d\n" % i * 200_000 + os.urandom(20_000) for i in range(55)}),
    "results": lambda: text([*V1[:16], *["RES|A|B|N|8.3|mg|6|11|N|F|73.5|u|53|97"] * 100_000, *V1[19:]]),
    "dates": lambda: text([*V1[:16], *["14/02/1961"] * 190_000]),
    "named-dates": lambda: text([*V1[:16], *["DURAND", "PAULE", "x", "x", "x", "14/02/1961"] * 31_000]),
    "segments": lambda: SANTE + b"OBX|1|NM|C~C||8|m\r" * 1_000_000,
    "patients": lambda: SANTE + b"P|0001|1||1|LEFEVRE~ANDREE||19610214|F|\r" * 200_000,
    "hl7-patients": lambda: pid() + b"\r" + (pid().split(b"\r")[1] + b"\r") * 100_000,
    "hl7-repetitions": lambda: pid(ids="1^^^&1.2&ISO~" * 1_000_000),
    "hl7-lines": lambda: pid() + b"\r" + (b"OBX|1|ED|A||^^XML^Base64^AAAA\r" + b"aa\r" * 4_000) * 1_000,
    "hl7-escapes": lambda: pid() + b"\rOBX|1|TX|A||<ClinicalDocument " + b"\\X0A\\" * 1_500_000 + b"\r",
    "hl7-document": lambda: pid(
        obx=["OBX|1|ED|x||^TEXT^XML^Base64^" + base64.b64encode(cda(extra="x" * (19 * MIB))).decode()]
    ),
    "header-parts": lambda: html_parts(v1() * 300, b"text/plain"),
}


SANTE = b"H|~^\\&|E||L~L||ORU|||M~D||P|H2.3~C|202511031015\r"


def described_often() -> bytes:
    """One large document under two hundred entries of the metadata."""
    entry = b'<ExtrinsicObject id="x"><Slot name="URI"><ValueList><Value>DOC0001.XML</Value></ValueList></Slot></ExtrinsicObject>'
    told = member(xdm(), META).replace(b"</RegistryObjectList>", entry * 198 + b"</RegistryObjectList>")
    body = base64.b64encode(random.Random(7).randbytes(1_500_000)).decode()
    return zipped({META: told, DOC: cda(extra=f"<x>{body}</x>")})


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


KINDS = {
    **dict.fromkeys(("mail", "uuencoded", "mail-zip", "html-parts", "text-parts", "header-parts"), "m.eml"),
    **dict.fromkeys(("bomb", "xdm-of-wide", "one-document-described-often", "text-members"), "IHE_XDM.zip"),
    **dict.fromkeys(("megabyte-lines", "accents", "results", "dates", "named-dates", "segments", "patients"), "a.hpr"),
    **dict.fromkeys(("hl7-patients", "hl7-repetitions", "hl7-lines", "hl7-escapes", "hl7-document"), "a.hl7"),
}


@pytest.mark.parametrize("name", HEAVY)
def test_cost_is_bounded(name: str, tmp_path: Path) -> None:
    path = f"{tmp_path}/{name}"
    with open(path, "wb") as out:
        out.write(HEAVY[name]())
    kind = KINDS.get(name, "a.xml")
    done = subprocess.run(
        [sys.executable, "-c", PROBE, path, kind], capture_output=True, text=True, check=True, timeout=60
    )
    cpu, memory, _ = done.stdout.split()
    print(f"{name}: {cpu} s, {memory} MiB")
    assert float(cpu) < 2.0
    assert float(memory) < 64
