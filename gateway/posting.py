"""What a program calls to send a document: a post opened for one mailbox, through this operator's intake or a submission server.

    async with posting(sender, config=config) as post:
        sent = await post.send(Request(recipients, identity, document, "cr.pdf", label="CR de consultation"))

Promise: :meth:`Post.send` answers identifiers only for a message that was taken. Failure: :class:`gateway.identity.Unsendable` and
:class:`gateway.send.WouldBeRefused` before anything leaves, :class:`gateway.submission_here.NotTaken`,
:class:`gateway.submission_here.UnknownMailbox` and :class:`gateway.submission_there.ServerRefused` when it was not taken.
"""

from __future__ import annotations

import asyncio
import getpass
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.identity import BadIdentity, Identity
from gateway.medical.question import ReaderOptions
from gateway.medical.wiring import medical_settings
from gateway.relay import tracking
from gateway.send import BadDocument, Built, Circumstances, Outgoing, build, build_dropped, receivers_of, recipients_of
from gateway.sender_name import display_name
from gateway.settings import Config
from gateway.submission_here import WayIn, way_in
from gateway.submission_there import Server, submit
from policies.address import AddressError
from policies.values import Address


@dataclass(frozen=True, slots=True)
class Request:
    """One sending. Without ``identity`` the document says who it is about; without ``recipients`` the identity says who gets it, or
    line 12 of its header. ``copy`` puts a PDF beside a CDA, ``as_cda`` a PDF or a text inside one; ``reply_to`` is the mailbox that
    answers go to (MSS-103)."""

    recipients: tuple[Address, ...]
    identity: Identity | None
    document: bytes
    name: str = ""
    label: str = ""
    text: str = ""
    nil: str = ""
    receipt: bool = True
    closing: bool = False
    copy: bool = True
    reply_to: Address | None = None
    as_cda: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """``message`` is the operator's identifier (the Message-ID when a server gave none), for ``caducee track``."""

    message: str
    message_id: str


@dataclass(slots=True)
class Post:
    """Made by :func:`posting`."""

    sender: Address
    way: WayIn | None
    server: Server | None
    circumstances: Callable[[str], Circumstances]
    nil: str = ""
    _name: str | None = None

    async def send(self, request: Request, token: str = "") -> Sent:
        """Build, check, submit. The Message-ID is made of ``token``, random when empty."""
        recipients = request.recipients or _named(request)
        outgoing = await self._outgoing(request, recipients)
        builder = build if request.identity is not None else build_dropped
        built = builder(outgoing, self.circumstances(token or secrets.token_hex(16)))
        identifier = (await self._left_already(built) if token else "") or await self._submit(recipients, built)
        return Sent(identifier or built.message_id, built.message_id)

    async def _outgoing(self, request: Request, recipients: tuple[Address, ...]) -> Outgoing:
        return Outgoing(
            sender=self.sender,
            recipients=recipients,
            identity=request.identity,
            document=request.document,
            document_name=request.name,
            sender_name=await self._shown(),
            label=request.label or (request.identity.label if request.identity else ""),
            text=request.text,
            nil=request.nil or self.nil,
            receipt=request.receipt,
            closing=request.closing,
            copy=request.copy,
            reply_to=request.reply_to,
            as_cda=request.as_cda,
            sender_type=(await self.way.mailbox(self.sender)).type.value if self.way is not None else "",
        )

    async def _submit(self, recipients: tuple[Address, ...], built: Built) -> str:
        if self.way is not None:
            return await self.way.submit(self.sender, recipients, built.content, f"operator:{getpass.getuser()}")
        assert self.server is not None
        written = [str(one) for one in recipients]
        return await asyncio.to_thread(submit, self.server, str(self.sender), written, built.content)

    async def _shown(self) -> str:
        """The sender's display name, which the register of his own operator knows."""
        if self.way is None:
            return ""
        if self._name is None:
            address = str(self.sender)
            self._name = await self.way.storage.reading.run(lambda connection: display_name(connection, address))
        return self._name

    async def _left_already(self, built: Built) -> str:
        """The identifier of a message with the same Message-ID, when a crash kept us from noting that it left."""
        if self.way is None:
            return ""
        lines = await self.way.storage.reading.run(lambda connection: tracking.track(connection, built.message_id))
        return lines[0].message if lines else ""


@asynccontextmanager
async def posting(
    sender: Address, *, config: Config | None = None, server: Server | None = None
) -> AsyncIterator[Post]:
    """A post for one mailbox: through ``server`` when given, else through the intake of ``config``."""
    if server is not None:
        # which identities are real is for that server to say
        lenient = ReaderOptions(test_identities=True)
        yield Post(sender, None, server, lambda token: Circumstances(_now(), token, sender.domain, options=lenient))
        return
    if config is None:
        raise ValueError("either a configuration or a server is needed")
    medical, hostname = medical_settings(config), config.operator.hostname
    async with way_in(config) as way:
        yield Post(
            sender,
            way,
            None,
            lambda token: Circumstances(
                _now(),
                token,
                hostname,
                policy=medical.policy,
                options=medical.options,
                cda_domains=config.hprim.cda_domains,
            ),
            config.hprim.nil,
        )


def _named(request: Request) -> tuple[Address, ...]:
    """Who gets the document, as the identity or line 12 of its header says. :class:`gateway.identity.Unsendable` when an identity
    leaves it open, or line 12 is no address."""
    one = request.identity
    try:
        found = (one.to if one else ()) or recipients_of(receivers_of(request.document, request.name))
    except AddressError as problem:
        raise BadDocument(
            f"la ligne 12 de l’en-tête ne donne pas une adresse de messagerie ({problem.word})",
            f"line 12 of the header does not give a mail address ({problem.word})",
        ) from None
    if one is not None and not found:
        raise BadIdentity("il manque « to », ou --to : à qui envoyer ?", "“to”, or --to, is missing: to whom?")
    return found


def _now() -> datetime:
    return datetime.now(UTC)
