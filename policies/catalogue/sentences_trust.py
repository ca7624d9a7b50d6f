"""Why a white list is not taken, what became of one, what is wrong with an address, how a mailbox stands: words of other
modules in words of people.

Keys are ``list.<word>`` for :class:`directory.trustlist.Refused` and :class:`directory.trustlist_fetch.Unreachable`,
``outcome.<word>`` for :class:`directory.trustlist_history.Outcome`, ``address.<word>`` for
:class:`policies.address.AddressError`, ``account.<state>``, ``mailbox.<state>``, ``use.<word>`` for :mod:`policies.lifecycle`,
``scope.<word>`` for :mod:`gateway.medical.registers`, ``verdict.<word>`` for :class:`policies.decision.Verdict`. Values are French and English.
"""

from __future__ import annotations

from collections.abc import Mapping

TRUST: Mapping[str, tuple[str, str]] = {
    # a list that is refused
    "list.unsigned": ("elle n’est pas signée", "it is not signed"),
    "list.empty": ("elle ne contient rien", "it holds nothing"),
    "list.checksum": ("son empreinte SHA-256 ne correspond pas", "its SHA-256 checksum does not match"),
    "list.too_large": ("elle est trop grande", "it is too large"),
    "list.not_utf8": ("elle n’est pas en UTF-8", "it is not in UTF-8"),
    "list.doctype": ("elle déclare un type de document ou une entité", "it declares a document type or an entity"),
    "list.malformed": ("le XML est mal formé", "the XML is not well-formed"),
    "list.wrong_root": ("ce n’est pas une liste blanche", "it is not a white list"),
    "list.no_date": ("sa date de génération manque", "its date of generation is missing"),
    "list.future": ("sa date de génération est à venir", "its date of generation is yet to come"),
    "list.bad_signature": ("sa signature est fausse", "its signature is wrong"),
    "list.unknown_signer": ("son signataire n’est pas reconnu", "its signer is not recognised"),
    "list.replay": ("elle est plus ancienne que celle en vigueur", "it is older than the one in force"),
    "list.conflict": (
        "une liste de la même date et d’un autre contenu est en vigueur",
        "a list of the same date with another content is in force",
    ),
    "list.shrink": (
        "elle perd trop de domaines : une personne doit la confirmer (caducee trust confirm)",
        "it loses too many domains: a person must confirm it (caducee trust confirm)",
    ),
    "list.nothing_held": ("aucune liste n’attend de confirmation", "no list waits for confirmation"),
    "list.network": ("la source ne répond pas", "the source does not answer"),
    "list.tls": ("le certificat de la source n’est pas reconnu", "the certificate of the source is not recognised"),
    "list.status": ("la source refuse de la donner", "the source refuses to give it"),
    "list.file": ("le fichier ne peut pas être lu", "the file cannot be read"),
    # what became of one
    "outcome.accepted": ("acceptée", "accepted"),
    "outcome.unchanged": ("inchangée", "unchanged"),
    "outcome.held": ("attend une confirmation", "waits for confirmation"),
    "outcome.refused": ("refusée", "refused"),
    "outcome.good": ("serait acceptée", "would be accepted"),
    "outcome.replay": ("serait refusée : plus ancienne", "would be refused: older"),
    # how accounts and mailboxes stand
    "account.pending": ("en attente de vérification", "waiting to be checked"),
    "account.active": ("actif", "active"),
    "account.suspended": ("suspendu", "suspended"),
    "account.closed": ("fermé", "closed"),
    "mailbox.active": ("active", "active"),
    "mailbox.suspended": ("suspendue", "suspended"),
    "mailbox.closed": ("fermée", "closed"),
    "mailbox.deleted": ("détruite", "deleted"),
    "use.used": ("utilisée", "used"),
    "use.warn": ("titulaire à prévenir", "owner to be warned"),
    "use.close": ("à fermer", "to be closed"),
    # a national identifier that is not in order
    "identity.characters": (
        "de 1 à 64 chiffres, lettres sans accent ou signes . / _ -",
        "1 to 64 digits, letters without accents or signs . / _ -",
    ),
    "identity.person_prefix": ("il commence par 8 (RPPS) ou 0 (ADELI)", "it begins with 8 (RPPS) or 0 (ADELI)"),
    "identity.structure_prefix": (
        "il commence par 1 (FINESS), 2 (SIREN), 3 (SIRET) ou 4 (cabinet)",
        "it begins with 1 (FINESS), 2 (SIREN), 3 (SIRET) or 4 (practice)",
    ),
    "identity.rpps_form": ("le RPPS a 11 chiffres", "an RPPS number has 11 digits"),
    "identity.rpps_key": ("un chiffre du RPPS est faux", "a digit of the RPPS number is wrong"),
    "identity.adeli_form": ("l’ADELI a 9 caractères", "an ADELI number has 9 characters"),
    "identity.finess_form": ("le FINESS a 9 caractères", "a FINESS number has 9 characters"),
    "identity.siren_form": ("le SIREN a 9 chiffres", "a SIREN number has 9 digits"),
    "identity.siren_key": ("un chiffre du SIREN est faux", "a digit of the SIREN number is wrong"),
    "identity.siret_form": ("le SIRET a 14 chiffres", "a SIRET number has 14 digits"),
    "identity.siret_key": ("un chiffre du SIRET est faux", "a digit of the SIRET number is wrong"),
    "identity.practice_form": (
        "celui d’un cabinet est un RPPS (11 chiffres) suivi de son rang",
        "that of a practice is an RPPS number (11 digits) and its rank",
    ),
    # whom an opposition concerns
    "scope.patient": ("messages au patient", "messages to the patient"),
    "scope.professionals": ("messages entre professionnels", "messages between professionals"),
    # what a decision does
    "verdict.accept": ("accepté", "accept"),
    "verdict.note": ("remarque", "note"),
    "verdict.defer": ("différé", "defer"),
    "verdict.refuse": ("refusé", "refuse"),
    # an address that cannot be read
    "address.no_at": ("il y manque un @", "it lacks an @"),
    "address.two_at": ("elle a deux @", "it has two @"),
    "address.empty": ("elle est vide", "it is empty"),
    "address.non_ascii": ("elle a des lettres accentuées", "it has accented letters"),
    "address.quoted_local": ("elle a besoin de guillemets", "it needs quotes"),
    "address.literal": ("un numéro entre crochets n’est pas un domaine", "a number in brackets is no domain"),
    "address.numeric_domain": ("un numéro n’est pas un domaine", "a number is no domain"),
    "address.relay_hack": ("% et ! n’y ont pas leur place", "% and ! have no place in it"),
    "address.source_route": ("elle contient un chemin", "it holds a route"),
    "address.comment": ("elle contient un commentaire", "it holds a comment"),
    "address.dots": ("un point y est mal placé", "a dot is misplaced in it"),
    "address.control": ("elle contient un caractère de contrôle", "it holds a control character"),
    "address.too_long": ("elle est trop longue", "it is too long"),
    "address.bad_domain": ("son domaine est mal écrit", "its domain is badly written"),
    "address.no_brackets": ("il y manque < et >", "it lacks < and >"),
    "address.unbalanced": ("un guillemet ou un crochet n’est pas fermé", "a quote or a bracket is not closed"),
    "address.bad_character": ("un caractère n’y a pas sa place", "a character has no place in it"),
    "address.too_many": ("il y en a trop", "there are too many"),
    "address.syntax": ("elle est mal écrite", "it is badly written"),
}
