"""What the command line says of indicators and evidence, in French and English; see :mod:`policies.catalogue.sentences_console`."""

from __future__ import annotations

from collections.abc import Mapping

from policies.catalogue.sentence import Sentence

_s = Sentence

RECORD: Mapping[str, Sentence] = {
    "indicators.bad_month": _s(
        "« {month} » n’est pas un mois.",
        "“{month}” is not a month.",
        "Écrivez-le AAAA-MM, comme 2026-11.",
        "Write it YYYY-MM, such as 2026-11.",
    ),
    "indicators.not_over": _s(
        "Le mois {month} n’est pas fini : ses chiffres changent encore.",
        "The month {month} is not over: its figures still change.",
        "Attendez sa fin (en UTC), ou donnez --partial pour voir où il en est.",
        "Wait for its end (in UTC), or give --partial to see how it stands.",
    ),
    "indicators.not_built": _s(
        "Le mois {month} n’a pas de fichiers définitifs.",
        "The month {month} has no final files.",
        "Faites-les d’abord : caducee indicators build {month}",
        "Make them first: caducee indicators build {month}",
    ),
    "indicators.altered": _s(
        "Le fichier {name} n’est plus tel qu’il a été fait : rien n’est retenu comme déposé.",
        "The file {name} is not as it was made: nothing is remembered as deposited.",
        "Refaites-le (caducee indicators build {month}) et déposez celui-là.",
        "Make it again (caducee indicators build {month}) and deposit that one.",
    ),
    "indicators.bad_reference": _s(
        "La référence est trop longue, ou contient des caractères de contrôle.",
        "The reference is too long, or holds control characters.",
        "Au plus {limit} caractères.",
        "{limit} characters at most.",
    ),
    "indicators.too_old": _s(
        "Les boîtes ne sont plus nommées pour le mois {month}.",
        "Mailboxes are not named any more for the month {month}.",
        "Seuls les chiffres sans nom restent : caducee indicators build {month}",
        "Only figures without names remain: caducee indicators build {month}",
    ),
    "indicators.built": _s("Fichiers dans {folder} ; sommes dans {sums}.", "Files in {folder}; checksums in {sums}."),
}
