"""Settings that are right alone and wrong together, and what is still missing before the service can run.

Promise: :func:`combinations` reports every impossible combination of a configuration already read; :func:`missing_to_serve`
lists what the roles still need. Only the certificates, keys and key sets named are opened.
Failure: none is raised; faults are given to ``report`` with the key they are about.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gateway.config_read import Report, nearest
from gateway.config_units import write_size
from gateway.settings import CBC_SUITES, SUITES, Config, Ldap
from policies.bounces import phrase_of

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
TYPES = ("PER", "ORG", "APP", "CAB")
WAYS_IN = ("inbound", "submission")
DOORS = ("inbound", "submission", "submissions", "imap", "imaps", "ldap", "ldaps", "http", "monitor")
FLOOR_MEMORY = 19 * 1024 * 1024  # OWASP's smallest Argon2id setting with two passes
FLOOR_PASSES = 2
AUTOLOGOUT = 1800.0


def combinations(config: Config, report: Report) -> None:
    """Report every impossible combination."""
    for check in _CHECKS:
        check(config, report)


def _operator(config: Config, report: Report) -> None:
    operator = config.operator
    if not operator.domains:
        report(("operator", "domains"), "config.no_domain")
    if operator.postmaster and operator.postmaster.rpartition("@")[2] not in operator.domains:
        report(("operator", "postmaster"), "config.postmaster_outside", address=operator.postmaster)
    for domain in operator.domains:
        if domain.endswith(".test") and not operator.test_mode:
            report(("operator", "domains"), "config.test_domain_in_production", domain=domain)


def _penalties(config: Config, report: Report) -> None:
    own = config.penalties
    if own.large_from <= own.middle_from:
        report(
            ("penalties", "large_from"),
            "config.out_of_order",
            key="penalties.large_from",
            other="penalties.middle_from",
        )
    for key in ("contest", "reports"):
        address = getattr(own, key)
        if address and address.rpartition("@")[2] not in config.operator.domains:
            report(("penalties", key), "config.postmaster_outside", address=address)


def _separation(config: Config, report: Report) -> None:
    """Test and production never mix (MSS-016, MSS-148)."""
    if config.operator.test_mode:
        if config.trust.anchors:
            report(("trust", "anchors"), "config.anchors_in_test")
        return
    if config.trust.test_anchors:
        report(("trust", "test_anchors"), "config.test_anchors_in_production")
    if config.dns.allow_loopback:
        report(("dns", "allow_loopback"), "config.loopback_in_production")
    if config.accounts.argon2_memory < FLOOR_MEMORY or config.accounts.argon2_passes < FLOOR_PASSES:
        report(("accounts", "argon2_memory"), "config.hash_too_cheap")
    for door in ("imap", "imaps"):
        if getattr(config, door).idle_timeout < AUTOLOGOUT:
            report((door, "idle_timeout"), "config.autologout_too_short")


def _limits(config: Config, report: Report) -> None:
    limits = config.limits
    size = write_size(limits.message_size)
    if limits.bytes_in_flight < limits.message_size:
        report(("limits", "bytes_in_flight"), "config.budget_too_small", message=size)
    if limits.header_size > limits.message_size:
        report(("limits", "header_size"), "config.header_exceeds_message")
    if limits.append_size < limits.message_size:
        report(("limits", "append_size"), "config.append_too_small", message=size)


def _order(config: Config, report: Report) -> None:
    """Durations that must grow from one key to the next."""
    queue, trust, accounts = config.queue, config.trust, config.accounts
    rising: list[tuple[str, str, float, str, float, bool]] = [
        ("queue", "longest_retry", queue.longest_retry, "first_retry", queue.first_retry, False),
        ("queue", "lifetime", queue.lifetime, "longest_retry", queue.longest_retry, False),
        ("queue", "lifetime", queue.lifetime, "warn_after", queue.warn_after, True),
        ("queue", "lifetime", queue.lifetime, "unknown_domain", queue.unknown_domain, False),
        ("trust", "alarm_age", trust.alarm_age, "warn_age", trust.warn_age, True),
        ("accounts", "inactivity", accounts.inactivity, "inactivity_notice", accounts.inactivity_notice, True),
        ("journal", "functional", config.journal.functional, "technical", config.journal.technical, False),
    ]
    watched = config.monitor
    rising += [
        ("monitor", "certificate_warn", watched.certificate_warn, "certificate_fail", watched.certificate_fail, False),
        ("monitor", "queue_fail", watched.queue_fail, "queue_warn", watched.queue_warn, False),
        ("monitor", "oldest_fail", watched.oldest_fail, "oldest_warn", watched.oldest_warn, False),
        ("monitor", "dsn_fail", watched.dsn_fail, "dsn_warn", watched.dsn_warn, False),
    ]
    volume = config.unsolicited
    for key, asked, other, below in (
        ("refuse", volume.refuse, "slow_down", volume.slow_down),
        ("broadcast_refuse", volume.broadcast_refuse, "broadcast_slow_down", volume.broadcast_slow_down),
    ):
        if asked:  # 0 switches the threshold off
            rising.append(("unsolicited", key, asked, other, below, False))
    if trust.refuse_age:
        rising.append(("trust", "refuse_age", trust.refuse_age, "alarm_age", trust.alarm_age, True))
    for section, key, value, other, smaller, strictly in rising:
        if value < smaller or (strictly and value == smaller):
            report((section, key), "config.out_of_order", key=f"{section}.{key}", other=f"{section}.{other}")


def _listening(config: Config, report: Report) -> None:
    taken: list[tuple[str, object]] = []
    for door in DOORS:
        for address in getattr(config, door).listen:
            for other, there in taken:
                if address.collides(there):
                    report((door, "listen"), "config.listen_twice", address=address, other=other)
            taken.append((door, address))


def _routes(config: Config, report: Report) -> None:
    seen: set[str] = set()
    for index, route in enumerate(config.routes):
        if route.domain in config.operator.domains:
            report(("routes", index, "domain"), "config.own_domain_routed", domain=route.domain)
        if route.domain and route.domain in seen:
            report(("routes", index, "domain"), "config.route_twice", domain=route.domain)
        seen.add(route.domain)


def _tls(config: Config, report: Report) -> None:
    tls = config.tls
    if len(tls.certificates) != len(tls.keys):
        counts = {"certificates": len(tls.certificates), "keys": len(tls.keys)}
        report(("tls", "keys"), "config.keys_do_not_pair", **counts)
    else:
        for certificate, key in zip(tls.certificates, tls.keys, strict=True):
            _pair(certificate, key, "keys", report)
    if (tls.client_certificate is None) != (tls.client_key is None):
        report(("tls", "client_certificate"), "config.client_pair_incomplete")
    elif tls.client_certificate is not None and tls.client_key is not None:
        _pair(tls.client_certificate, tls.client_key, "client_key", report)
    known = (*SUITES, *CBC_SUITES)
    for suite in tls.suites:
        if suite not in known:
            report(
                ("tls", "suites"), "config.suite_unknown", suite=suite, known=nearest(suite, known) or ", ".join(known)
            )
    if not tls.suites:
        report(("tls", "suites"), "config.no_suite")


def _pair(certificate: Path, key: Path, where: str, report: Report) -> None:
    """The key must be that of the certificate: a swapped list is the commonest fault of all."""
    try:
        public = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    except (ValueError, OSError):
        report(("tls", where), "config.not_a_certificate", path=certificate.name)
        return
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (ValueError, TypeError, OSError):
        report(("tls", where), "config.not_a_key", path=key.name)
        return
    if private.public_key() != public:
        report(("tls", where), "config.key_of_another", key=key.name, certificate=certificate.name)


def _trust(config: Config, report: Report) -> None:
    trust = config.trust
    for key in ("anchors", "test_anchors", "intermediates", "list_anchors"):
        for path in getattr(trust, key):
            if not _holds_certificates(path):
                report(("trust", key), "config.not_a_certificate", path=path.name)
    known = trust.list_anchors or trust.anchors or trust.test_anchors
    if not known and (trust.list.startswith("https://") or trust.signature_required):
        key = "list" if trust.list.startswith("https://") else "signature_required"
        report(("trust", key), "config.signers_missing")


def _holds_certificates(path: Path) -> bool:
    try:
        return bool(x509.load_pem_x509_certificates(path.read_bytes()))
    except (ValueError, OSError):
        return False


def _tokens(config: Config, report: Report) -> None:
    tokens = config.tokens
    if tokens.issuer and not tokens.audience:
        report(("tokens", "issuer"), "config.token_incomplete", key="tokens.audience")
    if tokens.issuer and tokens.keys is None:
        report(("tokens", "issuer"), "config.token_incomplete", key="tokens.keys")
    elif tokens.issuer and tokens.keys is not None and not _holds_keys(tokens.keys):
        report(("tokens", "keys"), "config.not_a_key_set", path=tokens.keys.name)
    for algorithm in tokens.algorithms:
        if algorithm not in ALGORITHMS:
            report(
                ("tokens", "algorithms"), "config.algorithm_refused", algorithm=algorithm, known=", ".join(ALGORITHMS)
            )


def _holds_keys(path: Path) -> bool:
    from mailboxes.tokens import read_keys  # only a configuration that takes tokens pays for reading what verifies them

    try:
        return bool(read_keys(path.read_bytes()))
    except (ValueError, OSError):
        return False


def _rest(config: Config, report: Report) -> None:
    if config.store.blobs.startswith("s3://"):
        for key in ("s3_access_key", "s3_secret_key"):
            if not getattr(config.store, key):
                report(("store", "blobs"), "config.s3_incomplete", key=key)
    if not config.service.roles:
        report(("service", "roles"), "config.no_role")


def _ldap(config: Config, report: Report) -> None:
    base = config.ldap.base
    if base == Ldap().base:
        return
    from directory.ldap import names  # only a configuration that names another one pays for reading what reads names

    try:
        read = names.read(base)
    except names.BadName:
        read = ()
    if not read:
        report(("ldap", "base"), "config.bad_ldap_base", base=base[:200])


def _http(config: Config, report: Report) -> None:
    """A link that a person follows with a secret in it is for TLS alone, and for one place."""
    address = config.http.url
    parts = urlsplit(address)
    whole = parts.scheme == "https" and parts.hostname and parts.path in ("", "/")
    if address and not (whole and not parts.query and not parts.fragment and "@" not in parts.netloc):
        report(("http", "url"), "config.http_url", address=address[:200])


def _medical(config: Config, report: Report) -> None:
    """Names of types, ways in and rules; a rule that protects from the wrong patient keeps its severity."""
    own = config.hprim
    for name in own.types:
        if name not in TYPES:
            report(("hprim", "types", name), "config.unknown_type", name=name)
    for name in own.header_types:
        if name not in TYPES:
            report(("hprim", "header_types"), "config.unknown_type", name=name)
    for name in own.directions:
        if name not in WAYS_IN:
            report(("hprim", "directions", name), "config.unknown_direction", name=name)
    for line in own.bounces:
        if phrase_of(line) is None:
            report(("hprim", "bounces"), "config.bad_bounce", line=line)
    _rules(("hprim", "severity"), own.severity, report)
    tables = {"domains": own.domains, "types": own.types, "directions": own.directions, "partners": own.partners}
    for key, table in tables.items():
        for name, severities in table.items():
            _rules(("hprim", key, name), severities, report)


def _rules(path: tuple[str, ...], severities: Mapping[str, str], report: Report) -> None:
    if not severities:
        return
    from hprim.rules import CATALOGUE  # only a configuration that names rules pays for reading them

    for name, severity in severities.items():
        rule = CATALOGUE.get(name)
        if rule is None:
            report((*path, name), "config.unknown_rule", name=name)
        elif rule.severity.value == "R!" and severity != "refuse":
            report((*path, name), "config.fixed_rule", name=name)


_CHECKS: tuple[Callable[[Config, Report], None], ...] = (
    _operator,
    _penalties,
    _separation,
    _limits,
    _order,
    _listening,
    _routes,
    _tls,
    _trust,
    _tokens,
    _rest,
    _ldap,
    _medical,
    _http,
)


def absent_sources(config: Config) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Key and path of each file that is to be read from time to time and is not there, or not readable, now."""
    trust = config.trust
    named: list[tuple[tuple[str | int, ...], str]] = [
        (("trust", "list"), trust.list),
        (("trust", "list_checksum"), trust.list_checksum),
        (("directory", "source"), config.directory.source),
        *((("trust", "crls", number), source) for number, source in enumerate(trust.crls)),
    ]
    for key, source in named:
        if source and "://" not in source and not (Path(source).is_file() and os.access(source, os.R_OK)):
            yield key, source


def missing_to_serve(config: Config) -> Iterator[tuple[tuple[str, str], str]]:
    """Key and sentence of each thing without which ``caducee serve`` refuses to start."""
    if not config.store.master_key:
        yield ("store", "master_key"), "serve.no_master_key"
    if not config.tls.certificates:
        yield ("tls", "certificates"), "serve.no_certificate"
    if not config.trust.anchors and not config.trust.test_anchors:
        yield ("trust", "test_anchors" if config.operator.test_mode else "anchors"), "serve.no_anchor"
    if not config.trust.list:
        yield ("trust", "list"), "serve.no_list"
    if not config.trust.crls and not config.trust.ocsp:
        yield ("trust", "crls"), "serve.no_crl"
