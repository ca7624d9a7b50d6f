"""What the portal keeps of people, on each database: browsers, sessions, invitations, rights, terms, and finding who is who."""

from __future__ import annotations

from functools import partial

import pyotp
import pytest

from mailboxes import (
    account_rights,
    accounts,
    attempts,
    invitations,
    known_browsers,
    register,
    terms_of_use,
    web_sessions,
)
from mailboxes.accounts import Refused
from mailboxes.invitations import Answer
from mailboxes.sessions import Credential
from mailboxes.terms_of_use import Terms
from mailboxes.web_sessions import Opened, WebRules
from policies.lifecycle import Step
from tests.mailboxes.people import ACTOR, DOMAIN, House

PASSWORD = "Corneille-7-sonne!"
RULES = WebRules()


def came_in(house: House, secret: str, *, code: str | None = None, browser: str = "", remember: bool = False) -> Opened:
    house.clock.pass_(30)
    typed = pyotp.TOTP(secret).at(int(house.clock())) if code is None else code
    given = Credential("marie.martin", PASSWORD, typed, "agent", "192.0.2.1", browser, "portal")
    return web_sessions.open_session(house.sessions, house.committer, given, RULES, remember=remember)


def current(house: House, opened: Opened, agent: str = "agent") -> web_sessions.WebSession | None:
    now = house.clock()
    return house.ask(lambda connection: web_sessions.current(connection, opened.token, agent, RULES, now))


def test_a_browser_is_remembered_for_its_person_alone_and_for_a_time(shared_house: House) -> None:
    house = shared_house
    marie = house.person()
    paul = house.person("paul.durand", identity="8ANS0002")
    secret = house.secrets("marie.martin")
    first = came_in(house, secret, remember=True)
    assert first.browser
    assert came_in(house, secret, code="", browser=first.browser).token != first.token
    with pytest.raises(Refused):
        came_in(house, secret, code="", browser="guess")
    with pytest.raises(Refused):
        came_in(house, secret, code="000000", browser=first.browser)  # a code that was typed must be right
    now = house.clock()
    (kept,) = house.ask(lambda connection: known_browsers.listed(connection, marie, now))
    assert kept.last_ip == "192.0.2.1"
    assert house.ask(lambda connection: known_browsers.listed(connection, paul, now)) == []
    house.do(lambda unit: house.accounts.set_password(unit, "marie.martin", PASSWORD, ACTOR))
    assert house.do(lambda unit: known_browsers.forget(unit, marie, "marie.martin")) == 1
    with pytest.raises(Refused):
        came_in(house, secret, code="", browser=first.browser)


def test_what_a_remembered_browser_opens_is_not_fresh(shared_house: House) -> None:
    house = shared_house
    house.person()
    secret = house.secrets("marie.martin")
    opened = came_in(house, secret, remember=True)
    strong, weak = current(house, opened), current(house, came_in(house, secret, code="", browser=opened.browser))
    assert strong is not None
    assert weak is not None
    assert strong.fresh(RULES, house.clock())
    assert not weak.fresh(RULES, house.clock())
    assert not strong.fresh(RULES, house.clock() + RULES.proof + 60)
    assert not strong.fresh(RULES, house.clock() - 7200), "a clock set back makes no proof fresh"


def test_a_session_ends_alone_with_the_others_or_with_its_person(shared_house: House) -> None:
    house = shared_house
    house.person()
    secret = house.secrets("marie.martin")
    one, two, three = (came_in(house, secret) for _ in range(3))
    assert current(house, one, "another agent") is None
    house.do(lambda unit: web_sessions.end(unit, one.token))
    assert current(house, one) is None
    kept = current(house, two)
    assert kept is not None
    assert house.do(lambda unit: web_sessions.end_others(unit, kept)) == 1
    assert current(house, three) is None
    assert current(house, two) is not None
    house.do(lambda unit: house.accounts.move(unit, "marie.martin", Step.SUSPEND, "asked", ACTOR))
    assert current(house, two) is None
    house.do(lambda unit: house.accounts.move(unit, "marie.martin", Step.RESUME, "done", ACTOR))
    assert current(house, two) is None, "a session that ended stays so"


def test_two_who_use_one_link_at_once_get_one_account(shared_house: House) -> None:
    house = shared_house
    house.person()
    token = house.do(lambda unit: invitations.invite(unit, house.accounts, "marie.martin", 3600, ACTOR))
    now = house.clock()
    found = house.ask(lambda connection: invitations.find(connection, house.accounts, token, now))
    answer = Answer("Marie.Martin", PASSWORD, pyotp.TOTP(found.secret).at(int(now)))
    accept = partial(invitations.accept, own=house.accounts, token=token, given=answer, hashed="x")
    assert house.do(accept) == "marie.martin"
    with pytest.raises(Refused) as refused:
        house.do(accept)
    assert refused.value.decision.rule.name == "account.invitation_over"
    house.do(lambda unit: house.accounts.move(unit, "marie.martin", Step.CLOSE, "left", ACTOR))
    with pytest.raises(Refused):
        house.do(lambda unit: invitations.invite(unit, house.accounts, "marie.martin", 3600, ACTOR))


def test_a_right_is_given_and_ended_as_often_as_one_likes(shared_house: House) -> None:
    house = shared_house
    marie = house.person()
    for _ in range(2):  # within one second
        house.do(lambda unit: account_rights.grant(unit, "marie.martin", ACTOR))
        house.do(lambda unit: account_rights.grant(unit, "marie.martin", ACTOR))
        assert house.ask(lambda connection: account_rights.has(connection, marie))
        assert house.do(lambda unit: account_rights.end(unit, "marie.martin", ACTOR))
        assert not house.ask(lambda connection: account_rights.has(connection, marie))
    assert not house.do(lambda unit: account_rights.end(unit, "marie.martin", ACTOR))
    house.person("paul.durand", identity="8ANS0002", verified="")
    with pytest.raises(Refused):
        house.do(lambda unit: account_rights.grant(unit, "paul.durand", ACTOR))


def test_the_newest_answer_to_the_terms_counts(shared_house: House) -> None:
    house = shared_house
    marie = house.person()
    terms = Terms("Texte")
    for yes in (True, False, True):
        house.do(partial(terms_of_use.answer, account_id=marie, login="m", shown=terms, ip="192.0.2.1", yes=yes))
        assert house.ask(lambda connection: terms_of_use.accepted(connection, marie, terms.version)) is yes
    assert not house.ask(lambda connection: terms_of_use.accepted(connection, marie, Terms("Autre").version))
    assert len(house.ask(lambda connection: terms_of_use.answers(connection, marie))) == 3


def test_people_and_mailboxes_are_found_by_how_they_begin(shared_house: House) -> None:
    house = shared_house
    house.person()
    house.person("paul_durand", identity="8ANS0002")
    house.mailbox()
    house.mailbox("marie_annexe")
    house.mailbox("service", type_="ORG")  # type: ignore[arg-type]

    def people(text: str) -> list[str]:
        return [one.login for one in house.ask(lambda connection: accounts.search(connection, text, 10))]

    def boxes(text: str) -> list[str]:
        return [one.address.local for one in house.ask(lambda connection: register.search(connection, text, 10))]

    assert people("") == ["marie.martin", "paul_durand"]
    assert people("MARIE") == ["marie.martin"]
    assert people("paul_") == ["paul_durand"]
    assert people("p_ul") == people("%") == people("\\") == []
    assert boxes("marie") == ["marie.martin", "marie_annexe"]
    assert boxes(f"marie.martin@{DOMAIN}") == ["marie.martin"]
    assert boxes("marie.martin@elsewhere.test") == boxes("%") == []
    assert house.ask(accounts.count_by_state) == {"active": 2}
    assert house.ask(register.count_by_state) == {"active": 3}


def test_unlocking_forgets_failures_from_everywhere(shared_house: House) -> None:
    house = shared_house
    subject = attempts.subject_of("session", "marie.martin")
    own = house.sessions.attempts
    for ip in ("192.0.2.1", "192.0.2.2"):
        for _ in range(12):
            house.do(lambda unit, ip=ip: own.charge(unit.cursor, subject, ip, unit.now))
    assert house.do(lambda unit: own.charge(unit.cursor, subject, "192.0.2.1", unit.now)).locked_until
    assert house.do(lambda unit: attempts.unlock(unit.cursor, subject)) == 2
    assert not house.do(lambda unit: own.charge(unit.cursor, subject, "192.0.2.1", unit.now)).locked_until
