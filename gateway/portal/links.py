"""Where browsers find the pages, for those who write it down elsewhere: the command line, a letter.

Promise: pure. Failure: none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.config import Config


def base(config: Config) -> str:
    """`portal.address`, else the operator's own name."""
    return config.portal.address.rstrip("/") or f"https://{config.operator.hostname}"


def invitation_link(config: Config, token: str) -> str:
    """The link of an invitation. It serves once, and nothing is done with it alone."""
    return f"{base(config)}/invitation/{token}"
