"""/v1/webhooks: the addresses that are told of new records and alarms."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, TypeAdapter
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.service.authentication import authorise
from cybersecqwen.service.encoding import encoded
from cybersecqwen.service.idempotency import PARAMETER, idempotent
from cybersecqwen.service.keyring import open_keyring
from cybersecqwen.service.problems import ProblemError, responses
from cybersecqwen.service.routes.records import Number
from cybersecqwen.service.schemas import json_body, parse
from cybersecqwen.service.settings import ServiceSettings
from cybersecqwen.service.webhooks import add_webhook, find_webhook, remove_webhook, webhook_rows

router = APIRouter(tags=["Webhooks"])


class WebhookCondition(BaseModel):
    """Which records count; what is not set does not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    products: list[StrictStr] | None = Field(
        None, max_length=1000, description="Names of what is affected"
    )
    min_severity: float | None = Field(None, ge=0, le=10)
    exploited: StrictBool | None = None


class WebhookInput(BaseModel):
    """An address, and what it is to be told of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: StrictStr = Field(max_length=2000, examples=["https://soc.example/hook"])
    events: list[Literal["new-cve", "below-threshold", "drift-alarm"]] = Field(
        min_length=1, max_length=10
    )
    condition: WebhookCondition = WebhookCondition()


class WebhookSecret(BaseModel):
    """A new webhook; the secret, which signs what is sent, is shown here only, and only once."""

    id: int
    secret: str | None = Field(
        description="null in the answer to an Idempotency-Key that was used before"
    )


class WebhookOutput(BaseModel):
    """A webhook, and what became of its messages."""

    id: int
    url: str
    events: list[str]
    condition: dict[str, Any]
    created_at: str
    delivered: int
    waiting: int
    given_up: int
    error: str | None


class WebhookList(BaseModel):
    """The webhooks."""

    webhooks: list[WebhookOutput]


SCHEMAS = (WebhookInput, WebhookSecret, WebhookList)
_INPUT = TypeAdapter(WebhookInput)
_ADD_EXTRA: Json = json_body(
    WebhookInput,
    examples={
        "products": {
            "url": "https://soc.example/hook",
            "events": ["new-cve"],
            "condition": {"products": ["openssl"], "min_severity": 7},
        }
    },
) | {"parameters": [PARAMETER]}


@router.get(
    "/v1/webhooks",
    summary="List webhooks",
    responses=responses({"model": WebhookList}, 401, 403, 429),
)
async def webhooks(request: Request) -> Response:
    """List the webhooks without their secrets, and how many messages wait."""
    await authorise(request, "records", role="administrator")

    def read() -> Json:
        with request.app.state.database.read() as session:
            return {"webhooks": webhook_rows(session, request.app.state.settings.folder)}

    return Response(encoded(await run_in_threadpool(read)), media_type="application/json")


@router.post(
    "/v1/webhooks",
    summary="Add a webhook",
    status_code=201,
    responses=responses(None, 401, 403, 413, 415, 422, 429)
    | {201: {"model": WebhookSecret, "description": "It is told of events from now on"}},
    openapi_extra=_ADD_EXTRA,
)
async def add(request: Request) -> Response:
    """Add an address that is told of events.

    The answer has the secret that signs them: keep it, for it is not shown again, also not where
    the request is sent again with the same key.
    """
    actor = await authorise(request, "records", role="administrator")
    given = parse(_INPUT, await request.body())
    settings: ServiceSettings = request.app.state.settings

    def work(session: Session) -> tuple[int, Json]:
        number, secret = add_webhook(
            session,
            given.url,
            events=given.events,
            condition=given.condition.model_dump(exclude_none=True),
            private=settings.private_webhooks,
            actor=actor,
            keyring=open_keyring(settings.folder, create=True),
        )
        return 201, {"id": number, "secret": secret}

    return await idempotent(request, actor, work, once="secret")


@router.delete(
    "/v1/webhooks/{id}",
    summary="Remove a webhook",
    status_code=204,
    responses=responses(None, 401, 403, 404, 422, 429) | {204: {"description": "It is removed"}},
)
async def remove(request: Request, number: Number) -> Response:
    """Tell an address nothing any more; what waits for it is never delivered."""
    actor = await authorise(request, "records", role="administrator")

    def work() -> None:
        with request.app.state.database.write() as session:
            try:
                webhook = find_webhook(session, number)
            except InputError as error:
                raise ProblemError(404, error.what) from error
            remove_webhook(session, webhook, actor=actor)

    await run_in_threadpool(work)
    return Response(status_code=204)
