"""The HTTP application: its middleware, its routes, and what lives as long as it does.

    app = create_app(ServiceSettings())
    uvicorn.run(app, host=settings.host, port=settings.port)

What a request needs stands in `request.app.state`: settings, database, inference, metrics.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cybersecqwen import __version__
from cybersecqwen.service.authentication import Authentication
from cybersecqwen.service.background_imports import BackgroundImports
from cybersecqwen.service.console import error_page, login_page
from cybersecqwen.service.console import router as console
from cybersecqwen.service.database import open_database
from cybersecqwen.service.inference import Inference
from cybersecqwen.service.metrics import CountRequests, Metrics
from cybersecqwen.service.problems import CatchErrors, add_problem_handlers
from cybersecqwen.service.protection import Protection
from cybersecqwen.service.rate_limit import open_limit
from cybersecqwen.service.routes import ROUTERS
from cybersecqwen.service.routes.classification import classify
from cybersecqwen.service.routes.documentation import describe
from cybersecqwen.service.schedule import Schedule
from cybersecqwen.service.settings import ServiceSettings
from cybersecqwen.service.shutdown import drain_first, end_outdated
from cybersecqwen.service.tracing import no_span, open_tracing

SETTINGS_VARIABLE = "CYBERSECQWEN_SERVICE"  # how a worker process gets its settings, as JSON


class Service(FastAPI):
    """The application with our middleware around all of it, and a short cut to the busiest route.

    What FastAPI does before it comes to a route takes longer than classifying a text.
    """

    def guard(self, settings: ServiceSettings) -> None:
        """Put what stands before the routes in front of them; the outermost comes last."""
        self.add_middleware(CatchErrors)  # before Starlette answers an error in words of its own
        self._guarded: ASGIApp = ShortCut(super().__call__, {("POST", "/v1/classify"): classify})
        self._guarded = CatchErrors(self._guarded)
        metrics = self.state.metrics
        self._guarded = CountRequests(self._guarded, metrics=metrics, log=settings.access_log)
        verified = self.state.verified_keys
        self._guarded = Protection(
            self._guarded, settings=settings, verified=verified, limit=self.state.request_limit
        )
        if self.state.tracing:
            self._guarded = self.state.tracing.around(self._guarded)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or take part in the life span."""
        scope["app"] = self
        await self._guarded(scope, receive, send)


def create_app(settings: ServiceSettings) -> FastAPI:
    """Return the application of a service; its database is opened when it starts."""
    app = Service(
        title="CyberSecQwen",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    state = app.state
    state.settings, state.metrics, state.stopping = settings, Metrics(settings.replica), False
    _open_limits(state)
    state.verified_keys, state.tracing = set[str](), open_tracing()
    state.login_page = login_page
    for router in (*ROUTERS, console):
        app.include_router(router)
    describe(app)
    add_problem_handlers(app, page=error_page)
    app.guard(settings)
    return app


def _open_limits(state: State) -> None:
    """Open the limits of requests, where there is to be one, and of attempts to log in."""
    settings = state.settings
    limit = partial(open_limit, settings, lambda: state.database)
    state.request_limit = None
    if settings.rate_limit:
        state.request_limit = limit("requests", rate=settings.rate_limit, burst=settings.burst)
    # A password is tried five times at once, then once in ten seconds: by an address, of a name.
    state.login_limit = limit("login", rate=0.1, burst=5.0)


def create_worker() -> FastAPI:
    """Return the application of a worker process, whose settings stand in the environment."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("cybersecqwen").setLevel(logging.INFO)
    return create_app(ServiceSettings.model_validate_json(os.environ[SETTINGS_VARIABLE]))


class ShortCut:
    """Middleware that answers some routes at once; they stand among the others for the OpenAPI."""

    def __init__(
        self,
        app: ASGIApp,
        answers: Mapping[tuple[str, str], Callable[[Request], Awaitable[Response]]],
    ) -> None:
        self._app, self._answers = app, answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        answer = None
        if scope["type"] == "http":
            answer = self._answers.get((scope["method"], scope["path"]))
        if answer is None:
            await self._app(scope, receive, send)
            return
        scope["short_cut"] = scope["path"]
        response = await answer(Request(scope, receive))
        await response(scope, receive, send)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open the database and load the model; at the end let requests finish, and leave imports."""
    state = app.state
    state.started_at = int(time.time())
    state.database = await run_in_threadpool(open_database, state.settings.database_url)
    if state.tracing:
        state.tracing.watch(state.database.engine)
    span = state.tracing.span if state.tracing else no_span
    state.inference = Inference(state.settings, span=span)
    authentication = await run_in_threadpool(
        Authentication, state.settings, state.database, state.verified_keys
    )
    state.authentication, state.visit = authentication, authentication.visit
    state.check_form, state.login_token = authentication.check_form, authentication.login_token
    imports = BackgroundImports(state.database, state.settings)
    state.importer, state.start_import = imports.importer, imports.start
    schedule = Schedule(state.database, imports.importer, state.settings)
    try:
        await run_in_threadpool(state.inference.warm_up)
        schedule.start()
        drain_first(state, state.settings.drain)
        watching = [asyncio.create_task(one) for one in (imports.resume(), end_outdated(state))]
        yield {}
        for one in watching:
            one.cancel()
    finally:
        state.stopping = True
        await run_in_threadpool(imports.close)  # first: the schedule's own import is left by it
        await run_in_threadpool(schedule.stop)
        await run_in_threadpool(state.inference.close)
        await run_in_threadpool(state.database.close)
        if state.tracing:
            await run_in_threadpool(state.tracing.close)
