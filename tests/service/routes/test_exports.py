"""Exports and webhooks over HTTP: filters, files, roles, and what the service does by itself."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cybersecqwen.service.app import create_app
from cybersecqwen.service.exports import EXPORTS
from cybersecqwen.service.routes.webhooks import WebhookList, WebhookSecret
from cybersecqwen.service.settings import ServiceSettings

TEXT = "SQL injection in login.php of Foo allows attackers to read the database."


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("workplace")
    app = create_app(ServiceSettings(folder=folder, watch=folder / "in"))
    with TestClient(app, base_url="http://localhost") as client:
        texts = [{"id": f"CVE-2030-{1000 + i}", "text": f"{TEXT} Part {i}."} for i in range(300)]
        assert client.post("/v1/records", json=texts).status_code == 201
        [first, *_] = client.get("/v1/records?name=CVE-2030-1007").json()["records"]
        verdict = {"verdict": "accept", "version": first["version"]}
        path = f"/v1/records/{first['id']}/reviews"
        assert client.post(path, json=verdict).status_code == 201
        yield client


@pytest.mark.parametrize("name", list(EXPORTS))
def test_each_format_is_a_file(name: str, client: TestClient) -> None:
    got = client.get("/v1/export", params={"format": name, "state": "decided"})
    assert got.status_code == 200
    assert got.headers["content-type"].startswith(EXPORTS[name].media_type)
    assert got.headers["content-disposition"].endswith(f'{EXPORTS[name].ending}"')
    assert "CVE-2030-1007" in got.text and "CVE-2030-1008" not in got.text


def test_the_filters_of_the_queue_count(client: TestClient) -> None:
    lines = client.get("/v1/export?format=jsonl&state=").text.splitlines()
    assert len(lines) == 300
    lines = client.get("/v1/export?format=jsonl&name=CVE-2030-101").text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [f"CVE-2030-{1010 + i}" for i in range(10)]
    for wrong in ("", "format=xml", "format=csv&state=gone", "format=csv&colour=red"):
        assert client.get(f"/v1/export?{wrong}").status_code == 422, wrong


def test_a_webhook_is_added_listed_and_removed(client: TestClient) -> None:
    body = {"url": "https://soc.example/hook", "events": ["new-cve"]}
    body["condition"] = {"products": ["foo"]}
    answer = client.post("/v1/webhooks", json=body)
    assert answer.status_code == 201, answer.text
    added = WebhookSecret.model_validate(answer.json())
    assert added.secret
    listed = client.get("/v1/webhooks")
    [one] = WebhookList.model_validate(listed.json()).webhooks
    assert (one.id, one.url, one.waiting) == (added.id, body["url"], 0)
    assert added.secret not in listed.text
    assert client.delete(f"/v1/webhooks/{added.id}").status_code == 204
    assert client.delete(f"/v1/webhooks/{added.id}").status_code == 404
    for wrong in (
        {"url": "http://127.0.0.1/", "events": ["new-cve"]},
        {"url": body["url"], "events": ["all"]},
        {"url": body["url"], "events": []},
        body | {"condition": {"products": "foo"}},
    ):
        assert client.post("/v1/webhooks", json=wrong).status_code == 422, wrong


def test_the_service_takes_the_files_of_its_watch_folder(client: TestClient) -> None:
    folder: Path = client.app.state.settings.watch  # type: ignore[attr-defined]
    folder.mkdir(exist_ok=True)
    path = folder / ".new.jsonl"
    path.write_text(json.dumps({"id": "CVE-2031-1001", "text": TEXT}) + "\n")
    os.utime(path, (time.time() - 60,) * 2)
    path.rename(folder / "new.jsonl")
    end = time.monotonic() + 30
    while not (folder / "done" / "new.jsonl").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert client.get("/v1/records?name=CVE-2031-1001").json()["records"]
