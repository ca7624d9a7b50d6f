"""Where browsers find the pages, for those who write it down elsewhere: the command line, a letter.

Promise: pure. Failure: none.
"""

from __future__ import annotations

from gateway.config import Config, public_url


def invitation_link(config: Config, token: str) -> str:
    """The link of an invitation. It serves once, and nothing is done with it alone."""
    return f"{public_url(config)}/invitation/{token}"
