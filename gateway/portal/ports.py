"""What the pages stand on: the operator's people and store, the rules in force, two clocks.

Promise: nothing is opened here. Failure: none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from directory.allowance import Allowance
from directory.search import Directory
from gateway.people import People
from gateway.settings import Config
from mailboxes.commit import Committer, Reading
from mailboxes.rules import Judge
from mailboxes.web_sessions import WebRules


@dataclass(frozen=True, slots=True)
class Ports:
    """``config`` is asked with each request; ``clock`` gives epoch seconds, ``monotonic`` times what is limited; ``allowance`` is how much of
    the ``directory`` one person may see.

    ``judge`` tells whether a mailbox may forward to a target: the trust space is not the portal's to know.
    """

    config: Callable[[], Config]
    people: People
    committer: Committer
    reading: Reading
    judge: Judge
    directory: Directory
    allowance: Allowance
    clock: Callable[[], float]
    monotonic: Callable[[], float]

    @property
    def rules(self) -> WebRules:
        own = self.config().portal
        return WebRules(own.idle, own.longest, own.proof, own.remember)
