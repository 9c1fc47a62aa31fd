"""Requests that must not pass: other hosts and origins, too many, too large, compressed."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from cybersecqwen.service.problems import CatchErrors, ProblemError, add_problem_handlers
from cybersecqwen.service.protection import (
    Protection,
    check_csrf,
    csrf_token,
    sha256,
)
from cybersecqwen.service.rate_limit import RateLimit
from cybersecqwen.service.settings import ServiceSettings

LOCAL = ServiceSettings(body_limit=2048, upload_limit=4096)


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def fail(request: Request) -> Response:
    raise RuntimeError("the secret is 1234")


def client(settings: ServiceSettings = LOCAL, verified: frozenset[str] = frozenset()) -> TestClient:
    methods = ["GET", "POST"]
    paths = [Route(path, echo, methods=methods) for path in ("/", "/v1/classify")]
    app = Starlette(routes=[*paths, Route("/fail", fail)])
    add_problem_handlers(app)  # type: ignore[arg-type]
    app.add_middleware(CatchErrors)
    limit = RateLimit(rate=settings.rate_limit, burst=settings.burst)
    limits = limit if settings.rate_limit else None
    app.add_middleware(Protection, settings=settings, verified=verified, limit=limits)
    return TestClient(app, base_url="http://127.0.0.1:8080")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1@evil.example", 421),
        ("[", 421),
        ("", 421),
    ],
)
def test_a_local_service_answers_for_this_machine_alone(host: str, status: int) -> None:
    assert client().get("/", headers={"host": host}).status_code == status


def test_a_service_for_others_answers_for_its_names() -> None:
    team = client(ServiceSettings(host="0.0.0.0", names=("cti.example.org",)))
    assert team.get("/", headers={"host": "CTI.example.org:443"}).status_code == 200
    assert team.get("/", headers={"host": "127.0.0.1"}).status_code == 200  # a health check
    assert team.get("/", headers={"host": "rebound.example"}).status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8080"}, 200),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_no_page_of_another_origin_changes_anything(headers: dict[str, str], status: int) -> None:
    assert client().post("/", headers=headers).status_code == status


def test_a_body_has_a_limit_with_and_without_a_length_and_is_never_compressed() -> None:
    local = client()
    assert local.post("/", content=b"x" * 2048).text == "2048"
    assert local.post("/", content=b"x" * 2049).status_code == 413
    chunks = (b"x" * 1000 for _ in range(3))
    answer = local.post("/", content=chunks)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    stream = {"content-type": "application/x-ndjson; charset=utf-8"}
    assert local.post("/v1/classify", content=b"x" * 4096, headers=stream).text == "4096"
    assert local.post("/v1/classify", content=b"x" * 4097, headers=stream).status_code == 413
    assert local.post("/", content=b"x" * 2049, headers=stream).status_code == 413
    packed = local.post("/", content=b"x", headers={"content-encoding": "gzip"})
    assert (packed.status_code, packed.headers["accept-encoding"]) == (415, "identity")
    assert local.post("/", headers={"content-length": "-1"}).status_code == 413


def test_a_client_that_asks_too_often_waits_and_others_do_not() -> None:
    limited = LOCAL.model_copy(update={"rate_limit": 0.5, "burst": 2.0})
    local = client(limited, frozenset([sha256("good key")]))
    assert [local.get("/").status_code for _ in range(3)] == [200, 200, 429]
    assert int(local.get("/").headers["retry-after"]) >= 1
    assert local.get("/", headers={"authorization": "Bearer good key"}).status_code == 200
    assert local.get("/", headers={"authorization": "Bearer made up"}).status_code == 429
    assert local.get("/health").status_code != 429


def test_every_answer_has_the_headers_and_an_id() -> None:
    local = client()
    for answer in (local.get("/"), local.get("/", headers={"host": "evil"}), local.get("/none")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in answer.headers
        assert len(answer.headers["x-request-id"]) == 16
    assert local.get("/", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert local.get("/", headers={"x-request-id": "a b"}).headers["x-request-id"] != "a b"


def test_an_error_of_ours_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    answer = client().get("/fail", headers={"x-request-id": "lost-one"})
    assert answer.status_code == 500
    assert answer.json()["request_id"] == "lost-one"
    assert "1234" not in answer.text
    assert "lost-one" in caplog.text
    assert "the secret is 1234" in caplog.text


def test_a_form_needs_the_token_of_its_session() -> None:
    token = csrf_token("secret", "session")
    check_csrf(token, "secret", "session")
    for wrong in ("", None, csrf_token("secret", "other"), csrf_token("other", "session")):
        with pytest.raises(ProblemError):
            check_csrf(wrong, "secret", "session")
