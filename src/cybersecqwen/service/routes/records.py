"""/v1/records and /v1/imports: the records that await review, and files that bring more."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from shutil import rmtree
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.orm import Session, undefer
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen.analyst.classification import Given
from cybersecqwen.files import Json
from cybersecqwen.service.authentication import authorise
from cybersecqwen.service.encoding import NOT_MODIFIED, encoded, with_etag
from cybersecqwen.service.idempotency import PARAMETER, idempotent, replay
from cybersecqwen.service.imports import add_import, add_rows, copy_file
from cybersecqwen.service.problems import ProblemError, invalid, responses
from cybersecqwen.service.queue import MOST, Filters, page
from cybersecqwen.service.reviews import Actor, visible, visible_comments
from cybersecqwen.service.schemas import (
    MOST_TEXTS,
    ImportOutput,
    RecordList,
    RecordOutput,
    TextInput,
    check_json,
    json_body,
    parse,
)
from cybersecqwen.service.tables import UNRATED, Comment, Import, Record, Review

router = APIRouter(tags=["Records"])

Number = Annotated[int, Path(alias="id", ge=1, lt=2**31)]
_LIST = TypeAdapter(list[TextInput])
_FILTERS = TypeAdapter(Filters)
_IN_MEMORY = 1 << 20
_PLAIN = (
    *("id", "name", "state", "suggested", "confidence", "abstained", "exploited", "published"),
    *("source", "label", "differs", "decided", "decided_at", "imported_at", "version"),
)
_DETAILED = (
    *("text", "vector", "affected", "labels", "classification"),
    *("engine", "artifact", "classified_at"),
)
_REVIEW = ("id", "reviewer", "stage", "verdict", "cwe", "reason", "suggested", "confidence", "at")
_COMMENT = ("id", "author", "text", "at")
_IMPORT = (
    *("id", "name", "actor", "state", "begun_at", "ended_at", "new", "changed", "unchanged"),
    *("refused", "error"),
)
FILTER_PARAMETERS = [
    {"name": name, "in": "query", "required": False, "schema": schema}
    for name, schema in Filters.model_json_schema()["properties"].items()
]
_LIST_EXTRA: Json = {"parameters": FILTER_PARAMETERS}
_FILE_EXTRA: Json = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    },
    "parameters": [PARAMETER],
}
_ADD_EXTRA: Json = json_body(
    TextInput, examples={"list": [{"id": "ticket-1", "text": "SQL injection."}]}, listed=True
) | {"parameters": [PARAMETER]}

SCHEMAS = (TextInput, RecordOutput, RecordList, ImportOutput)


@router.get(
    "/v1/records",
    summary="List records",
    responses=responses({"model": RecordList}, 401, 403, 422, 429) | NOT_MODIFIED,
    openapi_extra=_LIST_EXTRA,
)
async def records(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
    after: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """List records in the order of the queue, by default the open ones, the most urgent first.

    `next` of an answer continues it as `after`; it is null at the end. An empty `state` is any.
    """
    await authorise(request, "records")
    filters = filters_of(request, besides=("limit", "after"))

    def read() -> Json:
        with request.app.state.database.read() as session:
            found = page(session, filters, limit=limit, after=after)
            return {"records": list(map(summary, found.records)), "next": found.next or None}

    return with_etag(request, encoded(await run_in_threadpool(read)))


def filters_of(request: Request, *, besides: Sequence[str]) -> Filters:
    """Return the filters of a request's query, in which other parameters may stand beside them."""
    given: dict[str, Any] = {
        name: value for name, value in request.query_params.items() if name not in besides
    }
    if given.get("state") == "":
        given["state"] = None
    try:
        return _FILTERS.validate_python(given)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False), within=("query",)) from error


@router.get(
    "/v1/records/{id}",
    summary="Read a record",
    responses=responses({"model": RecordOutput}, 401, 403, 404, 422, 429) | NOT_MODIFIED,
)
async def record(request: Request, number: Number) -> Response:
    """Return a record with its suggestion, the verdicts that you may see, and the comments."""
    actor = await authorise(request, "records")

    def read() -> Json:
        with request.app.state.database.read() as session:
            return detailed(find_record(session, number), actor)

    return with_etag(request, encoded(await run_in_threadpool(read)))


@router.post(
    "/v1/records",
    summary="Add texts",
    status_code=201,
    responses=responses(None, 401, 403, 409, 413, 415, 422, 429)
    | {201: {"description": "The names of the records", "model": dict[str, list[str]]}},
    openapi_extra=_ADD_EXTRA,
)
async def add(request: Request) -> Response:
    """Add texts of your own, such as tickets, each under its id; they are classified at once.

    A text whose id is there already replaces the older text, and is then open again.
    """
    actor = await authorise(request, "records", role="reviewer")
    check_json(request)
    body = await request.body()
    texts = parse(_LIST, body if body.lstrip()[:1] == b"[" else b"[" + body + b"]")
    if not 0 < len(texts) <= MOST_TEXTS:
        raise ProblemError(422, f"{len(texts)} texts: send 1 to {MOST_TEXTS:,}")
    if lacking := [i for i, one in enumerate(texts) if one.id is None]:
        raise ProblemError(422, f"#/{lacking[0]}/id: a record needs a name of its own")
    given = [Given(str(one.id), one.text) for one in texts]
    digest = hashlib.sha256(body).hexdigest()
    held = await replay(request, actor, digest)
    if held is not None:
        return held
    importer = await run_in_threadpool(request.app.state.importer)
    rows = await run_in_threadpool(importer.classify, given, source="API")

    def work(session: Session) -> tuple[int, Json]:
        return 201, {"names": add_rows(session, rows, source="API", actor=actor)}

    return await idempotent(request, actor, work, digest=digest)


@router.post(
    "/v1/imports",
    summary="Import a file",
    status_code=202,
    responses=responses(None, 401, 403, 409, 413, 415, 422, 429)
    | {202: {"model": ImportOutput, "description": "It has begun"}},
    openapi_extra=_FILE_EXTRA,
)
async def import_file(
    request: Request, name: Annotated[str, Query(max_length=200)] = "upload"
) -> Response:
    """Import a file: CSV, JSONL, NVD, CVE JSON 5, CSAF, CycloneDX VEX, OSV, SARIF and the rest.

    Send it as a form, or as the body with `name` for its name. It is safe on disk when the answer
    comes; `Location` says how far it is.
    """
    actor = await authorise(request, "records", role="reviewer")
    state = request.app.state
    name, feed = await _file(request, name)
    with feed:
        digest = await run_in_threadpool(_digest, feed)
        held = await replay(request, actor, digest, location="/v1/imports/{id}")
        if held is not None:
            return held
        folder = state.settings.import_folder
        path = await run_in_threadpool(copy_file, name, feed, folder)
    begun: list[int] = []

    def work(session: Session) -> tuple[int, Json]:
        row = add_import(session, name, path, actor=actor)
        begun.append(row.id)
        return 202, import_row(row)

    try:
        answer = await idempotent(request, actor, work, digest=digest, location="/v1/imports/{id}")
    finally:
        if not begun:  # the same request has come twice at once, or it failed
            await run_in_threadpool(rmtree, path.parent, ignore_errors=True)
    for number in begun:
        state.start_import(number)
    return answer


async def _file(request: Request, name: str) -> tuple[str, IO[bytes]]:
    """Take in the file of a form, or the body itself; raises ProblemError where there is none."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        form = await request.form(max_files=1, max_fields=1)
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise ProblemError(422, "#/file: the form has no file of this name")
        return upload.filename or name, upload.file
    feed: IO[bytes] = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 # closed by the route
    async for chunk in request.stream():
        feed.write(chunk)
    if not feed.tell():
        raise ProblemError(422, "the body is empty: send a file")
    return name, feed


def _digest(feed: IO[bytes]) -> str:
    feed.seek(0)
    digest = hashlib.file_digest(feed, "sha256").hexdigest()  # type: ignore[arg-type] # is seekable
    feed.seek(0)
    return digest


@router.get(
    "/v1/imports/{id}",
    summary="Say how far an import is",
    responses=responses({"model": ImportOutput}, 401, 403, 404, 422, 429),
)
async def one_import(request: Request, number: Number) -> Response:
    """Return the state of an import, its counts, and every row that was refused with the reason."""
    await authorise(request, "records")

    def read() -> Json:
        with request.app.state.database.read() as session:
            row = session.get(Import, number)
            if row is None:
                raise ProblemError(404, f"there is no import {number}")
            return import_row(row)

    return Response(encoded(await run_in_threadpool(read)), media_type="application/json")


def find_record(session: Session, number: int) -> Record:
    """Return a record by its number; raises ProblemError where there is none."""
    row = session.get(Record, number, options=[undefer(Record.text)])
    if row is None:
        raise ProblemError(404, f"there is no record {number}")
    return row


def summary(row: Record) -> Json:
    """Return what the list says of a record."""
    severity = None if row.severity == UNRATED else row.severity
    return _values(row, _PLAIN) | {"severity": severity}


def detailed(row: Record, actor: Actor) -> Json:
    """Return all of a record that an actor may see."""
    return (
        summary(row)
        | _values(row, _DETAILED)
        | {
            "reviews": [review_row(one) for one in visible(row, actor)],
            "comments": [comment_row(one) for one in visible_comments(row, actor)],
        }
    )


def review_row(row: Review) -> Json:
    """Return a verdict."""
    return _values(row, _REVIEW)


def comment_row(row: Comment) -> Json:
    """Return a comment."""
    return _values(row, _COMMENT)


def import_row(row: Import) -> Json:
    """Return an import with its problems."""
    return _values(row, _IMPORT) | {"problems": [one.message for one in row.problems]}


def _values(row: object, names: tuple[str, ...]) -> Json:
    return {name: getattr(row, name) for name in names}
