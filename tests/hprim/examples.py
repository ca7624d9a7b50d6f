"""Made-up HPRIM messages, valid and not: the five valid and twenty edge examples that the rules were written from."""

from __future__ import annotations

from datetime import date

TODAY = date(2026, 11, 23)

V1 = [
    "0000123456",
    "LEFEVRE",
    "ANDREE",
    "12 RUE DE LA POSTE            ",
    "RESIDENCE DU PARC             ",
    "38000 GRENOBLE",
    "14/02/1961",
    "2610238999001 90",
    "    506232",
    "03/11/2025",
    "BIOLAB     LABORATOIRE DE LA VALLEE",
    "DRTEST     DR TEST ZOE",
    " ",
    "            BIOCHIMIE",
    "CREATININE                 8,3  mg/l      6,0 a 11,0",
    "****LAB****",
    "TEX|            BIOCHIMIE",
    "TEX|CREATININE                 8,3  mg/l      6,0 a 11,0",
    "RES|CREATININE|CREA|N|8.3|mg/l|6.0|11.0|N|F|73.5|umol/l|53.1|97.4",
    "****FIN****",
    "****FINFICHIER****",
    "",
]

V2 = """4512
MOREL-GIRAUD
Jean-Baptiste



05/11/1948
148116399900251
4512
03/11/2025
.          jeanne.TESTEUR
.          paul.ESSAI

Cher confrère, j'ai vu ce jour votre patient...
****FIN****
****FINFICHIER****
"""

V3 = """.
N'GUESSAN
AWA



30/06/2019


04/11/2025
.          service.TEST
.          dr.ESSAI

Compte rendu de consultation.
****FIN****
****FINFICHIER****
"""

V4 = """A0001
BENTEST
YOUSSEF
3 IMPASSE DES ESSAIS

13003 MARSEILLE
31/12/1950
1505099999005 87
A0001
02/11/2025
LABOTEST   LABO TEST
DR01       DR ESSAI

INR 2,4
****FIN****
A0002
ROSSINI
ANGE
1 COURS FICTIF

20000 AJACCIO
12/09/1977
177092A999004 75
A0002
02/11/2025
LABOTEST   LABO TEST
DR01       DR ESSAI

INR 1,1
****FIN****
****FINFICHIER****
"""

V5 = """SOLABIO                                 TESTPA                                  TEST PAUL            0103
D'HÉRICOURT-LŒUILLET
Zoé
1 rue de la Test

76000 ROUEN
01/01/1980

260624HE0103
24/10/2025
SOLABIO    SOLABIO
TESTPA     TEST PAUL
Expediteur LBM ESSAI                            Tel:02.00.00.00.00
Médecin    TEST PAUL
****LAB****
RES|HEMOGLOBINE|NF   030|N|14.8|g/dL|12.9|16.7|N|F
****FIN****
****FINFICHIER****
"""


def text(lines: list[str], end: str = "\r\n") -> bytes:
    """The lines as a Windows file."""
    return end.join(lines).encode("cp1252")


def v1(changes: dict[int, str] | None = None) -> bytes:
    """V1 with some lines (numbered from 1) replaced."""
    lines = list(V1)
    for number, value in (changes or {}).items():
        lines[number - 1] = value
    return text(lines)


def unix(message: str, charset: str = "iso-8859-1") -> bytes:
    return message.encode(charset)
