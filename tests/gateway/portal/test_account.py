"""My account by the portal: password, remembered browsers, data taken along, closing (TOU-A16, C08, D07)."""

from __future__ import annotations

import json

from mailboxes import accounts, devices, register
from policies.lifecycle import AccountState
from policies.values import BalState, BalType
from tests.gateway.portal.serving import ACTOR, DOMAIN, PASSWORD, House


def test_a_new_password_ends_sessions_and_remembered_browsers(house: House) -> None:
    house.person("ana.cap")
    browser = house.browser()
    browser.sign_in("ana.cap", remember="yes")
    other = house.signed_in("ana.cap")
    browser.get("/account/password")
    weak = browser.send("/account/password", password="short", again="short")
    assert weak.status_code == 422
    assert "too easy to guess" in weak.text
    unlike = browser.send("/account/password", password="Violette-9-marche?", again="Violette-9-marche!")
    assert "The two passwords are not the same." in unlike.text
    done = browser.send("/account/password", password="Violette-9-marche?", again="Violette-9-marche?")
    assert done.url.path == "/sign-in"
    assert other.get("/").url.path == "/sign-in"
    assert "Wrong login" in browser.sign_in("ana.cap").text
    assert "Wrong login" in browser.sign_in("ana.cap", "Violette-9-marche?", code="").text
    assert browser.sign_in("ana.cap", "Violette-9-marche?").url.path == "/"


def test_remembered_browsers_are_listed_and_forgotten(house: House) -> None:
    house.person("bea.cap", contact="bea@example.org")
    browser = house.browser()
    browser.sign_in("bea.cap", remember="yes")
    page = browser.get("/account").text
    assert "remembered on" in page
    assert "bea@example.org – not verified" in page
    assert "Forgotten." in browser.send("/account/browsers").text
    assert "each login asks for a code" in browser.get("/account").text


def test_what_is_taken_along_is_all_of_oneself_and_nothing_of_others(house: House) -> None:
    house.person("cleo.cap")
    house.person("dan.cap")
    number = house.mailbox("cleo.cap", "cleo.cap")
    house.mailbox("equipe.cap", "dan.cap", BalType.CAB)
    shared = f"equipe.cap@{DOMAIN}"
    house.do(lambda unit: house.people.register.admit(unit, shared, "cleo.cap", ("read",), "dan.cap"))
    browser = house.signed_in("cleo.cap")
    browser.get("/devices/new")
    made = browser.send("/devices/new", mailbox=str(number), name="poste")
    browser.get("/account/data")
    answer = browser.send("/account/data")
    assert "attachment" in answer.headers["content-disposition"]
    data = json.loads(answer.text)
    assert data["person"] == "cleo.cap"
    assert [one["name"] for one in data["kept"]["device"]] == ["poste"]
    assert {one["local"] for one in data["mailboxes"]} == {"cleo.cap"}
    assert {one["actor"] for one in data["journal"]} == {ACTOR, "cleo.cap", "dan.cap"}
    assert {one["kind"] for one in data["journal"] if one["actor"] == "dan.cap"} == {"account.member"}, "who let her in"
    secret = made.text.partition('id="secret">')[2].partition("<")[0]
    assert secret not in answer.text
    assert "argon2" not in answer.text
    house.clock.pass_(700)
    browser.get("/account/data")
    assert browser.last is not None
    assert browser.last.url.path == "/confirm"


def test_closing_ends_every_access_and_closes_what_was_the_persons_own(house: House) -> None:
    house.person("eva.cap")
    house.person("flo.cap")
    number = house.mailbox("eva.cap", "eva.cap")
    house.mailbox("groupe.cap", "flo.cap", BalType.CAB)
    shared = f"groupe.cap@{DOMAIN}"
    house.do(lambda unit: house.people.register.admit(unit, shared, "eva.cap", ("read",), ACTOR))
    browser = house.signed_in("eva.cap")
    browser.get("/devices/new")
    browser.send("/devices/new", mailbox=str(number), name="poste")
    page = browser.get("/account/close").text
    assert f"<li>eva.cap@{DOMAIN}</li>" in page
    assert f"<li>{shared}</li>" not in page
    assert "That is not your login." in browser.send("/account/close", login="flo.cap").text
    done = browser.send("/account/close", login="eva.cap")
    assert "Your account is closed." in done.text
    person = house.ask(lambda connection: accounts.get(connection, "eva.cap"))
    assert (person.state, person.state_by) == (AccountState.CLOSED, "eva.cap")
    box = house.ask(lambda connection: register.get(connection, f"eva.cap@{DOMAIN}"))
    assert box.state is BalState.CLOSED
    assert house.ask(lambda connection: register.get(connection, shared)).state is BalState.ACTIVE
    assert all(
        one.until
        for one in house.ask(lambda connection: register.members(connection, register.get(connection, shared).id))
    )
    assert all(one.revoked_at for one in house.ask(lambda connection: devices.listed(connection, login="eva.cap")))
    assert "Wrong login" in house.browser().sign_in("eva.cap", PASSWORD).text


def test_a_new_telephone_takes_over_once_its_first_code_is_right(house: House) -> None:
    """TOU-A05: the old one serves until then, and its codes are nothing afterwards."""
    house.person("gil.cap")
    browser = house.signed_in("gil.cap")
    other = house.signed_in("gil.cap")
    old = house.secrets["gil.cap"]
    browser.get("/account/code")
    page = browser.send("/account/code")
    assert page.url.path == "/account/code"
    key = page.text.partition('id="key">')[2].partition("<")[0].replace(" ", "")
    wrong = browser.send("/account/code/take", code="000000")
    assert wrong.status_code == 422
    assert "This code is not the one" in wrong.text
    assert key in wrong.text.replace(" ", ""), "it can be tried again"
    assert other.get("/account").url.path == "/account"
    house.secrets["gil.cap"] = key
    done = browser.send("/account/code/take", code=house.code("gil.cap"))
    assert done.url.path == "/sign-in"
    assert "The new phone gives your codes." in done.text
    assert other.get("/account").url.path == "/sign-in"
    assert browser.sign_in("gil.cap").url.path == "/"
    house.secrets["gil.cap"] = old
    assert "Wrong login" in house.browser().sign_in("gil.cap").text


def test_nobody_takes_the_telephone_of_another(house: House) -> None:
    house.person("hana.cap")
    house.person("ivo.cap")
    browser, other = house.signed_in("hana.cap"), house.signed_in("ivo.cap")
    browser.get("/account/code")
    browser.send("/account/code")
    token = next(form["token"] for to, form in browser.forms() if to == "/account/code/take")
    other.get("/account/code")
    other.send("/account/code")
    refused = other.send("/account/code/take", token=token, code="123456")
    assert refused.status_code in (404, 422)
    assert 'id="key"' not in refused.text
    house.clock.pass_(601)
    assert browser.send("/account/code/take", code="123456").status_code == 422
