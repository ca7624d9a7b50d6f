"""The index of the directory in SQL: one row per entry, its texts folded as questions compare them, and what is sought by.

``contains`` and the like are answered from an index of trigrams, three characters in a row: FTS5 on SQLite, a GIN index on
PostgreSQL, neither of which needs anything installed. It only says which rows may answer; the condition itself is asked of each.
A row is in force from generation ``since`` until before ``until``, so that a list of half a million is changed in small
transactions and seen whole or not at all (docs/adr/0021).
Promise: whoever inserts or deletes a row has its trigrams follow, by the database itself. Failure: none; these are declarations.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, MetaData, String, Table, Text, event

from directory.search import TEXTS

FOR_EVER = (1 << 62) - 1
"""``until`` of a row whose end is not known."""
NATIONAL = 0
"""``owner`` of what the national extraction says; an own mailbox has its number there."""

_Number = BigInteger().with_variant(Integer, "sqlite")
_Plain = Text().with_variant(Text(collation="C"), "postgresql")
"""Sorted by code points on either database, as Python does."""

_ALL = " || char(10) || ".join(f"{{0}}{name}" for name in TEXTS)
_INTO = "INSERT INTO directory_gram"
_ON_INSERT = (
    f"AFTER INSERT ON directory_entry BEGIN {_INTO}(rowid, words) VALUES (new.id, "  # noqa: S608
    f"{_ALL.format('new.')}); END"
)
_ON_DELETE = (
    f"AFTER DELETE ON directory_entry BEGIN {_INTO}(directory_gram, rowid, words) "
    f"VALUES ('delete', old.id, {_ALL.format('old.')}); END"
)
SQLITE_GRAMS = (
    f"CREATE VIEW directory_gram_words AS SELECT id, {_ALL.format('')} AS words FROM directory_entry",  # noqa: S608
    (
        "CREATE VIRTUAL TABLE directory_gram USING fts5(words, content='directory_gram_words', content_rowid='id', "
        "columnsize=0, detail='none', tokenize='trigram')"
    ),
    f"CREATE TRIGGER directory_gram_insert {_ON_INSERT}",
    f"CREATE TRIGGER directory_gram_delete {_ON_DELETE}",
)
POSTGRES_ALL = _ALL.format("").replace("char(", "chr(")
_TRIGRAMS = """\
CREATE OR REPLACE FUNCTION directory_grams(words text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT ARRAY(SELECT substr(words, place, 3) FROM generate_series(1, length(words) - 2) AS place)
$$"""
POSTGRES_GRAMS = (
    _TRIGRAMS,
    f"CREATE INDEX directory_gram ON directory_entry USING gin (directory_grams({POSTGRES_ALL}))",
)


def declare(metadata: MetaData) -> tuple[Table, Table]:
    """The tables, on a catalogue of tables: the entries, and what is known of their sources."""
    entry = Table(
        "directory_entry",
        metadata,
        Column("id", _Number, primary_key=True, autoincrement=True),
        Column("key", _Plain, nullable=False, comment="the address in lower case"),
        Column("since", BigInteger, nullable=False, comment="first generation it is in force in; 0 for own mailboxes"),
        Column("until", BigInteger, nullable=False, comment="first generation it is no longer in force in"),
        Column("owner", BigInteger, nullable=False, comment="our mailbox, 0 for the national extraction"),
        Column("shown", Text, nullable=False, comment="the entry as it is shown, JSON"),
        *[Column(name, _Plain if name == "name" else Text, nullable=False, comment="folded") for name in TEXTS],
        sqlite_autoincrement=True,
    )
    Index("uq_directory_entry_key", entry.c.key, entry.c.since, unique=True)
    Index("ix_directory_entry_name", entry.c.name, entry.c.key)
    Index("ix_directory_entry_person", entry.c.person)
    Index("ix_directory_entry_structure", entry.c.structure)
    Index("ix_directory_entry_since", entry.c.since)
    own, ended = entry.c.owner != NATIONAL, entry.c.until != FOR_EVER
    Index("ix_directory_entry_owner", entry.c.owner, sqlite_where=own, postgresql_where=own)
    Index("ix_directory_entry_until", entry.c.until, sqlite_where=ended, postgresql_where=ended)
    source = Table(
        "directory_source",
        metadata,
        Column("name", String(16), primary_key=True, comment="own or national"),
        Column("generation", BigInteger, nullable=False, comment="in force; of own, how texts were folded"),
        Column("entries", BigInteger, nullable=False),
        Column("stamped_at", BigInteger, nullable=False, comment="when the source says it was made"),
        Column("taken_at", BigInteger, nullable=False, comment="when it was put in force here"),
        Column("added", BigInteger, nullable=False),
        Column("changed", BigInteger, nullable=False),
        Column("removed", BigInteger, nullable=False),
        Column("tried_at", BigInteger, nullable=False),
        Column("trouble", String(64), nullable=False, comment="why the last try was not taken, empty when it was"),
        Column("holder", String(64), nullable=False, comment="the process that is importing"),
        Column("held_until", BigInteger, nullable=False),
    )
    event.listen(entry, "after_create", _create_grams)
    return entry, source


def _create_grams(_table: Table, connection: Connection, **_more: object) -> None:
    for statement in SQLITE_GRAMS if connection.dialect.name == "sqlite" else POSTGRES_GRAMS:
        connection.exec_driver_sql(statement)


metadata = MetaData()
entry, source = declare(metadata)
