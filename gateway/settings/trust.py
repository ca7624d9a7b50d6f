"""Whom we believe, and how we show ourselves: `[tls]` and `[trust]`."""

# ruff: noqa: RUF009  (`setting` makes a dataclass field, as dataclasses.field does)
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.config_fields import setting
from gateway.settings.units import DAY, HOUR, GiB, KiB, MiB

SUITES = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
# The two CBC suites of the API LPS list, 0xC028 and 0xC027, off by default (MSS-023).
CBC_SUITES = ("ECDHE-RSA-AES256-SHA384", "ECDHE-RSA-AES128-SHA256")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Our own certificates (PEM), and what TLS may be. TLS 1.2 and 1.3 only, no compression, no renegotiation."""

    certificates: tuple[Path, ...] = setting(
        "files", "Server certificates with their chain; list an RSA and a P-256 one to serve both.", ()
    )
    keys: tuple[Path, ...] = setting(
        "keys", "Their private keys, in the same order; readable by the service only (mode 0600 or 0640).", ()
    )
    client_certificate: Path | None = setting(
        "file", "Certificate shown to partners when we send; empty: the first server certificate.", None
    )
    client_key: Path | None = setting("key", "Its private key.", None)
    suites: tuple[str, ...] = setting(
        "names", "TLS 1.2 suites (OpenSSL names). TLS 1.3 has its own and all of them are good.", SUITES
    )
    cbc: bool = setting(
        "flag", "Also the two CBC suites that old practice software needs (0xC028, 0xC027, MSS-023).", False
    )
    tickets: int = setting(
        "number",
        "TLS 1.3 session tickets given per connection. With client certificates each costs a millisecond.",
        0,
        low=0,
        high=4,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The trust space: the white list and the authorities (IGC-Santé) whose certificates count."""

    anchors: tuple[Path, ...] = setting("files", "Certificates of the authorities trusted, PEM.", ())
    test_anchors: tuple[Path, ...] = setting(
        "files", "The same for a test service; only with operator.test_mode, never together with anchors (MSS-016).", ()
    )
    intermediates: tuple[Path, ...] = setting(
        "files", "Intermediate certificates, for partners that forget to send theirs.", ()
    )
    list: str = setting("source", "The white list: a file or an https URL.", "")
    list_anchors: tuple[Path, ...] = setting(
        "files", "Authorities of the list's https server and of its XML signature; empty: the anchors above.", ()
    )
    list_signers: tuple[str, ...] = setting(
        "names",
        "Names (RFC 4514) that may sign the list; empty: any certificate of those authorities that is not for TLS.",
        (),
    )
    list_checksum: str = setting("source", "File or https URL of the list's SHA-256, when a mirror is used.", "")
    signature_required: bool = setting("flag", "Refuse a list without a valid XML signature.", False)
    list_size: int = setting("size", "Largest list read.", 64 * MiB, low=1 * KiB, high=1 * GiB)
    refresh: float = setting("duration", "How often the list is fetched.", 1 * HOUR, low=1, high=1 * DAY)
    warn_age: float = setting("duration", "Age of the last good fetch that is worth a warning.", 24 * HOUR, low=1)
    alarm_age: float = setting("duration", "Age that is worth an alarm.", 72 * HOUR, low=1)
    refuse_age: float = setting(
        "duration", "Age from which exchanges with partners wait (451); local mail still flows. 0: never.", 7 * DAY
    )
    shrink_limit: float = setting(
        "ratio", "A list shorter by more than this share is held until someone confirms it.", 0.2, low=0, high=1
    )
    versions_kept: int = setting("number", "Older lists kept for comparison.", 30, low=2, high=1000)
    crls: tuple[str, ...] = setting("sources", "Revocation lists: files, http or https URLs (a CRL is signed).", ())
    crl_refresh: float = setting("duration", "How often revocation lists are fetched.", 1 * HOUR, low=1, high=1 * DAY)
    crl_grace: float = setting(
        "duration", "How long an expired revocation list still counts, with an alarm.", 0.0, low=0, high=1 * DAY
    )
    ocsp: bool = setting(
        "flag",
        "Ask the responder named in a certificate when no revocation list covers it, and again every crl_refresh.",
        False,
    )
    ocsp_nonce: bool = setting(
        "flag",
        "Count only answers that repeat our nonce. false: for an authority that signs answers in advance; an old one can\n"
        "then be replayed until the date it ends.",
        True,
    )
    generated_within: float = setting(
        "duration", "Oldest date a list may bear itself, against a source that replays one for ever. 0: any.", 0.0
    )
    any_usage: bool = setting(
        "flag",
        "Admit a server certificate as client certificate and the reverse (some authorities issue one for both).",
        False,
    )
    match_host: bool = setting("flag", "A partner's server must bear the name we called it by.", True)
    author: Literal["same_domain", "same_certificate", "listed"] = setting(
        "choice",
        "How the From of incoming mail must agree with its sender (MSS-034): same domain, a domain of the same\n"
        "certificate, or any listed domain.",
        "same_certificate",
        choices=("same_domain", "same_certificate", "listed"),
    )
    accept_resent: bool = setting(
        "flag", "Admit incoming mail that another member of the space resent (Resent-From).", True
    )
    revocation_unknown: Literal["defer", "refuse", "accept"] = setting(
        "choice",
        "What to do with a certificate whose revocation cannot be known (MSS-020).",
        "defer",
        choices=("defer", "refuse", "accept"),
    )
