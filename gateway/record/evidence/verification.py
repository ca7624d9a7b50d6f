"""Verifies a pack of evidence with nothing but the pack (TOU-A14).

What holds: no file was changed since the operator signed, the records are those of one chain, and the chain leads from the
anchors named to the anchors named. What only others can say: whether the certificate is the operator's, and whether the anchors
are among those kept outside its database; both are told so that they can be compared, or given to be compared with.
Promise: a hostile file costs what :data:`LARGEST` allows and ends in :class:`Tampered`; nothing is written to disk.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from gateway.record import journal
from gateway.record.evidence import pack
from policies.events import Kind
from policies.values import BalState

LARGEST = 512 << 20
"""Octets a pack may come to when it is opened."""
_NAMES = frozenset((*pack.SIGNED, pack.MANIFEST, pack.SIGNATURE, pack.CERTIFICATE))


class Tampered(Exception):
    """The pack does not hold. ``word`` says how, ``what`` where."""

    def __init__(self, word: str, what: str = "") -> None:
        super().__init__(word, what)
        self.word = word
        self.what = what


@dataclass(frozen=True, slots=True)
class Verified:
    """A pack that holds. ``unproven`` are records chained by a release that could not prove them apart from all others;
    ``anchors`` the points of the chain that lie outside the operator's database, ``missing`` those not among the ones given."""

    message: str
    mailbox: str
    operator: str
    made: str
    signer: str
    fingerprint: str
    not_after: str
    records: int
    unproven: tuple[int, ...]
    anchors: tuple[tuple[int, str], ...]
    missing: tuple[int, ...]
    body: bool


def verify(data: bytes, known: Sequence[tuple[int, bytes]] | None = None) -> Verified:
    """Raises :class:`Tampered`. ``known`` are anchors kept elsewhere, to compare with."""
    files = _opened(data)
    told = _json(files, pack.MANIFEST)
    certificate = _signed(files)
    if not isinstance(told, dict) or told.get("format") != pack.FORMAT:
        raise Tampered("format", pack.MANIFEST)
    _whole(files, told)
    try:
        about = _of_message(str(told["message"])) if "message" in told else _of_mailbox(int(told["mailbox"]))
        records, unproven, anchors = _chained(files, about)
        body = _body(files, records)
        if "message" not in told:
            _destroyed(files, records)
        return Verified(
            str(told.get("message", "")),
            str(told.get("address", "")),
            str(told["operator"]),
            str(told["made"]),
            certificate.subject.rfc4514_string(),
            certificate.fingerprint(hashes.SHA256()).hex(),
            certificate.not_valid_after_utc.isoformat(),
            len(records),
            unproven,
            anchors,
            ()
            if known is None
            else tuple(seq for seq, value in anchors if dict(known).get(seq) != bytes.fromhex(value)),
            body,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as fault:
        raise Tampered("unreadable", type(fault).__name__) from None


def _opened(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            entries = packed.infolist()
            names = [entry.filename for entry in entries]
            if len(set(names)) != len(names) or not set(names) <= _NAMES:
                raise Tampered("files", ", ".join(sorted(set(names) - _NAMES))[:100])
            if sum(entry.file_size for entry in entries) > LARGEST:
                raise Tampered("too_large")
            return {entry.filename: _member(packed, entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, RuntimeError, ValueError, EOFError) as fault:
        raise Tampered("unreadable", type(fault).__name__) from None


def _member(packed: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """What is declared bounds what is read, whatever comes out."""
    with packed.open(entry) as file:
        found = file.read(entry.file_size + 1)
    if len(found) != entry.file_size:
        raise Tampered("unreadable", entry.filename)
    return found


def _json(files: Mapping[str, bytes], name: str) -> Any:
    if name not in files:
        raise Tampered("missing", name)
    try:
        return json.loads(files[name])
    except (ValueError, RecursionError):
        raise Tampered("unreadable", name) from None


def _signed(files: Mapping[str, bytes]) -> x509.Certificate:
    for name in (pack.SIGNATURE, pack.CERTIFICATE):
        if name not in files:
            raise Tampered("missing", name)
    try:
        certificate = x509.load_pem_x509_certificates(files[pack.CERTIFICATE])[0]
        key = certificate.public_key()
        signature, told = files[pack.SIGNATURE], files[pack.MANIFEST]
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, told, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, told, ec.ECDSA(hashes.SHA256()))
        else:
            raise Tampered("signature", pack.CERTIFICATE)
    except (ValueError, UnsupportedAlgorithm):
        raise Tampered("unreadable", pack.CERTIFICATE) from None
    except InvalidSignature:
        raise Tampered("signature", pack.MANIFEST) from None
    return certificate


def _whole(files: Mapping[str, bytes], told: Mapping[str, Any]) -> None:
    if hashlib.sha256(files[pack.CERTIFICATE]).hexdigest() != told.get("certificate"):
        raise Tampered("changed", pack.CERTIFICATE)
    sums = told.get("files")
    spoken = set(files) - {pack.MANIFEST, pack.SIGNATURE, pack.CERTIFICATE}
    if not isinstance(sums, dict) or set(sums) != spoken:
        raise Tampered("files", pack.MANIFEST)
    for name, value in sums.items():
        if hashlib.sha256(files[name]).hexdigest() != value:
            raise Tampered("changed", name)


Records = dict[int, dict[str, Any]]


About = Callable[[Mapping[str, Any]], bool]
"""Whether a record belongs to what the pack is about."""


def _of_message(message: str) -> About:
    return lambda one: bool(message) and one["message"] == message


def _of_mailbox(number: int) -> About:
    return lambda one: number > 0 and one["mailbox"] == number and one["kind"] in _ENDS


_ENDS = frozenset({Kind.MAILBOX.word, Kind.PURGED.word})


def _chained(files: Mapping[str, bytes], about: About) -> tuple[Records, tuple[int, ...], tuple[tuple[int, str], ...]]:
    """The records, those that are not proven, and the anchors."""
    records: Records = {int(one["seq"]): one for one in _json(files, pack.RECORDS)}
    if not records or not all(map(about, records.values())):
        raise Tampered("records", pack.RECORDS)
    anchors: dict[int, str] = {}
    met: set[int] = set()
    unproven: list[int] = []
    for stretch in _json(files, pack.CHAIN):
        met |= _walk(stretch, records, unproven)
        if stretch["anchored"]["before"] and not any(str(link).startswith("=") for link in stretch["links"]):
            anchors[int(stretch["first"]) - 1] = str(stretch["before"])
        if stretch["anchored"]["after"]:
            anchors[int(stretch["last"])] = str(stretch["after"])
    if met != set(records):
        raise Tampered("chain", f"#{min(met ^ set(records))}")
    return records, tuple(unproven), tuple(sorted(anchors.items()))


def _walk(stretch: Mapping[str, Any], records: Records, unproven: list[int]) -> set[int]:
    """Follow a stretch from its first hash to its last; the message's records met on the way."""
    before, met = bytes.fromhex(stretch["before"]), set()
    first, links = int(stretch["first"]), stretch["links"]
    if len(before) != len(journal.GENESIS) or len(links) != int(stretch["last"]) - first + 1:
        raise Tampered("chain", f"#{first}")
    for seq, given in enumerate(links, start=first):
        own = records.get(seq)
        if own is not None:
            met.add(seq)
        if given is not None and given.startswith("="):
            before = _as_formerly(before, seq, bytes.fromhex(given[1:]), own)
            unproven += [one for one in met if one not in unproven]  # nothing leads from them to the anchor behind it
            continue
        if (own is None) is (given is None):
            raise Tampered("chain", f"#{seq}")
        told = journal.digest(seq, _row(own)) if own is not None else bytes.fromhex(given)
        if len(told) != len(journal.GENESIS):
            raise Tampered("chain", f"#{seq}")
        before = journal.link(before, told)
        if own is not None and before.hex() != own["hash"]:
            raise Tampered("chain", f"#{seq}")
    if before.hex() != stretch["after"]:
        raise Tampered("chain", f"#{int(stretch['last'])}")
    return met


def _as_formerly(before: bytes, seq: int, linked: bytes, own: Mapping[str, Any] | None) -> bytes:
    """A record of an older release: its hash is taken as told; that of the message's own record must follow from the one before."""
    if own is not None and (journal.formerly_linked(before, seq, _row(own)) != linked or own["hash"] != linked.hex()):
        raise Tampered("chain", f"#{seq}")
    return linked


def _row(one: Mapping[str, Any]) -> journal.Row:
    texts = [str(one[name]) for name in ("kind", "actor", "message", "recipient")]
    return (int(one["at"]), texts[0], texts[1], texts[2], texts[3], int(one["mailbox"]), str(one["detail"]))


def _destroyed(files: Mapping[str, bytes], records: Records) -> None:
    """The last word about the mailbox's state is that it is deleted, and nothing was left to read."""
    states = [
        json.loads(records[seq]["detail"])["state"]
        for seq in sorted(records)
        if records[seq]["kind"] == Kind.MAILBOX.word
    ]
    found = _json(files, pack.DESTROYED)
    if not states or states[-1] != BalState.DELETED.value or found["left"]["key"] != 0:
        raise Tampered("not_destroyed", pack.DESTROYED)


def _body(files: Mapping[str, bytes], records: Records) -> bool:
    """Whether the message is there; it must be the one that was accepted."""
    if pack.BODY not in files:
        return False
    told = [json.loads(one["detail"]) for one in records.values() if one["kind"] == "message.accepted"]
    if hashlib.sha256(files[pack.BODY]).hexdigest() not in [one["sha256"] for one in told]:
        raise Tampered("body", pack.BODY)
    return True
