"""The record store from the command line: filled, updated, killed, asked, and used as records."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result

from cybersecqwen.cli import main
from cybersecqwen.sample import FEED
from cybersecqwen.sources import FEEDS, read_vulnerabilities
from sources.conftest import Answer, Seen, Upstream
from sources.recordstore.conftest import API, CveList, Nvd
from sources.test_kev import catalogue, entry


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NVD_API_KEY", "a-key")
    return tmp_path / "cache"


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code, result.output
    return result


def update(upstream: Upstream, *arguments: str, code: int = 0) -> Result:
    return run("fetch", "records", "--url", upstream.url, *arguments, code=code)


def test_feeds_that_are_there_are_updated_though_others_fail(
    cache: Path, upstream: Upstream
) -> None:
    nvd, cve_list = Nvd(upstream), CveList(upstream)
    nvd.put("CVE-2024-1000", "2024-02-03T00:00:00.000", "CWE-79", published="2024-02-03T00:00:00")
    cve_list.put("CVE-2024-1001", "2024-01-01T10:00:00.000Z")
    cve_list.put("CVE-2024-1000", "2024-02-03T10:00:00.000Z", "CWE-80")
    kev = json.dumps(catalogue(entry("CVE-2024-1000"))).encode()
    upstream.files[urlsplit(FEEDS["kev"].url).path] = kev
    result = update(upstream, "--since", "2024-02-01", "--json", code=1)  # no EPSS, CWE …
    told = {row["name"]: row for row in json.loads(result.stdout)}
    assert (told["nvd"]["new"], told["cvelist"]["changed"], told["kev"]["new"]) == (1, 1, 1)
    assert told["kev"]["state"] == "2026.01.05"
    failing = {name for name, feed in FEEDS.items() if feed.update} - {"nvd", "cvelist", "kev"}
    assert result.stderr.count("HTTP 404") == len(failing)
    (line,) = run("records", "since", "2024-02-01", "--kev").stdout.splitlines()
    row = json.loads(line)
    assert (row["cwe_nvd"], row["cwe_cna"]) == (["CWE-79"], ["CWE-80"])
    assert row["known_exploited"] == "2026-01-05"
    status = json.loads(run("records", "status", "--json").stdout)
    assert (status["records"], status["kev"]) == (1, 1)
    assert "2024-02-03T10:00:00.000" in run("records", "status").stdout


def test_an_update_killed_between_pages_loses_nothing_and_repeats_nothing(
    cache: Path, upstream: Upstream
) -> None:
    nvd = Nvd(upstream)
    nvd.most = 2
    for i in range(6):
        nvd.put(f"CVE-2024-{1000 + i}", f"2024-02-0{i + 1}T00:00:00.000")
    command = [sys.executable, "-m", "cybersecqwen.cli", "fetch", "records", "--only", "nvd"]
    started: list[subprocess.Popen[bytes]] = []

    def kill_at_the_third(seen: Seen) -> Answer:
        if seen.query["startIndex"] == "4":
            os.kill(started[0].pid, signal.SIGKILL)
        return nvd.answer(seen)

    upstream.routes[API] = kill_at_the_third
    started.append(subprocess.Popen([*command, "--url", upstream.url], stdout=subprocess.PIPE))
    assert started[0].wait(60) == -signal.SIGKILL
    started[0].communicate()
    assert run("records", "since", "2015-01-01", "--count").stdout == "4\n"
    upstream.routes[API] = nvd.answer
    asked = len(nvd.asked)
    update(upstream, "--only", "nvd")
    rest, *increments = nvd.asked[asked:]
    assert rest == ("", "", "4")
    assert all(start >= "2024-02-04" for start, _, _ in increments)
    assert run("records", "since", "2015-01-01", "--count").stdout == "6\n"


def test_a_change_of_labels_is_printed(cache: Path, upstream: Upstream) -> None:
    nvd = Nvd(upstream)
    nvd.put("CVE-2024-1000", "2024-02-01T00:00:00.000", "NVD-CWE-noinfo")
    update(upstream, "--only", "nvd")
    unchanged = run("records", "history", "CVE-2024-1000").stdout
    assert unchanged == "CVE-2024-1000: no change since it was first stored\n"
    nvd.put("CVE-2024-1000", "2024-02-02T00:00:00.000", "CWE-79", "CWE-80")
    assert "label changes" in update(upstream, "--only", "nvd").stdout
    printed = run("records", "history", "cve-2024-1000").stdout
    assert "| nvd  | cwe_nvd | NVD-CWE-noinfo | CWE-79, CWE-80 |" in printed
    (change,) = json.loads(run("records", "history", "CVE-2024-1000", "--json").stdout)
    assert (change["old"], change["new"]) == (["NVD-CWE-noinfo"], ["CWE-79", "CWE-80"])


def answer(line: str) -> str:
    """Take what a record's own labels add out of an answer."""
    fields = json.loads(line)
    return json.dumps({k: v for k, v in fields.items() if k not in ("labels", "difference")})


def test_what_the_store_gives_is_records_for_the_other_commands(
    cache: Path, tmp_path: Path
) -> None:
    run("records", "import", str(FEED))
    store, fresh = cache / "records.sqlite", tmp_path / "fresh.jsonl"
    fresh.write_text(run("records", "since", "2000-01-01").stdout)
    again = {record.cve_id: record for record in read_vulnerabilities(store)}
    assert again == {record.cve_id: record for record in read_vulnerabilities(fresh)}
    one = next(cve_id for cve_id, record in again.items() if not record.rejected)
    answers = [
        run("classify", *given, "--json").stdout.splitlines()
        for given in ([str(store)], [str(fresh)], [one, "--records", str(store)], [one])
    ]
    # A row of JSONL is a text to classify, so no labels stand beside its answer.
    assert sorted(map(answer, answers[0])) == sorted(map(answer, answers[1]))
    assert answers[2] == answers[3] == [line for line in answers[0] if f'"{one}"' in line]
    for name in ("store", "fresh"):
        path = str(store if name == "store" else fresh)
        run("corpus", "smoke", "--records", path, "--out", str(tmp_path / name))
    counts = [
        json.loads((tmp_path / name / "corpus" / "certificate.json").read_text())["counts"]
        for name in ("store", "fresh")
    ]
    assert counts[0]["train"] == counts[1]["train"] > 0


def test_an_import_is_done_once(cache: Path, tmp_path: Path) -> None:
    first = json.loads(run("records", "import", str(FEED), "--json").stdout)
    again = json.loads(run("records", "import", str(FEED), "--json").stdout)
    records = list(read_vulnerabilities(FEED))
    assert first[0]["new"] == len({record.cve_id for record in records})
    assert again[0] | {"new": 0, "changed": 0, "labels": 0} == again[0]
    cut = tmp_path / "cut.json"
    cut.write_bytes(FEED.read_bytes()[:-100])
    before = shutil.copy(cache / "records.sqlite", tmp_path / "before.sqlite")
    assert "not valid JSON" in run("records", "import", str(cut), code=1).stderr
    again = run("records", "import", str(cut), str(FEED), "--json", code=1)
    assert [part["received"] for part in json.loads(again.stdout)][1] > 0
    assert Path(before).read_bytes() == (cache / "records.sqlite").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["records", "since", "2025-13-01"], 1, "'2025-13-01' is not a date"),
        (["records", "since", "2025-12-01"], 1, "no such record store"),
        (["records", "status"], 1, "make it: cybersecqwen fetch records"),
        (["fetch", "records", "--only", "nvdd"], 2, "'nvdd' is not one of 'nvd', 'cvelist'"),
        (["fetch", "records", "--since", "2999-01-01"], 1, "2999-01-01 lies in the future"),
        (["fetch", "records", "--years", "2021"], 2, "--years is for nvd and nvd-api"),
        (["fetch", "kev", "--only", "nvd"], 2, "--only is for records, not for kev"),
    ],
)
def test_a_mistake_is_told(cache: Path, arguments: list[str], code: int, said: str) -> None:
    assert said in run(*arguments, code=code).stderr


def test_a_record_that_is_nowhere_is_told(cache: Path) -> None:
    run("records", "import", str(FEED))
    assert "is not in the record store" in run("records", "history", "CVE-1-1", code=1).stderr
