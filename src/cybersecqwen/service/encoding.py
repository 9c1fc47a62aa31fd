"""How answers are written: JSON that does not steer a terminal, with an ETag where it pays."""

from __future__ import annotations

import hashlib

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from cybersecqwen.errors import escape
from cybersecqwen.service.problems import Responses

NOT_MODIFIED: Responses = {304: {"description": "It is as the ETag of If-None-Match says"}}


def encoded(value: object) -> bytes:
    """Write JSON that does not steer a terminal."""
    return escape(to_json(value).decode()).encode()


def with_etag(request: Request, body: bytes) -> Response:
    """Answer with a body and its ETag, or with 304 where the client has it already."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = request.headers.get("if-none-match", "")
    if tag in (one.strip().removeprefix("W/") for one in known.split(",")) or known.strip() == "*":
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")
