"""Figures and counts in Prometheus's words.

Promise: names and units as its conventions have them (seconds, octets, ``_total``); labels are bounded: processes, doors, rules, commands,
and domains up to a number; never an address or a name of a person. Failure: none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from gateway.monitoring.counts import COMMIT_BOUNDS, LAG_BOUNDS
from gateway.monitoring.figures import Figures
from gateway.monitoring.telling import living

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Processes = Sequence[Mapping[str, Any]]

COUNTED = (
    ("accepted", "caducee_messages_accepted", "Messages accepted, by door.", ("door",)),
    ("refused", "caducee_refusals", "Messages, recipients and callers refused or put off, by door and rule.", ("door", "rule")),
    ("handed_over", "caducee_recipients_handed_over", "Recipients taken over by a partner, by domain.", ("domain",)),
    ("deferred", "caducee_attempts_deferred", "Attempts that will be made again, by rule.", ("rule",)),
    ("failed", "caducee_recipients_failed", "Recipients given up, by rule.", ("rule",)),
    ("events", "caducee_events", "Events recorded in the journal, by kind.", ("kind",)),
    ("imap", "caducee_imap_commands", "IMAP commands, by name.", ("command",)),
    ("http", "caducee_http_answers", "HTTP requests answered, by door and status.", ("door", "status")),
)  # fmt: skip


class _Told:
    """A collector of what was gathered for this one answer."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def exposition(processes: Processes, figures: Figures) -> bytes:
    """The whole page."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told([*of_processes(living(list(map(dict, processes)))), *of_figures(figures)]))
    return generate_latest(registry)


def of_processes(processes: Processes) -> Iterator[Metric]:
    for key, name, meaning, labels in COUNTED:
        counter = CounterMetricFamily(name, meaning, labels=("process", *labels))
        for each in processes:
            for label, count in sorted(each.get(key, {}).items()):
                counter.add_metric((each["process"], *label.split("\t", len(labels) - 1)), count)
        yield counter
    yield _spread(
        processes, "commits", "caducee_commit_seconds", "Time of a transaction, sync included.", COMMIT_BOUNDS
    )
    yield _spread(processes, "lag", "caducee_loop_lag_seconds", "How late the event loop was.", LAG_BOUNDS)
    sessions = GaugeMetricFamily("caducee_sessions", "Connections open, by door.", labels=("process", "door"))
    cpu = CounterMetricFamily("caducee_process_cpu_seconds", "Processor time used.", labels=("process",))
    resident = GaugeMetricFamily("caducee_process_resident_bytes", "Memory held.", labels=("process",))
    started = GaugeMetricFamily("caducee_process_start_time_seconds", "When it began.", labels=("process",))
    for each in processes:
        name = each["process"]
        for door, count in sorted(each.get("doors", {}).items()):
            sessions.add_metric((name, door), count)
        for gauge, key in ((cpu, "cpu"), (resident, "resident"), (started, "started")):
            gauge.add_metric((name,), each.get(key, 0))
    yield from (sessions, cpu, resident, started)


def _spread(processes: Processes, key: str, name: str, meaning: str, bounds: Sequence[float]) -> Metric:
    histogram = HistogramMetricFamily(name, meaning, labels=("process",))
    for each in processes:
        if len(each.get(key, {}).get("counts", ())) != len(bounds) + 1:
            continue  # another release, while ours are started one by one
        reached, buckets = 0, []
        for bound, count in zip((*map(str, bounds), "+Inf"), each[key]["counts"], strict=True):
            reached += count
            buckets.append((bound, reached))
        histogram.add_metric((each["process"],), buckets, each[key]["sum"])
    return histogram


def of_figures(figures: Figures) -> Iterator[Metric]:
    if figures.queue is not None:
        queue = GaugeMetricFamily("caducee_queue_recipients", "Recipients waiting, by domain.", labels=("domain",))
        for domain, count in sorted(figures.queue.items()):
            queue.add_metric((domain,), count)
        yield queue
        yield _one("caducee_queue_oldest_seconds", "Age of the oldest recipient waiting.", figures.oldest)
    yield _one("caducee_database_bytes", "Size of the database.", figures.database)
    yield _labelled("caducee_disk_free_bytes", "Room on each disk we write to.", "folder", figures.free)
    yield _one("caducee_trust_list_age_seconds", "Since the white list was last confirmed.", figures.list_age)
    yield _labelled(
        "caducee_revocation_list_left_seconds",
        "Until a revocation list must be renewed.",
        "issuer",
        figures.revocation_left,
    )
    yield _labelled(
        "caducee_certificate_left_seconds", "Until a certificate of ours ends.", "subject", figures.certificate_left
    )
    yield _one("caducee_journal_anchor_age_seconds", "Since the journal was anchored.", figures.anchor_age)
    yield _one("caducee_directory_extraction_age_seconds", "Age of the extraction read.", figures.extraction_age)


def _one(name: str, meaning: str, value: float | None) -> Metric:
    """Without a value the series is absent, which Prometheus can ask for."""
    gauge = GaugeMetricFamily(name, meaning)
    if value is not None:
        gauge.add_metric((), value)
    return gauge


def _labelled(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    gauge = GaugeMetricFamily(name, meaning, labels=(label,))
    for key, value in sorted(values.items()):
        gauge.add_metric((key,), value)
    return gauge
