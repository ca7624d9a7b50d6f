"""National identifiers, display names, passwords: forms and strengths."""

from __future__ import annotations

import argon2
import pytest
from argon2.exceptions import VerifyMismatchError
from hypothesis import given
from hypothesis import strategies as st

from mailboxes import naming, passwords
from mailboxes.naming import display_name, luhn, person, person_problem, structure_problem
from policies.catalogue.sentences_trust import TRUST


@pytest.mark.parametrize(
    ("identity", "problem"),
    [
        ("810003456786", ""),
        ("810003456787", "rpps_key"),
        ("81000345678", "rpps_form"),
        ("8١٠٠٠٣٤٥٦٧٨٤", "characters"),
        ("0751234567", ""),
        ("02A1234567", ""),
        ("075123456", "adeli_form"),
        ("5123", "person_prefix"),
        ("", "characters"),
    ],
)
def test_identifiers_of_persons(identity: str, problem: str) -> None:
    assert person_problem(identity, test=False, check=True) == problem
    assert not problem or all(TRUST[f"identity.{problem}"])  # in words of people: a regular expression stood there


@pytest.mark.parametrize(
    ("identity", "problem"),
    [
        ("1750000012", ""),
        ("12A0000012", ""),
        ("175000001", "finess_form"),
        ("2732829320", ""),
        ("2732829321", "siren_key"),
        ("373282932000074", ""),
        ("373282932000075", "siret_key"),
        ("335600000000049", ""),
        ("335600000000050", ""),
        ("41000345678401", ""),
        ("410003456784", "practice_form"),
        ("9", "structure_prefix"),
    ],
)
def test_identifiers_of_structures(identity: str, problem: str) -> None:
    assert structure_problem(identity, test=False, check=True) == problem
    assert not problem or all(TRUST[f"identity.{problem}"])


def test_test_identities_are_free_only_in_test_mode() -> None:
    assert person_problem("ANS20231122132732", test=True, check=True) == ""
    assert person_problem("ANS20231122132732", test=False, check=True)
    assert person_problem("ANS20231122132732", test=False, check=False) == ""
    assert person_problem("a b", test=True, check=False)


def test_a_bare_rpps_number_gets_its_prefix() -> None:
    assert person("10003456784") == "810003456784"
    assert person("0751234567") == "0751234567"


@given(st.integers(0, 10**10 - 1))
def test_luhn_finds_any_single_wrong_digit(number: int) -> None:
    digits = f"{number:010}"
    right = next(f"{digits}{check}" for check in range(10) if luhn(f"{digits}{check}"))
    for place in range(11):
        other = str((int(right[place]) + 1) % 10)
        assert not luhn(right[:place] + other + right[place + 1 :])


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        (
            {"title": "Dr", "given": "Marie", "family": "Martin", "entity": "Cabinet Medical"},
            "Dr_Marie_MARTIN_Cabinet Medical",
        ),
        ({"given": "Jean-Paul", "family": "Le Goff"}, "Jean-Paul_LE GOFF"),
        ({"entity": "Hopital C – Biologie"}, "Hopital C – Biologie"),
        ({"given": 'M"arie\r\nBcc: x', "family": "<b>"}, "M arie Bcc x_B"),
    ],
)
def test_display_names(given_: dict[str, str], shown: str) -> None:
    """MSS-064."""
    assert display_name(**given_) == shown


@given(st.text(max_size=50), st.text(max_size=50), st.text(max_size=50))
def test_a_display_name_never_leaves_its_quotes(given_: str, family: str, entity: str) -> None:
    shown = display_name(given=given_, family=family, entity=entity)
    assert shown.isprintable() or shown == ""
    assert not set(shown) & set('<>"\r\n\\,;:')


@pytest.mark.parametrize(
    ("password", "bits"),
    [
        ("", 0),
        ("azerty", 28),
        ("Zx7!Zx7!Zx7!", 53),
        ("kT9#vQ2!mW5z", 80),
        ("kT9vQ2mW5zR8pL", 83),
        ("correct horse battery staple", 48),
        ("fleuve orange marteau givre pinson tambour lanterne", 84),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaa", 9),
    ],
)
def test_strength(password: str, bits: int) -> None:
    assert passwords.strength(password) == bits


@given(st.text(max_size=2000))
def test_any_password_can_be_weighed_hashed_and_verified(password: str) -> None:
    hasher = passwords.Passwords(memory=8 * 1024, passes=1)
    assert passwords.strength(password) >= 0
    assert hasher.verify(hasher.hash(password), password)


def test_passwords_compare_composed_and_decoys_never_match() -> None:
    hasher = passwords.Passwords(memory=8 * 1024, passes=1)
    encoded = hasher.hash("é-Corneille")
    assert hasher.verify(encoded, "e\u0301-Corneille")
    assert not hasher.verify("", "é-Corneille")
    assert not hasher.verify("not a hash", "é-Corneille")
    assert hasher.outdated(passwords.Passwords(memory=16 * 1024, passes=1).hash("x"))


def test_the_decoy_costs_what_a_real_hash_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoy that Argon2 could not read would answer at once, and tell that the login is unknown (F61)."""
    hasher = passwords.Passwords(memory=16 * 1024, passes=3, lanes=2)
    computed: list[argon2.Parameters] = []

    def verify(self: argon2.PasswordHasher, encoded: str, password: bytes) -> bool:
        computed.append(argon2.extract_parameters(encoded))
        with pytest.raises(VerifyMismatchError):
            genuine(self, encoded, password)
        raise VerifyMismatchError

    genuine = argon2.PasswordHasher.verify
    monkeypatch.setattr(argon2.PasswordHasher, "verify", verify)
    assert not hasher.verify("", "x")
    assert computed == [argon2.extract_parameters(hasher.hash("x"))]


def test_a_totp_uri_is_what_authenticators_read() -> None:
    secret = passwords.new_totp_secret()
    assert len(secret) == 32
    assert passwords.totp_uri(secret, "marie.martin", "Opérateur").startswith("otpauth://totp/")


@pytest.mark.parametrize("login", ["ab", "marie.martin", "a1_b-c"])
def test_logins(login: str) -> None:
    assert naming.is_login(login)


@pytest.mark.parametrize("login", ["", "a", "A.b", ".ab", "ab.", "é.é", "a b", "a" * 65, "ab\n"])
def test_what_is_no_login(login: str) -> None:
    assert not naming.is_login(login)
