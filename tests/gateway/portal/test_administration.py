"""Administrators by the portal: what they may, what they may not, and that it stands in their name (TOU-C08, E03, MSS-055, MSS-063)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from gateway.portal import administration
from gateway.record.journal import read
from mailboxes import account_rights, accounts, devices, register
from policies.lifecycle import AccountState
from policies.values import BalState
from tests.gateway.portal.serving import ACTOR, DOMAIN, Browser, House

PATHS = [page.path for page in administration.pages()]


def administrator(house: House, login: str) -> Browser:
    house.person(login)
    house.do(lambda unit: account_rights.grant(unit, login, ACTOR))
    return house.signed_in(login)


@pytest.mark.parametrize("path", PATHS)
def test_without_the_right_there_is_no_administration(house: House, path: str) -> None:
    login = f"curious.{PATHS.index(path)}x"
    house.person(login)
    browser = house.signed_in(login)
    real = path.replace("{login}", login).replace("{id}", "1")
    assert browser.http.get(real).status_code == 404
    assert "Administration" not in browser.get("/").text
    browser.get("/devices/lost")
    mark = browser.forms()[-1][1]["mark"]
    refused = browser.http.post(real, data={"mark": mark, "step": "suspend", "reason": "x"})
    assert refused.status_code in (404, 405)
    assert house.ask(lambda connection: accounts.get(connection, login)).state is AccountState.ACTIVE


def test_a_right_taken_back_counts_at_once(house: House) -> None:
    browser = administrator(house, "adele.mont")
    assert browser.get("/admin").status_code == 200
    house.do(lambda unit: account_rights.end(unit, "adele.mont", ACTOR))
    assert browser.get("/admin").status_code == 404


def test_a_person_is_found_suspended_and_resumed_with_a_reason(house: House) -> None:
    house.person("zoe.plaine")
    house.mailbox("zoe.plaine", "zoe.plaine")
    victim = house.signed_in("zoe.plaine")
    browser = administrator(house, "bruno.mont")
    assert "zoe.plaine" in browser.get("/admin/accounts?search=zoe").text
    assert "zoe.plaine" in browser.get("/admin/accounts?search=Plai").text
    assert "zoe.plaine" not in browser.get("/admin/accounts?search=%25").text
    place = "/admin/accounts/zoe.plaine"
    assert f"zoe.plaine@{DOMAIN}" in browser.get(place).text
    assert browser.send(f"{place}/move", step="suspend", reason=" ").status_code == 422
    browser.get(place)
    assert "Done, and recorded." in browser.send(f"{place}/move", step="suspend", reason="breach").text
    person = house.ask(lambda connection: accounts.get(connection, "zoe.plaine"))
    assert (person.state, person.state_by, person.state_reason) == (AccountState.SUSPENDED, "bruno.mont", "breach")
    assert victim.get("/").url.path == "/sign-in"
    browser.get(place)
    browser.send(f"{place}/move", step="resume", reason="cleared")
    assert victim.sign_in("zoe.plaine").url.path == "/"
    browser.get(place)
    assert browser.send(f"{place}/move", step="close", reason="x").status_code == 422, "stays with the command line"
    assert browser.get("/admin/accounts/no.body").status_code == 404


def test_a_link_is_shown_once_and_asks_for_a_fresh_proof(house: House) -> None:
    house.person("yves.plaine")
    browser = administrator(house, "carla.mont")
    place = "/admin/accounts/yves.plaine"
    browser.get(place)
    page = browser.send(f"{place}/invite")
    found = re.search(r'id="link">https://mail\.op\.mssante\.test(/invitation/[\w-]+)<', page.text)
    assert found
    assert page.url.path == f"{place}/invite"
    assert found[1] not in browser.get(place).text
    assert house.browser().get(found[1]).status_code == 200
    house.clock.pass_(601)
    browser.get(place)
    assert browser.send(f"{place}/invite").url.path == "/confirm"


def test_a_locked_person_is_let_in_again(house: House) -> None:
    house.person("xavier.plaine")
    for _ in range(12):
        house.browser().sign_in("xavier.plaine", "guess", "000000")
    assert house.browser().sign_in("xavier.plaine").status_code == 422
    browser = administrator(house, "denis.mont")
    browser.get("/admin/accounts/xavier.plaine")
    browser.send("/admin/accounts/xavier.plaine/unlock")
    assert house.browser().sign_in("xavier.plaine").url.path == "/"
    records = house.ask(lambda connection: read(connection, newest=50))
    assert any(one.actor == "denis.mont" and one.detail.get("what") == "unlocked" for one in records)


def test_a_lost_device_is_cut_off_by_telephone(house: House) -> None:
    house.person("wanda.plaine")
    number = house.mailbox("wanda.plaine", "wanda.plaine")
    victim = house.signed_in("wanda.plaine")
    victim.get("/devices/new")
    victim.send("/devices/new", mailbox=str(number), name="phone")
    browser = administrator(house, "elsa.mont")
    browser.get("/admin/accounts/wanda.plaine")
    browser.send("/admin/accounts/wanda.plaine/lost")
    assert all(one.revoked_at for one in house.ask(lambda connection: devices.listed(connection, login="wanda.plaine")))
    assert victim.get("/").url.path == "/sign-in"


def test_a_mailbox_is_suspended_and_nothing_of_it_is_shown(house: House) -> None:
    house.person("ugo.plaine")
    number = house.mailbox("ugo.plaine", "ugo.plaine")
    browser = administrator(house, "felix.mont")
    assert f"ugo.plaine@{DOMAIN}" in browser.get("/admin/mailboxes?search=ugo.plaine").text
    browser.get(f"/admin/mailboxes/{number}")
    browser.send(f"/admin/mailboxes/{number}/move", step="suspend", reason="asked")
    box = house.ask(lambda connection: register.get(connection, f"ugo.plaine@{DOMAIN}"))
    assert (box.state, box.state_by) == (BalState.SUSPENDED, "felix.mont")
    assert browser.get(f"/mailboxes/{number}/sent").status_code == 404
    assert browser.get(f"/mailboxes/{number}/access").status_code == 404
    assert browser.get("/admin/queue").status_code == 200


def test_an_account_and_its_mailboxes_are_opened_and_the_person_invited(house: House) -> None:
    """MSS-050 to MSS-053, MSS-061, TOU-D06: by the rules of the command line, with the reason on the page."""
    browser = administrator(house, "gerard.mont")
    browser.get("/admin/open/account")
    typed = {"login": "Tom.Neuf", "given": "Tom", "family": "Neuf", "identity": "ESSAI-tom", "verified": "card seen"}
    inside = browser.send("/admin/open/account", **typed, contact=f"tom@{DOMAIN}")
    assert inside.status_code == 422
    assert 'value="ESSAI-tom"' in inside.text, "what was typed is still there"
    assert (
        browser.send("/admin/open/account", **typed, contact="tom@example.org").url.path == "/admin/accounts/tom.neuf"
    )
    person = house.ask(lambda connection: accounts.get(connection, "tom.neuf"))
    assert (person.state, person.state_by, person.state_reason) == (AccountState.ACTIVE, "gerard.mont", "card seen")
    browser.get("/admin/open/mailbox")
    box = {"local": "tom.neuf", "domain": DOMAIN, "type": "PER"}
    assert browser.send("/admin/open/mailbox", **box).status_code == 422, "nobody's"
    assert f"tom.neuf@{DOMAIN}" in browser.send("/admin/open/mailbox", **box, owner="tom.neuf").text
    browser.get("/admin/open/mailbox")
    browser.send(
        "/admin/open/mailbox",
        local="urg.neuf",
        domain=DOMAIN,
        type="ORG",
        structure="399900000000018",
        service="Urgences",
    )
    team = house.ask(lambda connection: register.get(connection, f"urg.neuf@{DOMAIN}"))
    place = f"/admin/mailboxes/{team.id}"
    browser.get(place)
    browser.send(f"{place}/members", login="tom.neuf", right="admin")
    (member,) = house.ask(lambda connection: register.members(connection, team.id))
    assert (member.login, member.rights, member.given_by) == ("tom.neuf", ("admin",), "gerard.mont")
    browser.get("/admin/open/mailbox")
    assert browser.send("/admin/open/mailbox", **{**box, "local": "x", "domain": "elsewhere.test"}).status_code == 422
    house.clock.pass_(601)
    assert browser.get("/admin/open/account").url.path == "/confirm"


def test_no_page_can_open_what_is_in_a_mailbox() -> None:
    """MSS-063: nothing in the portal asks for the store of messages, for a key, or for what unseals a body."""
    folder = Path(administration.__file__).parent
    used = {
        node.attr
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
    }
    assert used & {"store", "keyring", "sealer", "blobs", "master", "fetch", "bodies"} == set()
