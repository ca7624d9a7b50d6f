"""The names of folders as the database holds them: sealed, because physicians name folders after patients.

The same name always gives the same text: it is looked for, and kept unique, without being opened, and tells nobody but who
has the key. INBOX, which every mailbox has, stays as it is.
Promise and failure: those of :mod:`mailboxes.sealed_text`.
"""

from __future__ import annotations

from mailboxes.sealed_text import SealedText

INBOX = "INBOX"
FILL = 32
_CONTEXT = b"caducee folder name"


class FolderNames:
    """Seals and opens the names of one mailbox's folders."""

    __slots__ = ("_text",)

    def __init__(self, key: bytes) -> None:
        self._text = SealedText(key, _CONTEXT, FILL)

    def sealed(self, name: str) -> str:
        """The name as it is stored."""
        return name if name == INBOX else self._text.sealed(name)

    def opened(self, stored: str) -> str:
        """The name again. Raises :class:`mailboxes.store.Corrupted`."""
        return stored if stored == INBOX else self._text.opened(stored)
