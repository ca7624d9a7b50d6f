"""Health as machines ask for it (MSS-147): ``/health`` for who decides where mail goes, ``/health/details`` for who mends.

``/health`` is 200 while mail can be taken and 503 while it cannot; ``/health/live`` is 200 as long as the process answers at all, which is
what may be used to have it started again. Details are 503 when something fails.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.http.application import Part
from gateway.monitoring.health import Health
from gateway.monitoring.monitoring import Monitoring
from policies.decision import Language


def part(health: Health, monitoring: Monitoring) -> Part:
    async def alive(_request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(_request: Request) -> Response:
        hindered = await health.hindrances()
        said = {
            "status": "fail" if hindered else "ok",
            "live": True,
            "ready": not hindered,
            "doors": sorted(monitoring.sessions()),
            "why": [each.name for each in hindered],
        }
        return JSONResponse(said, 503 if hindered else 200)

    async def details(request: Request) -> Response:
        language: Language = "fr" if request.query_params.get("lang") == "fr" else "en"
        said = (await health.examined()).to_json(language)
        return JSONResponse(said, 503 if said["status"] == "fail" else 200)

    routes = [Route("/health", ready), Route("/health/live", alive), Route("/health/details", details)]
    return Part("health", routes)
