"""The OpenAPI names every shape and problem, the page shows it, and no request breaks it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from starlette.testclient import TestClient

from cybersecqwen.service.app import create_app
from cybersecqwen.service.settings import ServiceSettings

PLAIN = {"content-type": "text/plain"}  # which a page of another origin may send


def test_every_operation_is_described_with_its_problems(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    shapes = schema["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(schema)):
        assert name in shapes
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert operation["description"], path
            if path.startswith("/v1/"):
                assert {"401", "403", "429"} <= set(operation["responses"]), path


def test_the_page_shows_every_operation_and_loads_nothing_from_elsewhere(
    client: TestClient,
) -> None:
    page = client.get("/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page
    assert re.findall(r'(?:src|href)="([^#"]+)"', page) == ["/docs.css", "/openapi.json"]
    assert "<script" not in page
    assert client.get("/docs.css").headers["content-type"].startswith("text/css")


@pytest.mark.slow
def test_no_request_that_the_schema_allows_breaks_the_service(tmp_path: Path) -> None:
    app = create_app(ServiceSettings(folder=tmp_path, names=("testserver",)))
    with TestClient(app):  # which starts it
        schema = schemathesis.openapi.from_asgi("/openapi.json", app)
        for described in schema.get_all_operations():
            operation = described.ok()
            statuses = fuzz(operation)
            assert statuses, operation.label
            assert max(statuses) < 500, operation.label
            assert set(map(str, statuses)) <= set(operation.definition.raw["responses"])


def fuzz(operation: Any) -> set[int]:
    """Send requests as the schema has them, and return the statuses of the answers.

    The plugin of schemathesis needs an older pytest.
    """
    statuses: set[int] = set()

    @hypothesis.settings(
        max_examples=6, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(case=operation.as_strategy())
    def send(case: Any) -> None:
        statuses.add(case.call().status_code)

    send()
    return statuses


def test_a_body_that_is_no_json_is_refused_everywhere(client: TestClient) -> None:
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        body = operations.get("post", {}).get("requestBody", {}).get("content", {})
        if "application/json" in body:
            answer = client.post(path.replace("{id}", "1"), content=b"{}", headers=PLAIN)
            assert answer.status_code in (415, 422), path  # 422 where FastAPI reads it
            assert answer.headers["content-type"] == "application/problem+json"
