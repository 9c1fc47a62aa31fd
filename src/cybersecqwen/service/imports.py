"""Take in files: each record with its suggestion, and every row that was refused by name.

    import_id = begin(database, Path("feed.json.gz"), actor=actor, folder=folder)
    work = open_importer(database, settings)
    work.finish(import_id)

`begin` returns once a copy of the file is safe on disk. `finish` can be killed and called again: it
goes on behind what was stored. Formats are those that `cybersecqwen classify` reads:
CSV, JSONL, NVD, CVE JSON 5, CSAF, CycloneDX VEX, OSV, SARIF and the rest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import IO

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from cybersecqwen.analyst.classification import Classification, Given, as_row, classify
from cybersecqwen.analyst.embedded_classifier import Classifier, Embedded
from cybersecqwen.analyst.exploitation import known_exploited
from cybersecqwen.analyst.grounded_classifier import GroundedClassifier
from cybersecqwen.analyst.labels import conflict, record_labels
from cybersecqwen.analyst.optional_model import OptionalModel
from cybersecqwen.analyst.texts import read_file
from cybersecqwen.artifacts import FOLDER, certificate_of
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import Json, read_json
from cybersecqwen.records import Vulnerability
from cybersecqwen.service.audit_trail import append
from cybersecqwen.service.database import Database, batches
from cybersecqwen.service.products import index
from cybersecqwen.service.reviews import Actor, reopen
from cybersecqwen.service.settings import ServiceSettings
from cybersecqwen.service.tables import (
    EXPLOITED,
    UNRATED,
    Import,
    ImportProblem,
    Record,
    utc_now,
)
from cybersecqwen.service.webhooks import emit_records
from cybersecqwen.sources.severity import main_severity

_BATCH = 500  # records, of one transaction
_SLOW_BATCH = 8  # of a language model, so that little is lost, and the end of a process near
_PROBLEMS = 1000  # refused rows of one file that are kept with their reasons; all are counted
_BEAT = 15.0  # seconds between two signs that an import goes on, however slow its model is
_SAMPLES = 5  # answers of a language model that vote
_REST = 60.0  # seconds after which one that failed is asked again
_LONGEST_NAME = 200  # bytes, of a copy's name


def begin(database: Database, name: str, stream: IO[bytes], *, actor: Actor, folder: Path) -> int:
    """Copy a file to where it is imported from, and return the number of its import."""
    path = copy_file(name, stream, folder)
    with _removed_on_error(path.parent), database.write() as session:
        return add_import(session, name, path, actor=actor).id


@contextmanager
def _removed_on_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def copy_file(name: str, stream: IO[bytes], folder: Path) -> Path:
    """Copy a file into a folder; it is on disk, whole, before an import is known to anybody."""
    safe = Path(_storable(name)).name.encode(errors="replace")[-_LONGEST_NAME:]
    path = folder / token_hex(8) / (safe.decode(errors="ignore") or "upload")
    path.parent.mkdir(parents=True)
    with _removed_on_error(path.parent), path.open("wb") as copy:
        shutil.copyfileobj(stream, copy)
        copy.flush()
        os.fsync(copy.fileno())
    return path


def add_import(session: Session, name: str, path: Path, *, actor: Actor) -> Import:
    """Add the import of a copy, which begins by that."""
    now, name = utc_now(), _storable(name)[:200]
    row = Import(name=name, actor=actor.name, path=str(path), begun_at=now, beat_at=now)
    session.add(row)
    session.flush()
    append(session, actor=actor.name, action="import", subject=name)
    return row


def open_importer(
    database: Database,
    settings: ServiceSettings,
    *,
    records: Sequence[Path] = (),
    stopping: threading.Event | None = None,
) -> Importer:
    """Return an importer that classifies with the model of the settings on top of what ships.

    Where that model fails, what ships classifies, and it is asked again after a while.
    """
    classifier: Classifier = Embedded()
    if settings.model != "embedded":
        model = OptionalModel(settings.model, rest=_REST)
        classifier = GroundedClassifier(model, classifier, samples=_SAMPLES)
    certificate = read_json(certificate_of(FOLDER, "cwe-classifier.npz"))
    return Importer(
        database,
        classifier,
        engine=settings.model,
        artifact=certificate["sha256"],
        threshold=settings.threshold,
        records=records,
        stopping=stopping or threading.Event(),
    )


@dataclass
class Importer:
    """Reads files into records, and classifies each on the way.

    `engine` and `artifact` name what classifies. In `records` lie the feeds that are at hand. Once
    `stopping` is set an import is left after the batch under way.
    """

    database: Database
    classifier: Classifier
    engine: str
    artifact: str
    threshold: float
    records: Sequence[Path] = ()
    stopping: threading.Event = field(default_factory=threading.Event)

    def finish(self, import_id: int) -> Import:
        """Read what an import brought, to its end; a file that cannot be read ends as failed.

        One that is left half-way stays running; called again, this goes on from there.
        """
        row = self._import(import_id)
        if row.state != "running":
            return row
        own = update(Import).where(Import.id == import_id)

        def beat(session: Session) -> None:
            session.execute(own.values(beat_at=utc_now()))

        with self.database.beating(beat, seconds=_BEAT):
            self._read(row)
        done = self._import(import_id)
        if done.state != "running":
            shutil.rmtree(Path(row.path).parent, ignore_errors=True)
        return done

    def _import(self, import_id: int) -> Import:
        with self.database.read() as session:
            return session.get_one(Import, import_id)

    def _read(self, row: Import) -> None:
        problems: list[InputError] = []
        again = row.refused  # problems that were kept before, and come first

        def report(problem: InputError) -> None:
            nonlocal again
            if again:
                again -= 1
            else:
                problems.append(problem)

        size = _BATCH if self.engine == "embedded" else _SLOW_BATCH
        stored = row.new + row.changed + row.unchanged
        try:
            every = read_file(Path(row.path), records=self.records, report=report)
            given = islice(_accepted(every, row, report), stored, None)
            while batch := list(islice(given, size)):
                for some in _distinct(batch):
                    if self.stopping.is_set() or not self._take(row, some, problems, stored):
                        return
                    stored += len(some)
            self._end(row, problems)
        except CyberSecQwenError as error:
            self._end(row, problems, error=_said(error, row))

    def classify(self, given: Sequence[Given], *, source: str) -> dict[str, Json]:
        """Return the columns of the records of texts that come by themselves, by their names."""
        return self._rows({_record_name(str(one.id)): one for one in given}, source, None)

    def _take(
        self, row: Import, named: dict[str, Given], problems: list[InputError], stored: int
    ) -> bool:
        """Store records behind those that are stored; False where another process has done so."""
        rows = self._rows(named, row.name, row.id)
        with self.database.write() as session:
            held = session.get_one(Import, row.id)
            if held.new + held.changed + held.unchanged != stored:
                return False
            counts = _store(session, rows, Actor(row.actor))
            for name, number in counts.items():
                setattr(held, name, getattr(held, name) + number)
            held.beat_at = utc_now()
            _keep(session, held, problems)
        return True

    def _end(self, row: Import, problems: list[InputError], error: str = "") -> None:
        with self.database.write() as session:
            held = session.get_one(Import, row.id)
            if held.state != "running":
                return  # another process has ended it
            _keep(session, held, problems)
            held.state = "failed" if error else "done"
            held.error, held.ended_at = error, utc_now()
            counts = {
                name: getattr(held, name) for name in ("new", "changed", "unchanged", "refused")
            }
            append(
                session,
                actor=row.actor,
                action=f"import {held.state}",
                subject=row.name,
                details={"import": row.id, "error": error, **counts},
            )

    def _rows(self, named: dict[str, Given], source: str, import_id: int | None) -> dict[str, Json]:
        """Return the columns of records by their names."""
        named = {
            name: one._replace(id=name, text=_storable(one.text)) for name, one in named.items()
        }
        results = classify(
            named.values(),
            classifier=self.classifier,
            top=5,
            threshold=self.threshold,
        )
        exploited = known_exploited(named, self.records)[1]
        rows = {}
        for result, (name, one) in zip(results, named.items(), strict=True):
            rows[name] = _facts(one.record, result, name in exploited) | {
                "name": name,
                "text": one.text,
                "text_sha256": hashlib.sha256(one.text.encode()).hexdigest(),
                "source": source[:200],
                "import_id": import_id,
                "engine": self.engine,
                "artifact": self.artifact,
            }
        return rows


def add_rows(session: Session, rows: dict[str, Json], *, source: str, actor: Actor) -> list[str]:
    """Store classified texts that came by themselves; return their names."""
    _store(session, rows, actor)
    texts = {name: row["text_sha256"] for name, row in rows.items()}
    append(session, actor=actor.name, action="add", subject=source, details={"texts": texts})
    return list(rows)


def _accepted(
    given: Iterable[Given], row: Import, report: Callable[[InputError], None]
) -> Iterator[Given]:
    """Yield what becomes a record, under the name that it gets; a refused one is a problem."""
    for one in given:
        name = _record_name(str(one.id).replace(row.path, row.name))
        if one.refused:
            report(InputError(one.refused, where=name))
        else:
            yield one._replace(id=name)


def _record_name(name: str) -> str:
    return _storable(name)[:200]


def _storable(text: str) -> str:
    """Return a text without the character that PostgreSQL cannot hold."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _distinct(batch: Sequence[Given]) -> Iterator[dict[str, Given]]:
    """Yield records in groups in which each name stands once."""
    named: dict[str, Given] = {}
    for given in batch:
        name = str(given.id)
        if name in named:
            yield named
            named = {}
        named[name] = given
    if named:
        yield named


def _said(error: CyberSecQwenError, row: Import) -> str:
    """Return an error as whoever brought the file knows it: without the path of our copy."""
    return str(error).replace(row.path, row.name)


def _facts(record: Vulnerability | None, result: Classification, exploited: bool) -> Json:
    """Return the columns that come of a CVE record and of its classification."""
    labels = record_labels(record) if record else ()
    cvss = main_severity(record) if record else None
    severity = cvss.score if cvss and cvss.score is not None else UNRATED
    first = result.candidates[0] if result.candidates else None
    confidence = first.confidence if first else 0.0
    return {
        "published": record.published if record else "",
        "vector": cvss.vector if cvss else "",
        "severity": severity,
        "exploited": exploited,
        "labels": [{"source": one.source, "cwe": one.cwe} for one in labels],
        "label": labels[0].cwe if labels else "",
        "affected": [
            {name: _storable(value) for name, value in one._asdict().items()}
            for one in (record.affected if record else ())
        ],
        "differs": bool(result.difference or conflict(labels)),
        "suggested": first.cwe if first else "",
        "confidence": confidence,
        "abstained": result.abstain,
        "urgency": exploited * EXPLOITED + 10 * max(severity, 0.0) + 1 - confidence,
        "classification": as_row(result),
    }


def _store(session: Session, rows: dict[str, Json], actor: Actor) -> dict[str, int]:
    """Insert the new records and update those that changed; a changed text reopens its review."""
    held = {
        record.name: record
        for some in batches(rows)
        for record in session.scalars(select(Record).where(Record.name.in_(some)))
    }
    now = utc_now()
    new = [
        row | {"imported_at": now, "classified_at": now}
        for name, row in rows.items()
        if name not in held
    ]
    affected = {
        one.id: rows[name]["affected"]
        for name, one in held.items()
        if one.affected != rows[name]["affected"]
    }
    if new:
        added = session.execute(insert(Record).returning(Record.id, Record.name), new)
        affected |= {number: rows[name]["affected"] for number, name in added}
        emit_records(session, new)
    index(session, affected)
    changed = sum(_update(session, one, rows[name], actor) for name, one in held.items())
    return {"new": len(new), "changed": changed, "unchanged": len(held) - changed}


def _update(session: Session, record: Record, row: Json, actor: Actor) -> bool:
    """Bring a record up to date, and tell whether anything that counts has changed."""
    told = ("text_sha256", "severity", "exploited", "labels", "affected", "artifact")
    if all(getattr(record, name) == row[name] for name in told):
        return False
    rewritten = record.text_sha256 != row["text_sha256"]
    for name, value in row.items():
        setattr(record, name, value)
    record.classified_at = utc_now()
    if rewritten and record.state != "open":
        reason = "the description has changed"
        reopen(session, record, actor=actor, action="reopen", reason=reason)
    return True


def _keep(session: Session, row: Import, problems: list[InputError]) -> None:
    """Count what was refused, and keep why; the list is emptied."""
    room = max(_PROBLEMS - row.refused, 0)
    row.refused += len(problems)
    for problem in problems[:room]:
        session.add(ImportProblem(import_id=row.id, message=_said(problem, row)))
    problems.clear()
