"""GET /v1/lookup/{id}: all that is at hand about a CVE."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen.analyst.local_records import parse_cve_id
from cybersecqwen.analyst.lookup import as_row
from cybersecqwen.errors import InputError
from cybersecqwen.service.authentication import authorise
from cybersecqwen.service.encoding import NOT_MODIFIED, encoded, with_etag
from cybersecqwen.service.problems import ProblemError, responses
from cybersecqwen.service.schemas import LookupOutput

router = APIRouter(tags=["Lookup"])


@router.get(
    "/v1/lookup/{id}",
    summary="Look up a CVE",
    responses=responses({"model": LookupOutput}, 401, 403, 404, 422, 429) | NOT_MODIFIED,
)
async def lookup(
    request: Request,
    cve: Annotated[str, Path(alias="id", max_length=40, examples=["CVE-2021-44228"])],
) -> Response:
    """Return the record of a CVE with KEV, EPSS, its classification, mitigations and techniques.

    It is looked for in what `cybersecqwen fetch` left on this machine; nothing is downloaded.
    """
    await authorise(request, "classify")
    try:
        cve_id = parse_cve_id(cve)
        view = await request.app.state.inference.look_up(cve_id)
    except InputError as error:
        raise ProblemError(
            404, f"{error.what} ({error.tip})" if error.tip else error.what
        ) from error
    result = view.classification
    confidence = result.candidates[0].confidence if result.candidates else 0.0
    source = request.app.state.inference.embedded_facts("classify")
    row = as_row(view) | {"confidence": confidence, "source": source}
    row.pop("where")  # a path of this machine
    return with_etag(request, encoded(row))
