"""What Prometheus reads at /metrics: requests, how long they take, what was answered.

The metrics of several workers come together where PROMETHEUS_MULTIPROC_DIR names a folder, as
`cybersecqwen serve --workers` has it.
"""

from __future__ import annotations

import json
import logging
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from cybersecqwen import __version__

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

access_log = logging.getLogger("cybersecqwen.access")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The metrics of one service."""

    def __init__(self, replica: str = "") -> None:
        """Begin to count; `replica` is the name of this service among those on one database."""
        self.registry = CollectorRegistry()
        Gauge(
            "cybersecqwen_replica",
            "The service that these metrics are of, and its version",
            ["name", "version"],
            multiprocess_mode="max",
            registry=self.registry,
        ).labels(replica, __version__).set(1)
        self.requests = Counter(
            "cybersecqwen_requests",
            "Requests by route, method and status",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "cybersecqwen_request_seconds",
            "Seconds until the answer was sent",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_progress = Gauge(
            "cybersecqwen_requests_in_progress",
            "Requests that are being answered",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self.open_requests = 0
        self.texts = Counter(
            "cybersecqwen_texts",
            "Texts that were classified, by whether the model abstained",
            ["abstained"],
            registry=self.registry,
        )
        self._abstained, self._answered = self.texts.labels("true"), self.texts.labels("false")
        self._of_routes: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        children = self._of_routes.get((route, method, status))
        if children is None:  # finding them by their labels takes longer than counting
            children = self.requests.labels(route, method, status), self.seconds.labels(route)
            self._of_routes[route, method, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def count_text(self, *, abstained: bool) -> None:
        """Count a text that was classified."""
        (self._abstained if abstained else self._answered).inc()

    def text(self) -> bytes:
        """Render them in the text format of Prometheus."""
        self.in_progress.set(self.open_requests)
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            return generate_latest(registry)
        return generate_latest(self.registry)


class CountRequests:
    """Middleware that counts and times requests, and logs each as a line of JSON where it is to.

    A line has neither query, body, header nor key: what it may hold is nobody's secret.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, log: bool = False) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.perf_counter(), 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.open_requests += 1
        try:
            await self._app(scope, receive, note)
        finally:
            self._metrics.open_requests -= 1
            # By the pattern of the route, for paths are without number.
            route = str(scope.get("short_cut") or getattr(scope.get("route"), "path", "other"))
            seconds = time.perf_counter() - begin
            self._metrics.observe(route, scope["method"], status, seconds)
            if self._log:
                access_log.info("%s", _line(scope, status, seconds))


def _line(scope: Scope, status: int, seconds: float) -> str:
    client = scope.get("client")
    row = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "request_id": scope["state"]["request_id"],
        "client": client[0] if client else None,
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    return json.dumps(row)
