"""Metrics as Prometheus fetches them, of every process of this machine (TOU-E10)."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.http.application import Part
from gateway.monitoring.exposition import CONTENT_TYPE, exposition
from gateway.monitoring.figures import Look
from gateway.monitoring.monitoring import Monitoring


def part(monitoring: Monitoring, look: Look) -> Part:
    async def metrics(_request: Request) -> Response:
        processes, figures = await asyncio.gather(monitoring.everyone(), look.figures())
        page = await asyncio.to_thread(exposition, processes, figures)
        return Response(page, media_type=CONTENT_TYPE)

    return Part("metrics", [Route("/metrics", metrics)])
