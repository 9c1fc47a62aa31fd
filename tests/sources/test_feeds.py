"""Every feed recognises its own file and no other's, reads it, and can be fetched by its name."""

from __future__ import annotations

import gzip
import json
import os
import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import mutations
import pytest
from click.testing import CliRunner

from cybersecqwen.analyst.texts import read_file
from cybersecqwen.cli import main
from cybersecqwen.contamination.training_rows import read_rows
from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head
from cybersecqwen.formats.rows import refuse
from cybersecqwen.records import Vulnerability
from cybersecqwen.sample import BENCHMARK
from cybersecqwen.sources import FEEDS, read_vulnerabilities, recognise
from cybersecqwen.sources.recordstore.database import open_for_update, transaction
from cybersecqwen.sources.recordstore.session import UpdateOptions
from cybersecqwen.sources.recordstore.update import import_files, updates
from cybersecqwen.sources.recordstore.versions import NVD, apply

from . import (
    test_advisories,
    test_attack,
    test_capec,
    test_cve_json,
    test_cwe,
    test_epss,
    test_findings,
    test_kev,
    test_nvd_json,
)
from . import test_record_table as test_table

CVE = "CVE-2024-0001"
NVD_FEED = test_nvd_json.page([test_nvd_json.cve(CVE)])


def bundle(*objects: object, domain: str = "") -> bytes:
    text = json.dumps({"type": "bundle", "id": "bundle--1", "objects": objects})
    return text.replace("enterprise-attack", f"{domain}-attack").encode()


def store(path: Path) -> None:
    (record,) = read_vulnerabilities(put(path.parent / "feed.json", NVD_FEED))
    with open_for_update(path) as connection, transaction(connection):
        apply(connection, NVD, [record], seen="")


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def table(path: Path) -> None:
    rows = [{**test_table.ROW, "cve_id": CVE, "description": "XSS in Foo."}]
    test_table.write(path.parent, ".parquet", rows).rename(path)


FILES: dict[str, bytes | Callable[[Path], None]] = {
    "list": json.dumps([test_nvd_json.cve(CVE)]).encode(),
    "nvd": NVD_FEED,
    "cvelist": json.dumps(test_cve_json.record(CVE)).encode(),
    "cwe": test_cwe.CATALOGUE.encode(),
    **{
        f"attack-{domain}": bundle(*test_attack.OBJECTS, domain=domain)
        for domain in ("enterprise", "mobile", "ics")
    },
    "capec": bundle(test_capec.INJECTION),
    "kev": json.dumps(test_kev.catalogue(test_kev.entry(CVE))).encode(),
    "epss": test_epss.scores(f"{CVE},0.5,0.9"),
    "osv": json.dumps(test_advisories.OSV).encode(),
    "csaf": json.dumps(test_advisories.CSAF).encode(),
    "cyclonedx": json.dumps(test_advisories.CYCLONEDX).encode(),
    "sarif": json.dumps(test_findings.SARIF).encode(),
    "dependency-track": json.dumps(test_findings.DEPENDENCY_TRACK).encode(),
    "defectdojo": json.dumps(test_findings.DEFECTDOJO).encode(),
    "opencve": json.dumps(test_findings.OPENCVE).encode(),
    "openvex": b'{"@context": "https://openvex.dev/ns", "statements": []}',
    "spdx": b'{"spdxVersion": "SPDX-2.3", "packages": []}',
    "nvd-1": b'{"CVE_data_type": "CVE", "CVE_Items": []}',
    "cve-4": b'{"data_type": "CVE", "CVE_data_meta": {"ID": "CVE-2019-0001"}}',
    "recordstore": store,
    "table": table,
}
READ = [name for name in FILES if FEEDS[name].read]
OF_RECORDS = [name for name in READ if FEEDS[name].kind is Vulnerability]


def make(feed: str, path: Path) -> Path:
    content = FILES[feed]
    if callable(content):
        content(path)
        return path
    return put(path, content)


def test_every_feed_that_recognises_has_a_file_here() -> None:
    assert list(FILES) == [name for name, feed in FEEDS.items() if feed.recognise]
    assert [feed.name for feed in FEEDS.values()] == list(FEEDS)


@pytest.mark.parametrize("name", READ)
def test_a_feed_recognises_and_reads_its_file_and_no_other_does(name: str, tmp_path: Path) -> None:
    path = make(name, tmp_path / "without-an-ending")
    assert recognised_by(path) == [name]
    feed = FEEDS[name]
    assert recognise(path) is feed
    assert feed.read
    content = list(feed.read(path, refuse))
    assert content
    assert all(isinstance(one, feed.kind) for one in content)


def recognised_by(path: Path) -> list[str]:
    head = Head(path.name, path.read_bytes()[: 1 << 16])
    return [name for name, feed in FEEDS.items() if feed.recognise and feed.recognise(head)]


def test_fetch_lists_every_feed_that_can_be_fetched() -> None:
    text = CliRunner().invoke(main, ["fetch", "--help"]).output
    for name, feed in FEEDS.items():
        assert feed.fetch is None or name in text, name
    assert all(feed.title for feed in FEEDS.values())


def test_only_choices_are_the_feeds_that_are_updated() -> None:
    text = CliRunner().invoke(main, ["fetch", "records", "--only", "nvdd"]).output
    assert all(name in text for name in updates())


def piped(path: Path, data: bytes) -> Path:
    os.mkfifo(path)
    threading.Thread(target=path.write_bytes, args=(data,), daemon=True).start()
    return path


@pytest.mark.parametrize("how", ["plain", "gzip", "pipe", "gzip in a pipe"])
@pytest.mark.parametrize("name", OF_RECORDS)
def test_every_command_takes_the_same_files(name: str, how: str, tmp_path: Path) -> None:
    data = make(name, tmp_path / "file").read_bytes()
    data = gzip.compress(data) if "gzip" in how else data
    number = iter(range(9))

    def given() -> Path:
        path = tmp_path / f"given-{next(number)}"
        return piped(path, data) if "pipe" in how else put(path, data)

    path = given()
    (record,) = read_vulnerabilities(path)  # corpus, dataset report, run, …
    assert record.cve_id == CVE
    assert record.where.startswith(str(path))
    (text,) = read_file(given(), report=pytest.fail)  # classify
    assert (text.id, text.text, text.record) == (CVE, record.description, record)
    (row,) = read_rows(given())  # audit
    if name != "list":  # of which every text is read
        assert (row.row.text, row.row.cve_ids) == (record.description, (CVE,))
    options = UpdateOptions(tmp_path / "store.sqlite", tmp_path)
    ((_, changes),) = import_files(options, [given()])  # records import
    assert changes.new == 1


LISTED = ("nvd", "cvelist", "osv", "csaf", "cyclonedx")


@pytest.mark.parametrize("ending", [".json", ".jsonl", ""])
def test_records_of_any_feed_may_stand_one_a_line_or_in_a_list(ending: str, tmp_path: Path) -> None:
    bare = test_nvd_json.cve(CVE)
    records = [json.dumps(one).encode() for one in (bare, {"cve": bare})]
    records += [FILES[name] for name in LISTED]  # type: ignore[misc]
    broken = b'{"cve": {"id": 7}}'
    for joined in (b"\n".join([*records, broken]), b"[" + b",\n".join([*records, broken]) + b"]"):
        path, errors = put(tmp_path / f"many{ending}", joined), list[InputError]()
        found = list(read_vulnerabilities(path, errors.append))
        assert [record.cve_id for record in found] == [CVE] * 7
        assert found[1].where.startswith(f"{path}:2")
        assert len(errors) == 1
        texts = list(read_file(path, report=errors.append))
        assert [text.text for text in texts] == [record.description for record in found]
        assert len(errors) == 2


@pytest.mark.parametrize("name", [name for name in FILES if name not in OF_RECORDS])
def test_a_feed_without_records_is_named(name: str, tmp_path: Path) -> None:
    path = make(name, tmp_path / "file")
    for read in (
        read_vulnerabilities,
        lambda path: list(read_file(path, report=pytest.fail)),
    ):
        with pytest.raises(InputError) as caught:
            read(path)
        what = "holds no CVE records" if name in READ else "is not read"
        assert f"is {FEEDS[name].title}, which {what}" in str(caught.value)


@pytest.mark.parametrize("command", ["classify", "audit", "records import"])
def test_parquet_without_its_extra_is_one_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make("table", tmp_path / "t.parquet")
    options = {
        "classify": [],
        "audit": ["--benchmark", str(BENCHMARK), "--allow-missing"],
        "records import": ["--store", str(tmp_path / "store.sqlite")],
    }
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = CliRunner().invoke(main, [*command.split(), str(path), *options[command]])
    assert result.exit_code == 1
    assert (
        result.stderr.strip()
        .splitlines()[-1]
        .endswith(
            f"{path}: this needs the package 'pyarrow', which is not installed"
            " (pip install 'cybersecqwen[parquet]')"
        )
    )


def test_the_benchmark_of_damaged_files_has_some_of_every_feed() -> None:
    seeds = mutations.feeds()
    assert {name for name, feed in FEEDS.items() if feed.read} == set(seeds)
    name, data = next(iter(seeds["nvd"].items()))
    first, second = (mutations.mutate(name, data, random.Random(7)) for _ in range(2))
    assert first == second
    assert first[1] != data
