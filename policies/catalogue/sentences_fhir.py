"""What the directory's FHIR interface says of a refusal, in French and English.

Promise: a sentence of a missing resource says nothing of whether it exists for others (MSS-121).
"""

from __future__ import annotations

from collections.abc import Mapping

from policies.catalogue.sentence import Sentence
from policies.decision import Language

_s = Sentence

FHIR: Mapping[str, Sentence] = {
    "fhir.missing": _s("Rien ne porte cet identifiant.", "Nothing has this identity."),
    "fhir.unknown_path": _s("Il n’y a rien à cette adresse.", "There is nothing at this address."),
    "fhir.read_only": _s("L’annuaire est en lecture seule ici.", "The directory is for reading only here."),
    "fhir.login_first": _s(
        "Identifiez-vous : adresse de la boîte et mot de passe d’appareil, jeton, ou certificat client.",
        "Log in: address of the mailbox and device password, token, or client certificate.",
    ),
    "fhir.unknown_parameter": _s(
        "Ce critère n’est pas connu : {parameter}.", "This parameter is not known: {parameter}."
    ),
    "fhir.unknown_modifier": _s(
        "Ce modificateur n’est pas connu ici : {parameter}.", "This modifier is not known here: {parameter}."
    ),
    "fhir.bad_value": _s("La valeur de {parameter} ne se lit pas.", "The value of {parameter} cannot be read."),
    "fhir.too_many_parameters": _s("La question est trop longue.", "The question is too long."),
    "fhir.bad_body": _s("Le corps n’est pas un formulaire.", "The body is not a form."),
    "fhir.format": _s("Seul le JSON est offert.", "JSON only is offered."),
    "fhir.page_gone": _s(
        "Cette suite n’est plus gardée : refaites la recherche.", "This page is no longer kept: search again."
    ),
    "fhir.page_bad": _s("Cette suite n’a pas été donnée ici.", "This page was not given out here."),
    "fhir.more": _s(
        "Il y a d’autres réponses qui ne sont pas données : précisez la recherche.",
        "There are more answers that are not given: search more closely.",
    ),
    "fhir.too_often": _s(
        "Trop de recherches à la minute. Réessayez dans une minute.",
        "Too many searches a minute. Try again in a minute.",
    ),
    "fhir.allowance": _s(
        "Cette boîte a consulté autant de fiches qu’il est permis en une heure.",
        "This mailbox has seen as many entries as are allowed in an hour.",
    ),
    "fhir.unavailable": _s(
        "L’annuaire est momentanément indisponible.", "The directory is unavailable for the moment."
    ),
}


def said(name: str, language: Language, parameter: str = "") -> str:
    """The sentence in one language."""
    found = FHIR[name]
    return (found.fr if language == "fr" else found.en).format(parameter=parameter)
