"""IMAP4rev1 and rev2: grammar, session and socket kept apart."""
