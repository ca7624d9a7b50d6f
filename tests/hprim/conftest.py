"""The published sample documents, read where they lie; tests that need them are skipped without them."""

from __future__ import annotations

from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples" / "cda"


@pytest.fixture(scope="session")
def cda_samples(samples: Path) -> dict[str, bytes]:
    """File name to content of each sample CDA."""
    return {p.name: p.read_bytes() for p in sorted((samples / "cda").glob("*.xml"))}
