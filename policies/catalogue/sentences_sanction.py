"""How a case and a suspension stand, and what the commands about them say: French, English.

Keys are ``case.<state>`` for :class:`policies.penalties.CaseState`, ``case.paid``, ``step.<number>`` for :class:`policies.penalties.Step`,
``suspension.<state>`` and ``source.<word>`` for :mod:`gateway.sanctions`, ``act.<word>`` for what was done to either.
"""

from __future__ import annotations

from collections.abc import Mapping

SANCTION: Mapping[str, tuple[str, str]] = {
    "case.open": ("à juger", "to be judged"),
    "case.confirmed": ("confirmé", "confirmed"),
    "case.dismissed": ("écarté", "dismissed"),
    "case.cancelled": ("annulé", "cancelled"),
    "case.paid": ("payé", "paid"),
    "step.0": ("aucune", "none"),
    "step.1": ("avertissement", "warning"),
    "step.2": ("pénalité", "charge"),
    "step.3": ("pénalité et suspension", "charge and suspension"),
    "suspension.announced": ("annoncée", "announced"),
    "suspension.over": ("délai écoulé", "delay over"),
    "suspension.active": ("en vigueur", "in force"),
    "suspension.ended": ("levée", "lifted"),
    "source.administrator": ("administrateur", "administrator"),
    "source.recipient": ("destinataire", "recipient"),
    "source.operator": ("opérateur partenaire", "partner operator"),
    "source.automatic": ("seuils de volume", "volume thresholds"),
    "sanction.amount": (
        "{value} n’est pas un montant en euros, comme 60 ou 60.50",
        "{value} is not an amount in euros, such as 60 or 60.50",
    ),
    "sanction.month": ("{value} n’est pas un mois, comme 2026-11", "{value} is not a month, such as 2026-11"),
    "sanction.recipients": (
        "il manque le nombre de destinataires (--recipients), que le journal ne dit pas",
        "the number of recipients (--recipients) is missing, which the journal does not tell",
    ),
    "sanction.who": ("donnez une adresse, ou --structure", "give an address, or --structure"),
    "sanction.way": (
        "il manque comment remédier au manquement (--remedy)",
        "how to put the breach right (--remedy) is missing",
    ),
    "sanction.elsewhere": (
        "{address} n’est pas une boîte d’ici : son opérateur la suspend, nous la bloquons (--days)",
        "{address} is no mailbox of ours: its operator suspends it, we block it (--days)",
    ),
    "sanction.no_letter": ("le dossier {number} n’a donné lieu à aucun avis", "case {number} gave rise to no notice"),
    "report.what": (
        "donnez l’identifiant du message, son Message-ID, ou le fichier du message",
        "give the message’s identifier, its Message-ID, or the message’s file",
    ),
    "report.no_trace": (
        "{path} ne porte pas notre marque de réception : ce message n’est pas passé par ici",
        "{path} does not bear our mark of receipt: this message did not pass here",
    ),
    "report.taken": (
        "signalement enregistré : dossier {number}, qu’une personne jugera",
        "report recorded: case {number}, which a person will judge",
    ),
    "report.known": (
        "ce message est déjà signalé : dossier {number}",
        "this message was reported already: case {number}",
    ),
    "cli.help.sanction": (
        "Envois non sollicités : dossiers, pénalités, suspensions.",
        "Unsolicited mail: cases, penalties, suspensions.",
    ),
    "cli.help.report": ("Signaler un message non sollicité.", "Report an unsolicited message."),
}
