"""Who lives in a trust space in a box: made-up people, mailboxes of each type, and a device password for each person.

Everything goes through the same operations an administrator and a user have on the command line: accounts with password
and one-time code, mailboxes, members, and device passwords created inside a strong session.
Promise: nobody here exists; identities are test identities. Failure: :class:`mailboxes.accounts.Refused` when a rule of
the house refuses what the cast asks for.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyotp

from gateway.admin.pki import Card, Pki, organisation_name, rsa_key
from gateway.compose import Storage
from gateway.people import People, people
from mailboxes import devices
from mailboxes.accounts import NewAccount
from mailboxes.calling import Calling
from mailboxes.naming import display_name
from mailboxes.register import NewMailbox
from mailboxes.sessions import Credential, StrongSession
from policies.values import BalType

ACTOR = "operator:space"
MEMBER = ("read", "write", "send_as")


@dataclass(frozen=True, slots=True)
class Person:
    login: str
    given: str
    family: str
    title: str = "Dr"
    specialty: str = "Qualifié en Médecine Générale"
    specialty_code: str = "SM26"

    @property
    def calling(self) -> Calling:
        return Calling("Médecin", "10", self.specialty, self.specialty_code)


@dataclass(frozen=True, slots=True)
class Box:
    """A mailbox to open. ``people`` are the logins of its owner (PER, CAB) or members."""

    local: str
    type: BalType
    people: tuple[str, ...] = ()
    service: str = ""


@dataclass(frozen=True, slots=True)
class Cast:
    structure: str
    place: Mapping[str, str]
    people: tuple[Person, ...]
    boxes: tuple[Box, ...]


CASTS = {
    "op-a": Cast(
        "399900000000018",
        {"street": "12 rue des Lilas", "postal_code": "75013", "town": "Paris"},
        (
            Person("alice.martin", "Alice", "Martin", specialty="Cardiologie", specialty_code="SM04"),
            Person("paul.durand", "Paul", "Durand"),
        ),
        (
            Box("alice.martin", BalType.PER, ("alice.martin",)),
            Box("paul.durand", BalType.PER, ("paul.durand",)),
            Box("cardiologie", BalType.ORG, ("alice.martin", "paul.durand"), "Hôpital d’essai – Cardiologie"),
            Box("cabinet.lilas", BalType.CAB, ("paul.durand",), "Cabinet des Lilas"),
            Box("laboratoire", BalType.APP, (), "Laboratoire d’essai"),
        ),
    ),
    "op-b": Cast(
        "399900000000026",
        {"street": "3 place des Tilleuls", "postal_code": "69003", "town": "Lyon"},
        (
            Person("jeanne.bernard", "Jeanne", "Bernard", specialty="Radio-diagnostic", specialty_code="SM44"),
            Person("karim.petit", "Karim", "Petit"),
        ),
        (
            Box("jeanne.bernard", BalType.PER, ("jeanne.bernard",)),
            Box("karim.petit", BalType.PER, ("karim.petit",)),
            Box("radiologie", BalType.ORG, ("jeanne.bernard", "karim.petit"), "Clinique d’essai – Radiologie"),
            Box("cabinet.tilleuls", BalType.CAB, ("karim.petit",), "Cabinet des Tilleuls"),
            Box("imagerie", BalType.APP, (), "Serveur d’imagerie d’essai"),
        ),
    ),
}


@dataclass(slots=True)
class Admission:
    """Opens the cast in one operator's store."""

    storage: Storage
    pki: Pki
    domain: str
    cast: Cast
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    people: People = field(init=False)

    def __post_init__(self) -> None:
        self.people = people(self.storage)

    def admit(self, load_mailboxes: int = 0) -> list[dict[str, Any]]:
        """The ``mailboxes`` of the ready file: address, type, login and the secrets that apply."""
        persons = {person.login: person for person in self.cast.people}
        sessions = {login: self._person(person) for login, person in persons.items()}
        found = [self._box(box, persons, sessions) for box in self.cast.boxes]
        if load_mailboxes:
            person = Person("charge", "Essai", "Charge")
            session = self._person(person)
            boxes = [Box(f"user{number}", BalType.PER, ("charge",)) for number in range(load_mailboxes)]
            found += [self._box(box, {"charge": person}, {"charge": session}) for box in boxes]
        return found

    def _person(self, person: Person) -> StrongSession:
        accounts = self.people.accounts
        run = self.storage.committer.run_sync
        password = secrets.token_urlsafe(18) + "-aA1"
        new = NewAccount(
            person.login,
            person.family,
            person.given,
            f"ESSAI-{person.login}",
            person.title,
            "",
            "space",
            person.calling,
        )
        run(lambda unit: accounts.open(unit, new, ACTOR))
        run(lambda unit: accounts.set_password(unit, person.login, password, ACTOR))
        secret = run(lambda unit: accounts.new_code(unit, person.login, ACTOR))
        self.secrets[person.login] = {"password": password, "totp_secret": secret}
        code = pyotp.TOTP(secret).at(int(time.time()))
        given = Credential(person.login, password, code, "space")
        return self.people.sessions.open(self.storage.committer, given)[1]

    def _box(self, box: Box, persons: dict[str, Person], sessions: dict[str, StrongSession]) -> dict[str, Any]:
        address = f"{box.local}@{self.domain}"
        self._open(box, address)
        said: dict[str, Any] = {"address": address, "type": box.type.value, "login": address}
        if box.type is BalType.APP:
            return said | self._card(box, address)
        owner = persons[box.people[0]]
        said["account"] = owner.login
        said["display"] = self._display(box, owner)
        said |= self.secrets[owner.login]
        said["device_password"] = self._device(address, sessions[owner.login])
        if len(box.people) > 1:
            said["members"] = [
                {"login": login, "device_password": self._device(address, sessions[login])} for login in box.people
            ]
        return said

    def _open(self, box: Box, address: str) -> None:
        register, run = self.people.register, self.storage.committer.run_sync
        owned = box.type in (BalType.PER, BalType.CAB)
        attributes = dict(self.cast.place)
        if box.type in (BalType.ORG, BalType.APP):
            attributes["service"] = box.service
        if box.type is not BalType.PER:
            attributes["description"] = box.service
        new = NewMailbox(
            address,
            box.type,
            owner=box.people[0] if owned else "",
            structure="" if owned else self.cast.structure,
            attributes=attributes,
        )
        run(lambda unit: register.open(unit, new, ACTOR))
        for login in () if owned else box.people:
            run(partial(register.admit, written=address, login=login, given=MEMBER, actor=ACTOR))
        if box.type is BalType.ORG:  # whoever writes to the operator is read there
            run(partial(register.add_alias, written=address, alias=f"postmaster@{self.domain}", actor=ACTOR))

    def _display(self, box: Box, owner: Person) -> str:
        if box.type is BalType.PER:
            return display_name(title=owner.title, given=owner.given, family=owner.family)
        return display_name(entity=box.service)

    def _device(self, address: str, session: StrongSession) -> str:
        rules = self.people.rules
        created = self.storage.committer.run_sync(
            lambda unit: devices.create(unit, rules, session, address, "Programme de messagerie")
        )
        return created.secret

    def _card(self, box: Box, address: str) -> dict[str, str]:
        """An ORG AUTH_CLI look-alike for a mailbox of software, bound to it."""
        key = rsa_key()
        name = organisation_name(address, box.service, self.cast.structure.removeprefix("3"))
        certificate = self.pki.authority.issue(name, key, datetime.now(UTC))
        card: Card = self.pki.card(f"{self.domain.partition('.')[0]}_{box.local}", certificate, key)
        register = self.people.register
        subject = certificate.subject.rfc4514_string()
        self.storage.committer.run_sync(lambda unit: register.bind(unit, address, subject, ACTOR))
        return {"client_cert": str(card.certificate), "client_key": str(card.key)}
