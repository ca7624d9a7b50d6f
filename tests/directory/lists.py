"""White lists for the tests: good ones, and ones with the defects real lists have."""

from __future__ import annotations

from datetime import UTC, datetime

from directory.trustlist import Row
from directory.trustlist_publish import publish, written

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SUBJECT = "CN=smtp{n}.operateur.test,OU=3{n:014d},O=OPERATEUR {n} ESSAI,ST=Test (99),C=FR"


def subject(number: int) -> str:
    return SUBJECT.format(n=number)


def rows(count: int, start: int = 0) -> list[Row]:
    return [
        Row(f"etab-{n}.mssante.test", subject(n % 7), f"ETAB {n}", updated=NOW) for n in range(start, start + count)
    ]


def plain(count: int = 10, generated: datetime = NOW, start: int = 0) -> bytes:
    return publish(rows(count, start), generated)


def raw(*pairs: tuple[str, str], generated: datetime = NOW, tail: str = "") -> bytes:
    """A list written by hand: nothing is checked, as in life."""
    inside = "".join(
        f"<Domaine><Nom>{name}</Nom><Description>D</Description><DNCertificatOperateur>{dn}</DNCertificatOperateur>"
        f"<ResponsableContact>R</ResponsableContact><SupportContact>S</SupportContact>"
        f"<DateMAJ>{written(NOW)}</DateMAJ></Domaine>"
        for name, dn in pairs
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ListeBlancheMSSante xmlns="https://listeblanche.mssante.fr/schema">'
        f"<DateDeGeneration>{written(generated)}</DateDeGeneration><ListeDomaines>{inside}</ListeDomaines>{tail}"
        "</ListeBlancheMSSante>"
    ).encode()
