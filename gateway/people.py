"""Accounts, mailboxes and logins of one operator, wired from its configuration and its open store.

Promise: nothing is opened here; each part answers from the :class:`gateway.compose.Storage` it was given. Failure: a JWKS file
that cannot be read raises ``ValueError`` or ``OSError`` at wiring, before anything serves.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.settings import Config
from mailboxes.accounts import AccountRules, Accounts
from mailboxes.commit import Committer, Reading
from mailboxes.credentials import Credentials
from mailboxes.keys import Keyring
from mailboxes.lookup import Mailboxes, Watch
from mailboxes.passwords import Passwords
from mailboxes.register import Register
from mailboxes.sessions import Sessions
from mailboxes.tokens import LocalKeys, NoTokens, TokenRules, TokenVerifier
from mailboxes.vault import StoreVault


class Opened(Protocol):
    """The part of an open store that people need; :class:`gateway.compose.Storage` is one."""

    @property
    def config(self) -> Config: ...
    @property
    def committer(self) -> Committer: ...
    @property
    def reading(self) -> Reading: ...
    @property
    def keyring(self) -> Keyring: ...
    @property
    def clock(self) -> Callable[[], float]: ...


@dataclass(frozen=True, slots=True)
class People:
    """What administrators and users can do, each part with the operator's rules."""

    rules: AccountRules
    passwords: Passwords
    accounts: Accounts
    register: Register
    sessions: Sessions


def rules(config: Config) -> AccountRules:
    """The account rules a configuration asks for."""
    own = config.accounts
    return AccountRules(
        domains=config.operator.domains,
        test_mode=config.operator.test_mode,
        check_identifiers=own.check_rpps,
        password_bits=own.password_bits,
        quota=own.quota,
        devices=own.devices,
        device_lifetime=own.device_lifetime,
        session_lifetime=own.session_lifetime,
        failures=own.failures,
        failures_per_ip=own.failures_per_ip,
        lock=own.lock,
        login_cache=own.login_cache,
    )


def people(opened: Opened) -> People:
    """Administration of accounts and mailboxes."""
    own = opened.config.accounts
    passwords = Passwords(own.argon2_memory, own.argon2_passes, own.argon2_lanes)
    asked = rules(opened.config)
    vault = StoreVault(opened.keyring)
    return People(
        asked, passwords, Accounts(asked, vault, passwords), Register(asked, vault), Sessions(asked, vault, passwords)
    )


def authenticator(opened: Opened) -> Credentials:
    """Who answers the logins of mail programs."""
    asked = rules(opened.config)
    verifier = tokens(opened.config, opened.clock)
    watch = Watch(opened.reading, time.monotonic)
    return Credentials(opened.committer, opened.reading, asked, time.monotonic, opened.clock, verifier, watch)


def mailboxes(opened: Opened) -> Mailboxes:
    """Our mailboxes, as doors and intake ask for them."""
    return Mailboxes(opened.reading, time.monotonic)


def tokens(config: Config, clock: Callable[[], float]) -> TokenVerifier:
    """Access tokens against the key set of the configuration; refused when none is set."""
    own = config.tokens
    if not own.issuer or own.keys is None:
        return NoTokens()
    asked = TokenRules(own.issuer, own.audience, own.algorithms, own.acr, own.leeway)
    return LocalKeys.from_file(own.keys, asked, clock)
