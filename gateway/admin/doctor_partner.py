"""Examine a partner from outside, as our courier meets it, and send a test message there when given a login.

Promise: the same list, routes, certificate and policies as the courier's; nothing is stored here; a test message is plain
words about nobody. Failure: none: each trouble is a finding.
"""

from __future__ import annotations

import asyncio
import secrets
import smtplib
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

from gateway import part_settings
from gateway.admin.doctor import PATIENCE
from gateway.admin.examination import Finding, State, found
from gateway.relay.guard import TrustGuard
from gateway.smtp import tls
from gateway.smtp.outbound import NoSession, Patience, Session
from gateway.smtp.resolver import Target, Unresolved
from policies.trust import domain_key

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.trust_space import TrustSpace

SHORT = Patience(PATIENCE, PATIENCE, PATIENCE, PATIENCE, PATIENCE, PATIENCE, PATIENCE, 2.0)
MOST_SERVERS = 8
POLL = 0.5


async def partner(config: Config, space: TrustSpace, domain: str) -> list[Finding]:
    """White-list row, route, TCP, STARTTLS, certificate."""
    domain = domain_key(domain)
    guard = _guard(config, space)
    listed = guard.may_deliver(domain)
    findings = [_row(space, domain) if listed.accepted else found(State.BAD, "partner.judged", decision=listed)]
    try:
        targets = await part_settings.resolver(config).targets(domain)
    except Unresolved as problem:
        return [*findings, found(State.AWAY, "partner.no_route", domain=domain, reason=problem.rule)]
    servers = " ".join(f"{each.label}:{each.port}" for each in targets)
    findings.append(found(State.GOOD, "partner.route", domain=domain, servers=servers))
    meetings = [(target, address) for target in targets for address in target.addresses][:MOST_SERVERS]
    hello = config.operator.hostname
    return [*findings, *await asyncio.gather(*(_meet(guard, hello, domain, *each) for each in meetings))]


def _guard(config: Config, space: TrustSpace) -> TrustGuard:
    context = tls.client_context(part_settings.client_identity(config), suites=part_settings.suites(config))
    return TrustGuard(space.trusted, lambda: space.settings, lambda: context, lambda: space.reader, lambda: space.now)


def _row(space: TrustSpace, domain: str) -> Finding:
    """The certificate names its rows give, as written."""
    trusted = space.trusted()
    known = [each.name for each in space.history.versions() if trusted and each.sha256 == trusted.sha256]
    rows = space.history.version(known[-1]).rows if known else ()
    names = " ; ".join(dict.fromkeys(row.subject for row in rows if row.domain == domain))
    return found(State.GOOD, "partner.listed", domain=domain, names=names)


async def _meet(guard: TrustGuard, hello: str, domain: str, target: Target, address: str) -> Finding:
    try:
        session = await Session.open(target, address, domain, guard, hello, SHORT)
    except NoSession as refused:
        away = refused.decision.rule.name in ("relay.unreachable", "relay.silent", "relay.cut")
        return found(State.AWAY if away else State.BAD, "partner.judged", decision=refused.decision)
    certificate = session.certificate
    days = (certificate.not_after - datetime.now(UTC)).days if certificate is not None else 0
    await session.quit()
    return found(State.GOOD, "partner.good", host=session.host, address=address, days=days)


# a message there, and its trace back


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An IMAP mailbox that can be read: where, and who."""

    host: str
    port: int
    login: str
    password: str


@dataclass(frozen=True, slots=True)
class Trip:
    """A test message: submitted at ``host:port`` (implicit TLS) for ``recipient``, awaited in ``awaited``."""

    host: str
    port: int
    login: str
    password: str
    recipient: str
    awaited: Mailbox
    patience: float = 60.0


def send_and_wait(trip: Trip, context: ssl.SSLContext) -> Finding:
    """Submit, then look until the message (or the notice of its delivery) is in the awaited mailbox. Blocking."""
    mark = f"caducee-doctor-{secrets.token_hex(8)}"
    began = time.monotonic()
    try:
        _submit(trip, mark, context)
    except smtplib.SMTPResponseException as refused:
        return found(State.BAD, "trip.refused", reason=str(refused.smtp_error)[:300])
    except smtplib.SMTPRecipientsRefused as refused:
        return found(State.BAD, "trip.refused", reason=str(refused.recipients)[:300])
    except (smtplib.SMTPException, OSError) as problem:
        return found(State.AWAY, "trip.away", reason=type(problem).__name__)
    try:
        arrived = _arrives(trip, mark, began, context)
    except (OSError, ValueError) as problem:
        return found(State.AWAY, "trip.away", reason=type(problem).__name__)
    seconds = f"{time.monotonic() - began:.1f}"
    return found(State.GOOD if arrived else State.BAD, "trip.good" if arrived else "trip.late", seconds=seconds)


def _submit(trip: Trip, mark: str, context: ssl.SSLContext) -> None:
    with smtplib.SMTP_SSL(trip.host, trip.port, timeout=PATIENCE, context=context) as smtp:
        smtp.login(trip.login, trip.password)
        smtp.sendmail(trip.login, [trip.recipient], _letter(trip, mark), rcpt_options=["NOTIFY=SUCCESS,FAILURE"])


def _letter(trip: Trip, mark: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = trip.login, trip.recipient
    message["Subject"] = mark
    message["Message-ID"] = f"<{mark}@{trip.login.rpartition('@')[2]}>"
    message["Date"] = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())
    message.set_content("Message d’essai / test message: caducee doctor.\n")
    return message.as_bytes(policy=SMTP)


def _arrives(trip: Trip, mark: str, began: float, context: ssl.SSLContext) -> bool:
    """Whether a message with the mark is in the mailbox in time; it is then removed."""
    from imapclient import IMAPClient
    from imapclient.exceptions import IMAPClientError

    box = trip.awaited
    try:
        with IMAPClient(box.host, box.port, ssl=True, ssl_context=context, timeout=PATIENCE) as imap:
            imap.login(box.login, box.password)
            imap.select_folder("INBOX")
            while time.monotonic() - began < trip.patience:
                numbers = imap.search(["TEXT", mark])
                if numbers:
                    imap.delete_messages(numbers)
                    imap.expunge(numbers)
                    return True
                time.sleep(POLL)
                imap.noop()
    except IMAPClientError as problem:
        raise ValueError(type(problem).__name__) from None
    return False
