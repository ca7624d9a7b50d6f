"""Entries of the directory as LDAP shows them, and the few that describe the server itself.

Promise: attributes are shown under the first of their names; one without a value is not shown; values of one attribute differ.
What an entry here shows is what :class:`directory.entry.Entry` holds, so nobody responsible and nobody of the red list is
among it (MSS-120, MSS-121). Failure: none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from directory.entry import Entry
from directory.ldap import names, schema
from directory.ldap.wire import PAGED, STARTTLS, WHO_AM_I

Attributes: TypeAlias = Mapping[str, Sequence[str]]

_ALL, _ALL_OPERATIONAL, _NONE = "*", "+", "1.1"
_OPERATIONAL = frozenset(each.name for each in schema.ATTRIBUTES if each.operational)
_FEATURES = ("1.3.6.1.4.1.4203.1.5.1", "1.3.6.1.4.1.4203.1.5.3")  # RFC 3673: `+`; RFC 4526: (&) and (|)


def name_of(entry: Entry, base: str) -> str:
    return names.write("mail", entry.address, base)


def attributes(entry: Entry, base: str) -> Attributes:
    """Of one mailbox."""
    shown = {
        "objectClass": schema.CLASSES,
        "cn": common_names(entry),
        "displayName": (entry.name,),
        "sn": (entry.family or entry.name,),
        "mail": (entry.address,),
        "uid": (entry.address,),
        "givenName": (entry.given,),
        "personalTitle": (entry.title,),
        "title": (entry.profession,),
        "businessCategory": (entry.specialty,),
        "o": (entry.organisation,),
        "ou": (entry.service,),
        "description": (entry.description,),
        "telephoneNumber": (entry.phone,),
        "street": (entry.street,),
        "postalCode": (entry.postal_code,),
        "l": (entry.town,),
        "st": (entry.department,),
        "c": (entry.country,),
        "employeeNumber": (entry.person,),
        "employeeType": (entry.type,),
        "mssanteStructure": (entry.structure,),
        "mssanteProfessionCode": (entry.profession_code,),
        "mssanteSpecialtyCode": (entry.specialty_code,),
        "mssantePaperless": ("" if entry.paperless is None else str(entry.paperless).upper(),),
        "mssanteRank": (str(entry.rank or ""),),
        "mssanteSource": (entry.source.value,),
        "entryDN": (name_of(entry, base),),
        "subschemaSubentry": (schema.SUBSCHEMA,),
        "structuralObjectClass": ("inetOrgPerson",),
        "hasSubordinates": ("FALSE",),
    }
    return {key: values for key, values in shown.items() if values[0]}


def common_names(entry: Entry) -> tuple[str, ...]:
    """As lists show it, and as people type it: given name first, family name first."""
    given_first = " ".join(filter(None, (entry.given, entry.family)))
    family_first = " ".join(filter(None, (entry.family, entry.given)))
    found = {name.casefold(): name for name in (family_first, given_first, entry.name) if name and entry.family}
    return tuple(reversed(found.values())) or (entry.name,)


def root(base: str, *, secure: bool) -> Attributes:
    """The root DSE (RFC 4512 5.1): what the server can do."""
    return {
        "objectClass": ("top",),
        "namingContexts": (base,),
        "subschemaSubentry": (schema.SUBSCHEMA,),
        "supportedLDAPVersion": ("3",),
        "supportedControl": (PAGED,),
        "supportedExtension": (WHO_AM_I,) if secure else (STARTTLS, WHO_AM_I),
        "supportedFeatures": _FEATURES,
        "vendorName": ("Caducée",),
    }


def top(base: str) -> Attributes:
    """The entry that all others are below."""
    attribute, _, value = base.partition(",")[0].partition("=")
    return {
        "objectClass": ("top", "organizationalUnit"),
        attribute.strip(): (value.strip(),),
        "entryDN": (base,),
        "subschemaSubentry": (schema.SUBSCHEMA,),
        "structuralObjectClass": ("organizationalUnit",),
        "hasSubordinates": ("TRUE",),
    }


def chosen(held: Attributes, asked: Iterable[str]) -> Attributes:
    """Those of ``held`` that a search asks for (RFC 4511 4.5.1.8)."""
    wanted = set(asked)
    if wanted == {_NONE}:
        return {}
    everything = not wanted or _ALL in wanted
    named = {known.name for each in wanted if (known := schema.find(each)) is not None}
    return {
        key: values
        for key, values in held.items()
        if key in named or (_ALL_OPERATIONAL in wanted if key in _OPERATIONAL else everything)
    }
