"""What the authority of a trust space does: keep rows, and publish them as a signed white list (``caducee trust publish``).

Rows are read from a plain file, one per line: the domain, white space, the certificate's distinguished name; ``#`` opens a
comment. Promise: what is written reads back without a warning, replaces the file in one step, and is dated later than the
list it follows. Failure: :class:`BadRows` with the line; ``OSError`` of the disk; :class:`BadSigner`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from directory import trustlist
from directory.trustlist import Row
from directory.trustlist_publish import SigningKey, publish
from policies import dn


class BadRows(ValueError):
    """A row cannot be published. ``line`` counts from 1, 0 when it did not come from a file.

    ``word`` says why: ``not_a_domain``, ``not_a_name``, ``not_listed``; ``value`` is what it is about.
    """

    def __init__(self, line: int, word: str, value: str) -> None:
        super().__init__(f"{line}: {word}")
        self.line = line
        self.word = word
        self.value = value[:100]


class BadSigner(ValueError):
    """The files are no certificate with its key, in PEM, RSA or elliptic, without password."""


def read_rows(text: str) -> list[Row]:
    """Rows of a plain file. Raises :class:`BadRows`."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        kept = line.strip()
        if kept and not kept.startswith("#"):
            domain, _, subject = kept.replace("\t", " ").partition(" ")
            found.append(row(domain, subject, number))
    return found


def row(domain: str, subject: str, line: int = 0) -> Row:
    """One row, checked. Raises :class:`BadRows`."""
    label = trustlist.a_label(domain.strip())
    if label is None:
        raise BadRows(line, "not_a_domain", domain)
    name = subject.strip()
    try:
        dn.key(name)
    except dn.BadName:
        raise BadRows(line, "not_a_name", name) from None
    return Row(label, name)


def changed(rows: Iterable[Row], added: Sequence[Row], removed: Sequence[str]) -> list[Row]:
    """Rows without those of the domains ``removed``, then those ``added`` that are not there yet.

    Raises :class:`BadRows` for a domain that is not in the list.
    """
    before = list(rows)
    known = {each.domain for each in before}
    for domain in removed:
        if trustlist.a_label(domain) not in known:
            raise BadRows(0, "not_listed", domain)
    gone = {trustlist.a_label(domain) for domain in removed}
    kept = [each for each in before if each.domain not in gone]
    there = {(each.domain, dn.key(each.subject)) for each in kept}
    return kept + [each for each in added if (each.domain, dn.key(each.subject)) not in there]


def signer(certificate: Path, key: Path) -> tuple[SigningKey, list[x509.Certificate]]:
    """The authority's signing key and its chain. Raises OSError, :class:`BadSigner`."""
    try:
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    except (ValueError, TypeError):  # TypeError: the key has a password
        raise BadSigner from None
    if not isinstance(loaded, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise BadSigner
    return loaded, chain


def issue(
    rows: Sequence[Row],
    now: datetime,
    signing: tuple[SigningKey, Sequence[x509.Certificate]] | None,
    follows: datetime | None = None,
) -> bytes:
    """The list as octets, dated ``now``, or one second after the list it ``follows`` when that is later (MSS-011)."""
    whole = now.replace(microsecond=0)
    moment = whole if follows is None or whole > follows else follows + timedelta(seconds=1)
    if signing is None:
        return publish(rows, moment)
    return publish(rows, moment, *signing)


def write(path: Path, data: bytes) -> None:
    """Replace a public file in one step, so that no reader sees half of it. Raises OSError, and then leaves the old one alone."""
    partial = path.with_name(f"{path.name}.new")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
