"""Asks the national FHIR directory about one address or one person, at the moment it is wanted (MSS-126).

For what the extraction does not have yet: it is a night old, and knows no APP mailbox. Promise: never more than :attr:`Api.per_second` calls a second
from this process, each within :attr:`Api.patience`; pages of fifty, a few of them, and only of the server asked; what was answered is remembered for an hour.
HTTPS is verified against the anchors given. What is found authorises nothing (MSS-128). The key is sent to that server alone and shown nowhere.
Failure: :class:`directory.trustlist_fetch.Unreachable` with ``network``, ``tls``, ``too_large``, ``key`` (401, 403), ``status`` or ``answer``.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin

import httpx

from directory.entry import Entry
from directory.sources.fhir import RESOURCES, entries
from directory.trustlist_fetch import Unreachable

ANSWER_OCTETS = 4 << 20
REMEMBERED = 1000
REMEMBER_SECONDS = 3600.0
IDNAT = "urn:oid:1.2.250.1.71.4.2.1"
_NOBODY = (httpx.codes.NOT_FOUND, httpx.codes.GONE)
_KEY = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Where the directory is, and what it bears. ``key`` goes into the header ESANTE-API-KEY."""

    base: str
    key: str = ""
    anchors: tuple[Path, ...] = ()
    per_second: float = 17.0
    patience: float = 30.0
    page: int = 50
    pages: int = 4

    def __repr__(self) -> str:
        return f"Api(base={self.base!r})"


class NationalDirectory:
    """One client; ``clock`` never goes back."""

    def __init__(
        self,
        api: Api,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        for anchor in api.anchors:
            context.load_verify_locations(cafile=str(anchor))
        self._api = api
        self._base = api.base.rstrip("/") + "/"
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0
        self._known: OrderedDict[str, tuple[float, tuple[Entry, ...]]] = OrderedDict()
        fields = {"Accept": "application/fhir+json", **({"ESANTE-API-KEY": api.key} if api.key else {})}
        self._client = httpx.AsyncClient(
            verify=context, trust_env=False, follow_redirects=False, timeout=api.patience, headers=fields
        )

    async def by_address(self, address: str) -> tuple[Entry, ...]:
        """Whoever has this mailbox. Its search compares beginnings: what has another address is left out."""
        found = [one for kind in RESOURCES for one in await self._search(kind, {"mailbox-mss": address})]
        return _once(one for one in found if one.address.lower() == address.lower())

    async def by_person(self, identity: str) -> tuple[Entry, ...]:
        """The mailboxes of one professional, by IdNat_PS."""
        return _once(await self._search("Practitioner", {"identifier": f"{IDNAT}|{identity}"}))

    async def close(self) -> None:
        await self._client.aclose()

    async def _search(self, kind: str, asked: Mapping[str, str]) -> tuple[Entry, ...]:
        url = f"{self._base}{kind}?{urlencode({**asked, '_count': str(self._api.page)})}"
        kept = self._known.get(url)
        if kept is not None and self._clock() - kept[0] < REMEMBER_SECONDS:
            return kept[1]
        found = tuple(await self._pages(url))
        self._known[url] = (self._clock(), found)
        self._known.move_to_end(url)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found

    async def _pages(self, url: str) -> list[Entry]:
        found: list[Entry] = []
        for _ in range(self._api.pages):
            bundle = await self._call(url)
            listed = bundle.get("entry")
            for one in listed if isinstance(listed, list) else []:
                resource = one.get("resource") if isinstance(one, dict) else None
                found += entries(resource) if isinstance(resource, dict) else ()
            following = self._following(bundle)
            if not following:
                break
            url = following
        return found

    def _following(self, bundle: Mapping[str, Any]) -> str:
        """The next page, if it is of the server asked: its link must not carry our key elsewhere."""
        links = bundle.get("link")
        for link in links if isinstance(links, list) else []:
            if isinstance(link, dict) and link.get("relation") == "next" and isinstance(link.get("url"), str):
                url = urljoin(self._base, link["url"])
                return url if url.startswith(self._base) else ""
        return ""

    async def _turn(self) -> None:
        """Wait until one more call is allowed."""
        now = self._clock()
        at = max(self._next, now)
        self._next = at + 1 / self._api.per_second
        if at > now:
            await self._sleep(at - now)

    async def _call(self, url: str) -> dict[str, Any]:
        if not url.startswith("https://"):
            raise Unreachable("network", "only https:// addresses are asked")
        await self._turn()
        try:
            async with asyncio.timeout(self._api.patience), self._client.stream("GET", url) as answer:
                if answer.status_code in _NOBODY:
                    return {}
                if answer.status_code != httpx.codes.OK:
                    word = "key" if answer.status_code in _KEY else "status"
                    raise Unreachable(word, str(answer.status_code))
                return _read(await _octets(answer))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            word = "tls" if isinstance(error.__cause__, ssl.SSLError) or "SSL" in str(error) else "network"
            raise Unreachable(word, type(error).__name__) from None


async def _octets(answer: httpx.Response) -> bytes:
    read = bytearray()
    async for block in answer.aiter_bytes():
        read += block
        if len(read) > ANSWER_OCTETS:
            raise Unreachable("too_large", f"more than {ANSWER_OCTETS} octets")
    return bytes(read)


def _read(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise Unreachable("answer", "not JSON") from None
    if not isinstance(found, dict):
        raise Unreachable("answer", "not a resource")
    return found


def _once(found: Any) -> tuple[Entry, ...]:
    """Each address once: a mailbox may stand at a person and at their role; the first told more."""
    kept: dict[str, Entry] = {}
    for one in found:
        kept.setdefault(one.address.lower(), one)
    return tuple(kept.values())
