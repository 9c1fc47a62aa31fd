from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cybersecqwen import __version__
from cybersecqwen.service.app import create_app
from cybersecqwen.service.background_imports import BackgroundImports
from cybersecqwen.service.schedule import Schedule
from cybersecqwen.service.settings import ServiceSettings


def test_a_service_is_healthy_and_ready_until_it_stops(tmp_path: Path) -> None:
    app = create_app(ServiceSettings(folder=tmp_path))
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/health").json() == {"status": "ok", "version": __version__}
        assert client.get("/ready").status_code == 200
        app.state.stopping = True
        answer = client.get("/ready")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert client.get("/health").status_code == 200
    assert (tmp_path / "workplace.sqlite").exists()


def test_a_service_without_its_database_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rest(_: object) -> None:
        """Leave the database to the test."""

    monkeypatch.setattr(BackgroundImports, "resume", rest)
    monkeypatch.setattr(Schedule, "start", lambda _: None)
    app = create_app(ServiceSettings(folder=tmp_path))
    with TestClient(app, base_url="http://localhost") as client:
        app.state.database.close()
        for path in tmp_path.glob("workplace.sqlite*"):
            path.unlink()
        (tmp_path / "workplace.sqlite").write_bytes(b"no database" * 100)
        answer = client.get("/ready")
        assert answer.status_code == 503
        assert "database" in answer.json()["detail"]
        assert str(tmp_path) not in answer.text


def test_metrics_count_requests_by_route_and_texts(client: TestClient) -> None:
    client.post("/v1/classify", json={"text": "A cake recipe."})
    client.get("/v1/lookup/hello")
    client.get("/nowhere/at/all")
    text = client.get("/metrics").text
    assert 'requests_total{method="GET",route="/v1/lookup/{id}",status="404"}' in text
    assert 'requests_total{method="GET",route="other",status="404"}' in text
    assert 'cybersecqwen_texts_total{abstained="true"}' in text
    assert "nowhere" not in text
    replica = f"{socket.gethostname()}:8080"
    assert f'cybersecqwen_replica{{name="{replica}",version="{__version__}"}} 1.0' in text


def test_the_access_log_has_a_line_of_json_and_no_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cybersecqwen.access")
    app = create_app(ServiceSettings(folder=tmp_path, access_log=True))
    secret = {"authorization": "Bearer csq_secret", "x-request-id": "one"}
    with TestClient(app, base_url="http://localhost") as client:
        client.get("/v1/models?key=csq_secret", headers=secret)
        client.get("/health")
    rows = [json.loads(r.message) for r in caplog.records if r.name == "cybersecqwen.access"]
    assert [(row["path"], row["status"]) for row in rows] == [("/v1/models", 200), ("/health", 200)]
    assert rows[0]["request_id"] == "one"
    assert "csq_secret" not in caplog.text


@pytest.mark.parametrize(("path", "body"), [("ask", "question"), ("classify", "text")])
def test_an_error_of_ours_is_a_problem_that_says_nothing_of_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str, body: str
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr(client.app.state.inference, path, fail)  # type: ignore[attr-defined]
    answer = client.post(f"/v1/{path}", json={body: "What is CWE-79?"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "1234" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_a_method_that_does_not_work_is_told_which_do(client: TestClient) -> None:
    answer = client.put("/v1/records")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert answer.json()["detail"] == "PUT does not work here (use GET or POST)"
    assert client.get("/v1/classify").headers["allow"] == "POST"
