"""The numbers of the dashboard: agreement, calibration, coverage, throughput, age of the feeds.

Each is one query over an index or over the verdicts, whatever the number of records is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Case, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from cybersecqwen.benchmark.statistics import wilson
from cybersecqwen.service.tables import FeedUpdate, Record, Review
from cybersecqwen.sources import stale_after
from cybersecqwen.sources.feed import days_since

BINS = 10  # of the confidence
_DAYS, _MONTHS = 28, 12


class Share(NamedTuple):
    """A share of some verdicts, with its 95 % Wilson interval."""

    name: str
    hits: int
    number: int
    share: float
    low: float
    high: float


class ConfidenceBin(NamedTuple):
    """What became of suggestions of about the same confidence."""

    low: float
    high: float
    confidence: float  # their mean
    agreement: Share


class Day(NamedTuple):
    """The verdicts of a day."""

    name: str
    number: int

    @property
    def short(self) -> str:
        """The day without its year."""
        return self.name[5:]


class FeedAge(NamedTuple):
    """How old a feed is, and whether that is an alarm."""

    feed: str
    days: float | None  # since it last succeeded
    limit: int
    changed_at: str
    error: str

    @property
    def overdue(self) -> bool:
        """Tell whether it has not succeeded for longer than its limit."""
        return self.days is None or self.days > self.limit


class Coverage(NamedTuple):
    """How many suggestions are confident enough to be shown as such."""

    confident: int
    number: int
    bins: Sequence[int]  # records by confidence, BINS of them


def _share(name: str, hits: int, number: int) -> Share:
    low, high = wilson(hits / number, number)
    return Share(name, hits, number, hits / number, low, high)


def agreement(session: Session) -> tuple[Share | None, list[Share]]:
    """Return how often first and second verdicts were the suggestion: in all, and by month."""
    month = func.substr(Review.at, 1, 7)
    query = (
        select(month, func.count(), func.sum(case((Review.cwe == Review.suggested, 1), else_=0)))
        .where(Review.withdrawn_at == "", Review.stage != "resolution", Review.suggested != "")
        .group_by(month)
        .order_by(month)
    )
    rows = session.execute(query).all()
    months = [_share(name, hits, number) for name, number, hits in rows]
    if not months:
        return None, []
    total = _share("all", sum(m.hits for m in months), sum(m.number for m in months))
    return total, months[-_MONTHS:]


def calibration(session: Session) -> list[ConfidenceBin]:
    """Return how often suggestions of each confidence were agreed with."""
    place = _bin_of(Review.confidence)
    query = (
        select(
            place,
            func.count(),
            func.avg(Review.confidence),
            func.sum(case((Review.cwe == Review.suggested, 1), else_=0)),
        )
        .where(Review.withdrawn_at == "", Review.stage != "resolution", Review.suggested != "")
        .group_by(place)
        .order_by(place)
    )
    return [
        ConfidenceBin(
            at / BINS,
            (at + 1) / BINS,
            float(mean),
            _share(f"{at / BINS:.0%} to {(at + 1) / BINS:.0%}", hits, number),
        )
        for at, number, mean, hits in session.execute(query)
    ]


def _bin_of(confidence: InstrumentedAttribute[float]) -> Case[int]:
    """Return the number of the bin of a confidence; a cast would round in PostgreSQL."""
    bounds = [(confidence < (at + 1) / BINS, at) for at in range(BINS - 1)]
    return case(*bounds, else_=BINS - 1)


def coverage(session: Session, threshold: float) -> Coverage:
    """Return how many suggestions reach the threshold, and how many have each confidence."""
    place = _bin_of(Record.confidence)
    sure = func.sum(case((Record.confidence >= threshold, 1), else_=0))
    rows = session.execute(select(place, func.count(), sure).group_by(place)).all()
    bins = {at: number for at, number, _ in rows}
    return Coverage(
        sum(hits for _, _, hits in rows),
        sum(bins.values()),
        [bins.get(at, 0) for at in range(BINS)],
    )


def throughput(session: Session, today: date | None = None) -> list[Day]:
    """Return the verdicts of each of the last days, today's last."""
    today = today or datetime.now(UTC).date()
    days = [(today - timedelta(days=back)).isoformat() for back in range(_DAYS)][::-1]
    day = func.substr(Review.at, 1, 10)
    query = select(day, func.count()).where(Review.at >= days[0]).group_by(day)
    given: dict[str, int] = dict(session.execute(query).all())
    return [Day(name, given.get(name, 0)) for name in days]


def reviewers(session: Session) -> list[tuple[str, dict[str, int]]]:
    """Return how many verdicts of each kind every reviewer has given."""
    query = (
        select(Review.reviewer, Review.verdict, func.count())
        .where(Review.withdrawn_at == "")
        .group_by(Review.reviewer, Review.verdict)
    )
    given: dict[str, dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(("accept", "correct", "reject"), 0)
    )
    for name, verdict, number in session.execute(query):
        given[name][verdict] = number
    return sorted(given.items(), key=lambda one: -sum(one[1].values()))[:20]


def feeds(session: Session, now: datetime | None = None) -> list[FeedAge]:
    """Return how long ago each feed last succeeded."""
    return [
        FeedAge(
            row.feed,
            days_since(row.succeeded_at, now),
            stale_after(row.feed),
            row.changed_at,
            row.error,
        )
        for row in session.scalars(select(FeedUpdate).order_by(FeedUpdate.feed))
    ]
