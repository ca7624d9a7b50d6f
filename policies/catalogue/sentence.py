"""A sentence of the console: French, English, and optionally what to do about it, with the same ``{named}`` parameters."""

from __future__ import annotations

from dataclasses import dataclass


def octets(size: float, language: str) -> str:
    """A size as people write it: ``35.3 GiB``, ``35,3 Gio``."""
    shown, unit = float(size), "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if shown < 1024 * 1024:
            break
        shown, unit = shown / 1024, larger
    text = f"{shown / 1024:.1f}".removesuffix(".0")
    return f"{text.replace('.', ',')} {unit[0]}io" if language == "fr" else f"{text} {unit}"


@dataclass(frozen=True, slots=True)
class Sentence:
    fr: str
    en: str
    remedy_fr: str = ""
    remedy_en: str = ""
