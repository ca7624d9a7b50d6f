"""Medical documents at the command line, as a person or a program runs it: check, show, opposition."""

from __future__ import annotations

import io
import json
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway import compose
from gateway.cli import application
from gateway.cli.opposition import _number
from gateway.config import load
from gateway.medical.memory import StoredMemory
from gateway.medical.met import Met, Person, bare
from gateway.medical.register_key import RegisterKey
from policies.patient import Said
from tests.hprim import variants
from tests.hprim.builders import NUMBER, cda, xdm
from tests.hprim.examples import v1
from tests.hprim.test_rules import person

ROOT = Path(__file__).parents[2]
CONFIG = """
[operator]
name = "Essai"
domains = ["op-a.mssante.test"]
hostname = "smtp.op-a.mssante.test"
test_mode = true
[store]
master_key = "file:master.key"
"""


def run(*words: str, given: str | bytes = "", lang: str = "en", config: Path | None = None) -> Any:
    environment = {"CADUCEE_CONFIG": str(config) if config else "/nonexistent/config.toml"}
    return CliRunner().invoke(application, ["--lang", lang, *words], input=given, env=environment)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    written = {
        "good.hpr": v1(),
        "bad.hpr": v1({7: "31 fevrier"}),
        "good.zip": xdm(),
        "empty.hpr": b"",
        "test.xml": cda(ids=(("1.2.250.1.213.1.4.10", NUMBER), ("1.2.3.4", "IPP42"))),
    }
    for name, data in written.items():
        (tmp_path / name).write_bytes(data)
    return {name: str(tmp_path / name) for name in written} | {"missing": str(tmp_path / "missing")}


@pytest.mark.parametrize(
    ("name", "code"),
    [("good.hpr", 0), ("bad.hpr", 1), ("good.zip", 0), ("empty.hpr", 2), ("missing", 2), ("test.xml", 0)],
)
def test_the_exit_code_is_the_answer(files: dict[str, str], name: str, code: int) -> None:
    assert run("hprim", "check", files[name]).exit_code == code


def test_each_message_of_a_mailbox_file_has_its_answer(tmp_path: Path) -> None:
    """Only the first was looked at."""
    head = b"From a@x.test Mon Nov  3 10:15:00 2025\nFrom: a@x.test\nSubject: Avis\nDate: Mon, 3 Nov 2025 10:15:00 +0100\n\n"
    path = tmp_path / "boite.mbox"
    path.write_bytes(head + v1().replace(b"\r\n", b"\n") + b"\n" + head + v1({7: "31 fevrier"}).replace(b"\r\n", b"\n"))
    result = run("hprim", "check", "--json", str(path))
    told = json.loads(result.stdout)
    assert [(entry["file"], entry["exit"]) for entry in told["files"]] == [(f"{path} [1]", 0), (f"{path} [2]", 1)]
    assert run("hprim", "show", str(path)).stdout.count("LEFEVRE") == 2


def test_the_worst_file_gives_the_code_and_each_has_its_own(files: dict[str, str]) -> None:
    result = run("hprim", "check", "--json", files["good.hpr"], files["bad.hpr"], files["good.zip"])
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [entry["exit"] for entry in told["files"]] == [0, 1, 0]
    assert {"HID-021"} <= {problem["rule"] for problem in told["problems"]}
    assert {patient["surname"] or patient["birth_surname"] for patient in told["patients"]} == {"LEFEVRE"}
    assert {document["format"] for document in told["documents"]} >= {"hprim-medecins", "xdm", "cda"}


def test_every_honest_file_is_honest_on_the_command_line_too(tmp_path: Path) -> None:
    names = []
    for kind, suffix, made in (
        ("document", ".xml", variants.documents()),
        ("archive", ".zip", variants.archives()),
        ("letter", ".hpr", variants.texts()),
    ):
        for name, data in made:
            path = tmp_path / f"{kind}-{name.replace('/', '_')}{suffix}"
            path.write_bytes(data)
            names.append(str(path))
    result = run("hprim", "check", "--json", *names)
    assert [entry["file"] for entry in json.loads(result.stdout)["files"] if entry["exit"]] == []
    assert result.exit_code == 0


def test_a_live_exchange_is_stricter_with_test_identities(files: dict[str, str]) -> None:
    assert run("hprim", "check", "--production", files["test.xml"]).exit_code == 1
    assert run("hprim", "check", "--require-header", files["good.zip"]).exit_code == 1


def test_a_person_reads_rule_place_and_remedy(files: dict[str, str]) -> None:
    said = run("hprim", "check", files["bad.hpr"], lang="fr").stdout
    assert "serait refusé" in said
    assert "[HID-021]" in said
    assert "igne 7" in said


def test_a_whole_mail_on_standard_input() -> None:
    mail = b"From: a@b.fr\r\nTo: c@d.fr\r\nSubject: x\r\nContent-Type: text/plain\r\n\r\n" + v1()
    assert run("hprim", "check", "-", given=mail).exit_code == 0


def test_documents_are_shown_as_text_and_as_a_page_without_script(files: dict[str, str]) -> None:
    assert "LEFEVRE" in run("hprim", "show", files["good.hpr"]).stdout
    page = run("hprim", "show", "--html", files["good.zip"]).stdout
    assert "LEFEVRE" in page
    assert "default-src 'none'" in page
    assert '<html lang="en">' in page  # a screen reader chooses its voice by it
    assert "<script" not in page
    assert run("hprim", "show", files["empty.hpr"]).exit_code == 2
    assert run("hprim", "show", files["missing"]).exit_code == 2


def test_a_terminal_is_not_driven_by_a_document(tmp_path: Path) -> None:
    path = tmp_path / "x.hpr"
    path.write_bytes(v1({14: "\x1b[2Jeffacer"}))
    assert "\x1b" not in run("hprim", "show", str(path)).stdout
    assert "\x1b" not in run("hprim", "check", str(path)).stdout


# opposition


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    assert run("config", "master-key", str(tmp_path / "master.key"), config=path).exit_code == 0
    return path


def test_an_opposition_is_recorded_listed_and_withdrawn(config: Path) -> None:
    added = run("opposition", "add", "--reference", "L-2026-7", given=f"{NUMBER}\n", config=config)
    assert added.exit_code == 0
    again = run("opposition", "add", NUMBER, config=config)
    assert "already" in again.stdout
    told = json.loads(run("opposition", "list", "--json", config=config).stdout)
    assert [line["scope"] for line in told] == ["patient", "professionals"]
    assert {line["reference"] for line in told} == {"L-2026-7"}
    assert NUMBER[:13] not in json.dumps(told)
    assert run("opposition", "remove", NUMBER, "--scope", "patient", config=config).exit_code == 0
    left = json.loads(run("opposition", "list", "--json", config=config).stdout)
    assert [line["scope"] for line in left] == ["professionals"]
    assert run("opposition", "remove", NUMBER, "--scope", "patient", config=config).exit_code == 1
    assert run("opposition", "remove", NUMBER, config=config).exit_code == 0
    journal = run("journal", "list", config=config).stdout.splitlines()
    taken = [line.split("target=")[1].split() for line in journal if "what=opposition withdrawn" in line]
    assert [scopes[1:2] for scopes in taken] == [["patient"], ["professionals"]]  # what was there, not what was asked
    assert not any("patient" in scopes for scopes in taken[1:])


def test_an_opposition_by_traits_forbids_named_professionals(config: Path, tmp_path: Path) -> None:
    """TOU-F08: recorded from an identity file or from options, listed without a trait, withdrawn in either way."""
    person = {"birth_surname": "Lefèvre", "used_surname": "Durand", "first_name": "Andrée", "birth_date": "1961-02-14"}
    identity = json.dumps({**person, "sex": "F", "ins": NUMBER})
    path = tmp_path / "identity.json"
    path.write_text(identity)
    paul = ("--professional", "Paul@ailleurs.mssante.test", "--scope", "professionals")
    assert run("opposition", "add", "--patient", str(path), config=config).exit_code == 0
    assert "already" in run("opposition", "add", "--patient", "-", given=identity, config=config).stdout
    assert run("opposition", "add", "--patient", str(path), *paul, config=config).exit_code == 0
    told = run("opposition", "list", "--json", config=config).stdout
    assert [(line["known_by"], line["scope"], line["professional"]) for line in json.loads(told)] == [
        (["number", "traits"], "patient", ""),
        (["number", "traits"], "professionals", ""),
        (["number", "traits"], "professionals", "paul@ailleurs.mssante.test"),
    ]
    shown = run("opposition", "list", config=config).stdout
    assert "number + traits" in shown
    assert not any(word in (told + shown).upper() for word in ("LEF", "DURAND", "ANDR", "1961", NUMBER[:13]))
    traits = ("--birth-name", "LEFEVRE", "--first-name", "andree", "--birth-date", "1961-02-14", "--sex", "F")
    removed = run("opposition", "remove", *traits, config=config)
    assert removed.exit_code == 0
    assert "paul@ailleurs.mssante.test" in removed.stdout
    assert run("opposition", "remove", NUMBER, *paul, config=config).exit_code == 0
    assert json.loads(run("opposition", "list", "--json", config=config).stdout) == []


@pytest.mark.parametrize(
    ("words", "given", "code", "said"),
    [
        (("--birth-name", "LEFEVRE"), "", 2, "first_name"),
        (("--birth-name", "LEFEVRE", "--patient", "-"), "{}", 2, "one way"),
        (("-", "--patient", "-"), "{}", 2, "one way"),
        (("--patient", "-"), "not json", 2, "not enough"),
        (("--patient", "-"), '{"surname": "-", "first_name": "-", "birth_date": "1961-02-14"}', 2, "not enough"),
        ((NUMBER, "--professional", "paul"), "", 2, "unreadable address"),
        ((NUMBER, "--professional", "nobody@op-a.mssante.test"), "", 1, "not an open mailbox"),
    ],
)
def test_a_faulty_opposition_is_refused(config: Path, words: tuple[str, ...], given: str, code: int, said: str) -> None:
    for verb in ("add", "remove"):
        result = run("opposition", verb, *words, given=given, config=config)
        assert result.exit_code == code, result.output
        assert said in result.output


@pytest.mark.parametrize("number", ["123", "abcdefghijklm", "26102389990019", "A610238999001", f"{NUMBER[:13]}91"])
def test_a_faulty_number_is_refused_without_repeating_it(config: Path, number: str) -> None:
    for verb in ("add", "remove"):
        result = run("opposition", verb, number, config=config)
        assert result.exit_code == 2
        assert number not in result.output


def test_numbers_are_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f" {NUMBER} \nautre\n"))
    assert _number("-") == NUMBER


# history


def test_a_number_is_forgotten(config: Path) -> None:
    """HID-091: an identity that was corrected is not refused for ever."""
    assert json.loads(run("history", "show", "--json", config=config).stdout)["patients"] == 0
    storage = compose.storage(load(config))
    memory = StoredMemory(storage.reading, RegisterKey(storage.master))
    place = Said("ici", "here")
    met = Met((Person(bare(person()), place, place),))
    storage.committer.run_sync(memory.remember((7,), met, "labo.test"))
    storage.close_sync()
    assert "remembered: 1" in run("history", "show", config=config).stdout
    assert run("history", "forget", "--mailbox", "x@op-a.mssante.test", NUMBER, config=config).exit_code == 1
    gone = run("history", "forget", given=f"{NUMBER[:13]}\n", config=config, lang="fr")
    assert (gone.exit_code, NUMBER[:13] in gone.output) == (0, False)
    assert run("history", "forget", NUMBER, config=config).exit_code == 1
    assert run("history", "forget", "123", config=config).exit_code == 2
    assert run("history", "show", config=config).stdout.startswith("Patients remembered: 0")


# sending and answering: wrong usage is said before anything is opened


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("send", "--from", "a@b.fr"), "--document"),
        (("send", "--from", "pas une adresse"), "pas une adresse"),
        (("send", "--from", "a@b.fr", "--document", "a.xml", "--document", "b.xml"), "one document"),
        (("send", "--from", "a@b.fr", "--document", "a.xml", "--watch", "."), "one document"),
        (("send", "--from", "a@b.fr", "--patient", "p.json", "--watch", "."), "one document"),
        (("integrate", "1", "--mailbox", "a@b.fr"), "--accepted"),
        (("integrate", "1", "--mailbox", "x", "--accepted"), "x"),
    ],
)
def test_wrong_usage_is_said_at_once(words: tuple[str, ...], said: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_faulty_identity_is_said(tmp_path: Path, files: dict[str, str]) -> None:
    given = tmp_path / "p.json"
    for text, said in (('{"surname": "X"}', "birth_date"), ("{", "JSON"), ("[" * 100_000, "JSON")):
        given.write_text(text)
        result = run(
            "send", "--from", "a@b.fr", "--to", "c@d.fr", "--patient", str(given), "--document", files["good.hpr"]
        )
        assert result.exit_code == 2
        assert said in result.stderr


def test_a_program_reads_each_outcome_of_a_folder_as_it_comes(tmp_path: Path) -> None:
    """One JSON document a line, none of them kept back in a buffer, and nothing before the first."""
    (tmp_path / "a.hpr").write_bytes(v1())  # without an address in line 12
    command = [
        sys.executable,
        "-m",
        "gateway.cli",
        "--lang",
        "fr",
        "send",
        "--from",
        "a@b.fr",
        "--server",
        "127.0.0.1:9",
    ]
    command += ["--watch", str(tmp_path), "--every", "0.1", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as watching:
        assert watching.stdout is not None
        try:
            assert select.select([watching.stdout], [], [], 30)[0]
            told = json.loads(watching.stdout.readline())
        finally:
            watching.terminate()
    assert (told["file"], told["outcome"]) == ("a.hpr", "refused")
