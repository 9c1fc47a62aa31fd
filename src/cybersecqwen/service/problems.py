"""Errors as clients get them: problem details of RFC 9457, each with the id of its request.

    {"type": "about:blank", "title": "Unprocessable Entity", "status": 422,
     "detail": "text: Field required", "request_id": "9f0c…",
     "errors": [{"pointer": "#/text", "detail": "Field required"}]}

`detail` says what is wrong and what to do. Of an error that is ours to mend a client learns the id
alone; the log has the rest under it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match

from cybersecqwen.errors import CyberSecQwenError, EngineError, InputError, clean
from cybersecqwen.files import Json
from cybersecqwen.service.reviews import ConflictError, ForbiddenError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

Responses = dict[int | str, dict[str, Any]]

MEDIA_TYPE = "application/problem+json"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_MOST_ERRORS = 20  # of one body that are listed
_STATUS: dict[type[CyberSecQwenError], int] = {
    ConflictError: 409,
    ForbiddenError: 403,
    InputError: 422,
    EngineError: 502,
}


class InvalidPart(BaseModel):
    """What is wrong with one part of a request."""

    pointer: str = Field(description="A JSON pointer into the body, or the name of a parameter.")
    detail: str


class ProblemDetails(BaseModel):
    """Problem details of RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str = Field(default="", description="Under which the log has more.")
    message: str = Field(description="The detail again, for clients that look for it here.")
    errors: list[InvalidPart] = Field(default_factory=list)


class ProblemError(Exception):
    """An answer that is a problem; raised by whatever meets it on the way."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Json] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})


def problem_response(problem: ProblemError, request_id: str = "") -> Response:
    """Return the answer that tells of a problem."""
    return Response(
        _body(problem, request_id), problem.status, problem.headers, media_type=MEDIA_TYPE
    )


def _body(problem: ProblemError, request_id: str) -> bytes:
    row: Json = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": clean(problem.detail),
        "request_id": request_id,
        "message": clean(problem.detail),  # which clients of OpenAI's form show
    }
    if problem.errors:
        row["errors"] = list(problem.errors)
    return json.dumps(row, ensure_ascii=True).encode()


def as_problem(error: CyberSecQwenError) -> ProblemError:
    """Turn an error of ours into the problem that it is for a client; paths stay with us."""
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    if status == 500:
        raise error
    return ProblemError(status, f"{error.what} ({error.tip})" if error.tip else error.what)


def invalid(
    errors: Iterable[Mapping[str, Any]], *, within: Sequence[str | int] = ()
) -> ProblemError:
    """Turn the errors of pydantic into a problem; `within` is where the value itself stands."""
    parts = [
        {"pointer": _pointer((*within, *one.get("loc", ()))), "detail": clean(str(one["msg"]))}
        for one in errors
    ]
    first = parts[0] if parts else {"pointer": "#", "detail": "the request is not valid"}
    more = f", and {len(parts) - 1} more" if len(parts) > 1 else ""
    return ProblemError(
        422, f"{first['pointer']}: {first['detail']}{more}", errors=parts[:_MOST_ERRORS]
    )


def _pointer(place: Sequence[str | int]) -> str:
    """Write where a value stands: a pointer into the body, else the parameter's name."""
    if place and place[0] in ("query", "path", "header", "cookie"):
        return ".".join(map(str, place[1:])) or str(place[0])
    parts = [str(part) for part in place if part != "body"]
    return "".join(["#", *(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)])


def _allowed(request: Request) -> list[str]:
    """Return the methods that a path takes: the header of the router names those of one route."""
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


ErrorPage = Callable[[Request, int, str], Response]


def add_problem_handlers(app: FastAPI, *, page: ErrorPage | None = None) -> None:
    """Have an application answer every error with a problem, or a browser with a `page`."""
    from fastapi.exceptions import RequestValidationError

    async def on_http_error(request: Request, error: Any) -> Response:
        detail = str(error.detail)
        if error.status_code == 404 and detail == "Not Found":
            detail = f"there is nothing at {request.url.path}"
        headers = error.headers
        if error.status_code == 405:
            allowed = _allowed(request)
            headers = {"Allow": ", ".join(allowed)}
            detail = f"{request.method} does not work here (use {' or '.join(allowed)})"
        if page and _wants_page(request):
            return await run_in_threadpool(page, request, error.status_code, detail)
        problem = ProblemError(error.status_code, detail, headers=headers)
        return problem_response(problem, request_id(request.scope))

    async def on_invalid(request: Request, error: Any) -> Response:
        return problem_response(invalid(error.errors()), request_id(request.scope))

    async def on_problem(request: Request, error: Any) -> Response:
        return problem_response(error, request_id(request.scope))

    async def on_our_error(request: Request, error: Any) -> Response:
        return problem_response(as_problem(error), request_id(request.scope))

    async def on_value(request: Request, _error: Any) -> Response:
        what = "the database cannot hold a value: it is too long, or has a NUL character"
        return problem_response(ProblemError(422, what), request_id(request.scope))

    app.add_exception_handler(DataError, on_value)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(ProblemError, on_problem)
    app.add_exception_handler(CyberSecQwenError, on_our_error)


def _wants_page(request: Request) -> bool:
    """Tell whether a browser asks for a page, and no program for data."""
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted and not request.url.path.startswith("/v1/")


def request_id(scope: Scope) -> str:
    """Return the id that the service gave a request."""
    return str(scope.get("state", {}).get("request_id", ""))


class CatchErrors:
    """Middleware that logs what nobody caught, and tells the client no more than its id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def note(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, note)
        except (ProblemError, CyberSecQwenError) as error:
            if begun:
                raise
            problem = error if isinstance(error, ProblemError) else as_problem(error)
            await problem_response(problem, request_id(scope))(scope, receive, send)
        except ClientDisconnect:
            _log.info("%s: the client went away", request_id(scope))
        except Exception:
            named = request_id(scope)
            _log.exception("request %s: %s %r failed", named, scope["method"], scope["path"])
            if begun:  # the connection is closed, so that half an answer is not taken for a whole
                raise
            detail = f"the service failed; its log says more under the request {named}"
            await problem_response(ProblemError(500, detail), named)(scope, receive, send)


def responses(answer: Json | None, *statuses: int) -> Responses:
    """Describe an answer, and the problems that a route may have in its place, for the OpenAPI."""
    described: Responses = {} if answer is None else {200: answer}
    return described | {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
        for status in statuses
    }
