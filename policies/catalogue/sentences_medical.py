"""What the commands about medical documents say on a terminal: checking, showing, sending, opposition, integration answers."""

from __future__ import annotations

from collections.abc import Mapping

# key: French, English, what to do about it in French, in English
TEXTS: Mapping[str, tuple[str, str, str, str]] = {
    "cli.help.opposition": (
        "Les patients qui refusent l’échange de leurs données.",
        "Patients who object to the exchange of their data.",
        "",
        "",
    ),
    "cli.help.history": (
        "Ce que les boîtes retiennent des patients déjà rencontrés.",
        "What mailboxes remember of patients they met.",
        "",
        "",
    ),
    "history.counted": (
        "Patients retenus : {patients}, documents : {documents}, non revu depuis le plus longtemps : {since}.",
        "Patients remembered: {patients}, documents: {documents}, longest not met again: {since}.",
        "",
        "",
    ),
    "history.forgotten": (
        "Oublié. Le prochain document de ce patient est accepté comme le premier.",
        "Forgotten. The next document about this patient is taken as the first.",
        "",
        "",
    ),
    "history.unknown": (
        "Rien n’est retenu sous ce numéro.",
        "Nothing is remembered under this number.",
        "",
        "",
    ),
    "cli.help.integrate": (
        "Répondre à l’expéditeur : document intégré, ou refusé avec un code.",
        "Answer the sender: document filed, or refused with a code.",
        "",
        "",
    ),
    "hprim.file_unreadable": (
        "{file} : lecture impossible ({reason})",
        "{file}: cannot be read ({reason})",
        "",
        "",
    ),
    "hprim.not_understood": ("{file} : rien de lisible", "{file}: nothing readable in it", "", ""),
    "hprim.nothing_to_refuse": ("{file} : rien à refuser", "{file}: nothing to refuse", "", ""),
    "hprim.would_be_refused": ("{file} : serait refusé", "{file}: would be refused", "", ""),
    "hprim.nothing_to_show": (
        "{file} ne contient ni HPRIM ni CDA lisible.",
        "{file} holds no readable HPRIM nor CDA.",
        "",
        "",
    ),
    "opposition.recorded": (
        "Opposition enregistrée ({scopes}).",
        "Opposition recorded ({scopes}).",
        "",
        "",
    ),
    "opposition.known": ("Cette opposition était déjà enregistrée.", "This opposition was recorded already.", "", ""),
    "opposition.withdrawn": ("Opposition retirée.", "Opposition withdrawn.", "", ""),
    "opposition.unknown": ("Aucune opposition à ce numéro.", "No opposition under this number.", "", ""),
    "opposition.bad_number": (
        "Ce n’est pas un matricule INS ni un numéro de sécurité sociale (longueur ou clé fausse).",
        "This is neither an INS number nor a social security number (wrong length or key).",
        "Donnez 13 ou 15 caractères, sur l’entrée standard plutôt que sur la ligne de commande.",
        "Give 13 or 15 characters, on standard input rather than on the command line.",
    ),
    "integrate.sent": ("Réponse envoyée à l’expéditeur : {message}", "Answer sent to the sender: {message}", "", ""),
    "integrate.unknown_message": (
        "Ce message n’est pas dans la boîte {mailbox}.",
        "This message is not in mailbox {mailbox}.",
        "Donnez son Message-ID, notre identifiant, ou son UID dans INBOX.",
        "Give its Message-ID, our identifier, or its UID in INBOX.",
    ),
    "integrate.not_an_application": (
        "{mailbox} n’est pas une boîte applicative (APP).",
        "{mailbox} is not an application mailbox (APP).",
        "",
        "",
    ),
    "integrate.unknown_code": (
        "Code d’intégration inconnu : {code}",
        "Unknown integration code: {code}",
        "Codes : {codes}.",
        "Codes: {codes}.",
    ),
    "integrate.which": (
        "Donnez soit --accepted, soit --refused CODE.",
        "Give either --accepted or --refused CODE.",
        "",
        "",
    ),
    "integrate.nobody_to_tell": (
        "Ce message ne peut pas recevoir de réponse : {reason}",
        "This message cannot be answered: {reason}",
        "",
        "",
    ),
    "send.sent": ("Envoyé : {message}", "Sent: {message}", "", ""),
    "send.refused": ("Envoi refusé : {reason}", "Sending refused: {reason}", "", ""),
    "send.bad_identity": (
        "Identité du patient incomplète : {reason}",
        "The patient's identity is incomplete: {reason}",
        "Le fichier donne au moins surname, first_name et birth_date (AAAA-MM-JJ).",
        "The file gives at least surname, first_name and birth_date (YYYY-MM-DD).",
    ),
    "send.bad_document": (
        "Document {file} : {reason}",
        "Document {file}: {reason}",
        "",
        "",
    ),
    "send.unknown_mailbox": (
        "{mailbox} n’est pas une boîte ouverte de ce service.",
        "{mailbox} is not an open mailbox of this service.",
        "",
        "",
    ),
    "send.server_failed": (
        "Le serveur n’a pas pris le message : {reason}",
        "The server did not take the message: {reason}",
        "",
        "",
    ),
    "send.sent_word": ("envoyé", "sent", "", ""),
    "send.again_word": ("déjà envoyé", "sent already", "", ""),
    "send.refused_word": ("refusé", "refused", "", ""),
    "send.later_word": ("plus tard", "later", "", ""),
    "send.server_unknown_server": (
        "Le certificat du serveur n’est pas reconnu : {reason}",
        "The server's certificate is not recognised: {reason}",
        "Donnez l’autorité qui l’a délivré avec --ca, et le nom du serveur tel qu’il est écrit dans son certificat.",
        "Give the authority that issued it with --ca, and the server's name as its certificate has it.",
    ),
    "send.server_lost": (
        "Le serveur n’a pas répondu, ou a raccroché : {reason}",
        "The server did not answer, or hung up: {reason}",
        "Vérifiez l’adresse et le port ; un port à TLS immédiat demande --tls, un autre --starttls.",
        "Check address and port; a port with TLS from the start wants --tls, another --starttls.",
    ),
    "send.bad_certificate": (
        "Le certificat client {file} ou sa clé ne peut pas être lu.",
        "The client certificate {file} or its key cannot be read.",
        "Donnez deux fichiers PEM qui vont ensemble, --cert et --key, la clé sans mot de passe.",
        "Give two PEM files that belong together, --cert and --key, the key without a password.",
    ),
    "send.bad_authority": (
        "L’autorité {file} ne peut pas être lue.",
        "The authority {file} cannot be read.",
        "Donnez un fichier PEM avec --ca.",
        "Give a PEM file with --ca.",
    ),
    "send.no_recipient": (
        "Aucun destinataire : donnez --to, ou l’adresse en ligne 12 de l’en-tête HPRIM.",
        "No recipient: give --to, or the address in line 12 of the HPRIM header.",
        "",
        "",
    ),
    "send.what": (
        "Donnez --document, avec --patient si le document ne dit pas lui-même de qui il parle, ou --watch DOSSIER.",
        "Give --document, with --patient when the document does not say itself who it is about, or --watch FOLDER.",
        "",
        "",
    ),
    "send.watching": ("Dossier surveillé : {folder}", "Watching {folder}", "", ""),
}
