"""The rules of the way out and of notices, the retry schedule, and the states of a recipient."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.catalogue import rule
from policies.decision import Verdict
from policies.receipts import (
    INTEGRATION,
    ReceiptFacts,
    State,
    advance,
    confirmed,
    field_error,
    integration_label,
    may_acknowledge,
)
from policies.retry import Lane, Schedule, enhanced_status, reply_class

RELAY = [
    ("relay.handed_over", Verdict.ACCEPT, "2.0.0"),
    ("relay.partner_refused", Verdict.REFUSE, "5.0.0"),
    ("relay.partner_deferred", Verdict.DEFER, "4.0.0"),
    ("relay.unreachable", Verdict.DEFER, "4.4.1"),
    ("relay.silent", Verdict.DEFER, "4.4.2"),
    ("relay.cut", Verdict.DEFER, "4.4.2"),
    ("relay.garbled", Verdict.DEFER, "4.5.0"),
    ("relay.dns_failed", Verdict.DEFER, "4.4.3"),
    ("relay.domain_missing", Verdict.DEFER, "4.4.4"),
    ("relay.domain_unknown", Verdict.REFUSE, "5.1.2"),
    ("relay.null_mx", Verdict.REFUSE, "5.1.10"),
    ("relay.loop", Verdict.DEFER, "4.4.6"),
    ("relay.too_big", Verdict.REFUSE, "5.3.4"),
    ("relay.eight_bit", Verdict.REFUSE, "5.6.3"),
    ("relay.unsafe_content", Verdict.REFUSE, "5.6.0"),
    ("relay.body_missing", Verdict.REFUSE, "5.3.0"),
    ("relay.busy", Verdict.DEFER, "4.3.0"),
    ("relay.expired", Verdict.DEFER, "4.4.7"),
    ("relay.dropped", Verdict.REFUSE, "5.3.0"),
]
NOTICES = [
    "notice.failed",
    "notice.delayed",
    "notice.delivered",
    "notice.relayed",
    "notice.unanswered",
    "notice.unread",
    "notice.double_bounce",
    "notice.read",
    "notice.not_integrated",
    "notice.receipt_due",
    "notice.receipt_ask",
    "notice.receipt_none",
]


@pytest.mark.parametrize(("name", "verdict", "enhanced"), RELAY)
def test_each_outcome_has_its_verdict_and_status(name: str, verdict: Verdict, enhanced: str) -> None:
    assert (rule(name).verdict, rule(name).enhanced) == (verdict, enhanced)


@pytest.mark.parametrize("name", NOTICES)
def test_notices_only_speak(name: str) -> None:
    assert rule(name).verdict is Verdict.NOTE


# when


def test_the_third_figure() -> None:
    schedule = Schedule()
    assert [schedule.wait(attempts, 0.0) for attempts in range(1, 7)] == [300, 600, 1200, 2400, 4000, 4000]
    assert (schedule.warn, schedule.life) == (4 * 3600, 5 * 86400)


@given(st.integers(-5, 10**9), st.floats(0, 1, exclude_max=True))
def test_a_wait_stays_within_its_bounds(attempts: int, chance: float) -> None:
    schedule = Schedule()
    assert schedule.first <= schedule.wait(attempts, chance) <= schedule.cap * (1 + schedule.jitter)


@pytest.mark.parametrize(
    "values", [{"first": 0}, {"first": 5000}, {"jitter": 2}, {"warn": -1}, {"warn": 10**9}, {"cap": 1}]
)
def test_a_schedule_that_makes_no_sense_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"retry schedule|delay warning"):
        Schedule(**values)


def test_a_schedule_may_be_as_plain_as_can_be() -> None:
    """The same wait each time, no chance in it or as much as there is, a warning at once or just before the end."""
    flat = Schedule(first=0.5, cap=0.5, jitter=0, warn=0, life=1)
    assert [flat.wait(attempts, 0.9) for attempts in (1, 100)] == [0.5, 0.5]
    assert Schedule(jitter=1).wait(1, 0.5) == 450
    with pytest.raises(ValueError, match="delay warning"):
        Schedule(warn=1, life=1)


def test_a_lane_narrows_at_once_and_widens_step_by_step() -> None:
    lane = Lane()
    assert lane.after_failure(20) == 5
    assert lane.after_failure(3) == 3
    assert lane.after_success(5) == 6
    assert lane.after_success(20) == 20


# what a reply means


@given(st.integers(-1000, 5000))
def test_every_code_has_a_class(code: int) -> None:
    assert reply_class(code) in (2, 3, 4, 5)
    assert code in range(200, 600) or reply_class(code) == 4


@pytest.mark.parametrize(
    ("code", "kind"), [(199, 4), (200, 2), (299, 2), (400, 4), (500, 5), (599, 5), (600, 4), (50, 4)]
)
def test_the_class_of_a_code_is_its_first_digit(code: int, kind: int) -> None:
    assert reply_class(code) == kind


@pytest.mark.parametrize(
    ("code", "stated", "status"),
    [
        (199, "2.0.0", "4.5.0"),
        (200, "2.1.5", "2.1.5"),
        (599, "5.7.1", "5.7.1"),
        (600, "5.7.1", "4.5.0"),
        (550, "5.1.1", "5.1.1"),
        (550, "4.1.1", "5.0.0"),
        (250, "", "2.0.0"),
        (451, "4.3.0", "4.3.0"),
        (999, "9.9.9", "4.5.0"),
    ],
)
def test_a_status_agrees_with_its_code(code: int, stated: str, status: str) -> None:
    assert enhanced_status(code, stated) == status


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("2.0.0", 0),
        ("5.1.1", 550),
        ("5.1.2", 512),
        ("5.1.10", 512),
        ("5.2.2", 552),
        ("5.3.4", 523),
        ("4.4.1", 101),
        ("4.4.2", 442),
        ("4.4.7", 441),
        ("5.7.1", 541),
        ("4.7.5", 111),
        ("5.6.3", 554),
        ("4.6.5", 451),
        ("4.3.1", 452),
        ("4.3.0", 451),  # no word of resources: a store that is busy, an operator who removed a message
        ("5.3.0", 554),
        ("4.9.9", 451),
        ("5.9.9", 554),
    ],
)
def test_failures_have_the_code_and_label_of_the_field(status: str, code: int) -> None:
    """MSS-043."""
    found, french = field_error(status, "fr")
    assert found == code
    assert bool(french) == bool(field_error(status, "en")[1]) == (code != 0)


@pytest.mark.parametrize(
    ("status", "french", "english"),
    [
        ("5.2.2", "Espace de stockage dépassé", "Storage exceeded"),
        ("4.6.5", "Erreur momentanée", "Processing error"),
        ("5.6.3", "Échec définitif", "Permanent failure"),
    ],
)
def test_each_language_has_its_label(status: str, french: str, english: str) -> None:
    assert (field_error(status, "fr")[1], field_error(status, "en")[1]) == (french, english)


@pytest.mark.parametrize(
    ("status", "reply", "code"),
    [
        ("5.0.0", "550-no such user", 550),
        ("5.0.0", "55x", 554),
        ("5.0.0", "55\u0660", 554),
        ("5.0.0", "550 no such user", 550),
        ("5.0.0", "552 over quota", 552),
        ("4.0.0", "452 too many", 452),
        ("4.0.0", "450 greylisted", 450),
        ("5.0.0", "554 no", 554),
        ("5.7.1", "550 5.7.1 spam", 541),  # the exact status says more
        ("4.4.7", "450 greylisted", 441),
        ("5.0.0", "452 later, for days", 554),
        ("5.0.0", "\u0665\u0665\u0660", 554),
        ("2.0.0", "250 ok", 0),
    ],
)
def test_a_server_without_enhanced_codes_is_told_by_its_reply(status: str, reply: str, code: int) -> None:
    """MSS-043: the field's codes are mostly the reply codes themselves."""
    assert field_error(status, "fr", reply)[0] == code


# receipts


FACTS = ReceiptFacts(("bob@op-b.test",), "bob@op-b.test", automatic=False)


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        (FACTS, "notice.receipt_due"),
        (ReceiptFacts((), "bob@op-b.test", automatic=False), "notice.receipt_none"),
        (ReceiptFacts(("bob@op-b.test",), "", automatic=False), "notice.receipt_none"),
        (ReceiptFacts(("bob@op-b.test",), "bob@op-b.test", automatic=True), "notice.receipt_none"),
        (ReceiptFacts(("bob@op-b.test",), "bob@op-b.test", automatic=False, already_sent=True), "notice.receipt_none"),
        (ReceiptFacts(("eve@op-b.test",), "bob@op-b.test", automatic=False), "notice.receipt_ask"),
        (ReceiptFacts(("bob@op-b.test", "eve@op-b.test"), "bob@op-b.test", automatic=False), "notice.receipt_ask"),
    ],
)
def test_when_a_reading_receipt_may_be_sent(facts: ReceiptFacts, name: str) -> None:
    """MSS-117."""
    assert may_acknowledge(facts).rule.name == name


@given(st.lists(st.sampled_from(list(State)), max_size=30))
def test_proofs_are_never_taken_back(news: list[State]) -> None:
    state, seen = State.QUEUED, {State.QUEUED}
    for one in news:
        before, state = state, advance(state, one)
        seen.add(one)
        assert advance(state, state) is state
        if before is State.READ:
            assert state is State.READ
        if before in (State.DELIVERED, State.FAILED, State.REFUSED):
            assert state not in (State.QUEUED, State.DELAYED, State.HANDED_OVER, State.LATE)
    assert (state is State.READ) == (State.READ in seen)


def test_late_gives_way_to_any_proof_and_only_to_proof() -> None:
    assert advance(State.QUEUED, State.DELAYED) is State.DELAYED
    assert advance(State.DELAYED, State.HANDED_OVER) is State.HANDED_OVER
    assert advance(State.HANDED_OVER, State.LATE) is State.LATE
    assert advance(State.DELIVERED, State.LATE) is State.DELIVERED
    assert advance(State.LATE, State.HANDED_OVER) is State.LATE
    assert advance(State.LATE, State.DELIVERED) is State.DELIVERED


def test_what_was_asked_for_decides_what_answers() -> None:
    assert confirmed(State.DELIVERED, frozenset({"delivery"}))
    assert not confirmed(State.DELIVERED, frozenset({"delivery", "reading"}))
    assert confirmed(State.REFUSED, frozenset({"reading"}))
    assert not confirmed(State.HANDED_OVER, frozenset({"delivery"}))


def test_integration_codes_are_open_ended() -> None:
    assert set(range(900, 907)) <= set(INTEGRATION)
    assert integration_label(902, "fr") == "Identifiant de patient inconnu"
    assert integration_label(902, "en") == "Unknown patient identifier"
    assert integration_label(950, "en") == integration_label(906, "en")
