"""Drift of the workplace's records and verdicts, measured beside the pages and kept for an hour."""

from __future__ import annotations

from typing import NamedTuple

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen.analyst.drift import GROUPS, MEASURES, DriftReport, DriftSettings, drift_svg
from cybersecqwen.errors import InputError
from cybersecqwen.service.console.page import PageRoute, Visited, figures, render_page
from cybersecqwen.service.database import Database
from cybersecqwen.service.drift import drift_report

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_SIZE = 200  # records of a month that are looked at
_SECONDS = 3600.0  # for which a report is shown before it is made anew


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


def measure(database: Database) -> Drift:
    """Measure drift of the last two years of records and verdicts."""
    try:
        outcome = drift_report(database, DriftSettings(size=_SIZE))
    except InputError as error:
        return Drift(None, missing=error.what)
    return Drift(outcome, drift_svg(outcome))
