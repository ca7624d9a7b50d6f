"""How long messages stay in mailboxes: `[retention]`."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config_fields import setting
from gateway.settings.units import DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long messages stay in mailboxes, which are no archive (MSS-066, TOU-A11). Off while messages is 0."""

    messages: float = setting(
        "duration", "How long a message stays in a folder before it is erased. 0: for ever.", 0.0, low=0
    )
    notice: float = setting(
        "duration",
        "How long before that a letter in the mailbox says what will be erased (TOU-E05); nothing is without one.",
        30 * DAY,
        low=1 * DAY,
    )
    domains: tuple[str, ...] = setting("domains", "In mailboxes of these domains only; empty: of all.", ())
