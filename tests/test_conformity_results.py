"""Requirements joined to what their tests said, from a real run of pytest (MSS-149)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conformity, conformity_results

RUN = "tests/policies/test_lifecycle.py"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pytest itself writes, in a process of its own."""
    path = tmp_path_factory.mktemp("results") / "results.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        RUN,
        f"--junitxml={path}",
    ]
    subprocess.run(command, cwd=conformity.ROOT, check=True, capture_output=True, timeout=120)
    return path


def test_a_requirement_has_its_source_and_its_tests_last_results(results: Path) -> None:
    held = {one.name: one for one in conformity_results.joined(conformity_results.read([results]))}
    assert list(held) == list(conformity.register())
    one = held["MSS-055"]
    assert (one.result, one.source) == ("passed", conformity.register()["MSS-055"]["source"])
    assert one.outcomes["passed"] > 0
    assert one.last[:4].isdigit()
    assert one.tests[RUN] == "passed"
    assert {two.result for two in held.values()} >= {"passed", "not run"}
    assert all((two.result == "no test") is (not two.tests) for two in held.values())


def changed(results: Path, tmp_path: Path, inner: str) -> Path:
    """The same results, with every test of the file ended otherwise, a year later."""
    text = results.read_text("utf-8")
    year = text.split('timestamp="')[1][:4]
    path = tmp_path / "changed.xml"
    path.write_text(
        text.replace(f'timestamp="{year}', f'timestamp="{int(year) + 1}').replace(" />", f">{inner}</testcase>")
    )
    return path


def test_one_failure_is_told_and_the_newest_result_counts(results: Path, tmp_path: Path) -> None:
    failed = changed(results, tmp_path, '<failure message="x"/>')
    for given in ([results, failed], [failed, results]):
        held = {one.name: one for one in conformity_results.joined(conformity_results.read(given))}
        assert held["MSS-055"].result == "failed"
    assert conformity_results.main([str(results), str(failed)]) == 1


def test_a_skipped_test_proves_nothing(results: Path, tmp_path: Path) -> None:
    skipped = changed(results, tmp_path, '<skipped message="x"/>')
    held = {one.name: one for one in conformity_results.joined(conformity_results.read([skipped]))}
    assert held["MSS-055"].result == "skipped"


def test_the_command_prints_a_page_or_json(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conformity_results.main([str(results)]) == 0
    assert "| MSS-055 |" in capsys.readouterr().out
    assert conformity_results.main([str(results), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(conformity.register())


@pytest.mark.parametrize("content", ["", "<html/>", "not xml"])
def test_what_holds_no_results_is_said(tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.xml"
    path.write_text(content)
    assert conformity_results.main([str(path)]) == 2
    assert str(path) in capsys.readouterr().err
