"""The command: every subcommand found, exit codes, languages, JSON; accounts, mailboxes and devices from end to end."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import resource
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from string import Formatter
from types import SimpleNamespace
from typing import Any

import pyotp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from typer.testing import CliRunner

from gateway import compose, service
from gateway.admin.exchange import ExchangeFailed
from gateway.cli import SHARED, application, command, errors, main, names, output, serve, short_help
from gateway.cli import space as space_command
from gateway.cli.context import Console
from gateway.cli.errors import Said, said_text
from gateway.cli.language import choose
from gateway.cli.output import visible
from gateway.config import load
from gateway.record.journal import AnchorFile
from gateway.supervisor import ourselves, write_atomically
from mailboxes.blob_mark import NAME
from mailboxes.store import BlobsUnavailable, BlobsUnmounted
from policies.catalogue.sentence import octets
from policies.catalogue.sentences_console import SENTENCES, remedy, say
from policies.decision import CatalogueError

ROOT = Path(__file__).parents[2]
MARIE = "marie.martin@op.mssante.test"
PASSWORD = "Corneille-7-sonne!"
PATIENT = "261023899900190"
CONFIG = """\
[operator]
name = "Test"
domains = ["op.mssante.test"]
hostname = "mail.op.mssante.test"
test_mode = true
[store]
master_key = "file:master.key"
[accounts]
argon2_memory = "8KiB"
argon2_passes = 1
"""


class Terminal:
    """Runs commands in a folder of its own, as one system user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runner = CliRunner()
        self.environment = {"CADUCEE_CONFIG": str(folder / "config.toml"), "CADUCEE_SESSION": str(folder / "session")}

    def __call__(self, *words: str, given: str = "", lang: str = "en") -> Any:
        arguments = ["--lang", lang, *words]
        return self.runner.invoke(application, arguments, input=given, env=self.environment)

    def ok(self, *words: str, given: str = "") -> str:
        result = self(*words, given=given)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *words: str, given: str = "") -> Any:
        return json.loads(self.ok(*words, "--json", given=given))

    def refused(self, *words: str, given: str = "", code: int = 1, lang: str = "en") -> str:
        result = self(*words, given=given, lang=lang)
        assert result.exit_code == code, result.output
        assert result.stdout == ""
        return result.stderr


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    (tmp_path / "config.toml").write_text(CONFIG)
    made = Terminal(tmp_path)
    made.ok("config", "master-key", str(tmp_path / "master.key"))
    return made


@pytest.fixture
def marie(terminal: Terminal) -> Terminal:
    terminal.ok("account", "create", "marie.martin", "--family", "Martin", "--given", "Marie",
                "--identity", "8ANS1", "--verified", "card")  # fmt: skip
    terminal.ok("mailbox", "create", MARIE, "--type", "PER", "--owner", "marie.martin")
    return terminal


# the command itself


def test_subcommands_are_the_modules_of_the_package() -> None:
    folder = ROOT / "gateway" / "cli"
    modules = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")} - SHARED
    assert set(names()) == {name.replace("_", "-") for name in modules}
    assert {"config", "account", "mailbox", "device"} <= set(names())


@pytest.mark.parametrize("name", names())
def test_every_subcommand_loads_and_has_help(name: str) -> None:
    assert command(name) is not None
    assert short_help(name)
    result = CliRunner().invoke(application, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_help_imports_neither_the_store_nor_rich() -> None:
    program = (
        "import sys; from gateway.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'sqlalchemy', 'rich', 'cryptography', 'aiosmtpd', 'lxml', 'tomllib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CADUCEE_LANG": "fr"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "passerelle" in done.stdout
    for name in names():
        assert name in done.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "language"),
    [
        ([], {}, "en"),
        ([], {"LANG": "fr_FR.UTF-8"}, "fr"),
        ([], {"LANG": "fr_FR.UTF-8", "LC_ALL": "C"}, "en"),
        (["--lang", "en"], {"LANG": "fr_FR.UTF-8"}, "en"),
        (["--lang=fr", "account"], {}, "fr"),
        ([], {"CADUCEE_LANG": "fr", "LANG": "en_GB"}, "fr"),
        (["--lang"], {}, "en"),
    ],
)
def test_the_language(arguments: list[str], environment: dict[str, str], language: str) -> None:
    assert choose(arguments, environment) == language


def test_a_space_does_not_build_in_the_place_of_one_that_runs(terminal: Terminal, tmp_path: Path) -> None:
    """The second one erased what the first was serving."""
    from gateway.admin.space import MARK, Space, SpaceFailed
    from gateway.watch import alone

    served = tmp_path / "served"
    for name in (MARK, served.name):
        (tmp_path / name).write_text("{}")
    with alone(tmp_path), pytest.raises(SpaceFailed, match="a space runs in"):
        Space(tmp_path).build()
    with alone(tmp_path):
        assert terminal("space", "--dir", str(tmp_path), "--ready-file", str(served)).exit_code == 3
    assert served.exists()


def test_a_ready_file_that_cannot_be_is_said_before_anything_starts(terminal: Terminal, tmp_path: Path) -> None:
    said = terminal.refused("space", "--dir", str(tmp_path / "s"), "--ready-file", str(tmp_path / "no" / "r"), code=2)
    assert "cannot be written" in said
    assert not list((tmp_path / "s").iterdir())


def test_the_ports_of_a_space_are_not_given_to_the_calls_of_others() -> None:
    """One of an operator that was killed was taken, until its next start, by a call of another program."""
    from gateway.admin.space import PORTS, free_ports

    assert PORTS.stop <= 32_768  # where Linux begins to give away
    ports = free_ports(40)
    assert len(set(ports)) == 40
    assert set(ports) <= set(PORTS)
    with socket.socket() as held:
        held.bind(("127.0.0.1", ports[0]))
        assert ports[0] not in free_ports(40)


def test_two_spaces_that_start_at_once_are_given_no_port_twice() -> None:
    """Each had looked while the other did not listen yet: one of them did not start."""
    draw = "from gateway.admin.space import free_ports; print(free_ports(600), flush=True); input()"
    words = [sys.executable, "-c", draw]
    both = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    try:
        given = [port for one in both if one.stdout is not None for port in json.loads(one.stdout.readline())]
    finally:
        for one in both:
            one.communicate("\n")
    assert len(set(given)) == len(given) == 2400


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--partner", "op-c.test"], 2, "« op-c.test » n’est pas un opérateur tiers. Écrivez-le DOMAINE=HÔTE:PORT."),
        (["--set", "limits"], 2, "« limits » n’est pas un réglage. Écrivez-le section.clé=valeur."),
        (["--dir", "."], 3, "n’est pas vide et n’est pas un espace d’essai. Choisissez un autre dossier"),
        (["--dir", "config.toml"], 3, "config.toml ne peut pas être écrit"),
    ],
)
def test_a_space_that_cannot_be_says_why_in_french(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    """On standard error: it was said in English, and on standard output."""
    monkeypatch.chdir(terminal.folder)
    assert said in terminal.refused("space", *words, code=code, lang="fr")


def _served(folder: Path) -> Any:
    """What the command knows of a space that runs, without one."""
    doors = {"host": "127.0.0.1", "port": 4650}
    box = {
        "address": MARIE,
        "login": MARIE,
        "device_password": "x",
        "account": "marie",
        "password": "y",
        "totp_secret": "z",
    }
    site: dict[str, Any] = dict.fromkeys(("submissions", "imaps", "ldaps", "https"), doors)
    site |= {"mailboxes": [box], "config": str(folder / "c.toml")}
    return SimpleNamespace(
        facts=lambda: {"operators": [site, site], "pki": {"ca": None}}, sites=[SimpleNamespace(log=folder / "a.log")]
    )


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (SMTPRecipientsRefused({MARIE: (451, b"4.7.1 later")}), "4.7.1 later"),
        (ExchangeFailed("exchange.late", address=MARIE, seconds=30), f"{MARIE} n’a pas reçu le message en 30 s"),
        (SMTPServerDisconnected("closed"), "closed"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
    ],
)
def test_a_first_exchange_that_fails_is_said_and_no_traceback_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, problem: Exception, reason: str
) -> None:
    def fails(*given: object) -> None:
        raise problem

    monkeypatch.setattr("gateway.admin.exchange.exchange", fails)
    monkeypatch.setattr(space_command, "chosen", lambda: "fr")
    with pytest.raises(Said) as said:
        space_command._show_exchange(_served(tmp_path))
    assert reason in said_text(said.value, "fr")
    assert str(tmp_path / "a.log") in said_text(said.value, "fr")


def test_the_command_shown_can_be_pasted_into_a_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In a clone no shell finds `caducee` by its name, and a long path was cut in two by the width of the terminal."""
    monkeypatch.setattr("sys.argv", [".venv/bin/caducee", "space", "--demo"])
    folder = tmp_path / ("l'été " * 20) / "[bold]"
    space_command._show_connection({**_served(folder).facts(), "pki": {"ca": str(folder / "ca.pem")}})
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    given = next(line for line in lines if line.startswith(".venv/bin/caducee"))
    assert shlex.split(given)[1:] == ["--config", str(folder / "c.toml"), "mailbox", "list"]
    assert str(folder / "ca.pem") in lines


def test_the_version_is_told(terminal: Terminal) -> None:
    assert re.fullmatch(r"caducee \d+\.\d+\.\d+\n", terminal.ok("--version"))


def test_the_ready_file_of_an_earlier_run_is_no_answer(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever waits for the file took the ports, processes and passwords of the run before for those of this one."""
    from gateway.admin.space import Space, SpaceFailed

    old = tmp_path / "ready.json"

    def fails(space: Space) -> None:
        assert not old.exists()
        raise SpaceFailed("space.not_empty", directory=tmp_path)

    async def served(*given: object) -> int:
        assert not old.exists()
        return 0

    monkeypatch.setattr(Space, "build", fails)
    old.write_text("{}")
    assert terminal("space", "--dir", str(tmp_path / "space"), "--ready-file", str(old)).exit_code == 3
    monkeypatch.setattr("gateway.config.missing", lambda config: [])
    monkeypatch.setattr("gateway.log.set_up", lambda *given: None)
    monkeypatch.setattr("gateway.cli.serve._one", served)
    monkeypatch.setattr("gateway.cli.serve.Hurried", lambda: None)
    old.write_text("{}")
    assert terminal("serve", "--workers", "1", "--ready-file", str(old)).exit_code == 0


def test_wrong_usage_is_two(terminal: Terminal) -> None:
    assert "nothing-of-the-kind" in terminal.refused("nothing-of-the-kind", code=2)
    assert "--type" in terminal.refused("mailbox", "create", MARIE, code=2)
    assert "--lang" in terminal.runner.invoke(application, ["--lang", "de", "config", "check"]).stderr
    assert "Value error" not in terminal.refused("mailbox", "create", MARIE, "--type", "X", code=2)
    assert "no section “nothing”" in terminal.refused("config", "show", "nothing", code=2)
    assert "not a size" in terminal.refused("mailbox", "quota", MARIE, "1 lot", code=2)
    assert "caducee --lang ..." in terminal.refused("config", "check", "--lang", "fr", code=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nimporte"], "la commande « nimporte » n’existe pas"),
        (["trust", "shwo"], "la commande « shwo » n’existe pas (voulez-vous dire show ?)"),
        (["trust", "verify"], "il manque l’argument file"),
        (["mailbox", "create", MARIE], "il manque --type, au choix : PER, ORG, APP, CAB"),
        (["queue", "list", "--lmit", "3"], "l’option --lmit n’existe pas (voulez-vous dire --limit"),
        (["queue", "list", "--limit", "x"], "--limit attend un nombre entier"),
        (["queue", "list", "--limit", "0"], "--limit : au moins 1"),
        (["explain", "a", "b", "c"], "de trop : b c"),
        (["explain", "--from"], "l’option --from attend une valeur"),
        (
            ["queue", "nimporte"],
            "la commande « nimporte » n’existe pas. Au choix : list, show, retry, hold, release, drop.",
        ),
        (["mailbox", "create", MARIE, "--type", "X"], "--type : « X » n’est pas l’un de 'PER', 'ORG', 'APP', 'CAB'"),
        (["send", "--from", MARIE, "--every", "x"], "--every attend un nombre"),
    ],
)
def test_a_wrong_usage_is_said_in_french_too(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    """Whoever asked for French is never answered in the framework's English."""
    monkeypatch.setattr("gateway.cli.wrong_usage.chosen", lambda: "fr")
    told = terminal.refused(*words, code=2, lang="fr").splitlines()
    assert told[0].startswith(f"caducee: {said}"), told
    assert all("montre l’usage" in line for line in told[1:])


def test_a_help_page_is_french_throughout(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.cli.chosen", lambda: "fr")
    for words in ((), ("journal",), ("journal", "list"), ("mailbox", "member", "add"), ("send",)):
        page = terminal.ok(*words, "--help")
        assert "Usage : " in page
        assert not [word for word in ("Show this", "Options:", "env var", "default:", "required]") if word in page]


def test_a_sentence_and_its_remedy_are_two_sentences(terminal: Terminal) -> None:
    assert "nothing of message ABC. The identifier" in terminal.refused("explain", "ABC")


def test_what_is_not_confirmed_is_not_done(terminal: Terminal) -> None:
    for answer in ("", "n\n", "peut-être\n"):
        assert "nothing was done" in terminal.refused("queue", "drop", "--all", given=answer)
    assert "nothing like that" in terminal.refused("queue", "drop", "--all", given="oui\n")


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("", 1, "given up: nothing was done"),
        (f"{PASSWORD}\n", 1, "given up: nothing was done"),
        (f"{PASSWORD}\nautre\n", 2, "the two answers are not the same"),
    ],
)
def test_a_question_without_an_answer_ends_in_a_sentence(marie: Terminal, given: str, code: int, said: str) -> None:
    """It ended in a traceback; the framework asks for the second answer in English whatever the language."""
    asked = marie("account", "password", "marie.martin", given=given)
    assert asked.exit_code == code
    assert said in asked.stderr
    assert "Repeat" not in asked.output


def test_what_is_asked_is_no_part_of_the_answer(marie: Terminal) -> None:
    asked = marie("account", "session", "marie.martin", "--json", given=f"{PASSWORD}\n000000\n")
    assert (asked.exit_code, asked.stdout.strip()) == (1, "")  # the runner writes what getpass shows on the terminal
    assert "Password" in asked.stderr


def test_a_terminal_without_our_signs_shows_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """The typographic apostrophe is not in Latin-9: each French sentence ended in a traceback there."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "iso-8859-15", write_through=True))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    output.speak_plainly()
    output.line("l’état « prêt »… ✓ 中")
    output.as_json({"nom": "l’été"})
    shown = written.getvalue().decode("iso-8859-15")
    assert shown.startswith("l'état « prêt »... + ?\n")
    assert json.loads(shown.split("\n", 1)[1]) == {"nom": "l’été"}


def test_the_white_list_is_dated_as_people_read_dates() -> None:
    from gateway.cli.trust import _named

    known = {"fetched": "2026-11-27T11:15:15.540710+01:00", "age_seconds": 93_784, "generated": ""}
    assert [value for _, value in _named(known)] == ["2026-11-27 10:15:15Z", "26 h 03 min", ""]


def test_every_reason_a_list_is_refused_for_has_words() -> None:
    """The words the rooms use, found in their source, all have a sentence."""
    used = {f"list.{word}" for word in _words("directory/*.py", r'(?:Refused|Unreachable)\("([a-z_0-9]+)"')}
    used |= {f"address.{word}" for word in _words("policies/address.py", r'AddressError\("([a-z_]+)"\)')}
    assert len(used) >= 30
    assert used <= SENTENCES.keys()


def _words(where: str, pattern: str) -> set[str]:
    return {word for path in ROOT.glob(where) for word in re.findall(pattern, path.read_text("utf-8"))}


def test_a_missing_or_wrong_configuration_is_two_and_names_the_line(terminal: Terminal) -> None:
    assert "does not exist" in terminal.refused("--config", "/nowhere.toml", "account", "list", code=2)
    (terminal.folder / "config.toml").write_text(CONFIG.replace("hostname", "hotsname"))
    said = terminal.refused("account", "list", code=2, lang="fr")
    assert "config.toml:4: operator.hotsname" in said
    assert "hostname" in said


def test_a_missing_or_wrong_master_key_is_three(terminal: Terminal) -> None:
    terminal.ok("account", "list")
    (terminal.folder / "master.key").unlink()
    terminal.ok("config", "master-key", str(terminal.folder / "master.key"))
    assert "master key" in terminal.refused("account", "list", code=3)
    assert "n’est pas celle" in terminal.refused("account", "list", code=3, lang="fr")
    (terminal.folder / "master.key").write_text("court")
    assert "base64" in terminal.refused("account", "list", code=3, lang="fr")
    assert "does not hold" in terminal.refused("account", "list", code=3)
    path = terminal.folder / "config.toml"
    path.write_text(CONFIG.replace('master_key = "file:master.key"', ""))
    assert "master-key" in terminal.refused("account", "list", code=3)


def test_a_database_that_cannot_be_opened_is_three(terminal: Terminal) -> None:
    path = terminal.folder / "config.toml"
    path.write_text(CONFIG.replace("[store]\n", '[store]\nurl = "postgresql://nobody@127.0.0.1:1/none"\n'))
    said = terminal.refused("account", "list", code=3)
    assert "database" in said
    assert "port 1" in said  # why, and where to look: not the name of a class of ours
    assert "doctor" in said


def test_a_disk_of_large_messages_that_is_not_mounted_is_named(terminal: Terminal) -> None:
    """Nothing serves without it, `fsck` calls no message lost, and the rest can be administered meanwhile."""
    terminal.ok("account", "list")
    blobs = terminal.folder / "data" / "blobs"
    blobs.rename(terminal.folder / "mounted")
    blobs.mkdir()
    said = terminal.refused("fsck", code=3, lang="fr")
    assert "monté" in said
    assert f"> {blobs / NAME}" in said
    terminal.ok("account", "list")
    names = [each["name"] for each in json.loads(terminal("doctor", "--json").stdout)["findings"]]
    assert {"store.good", "blobs.unmounted"} <= set(names)
    with pytest.raises(BlobsUnmounted):
        asyncio.run(service.Service(load(terminal.folder / "config.toml"), ()).start())
    assert not list(blobs.iterdir())


@pytest.mark.parametrize(("language", "verb"), [("fr", "a écrit"), ("en", "wrote")])
def test_an_older_release_says_that_the_database_is_newer(terminal: Terminal, language: str, verb: str) -> None:
    """It answers well: looking for what is broken would cost an administrator the night of an upgrade."""
    terminal("account", "list")
    (database,) = terminal.folder.rglob("*.db")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    said = terminal.refused("account", "list", code=3, lang=language)
    assert verb in said
    assert "9999" in said
    names = [each["name"] for each in json.loads(terminal("doctor", "--json").stdout)["findings"]]
    assert "store.newer" in names
    assert "store.away" not in names


def test_a_list_that_cannot_be_written_is_no_fault_of_usage(terminal: Terminal) -> None:
    """On a full disk too the old list stays, and nothing beside it."""
    rows, kept = terminal.folder / "rows.txt", terminal.folder / "list.xml"
    rows.write_text("op-a.mssante.test CN=smtp.op-a.mssante.test,O=A,C=FR\n")
    assert terminal("trust", "publish", str(kept), "--rows", str(rows)).exit_code == 0
    before = kept.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
    try:
        full = terminal("--lang", "fr", "trust", "publish", str(kept), "--rows", str(rows))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert full.exit_code == 3
    assert "ne peut pas être écrit" in full.stderr
    assert kept.read_bytes() == before
    assert not list(terminal.folder.glob("*.new"))
    lost = terminal("--lang", "fr", "trust", "publish", str(kept), "--rows", str(terminal.folder / "none.txt"))
    assert lost.exit_code == 2
    assert "none.txt ne peut pas être lu" in lost.stderr


def test_a_bucket_that_is_away_is_not_called_the_database(capsys: pytest.CaptureFixture[str]) -> None:
    assert errors.told(BlobsUnavailable("GenericError"), "fr") == 3
    said = capsys.readouterr().err
    assert "base" not in said
    assert "store.s3_endpoint" in said


def test_a_doctor_goes_on_where_the_database_does_not_answer(terminal: Terminal) -> None:
    path = terminal.folder / "config.toml"
    path.write_text(CONFIG.replace("[store]\n", '[store]\nurl = "postgresql://nobody@127.0.0.1:1/none"\n'))
    found = terminal("doctor", "--json")
    assert found.exit_code == 3
    names = [each["name"] for each in json.loads(found.stdout)["findings"]]
    assert {"store.away", "list.missing"} <= set(names)


def test_a_stop_that_waits_for_a_silent_database_ends_all_the_same() -> None:
    """Its threads waited for ever: `caducee serve` beside a frozen PostgreSQL ended only by a kill -9."""
    program = (
        "import asyncio; from gateway.cli.serve import leave_within\n"
        "async def stop():\n"
        "    leave_within(0.1)\n"
        "    await asyncio.to_thread(__import__('threading').Event().wait)\n"
        "asyncio.run(stop())\n"
    )
    stopped = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=30, check=False
    )
    assert (stopped.returncode, "stop_forced" in stopped.stdout + stopped.stderr) == (3, True)


def test_an_empty_database_in_the_place_of_one_in_use_is_not_begun_anew(terminal: Terminal) -> None:
    """Its disk was not mounted, its file lost: all that was written to its mailboxes was refused for good."""
    terminal("account", "list")
    config = load(terminal.folder / "config.toml")
    database = Path(config.store.url.removeprefix("sqlite:"))
    AnchorFile(config.journal.anchor).write(12, b"d" * 32, 1.0)
    assert terminal("account", "list").exit_code == 0
    for file in database.parent.glob(f"{database.name}*"):
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    for _ in range(2):  # what it left behind is no database in use either
        said = terminal.refused("account", "list", code=3)
        assert str(config.journal.anchor) in said
        assert "is its disk mounted?" in said
    config.journal.anchor.rename(terminal.folder / "evidence")
    assert terminal("account", "list").exit_code == 0


def test_workers_speak_the_language_of_their_service(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    class Twin:
        def __init__(self, command: list[str], *_: object) -> None:
            commands.append(command)

        async def run(self) -> int:
            return 0

    monkeypatch.setattr("gateway.supervisor.Supervisor", Twin)
    assert serve._supervise(Console(Path("config.toml"), "fr"), ("imap",), 2, None, -1, 30.0) == 0
    (command,) = commands
    assert command[command.index("--lang") + 1] == "fr"
    assert command.index("--lang") < command.index("serve")
    assert command[: len(ourselves())] == ourselves()


# configuration


def test_config_check(terminal: Terminal) -> None:
    assert "tls.certificates" in terminal.ok("config", "check")
    unready = terminal("config", "check", "--ready")
    assert (unready.exit_code, "is valid" in unready.stdout, "missing to serve" in unready.stdout) == (1, False, True)
    assert terminal("config", "check", "--ready").exit_code == 1
    answer = terminal.json("config", "check")
    assert answer["valid"]
    assert {"trust.list", "tls.certificates"} <= {fault["key"] for fault in answer["missing"]}
    (terminal.folder / "config.toml").write_text(CONFIG + "[log]\nlevel = 3\n")
    result = terminal("config", "check", "--json")
    assert result.exit_code == 2
    assert [fault["line"] for fault in json.loads(result.stdout)["faults"]] == [12]


def test_serve_refuses_to_start_without_what_it_needs_and_says_what_to_give(terminal: Terminal) -> None:
    said = terminal.refused("serve", code=2)
    assert "config.toml:" in said
    for key in ("tls.certificates", "trust.test_anchors", "trust.list", "trust.crls"):
        assert f"{key}: " in said
    assert said.count("Give ") == 4


def test_journal_prune_keeps_what_is_young(terminal: Terminal) -> None:
    assert terminal.json("journal", "prune") == {"records": 0, "removed": True}
    assert "Records to remove: 0" in terminal.ok("journal", "prune", "--dry-run")


def test_config_show_masks(terminal: Terminal) -> None:
    assert terminal.json("config", "show")["store"]["master_key"] == "********"
    shown = terminal.ok("config", "show", "queue")
    assert 'lifetime = "5d"' in shown
    assert "[operator]" not in shown
    assert terminal("config", "show", "nothing").exit_code == 2


def test_a_master_key_is_never_overwritten(terminal: Terminal) -> None:
    key = terminal.folder / "master.key"
    before = key.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    assert "exists" in terminal.refused("config", "master-key", str(key))
    assert key.read_bytes() == before


def test_a_master_key_is_replaced_and_everything_stays_readable(marie: Terminal) -> None:
    marie.ok("account", "password", "marie.martin", "--stdin", given=f"{PASSWORD}\n")
    secret = marie.json("account", "totp", "marie.martin")["secret"]
    marie.ok("opposition", "add", PATIENT)
    new = marie.folder / "new.key"
    assert marie("config", "rotate-key", str(new), given="n\n").exit_code == 1
    assert not new.exists()
    assert "anew: 2" in marie.ok("config", "rotate-key", str(new), "--yes")
    assert "master key" in marie.refused("account", "list", code=3)
    path = marie.folder / "config.toml"
    path.write_text(CONFIG.replace("master.key", "new.key"))
    code = pyotp.TOTP(secret).now()
    marie.ok("account", "session", "marie.martin", "--stdin", given=f"{PASSWORD}\n{code}\n")
    marie.ok("opposition", "remove", PATIENT)
    assert "exists" in marie.refused("config", "rotate-key", str(new), "--yes")


def test_a_mailbox_closed_for_good_is_closed_in_a_backup_that_comes_back(marie: Terminal) -> None:
    """Close, rotate, export; then the old database returns, and only the keys of the day with it."""
    folder, database = marie.folder, marie.folder / "data" / "caducee.db"
    marie.ok("opposition", "add", PATIENT)
    gone = "bureau@op.mssante.test"
    marie.ok("mailbox", "create", gone, "--type", "ORG", "--structure", "399900000000018")
    shutil.copyfile(database, folder / "backup.db")
    marie.ok("mailbox", "close", gone, "--reason", "x")
    marie.ok("mailbox", "delete", gone, "--reason", "x", "--yes")
    time.sleep(1.1)  # a key of the second of the export counts as made after it
    marie.ok("config", "rotate-key", str(folder / "new.key"), "--yes")
    (folder / "config.toml").write_text(CONFIG.replace("master.key", "new.key"))
    exported = folder / "keys.json"
    exported.write_text("an older one, replaced")
    marie.ok("config", "export-keys", str(exported))
    assert exported.stat().st_mode & 0o777 == 0o600
    for each in database.parent.glob("caducee.db*"):
        each.unlink()
    shutil.copyfile(folder / "backup.db", database)
    assert "master key" in marie.refused("account", "list", code=3)
    assert "not an export" in marie.refused("config", "import-keys", str(folder / "new.key"), "--yes", code=2)
    assert marie("config", "import-keys", str(exported), given="n\n").exit_code == 1
    assert "in place: 2" in marie.ok("config", "import-keys", str(exported), "--yes")
    assert marie.json("mailbox", "show", gone)["state"] == "deleted"  # else every message to it is put off for days
    assert marie.json("mailbox", "show", MARIE)["state"] == "active"
    marie.ok("opposition", "remove", PATIENT)
    marie.ok("fsck", "--restored")
    marie.ok("mailbox", "create", "accueil@op.mssante.test", "--type", "ORG", "--structure", "399900000000018")
    assert "older" in marie.refused("config", "import-keys", str(exported), "--yes")


def test_what_a_full_disk_cuts_short_replaces_nothing(tmp_path: Path) -> None:
    """The newest export of keys is the only one: half of a newer one must not take its place."""
    path = tmp_path / "keys.json"
    path.write_text("whole")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))  # the first 4 KiB still fit, as on a disk nearly full
    try:
        with pytest.raises(OSError, match=r".+"):
            write_atomically(path, "x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("keys.json", "whole")]


def test_the_default_configuration_can_be_printed(terminal: Terminal) -> None:
    assert terminal.ok("config", "default") == (ROOT / "config.toml").read_text()


# people and mailboxes


def test_from_a_person_to_a_device(marie: Terminal) -> None:
    assert "strong session" in marie.refused("device", "create", MARIE, "--name", "Thunderbird")
    marie.ok("account", "password", "marie.martin", "--stdin", given=f"{PASSWORD}\n")
    secret = marie.json("account", "totp", "marie.martin")["secret"]
    code = pyotp.TOTP(secret).now()
    session = marie.json("account", "session", "marie.martin", "--stdin", given=f"{PASSWORD}\n{code}\n")
    assert Path(session["file"]).stat().st_mode & 0o777 == 0o600
    made = marie.json("device", "create", MARIE, "--name", "Thunderbird")
    assert len(made["password"].replace("-", "")) == 26
    listed = marie.json("device", "list", "--mailbox", MARIE)
    assert [(item["number"], item["name"], item["login"]) for item in listed] == [(1, "Thunderbird", "marie.martin")]
    assert marie.json("device", "list", MARIE) == listed
    assert made["password"] not in marie.ok("device", "list")
    marie.ok("device", "revoke", MARIE, "1")
    (revoked,) = [line for line in marie.ok("journal", "list").splitlines() if "what=revoked" in line]
    assert MARIE in revoked  # of which mailbox: device 1 is the first of each
    assert "no longer" in marie.refused("device", "revoke", MARIE, "1")
    marie.ok("device", "create", MARIE, "--name", "a")
    marie.ok("device", "create", MARIE, "--name", "b")
    assert "2" in marie.ok("device", "revoke-all", "marie.martin")
    assert all(item["revoked_at"] for item in marie.json("device", "list", "--login", "marie.martin"))
    assert marie.json("account", "session", "--end") == {"ended": True}
    assert "strong session" in marie.refused("device", "create", MARIE, "--name", "x")


@pytest.mark.parametrize("spoilt", ["readable", "link", "garbage", "gone"])
def test_a_session_file_that_is_not_ours_alone_is_no_session(marie: Terminal, spoilt: str) -> None:
    marie.ok("account", "password", "marie.martin", "--stdin", given=f"{PASSWORD}\n")
    code = pyotp.TOTP(marie.json("account", "totp", "marie.martin")["secret"]).now()
    marie.ok("account", "session", "marie.martin", "--stdin", given=f"{PASSWORD}\n{code}\n")
    path = marie.folder / "session"
    if spoilt == "readable":
        path.chmod(0o644)
    elif spoilt == "link":
        path.rename(marie.folder / "elsewhere")
        path.symlink_to(marie.folder / "elsewhere")
    elif spoilt == "garbage":
        path.write_text("{")
    else:
        path.unlink()
    assert "strong session" in marie.refused("device", "create", MARIE, "--name", "x")


def test_a_session_that_cannot_be_kept_is_said(marie: Terminal) -> None:
    marie.ok("account", "password", "marie.martin", "--stdin", given=f"{PASSWORD}\n")
    code = pyotp.TOTP(marie.json("account", "totp", "marie.martin")["secret"]).now()
    marie.environment["CADUCEE_SESSION"] = str(marie.folder / "master.key" / "session")
    said = marie.refused("account", "session", "marie.martin", "--stdin", given=f"{PASSWORD}\n{code}\n", code=3)
    assert "cannot be written" in said


def test_neither_password_nor_code_are_printed(marie: Terminal) -> None:
    said = marie("account", "password", "marie.martin", "--stdin", given="azerty\n")
    assert said.exit_code == 1
    assert "azerty" not in said.output
    prompted = marie("account", "password", "marie.martin", given=f"{PASSWORD}\n{PASSWORD}\n")
    assert prompted.exit_code == 0
    assert PASSWORD not in prompted.output
    refused = marie("account", "session", "marie.martin", "--stdin", given=f"{PASSWORD}\n000000\n")
    assert (refused.exit_code, PASSWORD in refused.output) == (1, False)
    assert marie("account", "session", "marie.martin", "--stdin", given="only one line\n").exit_code == 2


def test_the_life_of_an_account(marie: Terminal) -> None:
    assert marie.json("account", "show", "marie.martin")["state"] == "active"
    assert marie.json("account", "suspend", "marie.martin", "--reason", "inquiry")["state"] == "suspended"
    assert marie.json("account", "resume", "marie.martin", "--reason", "cleared")["state_reason"] == "cleared"
    assert "Étapes possibles" in marie.refused("account", "resume", "marie.martin", "--reason", "x", lang="fr")
    assert marie.json("account", "close", "marie.martin", "--reason", "left")["state"] == "closed"
    assert [item["login"] for item in marie.json("account", "list")] == ["marie.martin"]
    marie.ok("account", "create", "new.one", "--family", "One", "--given", "New")
    assert marie.json("account", "activate", "new.one", "--reason", "RPPS")["state"] == "active"


def test_the_life_of_a_mailbox(marie: Terminal) -> None:
    assert "secure" not in marie.refused("mailbox", "create", MARIE, "--type", "ORG", "--structure", "1X")
    marie.ok("mailbox", "set", MARIE, "--red-list", "--phone", "0102030405")
    shown = marie.json("mailbox", "show", MARIE)
    assert (shown["red_list"], shown["phone"], shown["addresses"]) == (True, "0102030405", [MARIE])
    assert marie.json("mailbox", "quota", MARIE, "1GiB")["quota"] == 1024**3
    for step, state in (("suspend", "suspended"), ("resume", "active"), ("close", "closed")):
        assert marie.json("mailbox", step, MARIE, "--reason", "test")["state"] == state
    assert marie("mailbox", "delete", MARIE, "--reason", "test", given="n\n").exit_code == 1
    assert marie.json("mailbox", "delete", MARIE, "--reason", "test", "--yes")["state"] == "deleted"
    assert "MSS" not in marie.refused("mailbox", "show", "nobody@op.mssante.test")
    assert [item["state"] for item in marie.json("mailbox", "list")] == ["deleted"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rows", "rows"], "ligne 2 : « pas-un-nom » n’est pas un nom de certificat. Il s’écrit CN="),
        (["--rows", "rows.latin1"], "rows.latin1 n’est pas en UTF-8 (octet 0)."),
        (["--rows", "absent"], "absent ne peut pas être lu : il n’existe pas"),
        (["--rows", "empty", "--add", "un/domaine CN=x"], "« un/domaine » n’est pas un nom de domaine."),
        (["--rows", "empty", "--remove", "b.test"], "b.test n’est pas dans la liste de départ"),
        (["--rows", "empty", "--key", "rows"], "--certificate et --key vont ensemble"),
        (["--rows", "empty", "--key", "rows", "--certificate", "rows"], "ne sont pas un certificat et sa clé. En PEM"),
        (["--rows", "empty", "--key", "protected.key", "--certificate", "rows"], "ne sont pas un certificat et sa clé"),
    ],
)
def test_what_cannot_be_published_is_said_in_french(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    """Each in words of ours: neither the authority nor its operators read Python's."""
    monkeypatch.setattr("gateway.cli.trust.tr", lambda fr, en: fr)
    monkeypatch.chdir(terminal.folder)
    secret = BestAvailableEncryption(b"essai")
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret)
    written = {"rows": b"# essai\na.test pas-un-nom\n", "rows.latin1": b"\xe9", "empty": b"", "protected.key": key}
    for name, data in written.items():
        Path(name).write_bytes(data)
    assert said in terminal.refused("trust", "publish", "liste.xml", *words, code=2, lang="fr")
    assert not Path("liste.xml").exists()


@pytest.mark.parametrize(
    ("reply", "rule"), [("defer", "recipient.suspended"), ("refuse", "recipient.suspended_refused")]
)
def test_a_question_is_judged_by_the_configuration_in_force(marie: Terminal, reply: str, rule: str) -> None:
    (marie.folder / "config.toml").write_text(f'{CONFIG}suspended_reply = "{reply}"\n')
    marie.ok("mailbox", "suspend", MARIE, "--reason", "absence")
    asked = marie("explain", "--from", MARIE, "--to", MARIE, "--json")
    assert asked.exit_code == 1
    assert json.loads(asked.stdout)["decisions"][1]["rule"] == rule


def test_a_table_speaks_the_language_asked_for(marie: Terminal) -> None:
    """States stood there as programs know them, whatever the language; ``--json`` keeps those."""
    assert "\tactif\t" in marie("account", "list", lang="fr").stdout
    assert "\tactive\t" in marie("mailbox", "list", lang="fr").stdout
    marie.ok("mailbox", "close", MARIE, "--reason", "test")
    row = marie("mailbox", "list", lang="fr").stdout.splitlines()[1].split("\t")
    assert (row[2], row[5]) == ("fermée", "")
    assert marie.json("mailbox", "list")[0]["state"] == "closed"
    impossible = marie.refused("mailbox", "suspend", MARIE, "--reason", "x", lang="fr")
    assert "l’état « fermée »" in impossible


def test_mailboxes_nobody_uses_are_listed(marie: Terminal) -> None:
    assert marie.json("mailbox", "list", "--idle") == []
    path = marie.folder / "config.toml"
    path.write_text(CONFIG + 'inactivity = "10d"\ninactivity_notice = "240h"\n')
    assert "inactivity_notice" in marie.refused("mailbox", "list", code=2)
    path.write_text(CONFIG + 'inactivity = "1s"\ninactivity_notice = "0"\n')
    time.sleep(1.1)
    assert [item["activity"] for item in marie.json("mailbox", "list", "--idle")] == ["close"]
    assert "to be closed" in marie.ok("mailbox", "list")


def test_members_aliases_and_certificates(marie: Terminal, tmp_path: Path) -> None:
    from tests.gateway import pems

    pems.write_all(tmp_path)
    labo, robot = "labo@op.mssante.test", "robot@op.mssante.test"
    marie.ok("mailbox", "create", labo, "--type", "ORG", "--structure", "1X", "--service", "Biologie")
    marie.ok("mailbox", "create", robot, "--type", "APP", "--structure", "1X")
    added = marie.json("mailbox", "member", "add", labo, "marie.martin", "--rights", "read, send_as")
    assert [(item["login"], item["rights"]) for item in added["members"]] == [("marie.martin", ["read", "send_as"])]
    assert marie.json("mailbox", "member", "remove", labo, "marie.martin")["members"][0]["until"]
    added = marie.json("mailbox", "alias", "add", labo, "biologie@op.mssante.test")
    assert added["addresses"] == [labo, "biologie@op.mssante.test"]
    marie.ok("mailbox", "alias", "remove", "biologie@op.mssante.test")
    bound = marie.json("mailbox", "certificate", "add", robot, str(tmp_path / "rsa.pem"))
    assert len(bound["certificates"][0]) == 64
    bound = marie.json("mailbox", "certificate", "add", robot, "CN=robot,O=CH,C=FR")
    assert "CN=robot,O=CH,C=FR" in bound["certificates"]
    marie.ok("mailbox", "certificate", "remove", robot, str(tmp_path / "rsa.pem"))
    assert "PEM" in marie.refused("mailbox", "certificate", "add", robot, str(tmp_path / "rsa.key"), code=2)
    assert "robot" in marie.ok("mailbox", "list")
    assert "Biologie" in marie.ok("mailbox", "show", labo)


def test_who_did_it_is_in_the_journal(marie: Terminal) -> None:
    import getpass

    from gateway.config import load
    from gateway.record.journal import read, verify

    storage = compose.storage(load(marie.folder / "config.toml"))
    records = storage.reading.run_sync(read)
    assert {record.actor for record in records if record.kind.startswith("account.")} == {
        f"operator:{getpass.getuser()}"
    }
    assert storage.reading.run_sync(verify) is None
    storage.close_sync()


# sentences


@pytest.mark.parametrize("name", sorted(SENTENCES))
def test_a_sentence_says_the_same_in_both_languages(name: str) -> None:
    sentence = SENTENCES[name]
    assert sentence.fr
    assert sentence.en
    assert bool(sentence.remedy_fr) == bool(sentence.remedy_en)
    for one, other in ((sentence.fr, sentence.en), (sentence.remedy_fr, sentence.remedy_en)):
        assert {field for _, field, _, _ in Formatter().parse(one)} == {
            field for _, field, _, _ in Formatter().parse(other)
        }


def test_unknown_sentences_and_parameters_are_faults_of_ours() -> None:
    with pytest.raises(CatalogueError):
        say("cli.nothing", "en")
    with pytest.raises(CatalogueError):
        say("cli.config_valid", "fr")
    with pytest.raises(CatalogueError):
        remedy("config.too_small", "fr")


def test_a_hostile_text_does_not_drive_the_terminal() -> None:
    assert visible("a\x1b[2Jb\r\n\u202ec") == "a�[2Jb���c"


@pytest.mark.parametrize(
    ("used", "quota", "shown"),
    [
        (1024, 0, "1 KiB"),
        (1024, 4096, "1 KiB (25%)"),
        (4096, 4096, "4 KiB (100%) nearly full"),
    ],
)
def test_a_mailbox_nearly_full_says_so(used: int, quota: int, shown: str) -> None:
    from gateway.cli.mailbox import _used
    from policies.values import Address, BalState, BalType, MailboxFacts

    facts = MailboxFacts(1, Address("a", "op.test"), BalType.ORG, BalState.ACTIVE, quota, used)
    assert _used(facts, 0.8).replace("bientôt pleine", "nearly full") == shown


def test_no_command_leaves_its_memory_on_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash where the shell allows core dumps wrote the master key and five copies of a message into one."""
    asked: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda *limit: asked.append(limit))
    with pytest.raises(SystemExit):
        main(["--version"])
    assert asked == [(resource.RLIMIT_CORE, (0, 0))]


def test_json_is_written_whatever_a_name_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """A result dropped under a Latin-1 name stopped the watched folder for good; C1 and bidi signs drive a terminal."""
    name = os.fsdecode(b"r\xe9sultat \xc2\x9b31m \xe2\x80\xaefdp.hpr \xc3\xa9")
    for told in (output.as_json, output.as_json_line):
        told({"file": name})
        said = capsys.readouterr().out.encode("utf-8")  # as strictly as a terminal of fr_FR.UTF-8 does
        assert json.loads(said) == {"file": name}
        assert b"\\udce9sultat \\u009b31m \\u202efdp.hpr \xc3\xa9" in said


@pytest.mark.parametrize(
    ("size", "fr", "en"),
    [
        (0, "0 Kio", "0 KiB"),
        (1536, "1,5 Kio", "1.5 KiB"),
        (25 << 20, "25 Mio", "25 MiB"),
        (5 << 30, "5 Gio", "5 GiB"),
        (int(35.3 * (1 << 30)), "35,3 Gio", "35.3 GiB"),
    ],
)
def test_a_size_is_written_as_its_reader_writes_it(size: int, fr: str, en: str) -> None:
    assert (octets(size, "fr"), octets(size, "en")) == (fr, en)


def test_a_long_table_is_not_fitted_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of twenty thousand mailboxes kept the processor busy for twenty seconds."""

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    def shown(count: int) -> list[str]:
        screen = Screen()
        monkeypatch.setattr(sys, "stdout", screen)
        output.table(("a", "b"), [(number, "x") for number in range(count)])
        return screen.getvalue().splitlines()

    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    output.table(("a", "empty", "b"), [("1", "", "x"), ("2", "", "")])
    assert "empty" not in screen.getvalue()
    assert "x" in screen.getvalue()
    short, long = shown(3), shown(output.MOST_FITTED + 1)
    assert "\t" not in "".join(short)
    assert long[:2] == ["a\tb", "0\tx"]
    assert len(long) == output.MOST_FITTED + 2
