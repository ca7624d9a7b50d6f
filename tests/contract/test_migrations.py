"""Migrations: the same tables as the code declares, on both databases; who may upgrade, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.operations import Operations
from sqlalchemy import inspect, text

from gateway import migrations
from gateway.migrations import current, revisions, upgrade
from gateway.migrations.generate import missing, render
from gateway.migrations.steps import context, difference, scripts
from gateway.migrations.tables import metadata
from mailboxes.engine import Database, open_database
from mailboxes.store import StoreUnavailable

ROOT = Path(__file__).parents[2]
HEAD = revisions()[-1]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url)
    yield opened
    opened.dispose()


def form(database: Database) -> dict[str, object]:
    """Everything the database says of its tables."""
    with database.turn(), database.writer.connect() as connection:
        if database.sqlite:
            rows = connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2"))
            return {f"{row[0]} {row[1]}": (row[2], row[3] and " ".join(row[3].split())) for row in rows}
        seen = inspect(connection)
        names = sorted(seen.get_table_names())
        return {
            name: [
                [(column["name"], repr(column["type"]), column["nullable"]) for column in seen.get_columns(name)],
                seen.get_pk_constraint(name),
                sorted(map(repr, seen.get_indexes(name))),
                sorted(map(repr, seen.get_unique_constraints(name))),
            ]
            for name in names
        }


def without_revision(found: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in found.items() if "alembic_version" not in name}


def test_a_migrated_database_has_what_the_code_declares(database: Database) -> None:
    upgrade(database)
    with database.turn(), database.writer.connect() as connection:
        assert difference(connection) == []
        assert current(connection) == HEAD


def test_migrated_and_created_databases_are_the_same(tmp_path: Path) -> None:
    migrated, created = (open_database(f"sqlite:///{tmp_path}/{name}.db") for name in ("migrated", "created"))
    upgrade(migrated)
    created.create_tables()
    assert without_revision(form(migrated)) == form(created)


@pytest.mark.postgres
def test_migrated_and_created_databases_are_the_same_on_postgresql(request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("postgres_server")
    migrated, created = open_database(server.url()), open_database(server.url())
    upgrade(migrated)
    created.create_tables()
    assert without_revision(form(migrated)) == form(created)


def test_nothing_is_missing_from_the_revisions() -> None:
    script = missing()
    assert script.upgrade_ops is not None
    assert script.upgrade_ops.is_empty(), render("What is missing")


def test_the_revisions_are_one_line_and_none_goes_down() -> None:
    steps = list(scripts().walk_revisions())
    assert tuple(step.revision for step in reversed(steps)) == revisions()
    assert [step.down_revision for step in steps] == [*reversed(revisions()[:-1]), None]
    assert not any(hasattr(step.module, "downgrade") for step in steps)


def test_oppositions_of_an_older_release_stay_in_force(database: Database) -> None:
    """TOU-A10: revision 0005 makes the table again; every line is there, and objects to all."""
    with database.turn(), database.writer.begin() as connection:
        directory = scripts()
        own = context(connection, lambda current, _context: directory._upgrade_revs("0003", current))
        with Operations.context(own):
            own.run_migrations()
        line = {"digest": b"d" * 32, "scope": "patient", "reference": "L-1", "actor": "operator:x", "since": 7}
        connection.execute(
            text("INSERT INTO patient_opposition VALUES (:digest, :scope, :reference, :actor, :since)"), line
        )
    upgrade(database)
    with database.turn(), database.writer.connect() as connection:
        (row,) = connection.execute(metadata.tables["patient_opposition"].select()).mappings()
    assert dict(row) == {**line, "address": "", "subject": b"d" * 32, "kind": "number"}


def test_an_upgrade_lists_the_mailboxes_whose_names_are_in_clear(database: Database) -> None:
    """Revision 0007: sealing takes keys, so it is done at the start that follows; those made since have none to seal."""
    with database.turn(), database.writer.begin() as connection:
        directory = scripts()
        own = context(connection, lambda current, _context: directory._upgrade_revs("0005", current))
        with Operations.context(own):
            own.run_migrations()
        connection.execute(text("INSERT INTO mailbox_state VALUES (3, 0, 7, 1), (4, 0, 7, 1)"))
    upgrade(database)
    with database.turn(), database.writer.connect() as connection:
        assert connection.execute(text("SELECT * FROM names_in_clear ORDER BY 1")).scalars().all() == [3, 4]


def test_an_upgrade_lists_the_mailboxes_whose_keywords_are_in_clear(database: Database) -> None:
    """Revision 0008, as 0007; what 0007 sealed already is not listed again."""
    with database.turn(), database.writer.begin() as connection:
        directory = scripts()
        own = context(connection, lambda current, _context: directory._upgrade_revs("0007", current))
        with Operations.context(own):
            own.run_migrations()
        connection.execute(text("INSERT INTO mailbox_state VALUES (3, 0, 7, 1), (4, 0, 7, 1)"))
    upgrade(database)
    with database.turn(), database.writer.connect() as connection:
        assert connection.execute(text("SELECT * FROM keywords_in_clear ORDER BY 1")).scalars().all() == [3, 4]
        assert connection.execute(text("SELECT * FROM names_in_clear")).all() == []


def test_a_database_in_form_is_left_alone_and_alembic_is_not_loaded(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/caducee.db"
    upgrade(open_database(url))
    before = form(open_database(url))
    program = (
        "import sys; from gateway.migrations import upgrade; from mailboxes.engine import open_database\n"
        f"upgrade(open_database({url!r}))\n"
        "assert 'alembic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
    assert form(open_database(url)) == before


def test_a_process_that_starts_waits_for_no_writer(shared_url: str) -> None:
    writing, starting = open_database(shared_url), open_database(shared_url)
    upgrade(writing)
    with writing.writer.begin() as connection:
        connection.execute(text("DELETE FROM access_version"))
        upgrade(starting)  # on SQLite it would raise after ten seconds, were it to wait
    writing.dispose()
    starting.dispose()


def test_processes_that_start_together_upgrade_once(shared_url: str) -> None:
    program = (
        "import sys; from gateway.migrations import upgrade, steps; from mailboxes.engine import open_database\n"
        "seen = []; climb = steps.climb\n"
        "steps.climb = lambda *given: (seen.append(1), climb(*given))\n"
        "sys.stdin.read(1)\n"
        f"upgrade(open_database({shared_url!r}))\n"
        "print(len(seen))\n"
    )
    command = [sys.executable, "-c", program]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    running = [subprocess.Popen(command, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    for process in running:
        process.stdin.write("x")
        process.stdin.flush()
    climbed = [int(process.communicate(timeout=60)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sorted(climbed) == [0, 1]


def test_a_database_of_a_newer_release_is_refused_and_both_revisions_named(database: Database) -> None:
    upgrade(database)
    with database.turn(), database.writer.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailable, match=f"revision 9999.*up to {HEAD}"):
        upgrade(database)


def test_empty_tables_without_a_revision_are_numbered(database: Database) -> None:
    database.create_tables()
    upgrade(database)
    with database.turn(), database.writer.connect() as connection:
        assert current(connection) == HEAD


def test_tables_without_a_revision_that_hold_rows_are_refused(database: Database) -> None:
    database.create_tables()
    with database.turn(), database.writer.begin() as connection:
        connection.execute(metadata.tables["access_version"].insert(), {"id": 1, "version": 1})
    with pytest.raises(StoreUnavailable, match=f"no revision.*access_version holds rows.*{HEAD}"):
        upgrade(database)
    with database.turn(), database.writer.connect() as connection:
        assert current(connection) is None


def test_tables_without_a_revision_in_another_form_are_refused(database: Database) -> None:
    database.create_tables()
    with database.turn(), database.writer.begin() as connection:
        connection.execute(text("DROP TABLE access_version"))
    with pytest.raises(StoreUnavailable, match="not in this release's form"):
        upgrade(database)


def test_an_upgrade_that_fails_changes_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.migrations import steps

    def fail(connection: object, found: str | None, climb: object = steps.climb) -> None:
        climb(connection, found)  # type: ignore[operator]
        raise OSError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(steps, "climb", fail)
        with pytest.raises(OSError, match="power"):
            upgrade(database)
    assert form(database) == {}
    upgrade(database)
    assert form(database)


def test_no_table_is_declared_where_the_migrations_do_not_look() -> None:
    from gateway.migrations.tables import ROOMS, modules

    known = {ROOT / (name.replace(".", "/") + ".py") for name in modules()}
    declaring = [path for path in ROOT.glob("*/**/*.py") if path.relative_to(ROOT).parts[0] not in (".venv", "tests")]
    found = {path for path in declaring if "from mailboxes.schema import metadata" in path.read_text("utf-8")}
    assert {path.relative_to(ROOT).parts[0] for path in known} == set(ROOMS)
    assert {path for path in found - known if " = Table(" in path.read_text("utf-8")} == set()
    assert set(migrations.revisions()) == {path.name[1:5] for path in migrations.VERSIONS.glob("r*.py")}
