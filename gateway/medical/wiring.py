"""From the configuration and an open store to the reader of documents. Called by :mod:`gateway.service` and by commands."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from gateway.config import postmaster
from gateway.medical.memory import StoredMemory
from gateway.medical.pool import Reader, Readers
from gateway.medical.question import ReaderOptions
from gateway.medical.reader import DocumentReader, MedicalSettings
from gateway.medical.register_key import RegisterKey
from gateway.medical.registers import PatientRegisters
from gateway.relay.notices import House
from gateway.settings import Config
from policies.patient import PatientSettings

if TYPE_CHECKING:
    from gateway.compose import Storage
    from gateway.intake_ports import Mailboxes


def document_reader(config: Config, opened: Storage, boxes: Mailboxes, readers: Reader | None = None) -> DocumentReader:
    """The reader of one process. Its reading processes start with the first document."""
    key = RegisterKey(opened.master)
    return DocumentReader(
        settings=medical_settings(config),
        readers=readers or reading_processes(config),
        mailboxes=boxes,
        sealer=opened.sealer,
        store=opened.store,
        clock=opened.clock,
        token=lambda: secrets.token_hex(16),
        pool=opened.pool,
        registers=PatientRegisters(opened.reading, key),
        memory=StoredMemory(opened.reading, key),
    )


def reading_processes(config: Config) -> Readers:
    """The pool the configuration asks for."""
    own = config.hprim
    return Readers(own.readers, memory=own.reader_memory, seconds=max(1, int(own.reader_time)))


def medical_settings(config: Config) -> MedicalSettings:
    """What the reader judges by."""
    return MedicalSettings(
        house=House(config.operator.hostname, postmaster(config.operator)),
        policy=patient_settings(config),
        options=ReaderOptions(
            test_identities=config.operator.test_mode,
            lab_batches=config.hprim.several_patients,
            qualified_nia=config.hprim.qualified_nia,
            strict_restrictions=config.hprim.restrictions == "strict",
        ),
        notices=config.hprim.notices,
        history=config.hprim.history,
    )


def patient_settings(config: Config) -> PatientSettings:
    """The severities and tables of ``[hprim]``."""
    own = config.hprim
    return PatientSettings(
        profile=own.profile,
        severity=own.severity,
        directions=own.directions,
        types=own.types,
        partners=own.partners,
        domains=own.domains,
        header_domains=own.header_domains,
        header_types=frozenset(own.header_types),
        patient_domains=frozenset(config.limits.patient_domains),
        remark_attached=own.remark_attached,
        derogation=own.derogation,
    )
