"""What one search finds: the entries of the server itself, one mailbox, or those a filter is true of.

Where a search may look: the base and what is below it, one entry, the subschema, and, for programs that know no base, the root.
What is not visible in the directory is answered as what does not exist (MSS-121): both are "nothing" of
:class:`directory.search.Directory`.
Promise: at most ``limits.entries`` entries are found, or as many as the client asked for, and no longer than
``limits.search_time`` is waited. Failure: :class:`Refused`, with the code to answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from directory.entry import Entry
from directory.ldap import entries, names, questions, schema
from directory.ldap.entries import Attributes
from directory.ldap.filters import Filter
from directory.ldap.ports import Service
from directory.ldap.wire import Code, Scope, Search
from directory.search import Answer, Condition, DirectoryUnavailable, holds
from policies.catalogue.sentences_ldap import both

T = TypeVar("T")


class Refused(Exception):
    """A search that ends without an entry."""

    def __init__(self, code: Code, sentence: str = "", matched: str = "") -> None:
        super().__init__(code.name)
        self.code = code
        self.words = both(sentence) if sentence else ""
        self.matched = matched


@dataclass(frozen=True, slots=True)
class Found:
    """Mailboxes, and how the search ends after the last. ``own`` are entries of the server itself, shown before."""

    entries: tuple[Entry, ...] = ()
    own: tuple[tuple[str, Attributes], ...] = ()
    code: Code = Code.SUCCESS


@lru_cache(maxsize=16)
def base_name(base: str) -> names.Name:
    """The base as names are compared with it."""
    return names.read(base)


def root(service: Service, asked: Search, *, secure: bool) -> Found:
    """The root DSE, which everybody may read."""
    return _own("", entries.root(service.base, secure=secure), _filter(asked))


async def look_up(service: Service, asked: Search) -> Found:
    """What a search by who may search finds."""
    question, top = _filter(asked), base_name(service.base)
    try:
        name = names.read(asked.base)
    except names.BadName:
        raise Refused(Code.INVALID_DN_SYNTAX, "ldap.bad_name") from None
    if name == top:
        return await _from_base(service, asked, question)
    if not name:
        return await _below(service, asked, question)
    if name == names.read(schema.SUBSCHEMA):
        return Found() if asked.scope is Scope.ONE else _own(schema.SUBSCHEMA, schema.subschema(), question)
    if name[1:] == top and name[0][0] == "mail":
        return await _one(service, asked, question, name[0][1])
    raise Refused(Code.NO_SUCH_OBJECT, matched=service.base if name[-len(top) :] == top else "")


def _filter(asked: Search) -> Filter:
    if asked.question is None:
        raise Refused(Code.ADMIN_LIMIT_EXCEEDED, "ldap.too_complex")
    return asked.question


def _own(name: str, held: Attributes, question: Filter) -> Found:
    return Found(own=((name, held),)) if questions.true_of(question, held) else Found()


async def _from_base(service: Service, asked: Search, question: Filter) -> Found:
    own = Found() if asked.scope is Scope.ONE else _own(service.base, entries.top(service.base), question)
    return own if asked.scope is Scope.BASE else await _below(service, asked, question, own)


async def _below(service: Service, asked: Search, question: Filter, beside: Found | None = None) -> Found:
    """The mailboxes, and ``beside`` them what counts towards the limit too."""
    beside = beside or Found()
    condition = questions.question(question)
    if condition == questions.FALSE:
        return beside
    most = service.limits.entries
    limit = max(0, min(asked.limit or most, most) - len(beside.own))
    answer = await _patiently(service, asked, _find(service, condition, limit))
    return Found(answer.entries, beside.own, Code.SIZE_LIMIT_EXCEEDED if answer.more else Code.SUCCESS)


async def _one(service: Service, asked: Search, question: Filter, address: str) -> Found:
    entry = await _patiently(service, asked, service.directory.get(address))
    if entry is None:
        raise Refused(Code.NO_SUCH_OBJECT, matched=service.base)
    fits = asked.scope is not Scope.ONE and holds(questions.question(question), entry)
    return Found((entry,) if fits else ())


async def _find(service: Service, condition: Condition, limit: int) -> Answer:
    try:
        return await service.directory.find(condition, limit)
    except ValueError:
        raise Refused(Code.ADMIN_LIMIT_EXCEEDED, "ldap.too_complex") from None


async def _patiently(service: Service, asked: Search, work: Awaitable[T]) -> T:
    """What the directory answers within the time the client and we give it."""
    most = service.limits.search_time
    try:
        async with asyncio.timeout(min(asked.seconds or most, most)):
            return await work
    except TimeoutError:
        raise Refused(Code.TIME_LIMIT_EXCEEDED, "ldap.too_slow") from None
    except DirectoryUnavailable:
        raise Refused(Code.UNAVAILABLE, "ldap.unavailable") from None
