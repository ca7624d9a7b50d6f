"""A reading process: one question in, one answer out, over pipes, under limits of memory and processor time (F09).

Started by :mod:`gateway.medical.pool` as ``python -m gateway.medical.worker MEMORY SECONDS``. Frames are four octets of length
(network order) and the bytes. It opens no file and no socket of its own.
Promise: memory stays within MEMORY octets above what it had at start plus the question itself; processor time per question
within SECONDS, then the kernel ends it. Failure: it dies, and its parent says so; it never answers half.
"""

from __future__ import annotations

import pickle
import resource
import signal
import sys
from collections.abc import Sequence
from itertools import islice
from typing import BinaryIO

from gateway.medical.met import Met, Person, bare
from gateway.medical.question import PartBytes, Question, Reading, answer_bytes
from gateway.medical.words import labels_of, safe_place, safe_sentence
from hprim.check import check_leaves, leaves_of
from hprim.endtoend import MAX_PARTS, unreadable
from hprim.findings import Profile
from hprim.history import marks
from hprim.model import Format, Part, Place, Problem, Report, Words
from hprim.strict import sought
from policies.patient import Finding, Said

LENGTH = 4
MOST_TRAITS = 20_000


def read(question: Question) -> Reading:
    """Read one message; pure but for the processor it takes."""
    options = question.options
    profile = Profile(
        require_header=options.header_required,
        test_identities=options.test_identities,
        lab_batches=options.lab_batches,
        qualified_nia=options.qualified_nia,
        strict_restrictions=options.strict_restrictions,
        extra_oids=frozenset(options.extra_oids),
    )
    parts = [Part(one.name, one.media_type, one.charset, one.data, one.is_body) for one in question.parts]
    leaves = leaves_of(parts)
    report = check_leaves(
        leaves,
        subject=question.subject,
        recipients=question.recipients,
        headers=question.headers,
        profile=profile,
        today=question.today,
    )
    return _reading(report, question.parts, leaves[:MAX_PARTS])


def _reading(report: Report, parts: tuple[PartBytes, ...], leaves: list[Part]) -> Reading:
    labels = labels_of([part.name for part in parts if not part.is_body])
    return Reading(
        findings=tuple(_finding(problem, labels) for problem in report.problems),
        told=tuple((_said(problem.place.said), _said(problem.sentence)) for problem in report.problems),
        codes=report.cda_codes,
        qualified=report.qualified_ins,
        has_cda=any(document.format is Format.CDA for document in report.documents),
        has_header=report.has_header,
        ins=tuple(sorted(report.ins)),
        numbers=tuple(sorted({patient.nir for patient in report.readings if patient.nir})),
        traits=tuple(
            islice(dict.fromkeys(text for one in report.readings for text in sought(one.traits)), MOST_TRAITS)
        ),
        body_length=_body_length(leaves),
        attachments=_attachments(leaves),
        sealed=any(unreadable(part) for part in leaves),
        patients=len(report.patients),
        met=_met(report, labels),
    )


def _met(report: Report, labels: dict[str, Words]) -> Met:
    documents = marks(report.documents)
    return Met(
        people=tuple(Person(bare(one), *_places(one.place, labels)) for one in report.patients),
        documents=tuple(documents),
        places=tuple(_places(place, labels) for place in documents.values()),
    )


def _places(place: Place, labels: dict[str, Words]) -> tuple[Said, Said]:
    safe = Said(safe_place(place, labels, "fr"), safe_place(place, labels, "en"))
    return safe, _said(place.said)


def _said(words: object) -> Said:
    assert callable(words)
    return Said(words("fr"), words("en"))


def _finding(problem: Problem, labels: dict[str, Words]) -> Finding:
    return Finding(
        problem.rule,
        problem.severity.value,
        Said(safe_place(problem.place, labels, "fr"), safe_place(problem.place, labels, "en")),
        Said(safe_sentence(problem, labels, "fr"), safe_sentence(problem, labels, "en")),
        Said(problem.remedy("fr"), problem.remedy("en")),
    )


def _attachments(parts: Sequence[Part]) -> int:
    """How many leaves are documents rather than the text of the message."""
    notices = ("message/", "application/pkcs7-signature", "application/x-pkcs7-signature")
    return sum(1 for part in parts if not part.is_body and not part.media_type.startswith(notices))


def _body_length(parts: Sequence[Part]) -> int:
    """Octets of text a reader sees; a page of HTML is mostly marks."""
    plain = sum(len(part.data.strip()) for part in parts if part.is_body and part.media_type == "text/plain")
    page = sum(len(part.data) // 4 for part in parts if part.is_body and part.media_type == "text/html")
    return max(plain, page)


def serve(source: BinaryIO, sink: BinaryIO, memory: int, seconds: int) -> None:
    """Answer until the pipe closes."""
    floor = _address_space()
    while head := source.read(LENGTH):
        size = int.from_bytes(head, "big")
        _bound(floor + memory + 4 * size, seconds)
        answer = answer_bytes(read(pickle.loads(source.read(size))))  # noqa: S301 - our own parent speaks
        sink.write(len(answer).to_bytes(LENGTH, "big") + answer)
        sink.flush()


def _address_space() -> int:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
        return int(file.read().split()[0]) * resource.getpagesize()


def _bound(memory: int, seconds: int) -> None:
    """Soft limits may be moved again for the next question; the hard ones stay."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory, hard))
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    spent = int(used.ru_utime + used.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, hard))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    serve(sys.stdin.buffer, sys.stdout.buffer, int(sys.argv[1]), int(sys.argv[2]))


if __name__ == "__main__":
    main()
