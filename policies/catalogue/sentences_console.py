"""What an administrator reads on the command line, in French and English: one line per sentence, found by its key.

These are not rules: nothing here decides or reaches a partner. Each entry gives a French and an English text with the same
``{named}`` parameters, and optionally what to do about it.
Promise: :func:`say` fills the sentence or raises :class:`policies.decision.CatalogueError`; parameters hold no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policies.catalogue.sentences_medical import TEXTS
from policies.catalogue.sentences_trust import TRUST
from policies.decision import CatalogueError, Language


@dataclass(frozen=True, slots=True)
class Sentence:
    fr: str
    en: str
    remedy_fr: str = ""
    remedy_en: str = ""


def _s(fr: str, en: str, remedy_fr: str = "", remedy_en: str = "") -> Sentence:
    return Sentence(fr, en, remedy_fr, remedy_en)


CONFIG: Mapping[str, Sentence] = {
    "config.no_such_configuration": _s(
        "ce fichier de configuration n’existe pas",
        "this configuration file does not exist",
        "Indiquez-le par --config ou par la variable CADUCEE_CONFIG.",
        "Name it with --config or with the variable CADUCEE_CONFIG.",
    ),
    "config.denied": _s(
        "vous n’avez pas le droit de lire ce fichier de configuration",
        "you may not read this configuration file",
        "Agissez avec l’utilisateur du service, ou son groupe.",
        "Act as the service’s user, or in its group.",
    ),
    "config.no_file": _s(
        "le fichier de configuration ne peut pas être lu : {reason}",
        "the configuration file cannot be read: {reason}",
        "Indiquez-le par --config ou par la variable CADUCEE_CONFIG.",
        "Name it with --config or with the variable CADUCEE_CONFIG.",
    ),
    "config.too_big": _s(
        "le fichier dépasse {limit}",
        "the file is larger than {limit}",
        "Est-ce bien le bon fichier ?",
        "Is it the right file?",
    ),
    "config.not_toml": _s(
        "ce n’est pas du TOML : {reason}",
        "this is not TOML: {reason}",
        "Corrigez cette ligne ; les textes sont entre guillemets, les listes entre crochets.",
        "Mend this line; texts stand in quotes, lists in brackets.",
    ),
    "config.not_utf8": _s(
        "le fichier n’est pas en UTF-8 (octet {place})",
        "the file is not UTF-8 (byte {place})",
        "Enregistrez-le en UTF-8.",
        "Save it as UTF-8.",
    ),
    "config.unknown_key_near": _s(
        "« {name} » n’existe pas",
        "“{name}” does not exist",
        "Vouliez-vous dire « {near} » ?",
        "Did you mean “{near}”?",
    ),
    "config.unknown_key": _s(
        "« {name} » n’existe pas", "“{name}” does not exist", "Clés possibles : {known}.", "Possible keys: {known}."
    ),
    "config.not_a_table": _s(
        "une section [{name}] est attendue",
        "a section [{name}] is expected",
        "Écrivez [{name}] sur une ligne, puis ses clés.",
        "Write [{name}] on a line of its own, then its keys.",
    ),
    "config.not_tables": _s(
        "des sections [[{name}]] sont attendues",
        "sections [[{name}]] are expected",
        "Écrivez [[{name}]] avant chaque entrée.",
        "Write [[{name}]] before each entry.",
    ),
    "config.required": _s(
        "cette clé est obligatoire",
        "this key is required",
        "Ajoutez-la ; config.toml en donne un exemple.",
        "Add it; config.toml has an example.",
    ),
    "config.not_a_text": _s(
        "un texte est attendu, pas {value}",
        "a text is expected, not {value}",
        "Mettez la valeur entre guillemets.",
        "Put the value in quotes.",
    ),
    "config.control_character": _s(
        "{value} contient un caractère de commande", "{value} holds a control character", "Retirez-le.", "Remove it."
    ),
    "config.not_a_flag": _s(
        "true ou false est attendu, pas {value}",
        "true or false is expected, not {value}",
        "Écrivez true ou false, sans guillemets.",
        "Write true or false, without quotes.",
    ),
    "config.not_a_number": _s(
        "un nombre entier est attendu, pas {value}",
        "a whole number is expected, not {value}",
        "Écrivez-le sans guillemets ni unité.",
        "Write it without quotes or unit.",
    ),
    "config.not_a_ratio": _s(
        "un nombre entre 0 et 1 est attendu, pas {value}",
        "a number between 0 and 1 is expected, not {value}",
        "Par exemple 0.2 pour 20 %.",
        "For example 0.2 for 20 %.",
    ),
    "config.not_a_choice": _s(
        "{value} n’est pas un choix possible",
        "{value} is not a possible choice",
        "Choix : {choices}.",
        "Choices: {choices}.",
    ),
    "config.not_a_size": _s(
        "{value} n’est pas une taille",
        "{value} is not a size",
        'Par exemple "25MiB", "64KiB" ou un nombre d’octets.',
        'For example "25MiB", "64KiB" or a number of bytes.',
    ),
    "config.not_a_duration": _s(
        "{value} n’est pas une durée",
        "{value} is not a duration",
        'Par exemple "300s", "15min", "4h", "5d".',
        'For example "300s", "15min", "4h", "5d".',
    ),
    "config.not_an_address": _s(
        "{value} n’est pas une adresse d’écoute",
        "{value} is not an address to listen on",
        'Par exemple "0.0.0.0:25" ou "[::]:25".',
        'For example "0.0.0.0:25" or "[::]:25".',
    ),
    "config.not_an_ip": _s(
        "{value} n’est pas une adresse IP",
        "{value} is not an IP address",
        'Par exemple "192.0.2.53".',
        'For example "192.0.2.53".',
    ),
    "config.not_a_domain": _s(
        "{value} n’est pas un nom de domaine",
        "{value} is not a domain name",
        'En minuscules, sans joker, accents en xn--… : "hopital.mssante.fr".',
        'Lower case, no wildcard, accents as xn--...: "hopital.mssante.fr".',
    ),
    "config.not_a_list": _s(
        "une liste est attendue, pas {value}",
        "a list is expected, not {value}",
        "Mettez les valeurs entre crochets.",
        "Put the values in brackets.",
    ),
    "config.empty_entry": _s(
        "la liste contient une entrée vide", "the list holds an empty entry", "Retirez-la.", "Remove it."
    ),
    "config.repeated_entry": _s(
        "la liste contient deux fois la même entrée",
        "the list holds the same entry twice",
        "Gardez-en une.",
        "Keep one.",
    ),
    "config.too_small": _s("la valeur est trop petite", "the value is too small", "Au moins {low}.", "At least {low}."),
    "config.too_large": _s("la valeur est trop grande", "the value is too large", "Au plus {high}.", "At most {high}."),
    "config.no_such_file": _s(
        "le fichier {path} n’existe pas",
        "the file {path} does not exist",
        "Les chemins partent du dossier de la configuration. Créez le fichier ou corrigez le chemin.",
        "Paths start from the configuration's folder. Create the file or mend the path.",
    ),
    "config.source_absent": _s(
        "le fichier {path} n’est pas là en ce moment, ou n’est pas lisible",
        "the file {path} is not there now, or not readable",
        "Le service s’en tient à la dernière version qu’il a gardée ; sans elle, les échanges avec les partenaires attendent.",
        "The service holds to the last version it kept; without one, exchanges with partners wait.",
    ),
    "config.file_unreadable": _s(
        "le fichier {path} ne peut pas être lu",
        "the file {path} cannot be read",
        "Donnez le droit de lecture à l’utilisateur du service.",
        "Give the service's user the right to read it.",
    ),
    "config.file_public": _s(
        "le fichier secret {path} est lisible ou modifiable par d’autres (mode {mode})",
        "the secret file {path} can be read or changed by others (mode {mode})",
        "chmod 0600 {path}",
        "chmod 0600 {path}",
    ),
    "config.empty_path": _s("un chemin est attendu", "a path is expected", "Donnez un chemin.", "Give a path."),
    "config.not_https": _s(
        "{value} n’est pas une adresse https",
        "{value} is not an https address",
        "Un fichier local ou une adresse https://… : jamais http, la liste décide de tout.",
        "A local file or an https://... address: never http, the list decides everything.",
    ),
    "config.secret_in_clear": _s(
        "un secret ne s’écrit pas dans ce fichier",
        "a secret is not written in this file",
        'Écrivez-le dans un fichier de mode 0600 et mettez "file:CHEMIN" ici, ou "env:NOM".',
        'Write it to a file of mode 0600 and put "file:PATH" here, or "env:NAME".',
    ),
    "config.not_a_database": _s(
        "ce n’est pas une base de données durable",
        "this is not a durable database",
        '"sqlite:data/caducee.db" ou "postgresql://caducee@localhost:5432/caducee".',
        '"sqlite:data/caducee.db" or "postgresql://caducee@localhost:5432/caducee".',
    ),
    "config.password_in_url": _s(
        "l’adresse de la base contient un mot de passe",
        "the database address holds a password",
        'Retirez-le et donnez store.password = "file:CHEMIN".',
        'Remove it and give store.password = "file:PATH".',
    ),
    "config.not_blobs": _s(
        "{value} n’est ni un dossier ni s3://…",
        "{value} is neither a folder nor s3://...",
        '"data/blobs" ou "s3://bucket/prefixe".',
        '"data/blobs" or "s3://bucket/prefix".',
    ),
    "config.not_severities": _s(
        "{value} n’est pas une gravité par règle",
        "{value} is not a severity by rule",
        'Par exemple HID-041 = "warn" ; gravités : refuse, warn, note.',
        'For example HID-041 = "warn"; severities: refuse, warn, note.',
    ),
    "config.not_sizes": _s(
        "{value} n’est pas une taille par domaine",
        "{value} is not a size by domain",
        'Par exemple {{ "mssante.exemple.fr" = "10MiB" }}.',
        'For example {{ "mssante.exemple.fr" = "10MiB" }}.',
    ),
    # impossible combinations
    "config.budget_too_small": _s(
        "le budget mémoire ne suffit pas à un seul message de {message}",
        "the memory budget does not hold one message of {message}",
        "Augmentez limits.bytes_in_flight ou baissez limits.message_size.",
        "Raise limits.bytes_in_flight or lower limits.message_size.",
    ),
    "config.header_exceeds_message": _s(
        "l’en-tête permis dépasse le message permis",
        "the header allowed exceeds the message allowed",
        "Baissez limits.header_size.",
        "Lower limits.header_size.",
    ),
    "config.append_too_small": _s(
        "un message reçu de {message} ne pourrait pas être recopié par IMAP",
        "a received message of {message} could not be copied by IMAP",
        "limits.append_size doit atteindre limits.message_size.",
        "limits.append_size must reach limits.message_size.",
    ),
    "config.out_of_order": _s(
        "{key} doit être plus grand que {other}",
        "{key} must be larger than {other}",
        "Corrigez l’un des deux.",
        "Mend one of the two.",
    ),
    "config.listen_twice": _s(
        "l’adresse {address} sert déjà à [{other}]",
        "the address {address} already serves [{other}]",
        "Choisissez un autre port.",
        "Choose another port.",
    ),
    "config.own_domain_routed": _s(
        "{domain} est servi ici : il n’a pas de route",
        "{domain} is served here: it has no route",
        "Retirez cette route.",
        "Remove this route.",
    ),
    "config.route_twice": _s(
        "{domain} a déjà une route", "{domain} already has a route", "Gardez-en une.", "Keep one."
    ),
    "config.no_domain": _s(
        "aucun domaine n’est servi", "no domain is served", "Donnez au moins un domaine.", "Give at least one domain."
    ),
    "config.postmaster_outside": _s(
        "{address} n’est pas dans un domaine servi ici",
        "{address} is not in a domain served here",
        "Choisissez une adresse d’un domaine d’operator.domains.",
        "Choose an address of a domain of operator.domains.",
    ),
    "config.test_anchors_in_production": _s(
        "des autorités de test sur un service de production",
        "test authorities on a production service",
        "Retirez trust.test_anchors, ou mettez operator.test_mode = true sur un service d’essai.",
        "Remove trust.test_anchors, or set operator.test_mode = true on a test service.",
    ),
    "config.anchors_in_test": _s(
        "des autorités de production sur un service d’essai",
        "production authorities on a test service",
        "En mode d’essai, seules trust.test_anchors sont permises (MSS-148).",
        "In test mode only trust.test_anchors are allowed (MSS-148).",
    ),
    "config.loopback_in_production": _s(
        "réservé aux services d’essai",
        "for test services only",
        "Retirez cette clé ou mettez operator.test_mode = true.",
        "Remove this key or set operator.test_mode = true.",
    ),
    "config.test_domain_in_production": _s(
        "{domain} est un domaine d’essai (.test) sur un service de production",
        "{domain} is a test domain (.test) on a production service",
        "Mettez operator.test_mode = true, ou votre vrai domaine.",
        "Set operator.test_mode = true, or your real domain.",
    ),
    "config.keys_do_not_pair": _s(
        "{certificates} certificats pour {keys} clés",
        "{certificates} certificates for {keys} keys",
        "Une clé par certificat, dans le même ordre.",
        "One key per certificate, in the same order.",
    ),
    "config.key_of_another": _s(
        "la clé {key} n’est pas celle du certificat {certificate}",
        "the key {key} is not that of the certificate {certificate}",
        "Vérifiez l’ordre des deux listes.",
        "Check the order of both lists.",
    ),
    "config.not_a_certificate": _s(
        "{path} n’est pas un certificat PEM",
        "{path} is not a PEM certificate",
        "Convertissez-le : openssl x509 -inform DER -in … -out …",
        "Convert it: openssl x509 -inform DER -in ... -out ...",
    ),
    "config.not_a_key": _s(
        "{path} n’est pas une clé privée PEM sans mot de passe",
        "{path} is not a PEM private key without password",
        "Convertissez-la : openssl pkey -in … -out …",
        "Convert it: openssl pkey -in ... -out ...",
    ),
    "config.client_pair_incomplete": _s(
        "certificat et clé client vont ensemble",
        "client certificate and key go together",
        "Donnez les deux ou aucun.",
        "Give both or neither.",
    ),
    "config.signers_missing": _s(
        "sans autorité, la liste ne peut pas être vérifiée",
        "without an authority the list cannot be verified",
        "Donnez trust.list_anchors ou trust.anchors.",
        "Give trust.list_anchors or trust.anchors.",
    ),
    "config.suite_unknown": _s(
        "la suite {suite} est inconnue ou trop faible",
        "the suite {suite} is unknown or too weak",
        "Suites possibles : {known}.",
        "Possible suites: {known}.",
    ),
    "config.no_suite": _s(
        "aucune suite TLS 1.2 n’est permise",
        "no TLS 1.2 suite is allowed",
        "Gardez-en au moins une.",
        "Keep at least one.",
    ),
    "config.hash_too_cheap": _s(
        "le hachage des mots de passe est trop faible pour la production",
        "password hashing is too weak for production",
        "Au moins 19MiB et 2 passes.",
        "At least 19MiB and 2 passes.",
    ),
    "config.autologout_too_short": _s(
        "une session IMAP doit pouvoir rester muette 30 minutes",
        "an IMAP session must be allowed 30 minutes of silence",
        "Donnez 30min ou plus (RFC 9051 5.4).",
        "Give 30min or more (RFC 9051 5.4).",
    ),
    "config.token_incomplete": _s(
        "{key} manque pour accepter des jetons",
        "{key} is missing to accept tokens",
        "Donnez {key}, ou videz tokens.issuer.",
        "Give {key}, or empty tokens.issuer.",
    ),
    "config.algorithm_refused": _s(
        "l’algorithme {algorithm} n’est pas permis",
        "the algorithm {algorithm} is not allowed",
        "Permis : {known}.",
        "Allowed: {known}.",
    ),
    "config.s3_incomplete": _s(
        "{key} manque pour utiliser S3", "{key} is missing to use S3", "Donnez store.{key}.", "Give store.{key}."
    ),
    "config.no_role": _s("aucun rôle n’est donné", "no role is given", "Donnez-en au moins un.", "Give at least one."),
    "config.unknown_type": _s(
        "« {name} » n’est pas un type de boîte",
        "“{name}” is not a type of mailbox",
        "Types : PER, ORG, APP, CAB.",
        "Types: PER, ORG, APP, CAB.",
    ),
    "config.unknown_direction": _s(
        "« {name} » n’est pas un sens d’échange",
        "“{name}” is not a way in",
        "Sens : submission (vos utilisateurs), inbound (partenaires).",
        "Ways in: submission (your users), inbound (partners).",
    ),
    "config.bad_bounce": _s(
        "« {line} » n’est pas de la forme cause: mots",
        "“{line}” is not of the form cause: words",
        "Causes : closed, unknown, invalid, too_large.",
        "Causes: closed, unknown, invalid, too_large.",
    ),
    "config.unknown_rule": _s(
        "aucune règle médicale ne s’appelle {name}",
        "no medical rule is called {name}",
        "Elles s’écrivent HID-041 ou MSS-096 ; `caducee hprim check` les cite.",
        "They are written HID-041 or MSS-096; `caducee hprim check` cites them.",
    ),
    "config.fixed_rule": _s(
        "la règle {name} protège d’une erreur de patient : sa gravité ne peut pas être abaissée",
        "rule {name} protects from the wrong patient: its severity cannot be lowered",
        "Retirez cette ligne.",
        "Remove this line.",
    ),
    # what is still missing before serving
    "serve.no_certificate": _s(
        "aucun certificat de serveur",
        "no server certificate",
        "Donnez tls.certificates et tls.keys.",
        "Give tls.certificates and tls.keys.",
    ),
    "serve.no_anchor": _s(
        "aucune autorité de confiance",
        "no trusted authority",
        "Donnez trust.anchors (trust.test_anchors en mode d’essai).",
        "Give trust.anchors (trust.test_anchors in test mode).",
    ),
    "serve.no_list": _s("aucune liste blanche", "no white list", "Donnez trust.list.", "Give trust.list."),
    "serve.no_crl": _s(
        "aucune liste de révocation : chaque partenaire sera « révocation inconnue »",
        "no revocation list: every partner will be “revocation unknown”",
        "Donnez trust.crls ou trust.ocsp = true.",
        "Give trust.crls or trust.ocsp = true.",
    ),
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
    "transfer.unknown_server": _s(
        "le certificat du serveur n’est pas reconnu : {reason}",
        "the server’s certificate is not recognised: {reason}",
        "Donnez l’autorité qui l’a délivré avec --ca, et le nom du serveur tel qu’il est écrit dans son certificat.",
        "Give the authority that issued it with --ca, and the server’s name as its certificate has it.",
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
    "cli.usage_hint": _s("caducee: « {command} -h » montre l’usage.", "caducee: “{command} -h” shows the usage."),
    "cli.given_up": _s("abandonné : rien n’a été fait", "given up: nothing was done"),
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
    "cli.cannot_publish": _s(
        "la liste n’a pas pu être publiée : {path}, {reason}", "the list could not be published: {path}, {reason}"
    ),
    "cli.doctor_trip": _s(
        "un message d’essai demande --login, --to et --password-file, et les portes submissions et imaps ; "
        "--their-imap HÔTE:PORT va avec --their-password-file",
        "a test message needs --login, --to and --password-file, and the doors submissions and imaps; "
        "--their-imap HOST:PORT goes with --their-password-file",
    ),
    "cli.cannot_read": _s("{path} ne peut pas être lu : {reason}", "{path} cannot be read: {reason}"),
    "cli.unknown_role": _s("rôle inconnu : {role}", "unknown role: {role}", "Rôles : {roles}.", "Roles: {roles}."),
    "serve.no_master_key": _s(
        "aucune clé maîtresse",
        "no master key",
        'Créez-la : caducee config master-key data/master.key, puis store.master_key = "file:data/master.key".',
        'Create it: caducee config master-key data/master.key, then store.master_key = "file:data/master.key".',
    ),
}

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
    "cli.help.trust": _s("L’espace de confiance et sa liste blanche.", "The trust space and its white list."),
    "cli.help.doctor": _s("Examiner le service et un partenaire.", "Examine the service and a partner."),
    "cli.help.space": _s("Un espace de confiance complet sur cette machine.", "A whole trust space on this machine."),
    "cli.help.rule": _s("Les règles d’une boîte : transfert, absence.", "Rules of a mailbox: forward, absence."),
    "cli.help.track": _s(
        "Suivre un message, destinataire par destinataire.", "Track a message, recipient by recipient."
    ),
    "cli.help.send": _s("Envoyer un document sans connaître le courrier.", "Send a document without knowing mail."),
    "cli.help.hprim": _s("Vérifier un document médical.", "Check a medical document."),
    "cli.help.journal": _s("Le journal chaîné : lire, vérifier, purger.", "The chained journal: read, verify, prune."),
}

CLI: Mapping[str, Sentence] = {
    "cli.config_valid": _s("{file} : configuration valable.", "{file}: the configuration is valid."),
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
        '{count} clés rescellées. Mettez store.master_key = "file:{path}" avant de redémarrer, gardez une copie de la '
        "nouvelle clé ailleurs, et l’ancienne aussi longtemps que vivent d’anciennes sauvegardes sans `caducee config export-keys`.",
        '{count} keys wrapped anew. Set store.master_key = "file:{path}" before starting again, keep a copy of the new '
        "key elsewhere, and the old one as long as old backups without `caducee config export-keys` live.",
    ),
    "cli.keys_exported": _s(
        "Clés scellées écrites dans {path}. Gardez ce seul fichier, le plus récent, à côté des sauvegardes.",
        "Wrapped keys written to {path}. Keep this one file, the newest, beside the backups.",
    ),
    "cli.keys_imported": _s(
        "{count} clés remises. Les boîtes fermées depuis la sauvegarde n’en ont plus. Continuez par `caducee fsck --restored`.",
        "{count} keys put in place. Mailboxes closed since the backup have none any more. Go on with `caducee fsck --restored`.",
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
    "cli.password_set": _s("Mot de passe de {login} enregistré.", "Password of {login} set."),
    "cli.totp_new": _s(
        "Nouveau secret de {login}, montré cette seule fois ; entrez-le dans l’application de codes :",
        "New secret of {login}, shown this once; enter it in the authenticator program:",
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

WORDS: Mapping[str, Sentence] = {name: Sentence(*texts) for name, texts in TRUST.items()}

SENTENCES: dict[str, Sentence] = {**CONFIG, **HELP, **CLI, **MEDICAL, **WORDS}


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
