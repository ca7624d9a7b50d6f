"""The directory, and what it shows of people and mailboxes (2026-11-27)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


_TEXTS = [
    "address",
    "type",
    "title",
    "family",
    "given",
    "name",
    "person",
    "profession",
    "profession_code",
    "specialty",
    "specialty_code",
    "structure",
    "organisation",
    "service",
    "description",
    "phone",
    "street",
    "postal_code",
    "town",
    "department",
    "country",
]
_ALL = " || char(10) || ".join(f"{{0}}{name}" for name in _TEXTS)
_INTO = "INSERT INTO directory_gram"
_ON_INSERT = (
    f"AFTER INSERT ON directory_entry BEGIN {_INTO}(rowid, words) VALUES (new.id, "  # noqa: S608
    f"{_ALL.format('new.')}); END"
)
_ON_DELETE = (
    f"AFTER DELETE ON directory_entry BEGIN {_INTO}(directory_gram, rowid, words) "
    f"VALUES ('delete', old.id, {_ALL.format('old.')}); END"
)
_SQLITE_GRAMS = (
    f"CREATE VIEW directory_gram_words AS SELECT id, {_ALL.format('')} AS words FROM directory_entry",  # noqa: S608
    (
        "CREATE VIRTUAL TABLE directory_gram USING fts5(words, content='directory_gram_words', content_rowid='id', "
        "columnsize=0, detail='none', tokenize='trigram')"
    ),
    f"CREATE TRIGGER directory_gram_insert {_ON_INSERT}",
    f"CREATE TRIGGER directory_gram_delete {_ON_DELETE}",
)
_POSTGRES_ALL = _ALL.format("").replace("char(", "chr(")
_TRIGRAMS = """\
CREATE OR REPLACE FUNCTION directory_grams(words text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT ARRAY(SELECT substr(words, place, 3) FROM generate_series(1, length(words) - 2) AS place)
$$"""
_POSTGRES_GRAMS = (
    _TRIGRAMS,
    f"CREATE INDEX directory_gram ON directory_entry USING gin (directory_grams({_POSTGRES_ALL}))",
)


def upgrade() -> None:
    """The directory, and what it shows of people and mailboxes."""
    op.create_table(
        "account_calling",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("profession_code", sa.Text(), nullable=False, comment="of the national nomenclature, such as 10"),
        sa.Column("profession", sa.Text(), nullable=False),
        sa.Column("specialty_code", sa.Text(), nullable=False, comment="such as SM04"),
        sa.Column("specialty", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_calling")),
    )
    op.create_table(
        "directory_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column(
            "key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
            comment="the address in lower case",
        ),
        sa.Column(
            "since", sa.BigInteger(), nullable=False, comment="first generation it is in force in; 0 for own mailboxes"
        ),
        sa.Column("until", sa.BigInteger(), nullable=False, comment="first generation it is no longer in force in"),
        sa.Column("owner", sa.BigInteger(), nullable=False, comment="our mailbox, 0 for the national extraction"),
        sa.Column("shown", sa.Text(), nullable=False, comment="the entry as it is shown, JSON"),
        sa.Column("address", sa.Text(), nullable=False, comment="folded"),
        sa.Column("type", sa.Text(), nullable=False, comment="folded"),
        sa.Column("title", sa.Text(), nullable=False, comment="folded"),
        sa.Column("family", sa.Text(), nullable=False, comment="folded"),
        sa.Column("given", sa.Text(), nullable=False, comment="folded"),
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False, comment="folded"
        ),
        sa.Column("person", sa.Text(), nullable=False, comment="folded"),
        sa.Column("profession", sa.Text(), nullable=False, comment="folded"),
        sa.Column("profession_code", sa.Text(), nullable=False, comment="folded"),
        sa.Column("specialty", sa.Text(), nullable=False, comment="folded"),
        sa.Column("specialty_code", sa.Text(), nullable=False, comment="folded"),
        sa.Column("structure", sa.Text(), nullable=False, comment="folded"),
        sa.Column("organisation", sa.Text(), nullable=False, comment="folded"),
        sa.Column("service", sa.Text(), nullable=False, comment="folded"),
        sa.Column("description", sa.Text(), nullable=False, comment="folded"),
        sa.Column("phone", sa.Text(), nullable=False, comment="folded"),
        sa.Column("street", sa.Text(), nullable=False, comment="folded"),
        sa.Column("postal_code", sa.Text(), nullable=False, comment="folded"),
        sa.Column("town", sa.Text(), nullable=False, comment="folded"),
        sa.Column("department", sa.Text(), nullable=False, comment="folded"),
        sa.Column("country", sa.Text(), nullable=False, comment="folded"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directory_entry")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_directory_entry_name", "directory_entry", ["name", "key"], unique=False)
    op.create_index(
        "ix_directory_entry_owner",
        "directory_entry",
        ["owner"],
        unique=False,
        sqlite_where=sa.text("owner != 0"),
        postgresql_where=sa.text("owner != 0"),
    )
    op.create_index("ix_directory_entry_person", "directory_entry", ["person"], unique=False)
    op.create_index("ix_directory_entry_since", "directory_entry", ["since"], unique=False)
    op.create_index("ix_directory_entry_structure", "directory_entry", ["structure"], unique=False)
    op.create_index(
        "ix_directory_entry_until",
        "directory_entry",
        ["until"],
        unique=False,
        sqlite_where=sa.text("until != 4611686018427387903"),
        postgresql_where=sa.text("until != 4611686018427387903"),
    )
    op.create_index("uq_directory_entry_key", "directory_entry", ["key", "since"], unique=True)
    op.create_table(
        "directory_source",
        sa.Column("name", sa.String(length=16), nullable=False, comment="own or national"),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="in force; of own, how texts were folded"),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("stamped_at", sa.BigInteger(), nullable=False, comment="when the source says it was made"),
        sa.Column("taken_at", sa.BigInteger(), nullable=False, comment="when it was put in force here"),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.Column("tried_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "trouble", sa.String(length=64), nullable=False, comment="why the last try was not taken, empty when it was"
        ),
        sa.Column("holder", sa.String(length=64), nullable=False, comment="the process that is importing"),
        sa.Column("held_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_directory_source")),
    )
    op.create_table(
        "mailbox_place",
        sa.Column("mailbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False, comment="name of the structure"),
        sa.Column("street", sa.Text(), nullable=False),
        sa.Column("postal_code", sa.Text(), nullable=False),
        sa.Column("town", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", name=op.f("pk_mailbox_place")),
    )
    for text in _SQLITE_GRAMS if op.get_bind().dialect.name == "sqlite" else _POSTGRES_GRAMS:
        op.execute(text)
