"""Every key that a policy knows about reaches it."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import policy_settings
from gateway.config import load
from gateway.settings import Config
from gateway.settings.penalties import Penalties
from policies.penalties import BANDS, Band, Scale

TEXT = """\
[operator]
name = "Test"
domains = ["op.mssante.test"]
hostname = "mail.op.mssante.test"
test_mode = true
[trust]
warn_age = "2h"
alarm_age = "3h"
refuse_age = "4h"
generated_within = "10d"
any_usage = true
match_host = false
author = "listed"
accept_resent = false
revocation_unknown = "refuse"
[accounts]
suspended_reply = "refuse"
full_reply = "refuse"
[limits]
message_size = "10MiB"
patient_domains = ["patient.mssante.test"]
patient_size = "2MiB"
domain_sizes = { "b.mssante.test" = "1MiB" }
hops = 20
[unsolicited]
slow_down = 11
refuse = 12
broadcast_slow_down = 13
broadcast_refuse = 14
exempt = ["labo@op.mssante.test"]
[penalties]
middle_from = 6
large_from = 21
second_small = 1
second_middle = 2
second_large = 3
further_small = 4
further_middle = 5
further_large = 6
forget_after = "365d"
[queue]
first_retry = "1min"
longest_retry = "10min"
lifetime = "1d"
warn_after = "1h"
unknown_domain = "2h"
per_destination = 3
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(TEXT)
    return load(path)


def unchanged(settings: Any) -> set[str]:
    default = type(settings)()
    return {item.name for item in fields(settings) if getattr(settings, item.name) == getattr(default, item.name)}


def test_no_setting_of_a_policy_keeps_its_default(config: Config) -> None:
    """Each field differs, except those the configuration has no key for."""
    assert unchanged(policy_settings.trust(config)) == set()
    assert unchanged(policy_settings.certificate(config)) == {"rsa_bits", "curve_bits"}
    assert unchanged(policy_settings.recipient(config)) == set()
    assert unchanged(policy_settings.content(config)) == {"own_hops", "programs"}
    assert unchanged(policy_settings.volume(config)) == set()
    assert unchanged(policy_settings.schedule(config)) == {"jitter"}
    assert unchanged(policy_settings.lane(config)) == set()


def test_values_arrive_in_their_units(config: Config) -> None:
    assert policy_settings.trust(config).refuse_after == timedelta(hours=4)
    assert policy_settings.recipient(config).domain_sizes == {"b.mssante.test": 1024 * 1024}
    assert policy_settings.schedule(config).unknown_domain == 7200


def test_the_scale_of_penalties_is_the_operators(config: Config) -> None:
    """TOU-B09."""
    bands = (Band(0, 1, 4), Band(6, 2, 5), Band(21, 3, 6))
    assert policy_settings.penalties(config) == Scale(bands, 365 * 86400.0)
    default = replace(config, penalties=Penalties())
    assert policy_settings.penalties(default) == Scale(BANDS)


def test_what_is_switched_off_is_off(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        TEXT.replace('"4h"', '"0"').replace('"10d"', '"0"').replace('warn_after = "1h"', 'warn_after = "0"')
    )
    config = load(path)
    assert policy_settings.trust(config).refuse_after is None
    assert policy_settings.trust(config).generated_within is None
    assert policy_settings.schedule(config).warn == 0
