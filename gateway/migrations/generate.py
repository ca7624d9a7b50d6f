"""``python -m gateway.migrations.generate``: prints the revision that is missing, to be read, cleaned and committed.

Promise: writes nothing but standard output; compares against a database in memory brought to the newest revision.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

from alembic.autogenerate import api, render_python_code
from alembic.operations.ops import MigrationScript

from gateway.migrations import revisions, upgrade
from gateway.migrations.steps import context
from gateway.migrations.tables import metadata
from mailboxes.engine import open_database

HEAD = '''"""{title} ({day})."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {before!r}


def upgrade() -> None:
    """{purpose}"""
    {body}
'''


def missing() -> MigrationScript:
    """What brings the newest revision to the tables of this release."""
    database = open_database("sqlite://")
    upgrade(database)
    with database.turn(), database.writer.begin() as connection:
        return api.produce_migrations(context(connection), metadata)


def render(title: str) -> str:
    """The text of the next revision's module, formatted."""
    script = missing()
    before = revisions()[-1]
    assert script.upgrade_ops is not None
    text = HEAD.format(
        title=title,
        day=datetime.now(UTC).date().isoformat(),
        revision=f"{int(before) + 1:04}",
        before=before,
        purpose=f"{title}.",
        body=render_python_code(script.upgrade_ops),
    )
    without = [line for line in text.split("\n") if not line.strip().startswith("# ###")]
    return _formatted("\n".join(without))


def _formatted(text: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", "revision.py", "-"]
    done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8", check=True)
    return done.stdout


if __name__ == "__main__":
    sys.stdout.write(render(" ".join(sys.argv[1:]) or "Describe me"))
