"""Why a message did not reach somebody, in words: above all a patient, whose mailbox bounces in letters of its own (MSS-104).

Patients' mailboxes (Mon espace santé) tell four causes. Their titles and causes are known, the exact words partly supposed: so the
words are configuration, and :data:`PHRASES` only the usual ones.
Promise: pure functions and tables. Failure: none. Source: ENS §6, MSS-043.
"""

from __future__ import annotations

import unicodedata

from policies.decision import Language
from policies.receipts import State, field_error, integration_label

TITLES = ("message non distribue", "undelivered mail returned to sender")
"""Subjects of such bounces, folded."""
PHRASES = (
    "closed: messagerie fermée",
    "closed: messagerie est fermée",
    "closed: messagerie a été fermée",
    "closed: compte fermé",
    "closed: compte clôturé",
    "unknown: patient non trouvé",
    "unknown: patient introuvable",
    "unknown: destinataire inconnu",
    "unknown: user unknown",
    "invalid: adresse invalide",
    "invalid: adresse est invalide",
    "invalid: adresse incorrecte",
    "too_large: trop volumineux",
    "too_large: taille maximale",
    "too_large: dépasse la taille",
    "too_large: message size exceeds",
    "too_large: message too large",
)
"""``cause: words``; the first that is found tells the cause."""
CAUSES: dict[str, tuple[str, str]] = {
    "closed": (
        "Le patient a fermé sa messagerie Mon espace santé : utilisez un autre moyen (courrier, remise en main propre)",
        "The patient closed his Mon espace santé mailbox: use another way (post, handing over)",
    ),
    "unknown": (
        "Aucune messagerie Mon espace santé pour ce patient : vérifiez son INS, ou utilisez un autre moyen",
        "No Mon espace santé mailbox for this patient: check his INS, or use another way",
    ),
    "invalid": (
        "L’adresse n’est pas celle d’un patient : récupérez de nouveau son INS par le téléservice INSi",
        "The address is not a patient's: fetch his INS again from the INSi service",
    ),
    "too_large": (
        "Message trop volumineux pour la messagerie du patient (25 Mo en tout)",
        "Message too large for the patient's mailbox (25 MB in all)",
    ),
}
STATUS = {"5.1.1": "unknown", "5.1.3": "invalid", "5.2.1": "closed", "5.2.3": "too_large", "5.3.4": "too_large"}
"""RFC 3463 status of a report about a patient, when its text tells nothing."""
MARK = "mes."
"""What a recipient's code begins with when a patient's mailbox bounced."""


def folded(text: str) -> str:
    """Lower case without accents, blanks and apostrophes made plain: for looking a phrase up."""
    plain = unicodedata.normalize("NFD", text.replace("\u2019", "'").casefold())
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())


def phrase_of(line: str) -> tuple[str, str] | None:
    """``cause: words`` as (cause, folded words); ``None`` when it is not that."""
    cause, colon, words = line.partition(":")
    found = folded(words)
    return (cause.strip(), found) if colon and cause.strip() in CAUSES and found else None


def cause_of(state: State, code: str, language: Language) -> str:
    """Why a recipient did not get, or did not file, the message; empty when there is nothing to explain."""
    if code.startswith(MARK):
        fr, en = CAUSES.get(code.removeprefix(MARK), ("", ""))
        return fr if language == "fr" else en
    if state is State.REFUSED and code.isascii() and code.isdigit() and int(code):
        return integration_label(int(code), language)
    return field_error(code, language)[1] if state is State.FAILED and code else ""
