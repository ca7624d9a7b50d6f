"""What physicians and administrators read on the pages of the portal, in French and English: one line per sentence, found by its key.

Rules are said by their own catalogue; these are the words around them. Each entry has the same ``{named}`` parameters in both languages.
Promise: :func:`say` fills the sentence or raises :class:`policies.decision.CatalogueError`; parameters hold no secret.
"""

from __future__ import annotations

from collections.abc import Mapping

from policies.catalogue.sentence import Sentence
from policies.catalogue.sentences_trust import TRUST
from policies.decision import CatalogueError, Language

_s = Sentence

AROUND: Mapping[str, Sentence] = {
    "skip": _s("Aller au contenu", "Skip to the content"),
    "menu": _s("Menu", "Menu"),
    "menu.home": _s("Mes boîtes", "My mailboxes"),
    "menu.devices": _s("Mots de passe d’appareil", "Device passwords"),
    "menu.find": _s("Annuaire", "Directory"),
    "menu.directory": _s("Liste rouge", "Red list"),
    "menu.account": _s("Mon compte", "My account"),
    "menu.admin": _s("Administration", "Administration"),
    "menu.out": _s("Se déconnecter", "Sign out"),
    "language.other": _s("English", "Français"),
    "signed_in_as": _s("Connecté : {name}", "Signed in: {name}"),
    "service": _s("Messagerie sécurisée de santé", "Secure health mail"),
    "yes": _s("oui", "yes"),
    "no": _s("non", "no"),
    "never": _s("jamais", "never"),
    "none": _s("aucun", "none"),
    "save": _s("Enregistrer", "Save"),
    "cancel": _s("Annuler", "Cancel"),
    "continue": _s("Continuer", "Continue"),
    "back": _s("Retour", "Back"),
    "older": _s("Plus anciens", "Older"),
    "since": _s("depuis le {moment}", "since {moment}"),
    "done": _s("C’est fait.", "Done."),
    "refused": _s("Cela n’a pas été fait.", "This was not done."),
    "missing.title": _s("Page introuvable", "No such page"),
    "missing.text": _s(
        "Cette page n’existe pas, ou ne vous est pas ouverte.", "This page does not exist, or is not open to you."
    ),
    "foreign.title": _s("Formulaire périmé", "Form out of date"),
    "foreign.text": _s(
        "Ce formulaire n’a pas été envoyé depuis une page ouverte dans ce navigateur, ou votre session a changé entre-temps. "
        "Rien n’a été fait. Rouvrez la page et recommencez.",
        "This form was not sent from a page open in this browser, or your session changed meanwhile. "
        "Nothing was done. Open the page again and start over.",
    ),
    "away.title": _s("Service momentanément indisponible", "Service unavailable for a moment"),
    "away.text": _s(
        "Rien n’a été perdu. Réessayez dans quelques minutes.", "Nothing was lost. Try again in a few minutes."
    ),
}

ENTERING: Mapping[str, Sentence] = {
    "in.title": _s("Se connecter", "Sign in"),
    "in.login": _s("Identifiant", "Login"),
    "in.login_hint": _s("Comme prenom.nom, sans arobase.", "Such as first.last, without an at sign."),
    "in.password": _s("Mot de passe", "Password"),
    "in.password_hint": _s(
        "Celui que vous avez choisi, pas un mot de passe d’appareil.", "The one you chose, not a device password."
    ),
    "in.code": _s("Code à usage unique", "One-time code"),
    "in.code_hint": _s(
        "Les six chiffres que votre application affiche en ce moment.", "The six digits your program shows right now."
    ),
    "in.code_known": _s(
        "Facultatif sur cet appareil, que vous avez fait mémoriser.",
        "Optional on this device, which you had remembered.",
    ),
    "in.remember": _s("Se souvenir de cet appareil pendant {days} jours", "Remember this device for {days} days"),
    "in.remember_hint": _s(
        "Le code n’y sera plus demandé. Jamais sur un ordinateur que d’autres utilisent.",
        "The code will not be asked for here. Never on a computer that others use.",
    ),
    "in.forgotten": _s(
        "Mot de passe oublié ou téléphone perdu : demandez un nouveau lien à votre administrateur.",
        "Forgotten password or lost phone: ask your administrator for a new link.",
    ),
    "confirm.title": _s("Confirmez que c’est bien vous", "Confirm that it is you"),
    "confirm.text": _s(
        "Avant un acte qui engage vos boîtes, tapez de nouveau votre mot de passe et un code.",
        "Before something that concerns all your mail, type your password and a code again.",
    ),
    "password.again": _s("Le même mot de passe, encore une fois", "The same password once more"),
    "password.differ": _s("Les deux mots de passe ne sont pas les mêmes.", "The two passwords are not the same."),
    "password.rule": _s(
        "12 caractères des quatre sortes, 14 de trois sortes, ou une phrase de sept mots sans lien ; ni nom ni identifiant.",
        "12 characters of all four sorts, 14 of three sorts, or a phrase of seven unrelated words; no name, no login.",
    ),
    "invitation.title": _s("Bienvenue", "Welcome"),
    "invitation.hello": _s(
        "Bonjour {name}. Trois gestes, et votre compte est prêt.",
        "Hello {name}. Three things, and your account is ready.",
    ),
    "invitation.one": _s("Votre identifiant et votre mot de passe", "Your login and your password"),
    "invitation.login_hint": _s("Celui que votre administrateur vous a donné.", "The one your administrator gave you."),
    "invitation.two": _s("Votre application de codes", "Your program for codes"),
    "invitation.scan": _s(
        "Avec une application de codes (FreeOTP, Aegis, 2FAS, Google Authenticator…), photographiez ce carré, ou tapez la clé.",
        "With a program for codes (FreeOTP, Aegis, 2FAS, Google Authenticator…), scan this square, or type the key.",
    ),
    "invitation.key": _s("Clé", "Key"),
    "invitation.three": _s("Le code qu’elle affiche", "The code it shows"),
    "invitation.send": _s("Ouvrir mon compte", "Open my account"),
    "terms.title": _s("Conditions d’utilisation", "Terms of use"),
    "terms.new": _s(
        "Ces conditions, nouvelles pour vous, s’acceptent avant d’aller plus loin.",
        "These terms are new to you, and are accepted before you go on.",
    ),
    "terms.accepted": _s("Vous avez accepté cette version.", "You accepted this version."),
    "terms.yes": _s("J’accepte", "I accept"),
    "terms.no": _s("Je refuse et me déconnecte", "I refuse and sign out"),
    "terms.text": _s("Texte des conditions", "Text of the terms"),
}

HOME: Mapping[str, Sentence] = {
    "home.title": _s("Mes boîtes", "My mailboxes"),
    "home.none": _s(
        "Aucune boîte ne vous est attribuée. Votre administrateur peut en ouvrir une.",
        "You have no mailbox. Your administrator can open one.",
    ),
    "home.new_device": _s("Nouveau mot de passe d’appareil", "New device password"),
    "home.also": _s("Autres adresses : {names}", "Other addresses: {names}"),
    "home.used": _s("{used} occupés sur {quota}", "{used} used of {quota}"),
    "home.full": _s("bientôt pleine : supprimez ou archivez", "nearly full: delete or archive"),
    "home.red": _s("liste rouge", "red list"),
    "home.sent": _s("Envoyés", "Sent"),
    "home.access": _s("Qui a ouvert cette boîte", "Who opened this mailbox"),
    "home.rules": _s("Absence et transfert", "Absence and forwarding"),
    "home.members": _s("Membres", "Members"),
    "type.PER": _s("personnelle", "personal"),
    "type.ORG": _s("d’organisation", "of an organisation"),
    "type.APP": _s("de logiciel", "of software"),
    "type.CAB": _s("de cabinet", "of a practice"),
}

DEVICES: Mapping[str, Sentence] = {
    "devices.title": _s("Mots de passe d’appareil", "Device passwords"),
    "devices.what": _s(
        "Chaque logiciel de courrier a le sien. Un appareil perdu se retire ici, sans rien changer aux autres.",
        "Each mail program has its own. A lost device is withdrawn here, and nothing changes for the others.",
    ),
    "devices.none": _s("Aucun appareil n’a de mot de passe.", "No device has a password."),
    "devices.in_force": _s("En service", "In force"),
    "devices.gone": _s("Retirés", "Withdrawn"),
    "devices.made": _s("Créé le", "Made"),
    "devices.used": _s("Dernier usage", "Last used"),
    "devices.from": _s("depuis {ip}", "from {ip}"),
    "devices.unused": _s("jamais utilisé", "never used"),
    "devices.withdrawn": _s("Retiré le", "Withdrawn"),
    "devices.expires": _s("jusqu’au {moment}", "until {moment}"),
    "devices.withdraw": _s("Retirer", "Withdraw"),
    "devices.withdraw_one": _s("Retirer {name}", "Withdraw {name}"),
    "devices.lost": _s("Appareil perdu ou volé", "Device lost or stolen"),
    "device.title": _s("Nouveau mot de passe d’appareil", "New device password"),
    "device.mailbox": _s("Pour quelle boîte", "For which mailbox"),
    "device.name": _s("Nom de l’appareil", "Name of the device"),
    "device.name_hint": _s(
        "Pour le reconnaître plus tard : « iPhone », « Thunderbird du cabinet ».",
        "To tell it later: “iPhone”, “Thunderbird at the practice”.",
    ),
    "device.make": _s("Créer le mot de passe", "Make the password"),
    "device.no_mailbox": _s(
        "Aucune de vos boîtes ne se lit par un logiciel de courrier.",
        "None of your mailboxes is read by a mail program.",
    ),
    "made.title": _s("Mot de passe de « {name} »", "Password of “{name}”"),
    "made.once": _s(
        "Il est montré cette seule fois. Copiez-le dans l’appareil maintenant ; nul n’aura à le retenir.",
        "It is shown this once. Copy it into the device now; nobody will have to remember it.",
    ),
    "made.secret": _s("Mot de passe d’appareil", "Device password"),
    "made.login": _s("Nom d’utilisateur", "User name"),
    "made.how": _s("Configurer le logiciel", "Set up the program"),
    "made.thunderbird": _s("Thunderbird", "Thunderbird"),
    "made.thunderbird_how": _s(
        "Nouveau compte de courrier : votre nom, l’adresse et le mot de passe ci-dessus, puis Continuer. S’il ne trouve pas les serveurs, "
        "choisissez la configuration manuelle et recopiez le tableau.",
        "New mail account: your name, the address and the password above, then Continue. If it does not find the servers, "
        "choose manual configuration and copy the table.",
    ),
    "made.apple": _s("iPhone, iPad, Mac", "iPhone, iPad, Mac"),
    "made.apple_how": _s(
        "Ouvrez ce portail sur l’appareil, téléchargez le profil, puis Réglages, Profil téléchargé, Installer. L’appareil demande l’adresse "
        "et le mot de passe ci-dessus.",
        "Open this portal on the device, download the profile, then Settings, Profile Downloaded, Install. The device asks for the address "
        "and the password above.",
    ),
    "made.profile": _s("Télécharger le profil", "Download the profile"),
    "made.outlook": _s("Outlook", "Outlook"),
    "made.outlook_how": _s(
        "Fichier, Ajouter un compte, options avancées : configurer manuellement, puis IMAP. Recopiez le tableau ; le même mot de passe sert "
        "à lire et à envoyer.",
        "File, Add Account, advanced options: set up manually, then IMAP. Copy the table; the same password serves for "
        "reading and sending.",
    ),
    "made.table": _s("Serveurs", "Servers"),
    "made.read": _s("Lire (IMAP)", "Read (IMAP)"),
    "made.write": _s("Envoyer (SMTP)", "Send (SMTP)"),
    "made.server": _s("Serveur", "Server"),
    "made.port": _s("Port", "Port"),
    "made.security": _s("Sécurité", "Security"),
    "made.finished": _s("Je l’ai copié", "I copied it"),
    "lost.title": _s("Appareil perdu ou volé", "Device lost or stolen"),
    "lost.text": _s(
        "Tous vos mots de passe d’appareil sont retirés, les navigateurs mémorisés oubliés, vos autres sessions fermées, en quelques secondes. "
        "Les appareils qui vous restent demanderont un nouveau mot de passe.",
        "All your device passwords are withdrawn, remembered browsers forgotten and your other sessions ended, within seconds. "
        "The devices you still have will ask for a new password.",
    ),
    "lost.phone": _s(
        "Si c’est le téléphone qui donne vos codes, demandez aussi un nouveau lien à votre administrateur.",
        "If it is the phone that gives your codes, ask your administrator for a new link as well.",
    ),
    "lost.do": _s("Tout retirer maintenant", "Withdraw all now"),
}

DIRECTORY: Mapping[str, Sentence] = {
    "find.title": _s("Chercher un correspondant", "Find a correspondent"),
    "find.words": _s("Nom, profession, lieu", "Name, profession, place"),
    "find.hint": _s(
        "Quelques mots, même en partie : « martin cardio 75 ». L’annuaire n’autorise rien : la liste blanche décide.",
        "Some words, or parts of them: “martin cardio 75”. The directory authorises nothing: the white list decides.",
    ),
    "find.find": _s("Chercher", "Find"),
    "find.none": _s("Personne ne répond à ces mots.", "Nobody answers to these words."),
    "find.some": _s("{count} trouvé(s).", "{count} found."),
    "find.more": _s(
        "Les {count} premiers ; précisez pour voir les autres.", "The first {count}; say more to see the others."
    ),
    "find.paperless": _s("zéro papier", "no paper"),
    "find.often": _s(
        "Trop de recherches en une minute ; attendez un peu.", "Too many searches in a minute; wait a little."
    ),
    "find.enough": _s(
        "Vous avez vu tout ce qu’une personne peut voir de l’annuaire en une heure.",
        "You have seen all that one person may see of the directory in an hour.",
    ),
    "directory.title": _s("Ce que l’annuaire publie de moi", "What the directory publishes of me"),
    "directory.what": _s(
        "Sauf liste rouge, l’annuaire publie pour chaque adresse vos nom et prénom, l’adresse, votre profession, votre spécialité, votre lieu "
        "d’exercice et votre identifiant professionnel. Les autres professionnels peuvent les lire.",
        "Unless on the red list, the directory publishes for each address your surname and first name, the address, your profession, your "
        "specialty, your place of practice and your professional identifier. The other professionals can read them.",
    ),
    "directory.still": _s(
        "Une adresse en liste rouge envoie et reçoit comme avant ; il faut la connaître pour y écrire.",
        "An address on the red list sends and receives as before; one has to know it to write to it.",
    ),
    "directory.red": _s("Liste rouge : ne pas publier cette adresse", "Red list: do not publish this address"),
    "directory.paperless": _s("Zéro papier", "No paper"),
    "directory.paperless_hint": _s(
        "L’annuaire dit à vos correspondants que vous ne voulez plus sur papier ce que vous recevez ici.",
        "The directory tells those who write to you that you no longer want on paper what you receive here.",
    ),
    "directory.none": _s(
        "Vous n’avez aucune adresse à publier. Celle d’un service se règle par qui l’administre.",
        "You have no address to publish. That of a department is settled by who administers it.",
    ),
}

MAILBOX: Mapping[str, Sentence] = {
    "sent.title": _s("Envoyés", "Sent"),
    "sent.what": _s(
        "Une ligne par document et par destinataire, les plus récentes d’abord. Les contenus sont dans votre logiciel de courrier.",
        "One line per document and recipient, the newest first. Contents are in your mail program.",
    ),
    "sent.none": _s("Rien n’a été envoyé.", "Nothing was sent."),
    "sent.recipient": _s("Destinataire", "Recipient"),
    "sent.channel": _s("Canal", "Channel"),
    "sent.at": _s("Envoyé le", "Sent"),
    "sent.state": _s("État", "State"),
    "sent.reference": _s("Référence", "Reference"),
    "sent.asked": _s("réponse attendue avant le {moment}", "answer awaited until {moment}"),
    "channel.local": _s("MSSanté, même opérateur", "MSSanté, same operator"),
    "channel.mssante": _s("MSSanté", "MSSanté"),
    "state.queued": _s("en file", "queued"),
    "state.delayed": _s("retardé, nouvel essai prévu", "delayed, will be tried again"),
    "state.handed_over": _s("transmis à l’opérateur du destinataire", "handed over to the recipient’s operator"),
    "state.delivered": _s("remis dans la boîte", "delivered to the mailbox"),
    "state.read": _s("lu", "read"),
    "state.refused": _s("refusé par le destinataire", "refused by the recipient"),
    "state.failed": _s("non remis", "not delivered"),
    "state.late": _s("sans réponse dans le délai", "no answer in time"),
    "access.title": _s("Qui a ouvert cette boîte", "Who opened this mailbox"),
    "access.what": _s(
        "Connexions, lectures, changements et refus, les plus récents d’abord, {count} au plus. Tout est dans le journal de l’opérateur.",
        "Logins, reading, changes and refusals, the newest first, {count} at most. Everything is in the operator’s journal.",
    ),
    "access.none": _s("Personne ne l’a ouverte.", "Nobody opened it."),
    "access.at": _s("Quand", "When"),
    "access.who": _s("Qui", "Who"),
    "access.did": _s("Quoi", "What"),
    "access.from": _s("Depuis", "From"),
    "kind.session.login": _s("connexion", "login"),
    "kind.session.login_refused": _s("connexion refusée", "login refused"),
    "kind.mailbox.read": _s("lecture", "reading"),
    "kind.mailbox.changed": _s("changement", "change"),
    "kind.mailbox.erased": _s("effacement", "erasing"),
    "kind.account.mailbox": _s("boîte", "mailbox"),
    "kind.account.member": _s("membre", "member"),
    "kind.account.device": _s("appareil", "device"),
    "kind.account.rule": _s("règle", "rule"),
    "rules.title": _s("Absence et transfert", "Absence and forwarding"),
    "rules.bad_day": _s("Ces jours ne se lisent pas comme des dates.", "These days cannot be read as dates."),
    "rules.absence": _s("Réponse pendant une absence", "Answer during an absence"),
    "rules.absence_what": _s(
        "Qui vous écrit depuis l’espace de confiance reçoit ce texte, une fois par semaine au plus. N’y parlez d’aucun patient.",
        "Whoever writes to you from the trust space gets this text, once a week at most. Speak of no patient in it.",
    ),
    "rules.in_force": _s("Du {first} au {last} :", "From {first} to {last}:"),
    "rules.from": _s("Premier jour", "First day"),
    "rules.until": _s("Dernier jour", "Last day"),
    "rules.text": _s("Texte de la réponse", "Text of the answer"),
    "rules.start": _s("Activer la réponse", "Switch the answer on"),
    "rules.stop": _s("Arrêter", "Stop"),
    "rules.forward": _s("Transfert", "Forwarding"),
    "rules.forward_what": _s(
        "Seulement vers une adresse de l’espace de confiance. L’adresse est jugée maintenant, et de nouveau à chaque message.",
        "Only to an address of the trust space. The address is judged now, and again with each message.",
    ),
    "rules.to": _s("Vers {address}", "To {address}"),
    "rules.kept": _s("une copie reste ici", "a copy stays here"),
    "rules.not_kept": _s("sans copie ici", "without a copy here"),
    "rules.target": _s("Transférer vers", "Forward to"),
    "rules.keep": _s("Garder une copie dans cette boîte", "Keep a copy in this mailbox"),
    "rules.add": _s("Transférer", "Forward"),
    "rules.stop_one": _s("Arrêter le transfert vers {address}", "Stop forwarding to {address}"),
    "members.title": _s("Membres", "Members"),
    "members.what": _s(
        "Chaque membre a ses propres mots de passe d’appareil, et le journal dit qui a fait quoi.",
        "Each member has device passwords of their own, and the journal says who did what.",
    ),
    "members.none": _s("Personne d’autre n’ouvre cette boîte.", "Nobody else opens this mailbox."),
    "members.nobody": _s("Aucun compte actif ne porte cet identifiant.", "No active account has this login."),
    "members.add": _s("Admettre quelqu’un, ou changer ses droits", "Admit somebody, or change their rights"),
    "members.rights": _s("Droits", "Rights"),
    "members.admit": _s("Admettre", "Admit"),
    "members.dismiss": _s("Renvoyer", "Dismiss"),
    "members.dismiss_one": _s("Renvoyer {login}", "Dismiss {login}"),
    "members.consent": _s(
        "Cette boîte est personnelle : en admettant quelqu’un, vous acceptez qu’il l’ouvre.",
        "This mailbox is personal: by admitting somebody you agree that they open it.",
    ),
    "right.read": _s("lire", "read"),
    "right.write": _s("classer et effacer", "file and delete"),
    "right.send_as": _s("envoyer au nom de la boîte", "send in the mailbox’s name"),
    "right.admin": _s("administrer la boîte", "administer the mailbox"),
}

ACCOUNT: Mapping[str, Sentence] = {
    "account.title": _s("Mon compte", "My account"),
    "account.login": _s("Identifiant", "Login"),
    "account.name": _s("Nom", "Name"),
    "account.identity": _s("Identifiant national", "National identifier"),
    "account.contact": _s("Adresse de contact", "Contact address"),
    "account.contact_verified": _s("vérifiée le {moment}", "verified on {moment}"),
    "account.contact_none": _s("aucune", "none"),
    "account.contact_unverified": _s("non vérifiée", "not verified"),
    "account.last_login": _s("Dernière connexion", "Last login"),
    "account.correct": _s(
        "Une erreur ? Votre administrateur la corrige.", "Something wrong? Your administrator corrects it."
    ),
    "account.security": _s("Sécurité", "Security"),
    "account.change_password": _s("Changer de mot de passe", "Change the password"),
    "account.browsers": _s("Navigateurs mémorisés", "Remembered browsers"),
    "account.browsers_none": _s("Aucun : chaque connexion demande un code.", "None: each login asks for a code."),
    "account.browser": _s("mémorisé le {made}, jusqu’au {until}", "remembered on {made}, until {until}"),
    "account.browser_used": _s("servi le {moment} depuis {ip}", "used on {moment} from {ip}"),
    "account.forget": _s(
        "Oublier ces navigateurs et fermer mes autres sessions", "Forget these browsers and end my other sessions"
    ),
    "account.rights": _s("Mes droits", "My rights"),
    "account.terms": _s("Conditions d’utilisation", "Terms of use"),
    "account.terms_yes": _s("version {version}… acceptée le {moment}", "version {version}… accepted on {moment}"),
    "account.terms_no": _s("version {version}… refusée le {moment}", "version {version}… refused on {moment}"),
    "account.take": _s("Emporter mes données", "Take my data along"),
    "account.close": _s("Fermer mon compte", "Close my account"),
    "password.title": _s("Changer de mot de passe", "Change the password"),
    "password.new": _s("Nouveau mot de passe", "New password"),
    "password.ends": _s(
        "Toutes vos sessions se ferment, et les navigateurs mémorisés sont oubliés. Les mots de passe d’appareil restent.",
        "All your sessions end, and remembered browsers are forgotten. Device passwords stay.",
    ),
    "account.change_code": _s("Changer de téléphone pour les codes", "Change the phone for codes"),
    "code.title": _s("Changer de téléphone pour les codes", "Change the phone for codes"),
    "code.what": _s(
        "L’ancien téléphone sert jusqu’à ce que le nouveau ait donné un code juste. Toutes vos sessions se ferment alors.",
        "The old phone serves until the new one has given a right code. All your sessions end then.",
    ),
    "code.offer": _s("Montrer la clé du nouveau téléphone", "Show the key for the new phone"),
    "code.take": _s("Prendre ce téléphone", "Take this phone"),
    "data.title": _s("Emporter mes données", "Take my data along"),
    "data.what": _s(
        "Un fichier JSON : votre compte, vos boîtes, appareils, règles, envois, le journal de vos boîtes et vos acceptations. Les messages "
        "se copient par votre logiciel de courrier (IMAP).",
        "One JSON file: your account, mailboxes, devices, rules, what you sent, the journal of your mailboxes and your acceptances. Messages "
        "are copied with your mail program (IMAP).",
    ),
    "data.take": _s("Télécharger le fichier", "Download the file"),
    "close.title": _s("Fermer mon compte", "Close my account"),
    "close.what": _s(
        "Tout accès cesse à l’instant, pour toujours : sessions, appareils, boîtes partagées. Emportez d’abord ce que vous voulez garder.",
        "All access ends at once, for ever: sessions, devices, shared mailboxes. Take along first what you want to keep.",
    ),
    "close.mailboxes": _s(
        "Ces boîtes sont fermées ; qui y écrit l’apprend aussitôt, et l’adresse ne sera donnée à personne d’autre :",
        "These mailboxes are closed; whoever writes there is told at once, and the address will be given to nobody else:",
    ),
    "close.login": _s("Pour confirmer, tapez votre identifiant ({login})", "To confirm, type your login ({login})"),
    "close.differ": _s("Ce n’est pas votre identifiant.", "That is not your login."),
    "close.do": _s("Fermer pour toujours", "Close for ever"),
}

ADMIN: Mapping[str, Sentence] = {
    "admin.title": _s("Administration", "Administration"),
    "admin.accounts": _s("Comptes", "Accounts"),
    "admin.mailboxes": _s("Boîtes", "Mailboxes"),
    "admin.queue": _s("File de départ", "Outgoing queue"),
    "admin.waiting": _s("{count} en attente de départ", "{count} waiting to leave"),
    "admin.blind": _s(
        "Rien du contenu des boîtes ne se voit d’ici. Chaque acte est consigné à votre nom.",
        "Nothing of what is in a mailbox is seen from here. Each act is recorded in your name.",
    ),
    "admin.search_account": _s("Identifiant ou nom, le début suffit", "Login or surname, the beginning is enough"),
    "admin.search_mailbox": _s("Adresse, le début suffit", "Address, the beginning is enough"),
    "admin.search": _s("Chercher", "Search"),
    "admin.more": _s("Il y en a d’autres : précisez la recherche.", "There are more: narrow the search."),
    "admin.nobody": _s("Aucun résultat.", "Nothing found."),
    "admin.state": _s("État", "State"),
    "admin.last": _s("Dernière connexion", "Last login"),
    "admin.type": _s("Type", "Type"),
    "admin.address": _s("Adresse", "Address"),
    "admin.reason": _s("Raison, gardée comme preuve", "Reason, kept as evidence"),
    "admin.change": _s("Changer l’état", "Change the state"),
    "admin.has_password": _s("Mot de passe choisi", "Password chosen"),
    "admin.has_code": _s("Codes à usage unique", "One-time codes"),
    "admin.administrator": _s("Administre", "Administers"),
    "admin.devices": _s("Appareils en service", "Devices in force"),
    "admin.owner": _s("Titulaire", "Owner"),
    "admin.members": _s("Membres", "Members"),
    "admin.red": _s("Liste rouge", "Red list"),
    "admin.used": _s("Occupé", "Used"),
    "admin.also": _s("Autres adresses", "Other addresses"),
    "admin.structure": _s("Structure", "Structure"),
    "admin.step.activate": _s("Activer", "Activate"),
    "admin.step.suspend": _s("Suspendre", "Suspend"),
    "admin.step.resume": _s("Rétablir", "Resume"),
    "admin.invite": _s("Inviter", "Invite"),
    "admin.invite_what": _s(
        "Un lien, une fois, pendant {days} jours : la personne choisit un mot de passe et prend des codes. Il remplace les précédents.",
        "One link, once, for {days} days: the person chooses a password and takes up codes. It replaces earlier ones.",
    ),
    "admin.invite_contact": _s(
        "Je l’envoie à {contact}, et cela vérifie l’adresse", "I send it to {contact}, which verifies the address"
    ),
    "admin.invite_do": _s("Créer le lien", "Make the link"),
    "admin.link": _s(
        "Lien à remettre à la personne, montré cette seule fois", "Link to hand to the person, shown this once"
    ),
    "admin.unlock": _s("Déverrouiller", "Unlock"),
    "admin.unlock_what": _s(
        "Après trop d’échecs, une personne attend un quart d’heure. Ceci oublie ses échecs.",
        "After too many failures a person waits for a quarter of an hour. This forgets the failures.",
    ),
    "admin.lost": _s("Appareil perdu", "Device lost"),
    "admin.lost_what": _s(
        "Retire tous les mots de passe d’appareil de la personne, ses sessions et ses navigateurs mémorisés.",
        "Withdraws all device passwords of the person, the sessions and the remembered browsers.",
    ),
    "admin.open_account": _s("Ouvrir un compte", "Open an account"),
    "admin.open_mailbox": _s("Ouvrir une boîte", "Open a mailbox"),
    "open.given": _s("Prénom", "First name"),
    "open.family": _s("Nom", "Surname"),
    "open.title": _s("Titre, comme Dr", "Title, such as Dr"),
    "open.identity_hint": _s(
        "8 suivi du RPPS, ou 0 suivi de l’ADELI.", "8 followed by the RPPS number, or 0 followed by ADELI."
    ),
    "open.contact_hint": _s(
        "Hors de la messagerie sécurisée ; jamais pour du contenu.", "Outside the secure service; never for content."
    ),
    "open.verified": _s("Comment l’identité a été vérifiée", "How the identity was checked"),
    "open.verified_hint": _s("Vide : le compte attend cette vérification.", "Empty: the account waits for that check."),
    "open.local": _s("Adresse, avant l’arobase", "Address, before the at sign"),
    "open.local_hint": _s(
        "Elle ne changera plus, et n’ira jamais à quelqu’un d’autre.", "It will never change, nor go to anybody else."
    ),
    "open.domain": _s("Domaine", "Domain"),
    "open.owner_hint": _s(
        "Identifiant du professionnel, pour PER et CAB.", "Login of the professional, for PER and CAB."
    ),
    "open.structure_hint": _s(
        "1 suivi du FINESS ou 3 suivi du SIRET, pour ORG et APP.",
        "1 followed by FINESS or 3 followed by SIRET, for ORG and APP.",
    ),
    "open.description": _s("Description publiée", "Description, published"),
    "open.description_hint": _s("Pour ORG, CAB et APP.", "For ORG, CAB and APP."),
    "open.service": _s("Service de rattachement", "Department it belongs to"),
    "open.service_hint": _s("Pour ORG et APP.", "For ORG and APP."),
    "queue.none": _s("Rien n’attend.", "Nothing waits."),
    "queue.domain": _s("Destination", "Destination"),
    "queue.rows": _s("En attente", "Waiting"),
    "queue.held": _s("Retenus", "Held"),
    "queue.oldest": _s("Le plus ancien", "Oldest"),
    "queue.next": _s("Prochain essai", "Next try"),
    "queue.why": _s("Raison", "Reason"),
}

DONE: Mapping[str, Sentence] = {
    "done.signed_out": _s("Vous êtes déconnecté.", "You are signed out."),
    "done.invited": _s(
        "Votre compte est prêt. Connectez-vous avec le prochain code que l’application affichera.",
        "Your account is ready. Sign in with the next code the program shows.",
    ),
    "done.invited_pending": _s(
        "Votre mot de passe et vos codes sont prêts. Votre administrateur doit encore activer le compte ; ensuite vous pourrez vous connecter.",
        "Your password and codes are ready. Your administrator still has to activate the account; then you can sign in.",
    ),
    "done.terms": _s("Votre acceptation est enregistrée.", "Your acceptance is kept."),
    "done.device_withdrawn": _s(
        "L’appareil est retiré : il ne lit ni n’envoie plus rien.",
        "The device is withdrawn: it reads and sends nothing any more.",
    ),
    "done.all_withdrawn": _s("Tout est retiré.", "All is withdrawn."),
    "done.directory": _s("Votre choix est en vigueur.", "Your choice is in force."),
    "done.absence": _s("La réponse est activée.", "The answer is switched on."),
    "done.forward": _s("Le transfert est en vigueur.", "The forwarding is in force."),
    "done.rule_removed": _s("La règle a pris fin.", "The rule ended."),
    "done.member_admitted": _s("La personne est membre de la boîte.", "The person is a member of the mailbox."),
    "done.member_dismissed": _s("La personne n’ouvre plus cette boîte.", "The person no longer opens this mailbox."),
    "done.browsers": _s("Oubliés. Vos autres sessions sont fermées.", "Forgotten. Your other sessions are ended."),
    "done.password": _s(
        "Votre mot de passe est changé. Connectez-vous de nouveau.", "Your password is changed. Sign in again."
    ),
    "done.code": _s(
        "Le nouveau téléphone donne vos codes. Connectez-vous avec le prochain.",
        "The new phone gives your codes. Sign in with the next one.",
    ),
    "done.closed": _s("Votre compte est fermé.", "Your account is closed."),
    "done.admin": _s("C’est fait, et consigné.", "Done, and recorded."),
}

STATES: Mapping[str, Sentence] = {
    name: Sentence(*texts) for name, texts in TRUST.items() if name.startswith(("account.", "mailbox."))
}

SENTENCES: dict[str, Sentence] = {
    **STATES,
    **AROUND,
    **ENTERING,
    **HOME,
    **DEVICES,
    **DIRECTORY,
    **MAILBOX,
    **ACCOUNT,
    **ADMIN,
    **DONE,
}


def say(name: str, language: Language, /, **parameters: object) -> str:
    """The sentence called ``name``, filled. Raises :class:`CatalogueError` for an unknown name or parameter."""
    try:
        found = SENTENCES[name]
    except KeyError:
        raise CatalogueError(f"no sentence is called {name}") from None
    template = found.fr if language == "fr" else found.en
    try:
        return template.format_map({key: str(value) for key, value in parameters.items()})
    except KeyError as missing:
        raise CatalogueError(f"{name}: sentence needs the parameter {missing}") from None
