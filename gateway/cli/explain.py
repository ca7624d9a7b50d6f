"""Why a message went where it went, or whether one would: each decision with its rule, source and remedy."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.context import Desk, opened
from gateway.cli.errors import REFUSED, USAGE, Said, word
from gateway.cli.language import chosen, tr
from gateway.cli.output import Json

if TYPE_CHECKING:
    from gateway.record.explain import Explanation, Reason
    from policies.decision import Decision

Message = Annotated[
    str,
    typer.Argument(
        help=tr(
            "Identifiant du message accepté, ou référence du refus : la réponse du serveur les donne.",
            "Identifier of the message accepted, or reference of the refusal: the server’s reply gives them.",
        )
    ),
]
From = Annotated[
    str, typer.Option("--from", help=tr("Question : expéditeur, ou « <> ».", "Question: sender, or “<>”."))
]
To = Annotated[
    list[str] | None, typer.Option("--to", help=tr("Question : destinataire(s).", "Question: recipient(s)."))
]
Cert = Annotated[
    Path | None,
    typer.Option("--cert", help=tr("Question : certificat présenté (PEM).", "Question: certificate presented (PEM).")),
]


NULL = "<>"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain", help=tr("Expliquer un message, ou une question.", "Explain a message, or a question."))(
        explain
    )


def explain(
    ctx: typer.Context, message: Message = "", from_: From = "", to: To = None, cert: Cert = None, as_json: Json = False
) -> None:
    asked = bool(from_ or to or cert)
    if asked is bool(message):
        raise Said("cli.explain_what", USAGE)
    if asked and not from_ and cert is None:
        raise Said("cli.explain_from", USAGE)
    with opened(ctx) as desk:
        if message:
            _message(desk, message, as_json)
        else:
            _question(desk, from_, to or [], cert, as_json)


def _message(desk: Desk, message: str, as_json: bool) -> None:
    from gateway.record.explain import UnknownMessage
    from gateway.record.explain import explain as read

    try:
        told: Explanation = desk.ask(lambda connection: read(connection, message, desk.console.language))
    except UnknownMessage:
        raise Said("cli.unknown_message", message=message[:64]) from None
    if as_json:
        output.as_json(told.to_json())
        return
    output.facts(
        [
            (tr("Message", "Message"), told.message),
            (tr("Sort", "Outcome"), _outcome(told)),
            (tr("Qui", "Who"), told.actor),
            (tr("De", "From"), "" if told.sender is None else told.sender or "<>"),
        ]
    )
    for reason in told.reasons:
        _show(reason)
    for step in told.steps:
        said = _SAID_ABOVE.get(step.what, "").split()
        kept = (pair for pair in step.facts.items() if pair[0] not in said and pair[1] not in ("", [], None))
        facts = " ".join(f"{key}={_plain(key, value)}" for key, value in kept)
        output.line("  ".join(part for part in (step.at, step.what, step.recipient, facts) if part))


_SAID_ABOVE = {"session.peer_refused": "rule detail"}
"""What a refused session also keeps beside its decision, for whoever counts by rule. Of other steps the rule is the reason."""


def _outcome(told: Explanation) -> str:
    if told.accepted:
        return tr("accepté", "accepted")
    if any(each.verdict == "refuse" for each in told.reasons):
        return tr("refusé", "refused")
    return tr("remis à plus tard", "deferred") if told.reasons else ""


def _plain(key: str, value: object) -> str:
    if key == "next" and isinstance(value, int):  # kept as seconds; who reads the steps compares it with their times
        return datetime.fromtimestamp(value, UTC).isoformat()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _show(reason: Reason) -> None:
    who = f"{reason.recipient}: " if reason.recipient else ""
    output.line(f"  [{word('verdict', reason.verdict or '?', chosen())}] {reason.rule}  ({', '.join(reason.sources)})")
    output.line(f"      {who}{reason.sentence} {reason.remedy}".rstrip())
    if reason.detail:
        output.line(f"      {reason.detail}")


def _question(desk: Desk, sender: str, recipients: list[str], cert: Path | None, as_json: bool) -> None:
    """Would this pass? The same policies, on the list and the revocations kept on disk."""
    from gateway.record.explain import reason

    language = desk.console.language
    inbound = cert is not None or _from_elsewhere(desk, sender)
    asked = [("mail", "", _sender(desk, sender, cert, inbound=inbound))]
    for recipient in recipients:
        decision = _recipient(desk, recipient, inbound)
        if decision.accepted and sender not in ("", NULL):
            decision = _standing(desk, sender, recipient) or decision
        asked.append(("rcpt", recipient, decision))
    reasons = [
        reason(stage, who, decision.rule.name, decision.parameters, decision.detail, language)
        for stage, who, decision in asked
    ]
    passes = all(decision.accepted for _, _, decision in asked)
    if as_json:
        output.as_json({"passes": passes, "decisions": [each.to_json() for each in reasons]})
    else:
        output.line(
            tr("Cela passerait.", "This would pass.")
            if passes
            else tr("Cela ne passerait pas.", "This would not pass.")
        )
        for each in reasons:
            _show(each)
    if not passes:
        raise typer.Exit(REFUSED)


def _from_elsewhere(desk: Desk, sender: str) -> bool:
    """Whether this sender would come by a partner's server: nobody else has an address that is not ours."""
    address = _address(sender) if sender != NULL else None
    return address is None or address.domain not in desk.storage.config.operator.domains


def _sender(desk: Desk, sender: str, cert: Path | None, *, inbound: bool) -> Decision:
    """A partner's sender with the certificate its server presents, or one of our own mailboxes."""
    from gateway.trust_space import kept_space
    from mailboxes import lookup
    from policies import trust
    from policies.catalogue import rule
    from policies.decision import decide
    from policies.sender import judge_mail_from
    from policies.values import Login

    address = _address(sender) if sender not in ("", NULL) else None
    space = kept_space(desk.storage.config, desk.storage.clock)
    if inbound:
        facts = space.reader.facts(_chain(cert), datetime.now(UTC)) if cert is not None else None
        domain = address.domain if address else None
        return trust.judge_inbound(facts, domain, space.trusted(), space.now, space.settings)
    found = desk.ask(lambda connection: lookup.facts(connection, address.key)) if address else None
    if address is None or found is None:
        return decide(rule("mailbox.not_found"), address=sender)
    login = Login(str(address), found.id, found.address, "device", frozenset({address.key}))
    return judge_mail_from(login, address, found)


def _recipient(desk: Desk, recipient: str, inbound: bool) -> Decision:
    from gateway import policy_settings
    from gateway.trust_space import kept_space
    from mailboxes import lookup
    from policies import recipient as policy
    from policies.values import Door

    address = _address(recipient)
    config = desk.storage.config
    space, own = kept_space(config, desk.storage.clock), policy_settings.recipient(config)
    found = desk.ask(lambda connection: lookup.facts(connection, address.key))
    door = Door.INBOUND if inbound else Door.SUBMISSION
    return policy.judge(door, address, found, 0, space.trusted(), space.now, space.settings, own)


def _standing(desk: Desk, sender: str, recipient: str) -> Decision | None:
    """The refusal of a sender whose sending is suspended."""
    from gateway.sanctions.letters import words
    from gateway.sanctions.standing import answer
    from mailboxes import lookup

    key, to, contest = _address(sender).key, _address(recipient), words(desk.storage.config).contest
    found = desk.ask(lambda connection: lookup.facts(connection, key))
    number, now = found.id if found is not None else 0, desk.storage.clock()
    told: Decision | None = desk.ask(lambda connection: answer(connection, number, key, to, contest, now))
    return told


def _address(text: str) -> Any:
    from policies.address import AddressError, parse

    try:
        return parse(text)
    except AddressError as problem:
        raise Said("cli.bad_address", USAGE, address=text[:254], problem=problem.word) from None


def _chain(path: Path) -> list[bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        return [one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(path.read_bytes())]
    except OSError as problem:
        raise Said("cli.cannot_read", USAGE, path=path, reason=problem) from None
    except ValueError:
        raise Said("config.not_a_certificate", USAGE, path=path) from None
