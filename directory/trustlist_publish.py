"""Build and sign a white list, as the authority of a trust space does (``caducee trust publish``, the space in a box).

Promise: what is published reads back with :func:`directory.trustlist.load` without a warning; rows are written in the
order given, children in the order of the schema. Failure: ``ValueError`` for a row that could not be read back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

from directory import trustlist, trustlist_seal
from directory.trustlist import Row
from policies import dn

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def publish(
    rows: Iterable[Row],
    generated: datetime,
    key: SigningKey | None = None,
    chain: Sequence[x509.Certificate] = (),
) -> bytes:
    """The list as UTF-8 XML, signed when ``key`` is given with the signer's certificate chain.

    ``generated`` is aware; it must be later than that of the list before (MSS-011).
    """
    root = etree.Element(trustlist.ROOT, nsmap={None: trustlist.NAMESPACE})  # type: ignore[dict-item]
    etree.SubElement(root, trustlist.GENERATED).text = written(generated)
    holder = etree.SubElement(root, trustlist.DOMAINS)
    for row in rows:
        _add(holder, row, generated)
    if key is not None:
        root = trustlist_seal.sign(root, key, chain)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def written(moment: datetime) -> str:
    """``YYYY-MM-DDThh:mm:ssZ``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _add(holder: etree._Element, row: Row, generated: datetime) -> None:
    if trustlist.a_label(row.domain) is None:
        raise ValueError(f"{row.domain} is not a domain name")
    dn.key(row.subject)
    element = etree.SubElement(holder, trustlist.DOMAIN)
    for tag, text in (
        (trustlist.NAME, row.domain),
        (trustlist.DESCRIPTION, row.description),
        (trustlist.SUBJECT, row.subject),
        (trustlist.CONTACT, row.contact),
        (trustlist.SUPPORT, row.support),
        (trustlist.UPDATED, written(row.updated or generated)),
    ):
        etree.SubElement(element, tag).text = text
