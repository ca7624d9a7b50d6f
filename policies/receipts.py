"""Receipts judged: may a reading receipt be sent, what a received one means, when silence becomes a negative notice.

The state of a recipient only moves forward; what arrives twice or late changes nothing, or what it still may (MSS-118).
Promise: pure functions and tables. Failure: none; an unknown code or word has a stated meaning.
Sources: mssante.md 5.5 (MSS-116, MSS-117), RFC 8098, RFC 3464, MSS-043.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from policies.catalogue import rule
from policies.decision import Decision, Language, decide


class State(StrEnum):
    """Where one recipient's copy is, as far as we can prove it."""

    QUEUED = "queued"
    DELAYED = "delayed"
    HANDED_OVER = "handed_over"
    DELIVERED = "delivered"
    READ = "read"
    REFUSED = "refused"  # by the recipient's software: not integrated, deleted unread
    FAILED = "failed"
    LATE = "late"  # the deadline passed without the confirmation asked for


_RANK = {
    State.QUEUED: 0,
    State.DELAYED: 1,
    State.LATE: 2,
    State.HANDED_OVER: 3,
    State.DELIVERED: 4,
    State.FAILED: 5,
    State.REFUSED: 6,
    State.READ: 7,
}


def advance(state: State, news: State) -> State:
    """The state after ``news``. A receipt proves more than a server's word, and a later word never takes a proof back.

    ``LATE`` replaces any state that confirms nothing yet, and gives way to whatever proof comes after all.
    """
    if news is State.LATE:
        return news if _RANK[state] <= _RANK[State.HANDED_OVER] else state
    if state is State.LATE and news in (State.QUEUED, State.DELAYED, State.HANDED_OVER):
        return state
    return news if _RANK[news] > _RANK[state] else state


def confirmed(state: State, wants: frozenset[str]) -> bool:
    """Is what the sender asked for (``delivery``, ``reading``) answered, for good or ill?"""
    if state in (State.FAILED, State.REFUSED, State.READ):
        return True
    return state is State.DELIVERED and "reading" not in wants


@dataclass(frozen=True, slots=True)
class ReceiptFacts:
    """What decides whether a reading receipt may be sent. Addresses are keys; ``return_path`` is empty for null."""

    asked_for: tuple[str, ...]  # Disposition-Notification-To
    return_path: str
    automatic: bool  # Auto-Submitted other than no, a report, or a list message
    already_sent: bool = False


def may_acknowledge(facts: ReceiptFacts) -> Decision:
    """MSS-117: none without request, none to the null sender, none twice, none for an automatic message.

    When the address differs from the return path, or several are given, only a person may decide (RFC 8098 2.1).
    """
    if not facts.asked_for or not facts.return_path or facts.automatic or facts.already_sent:
        return decide(rule("notice.receipt_none"))
    if len(facts.asked_for) > 1 or facts.asked_for[0] != facts.return_path:
        return decide(rule("notice.receipt_ask"))
    return decide(rule("notice.receipt_due"))


# codes of integration errors (HL7 0533 as ANS uses it, and 0357), open-ended by design

INTEGRATION: dict[int, tuple[str, str]] = {
    0: ("Message accepté", "Message accepted"),
    100: ("Erreur de séquence de segments", "Segment sequence error"),
    101: ("Champ obligatoire manquant", "Required field missing"),
    102: ("Erreur de type de donnée", "Data type error"),
    103: ("Valeur absente de la table", "Table value not found"),
    198: ("Cardinalité non conforme", "Non-conformant cardinality"),
    199: ("Autre erreur HL7", "Other HL7 error"),
    200: ("Type de message non pris en charge", "Unsupported message type"),
    201: ("Événement non pris en charge", "Unsupported event code"),
    202: ("Identifiant de traitement non pris en charge", "Unsupported processing id"),
    203: ("Version non prise en charge", "Unsupported version id"),
    207: ("Erreur interne de l’application", "Application internal error"),
    900: ("Mauvaise version de document", "Wrong document version"),
    901: ("Auteur non autorisé à remplacer ou supprimer", "Author not allowed to replace or delete"),
    902: ("Identifiant de patient inconnu", "Unknown patient identifier"),
    903: ("INS absente du document", "INS missing from the document"),
    904: ("INS différente de celle connue", "INS differs from the one known"),
    905: ("INS incomplète", "INS incomplete"),
    906: ("Autre erreur d’intégration", "Other integration error"),
}


def integration_label(code: int, language: Language) -> str:
    """The label of an integration code; an unlisted code is an "other" error, because the list is open."""
    fr, en = INTEGRATION.get(code, INTEGRATION[906])
    return fr if language == "fr" else en


# SMTPERRORCODE: the codes the field uses to speak of failures (MSS-043), by RFC 3463 status without its class

_FIELD: dict[str, tuple[int, str, str]] = {
    "1.1": (550, "Boîte aux lettres introuvable ou inaccessible", "Mailbox not found or not accessible"),
    "1.2": (512, "Serveur du destinataire introuvable dans le DNS", "Host of the recipient not found in DNS"),
    "1.3": (513, "Type d’adresse incorrect", "Incorrect address type"),
    "1.6": (551, "La boîte aux lettres a changé d’opérateur", "Mailbox moved to another operator"),
    "1.10": (512, "Le domaine ne reçoit aucun courrier", "The domain takes no mail"),
    "2.1": (450, "Boîte aux lettres momentanément indisponible", "Mailbox unavailable"),
    "2.2": (552, "Espace de stockage dépassé", "Storage exceeded"),
    "3.4": (523, "Message trop gros pour le serveur du destinataire", "Message too large for the server"),
    "4.1": (101, "Connexion impossible", "Cannot connect"),
    "4.2": (442, "Connexion interrompue", "Connection dropped"),
    "4.3": (512, "Le DNS ne répond pas", "The name service does not answer"),
    "4.4": (512, "Serveur du destinataire introuvable dans le DNS", "Host of the recipient not found in DNS"),
    "4.7": (441, "Le serveur du destinataire ne répond pas", "The recipient's server does not answer"),
    "5.0": (500, "Réponse incomprise", "Reply not understood"),
    "7.1": (541, "Rejeté par la politique du destinataire", "Rejected by policy of the recipient"),
    "7.4": (111, "Connexion chiffrée impossible", "Cannot open an encrypted stream"),
    "7.5": (111, "Connexion chiffrée impossible", "Cannot open an encrypted stream"),
    "3.1": (452, "Ressources insuffisantes", "Insufficient resources"),
}

# What a bare reply code says where no more exact status came with it: RFC 5321 4.2.3, as statuses of RFC 3463.
_BARE = {450: "2.1", 452: "3.1", 550: "1.1", 551: "1.6", 552: "2.2", 553: "1.3"}


def field_error(status: str, language: Language, reply: str = "") -> tuple[int, str]:
    """SMTPERRORCODE and label for an RFC 3463 status; (0, "") for a success. ``reply`` is what the server said: its code
    tells more than a status that only repeats its class."""
    if status[:1] == "2":
        return 0, ""
    subject = status[2:]
    if subject == "0.0" and reply[:1] == status[:1] and reply[:3].isascii() and reply[:3].isdigit():
        subject = _BARE.get(int(reply[:3]), subject)
    if subject in _FIELD:
        code, fr, en = _FIELD[subject]
        return code, fr if language == "fr" else en
    if status[:1] == "4":
        return 451, "Erreur momentanée" if language == "fr" else "Processing error"
    return 554, "Échec définitif" if language == "fr" else "Permanent failure"
