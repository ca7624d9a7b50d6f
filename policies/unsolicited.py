"""Judge volume: many recipients in an hour, the same content to many (TOU-A06, TOU-B03, F77).

Promise: nothing is dropped in silence (MSS-048). A first threshold slows down (temporary answer, the mail program tries
again), a second refuses with a sentence that says how to appeal; both decay by themselves with the counters. Writing to a
postmaster is never counted against anyone, nor are our own notices.
Failure: none; the counters are facts that someone else keeps.
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.catalogue import rule
from policies.decision import Decision, decide
from policies.values import Address, Door


@dataclass(frozen=True, slots=True)
class Volume:
    """What the sender did lately, this message not counted.

    ``recipients_last_hour`` over all messages; ``same_content`` the distinct recipients who already got this very
    content (by its hash, or by subject-free likeness) within the broadcast window.
    """

    recipients_last_hour: int = 0
    same_content: int = 0
    messages_last_hour: int = 0


@dataclass(frozen=True, slots=True)
class VolumeSettings:
    """Numbers of recipients; 0 switches a threshold off. ``exempt`` are senders' address keys or whole domains (an
    APP mailbox that sends results to many is normal). ``messages`` and ``recipients`` are the plain rates of a mailbox, per
    hour, which exempt nobody."""

    slow_down: int = 200
    refuse: int = 500
    broadcast_slow_down: int = 30
    broadcast_refuse: int = 50
    exempt: frozenset[str] = frozenset()
    messages: int = 0
    recipients: int = 0

    @property
    def counts(self) -> bool:
        """Whether any threshold is on: else there is nothing to count."""
        suspect = self.slow_down or self.refuse or self.broadcast_slow_down or self.broadcast_refuse
        return bool(suspect or self.messages or self.recipients)


DEFAULT = VolumeSettings()
RATE = "session.rate_limited"


def judge(
    door: Door, sender: Address | None, recipients: int, volume: Volume, settings: VolumeSettings = DEFAULT
) -> Decision:
    """The graver answer wins; broadcast over volume.

    The refusing thresholds count this message's ``recipients``; the slowing ones only what went before, since waiting
    would never make this message smaller.
    """
    if door is Door.INTERNAL or sender is None:
        return decide(rule("sender.accepted"))
    if settings.messages and volume.messages_last_hour >= settings.messages:
        return decide(rule(RATE), f"{volume.messages_last_hour} messages")
    if settings.recipients and volume.recipients_last_hour >= settings.recipients:
        return decide(rule(RATE), f"{volume.recipients_last_hour} recipients")
    if _exempt(sender, settings):
        return decide(rule("sender.accepted"))
    same = volume.same_content + recipients
    hour = volume.recipients_last_hour + recipients
    for name, count, limit in (
        ("sender.broadcast_refused", same, settings.broadcast_refuse),
        ("sender.volume_refused", hour, settings.refuse),
        ("sender.broadcast_slow_down", volume.same_content, settings.broadcast_slow_down),
        ("sender.volume_slow_down", volume.recipients_last_hour, settings.slow_down),
    ):
        if limit and count > limit:
            return decide(rule(name), str(count), limit=limit)
    return decide(rule("sender.accepted"))


def counted(recipient: Address) -> bool:
    """Whether a recipient counts towards the thresholds: postmasters never do (RFC 5321 section 4.5.1)."""
    return recipient.local.lower() != "postmaster"


def _exempt(sender: Address, settings: VolumeSettings) -> bool:
    return sender.key in settings.exempt or sender.domain in settings.exempt
