"""What is told of a reading: what history adds to it, the header fields it is due, the remarks in its sender's notice.

Promise: pure. Whole words, a patient's name among them, are for the notice in the sender's own mailbox; a decision never holds
them. Failure: none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.medical import notice
from gateway.medical.memory import Remark
from gateway.medical.met import Met
from gateway.medical.question import Reading
from hprim.model import Place, Problem
from hprim.rules import CATALOGUE
from mailboxes.anatomy import Anatomy
from policies.decision import Decision
from policies.patient import Finding, Said


def completed(reading: Reading, anatomy: Anatomy) -> Reading:
    """A missing X-MSS-INS is written by us: nothing to reproach the sender with."""
    if "INS" in anatomy.mss or not reading.codes:
        return reading
    findings = tuple(replace(found, severity="N") if found.name == "HID-059" else found for found in reading.findings)
    return replace(reading, findings=findings)


def remembered(reading: Reading, remarks: Sequence[Remark]) -> Reading:
    """The reading with what history says of it."""
    if not remarks:
        return reading
    told = [_remark(remark, reading.met) for remark in remarks]
    findings = (*reading.findings, *(finding for finding, _ in told))
    return replace(reading, findings=findings, told=(*reading.told, *(words for _, words in told)))


def _remark(remark: Remark, met: Met) -> tuple[Finding, tuple[Said, Said]]:
    if remark.person >= 0:
        place, told = met.people[remark.person].place, met.people[remark.person].told
    else:
        place, told = met.places[remark.document]
    definition = CATALOGUE[remark.rule]
    parameters = {"detail": remark.detail} if remark.detail else {}
    problem = Problem(definition, definition.severity, Place(), parameters)
    sentence = Said(problem.sentence("fr"), problem.sentence("en"))
    advice = Said(problem.remedy("fr"), problem.remedy("en"))
    return Finding(remark.rule, definition.severity.value, place, sentence, advice), (told, sentence)


def due_fields(reading: Reading, anatomy: Anatomy) -> dict[str, str]:
    """MSS-093, MSS-095: what the archive holds, where the message does not say it or says it wrongly."""
    if not reading.codes:
        return {}
    due = {"CODECDA": ",".join(reading.codes), "INS": "O" if reading.qualified else "N"}
    said = anatomy.mss
    return {f"X-MSS-{name}": value for name, value in due.items() if said.get(name, "").strip() != value}


def remarks_of(warned: tuple[Decision, ...], reading: Reading) -> list[notice.Remark]:
    """The warnings in full words: the sender may read what he wrote."""
    full = {
        (found.name, found.place.fr, found.sentence.fr.rstrip(". ")): words
        for found, words in zip(reading.findings, reading.told, strict=True)
    }
    remarks = []
    for decision in warned:
        given = decision.parameters
        words = full.get((given.get("finding", ""), given.get("place_fr", ""), given.get("sentence_fr", "")))
        advice = (decision.remedy("fr"), decision.remedy("en"))
        if words is None:
            remarks.append(
                notice.Remark(f"{decision.sentence('fr')} {advice[0]}", f"{decision.sentence('en')} {advice[1]}")
            )
            continue
        place, sentence = words
        name = given["finding"]
        french = f"[{name}] {place.fr.replace(' de le ', ' du ')} : {sentence.fr} {advice[0]}".strip()
        remarks.append(notice.Remark(french, f"[{name}] {place.en}: {sentence.en} {advice[1]}".strip()))
    return remarks
