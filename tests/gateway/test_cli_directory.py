"""The directory on the command line: what is published, found, shown and imported; what is hidden is not there (MSS-121)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.directory.extractions import line, people, text
from tests.directory.test_fhir import ADDRESS, CONCEPT, practitioner, telecom
from tests.directory.test_national import KEY, Site, bundle
from tests.directory.test_national import site as _site
from tests.directory.test_national import space as _space
from tests.gateway.test_cli import MARIE, Terminal
from tests.gateway.test_cli import marie as _marie
from tests.gateway.test_cli import terminal as _terminal

marie, terminal, site, space = _marie, _terminal, _site, _space


def test_whoever_opens_a_mailbox_is_told_that_it_is_published(terminal: Terminal) -> None:
    """TOU-A09, TOU-C06: and how to leave it out."""
    terminal.ok("account", "create", "marie.martin", "--family", "Martin", "--given", "Marie", "--verified", "card",
                "--identity", "8ANS1")  # fmt: skip
    create = ["mailbox", "create", MARIE, "--type", "PER", "--owner", "marie.martin"]
    said = terminal(*create, lang="fr").stdout
    assert "publiée dans l’annuaire" in said
    assert f"caducee mailbox set {MARIE} --red-list" in said
    hidden = "hidden@op.mssante.test"
    assert "directory" not in terminal.ok("mailbox", "create", hidden, *create[3:], "--red-list")
    assert [terminal.json("mailbox", "show", one)["published"] for one in (MARIE, hidden)] == [True, False]


def test_what_the_directory_shows_is_given_on_the_command_line(marie: Terminal) -> None:
    """TOU-A07: name, address, profession, specialty, place of exercise, identifier."""
    marie.ok("account", "set", "marie.martin", "--title", "Dr", "--profession", "Médecin", "--profession-code", "10",
             "--specialty", "Cardiologie", "--specialty-code", "SM04")  # fmt: skip
    marie.ok("mailbox", "set", MARIE, "--street", "12 rue des Lilas", "--postal-code", "97400", "--town", "Saint-Denis")
    shown = marie.json("directory", "show", MARIE)
    wanted = {
        "title": "Dr",
        "family": "Martin",
        "given": "Marie",
        "address": MARIE,
        "profession": "Médecin",
        "profession_code": "10",
        "specialty": "Cardiologie",
        "specialty_code": "SM04",
        "street": "12 rue des Lilas",
        "postal_code": "97400",
        "town": "Saint-Denis",
        "department": "974",
        "person": "8ANS1",
        "source": "local",
    }
    assert wanted.items() <= shown.items()
    assert "Cardiologie SM04" in marie.ok("account", "show", "marie.martin")
    assert "12 rue des Lilas, 97400 Saint-Denis" in marie.ok("mailbox", "show", MARIE)
    marie.ok("account", "set", "marie.martin", "--family", "Durand")
    assert marie.json("directory", "show", MARIE)["family"] == "Durand"
    assert "required" in marie.refused("account", "set", "marie.martin", "--family", " ")
    assert marie.json("account", "show", "marie.martin")["specialty"] == "Cardiologie"


QUESTIONS = (
    ["Mar", "CARDIO"],
    ["--rpps", "8ANS1"],
    ["--name", "martin marie", "--profession", "medecin", "--specialty", "SM04"],
    ["marie", "--profession", "10", "--specialty", "cardiologie", "--place", "97400", "--type", "per"],
    ["--place", "saint denis"],
    ["--place", "974"],
)


@pytest.fixture
def known(marie: Terminal) -> Terminal:
    marie.ok("account", "set", "marie.martin", "--profession", "Médecin", "--profession-code", "10",
             "--specialty", "Cardiologie", "--specialty-code", "SM04")  # fmt: skip
    marie.ok("mailbox", "set", MARIE, "--postal-code", "97400", "--town", "Saint-Denis")
    return marie


def test_she_is_found_by_each_of_the_criteria(known: Terminal) -> None:
    """MSS-131."""
    for question in QUESTIONS:
        found = known.json("directory", "search", *question)
        assert [one["address"] for one in found["entries"]] == [MARIE], question
        assert not found["more"]


def test_on_the_red_list_she_is_as_if_she_were_not(known: Terminal) -> None:
    """MSS-121, MSS-122, TOU-A08, TOU-E06: to the letter, in either language, and at once."""
    nobody = "nobody@op.mssante.test"
    known.ok("mailbox", "set", MARIE, "--red-list")
    missing = known.refused("directory", "search", "zzzzz")
    for question in QUESTIONS[:2]:
        assert known.refused("directory", "search", *question) == missing
        assert json.loads(known("directory", "search", *question, "--json").stdout) == {"entries": [], "more": False}
    for lang in ("fr", "en"):
        hidden = known.refused("directory", "show", MARIE, lang=lang)
        assert hidden == known.refused("directory", "show", nobody, lang=lang).replace(nobody, MARIE)
    known.ok("mailbox", "set", MARIE, "--public")
    assert known.json("directory", "show", MARIE)["family"] == "Martin"


def test_searches_that_ask_nothing_or_too_much(marie: Terminal) -> None:
    assert "looked for" in marie.refused("directory", "search", code=2)
    assert "looked for" in marie.refused("directory", "search", " ' ", code=2)
    assert "too long" in marie.refused("directory", "search", "--name", " ".join("abcdefghijklmnopq"), code=2)
    marie.ok("mailbox", "create", "cabinet@op.mssante.test", "--type", "CAB", "--owner", "marie.martin")
    found = marie.json("directory", "search", "martin", "--limit", "1")
    assert (len(found["entries"]), found["more"]) == (1, True)


def test_a_national_list_is_taken_from_a_file(marie: Terminal, tmp_path: Path) -> None:
    """MSS-127: its age is told by its own stamp, and an old one is said to be."""
    assert "no national list" in marie.refused("directory", "status")
    fresh = tmp_path / f"Extraction_Correspondance_MSSante_{time.strftime('%Y%m%d%H%M', time.gmtime())}.txt"
    fresh.write_bytes(text(*people(300), line("jean.petit@op-n.mssante.test", "Petit", "Jean")))
    assert marie.json("directory", "import", str(fresh))["added"] == 301
    assert "301 mailboxes" in marie.ok("directory", "import", str(fresh))
    shown = marie.json("directory", "show", "JEAN.PETIT@op-n.mssante.test")
    assert (shown["family"], shown["source"], shown["paperless"]) == ("Petit", "national", True)
    status = marie.json("directory", "status")
    assert (status["entries"], status["old"]) == (301, False)
    short = tmp_path / "short_202001010000.txt"
    short.write_bytes(text(*people(100)))
    assert "shrink_limit" in marie.refused("directory", "import", str(short))
    assert marie.json("directory", "status")["trouble"] == "shrunk"
    assert marie.json("directory", "import", str(short), "--shrunk")["removed"] == 201
    assert marie("directory", "status").exit_code == 1
    names = [one["name"] for one in json.loads(marie("doctor", "--json").stdout)["findings"]]
    assert "directory.old" in names
    assert "cannot be read" in marie.refused("directory", "import", str(tmp_path / "absent"))


def test_what_is_in_the_list_may_not_be_written_to_for_that(marie: Terminal, tmp_path: Path) -> None:
    """MSS-128: the white list authorises, and nothing else."""
    stranger = "p1@op-n.mssante.test"
    before = marie("explain", "--from", MARIE, "--to", stranger, "--json")
    path = tmp_path / "list.txt"
    path.write_bytes(text(*people(3)))
    marie.ok("directory", "import", str(path))
    assert marie.json("directory", "show", stranger)["address"] == stranger
    after = marie("explain", "--from", MARIE, "--to", stranger, "--json")
    assert (after.exit_code, after.stdout) == (before.exit_code, before.stdout)
    assert after.exit_code == 1


def test_the_national_directory_is_asked_at_the_moment(marie: Terminal, site: Site, space: Any) -> None:
    """MSS-126; it does not tell of ours what the red list hides here (MSS-121)."""
    assert "api" in marie.refused("directory", "ask", ADDRESS, code=2)
    (marie.folder / "key").write_text(KEY + "\n")
    (marie.folder / "key").chmod(0o600)
    own = f'[directory]\napi = "{site.base}"\napi_key = "file:key"\napi_anchors = ["{space.ca}"]\n'
    with (marie.folder / "config.toml").open("a") as file:
        file.write(own)
    site.answers["Practitioner"] = bundle(practitioner(telecom(CONCEPT), telecom(CONCEPT, value=MARIE)))
    assert [one["address"] for one in marie.json("directory", "ask", ADDRESS)["entries"]] == [ADDRESS]
    assert ADDRESS in marie.ok("directory", "ask", "99900000001")
    assert {key for _, _, key in site.asked} == {KEY}
    marie.ok("mailbox", "set", MARIE, "--red-list")
    assert marie.refused("directory", "ask", MARIE) == marie.refused("directory", "ask", "nobody@op-n.mssante.test")
    assert [one["address"] for one in marie.json("directory", "ask", "99900000001")["entries"]] == [ADDRESS]
    site.status = 401
    said = marie.refused("directory", "ask", ADDRESS, code=3)
    assert "api_key is refused" in said
    assert KEY not in said
