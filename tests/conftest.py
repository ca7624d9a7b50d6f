"""What every test shares: where the samples are, and that a skipped real client is a failure in continuous integration."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings

from tests import postgres
from tests.space import running

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT.parent / "shared" / "samples"
WITHOUT_SAMPLES = "the sample documents are not in ../shared/samples"
REQUIRE_CLIENTS = os.environ.get("CADUCEE_REQUIRE_CLIENTS") == "1"

# An example that takes long on a busy machine is no fault; tests of cost count processor time.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

_configure = structlog.configure


def _configure_for_now(**named: Any) -> None:
    """A command called in this process sets the log up for good: what is logged later could not be captured by other tests."""
    _configure(**{**named, "cache_logger_on_first_use": False})


structlog.configure = _configure_for_now


def _log_plainly() -> None:
    """As structlog does by itself, but for errors: drawn with every local variable, one cost up to two seconds."""
    structlog.reset_defaults()
    processors = structlog.get_config()["processors"]
    written = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*processors[:-1], written])


_log_plainly()


def pytest_runtest_teardown() -> None:
    _log_plainly()


@pytest.fixture(scope="session")
def samples() -> Path:
    """The published sample documents, kept beside the project; tests that read them are skipped without it."""
    if not SAMPLES.is_dir():
        pytest.skip(WITHOUT_SAMPLES)
    return SAMPLES


@pytest.fixture(scope="session")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[running.Space]:
    """A trust space of two operators, as real processes, shared by every test that uses it."""
    started = running.start(tmp_path_factory.mktemp("space"))
    yield started
    assert started.stop() == 0


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """One for all tests of the process; whoever stops it starts it again."""
    with postgres.running() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: postgres.Server) -> Iterator[str]:
    """An empty database of its own."""
    with postgres_server.database() as url:
        yield url


LONGEST = (
    "space/test_send_space", "fault/test_acceptance", "clients/test_tls_scanners", "space/test_redirection_space",
    "fault/test_relay_faults", "fault/test_trust_faults", "contract/test_store", "space/test_receipts_space",
    "contract/test_store_commit", "mailboxes/test_store_faults", "space/test_transfer_space", "space/test_trust_space",
    "fault/test_full_disks", "fault/test_patients_at_rest", "clients/test_thunderbird", "space/test_medical_space",
    "space/test_sanction_space", "space/test_volumes_space", "fault/test_rules_fault",
    "space/test_space_evidence", "fault/test_systemd", "clients/test_portal_browser", "space/test_evidence_space",
    "fault/test_workers", "contract/test_store_processes", "gateway/relay/test_faults",
)  # fmt: skip
"""A minute or so each, the longest first; a file stays with one process (``--dist loadfile``)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, then the slow ones, so that no process is left alone with one at the end."""
    places = {f"tests/{name}.py": place for place, name in enumerate(LONGEST)}

    def place(item: pytest.Item) -> tuple[int, bool]:
        own = places.get(item.nodeid.partition("::")[0], len(places))
        return own, item.get_closest_marker("slow") is None

    items.sort(key=place)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How much was not seen without the samples: line by line nobody adds it up."""
    skipped = terminalreporter.stats.get("skipped", [])
    if count := sum(WITHOUT_SAMPLES in str(report.longrepr) for report in skipped):
        terminalreporter.write_line(
            f"{count} tests were skipped because {WITHOUT_SAMPLES}; some run once for each document"
        )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol():
    """A command run inside the test's process sets up the log of that process: the next test does not inherit it."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """With CADUCEE_REQUIRE_CLIENTS=1 a real-client test that skips itself is reported as failed."""
    outcome = yield
    report = outcome.get_result()
    if REQUIRE_CLIENTS and report.skipped and item.get_closest_marker("client") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: a real-client test was skipped: {report.longrepr}"
