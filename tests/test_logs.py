"""No line of the log can hold a subject, a patient's name or number, an address, a token or a secret (MSS-146).

Every call site is read: the event is a fixed word, the keys are none of those that could hold more, and the values are
not taken from things so named. Then the chain of processors itself is held.
"""

from __future__ import annotations

import ast
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gateway import log as operations
from gateway.log import FORBIDDEN, set_up, where
from mailboxes.engine import open_database

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("policies", "hprim", "directory", "mailboxes", "gateway")
METHODS = {"debug", "info", "warning", "warn", "error", "critical", "exception", "fatal", "msg", "log", "bind", "new"}
SECRET_NAMES = FORBIDDEN - {"data", "key", "text", "code", "line", "raw"}
OWN_MESSAGES = {
    # exceptions whose words are all ours: a file, a key of the configuration, a reference, what a scanner said
    ("gateway/service.py", "certificate_not_reloaded"),
    ("gateway/service.py", "reload_refused"),
    ("gateway/intake.py", "scan_unavailable"),
    ("gateway/cli/serve.py", "not_started"),
    ("gateway/expiry_watch.py", "certificate_unreadable"),
    ("mailboxes/retrieving.py", "body_damaged"),
    ("gateway/trust_space.py", "list_age"),
}
NAME = "ZÉPHYRINE-DUBŒUF"


def loggers(tree: ast.Module) -> set[str]:
    """Names a module gives to loggers."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            called = ast.unparse(node.value.func)
            if called.endswith(("get_logger", "getLogger", ".bind", ".new")):
                found |= {ast.unparse(target) for target in node.targets}
    return found


def sites() -> Iterator[tuple[str, ast.Call]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            text = path.read_text("utf-8")
            if "log" not in text:
                continue
            tree = ast.parse(text)
            names = loggers(tree)
            for node in ast.walk(tree):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                owner = ast.unparse(node.func.value)
                if node.func.attr in METHODS and (owner in names or "get_logger(" in owner):
                    yield str(path.relative_to(ROOT)), node


SITES = [pytest.param(path, node, id=f"{path}:{node.lineno}") for path, node in sites()]


def faults(path: str, call: ast.Call) -> list[str]:
    """What is wrong with one call of a logger."""
    found = []
    event = call.args[0] if call.args else None
    if not (isinstance(event, ast.Constant) and isinstance(event.value, str)):
        return ["the event is not a fixed word"]
    if len(call.args) > 1:
        found.append("values are given without a key")
    for keyword in call.keywords:
        if keyword.arg is None:
            found.append("keys are given as a mapping")
        elif keyword.arg in FORBIDDEN:
            found.append(f"{keyword.arg} could hold anything")
        found += [f"{keyword.arg} is taken from {name}" for name in read_names(keyword.value) & SECRET_NAMES]
        if (path, event.value) not in OWN_MESSAGES and words_of_an_error(keyword.value):
            found.append(f"{keyword.arg} holds the words of an error")
    return found


def read_names(value: ast.expr) -> set[str]:
    names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(value) if isinstance(node, ast.Attribute)}
    return names | {str(node.value) for node in ast.walk(value) if isinstance(node, ast.Constant)}


def words_of_an_error(value: ast.expr) -> bool:
    """Whether a value is ``str(...)``, ``repr(...)``, an f-string or ``args`` of something."""
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("str", "repr", "format"):
            return True
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Attribute) and node.attr == "args"):
            return True
    return False


@pytest.mark.parametrize(("path", "call"), SITES)
def test_a_call_of_the_log_can_hold_nothing_of_a_patient(path: str, call: ast.Call) -> None:
    assert faults(path, call) == [], ast.unparse(call)


def test_the_scan_sees_what_it_must() -> None:
    assert len(SITES) > 40
    bad = [
        "log.info(f'mail for {recipient}')",
        "log.info('taken', subject=found)",
        "log.info('taken', what=message.subject)",
        "log.info('taken', **facts)",
        "log.error('failed', reason=str(problem))",
        "log.error('failed', reason=f'{problem}')",
        "log.error('failed', reason=problem.args[0])",
        "log.error('failed', patient)",
        "log.info('taken', what=row['ins'])",
    ]
    for line in bad:
        call = ast.parse(line, mode="eval").body
        assert isinstance(call, ast.Call)
        assert faults("gateway/x.py", call), line


def test_nothing_but_structlog_and_the_console_writes_for_people() -> None:
    """``logging`` would bypass the guard, ``print`` too; the command line has its own module."""
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if name == "gateway/log.py":
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                assert called not in ("print", "logging.getLogger", "warnings.warn", "traceback.print_exc"), name


# the chain of processors


@pytest.fixture(params=["json", "text"])
def written(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What the log has written so far, in both styles; leaves the process as it was."""
    handlers, level = logging.root.handlers[:], logging.root.level
    set_up("info", request.param)
    structlog.configure(cache_logger_on_first_use=False)
    yield lambda: capsys.readouterr().err
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def broken(patient: str) -> None:
    held = f"a local variable about {patient}"
    raise ValueError(f"cannot read {held}")


def test_a_key_that_could_hold_anything_is_hidden(written: Callable[[], str]) -> None:
    log = structlog.get_logger("test")
    log.warning("taken", **dict.fromkeys(FORBIDDEN, NAME), count=3)
    said = written()
    assert NAME not in said
    assert "taken" in said
    assert "3" in said


def test_an_error_is_told_by_type_and_place_only(written: Callable[[], str]) -> None:
    log = structlog.get_logger("test")
    try:
        broken(NAME)
    except ValueError:
        log.exception("failed")
    said = written()
    assert NAME not in said
    assert "ValueError" in said
    assert "tests/test_logs.py:" in said
    assert "broken" in said


def test_what_libraries_log_is_their_words_without_the_values(written: Callable[[], str]) -> None:
    library = logging.getLogger("a.library")
    library.info("never shown")
    library.warning("rejected %s", NAME)
    try:
        broken(NAME)
    except ValueError:
        library.exception("Task exception was never retrieved\nfuture: %r", NAME)
    said = written()
    assert NAME not in said
    assert "never shown" not in said
    assert "rejected %s" in said
    assert "Task exception was never retrieved" in said
    assert "ValueError" in said


def test_a_log_that_cannot_be_written_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, written: Callable[[], str]
) -> None:
    closed = io.StringIO()
    closed.close()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", closed)
        structlog.get_logger("test").error("failed")
    structlog.get_logger("test").error("written again")
    assert "written again" in written()


def test_json_lines_are_one_object_each(written: Callable[[], str]) -> None:
    structlog.get_logger("test").info("door_open", port=25)
    line = written().strip()
    if line.startswith("{"):
        assert json.loads(line) | {"timestamp": ""} == {
            "event": "door_open", "level": "info", "port": 25, "timestamp": "",
        }  # fmt: skip
    else:
        assert "door_open" in line


def test_a_place_outside_the_house_shows_no_path_of_the_machine() -> None:
    try:
        json.loads("{")
    except ValueError as problem:
        told = where(problem)
    assert "json/decoder.py:" in told
    assert "tests/test_logs.py:" in told
    assert "/usr" not in told
    assert len(told.split(" < ")) <= operations.PLACES


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///{folder}/caducee.db"])
def test_an_error_of_the_database_does_not_repeat_the_values(url: str, tmp_path: Path) -> None:
    database = open_database(url.format(folder=tmp_path))
    with database.turn(), database.writer.begin() as connection:
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text("SELECT json(:given)"), {"given": NAME})
        assert NAME not in str(caught.value)
    database.dispose()


def test_an_error_of_the_system_is_told_by_its_name_and_never_by_its_words() -> None:
    try:
        Path("/nonexistent-ZEPHYRINE").read_bytes()
    except OSError as problem:
        said = operations._traced(None, "error", {"event": "x", "exc_info": problem})
    assert said["reason"] == "ENOENT"
    assert "ZEPHYRINE" not in str(said)
