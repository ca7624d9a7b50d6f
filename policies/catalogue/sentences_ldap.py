"""What the directory's LDAP doors say of a refusal, in French and English: address books show it to their users."""

from __future__ import annotations

from collections.abc import Mapping

from policies.catalogue.sentence import Sentence

_s = Sentence

LDAP: Mapping[str, Sentence] = {
    "ldap.tls_first": _s(
        "La connexion doit être chiffrée (StartTLS, ou LDAPS).",
        "The connection must be encrypted (StartTLS, or LDAPS).",
    ),
    "ldap.login_first": _s(
        "Il faut s’identifier : adresse de la boîte et mot de passe d’appareil.",
        "You must log in: address of the mailbox and device password.",
    ),
    "ldap.no_password": _s("Le mot de passe est vide.", "The password is empty."),
    "ldap.version": _s("Seul LDAP version 3 est parlé.", "Only LDAP version 3 is spoken."),
    "ldap.mechanism": _s("Seule l’identification simple est offerte.", "Only the simple login is offered."),
    "ldap.read_only": _s("L’annuaire est en lecture seule.", "The directory is for reading only."),
    "ldap.unknown_extension": _s("Cette extension n’est pas offerte.", "This extension is not offered."),
    "ldap.critical_control": _s("Un contrôle exigé n’est pas offert.", "A control that is required is not offered."),
    "ldap.tls_already": _s("La connexion est déjà chiffrée.", "The connection is encrypted already."),
    "ldap.bad_name": _s("La base de recherche n’est pas un nom LDAP.", "The search base is not an LDAP name."),
    "ldap.too_complex": _s("La question est trop longue.", "The question is too long."),
    "ldap.too_many": _s(
        "Il y a d’autres réponses : précisez la recherche.", "There are more answers: search more closely."
    ),
    "ldap.too_often": _s(
        "Trop de recherches à la minute. Réessayez dans une minute.",
        "Too many searches a minute. Try again in a minute.",
    ),
    "ldap.allowance": _s(
        "Ce compte a consulté autant de fiches qu’il est permis en une heure.",
        "This account has seen as many entries as are allowed in an hour.",
    ),
    "ldap.too_slow": _s("La recherche a pris trop de temps.", "The search took too long."),
    "ldap.unavailable": _s(
        "L’annuaire est momentanément indisponible.", "The directory is unavailable for the moment."
    ),
    "ldap.wrong_page": _s("Cette suite de résultats n’existe plus.", "These further results exist no more."),
    "ldap.not_ldap": _s("Ce qui a été reçu n’est pas du LDAP.", "What was received is not LDAP."),
    "ldap.crowded": _s("Trop de connexions.", "Too many connections."),
    "ldap.too_many_failures": _s("Trop d’identifications manquées.", "Too many failed logins."),
    "ldap.withdrawn": _s("L’accès à cette boîte a été retiré.", "Access to this mailbox was withdrawn."),
    "ldap.idle": _s("La connexion était inactive.", "The connection was idle."),
    "ldap.stopping": _s("Le service s’arrête.", "The service is stopping."),
}


def both(name: str) -> str:
    """A sentence in both languages: LDAP does not tell which its reader has."""
    found = LDAP[name]
    return f"{found.fr} / {found.en}"
