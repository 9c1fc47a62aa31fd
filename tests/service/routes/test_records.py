"""Records, imports and reviews over HTTP: pages, ETags, verdicts, and requests sent twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres import Server
from starlette.testclient import TestClient

from cybersecqwen.errors import InputError
from cybersecqwen.service import idempotency
from cybersecqwen.service.app import create_app
from cybersecqwen.service.audit_trail import events, verify
from cybersecqwen.service.schemas import ImportOutput, RecordList, RecordOutput, ReviewOutput
from cybersecqwen.service.settings import ServiceSettings

TEXT = "SQL injection in login.php allows attackers to read the database."


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(ServiceSettings(folder=tmp_path))
    with TestClient(app, base_url="http://localhost") as client:
        yield client


def add(client: TestClient, count: int = 1) -> list[dict[str, Any]]:
    texts = [{"id": f"ticket-{i}", "text": f"{TEXT} Part {i}."} for i in range(count)]
    assert client.post("/v1/records", json=texts).status_code == 201
    rows: list[dict[str, Any]] = client.get("/v1/records?limit=500").json()["records"]
    return rows


def actions(client: TestClient) -> list[str]:
    with client.app.state.database.read() as session:  # type: ignore[attr-defined]
        assert not verify(session).broken
        return [event.action for event in events(session)]


def test_pages_go_through_all_records_once(client: TestClient) -> None:
    add(client, 7)
    seen, after = [], ""
    while True:
        found = client.get("/v1/records", params={"limit": 3, "after": after})
        listed = RecordList.model_validate(found.json())
        seen += [one.name for one in listed.records]
        if not listed.next:
            break
        after = listed.next
    assert sorted(seen) == [f"ticket-{i}" for i in range(7)]
    again = client.get(found.request.url, headers={"if-none-match": found.headers["etag"]})
    assert again.status_code == 304
    assert client.get("/v1/records?state=decided").json()["records"] == []
    assert len(client.get("/v1/records?cwe=cwe-89&state=").json()["records"]) == 7
    for wrong in (
        "after=x",
        "limit=0",
        "state=gone",
        "colour=red",
        "min_severity=11",
        f"import_id={2**70}",
    ):
        assert client.get(f"/v1/records?{wrong}").status_code == 422, wrong


def test_a_verdict_is_given_once_withdrawn_and_given_anew(client: TestClient) -> None:
    [row] = add(client)
    path = f"/v1/records/{row['id']}"
    tag = client.get(path).headers["etag"]
    seen = RecordOutput.model_validate(client.get(path).json())
    assert (seen.suggested, seen.engine, len(seen.artifact)) == ("CWE-89", "embedded", 64)
    verdict = {"verdict": "correct", "cwe": "cwe-564", "version": seen.version}
    answer = client.post(f"{path}/reviews", json=verdict)
    assert answer.status_code == 201, answer.text
    kept = ReviewOutput.model_validate(answer.json())
    assert (kept.reviewer, kept.cwe, kept.state) == ("local", "CWE-564", "decided")
    assert client.get(path, headers={"if-none-match": tag}).status_code == 200
    assert client.post(f"{path}/reviews", json=verdict).status_code == 409
    assert client.post("/v1/reviews/undo").json()["state"] == "open"
    assert client.post("/v1/reviews/undo").status_code == 409
    client.post(f"{path}/reviews", json={"verdict": "reject"})
    assert client.post(f"{path}/send-back", json={"reason": "new facts"}).json()["state"] == "open"
    assert client.post(f"{path}/comments", json={"text": "See it."}).status_code == 201
    assert client.get(path).json()["comments"][0]["text"] == "See it."
    told = ["add", "correct", "undo", "reject", "send back", "comment"]
    assert actions(client) == told


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("reviews", {"verdict": "correct", "cwe": "CWE-99999"}, 422),
        ("reviews", {"verdict": "correct"}, 422),
        ("reviews", {"verdict": "maybe"}, 422),
        ("reviews", {"verdict": "accept", "version": 99}, 409),
        ("send-back", {"reason": "open already"}, 409),
        ("comments", {"text": " "}, 422),
    ],
)
def test_a_verdict_that_does_not_fit_changes_nothing(
    client: TestClient, path: str, body: dict[str, object], status: int
) -> None:
    [row] = add(client)
    answer = client.post(f"/v1/records/{row['id']}/{path}", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert client.post(f"/v1/records/9999/{path}", json=body).status_code in (404, 422)
    assert actions(client) == ["add"]


def test_a_request_sent_again_gets_the_first_answer_and_acts_once(client: TestClient) -> None:
    [row] = add(client)
    path = f"/v1/records/{row['id']}/comments"
    key = {"idempotency-key": "once"}
    first = client.post(path, json={"text": "A"}, headers=key)
    again = client.post(path, json={"text": "A"}, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert client.post(path, json={"text": "B"}, headers=key).status_code == 422
    assert (
        client.post(path, json={"text": "A"}, headers={"idempotency-key": "two"}).status_code == 201
    )
    assert (
        client.post(path, json={"text": "A"}, headers={"idempotency-key": "x" * 201}).status_code
        == 422
    )
    assert actions(client).count("comment") == 2
    texts = [{"id": "new", "text": TEXT}]
    sent = [client.post("/v1/records", json=texts, headers={"idempotency-key": "t"}) for _ in "ab"]
    assert [one.headers.get("idempotency-replayed") for one in sent] == [None, "true"]
    assert actions(client).count("add") == 2


@pytest.mark.parametrize("path", ["/v1/records", "/v1/imports"])
def test_what_is_acknowledged_and_its_answer_are_kept_together_or_not_at_all(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def fail() -> None:
        raise InputError("the power is cut")

    def post() -> int:
        row = b'{"id": "a", "text": "SQL injection."}'
        kind = "json" if path == "/v1/records" else "octet-stream"
        headers = {"content-type": f"application/{kind}", "idempotency-key": "k"}
        return client.post(path, content=row, headers=headers).status_code

    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "utc_now", fail)  # when it is about to store the answer
        assert post() == 422
    assert actions(client) == []
    assert post() in (201, 202)
    assert actions(client).count("add") + actions(client).count("import") == 1


def test_a_request_that_failed_may_be_sent_again(client: TestClient) -> None:
    [row] = add(client)
    path, key = f"/v1/records/{row['id']}/reviews", {"idempotency-key": "k"}
    wrong = {"verdict": "accept", "version": 99}
    assert client.post(path, json=wrong, headers=key).status_code == 409
    assert client.post(path, json={"verdict": "accept"}, headers=key).status_code == 201


@pytest.mark.parametrize("as_form", [True, False])
def test_a_file_is_imported_once_and_names_what_it_refuses(
    client: TestClient, as_form: bool
) -> None:
    data = b'{"id": "a", "text": "XSS in Foo."}\nnonsense\n{"id": "b", "text": "Path traversal."}\n'
    key = {"idempotency-key": "file"}

    def send() -> Any:
        if as_form:
            return client.post("/v1/imports", files={"file": ("feed.jsonl", data)}, headers=key)
        kind = {"content-type": "application/octet-stream"}
        return client.post("/v1/imports?name=feed.jsonl", content=data, headers=key | kind)

    answer = send()
    assert answer.status_code == 202, answer.text
    for _ in range(200):
        row = ImportOutput.model_validate(client.get(answer.headers["location"]).json())
        if row.state != "running":
            break
        time.sleep(0.05)
    assert (row.state, row.name, row.new, row.refused) == ("done", "feed.jsonl", 2, 1)
    assert "not valid JSON" in row.problems[0]
    again = send()
    assert again.headers["location"] == answer.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert actions(client).count("import") == 1


def test_what_postgresql_cannot_hold_is_refused(postgres: Server, tmp_path: Path) -> None:
    app = create_app(ServiceSettings(database=postgres.create(), folder=tmp_path))
    with TestClient(app, base_url="http://localhost") as client:
        [row] = add(client)
        answer = client.post(f"/v1/records/{row['id']}/comments", json={"text": "a\0b"})
        assert (answer.status_code, "cannot hold" in answer.json()["detail"]) == (422, True)
        assert client.get("/v1/records?text=a%00bc").status_code == 422
        assert actions(client) == ["add"]


def test_what_is_no_file_or_no_import_is_named(client: TestClient) -> None:
    assert client.post("/v1/imports", content=b"").status_code == 422
    assert client.post("/v1/imports", files={"other": ("a", b"x")}).status_code == 422
    assert client.get("/v1/imports/99").status_code == 404
    assert client.post("/v1/records", json=[{"text": TEXT}]).status_code == 422
    assert client.post("/v1/records", json=[]).status_code == 422
