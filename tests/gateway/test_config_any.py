"""Whatever stands in the file, reading it ends in a configuration or in faults with lines and words."""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config import Config, ConfigError, Fault, load, show
from gateway.config_document import literal
from gateway.settings import REPEATED, SECTIONS

KEYS = [(name, item.name) for name, declared in SECTIONS.items() for item in fields(declared)]
WORDS = st.sampled_from(
    ["", "off", "0", "5d", "25MiB", "127.0.0.1:25", "[::]:25", "op.test", "file:x", "env:X", "sqlite:x", "s3://b/c", "https://x",
     "http://x", "inbound", "fr", "defer", "\u202e", "é", "a" * 5000, "../..", "/", "postgresql://u@h/d", "none", "*"]
)  # fmt: skip
SIMPLE = WORDS | st.text(max_size=8) | st.integers() | st.floats() | st.booleans()
VALUES = SIMPLE | st.lists(SIMPLE, max_size=4) | st.dictionaries(st.text(max_size=4), SIMPLE, max_size=3)


def rendered(value: Any) -> str:
    if isinstance(value, float):
        return "nan" if value != value else "inf" if value in (float("inf"), float("-inf")) else repr(value)
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value if not 0xD800 <= ord(letter) < 0xE000) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(rendered(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{rendered(key)} = {rendered(item)}" for key, item in value.items()) + "}"
    return literal(value)


BASE: dict[tuple[str, str], Any] = {
    ("operator", "name"): "Test",
    ("operator", "domains"): ["op.mssante.test"],
    ("operator", "hostname"): "mail.op.mssante.test",
    ("operator", "test_mode"): True,
}


def text_of(given_: dict[tuple[str, str], Any]) -> str:
    chosen, lines = {**BASE, **given_}, []
    for name in SECTIONS:
        mine = {key: value for (section, key), value in chosen.items() if section == name}
        if mine or name == "operator":
            lines.append(f"[[{name}]]" if name in REPEATED else f"[{name}]")
            lines += [f"{key} = {rendered(value)}" for key, value in mine.items()]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "config.toml"


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(chosen=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8))
def test_any_values_are_read_or_refused(place: Path, chosen: dict[tuple[str, str], Any]) -> None:
    text = text_of(chosen)
    place.write_text(text, encoding="utf-8")
    for fault in faults_of(place):
        assert 1 <= fault.line <= text.count("\n") + 1
        for language in ("fr", "en"):
            assert 0 < len(fault.says(language)) < 2000  # type: ignore[arg-type]


def faults_of(path: Path) -> list[Fault]:
    try:
        config = load(path)
    except ConfigError as refused:
        return refused.faults
    assert isinstance(config, Config)
    assert show(config)
    return []


@settings(max_examples=100)
@given(raw=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(place: Path, raw: bytes) -> None:
    place.write_bytes(raw)
    with pytest.raises(ConfigError):
        load(place)


@pytest.mark.parametrize("value", [date(2026, 1, 1).isoformat(), "2026-01-01T00:00:00Z", "07:32:00"])
def test_dates_are_no_settings(place: Path, value: str) -> None:
    place.write_text(f"[operator]\nname = {value}\n", encoding="utf-8")
    with pytest.raises(ConfigError):
        load(place)
