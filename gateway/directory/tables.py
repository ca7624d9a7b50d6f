"""The directory's tables (:mod:`directory.tables`) among those of the house, for migrations and new databases."""

from __future__ import annotations

from directory.tables import declare
from mailboxes.schema import metadata

entry, source = declare(metadata)
