"""Logging in: device passwords, certificates, tokens, strong sessions; and every way of not getting in."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyotp
import pytest
from sqlalchemy import select

from mailboxes import credentials, devices, passwords, sessions
from mailboxes.account_tables import account, device, login_failure, strong_session
from mailboxes.accounts import AccountRules, Refused
from mailboxes.authentication import Authenticator, LoginRefused
from mailboxes.credentials import Credentials
from mailboxes.engine import raw
from mailboxes.sessions import StrongSession
from policies.events import Kind
from policies.lifecycle import Step
from policies.values import BalType, CertificateFacts, Login
from tests.mailboxes.people import ACTOR, DOMAIN, House

MARIE = f"marie.martin@{DOMAIN}"
LABO = f"labo@{DOMAIN}"
IP, OTHER_IP = "192.0.2.7", "192.0.2.8"
PASSWORD = "Corneille-7-sonne!"


@pytest.fixture
def lodged(house: House) -> House:
    """Marie with her mailbox."""
    house.person()
    house.mailbox()
    return house


async def attempt(house: House, login: str, secret: str, ip: str = IP, **more: Any) -> str:
    """``ok``, or the rule of the refusal."""
    door = more.get("credentials", house.credentials)
    try:
        await door.password(login, secret, ip)
    except LoginRefused as refused:
        return refused.rule
    return "ok"


def test_it_is_the_port_the_doors_ask(house: House) -> None:
    port: Authenticator = house.credentials
    assert isinstance(port, Credentials)


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        work()
    return caught.value.decision.rule.name


# device passwords


async def test_a_device_opens_its_mailbox_and_no_other(shared_house: House) -> None:
    house = shared_house
    house.person()
    house.mailbox()
    house.person("paul.durand", identity="8ANS0002")
    house.mailbox("paul.durand", owner="paul.durand")
    made = house.device("marie.martin", MARIE)
    login = await house.credentials.password(MARIE, made.secret, IP)
    assert (login.account, str(login.address), login.means) == ("marie.martin", MARIE, "device")
    assert login.send_as == {MARIE}
    assert await attempt(house, f"paul.durand@{DOMAIN}", made.secret) == "session.auth_failed"
    assert await attempt(house, MARIE.upper(), made.secret) == "ok"
    assert await house.credentials.alive(login)
    found = house.ask(lambda connection: devices.listed(connection, login="marie.martin"))
    assert (found[0].last_ip, found[0].last_used_at) == (IP, int(house.clock()))


@pytest.mark.parametrize("typed", ["{}", "{upper}", " {} ", "{bare}", "{lookalike}"])
async def test_a_secret_may_be_typed_as_people_type(lodged: House, typed: str) -> None:
    secret = lodged.device("marie.martin", MARIE).secret
    bare = secret.replace("-", "")
    lookalike = secret.replace("o", "0").replace("l", "1")
    written = typed.format(secret, upper=secret.upper(), bare=bare, lookalike=lookalike)
    assert await attempt(lodged, MARIE, written) == "ok"


def test_a_secret_has_128_bits_and_is_kept_only_as_its_digest(lodged: House) -> None:
    secrets = {lodged.device("marie.martin", MARIE, f"n{number}").secret for number in range(20)}
    assert len(secrets) == 20
    assert all([len(part) for part in secret.split("-")] == [5, 5, 5, 5, 6] for secret in secrets)
    kept = lodged.ask(lambda connection: connection.execute(select(device)).all())
    assert {bytes(row.digest) for row in kept} == {passwords.device_digest(secret) for secret in secrets}
    assert not any(secret in repr(kept) or secret.replace("-", "") in repr(kept) for secret in secrets)


async def test_a_withdrawn_device_is_out_within_seconds_in_every_process(lodged: House) -> None:
    made = lodged.device("marie.martin", MARIE)
    elsewhere = lodged.authenticator()
    login = await elsewhere.password(MARIE, made.secret, IP)
    assert await elsewhere.alive(login)
    lodged.do(lambda unit: devices.revoke(unit, MARIE, made.number, ACTOR))
    lodged.clock.pass_(5)
    assert await attempt(lodged, MARIE, made.secret, credentials=elsewhere) == "session.auth_failed"
    assert not await elsewhere.alive(login)
    assert refusal(lambda: lodged.do(lambda unit: devices.revoke(unit, MARIE, 1, ACTOR))) == "device.not_found"


@pytest.mark.parametrize("step", [Step.SUSPEND, Step.CLOSE])
async def test_a_mailbox_or_an_account_withdrawn_cuts_the_session(lodged: House, step: Step) -> None:
    made = lodged.device("marie.martin", MARIE)
    login = await lodged.credentials.password(MARIE, made.secret, IP)
    lodged.do(lambda unit: lodged.register.move(unit, MARIE, step, "x", ACTOR))
    lodged.clock.pass_(5)
    assert not await lodged.credentials.alive(login)
    assert await attempt(lodged, MARIE, made.secret) == "session.mailbox_suspended"
    assert await attempt(lodged, MARIE, "wrong") == "session.auth_failed"


async def test_a_suspended_person_is_out_and_comes_back(lodged: House) -> None:
    made = lodged.device("marie.martin", MARIE)
    login = await lodged.credentials.password(MARIE, made.secret, IP)
    lodged.do(lambda unit: lodged.accounts.move(unit, "marie.martin", Step.SUSPEND, "x", ACTOR))
    lodged.clock.pass_(5)
    assert not await lodged.credentials.alive(login)
    assert await attempt(lodged, MARIE, made.secret) == "session.auth_failed"
    lodged.do(lambda unit: lodged.accounts.move(unit, "marie.martin", Step.RESUME, "x", ACTOR))
    lodged.clock.pass_(5)
    assert await attempt(lodged, MARIE, made.secret) == "ok"
    assert await lodged.credentials.alive(login)


async def test_a_device_expires_on_open_sessions_too() -> None:
    house = House(rules=AccountRules(domains=(DOMAIN,), test_mode=True, device_lifetime=100))
    house.person()
    house.mailbox()
    made = house.device("marie.martin", MARIE)
    login = await house.credentials.password(MARIE, made.secret, IP)
    assert await house.credentials.alive(login)
    house.clock.pass_(101)
    assert not await house.credentials.alive(login)
    assert await attempt(house, MARIE, made.secret) == "session.auth_failed"
    house.close()


async def test_a_member_reads_and_sends_as_long_as_the_right_lasts(shared_house: House) -> None:
    house = shared_house
    house.person()
    house.mailbox()
    house.mailbox("labo", BalType.ORG)
    house.do(lambda unit: house.register.add_alias(unit, LABO, f"l@{DOMAIN}", ACTOR))
    house.do(lambda unit: house.register.admit(unit, LABO, "marie.martin", ["read", "send_as"], ACTOR))
    own = house.device("marie.martin", MARIE)
    shared = house.device("marie.martin", LABO)
    login = await house.credentials.password(MARIE, own.secret, IP)
    assert login.send_as == {MARIE, LABO, f"l@{DOMAIN}"}
    group = await house.credentials.password(LABO, shared.secret, IP)
    assert group.send_as == {LABO, f"l@{DOMAIN}"}
    house.clock.pass_(60)
    house.do(lambda unit: house.register.admit(unit, LABO, "marie.martin", ["read"], ACTOR))
    house.clock.pass_(60)
    assert await house.credentials.send_as(login) == {MARIE}  # of sessions open since before (F47)
    assert await house.credentials.send_as(group) == frozenset()
    assert (await house.credentials.password(MARIE, own.secret, IP)).send_as == {MARIE}
    assert (await house.credentials.password(LABO, shared.secret, IP)).send_as == frozenset()
    house.do(lambda unit: house.register.dismiss(unit, LABO, "marie.martin", ACTOR))
    house.clock.pass_(60)
    assert await attempt(house, LABO, shared.secret) == "session.auth_failed"
    assert not await house.credentials.alive(group)


async def test_repeated_logins_are_remembered_for_half_a_minute(lodged: House) -> None:
    made = lodged.device("marie.martin", MARIE)
    for _ in range(20):
        assert await attempt(lodged, MARIE, made.secret) == "ok"
    assert len(lodged.events(Kind.LOGIN)) == 1
    assert await attempt(lodged, MARIE, made.secret, OTHER_IP) == "ok"
    assert len(lodged.events(Kind.LOGIN)) == 2
    lodged.clock.pass_(31)
    assert await attempt(lodged, MARIE, made.secret) == "ok"
    logged = lodged.events(Kind.LOGIN)
    assert len(logged) == 3
    assert logged[0].detail == {"device": "device:1", "ip": IP, "mailbox": MARIE, "means": "device"}


async def test_what_is_remembered_is_bounded(lodged: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "REMEMBERED", 5)
    made = lodged.device("marie.martin", MARIE)
    for number in range(12):
        login = await lodged.credentials.password(MARIE, made.secret, f"192.0.2.{number}")
        assert await lodged.credentials.alive(replace(login, account=f"{number}")) is False
    assert len(lodged.credentials._proved) <= 5
    assert len(lodged.credentials._standing) <= 5


def test_no_secret_shows_in_a_repr(lodged: House) -> None:
    made = lodged.device("marie.martin", MARIE)
    assert made.secret not in repr(made)
    assert PASSWORD not in repr(sessions.Credential("marie.martin", PASSWORD, "123456", "host:1"))


async def test_what_is_remembered_holds_no_secret(lodged: House) -> None:
    made = lodged.device("marie.martin", MARIE)
    await attempt(lodged, MARIE, made.secret)
    assert made.secret not in repr(lodged.credentials._proved)
    assert made.secret.encode() not in b"".join(lodged.credentials._proved)


# failures


async def test_every_failure_has_the_same_words_and_the_same_statements(lodged: House) -> None:
    made = lodged.device("marie.martin", MARIE)
    await attempt(lodged, MARIE, "warm", "198.51.100.250")
    said: list[str] = []
    lodged.do(lambda unit: raw(unit.connection).set_trace_callback(said.append))
    counts: list[list[list[str]]] = []
    for login, secret in ((MARIE, "wrong"), (f"nobody@{DOMAIN}", made.secret), ("not an address", "x"), ("", "")):
        said.clear()
        with pytest.raises(LoginRefused) as caught:
            await lodged.credentials.password(login, secret, f"198.51.100.{len(counts)}")
        assert caught.value.rule == "session.auth_failed"
        counts.append([text.split(" ")[:4] for text in said])
    assert counts[0] == counts[1] == counts[2] == counts[3]
    assert len(counts[0]) >= 8


async def test_only_withdrawals_make_every_process_ask_again(lodged: House) -> None:
    from mailboxes.lookup import version

    before = lodged.ask(version)
    lodged.mailbox("labo", BalType.ORG)
    lodged.device("marie.martin", MARIE)
    lodged.secrets("marie.martin")
    lodged.do(lambda unit: lodged.register.add_alias(unit, LABO, f"l@{DOMAIN}", ACTOR))
    lodged.do(lambda unit: lodged.register.set_attributes(unit, LABO, {"rank": 1}, ACTOR))
    assert lodged.ask(version) == before
    lodged.do(lambda unit: devices.revoke(unit, MARIE, 1, ACTOR))
    lodged.do(lambda unit: lodged.register.end_alias(unit, f"l@{DOMAIN}", ACTOR))
    assert lodged.ask(version) == before + 2


async def test_a_thousand_sessions_ask_once(lodged: House) -> None:
    made = lodged.device("marie.martin", MARIE)
    login = await lodged.credentials.password(MARIE, made.secret, IP)
    assert await lodged.credentials.alive(login)
    lodged.clock.pass_(5)
    asked = 0
    run = lodged.reading.run

    async def counted(work: Any) -> Any:
        nonlocal asked
        asked += 1
        return await run(work)

    lodged.reading.run = counted  # type: ignore[method-assign]
    assert all(await asyncio.gather(*(lodged.credentials.alive(login) for _ in range(1000))))
    assert asked == 1


async def test_a_refusal_is_said_at_a_fixed_beat(lodged: House) -> None:
    for _ in range(3):
        await attempt(lodged, MARIE, "wrong")
        lodged.clock.pass_(0.013)
    assert lodged.pauses.taken == [credentials.QUANTUM] * 3
    made = lodged.device("marie.martin", MARIE)
    assert await attempt(lodged, MARIE, made.secret, OTHER_IP) == "ok"
    assert len(lodged.pauses.taken) == 3


async def test_what_is_typed_as_a_login_is_not_kept_when_it_is_nobody(lodged: House) -> None:
    await attempt(lodged, "hunter2-typed-in-the-wrong-field", "x")
    kept = lodged.ask(lambda connection: connection.execute(select(login_failure)).all())
    assert "hunter2" not in repr(kept)
    refused = lodged.events(Kind.LOGIN_REFUSED)
    assert "hunter2" not in repr(refused)
    assert refused[0].detail["reason"] == "unknown"


async def test_hostile_logins_are_only_wrong(lodged: House) -> None:
    for login in ("\0", "\ud800@x", "a" * 100_000, "' OR 1=1 --", f"{MARIE}\r\n", "é@è.fr"):
        assert (
            await attempt(lodged, login, "\0\udfff" * 1000, f"198.51.100.{hash(login) % 200}") == "session.auth_failed"
        )


async def test_a_lock_that_a_wrong_clock_made_does_not_outlast_it(lodged: House) -> None:
    """F16: the clock was days ahead when somebody guessed, of one account and of many; a step of minutes frees nobody."""
    made = lodged.device("marie.martin", MARIE)
    lodged.clock.pass_(5 * 86_400)
    for _ in range(8):
        await attempt(lodged, MARIE, "wrong")
    for number in range(100):
        await attempt(lodged, f"user{number}@{DOMAIN}", "wrong")
    lodged.clock.pass_(-600)
    assert await attempt(lodged, MARIE, made.secret) == "session.auth_locked"
    lodged.clock.pass_(600 - 5 * 86_400)
    assert await attempt(lodged, MARIE, made.secret) == "ok"
    answers = [await attempt(lodged, MARIE, "wrong") for _ in range(9)]
    assert answers == ["session.auth_failed"] * 7 + ["session.auth_locked"] * 2


async def test_seven_failures_lock_one_account_from_one_address_for_a_quarter_of_an_hour(lodged: House) -> None:
    made = lodged.device("marie.martin", MARIE)
    answers = [await attempt(lodged, MARIE, "wrong") for _ in range(9)]
    assert answers == ["session.auth_failed"] * 7 + ["session.auth_locked"] * 2
    for _ in range(3):
        assert await attempt(lodged, MARIE, made.secret) == "session.auth_locked"
    assert await attempt(lodged, MARIE, made.secret, OTHER_IP) == "ok"
    lodged.clock.pass_(900)
    assert await attempt(lodged, MARIE, made.secret) == "ok"


async def test_ten_failures_an_hour_and_no_more(lodged: House) -> None:
    answers: Counter[str] = Counter()
    for _ in range(3600 // 20):
        answers[await attempt(lodged, MARIE, "wrong")] += 1
        lodged.clock.pass_(20)
    assert answers["session.auth_failed"] == 10


async def test_a_stranger_on_the_same_address_keeps_the_owner_out_for_one_lock_only(lodged: House) -> None:
    made = lodged.device("marie.martin", MARIE)
    assert await attempt(lodged, MARIE, made.secret) == "ok"
    lodged.clock.pass_(60)
    for _ in range(20):
        await attempt(lodged, MARIE, "wrong")
    assert await attempt(lodged, MARIE, made.secret) == "session.auth_locked"
    lodged.clock.pass_(900)
    assert await attempt(lodged, MARIE, "wrong") == "session.auth_failed"
    assert await attempt(lodged, MARIE, "wrong") == "session.auth_locked"
    assert await attempt(lodged, MARIE, made.secret) == "ok"


async def test_a_spray_does_not_lock_out_those_who_work_there(lodged: House) -> None:
    made = lodged.device("marie.martin", MARIE)
    assert await attempt(lodged, MARIE, made.secret) == "ok"
    lodged.clock.pass_(60)
    for number in range(110):
        await attempt(lodged, f"user{number}@{DOMAIN}", "wrong")
    assert await attempt(lodged, f"user111@{DOMAIN}", "wrong") == "session.auth_locked"
    assert await attempt(lodged, MARIE, made.secret) == "ok"


async def test_a_spray_over_many_accounts_locks_the_address() -> None:
    house = House(rules=AccountRules(domains=(DOMAIN,), test_mode=True, failures_per_ip=20))
    answers = [await attempt(house, f"user{number}@{DOMAIN}", "Winter2026!") for number in range(30)]
    assert answers == ["session.auth_failed"] * 20 + ["session.auth_locked"] * 10
    assert await attempt(house, f"user1@{DOMAIN}", "x", OTHER_IP) == "session.auth_failed"
    house.close()


async def test_an_ipv6_subscriber_is_one_address(lodged: House) -> None:
    answers = [await attempt(lodged, MARIE, "wrong", f"2001:db8:0:1::{number:x}") for number in range(9)]
    assert answers[7:] == ["session.auth_locked"] * 2
    assert await attempt(lodged, MARIE, "wrong", "2001:db8:0:2::1") == "session.auth_failed"
    assert await attempt(lodged, MARIE, "wrong", "::ffff:192.0.2.9") == "session.auth_failed"


async def test_fifty_at_once_get_no_more_tries_than_one_after_the_other(shared_house: House) -> None:
    house = shared_house
    house.person()
    house.mailbox()
    others = [house.credentials, house.authenticator(), house.authenticator()]
    answers = await asyncio.gather(
        *(attempt(house, MARIE, f"wrong {number}", credentials=others[number % 3]) for number in range(50))
    )
    assert Counter(answers) == {"session.auth_failed": 7, "session.auth_locked": 43}


async def test_failures_are_recorded_with_their_reason(lodged: House) -> None:
    await attempt(lodged, MARIE, "wrong")
    event = lodged.events(Kind.LOGIN_REFUSED)[0]
    assert event.detail == {"ip": IP, "mailbox": MARIE, "means": "device", "reason": "password"}


async def test_old_counters_are_forgotten(lodged: House) -> None:
    await attempt(lodged, "a@x.test", "wrong")
    lodged.clock.pass_(2 * 86400)
    await attempt(lodged, "b@x.test", "wrong", OTHER_IP)
    rows = lodged.ask(lambda connection: connection.execute(select(login_failure)).all())
    assert {row.ip for row in rows} == {OTHER_IP}


async def test_without_a_database_the_answer_is_later(lodged: House) -> None:
    made = lodged.device("marie.martin", MARIE)
    login = await lodged.credentials.password(MARIE, made.secret, IP)
    lodged.committer.close_sync()
    assert await attempt(lodged, MARIE, made.secret, OTHER_IP) == "session.auth_unavailable"
    lodged.reading.close_sync()
    lodged.clock.pass_(60)

    async def broken(*_: object) -> Any:
        from mailboxes.store import StoreUnavailable

        raise StoreUnavailable

    lodged.reading.run = broken  # type: ignore[method-assign,assignment]
    assert await lodged.credentials.alive(login)


# certificates


def facts(subject: str = "CN=hl7.ch.test,O=CH,C=FR", **more: Any) -> CertificateFacts:
    given = {
        "issuer": "CN=AC",
        "serial": 1,
        "fingerprint": "ab" * 32,
        "not_before": datetime(2026, 1, 1, tzinfo=UTC),
        "not_after": datetime(2029, 1, 1, tzinfo=UTC),
        **more,
    }
    return CertificateFacts(subject=subject, **given)


@pytest.mark.parametrize("bound", ["C=fr, O=CH, CN=HL7.ch.test", "AB" * 32])
async def test_an_application_logs_in_by_the_certificate_bound_to_it(shared_house: House, bound: str) -> None:
    house = shared_house
    house.mailbox("hl7", BalType.APP)
    where = f"hl7@{DOMAIN}"
    house.do(lambda unit: house.register.bind(unit, where, bound, ACTOR))
    login = await house.credentials.certificate(facts(), where, IP)
    assert (login.account, login.means, login.send_as) == (facts().subject, "certificate", {where})
    assert (await house.credentials.certificate(facts(), "", OTHER_IP)).mailbox_id == login.mailbox_id
    assert await house.credentials.alive(login)
    assert await house.credentials.send_as(login) == {where}
    house.do(lambda unit: house.register.unbind(unit, where, bound, ACTOR))
    house.clock.pass_(5)
    assert not await house.credentials.alive(login)
    changes = [event.detail for event in house.events(Kind.MAILBOX) if "certificate" in event.detail]
    assert [f"certificate:{change['certificate']}" for change in changes] == [login.credential] * 2
    with pytest.raises(LoginRefused, match=r"session\.auth_failed"):
        await house.credentials.certificate(facts(), where, IP)


@pytest.mark.parametrize(
    "presented",
    [
        facts("CN=other,O=CH,C=FR", fingerprint="cd" * 32),
        facts(chain_problem="untrusted"),
        facts("not a name", fingerprint="cd" * 32),
    ],
)
async def test_another_certificate_is_refused(house: House, presented: CertificateFacts) -> None:
    house.mailbox("hl7", BalType.APP)
    house.do(lambda unit: house.register.bind(unit, f"hl7@{DOMAIN}", facts().subject, ACTOR))
    with pytest.raises(LoginRefused, match=r"session\.auth_failed"):
        await house.credentials.certificate(presented, f"hl7@{DOMAIN}", IP)


async def test_a_certificate_of_two_mailboxes_must_say_which(house: House) -> None:
    for local in ("one", "two"):
        house.mailbox(local, BalType.APP)
        house.do(lambda unit, local=local: house.register.bind(unit, f"{local}@{DOMAIN}", facts().subject, ACTOR))
    with pytest.raises(LoginRefused, match=r"session\.auth_failed"):
        await house.credentials.certificate(facts(), "", IP)
    assert (await house.credentials.certificate(facts(), f"two@{DOMAIN}", IP)).address.local == "two"


async def test_a_person_does_not_log_in_by_certificate_nor_an_application_by_password(lodged: House) -> None:
    with pytest.raises(LoginRefused):
        await lodged.credentials.certificate(facts(), MARIE, IP)
    lodged.mailbox("hl7", BalType.APP)
    session = StrongSession(1, "marie.martin", 0)
    with pytest.raises(Refused, match=r"device\.no_right"):
        lodged.do(lambda unit: devices.create(unit, lodged.rules, session, f"hl7@{DOMAIN}", "x"))


# strong sessions


def code(secret: str, house: House, shift: int = 0) -> str:
    return str(pyotp.TOTP(secret).at(int(house.clock()) + shift))


def opening(house: House, password: str, digits: str, login: str = "marie.martin") -> str:
    try:
        house.session(login, password, digits)
    except Refused as refused:
        return refused.decision.rule.name
    return "ok"


def test_a_session_wants_password_and_code(shared_house: House) -> None:
    house = shared_house
    house.person()
    secret = house.secrets("marie.martin", PASSWORD)
    assert opening(house, PASSWORD, "") == "account.session_refused"
    assert opening(house, "", code(secret, house)) == "account.session_refused"
    assert opening(house, PASSWORD, code(secret, house), "nobody") == "account.session_refused"
    assert opening(house, PASSWORD, code(secret, house)) == "ok"
    reasons = [event.detail["reason"] for event in house.events(Kind.LOGIN_REFUSED)]
    assert reasons == ["code", "password", "unknown"]


def test_who_is_not_verified_yet_opens_no_session_until_a_person_has_checked_the_proof(house: House) -> None:
    """TOU-D06."""
    house.person(verified="")
    secret = house.secrets("marie.martin", PASSWORD)
    assert opening(house, PASSWORD, code(secret, house)) == "account.session_refused"
    assert house.events(Kind.LOGIN_REFUSED)[0].detail["reason"] == "account"
    house.do(lambda unit: house.accounts.move(unit, "marie.martin", Step.ACTIVATE, "identity card seen", ACTOR))
    house.clock.pass_(30)
    assert opening(house, PASSWORD, code(secret, house)) == "ok"
    checked = house.events(Kind.ACCOUNT)[-1]
    assert (checked.detail["what"], checked.detail["reason"], checked.actor) == (
        "activate",
        "identity card seen",
        ACTOR,
    )


def test_a_suspended_person_opens_no_session(lodged: House) -> None:
    secret = lodged.secrets("marie.martin", PASSWORD)
    lodged.do(lambda unit: lodged.accounts.move(unit, "marie.martin", Step.SUSPEND, "x", ACTOR))
    assert opening(lodged, PASSWORD, code(secret, lodged)) == "account.session_refused"
    assert lodged.events(Kind.LOGIN_REFUSED)[0].detail["reason"] == "account"


def test_a_code_works_once_and_around_its_half_minute(lodged: House) -> None:
    secret = lodged.secrets("marie.martin", PASSWORD)
    assert opening(lodged, PASSWORD, code(secret, lodged, -90)) == "account.session_refused"
    assert opening(lodged, PASSWORD, code(secret, lodged, -30)) == "ok"
    assert opening(lodged, PASSWORD, code(secret, lodged, -30)) == "account.session_refused"
    assert opening(lodged, PASSWORD, code(secret, lodged)) == "ok"
    lodged.clock.pass_(30)
    assert opening(lodged, PASSWORD, code(secret, lodged, 30)) == "ok"
    assert opening(lodged, PASSWORD, code(secret, lodged)) == "account.session_refused"


def test_a_session_is_short_and_bound_to_its_place(lodged: House) -> None:
    secret = lodged.secrets("marie.martin", PASSWORD)
    token, _ = lodged.session("marie.martin", PASSWORD, code(secret, lodged))

    def current(bound_to: str) -> StrongSession:
        now = lodged.clock()
        found: StrongSession = lodged.ask(lambda connection: sessions.current(connection, token, bound_to, now))
        return found

    assert current("host:1000").login == "marie.martin"
    assert refusal(lambda: current("host:0")) == "account.session_required"
    lodged.clock.pass_(1801)
    assert refusal(lambda: current("host:1000")) == "account.session_required"
    kept = lodged.ask(lambda connection: connection.execute(select(strong_session)).all())
    assert token not in repr(kept)


@pytest.mark.parametrize("how", ["end", "password", "code", "suspend"])
def test_a_session_ends_with_what_it_rests_on(lodged: House, how: str) -> None:
    secret = lodged.secrets("marie.martin", PASSWORD)
    token, _ = lodged.session("marie.martin", PASSWORD, code(secret, lodged))
    work = {
        "end": lambda unit: sessions.end(unit, token),
        "password": lambda unit: lodged.accounts.set_password(unit, "marie.martin", PASSWORD + "x", ACTOR),
        "code": lambda unit: lodged.accounts.new_code(unit, "marie.martin", ACTOR),
        "suspend": lambda unit: lodged.accounts.move(unit, "marie.martin", Step.SUSPEND, "x", ACTOR),
    }[how]
    lodged.do(work)
    now = lodged.clock()
    with pytest.raises(Refused, match=r"account\.session_required"):
        lodged.ask(lambda connection: sessions.current(connection, token, "host:1000", now))


def test_codes_cannot_be_guessed_in_parallel(shared_house: House) -> None:
    house = shared_house
    house.person()
    secret = house.secrets("marie.martin", PASSWORD)
    right = code(secret, house)
    wrong = [f"{number:06}" for number in range(40) if f"{number:06}" != right]
    with ThreadPoolExecutor(16) as pool:
        answers = Counter(pool.map(lambda digits: opening(house, PASSWORD, digits), wrong))
    assert answers["account.session_refused"] == 7
    assert opening(house, PASSWORD, right) == "session.auth_locked"
    house.clock.pass_(900)
    assert opening(house, PASSWORD, code(secret, house)) == "ok"


def test_a_hash_made_with_older_parameters_is_renewed(lodged: House) -> None:
    secret = lodged.secrets("marie.martin", PASSWORD)
    stronger = passwords.Passwords(memory=16 * 1024, passes=1)
    newer = sessions.Sessions(lodged.rules, lodged.vault, stronger)
    given = sessions.Credential("marie.martin", PASSWORD, code(secret, lodged), "host:1000")
    newer.open(lodged.committer, given)
    kept = lodged.ask(lambda connection: connection.execute(select(account.c.password)).scalar())
    assert not stronger.outdated(kept)
    assert stronger.verify(kept, PASSWORD)


async def test_whoever_watches_a_mailbox_looks_again_when_its_person_is_suspended(lodged: House) -> None:
    touched: list[tuple[int, int]] = []

    class Announcer:
        def write(self, cursor: Any, here: frozenset[tuple[int, int]]) -> None:
            touched.extend(here)

        def committed(self, here: frozenset[tuple[int, int]]) -> None:
            return

    lodged.committer.announcer = Announcer()
    await lodged.committer.run(lambda unit: lodged.accounts.move(unit, "marie.martin", Step.SUSPEND, "x", ACTOR))
    assert touched == [(1, 0)]


def test_an_unknown_login_costs_one_hash_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    verify = passwords.Passwords.verify

    def counted(self: Any, encoded: str, password: str) -> bool:
        asked.append(encoded)
        return verify(self, encoded, password)

    monkeypatch.setattr(passwords.Passwords, "verify", counted)
    assert opening(house, PASSWORD, "123456", "nobody") == "account.session_refused"
    assert asked == [""]


def test_devices_want_a_right_and_a_limit() -> None:
    house = House(rules=AccountRules(domains=(DOMAIN,), test_mode=True, devices=2))
    house.person()
    house.person("paul.durand", identity="8ANS0002")
    house.mailbox()
    assert refusal(lambda: house.device("paul.durand", MARIE)) == "device.no_right"
    house.device("marie.martin", MARIE)
    made = house.device("marie.martin", MARIE)
    assert refusal(lambda: house.device("marie.martin", MARIE)) == "device.too_many"
    house.do(lambda unit: devices.revoke(unit, MARIE, made.number, ACTOR))
    assert house.device("marie.martin", MARIE).number == 3
    house.close()


async def test_a_login_is_what_makes_a_mailbox_active(lodged: House) -> None:
    from mailboxes import register

    assert lodged.ask(lambda connection: register.get(connection, MARIE)).last_login_at == 0
    made = lodged.device("marie.martin", MARIE)
    login: Login = await lodged.credentials.password(MARIE, made.secret, IP)
    assert lodged.ask(lambda connection: register.get(connection, MARIE)).last_login_at == int(lodged.clock())
    assert login.credential == "device:1"
