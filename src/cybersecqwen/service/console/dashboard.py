"""The dashboard: how far the suggestions can be relied on, and what needs attention."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen.service.console import figures as numbers
from cybersecqwen.service.console.drift_pages import latest
from cybersecqwen.service.console.page import PageRoute, Visited, figures, render_page
from cybersecqwen.service.queue import states

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_SECONDS = 15.0  # for which its numbers are shown before they are computed anew


@router.get("/dashboard")
def dashboard(request: Request, visit: Visited) -> Response:
    """Show all numbers, each chart with its table."""
    state = request.app.state
    with state.database.read() as session:

        def compute() -> dict[str, Any]:
            return _numbers(session, state.settings.threshold)

        held = figures(request).get("dashboard", compute, seconds=_SECONDS)
    threshold = state.settings.threshold
    return render_page(
        request, visit, "dashboard", threshold=threshold, drift=latest(request), **held
    )


def _numbers(session: Session, threshold: float) -> dict[str, Any]:
    total, months = numbers.agreement(session)
    return {
        "states": states(session),
        "agreement": total,
        "months": months,
        "calibration": numbers.calibration(session),
        "coverage": numbers.coverage(session, threshold),
        "throughput": numbers.throughput(session),
        "reviewers": numbers.reviewers(session),
        "feeds": numbers.feeds(session),
    }
