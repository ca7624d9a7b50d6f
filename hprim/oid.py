"""Object identifiers for what has none: under the arc of UUIDs, which needs no register (ITU-T X.667, ``2.25``).

Promise: pure; the same words give the same identifier, others another one; at most 44 characters, where HL7 allows 64. Failure: none.
"""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID


def unregistered(told: bytes) -> str:
    """The identifier of what ``told`` says."""
    return f"2.25.{UUID(bytes=sha256(told).digest()[:16], version=5).int}"
