"""What ``caducee doctor`` says, in French and English: one sentence per finding, and what to mend.

Promise: :func:`told` fills both texts or raises :class:`policies.decision.CatalogueError`; parameters hold no secret.
"""

from __future__ import annotations

from collections.abc import Mapping

from policies.catalogue.sentence import Sentence
from policies.decision import CatalogueError, Language

_s = Sentence

DOCTOR: Mapping[str, Sentence] = {
    "config.good": _s("configuration valable et complète", "configuration valid and complete"),
    "keys.good": _s(
        "clés privées lisibles par le service seul : {count}", "private keys readable by the service only: {count}"
    ),
    "keys.bad": _s(
        "clé privée refusée : {reason}",
        "private key refused: {reason}",
        "chmod 600 sur ce fichier.",
        "chmod 600 that file.",
    ),
    "keys.folder": _s(
        "le dossier {path} est ouvert à d’autres (mode {mode})",
        "the folder {path} is open to others (mode {mode})",
        "chmod 700 {path}.",
        "chmod 700 {path}.",
    ),
    "store.good": _s("base ouverte, clé maîtresse reconnue", "database open, master key recognised"),
    "store.away": _s(
        "la base ne répond pas : {reason}",
        "the database does not answer: {reason}",
        "Vérifiez store.url, le serveur, les droits du dossier, puis caducee fsck.",
        "Check store.url, the server, the folder’s rights, then caducee fsck.",
    ),
    "store.reads_only": _s(
        "la base se lit, mais rien ne peut y être écrit : tout courrier est différé (451, 452)",
        "the database can be read, but nothing can be written in it: all mail is deferred (451, 452)",
        "Libérez de la place sur son disque (avec PostgreSQL, celui du serveur, pg_wal compris), ou rendez-le inscriptible.",
        "Make room on its disk (with PostgreSQL the server’s, for pg_wal too), or make it writable.",
    ),
    "store.newer": _s(
        "une version plus récente a écrit la base (révision {found}, celle-ci connaît jusqu’à {known})",
        "a newer release wrote the database (revision {found}, this one knows up to {known})",
        "Lancez cette version, ou restaurez la sauvegarde faite avant la mise à jour.",
        "Run that release, or restore the backup made before the upgrade.",
    ),
    "blobs.away": _s(
        "le dossier des grands messages, {path}, ne se lit pas : {reason}",
        "the folder of large messages, {path}, cannot be read: {reason}",
        "Vérifiez ses droits et son disque.",
        "Check its rights and its disk.",
    ),
    "blobs.unmounted": _s(
        "le dossier des grands messages, {path}, n’est pas celui que la base connaît : son disque est-il monté ?",
        "the folder of large messages, {path}, is not the one the database knows: is its disk mounted?",
        "Montez-le. Si ce dossier est le bon (remis d’une sauvegarde, disque neuf) : echo {word} > {file}",
        "Mount it. If this folder is the right one (restored from a backup, a new disk): echo {word} > {file}",
    ),
    "disk.good": _s("place libre pour {path} : {free}", "free space for {path}: {free}"),
    "disk.low": _s(
        "place libre pour {path} : {free} ; le courrier sera différé sous {limit}",
        "free space for {path}: {free}; mail will be deferred below {limit}",
        "Libérez de la place ou agrandissez le disque de {path}.",
        "Free some space or enlarge the disk of {path}.",
    ),
    "disk.full": _s(
        "place libre pour {path} : {free}, moins que {limit} : tout courrier est différé (452)",
        "free space for {path}: {free}, less than {limit}: all mail is deferred (452)",
        "Libérez de la place sur le disque de {path}.",
        "Free some space on the disk of {path}.",
    ),
    "disk.no_inodes": _s(
        "le disque de {path} ne peut plus recevoir de fichier : tous ses inodes sont pris",
        "the disk of {path} can take no further file: all its inodes are in use",
        "Supprimez-y des fichiers (df -i les compte).",
        "Delete files there (df -i counts them).",
    ),
    "disk.read_only": _s(
        "le disque de {path} est en lecture seule : tout courrier est différé",
        "the disk of {path} is read-only: all mail is deferred",
        "Lisez dmesg, vérifiez le disque, remontez-le en écriture, puis caducee fsck.",
        "Read dmesg, check the disk, mount it writable, then caducee fsck.",
    ),
    "journal.good": _s(
        "journal : dernier enregistrement {records}, ancre concordante",
        "journal: last record {records}, anchor agrees",
    ),
    "journal.unanchored": _s(
        "aucune ancre du journal dans {path}",
        "no anchor of the journal in {path}",
        "Le service l’écrit en tournant ; gardez ce fichier hors de la base.",
        "The service writes it while running; keep that file outside the database.",
    ),
    "journal.broken": _s(
        "la tête du journal ne suit pas son ancre (enregistrement {seq})",
        "the head of the journal does not follow its anchor (record {seq})",
        "caducee journal verify dit où ; la base a pu être restaurée ou modifiée.",
        "caducee journal verify says where; the database may have been restored or altered.",
    ),
    "journal.anchor_old": _s(
        "le journal n’a pas été ancré depuis {minutes} min",
        "the journal was not anchored for {minutes} min",
        "Le service tourne-t-il ? journal.anchor est-il inscriptible ?",
        "Is the service running? Can journal.anchor be written?",
    ),
    "queue.good": _s(
        "file d’attente : {count} destinataire(s), le plus ancien depuis {minutes} min",
        "queue: {count} recipient(s), the oldest for {minutes} min",
    ),
    "queue.long": _s(
        "{count} destinataires attendent dans la file",
        "{count} recipients wait in the queue",
        "caducee queue list dit pour qui et pourquoi.",
        "caducee queue list says for whom and why.",
    ),
    "queue.old": _s(
        "un destinataire attend dans la file depuis {minutes} min",
        "a recipient has been waiting in the queue for {minutes} min",
        "caducee queue list dit pour qui et pourquoi.",
        "caducee queue list says for whom and why.",
    ),
    "notices.good": _s(
        "dernière heure : {failed} échec(s) pour {count} destinataire(s) chez les partenaires",
        "last hour: {failed} failure(s) for {count} recipient(s) at partners",
    ),
    "notices.many": _s(
        "dernière heure : {failed} échecs pour {count} destinataires chez les partenaires",
        "last hour: {failed} failures for {count} recipients at partners",
        "caducee queue list, puis caducee doctor --partner DOMAINE.",
        "caducee queue list, then caducee doctor --partner DOMAIN.",
    ),
    "process.good": _s("processus : {names} ; portes : {doors}", "processes: {names}; doors: {doors}"),
    "process.silent": _s(
        "le processus {process} ne dit plus rien depuis {minutes} min",
        "process {process} has told nothing for {minutes} min",
        "systemctl status caducee@… ; s’il n’est plus voulu, supprimez son fichier dans service.data/processes.",
        "systemctl status caducee@…; where it is no longer wanted, remove its file in service.data/processes.",
    ),
    "postmaster.good": _s("{address} est lue par quelqu’un", "somebody reads {address}"),
    "postmaster.missing": _s(
        "personne ne lit {address} (RFC 5321 4.5.1)",
        "nobody reads {address} (RFC 5321 4.5.1)",
        "caducee mailbox alias add BOÎTE {address}, ou ouvrez-lui une boîte.",
        "caducee mailbox alias add MAILBOX {address}, or open a mailbox for it.",
    ),
    "directory.good": _s(
        "liste nationale : {entries} boîtes, faite il y a {hours} h",
        "national list: {entries} mailboxes, made {hours} h ago",
    ),
    "directory.old": _s(
        "liste nationale faite il y a {hours} h, plus que directory.alarm_age",
        "national list made {hours} h ago, more than directory.alarm_age",
        "caducee directory status dit ce qui a manqué ; vérifiez directory.source et le réseau.",
        "caducee directory status tells what failed; check directory.source and the network.",
    ),
    "directory.missing": _s(
        "liste nationale : aucune n’a été reprise encore",
        "national list: none was taken yet",
        "caducee directory status dit ce qui a manqué ; le service la cherche toutes les directory.refresh.",
        "caducee directory status tells what failed; the service looks for it every directory.refresh.",
    ),
    "directory.not_taken": _s(
        "liste nationale : la dernière n’a pas été reprise ({reason})",
        "national list: the last one was not taken ({reason})",
        "caducee directory status dit pourquoi ; celle d’avant reste en vigueur.",
        "caducee directory status tells why; the one before stays in force.",
    ),
    "list.good": _s(
        "liste blanche {version} (domaines : {domains}), confirmée il y a {hours} h",
        "white list {version} (domains: {domains}), confirmed {hours} h ago",
    ),
    "list.old": _s(
        "liste blanche {version} non confirmée depuis {hours} h",
        "white list {version} not confirmed for {hours} h",
        "caducee trust refresh ; vérifiez trust.list et le réseau.",
        "caducee trust refresh; check trust.list and the network.",
    ),
    "list.missing": _s(
        "aucune liste blanche : rien n’entre ni ne sort",
        "no white list: nothing enters or leaves",
        "Donnez trust.list, puis caducee trust refresh.",
        "Give trust.list, then caducee trust refresh.",
    ),
    "list.held": _s(
        "une liste qui rétrécit attend une confirmation (domaines : {domains})",
        "a shrinking list waits for confirmation (domains: {domains})",
        'caducee trust diff "" held la compare à celle en vigueur ; puis caducee trust confirm.',
        'caducee trust diff "" held compares it with the one in force; then caducee trust confirm.',
    ),
    "revocation.good": _s(
        "liste de révocation de {issuer}, valable jusqu’au {until}", "revocation list of {issuer}, valid until {until}"
    ),
    "revocation.expired": _s(
        "liste de révocation de {issuer} expirée le {until}",
        "revocation list of {issuer} expired on {until}",
        "Vérifiez trust.crls et le réseau : sans elle les partenaires sont différés.",
        "Check trust.crls and the network: without it partners are deferred.",
    ),
    "revocation.missing": _s(
        "aucune liste de révocation gardée",
        "no revocation list kept",
        "Donnez trust.crls ou trust.ocsp = true, et laissez le service tourner une fois.",
        "Give trust.crls or trust.ocsp = true, and let the service run once.",
    ),
    "certificate.good": _s("certificat {name} : encore {days} j", "certificate {name}: {days} d left"),
    "certificate.unread": _s(
        "un certificat ne se lit pas : {path}",
        "a certificate cannot be read: {path}",
        "Remettez ce fichier, ou vérifiez ses droits ; le service sert le dernier qu’il a lu.",
        "Put that file back, or check its rights; the service serves the last one it read.",
    ),
    "certificate.soon": _s(
        "certificat {name} : plus que {days} j",
        "certificate {name}: only {days} d left",
        "Renouvelez-le ; le service reprend le nouveau fichier sans s’arrêter.",
        "Renew it; the service takes up the new file without stopping.",
    ),
    "certificate.bad_server": _s(
        "le certificat servi {name} {reason}",
        "the certificate served, {name}, {reason}",
        "Les partenaires le refuseront : obtenez un certificat de l’autorité de l’espace.",
        "Partners will refuse it: get a certificate of the space’s authority.",
    ),
    "certificate.bad_client": _s(
        "le certificat montré aux partenaires {name} {reason}",
        "the certificate shown to partners, {name}, {reason}",
        "Les partenaires le refuseront : obtenez un certificat de l’autorité de l’espace.",
        "Partners will refuse it: get a certificate of the space’s authority.",
    ),
    "scanner.good": _s("l’antivirus répond", "the scanner answers"),
    "scanner.off": _s("aucun antivirus", "no scanner", "Donnez scan.clamd.", "Give scan.clamd."),
    "scanner.away": _s(
        "l’antivirus ne répond pas : tout courrier est différé",
        "the scanner does not answer: all mail is deferred",
        "Démarrez clamd, ou corrigez scan.clamd.",
        "Start clamd, or mend scan.clamd.",
    ),
    "door.good": _s("{door} {host}:{port} : {version}", "{door} {host}:{port}: {version}"),
    "door.away": _s(
        "{door} {host}:{port} ne répond pas : {reason}",
        "{door} {host}:{port} does not answer: {reason}",
        "Le service tourne-t-il ? caducee serve.",
        "Is the service running? caducee serve.",
    ),
    "door.old_certificate": _s(
        "{door} {host}:{port} sert un autre certificat que celui du disque",
        "{door} {host}:{port} serves another certificate than the one on disk",
        "Attendez 15 secondes, ou rechargez par SIGHUP ; le journal dit ce qui est refusé.",
        "Wait 15 seconds, or reload with SIGHUP; the log says what is refused.",
    ),
    # why something did not answer, by the name of the error or of the rule
    "why.relay.dns_failed": _s("le DNS ne répond pas", "the DNS does not answer"),
    "why.relay.domain_missing": _s("le DNS ne connaît pas ce domaine", "the DNS does not know this domain"),
    "why.relay.null_mx": _s("il déclare ne recevoir aucun courrier", "it declares that it receives no mail"),
    "why.relay.loop": _s("son adresse ramène à notre propre service", "its address leads back to our own service"),
    "why.ConnectionRefusedError": _s("rien n’écoute à cette adresse", "nothing listens at this address"),
    "why.TimeoutError": _s("aucune réponse à temps", "no answer in time"),
    "why.gaierror": _s("ce nom n’a pas d’adresse", "this name has no address"),
    "why.SSLError": _s("la connexion chiffrée a échoué", "the encrypted connection failed"),
    "why.SSLCertVerificationError": _s("son certificat n’est pas reconnu", "its certificate is not recognised"),
    "why.SMTPAuthenticationError": _s("identifiant ou mot de passe refusé", "login or password refused"),
    "why.SMTPServerDisconnected": _s("la connexion a été coupée", "the connection was cut"),
    "dns.good": _s("{name} {kind} : {value}", "{name} {kind}: {value}"),
    "dns.other": _s(
        "{name} {kind} : {value}, et non {wanted}",
        "{name} {kind}: {value}, not {wanted}",
        "Corrigez la zone DNS : {record}",
        "Mend the DNS zone: {record}",
    ),
    "dns.none": _s(
        "{name} {kind} : aucune réponse",
        "{name} {kind}: no answer",
        "Ajoutez l’enregistrement : {record}",
        "Add the record: {record}",
    ),
    "dns.away": _s("le DNS ne répond pas ici", "the DNS does not answer here"),
    "partner.listed": _s("{domain} est dans la liste blanche : {names}", "{domain} is in the white list: {names}"),
    "partner.judged": _s("{sentence}", "{sentence}", "{remedy}", "{remedy}"),
    "partner.route": _s("{domain} : {servers}", "{domain}: {servers}"),
    "partner.no_route": _s(
        "aucun serveur trouvé pour {domain} : {reason}",
        "no server found for {domain}: {reason}",
        "Vérifiez les MX du domaine, ou écrivez une section [[routes]].",
        "Check the domain’s MX records, or write a [[routes]] section.",
    ),
    "partner.good": _s(
        "{host} ({address}) : STARTTLS, certificat accepté, encore {days} j",
        "{host} ({address}): STARTTLS, certificate accepted, {days} d left",
    ),
    "trip.good": _s("message d’essai arrivé en {seconds} s", "test message arrived in {seconds} s"),
    "trip.refused": _s(
        "message d’essai refusé : {reason}",
        "test message refused: {reason}",
        "caducee explain avec l’identifiant de cette réponse dit pourquoi.",
        "caducee explain with the identifier of this reply says why.",
    ),
    "trip.away": _s(
        "message d’essai non envoyé : {reason}",
        "test message not sent: {reason}",
        "Vérifiez l’identifiant et le mot de passe d’appareil.",
        "Check the login and the device password.",
    ),
    "trip.late": _s(
        "message d’essai envoyé, rien de revenu en {seconds} s",
        "test message sent, nothing came back in {seconds} s",
        "caducee queue list, puis caducee track.",
        "caducee queue list, then caducee track.",
    ),
}


def told(name: str, language: Language, parameters: Mapping[str, object]) -> tuple[str, str]:
    """The sentence and what to mend, which may be empty."""
    try:
        found = DOCTOR[name]
        chosen = (found.fr, found.remedy_fr) if language == "fr" else (found.en, found.remedy_en)
        words = {key: str(value) for key, value in parameters.items()}
        return chosen[0].format_map(words), chosen[1].format_map(words)
    except KeyError as missing:
        raise CatalogueError(f"{name}: {missing}") from None
