"""What keeps a page from being read, sent or framed by anybody else: headers, cookies, the mark of our own forms.

Promise: pure. Cookies are ``__Host-``, Secure, HttpOnly and SameSite=Strict, so that neither
another site nor a neighbour's host name can set or send them; a form of ours carries a mark derived from the cookie, which no other
site can compute. Failure: none.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.responses import Response

SESSION, FORM, BROWSER, LANGUAGE = (f"__Host-caducee{part}" for part in ("", "-form", "-browser", "-language"))
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Strict-Transport-Security": "max-age=31536000",
    "Vary": "Accept-Language, Cookie",
}
"""Nothing of a page is kept by anybody, nothing but our own style sheet is loaded, no script is run at all. With ``no-referrer`` browsers hide
from our own forms, too, where they come from (``Origin: null``)."""


def mark(secret: str) -> str:
    """What a form carries to show that one of our pages made it."""
    return hmac.new(secret.encode("utf-8", "surrogatepass"), b"caducee form 1", hashlib.sha256).hexdigest()


def ours(given: str, secret: str) -> bool:
    """Whether a form came from a page of ours, shown to this browser."""
    return bool(secret) and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), mark(secret).encode())


def from_here(headers: Mapping[str, str]) -> bool:
    """Whether the browser says that a page of this very site sent the form. One that says nothing leaves it to the mark."""
    site = headers.get("sec-fetch-site", "same-origin")
    origin = headers.get("origin", "")
    if origin and urlsplit(origin).netloc != headers.get("host", ""):
        return False
    return site in ("same-origin", "none")


def keep(answer: Response, name: str, value: str, seconds: float | None = None) -> None:
    """Have the browser keep a cookie; ``seconds`` None: until it is closed."""
    age = None if seconds is None else int(seconds)
    answer.set_cookie(name, value, max_age=age, path="/", secure=True, httponly=True, samesite="strict")


def drop(answer: Response, name: str) -> None:
    """Have the browser forget a cookie."""
    answer.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")
