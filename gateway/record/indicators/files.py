"""The monthly files: written, made again, deposited, and made anonymous once their time has passed (MSS-140, TOU-A12).

A month is a folder ``AAAAMM`` below ``indicators.folder``: the files of each domain and ``SHA256SUMS``, which
``sha256sum -c`` verifies. Promise: a file is whole or absent, and readable by the service's user and its group alone; the same
journal gives the same octets again. ``indicators.keep`` after a month its files name no mailbox any more, however often they are
made. Failure: :class:`NotOver`, :class:`NotBuilt`, :class:`Altered`; ``OSError`` for a folder that cannot be written.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import Connection, delete, insert, select, update

from gateway.record.indicators.counting import Ask, count
from gateway.record.indicators.figures import Figures, Month
from gateway.record.indicators.indicator_tables import indicator_file
from gateway.record.indicators.proposal import PROPOSAL, Form
from gateway.settings.indicators import Indicators
from mailboxes.given import create, make_folder, sync_folder
from mailboxes.unit import Unit
from policies.events import Event, Kind

if TYPE_CHECKING:
    from gateway.compose import Storage

log = structlog.get_logger("caducee.indicators")

FORMS: Mapping[str, Form] = {"proposal": PROPOSAL}
"""One for each value of ``indicators.form``."""
SUMS = "SHA256SUMS"

Do = Callable[[Callable[[Unit], Any]], Any]
"""Runs a piece of work in a durable transaction: :meth:`mailboxes.commit.Committer.run_sync`, or that of a running service."""


class NotOver(Exception):
    """The month has not ended: its figures are not final."""


class NotBuilt(Exception):
    """There are no final files of that month."""


class Altered(Exception):
    """A file is not there any more, or not as it was made; ``args[0]`` is its name."""


@dataclass(frozen=True, slots=True)
class Made:
    """A file as it is remembered."""

    month: int
    name: str
    sha256: str
    size: int
    built_at: int
    anonymous: bool
    deposited_at: int
    deposited_by: str
    deposited_sha256: str
    reference: str

    @property
    def changed(self) -> bool:
        """Whether it was made differently after it was deposited; without names, it always is."""
        return bool(self.deposited_at) and self.deposited_sha256 != self.sha256


@dataclass(frozen=True, slots=True)
class Desk:
    """Where indicators are made: the store, the settings and the domains, ours and those of patients."""

    ask: Ask[Any]
    do: Do
    settings: Indicators
    domains: Collection[str]
    patients: Collection[str]

    def build(self, month: Month, now: float, *, partial: bool = False, folder: Path | None = None) -> list[Made]:
        """Make the files of a month. One that is not over is made only as ``partial``, and cannot be deposited."""
        if month.end > now and not partial:
            raise NotOver(str(month))
        form, anonymous = FORMS[self.settings.form], now > month.end + self.settings.keep
        figures = count(self.ask, month, self.patients)
        texts = rendered(form, figures, self._domains(figures), anonymous=anonymous)
        place = (folder or self.settings.folder) / str(month.packed)
        make_folder(place)
        for name, text in texts.items():
            write(place / name, text)
        sums = "".join(f"{hashlib.sha256(text).hexdigest()}  {name}\n" for name, text in texts.items())
        write(place / SUMS, sums.encode())
        sync_folder(place)
        if folder is None:
            self.do(lambda unit: _remember(unit, month, texts, anonymous=anonymous))
            return [one for one in self.ask(made) if one.month == month.packed]
        return [_told(month, name, text, int(now), anonymous=anonymous) for name, text in texts.items()]

    def _domains(self, figures: Figures) -> list[str]:
        """Those served, and those that were while the month lasted."""
        return sorted({*self.domains, *(box.domain for box in figures.boxes)})

    def deposit(self, month: Month, reference: str, actor: str) -> list[Made]:
        """Remember that the files of a month were handed over as they are now on the disk."""
        files = [one for one in self.ask(made) if one.month == month.packed]
        if not files or any(one.built_at < month.end for one in files):
            raise NotBuilt(str(month))
        for one in files:
            try:
                there = (self.settings.folder / str(month.packed) / one.name).read_bytes()
            except FileNotFoundError:
                raise Altered(one.name) from None
            if hashlib.sha256(there).hexdigest() != one.sha256:
                raise Altered(one.name)
        self.do(lambda unit: _deposit(unit, month, files, reference, actor))
        return [one for one in self.ask(made) if one.month == month.packed]

    def make_anonymous(self, now: float) -> list[Month]:
        """Make again, without names, the files whose time has passed; their months."""
        late = {
            month
            for one in self.ask(made)
            if not one.anonymous and now > (month := Month.numbered(one.month)).end + self.settings.keep
        }
        for month in sorted(late):
            self.build(month, now)
        return sorted(late)


def rendered(form: Form, figures: Figures, domains: Sequence[str], *, anonymous: bool) -> dict[str, bytes]:
    """File name to what it holds, in order."""
    found = {}
    for domain in domains:
        for sheet in form.anonymous if anonymous else form.sheets:
            text = io.StringIO()
            writer = csv.writer(text, delimiter=form.separator, lineterminator=form.line_end)
            writer.writerow(sheet.columns)
            writer.writerows(sheet.rows(figures, domain))
            found[form.file_name(domain, figures.month.packed, sheet)] = text.getvalue().encode(form.encoding)
    return found


def write(path: Path, data: bytes) -> None:
    """Put a file in place, whole and synced."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(create(temporary, os.O_WRONLY | os.O_TRUNC), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def made(connection: Connection) -> list[Made]:
    """Every file ever made, by month and name."""
    rows = connection.execute(select(indicator_file).order_by(indicator_file.c.month, indicator_file.c.name))
    return [Made(**{**row, "anonymous": bool(row["anonymous"])}) for row in rows.mappings()]


def _told(month: Month, name: str, text: bytes, now: int, *, anonymous: bool) -> Made:
    return Made(month.packed, name, hashlib.sha256(text).hexdigest(), len(text), now, anonymous, 0, "", "", "")


def _remember(unit: Unit, month: Month, texts: Mapping[str, bytes], *, anonymous: bool) -> None:
    """The files there are now. What was deposited stays known, also of a domain that is gone."""
    table, before = indicator_file, {one.name: one for one in made(unit.connection) if one.month == month.packed}
    for name, text in texts.items():
        one = _told(month, name, text, int(unit.now), anonymous=anonymous)
        values = {"sha256": one.sha256, "size": one.size, "built_at": one.built_at, "anonymous": int(anonymous)}
        if name in before:
            where = (table.c.month == month.packed) & (table.c.name == name)
            unit.connection.execute(update(table).where(where).values(values))
        else:
            fresh = {"deposited_at": 0, "deposited_by": "", "deposited_sha256": "", "reference": ""}
            unit.connection.execute(insert(table), {"month": month.packed, "name": name, **values, **fresh})
    gone = [name for name, one in before.items() if name not in texts and not one.deposited_at]
    if gone:
        unit.connection.execute(delete(table).where(table.c.month == month.packed, table.c.name.in_(gone)))
    what = "made anonymous" if anonymous else "built"
    unit.emit(Event(Kind.INDICATORS, detail={"what": what, "month": str(month), "count": len(texts)}))


def _deposit(unit: Unit, month: Month, files: Sequence[Made], reference: str, actor: str) -> None:
    table = indicator_file
    for one in files:
        where = (table.c.month == month.packed) & (table.c.name == one.name)
        values = {
            "deposited_at": int(unit.now),
            "deposited_by": actor,
            "deposited_sha256": one.sha256,
            "reference": reference,
        }
        unit.connection.execute(update(table).where(where).values(values))
    sums = hashlib.sha256("".join(f"{one.sha256}  {one.name}\n" for one in files).encode()).hexdigest()
    detail = {"what": "deposited", "month": str(month), "count": len(files), "sha256": sums, "reference": reference}
    unit.emit(Event(Kind.INDICATORS, actor=actor, detail=detail))


def make_anonymous(storage: Storage) -> None:
    """For the daily round, beside the event loop. A folder that another user of the service owns is left to whoever can write it."""
    config = storage.config
    desk = Desk(
        storage.reading.run_sync,
        storage.committer.run_sync,
        config.indicators,
        config.operator.domains,
        config.limits.patient_domains,
    )
    try:
        for month in desk.make_anonymous(storage.clock()):
            log.info("indicators_made_anonymous", month=month.packed)
    except OSError as problem:
        log.error("indicators_not_made_anonymous", error=type(problem).__name__)
