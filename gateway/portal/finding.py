"""Find a correspondent: words in one line, asked of the directory as every other interface asks it (MSS-131).

Promise: what is hidden is answered as what never was (MSS-121); one person sees no more different entries in an hour, and asks no more often
in a minute, than software does over FHIR (MSS-130), and what was looked for is kept nowhere. Failure: a directory that does not answer is
told as 503, like a store.
"""

from __future__ import annotations

from starlette.responses import Response

from directory.search import DirectoryUnavailable, words
from gateway.portal.frame import Page
from gateway.portal.visit import Busy, Visit
from policies.events import Event, Kind

MOST = 50
"""Entries on one page: whoever sees more has typed too little."""


def pages() -> list[Page]:
    return [Page("/find", show)]


async def show(visit: Visit) -> Response:
    sought = visit.asked("q").strip()
    if not sought:
        return await visit.page("find.html", sought="", found=(), more=False)
    allowance, login, limits = visit.ports.allowance, visit.who.login, visit.ports.config().http
    allowance.follow(limits.directory_searches_per_minute, limits.directory_entries_per_hour)
    if not allowance.ask(login):
        visit.problem = "find.often"
        return await visit.page("find.html", sought=sought, found=(), more=False)
    try:
        answer = await visit.ports.directory.find(words(sought), MOST)
    except DirectoryUnavailable:
        raise Busy from None
    allowed = allowance.show(login, (entry.address for entry in answer.entries))
    refused = len(answer.entries) - allowed
    detail = {"door": "https", "ip": visit.ip, "searches": 1, "entries": allowed, "refused": refused}
    await visit.do(lambda unit: unit.emit(Event(Kind.DIRECTORY_SEARCHED, actor=login, detail=detail)))
    if refused:
        visit.problem = "find.enough"
    return await visit.page("find.html", sought=sought, found=answer.entries[:allowed], more=answer.more)
