"""Grouped and excessive sending (TOU-A06, TOU-B03, F77)."""

from __future__ import annotations

import pytest

from policies import unsolicited
from policies.unsolicited import Volume, VolumeSettings
from policies.values import Door
from tests.policies.cases import address, says

MARIE = address("marie.martin@op-a.mssante.test")
SETTINGS = VolumeSettings(slow_down=20, refuse=50, broadcast_slow_down=5, broadcast_refuse=10)


@pytest.mark.parametrize(
    ("recipients", "volume", "rule", "source"),
    [
        (10, Volume(), "sender.accepted", "MSS-074"),
        (1, Volume(recipients_last_hour=20), "sender.accepted", "MSS-074"),
        (1, Volume(recipients_last_hour=21), "sender.volume_slow_down", "TOU-B03"),
        (1, Volume(recipients_last_hour=50), "sender.volume_refused", "TOU-A06"),
        (1, Volume(same_content=6), "sender.broadcast_slow_down", "TOU-B03"),
        (11, Volume(), "sender.broadcast_refused", "TOU-B03"),
        (1, Volume(recipients_last_hour=60, same_content=10), "sender.broadcast_refused", "TOU-B05"),
    ],
)
def test_thresholds(recipients: int, volume: Volume, rule: str, source: str) -> None:
    says(unsolicited.judge(Door.SUBMISSION, MARIE, recipients, volume, SETTINGS), rule, source)


def test_the_rate_of_a_mailbox_exempts_nobody() -> None:
    """What one mailbox may send in an hour is a limit of ours, not a suspicion."""
    rates = VolumeSettings(messages=3, recipients=9, exempt=frozenset({MARIE.key}))
    for volume in (Volume(messages_last_hour=3), Volume(recipients_last_hour=9)):
        says(unsolicited.judge(Door.SUBMISSION, MARIE, 1, volume, rates), "session.rate_limited", "MSS-078")
        assert unsolicited.judge(Door.INTERNAL, None, 1, volume, rates).accepted
    within = Volume(recipients_last_hour=8, messages_last_hour=2)
    assert unsolicited.judge(Door.SUBMISSION, MARIE, 1, within, rates).accepted


def test_slowing_down_is_temporary_and_refusal_tells_how_to_appeal() -> None:
    slow = unsolicited.judge(Door.SUBMISSION, MARIE, 1, Volume(recipients_last_hour=21), SETTINGS)
    assert (slow.code, slow.enhanced) == (450, "4.7.1")
    refused = unsolicited.judge(Door.SUBMISSION, MARIE, 1, Volume(recipients_last_hour=50), SETTINGS)
    assert (refused.code, refused.enhanced) == (550, "5.7.1")
    assert "contester" in refused.remedy("fr")
    assert "appeal" in refused.remedy("en")


def test_a_message_that_was_slowed_down_passes_once_the_counters_fall() -> None:
    assert not unsolicited.judge(Door.SUBMISSION, MARIE, 8, Volume(same_content=6), SETTINGS).accepted
    assert unsolicited.judge(Door.SUBMISSION, MARIE, 8, Volume(), SETTINGS).accepted


def test_notices_and_exempt_senders_are_not_counted() -> None:
    much = Volume(10_000, 10_000)
    assert unsolicited.judge(Door.INTERNAL, MARIE, 1, much, SETTINGS).accepted
    assert unsolicited.judge(Door.SUBMISSION, None, 1, much, SETTINGS).accepted
    for exempt in (MARIE.key, MARIE.domain):
        settings = VolumeSettings(exempt=frozenset({exempt}))
        assert unsolicited.judge(Door.SUBMISSION, MARIE, 1, much, settings).accepted


def test_a_threshold_of_zero_is_off() -> None:
    off = VolumeSettings(0, 0, 0, 0)
    assert unsolicited.judge(Door.SUBMISSION, MARIE, 10_000, Volume(10_000, 10_000), off).accepted


def test_postmasters_do_not_count() -> None:
    assert not unsolicited.counted(address("Postmaster@op-b.mssante.test"))
    assert unsolicited.counted(MARIE)
