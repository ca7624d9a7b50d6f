"""Rules about what the house itself cannot do for the moment: store, disk, scanner. No parameters."""

from __future__ import annotations

from policies.decision import Rule, Verdict

_AGAIN_FR = "Rien n’est perdu : votre logiciel ou le serveur expéditeur réessaiera seul."
_AGAIN_EN = "Nothing is lost: your program or the sending server will try again by itself."

RULES: tuple[Rule, ...] = (
    Rule(
        "store.unavailable",
        Verdict.DEFER,
        451,
        "4.3.0",
        "L’enregistrement du message est momentanément impossible.",
        "The message cannot be recorded for the moment.",
        ("MSS-040", "RFC 5321 6.1"),
        _AGAIN_FR,
        _AGAIN_EN,
    ),
    Rule(
        "store.full",
        Verdict.DEFER,
        452,
        "4.3.1",
        "La place manque sur le serveur pour enregistrer le message.",
        "The server lacks the space to record the message.",
        ("RFC 5321 4.2.3", "MSS-040"),
        _AGAIN_FR,
        _AGAIN_EN,
    ),
    Rule(
        "store.busy",
        Verdict.DEFER,
        452,
        "4.3.1",
        "Trop de gros messages arrivent en même temps.",
        "Too many large messages are arriving at the same time.",
        ("RFC 5321 7.8", "MSS-080"),
        _AGAIN_FR,
        _AGAIN_EN,
    ),
    Rule(
        "scan.unavailable",
        Verdict.DEFER,
        451,
        "4.7.1",
        "La recherche de virus est momentanément impossible, le message n’est pas accepté sans elle.",
        "Virus scanning is impossible for the moment, and no message is accepted without it.",
        ("MSS-047",),
        _AGAIN_FR,
        _AGAIN_EN,
    ),
)
