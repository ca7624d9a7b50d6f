"""Mail does not leave by a side door (TOU-A02, MSS-046, MSS-058 to MSS-060, F78)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from policies import redirection, trust
from policies.redirection import POINTING_FIELDS, Pointers
from tests.policies.cases import NOW, SETTINGS, address, says, spaces

MARIE = address("marie.martin@op-a.mssante.test")
INSIDE = address("equipe@op-b.mssante.test")
OUTSIDE = address("marie@evil.test")
STALE = spaces(fetched=NOW - timedelta(days=30))


def test_a_rule_points_inside_the_space() -> None:
    says(redirection.judge_target(MARIE, INSIDE, spaces(), NOW, SETTINGS), "redirection.accepted", "MSS-058")


def test_a_rule_cannot_point_outside_when_written_nor_when_the_list_changed() -> None:
    written = redirection.judge_target(MARIE, OUTSIDE, spaces(), NOW, SETTINGS)
    says(written, "redirection.rule_outside", "TOU-A02")
    executed = redirection.judge_target(MARIE, OUTSIDE, spaces(), NOW, SETTINGS, executing=True)
    says(executed, "redirection.rule_disabled", "MSS-058")


def test_a_rule_waits_while_the_list_is_stale() -> None:
    says(redirection.judge_target(MARIE, INSIDE, STALE, NOW, SETTINGS, executing=True), "trust.list_stale", "MSS-013")


def test_a_rule_to_oneself_is_a_loop() -> None:
    myself = address("MARIE.martin@op-a.mssante.test")
    says(redirection.judge_target(MARIE, myself, spaces(), NOW, SETTINGS), "redirection.to_itself", "MSS-046")


@pytest.mark.parametrize("field", sorted(POINTING_FIELDS))
def test_no_header_sends_answers_outside(field: str) -> None:
    inside = Pointers({field: (INSIDE, MARIE)})
    assert redirection.judge_pointers(inside, spaces(), NOW, SETTINGS).accepted
    outside = Pointers({field: (INSIDE, OUTSIDE)})
    decision = redirection.judge_pointers(outside, spaces(), NOW, SETTINGS)
    says(decision, "redirection.header_outside", "MSS-059")
    assert "evil.test" in decision.sentence("fr")
    assert "marie@" not in decision.sentence("fr")


def test_every_header_named_by_the_requirement_is_watched() -> None:
    assert {
        "reply-to",
        "errors-to",
        "return-receipt-to",
        "disposition-notification-to",
        "mail-followup-to",
        "list-unsubscribe",
        "list-post",
        "resent-to",
    } <= POINTING_FIELDS


def test_a_header_that_cannot_be_read_cannot_be_checked() -> None:
    decision = redirection.judge_pointers(Pointers({}, unreadable=("reply-to",)), spaces(), NOW, SETTINGS)
    says(decision, "redirection.header_unreadable", "MSS-059")


def test_an_invitation_does_not_call_answers_outside() -> None:
    decision = redirection.judge_pointers(Pointers({}, organisers=(OUTSIDE,)), spaces(), NOW, SETTINGS)
    says(decision, "redirection.calendar_outside", "RFC 5545 3.8.4.3")
    assert redirection.judge_pointers(Pointers({}, organisers=(INSIDE,)), spaces(), NOW, SETTINGS).accepted


def test_headers_wait_with_a_stale_list_and_local_ones_do_not() -> None:
    waiting = redirection.judge_pointers(Pointers({"reply-to": (INSIDE,)}), STALE, NOW, SETTINGS)
    says(waiting, "trust.list_stale", "MSS-013")
    organiser = redirection.judge_pointers(Pointers({}, organisers=(INSIDE,)), STALE, NOW, SETTINGS)
    says(organiser, "trust.list_stale", "MSS-013")
    assert redirection.judge_pointers(Pointers({"reply-to": (MARIE,)}), STALE, NOW, SETTINGS).accepted


@pytest.mark.parametrize(
    "pointers", [Pointers({}, marks=frozenset({"x-forwarded-message-id"})), Pointers({}, embedded=True)]
)
def test_a_program_that_forwards_outside_hears_the_rule_of_redirection(pointers: Pointers) -> None:
    refused = trust.may_deliver("evil.test", spaces(), NOW, SETTINGS)
    explained = redirection.explain_forward(refused, OUTSIDE, pointers)
    says(explained, "redirection.forwarded_outside", "TOU-A02")
    plain = redirection.explain_forward(refused, OUTSIDE, Pointers({}))
    assert plain is refused
    accepted = trust.may_deliver("op-b.mssante.test", spaces(), NOW, SETTINGS)
    assert redirection.explain_forward(accepted, INSIDE, pointers) is accepted


ANSWERED = {"auto_submitted": "", "addressed": True, "listed_mail": False, "replied_lately": False}


def reply(sender: object, **changes: object) -> object:
    facts = {**ANSWERED, **changes}
    automatic = facts.pop("auto_submitted")
    return redirection.judge_absence_reply(
        sender,
        automatic,
        trust=facts.pop("trust", spaces()),
        now=NOW,
        settings=SETTINGS,
        **facts,  # type: ignore[arg-type]
    )


def test_an_absence_reply_goes_to_a_person_of_the_space() -> None:
    says(reply(INSIDE), "redirection.accepted", "MSS-058")  # type: ignore[arg-type]
    says(reply(INSIDE, auto_submitted="no"), "redirection.accepted", "MSS-058")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sender", "changes"),
    [
        (None, {}),
        (INSIDE, {"auto_submitted": "auto-replied"}),
        (INSIDE, {"addressed": False}),
        (INSIDE, {"listed_mail": True}),
        (INSIDE, {"replied_lately": True}),
        (OUTSIDE, {}),
        (address("MAILER-DAEMON@op-b.mssante.test"), {}),
        (address("postmaster@op-b.mssante.test"), {}),
        (address("owner-liste@op-b.mssante.test"), {}),
        (address("liste-request@op-b.mssante.test"), {}),
        (address("no-reply@op-b.mssante.test"), {}),
    ],
)
def test_no_absence_reply_to_machines_lists_or_outside(sender: object, changes: dict[str, object]) -> None:
    says(reply(sender, **changes), "redirection.no_automatic_reply", "MSS-060")  # type: ignore[arg-type]


def test_an_absence_reply_waits_with_a_stale_list() -> None:
    says(reply(INSIDE, trust=STALE), "trust.list_stale", "MSS-013")  # type: ignore[arg-type]


OWN = frozenset({MARIE.key, "m.martin@op-a.mssante.test"})


def test_a_message_may_be_sent_on_once_by_each_mailbox() -> None:
    says(redirection.may_forward(INSIDE, frozenset(), OWN), "redirection.accepted", "MSS-058")
    says(redirection.may_forward(INSIDE, frozenset({INSIDE.key}), OWN), "redirection.accepted", "MSS-058")
    again = redirection.may_forward(INSIDE, frozenset({INSIDE.key, "m.martin@op-a.mssante.test"}), OWN)
    says(again, "redirection.loop", "MSS-046")


def test_a_notice_is_never_sent_on() -> None:
    says(redirection.may_forward(None, frozenset(), OWN), "redirection.notice_stays", "MSS-046")


def test_a_mailbox_has_a_bounded_number_of_rules() -> None:
    assert redirection.judge_number(redirection.MOST_RULES - 1).accepted
    says(redirection.judge_number(redirection.MOST_RULES), "redirection.too_many", "MSS-059")


@pytest.mark.parametrize(("starts", "ends"), [(10, 10), (20, 15), (0, 5), (0, 400 * 86400), (0, float("nan"))])
def test_an_absence_has_an_end_within_a_year(starts: float, ends: float) -> None:
    says(redirection.judge_absence(starts, ends, 6, "x"), "redirection.absence_dates", "MSS-060")


def test_an_absence_has_a_text() -> None:
    for text in ("De retour lundi.", "x", "x" * redirection.LONGEST_TEXT):
        assert redirection.judge_absence(0, 10, 6, text).accepted
    assert redirection.judge_absence(0, 6 + redirection.LONGEST_ABSENCE, 6, "x").accepted
    for text in ("", "x" * (redirection.LONGEST_TEXT + 1)):
        says(redirection.judge_absence(0, 10, 6, text), "redirection.absence_text", "MSS-060")
