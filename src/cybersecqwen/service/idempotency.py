"""Requests that a client may send again: the first one acts, and the others get its answer.

    return await idempotent(request, actor, work)     # work(session) -> (status, row)

With the header `Idempotency-Key`, the answer is stored in the same transaction as what it tells of:
both are there after a power cut, or neither. The same key with another body is refused. What is to
be shown once only is not stored, and null in the answer to the same request again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen.files import Json
from cybersecqwen.service.database import Database
from cybersecqwen.service.encoding import encoded
from cybersecqwen.service.problems import ProblemError
from cybersecqwen.service.reviews import Actor
from cybersecqwen.service.tables import IdempotencyKey, timestamp, utc_now

Work = Callable[[Session], tuple[int, Json]]

_KEPT = timedelta(hours=24)
_LONGEST = 200  # characters of a key
PARAMETER: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST},
    "description": "The same key and body get the answer of the first request for 24 hours.",
}


async def idempotent(
    request: Request,
    actor: Actor,
    work: Work,
    *,
    digest: str = "",
    location: str = "",
    once: str = "",
) -> Response:
    """Do what a request asks for in one transaction, once for each key; return the answer.

    `digest` is of the body where a route has read it already. `location` is the address of what
    was made, in which `{id}` is that of the answer. `once` names what no second answer shows.
    """
    key = await _key(request, digest)
    database: Database = request.app.state.database
    return _answer(*await run_in_threadpool(_once, database, actor, key, work, once), location)


async def replay(
    request: Request, actor: Actor, digest: str, *, location: str = ""
) -> Response | None:
    """Return the answer that a request had before; None where it is new."""
    name, named = await _key(request, digest)
    database: Database = request.app.state.database

    def look() -> tuple[int, str, bool] | None:
        with database.read() as session:
            return _held(session, actor, name, named)

    held = await run_in_threadpool(look) if name else None
    return held and _answer(*held, location)


async def _key(request: Request, digest: str) -> tuple[str, str]:
    """Return the key of a request, and the hash of what it asks for."""
    key = request.headers.get("idempotency-key", "").strip()
    if len(key) > _LONGEST or not key.isprintable():
        raise ProblemError(422, f"Idempotency-Key: give up to {_LONGEST} printable characters")
    digest = digest or hashlib.sha256(await request.body()).hexdigest()
    asked = f"{request.method} {request.url.path}\n{digest}"
    return key, hashlib.sha256(asked.encode()).hexdigest()


def _answer(status: int, body: str, replayed: bool, location: str) -> Response:
    headers = {"Idempotency-Replayed": "true"} if replayed else {}
    if location:
        headers["Location"] = location.replace("{id}", str(json.loads(body).get("id", "")))
    return Response(body, status, headers, media_type="application/json")


def _held(session: Session, actor: Actor, name: str, digest: str) -> tuple[int, str, bool] | None:
    held = session.get(IdempotencyKey, (actor.name, name))
    if held is None:
        return None
    if held.request_sha256 != digest:
        raise ProblemError(422, f"Idempotency-Key {name!r} was used for another request")
    return held.status, held.body, True


def _once(
    database: Database, actor: Actor, key: tuple[str, str], work: Work, once: str
) -> tuple[int, str, bool]:
    name, digest = key
    with database.write() as session:
        if name and (held := _held(session, actor, name, digest)):
            return held
        status, row = work(session)
        if name:
            old = timestamp(datetime.now(UTC) - _KEPT)
            session.execute(delete(IdempotencyKey).where(IdempotencyKey.at < old))
            session.add(
                IdempotencyKey(
                    actor=actor.name,
                    key=name,
                    request_sha256=digest,
                    status=status,
                    body=encoded(row | {once: None} if once else row).decode(),
                    at=utc_now(),
                )
            )
        return status, encoded(row).decode(), False
