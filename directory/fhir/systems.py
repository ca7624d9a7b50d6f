"""Names by which FHIR and the national directory call things: systems of identifiers, value sets, extensions."""

from __future__ import annotations

from typing import Final

_NOS: Final = "https://mos.esante.gouv.fr/NOS/"
_ANNUAIRE: Final = "https://interop.esante.gouv.fr/ig/fhir/annuaire/"

IDNAT_PS: Final = "urn:oid:1.2.250.1.71.4.2.1"
"""Of persons: ``8`` and the RPPS number, ``0`` and the ADELI number."""
RPPS: Final = "https://rpps.esante.gouv.fr"
IDNAT_STRUCT: Final = "urn:oid:1.2.250.1.71.4.2.2"
"""Of organisations: ``1`` and the FINESS number, ``3`` and the SIRET number."""
FINESS: Final = "https://finess.esante.gouv.fr"
SIRET: Final = "https://sirene.fr"

MAILBOX_KIND: Final = f"{_NOS}TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie"
MAILBOX_TYPE: Final = f"{_NOS}TRE_R257-TypeBAL/FHIR/TRE-R257-TypeBAL"
PROFESSION: Final = f"{_NOS}TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante"
SPECIALTY: Final = f"{_NOS}TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale"

EMAIL_KIND: Final = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-contact-point-email-type"
MAILBOX: Final = f"{_ANNUAIRE}StructureDefinition/as-ext-mailbox-mss-metadata"

SEARCH_MAILBOX: Final = f"{_ANNUAIRE}SearchParameter/as-sp-mailbox-mss"
SEARCH_MAILBOX_TYPE: Final = f"{_ANNUAIRE}SearchParameter/as-sp-mailbox-mss-type"

SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
