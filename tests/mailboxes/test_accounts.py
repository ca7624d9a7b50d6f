"""Accounts and the register of mailboxes: what may exist, what never changes, what is recorded."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select

from gateway.record.journal import verify
from mailboxes import accounts, lookup, register
from mailboxes.account_tables import account, mailbox
from mailboxes.accounts import NewAccount, Refused
from mailboxes.keys import Keyring, LocalMasterKey
from mailboxes.store import Corrupted, MailboxGone
from mailboxes.unit import Unit
from mailboxes.vault import StoreVault
from policies.events import Kind
from policies.lifecycle import AccountState, Step
from policies.values import BalState, BalType
from tests.mailboxes.people import ACTOR, DOMAIN, House

MARIE = f"marie.martin@{DOMAIN}"


def refused(house: House, work: Any) -> str:
    with pytest.raises(Refused) as caught:
        house.do(work)
    decision = caught.value.decision
    assert decision.sentence("fr")
    assert decision.remedy("en")
    return decision.rule.name


def opening(house: House, **changed: str) -> str:
    given = {"login": "paul.durand", "family_name": "Durand", "given_name": "Paul", "identity": "8ANS0002", **changed}
    return refused(house, lambda unit: house.accounts.open(unit, NewAccount(**given), ACTOR))


# accounts


def test_a_person_is_admitted_once_and_pending_until_verified(shared_house: House) -> None:
    house = shared_house
    house.person()
    house.person("paul.durand", identity="8ANS0002", verified="")
    marie, paul = house.ask(accounts.listed)
    assert (marie.login, marie.state, marie.state_reason) == ("marie.martin", AccountState.ACTIVE, "card")
    assert paul.state is AccountState.PENDING
    assert house.do(lambda unit: house.accounts.move(unit, "paul.durand", Step.ACTIVATE, "RPPS", ACTOR)) == "active"
    events = house.events(Kind.ACCOUNT)
    assert [(event.detail["account"], event.detail["what"]) for event in events] == [
        ("marie.martin", "opened"),
        ("paul.durand", "opened"),
        ("paul.durand", "activate"),
    ]
    assert {event.actor for event in events} == {ACTOR}


def test_a_list_leaves_nobody_out_however_many_there_are(house: House) -> None:
    """Ten thousand were shown, and nothing said that there were more."""
    house.person()
    house.mailbox(owner="marie.martin")

    def many(unit: Unit) -> None:
        for table, last, names in (
            (account, 10_001, ("login", "identity")),
            (mailbox, 100_001, ("local",)),
        ):
            row = unit.connection.execute(select(table).limit(1)).mappings().one()
            rows = [{**row, "id": number, **dict.fromkeys(names, f"u{number:06}")} for number in range(2, last + 1)]
            unit.connection.execute(insert(table), rows)

    house.do(many)
    assert len(house.ask(accounts.listed)) == 10_001
    assert len(house.ask(register.listed)) == 100_001


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"login": "P"}, "account.login_malformed"),
        ({"login": "Paul Durand"}, "account.login_malformed"),
        ({"login": "marie.martin"}, "account.login_taken"),
        ({"identity": "8ANS0001"}, "account.identity_taken"),
        ({"identity": "8 ANS"}, "account.identity_malformed"),
        ({"family_name": " \n"}, "account.name_missing"),
        ({"contact": f"paul@{DOMAIN}"}, "account.contact_inside"),
        ({"contact": "paul@medecin.mssante.fr"}, "account.contact_inside"),
        ({"contact": "paul"}, "mailbox.address_malformed"),
    ],
)
def test_who_is_not_admitted(house: House, changed: dict[str, str], rule: str) -> None:
    house.person()
    assert opening(house, **changed) == rule
    assert len(house.ask(accounts.listed)) == 1


def test_closing_an_account_ends_sessions_and_devices(house: House) -> None:
    house.person()
    house.mailbox()
    house.device("marie.martin", MARIE)
    assert refused(house, lambda unit: house.accounts.move(unit, "marie.martin", Step.CLOSE, "", ACTOR)) == (
        "lifecycle.reason_missing"
    )
    house.do(lambda unit: house.accounts.move(unit, "marie.martin", Step.CLOSE, "left", ACTOR))
    from mailboxes import devices

    assert all(device.revoked_at for device in house.ask(lambda connection: devices.listed(connection)))
    assert refused(house, lambda unit: house.accounts.move(unit, "marie.martin", Step.RESUME, "x", ACTOR)) == (
        "lifecycle.impossible"
    )
    assert refused(house, lambda unit: house.accounts.move(unit, "nobody", Step.CLOSE, "x", ACTOR)) == (
        "account.not_found"
    )


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("azerty", "account.password_weak"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", "account.password_weak"),
        ("cheval agrafe batterie correct", "account.password_weak"),
        ("Marie.Martin-2026!", "account.password_personal"),
        ("xx-MARTIN-42-Zebre", "account.password_personal"),
    ],
)
def test_passwords_that_are_too_easy(house: House, password: str, rule: str) -> None:
    house.person()
    assert refused(house, lambda unit: house.accounts.set_password(unit, "marie.martin", password, ACTOR)) == rule


def test_a_good_password_is_acceptable(house: House) -> None:
    house.person()
    marie = house.ask(lambda connection: accounts.get(connection, "marie.martin"))
    assert house.accounts.judge_password(marie, "kT9#vQ2!mW5z").rule.name == "account.acceptable"


def test_neither_password_nor_code_is_kept_readable(house: House) -> None:
    house.person()
    secret = house.secrets("marie.martin", "Corneille-7-sonne!")
    row = house.ask(lambda connection: connection.execute(accounts.select(accounts.account)).one())
    assert "Corneille" not in row.password
    assert row.password.startswith("$argon2id$")
    assert secret.encode() not in bytes(row.totp)
    assert house.vault.unseal(bytes(row.totp), accounts.totp_context(row.id)).decode() == secret
    for kind in Kind:
        assert secret not in str(house.events(kind))


def test_a_new_master_key_leaves_one_time_codes_as_they_are(house: House) -> None:
    house.person()
    secret = house.secrets("marie.martin", "Corneille-7-sonne!")
    other = LocalMasterKey(bytes(32))
    house.do(lambda unit: house.keyring.rewrap(unit.connection, other))
    ring = Keyring(other, house.clock)
    house.do(lambda unit: ring.open(unit.connection, unit.now))
    row = house.ask(lambda connection: connection.execute(accounts.select(accounts.account)).one())
    assert StoreVault(ring).unseal(bytes(row.totp), accounts.totp_context(row.id)).decode() == secret
    with pytest.raises(Corrupted):
        StoreVault(ring).unseal(bytes(row.totp), accounts.totp_context(row.id + 1))


def test_nothing_is_sealed_before_the_keyring_is_open(house: House) -> None:
    with pytest.raises(MailboxGone):
        StoreVault(Keyring(LocalMasterKey(bytes(32)), house.clock)).seal(b"x", b"y")


# mailboxes


def test_a_mailbox_has_its_address_for_ever(shared_house: House) -> None:
    house = shared_house
    house.person()
    house.mailbox()
    again = register.NewMailbox(f"Marie.Martin@{DOMAIN}", BalType.PER, owner="marie.martin")
    assert refused(house, lambda unit: house.register.open(unit, again, ACTOR)) == "mailbox.address_taken"
    for step, state in ((Step.SUSPEND, "suspended"), (Step.CLOSE, "closed"), (Step.DELETE, "deleted")):
        assert house.do(lambda unit, step=step: house.register.move(unit, MARIE, step, "end", ACTOR)) == state
        assert refused(house, lambda unit: house.register.open(unit, again, ACTOR)) == "mailbox.address_taken"
    found = house.ask(lambda connection: register.get(connection, MARIE))
    assert (found.state, found.state_reason, found.state_by) == (BalState.DELETED, "end", ACTOR)


def test_deleting_a_mailbox_destroys_its_key_and_the_journal_proves_it(house: House) -> None:
    """TOU-E07."""
    house.person()
    number = house.mailbox()
    assert house.ask(lambda connection: house.keyring.key(connection, number))
    assert refused(house, lambda unit: house.register.move(unit, MARIE, Step.DELETE, "end", ACTOR)) == (
        "lifecycle.impossible"
    )
    for step in (Step.CLOSE, Step.DELETE):
        house.do(lambda unit, step=step: house.register.move(unit, MARIE, step, "end", ACTOR))
    with pytest.raises(MailboxGone):
        house.ask(lambda connection: house.keyring.key(connection, number))
    proof = house.events(Kind.MAILBOX)[-1]
    assert (proof.mailbox, proof.actor) == (number, ACTOR)
    assert (proof.detail["what"], proof.detail["state"], proof.detail["reason"]) == ("delete", "deleted", "end")
    assert house.ask(verify) is None


@pytest.mark.parametrize(
    ("new", "rule"),
    [
        (register.NewMailbox("a@elsewhere.test", BalType.ORG, structure="1X"), "mailbox.domain_not_ours"),
        (register.NewMailbox(f"a b@{DOMAIN}", BalType.ORG, structure="1X"), "mailbox.address_malformed"),
        (register.NewMailbox(f"a%b@{DOMAIN}", BalType.ORG, structure="1X"), "mailbox.address_malformed"),
        (register.NewMailbox(f"a@{DOMAIN}", BalType.PER), "mailbox.owner_missing"),
        (register.NewMailbox(f"a@{DOMAIN}", BalType.CAB, owner="secretary"), "mailbox.owner_missing"),
        (register.NewMailbox(f"a@{DOMAIN}", BalType.PER, owner="nobody"), "account.not_found"),
        (register.NewMailbox(f"a@{DOMAIN}", BalType.ORG), "mailbox.structure_missing"),
        (register.NewMailbox(f"a@{DOMAIN}", BalType.APP, structure="1 X"), "mailbox.structure_malformed"),
        (
            register.NewMailbox(f"a@{DOMAIN}", BalType.PER, owner="marie.martin", attributes={"service": "x"}),
            "mailbox.attribute_foreign",
        ),
    ],
)
def test_mailboxes_that_may_not_exist(house: House, new: register.NewMailbox, rule: str) -> None:
    house.person()
    house.person("secretary", identity="")
    assert refused(house, lambda unit: house.register.open(unit, new, ACTOR)) == rule
    assert house.ask(register.listed) == []


def test_attributes_change_and_identity_does_not(house: House) -> None:
    house.mailbox("labo", BalType.ORG, attributes={"description": "Laboratoire\r\nBcc: x", "rank": 1})
    where = f"labo@{DOMAIN}"
    house.do(lambda unit: house.register.set_attributes(unit, where, {"red_list": True, "service": "B"}, ACTOR))
    found = house.ask(lambda connection: register.get(connection, where))
    assert (found.description, found.red_list, found.service, found.rank) == ("Laboratoire Bcc x", True, "B", 1)
    for attribute in ("address", "type", "owner", "structure"):
        change = {attribute: "x"}
        assert refused(
            house, lambda unit, change=change: house.register.set_attributes(unit, where, change, ACTOR)
        ) == ("mailbox.immutable")


def test_nothing_changes_in_a_closed_mailbox(house: House) -> None:
    house.mailbox("labo", BalType.ORG)
    where = f"labo@{DOMAIN}"
    house.do(lambda unit: house.register.move(unit, where, Step.CLOSE, "x", ACTOR))
    for work in (
        lambda unit: house.register.set_attributes(unit, where, {"rank": 2}, ACTOR),
        lambda unit: house.register.add_alias(unit, where, f"l@{DOMAIN}", ACTOR),
        lambda unit: house.register.admit(unit, where, "marie.martin", ["read"], ACTOR),
        lambda unit: house.register.bind(unit, where, "CN=x", ACTOR),
    ):
        assert refused(house, work) == "mailbox.unusable"


def test_a_mailbox_nobody_has_is_not_found(house: House) -> None:
    for where in (f"nobody@{DOMAIN}", "not an address", "", "\0"):
        assert (
            refused(house, lambda unit, where=where: house.register.move(unit, where, Step.CLOSE, "x", ACTOR))
            == "mailbox.not_found"
        )


def test_aliases_are_addresses_of_their_own(shared_house: House) -> None:
    house = shared_house
    number = house.mailbox("labo", BalType.ORG)
    where, other = f"labo@{DOMAIN}", f"laboratoire@{DOMAIN}"
    house.do(lambda unit: house.register.add_alias(unit, where, other, ACTOR))
    assert house.ask(lambda connection: register.get(connection, other)).id == number
    assert house.ask(lambda connection: register.addresses(connection, number)) == [(where, False), (other, True)]
    assert refused(house, lambda unit: house.register.add_alias(unit, where, other, ACTOR)) == "mailbox.address_taken"
    assert refused(house, lambda unit: house.register.add_alias(unit, where, "a@x.test", ACTOR)) == (
        "mailbox.domain_not_ours"
    )
    assert refused(house, lambda unit: house.register.end_alias(unit, where, ACTOR)) == "mailbox.immutable"
    house.do(lambda unit: house.register.end_alias(unit, other, ACTOR))
    assert house.ask(lambda connection: register.find(connection, other)) is None
    new = register.NewMailbox(other, BalType.ORG, structure="1X")
    assert refused(house, lambda unit: house.register.open(unit, new, ACTOR)) == "mailbox.address_taken"


def test_members_are_dated_and_consented(shared_house: House) -> None:
    house = shared_house
    house.person()
    house.person("secretary", identity="")
    house.mailbox()
    number = house.mailbox("cabinet", BalType.CAB)
    where = f"cabinet@{DOMAIN}"
    admit = house.register.admit
    assert refused(house, lambda unit: admit(unit, MARIE, "secretary", ["read"], ACTOR)) == "member.consent_missing"
    house.do(lambda unit: admit(unit, MARIE, "secretary", ["read"], ACTOR, consent=True))
    owner = house.ask(lambda connection: register.get(connection, where)).owner_id
    assert owner == house.ask(lambda connection: accounts.get(connection, "marie.martin")).id
    assert refused(house, lambda unit: admit(unit, where, "marie.martin", ["read"], ACTOR)) == "member.owner"
    house.do(lambda unit: admit(unit, where, "secretary", ["read"], ACTOR))
    house.do(lambda unit: admit(unit, where, "secretary", ["read", "send_as"], ACTOR))
    house.clock.pass_(60)
    house.do(lambda unit: house.register.dismiss(unit, where, "secretary", ACTOR))
    history = house.ask(lambda connection: register.members(connection, number))
    assert [(item.rights, bool(item.until)) for item in history] == [(("read",), True), (("read", "send_as"), True)]
    assert refused(house, lambda unit: house.register.dismiss(unit, where, "secretary", ACTOR)) == "member.not_found"
    assert [event.detail["what"] for event in house.events(Kind.MEMBER)] == [
        "admitted",
        "admitted",
        "admitted",
        "dismissed",
    ]


def test_certificates_belong_to_applications(shared_house: House) -> None:
    house = shared_house
    number = house.mailbox("hl7", BalType.APP)
    house.mailbox("labo", BalType.ORG)
    where = f"hl7@{DOMAIN}"
    bind, unbind = house.register.bind, house.register.unbind
    name, fingerprint = "CN=hl7.ch.test,O=CH,C=FR", "AB:" * 31 + "cd"
    assert refused(house, lambda unit: bind(unit, f"labo@{DOMAIN}", name, ACTOR)) == "certificate.only_application"
    assert refused(house, lambda unit: bind(unit, where, "not a name", ACTOR)) == "certificate.malformed"
    house.do(lambda unit: bind(unit, where, name, ACTOR))
    house.do(lambda unit: bind(unit, where, fingerprint, ACTOR))
    assert refused(house, lambda unit: bind(unit, where, "C=FR, O=ch, CN=HL7.ch.test", ACTOR)) == "certificate.taken"
    assert refused(house, lambda unit: unbind(unit, where, "CN=other", ACTOR)) == "certificate.not_found"
    house.do(lambda unit: unbind(unit, where, fingerprint, ACTOR))
    assert house.ask(lambda connection: register.certificates(connection, number)) == [name]
    house.do(lambda unit: bind(unit, where, fingerprint, ACTOR))
    assert len(house.ask(lambda connection: register.certificates(connection, number))) == 2


# looking up


async def test_the_doors_find_a_mailbox_by_any_of_its_addresses(shared_house: House) -> None:
    house = shared_house
    number = house.mailbox("labo", BalType.ORG, quota=1000)
    house.do(lambda unit: house.register.add_alias(unit, f"labo@{DOMAIN}", f"l@{DOMAIN}", ACTOR))
    facts = await house.mailboxes.find(f"l@{DOMAIN}")
    assert facts is not None
    assert (facts.id, str(facts.address), facts.quota, facts.used) == (number, f"labo@{DOMAIN}", 1000, 0)
    assert await house.mailboxes.find(f"nobody@{DOMAIN}") is None
    by_id = house.ask(lambda connection: lookup.facts_by_id(connection, number))
    assert by_id == facts


async def test_a_change_is_seen_within_five_seconds_by_hits_and_misses(house: House) -> None:
    assert await house.mailboxes.find(f"labo@{DOMAIN}") is None
    house.mailbox("labo", BalType.ORG)
    assert await house.mailboxes.find(f"labo@{DOMAIN}") is None
    house.clock.pass_(lookup.TTL)
    facts = await house.mailboxes.find(f"labo@{DOMAIN}")
    assert facts is not None
    house.do(lambda unit: house.register.move(unit, f"labo@{DOMAIN}", Step.SUSPEND, "x", ACTOR))
    house.clock.pass_(lookup.TTL)
    facts = await house.mailboxes.find(f"labo@{DOMAIN}")
    assert facts is not None
    assert facts.state is BalState.SUSPENDED


async def test_the_memory_of_strangers_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "REMEMBERED", 10)
    for number in range(25):
        await house.mailboxes.find(f"{number}@{DOMAIN}")
    assert len(house.mailboxes._known) <= 10


def test_a_refusal_leaves_nothing_behind(house: House) -> None:
    """The address is refused after the row of the mailbox was written: both go (one transaction)."""
    house.mailbox("labo", BalType.ORG)
    new = register.NewMailbox(f"labo@{DOMAIN}", BalType.ORG, structure="1X")
    assert refused(house, lambda unit: house.register.open(unit, new, ACTOR)) == "mailbox.address_taken"
    assert len(house.ask(register.listed)) == 1
    assert len(house.events(Kind.MAILBOX)) == 1
