"""The portal in a real browser, from the invitation to a mail program that is cut off (TOU-A05, A08, D05, D08, MSS-076)."""

from __future__ import annotations

import asyncio
import imaplib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest

from tests.clients.programs import program, run
from tests.clients.webdriver import WebDriver, browsing
from tests.space.running import Space
from tests.waiting import until

pytestmark = [pytest.mark.client, pytest.mark.slow]

PASSWORD = "Violette-9-marche?"
TAB, ENTER = "\ue004", "\ue007"


@pytest.fixture
def portal(space: Space) -> tuple[str, Path]:
    """Where operator A serves it, and the authority a browser must trust for that."""
    return f"https://localhost:{space.a['https']['port']}", Path(space.ca)


@pytest.fixture
def browser(portal: tuple[str, Path], tmp_path: Path) -> Iterator[WebDriver]:
    with browsing(tmp_path, portal[1]) as found:
        yield found


def usable(browser: WebDriver) -> None:
    """On a desk by day, and on the narrowest telephone by night."""
    assert browser.faults() == [], browser.address
    browser.narrow(320)
    browser.shade("dark")
    assert browser.faults() == [], f"{browser.address} at 320 px, dark"
    browser.narrow(0)
    browser.shade("light")


def test_from_the_invitation_to_a_device_that_is_cut_off(
    space: Space, portal: tuple[str, Path], browser: WebDriver
) -> None:
    base, operator = portal[0], space.a
    login = f"rose.valmy{time.time_ns() % 100_000}"
    address = f"{login}@{operator['domain']}"
    made = (
        "--family",
        "Valmy",
        "--given",
        "Rose",
        "--title",
        "Dr",
        "--identity",
        f"ESSAI-{login}",
        "--verified",
        "card",
    )
    space.caducee(operator, "account", "create", login, *made)
    space.caducee(operator, "mailbox", "create", address, "--type", "PER", "--owner", login)
    said = json.loads(space.caducee(operator, "account", "invite", login, "--json").stdout)

    browser.open(f"{base}/invitation/{said['link'].rpartition('/')[2]}")
    assert "Dr Rose Valmy" in browser.text()
    usable(browser)
    totp = pyotp.TOTP(browser.text("#key").replace(" ", ""))
    browser.type("#login", login)
    browser.type("#password", PASSWORD)
    browser.type("#again", PASSWORD)
    browser.type("#code", totp.now())
    browser.go("main button")
    assert "Votre compte est prêt" in browser.text()

    sign_in_by_keyboard(browser, login, totp.at(int(time.time()) + 30))
    assert address in browser.text()
    usable(browser)

    browser.follow("Nouveau mot de passe d’appareil")  # one
    usable(browser)
    browser.type("#name", "Téléphone de Rose")
    browser.go("main button")  # two
    secret = browser.text("#secret")
    usable(browser)

    assert logs_in(space, address, secret)
    open_session = imaplib.IMAP4_SSL("localhost", operator["imaps"]["port"], ssl_context=space.tls(), timeout=60)
    open_session.login(address, secret)
    browser.open(f"{base}/devices")
    assert "Téléphone de Rose" in browser.text()
    assert "127.0.0.1" in browser.text(), "when and from where it was used"
    usable(browser)
    browser.go("form[action='/devices/withdraw'] button")
    assert "L’appareil est retiré" in browser.text()
    asyncio.run(until(lambda: not logs_in(space, address, secret), 60))  # other processes know it within seconds
    cut_off(open_session)

    browser.open(f"{base}/directory")
    assert "votre identifiant professionnel" in browser.text()
    usable(browser)
    browser.click("input[name=red_list]")
    browser.go("main button")
    assert "Votre choix est en vigueur" in browser.text()
    shown = json.loads(space.caducee(operator, "mailbox", "show", address, "--json").stdout)
    assert shown["red_list"] is True

    for name in ("Envoyés", "Qui a ouvert cette boîte", "Absence et transfert", "Membres"):
        browser.open(base)
        browser.go(f"a[aria-label^='{name}']")
        usable(browser)
    for page in (
        "/account",
        "/account/password",
        "/account/code",
        "/account/data",
        "/account/close",
        "/devices/lost",
        "/confirm",
    ):
        browser.open(base + page)
        usable(browser)
    browser.go("nav button")
    assert "Vous êtes déconnecté" in browser.text()


def test_the_audit_sees_what_it_must(browser: WebDriver) -> None:
    bad = "<html><p style='color:%23aaa;width:900px'>pale and wide<input name=x aria-describedby=y><button></button><a id=z></a><i id=z></i>"
    browser.open(f"data:text/html,<main>{bad}</main>")
    browser.narrow(320)
    found = " ".join(browser.faults())
    for fault in (
        "h1",
        "language",
        "wide",
        "no label",
        "describes nothing",
        "no name",
        "too small",
        "twice",
        "contrast",
    ):
        assert fault in found


def sign_in_by_keyboard(browser: WebDriver, login: str, code: str) -> None:
    """Without a mouse, as a screen reader's user does."""
    for _ in range(10):
        browser.press(TAB)
        if browser.run("return document.activeElement.id") == "login":
            break
    browser.press(login + TAB + PASSWORD + TAB + code)
    with browser.leaving():
        browser.press(ENTER)


def logs_in(space: Space, login: str, secret: str) -> bool:
    """By a mail program that others wrote."""
    where = space.a["imaps"]
    inbox = f"imaps://localhost:{where['port']}/INBOX"
    done = run(program("curl"), "-s", "--cacert", space.ca, "-u", f"{login}:{secret}", inbox, "-X", "NOOP")
    assert done.returncode in (0, 56, 67), done.stderr  # 56: cut off meanwhile; 67: login denied
    return done.returncode == 0


def cut_off(imap: imaplib.IMAP4_SSL) -> None:
    """The session that was open ends by itself."""

    def ended() -> bool:
        try:
            imap.noop()
        except (imap.abort, OSError):
            return True
        return False

    asyncio.run(until(ended, 90))
    imap.shutdown()
