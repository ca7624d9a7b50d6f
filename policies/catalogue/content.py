"""Rules about the content of a message, whoever sends it.

Parameters: ``limit`` in mebibytes for size, ``problem`` a word of :data:`policies.content.PROBLEMS`, ``kind`` the
dangerous extension. A file name never enters a sentence: it may name a patient (MSS-146).
"""

from __future__ import annotations

from policies.decision import Rule, Verdict

_LIGHTER_FR = "Allégez les pièces jointes ou envoyez-les en plusieurs messages."
_LIGHTER_EN = "Make the attachments lighter or send them in several messages."
_PUBLISHER_FR = "Renvoyez le document autrement, et prévenez l’éditeur du logiciel qui a fait le message."
_PUBLISHER_EN = "Send the document another way, and tell the publisher of the program that made the message."

RULES: tuple[Rule, ...] = (
    Rule(
        "content.accepted",
        Verdict.ACCEPT,
        250,
        "2.6.0",
        "Contenu accepté.",
        "Content accepted.",
        ("MSS-115",),
    ),
    Rule(
        "content.too_big",
        Verdict.REFUSE,
        552,
        "5.3.4",
        "Le message dépasse {limit} Mio, pièces jointes comprises.",
        "The message exceeds {limit} MiB, attachments included.",
        ("MSS-044", "RFC 1870 6"),
        _LIGHTER_FR,
        _LIGHTER_EN,
    ),
    Rule(
        "content.malformed",
        Verdict.REFUSE,
        550,
        "5.6.0",
        "La construction du message n’est pas conforme ({problem}).",
        "The message is not properly built ({problem}).",
        ("RFC 2045 5", "MSS-091"),
        _PUBLISHER_FR,
        _PUBLISHER_EN,
    ),
    Rule(
        "content.too_complex",
        Verdict.REFUSE,
        550,
        "5.6.0",
        "Le message emboîte trop de parties pour être lu sans danger ({problem}).",
        "The message nests too many parts to be read safely ({problem}).",
        ("RFC 2046 5", "MSS-091"),
        _PUBLISHER_FR,
        _PUBLISHER_EN,
    ),
    Rule(
        "content.header_too_big",
        Verdict.REFUSE,
        552,
        "5.3.4",
        "Les en-têtes du message sont trop longs.",
        "The headers of the message are too long.",
        ("RFC 5322 2.1.1", "MSS-091"),
        _PUBLISHER_FR,
        _PUBLISHER_EN,
    ),
    Rule(
        "content.bare_line_end",
        Verdict.REFUSE,
        550,
        "5.5.2",
        "Le message contient une fin de ligne isolée ou un octet nul.",
        "The message holds a bare line end or a null octet.",
        ("RFC 5321 2.3.8", "RFC 5322 2.3"),
        _PUBLISHER_FR,
        _PUBLISHER_EN,
    ),
    Rule(
        "content.loop",
        Verdict.REFUSE,
        554,
        "5.4.6",
        "Le message tourne en rond entre plusieurs serveurs, il est arrêté.",
        "The message is going round in circles between servers, it is stopped.",
        ("MSS-046", "RFC 5321 6.3"),
        "Vérifiez les transferts automatiques des boîtes concernées.",
        "Check the automatic forwarding rules of the mailboxes involved.",
    ),
    Rule(
        "content.infected",
        Verdict.REFUSE,
        554,
        "5.6.0",
        "Un virus a été trouvé dans le message : il n’est pas transmis.",
        "A virus was found in the message: it is not passed on.",
        ("MSS-047", "TOU-A06"),
        "Faites contrôler le poste qui a envoyé ce message avant tout nouvel envoi.",
        "Have the sending computer checked before sending anything else.",
    ),
    Rule(
        "content.dangerous_attachment",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "Une pièce jointe est un programme ({kind}) : ce genre de fichier n’est pas admis.",
        "An attachment is a program ({kind}): this kind of file is not allowed.",
        ("MSS-047", "TOU-A06"),
        "Envoyez un document (PDF, image, texte), pas un programme.",
        "Send a document (PDF, image, text), not a program.",
    ),
    Rule(
        "content.disguised_attachment",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "Le nom d’une pièce jointe cache la vraie nature du fichier.",
        "The name of an attachment hides the true nature of the file.",
        ("MSS-047", "TOU-A06"),
        "Renommez le fichier simplement, avec une seule extension, et renvoyez-le.",
        "Rename the file simply, with a single extension, and send it again.",
    ),
    Rule(
        "content.partial",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "Un message découpé en morceaux (message/partial) ne peut pas être contrôlé.",
        "A message cut into pieces (message/partial) cannot be checked.",
        ("MSS-047", "RFC 2046 5.2.2"),
        "Envoyez le message entier, ou plusieurs messages complets.",
        "Send the whole message, or several complete messages.",
    ),
    Rule(
        "content.external_body",
        Verdict.REFUSE,
        550,
        "5.7.1",
        "Le message renvoie à un contenu extérieur (message/external-body) qui ne peut pas être contrôlé.",
        "The message points to outside content (message/external-body) that cannot be checked.",
        ("MSS-047", "RFC 2046 5.2.3"),
        "Joignez le document au message.",
        "Attach the document to the message.",
    ),
)
