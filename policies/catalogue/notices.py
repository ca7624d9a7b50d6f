"""Rules about notices: the sentences of delivery notices (RFC 3464), reading receipts (RFC 8098) and their absence.

Parameters: ``recipient`` the notice is about, ``address`` of who is absent, ``hours`` of waiting, ``code`` and ``label`` of an
integration error (MSS-116).
"""

from __future__ import annotations

from policies.decision import Rule, Verdict


def _note(name: str, status: str, fr: str, en: str, *sources: str, remedy: tuple[str, str] = ("", "")) -> Rule:
    return Rule(f"notice.{name}", Verdict.NOTE, 250, status, fr, en, sources, *remedy)


RULES: tuple[Rule, ...] = (
    _note(
        "failed",
        "2.0.0",
        "Votre message n’a pas été remis au destinataire indiqué ci-dessous. Nous n’essaierons plus.",
        "Your message was not delivered to the recipient given below. We will not try again.",
        "MSS-037",
        "MSS-041",
        "RFC 3464",
    ),
    _note(
        "delayed",
        "2.0.0",
        "Votre message attend depuis plus de {hours} h d’être remis au destinataire indiqué ci-dessous. "
        "Nous continuons d’essayer : il n’y a rien à renvoyer. Si c’est urgent, joignez le correspondant autrement.",
        "Your message has been waiting for more than {hours} h to be delivered to the recipient given below. "
        "We go on trying: there is nothing to send again. If it is urgent, reach the correspondent by other means.",
        "MSS-041",
        "RFC 3464",
    ),
    _note(
        "delivered",
        "2.0.0",
        "Votre message a été déposé dans la boîte du destinataire indiqué ci-dessous.",
        "Your message was placed in the mailbox of the recipient given below.",
        "MSS-042",
        "RFC 3464",
    ),
    _note(
        "relayed",
        "2.0.0",
        "Votre message a été pris en charge par le serveur du destinataire indiqué ci-dessous, "
        "qui ne confirmera pas la remise.",
        "Your message was taken over by the server of the recipient given below, which will not confirm delivery.",
        "MSS-042",
        "RFC 3461 6.2",
    ),
    _note(
        "unanswered",
        "2.0.0",
        "Aucune confirmation n’est arrivée à temps du destinataire indiqué ci-dessous : "
        "rien ne prouve que votre message a été remis ou lu.",
        "No confirmation arrived in time from the recipient given below: "
        "nothing proves that your message was delivered or read.",
        "MSS-118",
        "TOU-C02",
        remedy=(
            "Si c’est important, joignez le correspondant par un autre moyen.",
            "If it matters, reach the correspondent by other means.",
        ),
    ),
    _note(
        "unread",
        "2.1.5",
        "Votre message a bien été remis au destinataire indiqué ci-dessous, mais l’accusé de lecture demandé "
        "n’est pas arrivé à temps.",
        "Your message was delivered to the recipient given below, but the reading receipt asked for did not arrive in time.",
        "MSS-118",
        "TOU-C02",
        remedy=(
            "Si c’est important, joignez le correspondant par un autre moyen.",
            "If it matters, reach the correspondent by other means.",
        ),
    ),
    _note(
        "double_bounce",
        "2.0.0",
        "Un avis automatique n’a pas pu être remis à son destinataire. Il n’est pas renvoyé, pour ne pas tourner en rond.",
        "An automatic notice could not be delivered to its recipient. It is not sent again, so as not to go round in circles.",
        "MSS-046",
        "RFC 5321 6.1",
    ),
    _note(
        "absent",
        "2.0.0",
        "Réponse automatique de {address} : votre message est bien arrivé.",
        "Automatic reply of {address}: your message did arrive.",
        "MSS-060",
        "RFC 3834 3",
    ),
    _note(
        "processed",
        "2.0.0",
        "L’accusé demandé a été envoyé automatiquement à {recipient}.",
        "The receipt asked for was sent automatically to {recipient}.",
        "MSS-116",
        "RFC 8098 3.2.6",
    ),
    _note(
        "read",
        "2.0.0",
        "Le message a été traité par le logiciel du destinataire {recipient}.",
        "The message was processed by the program of the recipient {recipient}.",
        "MSS-116",
        "RFC 8098",
    ),
    _note(
        "not_integrated",
        "2.0.0",
        "Le logiciel du destinataire {recipient} n’a pas pu intégrer le document : {code} {label}.",
        "The program of the recipient {recipient} could not integrate the document: {code} {label}.",
        "MSS-116",
    ),
    # may a reading receipt be sent at all (MSS-117)?
    _note(
        "receipt_due",
        "2.0.0",
        "L’expéditeur demande un accusé de lecture, qui peut être envoyé.",
        "The sender asks for a reading receipt, which may be sent.",
        "MSS-117",
        "RFC 8098 2.1",
    ),
    _note(
        "receipt_ask",
        "2.0.0",
        "L’accusé de lecture est demandé pour une autre adresse que celle de l’expéditeur : il faut l’accord du lecteur.",
        "The reading receipt is asked for another address than the sender’s: the reader must agree.",
        "MSS-117",
        "RFC 8098 2.1",
    ),
    _note(
        "receipt_none",
        "2.0.0",
        "Aucun accusé de lecture ne doit être envoyé pour ce message.",
        "No reading receipt is to be sent for this message.",
        "MSS-117",
        "RFC 8098 2.1",
    ),
)
