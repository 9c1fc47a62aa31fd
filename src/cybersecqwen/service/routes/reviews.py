"""Verdicts on records, their withdrawal, and comments: every one an event of the audit trail."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, TypeAdapter
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen.files import Json
from cybersecqwen.service.authentication import authorise
from cybersecqwen.service.idempotency import PARAMETER, idempotent
from cybersecqwen.service.problems import Responses, responses
from cybersecqwen.service.reviews import Decision, add_comment, decide, send_back, undo
from cybersecqwen.service.routes.records import (
    Number,
    comment_row,
    detailed,
    find_record,
    review_row,
)
from cybersecqwen.service.schemas import (
    CommentInput,
    CommentOutput,
    RecordOutput,
    ReviewInput,
    ReviewOutput,
    SendBackInput,
    UndoOutput,
    json_body,
    read_json,
)

router = APIRouter(tags=["Reviews"])

_PROBLEMS = (401, 403, 404, 409, 413, 415, 422, 429)
_REVIEW, _SEND_BACK = TypeAdapter(ReviewInput), TypeAdapter(SendBackInput)
_COMMENT = TypeAdapter(CommentInput)

SCHEMAS = (ReviewInput, ReviewOutput, UndoOutput, SendBackInput, CommentInput, CommentOutput)


def _extra(model: type[BaseModel], **example: object) -> Json:
    described: Json = json_body(model, examples={"example": example})
    return described | {"parameters": [PARAMETER]}


def _created(model: type[BaseModel]) -> Responses:
    return responses(None, *_PROBLEMS) | {201: {"model": model, "description": "It is kept"}}


@router.post(
    "/v1/records/{id}/reviews",
    summary="Give a verdict",
    status_code=201,
    responses=_created(ReviewOutput),
    openapi_extra=_extra(ReviewInput, verdict="correct", cwe="CWE-89", reason="no script runs"),
)
async def review(request: Request, number: Number) -> Response:
    """Accept the suggestion, correct it to another CWE, or reject the record.

    `version` is that of the record you saw: where it has changed meanwhile, the answer is 409.
    """
    actor = await authorise(request, "reviews", role="reviewer")
    given = await read_json(request, _REVIEW)
    share = request.app.state.settings.second_share

    def work(session: Session) -> tuple[int, Json]:
        row = find_record(session, number)
        decision = Decision(given.verdict, given.cwe, given.reason)
        kept = decide(
            session, row, decision, actor=actor, version=given.version, second_share=share
        )
        return 201, review_row(kept) | {"record": number, "state": row.state}

    return await idempotent(request, actor, work)


@router.post(
    "/v1/reviews/undo",
    summary="Withdraw your newest verdict",
    responses=responses({"model": UndoOutput}, *_PROBLEMS),
    openapi_extra={"parameters": [PARAMETER]},
)
async def undo_review(request: Request) -> Response:
    """Withdraw your newest verdict, unless somebody has gone on from it; return the record.

    Verdicts that were given at once in the console are withdrawn at once.
    """
    actor = await authorise(request, "reviews", role="reviewer")

    def work(session: Session) -> tuple[int, Json]:
        undone = undo(session, actor)
        session.flush()
        names = {"undone": [one.name for one in undone.records]}
        names |= {"left": [one.name for one in undone.left]}
        return 200, detailed(undone.records[0], actor) | names

    return await idempotent(request, actor, work)


@router.post(
    "/v1/records/{id}/send-back",
    summary="Reopen a record",
    responses=responses({"model": RecordOutput}, *_PROBLEMS),
    openapi_extra=_extra(SendBackInput, reason="the vendor has changed the description"),
)
async def reopen(request: Request, number: Number) -> Response:
    """Withdraw every verdict on a record, for a reason; it awaits a first one again."""
    actor = await authorise(request, "reviews", role="reviewer")
    given = await read_json(request, _SEND_BACK)

    def work(session: Session) -> tuple[int, Json]:
        row = find_record(session, number)
        send_back(session, row, actor=actor, reason=given.reason)
        session.flush()
        return 200, detailed(row, actor)

    return await idempotent(request, actor, work)


@router.post(
    "/v1/records/{id}/comments",
    summary="Comment on a record",
    status_code=201,
    responses=_created(CommentOutput),
    openapi_extra=_extra(CommentInput, text="See the vendor's advisory."),
)
async def comment(request: Request, number: Number) -> Response:
    """Add what you have to say of a record."""
    actor = await authorise(request, "reviews", role="reviewer")
    given = await read_json(request, _COMMENT)

    def work(session: Session) -> tuple[int, Json]:
        kept = add_comment(session, find_record(session, number), given.text, actor=actor)
        return 201, comment_row(kept)

    return await idempotent(request, actor, work)
