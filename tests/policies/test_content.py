"""What a message holds (MSS-044, MSS-046, MSS-047, F66 to F68, F78)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import content
from policies.content import MIB, ContentFacts, ContentSettings
from tests.policies.cases import says


def facts(**more: object) -> ContentFacts:
    return ContentFacts(**more)  # type: ignore[arg-type]


def test_an_ordinary_message_passes() -> None:
    ordinary = facts(
        size=40_000,
        received=3,
        content_types=("multipart/mixed", "text/plain", "application/zip"),
        attachment_names=("IHE_XDM.zip", "20260302_CR d'imagerie médicale.pdf", "resultat.hpr", "photo.v2.jpg"),
    )
    says(content.judge(ordinary), "content.accepted", "MSS-115")


def test_size() -> None:
    assert content.judge_size(10 * MIB).accepted
    assert content.judge(facts(size=25 * MIB)).accepted
    says(content.judge(facts(size=25 * MIB + 1)), "content.too_big", "MSS-044")
    assert content.judge_size(10 * MIB, ContentSettings(size=10 * MIB)).accepted
    decision = content.judge_size(11 * MIB, ContentSettings(size=10 * MIB))
    assert (decision.code, decision.enhanced) == (552, "5.3.4")
    assert "10 Mio" in decision.sentence("fr")


@pytest.mark.parametrize(
    ("word", "rule", "source"),
    [
        ("bare_lf", "content.bare_line_end", "RFC 5321 2.3.8"),
        ("nul", "content.bare_line_end", "RFC 5321 2.3.8"),
        ("too_deep", "content.too_complex", "MSS-091"),
        ("too_many_parts", "content.too_complex", "MSS-091"),
        ("header_too_large", "content.header_too_big", "MSS-091"),
        ("bad_boundary", "content.malformed", "RFC 2045 5"),
        ("never seen before", "content.malformed", "RFC 2045 5"),
    ],
)
def test_a_badly_built_message_is_refused_with_its_problem(word: str, rule: str, source: str) -> None:
    says(content.judge(facts(problems=(word,))), rule, source)


def test_loops_end() -> None:
    assert content.judge(facts(received=50, own_traces=5)).accepted
    says(content.judge(facts(received=51)), "content.loop", "MSS-046")
    assert says(content.judge(facts(own_traces=6)), "content.loop", "RFC 5321 6.3").enhanced == "5.4.6"


def test_viruses_are_refused_and_unscanned_is_never_clean() -> None:
    decision = says(content.judge(facts(infection="Eicar-Test")), "content.infected", "MSS-047")
    assert "Eicar" not in decision.sentence("fr")
    assert "Eicar" in decision.detail
    unscanned = says(content.judge(facts(scanned=False)), "scan.unavailable", "MSS-047")
    assert (unscanned.code, unscanned.enhanced) == (451, "4.7.1")


def test_what_cannot_be_checked_is_refused() -> None:
    says(content.judge(facts(content_types=("message/partial",))), "content.partial", "RFC 2046 5.2.2")
    says(content.judge(facts(content_types=("message/external-body",))), "content.external_body", "RFC 2046 5.2.3")


@pytest.mark.parametrize(
    "name",
    [
        "setup.exe",
        "SETUP.EXE",
        "resultat.pdf.exe",
        "resultat.exe.",
        "resultat.exe . ",
        "resultat.exe ",
        "dossier\\bilan.js",
        "../bilan.vbs",
        "bilan.scr:zone.identifier",
        "compte:rendu.exe",
        "bilan.\uff45\uff58\uff45",  # full-width letters
        "macro.docm",
        ".bat",
    ],
)
def test_programs_are_refused_under_every_name(name: str) -> None:
    decision = says(content.judge(facts(attachment_names=("ok.pdf", name))), "content.dangerous_attachment", "TOU-A06")
    assert "resultat" not in decision.sentence("fr") + decision.detail


def test_a_program_in_an_archive_is_one() -> None:
    assert content.judge_archived(["IHE_XDM/SUBSET01/METADATA.XML", "README.TXT", "Icon\r"]).accepted
    decision = says(content.judge_archived(["bilan.pdf", "CD/VIEWER.EXE"]), "content.archived_program", "MSS-047")
    assert "(.exe)" in decision.sentence("fr")
    assert "VIEWER" not in decision.sentence("fr") + decision.detail


@pytest.mark.parametrize(
    "name",
    [
        "resultat\u202efdp.exe",
        "bilan\u2066.pdf",
        "bilan.pdf" + " " * 60 + ".zip",
        "bilan.pdf." + " " * 60 + "zip",
        "bilan\x00.pdf",
        "bilan\r\n.pdf",
        "x" * 1021 + ".pdf",
    ],
)
def test_names_that_hide_their_nature_are_refused(name: str) -> None:
    says(content.judge(facts(attachment_names=(name,))), "content.disguised_attachment", "MSS-047")


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "...",
        "bilan",
        "bilan.exe.pdf",
        "M. Dupont. Bilan.pdf",
        "Élan.PDF",
        "a:b",
        "CR        1203.pdf",
        "\u200eCR.pdf",
        "CR\tsuite.pdf",
        "x" * 1020 + ".pdf",
        "exe",  # a name, not an extension
        " CR",
        " " * 60 + "CR",
        "Courrier du Dr. Martin",
        "CR. pdf",
    ],
)
def test_harmless_names_pass(name: str) -> None:
    assert content.judge(facts(attachment_names=(name,))).accepted


def test_the_list_of_programs_is_configuration() -> None:
    assert content.judge(facts(attachment_names=("a.exe",)), ContentSettings(programs=frozenset())).accepted
    assert not content.judge(facts(attachment_names=("a.zip",)), ContentSettings(programs=frozenset({"zip"}))).accepted


@given(st.text(max_size=60))
def test_any_name_gets_an_answer_and_never_appears_in_it(name: str) -> None:
    decision = content.judge(facts(attachment_names=(f"Q{name}Q.exe",)))
    assert not decision.accepted
    assert f"Q{name}Q" not in decision.sentence("fr") + decision.sentence("en") + decision.detail
