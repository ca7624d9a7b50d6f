"""The relay: the queue of remote recipients, the courier that serves it, and the notices owed to senders."""
