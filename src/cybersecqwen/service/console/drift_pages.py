"""Drift of the workplace's records and verdicts, measured beside the pages and kept for an hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

from fastapi import APIRouter
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen.analyst.drift import (
    GROUPS,
    MEASURES,
    DriftReport,
    DriftSettings,
    Observation,
    drift_svg,
    report,
)
from cybersecqwen.analyst.drift.observation import REVIEWED
from cybersecqwen.analyst.drift.windows import day_of, sample
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.service.console.page import PageRoute, Visited, figures, render_page
from cybersecqwen.service.database import Database
from cybersecqwen.service.tables import Record, Review

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_SIZE = 200  # records of a month that are looked at
_DAYS = 24 * 31
_SECONDS = 3600.0  # for which a report is shown before it is made anew
_BATCH = 500  # records


class Drift(NamedTuple):
    """A report and its chart, or why there is none."""

    report: DriftReport | None
    chart: str = ""
    missing: str = ""


@router.get("/dashboard/drift")
def drift_page(request: Request, visit: Visited) -> Response:
    """Show the report, or that it is being made."""
    drift = latest(request)
    return render_page(request, visit, "drift", drift=drift, groups=GROUPS, measures=MEASURES)


def latest(request: Request) -> Drift | None:
    """Return the newest report; None while the first one is being made."""
    database = request.app.state.database
    held: Drift | None = figures(request).later(
        "drift", lambda: measure(database), seconds=_SECONDS
    )
    return held


def measure(database: Database, settings: DriftSettings | None = None) -> Drift:
    """Measure drift of the last two years of records and verdicts."""
    with database.read() as session:
        records, verdicts = list(_records(session)), list(_verdicts(session))
    try:
        chosen = settings or DriftSettings(size=_SIZE)
        outcome = report(records, reviewed=verdicts, settings=chosen)
    except InputError as error:
        return Drift(None, missing=error.what)
    return Drift(outcome, drift_svg(outcome))


def _records(session: Session) -> Iterator[Observation]:
    """Yield a sample of the records of each month."""
    newest = day_of(session.scalar(select(func.max(Record.published))) or "")
    if newest is None:
        return
    dated = select(Record.id, Record.name, Record.published).where(
        Record.published >= str(newest - timedelta(days=_DAYS))
    )
    months: dict[str, dict[str, tuple[int, date]]] = defaultdict(dict)
    for number, name, published in session.execute(dated.execution_options(yield_per=_BATCH)):
        if day := day_of(published):
            months[published[:7]][name] = number, day
    days = dict(one for month in months.values() for one in sample(month, _SIZE).values())
    numbers = list(days)
    for start in range(0, len(numbers), _BATCH):
        some = select(Record).where(Record.id.in_(numbers[start : start + _BATCH]))
        yield from (_observation(record, days[record.id]) for record in session.scalars(some))


def _observation(record: Record, day: date) -> Observation:
    """Return a record by what feeds would label it with, which labels can be held against."""
    row = record.classification
    said: Json = row.get("feed_label") or next(iter(row.get("candidates", ())), {})
    labels: dict[str, str] = {}
    for label in record.labels:
        if label["cwe"].startswith("CWE-"):
            labels.setdefault(label["source"], label["cwe"])
    cwe, confidence = said.get("cwe", ""), said.get("confidence", 0.0)
    return Observation(record.name, day, record.text, cwe, confidence, record.abstained, labels)


def _verdicts(session: Session) -> Iterator[Observation]:
    """Yield the verdicts that count, each beside what was suggested."""
    since = str(date.today() - timedelta(days=_DAYS))
    query = (
        select(Review, Record.name)
        .join(Record)
        .where(Review.at >= since, Review.withdrawn_at == "")
        .order_by(Review.id)
    )
    for review, name in session.execute(query.execution_options(yield_per=_BATCH)):
        if day := day_of(review.at):
            yield Observation(
                name,
                day,
                "",
                review.suggested,
                review.confidence,
                not review.suggested,
                {REVIEWED: review.cwe},
            )
