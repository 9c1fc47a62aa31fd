"""Drift of the workplace: what `cybersecqwen drift` measures, on its records and verdicts.

    outcome = drift_report(database)
    outcome.alarms

The classifications are those that the records have. Against labels of feeds counts what the model
would expect of feeds, against verdicts what it suggested.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from cybersecqwen.analyst.drift import (
    REFERENCE_WINDOWS,
    DriftReport,
    DriftSettings,
    Observation,
    report,
)
from cybersecqwen.analyst.drift.observation import REVIEWED
from cybersecqwen.analyst.drift.windows import day_of, sample, window_of
from cybersecqwen.cwe.label import LABEL_SOURCES
from cybersecqwen.service.database import Database, batches
from cybersecqwen.service.tables import Record, Review

_BATCH = 500  # records


def drift_report(database: Database, settings: DriftSettings | None = None) -> DriftReport:
    """Measure drift in a workplace; raises InputError where it has too few records for that."""
    settings = settings or DriftSettings()
    months = 2 * REFERENCE_WINDOWS[settings.by]
    since = date.fromordinal(settings.today.toordinal() - 31 * months).isoformat()
    with database.read() as session:
        return report(
            list(_observations(session, settings, since)),
            reviewed=list(_verdicts(session, settings, since)),
            settings=settings,
        )


def _observations(session: Session, settings: DriftSettings, since: str) -> Iterator[Observation]:
    chosen = sorted(_chosen(session, settings, since))
    for ids in batches(chosen):
        for record in session.scalars(select(Record).where(Record.id.in_(ids))):
            day = day_of(record.published)
            if day:
                yield _observation(record, day)
        session.expunge_all()


def _chosen(session: Session, settings: DriftSettings, since: str) -> Iterator[int]:
    """Yield the numbers of the records of a sample of each window."""
    windows: dict[str, dict[str, int]] = {}
    dated = select(Record.id, Record.name, Record.published).where(Record.published >= since)
    for number, name, published in session.execute(dated.execution_options(yield_per=_BATCH)):
        day = day_of(published)
        if day and day <= settings.today:
            windows.setdefault(window_of(day, settings.by).name, {})[name] = number
    for named in windows.values():
        yield from sample(named, settings.size).values()


def _observation(record: Record, day: date) -> Observation:
    feed = record.classification.get("feed_label") or {}
    labels: dict[str, str] = {}
    for label in record.labels:
        if label["source"] in LABEL_SOURCES and label["cwe"].startswith("CWE-"):
            labels.setdefault(label["source"], label["cwe"])
    return Observation(
        record.name,
        day,
        record.text,
        feed.get("cwe", record.suggested),
        feed.get("confidence", record.confidence),
        record.abstained,
        labels,
    )


def _verdicts(session: Session, settings: DriftSettings, since: str) -> Iterator[Observation]:
    given = (
        select(Review, Record)
        .join(Record)
        .where(Review.withdrawn_at == "", Review.at >= since, Record.state == "decided")
        .order_by(Review.id)
    )
    for review, record in session.execute(given.execution_options(yield_per=_BATCH)):
        day = day_of(review.at)
        if day:
            yield Observation(
                f"{record.name} {review.id}",
                day,
                record.text,
                review.suggested,
                review.confidence,
                labels={REVIEWED: review.cwe},
            )
