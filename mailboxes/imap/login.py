"""Before a folder is chosen: greeting, capabilities, STARTTLS, AUTHENTICATE, LOGIN, ID, ENABLE, COMPRESS, LOGOUT.

SASL: PLAIN (RFC 4616) and EXTERNAL (RFC 4422 A) inside TLS; OAUTHBEARER (RFC 7628) and XOAUTH2 when tokens are offered.
Promise: no credential is accepted in clear text; every failure reads the same and is answered after the authenticator
took its time; a refused login never tells whether the account exists (F61).
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable

from mailboxes.authentication import LoginRefused
from mailboxes.imap import values as v
from mailboxes.imap.cursor import BadSyntax
from mailboxes.imap.grammar import decode_base64
from mailboxes.imap.session import (
    ANY,
    AUTHENTICATED,
    BAD,
    LOGGED_IN,
    NEW,
    NO,
    Refused,
    Session,
    command,
)
from policies.values import CertificateFacts, Login

_BEFORE = b"IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID"
_AFTER = (
    b"IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE CHILDREN UNSELECT UIDPLUS MOVE CONDSTORE QRESYNC "
    b"BINARY MULTIAPPEND CATENATE ESEARCH SEARCHRES WITHIN CONTEXT=SEARCH CONTEXT=SORT PARTIAL SORT SORT=DISPLAY ESORT "
    b"THREAD=REFERENCES THREAD=ORDEREDSUBJECT THREAD=REFS LIST-EXTENDED LIST-STATUS LIST-MYRIGHTS SPECIAL-USE "
    b"CREATE-SPECIAL-USE STATUS=SIZE QUOTA QUOTA=RES-STORAGE ACL RIGHTS=kxte NOTIFY METADATA PREVIEW "
    b"SAVEDATE OBJECTID REPLACE UIDONLY UTF8=ACCEPT INPROGRESS"
)
ENABLEABLE = {
    "IMAP4REV2": b"IMAP4rev2",
    "CONDSTORE": b"CONDSTORE",
    "QRESYNC": b"QRESYNC",
    "UTF8=ACCEPT": b"UTF8=ACCEPT",
    "UIDONLY": b"UIDONLY",
}


def capabilities(session: Session) -> bytes:
    """What works, now, for this session (MSS-079)."""
    if session.state != NEW:
        words = _AFTER + b" APPENDLIMIT=%d" % session.service.limits.message
        return words if session.out.compressed else words + b" COMPRESS=DEFLATE"
    if not session.secure:
        starttls = b" STARTTLS" if session.service.tls is not None else b""
        return _BEFORE + starttls + b" LOGINDISABLED"
    words = _BEFORE + b" AUTH=PLAIN"
    if session.certificate is not None:
        words += b" AUTH=EXTERNAL"
    if session.service.tokens:
        words += b" AUTH=OAUTHBEARER AUTH=XOAUTH2"
    return words


def greet(session: Session) -> None:
    session.put(b"* OK [CAPABILITY %b] Caducee ready\r\n" % capabilities(session))


@command("CAPABILITY", ANY)
def capability(session: Session, asked: v.Command) -> None:
    session.put(b"* CAPABILITY %b\r\n" % capabilities(session))
    session.done(asked, "Capabilities")


@command("ID", ANY)
def identify(session: Session, asked: v.Command) -> None:
    session.put(b'* ID ("name" "Caducee" "vendor" "Caducee")\r\n')
    session.done(asked, "ID")


@command("LOGOUT", ANY)
def logout(session: Session, asked: v.Command) -> None:
    session.put(b"* BYE Goodbye\r\n")
    session.put(b"%b OK Logged out\r\n" % asked.tag)
    session.out.close()


@command("STARTTLS", NEW)
def starttls(session: Session, asked: v.Command) -> Awaitable[None] | None:
    if session.secure or session.service.tls is None:
        raise Refused("TLS is already in use" if session.secure else "TLS is not available", b"", BAD)
    session.put(b"%b OK Begin TLS\r\n" % asked.tag)

    def secured(transport: asyncio.Transport) -> None:
        session.secure = True
        session.certificate = certificate_of(session, transport)

    return session.out.start_tls(session.service.tls, secured)


def certificate_of(session: Session, transport: asyncio.BaseTransport) -> CertificateFacts | None:
    """The facts of the client's certificate, if it showed one."""
    tls = transport.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    return session.service.certificate(der) if der else None


# --------------------------------------------------------------------------- logging in


@command("LOGIN", NEW)
def login(session: Session, asked: v.Command) -> Awaitable[None] | None:
    _only_inside_tls(session)
    credentials: v.Credentials = asked.args
    return _password(session, asked, b"", credentials.user, credentials.password)


def _only_inside_tls(session: Session) -> None:
    if not session.secure:
        raise Refused("Use STARTTLS first", b"PRIVACYREQUIRED")


@command("AUTHENTICATE", NEW)
def authenticate(session: Session, asked: v.Command) -> Awaitable[None] | None:
    _only_inside_tls(session)
    args: v.Authenticate = asked.args
    offered = {"PLAIN": True, "EXTERNAL": session.certificate is not None}
    offered["OAUTHBEARER"] = offered["XOAUTH2"] = session.service.tokens
    if not offered.get(args.mechanism):
        raise Refused("The mechanism is not offered", b"CANNOT")
    if args.initial is not None:
        return _answered(session, asked, args.initial)
    session.put(b"+ \r\n")
    session.out.flush()

    def answer(text: bytes) -> Awaitable[None] | None:
        if text == b"*":
            session.tagged(asked, BAD, "Cancelled")
            return None
        try:
            return _guarded(session, asked, decode_base64(text))
        except BadSyntax:
            session.tagged(asked, BAD, "[CLIENTBUG] Not base64")
            return None

    session.awaited = answer
    return None


async def _guarded(session: Session, asked: v.Command, response: bytes) -> None:
    try:
        await _answered(session, asked, response)
    except Refused as refused:
        session.refuse(asked, refused)


async def _answered(session: Session, asked: v.Command, response: bytes) -> None:
    mechanism = asked.args.mechanism
    if mechanism == "PLAIN":
        pieces = response.split(b"\0")
        if len(pieces) != 3:
            raise Refused("PLAIN takes three values", b"CLIENTBUG", BAD)
        await _password(session, asked, *pieces)
    elif mechanism == "EXTERNAL":
        await _external(session, asked, response)
    else:
        await _token(session, asked, response)


def text(raw: bytes) -> str:
    """A credential as text; what is not UTF-8 cannot be right and is compared as such."""
    return raw.decode("utf-8", "replace")


async def _password(session: Session, asked: v.Command, authorization: bytes, user: bytes, secret: bytes) -> None:
    if authorization and authorization.lower() != user.lower():
        await _failed(session, asked)
        return
    try:
        found = await session.service.authenticator.password(text(user), text(secret), session.ip)
    except LoginRefused as refused:
        await _failed(session, asked, refused)
        return
    await welcome(session, asked, found)


async def _external(session: Session, asked: v.Command, response: bytes) -> None:
    assert session.certificate is not None
    try:
        found = await session.service.authenticator.certificate(session.certificate, text(response), session.ip)
    except LoginRefused as refused:
        await _failed(session, asked, refused)
        return
    await welcome(session, asked, found)


def bearer(mechanism: str, response: bytes) -> tuple[str, str]:
    """Login and token out of an OAUTHBEARER or XOAUTH2 response; empty when malformed."""
    user, token = "", ""
    if mechanism == "OAUTHBEARER":
        head, _, response = response.partition(b"\x01")
        for piece in head.split(b","):
            if piece.startswith(b"a="):
                user = text(piece[2:]).replace("=2C", ",").replace("=3D", "=")
    for piece in response.split(b"\x01"):
        name, _, value = piece.partition(b"=")
        if name == b"user":
            user = text(value)
        elif name == b"auth" and value[:7].lower() == b"bearer ":
            token = text(value[7:])
    return user, token


async def _token(session: Session, asked: v.Command, response: bytes) -> None:
    """RFC 7628: a failure is a JSON challenge the client answers before NO."""
    user, token = bearer(asked.args.mechanism, response)
    try:
        if not token:
            raise LoginRefused("session.auth_failed", "malformed")
        found = await session.service.authenticator.token(token, user, session.ip)
    except LoginRefused as refused:
        if refused.rule == "session.auth_unavailable":  # the token is not invalid
            await _failed(session, asked, refused)
        else:
            _challenge(session, asked, refused)
        return
    await welcome(session, asked, found)


_WRONG = "[AUTHENTICATIONFAILED] Login failed"
_CODES = {
    "session.auth_locked": "[LIMIT] Too many failures, try again later",
    "session.mailbox_suspended": "[UNAVAILABLE] This mailbox is suspended or closed",
    # Nothing was found wrong: a program that hears AUTHENTICATIONFAILED throws the password away and asks for another.
    "session.auth_unavailable": "[UNAVAILABLE] Logging in is impossible for the moment, try again later",
}


def _challenge(session: Session, asked: v.Command, refused: LoginRefused) -> None:
    status = {"status": "invalid_token" if asked.args.mechanism == "OAUTHBEARER" else "401", "schemes": "bearer"}
    session.put(b"+ %b\r\n" % base64.b64encode(json.dumps(status).encode("ascii")))
    session.out.flush()
    session.awaited = lambda _line: _failed(session, asked, refused)


async def _failed(session: Session, asked: v.Command, refused: LoginRefused | None = None) -> None:
    session.failed_logins += 1
    session.tagged(asked, NO, _CODES.get(refused.rule if refused is not None else "", _WRONG))
    if session.failed_logins >= session.service.limits.bad_logins:
        session.out.bye(b"[LIMIT] too many failed logins")


async def welcome(session: Session, asked: v.Command, found: Login) -> None:
    """The login is good: count it, learn its rights, say so."""
    service = session.service
    session.standing = await service.standings.of(found)
    if "l" not in session.standing.rights and "r" not in session.standing.rights:
        session.tagged(asked, NO, "[NOPERM] You have no right to read this mailbox")
        return
    account = f"imap account {found.account}"
    if not service.tally.enter(account, service.limits.per_account):
        session.tagged(asked, NO, "[LIMIT] Too many connections for this account")
        return
    session.on_close.append(lambda: service.tally.leave(account))
    session.login = found
    session.state = AUTHENTICATED
    session.put(b"%b OK [CAPABILITY %b] Logged in\r\n" % (asked.tag, capabilities(session)))


# --------------------------------------------------------------------------- options of a session


@command("ENABLE", LOGGED_IN)
def enable(session: Session, asked: v.Command) -> None:
    """RFC 5161; QRESYNC brings CONDSTORE (RFC 7162 3.2.3), IMAP4rev2 and UTF8=ACCEPT bring UTF-8 names."""
    wanted = [word.decode("ascii", "replace").upper() for word in asked.args.words]
    new = [name for name in wanted if name in ENABLEABLE and name not in session.enabled]
    for name in new:
        if name == "QRESYNC" and not session.condstore:
            session.enable("CONDSTORE")
        session.enable(name)
    if session.rev2 and session.selected is not None:
        session.selected.recent.clear()
    spelled = b" ".join([ENABLEABLE[name] for name in dict.fromkeys(new)])
    session.put(b"* ENABLED %b\r\n" % spelled if spelled else b"* ENABLED\r\n")
    session.done(asked, "Enabled")


@command("COMPRESS", LOGGED_IN)
def compress(session: Session, asked: v.Command) -> None:
    """RFC 4978."""
    if [word.upper() for word in asked.args.words] != [b"DEFLATE"]:
        raise Refused("Only DEFLATE", b"", BAD)
    if session.out.compressed:
        raise Refused("Compression is already active", b"COMPRESSIONACTIVE")
    session.put(b"%b OK Compressing\r\n" % asked.tag)
    session.out.compress()
