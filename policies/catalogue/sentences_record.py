"""What the command line says of indicators and evidence, in French and English; see :mod:`policies.catalogue.sentences_console`."""

from __future__ import annotations

from collections.abc import Mapping

from policies.catalogue.sentence import Sentence

_s = Sentence

RECORD: Mapping[str, Sentence] = {
    "indicators.bad_month": _s(
        "« {month} » n’est pas un mois.",
        "“{month}” is not a month.",
        "Écrivez-le AAAA-MM, comme 2026-11.",
        "Write it YYYY-MM, such as 2026-11.",
    ),
    "indicators.not_over": _s(
        "Le mois {month} n’est pas fini : ses chiffres changent encore.",
        "The month {month} is not over: its figures still change.",
        "Attendez sa fin (en UTC), ou donnez --partial pour voir où il en est.",
        "Wait for its end (in UTC), or give --partial to see how it stands.",
    ),
    "indicators.not_built": _s(
        "Le mois {month} n’a pas de fichiers définitifs.",
        "The month {month} has no final files.",
        "Faites-les d’abord : caducee indicators build {month}",
        "Make them first: caducee indicators build {month}",
    ),
    "indicators.altered": _s(
        "Le fichier {name} n’est plus tel qu’il a été fait : rien n’est retenu comme déposé.",
        "The file {name} is not as it was made: nothing is remembered as deposited.",
        "Refaites-le (caducee indicators build {month}) et déposez celui-là.",
        "Make it again (caducee indicators build {month}) and deposit that one.",
    ),
    "indicators.bad_reference": _s(
        "La référence est trop longue, ou contient des caractères de contrôle.",
        "The reference is too long, or holds control characters.",
        "Au plus {limit} caractères.",
        "{limit} characters at most.",
    ),
    "indicators.too_old": _s(
        "Les boîtes ne sont plus nommées pour le mois {month}.",
        "Mailboxes are not named any more for the month {month}.",
        "Seuls les chiffres sans nom restent : caducee indicators build {month}",
        "Only figures without names remain: caducee indicators build {month}",
    ),
    "indicators.built": _s("Fichiers dans {folder} ; sommes dans {sums}.", "Files in {folder}; checksums in {sums}."),
    "evidence.unknown": _s(
        "Le journal ne sait rien du message {message}.",
        "The journal knows nothing of message {message}.",
        "Donnez notre identifiant, celui de la réponse à l’envoi (caducee track accepte aussi le Message-ID).",
        "Give our identifier, from the answer to the submission (caducee track takes the Message-ID too).",
    ),
    "evidence.too_long": _s(
        "Plus de {limit} enregistrements entre deux ancres : la chaîne serait trop longue.",
        "More than {limit} records between two anchors: the chain would be too long.",
        "Vérifiez journal.anchor et journal.anchor_every.",
        "Check journal.anchor and journal.anchor_every.",
    ),
    "evidence.no_key": _s(
        "Aucune clé RSA ou à courbe elliptique ne peut signer le dossier.",
        "No RSA or elliptic curve key can sign the pack.",
        "Voyez tls.certificates et tls.keys, ou tls.client_certificate et tls.client_key.",
        "See tls.certificates and tls.keys, or tls.client_certificate and tls.client_key.",
    ),
    "evidence.not_yours": _s(
        "Aucune boîte que vous pouvez lire ne tient ce message.",
        "No mailbox you may read holds this message.",
        "Sans --with-body, le dossier se fait sans le message.",
        "Without --with-body the pack is made without the message.",
    ),
    "evidence.made": _s("Dossier écrit : {path} ({size}).", "Pack written: {path} ({size})."),
    "evidence.holds": _s(
        "Le dossier tient : rien n’y a changé depuis sa signature, et ses enregistrements forment une seule chaîne. "
        "Comparez l’empreinte du certificat et les ancres avec celles que d’autres gardent.",
        "The pack holds: nothing changed since it was signed, and its records are one chain. "
        "Compare the certificate’s fingerprint and the anchors with those kept by others.",
    ),
    "evidence.same_anchors": _s(
        "Le dossier tient, et ses ancres sont parmi celles données. Comparez l’empreinte du certificat.",
        "The pack holds, and its anchors are among those given. Compare the certificate’s fingerprint.",
    ),
    "evidence.other_anchors": _s(
        "Des ancres du dossier ne sont pas parmi celles données : {records}.",
        "Anchors of the pack are not among those given: {records}.",
    ),
    "evidence.unproven": _s(
        "Des enregistrements d’une version plus ancienne ne se prouvent qu’avec tout le journal : {records}.",
        "Records of an older release are proven by the whole journal only: {records}.",
    ),
    "evidence.format": _s("Ce n’est pas un dossier de preuve : {where}.", "This is no pack of evidence: {where}."),
    "evidence.unreadable": _s(
        "Ce n’est pas un dossier de preuve, ou il est abîmé ({where}).",
        "This is no pack of evidence, or a damaged one ({where}).",
    ),
    "evidence.too_large": _s("Le dossier est trop grand{where}.", "The pack is too large{where}."),
    "evidence.files": _s(
        "Le dossier ne contient pas les fichiers qu’il annonce ({where}).",
        "The pack does not hold the files it announces ({where}).",
    ),
    "evidence.missing": _s("Il manque {where} au dossier.", "{where} is missing from the pack."),
    "evidence.signature": _s(
        "La signature ne correspond pas : {where} a changé.", "The signature does not match: {where} was changed."
    ),
    "evidence.changed": _s("{where} a changé depuis la signature.", "{where} was changed since it was signed."),
    "evidence.records": _s(
        "{where} parle d’autre chose que du message.", "{where} speaks of something else than the message."
    ),
    "evidence.chain": _s(
        "La chaîne ne mène pas à l’enregistrement {where}.", "The chain does not lead to record {where}."
    ),
    "evidence.body": _s(
        "{where} n’est pas le message qui a été accepté.", "{where} is not the message that was accepted."
    ),
    "record.exported": _s(
        "Tout ce qui est gardé de {login} est dans {path} ({size}).",
        "All that is kept about {login} is in {path} ({size}).",
    ),
    "evidence.destroyed": _s(
        "{address} est détruite ; certificat : {path}. Gardez-le, il se vérifie par caducee evidence verify.",
        "{address} is destroyed; certificate: {path}. Keep it; caducee evidence verify proves it.",
    ),
    "evidence.not_destroyed": _s(
        "{where} ne prouve pas que la boîte est détruite.", "{where} does not prove that the mailbox is destroyed."
    ),
    "idle.subject": _s("Boîte sans connexion / Mailbox without login", "Mailbox without login"),
    "idle.will_close": _s(
        "Personne ne s’est connecté à {address} depuis longtemps. Sans connexion d’ici le {day}, elle sera fermée : plus aucun "
        "message n’y entrera. Son contenu pourra encore être repris auprès de l’opérateur. Se connecter avec un logiciel de "
        "messagerie suffit à la garder ; recevoir du courrier ne suffit pas.",
        "Nobody has logged in to {address} for a long time. Without a login by {day} it will be closed: no message will enter it "
        "any more. Its content can still be had from the operator. Logging in with a mail program is enough to keep it; "
        "receiving mail is not.",
    ),
    "idle.may_close": _s(
        "Personne ne s’est connecté à {address} depuis longtemps. Sans connexion d’ici le {day}, l’opérateur pourra la fermer. Se "
        "connecter avec un logiciel de messagerie suffit à la garder ; recevoir du courrier ne suffit pas.",
        "Nobody has logged in to {address} for a long time. Without a login by {day} the operator may close it. Logging in with a "
        "mail program is enough to keep it; receiving mail is not.",
    ),
    "review.pending": _s("compte en attente de vérification", "account waiting for verification"),
    "review.never_logged_in": _s("jamais connecté", "never logged in"),
    "review.not_logged_in": _s("plus connecté", "no longer logs in"),
    "review.nothing": _s("n’a accès à rien", "has access to nothing"),
    "review.mailbox_unused": _s("boîte sans usage", "mailbox unused"),
    "review.member_unused": _s("membre sans usage", "member without use"),
    "review.device_unused": _s("appareil sans usage", "device unused"),
    "review.device_ends": _s("appareil qui expire", "device that ends"),
    "review.counted": _s(
        "Points à revoir : {count}. Revue précédente : {before}.", "To look at: {count}. Reviewed before: {before}."
    ),
}
