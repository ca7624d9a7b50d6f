"""Access tokens: what a good one is, and every way of not being one (MSS-072, F72)."""

from __future__ import annotations

import base64
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from structlog.testing import capture_logs

from mailboxes.authentication import LoginRefused
from mailboxes.tokens import (
    LONGEST_TOKEN,
    LocalKeys,
    NoKeySet,
    NoTokens,
    TokenRefused,
    TokenRules,
    TokensUnavailable,
    judge,
    read_keys,
)
from policies.events import Kind
from policies.values import BalType
from tests.mailboxes.people import ACTOR, DOMAIN, Clock, House

RULES = TokenRules(issuer="https://idp.test/realms/w", audience="caducee")
CLOCK = Clock()
KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
CURVE = ECKey.generate_key("P-256", {"kid": "two"})
PUBLIC = KeySet.import_key_set({"keys": [KEY.as_dict(private=False), CURVE.as_dict(private=False)]})
VERIFIER = LocalKeys(PUBLIC, RULES, CLOCK)
MARIE = f"marie.martin@{DOMAIN}"


def claims(**changed: Any) -> dict[str, Any]:
    given = {
        "iss": RULES.issuer,
        "aud": "caducee",
        "exp": int(CLOCK()) + 240,
        "iat": int(CLOCK()),
        "acr": "eidas1",
        "SubjectNameID": "8ANS0001",
        "sub": "f:x:8ANS0001",
        **changed,
    }
    return {name: value for name, value in given.items() if value is not None}


def token(key: Any = KEY, algorithm: str = "RS256", **changed: Any) -> str:
    return jwt.encode({"alg": algorithm, "kid": key.kid}, claims(**changed), key)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


async def reason(written: str) -> str:
    with pytest.raises(TokenRefused) as caught:
        await VERIFIER.verify(written)
    return caught.value.reason


async def test_a_good_token_names_a_person() -> None:
    found = await VERIFIER.verify(token())
    assert (found.identity, found.expires) == ("8ANS0001", CLOCK() + 240)
    assert (await VERIFIER.verify(token(CURVE, "ES256"))).identity == "8ANS0001"
    assert (await VERIFIER.verify(token(aud=["account", "caducee"]))).identity == "8ANS0001"
    assert (await VERIFIER.verify(token(aud="account", azp="caducee"))).identity == "8ANS0001"
    assert (await VERIFIER.verify(token(acr=None))).identity == "8ANS0001"
    assert (await VERIFIER.verify(token(typ="Bearer", nonce="x"))).identity == "8ANS0001"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"iss": "https://idp.test/realms/W"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"aud": "other"}, "audience"),
        ({"aud": None}, "audience"),
        ({"typ": "ID"}, "kind"),
        ({"at_hash": "x"}, "kind"),
        ({"typ": "Logout", "exp": CLOCK() - 31}, "kind"),
        ({"typ": ["Bearer"]}, "kind"),
        ({"exp": CLOCK() - 31}, "expired"),
        ({"exp": None}, "malformed"),
        ({"exp": "2099"}, "malformed"),
        ({"nbf": CLOCK() + 60}, "not_yet_valid"),
        ({"iat": CLOCK() + 60}, "not_yet_valid"),
        ({"acr": "eidas2"}, "acr"),
        ({"SubjectNameID": None}, "identity"),
        ({"SubjectNameID": ""}, "identity"),
        ({"SubjectNameID": "8' OR"}, "identity"),
        ({"SubjectNameID": ["8"]}, "identity"),
    ],
)
async def test_claims_that_do_not_hold(changed: dict[str, Any], why: str) -> None:
    assert await reason(token(**changed)) == why


async def test_signatures_that_do_not_hold() -> None:
    good = token()
    head, body, sign = good.split(".")
    assert await reason(token(OTHER)) == "signature"
    assert await reason(f"{head}.{body}.") == "signature"
    assert await reason(f"{head}.{body}.{sign[:-8]}AAAAAAAA") == "signature"
    for algorithm in ("none", "None", ""):
        unsigned = _encoded(json.dumps({"alg": algorithm}).encode())
        assert await reason(f"{unsigned}.{body}.") == "signature"
    # the public key used as a shared secret: the oldest trick
    for secret in (KEY.as_pem(private=False), json.dumps(KEY.as_dict(private=False)).encode()):
        said = f"{_encoded(json.dumps({'alg': 'HS256', 'kid': 'one'}).encode())}.{body}"
        forged = _encoded(hmac.digest(secret, said.encode(), "sha256"))
        assert await reason(f"{said}.{forged}") == "signature"
    nested = b'{"iss":' + b"[" * 4000 + b"]" * 4000 + b"}"  # signed well, and too deep for some Pythons to read
    deep = await reason(jws.serialize_compact({"alg": "RS256", "kid": "one"}, nested, KEY))
    assert deep in ("malformed", "issuer")
    assert await reason("x" * (LONGEST_TOKEN + 1)) == "malformed"
    assert await reason("é") == "malformed"
    assert await reason("") == "malformed"


@given(st.text(max_size=200))
async def test_no_text_is_a_token(text: str) -> None:
    assert await reason(text) in ("malformed", "signature")


@given(
    st.dictionaries(
        st.sampled_from(list(claims())), st.none() | st.text() | st.floats() | st.lists(st.text()), min_size=1
    )
)
def test_claims_of_any_kind_are_judged_not_trusted(changed: dict[str, Any]) -> None:
    try:
        found = judge({**claims(), **changed}, RULES, CLOCK())
    except TokenRefused:
        return
    assert found.identity


async def test_keys_are_read_from_a_file_and_follow_it(tmp_path: Path) -> None:
    """An issuer changes its keys when it likes: the next token must pass, and one of a key taken out must not."""
    later = RSAKey.generate_key(2048, {"kid": "later"})
    place = tmp_path / "jwks.json"
    write_keys(place, KEY)
    verifier = LocalKeys.from_file(place, RULES, CLOCK)
    with pytest.raises(TokenRefused, match="signature"):
        await verifier.verify(token(later))
    write_keys(place, KEY, later)
    assert (await verifier.verify(token(later))).identity == "8ANS0001"
    for broken in (b"", b"<html>502</html>", b'{"keys": []}', None):
        if broken is None:
            place.unlink()
        else:
            place.write_bytes(broken)
        with capture_logs() as said:
            assert await verifier.verify(token())
            assert await verifier.verify(token(later))
        assert [each["event"] for each in said] == ["token_keys_not_reloaded"]
    write_keys(place, later)
    with pytest.raises(TokenRefused, match="signature"):
        await verifier.verify(token())
    assert await verifier.verify(token(later))


def write_keys(place: Path, *keys: Any) -> None:
    place.write_text(json.dumps({"keys": [key.as_dict(private=False) for key in keys]}), encoding="utf-8")


async def test_a_key_that_is_not_understood_does_not_cost_the_others() -> None:
    """RFC 7517 5: issuers publish keys for encryption and of new kinds beside those that sign."""
    known = KEY.as_dict(private=False)
    beside: list[Any] = [
        {"kty": "AKP", "kid": "n", "alg": "ML-DSA-65", "pub": "AAAA"},
        {"kty": "OKP", "kid": "n", "crv": "X999", "x": "AAAA"},
        {"kty": "EC", "kid": "n", "crv": "P-999", "x": "AA", "y": "AA"},
        {"kty": "EC", "kid": "n", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
        {"kty": "oct", "kid": "n", "k": "AAAA"},
        {"kid": "n"},
        {**known, "use": "enc"},
        "n",
    ]
    assert await LocalKeys(read_keys(json.dumps({"keys": [*beside, known]}).encode()), RULES, CLOCK).verify(token())
    nothing = [json.dumps(each).encode() for each in ({"keys": beside}, {"keys": None}, known, [known], None)]
    for octets in (*nothing, b"[" * 100_000):
        with pytest.raises(NoKeySet):
            read_keys(octets)


async def test_without_tokens_the_answer_is_unavailable() -> None:
    with pytest.raises(TokensUnavailable):
        await NoTokens().verify("x")
    house = House()
    with pytest.raises(LoginRefused, match=r"session\.auth_unavailable"):
        await house.credentials.token("x", MARIE, "192.0.2.1")
    house.close()


async def test_a_token_opens_the_mailboxes_its_person_may_open() -> None:
    house = House(clock=CLOCK, tokens=VERIFIER)
    house.person()
    house.mailbox()
    house.mailbox("labo", BalType.ORG)
    login = await house.credentials.token(token(), MARIE, "192.0.2.1")
    assert (login.account, login.means, str(login.address)) == ("marie.martin", "token", MARIE)
    assert str((await house.credentials.token(token(), "", "192.0.2.2")).address) == MARIE
    with pytest.raises(LoginRefused, match=r"session\.auth_failed"):
        await house.credentials.token(token(), f"labo@{DOMAIN}", "192.0.2.1")
    house.do(lambda unit: house.register.admit(unit, f"labo@{DOMAIN}", "marie.martin", ["read"], ACTOR))
    assert (await house.credentials.token(token(), f"labo@{DOMAIN}", "192.0.2.3")).send_as == {MARIE} - {MARIE}
    with pytest.raises(LoginRefused, match=r"session\.auth_failed"):
        await house.credentials.token(token(SubjectNameID="8ANS0404"), MARIE, "192.0.2.1")
    with pytest.raises(LoginRefused, match=r"session\.auth_failed"):
        await house.credentials.token(token(OTHER), MARIE, "192.0.2.1")
    assert token() not in str([house.events(kind) for kind in Kind])
    # a token that expired does not cut the session it opened (MSS-075), a withdrawal does
    assert await house.credentials.alive(login)
    house.close()


async def test_a_clock_a_little_ahead_of_the_issuer_s_shortens_no_token() -> None:
    house = House(clock=CLOCK, tokens=VERIFIER)
    house.person()
    house.mailbox()
    assert (await house.credentials.token(token(exp=CLOCK() - RULES.leeway + 1), MARIE, "192.0.2.1")).means == "token"
    house.close()


async def test_tokens_that_ended_lock_nobody_out_and_forged_ones_do() -> None:
    """Tokens live five minutes: a program that opens a connection tries the one it kept, then fetches another."""
    house = House(clock=CLOCK, tokens=VERIFIER)
    house.person()
    house.mailbox()
    for late in range(1, 2 * house.rules.failures):
        with pytest.raises(LoginRefused, match=r"session\.auth_failed"):
            await house.credentials.token(token(exp=CLOCK() - 30 - late), MARIE, "192.0.2.1")
    assert [event.detail["reason"] for event in house.events(Kind.LOGIN_REFUSED)] == ["expired"] * late
    assert (await house.credentials.token(token(), MARIE, "192.0.2.1")).account == "marie.martin"
    for _ in range(house.rules.failures):
        with pytest.raises(LoginRefused, match=r"session\.auth_failed"):
            await house.credentials.token(token(OTHER), MARIE, "192.0.2.1")
    with pytest.raises(LoginRefused, match=r"session\.auth_locked"):
        await house.credentials.token(token(jti="another"), MARIE, "192.0.2.1")
    house.close()
