"""Export records with their verdicts and the audit trail, piece by piece.

    for piece in export(database, "csaf", Filters(state="decided"), actor=actor):
        file.write(piece)

A new format is an Export and a line in EXPORTS. Each file holds the events about its records, and
the hash of the newest event of the whole trail, against which `audit-trail verify --head` later
proves that nothing before it was changed. The export is an event itself.

A tenth of all records, always the same, is held out: it is in no training table, and measures the
next model and its calibration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session, defer, selectinload

from cybersecqwen.errors import InputError
from cybersecqwen.service.audit_trail import append
from cybersecqwen.service.database import Database
from cybersecqwen.service.exports.advisories import CSAF, CYCLONEDX
from cybersecqwen.service.exports.export import Export, ExportedRecord, Trail
from cybersecqwen.service.exports.platforms import DEFECTDOJO, OPENCVE
from cybersecqwen.service.exports.sarif import SARIF
from cybersecqwen.service.exports.tables import CSV, JSONL, TRAINING
from cybersecqwen.service.queue import Filters, conditions
from cybersecqwen.service.reviews import Actor
from cybersecqwen.service.tables import AuditEvent, Record, utc_now

EXPORTS: dict[str, Export] = {
    "csv": CSV,
    "jsonl": JSONL,
    "csaf": CSAF,
    "cyclonedx": CYCLONEDX,
    "sarif": SARIF,
    "training": TRAINING,
    "defectdojo": DEFECTDOJO,
    "opencve": OPENCVE,
}
_HELD_OUT = 0.1  # share of the records
_BATCH = 500  # records


def export(
    database: Database, name: str, filters: Filters, *, actor: Actor, held_out: bool = False
) -> Iterator[str]:
    """Yield a file of the records that a filter lets through, by the name of its format.

    With `held_out` only those that are never trained on are exported; without it, they are in every
    format but the one to train on. Raises InputError, at once, for a format that there is not.
    """
    if name not in EXPORTS:
        raise InputError(f"there is no export {name!r}", tip=f"known are {', '.join(EXPORTS)}")
    chosen = filters.model_dump(exclude_defaults=True, mode="json")
    details = {"format": name, "filter": chosen, "held_out": held_out}
    with database.write() as session:
        append(session, actor=actor.name, action="export", subject=name, details=details)
    only = True if held_out else False if name == "training" else None
    return _write(database, EXPORTS[name], filters, only)


def is_held_out(name: str) -> bool:
    """Tell whether a record is one that is never trained on; it always is or not.

    >>> sum(is_held_out(f"CVE-2021-{number}") for number in range(1000, 2000))
    87
    """
    drawn = int.from_bytes(hashlib.sha256(f"held out {name}".encode()).digest()[:4], "big")
    return drawn < _HELD_OUT * 2**32


def _write(
    database: Database, chosen: Export, filters: Filters, held_out: bool | None
) -> Iterator[str]:
    with database.read() as session:
        if not database.is_sqlite:  # whose reader sees one state anyway
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        newest = select(AuditEvent).order_by(AuditEvent.sequence.desc()).limit(1)
        last = session.scalars(newest).one()
        trail = Trail(last.sha256, last.sequence, utc_now())
        yield from chosen.write(_records(session, filters, held_out), trail)


def _records(session: Session, filters: Filters, held_out: bool | None) -> Iterator[ExportedRecord]:
    """Yield the records in the order in which they came, holding a batch of them at once."""
    last = 0
    query = select(Record).where(*conditions(filters)).order_by(Record.id).limit(_BATCH)
    query = query.options(selectinload(Record.reviews), selectinload(Record.comments))
    query = query.options(defer(Record.classification))
    while batch := session.scalars(query.where(Record.id > last)).all():
        about = AuditEvent.subject.in_([record.name for record in batch])
        events: dict[str, list[AuditEvent]] = {}
        for event in session.scalars(select(AuditEvent).where(about).order_by(AuditEvent.sequence)):
            events.setdefault(event.subject, []).append(event)
        for record in batch:
            if held_out is None or is_held_out(record.name) == held_out:
                yield ExportedRecord(record, events.get(record.name, ()))
        last = batch[-1].id
        session.expunge_all()
