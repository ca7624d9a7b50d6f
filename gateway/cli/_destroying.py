"""``caducee mailbox destroy``: the end of a mailbox, and its certificate (TOU-E07)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gateway import housekeeping
from gateway.cli import output
from gateway.cli._signing import signer
from gateway.cli.context import actor, opened
from gateway.cli.errors import USAGE, Said
from gateway.cli.language import tr
from gateway.record.evidence import gathering
from gateway.record.journal import AnchorFile
from mailboxes import register
from policies.lifecycle import Step
from policies.values import BalState


def destroy(ctx: Any, address: str, out: Path, reason: str, *, yes: bool, as_json: bool) -> None:
    """Of a mailbox destroyed before, only what is left goes, and the certificate is written again."""
    if out.exists():  # before anything is destroyed
        raise Said("transfer.exists", USAGE, place=out)
    with opened(ctx) as desk:
        config = desk.storage.config
        key = signer(desk)
        found = desk.ask(lambda connection: register.get(connection, address))
        if found.state is not BalState.DELETED:
            if not yes:
                output.confirm(
                    tr(
                        f"Détruire pour toujours le contenu de {address} ?",
                        f"Destroy the content of {address} for ever?",
                    )
                )
            desk.do(lambda unit: desk.people.register.move(unit, address, Step.DELETE, reason, actor()))
        with asyncio.Runner() as runner:
            runner.run(housekeeping.erase(desk.storage, found.id))
        anchors = AnchorFile(config.journal.anchor).read()

        def gathered(connection: Any) -> Any:
            box, now = register.get(connection, address), desk.storage.clock()
            return gathering.destruction(connection, box, anchors, operator=config.operator.name, now=now)

        try:
            facts, files = desk.ask(gathered)
        except gathering.TooLong:
            raise Said("evidence.too_long", limit=gathering.LONGEST) from None
        octets = output.new_file(out, (gathering.sealed(facts, files, key),))
    if as_json:
        output.as_json({"mailbox": str(found.address), "file": str(out), "octets": octets})
    else:
        output.line(desk.console.say("evidence.destroyed", address=found.address, path=out))
