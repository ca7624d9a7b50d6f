"""The picture that carries the secret for codes to a telephone, read back by a reader that others wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.portal import qr
from tests.clients.programs import program, run

MODULE = 6


def drawn(text: str, file: Path) -> Path:
    """As a telephone's camera sees it: each module some points wide, in black on white."""
    modules = qr.code(text.encode())
    width = (len(modules) + 8) * MODULE
    points = bytearray(b"\xff" * width * width)
    for y, row in enumerate(modules):
        for x, dark in enumerate(row):
            if dark:
                for line in range(MODULE):
                    at = ((y + 4) * MODULE + line) * width + (x + 4) * MODULE
                    points[at : at + MODULE] = b"\0" * MODULE
    file.write_bytes(b"P5 %d %d 255\n" % (width, width) + points)
    return file


@pytest.mark.client
@pytest.mark.parametrize("length", [14, 15, 26, 40, 62, 84, 106, 122, 152, 180, 213, 251, 287, 331, 362, 412])
def test_any_reader_reads_every_version(length: int, tmp_path: Path) -> None:
    """Lengths that fill a version, and the first of the next."""
    text = ("otpauth://totp/Essai:alice.martin?secret=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567&issuer=" + "Hopital" * 60)[
        :length
    ]
    told = run(program("zbarimg"), "-q", "--raw", str(drawn(text, tmp_path / "code.pgm")))
    assert told.stdout.strip() == text, told.stderr


def test_a_text_too_long_gives_no_picture() -> None:
    assert not qr.picture("x" * 413)
    assert qr.picture("x").size == 29
