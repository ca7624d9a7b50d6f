"""What unsolicited mail costs, and how it is reported: `[penalties]`."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config_fields import setting
from gateway.settings.units import DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalties:
    """Steps and amounts for unsolicited mail (TOU-B05 to TOU-B10). Amounts are whole cents, all taxes included; 0 charges nothing.

    A case costs nothing until an administrator confirms it (`caducee sanction`).
    """

    middle_from: int = setting(
        "number", "Recipients of a message from which the middle amounts are due.", 11, low=1, high=1_000_000
    )
    large_from: int = setting("number", "Recipients from which the largest amounts are due.", 50, low=2, high=1_000_000)
    second_small: int = setting("number", "Cents for a second case, few recipients.", 30_00, low=0, high=10**9)
    second_middle: int = setting("number", "The same, between the two numbers.", 60_00, low=0, high=10**9)
    second_large: int = setting("number", "The same, many recipients.", 300_00, low=0, high=10**9)
    further_small: int = setting("number", "Cents for each further case, few recipients.", 100_00, low=0, high=10**9)
    further_middle: int = setting("number", "The same, between the two numbers.", 500_00, low=0, high=10**9)
    further_large: int = setting("number", "The same, many recipients.", 1000_00, low=0, high=10**9)
    forget_after: float = setting(
        "duration", "Time after which a case no longer counts against later ones. 0: never.", 0.0, low=0
    )
    answer_within: float = setting(
        "duration",
        "Time a user has to answer before a precautionary suspension, or to ask for the end of an immediate one (TOU-F03).",
        15 * DAY,
        low=15 * DAY,
    )
    partner_block: float = setting(
        "duration", "How long the sender of a confirmed case at a partner's is refused here.", 30 * DAY, low=1 * DAY
    )
    charter: str = setting("text", "Where users find the charter, told in each notice.", "")
    payment: str = setting("text", "How a penalty is paid, told in each notice that charges one.", "")
    contest: str = setting(
        "text", "Mailbox of ours where one contests, reachable while suspended; empty: the postmaster.", ""
    )
    reports: str = setting(
        "text",
        "Mailbox of ours that takes reports of unsolicited mail, such as abuse@ a domain of ours. Empty: none.",
        "",
    )
