"""Every page of the portal as routes, for the HTTP door to serve under ``/``.

Promise: :func:`routes` opens nothing; what it returns can be served by any number of processes, which share nothing but the database.
Failure: none.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.portal import (
    account,
    administration,
    devices,
    directory_choice,
    finding,
    home,
    mailbox,
    safety,
    signing_in,
    words,
)
from gateway.portal.frame import PACE, Frame
from gateway.portal.ports import Ports
from gateway.smtp.limits import Buckets

HERE = Path(__file__).parent
FILES = {"portal.css": "text/css; charset=utf-8", "portal.svg": "image/svg+xml"}


def routes(ports: Ports) -> list[Route]:
    """What to mount. Each answer carries its own headers; the door adds nothing."""
    words.environment()
    frame = Frame(ports, Buckets(PACE, ports.monotonic))
    hashing = signing_in.Hashing()
    found = [
        *signing_in.pages(ports, hashing),
        *home.pages(),
        *devices.pages(),
        *finding.pages(),
        *directory_choice.pages(),
        *mailbox.pages(),
        *account.pages(hashing),
        *administration.pages(),
    ]
    return [*(frame.route(page) for page in found), *(Route(f"/{name}", _file, name=name) for name in FILES)]


async def _file(request: Request) -> Response:
    name = request.url.path.removeprefix("/")
    headers = {**safety.HEADERS, "Cache-Control": "public, max-age=3600"}
    return Response(_octets(name), media_type=FILES[name], headers=headers)


@cache
def _octets(name: str) -> bytes:
    return (HERE / name).read_bytes()
