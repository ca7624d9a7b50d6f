"""Mailboxes: who owns them, what they hold, and how mail programs read them (IMAP)."""
