"""GET /v1/export: records with their verdicts and the audit trail, in other programs' formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cybersecqwen.files import Json
from cybersecqwen.service.authentication import authorise
from cybersecqwen.service.exports import EXPORTS, export
from cybersecqwen.service.problems import ProblemError, responses
from cybersecqwen.service.routes.records import FILTER_PARAMETERS, filters_of
from cybersecqwen.service.tables import utc_now

router = APIRouter(tags=["Records"])

_PIECE = 1 << 16  # characters that are sent together
_OWN = ("format", "held_out")
_ANSWER: Json = {
    "description": "The file",
    "content": {one.media_type: {"schema": {"type": "string"}} for one in EXPORTS.values()},
}


@router.get(
    "/v1/export",
    summary="Export records",
    responses=responses(_ANSWER, 401, 403, 422, 429),
    response_class=Response,
    openapi_extra={"parameters": FILTER_PARAMETERS},
)
async def export_records(
    request: Request,
    name: Annotated[
        str, Query(alias="format", max_length=20, json_schema_extra={"enum": [*EXPORTS]})
    ],
    held_out: Annotated[
        bool, Query(description="Only the tenth of the records that is never trained on.")
    ] = False,
) -> Response:
    """Export the records that the filters let through, by default the open ones.

    An empty `state` is any. Each file holds the events about its records and the hash of the newest
    one of all. That you exported is an event itself.
    """
    actor = await authorise(request, "records")
    filters = filters_of(request, besides=_OWN)
    if name not in EXPORTS:
        raise ProblemError(422, f"format: there is no {name!r}, known are {', '.join(EXPORTS)}")
    database = request.app.state.database
    pieces = await run_in_threadpool(
        export, database, name, filters, actor=actor, held_out=held_out
    )
    chosen = EXPORTS[name]
    file = f"cybersecqwen-{utc_now()[:10]}{chosen.ending}"
    return StreamingResponse(
        _together(pieces),
        media_type=chosen.media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{file}"',
            "Cache-Control": "no-store",
        },
    )


def _together(pieces: Iterator[str]) -> Iterator[str]:
    """Join small pieces, for each that is sent goes through a thread."""
    held, size = [], 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield "".join(held)
            held, size = [], 0
    yield "".join(held)
