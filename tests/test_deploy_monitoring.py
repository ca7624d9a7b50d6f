"""What deploy/ gives to Prometheus and Grafana: judged by promtool, and asking only for what we tell (TOU-E10)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.config import load
from gateway.monitoring.counts import Counts
from gateway.monitoring.exposition import exposition
from gateway.monitoring.figures import Figures
from policies.events import Event, Kind

DEPLOY = Path(__file__).parents[1] / "deploy"
RULES = DEPLOY / "prometheus" / "caducee.rules.yml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "caducee.json").read_bytes())
EXPRESSION = re.compile(r"^ +expr: (?:>-\n((?: {10}.*\n)+)|(.*)\n)", re.MULTILINE)


@pytest.fixture
def promtool() -> str:
    if (found := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed")
    return found


def told() -> set[str]:
    """The names of our series."""
    counts = Counts()
    counts.committed(
        [
            Event(Kind.MESSAGE_ACCEPTED, detail={"door": "inbound"}),
            Event(Kind.MESSAGE_REFUSED, detail={"door": "inbound"}),
            Event(Kind.HANDED_OVER, recipient="a@b.test"),
            Event(Kind.DEFERRED, detail={"rule": "r"}),
            Event(Kind.EXPIRED),
        ],
        0.1,
    )
    counts.imap_command("NOOP")
    counts.answered("https", 200)
    figures = Figures(
        queue={"b.test": 1},
        database=1,
        free={"/": 1},
        list_age=1.0,
        revocation_left={"a": 1.0},
        certificate_left={"a": 1.0},
        anchor_age=1.0,
        extraction_age=1.0,
    )
    page = exposition([{"process": "all-0", "age": 0.0, "doors": {"imaps": 1}, **counts.told()}], figures)
    return {one.name for each in text_string_to_metric_families(page.decode()) for one in each.samples}


def asked() -> Iterator[str]:
    for folded, plain in EXPRESSION.findall(RULES.read_text("utf-8")):
        yield folded or plain
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def run(promtool: str, *words: Any) -> None:
    said = subprocess.run([promtool, *map(str, words)], capture_output=True, text=True, check=False, timeout=120)
    assert said.returncode == 0, said.stdout + said.stderr


def test_nothing_is_asked_for_that_we_do_not_tell() -> None:
    names = {name for expression in asked() for name in re.findall(r"\bcaducee_[a-z_]+", expression)}
    assert names <= told()
    assert len(list(asked())) >= 35


def test_the_door_asked_is_the_one_shipped() -> None:
    (shipped,) = load(Path(__file__).parents[1] / "config.toml").monitor.listen
    assert f'"{shipped}"' in (DEPLOY / "prometheus" / "caducee.yml").read_text("utf-8")


@pytest.mark.client
def test_prometheus_takes_the_configuration_and_the_rules(promtool: str) -> None:
    run(promtool, "check", "config", DEPLOY / "prometheus" / "caducee.yml")
    run(promtool, "check", "rules", RULES)


@pytest.mark.client
def test_alerts_are_raised_when_they_should(promtool: str) -> None:
    run(promtool, "test", "rules", DEPLOY / "prometheus" / "caducee.test.yml")


@pytest.mark.client
def test_prometheus_reads_every_question_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$instance", ".*")}
        for number, expression in enumerate(expressions)
    ]
    (tmp_path / "panels.json").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), "utf-8")
    run(promtool, "check", "rules", tmp_path / "panels.json")


def test_the_dashboard_can_be_imported() -> None:
    """Each panel has an identity and a place of its own, and asks the source chosen."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["datasource"]["uid"] == "${source}"
