"""The directory over FHIR as software asks it: who may, how much, page by page, and what is hidden (MSS-121, MSS-123, MSS-130)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
import pytest

from directory.allowance import Allowance
from directory.entry import Entry
from directory.fhir.keys import Kind, identity
from directory.search import Answer, Condition, DirectoryUnavailable, MemoryDirectory
from gateway.http import fhir
from gateway.http.application import assemble
from gateway.http.login import Doorkeeper
from gateway.http.pages import LIFE, Pages
from mailboxes.authentication import LoginRefused
from policies.events import Event
from policies.values import CertificateFacts, Login
from tests.gateway.smtp_twin import JEANNE, MemoryAuthenticator

BASE = "https://smtp.op-a.mssante.test"
SECRET = MemoryAuthenticator.secret


def person(number: int, **more: str) -> Entry:
    names = {"family": f"FAMILLE{number:04}", "given": "Marie", "person": f"8999{number:08}"}
    return Entry(address=f"p{number:04}@op-a.mssante.test", type="PER", **(names | more))


class Asked(MemoryDirectory):
    """Counts what it is asked, and can be away."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        super().__init__(entries)
        self.limits: list[int] = []
        self.away = False

    async def find(self, condition: Condition, limit: int) -> Answer:
        if self.away:
            raise DirectoryUnavailable
        self.limits.append(limit)
        return await super().find(condition, min(limit, 1000))


class House:
    """The interface over a directory in memory."""

    def __init__(self, entries: Iterable[Entry], entries_per_hour: int = 0, searches: int = 0) -> None:
        self.now = 1000.0
        self.directory = Asked(entries)
        self.authenticator = MemoryAuthenticator()
        self.recorded: list[Event] = []
        self.certificate: CertificateFacts | None = None
        allowed = (searches, entries_per_hour)
        desk = fhir.Desk(
            self.directory,
            Doorkeeper(self.authenticator, lambda _tls: self.certificate, self.ready, tokens=True),
            Allowance(*allowed, lambda: self.now),
            lambda: allowed,
            Pages(b"key of the operator", lambda: self.now),
            lambda: BASE,
            self.recorded.append,
        )
        application = assemble([fhir.part(desk)])

        async def with_tls(scope: Any, receive: Any, send: Any) -> None:
            scope["state"] = {"tls": object()}
            await application(scope, receive, send)

        transport = httpx.ASGITransport(with_tls)
        self.client = httpx.AsyncClient(transport=transport, base_url=BASE, auth=(str(JEANNE), SECRET))

    async def ready(self, _tls: object) -> None:
        pass

    async def get(self, path: str, **named: Any) -> httpx.Response:
        answer = await self.client.get(f"/fhir/{path}", **named)
        assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
        return answer

    async def every(self, path: str) -> tuple[list[str], int]:
        """The identities of all pages, and how many pages."""
        found: list[str] = []
        for pages in range(1, 1000):
            answer = await self.client.get(path)
            assert answer.status_code == 200, answer.text
            bundle = answer.json()
            found += [each["resource"]["id"] for each in bundle.get("entry", []) if each["search"]["mode"] == "match"]
            path = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
            if not path:
                return found, pages
        raise AssertionError("pages without end")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House([person(number) for number in range(120)])
    yield made
    await made.client.aclose()


def issue(answer: httpx.Response) -> tuple[int, str]:
    said = answer.json()
    assert said["resourceType"] == "OperationOutcome"
    return answer.status_code, said["issue"][0]["code"]


# who may


async def test_a_mailbox_reads_with_its_device_password_its_token_or_its_certificate(house: House) -> None:
    assert (await house.get("Practitioner?_count=1")).status_code == 200
    bearer = {"authorization": "Bearer tok.en"}
    assert (await house.get("Practitioner?_count=1", auth=None, headers=bearer)).status_code == 200
    house.certificate = CertificateFacts("CN=client", "CN=ca", "00", "aa", None, None)  # type: ignore[arg-type]
    house.client.auth = None
    assert (await house.get("Practitioner?_count=1")).status_code == 200


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Basic",
        "Basic x",
        "Basic YTpi",
        "Basic !!!!",
        "Basic YQ==",
        "Bearer",
        "Bearer no",
        "Digest x",
        "Basic /////w==",
    ],
)
async def test_who_proves_nothing_reads_nothing(house: House, shown: str) -> None:
    house.client.auth = None
    answer = await house.get("Practitioner", headers={"authorization": shown} if shown else {})
    assert issue(answer) == (401, "login")
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert house.directory.limits == []


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("session.mailbox_suspended", (403, "forbidden")),
        ("session.auth_unavailable", (503, "transient")),
        ("session.auth_locked", (401, "login")),
    ],
)
async def test_a_refused_login_is_told_as_fhir_has_it(
    house: House, monkeypatch: pytest.MonkeyPatch, rule: str, told: tuple[int, str]
) -> None:
    async def refused(login: str, secret: str, ip: str) -> Login:
        raise LoginRefused(rule, "private")

    monkeypatch.setattr(house.authenticator, "password", refused)
    answer = await house.get("Practitioner")
    assert issue(answer) == told
    assert "private" not in answer.text


async def test_what_can_be_asked_is_told_to_everybody(house: House) -> None:
    house.client.auth = None
    said = (await house.get("metadata")).json()
    assert said["fhirVersion"] == "4.0.1"
    offered = {each["type"]: {one["name"] for one in each["searchParam"]} for each in said["rest"][0]["resource"]}
    assert set(offered) == {"Practitioner", "PractitionerRole", "Organization"}
    for names in offered.values():
        assert {"mailbox-mss", "mailbox-mss-type"} <= names


# finding


async def test_pages_hold_everybody_once_in_order(house: House) -> None:
    found, pages = await house.every("/fhir/Practitioner?_count=50")
    assert found == [f"8999{number:08}" for number in range(120)]
    assert pages == 3
    found, pages = await house.every("/fhir/Practitioner?family=famille00&_count=7")
    assert len(found) == 100
    assert pages == 15


async def test_a_page_needs_no_parameter_and_hides_what_was_asked(house: House) -> None:
    first = (await house.get("Practitioner?family=famille00&_count=7")).json()
    following = first["link"][1]["url"]
    assert "famille" not in following
    assert following.startswith(f"{BASE}/fhir/Practitioner?_page=")


async def test_a_page_is_for_whoever_searched_and_for_an_hour(house: House) -> None:
    following = (await house.get("Practitioner?_count=7")).json()["link"][1]["url"]
    token = following.partition("_page=")[2]
    assert issue(await house.get(f"Organization?_page={token}")) == (400, "invalid")
    assert issue(await house.get(f"Practitioner?_page={token[:-2]}xx")) == (400, "invalid")
    assert issue(await house.get("Practitioner?_page=%C3%A9")) == (400, "invalid")
    assert issue(await house.get(f"Practitioner?_page={'x' * 13_000}")) == (400, "invalid")
    house.now += LIFE + 1
    assert issue(await house.get(f"Practitioner?_page={token}")) == (410, "expired")


async def test_a_search_goes_so_deep_and_says_that_there_is_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir, "DEEPEST", 60)
    found, pages = await house.every("/fhir/Practitioner?_count=30")
    assert (len(found), pages) == (60, 2)
    assert max(house.directory.limits) == max(fhir.DEEPEST, fhir.MAILBOXES)
    first = (await house.get("Practitioner?_count=30")).json()
    last = (await house.client.get(first["link"][1]["url"])).json()
    assert last["entry"][-1]["search"]["mode"] == "outcome"
    assert "total" not in first


async def test_a_resource_is_whole_however_it_was_found() -> None:
    both = [
        person(1),
        Entry(address="autre@op-a.mssante.test", type="PER", family="FAMILLE0001", person="899900000001"),
    ]
    house = House(both)
    said = (await house.get("Practitioner?mailbox-mss:exact=autre@op-a.mssante.test")).json()
    (only,) = said["entry"]
    assert {point["value"] for point in only["resource"]["telecom"]} == {each.address for each in both}
    assert said["total"] == 1


async def test_an_organisation_with_many_mailboxes_says_that_it_is_not_all() -> None:
    many = [
        Entry(address=f"s{number:03}@h.mssante.test", type="ORG", structure="1999000001", organisation="Hôpital")
        for number in range(fhir.MAILBOXES + 20)
    ]
    house = House(many)
    said = (await house.get("Organization/1999000001")).json()
    assert len(said["telecom"]) == fhir.MAILBOXES
    assert said["meta"]["tag"][0]["code"] == "SUBSETTED"
    found = (await house.get("Organization?mailbox-mss:exact=s110@h.mssante.test")).json()
    told = [point["value"] for point in found["entry"][0]["resource"]["telecom"]]
    assert told[0] == "s110@h.mssante.test"
    assert len(told) == fhir.MAILBOXES
    everything = (await house.get("Organization")).json()["entry"]
    assert [len(each["resource"]["telecom"]) for each in everything] == [fhir.MAILBOXES]


async def test_a_search_may_be_a_form(house: House) -> None:
    """FHIR R4 3.1.1.3: what is searched for stays out of addresses and logs."""
    where = "/fhir/Practitioner/_search?_count=3"
    answer = await house.client.post(where, data={"family": "famille0007"})
    assert [each["resource"]["id"] for each in answer.json()["entry"]] == ["899900000007"]
    assert issue(await house.client.post(where, json={"family": "x"})) == (415, "not-supported")


# what is wrong


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("Practitioner?birthdate=1970", (400, "not-supported")),
        ("Practitioner?name:near=x", (400, "not-supported")),
        ("Practitioner?_count=0", (400, "invalid")),
        ("Practitioner?name=%FF", (400, "invalid")),
        ("Practitioner?" + "&".join(["name=a"] * 30), (400, "too-costly")),
        ("Practitioner?" + "&".join(["name=a"] * 50), (400, "too-costly")),
        ("Practitioner/nobody", (404, "not-found")),
        ("Practitioner/m.%00", (404, "not-found")),
        ("Practitioner/899900000007/_history", (404, "not-found")),
        ("Patient", (404, "not-found")),
        ("", (404, "not-found")),
        ("Practitioner?_format=xml", (406, "not-supported")),
    ],
)
async def test_what_is_wrong_is_told_as_fhir_has_it(house: House, path: str, told: tuple[int, str]) -> None:
    assert issue(await house.get(path)) == told


async def test_the_form_of_answers_can_be_named(house: House) -> None:
    for form in ("json", "application/json", "application/fhir%2Bjson", "application/fhir+json"):
        assert (await house.get(f"Practitioner?_count=1&_format={form}")).status_code == 200
    for accepted, status in (
        ("application/fhir+json", 200),
        ("text/html, */*;q=0.1", 200),
        ("application/fhir+xml", 406),
    ):
        assert (await house.get("Practitioner?_count=1", headers={"accept": accepted})).status_code == status


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_is_written_here(house: House, method: str) -> None:
    answer = await house.client.request(method, "/fhir/Practitioner")
    assert answer.status_code == 405


async def test_errors_are_told_in_the_callers_language(house: House) -> None:
    french = await house.get("Practitioner/nobody", headers={"accept-language": "fr-FR,fr;q=0.9"})
    assert french.json()["issue"][0]["details"]["text"] == "Rien ne porte cet identifiant."


async def test_a_directory_that_is_away_is_told(house: House) -> None:
    house.directory.away = True
    answer = await house.get("Practitioner")
    assert issue(answer) == (503, "transient")
    assert answer.headers["retry-after"]


# how much


async def test_an_account_sees_so_many_in_an_hour() -> None:
    """MSS-130: read again they cost nothing, and who goes on is noted."""
    house = House([person(number) for number in range(120)], entries_per_hour=60)
    assert (await house.get("Practitioner?_count=50")).status_code == 200
    assert (await house.get("Practitioner?_count=50")).status_code == 200
    answer = await house.get("Practitioner?_count=50&family:contains=008,009")
    assert issue(answer) == (429, "throttled")
    assert "FAMILLE" not in answer.text
    assert issue(await house.get("Practitioner?family=famille0110,famille0111,famille0112")) == (429, "throttled")
    (first, *_) = house.recorded
    assert (first.actor, first.detail["refused"], first.detail["door"]) == ("jeanne", 1, "https")
    house.now += 3601
    assert (await house.get("Practitioner?_count=50")).status_code == 200


async def test_an_account_asks_so_often_in_a_minute() -> None:
    house = House([person(1)], searches=3)
    for _ in range(3):
        await house.get("Practitioner")
    answer = await house.get("Practitioner")
    assert issue(answer) == (429, "throttled")
    assert answer.headers["retry-after"] == "60"


# what is hidden


async def test_who_is_hidden_is_answered_as_who_never_was() -> None:
    """MSS-121: the directory gives no entry of whom it hides, and nothing here tells him from nobody."""
    house = House([person(1)])

    async def told(known: Entry) -> list[tuple[int, str, list[str]]]:
        paths = [
            f"Practitioner/{identity(known, Kind.PRACTITIONER)}",
            f"Practitioner?mailbox-mss:exact={known.address}",
            f"Practitioner?identifier={known.person}",
            f"PractitionerRole?practitioner={known.person}",
        ]
        answers = [await house.get(path) for path in paths]
        words = (known.address.replace("@", "%40"), known.address, known.person)
        return [(each.status_code, _without(each.text, words), sorted(each.headers)) for each in answers]

    assert await told(person(9001)) == await told(person(9002))


def _without(text: str, words: Iterable[str]) -> str:
    for word in words:
        text = text.replace(word, "…")
    return text
