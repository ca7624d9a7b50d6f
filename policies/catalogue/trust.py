"""Rules about the trust space: who is listed, and what certificates prove.

Each fault of a certificate exists twice: ``trust.certificate_<fault>`` refuses a server that calls us, and
``trust.partner_certificate_<fault>`` defers our own sending, because the partner can still mend its server (MSS-038).
Parameters: ``domain`` for every rule that names one; ``certificate`` (common name of the subject, for the reader) where
the sentence speaks of a certificate; ``host`` for the rules about a partner's server, and the ``reason`` of a handshake that
failed; ``hours`` for the staleness rules.
"""

from __future__ import annotations

from policies.decision import Language, Rule, Verdict

_RENEW_FR = "L’opérateur qui présente ce certificat doit le remplacer par un certificat IGC-Santé en règle."
_RENEW_EN = "The operator presenting this certificate must replace it by an IGC-Santé certificate in order."
_WAIT_FR = "Le message n’est pas perdu : il repartira seul dès que l’opérateur destinataire aura corrigé son serveur."
_WAIT_EN = "The message is not lost: it will leave by itself once the receiving operator has mended its server."

# fault, what is said of the certificate in French and in English, sources
FAULTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "untrusted",
        "n’a pas été délivré par l’autorité de l’espace de confiance",
        "was not issued by the authority of the trust space",
        ("MSS-016",),
    ),
    (
        "self_signed",
        "s’est délivré lui-même et ne prouve rien",
        "issued itself and proves nothing",
        ("MSS-016",),
    ),
    ("expired", "a expiré", "has expired", ("MSS-017", "RFC 5280 4.1.2.5")),
    ("not_yet_valid", "n’est pas encore valable", "is not yet valid", ("MSS-017", "RFC 5280 4.1.2.5")),
    (
        "wrong_usage",
        "n’est pas prévu pour cet usage",
        "is not meant for this use",
        ("MSS-016", "RFC 5280 4.2.1.12"),
    ),
    (
        "weak_key",
        "repose sur une clé trop courte",
        "rests on a key that is too short",
        ("MSS-016", "RFC 9325 4.5"),
    ),
    (
        "weak_signature",
        "porte une signature dépassée",
        "carries an outdated signature",
        ("MSS-016", "RFC 9155 2"),
    ),
    (
        "bad_chain",
        "est accompagné d’une chaîne de certificats incorrecte",
        "comes with a faulty certificate chain",
        ("MSS-016", "RFC 5280 6.1"),
    ),
    (
        "no_name",
        "ne porte aucun nom de serveur (extension SAN)",
        "carries no server name (SAN extension)",
        ("MSS-016", "RFC 9525 2"),
    ),
    ("revoked", "a été révoqué", "has been revoked", ("MSS-018",)),
)


def certificate_flaw(fault: str, language: Language) -> str:
    """A word of :data:`FAULTS` as the end of a sentence about a certificate."""
    return next((fr if language == "fr" else en for word, fr, en, _ in FAULTS if word == fault), fault)


def _inbound(fault: str, fr: str, en: str, sources: tuple[str, ...]) -> Rule:
    return Rule(
        f"trust.certificate_{fault}",
        Verdict.REFUSE,
        554,
        "5.7.5",
        f"Le certificat {{certificate}} {fr}.",
        f"The certificate {{certificate}} {en}.",
        sources,
        _RENEW_FR,
        _RENEW_EN,
    )


def _outbound(fault: str, fr: str, en: str, sources: tuple[str, ...]) -> Rule:
    return Rule(
        f"trust.partner_certificate_{fault}",
        Verdict.DEFER,
        451,
        "4.7.5",
        f"Rien n’a été envoyé au serveur {{host}} : son certificat {{certificate}} {fr}.",
        f"Nothing was sent to the server {{host}}: its certificate {{certificate}} {en}.",
        (*sources, "MSS-038"),
        _WAIT_FR,
        _WAIT_EN,
    )


RULES: tuple[Rule, ...] = (
    # the list
    Rule(
        "trust.accepted",
        Verdict.ACCEPT,
        250,
        "2.0.0",
        "{domain} fait partie de l’espace de confiance.",
        "{domain} belongs to the trust space.",
        ("MSS-032", "MSS-037"),
    ),
    Rule(
        "trust.local",
        Verdict.ACCEPT,
        250,
        "2.0.0",
        "{domain} est servi ici.",
        "{domain} is served here.",
        ("MSS-036",),
    ),
    Rule(
        "trust.sender_not_listed",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "Le domaine expéditeur {domain} ne figure pas dans la liste blanche de l’espace de confiance.",
        "The sender domain {domain} is not on the white list of the trust space.",
        ("MSS-032", "MSS-005"),
        "Écrivez depuis une adresse MSSanté, ou demandez à votre opérateur si le domaine est bien déclaré.",
        "Write from an MSSanté address, or ask your operator whether the domain is properly declared.",
    ),
    Rule(
        "trust.certificate_not_bound",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "Le serveur {certificate} n’est pas autorisé à envoyer pour le domaine {domain}.",
        "The server {certificate} is not allowed to send for the domain {domain}.",
        ("MSS-033", "MSS-014"),
        "L’opérateur expéditeur doit faire inscrire ce certificat pour ce domaine dans la liste blanche.",
        "The sending operator must have this certificate entered for this domain on the white list.",
    ),
    Rule(
        "trust.sender_is_ours",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "Le domaine {domain} est le nôtre : un autre serveur ne peut pas écrire en son nom.",
        "The domain {domain} is ours: another server cannot write in its name.",
        ("MSS-033",),
        "Si l’adresse est la vôtre, envoyez par le serveur d’envoi indiqué par votre opérateur.",
        "If the address is yours, send through the outgoing server given by your operator.",
    ),
    Rule(
        "trust.certificate_not_listed",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "Le certificat {certificate} n’est celui d’aucun opérateur de l’espace de confiance.",
        "The certificate {certificate} is that of no operator of the trust space.",
        ("MSS-035",),
        "L’opérateur doit faire inscrire son certificat dans la liste blanche.",
        "The operator must have its certificate entered on the white list.",
    ),
    Rule(
        "trust.recipient_not_listed",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "{domain} ne fait pas partie de l’espace de confiance : aucun message ne peut y être envoyé, transféré ou redirigé.",
        "{domain} does not belong to the trust space: no message can be sent, forwarded or redirected to it.",
        ("MSS-037", "MSS-005", "TOU-A01", "TOU-A02"),
        "Cherchez l’adresse MSSanté du correspondant dans l’annuaire.",
        "Look up the correspondent's MSSanté address in the directory.",
    ),
    Rule(
        "trust.list_stale",
        Verdict.DEFER,
        451,
        "4.7.1",
        "La liste blanche n’a pas pu être vérifiée depuis {hours} heures : les échanges avec les autres opérateurs attendent.",
        "The white list could not be checked for {hours} hours: exchanges with other operators are waiting.",
        ("MSS-013",),
        "Rien n’est perdu. Le courrier entre adresses du même opérateur continue de passer.",
        "Nothing is lost. Mail between addresses of the same operator still flows.",
    ),
    Rule(
        "trust.list_missing",
        Verdict.DEFER,
        451,
        "4.7.1",
        "Aucune liste blanche n’est encore chargée : les échanges avec les autres opérateurs attendent.",
        "No white list is loaded yet: exchanges with other operators are waiting.",
        ("MSS-013",),
        "Rien n’est perdu. Le courrier entre adresses du même opérateur continue de passer.",
        "Nothing is lost. Mail between addresses of the same operator still flows.",
    ),
    # certificates
    Rule(
        "trust.certificate_accepted",
        Verdict.ACCEPT,
        250,
        "2.0.0",
        "Le certificat {certificate} est en règle.",
        "The certificate {certificate} is in order.",
        ("MSS-016", "MSS-018"),
    ),
    *(_inbound(*fault) for fault in FAULTS),
    *(_outbound(*fault) for fault in FAULTS),
    Rule(
        "trust.revocation_unknown",
        Verdict.DEFER,
        421,
        "4.7.5",
        "Nous ne pouvons pas vérifier pour le moment si le certificat {certificate} a été révoqué.",
        "We cannot check for the moment whether the certificate {certificate} has been revoked.",
        ("MSS-020",),
        "Rien n’est perdu, réessayez dans quelques minutes.",
        "Nothing is lost, try again in a few minutes.",
    ),
    Rule(
        "trust.revocation_unknown_refused",
        Verdict.REFUSE,
        554,
        "5.7.5",
        "Le certificat {certificate} est refusé : nous ne pouvons pas vérifier s’il a été révoqué.",
        "The certificate {certificate} is refused: we cannot check whether it has been revoked.",
        ("MSS-020",),
        "Prévenez l’opérateur expéditeur et réessayez plus tard.",
        "Tell the sending operator and try again later.",
    ),
    Rule(
        "trust.revocation_unknown_tolerated",
        Verdict.NOTE,
        250,
        "2.0.0",
        "Le certificat {certificate} est admis sans que sa révocation ait pu être vérifiée.",
        "The certificate {certificate} is admitted although its revocation could not be checked.",
        ("MSS-020",),
    ),
    Rule(
        "trust.partner_revocation_unknown",
        Verdict.DEFER,
        451,
        "4.7.5",
        "Rien n’a été envoyé au serveur {host} : nous ne pouvons pas vérifier si son certificat {certificate} a été révoqué.",
        "Nothing was sent to the server {host}: we cannot check whether its certificate {certificate} has been revoked.",
        ("MSS-020", "MSS-038"),
        _WAIT_FR,
        _WAIT_EN,
    ),
    # the partner's server, seen by our courier
    Rule(
        "trust.partner_certificate_missing",
        Verdict.DEFER,
        451,
        "4.7.5",
        "Rien n’a été envoyé au serveur {host} : il n’a présenté aucun certificat.",
        "Nothing was sent to the server {host}: it presented no certificate.",
        ("MSS-038",),
        _WAIT_FR,
        _WAIT_EN,
    ),
    Rule(
        "trust.partner_certificate_wrong_name",
        Verdict.DEFER,
        451,
        "4.7.5",
        "Rien n’a été envoyé au serveur {host} : son certificat {certificate} porte un autre nom.",
        "Nothing was sent to the server {host}: its certificate {certificate} bears another name.",
        ("MSS-038", "RFC 9525 6.3"),
        _WAIT_FR,
        _WAIT_EN,
    ),
    Rule(
        "trust.partner_not_bound",
        Verdict.DEFER,
        451,
        "4.7.5",
        "Rien n’a été envoyé au serveur {host} : il n’est pas autorisé à recevoir pour le domaine {domain}.",
        "Nothing was sent to the server {host}: it is not allowed to receive for the domain {domain}.",
        ("MSS-038", "MSS-014"),
        _WAIT_FR,
        _WAIT_EN,
    ),
    Rule(
        "trust.partner_no_tls",
        Verdict.DEFER,
        451,
        "4.7.4",
        "Rien n’a été envoyé au serveur {host} : il ne propose pas de connexion chiffrée.",
        "Nothing was sent to the server {host}: it offers no encrypted connection.",
        ("MSS-039",),
        _WAIT_FR,
        _WAIT_EN,
    ),
    Rule(
        "trust.partner_tls_failed",
        Verdict.DEFER,
        451,
        "4.7.5",
        "Rien n’a été envoyé au serveur {host} : la connexion chiffrée a échoué ({reason}).",
        "Nothing was sent to the server {host}: the encrypted connection failed ({reason}).",
        ("MSS-022", "MSS-038", "MSS-039"),
        _WAIT_FR,
        _WAIT_EN,
    ),
    Rule(
        "trust.partner_injected",
        Verdict.DEFER,
        451,
        "4.7.5",
        "Rien n’a été envoyé au serveur {host} : il a parlé en clair pendant le passage à la connexion chiffrée.",
        "Nothing was sent to the server {host}: it spoke in clear text while switching to the encrypted connection.",
        ("MSS-039", "RFC 3207 6"),
        _WAIT_FR,
        _WAIT_EN,
    ),
)
