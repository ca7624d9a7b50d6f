"""Coming in by the portal: sign in, remembered browsers, invitations, terms of use, and what keeps others out (TOU-A05, C07, D05, D07)."""

from __future__ import annotations

import html
import re
from functools import partial
from pathlib import Path

import httpx
import pytest

from gateway.record.journal import read
from mailboxes import accounts, invitations, known_browsers, terms_of_use
from mailboxes.accounts import NewAccount, Refused
from mailboxes.invitations import Answer
from policies.events import Kind
from policies.lifecycle import Step
from tests.gateway.portal.serving import ACTOR, PASSWORD, House

WRONG = "Wrong login, password or code."


def events(house: House, kind: Kind, actor: str) -> list[dict[str, object]]:
    found = house.ask(lambda connection: read(connection, kind=kind))
    return [record.detail for record in found if record.actor == actor]


# signing in


def test_password_and_code_open_a_session_that_shows_who_is_in(house: House) -> None:
    house.person("anne.petit", title="Dr")
    browser = house.browser()
    assert browser.get("/").url.path == "/sign-in"
    answer = browser.sign_in("anne.petit")
    assert answer.url.path == "/"
    assert "Dr Anne Petit" in answer.text
    (login,) = events(house, Kind.LOGIN, "anne.petit")
    assert (login["means"], login["ip"]) == ("portal", "127.0.0.1")


def test_what_was_wrong_is_not_told(house: House) -> None:
    """F61: login, password and code, one sentence."""
    house.person("bruno.roche")
    for login, password, code in (
        ("nobody.here", PASSWORD, "123456"),
        ("bruno.roche", "another password", house.code("bruno.roche")),
        ("bruno.roche", PASSWORD, "000000"),
        ("bruno.roche", PASSWORD, ""),
    ):
        answer = house.browser().sign_in(login, password, code)
        assert answer.status_code == 422
        assert WRONG in answer.text
        assert password not in answer.text


def test_a_code_works_once(house: House) -> None:
    house.person("carole.noir")
    code = house.code("carole.noir")
    assert house.browser().sign_in("carole.noir", code=code).url.path == "/"
    assert WRONG in house.browser().sign_in("carole.noir", code=code).text


def test_guessing_is_locked_as_on_the_command_line(house: House) -> None:
    """MSS-078: the counter is one, whatever the way in."""
    house.person("denis.vert")
    for _ in range(10):
        house.browser().sign_in("denis.vert", "guess", "000000")
    answer = house.browser().sign_in("denis.vert")
    assert answer.status_code == 422
    assert "Signed in" not in answer.text


def test_the_token_changes_at_each_sign_in_and_an_old_one_opens_nothing(house: House) -> None:
    house.person("elise.bleu")
    browser = house.signed_in("elise.bleu")
    first = browser.http.cookies["__Host-caducee"]
    browser.get("/confirm?next=/devices/new")
    answer = browser.send("/confirm", password=PASSWORD, code=house.code("elise.bleu"))
    assert answer.url.path == "/devices/new"
    assert browser.http.cookies["__Host-caducee"] != first
    thief = house.browser()
    thief.http.cookies.set("__Host-caducee", first, domain="localhost")
    assert thief.get("/").url.path == "/sign-in"


def test_a_session_is_of_one_browser_and_ends_by_silence_age_and_signing_out(house: House) -> None:
    house.person("fanny.gris")
    browser = house.signed_in("fanny.gris")
    other = house.browser("Autre/2")
    other.http.cookies.set("__Host-caducee", browser.http.cookies["__Host-caducee"], domain="localhost")
    assert other.get("/").url.path == "/sign-in"
    house.clock.pass_(7000)
    assert browser.get("/").url.path == "/"
    house.clock.pass_(7000)
    assert browser.get("/").url.path == "/", "it was used meanwhile"
    house.clock.pass_(7300)
    assert browser.get("/").url.path == "/sign-in", "two hours of silence"
    browser.sign_in("fanny.gris")
    for _ in range(7):
        house.clock.pass_(6500)
        browser.get("/")
    assert browser.last is not None
    assert browser.last.url.path == "/sign-in", "twelve hours of life"
    browser.sign_in("fanny.gris")
    browser.send("/sign-out")
    assert browser.get("/").url.path == "/sign-in"


def test_a_suspension_cuts_an_open_session(house: House) -> None:
    house.person("gilles.ocre")
    browser = house.signed_in("gilles.ocre")
    house.do(lambda unit: house.people.accounts.move(unit, "gilles.ocre", Step.SUSPEND, "breach", ACTOR))
    assert browser.get("/").url.path == "/sign-in"


def test_it_goes_on_to_where_one_wanted_and_never_elsewhere(house: House) -> None:
    house.person("helene.rose")
    browser = house.browser()
    browser.get("/devices")
    assert browser.send(
        "/sign-in", login="helene.rose", password=PASSWORD, code=house.code("helene.rose")
    ).url.path == ("/devices")
    for evil in ("https://evil.test/", "//evil.test/", "/\\evil.test", "/%0d%0aSet-Cookie:x"):
        again = house.browser()
        again.get("/sign-in")
        answer = again.send(
            "/sign-in", follow=False, next=evil, login="helene.rose", password=PASSWORD, code=house.code("helene.rose")
        )
        assert answer.status_code == 303
        assert answer.headers["location"] == "/"


# remembered browsers


def test_a_remembered_browser_stands_for_the_code_but_not_for_what_matters(house: House) -> None:
    """TOU-D07, and the strong session MSS-076 asks for."""
    house.person("ines.prune")
    house.mailbox("ines.prune", "ines.prune")
    browser = house.browser()
    browser.sign_in("ines.prune", remember="yes")
    browser.get("/")
    browser.send("/sign-out")
    assert WRONG in browser.sign_in("ines.prune", "another password", code="").text
    assert browser.sign_in("ines.prune", code="").url.path == "/"
    assert browser.get("/devices/new").url.path == "/confirm"
    assert WRONG in browser.send("/confirm", password=PASSWORD, code="").text
    assert WRONG in house.browser().sign_in("ines.prune", code="").text, "another browser is not known"
    assert {event["device"] for event in events(house, Kind.LOGIN, "ines.prune")} == {"", "remembered browser"}
    house.clock.pass_(31 * 86400)
    assert WRONG in browser.sign_in("ines.prune", code="").text


def test_a_new_link_forgets_the_remembered_browsers(house: House) -> None:
    house.person("jean.sable")
    browser = house.browser()
    browser.sign_in("jean.sable", remember="yes")
    person = house.ask(lambda connection: accounts.get(connection, "jean.sable"))
    assert len(house.ask(lambda connection: known_browsers.listed(connection, person.id, house.clock()))) == 1
    accept(house, invited(house, "jean.sable"), "jean.sable")
    assert house.ask(lambda connection: known_browsers.listed(connection, person.id, house.clock())) == []
    assert browser.get("/").url.path == "/sign-in"


# invitations


def invited(house: House, login: str, **more: bool) -> str:
    own = house.people.accounts
    token = house.do(lambda unit: invitations.invite(unit, own, login, 3 * 86400, ACTOR, **more))
    return f"/invitation/{token}"


def accept(house: House, path: str, who: str, **more: str) -> httpx.Response:
    browser, password = house.browser(), "Violette-9-marche?"
    page = browser.get(path)
    assert page.status_code == 200, page.text
    found = re.search(r'id="key">([A-Z2-7 ]+)<', page.text)
    assert found
    house.secrets[who] = found[1].replace(" ", "")
    given = {"login": who, "password": password, "again": password, "code": house.code(who), **more}
    return browser.send(path, **given)


def test_an_invitation_gives_password_and_code_once(house: House) -> None:
    house.person("karim.lilas", contact="karim@example.org")
    path = invited(house, "karim.lilas", to_contact=True)
    answer = accept(house, path, "karim.lilas")
    assert answer.url.path == "/sign-in"
    assert "Your account is ready" in answer.text
    assert house.browser().sign_in("karim.lilas", "Violette-9-marche?").url.path == "/"
    assert house.browser().get(path).status_code == 422, "the link was used"
    person = house.ask(lambda connection: accounts.get(connection, "karim.lilas"))
    assert house.ask(lambda connection: invitations.contact_verified_at(connection, person)) > 0
    did = [event["what"] for event in events(house, Kind.ACCOUNT, "karim.lilas")]
    assert did == ["invitation accepted", "contact verified"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"login": "someone.else"}, "This link no longer serves"),
        ({"again": "another"}, "The two passwords are not the same."),
        ({"password": "short", "again": "short"}, "too easy to guess"),
        ({"password": "lea.menthe-2026-Xy!", "again": "lea.menthe-2026-Xy!"}, "holds the login or the name"),
        ({"code": "000000"}, "This code is not the one"),
    ],
)
def test_an_invitation_half_right_changes_nothing_and_can_be_tried_again(
    house: House, given: dict[str, str], told: str
) -> None:
    if "lea.menthe" not in house.secrets:
        house.person("lea.menthe")
    path = invited(house, "lea.menthe")
    answer = accept(house, path, "lea.menthe", **given)
    assert answer.status_code == 422
    assert told in html.unescape(answer.text)
    assert accept(house, path, "lea.menthe").url.path == "/sign-in"


def test_a_link_ends_with_time_and_with_a_newer_one(house: House) -> None:
    house.person("marc.the")
    first, second = invited(house, "marc.the"), invited(house, "marc.the")
    assert "This link no longer serves" in house.browser().get(first).text
    assert house.browser().get(second).status_code == 200
    house.clock.pass_(3 * 86400 + 1)
    assert house.browser().get(second).status_code == 422
    assert house.browser().get("/invitation/x").status_code == 422
    with pytest.raises(Refused) as refused:
        invited(house, "marc.the", to_contact=True)
    assert refused.value.decision.rule.name == "account.contact_missing"


def test_what_was_wrong_with_a_link_has_a_name(house: House) -> None:
    house.person("noe.the")
    token, own = invited(house, "noe.the").rpartition("/")[2], house.people.accounts
    for given, name in (
        (Answer("noe.the", PASSWORD, "000000"), "account.code_wrong"),
        (Answer("marc.the", PASSWORD, "000000"), "account.invitation_over"),
    ):
        with pytest.raises(Refused) as refused:
            house.do(partial(invitations.accept, own=own, token=token, given=given, hashed="x"))
        assert refused.value.decision.rule.name == name


# terms of use


def test_new_terms_are_accepted_before_anything_else_and_kept(house: House, tmp_path: Path) -> None:
    """TOU-C07: each version, with the text, the person and the time."""
    house.person("nadia.brun")
    browser = house.signed_in("nadia.brun")
    terms = tmp_path / "terms.txt"
    terms.write_text("Version 1 : <b>écrire</b> aux confrères.\n", "utf-8")
    house.set(terms=terms)
    page = browser.get("/devices")
    assert page.url.path == "/terms"
    assert "&lt;b&gt;écrire" in page.text
    assert browser.send("/terms", answer="no").url.path == "/sign-in", "refusing ends the right to use"
    browser.sign_in("nadia.brun")
    assert browser.send("/terms", answer="yes").url.path == "/"
    assert browser.get("/devices").url.path == "/devices"
    terms.write_text("Version 2\n", "utf-8")
    stale = browser.get("/devices")
    assert stale.url.path == "/terms"
    terms.write_text("Version 3\n", "utf-8")
    assert "Version 3" in browser.send("/terms", answer="yes").text, "not the text that was read"
    assert browser.send("/terms", answer="yes").url.path == "/"
    person = house.ask(lambda connection: accounts.get(connection, "nadia.brun"))
    kept = house.ask(lambda connection: terms_of_use.answers(connection, person.id))
    assert [one.accepted for one in kept] == [False, True, True]
    assert len({one.version for one in kept}) == 2
    did = [event["what"] for event in events(house, Kind.ACCOUNT, "nadia.brun")]
    assert did == ["terms refused", "terms accepted", "terms accepted"]


# what keeps others out


def test_every_answer_is_for_this_reader_alone(house: House) -> None:
    house.person("odile.jaune")
    browser = house.signed_in("odile.jaune")
    for path in ("/", "/sign-in", "/devices", "/nothing-here", "/portal.css"):
        answer = browser.http.get(path)
        if path == "/nothing-here":
            continue  # the door's own answer
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        if path != "/portal.css":
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(r"<script|<style|style=|onclick|javascript:", answer.text)
    set_by = house.browser()
    set_by.get("/sign-in")
    cookies = set_by.last.headers.get_list("set-cookie") if set_by.last else []
    assert cookies
    for cookie in cookies:
        assert cookie.startswith("__Host-")
        assert {"secure", "httponly", "samesite=strict", "path=/"} <= {
            part.strip().lower() for part in cookie.split(";")
        }


def test_a_form_that_no_page_of_ours_sent_does_nothing(house: House) -> None:
    house.person("paul.cuivre")
    browser = house.signed_in("paul.cuivre")
    browser.get("/devices/lost")
    (mark,) = {form["mark"] for _, form in browser.forms()}
    own = {"mark": mark}
    post = browser.http.post
    assert post("/devices/lost", data={"x": "y"}).status_code == 403
    assert post("/devices/lost", data={"mark": "0" * 64}).status_code == 403
    assert post("/devices/lost", data=own, headers={"Origin": "https://evil.test"}).status_code == 403
    assert post("/devices/lost", data=own, headers={"Origin": "null"}).status_code == 403
    assert post("/devices/lost", data=own, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert post("/devices/lost", json=own).status_code == 413
    assert post("/devices/lost", data={**own, "x": "y" * 70_000}).status_code == 413
    assert post("/devices/lost", data={**own, **{f"f{n}": "" for n in range(600)}}).status_code == 413
    assert post("/devices/lost", data=own, headers={"Origin": browser.house.url}).status_code == 303
    assert browser.http.get("/devices/lost").status_code == 200
    assert house.browser().http.post("/sign-in", data={"login": "x"}).status_code == 403


def test_whoever_asks_too_fast_is_asked_to_wait(house: House) -> None:
    browser = house.browser()
    answers = [browser.http.get("/portal-none").status_code for _ in range(3)]
    assert set(answers) == {404}
    codes = [browser.http.get("/sign-in").status_code for _ in range(130)]
    assert codes[-1] == 429
    house.clock.pass_(60)
    assert browser.http.get("/sign-in").status_code == 200


def test_the_reader_chooses_the_language(house: House) -> None:
    browser = house.browser()
    assert "<h1>Sign in</h1>" in browser.get("/sign-in").text
    assert browser.last is not None
    assert 'href="/sign-in?lang=fr"' in browser.last.text
    assert "<h1>Se connecter</h1>" in browser.get("/sign-in?lang=fr").text
    assert "<h1>Se connecter</h1>" in browser.get("/sign-in").text
    assert 'lang="fr"' in browser.get("/sign-in?lang=xx").text


def test_whoever_waits_for_the_identity_check_is_told(house: House) -> None:
    """TOU-D04, D06."""
    new = NewAccount("omar.attente", "Attente", "Omar")
    house.do(lambda unit: house.people.accounts.open(unit, new, ACTOR))
    told = accept(house, invited(house, "omar.attente"), "omar.attente")
    assert "still has to activate the account" in told.text
    assert WRONG in house.browser().sign_in("omar.attente", "Violette-9-marche?").text
    house.do(lambda unit: house.people.accounts.move(unit, "omar.attente", Step.ACTIVATE, "card seen", ACTOR))
    assert house.browser().sign_in("omar.attente", "Violette-9-marche?").url.path == "/"


def test_terms_that_are_gone_let_nobody_pass_unasked(house: House, tmp_path: Path) -> None:
    house.person("pia.brun")
    browser = house.signed_in("pia.brun")
    house.set(terms=tmp_path / "gone.txt")
    answer = browser.get("/devices")
    assert answer.status_code == 503
    assert "Service unavailable" in answer.text
