"""Device passwords by the portal: made once, seen, withdrawn, all at once when a phone is lost (TOU-D08, MSS-076)."""

from __future__ import annotations

import plistlib
import re

from mailboxes import devices
from policies.values import BalType
from tests.gateway.portal.serving import DOMAIN, PASSWORD, House

SECRET = re.compile(r'id="secret">([a-z2-7-]{30})<')


def listed(house: House, login: str) -> list[devices.Device]:
    return house.ask(lambda connection: devices.listed(connection, login=login))


def test_a_device_password_is_two_clicks_away_and_shown_once(house: House) -> None:
    house.person("anais.dune")
    number = house.mailbox("anais.dune", "anais.dune")
    browser = house.signed_in("anais.dune")
    assert f'href="/devices/new?mailbox={number}"' in browser.last.text
    page = browser.get(f"/devices/new?mailbox={number}")
    assert page.url.path == "/devices/new", "password and code were typed a moment ago"
    made = browser.send("/devices/new", mailbox=str(number), name="iPhone d’Anaïs")
    found = SECRET.search(made.text)
    assert found, made.text
    assert f"anais.dune@{DOMAIN}" in made.text
    assert "mail.op.mssante.test" in made.text
    assert "Thunderbird" in made.text
    (device,) = listed(house, "anais.dune")
    assert device.name == "iPhone d’Anaïs"
    again = browser.get("/devices").text
    assert "iPhone d’Anaïs" in again
    assert found[1] not in again
    profile = browser.get("/devices/caducee.mobileconfig")
    assert plistlib.loads(profile.content)["PayloadType"] == "Configuration"
    assert found[1].encode() not in profile.content


def test_it_asks_for_password_and_code_again_after_a_while(house: House) -> None:
    house.person("basile.dune")
    number = house.mailbox("basile.dune", "basile.dune")
    browser = house.signed_in("basile.dune")
    browser.get(f"/devices/new?mailbox={number}")
    house.clock.pass_(601)
    assert browser.send("/devices/new", mailbox=str(number), name="late").url.path == "/confirm"
    assert listed(house, "basile.dune") == []
    assert browser.get(f"/devices/new?mailbox={number}").url.path == "/confirm"
    page = browser.send("/confirm", password=PASSWORD, code=house.code("basile.dune"))
    assert str(page.url).endswith(f"/devices/new?mailbox={number}")
    assert f'value="{number}" selected' in page.text


def test_nobody_makes_or_withdraws_for_another(house: House) -> None:
    house.person("cecile.dune")
    house.person("didier.dune")
    number = house.mailbox("cecile.dune", "cecile.dune")
    own = house.mailbox("didier.dune", "didier.dune")
    browser = house.signed_in("cecile.dune")
    browser.get("/devices/new")
    browser.send("/devices/new", mailbox=str(number), name="mine")
    other = house.signed_in("didier.dune")
    other.get("/devices/new")
    assert other.send("/devices/new", mailbox=str(number), name="theirs").status_code == 422
    other.get("/devices/new")
    other.send("/devices/new", mailbox=str(own), name="own")
    other.get("/devices")
    answer = other.send("/devices/withdraw", address=f"cecile.dune@{DOMAIN}", number="1")
    assert answer.status_code == 422
    (device,) = listed(house, "cecile.dune")
    assert device.revoked_at == 0


def test_one_is_withdrawn_by_its_row(house: House) -> None:
    house.person("emma.dune")
    house.mailbox("emma.dune", "emma.dune")
    number = house.mailbox("cabinet.dune", "emma.dune", BalType.CAB)
    browser = house.signed_in("emma.dune")
    for name in ("keep", "leave"):
        browser.get("/devices/new")
        browser.send("/devices/new", mailbox=str(number), name=name)
    browser.get("/devices")
    done = browser.send("/devices/withdraw", choose="2")
    assert "The device is withdrawn" in done.text
    assert [(one.name, bool(one.revoked_at)) for one in listed(house, "emma.dune")] == [
        ("keep", False),
        ("leave", True),
    ]


def test_a_lost_phone_is_cut_off_everywhere(house: House) -> None:
    house.person("flore.dune")
    number = house.mailbox("flore.dune", "flore.dune")
    phone = house.browser("Phone/1")
    phone.sign_in("flore.dune", remember="yes")
    browser = house.signed_in("flore.dune")
    browser.get("/devices/new")
    browser.send("/devices/new", mailbox=str(number), name="phone")
    browser.get("/devices/lost")
    assert "All is withdrawn" in browser.send("/devices/lost").text
    assert all(one.revoked_at for one in listed(house, "flore.dune"))
    assert phone.get("/").url.path == "/sign-in"
    assert "Wrong login" in phone.sign_in("flore.dune", code="").text
    assert browser.get("/").url.path == "/", "this browser is in the hands of its owner"


def test_a_bad_name_comes_back_with_the_reason(house: House) -> None:
    house.person("gwen.dune")
    number = house.mailbox("gwen.dune", "gwen.dune")
    browser = house.signed_in("gwen.dune")
    browser.get("/devices/new")
    answer = browser.send("/devices/new", mailbox=str(number), name=" ")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
