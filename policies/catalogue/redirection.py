"""Rules about mail that would leave by a side door: forwarding rules, answers asked for elsewhere, absence replies.

Parameters: ``domain`` the outside domain; ``field`` the header that points there.
"""

from __future__ import annotations

from policies.decision import Rule, Verdict

_INSIDE_FR = "Choisissez une adresse de l’espace de confiance."
_INSIDE_EN = "Choose an address of the trust space."

RULES: tuple[Rule, ...] = (
    Rule(
        "redirection.accepted",
        Verdict.ACCEPT,
        250,
        "2.0.0",
        "Le transfert reste dans l’espace de confiance.",
        "The forwarding stays within the trust space.",
        ("MSS-058", "TOU-A02"),
    ),
    Rule(
        "redirection.rule_outside",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "Une boîte sécurisée ne peut pas être transférée vers {domain}, hors de l’espace de confiance.",
        "A secure mailbox cannot be forwarded to {domain}, outside the trust space.",
        ("MSS-058", "TOU-A02"),
        _INSIDE_FR,
        _INSIDE_EN,
    ),
    Rule(
        "redirection.rule_disabled",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "Votre règle de transfert est désactivée : {domain} n’est plus dans l’espace de confiance.",
        "Your forwarding rule is switched off: {domain} is no longer in the trust space.",
        ("MSS-058", "TOU-A02"),
        "Vos messages restent dans votre boîte. Choisissez une autre adresse de l’espace de confiance.",
        "Your messages stay in your mailbox. Choose another address of the trust space.",
    ),
    Rule(
        "redirection.to_itself",
        Verdict.REFUSE,
        550,
        "5.4.6",
        "Une boîte ne peut pas être transférée vers elle-même.",
        "A mailbox cannot be forwarded to itself.",
        ("MSS-046", "MSS-059"),
        "Choisissez une autre adresse.",
        "Choose another address.",
    ),
    Rule(
        "redirection.header_outside",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "L’en-tête {field} fait partir des réponses vers {domain}, hors de l’espace de confiance.",
        "The header {field} sends answers to {domain}, outside the trust space.",
        ("MSS-059", "TOU-A02"),
        "Corrigez l’adresse de réponse dans votre logiciel de messagerie.",
        "Correct the reply address in your mail program.",
    ),
    Rule(
        "redirection.header_unreadable",
        Verdict.REFUSE,
        550,
        "5.6.0",
        "L’en-tête {field} contient une adresse que nous ne pouvons pas lire, donc pas contrôler.",
        "The header {field} holds an address that we cannot read, hence cannot check.",
        ("MSS-059", "RFC 5322 3.4"),
        "Corrigez l’adresse de réponse dans votre logiciel de messagerie.",
        "Correct the reply address in your mail program.",
    ),
    Rule(
        "redirection.calendar_outside",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "L’invitation jointe fait partir les réponses vers {domain}, hors de l’espace de confiance.",
        "The attached invitation sends answers to {domain}, outside the trust space.",
        ("MSS-059", "TOU-A02", "RFC 5545 3.8.4.3"),
        "Refaites l’invitation avec une adresse de l’espace de confiance comme organisateur.",
        "Make the invitation again with an address of the trust space as organiser.",
    ),
    Rule(
        "redirection.forwarded_outside",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "Ce message transféré ne peut pas partir vers {domain}, hors de l’espace de confiance.",
        "This forwarded message cannot go to {domain}, outside the trust space.",
        ("MSS-059", "TOU-A02", "MSS-037"),
        "Supprimez le transfert automatique de votre logiciel, ou transférez vers une adresse MSSanté.",
        "Remove the automatic forwarding from your program, or forward to an MSSanté address.",
    ),
    Rule(
        "redirection.no_automatic_reply",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "Aucune réponse d’absence n’est envoyée à ce message.",
        "No absence reply is sent to this message.",
        ("MSS-060", "RFC 3834 2", "RFC 5230 4.6"),
    ),
)
