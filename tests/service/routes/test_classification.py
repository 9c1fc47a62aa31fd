from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

from cybersecqwen.analyst.classification import as_row, classify
from cybersecqwen.artifacts import FOLDER, certificate_of
from cybersecqwen.files import read_json
from cybersecqwen.service.app import create_app
from cybersecqwen.service.schemas import ClassificationOutput
from cybersecqwen.service.settings import ServiceSettings

TEXT = "SQL injection in login.php allows attackers to read the database."
NDJSON = {"content-type": "application/x-ndjson"}


def test_an_answer_is_that_of_the_command_with_what_gave_it(client: TestClient) -> None:
    row = client.post("/v1/classify", json={"id": "a", "text": TEXT}).json()
    ClassificationOutput.model_validate(row)
    source = row.pop("source")
    assert row.pop("confidence") == row["candidates"][0]["confidence"]
    [result] = classify([TEXT])
    assert row == json.loads(json.dumps(as_row(result))) | {"id": "a"}
    certificate = read_json(certificate_of(FOLDER, "cwe-classifier.npz"))
    assert source["sha256"] == certificate["sha256"]
    assert (source["engine"], source["protocol"]) == ("embedded", "model-card/1")


def test_a_list_is_answered_in_its_order_with_positions_for_ids(client: TestClient) -> None:
    texts = [{"text": TEXT}, {"id": 7, "text": "A cake recipe."}, {"id": "x", "text": TEXT}]
    rows = client.post("/v1/classify?top=1&threshold=0", json=texts).json()
    assert [row["id"] for row in rows] == [1, 7, "x"]
    assert [len(row["candidates"]) for row in rows] == [1, 0, 1]


def test_requests_that_come_together_get_each_its_own_answer(tmp_path: Path) -> None:
    app = create_app(ServiceSettings(folder=tmp_path))
    kinds = ["SQL injection", "Cross-site scripting", "Path traversal", "Heap buffer overflow"]
    texts = [f"{kinds[i % 4]} in part {i} of a product." for i in range(100)]

    async def all_at_once() -> list[str]:
        transport = httpx2.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            posts = [client.post("/v1/classify", json={"id": t, "text": t}) for t in texts]
            return [answer.json() for answer in await asyncio.gather(*posts)]

    rows = asyncio.run(all_at_once())
    assert [row["id"] for row in rows] == texts
    alone = [one.candidates[0].cwe for one in classify(texts)]
    assert [row["candidates"][0]["cwe"] for row in rows] == alone
    assert len(set(alone)) > 2


def test_a_feed_is_answered_line_by_line_and_a_bad_line_in_its_place(client: TestClient) -> None:
    lines = [b'{"id": "a", "text": "%s"}' % TEXT.encode(), b"nonsense", b"", b'{"text": 1}']
    lines += [b"[]", b'{"text": "\\ud800"}', b'{"text": "\xff"}', b'{"text": "x" , "more": 1}']
    lines += [b'{"text": "%s"}' % (b"x" * (1 << 20)), b'{"text": "last"}']
    answer = client.post("/v1/classify", content=b"\n".join(lines), headers=NDJSON)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row.get("id", row.get("line")) for row in rows] == ["a", 2, 4, 5, 6, 7, 8, 9, 10]
    assert ["error" in row for row in rows] == [False, *[True] * 7, False]
    assert "valid string" in rows[2]["error"]


def test_a_feed_longer_than_a_batch_keeps_its_order(client: TestClient) -> None:
    lines = b"".join(b'{"text": "XSS in page %d"}\n' % i for i in range(600))
    answer = client.post("/v1/classify", content=lines, headers=NDJSON)
    assert [json.loads(line)["id"] for line in answer.text.splitlines()] == [*range(1, 601)]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("", b"", "Invalid JSON"),
        ("", b"[]", "0 texts"),
        ("", b'{"text": 1}', "#/text"),
        ("", b'[{"text": "a"}, {}]', "#/1/text"),
        ("", b'{"text": "a", "di": 1}', "#/di"),
        ("", b'{"text": "a", "id": true}', "#/id"),
        ("", b'{"text": "\\ud800"}', "Invalid JSON"),
        ("", b"[" * 100_000, "Invalid JSON"),
        ("?top=0", b'{"text": "a"}', "top"),
        ("?threshold=nan", b'{"text": "a"}', "threshold"),
        ("?tpo=1", b'{"text": "a"}', "tpo"),
    ],
)
def test_what_is_wrong_is_named(client: TestClient, path: str, body: bytes, named: str) -> None:
    json_type = {"content-type": "application/json"}
    answer = client.post(f"/v1/classify{path}", content=body, headers=json_type)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert named in answer.json()["detail"]


def test_other_kinds_of_bodies_are_refused(client: TestClient) -> None:
    answer = client.post("/v1/classify", content=b"a=b", headers={"content-type": "text/csv"})
    assert answer.status_code == 415


def test_what_steers_a_terminal_is_escaped(client: TestClient) -> None:
    answer = client.post("/v1/classify", json={"id": "a\u009b2J\u202e", "text": TEXT})
    assert "\u009b" not in answer.text
    assert answer.json()["id"] == "a\u009b2J\u202e"
