"""Readable views, and patients seen before."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hprim import history, render, trace
from hprim.dates import read_compact
from hprim.match import Comparison, Verdict, compare, distinct
from hprim.model import Identifier, InsId, Patient, Place, Source, Traits
from hprim.names import Level
from tests.hprim.builders import ARC, NUMBER, OTHER_NUMBER, attached, cda, file, sante, xdm_mail
from tests.hprim.examples import TODAY, V4, unix, v1

ALLOWED = re.compile(r"</?(?:article|h[1-6]|p|ul|li|pre|table|tbody|tr|td)(?: class=\"document\")?>")


def only_safe(markup: str) -> bool:
    return "<" not in ALLOWED.sub("", markup) and ">" not in ALLOWED.sub("", markup)


EVIL = "&lt;script&gt;alert(1)&lt;/script&gt;"
NARRATIVE = (
    "<component><structuredBody><component><section><title>Bilan</title><text>avant<paragraph>un <content>deux</content> trois"
    "</paragraph>milieu<list><item>premier</item><item>second</item></list><table><thead><tr><th>A</th><th>B</th></tr></thead>"
    "<tbody><tr><td>1</td><td>2</td></tr></tbody></table>après<renderMultiMedia referencedObject='http://evil.test/x.png'/>"
    f"<paragraph>{EVIL}</paragraph></text><component><section><title>Dedans</title><text>fond</text></section></component>"
    "</section></component></structuredBody></component>"
)


def test_cda_view_keeps_the_order_of_the_narrative() -> None:
    data = cda().partition(b"<component>")[0] + NARRATIVE.encode() + b"</ClinicalDocument>"
    view = render.cda_view(data, TODAY)
    said = view.text()
    order = [
        "LEFEVRE",
        "Bilan",
        "avant",
        "un deux trois",
        "milieu",
        "- premier",
        "- second",
        "A  B",
        "1  2",
        "après",
        "Dedans",
    ]
    places = [said.index(x) for x in order]
    assert places == sorted(places)
    assert only_safe(view.html())
    assert "evil.test" not in view.html()
    assert "alert(1)" in view.text()


def test_wrapped_pdf_is_said() -> None:
    data = cda().partition(b"<component>")[0] + (
        b'<component><nonXMLBody><text mediaType="application/pdf" representation="B64">JVBERi0=</text></nonXMLBody></component>'
        b"</ClinicalDocument>"
    )
    assert "application/pdf" in render.cda_view(data, TODAY).text()


def test_hprim_view() -> None:
    view = render.hprim_view(v1({14: "<img src=http://evil.test/x> résultat"}), TODAY)
    said = view.text()
    assert "LEFEVRE" in said
    assert "RES|" not in said
    assert "****" not in said
    assert "CREATININE  8.3" in said
    assert only_safe(view.html())
    assert "Test" in render.hprim_view(v1(), TODAY, language="en").text()


def test_a_view_tells_when_the_document_was_written_in_the_form_of_the_birth_date() -> None:
    """A CDA's was not shown at all, so that an old report read like today's; a header's was in ISO form."""
    assert "Date du document   03/11/2025" in render.cda_view(cda(), TODAY).text()
    assert "Date du document   03/11/2025" in render.hprim_view(v1(), TODAY).text()
    undated = cda().replace(b"<effectiveTime", b"<nothing", 1)
    assert "Date du document" not in render.cda_view(undated, TODAY).text()


def test_view_of_several_patients_names_them_all() -> None:
    said = render.hprim_view(unix(V4), TODAY).text()
    assert "BENTEST" in said
    assert "ROSSINI" in said


def test_an_hprim_sante_file_is_shown_too_each_patient_with_his_results() -> None:
    """``hprim show`` said of it that it holds no HPRIM."""
    said = render.sante_view(
        sante(
            "P|0001|506232||2511030001|LEFEVRE~ANDREE||19610214|F|",
            "OBX|0001|NM|CREA~Créatinine||8.3|mg/l|6.0 - 11.0|H|||F||||",
            "P|0002|506233||2511030002|DURAND~PAUL||19500312|M|",
            "OBX|0001|ST|INR~INR||<b>2,4</b>",
            "A|5~suite||||N",
        ),
        TODAY,
    )
    text = said.text()
    assert "Date du document   03/11/2025" in text
    order = ["LEFEVRE", "Créatinine  8.3       mg/l   6.0 - 11.0  H", "DURAND", "INR", "<b>2,4</b>5 suite"]
    assert sorted(text.index(x) for x in order) == [text.index(x) for x in order]
    assert only_safe(said.html())


@given(st.binary(max_size=400))
def test_views_never_raise_and_stay_safe(data: bytes) -> None:
    assert only_safe(render.hprim_view(data, TODAY).html())
    assert only_safe(render.cda_view(data, TODAY).html())
    assert only_safe(render.sante_view(data, TODAY).html())


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=200))
def test_any_text_is_escaped(text: str) -> None:
    assert only_safe(render.hprim_view(text.encode(), TODAY).html())
    latin = text.encode("latin-1", "replace").decode("latin-1")
    assert only_safe(
        render.sante_view(sante(f"P|1|{latin}||{latin}|{latin}|", f"OBX|1|ST|{latin}||{latin}"), TODAY).html()
    )


def person(
    surname: str = "LEFEVRE",
    first: str = "ANDREE",
    born: str = "19610214",
    number: str = "",
    code: str = "",
    sex: str = "F",
) -> Patient:
    ins = (InsId(ARC + "8", number),) if number else ()
    ids = (Identifier("1.2.3", code),) if code else ()
    traits = Traits(birth_surname=surname, first_name=first, birth_date=read_compact(born), sex=sex)
    return Patient(Source.CDA, Place(), traits, ins, ids)


@pytest.mark.parametrize(
    ("a", "b", "rule"),
    [
        (person(number=NUMBER), person(number=NUMBER), ""),
        (person(number=NUMBER), person(surname="DURAND", number=NUMBER), "HID-091"),
        (person(number=NUMBER), person(first="PAULE", number=NUMBER), "HID-091"),
        (person(number=NUMBER), person(born="19620731", number=NUMBER), "HID-091"),
        (person(number=NUMBER), person(number=OTHER_NUMBER), "HID-092"),
        (person(number=NUMBER), person(first="MICHELLE", number=OTHER_NUMBER), "HID-095"),
        (person(code="1"), person(first="MICHELLE", code="2"), "HID-095"),
        (person(code="1"), person(code="2"), "HID-093"),
        (person(code="1"), person(code="1"), ""),
        (person(code="1"), person(surname="LEFEBVRE", code="2"), "HID-090"),
        (person(code="1"), person(surname="DURAND", code="2"), ""),
    ],
)
def test_patients_seen_before(a: Patient, b: Patient, rule: str) -> None:
    assert history.judge(a, b) == rule
    assert history.judge(b, a) == rule
    assert history.judge_trace(traced(a), traced(b)) == rule


def traced(one: Patient, issuer: str = "") -> trace.Trace:
    """As it comes out of a database."""
    return trace.unpack(trace.pack(trace.trace(one, b"secret", issuer)))


SURNAMES = [
    *("LEFEVRE", "LEFEBVRE", "DUPONT", "DUPONT MARTIN", "MARTIN", "DE LA TOUR", "LA TOUR", "GARCIA LOPEZ"),
    *("LOPEZ GARCIA", "D'HÉRICOURT-LŒUILLET", "BERNARDINI", "BERNARDINO", "BERNARDON", "LE GOFF", "LEGOFF", "LI", ""),
    *("LEGOFF MARTIN", "DHERICOURT", "ST MARTIN", "SAINT-MARTIN", "LE"),
]
FIRST_NAMES = [
    *("ANDREE", "ANDREA", "MICHEL", "MICHELE", "JEAN PIERRE", "PIERRE-JEAN", "JEAN", "JEAN-PIERRE MARIE", "MAXPATRICK"),
    *("MAX PATRICK LUC", "LOUIS", "LOUISE", "LEA MARIE LOUISE", "LIA MARIE LOUISE", "LEA", "LIA", "MARIE", ""),
]
BIRTHS = [
    *("19610214", "19611402", "19610412", "19610215", "19610241", "19610224", "1961", "196102", "19611231"),
    *("19610101", "18610214", "19910214", "19610213", "20610214", ""),
]
people = st.builds(
    Patient,
    st.just(Source.CDA),
    st.just(Place()),
    st.builds(
        Traits,
        birth_surname=st.sampled_from(SURNAMES),
        used_surname=st.sampled_from(SURNAMES),
        surname=st.sampled_from(SURNAMES),
        first_name=st.sampled_from(FIRST_NAMES),
        used_first_name=st.sampled_from(["", *FIRST_NAMES]),
        first_names=st.sampled_from(["", *FIRST_NAMES]),
        birth_date=st.sampled_from(BIRTHS).map(read_compact),
        sex=st.sampled_from(["M", "F", ""]),
        birth_place=st.sampled_from(["", "38185", "99351"]),
    ),
    ins=st.sampled_from([(), (InsId("8", "A"),), (InsId("8", "B"),), (InsId("9", "A"),)]),
    ids=st.lists(st.sampled_from([Identifier("1.2.3", "1"), Identifier("1.2.3", "2"), Identifier("", "1")])).map(tuple),
)


@given(people, people)
def test_digests_compare_as_the_patients_do(a: Patient, b: Patient) -> None:
    x, y = traced(a), traced(b)
    assert trace.compare_traces(x, y) == compare(a, b)
    assert history.judge_trace(x, y) == history.judge(a, b)


def test_near_names_share_a_shorter_spelling_and_far_ones_do_not() -> None:
    for one, other, level in [
        ("LEFEVRE", "LEFEBVRE", Level.NEAR),
        ("MARIE", "MAIRE", Level.NEAR),
        ("BERNARDINI", "BERNARDINNO", Level.NEAR),
        ("DURAND", "MARTIN", Level.DISAGREE),
        ("LOUIS", "LOU", Level.DISAGREE),
    ]:
        x, y = traced(person(surname=one)), traced(person(surname=other))
        assert trace.compare_traces(x, y).surname is level, (one, other)


def test_a_trace_hides_the_identity_and_needs_its_key() -> None:
    one = person(number=NUMBER, code="IPP42")
    packed = trace.pack(trace.trace(one, b"secret"))
    for private in (b"LEFEVRE", b"ANDREE", b"1961", NUMBER.encode(), b"IPP42"):
        assert private not in packed
    other = trace.unpack(trace.pack(trace.trace(one, b"another")))
    assert trace.compare_traces(traced(one), other).verdict is Verdict.DIFFERENT


@given(st.binary(max_size=300))
def test_what_is_no_trace_is_said_to_be_none(data: bytes) -> None:
    for broken in (
        data,
        b'{"w":[],"f":[0,0,0,0,0],' + data,
        b'{"n":[],"w":[],"s":[],"f":[-1],"b":[],"x":["",""],"r":[]}',
    ):
        with pytest.raises(ValueError, match=r"\S"):
            trace.unpack(broken)


def test_record_numbers_of_two_issuers_say_nothing_of_each_other() -> None:
    """HID-093: the same person is in the files of two laboratories under two numbers."""
    a, b = (Patient(Source.HPRIM, Place(), person().traits, ids=(Identifier("", code),)) for code in ("A1", "B7"))
    assert history.judge_trace(traced(a, "labo.test"), traced(b, "labo.test")) == "HID-093"
    assert history.judge_trace(traced(a, "labo.test"), traced(b, "autre.test")) == ""


@pytest.mark.parametrize(
    ("version", "content", "own", "group", "rule"),
    [
        (1, "c", None, None, ""),
        (1, "c", history.Version(1, "c"), None, "HID-098"),
        (1, "d", history.Version(1, "c"), None, "HID-099"),
        (2, "d", None, history.Version(1, "c"), ""),
        (1, "d", None, history.Version(1, "c"), "HID-099"),
        (1, "d", None, history.Version(3, "c"), "HID-099"),
        (0, "d", None, history.Version(3, "c"), ""),
        (1, "", history.Version(1, "c"), None, ""),
    ],
)
def test_versions(
    version: int, content: str, own: history.Version | None, group: history.Version | None, rule: str
) -> None:
    assert history.judge_version(version, content, own, group)[0] == rule


def test_fillers_are_no_file_numbers() -> None:
    for number, known in (("506232", True), ("0000", False), (".", False), ("12", False), ("ABC", False)):
        report = file(v1({9: number}))
        assert bool(history.marks(report.documents)) is known, number


def test_blocking_keys_hide_the_identity() -> None:
    keys = history.blocking_keys(person(number=NUMBER), b"secret")
    assert keys & history.blocking_keys(person(surname="Lefevre-Martin"), b"secret")
    assert not keys & history.blocking_keys(person(), b"another")
    assert not any(b"LEFEVRE" in k or NUMBER.encode() in k for k in keys)
    assert history.number_key(ARC + "8", NUMBER, b"secret") in keys


def pair(a: Traits, b: Traits) -> tuple[Level, Level, Verdict]:
    c = compare(Patient(Source.CDA, Place(), a), Patient(Source.HPRIM, Place(), b))
    return c.surname, c.first, c.verdict


def test_names_in_use_and_at_birth() -> None:
    married = Traits(birth_surname="DUPONT", used_surname="MARTIN", first_name="ANNE")
    assert pair(married, Traits(surname="MARTIN", first_name="ANNE"))[2] is Verdict.SAME
    assert pair(married, Traits(surname="DUPONT", first_name="ANNE"))[2] is Verdict.SAME
    sister_in_law = Traits(birth_surname="DURAND", used_surname="MARTIN", first_name="ANNE")
    assert pair(married, sister_in_law)[0] is Level.DISAGREE


def test_two_slips_are_another_person() -> None:
    a = Traits(surname="LEFEVRE", first_name="MICHEL")
    assert pair(a, Traits(surname="LEFEBVRE", first_name="MICHEL"))[2] is Verdict.CHECK
    assert pair(a, Traits(surname="LEFEBVRE", first_name="MICHELE"))[2] is Verdict.DIFFERENT


AGREED = Comparison(Level.AGREE, Level.AGREE, Level.AGREE, Level.AGREE, Level.AGREE)
TRAITS = ("surname", "first", "date", "sex", "number")


def test_what_the_comparison_of_each_trait_makes_of_two_people() -> None:
    """One trait that differs is another person, one that is near a doubt, two that are near another person."""
    assert AGREED.verdict is AGREED._replace(number=Level.SILENT, sex=Level.SILENT).verdict is Verdict.SAME
    for trait in TRAITS:
        assert AGREED._replace(**{trait: Level.DISAGREE}).verdict is Verdict.DIFFERENT
    for near in TRAITS[:3]:
        assert AGREED._replace(**{near: Level.NOTE}).verdict is Verdict.SAME
        assert AGREED._replace(**{near: Level.NEAR}).verdict is Verdict.CHECK
    for pair_of in combinations(TRAITS[:3], 2):
        assert AGREED._replace(**dict.fromkeys(pair_of, Level.NEAR)).verdict is Verdict.DIFFERENT


def test_swapped_names_excuse_nothing_else() -> None:
    swapped = AGREED._replace(surname=Level.DISAGREE, first=Level.DISAGREE, swapped=True)
    assert swapped.verdict is Verdict.CHECK
    for trait in TRAITS[2:]:
        assert swapped._replace(**{trait: Level.DISAGREE}).verdict is Verdict.DIFFERENT


def test_near_first_names_of_two_sexes_are_two_people() -> None:
    a, b = Traits(surname="ROY", first_name="MICHEL", sex="M"), Traits(surname="ROY", first_name="MICHELE", sex="F")
    assert pair(a, b)[1] is Level.DISAGREE


def test_swapped_names_are_to_check() -> None:
    a, b = Traits(surname="LEFEVRE", first_name="ANDREE"), Traits(surname="ANDREE", first_name="LEFEVRE")
    assert pair(a, b)[2] is Verdict.CHECK
    report = xdm_mail(None, attached("a.hpr", v1({2: "ANDREE", 3: "LEFEVRE"})))
    assert "HID-030" in report.rules
    assert not report.refused


def test_one_number_under_two_authorities_is_no_collision() -> None:
    a, b = person(number=NUMBER), person(number="")
    other = Patient(Source.XDM, Place(), b.traits, (InsId(ARC + "9", NUMBER),))
    assert compare(a, other).number is Level.NOTE
    assert len(distinct([a, other])) == 1


@given(
    st.lists(
        st.builds(
            person,
            surname=st.sampled_from(["LEFEVRE", "LEFEBVRE", "DURAND", ""]),
            first=st.sampled_from(["ANDREE", "MARIE", "", "ANDREA"]),
            born=st.sampled_from(["19610214", "1961", "", "19610215"]),
            number=st.sampled_from(["", NUMBER, OTHER_NUMBER]),
        ),
        max_size=6,
    )
)
def test_comparison_is_symmetric(people: list[Patient]) -> None:
    for a in people:
        for b in people:
            one, other = compare(a, b), compare(b, a)
            assert one.verdict is other.verdict
            assert one[:5] == other[:5]
    assert len(distinct(people)) <= len(people)
