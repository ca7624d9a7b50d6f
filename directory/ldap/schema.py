"""The attributes and object classes we serve, with their names in LDAP, and how programs learn of them (RFC 4512 4.2, 5.1).

Names are those of inetOrgPerson (RFC 2798, RFC 4519), under every spelling address books ask for; what only this trust space
has is in the auxiliary class ``mssanteMailbox``, below an object identifier made from a UUID (X.667).
Promise: an attribute is found by any of its names or its identifier, without regard to case. Failure: None for one we do not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

OWN = "2.25.213886245563871893360912784091645027381"
"""Where our own identifiers begin."""
CLASSES = ("top", "person", "organizationalPerson", "inetOrgPerson", "mssanteMailbox")
"""The object classes of each entry. An organisation has them too: address books look for people and show nothing else."""
SUBSCHEMA = "cn=Subschema"

_TEXT = "1.3.6.1.4.1.1466.115.121.1.15"
_OID = "1.3.6.1.4.1.1466.115.121.1.38"
_DN = "1.3.6.1.4.1.1466.115.121.1.12"
_FLAG = "1.3.6.1.4.1.1466.115.121.1.7"
_NUMBER = "1.3.6.1.4.1.1466.115.121.1.27"
_DESCRIPTION = {"attributeTypes": "1.3.6.1.4.1.1466.115.121.1.3", "objectClasses": "1.3.6.1.4.1.1466.115.121.1.37"}


@dataclass(frozen=True, slots=True)
class Attribute:
    """``fields`` are those of an entry it is searched in, in any of which it may hold; none: it cannot be searched."""

    oid: str
    names: tuple[str, ...]
    fields: tuple[str, ...] = ()
    syntax: str = _TEXT
    operational: bool = False

    @property
    def name(self) -> str:
        return self.names[0]


ATTRIBUTES = (
    Attribute("2.5.4.0", ("objectClass",), syntax=_OID),
    Attribute("0.9.2342.19200300.100.1.3", ("mail", "rfc822Mailbox"), ("address",)),
    Attribute("0.9.2342.19200300.100.1.1", ("uid", "userid"), ("address",)),
    Attribute("2.5.4.3", ("cn", "commonName"), ("name",)),
    Attribute("2.16.840.1.113730.3.1.241", ("displayName",), ("name",)),
    Attribute("2.5.4.4", ("sn", "surname"), ("family",)),
    Attribute("2.5.4.42", ("givenName", "gn"), ("given",)),
    Attribute("0.9.2342.19200300.100.1.40", ("personalTitle",), ("title",)),
    Attribute("2.5.4.12", ("title",), ("profession",)),
    Attribute("2.5.4.15", ("businessCategory",), ("specialty",)),
    Attribute("2.5.4.10", ("o", "organizationName", "company"), ("organisation",)),
    Attribute("2.5.4.11", ("ou", "organizationalUnitName", "department", "orgunit"), ("service",)),
    Attribute("2.5.4.13", ("description",), ("description",)),
    Attribute("2.5.4.20", ("telephoneNumber",), ("phone",)),
    Attribute("2.5.4.9", ("street", "streetAddress"), ("street",)),
    Attribute("2.5.4.17", ("postalCode", "zip"), ("postal_code",)),
    Attribute("2.5.4.7", ("l", "localityName", "locality"), ("town",)),
    Attribute("2.5.4.8", ("st", "stateOrProvinceName", "region"), ("department",)),
    Attribute("2.5.4.6", ("c", "countryName", "co", "friendlyCountryName"), ("country",)),
    Attribute("2.16.840.1.113730.3.1.3", ("employeeNumber",), ("person",)),
    Attribute("2.16.840.1.113730.3.1.4", ("employeeType",), ("type",)),
    Attribute(f"{OWN}.1.1", ("mssanteStructure",), ("structure",)),
    Attribute(f"{OWN}.1.2", ("mssanteProfessionCode",), ("profession_code",)),
    Attribute(f"{OWN}.1.3", ("mssanteSpecialtyCode",), ("specialty_code",)),
    Attribute(f"{OWN}.1.4", ("mssantePaperless",), syntax=_FLAG),
    Attribute(f"{OWN}.1.5", ("mssanteRank",), syntax=_NUMBER),
    Attribute(f"{OWN}.1.6", ("mssanteSource",)),
    Attribute("1.3.6.1.1.20", ("entryDN",), syntax=_DN, operational=True),
    Attribute("2.5.18.10", ("subschemaSubentry",), syntax=_DN, operational=True),
    Attribute("2.5.21.9", ("structuralObjectClass",), syntax=_OID, operational=True),
    Attribute("2.5.18.9", ("hasSubordinates",), syntax=_FLAG, operational=True),
    Attribute("1.3.6.1.4.1.1466.101.120.5", ("namingContexts",), syntax=_DN, operational=True),
    Attribute("1.3.6.1.4.1.1466.101.120.15", ("supportedLDAPVersion",), syntax=_NUMBER, operational=True),
    Attribute("1.3.6.1.4.1.1466.101.120.13", ("supportedControl",), syntax=_OID, operational=True),
    Attribute("1.3.6.1.4.1.1466.101.120.7", ("supportedExtension",), syntax=_OID, operational=True),
    Attribute("1.3.6.1.4.1.4203.1.3.5", ("supportedFeatures",), syntax=_OID, operational=True),
    Attribute("1.3.6.1.1.4", ("vendorName",), operational=True),
    Attribute("2.5.21.6", ("objectClasses",), syntax=_DESCRIPTION["objectClasses"], operational=True),
    Attribute("2.5.21.5", ("attributeTypes",), syntax=_DESCRIPTION["attributeTypes"], operational=True),
)

_MAY = tuple(
    each.name for each in ATTRIBUTES if not each.operational and each.name not in ("objectClass", "sn", "cn", "mail")
)
_PERSON = ("telephoneNumber", "description")
_UNIT = ("title", "street", "postalCode", "l", "st", "ou")
_INET = ("displayName", "givenName", "mail", "uid", "employeeNumber", "employeeType", "businessCategory", "o")


def find(description: str) -> Attribute | None:
    """The attribute of an attribute description; one with options (``cn;lang-fr``) we do not have."""
    return _by_name().get(description.strip().lower())


@cache
def _by_name() -> Mapping[str, Attribute]:
    return {name.lower(): each for each in ATTRIBUTES for name in (each.oid, *each.names)}


@cache
def subschema() -> Mapping[str, tuple[str, ...]]:
    """The attributes of the subschema subentry."""
    own = [name for name in _MAY if name not in (*_PERSON, *_UNIT, *_INET)]
    return {
        "objectClass": ("top", "subentry", "subschema"),
        "cn": ("Subschema",),
        "objectClasses": (
            _class("2.5.6.0", "top", "ABSTRACT", must=("objectClass",)),
            _class("2.5.6.5", "organizationalUnit", "SUP top STRUCTURAL", must=("ou",)),
            _class("2.5.6.6", "person", "SUP top STRUCTURAL", must=("sn", "cn"), may=_PERSON),
            _class("2.5.6.7", "organizationalPerson", "SUP person STRUCTURAL", may=_UNIT),
            _class("2.16.840.1.113730.3.2.2", "inetOrgPerson", "SUP organizationalPerson STRUCTURAL", may=_INET),
            _class(f"{OWN}.2.1", "mssanteMailbox", "SUP top AUXILIARY", must=("mail",), may=tuple(own)),
            _class("2.5.17.0", "subentry", "SUP top STRUCTURAL", must=("cn",)),
            _class("2.5.20.1", "subschema", "AUXILIARY", may=("objectClasses", "attributeTypes")),
        ),
        "attributeTypes": tuple(_type(each) for each in ATTRIBUTES),
    }


def _class(oid: str, name: str, kind: str, *, must: tuple[str, ...] = (), may: tuple[str, ...] = ()) -> str:
    needs = f" MUST ( {' $ '.join(must)} )" if must else ""
    takes = f" MAY ( {' $ '.join(may)} )" if may else ""
    return f"( {oid} NAME '{name}' {kind}{needs}{takes} )"


def _type(each: Attribute) -> str:
    names = f"'{each.name}'" if len(each.names) == 1 else "( " + " ".join(f"'{name}'" for name in each.names) + " )"
    rules = " EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch" if each.fields else ""
    use = " NO-USER-MODIFICATION USAGE directoryOperation" if each.operational else ""
    return f"( {each.oid} NAME {names}{rules} SYNTAX {each.syntax}{use} )"
