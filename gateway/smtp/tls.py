"""TLS for every door and for the courier: what is spoken, with which certificates, and what a failed handshake was.

TLS 1.2 with ECDHE and TLS 1.3 only; no compression, no renegotiation, no early data (MSS-022, MSS-023). The data path is
the standard library's :mod:`ssl`.

A peer's certificate is judged by our policies, not by OpenSSL, so that each fault gets its own rule, sentence and event
instead of a bare alert. As a client this needs nothing special: verification is off and :func:`presented` gives the chain,
which the courier *must* have judged before it sends a byte. As a server the standard library offers no way to ask for a
certificate and go on when its path fails; :func:`_let_policies_judge` puts a callback in the place of OpenSSL's own search
for a path, through ctypes, on the interpreters where that was tried (the path is searched once, by us, and known again; it
cost 0.2 ms a handshake to have it done twice). Elsewhere the handshake of an untrusted peer ends with an alert
(:func:`refusal` still finds the rule). Either way nothing is believed that :class:`gateway.smtp.chain.PathReader` did not
establish.

Promise: a private key that others may read is refused at start and at reload (MSS-024); a reload that fails leaves the
running context as it was. Failure: :class:`BadIdentity` with the file and the remedy.
"""

from __future__ import annotations

import ctypes
import ssl
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from gateway.settings import SUITES
from gateway.smtp.chain import VERIFY_WORDS, PathReader
from policies.catalogue import rule
from policies.catalogue.trust import FAULTS
from policies.decision import Decision, decide
from policies.values import CertificateFacts

FORBIDDEN_BITS: Final = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO

# Interpreters on which the verify callback was tried (tests/gateway/test_tls.py runs it on the one at hand).
_TRIED: Final = ((3, 11), (3, 12), (3, 13), (3, 14))
_FAULT_WORDS: Final = frozenset(fault[0] for fault in FAULTS)
_REASONS: Final = {
    "NO_SHARED_CIPHER": "no_common_suite",
    "UNSUPPORTED_PROTOCOL": "old_version",
    "VERSION_TOO_LOW": "old_version",
    "WRONG_VERSION_NUMBER": "not_tls",
    "WRONG_SSL_VERSION": "not_tls",
    "PACKET_LENGTH_TOO_LONG": "not_tls",
    "HTTP_REQUEST": "http_request",
    "HTTPS_PROXY_REQUEST": "http_request",
    "UNEXPECTED_MESSAGE": "bad_message",
    "UNEXPECTED_EOF_WHILE_READING": "cut",
    "EE_KEY_TOO_SMALL": "weak_key",
    "CA_KEY_TOO_SMALL": "weak_key",
    "CA_MD_TOO_WEAK": "weak_signature",
}


class BadIdentity(ValueError):
    """A certificate or key of ours cannot serve; the text says which file, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its chain, and its key, both PEM files of ours."""

    certificate: Path
    key: Path


def server_context(
    identities: Sequence[Identity],
    *,
    ask_certificate: bool = False,
    anchors: Sequence[Path] = (),
    suites: Sequence[str] = SUITES,
    tickets: int = 0,
    let_policies_judge: bool = True,
) -> ssl.SSLContext:
    """The context of a door. Several identities (RSA and P-256) are offered side by side.

    ``ask_certificate`` asks the client for one; that it has none, or a bad one, is for the policies to say. ``anchors``
    are then the PEM files of the authorities, used by OpenSSL itself only when ``let_policies_judge`` is false or
    impossible on this interpreter. ``tickets`` are TLS 1.3 session tickets per connection; a resumed session brings its
    certificate again and is judged again. Raises :class:`BadIdentity`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context, suites)
    context.num_tickets = tickets
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    load(context, identities)
    if ask_certificate:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        for anchor in anchors:
            context.load_verify_locations(cafile=str(anchor))
        if let_policies_judge:
            _let_policies_judge(context)
    return context


def follow(context: ssl.SSLContext, *, suites: Sequence[str], tickets: int, anchors: Sequence[Path] = ()) -> None:
    """Take up other settings in the context of a door that is open: handshakes from now on obey them.

    Authorities that are gone stay known to OpenSSL until the next start; the policies no longer accept them.
    """
    context.set_ciphers(":".join(suites))
    context.num_tickets = tickets
    if tickets:
        context.options &= ~ssl.OP_NO_TICKET
    else:
        context.options |= ssl.OP_NO_TICKET
    for anchor in anchors:
        context.load_verify_locations(cafile=str(anchor))


def client_context(identity: Identity | None, *, suites: Sequence[str] = SUITES) -> ssl.SSLContext:
    """The courier's context. It verifies nothing: :func:`peer_facts` and the policies must, before a byte is sent.

    Pass the partner's host name as ``server_hostname`` for SNI. Raises :class:`BadIdentity`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _harden(context, suites)
    if identity is not None:
        load(context, (identity,))
    return context


def load(context: ssl.SSLContext, identities: Sequence[Identity]) -> None:
    """Put certificates and keys into a context, running or not: connections made from now on use them (F48).

    Everything is tried on a scratch context first, so a failure leaves ``context`` as it was. Raises
    :class:`BadIdentity`.
    """
    if not identities and context.protocol is ssl.PROTOCOL_TLS_SERVER:
        raise BadIdentity("no certificate is configured: set tls.certificates and tls.keys")
    scratch = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for identity in identities:
        check_key(identity.key)
        try:
            scratch.load_cert_chain(identity.certificate, identity.key, password=_no_password)
        except OSError as error:  # ssl.SSLError is one
            raise BadIdentity(f"{identity.certificate} and {identity.key}: {_why(error)}") from None
    for identity in identities:
        context.load_cert_chain(identity.certificate, identity.key, password=_no_password)


def check_key(path: Path) -> None:
    """A key file that its group may write, or others may touch at all, is refused (MSS-024)."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise BadIdentity(f"{path}: {error.strerror}") from None
    if mode & FORBIDDEN_BITS:
        raise BadIdentity(f"{path}: readable by others (mode {mode & 0o777:04o}); run chmod 600 on it")


def presented(ssl_object: Any) -> tuple[bytes, ...]:
    """The chain the peer showed, DER, its own certificate first; empty when it showed none.

    ``ssl_object`` is an :class:`ssl.SSLObject` or :class:`ssl.SSLSocket` whose handshake is done. A resumed session
    may bring the first certificate only.
    """
    known = _shown.get(ssl_object)
    if known is None:
        known = _shown[ssl_object] = _read_chain(ssl_object)
    return known


# Asked at the handshake and at each MAIL; without renegotiation it stays what it was.
_shown: WeakKeyDictionary[Any, tuple[bytes, ...]] = WeakKeyDictionary()


def _read_chain(ssl_object: Any) -> tuple[bytes, ...]:
    leaf = ssl_object.getpeercert(binary_form=True)
    if not leaf:
        return ()
    # Public as SSLObject.get_unverified_chain from Python 3.13 on; the same method of the inner object before.
    inner = ssl_object._sslobj
    others = inner.get_unverified_chain() if hasattr(inner, "get_unverified_chain") else None
    chain = [one.public_bytes(_DER) for one in others or () if one is not None]
    return (leaf, *(one for one in chain if one != leaf))


def peer_facts(ssl_object: Any, reader: PathReader, now: datetime) -> CertificateFacts | None:
    """The facts about the peer's certificate, or None when it showed none (or there is no TLS)."""
    if ssl_object is None:
        return None
    return reader.facts(presented(ssl_object), now)


def handshake_reason(error: BaseException) -> str:
    """A stable word for why a handshake failed: a fault of the catalogue's certificates, or one of ours.

    ``no_common_suite``, ``old_version``, ``not_tls``, ``http_request``, ``bad_message``, ``cut``, ``timeout``,
    ``alert_...`` (what the peer objected), ``other``.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return VERIFY_WORDS.get(error.verify_code, "bad_chain")
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError | EOFError):
        return "cut"
    if not isinstance(error, ssl.SSLError):
        return "other"
    reason = getattr(error, "reason", None) or ""
    for prefix in ("TLSV1_ALERT_", "TLSV13_ALERT_", "SSLV3_ALERT_"):
        if reason.startswith(prefix):
            return f"alert_{reason.removeprefix(prefix).lower()}"
    return _REASONS.get(reason, "other")


def refusal(error: BaseException) -> Decision:
    """The rule behind a failed handshake of a caller, for the log and the journal: nobody is left to hear it."""
    reason = handshake_reason(error)
    if reason in _FAULT_WORDS:
        return decide(rule(f"trust.certificate_{reason}"), str(error)[:200], certificate="-")
    words = reason.replace("_", " ")
    return decide(rule("session.tls_handshake_failed"), f"{type(error).__name__}, {words}", reason=words)


def _harden(context: ssl.SSLContext, suites: Sequence[str]) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        context.set_ciphers(":".join(suites))
    except ssl.SSLError:
        raise BadIdentity(f"no suite of tls.suites is known to OpenSSL: {', '.join(suites)}") from None


def _no_password() -> str:
    raise OSError("the key is protected by a password, which a service cannot type")


def _why(error: OSError) -> str:
    words = {
        "KEY_VALUES_MISMATCH": "the key does not belong to the certificate",
        "EE_KEY_TOO_SMALL": "the key is too short",
        "NO_START_LINE": "not a PEM file",
    }
    if isinstance(error, ssl.SSLError):
        return words.get(error.reason or "", "not a PEM certificate and key that belong together")
    return error.strerror or str(error)


_Verdict = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_go_on = _Verdict(lambda _store, _argument: 1)  # kept for ever: OpenSSL holds its address
_DER: Final = 2  # _ssl.ENCODING_DER, X509_FILETYPE_ASN1


def _let_policies_judge(context: ssl.SSLContext) -> bool:
    """Make OpenSSL hand the chain over instead of ending the handshake; False where that is not possible.

    Python keeps OpenSSL's context as the first member of its own object, in every version named in ``_TRIED``. The
    address is used only if the mode OpenSSL finds there is the one just set.
    """
    if sys.implementation.name != "cpython" or sys.version_info[:2] not in _TRIED:
        return False
    try:
        import _ssl

        library = ctypes.CDLL(_ssl.__file__)
        get_mode, set_callback = library.SSL_CTX_get_verify_mode, library.SSL_CTX_set_cert_verify_callback
    except (ImportError, AttributeError, OSError):
        return False  # a static build that hides OpenSSL's functions
    get_mode.argtypes, get_mode.restype = [ctypes.c_void_p], ctypes.c_int
    set_callback.argtypes, set_callback.restype = [ctypes.c_void_p, _Verdict, ctypes.c_void_p], None
    address = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    if not address or get_mode(address) != int(ssl.CERT_OPTIONAL):
        return False
    set_callback(address, _go_on, None)
    return True
