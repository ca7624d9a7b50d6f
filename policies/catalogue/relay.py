"""Rules about the way out: what became of a message between our queue and the partner's server.

They are never spoken in an SMTP session; they explain a recipient's state in the journal, in ``caducee queue`` and in
the notices. ``relay.expired`` keeps the class of its cause: the fault stayed temporary to the end (RFC 3463 4.4.7).
Parameters: ``domain`` of the recipient, ``host`` of the partner's server; what it said stands beside the sentence, not in it.
"""

from __future__ import annotations

from policies.decision import Rule, Verdict

_WAIT_FR = "Rien n’est perdu : nous réessayons seuls, et vous préviendrons si l’attente se prolonge."
_WAIT_EN = "Nothing is lost: we try again by ourselves, and will tell you if the wait goes on."
_CHECK_FR = "Vérifiez l’adresse dans l’annuaire, ou joignez le correspondant par un autre moyen."
_CHECK_EN = "Check the address in the directory, or reach the correspondent by other means."


def _defer(name: str, enhanced: str, fr: str, en: str, *sources: str) -> Rule:
    return Rule(f"relay.{name}", Verdict.DEFER, 451, enhanced, fr, en, sources, _WAIT_FR, _WAIT_EN)


def _refuse(name: str, enhanced: str, fr: str, en: str, *sources: str) -> Rule:
    return Rule(f"relay.{name}", Verdict.REFUSE, 550, enhanced, fr, en, sources, _CHECK_FR, _CHECK_EN)


RULES: tuple[Rule, ...] = (
    Rule(
        "relay.handed_over",
        Verdict.ACCEPT,
        250,
        "2.0.0",
        "Le serveur {host} a pris le message en charge.",
        "The server {host} has taken charge of the message.",
        ("MSS-042", "RFC 5321 6.1"),
    ),
    _refuse(
        "partner_refused",
        "5.0.0",
        "Le serveur {host} a refusé le message pour cette adresse.",
        "The server {host} refused the message for this address.",
        "MSS-037",
        "RFC 5321 4.2.1",
    ),
    _defer(
        "partner_deferred",
        "4.0.0",
        "Le serveur {host} demande d’attendre.",
        "The server {host} asks us to wait.",
        "MSS-041",
        "RFC 5321 4.2.1",
    ),
    _defer(
        "unreachable",
        "4.4.1",
        "Le serveur {host} ne répond pas.",
        "The server {host} does not answer.",
        "MSS-041",
        "RFC 5321 4.5.4.1",
    ),
    _defer(
        "silent",
        "4.4.2",
        "Le serveur {host} a cessé de répondre pendant l’échange.",
        "The server {host} stopped answering during the exchange.",
        "MSS-041",
        "RFC 5321 4.5.3.2",
    ),
    _defer(
        "cut",
        "4.4.2",
        "Le serveur {host} a coupé la connexion pendant l’échange.",
        "The server {host} cut the connection during the exchange.",
        "MSS-041",
        "RFC 5321 3.8",
    ),
    _defer(
        "garbled",
        "4.5.0",
        "Le serveur {host} a donné une réponse que le protocole ne prévoit pas.",
        "The server {host} gave an answer the protocol does not provide for.",
        "MSS-041",
        "RFC 5321 4.2",
    ),
    _defer(
        "dns_failed",
        "4.4.3",
        "L’annuaire des noms (DNS) ne répond pas pour le domaine {domain}.",
        "The name service (DNS) does not answer for the domain {domain}.",
        "MSS-041",
        "RFC 5321 5.1",
    ),
    _defer(
        "domain_missing",
        "4.4.4",
        "Le domaine {domain} figure dans la liste blanche mais a disparu du DNS.",
        "The domain {domain} is on the white list but has vanished from the DNS.",
        "MSS-041",
        "RFC 3463 3.5",
    ),
    _refuse(
        "domain_unknown",
        "5.1.2",
        "Le domaine {domain} n’existe plus dans le DNS.",
        "The domain {domain} no longer exists in the DNS.",
        "MSS-041",
        "RFC 3463 3.2",
    ),
    _refuse(
        "null_mx",
        "5.1.10",
        "Le domaine {domain} déclare ne recevoir aucun courrier.",
        "The domain {domain} declares that it receives no mail.",
        "RFC 7505 4.2",
    ),
    _defer(
        "loop",
        "4.4.6",
        "L’adresse du serveur de {domain} ramène à notre propre service.",
        "The address of the server of {domain} leads back to our own service.",
        "MSS-046",
        "RFC 5321 5.1",
    ),
    Rule(
        "relay.too_big",
        Verdict.REFUSE,
        552,
        "5.3.4",
        "Le message dépasse la taille que le serveur {host} accepte.",
        "The message exceeds the size the server {host} accepts.",
        ("MSS-044", "RFC 1870 6"),
        "Envoyez les documents en plusieurs messages.",
        "Send the documents in several messages.",
    ),
    Rule(
        "relay.eight_bit",
        Verdict.REFUSE,
        554,
        "5.6.3",
        "Le serveur {host} ne reçoit pas les messages à 8 bits, et nous ne modifions jamais un message.",
        "The server {host} does not take 8-bit messages, and we never alter a message.",
        ("MSS-049", "MSS-115", "RFC 6152 3"),
        "Réglez votre logiciel pour encoder les messages (quoted-printable ou base64).",
        "Set your program to encode messages (quoted-printable or base64).",
    ),
    Rule(
        "relay.unsafe_content",
        Verdict.REFUSE,
        554,
        "5.6.0",
        "Le message contient des fins de ligne interdites et ne peut pas être transmis.",
        "The message holds forbidden line ends and cannot be relayed.",
        ("RFC 5321 2.3.8",),
        "Renvoyez le message depuis un logiciel à jour.",
        "Send the message again from an up-to-date program.",
    ),
    Rule(
        "relay.body_missing",
        Verdict.REFUSE,
        554,
        "5.3.0",
        "Le message n’a pas pu être relu dans notre file d’attente.",
        "The message could not be read back from our queue.",
        ("MSS-040",),
        "Renvoyez le message ; l’exploitant est prévenu.",
        "Send the message again; the operator has been told.",
    ),
    _defer(
        "busy",
        "4.3.0",
        "Notre service n’a pas pu traiter ce message et réessaiera.",
        "Our service could not handle this message and will try again.",
        "MSS-041",
    ),
    Rule(
        "relay.expired",
        Verdict.DEFER,
        451,
        "4.4.7",
        "Le message n’a pas pu être remis avant la fin du délai d’acheminement.",
        "The message could not be delivered before the end of the delivery time.",
        ("MSS-041", "RFC 3463 3.5"),
        "Joignez le correspondant par un autre moyen ; renvoyez le message plus tard.",
        "Reach the correspondent by other means; send the message again later.",
    ),
    Rule(
        "relay.dropped",
        Verdict.REFUSE,
        554,
        "5.3.0",
        "L’exploitant a retiré le message de la file d’attente.",
        "The operator removed the message from the queue.",
        ("MSS-041",),
        "Demandez-lui la raison avant de renvoyer le message.",
        "Ask the operator why before sending the message again.",
    ),
)
