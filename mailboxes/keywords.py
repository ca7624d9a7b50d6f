"""The flags of a message as the database holds them: keywords sealed, because physicians name labels after patients.

System flags and the words of :data:`PUBLIC` stay as they are, so that ordinary mail costs nothing. Any other keyword is a
token: :data:`MARK`, then the sealed word. The same word always gives the same token, so equal flags are equal texts and few.
Outside the store flags are opened: mail programs, rules and transfers only ever meet words.
Promise: a word that was given is stored in clear only if it is public, however it is spelled; what is opened is canonical
(:mod:`mailboxes.flags`). Both ways are remembered: a folder has few different flags.
Failure: none. A token that does not open (altered, or of another mailbox) is left out of what is opened, so that its message is
read without it; it stays in the row until the flags are replaced as a whole, and ``caducee fsck`` tells of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from mailboxes.flags import SYSTEM, canonical
from mailboxes.sealed_text import SealedText
from mailboxes.store import Corrupted, Entry

MARK = "%"
"""No keyword that IMAP sets can hold it (RFC 9051 9, list-wildcards)."""
FILL = 16
REMEMBERED = 4096
_CONTEXT = b"caducee keyword"

# IANA, "IMAP and JMAP Keywords": what programs tell one another of a message.
_REGISTERED = (
    "$Forwarded $MDNSent $SubmitPending $Submitted $Junk $NotJunk $Phishing $Important $hasAttachment $hasNoAttachment"
)
# Thunderbird's five labels, whose names it keeps to itself, and older spellings of the above.
_USUAL = "$label1 $label2 $label3 $label4 $label5 Junk NonJunk NotJunk Forwarded"
_OURS = "$Integrated $IntegrationRefused"  # gateway.integration
PUBLIC = frozenset(f"{_REGISTERED} {_USUAL} {_OURS}".lower().split())
_CLEAR = PUBLIC.union(SYSTEM)


class Keywords:
    """Seals and opens the flags of one mailbox's messages."""

    __slots__ = ("_opened", "_sealed", "_text")

    def __init__(self, key: bytes) -> None:
        self._text = SealedText(key, _CONTEXT, FILL)
        self._opened: dict[str, tuple[str, str]] = {}
        self._sealed: dict[str, str] = {}

    def sealed(self, flags: str, before: str = "") -> str:
        """Canonical flags as they are stored, with what cannot be opened of ``before``, the flags stored until now."""
        stored = self._sealed.get(flags)
        if stored is None:
            if len(self._sealed) >= REMEMBERED:
                self._sealed.clear()
            stored = self._sealed[flags] = " ".join(map(self._token, flags.split(" ")))
        lost = self.lost(before)
        return f"{stored} {lost}".lstrip() if lost else stored

    def opened(self, stored: str) -> str:
        """The flags again, without those that cannot be opened."""
        return self._read(stored)[0] if MARK in stored else stored

    def lost(self, stored: str) -> str:
        """The tokens that cannot be opened."""
        return self._read(stored)[1] if MARK in stored else ""

    def _token(self, word: str) -> str:
        return MARK + self._text.sealed(word) if word and word.lower() not in _CLEAR else word

    def _read(self, stored: str) -> tuple[str, str]:
        found = self._opened.get(stored)
        if found is None:
            words, lost = [], []
            for word in stored.split(" "):
                try:
                    words.append(self._text.opened(word[1:]) if word.startswith(MARK) else word)
                except Corrupted:
                    lost.append(word)
            if len(self._opened) >= REMEMBERED:
                self._opened.clear()
            found = self._opened[stored] = canonical(words), " ".join(lost)
        return found

    def open_all(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries as those outside the store see them."""
        return [one._replace(flags=self.opened(one.flags)) if MARK in one.flags else one for one in entries]


def any_sealed(entries: Iterable[Entry]) -> bool:
    """Whether a key is needed to read these flags: mostly not, and a whole folder is asked in a fraction of a millisecond."""
    return any(MARK in flags for flags in {entry[2] for entry in entries})
