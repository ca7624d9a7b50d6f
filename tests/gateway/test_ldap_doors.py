"""The LDAP doors on loopback: what is served to whom, limits, StartTLS, and hostile octets."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from directory.allowance import Allowance
from directory.entry import Entry
from directory.ldap.connection import Connection
from directory.ldap.filters import And, Compare, Filter, Match, Not, Or, Present, Substrings
from directory.ldap.ports import Limits, Service
from directory.ldap.server import LdapServer
from directory.ldap.telling import Telling
from directory.ldap.wire import DISCONNECTION, STARTTLS, WHO_AM_I, Code, Message
from directory.search import Answer, Condition, DirectoryUnavailable, MemoryDirectory
from gateway.ldap_doors import LdapGate, _layer
from mailboxes.tally import LocalTally
from policies.events import Event, Kind
from policies.values import Login
from tests.directory import ldap_requests as client
from tests.directory.ldap_requests import BASE, Response
from tests.gateway.smtp_twin import HOSTNAME, MemoryAuthenticator, Pki, make_pki
from tests.waiting import until

EXAMPLES = int(os.environ.get("CADUCEE_FUZZ_EXAMPLES", "60"))
ME, SECRET = "jeanne@op-a.mssante.test", "s3cret-device"
PEOPLE = [
    Entry(address=f"p{number:03}@op-a.mssante.test", type="PER", family=f"Martin{number:03}", given="Marie", title="Dr")
    for number in range(150)
]


class Directory(MemoryDirectory):
    """May be slow, or away."""

    pause = 0.0
    away = False

    async def find(self, condition: Condition, limit: int) -> Answer:
        await asyncio.sleep(self.pause)
        if self.away:
            raise DirectoryUnavailable
        return await super().find(condition, limit)


@dataclass
class Authenticator(MemoryAuthenticator):
    withdrawn: bool = False
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    async def password(self, login: str, secret: str, ip: str) -> Login:
        self.asked.append((login, secret, ip))
        return await super().password(login, secret, ip)

    async def alive(self, login: Login) -> bool:
        return not self.withdrawn


@dataclass
class House:
    """Both doors, and what is behind them."""

    directory: Directory
    authenticator: Authenticator
    events: list[Event]
    tally: LocalTally
    pki: Pki
    clear: LdapServer
    tls: LdapServer
    ports: dict[str, int] = field(default_factory=dict)

    def limit(self, **limits: float) -> None:
        for server in (self.clear, self.tls):
            server.service.limits = replace(server.service.limits, **limits)  # type: ignore[arg-type]

    def told(self) -> dict[str, int]:
        found = [event.detail for event in self.events if event.kind is Kind.DIRECTORY_SEARCHED]
        return {key: sum(each[key] for each in found) for key in ("searches", "entries", "refused")}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def house(pki: Pki) -> AsyncIterator[House]:
    async with opened(pki) as found:
        yield found


@asynccontextmanager
async def opened(pki: Pki) -> AsyncIterator[House]:
    directory, authenticator, events, tally = Directory(PEOPLE), Authenticator(), list[Event](), LocalTally()
    allowance = Allowance(10_000, 1000, time.monotonic)

    telling = Telling(events.append, time.monotonic, every=0.3)

    def server(door: str) -> LdapServer:
        service = Service(
            directory=directory,
            gate=LdapGate(authenticator),
            allowance=allowance,
            telling=telling,
            tally=tally,
            record=events.append,
            layer=partial(_layer, pki.server_context()),
            base=BASE,
            limits=Limits(sweep_every=0.05, alive_every=0.05),
        )
        return LdapServer(service, door, implicit=door == "ldaps")

    found = House(directory, authenticator, events, tally, pki, server("ldap"), server("ldaps"))
    for name, each in (("ldap", found.clear), ("ldaps", found.tls)):
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        found.ports[name] = await each.listen(bound)
    yield found
    await found.clear.close(1)
    await found.tls.close(1)
    assert len(tally) == 0


class Caller:
    """A client that reads what it is told."""

    def __init__(self, house: House, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.house = house
        self.reader = reader
        self.writer = writer
        self.number = 0

    async def ask(self, make, *arguments: object, **named: object) -> list[Response]:
        """Send one request; everything up to its final response."""
        self.number += 1
        self.writer.write(make(self.number, *arguments, **named))
        return await self.final(self.number)

    async def final(self, number: int) -> list[Response]:
        found: list[Response] = []
        while not found or found[-1].number not in (number, 0) or found[-1].tag == 0x64:
            found.append(await self.next())
        return found

    async def next(self) -> Response:
        async with asyncio.timeout(30):
            head = await self.reader.readexactly(2)
            size = head[1]
            if size & 0x80:
                more = await self.reader.readexactly(size & 0x7F)
                head, size = head + more, int.from_bytes(more, "big")
            return next(client.responses(head + await self.reader.readexactly(size)))

    async def bound(self) -> Caller:
        (answer,) = await self.ask(client.bind, ME, SECRET)
        assert answer.code == Code.SUCCESS, answer
        return self

    async def ended(self) -> bytes:
        async with asyncio.timeout(30):
            return await self.reader.read()

    def close(self) -> None:
        self.writer.close()


def trusting(pki: Pki) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(pki.ca))


async def call(house: House, door: str = "ldaps") -> Caller:
    context = trusting(house.pki) if door == "ldaps" else None
    name = HOSTNAME if door == "ldaps" else None
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports[door], ssl=context, server_hostname=name)
    return Caller(house, reader, writer)


def names(found: list[Response]) -> list[str]:
    return [each.name for each in found if each.tag == 0x64]


MARTINS = Substrings("sn", b"martin", (), b"")


# who may ask


async def test_before_tls_nothing_is_told_and_no_secret_is_looked_at(house: House) -> None:
    caller = await call(house, "ldap")
    (answer,) = await caller.ask(client.bind, ME, SECRET)
    assert answer.code == Code.CONFIDENTIALITY_REQUIRED
    assert house.authenticator.asked == []
    (answer,) = await caller.ask(client.search, MARTINS)
    assert answer.code == Code.CONFIDENTIALITY_REQUIRED
    root, _ = await caller.ask(client.search, base="", scope=0, attributes=["+"])
    assert root.attributes["namingContexts"] == [BASE]
    assert STARTTLS in root.attributes["supportedExtension"]


async def test_anonymous_callers_read_the_root_and_nothing_else(house: House) -> None:
    """MSS-130: searching needs a login."""
    caller = await call(house)
    (answer,) = await caller.ask(client.bind, "", "")
    assert answer.code == Code.SUCCESS
    for base, scope in ((BASE, 2), ("", 2), ("cn=Subschema", 0), (f"mail={PEOPLE[0].address},{BASE}", 0)):
        (answer,) = await caller.ask(client.search, base=base, scope=scope)
        assert answer.code == Code.STRONGER_AUTH_REQUIRED
    root, done = await caller.ask(client.search, base="", scope=0)
    assert (root.attributes, done.code) == ({"objectClass": ["top"]}, Code.SUCCESS)
    assert house.told() == {"searches": 0, "entries": 0, "refused": 0}


@pytest.mark.parametrize("name", [ME, f"mail={ME},{BASE}", f"MAIL={ME.upper()}, ou=bal, o=mssante, c=fr"])
async def test_one_logs_in_with_an_address_or_the_name_of_its_entry(house: House, name: str) -> None:
    caller = await call(house)
    (answer,) = await caller.ask(client.bind, name, SECRET)
    assert answer.code == Code.SUCCESS
    (me,) = await caller.ask(client.extended, WHO_AM_I)
    assert me.value.decode() == f"dn:mail={ME},{BASE}"


async def test_a_refused_login_says_the_same_whoever_it_was(house: House) -> None:
    caller = await call(house)
    said = []
    for name in (ME, "nobody@op-a.mssante.test", f"mail=nobody@op-a.mssante.test,{BASE}", "cn=admin,c=fr"):
        (answer,) = await caller.ask(client.bind, name, "wrong")
        said.append((answer.code, answer.words))
    assert len(set(said)) == 1
    assert said[0][0] == Code.INVALID_CREDENTIALS
    assert len(house.authenticator.asked) == 4  # each took the authenticator's time
    await caller.ask(client.bind, ME, "wrong")
    assert (await caller.next()).oid == DISCONNECTION
    assert await caller.ended() == b""


async def test_who_was_in_is_out_after_another_bind(house: House) -> None:
    caller = await (await call(house)).bound()
    assert (await caller.ask(client.bind, ME, "wrong"))[0].code == Code.INVALID_CREDENTIALS
    assert (await caller.ask(client.search, MARTINS))[0].code == Code.STRONGER_AUTH_REQUIRED
    assert (await caller.ask(client.extended, WHO_AM_I))[0].value == b""


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("session.auth_locked", Code.INVALID_CREDENTIALS),
        ("session.mailbox_suspended", Code.UNWILLING_TO_PERFORM),
        ("session.auth_unavailable", Code.UNAVAILABLE),
    ],
)
async def test_other_refusals_say_what_is_the_matter(house: House, rule: str, code: Code) -> None:
    house.authenticator.rule_name = rule
    caller = await call(house)
    (answer,) = await caller.ask(client.bind, ME, "wrong")
    assert answer.code == code
    assert " / " in answer.words


async def test_requests_that_are_not_served_get_their_own_answer(house: House) -> None:
    caller = await call(house)
    assert (await caller.ask(client.bind, ME, ""))[0].code == Code.UNWILLING_TO_PERFORM
    assert (await caller.ask(client.bind, ME, SECRET, version=2))[0].code == Code.PROTOCOL_ERROR
    assert (await caller.ask(client.sasl))[0].code == Code.AUTH_METHOD_NOT_SUPPORTED
    assert (await caller.ask(client.extended, "1.2.3"))[0].code == Code.PROTOCOL_ERROR
    assert (await caller.ask(client.extended, STARTTLS))[0].code == Code.OPERATIONS_ERROR
    for request, response in ((0x66, 0x67), (0x68, 0x69), (0x4A, 0x6B), (0x6C, 0x6D), (0x6E, 0x6F)):
        (answer,) = await caller.ask(lambda number, tag: client.message(number, bytes((tag, 0))), request)
        assert (answer.tag, answer.code) == (response, Code.UNWILLING_TO_PERFORM)


async def test_a_control_that_is_required_and_unknown_is_refused(house: House) -> None:
    caller = await (await call(house)).bound()
    sorted_by = client.control("1.2.840.113556.1.4.473", critical=True, value=b"0")
    assert (await caller.ask(client.search, MARTINS, sorted_by))[-1].code == Code.UNAVAILABLE_CRITICAL_EXTENSION
    optional = client.control("1.2.840.113556.1.4.473", value=b"0")
    assert (await caller.ask(client.search, Compare("mail", Match.EQUAL, b"p001@op-a.mssante.test"), optional))[
        -1
    ].code == Code.SUCCESS
    paged = client.control("1.2.840.113556.1.4.319", critical=True, value=b"0")
    (answer,) = await caller.ask(lambda number: client.message(number, client.bind(number, ME, SECRET)[5:], paged))
    assert answer.code == Code.UNAVAILABLE_CRITICAL_EXTENSION  # it is a control of searches
    await caller.bound()
    broken = client.control("1.2.840.113556.1.4.319", value=b"0")
    assert (await caller.ask(client.search, MARTINS, broken))[-1].code == Code.PROTOCOL_ERROR


# searching


async def test_one_entry_is_shown_with_what_was_asked_for(house: House) -> None:
    caller = await (await call(house)).bound()
    asked = Compare("mail", Match.EQUAL, PEOPLE[7].address.encode())
    entry, done = await caller.ask(client.search, asked, attributes=["COMMONNAME", "mail", "nothing"])
    assert (entry.name, done.code) == (f"mail={PEOPLE[7].address},{BASE}", Code.SUCCESS)
    assert entry.attributes == {
        "cn": ["Dr Marie MARTIN007", "Marie Martin007", "Martin007 Marie"],
        "mail": [PEOPLE[7].address],
    }
    entry, _ = await caller.ask(client.search, asked, attributes=["1.1"])
    assert entry.attributes == {}
    entry, _ = await caller.ask(client.search, asked, attributes=["+", "sn"])
    assert entry.attributes["entryDN"] == [entry.name]
    assert entry.attributes["sn"] == ["Martin007"]
    assert "cn" not in entry.attributes


async def test_the_limit_is_the_smaller_one_and_said(house: House) -> None:
    """MSS-130: a hundred entries, whatever a client asks for."""
    caller = await (await call(house)).bound()
    for limit, shown in ((0, 100), (1000, 100), (7, 7)):
        *found, done = await caller.ask(client.search, MARTINS, limit=limit)
        assert len(found) == shown
        assert done.code == Code.SIZE_LIMIT_EXCEEDED
    *found, done = await caller.ask(client.search, Present("objectClass"))
    assert len(found) == 100
    assert done.code == Code.SIZE_LIMIT_EXCEEDED
    assert done.words


async def test_pages_come_one_after_the_other_within_the_limit(house: House) -> None:
    caller = await (await call(house)).bound()
    found, cookie, pages = list[str](), b"", 0
    while pages == 0 or cookie:
        *page, done = await caller.ask(client.search, MARTINS, client.page(30, cookie))
        found += names(page)
        assert done.cookie is not None
        cookie, pages = done.cookie, pages + 1
        assert done.code == (Code.SUCCESS if cookie else Code.SIZE_LIMIT_EXCEEDED)
    assert (pages, len(found), len(set(found))) == (4, 100, 100)


async def test_a_page_of_another_search_is_refused(house: House) -> None:
    caller = await (await call(house)).bound()
    *_, done = await caller.ask(client.search, MARTINS, client.page(30))
    (answer,) = await caller.ask(client.search, Present("mail"), client.page(30, done.cookie or b""))
    assert answer.code == Code.UNWILLING_TO_PERFORM
    *_, done = await caller.ask(client.search, MARTINS, client.page(30))
    (answer,) = await caller.ask(client.search, MARTINS, client.page(0, done.cookie or b""))  # given up
    assert (answer.code, answer.cookie) == (Code.SUCCESS, b"")
    (answer,) = await caller.ask(client.search, MARTINS, client.page(30, b"12345678"))
    assert answer.code == Code.UNWILLING_TO_PERFORM


async def test_bases_and_scopes(house: House) -> None:
    caller = await (await call(house)).bound()
    one = f"mail={PEOPLE[3].address},{BASE}"
    only = Compare("mail", Match.EQUAL, PEOPLE[3].address.encode())
    assert names(await caller.ask(client.search, base=one, scope=0)) == [one]
    assert names(await caller.ask(client.search, base=one, scope=2)) == [one]
    assert names(await caller.ask(client.search, base=one, scope=1)) == []
    assert names(await caller.ask(client.search, Not(only), base=one, scope=0)) == []
    assert names(await caller.ask(client.search, only, scope=1)) == [one]
    assert names(await caller.ask(client.search, only, base="")) == [one]
    assert names(await caller.ask(client.search, scope=0)) == [BASE]
    unit = Compare("objectClass", Match.EQUAL, b"organizationalUnit")
    assert names(await caller.ask(client.search, unit)) == [BASE]
    schema, _ = await caller.ask(client.search, base="cn=subschema", scope=0, attributes=["attributeTypes"])
    assert any("'employeeNumber'" in each for each in schema.attributes["attributeTypes"])


@pytest.mark.parametrize(
    ("base", "code", "matched"),
    [
        (f"mail=nobody@op-a.mssante.test,{BASE}", Code.NO_SUCH_OBJECT, BASE),
        (f"cn=somebody,{BASE}", Code.NO_SUCH_OBJECT, BASE),
        ("o=elsewhere,c=fr", Code.NO_SUCH_OBJECT, ""),
        ("nothing", Code.INVALID_DN_SYNTAX, ""),
    ],
)
async def test_what_is_not_there_is_no_such_object(house: House, base: str, code: Code, matched: str) -> None:
    """Of a mailbox on the red list the directory has no entry: this is its answer too (MSS-121)."""
    caller = await (await call(house)).bound()
    (answer,) = await caller.ask(client.search, base=base, scope=0)
    assert (answer.code, answer.matched) == (code, matched)


async def test_questions_beyond_the_bounds_are_refused(house: House) -> None:
    caller = await (await call(house)).bound()
    long: Filter = Or(tuple(Compare("sn", Match.EQUAL, str(number).encode()) for number in range(65)))
    deep: Filter = MARTINS
    for _ in range(16):
        deep = And((Or((deep, Present("title"))), Present("mail")))
    for asked in (long, deep):
        (answer,) = await caller.ask(client.search, asked)
        assert answer.code == Code.ADMIN_LIMIT_EXCEEDED


async def test_an_account_sees_no_more_than_its_allowance(house: House) -> None:
    """MSS-130: whoever asks letter by letter for all of it is stopped, and what he saw he may see again."""
    house.tls.service.allowance.follow(10_000, 40)
    caller = await (await call(house)).bound()
    *found, done = await caller.ask(client.search, MARTINS)
    assert 40 <= len(found) < 45
    assert done.code == Code.ADMIN_LIMIT_EXCEEDED
    again = await caller.ask(client.search, MARTINS)
    assert len(again) == len(found) + 1
    other = await (await call(house)).bound()
    *found, done = await other.ask(client.search, Substrings("sn", b"Martin14", (), b""))
    assert len(found) < 4
    assert done.code == Code.ADMIN_LIMIT_EXCEEDED
    house.tls.service.allowance.follow(2, 40)
    assert [(await caller.ask(client.search, Present("nothing")))[-1].code for _ in range(3)][-1] == Code.BUSY


async def test_searches_are_recorded_by_number_only(house: House) -> None:
    caller = await (await call(house)).bound()
    await caller.ask(client.search, MARTINS, limit=10)
    (event,) = house.events  # the first at once
    assert (event.kind, event.actor, event.mailbox) == (Kind.DIRECTORY_SEARCHED, "jeanne", 1)
    assert event.detail == {"door": "ldaps", "ip": "127.0.0.1", "searches": 1, "entries": 10, "refused": 0}
    await caller.ask(client.search, Compare("sn", Match.EQUAL, b"secret-name"))
    await caller.ask(client.search, base="o=elsewhere")
    caller.close()
    await until(lambda: house.told() == {"searches": 3, "entries": 10, "refused": 1})
    assert "secret" not in str(house.events)


async def test_what_is_untold_is_told_when_the_doors_close(house: House) -> None:
    caller = await (await call(house)).bound()
    for _ in range(50):
        await caller.ask(client.search, MARTINS, limit=5)
    caller.close()
    await house.tls.close(1)
    assert house.told() == {"searches": 50, "entries": 250, "refused": 0}
    assert len(house.events) < 50


async def test_a_directory_that_is_away_or_slow(house: House) -> None:
    house.limit(search_time=0.2)
    caller = await (await call(house)).bound()
    house.directory.away = True
    assert (await caller.ask(client.search, MARTINS))[-1].code == Code.UNAVAILABLE
    house.directory.away, house.directory.pause = False, 30
    assert (await caller.ask(client.search, MARTINS))[-1].code == Code.TIME_LIMIT_EXCEEDED


async def test_a_search_can_be_abandoned(house: House) -> None:
    house.directory.pause = 60
    caller = await (await call(house)).bound()
    caller.writer.write(client.search(50, MARTINS) + client.search(51, MARTINS))
    await caller.writer.drain()
    await until(lambda: any(each.busy for each in house.tls.connections))
    caller.writer.write(client.abandon(52, 50) + client.abandon(53, 51) + client.abandon(54, 7777))
    (answer,) = await caller.ask(client.extended, WHO_AM_I)
    assert answer.value


# TLS


async def test_start_tls_then_login(house: House) -> None:
    caller = await call(house, "ldap")
    (answer,) = await caller.ask(client.extended, STARTTLS)
    assert (answer.code, answer.oid) == (Code.SUCCESS, STARTTLS)
    await caller.writer.start_tls(trusting(house.pki), server_hostname=HOSTNAME)
    await caller.bound()
    assert len(await caller.ask(client.search, MARTINS, limit=3)) == 4
    root, _ = await caller.ask(client.search, base="", scope=0, attributes=["+"])
    assert STARTTLS not in root.attributes["supportedExtension"]


@pytest.mark.parametrize("behind", [client.search(2, MARTINS), client.bind(2, ME, SECRET), b"\x30\x05\x02"])
async def test_what_was_said_in_clear_behind_start_tls_is_not_taken_for_said_inside(
    house: House, behind: bytes
) -> None:
    caller = await call(house, "ldap")
    caller.writer.write(client.extended(1, STARTTLS) + behind)
    answer = await caller.next()
    assert (answer.oid, answer.code) == (DISCONNECTION, Code.PROTOCOL_ERROR)
    assert await caller.ended() == b""
    assert house.authenticator.asked == []


async def test_a_handshake_that_is_none_ends_the_connection(house: House) -> None:
    caller = await call(house, "ldap")
    await caller.ask(client.extended, STARTTLS)
    caller.writer.write(client.bind(2, ME, SECRET))
    await caller.ended()
    await until(lambda: not house.clear.connections)
    assert house.authenticator.asked == []


async def test_octets_right_behind_the_handshake_are_answered_inside_it(house: House) -> None:
    """The first request may come with the client's last handshake message, before anything here has noticed its end."""
    context = trusting(house.pki)
    for octets in (client.bind(2, ME, SECRET), b"no LDAP"):
        caller = await call(house, "ldap")
        await caller.ask(client.extended, STARTTLS)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=HOSTNAME)
        done = False
        while not done:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                caller.writer.write(outgoing.read())
                incoming.write(await caller.reader.read(65536))
        tls.write(octets)
        caller.writer.write(outgoing.read())
        said = b""
        while not said:
            incoming.write(await asyncio.wait_for(caller.reader.read(65536), 30))
            with suppress(ssl.SSLWantReadError):
                said = tls.read(65536)
        (answer, *_) = client.responses(said)
        assert answer.code == (Code.SUCCESS if octets != b"no LDAP" else Code.PROTOCOL_ERROR)
        caller.close()


async def test_who_wants_to_speak_http_gets_an_alert(house: House) -> None:
    context = trusting(house.pki)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection("127.0.0.1", house.ports["ldaps"], ssl=context, server_hostname=HOSTNAME)


# limits


@pytest.mark.parametrize("limit", ["connections", "per_ip"])
async def test_one_connection_too_many_hears_so(house: House, limit: str) -> None:
    house.limit(**{limit: 2})
    kept = [await call(house) for _ in range(2)]
    await until(lambda: len(house.tls.connections) == 2)
    third = await call(house)
    assert (await third.next()).code == Code.BUSY
    assert await third.ended() == b""
    kept[0].close()
    await until(lambda: len(house.tls.connections) == 1)
    await (await call(house)).bound()


async def test_one_account_has_so_many_connections(house: House) -> None:
    house.limit(per_account=1)
    await (await call(house)).bound()
    second = await call(house)
    assert (await second.ask(client.bind, ME, SECRET))[0].code == Code.BUSY


async def test_who_says_nothing_is_cut_off(house: House) -> None:
    house.limit(login_time=0.2)
    silent, logged_in = await call(house), await (await call(house)).bound()
    assert (await silent.next()).oid == DISCONNECTION
    assert await silent.ended() == b""
    assert len(await logged_in.ask(client.search, MARTINS, limit=1)) == 2
    house.limit(idle_time=0.2)
    assert (await logged_in.next()).oid == DISCONNECTION


async def test_who_talks_on_and_never_logs_in_is_cut_off_too(house: House) -> None:
    house.limit(login_time=0.3)
    caller = await call(house)
    for number in range(1, 10_000):
        caller.writer.write(client.search(number, base="", scope=0))
        if (await caller.final(number))[-1].oid == DISCONNECTION:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody cut it off")


async def test_who_was_withdrawn_is_cut_off(house: House) -> None:
    caller = await (await call(house)).bound()
    house.authenticator.withdrawn = True
    farewell = await caller.next()
    assert (farewell.oid, farewell.code) == (DISCONNECTION, Code.UNAVAILABLE)
    await until(lambda: Kind.CUT in [event.kind for event in house.events])


async def test_a_service_that_stops_says_so(house: House) -> None:
    caller = await (await call(house)).bound()
    closing = asyncio.create_task(house.tls.close(5))
    assert (await caller.next()).code == Code.UNAVAILABLE
    caller.close()
    await closing


async def test_who_does_not_read_is_not_answered_without_end(house: House) -> None:
    """Answers wait in the client's socket, then in a bounded buffer here, and then no more is read."""
    house.tls.service.allowance.follow(0, 0)
    caller = await (await call(house)).bound()
    (connection,) = house.tls.connections
    caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for number in range(10, 3000):
        caller.writer.write(client.search(number, MARTINS))
    await until(lambda: connection._drained is not None, 60)
    assert connection.transport.get_write_buffer_size() < 1 << 19
    assert len(connection._buffer) < 1 << 18
    connection.abort()


async def test_a_request_too_long_is_refused_before_it_came(house: House) -> None:
    caller = await call(house)
    caller.writer.write(b"\x30\x84\x00\x10\x00\x00\x02\x01\x01")
    answer = await caller.next()
    assert (answer.oid, answer.code) == (DISCONNECTION, Code.PROTOCOL_ERROR)


async def test_a_flood_of_requests_keeps_nobody_else_waiting(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """One turn of the loop takes few of them, however many have arrived, and others are answered between."""
    turns: list[int] = []
    take, take_whole = Connection._take, Connection._take_whole

    def counted(connection: Connection, message: Message) -> None:
        turns[-1] += 1
        take(connection, message)

    def turn(connection: Connection, most: int) -> bool:
        turns.append(0)
        return take_whole(connection, most)

    monkeypatch.setattr(Connection, "_take", counted)
    monkeypatch.setattr(Connection, "_take_whole", turn)
    flood, other = await call(house), await (await call(house)).bound()
    flood.writer.write(b"".join(client.abandon(number, 1) for number in range(1, 20_000)))
    flood.writer.write(b"".join(client.extended(number, WHO_AM_I) for number in range(1, 2000)))
    answered, meanwhile = asyncio.create_task(flood.final(1999)), 0
    while not answered.done():
        await other.ask(client.extended, WHO_AM_I)
        meanwhile += 1
    assert len(await answered) == 1999
    assert sum(turns) > 21_000
    assert max(turns) <= 32
    assert meanwhile > 60


# hostile octets

PIECES = st.sampled_from(
    [
        client.bind(1, ME, SECRET),
        client.bind(2, ME, "wrong"),
        client.search(3, MARTINS, client.page(3)),
        client.search(4, base="", scope=0),
        client.extended(5, STARTTLS),
        client.extended(6, WHO_AM_I),
        client.abandon(7, 3),
        client.unbind(8),
        client.sasl(9),
        b"\x30\x0c\x02\x01\x01",
        b"\x30\x84",
    ]
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(PIECES, st.binary(max_size=20)), max_size=8), st.integers(1, 40))
def test_any_octets_are_answered_or_end_the_connection(pki: Pki, pieces: list[bytes], step: int) -> None:
    octets = b"".join(pieces)

    async def converse() -> None:
        async with opened(pki) as house:
            caller = await call(house, "ldap")
            said = b""
            with suppress(OSError):  # it was cut off in the middle
                for at in range(0, len(octets), step):
                    caller.writer.write(octets[at : at + step])
                    await asyncio.sleep(0)
                caller.writer.write_eof()
                said = await caller.ended()
            if STARTTLS.encode() not in said:
                list(client.responses(said))
            assert house.authenticator.asked == []
            caller.close()
            await until(lambda: not house.clear.connections)

    asyncio.run(converse())
