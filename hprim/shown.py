"""File names as they may be shown in a sentence: people name files after patients, and sentences travel further than the mail.

Promise: a name made of digits and ordinary document words is shown whole; any other is cut to its first two characters and its
extension. Failure: none. Source: section 7 of the rules (no message repeats a patient's name).
"""

from __future__ import annotations

import re

DOCUMENT_WORDS = frozenset(
    [
        "CRO",
        "CRH",
        "IRM",
        "TDM",
        "PDF",
        "CDA",
        "VSM",
        "LDL",
        "SES",
        "BIO",
        "LABO",
        "SCANNER",
        "ECHO",
        "RADIO",
        "BILAN",
        "COURRIER",
        "LETTRE",
        "COMPTE",
        "RENDU",
        "RESULTAT",
        "RESULTATS",
        "ORDONNANCE",
        "DOCUMENT",
        "DOC",
        "EXAMEN",
        "EXAMENS",
        "CERTIFICAT",
        "SORTIE",
        "HOSPITALISATION",
        "CONSULTATION",
        "SYNTHESE",
        "SAINT",
        "HOPITAL",
        "CLINIQUE",
        "ECG",
        "EEG",
        "EMG",
        "EFR",
        "TSH",
        "NFS",
        "CRP",
        "HBA",
        "PSA",
        "INR",
        "ALD",
        "TEP",
        "ETT",
        "MAPA",
        "HOLTER",
        "FIBRO",
        "COLO",
        "CERFA",
        "ARRET",
        "TRAVAIL",
        "AVIS",
        "NOTE",
        "FICHE",
        "IMAGE",
        "CABINET",
        "LABORATOIRE",
        "SERVICE",
        "DOCTEUR",
        "DR",
        "MME",
        "MR",
        "CENTRE",
        "PHARMACIE",
        "PLAN",
        "SOINS",
        "PROTOCOLE",
        "FACTURE",
        "DEVIS",
        "ANNEXE",
        "COPIE",
        "PHOTO",
    ]
)
"""Words of document names that are no surname."""
_PLAIN = DOCUMENT_WORDS | frozenset(
    [
        "IHE",
        "XDM",
        "SUBSET",
        "METADATA",
        "INDEX",
        "README",
        "MESSAGE",
        "MAIL",
        "FICHIER",
        "HPRIM",
        "ARCHIVE",
        "TXT",
        "XML",
        "HPR",
        "ZIP",
    ]
)
_WORD = re.compile(r"[^\W\d_]{3,}")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,8}$")


def shown(name: str) -> str:
    """``IHE_XDM.zip`` stays; ``DUPONT Jean.pdf`` becomes ``DU….pdf``."""
    bare = "".join(c if c.isprintable() else "?" for c in name.rpartition("/")[2][:120])
    end = _EXTENSION.search(bare)
    extension = end[0] if end else ""
    stem = bare[: len(bare) - len(extension)]
    if len(stem) <= 60 and all(w.upper() in _PLAIN for w in _WORD.findall(stem)) and not re.search("[0-9]{13}", stem):
        return bare
    return f"{stem[:2]}…{extension}"
