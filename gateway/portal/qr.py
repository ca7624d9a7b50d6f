"""Draws a short text as a QR code, so that a telephone reads the secret for codes from the screen.

Promise: pure; a text of up to :data:`MOST` octets becomes a picture any reader takes, as a path of a page's own SVG: the secret is
in no image that is kept or fetched. Failure: none; a longer text gives an empty picture, and the page shows the secret in letters
beside it anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

import segno

MOST = 412
"""Octets: beyond, the modules grow too small for a telephone held before a screen."""
_QUIET = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """A square of ``size`` modules with its quiet zone, and the dark ones as an SVG path. False when there is nothing to see."""

    size: int = 0
    path: str = ""

    def __bool__(self) -> bool:
        return bool(self.path)


def picture(text: str) -> Picture:
    """The code as it is drawn on a page; nothing for a text too long."""
    if len(text.encode("utf-8")) > MOST:
        return Picture()
    modules = segno.make(text, error="m", micro=False, encoding="utf-8").matrix
    dark = [(x + _QUIET, y + _QUIET) for y, row in enumerate(modules) for x, module in enumerate(row) if module]
    return Picture(len(modules) + 2 * _QUIET, "".join(f"M{x},{y}h1v1h-1z" for x, y in dark))
