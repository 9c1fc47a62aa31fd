"""Traces: off by default, and to a receiver of OTLP where the environment names one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.service.app import create_app
from cybersecqwen.service.settings import ServiceSettings
from cybersecqwen.service.tracing import open_tracing

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Content-Encoding"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.got = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.long
def test_requests_statements_and_classifications_are_spans_of_one_trace(
    receiver: Any, tmp_path: Path
) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    app = create_app(ServiceSettings(folder=tmp_path))
    with TestClient(app, base_url="http://127.0.0.1:8080") as client:
        secret = {"text": "SQL injection in Zebra."}
        assert client.post("/v1/classify", json=secret).status_code == 200
        assert client.post("/v1/records", json=secret | {"id": "t"}).status_code == 201
        assert client.get("/v1/records/1").status_code == 200
        assert client.post("/v1/ask", json={"question": "What is CWE-79?"}).status_code == 200
        assert client.get("/nowhere").status_code == 404
    spans, names = {}, []
    for path, encoding, body in receiver.got:  # all were sent before the service ended
        assert (path, encoding) == ("/v1/traces", None)
        assert b"Zebra" not in body
        sent = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
        for resource in sent.resource_spans:
            names += [a.value.string_value for a in resource.resource.attributes]
            spans |= {s.span_id: s for scope in resource.scope_spans for s in scope.spans}
    assert "cybersecqwen" in names
    told = {(spans[s.parent_span_id].name if s.parent_span_id in spans else "", s.name)
            for s in spans.values()}  # fmt: skip
    assert told >= {
        ("", "POST /v1/classify"),
        ("POST /v1/classify", "classify"),
        ("", "GET /v1/records/{id}"),
        ("POST /v1/ask", "ask"),
        ("", "GET"),
    }
    assert any(above == "GET /v1/records/{id}" and "SELECT" in name for above, name in told)


def test_without_the_extra_or_with_another_protocol_it_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert open_tracing() is None
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(CyberSecQwenError, match=r"pip install 'cybersecqwen\[otel\]'") as raised:
        open_tracing()
    assert "\n" not in str(raised.value)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(CyberSecQwenError, match="traces go by http/protobuf"):
        open_tracing()
    # As in the specification: the variable for traces comes first, and an empty one is unset.
    for traces, every in (("http/protobuf", "grpc"), ("", "")):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", traces)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", every)
        with pytest.raises(CyberSecQwenError, match="pip install"):  # what comes after it
            open_tracing()
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert open_tracing() is None
