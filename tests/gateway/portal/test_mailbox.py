"""A mailbox by the portal: directory, sent board, access log, rules and members (TOU-A08, A09, C02, E06, MSS-058, MSS-061, MSS-062)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from gateway.record.journal import read
from gateway.relay import tracking
from gateway.relay.tracking import Followed
from mailboxes import register, rules
from policies.events import Event, Kind
from policies.receipts import State
from policies.values import BalType
from tests.gateway.portal.serving import ACTOR, DOMAIN, House


def box(house: House, local: str) -> register.Mailbox:
    return house.ask(lambda connection: register.get(connection, f"{local}@{DOMAIN}"))


def last_events(house: House, number: int) -> list[tuple[str, str, str]]:
    found = house.ask(lambda connection: read(connection, mailbox=number))
    return [(one.kind, one.actor, str(one.detail.get("what", ""))) for one in found]


# directory


def test_each_address_is_put_on_the_red_list_by_its_box(house: House) -> None:
    house.person("alix.ile")
    one, two = house.mailbox("alix.ile", "alix.ile"), house.mailbox("cabinet.ile", "alix.ile", BalType.CAB)
    other = house.mailbox("service.ile", "", BalType.ORG)
    browser = house.signed_in("alix.ile")
    page = browser.get("/directory").text
    assert "The other professionals can read them." in page, "what is published is told (TOU-A09)"
    assert f"service.ile@{DOMAIN}" not in page
    sent = {"mark": browser.forms()[-1][1]["mark"], "shown": [str(one), str(two), str(other)]}
    answer = browser.http.post("/directory", data={**sent, "red_list": [str(one), str(other)], "paperless": [str(two)]})
    assert answer.status_code == 303
    assert (box(house, "alix.ile").red_list, box(house, "alix.ile").paperless) == (True, False)
    assert (box(house, "cabinet.ile").red_list, box(house, "cabinet.ile").paperless) == (False, True)
    assert not box(house, "service.ile").red_list, "not this person's to choose"
    assert last_events(house, one)[-1] == ("account.mailbox", "alix.ile", "attributes red_list=on")
    before = len(last_events(house, one))
    browser.http.post("/directory", data={**sent, "red_list": [str(one)], "paperless": [str(two)]})
    assert len(last_events(house, one)) == before, "what did not change is not written"
    browser.http.post("/directory", data={**sent})
    assert not box(house, "alix.ile").red_list
    assert "checked" not in browser.get("/directory").text


# sent


def followed(house: House, number: int, message: str, *recipients: str, state: State = State.QUEUED) -> None:
    rows = [
        Followed(message, to, number, "x@y", f"{message}@id", "", "mssante", frozenset({"delivery"}), state)
        for to in recipients
    ]
    house.do(lambda unit: tracking.follow(unit, rows, 86400))
    house.clock.pass_(1)


def test_the_sent_board_has_a_line_for_each_recipient_with_state_and_cause(house: House) -> None:
    house.person("boris.ile")
    number = house.mailbox("boris.ile", "boris.ile")
    followed(house, number, "MSG1", "a@partner.mssante.test", "b@partner.mssante.test")
    house.do(lambda unit: tracking.note(unit, "MSG1", "b@partner.mssante.test", State.FAILED, "5.1.1"))
    browser = house.signed_in("boris.ile")
    browser.http.headers["Accept-Language"] = "fr"
    page = browser.get(f"/mailboxes/{number}/sent").text
    assert page.count("MSG1") == 2
    assert "en file" in page
    assert "non remis" in page
    assert "<strong>" in page, "the cause in words"


def test_a_long_board_is_read_page_by_page_and_no_line_is_lost(house: House) -> None:
    house.person("clara.ile")
    number = house.mailbox("clara.ile", "clara.ile")
    everyone = [f"r{n}@partner.mssante.test" for n in range(70)]
    followed(house, number, "LARGE", *everyone)
    for n in range(60):
        followed(house, number, f"ONE{n:02}", "c@partner.mssante.test")
    browser, seen, path = house.signed_in("clara.ile"), "", f"/mailboxes/{number}/sent"
    for _ in range(6):
        page = browser.get(path).text
        seen += page
        _, more, rest = page.partition(f'href="/mailboxes/{number}/sent?before=')
        if not more:
            break
        path = f"/mailboxes/{number}/sent?before={rest.partition(chr(34))[0]}"
    assert seen.count("<code") == 130
    assert all(f"ONE{n:02}" in seen for n in range(60))
    for strange in ("nan", "-1", "inf", "1e99", "x"):
        assert browser.get(f"/mailboxes/{number}/sent?before={strange}").status_code == 200


# access


def test_the_owner_sees_who_opened_the_mailbox(house: House) -> None:
    """MSS-062: the natural person, also on a shared mailbox."""
    house.person("dora.ile")
    number = house.mailbox("dora.ile", "dora.ile")
    detail = {"command": "FETCH", "folder": "INBOX", "count": 3, "uids": "1:3", "ip": "192.0.2.7"}
    house.do(lambda unit: unit.emit(Event(Kind.READ, actor="someone.else", mailbox=number, detail=detail)))
    page = house.signed_in("dora.ile").get(f"/mailboxes/{number}/access").text
    assert "someone.else" in page
    assert "192.0.2.7" in page
    assert "reading" in page


# whose


@pytest.mark.parametrize("place", ["sent", "access", "rules", "members"])
def test_a_mailbox_of_others_does_not_exist(house: House, place: str) -> None:
    """One answer for what is not there and what is none of the reader's business."""
    house.person(f"own.{place}")
    house.person(f"other.{place}")
    number = house.mailbox(f"own.{place}", f"own.{place}")
    browser = house.signed_in(f"other.{place}")
    there, nowhere = browser.get(f"/mailboxes/{number}/{place}"), browser.get(f"/mailboxes/999999/{place}")
    assert there.status_code == nowhere.status_code == 404
    assert there.text.replace(f"/{number}/", "/N/") == nowhere.text.replace("/999999/", "/N/")


def test_a_member_sees_what_was_sent_but_not_who_opened_it(house: House) -> None:
    house.person("emile.ile")
    number = house.mailbox("urgences.ile", "", BalType.ORG)
    address = f"urgences.ile@{DOMAIN}"
    house.do(lambda unit: house.people.register.admit(unit, address, "emile.ile", ("read", "send_as"), ACTOR))
    browser = house.signed_in("emile.ile")
    assert browser.get(f"/mailboxes/{number}/sent").status_code == 200
    assert browser.get(f"/mailboxes/{number}/access").status_code == 404
    assert browser.get(f"/mailboxes/{number}/members").status_code == 404


# rules


def test_an_absence_is_switched_on_and_stopped(house: House) -> None:
    house.person("fred.ile")
    number = house.mailbox("fred.ile", "fred.ile")
    browser = house.signed_in("fred.ile")
    today = datetime.fromtimestamp(house.clock()).astimezone().date()
    browser.get(f"/mailboxes/{number}/rules")
    text = "Absent <jusqu’au 3>.\nUrgences : 15."
    given = {"from": today.isoformat(), "until": (today + timedelta(days=7)).isoformat(), "text": text}
    done = browser.send(f"/mailboxes/{number}/rules/absence", **given)
    assert "The answer is switched on." in done.text
    assert "Absent &lt;jusqu’au 3&gt;." in done.text
    (rule,) = house.ask(lambda connection: rules.listed(connection, f"fred.ile@{DOMAIN}"))
    assert (rule.kind, rule.text, rule.created_by) == ("absence", text, "fred.ile")
    assert rule.ends_at - rule.starts_at <= 8 * 86400
    ended = browser.send(f"/mailboxes/{number}/rules/remove")
    assert "The rule ended." in ended.text
    assert house.ask(lambda connection: rules.listed(connection, f"fred.ile@{DOMAIN}")) == []
    browser.get(f"/mailboxes/{number}/rules")
    assert browser.send(f"/mailboxes/{number}/rules/absence", **{**given, "until": "soon"}).status_code == 422
    late = browser.send(f"/mailboxes/{number}/rules/absence", **{**given, "until": "2001-01-01"})
    assert late.status_code == 422
    assert "Absent &lt;jusqu’au 3&gt;." in late.text, "what was typed is still there"


def test_a_forward_stays_inside_the_space(house: House) -> None:
    """MSS-058: the judgement is the one of the running service."""
    house.person("gaia.ile")
    number = house.mailbox("gaia.ile", "gaia.ile")
    browser = house.signed_in("gaia.ile")
    place = f"/mailboxes/{number}/rules"
    browser.get(place)
    outside = browser.send(f"{place}/forward", target="gaia@gmail.example", keep="yes")
    assert outside.status_code == 422
    assert "outside the trust space" in outside.text
    inside = browser.send(f"{place}/forward", target="gaia@partner.mssante.test", keep=None)
    assert "The forwarding is in force." in inside.text
    (rule,) = house.ask(lambda connection: rules.listed(connection, f"gaia.ile@{DOMAIN}"))
    assert (rule.target, rule.keep) == ("gaia@partner.mssante.test", False)


# members


def test_who_administers_a_mailbox_admits_and_dismisses(house: House) -> None:
    """MSS-061: dated rights, and what is dismissed opens nothing any more."""
    house.person("hugo.ile")
    house.person("ida.ile")
    number = house.mailbox("accueil.ile", "hugo.ile", BalType.CAB)
    browser = house.signed_in("hugo.ile")
    place = f"/mailboxes/{number}/members"
    page = browser.get(place)
    mark = browser.forms()[-1][1]["mark"]
    nobody = browser.send(place, login="no.body", right="read")
    assert nobody.status_code == 422
    assert "No active account has this login." in nobody.text
    browser.http.post(place, data={"mark": mark, "login": "IDA.ILE", "right": ["read", "send_as"]})
    (member,) = house.ask(lambda connection: register.members(connection, number))
    assert (member.login, set(member.rights), member.given_by) == ("ida.ile", {"read", "send_as"}, "hugo.ile")
    assert f"accueil.ile@{DOMAIN}" in house.signed_in("ida.ile").get("/").text
    page = browser.get(place)
    assert "ida.ile" in page.text
    browser.send(f"{place}/dismiss", choose="ida.ile")
    assert f"accueil.ile@{DOMAIN}" not in house.signed_in("ida.ile").get("/").text
    assert last_events(house, number)[-1] == ("account.member", "hugo.ile", "dismissed")


def test_the_owner_of_a_personal_mailbox_agrees_by_admitting(house: House) -> None:
    house.person("jade.ile")
    house.person("kim.ile")
    number = house.mailbox("jade.ile", "jade.ile")
    browser = house.signed_in("jade.ile")
    assert "you agree that they open it" in browser.get(f"/mailboxes/{number}/members").text
    browser.send(f"/mailboxes/{number}/members", login="kim.ile", right="read")
    (member,) = house.ask(lambda connection: register.members(connection, number))
    assert member.login == "kim.ile"
