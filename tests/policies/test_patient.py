"""What the medical reader found, judged: severities by rule, direction, type, partner and recipient; patients; poison."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import patient
from policies.decision import Verdict, gravest
from policies.patient import Finding, PatientFacts, PatientSettings, Said, judge, level_of
from policies.values import Address, Door

PAUL = Address("paul", "op-b.mssante.test")
APICRYPT = Address("zoe", "mssante.apicrypt.org")
PATIENT = Address("279035121518989", "patient.mssante.fr")


def found(name: str = "HID-070", severity: str = "R!") -> Finding:
    return Finding(
        name,
        severity,
        Said("ligne 7 du corps du message", "line 7 of the message body"),
        Said("Le nom diffère.", "The surname differs."),
        Said("Vérifiez le patient.", "Check the patient."),
    )


def facts(*findings: Finding, **changes: object) -> PatientFacts:
    given = {"door": Door.SUBMISSION, "recipients": (PAUL,), "findings": findings, **changes}
    return PatientFacts(**given)  # type: ignore[arg-type]


def names(decisions: tuple[object, ...]) -> list[str]:
    return [decision.rule.name for decision in decisions]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("severity", "rule", "verdict"),
    [
        ("R!", "patient.refused", Verdict.REFUSE),
        ("R", "patient.refused", Verdict.REFUSE),
        ("W", "patient.warned", Verdict.NOTE),
        ("N", "patient.noted", Verdict.ACCEPT),
    ],
)
def test_each_severity_has_its_verdict(severity: str, rule: str, verdict: Verdict) -> None:
    (decision,) = judge(facts(found("HID-041", severity)))
    assert decision.rule.name == rule
    assert decision.verdict is verdict


def test_a_refusal_says_rule_place_fault_and_remedy() -> None:
    (decision,) = judge(facts(found()))
    assert decision.sentence("fr") == "[HID-070] ligne 7 du corps du message : Le nom diffère."
    assert decision.sentence("en") == "[HID-070] line 7 of the message body: The surname differs."
    assert decision.remedy("fr") == "Vérifiez le patient."
    assert decision.code == 550


def test_the_first_refusal_names_the_others() -> None:
    decisions = judge(facts(found("HID-041", "W"), found("HID-070"), found("HID-072"), found("HID-020", "R")))
    assert names(decisions) == ["patient.refused"] * 3 + ["patient.warned"]
    assert "(aussi : HID-020, HID-072)" in decisions[0].sentence("fr")
    assert "aussi" not in decisions[1].sentence("fr")


def test_nothing_found_is_accepted() -> None:
    assert names(judge(facts(has_header=True))) == ["patient.accepted"]


LOWERED = {"HID-070": "note", "HID-020": "note"}


@pytest.mark.parametrize(
    "settings",
    [
        PatientSettings(severity=LOWERED),  # type: ignore[arg-type]
        PatientSettings(profile="observe"),
        PatientSettings(directions={"submission": LOWERED}),  # type: ignore[dict-item]
        PatientSettings(types={"APP": LOWERED}),  # type: ignore[dict-item]
        PatientSettings(partners={"op-a.mssante.test": LOWERED}),  # type: ignore[dict-item]
        PatientSettings(domains={PAUL.domain: LOWERED}),  # type: ignore[dict-item]
    ],
)
def test_every_table_lowers_but_never_a_safety_rule(settings: PatientSettings) -> None:
    about = facts(sender_type="APP", sender_domain="op-a.mssante.test")
    assert level_of("HID-020", "R", about, settings) == "note"
    assert level_of("HID-070", "R!", about, settings) == "refuse"


@given(
    profile=st.sampled_from(["standard", "strict", "observe"]),
    tables=st.lists(st.sampled_from(["refuse", "warn", "note"]), min_size=5, max_size=5),
    kind=st.sampled_from(["PER", "APP", ""]),
)
def test_no_configuration_lowers_a_safety_rule(profile: str, tables: list[str], kind: str) -> None:
    one, two, three, four, five = ({"HID-074": level} for level in tables)
    settings = PatientSettings(
        profile,
        one,
        {"submission": two},
        {"APP": three},
        {"op-a.test": four},
        {PAUL.domain: five},  # type: ignore[arg-type, dict-item]
    )
    decisions = judge(facts(found("HID-074"), sender_type=kind, sender_domain="op-a.test"), settings)
    assert gravest(decisions).verdict is Verdict.REFUSE


def test_strict_turns_warnings_into_refusals() -> None:
    assert names(judge(facts(found("HID-041", "W")), PatientSettings("strict"))) == ["patient.refused"]


def test_the_strictest_recipient_decides() -> None:
    settings = PatientSettings(domains={"strict.test": {"HID-041": "refuse"}, PAUL.domain: {"HID-041": "note"}})
    lenient = facts(found("HID-041", "W"))
    both = facts(found("HID-041", "W"), recipients=(PAUL, Address("a", "strict.test")))
    other = facts(found("HID-041", "W"), recipients=(PAUL, Address("a", "third.test")))
    assert names(judge(lenient, settings)) == ["patient.noted"]
    assert names(judge(both, settings)) == ["patient.refused"]
    assert names(judge(other, settings)) == ["patient.warned"]


def test_directions_are_told_apart() -> None:
    settings = PatientSettings(directions={"inbound": {"HID-041": "note"}})
    assert names(judge(facts(found("HID-041", "W"), door=Door.INBOUND), settings)) == ["patient.noted"]
    assert names(judge(facts(found("HID-041", "W")), settings)) == ["patient.warned"]


def test_apicrypt_recipients_need_a_header() -> None:
    assert patient.header_required([PAUL, APICRYPT], "")
    assert not patient.header_required([PAUL, Address("a", "notapicrypt.org")], "APP")
    assert patient.header_required([PAUL], "APP", PatientSettings(header_types=frozenset({"APP"})))
    (decision,) = judge(facts(found("HID-001", "R"), recipients=(APICRYPT,), header_asked=True))
    assert decision.rule.name == "patient.header_required"
    assert "nom, prénom et date de naissance" in decision.sentence("fr")
    assert names(judge(facts(found("HID-001", "R")))) == ["patient.refused"]
    assert names(judge(facts(found("HID-002", "R"), header_asked=True))) == ["patient.refused"]
    assert patient.header_required([Address("zoe", "apicrypt.org")], "")


def test_an_identity_that_is_not_qualified_goes_to_professionals_while_the_derogation_lasts() -> None:
    """MSS-109."""
    unqualified = found("HID-087", "W")
    assert names(judge(facts(unqualified))) == ["patient.warned"]
    assert names(judge(facts(unqualified), PatientSettings(derogation=False))) == ["patient.refused"]
    assert names(judge(facts(found("HID-041", "W")), PatientSettings(derogation=False))) == ["patient.warned"]
    assert names(judge(facts(unqualified, recipients=(PAUL, PATIENT)))) == ["patient.refused"]
    ended = PatientSettings(derogation=False, partners={"op-c.test": {"HID-087": "warn"}})
    assert names(judge(facts(unqualified, sender_domain="op-c.test"), ended)) == ["patient.warned"]


def test_a_document_for_a_patient_must_bear_his_qualified_number() -> None:
    to_patient = {"recipients": (PATIENT,), "attachments": 1}
    assert names(judge(facts(**to_patient)))[0] == "patient.not_qualified"
    assert names(judge(facts(qualified=True, has_cda=True, **to_patient))) == ["patient.accepted"]
    assert names(judge(facts(recipients=(PATIENT,)))) == ["patient.accepted"]
    assert names(judge(facts(attachments=1, has_header=True))) == ["patient.accepted"]


@pytest.mark.parametrize(
    ("mark", "rule"),
    [
        ("FIN", "patient.accepted"),
        ("fin", "patient.closing_mark"),
        ("", "patient.accepted"),
        ("FINI", "patient.closing_mark"),
    ],
)
def test_the_closing_mark_is_exact(mark: str, rule: str) -> None:
    assert names(judge(facts(recipients=(PATIENT,), closing=mark)))[0] == rule


def test_a_closing_subject_counts_too() -> None:
    assert patient.is_closing("FIN", "")
    assert patient.is_closing("", "Re: vos résultats [FIN]")
    assert not patient.is_closing("fin", "[fin]")


def test_an_objection_refuses_and_shows_another_way() -> None:
    (decision,) = judge(facts(found(), opposed=True))
    assert decision.rule.name == "patient.opposed"
    assert "courrier postal" in decision.remedy("fr")


def test_a_professional_forbidden_by_name_is_told_as_such() -> None:
    """TOU-F08. An objection to all says enough."""
    (decision,) = judge(facts(found(), forbidden=("a@x.test", "b@x.test")))
    assert decision.rule.name == "patient.forbidden"
    assert "a@x.test, b@x.test" in decision.sentence("en")
    (decision,) = judge(facts(found(), opposed=True, forbidden=("a@x.test",)))
    assert decision.rule.name == "patient.opposed"


def test_somebody_nearly_like_one_who_objected_is_a_question() -> None:
    """TOU-A10: the message passes and its sender is told, unless something refuses it."""
    decisions = judge(facts(alike=True))
    assert [one.rule.name for one in patient.warnings(decisions)] == ["patient.maybe_opposed"]
    assert all(one.accepted for one in decisions)
    assert names(judge(facts(found(), alike=True, opposed=True))) == ["patient.opposed"]


@pytest.mark.parametrize(
    ("known", "closed", "rule"),
    [
        (True, False, "patient.accepted"),
        (False, False, "patient.conversation_unknown"),
        (True, True, "patient.conversation_closed"),
    ],
)
def test_patients_answer_open_exchanges_only(known: bool, closed: bool, rule: str) -> None:
    assert patient.judge_answer(known=known, closed=closed).rule.name == rule


def test_the_third_death_of_a_reader_is_final() -> None:
    assert [patient.judge_poison(times).rule.name for times in (1, 2, 3, 4)] == [
        "patient.reader_stopped",
        "patient.reader_stopped",
        "patient.quarantined",
        "patient.quarantined",
    ]


@pytest.mark.parametrize(
    ("changes", "remarked"),
    [
        ({"attachments": 1}, True),
        ({"attachments": 1, "body_length": 200}, False),
        ({"attachments": 1, "has_cda": True}, False),
        ({"attachments": 1, "has_header": True}, False),
        ({"attachments": 1, "sealed": True}, False),
        ({"attachments": 0}, False),
        ({"attachments": 1, "door": Door.INBOUND}, False),
    ],
)
def test_attached_information_is_remarked_on(changes: dict[str, object], remarked: bool) -> None:
    decisions = judge(facts(**changes))
    assert ("patient.information_attached" in names(decisions)) is remarked
    assert all(decision.accepted for decision in decisions)
    assert "patient.information_attached" not in names(judge(facts(**changes), PatientSettings(remark_attached=False)))


def test_warnings_are_what_the_sender_is_told() -> None:
    decisions = judge(facts(found("HID-041", "W"), found("HID-082", "N"), attachments=1))
    assert names(patient.warnings(decisions)) == ["patient.warned", "patient.information_attached"]


def test_no_word_of_a_decision_is_lost_in_the_journal() -> None:
    """The journal keeps parameters as they are and says them again in either language."""
    (decision,) = judge(facts(found()))
    again = patient.decide(decision.rule, "", **decision.parameters)
    assert again.sentence("en") == decision.sentence("en")
