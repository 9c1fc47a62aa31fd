"""GET /health, /ready and /metrics, for whatever watches over the service."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen import __version__
from cybersecqwen.service.database import Database
from cybersecqwen.service.metrics import CONTENT_TYPE
from cybersecqwen.service.problems import ProblemError, responses
from cybersecqwen.service.schemas import Health

router = APIRouter(tags=["Operations"])


@router.get("/health", summary="Tell whether the process answers", response_model=Health)
async def health() -> Health:
    """Say that the process runs; it does not look at the database."""
    return Health(version=__version__)


@router.get(
    "/ready",
    summary="Tell whether requests can be answered",
    response_model=Health,
    responses=responses(None, 503),
)
async def ready(request: Request) -> Health:
    """Say that the model is loaded and the database answers; 503 where not, and while it stops."""
    state = request.app.state
    if state.stopping:
        raise ProblemError(503, "the service is stopping", headers={"Retry-After": "5"})
    try:
        await run_in_threadpool(_ping, state.database)
    except SQLAlchemyError as error:
        raise ProblemError(
            503, "the database does not answer", headers={"Retry-After": "5"}
        ) from error
    return Health(version=__version__)


def _ping(database: Database) -> None:
    with database.read() as session:
        session.execute(text("SELECT 1"))


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus' text format"}},
)
async def metrics(request: Request) -> Response:
    """Return the metrics of all workers in Prometheus' text format."""
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE)
