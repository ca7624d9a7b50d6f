"""The directory of one operator: its own mailboxes as the register has them, beside the national extraction."""
