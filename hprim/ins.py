"""The INS and the numbers that look like it: NIR and NIA shapes, control key, classes, OIDs, COG birth places.

Promise: a number is never promoted to an INS by its digits: only the OID says what it is. Only ASCII digits count.
Failure: :func:`read_number` never raises; :attr:`Number.faults` lists what is wrong. Source: HID-040 to HID-056, HID-067, MSS-106.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from hprim.dates import PartialDate, is_pseudo_month

ARC = "1.2.250.1.213.1.4."
NIR_OID = ARC + "8"
NIA_OID = ARC + "9"
TEST_OID = ARC + "10"
DEMO_OID = ARC + "11"
INS_C_OIDS = frozenset({ARC + "2", ARC + "6"})
"""The calculated INS, production and test: obsolete since 2021."""
PRODUCTION = frozenset({NIR_OID, NIA_OID})
REHEARSAL = frozenset({TEST_OID, DEMO_OID})
INS_OIDS = PRODUCTION | REHEARSAL
SOCIAL_SECURITY = frozenset({ARC + "13", ARC + "14"})
"""A NIR or NIA used for billing: never compared as an INS."""


class NumberClass(StrEnum):
    """What a number in the social security field can be."""

    NIR = "nir"
    WAITING = "waiting"
    MIGRANT = "mig"
    PROVISIONAL = "nnp"
    FARMING = "msa"
    UNKNOWN = "unknown"


class Fault(StrEnum):
    """What is wrong with a number, gravest first."""

    LENGTH = "length"
    CHARACTERS = "characters"
    SEX = "sex"
    MONTH = "month"
    RARE_MONTH = "rare-month"
    COMMUNE = "commune"
    ORDER = "order"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Number:
    """A NIR-like number. ``digits`` has no spaces; ``key`` is "" when it was not given; ``sex`` is ``M``, ``F`` or ""."""

    digits: str
    key: str
    kind: NumberClass
    sex: str
    year: int
    month: int
    place: str
    faults: frozenset[Fault]

    @property
    def matricule(self) -> str:
        return self.digits + self.key

    def full_month(self) -> int | None:
        """The birth month, ``None`` when the number says it is unknown."""
        return self.month if 1 <= self.month <= 12 else None


_SHAPE = re.compile(r"[0-9]{5}(?:[0-9]{2}|2[AB])[0-9]{6}", re.ASCII)
_BLANKS = str.maketrans("", "", " .\u00a0\u202f-\t")


def key_of(thirteen: str) -> str:
    """The control key of the first thirteen characters: 97 - (N mod 97), with 2A read 19 and 2B read 18.

    :class:`ValueError` when they are not NIR-shaped.
    """
    if not _SHAPE.fullmatch(thirteen):
        raise ValueError("not the first thirteen characters of a NIR")
    number = thirteen
    if thirteen[5:7] in ("2A", "2B"):
        number = thirteen[:5] + ("19" if thirteen[6] == "A" else "18") + thirteen[7:]
    return f"{97 - int(number) % 97:02d}"


def clean(text: str) -> str:
    """``text`` without the blanks and dots people put in such numbers, upper case, cut at 40 characters."""
    return text[:80].translate(_BLANKS).upper()[:40]


def _classify(thirteen: str) -> NumberClass:
    if thirteen.startswith("555555"):
        return NumberClass.FARMING
    first, second = thirteen[0], thirteen[1]
    if first in "12":
        return NumberClass.NIR
    if first in "56" and second in "12":
        return NumberClass.MIGRANT
    if first in "34":
        return NumberClass.WAITING
    if first in "78":
        return NumberClass.PROVISIONAL if second in "012" else NumberClass.WAITING
    return NumberClass.UNKNOWN


def _month_fault(month: int) -> Fault | None:
    if 1 <= month <= 12 or is_pseudo_month(month):
        return None
    return Fault.RARE_MONTH if 21 <= month <= 29 or 43 <= month <= 49 else Fault.MONTH


def _shape_faults(thirteen: str, key: str, keyed: bool) -> set[Fault]:
    faults: set[Fault] = set()
    if thirteen[0] not in "12345678":
        faults.add(Fault.SEX)
    month = _month_fault(int(thirteen[3:5]))
    if month:
        faults.add(month)
    if thirteen[7:10] == "000":
        faults.add(Fault.COMMUNE)
    if thirteen[10:13] == "000":
        faults.add(Fault.ORDER)
    if keyed and key != key_of(thirteen):
        faults.add(Fault.KEY)
    return faults


def read_number(text: str) -> Number:
    """A social security number or matricule of 13 or 15 characters, whatever its blanks."""
    digits = clean(text)
    if len(digits) not in (13, 15):
        return Number(digits, "", NumberClass.UNKNOWN, "", 0, 0, "", frozenset({Fault.LENGTH}))
    body, key = digits[:13], digits[13:]
    if not _SHAPE.fullmatch(body) or (key and not (key.isascii() and key.isdigit())):
        return Number(body, key, NumberClass.UNKNOWN, "", 0, 0, "", frozenset({Fault.CHARACTERS}))
    kind = _classify(body)
    keyless = kind in (NumberClass.MIGRANT, NumberClass.FARMING, NumberClass.PROVISIONAL)
    if keyless and key and kind is NumberClass.PROVISIONAL and key == key_of(body):
        kind, keyless = NumberClass.WAITING, False  # NIR-shaped with a right key: some read it as a waiting number
    faults = set() if keyless else _shape_faults(body, key, bool(key))
    sex = {"1": "M", "2": "F", "3": "M", "4": "F", "5": "M", "6": "F", "7": "M", "8": "F"}.get(body[0], "")
    return Number(body, key, kind, sex, int(body[1:3]), int(body[3:5]), body[5:10], frozenset(faults))


def is_matricule(text: str) -> bool:
    """Fifteen characters, NIR-shaped, right key: what an INS place may hold. No blanks are forgiven here."""
    if len(text) != 15 or not _SHAPE.fullmatch(text[:13]) or not re.fullmatch("[0-9]{2}", text[13:], re.ASCII):
        return False
    return text[13:] == key_of(text[:13])


def looks_like_matricule(text: str) -> bool:
    """Fifteen NIR-shaped characters, whatever the key."""
    return len(text) == 15 and bool(_SHAPE.fullmatch(text[:13])) and text[13:].isascii() and text[13:].isdigit()


def fits_birth(number: Number, born: PartialDate) -> bool:
    """Whether the year and month inside ``number`` agree with ``born``; an unknown month on either side agrees."""
    if number.year != born.year % 100:
        return False
    month = number.full_month()
    return month is None or born.month is None or month == born.month or born.may_be_default


def is_filler(text: str) -> bool:
    """Zeros, dots or nothing: the field was left empty (HID-040)."""
    return not clean(text).strip("0.X_")


_COG = re.compile(r"(?:(?:0[1-9]|[1-8][0-9]|9[0-6]|2[AB])(?!000)[0-9]{3}|9[789][0-9]{3})", re.ASCII)


def is_cog(code: str) -> bool:
    """A COG commune or country code: five characters, a department that exists (2A, 2B, old 20 and 96, 97x, 98x, 99nnn)."""
    return bool(_COG.fullmatch(code))


PATIENT_DOMAIN = "patient.mssante.fr"


def address_matricule(address: str) -> str | None:
    """The local part of a patient's address, as written and upper case; ``None`` when it is not one."""
    local, _, domain = address.strip().strip("<>").rpartition("@")
    return local.upper() if domain.lower().rstrip(".") == PATIENT_DOMAIN else None
