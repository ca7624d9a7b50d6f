"""What enters a mailbox by IMAP passes the same content policies as what enters by SMTP: size, build, virus.

Promise: nothing infected is stored by APPEND, whoever appends it. Failure: a scanner that does not answer is a deferral.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.scan import Scanner, ScanUnavailable
from mailboxes.anatomy import Anatomy
from policies import content as policy
from policies.catalogue import rule
from policies.content import ContentSettings
from policies.decision import Decision, decide
from policies.values import Login


class ContentGate:
    """Implements :class:`mailboxes.imap.ports.Gate`. Drafts and copies may have any author; only content is judged."""

    def __init__(self, scanner: Scanner, settings: Callable[[], ContentSettings]) -> None:
        self._scanner = scanner
        self._settings = settings

    async def judge(self, login: Login, content: bytes, anatomy: Anatomy) -> Decision:
        """One decision about one message to be appended."""
        try:
            finding = await self._scanner.scan(content)
        except ScanUnavailable as problem:
            return decide(rule("scan.unavailable"), str(problem))
        if finding.threat:
            return decide(rule("content.infected"), finding.threat)
        return policy.judge_size(anatomy.size, self._settings())
