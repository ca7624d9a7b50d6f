"""Every rule has a sentence in both languages, a code, a source, and a test that names it."""

from __future__ import annotations

import re
import string
from importlib import import_module
from pathlib import Path

import pytest

from policies import catalogue
from policies.catalogue import SUBJECTS, rule, rules
from policies.decision import CatalogueError, Rule, Verdict, decide, gravest

TESTS = Path(__file__).resolve().parents[1]
DECIDING = [path for room in ("policies", "mailboxes", "gateway") for path in (TESTS.parent / room).rglob("*.py")]
NAME = re.compile(r"[a-z]+\.[a-z0-9_]+")
SOURCE = re.compile(r"(MSS|HID)-[0-9]{3}|TOU-[A-Z][0-9]{2}|RFC [0-9]{3,4}( [0-9A-Z]+(\.[0-9]+)*)?|(CNIL|CSP|ECO) .+")
ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
LONGEST = 400  # one SMTP reply line holds 512 octets
CLASSES = {Verdict.ACCEPT: "2", Verdict.NOTE: "2", Verdict.DEFER: "4", Verdict.REFUSE: "5"}

# What the doors answer by themselves, without a policy in between: name, code, enhanced code, one source.
SESSION = [
    ("session.accepted", 250, "2.0.0", "RFC 5321 4.2.3"),
    ("session.message_accepted", 250, "2.0.0", "MSS-040"),
    ("session.vrfy", 252, "2.5.0", "RFC 5321 7.3"),
    ("session.expn", 502, "5.5.1", "RFC 5321 7.3"),
    ("session.starttls_required", 530, "5.7.0", "MSS-030"),
    ("session.tls_already_active", 503, "5.5.1", "RFC 3207 4.2"),
    ("session.tls_handshake_failed", 554, "5.7.5", "MSS-022"),
    ("session.client_certificate_missing", 554, "5.7.5", "MSS-031"),
    ("session.auth_required", 530, "5.7.0", "RFC 4954 6"),
    ("session.auth_failed", 535, "5.7.8", "MSS-078"),
    ("session.auth_locked", 454, "4.7.0", "MSS-078"),
    ("session.auth_unavailable", 454, "4.7.0", "MSS-080"),
    ("session.auth_mechanism_unknown", 504, "5.5.4", "MSS-076"),
    ("session.auth_already_done", 503, "5.5.1", "RFC 4954 4"),
    ("session.auth_cancelled", 501, "5.7.0", "RFC 4954 4"),
    ("session.too_many_errors", 421, "4.7.0", "RFC 5321 7.8"),
    ("session.too_many_connections", 421, "4.7.0", "RFC 5321 7.8"),
    ("session.rate_limited", 450, "4.7.1", "MSS-078"),
    ("session.too_many_recipients", 452, "4.5.3", "RFC 5321 4.5.3.1.10"),
    ("session.timeout", 421, "4.4.2", "RFC 5321 4.5.3.2"),
    ("session.lifetime", 421, "4.4.2", "MSS-075"),
    ("session.bad_pipelining", 503, "5.5.0", "RFC 2920 3.1"),
    ("session.shutting_down", 421, "4.3.2", "RFC 5321 3.8"),
    ("session.command_unknown", 500, "5.5.1", "RFC 5321 4.2.4"),
    ("session.syntax", 501, "5.5.4", "RFC 5321 4.2.4"),
    ("session.bad_address", 501, "5.1.3", "RFC 5321 4.1.2"),
    ("session.bad_sequence", 503, "5.5.1", "RFC 5321 4.1.4"),
    ("session.no_recipients", 554, "5.5.1", "RFC 5321 3.3"),
    ("session.parameter_unknown", 555, "5.5.4", "RFC 5321 4.1.1.11"),
    ("session.line_too_long", 500, "5.5.2", "RFC 5321 4.5.3.1"),
    ("session.message_too_large", 552, "5.3.4", "MSS-044"),
    ("session.header_too_large", 552, "5.3.4", "MSS-044"),
    ("session.endless_message", 552, "5.3.4", "RFC 5321 7.8"),
    ("session.bare_line_end", 550, "5.5.2", "RFC 5321 2.3.8"),
    ("session.smtputf8_unsupported", 553, "5.6.7", "MSS-049"),
    ("session.wrong_protocol", 421, "4.7.0", "RFC 5321 7.8"),
    ("session.unknown_error", 451, "4.3.0", "MSS-080"),
    ("store.unavailable", 451, "4.3.0", "MSS-040"),
    ("store.full", 452, "4.3.1", "RFC 5321 4.2.3"),
    ("store.busy", 452, "4.3.1", "MSS-080"),
    ("scan.unavailable", 451, "4.7.1", "MSS-047"),
    # what the courier finds at the partner's door before any certificate
    ("trust.partner_no_tls", 451, "4.7.4", "MSS-039"),
    ("trust.partner_tls_failed", 451, "4.7.5", "MSS-022"),
    ("trust.partner_injected", 451, "4.7.5", "RFC 3207 6"),
]


@pytest.mark.parametrize(("name", "code", "enhanced", "source"), SESSION)
def test_the_doors_answer_as_the_tables_say(name: str, code: int, enhanced: str, source: str) -> None:
    entry = rule(name)
    assert (entry.code, entry.enhanced) == (code, enhanced)
    assert source in entry.sources


def everything() -> list[Rule]:
    return list(rules().values())


def parameters(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


@pytest.mark.parametrize("entry", everything(), ids=lambda entry: entry.name)
def test_a_rule_is_complete(entry: Rule) -> None:
    assert NAME.fullmatch(entry.name)
    assert entry.sources
    assert all(SOURCE.fullmatch(source) for source in entry.sources), entry.sources
    assert str(entry.code)[0] == CLASSES[entry.verdict]
    assert ENHANCED.fullmatch(entry.enhanced)
    assert entry.enhanced[0] == str(entry.code)[0]


@pytest.mark.parametrize("entry", everything(), ids=lambda entry: entry.name)
def test_a_rule_speaks_to_a_person_in_both_languages(entry: Rule) -> None:
    for sentence in (entry.fr, entry.en):
        assert sentence.endswith((".", "…"))
        assert len(sentence) <= LONGEST
        assert "\n" not in sentence
    assert entry.fr != entry.en
    assert bool(entry.remedy_fr) == bool(entry.remedy_en)
    assert parameters(entry.fr) == parameters(entry.en)
    assert parameters(entry.remedy_fr) == parameters(entry.remedy_en)
    assert "" not in parameters(entry.fr)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_header_of_a_subject_tells_its_parameters(subject: str) -> None:
    """Whoever decides a rule reads there what to give it."""
    module = import_module(f"policies.catalogue.{subject}")
    _, told, text = str(module.__doc__).partition("Parameters:")
    sentences = (s for one in module.RULES for s in (one.fr, one.en, one.remedy_fr, one.remedy_en))
    assert not told or {name for s in sentences for name in parameters(s)} == set(re.findall(r"``([a-z]+)``", text))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_rule_is_named_by_a_test(subject: str) -> None:
    written = "\n".join(path.read_text("utf-8") for path in sorted(TESTS.rglob("*.py")))
    entries = import_module(f"policies.catalogue.{subject}").RULES
    assert [entry.name for entry in entries if f'"{entry.name}"' not in written] == []


def test_every_rule_is_decided_somewhere() -> None:
    """A sentence that nobody can ever read is a promise that nothing keeps."""
    decided = "\n".join(path.read_text("utf-8") for path in DECIDING if "catalogue" not in path.parts)
    composed = tuple(re.findall(r'f"([a-z]+\.[a-z_]+_)\{', decided))
    assert [name for name in rules() if f'"{name}"' not in decided and not name.startswith(composed)] == []


def test_a_rule_declared_twice_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "SUBJECTS", ("store", "store"))
    rules.cache_clear()
    with pytest.raises(CatalogueError, match="twice"):
        rules()
    monkeypatch.undo()
    rules.cache_clear()
    assert rule("store.full").code == 452


def test_an_unknown_rule_or_a_missing_parameter_is_an_error_at_once() -> None:
    with pytest.raises(CatalogueError):
        rule("trust.never_heard_of")
    with pytest.raises(CatalogueError):
        decide(rule("recipient.unknown"))


def test_the_gravest_decision_wins_and_the_first_of_equals() -> None:
    accepted = decide(rule("session.accepted"))
    deferred = decide(rule("store.unavailable"))
    refused = decide(rule("session.syntax"))
    also = decide(rule("session.expn"))
    assert gravest([accepted, deferred, refused, also]) is refused
    assert gravest((deferred, accepted)) is deferred
    assert deferred.verdict is Verdict.DEFER
    assert refused.remedy("fr")
