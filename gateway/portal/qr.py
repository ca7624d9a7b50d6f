"""Draws a short text as a QR code (ISO/IEC 18004), so that a telephone reads the secret for codes from the screen.

Byte mode, error correction level M, versions 1 to 15, one mask that always serves (the standard allows any, and picks for looks).
Promise: pure; a text of up to 412 octets becomes a picture any reader takes; nothing is drawn by another program or service.
Failure: none; a longer text gives an empty picture, and the page shows the secret in letters beside it anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_CHECKS = (0, 10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24)
"""Check octets of each block at level M, by version; ISO/IEC 18004 table 9."""
_BLOCKS = (0, 1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10)
_LEVEL_M, _MASK = 0, 0
_QUIET = 4

Grid = list[list[int]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A square of ``size`` modules with its quiet zone, and the dark ones as an SVG path. False when there is nothing to see."""

    size: int = 0
    path: str = ""

    def __bool__(self) -> bool:
        return bool(self.path)


def picture(text: str) -> Picture:
    """The code as it is drawn on a page; nothing for a text too long."""
    modules = code(text.encode("utf-8"))
    if not modules:
        return Picture()
    dark = [(x + _QUIET, y + _QUIET) for y, row in enumerate(modules) for x, module in enumerate(row) if module]
    return Picture(len(modules) + 2 * _QUIET, "".join(f"M{x},{y}h1v1h-1z" for x, y in dark))


def code(data: bytes) -> Grid:
    """The modules, row by row, 1 for dark; empty for data too long."""
    version = next((one for one in range(1, len(_CHECKS)) if _fits(data, one)), 0)
    if not version:
        return []
    size = 17 + 4 * version
    grid, fixed = [[0] * size for _ in range(size)], [[0] * size for _ in range(size)]
    _draw_fixed(grid, fixed, version)
    bits = [octet >> shift & 1 for octet in _codewords(data, version) for shift in range(7, -1, -1)]
    _draw_bits(grid, fixed, bits)
    _draw_format(grid, fixed)
    return grid


def _raw_octets(version: int) -> int:
    """Octets a version holds, checks included."""
    bits = (16 * version + 128) * version + 64
    if version >= 2:
        aligned = version // 7 + 2
        bits -= (25 * aligned - 10) * aligned - 55
        if version >= 7:
            bits -= 36
    return bits // 8


def _room(version: int) -> int:
    return _raw_octets(version) - _CHECKS[version] * _BLOCKS[version]


def _count_bits(version: int) -> int:
    return 8 if version < 10 else 16


def _fits(data: bytes, version: int) -> bool:
    return 4 + _count_bits(version) + 8 * len(data) <= 8 * _room(version)


def _codewords(data: bytes, version: int) -> bytes:
    """Data and checks, woven together block by block."""
    room = _room(version)
    text = f"0100{len(data):0{_count_bits(version)}b}" + "".join(f"{octet:08b}" for octet in data)
    text += "0" * min(4, 8 * room - len(text))
    text += "0" * (-len(text) % 8)
    octets = bytearray(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
    pads = (0xEC, 0x11)
    octets += bytes(pads[turn % 2] for turn in range(room - len(octets)))
    blocks, checks = _BLOCKS[version], _CHECKS[version]
    short, longer = room // blocks, room % blocks
    parts, at = [], 0
    for number in range(blocks):
        length = short + (number >= blocks - longer)
        parts.append(bytes(octets[at : at + length]))
        at += length
    divisor = _divisor(checks)
    proofs = [_remainder(part, divisor) for part in parts]
    woven = [part[place] for place in range(short + 1) for part in parts if place < len(part)]
    return bytes(woven + [proof[place] for place in range(checks) for proof in proofs])


def _times(x: int, y: int) -> int:
    """In the field of 256 with the polynomial 0x11D."""
    product = 0
    for shift in range(7, -1, -1):
        product = (product << 1) ^ ((product >> 7) * 0x11D)
        product ^= (y >> shift & 1) * x
    return product


def _divisor(degree: int) -> list[int]:
    found, root = [0] * (degree - 1) + [1], 1
    for _ in range(degree):
        for place in range(degree):
            found[place] = _times(found[place], root)
            if place + 1 < degree:
                found[place] ^= found[place + 1]
        root = _times(root, 2)
    return found


def _remainder(data: bytes, divisor: list[int]) -> list[int]:
    left = [0] * len(divisor)
    for octet in data:
        factor = octet ^ left.pop(0)
        left.append(0)
        left = [one ^ _times(each, factor) for one, each in zip(left, divisor, strict=True)]
    return left


# drawing


def _set(grid: Grid, fixed: Grid, x: int, y: int, dark: int) -> None:
    grid[y][x], fixed[y][x] = dark, 1


def _draw_fixed(grid: Grid, fixed: Grid, version: int) -> None:
    size = len(grid)
    for place in range(size):
        _set(grid, fixed, 6, place, 1 - place % 2)
        _set(grid, fixed, place, 6, 1 - place % 2)
    for x, y in ((3, 3), (size - 4, 3), (3, size - 4)):
        for across in range(-4, 5):
            for down in range(-4, 5):
                far = max(abs(across), abs(down))
                if 0 <= x + across < size and 0 <= y + down < size:
                    _set(grid, fixed, x + across, y + down, int(far not in (2, 4)))
    for x, y in _aligned(version, size):
        for across in range(-2, 3):
            for down in range(-2, 3):
                _set(grid, fixed, x + across, y + down, int(max(abs(across), abs(down)) != 1))
    _draw_format(grid, fixed)
    if version >= 7:
        _draw_version(grid, fixed, version)


def _aligned(version: int, size: int) -> Iterator[tuple[int, int]]:
    if version == 1:
        return
    count = version // 7 + 2
    step = (version * 4 + count * 2 + 1) // (count * 2 - 2) * 2
    places = [6] + [size - 7 - step * turn for turn in range(count - 2, -1, -1)]
    last = count - 1
    for i in range(count):
        for j in range(count):
            if (i, j) not in ((0, 0), (0, last), (last, 0)):
                yield places[i], places[j]


def _draw_format(grid: Grid, fixed: Grid) -> None:
    data = _LEVEL_M << 3 | _MASK
    left = data
    for _ in range(10):
        left = (left << 1) ^ ((left >> 9) * 0x537)
    bits = (data << 10 | left) ^ 0x5412
    size = len(grid)
    for place in range(15):
        dark = bits >> place & 1
        near = place if place < 6 else place + 1
        if place < 8:
            _set(grid, fixed, 8, near, dark)
            _set(grid, fixed, size - 1 - place, 8, dark)
        else:
            _set(grid, fixed, 7 if place == 8 else 14 - place, 8, dark)
            _set(grid, fixed, 8, size - 15 + place, dark)
    _set(grid, fixed, 8, size - 8, 1)


def _draw_version(grid: Grid, fixed: Grid, version: int) -> None:
    left = version
    for _ in range(12):
        left = (left << 1) ^ ((left >> 11) * 0x1F25)
    bits, size = version << 12 | left, len(grid)
    for place in range(18):
        a, b = size - 11 + place % 3, place // 3
        _set(grid, fixed, a, b, bits >> place & 1)
        _set(grid, fixed, b, a, bits >> place & 1)


def _draw_bits(grid: Grid, fixed: Grid, bits: list[int]) -> None:
    """In columns of two from the right, up and down by turns, under the mask."""
    size, at = len(grid), 0
    for right in range(size - 1, 0, -2):
        column = right if right > 6 else right - 1
        upward = (column + 1) & 2 == 0
        for turn in range(size):
            y = size - 1 - turn if upward else turn
            for x in (column, column - 1):
                if not fixed[y][x]:
                    dark = bits[at] if at < len(bits) else 0
                    grid[y][x] = dark ^ int((x + y) % 2 == 0)
                    at += 1
