"""What the INS rules say of one set of identifiers and traits, whatever the format they came from (HID-044 to HID-057, MSS-107, TOU-A15).

Promise: identifiers are judged by OID; a social security number (.13, .14) is never taken for an INS. Failure: none.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from hprim import ins
from hprim.fields import number_and_birth
from hprim.findings import Findings, Profile
from hprim.model import Identifier, InsId, Place, Severity, Traits, Words

CORE = (
    ("birth_surname", Words("nom de naissance", "birth surname")),
    ("first_name", Words("premier prénom de naissance", "first birth name")),
    ("birth_date", Words("date de naissance", "birth date")),
    ("sex", Words("sexe", "sex")),
)
"""The four traits of ``X-MSS-INS`` (ECO.2.4.2)."""
STRICT = (
    *CORE,
    ("first_names", Words("liste des prénoms", "list of first names")),
    ("birth_place", Words("lieu de naissance", "birth place")),
)


def ins_ids(ids: Iterable[Identifier], profile: Profile) -> tuple[InsId, ...]:
    """The identifiers that are an INS here, in order, without repeats."""
    accepted = ins.INS_OIDS | profile.extra_oids
    return tuple(dict.fromkeys(InsId(i.root, ins.clean(i.extension)) for i in ids if i.root in accepted))


def missing_traits(traits: Traits, wanted: Iterable[tuple[str, Words]]) -> list[Words]:
    """Which of ``wanted`` the traits lack."""
    return [words for name, words in wanted if not getattr(traits, name)]


def is_qualified(found: Iterable[InsId], traits: Traits, profile: Profile) -> bool:
    """Matricule with a right key, an OID that counts here, and the four traits: what ``X-MSS-INS: O`` announces (MSS-095)."""
    oids = {ins.NIR_OID} | profile.extra_oids | ({ins.NIA_OID} if profile.qualified_nia else set())
    if profile.test_identities:
        oids |= ins.REHEARSAL
    good = any(i.oid in oids and ins.is_matricule(i.matricule) for i in found)
    whole = traits.birth_date is not None and traits.birth_date.year > 0 and traits.sex in ("M", "F")
    return good and whole and not missing_traits(traits, CORE)


def check_identifiers(ids: Iterable[Identifier], traits: Traits, place: Place, findings: Findings) -> None:
    """Judge each identifier by its OID: shape, key, authority, two numbers of one authority."""
    numbers: dict[str, set[str]] = {}
    for one in ids:
        if one.root in ins.INS_OIDS or one.root in findings.profile.extra_oids:
            _check_ins(one, place, findings)
            numbers.setdefault(one.root, set()).add(ins.clean(one.extension))
        elif one.root in ins.INS_C_OIDS:
            findings.add("HID-056", place)
        elif one.root not in ins.SOCIAL_SECURITY and _pretends(one, traits):
            findings.add("HID-051", place, oid=one.root[:64] or "-")
    if any(len(found) > 1 for found in numbers.values()):
        findings.add("HID-054", place)


def _pretends(one: Identifier, traits: Traits) -> bool:
    """A matricule under an OID that is not one of an INS: in ANS's own arc, or a number that fits this very patient."""
    if not ins.looks_like_matricule(one.extension):
        return False
    if one.root.startswith(ins.ARC):
        return True
    number = ins.read_number(one.extension)
    born = traits.birth_date
    return bool(not number.faults and born and ins.fits_birth(number, born) and number.sex == traits.sex)


def _check_ins(one: Identifier, place: Place, findings: Findings) -> None:
    profile = findings.profile
    rehearsal = one.root in ins.REHEARSAL
    if not ins.is_matricule(one.extension.strip()) and (profile.check_test_keys or not rehearsal):
        findings.add("HID-050", place)
    if rehearsal:
        findings.add("HID-052", place, Severity.NOTE if profile.test_identities else None, oid=one.root)
    elif profile.test_identities and one.root in ins.PRODUCTION:
        findings.add("MSS-107", place, oid=one.root)
    if one.root == ins.NIA_OID:
        findings.add("HID-055", place)


def check_traits(
    found: tuple[InsId, ...], traits: Traits, place: Place, findings: Findings, today: date, *, announced: bool
) -> None:
    """Whether the INS is whole (HID-053) and whether its number agrees with birth date, sex and birth place."""
    if not found:
        return
    core = missing_traits(traits, CORE)
    lacking = core + missing_traits(traits, STRICT[len(CORE) :])
    if lacking:
        said = Words(", ".join(w.fr for w in lacking), ", ".join(w.en for w in lacking))
        findings.add("HID-053", place, Severity.REFUSE if announced and core else None, missing=said)
    check_number(found, traits, place, findings, today)


def check_number(found: tuple[InsId, ...], traits: Traits, place: Place, findings: Findings, today: date) -> None:
    """Whether the sex, birth month and birth place inside the INS number are those beside it."""
    if not found:
        return
    number = ins.read_number(found[0].matricule)
    if number.faults - {ins.Fault.RARE_MONTH} or not number.sex:
        return
    if traits.sex and number.sex != traits.sex:
        findings.add("HID-044", place)
    if traits.birth_date:
        number_and_birth(number, traits.birth_date, place, findings, today, own=True)
    if traits.birth_place and number.place != traits.birth_place:
        findings.add("HID-049", place)
