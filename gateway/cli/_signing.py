"""The key the operator signs evidence with: the one shown to partners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.cli.context import Desk
from gateway.cli.errors import UNAVAILABLE, USAGE, Said

if TYPE_CHECKING:
    from gateway.record.evidence.gathering import Signer


def signer(desk: Desk) -> Signer:
    from gateway.part_settings import client_identity
    from gateway.record.evidence.gathering import Signer, UnfitKey

    found = client_identity(desk.storage.config)
    if found is None:
        raise Said("evidence.no_key", USAGE)
    try:
        return Signer.read(found.certificate, found.key)
    except OSError as problem:
        raise Said("cli.cannot_read", UNAVAILABLE, path=found.key, reason=problem) from None
    except (UnfitKey, ValueError, TypeError):
        raise Said("evidence.no_key", USAGE) from None
