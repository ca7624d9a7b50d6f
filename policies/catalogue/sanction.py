"""Rules about penalties and suspensions: what the doors answer, what administrators are told, and the paragraphs of notices.

Parameters: ``address`` whose sending it is about, ``amount`` charged, ``due`` still to be paid and ``further`` amounts of a repeat in
euros, ``before`` an amount that changed, ``refund`` to be given back, ``number`` and ``state`` of a case, ``act`` that is impossible, ``step`` of the ladder, ``date`` and
``recipients`` of the message, ``reference`` of it, ``ground`` and ``reason`` in an administrator's words, ``way`` to put it right, ``until`` when,
``contest`` where one writes, ``charter`` where it is, ``payment`` how one pays, ``operator`` that speaks.
"""

from __future__ import annotations

from policies.decision import Rule, Verdict


def _no(name: str, fr: str, en: str, remedy_fr: str, remedy_en: str, *sources: str) -> Rule:
    return Rule(f"sanction.{name}", Verdict.REFUSE, 550, "5.7.1", fr, en, sources, remedy_fr, remedy_en)


def _note(name: str, fr: str, en: str, *sources: str) -> Rule:
    return Rule(f"sanction.{name}", Verdict.NOTE, 250, "2.0.0", fr, en, sources)


RULES: tuple[Rule, ...] = (
    # the doors
    _no(
        "unpaid",
        "Votre boîte {address} ne peut plus envoyer tant que {due} de pénalités pour envois non sollicités ne sont pas réglés.",
        "Your mailbox {address} cannot send until {due} of penalties for unsolicited mail are paid.",
        "Elle reçoit et se lit. Réglez la somme, ou contestez : écrire à {contest} reste possible.",
        "It receives and can be read. Pay the amount, or contest it: writing to {contest} stays possible.",
        "TOU-B08",
        "TOU-A06",
    ),
    _no(
        "suspended",
        "Les envois de votre boîte {address} sont suspendus. Motif : {ground}.",
        "Sending from your mailbox {address} is suspended. Ground: {ground}.",
        "Elle reçoit et se lit. Pour demander la levée, écrivez à {contest}, ce qui reste possible.",
        "It receives and can be read. To ask for the end of it, write to {contest}, which stays possible.",
        "TOU-F03",
        "TOU-C08",
    ),
    _no(
        "partner_blocked",
        "{address} ne peut pas écrire à cet opérateur jusqu’au {until}, à cause d’envois non sollicités.",
        "{address} cannot write to this operator until {until}, because of unsolicited mail.",
        "Pour contester, écrivez à {contest}, ce qui reste possible.",
        "To contest it, write to {contest}, which stays possible.",
        "TOU-A06",
        "TOU-B05",
    ),
    # the administrator's commands
    Rule(
        "sanction.acceptable",
        Verdict.ACCEPT,
        250,
        "2.0.0",
        "L’acte est possible.",
        "The act is possible.",
        ("TOU-B10",),
    ),
    _no(
        "not_found",
        "Aucun dossier ne porte le numéro {number}.",
        "No case has the number {number}.",
        "caducee sanction list montre les dossiers.",
        "caducee sanction list shows the cases.",
        "TOU-B10",
    ),
    _no(
        "impossible",
        "Le dossier {number} est « {state} » : « {act} » n’est plus possible.",
        "Case {number} is “{state}”: “{act}” is no longer possible.",
        "caducee sanction show montre ce qui fut fait, et quand.",
        "caducee sanction show shows what was done, and when.",
        "TOU-B10",
    ),
    _no(
        "already_judged",
        "Ce message a déjà le dossier {number} : {state}.",
        "This message has case {number} already: {state}.",
        "caducee sanction show le montre.",
        "caducee sanction show shows it.",
        "TOU-B05",
    ),
    _no(
        "message_unknown",
        "Le journal ne connaît aucun message {reference} envoyé par {address}.",
        "The journal knows no message {reference} sent by {address}.",
        "Donnez l’identifiant d’un message accepté, ou --recipients sans --message.",
        "Give the identifier of a message that was accepted, or --recipients without --message.",
        "TOU-B05",
    ),
    _no(
        "not_received",
        "{address} n’a reçu ici aucun message {reference}.",
        "{address} received no message {reference} here.",
        "On ne signale qu’un message que l’on a reçu : donnez celui-ci, entier ou par son identifiant.",
        "One reports a message one has received: give that one, whole or by its identifier.",
        "TOU-B05",
    ),
    _no(
        "own_message",
        "{address} est l’expéditeur de ce message.",
        "{address} is the sender of this message.",
        "On ne signale que ce que l’on a reçu d’un autre.",
        "One reports what one received from another.",
        "TOU-B05",
    ),
    _no(
        "already_suspended",
        "Les envois de {address} sont déjà suspendus.",
        "Sending from {address} is suspended already.",
        "caducee sanction lift y met fin.",
        "caducee sanction lift ends it.",
        "TOU-F03",
    ),
    _no(
        "delay_runs",
        "{address} est averti et a jusqu’au {until} pour répondre ou remédier.",
        "{address} was told and has until {until} to answer or put it right.",
        "Suspendez ensuite si le manquement persiste ; ou tout de suite avec --immediate, et le motif.",
        "Suspend afterwards if the breach persists; or at once with --immediate, and the ground.",
        "TOU-F03",
    ),
    _no(
        "not_suspended",
        "Les envois de {address} ne sont ni suspendus ni menacés de l’être.",
        "Sending from {address} is neither suspended nor about to be.",
        "caducee sanction list montre les suspensions.",
        "caducee sanction list shows the suspensions.",
        "TOU-F03",
    ),
    _no(
        "unpaid_remains",
        "{address} doit encore {due} : le paiement lève cette suspension.",
        "{address} still owes {due}: paying lifts this suspension.",
        "Enregistrez le paiement (paid), ou annulez ou ajustez le dossier.",
        "Record the payment (paid), or cancel or adjust the case.",
        "TOU-B08",
    ),
    _no(
        "structure_empty",
        "Aucune boîte active n’est attribuée à la structure {reference}.",
        "No active mailbox belongs to the structure {reference}.",
        "caducee mailbox show dit la structure d’une boîte.",
        "caducee mailbox show tells the structure of a mailbox.",
        "TOU-F04",
    ),
    # notices: what happened
    _note(
        "letter_warned",
        "Un message parti de {address} le {date} vers {recipients} destinataire(s) (référence {reference}) ne concernait pas "
        "directement les soins d’un patient : c’est un envoi non sollicité, le premier retenu contre cette boîte. "
        "Aucune somme n’est demandée. Dossier {number}.",
        "A message sent from {address} on {date} to {recipients} recipient(s) (reference {reference}) did not directly concern the "
        "care of a patient: it is unsolicited mail, the first held against this mailbox. Nothing is charged. Case {number}.",
        "TOU-B05",
        "TOU-B06",
    ),
    _note(
        "letter_charged",
        "Un message parti de {address} le {date} vers {recipients} destinataire(s) (référence {reference}) est un deuxième envoi "
        "non sollicité. Une pénalité de {amount} toutes taxes comprises est due. Dossier {number}.",
        "A message sent from {address} on {date} to {recipients} recipient(s) (reference {reference}) is a second piece of "
        "unsolicited mail. A penalty of {amount}, all taxes included, is due. Case {number}.",
        "TOU-B07",
        "TOU-B09",
    ),
    _note(
        "letter_suspended",
        "Un message parti de {address} le {date} vers {recipients} destinataire(s) (référence {reference}) est un nouvel envoi non "
        "sollicité. Une pénalité de {amount} toutes taxes comprises est due. Jusqu’au paiement de {due} la boîte ne peut plus "
        "envoyer ; elle reçoit et se lit. Dossier {number}.",
        "A message sent from {address} on {date} to {recipients} recipient(s) (reference {reference}) is again unsolicited mail. A "
        "penalty of {amount}, all taxes included, is due. Until {due} are paid the mailbox cannot send; it receives and can be "
        "read. Case {number}.",
        "TOU-B08",
        "TOU-B09",
    ),
    _note(
        "letter_adjusted",
        "La pénalité du dossier {number} passe de {before} à {amount}. Motif : {reason}.",
        "The penalty of case {number} changes from {before} to {amount}. Reason: {reason}.",
        "TOU-B10",
    ),
    _note(
        "letter_cancelled",
        "Le dossier {number} est annulé et ne compte plus. Motif : {reason}.",
        "Case {number} is cancelled and no longer counts. Reason: {reason}.",
        "TOU-B10",
    ),
    _note(
        "letter_lowered",
        "Un dossier antérieur ayant été annulé, le dossier {number} descend à l’étape {step} et sa pénalité passe de {before} à "
        "{amount}.",
        "As an earlier case was cancelled, case {number} goes down to step {step} and its penalty changes from {before} to {amount}.",
        "TOU-B10",
    ),
    _note(
        "letter_paid",
        "La pénalité du dossier {number}, {amount}, est payée. Référence : {reason}.",
        "The penalty of case {number}, {amount}, is paid. Reference: {reason}.",
        "TOU-B08",
    ),
    _note(
        "letter_announced",
        "Manquement relevé pour la boîte {address} : {ground}. Pour y remédier : {way}. Vous avez jusqu’au {until} pour répondre ou "
        "remédier ; si le manquement persiste alors, vos envois pourront être suspendus.",
        "A breach was found for the mailbox {address}: {ground}. To put it right: {way}. You have until {until} to answer or to put it "
        "right; if it persists then, your sending may be suspended.",
        "TOU-F03",
    ),
    _note(
        "letter_immediate",
        "Les envois de la boîte {address} sont suspendus dès maintenant. Motif : {ground}. Elle reçoit et se lit. Vous avez jusqu’au "
        "{until} pour en demander la levée.",
        "Sending from the mailbox {address} is suspended from now on. Ground: {ground}. It receives and can be read. You have until "
        "{until} to ask for the end of it.",
        "TOU-F03",
        "TOU-C08",
    ),
    _note(
        "letter_persists",
        "Le manquement annoncé pour la boîte {address} persiste : {ground}. Ses envois sont suspendus ; elle reçoit et se lit.",
        "The breach told of the mailbox {address} persists: {ground}. Its sending is suspended; it receives and can be read.",
        "TOU-F03",
    ),
    _note(
        "letter_lifted",
        "La boîte {address} peut envoyer : la suspension est levée, ou ne sera pas prononcée. Motif : {reason}.",
        "The mailbox {address} can send: the suspension is lifted, or will not come. Reason: {reason}.",
        "TOU-F03",
        "TOU-B08",
    ),
    # notices: to the operator's own people, and to a partner's
    _note(
        "letter_opened",
        "Les envois de {address} dépassent le seuil de refus ({recipients} destinataires atteints en une heure). Le dossier {number} attend "
        "qu’une personne le confirme ou l’écarte (caducee sanction show {number}) ; rien n’est encore retenu contre cette boîte.",
        "Sending from {address} passed the refusing threshold ({recipients} recipients reached within an hour). Case {number} waits for "
        "a person to confirm or dismiss it (caducee sanction show {number}); nothing is held against this mailbox yet.",
        "TOU-A06",
        "TOU-B03",
    ),
    _note(
        "letter_delay_over",
        "Le délai donné à {address} est écoulé. Motif : {ground}. Suspendez si le manquement persiste, ou levez (caducee sanction suspend, "
        "caducee sanction lift).",
        "The time given to {address} is over. Ground: {ground}. Suspend if the breach persists, or lift (caducee sanction suspend, "
        "caducee sanction lift).",
        "TOU-F03",
    ),
    _note(
        "letter_partner",
        "Un message envoyé de chez vous par {address} le {date} vers {recipients} destinataire(s) d’ici (référence {reference}) ne concernait pas "
        "directement les soins d’un patient. Nous vous le signalons pour que vous en jugiez. Dossier {number} de {operator}.",
        "A message sent from your side by {address} on {date} to {recipients} recipient(s) here (reference {reference}) did not directly "
        "concern the care of a patient. We report it for you to judge. Case {number} of {operator}.",
        "TOU-A06",
        "TOU-B05",
    ),
    # notices: to who reported
    _note(
        "letter_reported",
        "Merci de votre signalement : c’est le dossier {number}, qu’une personne jugera.",
        "Thank you for your report: it is case {number}, which a person will judge.",
        "TOU-B05",
    ),
    _note(
        "letter_not_reported",
        "Votre signalement est lu, mais aucun message {reference} que vous auriez reçu d’ici n’a été trouvé. Joignez le message entier, "
        "ou donnez le mot qui suit « id » dans son premier champ Received.",
        "Your report is read, but no message {reference} that reached you from here was found. Attach the whole message, or give the "
        "word behind “id” in its first Received field.",
        "TOU-B05",
    ),
    # notices: further paragraphs
    _note(
        "charter",
        "La charte : la messagerie sécurisée sert aux échanges professionnels autour des soins d’un patient ; annonces, invitations "
        "et envois groupés n’y ont pas leur place.",
        "The charter: secure mail serves professional exchanges about the care of a patient; announcements, invitations and grouped "
        "sending have no place there.",
        "TOU-B03",
        "TOU-B06",
    ),
    _note(
        "charter_place",
        "Son texte : <{charter}>.",
        "Its text: <{charter}>.",
        "TOU-B06",
    ),
    _note(
        "amounts",
        "En cas de récidive : {further}.",
        "What a repeat costs: {further}.",
        "TOU-B06",
        "TOU-B07",
    ),
    _note(
        "offer",
        "Si cette messagerie ne vous sert plus, vous pouvez demander la suspension ou la résiliation du compte à {contest}.",
        "If you no longer need this service, you may ask {contest} to suspend or close the account.",
        "TOU-B07",
        "TOU-C08",
    ),
    _note(
        "refund",
        "Déjà payé et à vous rendre : {refund}.",
        "Paid already and to be given back to you: {refund}.",
        "TOU-B10",
    ),
    _note("payment", "Pour payer : {payment}.", "To pay: {payment}.", "TOU-B08"),
    _note(
        "contest",
        "Pour contester ou répondre, écrivez à {contest} en citant ce numéro ; c’est possible même quand vos envois sont suspendus.",
        "To contest or answer, write to {contest} and quote this number; that is possible even while your sending is suspended.",
        "TOU-F03",
        "TOU-B10",
    ),
)
