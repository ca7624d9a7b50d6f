"""A real browser, Debian's Chromium, driven by the W3C WebDriver protocol as far as a test needs it.

Promise: one chromedriver, one browser and one folder of its own, all ended with the block; the browser trusts the authority it is given and
nothing more. Failure: the test is skipped when a program is not installed; AssertionError with what the driver said.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.clients.programs import program, run

PATIENCE = 60.0
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # W3C WebDriver 12.1
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AUDIT = """
const seen = getComputedStyle, all = (what) => [...document.querySelectorAll(what)];
const light = (colour) => {
  const part = colour.match(/[\\d.]+/g).slice(0, 3).map((x) => x / 255).map((x) => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
  return .2126 * part[0] + .7152 * part[1] + .0722 * part[2];
};
const ground = (one) => {
  for (let at = one; at; at = at.parentElement) {
    const found = seen(at).backgroundColor;
    if (!/, 0\\)$|transparent/.test(found)) return found;
  }
  return "rgb(255, 255, 255)";
};
const faults = [];
if (all("h1").length !== 1) faults.push("not one h1");
if (!document.documentElement.lang) faults.push("no language");
const room = arguments[0] || innerWidth;  // a telephone widens its own idea of the window for what does not fit
if (document.documentElement.scrollWidth > room) faults.push(`${document.documentElement.scrollWidth} wide in ${room}`);
for (const one of all("input:not([type=hidden]), select, textarea"))
  if (!one.labels.length) faults.push("no label: " + one.name);
for (const one of all("[id]")) if (all(`[id="${one.id}"]`).length > 1) faults.push("twice: " + one.id);
for (const one of all("[aria-describedby]"))
  if (!document.getElementById(one.getAttribute("aria-describedby"))) faults.push("describes nothing: " + one.id);
for (const one of all("a, button, summary"))
  if (!(one.textContent.trim() || one.getAttribute("aria-label"))) faults.push("no name: " + one.outerHTML);
for (const one of all("button, .button, nav a"))
  if (one.getBoundingClientRect().height < 24) faults.push("too small: " + one.textContent);
for (const one of all("main *, header *")) {
  const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || !one.checkVisibility()) continue;
  const [a, b] = [light(seen(one).color), light(ground(one))].sort((x, y) => y - x);
  if ((a + .05) / (b + .05) < 4.5) faults.push("contrast " + ((a + .05) / (b + .05)).toFixed(1) + ": " + one.textContent.trim());
}
return faults;
"""
"""What of WCAG 2.2 AA a program can see: 1.3.1, 1.4.3, 1.4.10, 2.4.4, 2.4.6, 2.5.8, 3.1.1, 4.1.2."""


class WebDriver:
    """One session. Elements are found by CSS selector, and waited for."""

    def __init__(self, base: str, capabilities: dict[str, Any]) -> None:
        self._width = 0
        self._http = httpx.Client(base_url=base, timeout=2 * PATIENCE)
        made = self._order("POST", "/session", capabilities={"alwaysMatch": capabilities})
        self._session = f"/session/{made['sessionId']}"
        patience = int(PATIENCE * 1000)
        self._ask("POST", "/timeouts", implicit=patience, pageLoad=patience, script=patience)

    def open(self, address: str) -> None:
        self._ask("POST", "/url", url=address)

    @property
    def address(self) -> str:
        return str(self._ask("GET", "/url"))

    def find(self, selector: str) -> str:
        found: dict[str, str] = self._ask("POST", "/element", using="css selector", value=selector)
        return found[ELEMENT]

    def text(self, selector: str = "main") -> str:
        return str(self._ask("GET", f"/element/{self.find(selector)}/text"))

    def click(self, selector: str) -> None:
        self._ask("POST", f"/element/{self.find(selector)}/click")

    def go(self, selector: str) -> None:
        """Click what leads to another page, and wait for that."""
        with self.leaving():
            self.click(selector)

    def follow(self, words: str) -> None:
        """Go where the link with these words leads."""
        found = self._ask("POST", "/element", using="link text", value=words)
        with self.leaving():
            self._ask("POST", f"/element/{found[ELEMENT]}/click")

    @contextlib.contextmanager
    def leaving(self) -> Iterator[None]:
        """What is done inside leads to another page: the click itself may be answered before the browser is on its way."""
        self.run("window.left = false")
        yield
        deadline = time.monotonic() + PATIENCE
        while not self._arrived():
            assert time.monotonic() < deadline, f"still at {self.address}"
            time.sleep(0.02)

    def _arrived(self) -> bool:
        try:
            return bool(self.run("return window.left === undefined && document.readyState === 'complete'"))
        except AssertionError:  # between two pages there is none to ask
            return False

    def type(self, selector: str, text: str) -> None:
        element = self.find(selector)
        self._ask("POST", f"/element/{element}/clear")
        self._ask("POST", f"/element/{element}/value", text=text)

    def press(self, keys: str) -> None:
        """Keys to whatever has the focus (W3C WebDriver 17.4.2 names those without a sign)."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", actions=[{"type": "key", "id": "keyboard", "actions": strokes}])

    def run(self, script: str, *arguments: object) -> Any:
        return self._ask("POST", "/execute/sync", script=script, args=list(arguments))

    def faults(self) -> list[str]:
        """What keeps somebody from using this page; see :data:`AUDIT`."""
        found: list[str] = self.run(AUDIT, self._width)
        return found

    def narrow(self, width: int, height: int = 700) -> None:
        """A window of this width; 0: as it was."""
        self._width = width
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        self._devtools("Emulation.setDeviceMetricsOverride" if width else "Emulation.clearDeviceMetricsOverride", size)

    def shade(self, colours: str) -> None:
        """``light`` or ``dark``, as the reader's system has it."""
        wish = {"name": "prefers-color-scheme", "value": colours}
        self._devtools("Emulation.setEmulatedMedia", {"features": [wish]})

    def picture(self) -> bytes:
        """The whole page as PNG."""
        return base64.b64decode(self._devtools("Page.captureScreenshot", {"captureBeyondViewport": True})["data"])

    def close(self) -> None:
        with contextlib.suppress(httpx.HTTPError, AssertionError):
            self._ask("DELETE", "")
        self._http.close()

    def _devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        return self._ask("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def _ask(self, method: str, path: str, **parameters: object) -> Any:
        return self._order(method, self._session + path, **parameters)

    def _order(self, method: str, path: str, **parameters: object) -> Any:
        answer = self._http.request(method, path, json=parameters if method == "POST" else None)
        value = answer.json()["value"]
        assert answer.status_code == 200, value
        return value


@contextlib.contextmanager
def browsing(folder: Path, authority: Path, language: str = "fr") -> Iterator[WebDriver]:
    """A browser that knows nobody, with everything it keeps under ``folder``."""
    driver, chromium, certutil = program("chromedriver"), program("chromium"), program("certutil")
    trusted = folder / ".pki" / "nssdb"
    trusted.mkdir(parents=True)
    run(certutil, "-N", "-d", f"sql:{trusted}", "--empty-password")
    done = run(certutil, "-A", "-d", f"sql:{trusted}", "-n", "essai", "-t", "C,,", "-i", str(authority))
    assert done.returncode == 0, done.stderr
    environment = {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    command = [driver, "--port=0", "--allowed-ips=127.0.0.1"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )
    browser = None
    try:
        assert process.stdout is not None
        port = next(
            found[1] for line in process.stdout if (found := re.search(r"started successfully on port (\d+)", line))
        )
        arguments = [*OPTIONS, f"--user-data-dir={folder / 'profile'}", "--window-size=1200,900"]
        options = {"binary": chromium, "args": arguments, "prefs": {"intl.accept_languages": language}}
        browser = WebDriver(f"http://127.0.0.1:{port}", {"browserName": "chrome", "goog:chromeOptions": options})
        yield browser
    finally:
        if browser is not None:
            browser.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)
