"""Our own form of the monthly files, until the manager of the space publishes one: five CSV files for each domain (MSS-140).

A form is a :class:`Form` and nothing else; another one is a module like this one and a line in
:data:`gateway.record.indicators.files.FORMS`. CSV in UTF-8, separated by ``;``, lines ended by CR LF, dates ``AAAA-MM-JJ`` in UTC.
An unknown date is an empty cell (MSS-141). Promise: the text depends on the figures alone. Failure: none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from gateway.record.indicators.figures import Box, Figures, Flow, Line, lines
from policies.values import BalState

Row = Sequence[object]
Rows = Callable[[Figures, str], Iterable[Row]]
"""The rows of a domain."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One file of a domain."""

    name: str
    columns: tuple[str, ...]
    rows: Rows


@dataclass(frozen=True, slots=True)
class Form:
    """``sheets`` while mailboxes may be named, ``anonymous`` what takes their place afterwards (TOU-A12)."""

    sheets: tuple[Sheet, ...]
    anonymous: tuple[Sheet, ...]
    encoding: str = "utf-8"
    separator: str = ";"
    line_end: str = "\r\n"

    def file_name(self, domain: str, month: int, sheet: Sheet) -> str:
        return f"{domain}_{month}_{sheet.name}.csv"


STATES: Mapping[BalState, str] = {
    BalState.ACTIVE: "ACTIVE",
    BalState.SUSPENDED: "SUSPENDUE",
    BalState.CLOSED: "FERMEE",
    BalState.DELETED: "SUPPRIMEE",
}


def _date(value: date | None) -> str:
    return "" if value is None else value.isoformat()


def _yes(value: bool) -> str:
    return "O" if value else "N"


def _boxes(figures: Figures, domain: str) -> Iterable[Row]:
    for box in figures.of(domain):
        created, last = _date(box.created), _date(box.last_login)
        yield box.address, box.type.value, created, last, STATES[box.state], _yes(box.red_list)


def _boxes_counted(figures: Figures, domain: str) -> Iterable[Row]:
    counts = Counter((box.type.value, STATES[box.state], _yes(box.red_list)) for box in figures.of(domain))
    return [(*what, count) for what, count in sorted(counts.items())]


def _days(figures: Figures, box: Box) -> list[str]:
    """One for each day somebody logged in; a mailbox without any has one that is empty."""
    return [_date(figures.month.day(day)) for day in box.days] or [""]


def _logins(figures: Figures, domain: str) -> Iterable[Row]:
    return [(box.address, box.type.value, day) for box in figures.of(domain) for day in _days(figures, box)]


def _logins_counted(figures: Figures, domain: str) -> Iterable[Row]:
    counts = Counter((box.type.value, day) for box in figures.of(domain) for day in _days(figures, box))
    return [(*what, count) for what, count in sorted(counts.items())]


def _flow(figures: Figures, line: Line, flow: Flow) -> Row:
    _, day, kind, other = line
    return (
        _date(figures.month.day(day)),
        kind,
        other,
        flow.messages,
        flow.sent,
        flow.patients,
        flow.documents,
        flow.ins_yes,
        flow.ins_no,
        flow.octets,
        flow.octets_sent,
    )


def _sent(figures: Figures, domain: str) -> Iterable[Row]:
    return [_flow(figures, line, flow) for line, flow in lines(figures.sent, domain)]


def _received(figures: Figures, domain: str) -> Iterable[Row]:
    return [_flow(figures, line, flow) for line, flow in lines(figures.received, domain)]


_WAYS = {"sent": "EMISSION", "received": "RECEPTION"}


def _documents(figures: Figures, domain: str) -> Iterable[Row]:
    for (own, way, code, program), count in sorted(figures.documents.items()):
        if own == domain:
            yield _WAYS[way], code, program, count.messages, count.sent


_BOX = "adresse type date_creation date_derniere_connexion etat liste_rouge"
_FLOW = (
    "date type_bal domaine_correspondant nb_messages nb_envois nb_messages_patient nb_avec_xdm nb_ins_O nb_ins_N"
    " volume_octets volume_envois"
)
_WITHOUT_NAMES = (
    Sheet("EMISSIONS", tuple(_FLOW.split()), _sent),
    Sheet("RECEPTIONS", tuple(_FLOW.split()), _received),
    Sheet("DOCUMENTS", ("sens", "code_cda", "nil", "nb", "nb_envois"), _documents),
)

PROPOSAL = Form(
    sheets=(
        Sheet("BAL", tuple(_BOX.split()), _boxes),
        Sheet("CONNEXIONS", ("adresse", "type", "date"), _logins),
        *_WITHOUT_NAMES,
    ),
    anonymous=(
        Sheet("BAL", ("type", "etat", "liste_rouge", "nb"), _boxes_counted),
        Sheet("CONNEXIONS", ("type", "date", "nb"), _logins_counted),
        *_WITHOUT_NAMES,
    ),
)
