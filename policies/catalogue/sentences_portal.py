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
    "menu.directory": _s("Annuaire", "Directory"),
    "menu.account": _s("Mon compte", "My account"),
    "menu.admin": _s("Administration", "Administration"),
    "menu.out": _s("Se déconnecter", "Sign out"),
    "language.name": _s("Français", "English"),
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
    "devices.name": _s("Appareil", "Device"),
    "devices.mailbox": _s("Boîte", "Mailbox"),
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
    "made.title": _s("Mot de passe de « {name} »", "Password of “{name}”"),
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

DONE: Mapping[str, Sentence] = {
    "done.signed_out": _s("Vous êtes déconnecté.", "You are signed out."),
    "done.invited": _s(
        "Votre compte est prêt. Connectez-vous avec le prochain code que l’application affichera.",
        "Your account is ready. Sign in with the next code the program shows.",
    ),
    "done.terms": _s("Votre acceptation est enregistrée.", "Your acceptance is kept."),
    "done.device_withdrawn": _s(
        "L’appareil est retiré : il ne lit ni n’envoie plus rien.",
        "The device is withdrawn: it reads and sends nothing any more.",
    ),
    "done.all_withdrawn": _s("Tout est retiré.", "All is withdrawn."),
}

STATES: Mapping[str, Sentence] = {
    name: Sentence(*texts) for name, texts in TRUST.items() if name.startswith(("account.", "mailbox."))
}

SENTENCES: dict[str, Sentence] = {**STATES, **AROUND, **ENTERING, **HOME, **DEVICES, **DONE}


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
