"""Read the white list of the trust space, as it really is (MSS-002 to MSS-009, MSS-015).

The list is one XML file: a date of generation, and one row per authorised (domain, certificate name) pair. Real lists hold
several rows and operators for one domain, duplicates, upper case, a ``@`` in a name, ``L=`` for ``ST=``, accented names. A
row that cannot be used is skipped and reported; a file that cannot be trusted is refused whole.

Promise: no DTD, no entity, no network; the size, the number of rows and the length of each field are bounded; when a
signature is there it is verified and only what was signed is read. Names come out as lower-case A-labels (IDNA 2008).
Failure: :class:`Refused` with a stable word. Nothing here touches a disk or a clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import idna
from cryptography import x509
from lxml import etree

from directory import trustlist_seal as seal
from directory.trustlist_seal import Refused
from policies import dn
from policies.trust import TrustList, trust_list

NAMESPACE = "https://listeblanche.mssante.fr/schema"
ROOT = f"{{{NAMESPACE}}}ListeBlancheMSSante"
GENERATED = f"{{{NAMESPACE}}}DateDeGeneration"
DOMAINS = f"{{{NAMESPACE}}}ListeDomaines"
DOMAIN = f"{{{NAMESPACE}}}Domaine"
NAME = f"{{{NAMESPACE}}}Nom"
DESCRIPTION = f"{{{NAMESPACE}}}Description"
SUBJECT = f"{{{NAMESPACE}}}DNCertificatOperateur"
CONTACT = f"{{{NAMESPACE}}}ResponsableContact"
SUPPORT = f"{{{NAMESPACE}}}SupportContact"
UPDATED = f"{{{NAMESPACE}}}DateMAJ"

MAXIMUM_SIZE = 64 * 1024 * 1024
MAXIMUM_ROWS = 200_000
MAXIMUM_FIELD = 1024
MAXIMUM_DEFECTS = 1000
AHEAD = timedelta(days=1)  # a date of generation further in the future is a lie or a broken clock

DefectWord = Literal[
    "name_with_at",
    "bad_name",
    "bad_subject",
    "empty_subject",
    "too_long",
    "duplicate",
    "upper_case",
    "not_ascii",
    "missing_field",
    "bad_date",
    "truncated",
    "more",
]
SKIPPING = frozenset(("name_with_at", "bad_name", "bad_subject", "empty_subject", "too_long"))

__all__ = ["Defect", "LoadedList", "Refused", "Row", "load", "sha256"]


@dataclass(frozen=True, slots=True)
class Defect:
    """Something wrong with row ``row`` (1 for the first; 0 for the file). Words of :data:`SKIPPING` cost the row."""

    row: int
    word: DefectWord
    detail: str = ""

    @property
    def skipped(self) -> bool:
        return self.word in SKIPPING


@dataclass(frozen=True, slots=True)
class Row:
    """One row: ``domain`` normalised, ``subject`` as written, the rest for people to read."""

    domain: str
    subject: str
    description: str = ""
    contact: str = ""
    support: str = ""
    updated: datetime | None = None


@dataclass(frozen=True, slots=True)
class LoadedList:
    """A list that passed. ``signer`` is the RFC 4514 name of who signed it, empty when it carries no signature."""

    trust: TrustList
    warnings: tuple[Defect, ...]
    rows: tuple[Row, ...]
    signer: str = ""


def load(
    data: bytes,
    *,
    anchors: Sequence[x509.Certificate],
    require_signature: bool,
    now: datetime,
    lenient: bool = False,
    signers: Iterable[str] = (),
    maximum_size: int = MAXIMUM_SIZE,
) -> LoadedList:
    """Read a whole list. ``now`` is aware, UTC; ``anchors`` are the authorities its signature may come from.

    ``signers``, when given, are the only names that may have signed it. ``lenient`` reads a file cut short (the public
    mirror is one), for a person to look at: never for production. Raises :class:`Refused`.
    """
    _check_bytes(data, maximum_size)
    root, cut = _parse(data, lenient=lenient)
    signer = ""
    if root.find(seal.SIGNATURE) is not None:
        root, signer = seal.verify(data, root, anchors, now, signers)
    elif require_signature:
        raise Refused("unsigned", "the list carries no signature and one is required")
    generated = _generated(root, now)
    rows, defects = _rows(root)
    if cut:
        defects.insert(0, Defect(0, "truncated", "the end of the file is missing"))
    if not rows:
        raise Refused("empty", "no usable row")
    trust = trust_list(((row.domain, row.subject) for row in rows), generated, now, sha256(data))
    return LoadedList(trust, tuple(_bounded(defects)), tuple(rows), signer)


def sha256(data: bytes) -> str:
    """The lower-case hexadecimal digest the ``checksum`` companion holds (MSS-010)."""
    return hashlib.sha256(data).hexdigest()


def check_companion(data: bytes, companion: bytes) -> None:
    """Compare with the content of the ``checksum`` file: hexadecimal, perhaps followed by blanks or a file name."""
    words = companion[:4096].split()
    said = words[0].decode("ascii", "replace").lower() if words else ""
    if said != sha256(data):
        raise Refused("checksum", "the SHA-256 companion does not match")


def _check_bytes(data: bytes, maximum_size: int) -> None:
    if not data:
        raise Refused("empty", "the file is empty")
    if len(data) > maximum_size:
        raise Refused("too_large", f"{len(data)} octets, more than {maximum_size}")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("not_utf8", "the file is not UTF-8") from None
    # UTF-8 was checked, so a DOCTYPE cannot hide in another encoding.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise Refused("doctype", "a document type or entity is declared")


def _parse(data: bytes, *, lenient: bool) -> tuple[etree._Element, bool]:
    """The root, and whether the file was cut short (only when ``lenient``)."""
    cut = False
    try:
        root = etree.fromstring(data, _parser(recover=False))
    except etree.XMLSyntaxError as error:
        if not lenient:
            raise Refused("malformed", f"not well-formed XML, line {error.lineno}") from None
        root, cut = _recovered(data), True
    if root is None or root.tag != ROOT:
        raise Refused("wrong_root", "the root is not ListeBlancheMSSante")
    return root, cut


def _recovered(data: bytes) -> etree._Element | None:
    try:
        return etree.fromstring(data, _parser(recover=True))
    except etree.XMLSyntaxError:
        return None


def _parser(*, recover: bool) -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        recover=recover,
        encoding="utf-8",
    )


def _generated(root: etree._Element, now: datetime) -> datetime:
    generated = instant(root.findtext(GENERATED) or "")
    if generated is None:
        raise Refused("no_date", "DateDeGeneration is missing or not a date")
    if generated > now + AHEAD:
        raise Refused("future", f"generated in the future: {generated.isoformat()}")
    return generated


def instant(text: str) -> datetime | None:
    """``YYYY-MM-DDThh:mm:ssZ`` (or a numeric offset) as an aware UTC moment; None for anything else."""
    text = text.strip()
    if not text.isascii() or not 20 <= len(text) <= 35 or text[10] != "T":
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return read.astimezone(UTC) if read.tzinfo is not None else None


def _rows(root: etree._Element) -> tuple[list[Row], list[Defect]]:
    rows: list[Row] = []
    defects: list[Defect] = []
    seen: set[tuple[str, str]] = set()
    holder = root.find(DOMAINS)
    if holder is None:
        raise Refused("wrong_root", "ListeDomaines is missing")
    for number, element in enumerate(holder.iterchildren(DOMAIN), 1):
        if number > MAXIMUM_ROWS:
            raise Refused("too_large", f"more than {MAXIMUM_ROWS} rows")
        row = _row(number, element, defects)
        if row is None:
            continue
        pair = (row.domain, dn.key(row.subject))
        if pair in seen:
            defects.append(Defect(number, "duplicate", row.domain))
            continue
        seen.add(pair)
        rows.append(row)
    return rows, defects


def _row(number: int, element: etree._Element, defects: list[Defect]) -> Row | None:
    fields = {str(child.tag): (child.text or "").strip() for child in element}
    if any(len(value) > MAXIMUM_FIELD for value in fields.values()):
        defects.append(Defect(number, "too_long"))
        return None
    domain = _domain(number, fields.get(NAME, ""), defects)
    subject = fields.get(SUBJECT, "")
    if domain is None or not _usable_subject(number, subject, defects):
        return None
    updated = instant(fields.get(UPDATED, ""))
    if updated is None:
        defects.append(Defect(number, "bad_date", domain))
    if not {DESCRIPTION, CONTACT, SUPPORT} <= fields.keys():
        defects.append(Defect(number, "missing_field", domain))
    return Row(domain, subject, fields.get(DESCRIPTION, ""), fields.get(CONTACT, ""), fields.get(SUPPORT, ""), updated)


def _usable_subject(number: int, subject: str, defects: list[Defect]) -> bool:
    if not subject:
        defects.append(Defect(number, "empty_subject"))
        return False
    try:
        dn.key(subject)
    except dn.BadName as reason:
        defects.append(Defect(number, "bad_subject", str(reason)))
        return False
    return True


def _domain(number: int, written: str, defects: list[Defect]) -> str | None:
    """The name as a lower-case A-label, or None when it cannot be one."""
    if "@" in written:
        defects.append(Defect(number, "name_with_at", written[:100]))
        return None
    domain = a_label(written)
    if domain is None:
        defects.append(Defect(number, "bad_name", written[:100]))
        return None
    if not written.isascii():
        defects.append(Defect(number, "not_ascii", domain))
    elif written != written.lower():
        defects.append(Defect(number, "upper_case", domain))
    return domain


_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def a_label(written: str) -> str | None:
    """A domain of two labels or more as lower-case A-labels (RFC 5891), or None. A final dot is dropped."""
    name = written.lower().removesuffix(".")
    if not name.isascii() or "xn--" in name:
        try:
            name = idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    labels = name.split(".")
    good = all(
        0 < len(label) <= 63 and _LABEL.issuperset(label) and label[0] != "-" and label[-1] != "-" for label in labels
    )
    return name if good and len(labels) > 1 and len(name) <= 253 else None


def _bounded(defects: list[Defect]) -> list[Defect]:
    if len(defects) <= MAXIMUM_DEFECTS:
        return defects
    return [*defects[:MAXIMUM_DEFECTS], Defect(0, "more", str(len(defects) - MAXIMUM_DEFECTS))]
