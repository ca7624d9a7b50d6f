"""Where a domain's mail goes: static routes first, then MX, then A and AAAA (RFC 5321 5.1), kept for their TTL.

DNS is a hint, never a proof: an answer decides which address is tried, and the certificate found there decides whether
anything is said (F25). Promise: a name server's answer is bounded in hosts and addresses; an address of our own or of
loopback is never offered unless an administrator wrote it into a route.
Failure: :class:`Unresolved` and its kinds, each naming the catalogue rule that explains it.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

MAX_HOSTS = 10
MAX_ADDRESSES = 4  # of each family and host
TTL_LEAST, TTL_MOST, TTL_NEGATIVE = 30.0, 3600.0, 60.0
CACHED_DOMAINS = 10_000


@dataclass(frozen=True, slots=True)
class Target:
    """One server to try. ``name`` is what its certificate must bear; None when the route gives an address only.

    ``addresses`` are numeric, in the order to try. ``routed`` is True when an administrator wrote it; ``host`` is then what
    he wrote to look up, when it is not ``name``.
    """

    name: str | None
    addresses: tuple[str, ...]
    port: int = 25
    routed: bool = False
    host: str = ""

    @property
    def label(self) -> str:
        """For journal and notices."""
        return self.name or (self.addresses[0] if self.addresses else "?")


def route(host: str, port: int = 25, name: str = "") -> Target:
    """A route as an administrator writes it: ``host`` is a name or an address, ``name`` what the certificate must bear.

    An address without a name is proven by the binding of its certificate to the domain alone.
    """
    try:
        address = str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return Target((name or host).lower(), (), port, routed=True, host=host.lower())
    return Target(name.lower() or None, (address,), port, routed=True)


class Unresolved(Exception):
    """No server is known for the domain. ``rule`` names the decision, ``detail`` is for the journal."""

    rule = "relay.dns_failed"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


class DnsFailed(Unresolved):
    """SERVFAIL, a timeout, or no address for any of the hosts: try again."""


class DomainMissing(Unresolved):
    """NXDOMAIN, or a name without MX, A and AAAA (F24: of a listed domain it is retried for hours first)."""

    rule = "relay.domain_missing"


class NullMx(Unresolved):
    """RFC 7505: the domain takes no mail."""

    rule = "relay.null_mx"


class Loop(Unresolved):
    """Every address is our own or loopback."""

    rule = "relay.loop"


class Resolver(Protocol):
    """Answers with servers in the order to try."""

    async def targets(self, domain: str) -> list[Target]:
        """At least one target with an address. Raises Unresolved."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name server said: the records and how many seconds they live."""

    records: tuple[tuple[int, str], ...]
    ttl: float


class NameService(Protocol):
    """The three questions asked of DNS. Each raises :class:`DnsFailed`, or :class:`DomainMissing` for NXDOMAIN.

    A name that exists without such a record gives an empty answer.
    """

    async def mx(self, domain: str) -> Answer:
        """(preference, host) pairs; the null MX is ``(0, ".")``."""
        ...

    async def addresses(self, host: str) -> Answer:
        """(family, numeric address) pairs, family 4 or 6."""
        ...


class Routed:
    """The :class:`Resolver` in service: routes written by an administrator, then DNS.

    ``routes`` maps a domain, or ``*`` for all others, to a target whose ``addresses`` may be empty when it is a name.
    ``own`` are our numeric addresses; ``now`` is monotonic; ``shuffle`` orders hosts of equal preference. ``port`` is that
    of hosts found by MX, ``longest`` the time an answer is kept at most; ``allow_loopback`` is for test services only.
    """

    def __init__(
        self,
        names: NameService,
        routes: Mapping[str, Target],
        own: Iterable[str],
        now: Callable[[], float],
        shuffle: Callable[[list[str]], None],
        *,
        port: int = 25,
        longest: float = TTL_MOST,
        allow_loopback: bool = False,
    ) -> None:
        self._names = names
        self._routes = {domain.lower(): replace(target, routed=True) for domain, target in routes.items()}
        self._own = frozenset(str(ipaddress.ip_address(address)) for address in own)
        self._now = now
        self._shuffle = shuffle
        self._port = port
        self._longest = longest
        self._allow_loopback = allow_loopback
        self._cache: dict[str, tuple[float, list[Target] | Unresolved]] = {}

    async def targets(self, domain: str) -> list[Target]:
        """See :class:`Resolver`."""
        key = domain.lower()
        kept = self._cache.get(key)
        if kept and kept[0] > self._now():
            return self._answer(kept[1])
        found: list[Target] | Unresolved
        try:
            found, ttl = await self._look_up(key)
        except Unresolved as unresolved:
            found, ttl = unresolved, TTL_NEGATIVE
        if len(self._cache) >= CACHED_DOMAINS:
            self._cache.clear()
        self._cache[key] = (self._now() + min(max(ttl, TTL_LEAST), self._longest), found)
        return self._answer(found)

    @staticmethod
    def _answer(found: list[Target] | Unresolved) -> list[Target]:
        if isinstance(found, Unresolved):
            raise type(found)(found.detail)
        return found

    async def _look_up(self, domain: str) -> tuple[list[Target], float]:
        fixed = self._routes.get(domain) or self._routes.get("*")
        if fixed is not None:
            return await self._route(fixed)
        mx = await self._names.mx(domain)
        if not mx.records:  # the implicit MX of RFC 5321 5.1
            return await self._hosts([domain], mx.ttl, implicit=True)
        records = [record for record in mx.records if record[1] not in (".", "")]
        # Beside a server that can be asked, a null MX is a mistake (RFC 7505 3): no reason to fail mail.
        if not records:
            raise NullMx(domain)
        return await self._hosts(self._ordered(records), mx.ttl, implicit=False)

    async def _route(self, fixed: Target) -> tuple[list[Target], float]:
        if fixed.addresses:
            return [fixed], TTL_MOST
        host = fixed.host or fixed.name or ""
        try:
            found = await self._names.addresses(host)
        except DomainMissing:
            raise DnsFailed(f"the route {host} is not in the DNS") from None
        addresses = _bounded(found.records)
        if not addresses:
            raise DnsFailed(f"no address for the route {host}")
        return [replace(fixed, addresses=addresses)], found.ttl

    def _ordered(self, records: Sequence[tuple[int, str]]) -> list[str]:
        ranks: dict[int, list[str]] = {}
        for preference, host in records:
            ranks.setdefault(preference, []).append(host)
        ordered: list[str] = []
        for preference in sorted(ranks):
            self._shuffle(ranks[preference])
            ordered += ranks[preference]
        return ordered[:MAX_HOSTS]

    async def _hosts(self, hosts: list[str], ttl: float, *, implicit: bool) -> tuple[list[Target], float]:
        """All hosts are asked for at once: one whose name server is silent must not keep mail from the next for its timeout."""
        targets: list[Target] = []
        looped = failed = False
        for host, answer in zip(hosts, await asyncio.gather(*map(self._addresses, hosts)), strict=True):
            if answer is None:
                failed = True
                continue
            addresses = _bounded(answer.records)
            kept = tuple(address for address in addresses if not self._ours(address))
            ttl = min(ttl, answer.ttl)
            looped = looped or len(kept) < len(addresses)
            if kept:
                targets.append(Target(host, kept, self._port))
            elif looped:
                break  # RFC 5321 5.1: hosts less preferred than ourselves are not tried
        if targets:
            return targets, ttl
        if looped:
            raise Loop(", ".join(hosts))
        if failed or not implicit:
            raise DnsFailed(f"no address for {', '.join(hosts)}")
        raise DomainMissing(hosts[0])

    async def _addresses(self, host: str) -> Answer | None:
        """None when DNS failed; nothing for a host that is not there."""
        try:
            return await self._names.addresses(host)
        except DnsFailed:
            return None
        except DomainMissing:
            return Answer((), TTL_MOST)

    def _ours(self, address: str) -> bool:
        if self._allow_loopback:
            return False
        ip = ipaddress.ip_address(address)
        mapped = getattr(ip, "ipv4_mapped", None)
        if mapped is not None:
            ip = mapped
        refused = ip.is_loopback or ip.is_unspecified or ip.is_link_local or ip.is_multicast
        return refused or str(ip) in self._own


def _bounded(records: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    """IPv4 first: operators publish it without exception, and a dead IPv6 path costs a whole timeout."""
    families: dict[int, list[str]] = {4: [], 6: []}
    for family, address in records:
        families[family].append(address)
    return tuple(families[4][:MAX_ADDRESSES] + families[6][:MAX_ADDRESSES])


class Dns:
    """:class:`NameService` on dnspython's asynchronous resolver.

    ``servers`` are (address, port); empty means the system's. ``lifetime`` bounds one question, in seconds.
    """

    def __init__(self, servers: Sequence[tuple[str, int]] = (), lifetime: float = 15.0) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        if servers:
            self._resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
        self._resolver.lifetime = lifetime
        self._resolver.timeout = max(1.0, lifetime / 3)

    async def mx(self, domain: str) -> Answer:
        """See :class:`NameService`."""
        answer = await self._ask(domain, dns.rdatatype.MX)
        if answer is None or answer.rrset is None:
            return Answer((), TTL_NEGATIVE)
        records = [(int(record.preference), _host(record.exchange)) for record in answer]
        return Answer(tuple(records[: MAX_HOSTS * 4]), float(answer.rrset.ttl))

    async def addresses(self, host: str) -> Answer:
        """See :class:`NameService`. One family failing does not hide the other."""
        records: list[tuple[int, str]] = []
        ttl, failure = TTL_MOST, None
        kinds = (dns.rdatatype.A, dns.rdatatype.AAAA)
        answers = await asyncio.gather(*(self._ask(host, kind) for kind in kinds), return_exceptions=True)
        for family, answer in zip((4, 6), answers, strict=True):
            if isinstance(answer, DnsFailed):
                failure = answer
            elif isinstance(answer, BaseException):
                raise answer
            elif answer is not None and answer.rrset is not None:
                records += [(family, str(record.address)) for record in answer]
                ttl = min(ttl, float(answer.rrset.ttl))
        if not records and failure is not None:
            raise failure
        return Answer(tuple(records), ttl)

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> dns.resolver.Answer | None:
        try:
            return await self._resolver.resolve(dns.name.from_text(name), kind, search=False)
        except dns.resolver.NoAnswer:
            return None
        except dns.resolver.NXDOMAIN:
            raise DomainMissing(name) from None
        except (dns.exception.DNSException, OSError, UnicodeError) as failure:
            raise DnsFailed(f"{name} {type(failure).__name__}") from None


def _host(name: dns.name.Name) -> str:
    text = name.to_text().lower()
    return text if text == "." else text.removesuffix(".")


class FixedNames:
    """The in-memory twin of :class:`Dns`: a zone given as mappings, for tests.

    A domain in ``failing`` answers SERVFAIL; one in neither mapping NXDOMAIN.
    """

    def __init__(
        self,
        mx: Mapping[str, Sequence[tuple[int, str]]] | None = None,
        hosts: Mapping[str, Sequence[str]] | None = None,
        failing: Iterable[str] = (),
        ttl: float = 300.0,
    ) -> None:
        self._mx = dict(mx or {})
        self._hosts = dict(hosts or {})
        self.failing = set(failing)
        self._ttl = ttl

    async def mx(self, domain: str) -> Answer:
        """See :class:`NameService`."""
        self._exists(domain)
        return Answer(tuple((int(rank), host) for rank, host in self._mx.get(domain, ())), self._ttl)

    async def addresses(self, host: str) -> Answer:
        """See :class:`NameService`."""
        self._exists(host)
        found = [(ipaddress.ip_address(address).version, address) for address in self._hosts.get(host, ())]
        return Answer(tuple(found), self._ttl)

    def _exists(self, name: str) -> None:
        if name in self.failing:
            raise DnsFailed(f"{name} SERVFAIL")
        if name not in self._mx and name not in self._hosts:
            raise DomainMissing(name)
