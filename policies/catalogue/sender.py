"""Rules about: sender."""

from __future__ import annotations

from policies.decision import Rule

RULES: tuple[Rule, ...] = ()
