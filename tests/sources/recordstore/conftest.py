"""Upstreams of the record store: the NVD API by modification, and the CVE List with its log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.sources.download import RetryPolicy
from cybersecqwen.sources.recordstore.session import UpdateOptions
from cybersecqwen.sources.recordstore.update import Outcome, update

from ..conftest import Answer, Seen, Upstream
from ..test_cve_json import record
from ..test_nvd_json import cve, page, weakness

API = "/rest/json/cves/2.0"
LIST = "/CVEProject/cvelistV5/main/cves"
ZIP = "/CVEProject/cvelistV5/archive/refs/heads/main.zip"
NOW = datetime(2026, 3, 1, 12)


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVD_API_KEY", "a-key")  # 50 requests in a period, so none waits


class Nvd:
    """The API over records that change, with its limits on page, window and what is asked."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.records: dict[str, dict[str, Any]] = {}
        self.most = 2000
        self.clock = NOW
        upstream.routes[API] = self.answer

    def put(self, cve_id: str, modified: str, *labels: str, **changes: Any) -> None:
        labelled = [weakness("nvd@nist.gov", *labels)] if labels else []
        one = cve(cve_id, lastModified=modified, weaknesses=labelled, **changes)
        self.records[cve_id] = one

    def answer(self, seen: Seen) -> Answer:
        matching = list(self.records.values())
        if "lastModStartDate" in seen.query:
            start, end = (
                datetime.fromisoformat(seen.query[f"lastMod{x}Date"]) for x in ("Start", "End")
            )
            if end - start > timedelta(days=120) or end < start:
                return Answer(404, headers={"message": "invalid date range"})
            matching = [
                record
                for record in matching
                if start <= datetime.fromisoformat(record["lastModified"]) <= end
            ]
        first = int(seen.query["startIndex"])
        size = min(int(seen.query["resultsPerPage"]), self.most)
        body = json.loads(page(matching[first : first + size], start=first, total=len(matching)))
        return Answer(200, json.dumps({**body, "timestamp": self.clock.isoformat()}).encode())

    @property
    def asked(self) -> list[tuple[str, str, str]]:
        names = ("lastModStartDate", "lastModEndDate", "startIndex")
        return [tuple(s.query.get(n, "") for n in names) for s in self.upstream.of(API)]  # type: ignore[misc]


@dataclass
class CveList:
    """The repository: a record's file is as it is now, the log says when it changed."""

    upstream: Upstream
    log: list[dict[str, Any]] = field(default_factory=list)

    def put(
        self, cve_id: str, time: str, *labels: str, kind: str = "updated", **parts: Any
    ) -> None:
        problems = [{"descriptions": [{"lang": "en", "cweId": label} for label in labels]}]
        whole = record(cve_id)
        whole["cveMetadata"] |= {"dateUpdated": time, **parts}
        whole["containers"]["cna"]["problemTypes"] = problems
        self.upstream.files[self.path(cve_id)] = json.dumps(whole).encode()
        self.note(time, cve_id, kind=kind)

    def note(self, time: str, cve_id: str, kind: str = "updated") -> None:
        changes = [{"cveId": cve_id, "githubLink": "http://127.0.0.1:1/", "dateUpdated": time}]
        delta = {"fetchTime": time, "numberOfChanges": 1, "new": [], "updated": [], "error": []}
        self.log.insert(0, {**delta, kind: changes})  # upstream's newest stands first
        self.upstream.files[f"{LIST}/deltaLog.json"] = json.dumps(self.log).encode()

    @staticmethod
    def path(cve_id: str) -> str:
        _, year, number = cve_id.split("-")
        return f"{LIST}/{year}/{number[:-3]}xxx/{cve_id}.json"

    @property
    def fetched(self) -> list[str]:
        names = (Path(seen.path).name for seen in self.upstream.seen)
        return sorted(name.removesuffix(".json") for name in names if name.startswith("CVE-"))


@pytest.fixture
def nvd(upstream: Upstream) -> Nvd:
    return Nvd(upstream)


@pytest.fixture
def cve_list(upstream: Upstream) -> CveList:
    return CveList(upstream)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "records.sqlite"


@pytest.fixture
def order(upstream: Upstream, store: Path, retry: RetryPolicy) -> UpdateOptions:
    return UpdateOptions(store, store.parent, url=upstream.url, retry=retry, now=lambda: NOW)


@pytest.fixture
def run(order: UpdateOptions) -> Iterator[Callable[..., Outcome]]:
    """Update one feed, and raise what ended it."""

    def one(feed: str, with_order: UpdateOptions = order) -> Outcome:
        (outcome,) = update(with_order, only=[feed])
        if outcome.error:
            raise outcome.error
        return outcome

    yield one
