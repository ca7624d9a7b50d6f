"""What the directory says to people, in French and English, one sentence per key; ``extraction.<word>`` is why a list was not taken."""

from __future__ import annotations

from collections.abc import Mapping

from policies.catalogue.sentence import Sentence

_s = Sentence

DIRECTORY: Mapping[str, Sentence] = {
    "mailbox.published": _s(
        "{address} est publiée dans l’annuaire, que les autres professionnels consultent. Pour l’en retirer (liste rouge) :"
        " caducee mailbox set {address} --red-list",
        "{address} is published in the directory, which the other professionals read. To leave it out (red list):"
        " caducee mailbox set {address} --red-list",
    ),
    "directory.nobody": _s("personne ne répond à cette recherche", "nobody answers this search"),
    "directory.not_found": _s("{address} n’est pas dans l’annuaire", "{address} is not in the directory"),
    "directory.more": _s(
        "Il y en a d’autres : précisez, ou augmentez --limit.", "There are more: narrow the search, or raise --limit."
    ),
    "directory.no_question": _s(
        "que faut-il chercher ?",
        "what is to be looked for?",
        "Donnez des mots, ou une option comme --name ou --rpps.",
        "Give words, or an option such as --name or --rpps.",
    ),
    "directory.bad_question": _s("cette recherche est trop longue", "this search is too long"),
    "directory.imported": _s(
        "Liste nationale en vigueur : {entries} boîtes ({added} nouvelles, {changed} changées, {removed} retirées).",
        "National list in force: {entries} mailboxes ({added} new, {changed} changed, {removed} removed).",
    ),
    "directory.not_taken": _s(
        "liste nationale non reprise : {reason}",
        "national list not taken: {reason}",
        "Celle d’avant reste en vigueur.",
        "The one before stays in force.",
    ),
    "directory.no_list": _s(
        "aucune liste nationale",
        "no national list",
        "Donnez directory.source, ou caducee directory import FICHIER.",
        "Set directory.source, or run caducee directory import FILE.",
    ),
    "directory.no_api": _s(
        "aucun annuaire national à interroger",
        "no national directory to ask",
        "Donnez directory.api, et sa clé dans directory.api_key.",
        "Set directory.api, and its key in directory.api_key.",
    ),
    "directory.api_away": _s("l’annuaire national : {reason}", "the national directory: {reason}"),
    "extraction.key": _s("la clé directory.api_key est refusée", "the key directory.api_key is refused"),
    "extraction.answer": _s("la réponse n’est pas du FHIR", "the answer is not FHIR"),
    "extraction.unreadable": _s("le fichier ne se lit pas", "the file cannot be read"),
    "extraction.not_an_extraction": _s(
        "ce n’est pas l’extraction de l’Annuaire Santé", "this is not the extraction of Annuaire Santé"
    ),
    "extraction.truncated": _s("le fichier est coupé", "the file is cut off"),
    "extraction.too_large": _s("le fichier dépasse directory.size", "the file is larger than directory.size"),
    "extraction.line_too_long": _s("une ligne est démesurée", "a line is far too long"),
    "extraction.bad_lines": _s("trop de lignes ne se lisent pas", "too many lines cannot be read"),
    "extraction.bad_zip": _s(
        "l’archive est abîmée ou contient autre chose", "the archive is damaged or holds something else"
    ),
    "extraction.shrunk": _s(
        "elle a perdu plus de boîtes que directory.shrink_limit ne permet",
        "it lost more mailboxes than directory.shrink_limit allows",
    ),
    "extraction.busy": _s("un autre processus la reprend en ce moment", "another process is taking it at this moment"),
    "extraction.stopped": _s("le service s’est arrêté avant la fin", "the service stopped before the end"),
    "extraction.network": _s("la source ne répond pas", "the source does not answer"),
    "extraction.tls": _s("le certificat de la source n’est pas reconnu", "the source’s certificate is not recognised"),
    "extraction.status": _s("la source répond par une erreur", "the source answers with an error"),
    "extraction.file": _s("le fichier ne se lit pas", "the file cannot be read"),
    "extraction.store": _s("la base ne répondait pas", "the database did not answer"),
}
