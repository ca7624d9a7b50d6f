"""Finding a correspondent by the portal (MSS-121, MSS-130, MSS-131)."""

from __future__ import annotations

from dataclasses import replace

from gateway.record.journal import read
from policies.events import Kind
from tests.gateway.portal.serving import ACTOR, DOMAIN, House


def hide(house: House, local: str) -> None:
    house.do(lambda unit: house.people.register.set_attributes(unit, f"{local}@{DOMAIN}", {"red_list": True}, ACTOR))


def allow(house: House, searches: int, entries: int) -> None:
    own = house.config.http
    more = replace(own, directory_searches_per_minute=searches, directory_entries_per_hour=entries)
    house.config = replace(house.config, http=more)


def test_words_find_whoever_is_to_be_seen(house: House) -> None:
    for login in ("zoe.ardoise", "yves.ardoise", "max.ardoise"):
        house.person(login)
        house.mailbox(login, login)
    browser = house.signed_in("zoe.ardoise")
    page = browser.get("/find?q=ardoise").text
    assert [f"{name}.ardoise@{DOMAIN}" in page for name in ("zoe", "yves", "max")] == [True] * 3
    assert "3 found." in page
    assert f"yves.ardoise@{DOMAIN}" in browser.get("/find?q=YV%C3%89S+ardo").text
    never = browser.get("/find?q=nemo.ardoise").text
    hide(house, "yves.ardoise")
    hidden = browser.get("/find?q=yves.ardoise").text
    assert hidden.replace("yves", "nemo") == never, "hidden is as one that never was"
    assert "Nobody answers" in hidden


def test_what_was_looked_for_is_kept_nowhere(house: House) -> None:
    house.person("ada.granit")
    house.signed_in("ada.granit").get("/find?q=quelquun+de+precis")
    records = house.ask(lambda connection: read(connection, newest=20))
    searched = [one for one in records if one.kind == Kind.DIRECTORY_SEARCHED.word and one.actor == "ada.granit"]
    assert [(one.detail["door"], one.detail["searches"], one.detail["entries"]) for one in searched] == [
        ("https", 1, 0)
    ]
    assert "precis" not in str(records)


def test_one_person_sees_so_much_and_asks_so_often(house: House) -> None:
    for number in range(4):
        house.person(f"p{number}.schiste")
        house.mailbox(f"p{number}.schiste", f"p{number}.schiste")
    before = house.config
    browser = house.signed_in("p0.schiste")
    try:
        allow(house, 1000, 3)
        page = browser.get("/find?q=schiste").text
        assert page.count(f".schiste@{DOMAIN}") == 3
        assert "all that one person may see" in page
        allow(house, 1, 3)
        assert "Too many searches" in browser.get("/find?q=schiste").text
    finally:
        house.config = before


def test_nobody_searches_without_signing_in(house: House) -> None:
    answer = house.browser().get("/find?q=martin")
    assert answer.url.path == "/sign-in"
    assert "martin" not in str(answer.url)
