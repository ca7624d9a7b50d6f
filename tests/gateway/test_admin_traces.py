"""What an administrator changes is on record: who, what, of whom (MSS-143)."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pyotp
import pytest

from tests.gateway.test_cli import MARIE, PASSWORD, PATIENT, Terminal, marie, terminal

__all__ = ["marie", "terminal"]

OFFICE = "bureau@op.mssante.test"
FINGERPRINT = "ab" * 32

CHANGES: tuple[tuple[str, str, str], ...] = (
    ("account create jean.dupuis --family Dupuis --given Jean --verified card", "account.changed", "opened"),
    ("account suspend jean.dupuis --reason motif", "account.changed", "suspend"),
    ("account resume jean.dupuis --reason motif", "account.changed", "resume"),
    ("account password jean.dupuis --stdin", "account.changed", "password"),
    ("account totp jean.dupuis", "account.changed", "code"),
    ("account close jean.dupuis --reason motif", "account.changed", "close"),
    (f"mailbox create {OFFICE} --type APP --structure 399900000000018", "account.mailbox", "opened"),
    (f"mailbox set {OFFICE} --description x", "account.mailbox", "attributes description"),
    (f"mailbox quota {OFFICE} 1GiB", "account.mailbox", "quota 1073741824"),
    (f"mailbox alias add {OFFICE} autre@op.mssante.test", "account.mailbox", "alias added"),
    ("mailbox alias remove autre@op.mssante.test", "account.mailbox", "alias ended"),
    (f"mailbox certificate add {OFFICE} {FINGERPRINT}", "account.mailbox", "certificate bound"),
    (f"mailbox certificate remove {OFFICE} {FINGERPRINT}", "account.mailbox", "certificate withdrawn"),
    (f"mailbox suspend {OFFICE} --reason motif", "account.mailbox", "suspend"),
    (f"mailbox resume {OFFICE} --reason motif", "account.mailbox", "resume"),
    (f"rule acknowledge {MARIE}", "account.rule", ""),
    (f"rule remove {MARIE} 1", "account.rule", ""),
    (f"opposition add {PATIENT}", "account.rule", ""),
    (f"opposition remove {PATIENT}", "account.rule", ""),
    (f"mailbox close {OFFICE} --reason motif", "account.mailbox", "close"),
    (f"mailbox delete {OFFICE} --reason motif --yes", "account.mailbox", "delete"),
)


def records(terminal: Terminal) -> list[tuple[str, str, dict[str, Any]]]:
    with closing(sqlite3.connect(terminal.folder / "data/caducee.db")) as base:
        rows = base.execute("SELECT kind, actor, detail FROM journal ORDER BY seq").fetchall()
    return [(kind, actor, json.loads(detail)) for kind, actor, detail in rows]


def test_each_change_is_on_record_with_its_author(marie: Terminal) -> None:
    for words, kind, what in CHANGES:
        before = len(records(marie))
        marie.ok(*words.split(), given=f"{PASSWORD}\n" if "--stdin" in words else "")
        new = records(marie)[before:]
        found = [(one, detail.get("what", "")) for one, _, detail in new]
        assert any(one == kind and (not what or said == what) for one, said in found), (words, found)
        assert {actor.partition(":")[0] for _, actor, _ in new} == {"operator"}, words
        assert PATIENT not in json.dumps(new)


def test_what_a_person_does_in_a_strong_session_bears_their_name(marie: Terminal) -> None:
    marie.ok("account", "password", "marie.martin", "--stdin", given=f"{PASSWORD}\n")
    secret = marie.json("account", "totp", "marie.martin")["secret"]
    marie.ok("account", "session", "marie.martin", "--stdin", given=f"{PASSWORD}\n{pyotp.TOTP(secret).now()}\n")
    before = len(records(marie))
    marie.ok("device", "create", MARIE, "--name", "poste")
    marie.ok("rule", "acknowledge", MARIE, "--session")
    told = [(kind, actor) for kind, actor, _ in records(marie)[before:]]
    assert told == [("account.device", "marie.martin"), ("account.rule", "marie.martin")]
    lines = marie.json("history", "access", MARIE, "--session")
    assert [(one["author"], one["action"]) for one in lines][-2:] == [(actor, kind) for kind, actor in told]


@pytest.mark.parametrize("words", ["account list", "mailbox list", f"mailbox show {MARIE}", "journal verify"])
def test_looking_changes_nothing(marie: Terminal, words: str) -> None:
    before = len(records(marie))
    marie.ok(*words.split())
    assert len(records(marie)) == before
