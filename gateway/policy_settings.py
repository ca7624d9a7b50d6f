"""From the configuration to the settings each policy takes: one function per policy, nothing decided here.

Promise: pure; every key of the configuration that a policy knows about reaches it, so none can be set in vain.
Failure: none; a configuration that was loaded has values the policies accept.
"""

from __future__ import annotations

from datetime import timedelta

from gateway.relay.bounces import Bounces
from gateway.settings import Config
from policies.bounces import phrase_of
from policies.certificate import CertificateSettings, WhenUnknown
from policies.content import ContentSettings
from policies.penalties import Band, Scale
from policies.recipient import RecipientSettings
from policies.retry import Lane, Schedule
from policies.trust import FromPolicy, TrustSettings
from policies.unsolicited import VolumeSettings


def trust(config: Config) -> TrustSettings:
    """Who is in the space, and how fresh its list must be."""
    own = config.trust
    return TrustSettings(
        own_domains=frozenset(config.operator.domains),
        warn_after=timedelta(seconds=own.warn_age),
        alarm_after=timedelta(seconds=own.alarm_age),
        refuse_after=_unless_zero(own.refuse_age),
        generated_within=_unless_zero(own.generated_within),
        certificate=certificate(config),
        from_policy=FromPolicy(own.author),
        accept_resent=own.accept_resent,
    )


def _unless_zero(seconds: float) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds else None


def certificate(config: Config) -> CertificateSettings:
    """What a certificate must be."""
    own = config.trust
    return CertificateSettings(
        revocation_unknown=WhenUnknown(own.revocation_unknown), any_usage=own.any_usage, match_host=own.match_host
    )


def recipient(config: Config) -> RecipientSettings:
    """What a recipient's mailbox or domain allows."""
    return RecipientSettings(
        suspended_refuses=config.accounts.suspended_reply == "refuse",
        full_refuses=config.accounts.full_reply == "refuse",
        patient_domains=frozenset(config.limits.patient_domains),
        patient_size=config.limits.patient_size,
        domain_sizes=dict(config.limits.domain_sizes),
    )


def content(config: Config) -> ContentSettings:
    """What a message may hold."""
    return ContentSettings(size=config.limits.message_size, hops=config.limits.hops)


def volume(config: Config) -> VolumeSettings:
    """What looks like unsolicited mail."""
    own = config.unsolicited
    return VolumeSettings(
        slow_down=own.slow_down,
        refuse=own.refuse,
        broadcast_slow_down=own.broadcast_slow_down,
        broadcast_refuse=own.broadcast_refuse,
        exempt=frozenset(own.exempt),
        messages=config.limits.messages_per_account,
        recipients=config.limits.recipients_per_account,
    )


def penalties(config: Config) -> Scale:
    """What unsolicited mail costs."""
    own = config.penalties
    bands = (
        Band(0, own.second_small, own.further_small),
        Band(own.middle_from, own.second_middle, own.further_middle),
        Band(own.large_from, own.second_large, own.further_large),
    )
    return Scale(bands, own.forget_after)


def schedule(config: Config) -> Schedule:
    """When a partner that does not answer is tried again."""
    own = config.queue
    return Schedule(
        first=own.first_retry,
        cap=own.longest_retry,
        warn=own.warn_after,
        life=own.lifetime,
        unknown_domain=own.unknown_domain,
    )


def lane(config: Config) -> Lane:
    """How wide the way to one destination is."""
    wide = config.queue.per_destination
    return Lane(wide=wide, narrow=min(5, wide))


def bounces(config: Config) -> Bounces:
    """What bounces of patients' mailboxes look like (MSS-104)."""
    phrases = tuple(found for found in map(phrase_of, config.hprim.bounces) if found)
    return Bounces(frozenset(config.limits.patient_domains), phrases)
