"""What is wrong with a configuration, or missing in it to serve, in French and English: a sentence per fault, and its remedy.

Keys are ``config.<fault>`` and ``serve.<what is missing>``, as :class:`gateway.config.Fault` names them.
"""

from __future__ import annotations

from collections.abc import Mapping

from policies.catalogue.sentence import Sentence

_s = Sentence

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
    "config.http_url": _s(
        "{address} n’est pas une adresse où des navigateurs trouvent la porte HTTPS",
        "{address} is not an address where browsers find the HTTPS door",
        "Écrivez-la comme https://mss.example.fr, sans rien derrière.",
        "Write it like https://mss.example.fr, with nothing behind.",
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
        "certificats : {certificates}, clés : {keys}",
        "certificates: {certificates}, keys: {keys}",
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
    "config.not_a_key_set": _s(
        "{path} ne contient aucune clé publique utilisable",
        "{path} holds no public key that can be used",
        "Reprenez le jeu de clés (JWKS) que l’émetteur des jetons publie.",
        "Fetch the key set (JWKS) that the issuer of the tokens publishes.",
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
    "config.bad_ldap_base": _s(
        "« {base} » n’est pas un nom LDAP",
        "“{base}” is not an LDAP name",
        "Par exemple : ou=bal,o=mssante,c=fr.",
        "For example: ou=bal,o=mssante,c=fr.",
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
    "serve.no_master_key": _s(
        "aucune clé maîtresse",
        "no master key",
        'Créez-la : caducee config master-key data/master.key, puis store.master_key = "file:data/master.key".',
        'Create it: caducee config master-key data/master.key, then store.master_key = "file:data/master.key".',
    ),
}
