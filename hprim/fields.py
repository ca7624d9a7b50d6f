"""Checks on one field of an identity, whatever the format it came from: birth date, names, social security number.

Promise: each function adds problems to ``findings`` at the place it is given and returns the value read. Failure: an
unreadable value gives ``None`` or "" and one problem, never two for the same fault. Source: HID-020 to HID-048.
"""

from __future__ import annotations

from datetime import date, timedelta

from hprim import dates, names
from hprim.charset import broken_excerpt, looks_broken
from hprim.dates import Form, PartialDate
from hprim.findings import Findings
from hprim.ins import Fault, Number, NumberClass, fits_birth, is_filler, read_number
from hprim.model import Place, Severity, Words, mask

SURNAME = Words("le nom", "the surname")
FIRST = Words("le prénom", "the first name")
_BARE = {id(SURNAME): Words("nom", "surname"), id(FIRST): Words("prénom", "first name")}
OLDEST = 120
_NOWHERE = Words("", "")
_LINE = {
    "HID-020": Words(" (ligne 7 de l'en-tête, format JJ/MM/AAAA)", " (header line 7, DD/MM/YYYY)"),
    "HID-026": Words(" (ligne 2)", " (line 2)"),
    "HID-027": Words(" (ligne 3)", " (line 3)"),
}
"""Where a value is missing, for formats whose lines have a meaning."""
_FRENCH = Words("JJ/MM/AAAA", "DD/MM/YYYY")
COMPACT = Words("AAAAMMJJ", "YYYYMMDD")
_FOUR = Words("l'année sur 4 chiffres", "the year with 4 digits")


def birth_value(
    born: PartialDate | None, raw: str, place: Place, findings: Findings, today: date, *, header: bool = False
) -> PartialDate | None:
    """Judge a birth date already parsed from ``raw`` (``None``: missing or unreadable). ``header``: of an HPRIM header."""
    form = _FRENCH if header else COMPACT
    if born is None:
        if raw.strip():
            findings.add("HID-021", place, value=mask(raw.strip(), 30), form=form)
        else:
            findings.add("HID-020", place, where=_LINE["HID-020"] if header else _NOWHERE)
        return None
    if born.form in (Form.UNUSUAL, Form.TWO_DIGIT_YEAR, Form.ISO):
        light = Severity.NOTE if born.form is Form.ISO else None
        wanted = _FOUR if born.form is Form.TWO_DIGIT_YEAR else form
        findings.add("HID-022", place, light, value=mask(born.raw, 20), date=born.french(), form=wanted)
    _birth_range(born, place, findings, today)
    if not born.whole:
        findings.add("HID-025", place, value=mask(born.raw, 20))
    elif born.may_be_default:
        findings.add("HID-034", place, date=born.french())
    return born


def _birth_range(born: PartialDate, place: Place, findings: Findings, today: date) -> None:
    if born.first_day() > today:
        findings.add("HID-023", place, date=born.french())
    elif born.age(today) > OLDEST:
        findings.add("HID-024", place, date=born.french(), age=born.age(today))


def name_value(
    raw: str,
    field: Words,
    place: Place,
    findings: Findings,
    *,
    missing: str = "",
    longest: int = 50,
    header: bool = False,
) -> str:
    """Judge a surname or first name; ``missing`` names the rule to use when it is empty ("" to stay silent)."""
    value = " ".join(raw.replace("\x00", " ").split())
    if not value:
        if missing:
            findings.add(missing, place, where=_LINE[missing] if header else _NOWHERE)
        return ""
    if looks_broken(value):
        findings.add("HID-032", place, field=_BARE.get(id(field), field), value=broken_excerpt(value))
    elif names.is_placeholder(value):
        digits = Severity.REFUSE if any(c in "0123456789" for c in value) else None  # a code where a name should be
        findings.add("HID-029", place, digits, field=field, value=mask(value, 20))
    elif sign := names.unexpected_sign(value):
        findings.add("HID-028", place, sign=mask(sign), field=field)
    if len(value) > longest:
        findings.add("HID-033", place, field=field, count=len(value))
    if names.has_civility(value):
        findings.add("HID-030", place)
    return value


def whole_name(surname: str, first: str, place: Place, findings: Findings) -> None:
    """Both names are fillers: nobody is named at all (HID-029, a safety refusal)."""
    if names.is_placeholder(surname) and names.is_placeholder(first):
        field = Words("l'identité entière", "the whole identity")
        findings.add("HID-029", place, Severity.SAFETY, field=field, value=mask(f"{surname} {first}", 30))


_DETAIL = {
    Fault.CHARACTERS: Words("caractères interdits", "forbidden characters"),
    Fault.SEX: Words("premier chiffre", "first digit"),
    Fault.MONTH: Words("mois impossible", "impossible month"),
    Fault.RARE_MONTH: Words("mois inhabituel", "unusual month"),
    Fault.COMMUNE: Words("commune 000", "commune 000"),
    Fault.ORDER: Words("numéro d'ordre 000", "order number 000"),
}
_KEYLESS = {
    NumberClass.MIGRANT: Words("migrant de passage", "passing migrant"),
    NumberClass.PROVISIONAL: Words("NNP", "NNP"),
    NumberClass.FARMING: Words("régime agricole", "agricultural scheme"),
}


def social_number(raw: str, born: PartialDate | None, place: Place, findings: Findings, today: date) -> str:
    """Judge the number of HPRIM line 8. It is never an INS. Returns it without blanks, "" when absent."""
    if is_filler(raw):
        findings.add("HID-040", place)
        return ""
    number = read_number(raw)
    if Fault.LENGTH in number.faults:
        findings.add("HID-041", place, count=len(number.digits))
        return number.digits
    _number_faults(number, place, findings)
    if number.kind in _KEYLESS:
        findings.add("HID-047", place, kind=_KEYLESS[number.kind])
    elif number.kind is NumberClass.WAITING:
        findings.add("HID-046", place)
    elif born and Fault.CHARACTERS not in number.faults:
        number_and_birth(number, born, place, findings, today)
    return number.matricule


def _number_faults(number: Number, place: Place, findings: Findings) -> None:
    for fault in sorted(number.faults):
        if fault is Fault.KEY:
            findings.add("HID-043", place)
        elif fault in _DETAIL:
            light = Severity.NOTE if fault is Fault.RARE_MONTH else None
            findings.add("HID-042", place, light, detail=_DETAIL[fault])


def number_and_birth(
    number: Number, born: PartialDate, place: Place, findings: Findings, today: date, *, own: bool = False
) -> None:
    """The year and month inside the number against the birth date. ``own``: the number is the patient's for sure (an INS)."""
    lunar = number.full_month() is None
    if lunar and not own:
        findings.add("HID-025", place, value=Words("mois inconnu dans le numéro", "unknown month in the number"))
    if fits_birth(number, born):
        return
    if not own and born.age(today) < 25:
        findings.add("HID-048", place)
    else:
        findings.add("HID-045", place, Severity.NOTE if lunar or not born.whole else None)


def file_date(raw: str, born: PartialDate | None, place: Place, findings: Findings, today: date) -> PartialDate | None:
    """The date of HPRIM line 10: a prefix before it is common in the field and accepted."""
    found = dates.read_french(raw, today) or next(iter(dates.find_dates(raw, today)), None) or _compact(raw)
    if found is None or not found.whole:
        findings.add("HID-035", place)
        return None
    if found.form is Form.TWO_DIGIT_YEAR or _short_year(raw, found):
        findings.add("HID-022", place, value=mask(raw.strip(), 20), date=found.french(), form=_FOUR)
    day = found.first_day()
    if born and born.first_day() > day:
        findings.add("HID-036", place, first=found.french(), second=born.french())
    if day > today + timedelta(days=1):
        findings.add("HID-037", place, date=found.french())
    if born and born.whole and born.first_day() == day:
        findings.add("HID-034", place, date=born.french())
    return found


def _compact(raw: str) -> PartialDate | None:
    return dates.read_compact(raw.strip()[:8]) if raw.strip()[:8].isascii() and raw.strip()[:8].isdigit() else None


def _short_year(raw: str, found: PartialDate) -> bool:
    return found.form is Form.STANDARD and f"{found.year:04d}" not in raw
