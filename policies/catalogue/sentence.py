"""A sentence of the console: French, English, and optionally what to do about it, with the same ``{named}`` parameters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sentence:
    fr: str
    en: str
    remedy_fr: str = ""
    remedy_en: str = ""
