"""Traces for OpenTelemetry: requests, statements of the database, classifications and answers.

They are on where OTEL_EXPORTER_OTLP_ENDPOINT says where they go, by OTLP over HTTP. The other
variables of OpenTelemetry's SDK count, too, such as OTEL_SERVICE_NAME and OTEL_TRACES_SAMPLER. A
span of the database holds the statement without its values.

    tracing = open_tracing()       # None where no traces are asked for
    app = tracing.around(app)
    tracing.watch(database.engine)
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from cybersecqwen import __version__
from cybersecqwen.errors import InputError, extra

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP = "http/protobuf"


def open_tracing() -> Tracing | None:
    """Begin to trace where the environment asks for it.

    Raises CyberSecQwenError where the extra is missing, and InputError for another protocol.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return None
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or os.environ.get("OTEL_TRACES_EXPORTER", "otlp") == "none":
        return None
    # The one for traces counts before the one for all; an empty variable is none.
    name = next((name for name in _PROTOCOLS if os.environ.get(name)), "")
    if name and os.environ[name] != _HTTP:
        raise InputError(f"{name} is {os.environ[name]!r}", tip=f"traces go by {_HTTP}")
    with extra("otel"):
        return Tracing()


class Tracing:
    """The spans of one process, which are sent in the background."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import get_current_span

        self._current = get_current_span
        self._provider = TracerProvider(resource=Resource.create(_names()))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("cybersecqwen", __version__)
        self._middleware, self._instrumentor = OpenTelemetryMiddleware, SQLAlchemyInstrumentor()

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return an application each of whose requests is a span.

        It is ASGI's instrumentation and not FastAPI's, which the busiest route does not pass.
        """

        async def named(scope: Scope, receive: Receive, send: Send) -> None:
            async def name(message: Message) -> None:
                # By the pattern of the route, for paths are without number.
                route = scope.get("short_cut") or getattr(scope.get("route"), "path", "")
                if route and message["type"] == "http.response.start":
                    span = self._current()
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attribute("http.route", route)
                await send(message)

            await app(scope, receive, name)

        wrapped: ASGIApp = self._middleware(
            named,
            default_span_details=lambda scope: (scope.get("method", ""), {}),
            tracer_provider=self._provider,
            exclude_spans=["receive", "send"],
        )
        return wrapped

    def watch(self, engine: Engine) -> None:
        """Make each statement of a database a span."""
        # The check knows no SQLAlchemy beyond 2.0, whose events 2.1 has, too.
        self._instrumentor.instrument(
            engine=engine, tracer_provider=self._provider, skip_dep_check=True
        )

    def span(self, name: str, **attributes: Any) -> AbstractContextManager[object]:
        """Open a span of our own."""
        span: AbstractContextManager[object] = self._tracer.start_as_current_span(
            name, attributes=attributes
        )
        return span

    def close(self) -> None:
        """Send what was not sent yet, and end."""
        if self._instrumentor.is_instrumented_by_opentelemetry:
            self._instrumentor.uninstrument()
        self._provider.shutdown()


def no_span(name: str, **attributes: Any) -> AbstractContextManager[object]:
    """Open no span, for nothing is traced."""
    return nullcontext()


def _names() -> dict[str, str]:
    """Return the name of the service, unless the environment has one."""
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return {"service.version": __version__} | ({} if named else {"service.name": "cybersecqwen"})
