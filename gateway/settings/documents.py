"""What is looked at in a message: `[hprim]` and `[scan]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.config_fields import setting
from gateway.settings.units import DAY, MINUTE, GiB, MiB
from policies.bounces import PHRASES

Severity = Literal["refuse", "warn", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hprim:
    """Medical content: how severe each finding is. Rules that the profile cannot lower stay as they are."""

    profile: Literal["standard", "strict", "observe"] = setting(
        "choice",
        "`standard`, `strict` (warnings refuse too) or `observe` (everything is only noted).",
        "standard",
        choices=("standard", "strict", "observe"),
    )
    severity: Mapping[str, Severity] = setting(
        "severities", 'Severity by rule, such as `HID-041 = "warn"`: refuse, warn or note.', {}
    )
    domains: Mapping[str, Mapping[str, Severity]] = setting(
        "severities_by", 'The same for one recipient domain: `[hprim.domains."mssante.exemple.org"]`.', {}
    )
    types: Mapping[str, Mapping[str, Severity]] = setting(
        "severities_by", "The same for one type of sending mailbox: `[hprim.types.APP]`.", {}
    )
    directions: Mapping[str, Mapping[str, Severity]] = setting(
        "severities_by", "The same for one way in: `[hprim.directions.submission]` or `inbound` (partners).", {}
    )
    partners: Mapping[str, Mapping[str, Severity]] = setting(
        "severities_by", 'The same for what one partner domain sends: `[hprim.partners."mssante.exemple.org"]`.', {}
    )
    header_domains: tuple[str, ...] = setting(
        "domains",
        "Recipient domains, with all below them, whose mail needs an HPRIM header (TOU-B01).",
        ("apicrypt.org",),
    )
    cda_domains: tuple[str, ...] = setting(
        "domains",
        "Recipient domains, with all below them, to which `caducee send` puts a PDF or a text inside a CDA document, as it\n"
        "does for patients.",
        (),
    )
    header_types: tuple[str, ...] = setting(
        "names", "Types of sending mailboxes (PER, ORG, APP, CAB) whose mail always needs one.", ()
    )
    restrictions: Literal["allow-ps-only", "strict"] = setting(
        "choice",
        "Restriction flags of documents (MSS-113): the three published combinations only (strict), or also\n"
        "documents for professionals with nothing hidden, the most ordinary case.",
        "allow-ps-only",
        choices=("allow-ps-only", "strict"),
    )
    several_patients: bool = setting(
        "flag", "Let one HPRIM file hold several patients, each with a whole header (batches of laboratories).", False
    )
    qualified_nia: bool = setting("flag", "Count a waiting number (NIA) as a qualified INS.", False)
    derogation: bool = setting(
        "flag",
        "Professionals may still send an INS whose identity is not qualified, with a warning; patients never get one.\n"
        "Set it to false when the derogation of the reference framework ends (MSS-109).",
        True,
    )
    notices: bool = setting(
        "flag", "Tell our users about warnings, in one message to their own INBOX; otherwise the journal only.", True
    )
    remark_attached: bool = setting(
        "flag", "Remark when the information is attached instead of being in the text (TOU-B02).", True
    )
    history: Literal["mailbox", "operator", "none"] = setting(
        "choice",
        "What a new document is compared with: the patients and documents its mailbox met before, those of all our\n"
        "mailboxes together, or nothing (HID-090 to HID-099). Only digests under a secret key are kept.",
        "mailbox",
        choices=("mailbox", "operator", "none"),
    )
    history_keep: float = setting(
        "duration",
        "How long a patient or document that is not met again is remembered.",
        180 * DAY,
        low=DAY,
        high=3660 * DAY,
    )
    conversation_keep: float = setting(
        "duration",
        "How long a patient may answer a message: the exchange is forgotten then (MSS-101).",
        3 * 365 * DAY,
        low=DAY,
        high=3660 * DAY,
    )
    reply_to: bool = setting(
        "flag",
        "Deliver a patient's answer to the mailbox that the message he answers named in Reply-To, when it is one of ours,\n"
        "instead of the sender's (MSS-103).",
        True,
    )
    bounces: tuple[str, ...] = setting(
        "names",
        "Words by which bounces of patients' mailboxes tell their cause, tried in this order: `cause: words`, cause being\n"
        "closed, unknown, invalid or too_large (MSS-104). The words of Mon espace santé are partly supposed.",
        PHRASES,
    )
    nil: str = setting("text", "Product number written as X-MSS-NIL by `caducee send` (MSS-096); empty: none.", "")
    readers: int = setting("number", "Processes that read medical documents.", 2, low=1, high=64, reload=False)
    reader_memory: int = setting(
        "size", "Memory one of them may take for one message.", 256 * MiB, low=64 * MiB, high=16 * GiB, reload=False
    )
    reader_time: float = setting(
        "duration",
        "Processor time one message may take; beyond it the sender is asked to try again.",
        5.0,
        low=1,
        high=60,
        reload=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The virus scanner. When it does not answer, mail waits (451): it is never called clean."""

    clamd: str = setting("clamd", "`off`, a Unix socket `/run/clamav/clamd.ctl`, or `host:port`.", "off")
    timeout: float = setting("duration", "Time for one message.", 30.0, low=0.1, high=10 * MINUTE)
