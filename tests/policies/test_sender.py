"""Who writes: login, envelope, headers (MSS-034, MSS-035, MSS-074, F75, F76)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from policies import sender
from policies.decision import Decision
from policies.sender import Originators
from policies.trust import FromPolicy
from policies.values import BalState
from tests.policies.cases import B_SUBJECT, GOOD, NOW, SETTINGS, address, certificate, login, mailbox, says, spaces

MARIE = "marie.martin@op-a.mssante.test"
TEAM = "cardiologie@op-a.mssante.test"
OTHER = "paul.durand@op-a.mssante.test"
ME = login(MARIE, TEAM)


def written(*authors: str, fields: int = 1, **more: tuple[str, ...]) -> Originators:
    return Originators(
        fields,
        tuple(address(one) for one in authors),
        tuple(address(one) for one in more.get("senders", ())),
        tuple(address(one) for one in more.get("resent", ())),
        more.get("unreadable", ()),
    )


@pytest.mark.parametrize("own", [MARIE, MARIE.upper().replace("OP-A.MSSANTE.TEST", "op-a.mssante.test"), TEAM])
def test_mail_from_may_be_ones_own_or_a_team(own: str) -> None:
    says(sender.judge_mail_from(ME, address(own)), "sender.accepted", "MSS-074")


def test_mail_from_of_another_is_refused() -> None:
    decision = says(sender.judge_mail_from(ME, address(OTHER)), "sender.not_yours", "MSS-074")
    assert (decision.code, decision.enhanced) == (553, "5.7.1")
    assert OTHER in decision.sentence("fr")


def test_a_member_who_may_only_read_does_not_write_in_the_name_of_the_mailbox() -> None:
    """MSS-061: the mailbox logged in to is no exception, neither in the envelope nor in the headers."""
    reader = replace(ME, send_as=frozenset())
    says(sender.judge_mail_from(reader, address(MARIE)), "sender.no_right", "MSS-061")
    says(sender.judge_submission(reader, None, written(MARIE), notice=True), "sender.no_right", "MSS-074")
    says(sender.judge_mail_from(reader, address(OTHER)), "sender.not_yours", "MSS-074")


def test_a_mailbox_that_is_not_active_cannot_send() -> None:
    for state in (BalState.SUSPENDED, BalState.CLOSED, BalState.DELETED):
        decision = sender.judge_mail_from(ME, address(MARIE), mailbox(MARIE, state))
        says(decision, "sender.mailbox_not_active", "MSS-055")
    assert sender.judge_mail_from(ME, address(MARIE), mailbox(MARIE)).accepted


@pytest.mark.parametrize(
    ("who", "rule"),
    [
        (written(OTHER), "sender.header_not_yours"),
        (written(MARIE, senders=(OTHER,)), "sender.header_not_yours"),
        (written(MARIE, resent=(OTHER,)), "sender.header_not_yours"),
        (written(TEAM, senders=(MARIE,)), "sender.accepted"),
        (written(MARIE), "sender.accepted"),
    ],
)
def test_every_author_field_is_the_logins(who: Originators, rule: str) -> None:
    says(sender.judge_submission(ME, address(MARIE), who), rule, "MSS-074")


@pytest.mark.parametrize(
    ("who", "rule", "source"),
    [
        (written(fields=0), "sender.from_missing", "RFC 5322 3.6"),
        (written(fields=1), "sender.from_missing", "RFC 5322 3.6"),
        (written(MARIE, MARIE, fields=2), "sender.from_several", "RFC 5322 3.6"),
        (written(MARIE, fields=2), "sender.from_several", "RFC 5322 3.6"),  # one of them an empty group
        (written(MARIE, TEAM), "sender.from_several", "MSS-074"),
        (written(MARIE, unreadable=("sender",)), "sender.header_unreadable", "MSS-074"),
    ],
)
def test_there_is_exactly_one_readable_author(who: Originators, rule: str, source: str) -> None:
    says(sender.judge_submission(ME, address(MARIE), who), rule, source)
    inbound = sender.judge_inbound_authors(address("x@op-b.mssante.test"), who, GOOD, spaces(), NOW, SETTINGS)
    says(inbound, rule, source)


def test_the_null_sender_is_for_notices_to_one_recipient() -> None:
    assert sender.judge_mail_from(ME, None).accepted
    says(sender.judge_submission(ME, None, written(MARIE)), "sender.null_not_a_notice", "MSS-035")
    assert sender.judge_submission(ME, None, written(MARIE), notice=True).accepted
    several = sender.judge_submission(ME, None, written(MARIE), notice=True, recipients=2)
    says(several, "sender.null_several_recipients", "RFC 3464 2")
    forged = sender.judge_submission(ME, None, written(OTHER), notice=True)
    says(forged, "sender.header_not_yours", "MSS-074")


@pytest.mark.parametrize(
    ("hidden", "recipients", "passes"),
    [
        ((), (MARIE, OTHER), True),
        ((OTHER,), (MARIE, OTHER), False),
        ((OTHER,), (MARIE,), False),
        ((OTHER,), (OTHER,), True),
        ((OTHER, MARIE), (OTHER,), True),  # the copy of those named, sent apart
        (None, (MARIE,), False),
    ],
)
def test_nobody_reads_who_else_gets_a_blind_copy(
    hidden: tuple[str, ...] | None, recipients: tuple[str, ...], passes: bool
) -> None:
    named = None if hidden is None else [address(each) for each in hidden]
    decision = sender.judge_hidden(named, [address(each) for each in recipients])
    if passes:
        assert decision.accepted
    else:
        says(decision, "sender.hidden_recipients", "RFC 5322 3.6.3")


PARTNER = "dr.b@op-b.mssante.test"


def test_the_author_of_incoming_mail_is_in_the_space() -> None:
    decision = sender.judge_inbound_authors(address(PARTNER), written("boss@evil.test"), GOOD, spaces(), NOW, SETTINGS)
    says(decision, "sender.from_not_listed", "MSS-034")


@pytest.mark.parametrize(
    ("policy", "author", "accepted"),
    [
        (FromPolicy.SAME_DOMAIN, PARTNER, True),
        (FromPolicy.SAME_DOMAIN, "x@second-b.mssante.test", False),
        (FromPolicy.SAME_CERTIFICATE, "x@second-b.mssante.test", True),
        (FromPolicy.SAME_CERTIFICATE, "x@op-c.mssante.test", False),
        (FromPolicy.SAME_CERTIFICATE, "x@op-a.mssante.test", False),
        (FromPolicy.LISTED, "x@op-c.mssante.test", True),
    ],
)
def test_the_author_agrees_with_the_envelope(policy: FromPolicy, author: str, accepted: bool) -> None:
    settings = replace(SETTINGS, from_policy=policy)
    space = spaces(("second-b.mssante.test", B_SUBJECT))
    decision = sender.judge_inbound_authors(address(PARTNER), written(author), GOOD, space, NOW, settings)
    says(
        decision, "sender.accepted" if accepted else "sender.from_not_consistent", "MSS-074" if accepted else "MSS-034"
    )


def test_a_message_openly_resent_within_the_space_passes_when_configured() -> None:
    resent = written("x@op-c.mssante.test", resent=(PARTNER,))
    assert sender.judge_inbound_authors(address(PARTNER), resent, GOOD, spaces(), NOW, SETTINGS).accepted
    chain = written("x@op-c.mssante.test", resent=(PARTNER, "y@op-c.mssante.test"))  # the newest comes first
    assert sender.judge_inbound_authors(address(PARTNER), chain, GOOD, spaces(), NOW, SETTINGS).accepted
    forged = written("x@op-c.mssante.test", resent=("y@op-c.mssante.test",))
    for who, settings in ((forged, SETTINGS), (resent, replace(SETTINGS, accept_resent=False))):
        decision = sender.judge_inbound_authors(address(PARTNER), who, GOOD, spaces(), NOW, settings)
        says(decision, "sender.from_not_consistent", "MSS-034")


@pytest.mark.parametrize("policy", list(FromPolicy))
def test_a_notice_comes_from_a_domain_of_the_certificate(policy: FromPolicy) -> None:
    settings = replace(SETTINGS, from_policy=policy)
    own = written("mailer-daemon@op-b.mssante.test")
    assert sender.judge_inbound_authors(None, own, GOOD, spaces(), NOW, settings).accepted
    foreign = sender.judge_inbound_authors(None, written("x@op-c.mssante.test"), GOOD, spaces(), NOW, settings)
    assert foreign.accepted is (policy is FromPolicy.LISTED)


def test_a_notice_may_bear_the_name_of_the_server_that_wrote_it() -> None:
    """MAILER-DAEMON at the host is what Postfix, Exim and Sendmail write when nobody told them otherwise."""
    daemon = written("MAILER-DAEMON@SMTP.op-b.mssante.test")

    def judged(sent_by: str | None, who: Originators, *, notice: bool) -> Decision:
        envelope = address(sent_by) if sent_by else None
        return sender.judge_inbound_authors(envelope, who, GOOD, spaces(), NOW, SETTINGS, notice=notice)

    assert judged(None, daemon, notice=True).accepted
    says(judged(None, daemon, notice=False), "sender.from_not_listed", "MSS-034")
    says(judged(PARTNER, daemon, notice=True), "sender.from_not_listed", "MSS-034")
    other = written("MAILER-DAEMON@smtp.op-c.mssante.test")
    says(judged(None, other, notice=True), "sender.from_not_listed", "MSS-034")


def test_a_certificate_without_a_readable_name_speaks_for_nobody() -> None:
    nameless = certificate(subject="")
    decision = sender.judge_inbound_authors(None, written(PARTNER), nameless, spaces(), NOW, SETTINGS)
    says(decision, "sender.from_not_consistent", "MSS-034")


def test_authors_wait_with_the_list() -> None:
    stale = spaces(fetched=NOW - timedelta(days=30))
    says(
        sender.judge_inbound_authors(None, written(PARTNER), GOOD, stale, NOW, SETTINGS), "trust.list_stale", "MSS-013"
    )
    says(
        sender.judge_inbound_authors(None, written(PARTNER), GOOD, None, NOW, SETTINGS), "trust.list_missing", "MSS-013"
    )
