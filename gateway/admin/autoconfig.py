"""What tells mail programs where the doors for users are, so that a physician types an address and a password (MSS-077).

Three forms of the same few facts: Mozilla's client configuration (Thunderbird on computers and phones, Evolution, KMail), the DNS records of
RFC 6186 and RFC 8314 with the MX of partners, and a profile for the mail program of Apple's devices.

Promise: pure; only doors that are open are named, never one without TLS, and those that begin with TLS come first (RFC 8314 3.3). No
password or address of a person is in any of them. Failure: :class:`NoDoor`.
"""

from __future__ import annotations

import plistlib
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from xml.etree import ElementTree

if TYPE_CHECKING:
    from gateway.config import Config

Protocol = Literal["imap", "smtp"]


class NoDoor(Exception):
    """No door of this ``protocol`` is open to users."""

    def __init__(self, protocol: Protocol) -> None:
        super().__init__(protocol)
        self.protocol = protocol


@dataclass(frozen=True, slots=True)
class Door:
    """A door for users. ``service`` is its name in the DNS: imaps, imap, submissions or submission."""

    service: str
    host: str
    port: int

    @property
    def protocol(self) -> Protocol:
        return "imap" if self.service.startswith("imap") else "smtp"

    @property
    def implicit(self) -> bool:
        """TLS from the first octet on; otherwise STARTTLS, which our doors demand before a login."""
        return self.service.endswith("s")


@dataclass(frozen=True, slots=True)
class Record:
    """A DNS record; ``name`` and ``host`` without the final dot, ``before`` is what stands between type and host."""

    name: str
    kind: Literal["MX", "SRV"]
    before: str
    host: str

    def __str__(self) -> str:
        """As a line of a zone file (RFC 1035 5.1)."""
        return f"{self.name}. IN {self.kind} {self.before} {self.host}."


def doors(config: Config) -> tuple[Door, ...]:
    """The doors open to users here, the best first."""
    listens = {
        "imaps": config.imaps.listen,
        "imap": config.imap.listen,
        "submissions": config.submissions.listen,
        "submission": config.submission.listen,
    }
    host = config.operator.hostname
    return tuple(Door(service, host, listen[0].port) for service, listen in listens.items() if listen)


def both_ways(found: tuple[Door, ...]) -> dict[Protocol, Door]:
    """The best door to read by, and the best to write by. Raises :class:`NoDoor`: a mail program needs both."""
    best: dict[Protocol, Door] = {}
    for door in found:
        best.setdefault(door.protocol, door)
    protocols: tuple[Protocol, ...] = ("imap", "smtp")
    for protocol in protocols:
        if protocol not in best:
            raise NoDoor(protocol)
    return best


def records(config: Config) -> tuple[Record, ...]:
    """What the DNS should say of each of our domains: the MX for partners, an SRV for each door that is open to users."""
    services = doors(config)
    return tuple(
        record
        for domain in config.operator.domains
        for record in (
            Record(domain, "MX", "10", config.operator.hostname),
            *(Record(f"_{door.service}._tcp.{domain}", "SRV", f"0 1 {door.port}", door.host) for door in services),
        )
    )


def mozilla(config: Config) -> bytes:
    """The document mail programs ask for at ``autoconfig.DOMAIN/mail/config-v1.1.xml`` (draft-ietf-mailmaint-autoconfig)."""
    found = doors(config)
    both_ways(found)
    root = ElementTree.Element("clientConfig", version="1.1")
    provider = ElementTree.SubElement(root, "emailProvider", id=config.operator.domains[0])
    for domain in config.operator.domains:
        _text(provider, "domain", domain)
    _text(provider, "displayName", config.operator.name)
    _text(provider, "displayShortName", config.operator.name)
    for door in found:
        kind = "incomingServer" if door.protocol == "imap" else "outgoingServer"
        server = ElementTree.SubElement(provider, kind, type=door.protocol)
        _text(server, "hostname", door.host)
        _text(server, "port", str(door.port))
        _text(server, "socketType", "SSL" if door.implicit else "STARTTLS")
        _text(server, "username", "%EMAILADDRESS%")
        _text(server, "authentication", "password-cleartext")  # their word for a password inside TLS
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return document + b"\n"


def _text(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = text


def apple(config: Config) -> bytes:
    """A configuration profile with one mail account (``com.apple.mail.managed``); the device asks for address and password.

    It keeps the mailbox apart from the private ones on the same device: its messages cannot be moved to another account nor answered from
    one, other programs cannot send through it, and nothing of it goes to Apple's servers (recent addresses, Mail Drop).
    """
    best = both_ways(doors(config))
    account = {
        "EmailAccountDescription": config.operator.name,
        "EmailAccountType": "EmailTypeIMAP",
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": best["imap"].host,
        "IncomingMailServerPortNumber": best["imap"].port,
        "IncomingMailServerUseSSL": True,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": best["smtp"].host,
        "OutgoingMailServerPortNumber": best["smtp"].port,
        "OutgoingMailServerUseSSL": True,
        "OutgoingPasswordSameAsIncomingPassword": True,
        "PreventMove": True,
        "PreventAppSheet": True,
        "disableMailRecentsSyncing": True,
        "allowMailDrop": False,
    }
    return plistlib.dumps(
        {
            **_payload(config, "Configuration", ""),
            "PayloadContent": [_payload(config, "com.apple.mail.managed", "mail") | account],
        },
        sort_keys=False,
    )


def _payload(config: Config, kind: str, part: str) -> dict[str, object]:
    """The keys every payload has. The same operator gives the same identifiers, so that a newer profile replaces an older one."""
    identifier = ".".join([*reversed(config.operator.hostname.split(".")), "caducee", *filter(None, [part])])
    return {
        "PayloadType": kind,
        "PayloadVersion": 1,
        "PayloadIdentifier": identifier,
        "PayloadUUID": str(uuid.uuid5(uuid.NAMESPACE_DNS, identifier)).upper(),
        "PayloadDisplayName": config.operator.name,
        "PayloadOrganization": config.operator.name,
    }
