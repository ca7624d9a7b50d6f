"""What an administrator reads on the command line, in French and English: one line per sentence, found by its key.

These are not rules: nothing here decides or reaches a partner. Each entry gives a French and an English text with the same
``{named}`` parameters, and optionally what to do about it.
Promise: :func:`say` fills the sentence or raises :class:`policies.decision.CatalogueError`; parameters hold no secret.
"""

from __future__ import annotations

from collections.abc import Mapping

from policies.catalogue.sentence import Sentence
from policies.catalogue.sentences_config import CONFIG
from policies.catalogue.sentences_directory import DIRECTORY
from policies.catalogue.sentences_medical import TEXTS
from policies.catalogue.sentences_record import RECORD
from policies.catalogue.sentences_sanction import SANCTION
from policies.catalogue.sentences_trust import TRUST
from policies.decision import CatalogueError, Language

_s = Sentence

HELP: Mapping[str, Sentence] = {
    "cli.help.serve": _s("Servir : portes SMTP, IMAP, courrier.", "Serve: SMTP doors, IMAP, courier."),
    "cli.help.config": _s("La configuration : vérifier, montrer.", "The configuration: check, show."),
    "cli.help.account": _s(
        "Les comptes des personnes, leurs moyens d’accès.", "Accounts of people, their means of access."
    ),
    "cli.help.mailbox": _s("Les boîtes, leurs membres et adresses.", "Mailboxes, their members and addresses."),
    "cli.help.device": _s("Les mots de passe d’appareil.", "Device passwords."),
    "cli.help.fsck": _s("Vérifier ce qui est stocké.", "Check what is stored."),
    "cli.help.explain": _s(
        "Dire ce qui a été décidé d’un message, et pourquoi.", "Tell what was decided of a message, and why."
    ),
    "cli.help.queue": _s("Les messages en attente de départ.", "Messages waiting to leave."),
    "cli.help.autoconfig": _s(
        "Faire trouver les portes aux logiciels de messagerie.", "Let mail programs find the doors by themselves."
    ),
    "cli.help.trust": _s("L’espace de confiance et sa liste blanche.", "The trust space and its white list."),
    "cli.help.doctor": _s("Examiner le service et un partenaire.", "Examine the service and a partner."),
    "cli.help.space": _s("Un espace de confiance complet sur cette machine.", "A whole trust space on this machine."),
    "cli.help.rule": _s("Les règles d’une boîte : transfert, absence.", "Rules of a mailbox: forward, absence."),
    "cli.help.track": _s(
        "Suivre un message, destinataire par destinataire.", "Track a message, recipient by recipient."
    ),
    "cli.help.send": _s("Envoyer un document sans connaître le courrier.", "Send a document without knowing mail."),
    "cli.help.hprim": _s("Vérifier un document médical.", "Check a medical document."),
    "cli.help.evidence": _s("Dossiers de preuve d’un message.", "Evidence of one message."),
    "cli.help.indicators": _s("Les indicateurs mensuels d’usage.", "Monthly indicators of use."),
    "cli.help.directory": _s(
        "L’annuaire : qui l’on peut joindre, la liste nationale.",
        "The directory: who can be reached, the national list.",
    ),
    "cli.help.journal": _s("Le journal chaîné : lire, vérifier, purger.", "The chained journal: read, verify, prune."),
}

CLI: Mapping[str, Sentence] = {
    "cli.transfer_failed": _s(
        "transfert interrompu : {reason}",
        "transfer stopped: {reason}",
        "La même commande reprend où elle s’est arrêtée.",
        "The same command goes on where it stopped.",
    ),
    "transfer.place": _s(
        "un serveur s’écrit imaps://UTILISATEUR@HÔTE[:PORT], sans mot de passe",
        "a server is written imaps://USER@HOST[:PORT], without a password",
        "L’arobase du nom d’utilisateur s’écrit %40.",
        "The at sign of the user’s name is written %40.",
    ),
    "transfer.exists": _s(
        "{place} existe déjà", "{place} exists already", "Donnez un autre nom.", "Give another name."
    ),
    "transfer.not_ours": _s(
        "{place} n’est pas une de nos archives, ou est abîmée",
        "{place} is not an archive of ours, or is damaged",
        "Vérifiez le fichier et la phrase secrète.",
        "Check the file and the passphrase.",
    ),
    "transfer.damaged": _s(
        "l’archive est abîmée à {place}",
        "the archive is damaged at {place}",
        "Ce qui précède est transféré ; prenez une autre copie de l’archive.",
        "What comes before is moved; take another copy of the archive.",
    ),
    "transfer.anew": _s(
        "le dossier {place} a été refait entre-temps",
        "the folder {place} was made anew meanwhile",
        "Relancez la même commande.",
        "Run the same command again.",
    ),
    "transfer.full": _s(
        "la boîte est pleine",
        "the mailbox is full",
        "Augmentez son quota (caducee mailbox quota), puis relancez la même commande.",
        "Raise its quota (caducee mailbox quota), then run the same command again.",
    ),
    "transfer.login": _s(
        "le serveur n’a pas reconnu {place} : {reason}",
        "the server did not recognise {place}: {reason}",
        "Vérifiez l’identifiant et le mot de passe (d’appareil, si ce serveur en donne).",
        "Check the login and the password (a device password, where that server gives them).",
    ),
    "transfer.unknown_server": _s(
        "le certificat du serveur n’est pas reconnu : {reason}",
        "the server’s certificate is not recognised: {reason}",
        "Donnez l’autorité qui l’a délivré avec --ca, et le nom du serveur tel qu’il est écrit dans son certificat.",
        "Give the authority that issued it with --ca, and the server’s name as its certificate has it.",
    ),
    "space.running": _s(
        "un espace d’essai tourne dans {directory}",
        "a space runs in {directory}",
        "Arrêtez-le, ou choisissez un autre dossier avec --dir.",
        "Stop it, or choose another folder with --dir.",
    ),
    "space.not_empty": _s(
        "{directory} n’est pas vide et n’est pas un espace d’essai",
        "{directory} is not empty and is not a trust space",
        "Choisissez un autre dossier avec --dir.",
        "Choose another folder with --dir.",
    ),
    "space.not_started": _s(
        "{domain} n’a pas démarré ; son journal, {log}, finit ainsi :\n{tail}",
        "{domain} did not start; its log, {log}, ends so:\n{tail}",
    ),
    "space.ended": _s(
        "{domain} s’est arrêté de lui-même",
        "{domain} ended by itself",
        "Son journal dit pourquoi : {log}.",
        "Its log says why: {log}.",
    ),
    "space.exchange": _s(
        "le premier échange n’a pas abouti : {reason}",
        "the first exchange did not succeed: {reason}",
        "Les journaux des deux opérateurs disent pourquoi : {logs}.",
        "The logs of both operators say why: {logs}.",
    ),
    "exchange.accepted": _s(
        "250 : accepté, durable et chiffré chez le premier opérateur",
        "250: accepted, durable and encrypted at the first operator",
    ),
    "exchange.read": _s("{address} le lit par IMAP", "{address} reads it over IMAP"),
    "exchange.crossed": _s("passé d’un opérateur à l’autre en TLS mutuel", "crossed between operators over mutual TLS"),
    "exchange.answered": _s(
        "la réponse est revenue et a été lue par IMAP", "the answer came back and was read over IMAP"
    ),
    "exchange.outside": _s("un message vers l’extérieur est refusé", "a message to the outside is refused"),
    "exchange.late": _s(
        "{address} n’a pas reçu le message en {seconds} s", "{address} did not get the message within {seconds} s"
    ),
    "exchange.left": _s(
        "un message vers une adresse hors de l’espace de confiance a été accepté",
        "a message to an address outside the trust space was accepted",
    ),
    "space.partner": _s(
        "« {text} » n’est pas un opérateur tiers",
        "“{text}” is not a third operator",
        "Écrivez-le DOMAINE=HÔTE:PORT.",
        "Write it DOMAIN=HOST:PORT.",
    ),
    "space.setting": _s(
        "« {text} » n’est pas un réglage",
        "“{text}” is not a setting",
        "Écrivez-le section.clé=valeur.",
        "Write it section.key=value.",
    ),
    "cli.explain_what": _s(
        "donnez un identifiant de message, ou une question (--from, --to, --cert)",
        "give a message identifier, or a question (--from, --to, --cert)",
    ),
    "cli.explain_from": _s(
        "une question a besoin de l’expéditeur (--from ADRESSE, ou --cert FICHIER pour un partenaire)",
        "a question needs the sender (--from ADDRESS, or --cert FILE for a partner)",
    ),
    "cli.unknown_message": _s(
        "le journal ne sait rien du message {message}",
        "the journal knows nothing of message {message}",
        "L’identifiant, ou la référence d’un refus, est dans la réponse du serveur.",
        "The identifier, or the reference of a refusal, is in the server’s reply.",
    ),
    "cli.not_tracked": _s(
        "aucun message {message} n’est connu",
        "no message {message} is known",
        "Donnez notre identifiant (celui de la réponse 250) ou le Message-ID.",
        "Give our identifier (the one in the 250 reply) or the Message-ID.",
    ),
    "cli.not_queued": _s(
        "rien de tel n’attend dans la file",
        "nothing like that waits in the queue",
        "Ce qui est parti se retrouve par caducee track ou caducee explain.",
        "What has left is found by caducee track or caducee explain.",
    ),
    "cli.queue_untouched": _s(
        "Le reste est en cours d’envoi, déjà dans cet état, ou parti entre-temps ; caducee queue hold retient aussi ce qui "
        "est en cours.",
        "The rest is being carried, already in that state, or gone meanwhile; caducee queue hold also keeps what is being "
        "carried.",
    ),
    "cli.not_a_domain": _s("« {domain} » n’est pas un nom de domaine", "“{domain}” is not a domain name"),
    "cli.domain_not_listed": _s(
        "{domain} n’est pas dans cette liste",
        "{domain} is not in this list",
    ),
    "cli.commands": _s("Au choix : {names}.", "There are: {names}."),
    "cli.no_section": _s(
        "la configuration n’a pas de section « {section} ».",
        "the configuration has no section “{section}”.",
        "Sections : {names}.",
        "Sections: {names}.",
    ),
    "cli.goes_before": _s(
        "elle se met avant la commande (caducee {option} …)", "it stands before the command (caducee {option} ...)"
    ),
    "cli.usage_hint": _s("caducee: « {command} -h » montre l’usage.", "caducee: “{command} -h” shows the usage."),
    "cli.given_up": _s("abandonné : rien n’a été fait", "given up: nothing was done"),
    "cli.answers_differ": _s(
        "les deux réponses ne sont pas les mêmes : rien n’a été fait",
        "the two answers are not the same: nothing was done",
        "Relancez la commande.",
        "Run the command again.",
    ),
    "cli.bad_address": _s("adresse illisible : {address} ({problem})", "unreadable address: {address} ({problem})"),
    "cli.list_refused": _s(
        "cette liste blanche est refusée : {reason} ({detail})",
        "this white list is refused: {reason} ({detail})",
        "La liste en vigueur reste en vigueur ; demandez au gestionnaire une liste valable.",
        "The list in force stays in force; ask the authority for a good one.",
    ),
    "cli.no_list": _s(
        "aucune liste blanche n’est en vigueur",
        "no white list is in force",
        "caducee trust refresh va la chercher ; trust.list dit où.",
        "caducee trust refresh fetches it; trust.list says where.",
    ),
    "cli.no_such_list": _s(
        "aucune version {version} n’est gardée",
        "no version {version} is kept",
        "caducee trust history les montre.",
        "caducee trust history shows them.",
    ),
    "cli.no_list_before": _s("aucune version plus ancienne n’est gardée", "no older version is kept"),
    "cli.no_list_source": _s(
        "aucune source de liste blanche", "no source of the white list", "Donnez trust.list.", "Give trust.list."
    ),
    "cli.list_busy": _s(
        "un autre processus est en train d’écrire la liste",
        "another process is writing the list",
        "Réessayez.",
        "Try again.",
    ),
    "cli.rows_or_list": _s(
        "donnez soit un fichier de lignes (--rows), soit une liste de départ (--from)",
        "give either a file of rows (--rows) or a list to start from (--from)",
    ),
    "row.not_a_domain": _s(
        "{place}« {value} » n’est pas un nom de domaine",
        "{place}“{value}” is not a domain name",
        "Une ligne est un domaine, un espace, le nom du certificat (CN=…,OU=…,O=…,ST=…,C=FR).",
        "A row is a domain, a space, the certificate’s name (CN=…,OU=…,O=…,ST=…,C=FR).",
    ),
    "row.not_a_name": _s(
        "{place}« {value} » n’est pas un nom de certificat",
        "{place}“{value}” is not the name of a certificate",
        "Il s’écrit CN=…,OU=…,O=…,ST=…,C=FR.",
        "It is written CN=…,OU=…,O=…,ST=…,C=FR.",
    ),
    "row.not_listed": _s(
        "{place}{value} n’est pas dans la liste de départ", "{place}{value} is not in the list to start from"
    ),
    "cli.rows_not_utf8": _s(
        "{path} n’est pas en UTF-8 (octet {place})",
        "{path} is not UTF-8 (byte {place})",
        "Enregistrez-le en UTF-8.",
        "Save it as UTF-8.",
    ),
    "cli.signing_pair": _s("--certificate et --key vont ensemble", "--certificate and --key go together"),
    "cli.bad_signer": _s(
        "{certificate} et {key} ne sont pas un certificat et sa clé",
        "{certificate} and {key} are not a certificate and its key",
        "En PEM, clé RSA ou elliptique sans mot de passe.",
        "In PEM, an RSA or elliptic key without password.",
    ),
    "cli.doctor_trip": _s(
        "un message d’essai demande --login, --to et --password-file, et les portes submissions et imaps ; "
        "--their-imap HÔTE:PORT va avec --their-password-file",
        "a test message needs --login, --to and --password-file, and the doors submissions and imaps; "
        "--their-imap HOST:PORT goes with --their-password-file",
    ),
    "cli.cannot_read": _s("{path} ne peut pas être lu : {reason}", "{path} cannot be read: {reason}"),
    "cli.unknown_role": _s("rôle inconnu : {role}", "unknown role: {role}", "Rôles : {roles}.", "Roles: {roles}."),
    "cli.config_valid": _s("{file} : configuration valable.", "{file}: the configuration is valid."),
    "cli.config_lacks": _s(
        "{file} : rien de faux, mais il manque de quoi servir :", "{file}: nothing wrong, but this is missing to serve:"
    ),
    "autoconfig.no_imap": _s(
        "aucune porte IMAP n’est ouverte aux utilisateurs",
        "no IMAP door is open to users",
        "Donnez une adresse à imaps.listen ou imap.listen.",
        "Give imaps.listen or imap.listen an address.",
    ),
    "autoconfig.no_smtp": _s(
        "aucune porte SMTP n’est ouverte aux utilisateurs",
        "no SMTP door is open to users",
        "Donnez une adresse à submissions.listen ou submission.listen.",
        "Give submissions.listen or submission.listen an address.",
    ),
    "autoconfig.not_certified": _s(
        "le certificat des portes ne nomme pas {host} (il nomme {names}) : les logiciels de messagerie le refuseraient",
        "the certificate of the doors does not name {host} (it names {names}): mail programs would refuse it",
        "Corrigez operator.hostname, ou demandez un certificat dont le SAN porte ce nom.",
        "Correct operator.hostname, or ask for a certificate whose SAN has this name.",
    ),
    "cli.file_exists": _s(
        "{path} existe déjà.",
        "{path} exists already.",
        "Une clé ne se remplace jamais sans savoir : choisissez un autre nom.",
        "A key is never replaced unknowingly: choose another name.",
    ),
    "cli.date_unreadable": _s(
        "« {text} » n’est pas une date.",
        "“{text}” is not a date.",
        "Écrivez-la comme 2026-08-15.",
        "Write it such as 2026-08-15.",
    ),
    "cli.cannot_write": _s("{path} ne peut pas être écrit : {reason}.", "{path} cannot be written: {reason}."),
    "cli.master_key_written": _s(
        "Clé maîtresse écrite dans {path}. Gardez-en une copie ailleurs : sans elle, tout le courrier est perdu.",
        "Master key written to {path}. Keep a copy elsewhere: without it all mail is lost.",
    ),
    "cli.rotation_asked": _s(
        "Le service est-il arrêté, et une sauvegarde faite ?", "Is the service stopped, and a backup made?"
    ),
    "cli.rotated": _s(
        'Clés rescellées : {count}. Mettez store.master_key = "file:{path}" avant de redémarrer, gardez une copie de la '
        "nouvelle clé ailleurs, et l’ancienne aussi longtemps que vivent d’anciennes sauvegardes sans `caducee config export-keys`.",
        'Keys wrapped anew: {count}. Set store.master_key = "file:{path}" before starting again, keep a copy of the new '
        "key elsewhere, and the old one as long as old backups without `caducee config export-keys` live.",
    ),
    "cli.keys_exported": _s(
        "Clés scellées écrites dans {path}. Gardez ce seul fichier, le plus récent, à côté des sauvegardes.",
        "Wrapped keys written to {path}. Keep this one file, the newest, beside the backups.",
    ),
    "cli.keys_imported": _s(
        "Clés remises : {count}. Les boîtes fermées depuis la sauvegarde n’en ont plus. Continuez par `caducee fsck --restored`.",
        "Keys put in place: {count}. Mailboxes closed since the backup have none any more. Go on with `caducee fsck --restored`.",
    ),
    "cli.keys_outdated": _s(
        "{path} est plus ancien que la base : des clés créées depuis seraient perdues. Rien n’a été changé.",
        "{path} is older than the database: keys made since would be lost. Nothing was changed.",
        "Prenez l’export le plus récent.",
        "Take the newest export.",
    ),
    "cli.keys_unreadable": _s(
        "{path} n’est pas un export de clés, ou il est abîmé. Rien n’a été changé.",
        "{path} is not an export of keys, or it is damaged. Nothing was changed.",
        "Prenez un fichier écrit par `caducee config export-keys`.",
        "Take a file written by `caducee config export-keys`.",
    ),
    "key.other": _s(
        "cette clé maîtresse n’est pas celle avec laquelle la base a été écrite",
        "this is not the master key the database was written with",
        "Remettez la bonne : une autre ne lit rien, et n’est jamais prise en silence.",
        "Put the right one back: another reads nothing, and is never taken in silence.",
    ),
    "key.not_a_key": _s(
        "{where} ne contient pas une clé maîtresse (32 octets en base64)",
        "{where} does not hold a master key (32 bytes in base64)",
        "Remettez la copie gardée ailleurs.",
        "Put back the copy kept elsewhere.",
    ),
    "key.no_check": _s(
        "la base contient des clés de boîtes mais pas la valeur qui contrôle la clé maîtresse",
        "the database holds mailbox keys but not the value that checks the master key",
        "Restaurez-la d’une sauvegarde.",
        "Restore it from a backup.",
    ),
    "cli.key_refused": _s("Secret refusé : {reason}.", "Secret refused: {reason}."),
    "cli.store_unavailable": _s(
        "La base de données ne répond pas : {reason}.",
        "The database does not answer: {reason}.",
        "caducee doctor examine aussi le reste : place libre, droits, serveur.",
        "caducee doctor examines the rest too: free space, rights, server.",
    ),
    "cli.store_emptied": _s(
        "La base est vide, alors que {anchor} atteste un journal de {records} enregistrements : son disque est-il monté ?",
        "The database is empty, though {anchor} attests a journal of {records} records: is its disk mounted?",
        "Montez-le, ou restaurez la sauvegarde. Pour commencer une base nouvelle, gardez ce fichier ailleurs, comme preuve.",
        "Mount it, or restore the backup. To begin a new database, keep that file elsewhere, as evidence.",
    ),
    "cli.disk_full": _s(
        "La place manque sur le disque de {path} : rien ne peut y être écrit.",
        "The disk of {path} is full: nothing can be written there.",
        "Libérez-y de la place ; un service en marche reprend de lui-même, un service arrêté se relance.",
        "Make room there; a running service goes on by itself, a stopped one is to be started again.",
    ),
    "cli.disk_no_inodes": _s(
        "Le disque de {path} ne peut plus recevoir de fichier : tous ses inodes sont pris.",
        "The disk of {path} can take no further file: all its inodes are in use.",
        "Supprimez-y des fichiers (df -i les compte) ; un service en marche reprend de lui-même.",
        "Delete files there (df -i counts them); a running service goes on by itself.",
    ),
    "cli.disk_read_only": _s(
        "Le disque de {path} est en lecture seule.",
        "The disk of {path} is read-only.",
        "Le système l’a peut-être remonté ainsi après une erreur : lisez dmesg, vérifiez-le, remontez-le en écriture, puis caducee fsck.",
        "The system may have remounted it so after an error: read dmesg, check it, mount it writable, then caducee fsck.",
    ),
    "cli.disk_of_server_full": _s(
        "La place manque sur le disque du serveur PostgreSQL : rien ne peut y être écrit.",
        "The disk of the PostgreSQL server is full: nothing can be written there.",
        "Libérez-y de la place, journaux de transactions (pg_wal) compris, et relancez PostgreSQL s’il s’est arrêté ; le service reprend de lui-même.",
        "Make room there, for its write-ahead log (pg_wal) too, and start PostgreSQL again if it ended; the service goes on by itself.",
    ),
    "cli.store_newer": _s(
        "Une version plus récente a écrit cette base (révision {found}, celle-ci connaît jusqu’à {known}) : rien n’y a été changé.",
        "A newer release wrote this database (revision {found}, this one knows up to {known}): nothing in it was changed.",
        "Lancez cette version, ou restaurez la sauvegarde faite avant la mise à jour.",
        "Run that release, or restore the backup made before the upgrade.",
    ),
    "cli.blobs_unavailable": _s(
        "Le dépôt des grands messages ne répond pas : {reason}.",
        "The store of large messages does not answer: {reason}.",
        "Vérifiez store.blobs et store.s3_endpoint, et les droits du dossier.",
        "Check store.blobs and store.s3_endpoint, and the rights of the folder.",
    ),
    "cli.blobs_unmounted": _s(
        "Le dossier des grands messages, {path}, n’est pas celui que la base connaît : son disque est-il monté ?",
        "The folder of large messages, {path}, is not the one the database knows: is its disk mounted?",
        "Montez-le, puis relancez. Si ce dossier est le bon (remis d’une sauvegarde, disque neuf) : echo {word} > {file}",
        "Mount it, then start again. If this folder is the right one (restored from a backup, a new disk): echo {word} > {file}",
    ),
    "cli.password_set": _s("Mot de passe de {login} enregistré.", "Password of {login} set."),
    "cli.totp_new": _s(
        "Nouveau secret de {login}, montré cette seule fois ; entrez-le dans l’application de codes :",
        "New secret of {login}, shown this once; enter it in the authenticator program:",
    ),
    "cli.invited": _s(
        "Lien pour {login}, montré cette seule fois, qui sert une fois jusqu’au {until} ; remettez-le à cette personne :",
        "Link for {login}, shown this once, serves once until {until}; hand it to this person:",
    ),
    "cli.invited_contact": _s(
        "Lien pour {login}, montré cette seule fois, qui sert une fois jusqu’au {until} ; envoyez-le à {contact} :",
        "Link for {login}, shown this once, serves once until {until}; send it to {contact}:",
    ),
    "cli.right_granted": _s(
        "{login} administre maintenant comptes et boîtes.", "{login} administers accounts and mailboxes from now on."
    ),
    "cli.right_ended": _s(
        "{login} n’administre plus comptes ni boîtes.", "{login} no longer administers accounts and mailboxes."
    ),
    "cli.session_open": _s("Session de {login} ouverte jusqu’à {until}.", "Session of {login} open until {until}."),
    "cli.session_ended": _s("Session fermée.", "Session ended."),
    "cli.login_needed": _s(
        "L’identifiant manque.",
        "The login is missing.",
        "caducee account session LOGIN",
        "caducee account session LOGIN",
    ),
    "cli.answer_missing": _s(
        "Une réponse manque sur l’entrée standard.",
        "An answer is missing on standard input.",
        "Une réponse par ligne.",
        "One answer per line.",
    ),
    "cli.alias_ended": _s(
        "L’adresse {address} ne sert plus, et reste prise.", "The address {address} no longer serves, and stays taken."
    ),
    "cli.device_created": _s(
        "Appareil {number} de {address} ; mot de passe montré cette seule fois :",
        "Device {number} of {address}; password shown this once:",
    ),
    "cli.devices_revoked": _s("Appareils de {login} retirés : {count}.", "Devices of {login} withdrawn: {count}."),
    "cli.device_revoked": _s("Appareil {number} de {address} retiré.", "Device {number} of {address} withdrawn."),
}

MEDICAL: Mapping[str, Sentence] = {name: Sentence(*texts) for name, texts in TEXTS.items()}

WORDS: Mapping[str, Sentence] = {name: Sentence(*texts) for name, texts in {**TRUST, **SANCTION}.items()}

SENTENCES: dict[str, Sentence] = {**CONFIG, **HELP, **CLI, **RECORD, **MEDICAL, **WORDS, **DIRECTORY}


def say(name: str, language: Language, /, **parameters: object) -> str:
    """The sentence called ``name``, filled. Raises :class:`CatalogueError` for an unknown name or parameter."""
    return _fill(name, _of(name).fr if language == "fr" else _of(name).en, parameters)


def remedy(name: str, language: Language, /, **parameters: object) -> str:
    """What to do about it; empty when nothing."""
    return _fill(name, _of(name).remedy_fr if language == "fr" else _of(name).remedy_en, parameters)


def _of(name: str) -> Sentence:
    try:
        return SENTENCES[name]
    except KeyError:
        raise CatalogueError(f"no sentence is called {name}") from None


def _fill(name: str, template: str, parameters: Mapping[str, object]) -> str:
    try:
        return template.format_map({key: str(value) for key, value in parameters.items()})
    except KeyError as missing:
        raise CatalogueError(f"{name}: sentence needs the parameter {missing}") from None
