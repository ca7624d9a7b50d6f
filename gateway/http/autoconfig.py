"""How mail programs set themselves up, served where they look (MSS-077): Mozilla's client configuration and Apple's profile.

The address a program sends along (``?emailaddress=``) is not read, and nothing here logs it. Failure: 404 while no door to read or
none to write by is open.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.admin import autoconfig
from gateway.http.application import Part
from gateway.settings import Config

MOZILLA = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
"""At ``autoconfig.DOMAIN``, and at ``DOMAIN``."""
APPLE = "/caducee.mobileconfig"
KEPT = {"cache-control": "max-age=3600"}


def part(config: Callable[[], Config]) -> Part:
    async def mozilla(_request: Request) -> Response:
        return _document(autoconfig.mozilla, config(), "text/xml; charset=utf-8")

    async def apple(_request: Request) -> Response:
        return _document(autoconfig.apple, config(), "application/x-apple-aspen-config")

    return Part("autoconfig", [*(Route(path, mozilla) for path in MOZILLA), Route(APPLE, apple)])


def _document(make: Callable[[Config], bytes], config: Config, kind: str) -> Response:
    try:
        return Response(make(config), media_type=kind, headers=KEPT)
    except autoconfig.NoDoor:
        raise HTTPException(404) from None
