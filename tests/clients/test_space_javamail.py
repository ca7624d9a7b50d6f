"""JavaMail against running operators: what practice software and integration engines written in Java do all day."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.programs import program, run
from tests.space.running import Space, letter

pytestmark = pytest.mark.client

JARS = [Path("/usr/share/java") / name for name in ("javax.mail.jar", "javax.activation.jar")]
SECRET = "essai-essai"  # of the key stores only


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("javac") is None or not all(jar.exists() for jar in JARS):
        pytest.skip("a Java compiler or JavaMail is not installed")
    target = tmp_path_factory.mktemp("java")
    source = Path(__file__).with_name("PracticeSoftware.java")
    done = run("javac", "-encoding", "UTF-8", "-cp", _jars(), "-d", str(target), str(source), timeout=120)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def trust(space: Space, compiled: Path) -> Path:
    store = compiled / "trust.p12"
    done = run(
        program("keytool"), "-importcert", "-noprompt", "-alias", "ca", "-file", space.ca,
        "-keystore", str(store), "-storetype", "PKCS12", "-storepass", SECRET,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return store


def _jars(*more: Path) -> str:
    return ":".join(map(str, [*JARS, *more]))


class Software:
    """The compiled program with the settings of one mailbox."""

    def __init__(self, compiled: Path, operator: dict[str, Any], box: dict[str, Any], *, clear: bool = False) -> None:
        doors = {"SMTP": ("smtp", "submission"), "IMAP": ("imap", "imap")} if clear else {
            "SMTP": ("smtps", "submissions"), "IMAP": ("imaps", "imaps")
        }  # fmt: skip
        self.command = [program("java"), "-Dfile.encoding=UTF-8", "-cp", _jars(compiled), "PracticeSoftware"]
        self.settings = {"LOGIN": box["login"], "PASSWORD": box.get("device_password", "-"), "STORE_PASSWORD": SECRET}
        for name, (protocol, door) in doors.items():
            self.settings |= {f"{name}_PROTOCOL": protocol, f"{name}_PORT": str(operator[door]["port"])}

    def start(self, task: str, **more: str) -> subprocess.Popen[str]:
        settings = {**os.environ, **self.settings, **more, "LC_ALL": "C.UTF-8"}
        return subprocess.Popen(
            [*self.command, task], env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        )

    def does(self, task: str, **more: str) -> dict[str, str]:
        """What it saw."""
        said, _ = self.start(task, **more).communicate(timeout=60)
        lines = [line.partition("=") for line in said.splitlines()]
        assert all(separator for _, separator, _ in lines), said
        return {name: seen for name, _, seen in lines}


@pytest.mark.parametrize("clear", [False, True], ids=["tls", "starttls"])
def test_a_document_goes_out_and_is_read_and_filed(space: Space, compiled: Path, trust: Path, *, clear: bool) -> None:
    sender, reader = space.box(space.a), space.box(space.b, index=1)
    subject = f"Résumé de séjour java {clear}"
    common = {"TRUST": str(trust), "SUBJECT": subject, "TO": reader["address"]}
    assert Software(compiled, space.a, sender, clear=clear).does("send", **common) == {
        "entered": "true",
        "copy": subject,
    }
    space.wait_for(space.b, reader, f"java {clear}")
    assert Software(compiled, space.b, reader, clear=clear).does("read", **common) == {
        "entered": "true",
        "found": "1",
        "text": "Bonjour, . ..à bientôt",
        "name": "résumé.bin",
        "octets": "200000",
        "left": "0",
        "flags": "true",
        "deleted": "0",
    }


def test_software_logs_in_with_its_certificate(space: Space, compiled: Path, trust: Path, tmp_path: Path) -> None:
    box, reader = space.box(space.a, "APP"), space.box(space.b)
    card = tmp_path / "card.p12"
    done = run(
        program("openssl"), "pkcs12", "-export", "-in", box["client_cert"], "-inkey", box["client_key"],
        "-out", str(card), "-passout", f"pass:{SECRET}", "-name", "card",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = Software(compiled, space.a, box).does(
        "send", TRUST=str(trust), CARD=str(card), SUBJECT="java par carte", TO=reader["address"]
    )
    assert said == {"entered": "true", "copy": "java par carte"}
    space.wait_for(space.b, reader, "java par carte")


def test_idle_hears_of_a_new_message(space: Space, compiled: Path, trust: Path) -> None:
    box = space.box(space.b, "CAB")
    waiting = Software(compiled, space.b, box).start("wait", TRUST=str(trust))
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "entered=true\n"
    assert waiting.stdout.readline().startswith("waiting=")
    with space.imap(space.b, box) as imap:
        imap.append("INBOX", "", None, letter(box["address"], box["address"], "java attendait").as_bytes())
    said, _ = waiting.communicate(timeout=30)
    assert said == "news=java attendait\n"


def test_what_is_wrong_is_said(space: Space, compiled: Path, trust: Path) -> None:
    software = Software(compiled, space.a, space.box(space.a))
    assert software.does("enter", TRUST=str(trust), PASSWORD="wrong")["refused"].startswith("[AUTHENTICATIONFAILED]")
    common = {"SUBJECT": "java", "TO": space.box(space.b)["address"]}
    assert "[session.auth_failed]" in software.does("send", TRUST=str(trust), PASSWORD="wrong", **common)["refused"]
    assert "PKIX path building failed" in software.does("enter")["failed"]
