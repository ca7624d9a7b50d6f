"""Whatever is sent to the portal gets an answer of its own: never a fault of ours, never a word of what was sent unescaped."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.portal import account, administration, devices, directory_choice, home, mailbox, signing_in
from gateway.portal.signing_in import Hashing
from mailboxes import account_rights
from tests.gateway.portal.serving import ACTOR, Browser, House

FIELDS = (
    "login", "password", "again", "code", "next", "mailbox", "name", "address", "number", "target", "from", "until",
    "text", "keep", "right", "reason", "step", "search", "shown", "red_list", "paperless", "answer", "version", "contact",
)  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "",
            "0",
            "-1",
            "99999999999999999999",
            "\x00",
            "\r\n",
            "²",
            "１",
            "a@b",
            "<b>x</b>",
            "' OR 1=1 --",
            "2026-02-30",
            "9999-12-31",
            "0001-01-01",
            "../../etc",
            "\ufffe",
            "\U0001f3e5" * 20,
        ]
    ),
)
DECLARED = [
    *home.pages(), *devices.pages(), *directory_choice.pages(), *mailbox.pages(), *account.pages(Hashing()),
    *administration.pages(),
]  # fmt: skip
ENDS = {"/account/close", "/sign-out", "/account/password", "/devices/lost"}
"""What would end the session that goes on asking."""


@pytest.fixture(scope="module")
def insider(served: House) -> Browser:
    """Somebody with every right, who is not a friend."""
    served.person("nemo.noir")
    served.mailbox("nemo.noir", "nemo.noir")
    served.do(lambda unit: account_rights.grant(unit, "nemo.noir", ACTOR))
    browser = served.signed_in("nemo.noir")
    browser.get("/devices/lost")
    return browser


@pytest.fixture(scope="module")
def stranger(served: House) -> Browser:
    return served.browser()


def answered(browser: Browser, method: str, path: str, form: dict[str, Any] | None = None) -> httpx.Response:
    browser.house.clock.pass_(1)
    answer = browser.http.request(method, path, data=form)
    assert answer.status_code < 500, f"{method} {path} {form}\n{answer.text[-2000:]}"
    assert "content-security-policy" in answer.headers or answer.status_code in (404, 405)
    return answer


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    page=st.sampled_from(DECLARED),
    form=st.dictionaries(st.sampled_from(FIELDS), st.lists(VALUES, max_size=3)),
    bit=VALUES,
)
def test_no_form_breaks_a_page(insider: Browser, page: Any, form: dict[str, list[str]], bit: str) -> None:
    path = page.path.replace("{id}", quote(bit, safe="") or "1").replace("{login}", quote(bit, safe="") or "nobody")
    if page.show is not None:
        answered(
            insider,
            "GET",
            f"{path}?{'&'.join(f'{name}={quote(bit)}' for name in ('search', 'before', 'done', 'next'))}",
        )
    if page.act is not None and page.path not in ENDS:
        mark = insider.forms()[0][1]["mark"]
        answer = answered(insider, "POST", path, {**form, "mark": mark})
        assert "<b>x</b>" not in answer.text


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(form=st.dictionaries(st.sampled_from(FIELDS), VALUES), token=VALUES)
def test_no_stranger_breaks_the_door(stranger: Browser, form: dict[str, str], token: str) -> None:
    for page in signing_in.pages(None, Hashing()):  # type: ignore[arg-type]
        path = page.path.replace("{token}", quote(token, safe="") or "x").replace(
            "{code}", quote(token, safe="") or "x"
        )
        if page.show is not None:
            answered(stranger, "GET", path)
        if page.act is not None:
            stranger.get("/sign-in")
            answered(stranger, "POST", path, {**form, "mark": stranger.forms()[0][1]["mark"]})


def test_cookies_that_nobody_gave_open_nothing(stranger: Browser) -> None:
    for value in ("", "x", "a" * 4000, "%00", "../x", '"'):
        cookies = "; ".join(f"__Host-caducee{part}={value}" for part in ("", "-form", "-language", "-browser"))
        answer = stranger.http.get("/devices", headers={"Cookie": cookies})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/sign-in?next=/devices"
