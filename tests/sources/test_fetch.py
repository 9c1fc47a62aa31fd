"""Every source is fetched from a server that speaks its real protocol."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmark.test_cti_bench import MCQ, RCM, TAA
from cybersecqwen.benchmark.tasks import TASKS, read_items, tasks_in
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.sources import FEEDS, download, nvd_json, read_vulnerabilities
from cybersecqwen.sources.cwe import read_catalogue
from cybersecqwen.sources.download import RetryPolicy
from cybersecqwen.sources.fetch import default_cache, fetch
from cybersecqwen.sources.stix import StixObject, read_bundle

from . import test_attack, test_capec, test_cve_json, test_kev
from .conftest import Answer, Seen, Upstream
from .test_cwe import CATALOGUE
from .test_nvd_json import cve, page
from .test_threat_actors import put_judgement

NVD_FEEDS = "/feeds/json/cve/2.0"
API = "/rest/json/cves/2.0"


def bundle_of(source: str) -> bytes:
    domain = source.removeprefix("attack-")
    objects = [test_capec.INJECTION] if source == "capec" else list(test_attack.OBJECTS)
    text = json.dumps({"type": "bundle", "id": "bundle--1", "objects": objects})
    return text.replace("enterprise-attack", f"{domain}-attack").encode()


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def put_feed(upstream: Upstream, year: int, count: int) -> bytes:
    content = page([cve(f"CVE-{year}-{1000 + i}") for i in range(count)])
    digest = hashlib.sha256(content).hexdigest().upper()
    meta = f"lastModifiedDate:2026-01-01T00:00:00\r\nsize:{len(content)}\r\nsha256:{digest}\r\n"
    upstream.files[f"{NVD_FEEDS}/nvdcve-2.0-{year}.meta"] = meta.encode()
    upstream.files[f"{NVD_FEEDS}/nvdcve-2.0-{year}.json.gz"] = gzip.compress(content, mtime=0)
    return content


def test_nvd_feeds_of_the_years_are_verified_by_their_meta(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy
) -> None:
    put_feed(upstream, 2020, 3)
    put_feed(upstream, 2021, 2)
    files = fetch(
        "nvd", tmp_path, url=upstream.url + NVD_FEEDS + "/", years=(2020, 2021), retry=retry
    )
    assert [path.name for path in files] == [f"nvdcve-2.0-{y}.json.gz" for y in (2020, 2021)]
    assert len(list(nvd_json.read(tmp_path / "nvd"))) == 5


def test_nvd_feed_is_fetched_again_only_when_its_meta_says_so(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy
) -> None:
    feed = f"{NVD_FEEDS}/nvdcve-2.0-2020.json.gz"
    for count in (3, 3, 4):
        put_feed(upstream, 2020, count)
        fetch("nvd", tmp_path, url=upstream.url + NVD_FEEDS, years=(2020,), retry=retry)
    assert len(upstream.of(feed)) == 2
    assert len(list(nvd_json.read(tmp_path / "nvd"))) == 4


def test_nvd_feed_that_is_not_what_its_meta_says_is_refused(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy
) -> None:
    put_feed(upstream, 2020, 3)
    upstream.files[f"{NVD_FEEDS}/nvdcve-2.0-2020.json.gz"] = gzip.compress(b"{}")
    with pytest.raises(InputError, match=r"2020\.json\.gz: the sha256 is"):
        fetch("nvd", tmp_path, url=upstream.url + NVD_FEEDS, years=(2020,), retry=retry)
    assert not list((tmp_path / "nvd").glob("*.gz"))


def test_nvd_needs_a_year_and_a_meta(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy
) -> None:
    with pytest.raises(InputError, match="no year"):
        fetch("nvd", tmp_path, url=upstream.url, retry=retry)
    upstream.files["/nvdcve-2.0-2020.meta"] = b"<html>moved</html>"
    with pytest.raises(CyberSecQwenError, match=r"2020\.meta: holds no sha256"):
        fetch("nvd", tmp_path, url=upstream.url, years=(2020,), retry=retry)


class Api:
    """The NVD API over a list of records, with its limits on page and window."""

    def __init__(self, upstream: Upstream, count: int, most: int = 2000) -> None:
        self.records = [cve(f"CVE-2024-{10000 + i}") for i in range(count)]
        self.most = most
        upstream.routes[API] = self.answer

    def answer(self, seen: Seen) -> Answer:
        if "pubStartDate" in seen.query:
            first, last = (
                date.fromisoformat(seen.query[f"pub{x}Date"][:10]) for x in ("Start", "End")
            )
            if (last - first).days >= 120:
                return Answer(404, headers={"message": "the date range is too long"})
        start = int(seen.query["startIndex"])
        size = min(int(seen.query["resultsPerPage"]), self.most)
        body = page(self.records[start : start + size], start=start, total=len(self.records))
        return Answer(200, body)


def test_api_pages_are_saved_and_read_back_whole(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy
) -> None:
    Api(upstream, 2500)
    files = fetch("nvd-api", tmp_path, url=upstream.url + API, retry=retry)
    assert [path.name for path in files] == ["0000000.json", "0002000.json"]
    records = list(nvd_json.read(tmp_path / "nvd-api"))
    assert len({record.cve_id for record in records}) == len(records) == 2500


def test_api_resumes_at_the_first_missing_page(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy
) -> None:
    Api(upstream, 30, most=10)
    upstream.faults[API] = [lambda a: a, lambda a: a, *[lambda _: Answer(503)] * 4]
    with pytest.raises(CyberSecQwenError, match="run it again"):
        fetch("nvd-api", tmp_path, url=upstream.url + API, retry=retry)
    before = len(upstream.seen)
    fetch("nvd-api", tmp_path, url=upstream.url + API, retry=retry)
    assert [seen.query["startIndex"] for seen in upstream.seen[before:]] == ["20"]
    assert len(list(nvd_json.read(tmp_path / "nvd-api"))) == 30


def test_api_period_is_cut_into_windows_the_server_takes(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy
) -> None:
    Api(upstream, 1)
    fetch("nvd-api", tmp_path, url=upstream.url + API, years=(2024,), retry=retry)
    names = sorted(path.name for path in (tmp_path / "nvd-api").iterdir())
    assert names == ["2024-01-01_2024-04-29", "2024-04-30_2024-08-27", "2024-08-28_2024-12-25",
                     "2024-12-26_2024-12-31"]  # fmt: skip
    assert upstream.seen[0].query["pubEndDate"] == "2024-04-29T23:59:59.999"


def test_api_key_goes_along_and_raises_the_limit(
    upstream: Upstream,
    tmp_path: Path,
    retry: RetryPolicy,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Api(upstream, 12, most=1)
    monkeypatch.setenv("NVD_API_KEY", "a-key")
    fetch("nvd-api", tmp_path, url=upstream.url + API, retry=retry)
    assert {seen.headers["apiKey"] for seen in upstream.seen} == {"a-key"}
    assert waits == []


def test_without_a_key_the_sixth_request_waits_for_the_period_to_roll(
    upstream: Upstream,
    tmp_path: Path,
    retry: RetryPolicy,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Api(upstream, 6, most=1)
    monkeypatch.delenv("NVD_API_KEY", raising=False)
    fetch("nvd-api", tmp_path, url=upstream.url + API, retry=retry)
    assert len(waits) == 1
    assert 0 < waits[0] <= 30


def test_api_key_is_not_carried_to_another_host_by_a_redirect(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVD_API_KEY", "a-key")
    upstream.routes[API] = lambda _: Answer(302, headers={"Location": "/elsewhere"})
    with pytest.raises(CyberSecQwenError, match="HTTP 302"):
        fetch("nvd-api", tmp_path, url=upstream.url + API, retry=retry)
    assert upstream.of("/elsewhere") == []


@pytest.mark.parametrize("code", [403, 429, 503])
def test_api_over_the_rate_is_tried_again(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy, waits: list[float], code: int
) -> None:
    Api(upstream, 3)
    upstream.faults[API] = [lambda _: Answer(code, headers={"Retry-After": "6"})]
    fetch("nvd-api", tmp_path, url=upstream.url + API, retry=retry)
    assert waits == [6.0]


def test_api_tells_its_own_reason(upstream: Upstream, tmp_path: Path, retry: RetryPolicy) -> None:
    upstream.routes[API] = lambda _: Answer(404, headers={"message": "Invalid apiKey."})
    with pytest.raises(CyberSecQwenError, match=r"HTTP 404 Not Found: Invalid apiKey\."):
        fetch("nvd-api", tmp_path, url=upstream.url + API, retry=retry)


@pytest.mark.parametrize(
    "body", [b"<html>gateway</html>", b'{"format": "other"}', page([], start=0, total=9)]
)
def test_api_answer_that_is_no_page_is_never_saved(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy, body: bytes
) -> None:
    upstream.routes[API] = lambda _: Answer(200, body)
    with pytest.raises(InputError, match=re.escape(API)):
        fetch("nvd-api", tmp_path, url=upstream.url + API, retry=retry)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("source", ["cvelist", "vulnrichment", "cwe"])
def test_archives_keep_the_name_their_reader_knows(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy, source: str
) -> None:
    if source == "cwe":
        upstream.files["/mirror/x"] = zipped("cwec_v4.16.xml", CATALOGUE.encode())
    else:
        record = json.dumps(test_cve_json.record()).encode()
        upstream.files["/mirror/x"] = zipped("cves/CVE-2024-0001.json", record)
    (file,) = fetch(source, tmp_path, url=f"{upstream.url}/mirror/x", retry=retry)
    assert file.parent == tmp_path / source
    assert file.name == FEEDS[source].url.rpartition("/")[2]
    if source == "cwe":
        assert "CWE-79" in read_catalogue(file)
    else:
        assert [record.cve_id for record in read_vulnerabilities(file)] == ["CVE-2024-0001"]


@pytest.mark.parametrize("source", ["attack-enterprise", "attack-mobile", "attack-ics", "capec"])
def test_knowledge_bases_come_as_bundles(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy, source: str
) -> None:
    address = urlsplit(FEEDS[source].url)
    assert address.netloc == "raw.githubusercontent.com"
    upstream.files[address.path] = bundle_of(source)
    (file,) = fetch(source, tmp_path, url=upstream.url + address.path, retry=retry)
    assert file.parent == tmp_path / source
    assert read_bundle(file, StixObject)


LOGIN = b"<!DOCTYPE html><title>Log in to the guest network</title>"
KEV = json.dumps(test_kev.catalogue(test_kev.entry("CVE-2024-0001"))).encode()


@pytest.mark.parametrize(
    ("source", "good"),
    [
        ("kev", KEV),
        *((name, bundle_of(name)) for name in ("attack-enterprise", "attack-ics", "capec")),
    ],
)
@pytest.mark.parametrize("other", [LOGIN, b"", b"{}", b'{"type": "bundle", "objects": []}', KEV])
def test_what_is_not_the_feed_takes_no_good_files_place(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy, source: str, good: bytes, other: bytes
) -> None:
    if other == good:
        other = good[: len(good) // 2]
    upstream.files["/x"] = good
    (file,) = fetch(source, tmp_path, url=f"{upstream.url}/x", retry=retry)
    upstream.files["/x"] = other
    with pytest.raises(InputError) as caught:
        fetch(source, tmp_path, url=f"{upstream.url}/x", retry=retry)
    assert str(caught.value.where).startswith(f"{upstream.url}/x")
    assert file.read_bytes() == good
    assert [path.name for path in file.parent.iterdir() if path.name[0] != "."] == [file.name]
    upstream.files["/x"] = good + b"\n"
    fetch(source, tmp_path, url=f"{upstream.url}/x", retry=retry)
    assert file.read_bytes() == good + b"\n"


@pytest.mark.parametrize("source", ["cwe", "cvelist", "vulnrichment"])
def test_an_archive_of_something_else_is_refused(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy, source: str
) -> None:
    for body in (zipped("cves/index.html.xml", LOGIN), LOGIN):
        upstream.files["/x"] = body
        with pytest.raises(InputError):
            fetch(source, tmp_path, url=f"{upstream.url}/x", retry=retry)
        assert [path for path in (tmp_path / source).iterdir() if path.name[0] != "."] == []


def test_a_reply_that_is_packed_for_the_way_is_unpacked(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy
) -> None:
    packed = Answer(200, gzip.compress(KEV, mtime=0), {"Content-Encoding": "gzip"})
    upstream.routes["/kev.json"] = lambda _: packed
    (file,) = fetch("kev", tmp_path, url=f"{upstream.url}/kev.json", retry=retry)
    assert file.read_bytes() == KEV
    upstream.routes["/kev.json"] = lambda _: replace(packed, body=packed.body[:-9])
    with pytest.raises(InputError, match="truncated or damaged"):
        fetch("kev", tmp_path, url=f"{upstream.url}/kev.json", retry=retry)
    assert file.read_bytes() == KEV


def test_several_that_fetch_one_file_at_once_all_have_it(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy
) -> None:
    upstream.files["/kev.json"] = KEV
    with ThreadPoolExecutor(4) as pool:
        got = pool.map(
            lambda _: fetch("kev", tmp_path, url=f"{upstream.url}/kev.json", retry=retry), range(4)
        )
        assert {file.read_bytes() for (file,) in got} == {KEV}


def test_an_answer_without_end_is_refused(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_MOST", 100)
    monkeypatch.setattr(download, "_MOST_HELD", 100)
    upstream.files["/kev.json"] = KEV
    bomb = Answer(200, gzip.compress(bytes(100_000)), {"Content-Encoding": "gzip"})
    upstream.routes["/nvd/nvdcve-2.0-2024.meta"] = lambda _: bomb
    for source, path in (("kev", "/kev.json"), ("nvd", "/nvd")):
        with pytest.raises(CyberSecQwenError, match="the server sends more than"):
            fetch(source, tmp_path, url=upstream.url + path, years=(2024,), retry=retry)


def put_cti_bench(upstream: Upstream) -> None:
    headers = {"cti-mcq": MCQ, "cti-taa": TAA}
    for task in TASKS:
        path = f"/datasets/AI4Sec/cti-bench/resolve/main/{task}.tsv"
        upstream.files[path] = headers.get(task, RCM).encode() + b"\r\n"
    upstream.files["/datasets/AI4Sec/cti-bench/resolve/main/cti-taa.tsv"] += b"u1\tt\tp\r\n"
    put_judgement(upstream, "APT28")


def test_cti_bench_comes_through_the_hub_client(upstream: Upstream, tmp_path: Path) -> None:
    put_cti_bench(upstream)
    files = fetch("cti-bench", tmp_path, url=upstream.url)
    assert [path.name for path in files] == [
        *(f"{task}.tsv" for task in TASKS), "cti-taa-gold.tsv", "threat-actors.json"
    ]  # fmt: skip
    assert {path.parent for path in files} == {tmp_path / "cti-bench"}
    assert files[0].read_bytes().startswith(b"URL\tQuestion")
    (item,) = read_items(tmp_path / "cti-bench", "cti-taa")
    assert (item.url, item.gold) == ("u1", "APT28")


def test_cti_bench_without_what_judges_cti_taa_keeps_its_tasks(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy
) -> None:
    put_cti_bench(upstream)
    for path in [path for path in upstream.files if "/evaluation/" in path]:
        del upstream.files[path]
    with pytest.raises(CyberSecQwenError, match="without it cti-taa cannot be judged"):
        fetch("cti-bench", tmp_path, url=upstream.url, retry=retry)
    assert tasks_in(tmp_path / "cti-bench") == list(TASKS)


def test_cti_bench_that_the_hub_lacks_is_one_line(upstream: Upstream, tmp_path: Path) -> None:
    with pytest.raises(CyberSecQwenError, match="AI4Sec/cti-bench: the hub does not give"):
        fetch("cti-bench", tmp_path, url=upstream.url)


def test_cti_bench_cut_on_the_way_arrives_whole(upstream: Upstream, tmp_path: Path) -> None:
    put_cti_bench(upstream)
    path = "/datasets/AI4Sec/cti-bench/resolve/main/cti-mcq.tsv"
    upstream.faults[path] = [lambda a: a, lambda a: replace(a, cut=4)]  # a HEAD comes first
    files = fetch("cti-bench", tmp_path, url=upstream.url)
    assert files[0].read_bytes() == upstream.files[path]


def test_unknown_source_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"vulnrichment, cwe, attack-enterprise, .*, capec, kev, epss, cti-bench"
    ):
        fetch("nvdd", tmp_path)


def test_default_cache_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("CYBERSECQWEN_CACHE")
    assert default_cache().name == "cybersecqwen"


def test_a_saved_page_holds_what_the_server_sent(
    upstream: Upstream, tmp_path: Path, retry: RetryPolicy
) -> None:
    Api(upstream, 2)
    (file,) = fetch("nvd-api", tmp_path, url=upstream.url + API, retry=retry)
    assert json.loads(file.read_text())["totalResults"] == 2
