"""Addresses of patients as the database holds them: the number sealed, the domain in clear, the same always alike."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.addresses import CLEAR, Addresses

NUMBER = "279039999900003"
DOMAIN = "patient.mssante.fr"
PATIENT = f"{NUMBER}@{DOMAIN}"
OURS, OTHERS = Addresses(b"o" * 32, [DOMAIN, "mes.test"]), Addresses(b"x" * 32, [DOMAIN])
ORDINARY = ["", "alice@op-a.mssante.test", f"{NUMBER}@op-a.mssante.test", f"a@{DOMAIN}.evil.test", "100 % sûr", "a+b@x"]

SPELT = [PATIENT, NUMBER, "2 79 03 99 999 000 03", f"x{PATIENT}", f"Jean.D+1@{DOMAIN}", f"{NUMBER[:13]}@mes.test"]
pieces = st.sampled_from([*SPELT, *ORDINARY]) | st.text(st.sampled_from('%@+=/<>. "\\\n;A2é'), max_size=8)


@given(st.lists(pieces), st.sampled_from(["", " ", "; <"]))
def test_what_is_sealed_opens_again_and_is_sealed_once(found: list[str], between: str) -> None:
    text = between.join(found)
    for seal in (OURS.sealed, OURS.sealed_saying):
        stored = seal(text)
        assert OURS.opened(stored) == text
        assert seal(stored) == stored or not between
    stored = OURS.sealed_json(json.dumps({"to": [text, 1, None], "a": {"b": text}}), patient=True)
    assert OURS.opened_json(stored) == {"to": [text, 1, None], "a": {"b": text}}
    assert not re.search(rf"{PATIENT}(?![A-Za-z0-9-]|\.[A-Za-z0-9])", OURS.sealed(text))
    assert not re.search(rf"(?<![A-Za-z0-9]){NUMBER}(?![A-Za-z0-9])", OURS.sealed_saying(text))


def test_an_address_keeps_its_domain_and_is_found_again() -> None:
    stored = OURS.sealed(PATIENT)
    assert re.fullmatch(rf"%[A-Za-z0-9+/=]+%@{DOMAIN}", stored)
    assert stored == Addresses(b"o" * 32, [DOMAIN]).sealed(PATIENT) != OTHERS.sealed(PATIENT)
    assert len(stored) == len(OURS.sealed(f"1{NUMBER[1:]}@{DOMAIN}")) == len(OURS.sealed(f"a@{DOMAIN}"))
    assert (
        stored.partition("@")[0] != OURS.sealed(f"{NUMBER}@mes.test").partition("@")[0]
    )  # not told to be the same person


def test_a_domain_in_capitals_is_the_same() -> None:
    """A parameter of a command stays as it was written: ORCPT in capitals lay in clear."""
    for written in (f"rfc822;{NUMBER}@PATIENT.MSSANTE.FR", f"{NUMBER}@Patient.mssante.fr"):
        stored = OURS.sealed(written)
        assert NUMBER not in stored
        assert OURS.opened(stored) == written
    assert NUMBER not in OURS.sealed_json(json.dumps({"orcpt": f"{NUMBER}@PATIENT.mssante.fr"}))


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_mail_stays_as_it_is(text: str) -> None:
    assert OURS.sealed(text) is OURS.opened(text) is text


def test_what_does_not_open_stays_and_is_not_sealed_again() -> None:
    """Of another key, altered, before another domain, or with nothing to open it."""
    stored = OURS.sealed(PATIENT)
    foreign = [OTHERS.sealed(PATIENT), stored[:9] + ("A" if stored[9] != "A" else "B") + stored[10:]]
    foreign.append(stored.replace(DOMAIN, "mes.test"))
    for one in foreign:
        assert OURS.opened(one) == one == OURS.sealed(one)
    assert CLEAR.opened(stored) == stored
    assert CLEAR.sealed(PATIENT) == PATIENT


def test_a_domain_that_is_no_longer_configured_opens() -> None:
    assert Addresses(b"o" * 32, ()).opened(OURS.sealed(PATIENT)) == PATIENT


@pytest.mark.parametrize("coded", [f"rfc822;{NUMBER}+40{DOMAIN}", f"rfc822;{NUMBER}@+70atient.mssante.fr"])
def test_an_original_recipient_in_hexadecimal_is_no_way_around(coded: str) -> None:
    stored = OURS.sealed(coded)
    assert NUMBER not in stored
    assert OURS.opened(stored) == coded
    assert OURS.sealed("rfc822;a+2Bb@op-a.test") == "rfc822;a+2Bb@op-a.test"


@pytest.mark.parametrize(
    "said",
    [
        f"550 5.1.1 <{PATIENT}>: patient inconnu",
        f"550 5.1.1 <{NUMBER}@Patient.MSSante.FR>: patient inconnu",
        f"550 5.1.1 {PATIENT}.",
        f"450 4.2.2 {NUMBER} : boîte pleine (https://mes.test/aide/{NUMBER}/x?n={NUMBER})",
        "550 5.1.1 1 79 03 2A 999 000 03 inconnu",
    ],
)
def test_what_a_server_says_of_a_patient_is_sealed_with_or_without_the_domain(said: str) -> None:
    stored = OURS.sealed_saying(said)
    assert NUMBER not in stored
    assert "999" not in stored.replace("%", " ").split(" ")
    assert stored.startswith(said[:9])
    assert OURS.opened(stored) == said


def test_a_hostile_text_costs_what_it_is_long() -> None:
    """Searches that begin again at each letter would take minutes."""
    for text in ("a" * 100_000, "%" * 100_000, ("%" + "A" * 90) * 1000, "1 23 45 67 890 12" * 6000, "a.b+" * 25_000):
        OURS.opened(OURS.sealed_saying(f"{text}@x {PATIENT}"))
