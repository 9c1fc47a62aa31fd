from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cybersecqwen.service.schemas import LookupOutput

RECORD = {
    "cve": {
        "id": "CVE-2021-44228",
        "published": "2021-12-10T10:15:09.143",
        "lastModified": "2024-11-21T06:00:00.000",
        "vulnStatus": "Analyzed",
        "descriptions": [
            {"lang": "en", "value": "Log4j2 deserializes untrusted data of JNDI lookups."}
        ],
    }
}


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cybersecqwen" / "nvd"
    folder.mkdir(parents=True)
    feed = {"resultsPerPage": 1, "startIndex": 0, "totalResults": 1, "format": "NVD_CVE"}
    feed |= {"version": "2.0", "timestamp": "2024-11-21T06:00:00", "vulnerabilities": [RECORD]}
    (folder / "nvdcve-2.0-2021.json.gz").write_bytes(gzip.compress(json.dumps(feed).encode()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_a_record_comes_with_an_etag_that_spares_the_next_answer(
    client: TestClient, cached: None
) -> None:
    answer = client.get("/v1/lookup/cve-2021-44228")
    assert answer.status_code == 200, answer.text
    row = answer.json()
    LookupOutput.model_validate(row)
    assert row["classification"]["candidates"][0]["cwe"] == "CWE-502"
    assert "where" not in row
    tag = answer.headers["etag"]
    again = client.get("/v1/lookup/CVE-2021-44228", headers={"if-none-match": f'"x", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = client.get("/v1/lookup/CVE-2021-44228", headers={"if-none-match": '"x"'})
    assert other.status_code == 200


@pytest.mark.parametrize("cve", ["CVE-2021-9999", "CVE-1", "hello", "%00", "CVE-2021-44228%2F.."])
def test_what_is_not_there_is_a_problem(client: TestClient, cached: None, cve: str) -> None:
    answer = client.get(f"/v1/lookup/{cve}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
