"""Another operator's IMAP server as origin and target of a transfer, through imapclient.

Promise: TLS always (``imaps://``, or ``imap://`` with STARTTLS), the server's certificate is verified, the password is kept in
no attribute; messages are read with BODY.PEEK, so nothing is marked as seen.
Failure: :class:`mailboxes.transfer.TransferFailed` with the server's own words, cut and made printable.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError

from mailboxes.transfer import Letter, Shelf, TransferFailed

SPECIAL_USES = ("\\Sent", "\\Drafts", "\\Trash", "\\Junk", "\\Archive")
NEVER = frozenset({"\\Noselect", "\\NonExistent", "\\All", "\\Flagged"})
PATIENCE = 120.0
_OCTETS = re.compile(r"""\Ab(['"])(.*)\1\Z""", re.DOTALL)  # how imaplib quotes what the server said


def connect(url: str, password: str, context: ssl.SSLContext) -> IMAPClient:
    """Log in to ``imaps://user@host:port`` or ``imap://user@host:port`` (STARTTLS)."""
    try:
        parts = urlsplit(url)
        host, port, user = parts.hostname, parts.port, parts.username
    except ValueError:
        parts, host, port, user = urlsplit(""), None, None, None
    if parts.scheme not in ("imap", "imaps") or not host or not user or parts.password:
        raise TransferFailed("a server is imaps://USER@HOST[:PORT], without a password in it", "place")
    implicit = parts.scheme == "imaps"
    with _answering():
        client = IMAPClient(
            host, port or (993 if implicit else 143), ssl=implicit,
            ssl_context=context if implicit else None, timeout=PATIENCE,
        )  # fmt: skip
        if not implicit:
            client.starttls(context)
        client.normalise_times = False  # dates keep the zone they were stated in
        try:
            client.login(unquote(user), password)
        except LoginError as problem:
            said = _said(problem)
            raise TransferFailed(said, "" if "[UNAVAILABLE]" in said.upper() else "login", unquote(user)) from problem
    return client


@contextmanager
def _answering() -> Iterator[None]:
    """What the server refuses, and a line that breaks, end the transfer in its own words."""
    try:
        yield
    except ssl.SSLCertVerificationError as problem:
        raise TransferFailed(problem.verify_message, "unknown_server") from problem
    except (IMAPClientError, OSError) as problem:
        raise TransferFailed(_said(problem)) from problem


class ImapOrigin:
    """All selectable folders of an account, except views of others (\\All, \\Flagged)."""

    def __init__(self, client: IMAPClient) -> None:
        self._client = client
        self._separator = "/"

    @_answering()
    def shelves(self) -> list[Shelf]:
        found = []
        for flags, separator, name in self._client.list_folders():
            words = {flag.decode("ascii", "replace") for flag in flags}
            if words & NEVER:
                continue
            self._separator = separator.decode("ascii") if separator else "/"
            told = self._client.select_folder(name, readonly=True)
            uids = tuple(self._client.search(["ALL"])) if told[b"EXISTS"] else ()
            use = next((use for use in SPECIAL_USES if use in words), "")
            found.append(Shelf(_slashed(name, self._separator), use, told[b"UIDVALIDITY"], uids))
        return found

    def letters(self, shelf: Shelf, uids: Sequence[int]) -> Iterator[Letter]:
        name = shelf.name.replace("/", self._separator)
        with _answering():
            told = self._client.select_folder(name, readonly=True)
            if told[b"UIDVALIDITY"] != shelf.uidvalidity:
                raise TransferFailed(f"the folder {shelf.name} was made anew meanwhile", "anew", shelf.name)
            for uid in uids:
                data = self._client.fetch([uid], ["FLAGS", "INTERNALDATE", "BODY.PEEK[]"]).get(uid)
                if data is not None:
                    yield _letter(uid, data)


def _letter(uid: int, data: dict[bytes, object]) -> Letter:
    flags = data.get(b"FLAGS", ())
    date, content = data.get(b"INTERNALDATE"), data.get(b"BODY[]")
    words = tuple(flag.decode("ascii", "replace") for flag in flags) if isinstance(flags, tuple) else ()
    aware = date if isinstance(date, datetime) else datetime.now(UTC)
    return Letter(uid, words, aware, content if isinstance(content, bytes) else b"")


class ImapTarget:
    """An account that receives by APPEND."""

    def __init__(self, client: IMAPClient) -> None:
        self._client = client
        self._name = ""

    @_answering()
    def open(self, shelf: Shelf) -> None:
        names = {name: flags for flags, _, name in self._client.list_folders()}
        special = [name for name, flags in names.items() if shelf.special_use.encode() in flags]
        self._name = special[0] if shelf.special_use and special else shelf.name
        if self._name not in names and self._name.upper() != "INBOX":
            self._client.create_folder(self._name)
            self._client.subscribe_folder(self._name)

    @_answering()
    def holds(self, letter: Letter) -> bool:
        self._client.select_folder(self._name, readonly=True)
        size = len(letter.content)
        found = self._client.search(["LARGER", size - 1, "SMALLER", size + 1]) if size else []
        for uid in found:
            body = self._client.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"]
            if body == letter.content:
                return True
        return False

    def put(self, letters: Sequence[Letter]) -> list[str]:
        reasons = []
        for letter in letters:
            flags = [flag for flag in letter.flags if flag.lower() != "\\recent"]
            try:
                self._client.append(self._name, letter.content, flags, letter.date)
                reasons.append("")
            except (IMAPClientAbortError, OSError) as problem:
                raise TransferFailed(_said(problem)) from problem
            except IMAPClientError as problem:
                reasons.append(_said(problem))
        return reasons

    @_answering()
    def close(self) -> None:
        self._client.logout()


def _slashed(name: str, separator: str) -> str:
    return "/".join(part.replace("/", "_") for part in name.split(separator))


def _said(problem: Exception) -> str:
    text = _OCTETS.sub(r"\2", str(problem)[:300])
    return "".join(character if character.isprintable() else " " for character in text) or type(problem).__name__
