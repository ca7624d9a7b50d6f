"""Which patient is written to is on no disk: not while an operator runs, not after kill -9 (figure 11 of the promises)."""

from __future__ import annotations

import base64
import hashlib
import json
import smtplib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import postgres
from tests.fault.operator import PATIENCE, Killable, build
from tests.space.letters import ALL
from tests.space.living import until

pytestmark = [pytest.mark.fault, pytest.mark.slow]

DOMAIN = "op-b.mssante.test"  # not running: what is written to it waits
NUMBER = "279039999900003"
PATIENT = f"{NUMBER}@{DOMAIN}"
SETTINGS: dict[tuple[str, str], Any] = {("limits", "patient_domains"): [DOMAIN], ("queue", "first_retry"): "1s"}


def hits(*folders: Path) -> list[str]:
    """Files that hold the patient's number, as it is or in any of the three places of base64."""
    pieces = [NUMBER.encode(), NUMBER.encode("utf-16-le"), bytes.fromhex(NUMBER + "0")]
    pieces.append(hashlib.blake2b(PATIENT.encode(), digest_size=8).digest())  # a digest without a key tells it as well
    pieces += [base64.b64encode(b"x" * skip + NUMBER.encode())[4 * (skip > 0) : 20] for skip in range(3)]
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                data = path.read_bytes() if path.is_file() else b""
            except FileNotFoundError:  # it was removed meanwhile
                continue
            found += [str(path) for piece in pieces if piece in data]
    return found


def write(killable: Killable) -> str:
    """From Alice to the patient, with everything a program may say of him; the identifier."""
    box = killable.box
    ports = killable.site.ports
    text = (
        f"From: {box['address']}\r\nTo: {PATIENT}\r\nSubject: Bonjour\r\nMessage-ID: <canari-1@op-a.mssante.test>\r\n"
        f"Date: Mon, 02 Mar 2026 10:00:00 +0100\r\nDisposition-Notification-To: {box['address']}\r\n\r\nBonjour\r\n"
    )
    with smtplib.SMTP_SSL("127.0.0.1", ports["submissions"], context=killable.trust(), timeout=PATIENCE) as smtp:
        smtp.login(box["login"], box["device_password"])
        smtp.ehlo()
        assert smtp.mail(box["address"], ["RET=HDRS", f"ENVID={PATIENT}"])[0] == 250
        assert smtp.rcpt(PATIENT, [ALL, f"ORCPT=rfc822;{NUMBER}+40{DOMAIN}"])[0] == 250
        code, said = smtp.data(text.encode("ascii"))
        assert code == 250, said
        assert smtp.mail(box["address"])[0] == 250
        assert smtp.rcpt(f"{NUMBER}x@{DOMAIN}")[0] == 250  # refused for what it says: the refusal is told too
        assert smtp.data(text.replace(NUMBER, f"{NUMBER}x").encode("ascii"))[0] >= 250
    return said.decode("ascii").split("identifiant ")[1][:26]


def answer(killable: Killable) -> None:
    """The patient's answer, by his operator, to somebody who is away."""
    box = killable.box
    text = (
        f"From: {PATIENT}\r\nTo: {box['address']}\r\nSubject: Re: Bonjour\r\nMessage-ID: <mes-1@{DOMAIN}>\r\n"
        f"Date: Mon, 02 Mar 2026 11:00:00 +0100\r\nIn-Reply-To: <canari-1@op-a.mssante.test>\r\n\r\nMerci\r\n"
    )
    with killable.partner_session() as session:
        assert session.mail(PATIENT)[0] == 250
        assert session.rcpt(box["address"])[0] == 250
        assert session.data(text.encode("ascii"))[0] == 250


def asked(killable: Killable, *words: str) -> Any:
    done = killable.caducee(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def kept(killable: Killable, *folders: Path) -> None:
    killable.start()
    absence = killable.site.directory / "absence.txt"
    absence.write_text("Je suis absente.\n")
    away = killable.caducee(
        "rule",
        "absence",
        killable.box["address"],
        "--until",
        f"{datetime.now(UTC).date() + timedelta(days=30)}",
        "--text-file",
        str(absence),
    )
    assert away.returncode == 0, away.stderr
    message = write(killable)
    answer(killable)
    until(
        lambda: len(asked(killable, "queue", "list", "--to", PATIENT)["rows"]) == 2,
        PATIENCE,
        "his absence reply waits too",
    )
    until(
        lambda: any(step["what"] == "message.deferred" for step in asked(killable, "explain", message)["steps"]),
        PATIENCE,
    )
    assert hits(*folders) == []
    told(killable, message)
    killable.kill()
    assert hits(*folders) == []
    killable.start()
    told(killable, message)
    assert killable.stop() == 0
    assert hits(*folders) == []


def told(killable: Killable, message: str) -> None:
    """Whoever holds the key reads him everywhere."""
    steps = asked(killable, "explain", message)["steps"]
    assert [step["recipient"] for step in steps if step["what"] == "message.queued"] == [PATIENT]
    tracked = asked(killable, "track", message)
    assert [line["recipient"] for line in tracked["recipients"]] == [PATIENT]
    assert PATIENT in killable.caducee("track", message).stdout
    records = asked(killable, "journal", "list", "--message", message)
    (accepted,) = [record["detail"] for record in records if record["kind"] == "message.accepted"]
    assert (accepted["recipients"], accepted["envid"]) == ([PATIENT], PATIENT)
    assert NUMBER in killable.caducee("queue", "show", message).stdout
    assert asked(killable, "journal", "verify")["intact"]


def searched(*folders: Path) -> bool:
    """Whether the search sees what is there: the domain stays in clear."""
    return any(
        DOMAIN.encode() in path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()
    )


def test_a_patient_s_number_is_in_no_file_on_sqlite(tmp_path: Path) -> None:
    killable = Killable(build(tmp_path, settings=SETTINGS))
    kept(killable, tmp_path)
    assert searched(killable.site.directory / "data")


@pytest.mark.postgres
def test_a_patient_s_number_is_in_no_file_on_postgresql(
    tmp_path: Path, postgres_server: postgres.Server, postgres_url: str
) -> None:
    as_configured = postgres_url.replace("postgresql+psycopg://", "postgresql://")
    killable = Killable(build(tmp_path, as_configured, SETTINGS))
    data = postgres_server.directory / "data"
    base = data / "base" / _number(postgres_url)
    kept(killable, tmp_path, base, data / "pg_wal")
    with psycopg.connect(as_configured, autocommit=True) as connection:
        connection.execute("CHECKPOINT")  # what was in memory is in the files now
    assert hits(base) == []
    assert searched(base)


def _number(url: str) -> str:
    """The folder of a database: other tests' lie beside it."""
    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://")) as connection:
        row = connection.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
    assert row is not None
    return str(row[0])
