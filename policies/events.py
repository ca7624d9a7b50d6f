"""The typed vocabulary of what happens: journal, timeline, metrics and indicators only read it.

It lives with the policies, which every room may import, because mailboxes as well as the gateway record evidence; the
journal that chains and stores events is :mod:`gateway.record.journal`.
Promise: an event carries only the keys its kind declares, and never message text, a subject, a name or a secret
(MSS-146). Failure: an undeclared key raises ``ValueError`` where the event is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Kind(Enum):
    """Name of the event and the detail keys it may carry."""

    # the path of a message
    MESSAGE_ACCEPTED = (
        "message.accepted",
        "door ip size sender recipients sha256 helo certificate envid decisions codes ins nil",
    )
    MESSAGE_REFUSED = ("message.refused", "door ip sender recipients certificate helo decisions")
    DECISION = ("message.decision", "decisions")
    DELIVERED = ("message.delivered", "folder uid")
    QUEUED = ("message.queued", "domain")
    HANDED_OVER = ("message.handed_over", "host reply certificate attempt")
    DEFERRED = ("message.deferred", "host reply rule attempt next")
    HELD = ("message.held", "")
    RELEASED = ("message.released", "")
    FAILED = ("message.failed", "host reply rule status")
    EXPIRED = ("message.expired", "reply")
    NOTICE = ("message.notice", "notice about status")
    RECEIPT = ("message.receipt", "disposition code about")
    DEADLINE = ("message.deadline", "about")
    # sessions
    LOGIN = ("session.login", "means ip device mailbox")
    LOGIN_REFUSED = ("session.login_refused", "means ip reason mailbox")
    PEER_REFUSED = ("session.peer_refused", "door ip helo rule certificate detail decisions")
    CUT = ("session.cut", "reason ip")
    # reading and changing mailboxes (MSS-062, TOU-F01)
    READ = ("mailbox.read", "command folder count uids ip result")
    CHANGED = ("mailbox.changed", "command folder count uids ip result")
    ERASED = ("mailbox.erased", "command folder count uids ip result")
    # asking the directory (MSS-130)
    DIRECTORY_SEARCHED = ("directory.searched", "door ip searches entries refused")
    # accounts and mailboxes
    ACCOUNT = ("account.changed", "what account state reason")
    MAILBOX = ("account.mailbox", "what type state reason address certificate")
    MEMBER = ("account.member", "what account rights")
    DEVICE = ("account.device", "what device name")
    RULE = ("account.rule", "what rule target")
    SANCTION = ("account.sanction", "what case source step amount before recipients reason")
    SUSPENSION = ("account.suspension", "what number cause structure until reason")
    # the trust space
    TRUST_LIST = ("trust.list", "what version generated rows added removed changed sha256 reason")
    DIRECTORY_LIST = ("directory.list", "what entries added changed removed reason")
    REVOCATION_LIST = ("trust.revocation_list", "what issuer number next_update reason")
    CERTIFICATE_EXPIRY = ("trust.certificate_expiry", "subject days")
    EVIDENCE = ("evidence.made", "what with_body")
    # the service
    STARTED = ("service.started", "roles version")
    STOPPED = ("service.stopped", "roles")
    RELOADED = ("service.reloaded", "outcome reason")
    QUEUE_ACTION = ("service.queue_action", "what count")
    CLOCK_JUMP = ("service.clock_jump", "seconds")
    STORE_FAULT = ("service.store_fault", "what reference")
    INDICATORS = ("service.indicators", "what month count sha256 reference")
    PURGED = ("service.purged", "what count before")

    def __init__(self, word: str, keys: str) -> None:
        self.word = word
        self.keys = frozenset(keys.split())


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. ``actor`` is a login, a certificate subject, ``operator:<name>`` or ``system``.

    ``message`` is our own identifier of the message, ``recipient`` an address key, ``mailbox`` one of our mailbox ids.
    Detail values are strings, integers, booleans, or lists of them.
    """

    kind: Kind
    actor: str = "system"
    message: str = ""
    recipient: str = ""
    mailbox: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)
    written: str = field(default="", compare=False, repr=False)
    """``detail`` as the journal keeps it, where it was written before the commit that others wait for."""

    def __post_init__(self) -> None:
        unknown = self.detail.keys() - self.kind.keys
        if unknown:
            raise ValueError(f"{self.kind.word} does not declare {', '.join(sorted(unknown))}")
