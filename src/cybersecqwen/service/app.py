"""The HTTP application: its middleware, its routes, and what lives as long as it does.

    app = create_app(ServiceSettings())
    uvicorn.run(app, host=settings.host, port=settings.port)

What a request needs stands in `request.app.state`: settings, database, inference, metrics.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from cybersecqwen import __version__
from cybersecqwen.service.database import open_database
from cybersecqwen.service.inference import Inference
from cybersecqwen.service.metrics import CountRequests, Metrics
from cybersecqwen.service.problems import CatchErrors, add_problem_handlers
from cybersecqwen.service.protection import Protection
from cybersecqwen.service.routes import ROUTERS
from cybersecqwen.service.routes.documentation import describe
from cybersecqwen.service.settings import ServiceSettings

SETTINGS_VARIABLE = "CYBERSECQWEN_SERVICE"  # how a worker process gets its settings, as JSON


def create_app(settings: ServiceSettings) -> FastAPI:
    """Return the application of a service; its database is opened when it starts."""
    app = FastAPI(
        title="CyberSecQwen",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    state = app.state
    state.settings, state.metrics, state.stopping = settings, Metrics(), False
    state.verified_keys = set[str]()
    for router in ROUTERS:
        app.include_router(router)
    describe(app)
    add_problem_handlers(app)
    # The last one added is the first to see a request.
    app.add_middleware(CatchErrors)
    app.add_middleware(CountRequests, metrics=state.metrics)
    app.add_middleware(Protection, settings=settings, verified=state.verified_keys)
    return app


def create_worker() -> FastAPI:
    """Return the application of a worker process, whose settings stand in the environment."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("cybersecqwen").setLevel(logging.INFO)
    return create_app(ServiceSettings.model_validate_json(os.environ[SETTINGS_VARIABLE]))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open the database and load the model; at the end let what has begun finish."""
    state = app.state
    state.started_at = int(time.time())
    state.database = await run_in_threadpool(open_database, state.settings.database_url)
    state.inference = Inference(state.settings)
    try:
        await run_in_threadpool(state.inference.warm_up)
        yield {}
    finally:
        state.stopping = True
        await run_in_threadpool(state.inference.close)
        await run_in_threadpool(state.database.close)
