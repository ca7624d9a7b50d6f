"""The picture that carries the secret for codes to a telephone, read back by a reader that others wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.portal import qr
from tests.clients.programs import program, run

MODULE = 6


def drawn(text: str, file: Path) -> Path:
    """As a telephone's camera sees it: each module some points wide, in black on white."""
    seen = qr.picture(text)
    width = seen.size * MODULE
    points = bytearray(b"\xff" * width * width)
    for x, y in re.findall(r"M(\d+),(\d+)h1v1h-1z", seen.path):
        for line in range(MODULE):
            at = (int(y) * MODULE + line) * width + int(x) * MODULE
            points[at : at + MODULE] = b"\0" * MODULE
    file.write_bytes(b"P5 %d %d 255\n" % (width, width) + points)
    return file


@pytest.mark.client
@pytest.mark.parametrize("length", [14, 62, 122, 213, 412])
def test_any_reader_reads_it(length: int, tmp_path: Path) -> None:
    text = ("otpauth://totp/Essai:alice.martin?secret=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567&issuer=" + "Hopital" * 60)[
        :length
    ]
    told = run(program("zbarimg"), "-q", "--raw", str(drawn(text, tmp_path / "code.pgm")))
    assert told.stdout.strip() == text, told.stderr


def test_a_text_too_long_gives_no_picture() -> None:
    assert not qr.picture("x" * 413)
    assert qr.picture("x").size == 29
