"""The point of it all, as properties: a coherent mail about anyone passes; the same mail with one trait of somebody else does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hprim.compose import HeaderFields, hprim_text, pdf_name, plain, subject
from hprim.dates import PartialDate, compare_dates
from hprim.ins import key_of
from hprim.model import Report, Traits
from hprim.names import Level, compare_first, compare_surname
from tests.hprim.builders import ARC, attached, body, cda, mail, xdm

SURNAMES = [
    "MARTIN",
    "LEFÈVRE",
    "D'HÉRICOURT",
    "LE GOFF",
    "BEN ALI",
    "DE LA TOUR",
    "GARCIA LOPEZ",
    "LŒUILLET",
    "N'GUESSAN",
    "MÜLLER",
    "SAINT-EXUPÉRY",
    "O'NEILL",
    "LY",
    "ROY",
    "VAN DER BERG",
    "ØRSTED",
    "PETIT-DUVAL",
    "DUPONT",
    "BOURÉLY",
    "EL HADDAD",
    "FAŸ",
    "KOWALSKI",
    "TRÂN",
    "ÇELIK",
    "ROUX-GÎTE",
]
FIRST = {
    "M": [
        "JEAN",
        "JEAN-PIERRE",
        "FRANÇOIS",
        "JÉRÔME",
        "NOËL",
        "LOÏC",
        "MOHAMED",
        "HUGO",
        "RÉMI",
        "ANGE",
        "YOUSSEF",
        "MAX PATRICK",
        "ÉTIENNE",
        "GAËTAN",
    ],
    "F": [
        "ANDRÉE",
        "ZOÉ",
        "MARIE-LOUISE",
        "FRANÇOISE",
        "HÉLOÏSE",
        "ANAÏS",
        "GAËLLE",
        "FATIMA",
        "AWA",
        "CHLOÉ",
        "ÈVE",
        "LÆTITIA",
        "THI MAI",
        "BÉNÉDICTE",
    ],
}


@dataclass(frozen=True)
class Person:
    surname: str
    used: str
    first: str
    more: str
    born: date
    sex: str
    order: int

    @property
    def number(self) -> str:
        start = f"{'1' if self.sex == 'M' else '2'}{self.born.year % 100:02d}{self.born.month:02d}38999{self.order:03d}"
        return start + key_of(start)

    @property
    def traits(self) -> Traits:
        born = PartialDate(self.born.year, self.born.month, self.born.day)
        return Traits(
            birth_surname=self.surname, used_surname=self.used, first_name=self.first, birth_date=born, sex=self.sex
        )


@st.composite
def people(draw: st.DrawFn) -> Person:
    sex = draw(st.sampled_from("MF"))
    used = draw(st.sampled_from(["", *SURNAMES])) if sex == "F" else ""
    return Person(
        draw(st.sampled_from(SURNAMES)),
        used,
        draw(st.sampled_from(FIRST[sex])),
        draw(st.sampled_from(FIRST[sex])),
        draw(st.dates(date(1920, 1, 1), date(2026, 11, 1))),
        sex,
        draw(st.integers(1, 999)),
    )


STYLES = {
    "as is": lambda s: s,
    "plain": plain,
    "lower": str.lower,
    "title": str.title,
    "spaces": lambda s: s.replace("-", " ").replace("'", " "),
    "glued": lambda s: s.replace("-", "").replace(" ", ""),
}


def document(p: Person) -> bytes:
    return cda(
        ids=((ARC + "8", p.number), ("1.2.3.4", f"IPP{p.order}")),
        surname=p.surname,
        used=p.used,
        first=p.first,
        listed=f"{p.first} {p.more}",
        sex=p.sex,
        born=f"{p.born:%Y%m%d}",
    )


def header(p: Person, style: str, *, under_used: bool = False) -> str:
    write = STYLES[style]
    surname = p.used if under_used and p.used else p.surname
    return hprim_text(
        HeaderFields(
            write(surname),
            write(p.first),
            p.born,
            patient_code="1",
            nir=p.number,
            file_date=date(2026, 11, 20),
            receiver="paul.essai",
        ),
        "Cher confrère, voici le compte rendu.",
    )


def send(about: Person, *, written: str, announced: Person, to: Person | None = None) -> Report:
    """A mail whose document is about ``about``, with the header ``written`` and a subject and file name for ``announced``."""
    recipients = [f"{to.number}@patient.mssante.fr"] if to else ["paul.essai@test.mssante.fr"]
    return mail(
        body("Bonjour."),
        attached("lettre.hpr", written.encode()),
        attached("IHE_XDM.zip", xdm(document(about))),
        attached(pdf_name(date(2026, 11, 20), "CR hospitalier", announced.traits), b"%PDF-1.4"),
        subject=subject("CR hospitalier", announced.traits),
        recipients=recipients,
    )


@settings(max_examples=150)
@given(people(), st.sampled_from(list(STYLES)), st.booleans())
def test_a_coherent_mail_is_never_refused_nor_questioned(p: Person, style: str, under_used: bool) -> None:
    report = send(p, written=header(p, style, under_used=under_used), announced=p, to=p)
    questions = {"HID-081", "HID-077", "HID-085", "HID-030", "HID-080"}
    assert not report.refused
    assert not report.rules & questions
    assert len(report.patients) == 1
    assert report.qualified_ins


@settings(max_examples=150)
@given(people(), people(), st.sampled_from(["surname", "first", "born"]), st.sampled_from(list(STYLES)))
def test_one_trait_of_somebody_else_in_the_header_is_refused_or_questioned(
    p: Person, q: Person, trait: str, style: str
) -> None:
    other = replace(p, **{trait: getattr(q, trait)})
    if trait == "surname":
        assume(all(compare_surname(q.surname, n) > Level.NOTE for n in (p.surname, p.used) if n))
    elif trait == "first":
        assume(all(compare_first(q.first, n) > Level.NOTE for n in (p.first, f"{p.first} {p.more}")))
    else:
        assume(compare_dates(p.traits.birth_date, q.traits.birth_date) > 1)  # type: ignore[arg-type]
    report = send(p, written=header(other, style), announced=p)
    expected = {"surname": {"HID-070", "HID-081"}, "first": {"HID-071", "HID-081"}, "born": {"HID-072"}}[trait]
    assert report.rules & expected
    if "HID-081" not in report.rules:
        assert report.refused


@settings(max_examples=100)
@given(people(), people())
def test_the_document_of_somebody_else_is_refused(p: Person, q: Person) -> None:
    assume(
        compare_surname(p.surname, q.surname) is Level.DISAGREE and compare_first(p.first, q.first) is Level.DISAGREE
    )
    assume(
        all(
            compare_surname(a, b) is not Level.AGREE
            for a in (p.used, p.surname)
            for b in (q.used, q.surname)
            if a and b
        )
    )
    assume(compare_dates(p.traits.birth_date, q.traits.birth_date) > 1)  # type: ignore[arg-type]
    assume(p.number != q.number)
    report = send(q, written=header(p, "as is"), announced=p, to=p)
    refused = {r.rule for r in report.refused}
    assert {"HID-070", "HID-080", "HID-089"} <= refused
    assert len(report.patients) == 2


@settings(max_examples=60)
@given(people(), people())
def test_two_documents_of_two_people_are_refused(p: Person, q: Person) -> None:
    assume(p.number != q.number)
    both = mail(attached("IHE_XDM.zip", xdm(document(p), document(q))), subject=subject("CR", p.traits))
    assert {"HID-074", "HID-080"} <= {r.rule for r in both.refused}
