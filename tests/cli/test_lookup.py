"""`lookup` on a terminal and in a pipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cybersecqwen.cli import main
from cybersecqwen.sample import FEED
from cybersecqwen.sources import read_vulnerabilities

RECORDS = list(read_vulnerabilities(FEED))


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYBERSECQWEN_CACHE", str(tmp_path / "cache"))


def test_a_feed_gives_a_line_for_each_record_that_jq_can_read() -> None:
    result = CliRunner().invoke(main, ["lookup", str(FEED), "--json"])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["id"] for row in rows] == [record.cve_id for record in RECORDS]
    assert {row["status"] for row in rows} == {record.status for record in RECORDS}


def test_ids_of_a_pipe_are_looked_up_and_no_line_is_too_long() -> None:
    wanted = [record.cve_id for record in RECORDS[:9]]
    piped = "\n".join(cve_id.lower() for cve_id in wanted)
    result = CliRunner().invoke(main, ["lookup", "--records", str(FEED)], input=piped)
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines() if line[:4] == "CVE-"] == wanted
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert result.stdout.count("is not at hand: cybersecqwen fetch kev") == len(wanted)


@pytest.mark.parametrize("given", [["CVE-2021-0001", "--records"], []])
def test_a_record_of_a_table_without_a_weakness_says_so(given: list[str], tmp_path: Path) -> None:
    text = "Unspecified\u009b."
    row = {"cve_id": "CVE-2021-0001", "published": "2021-01-01", "description": text}
    empty: dict[str, object] = dict.fromkeys(("cvss3_vector", "assigner", "description_source"))
    labels = {f"cwe_{source}": ["NVD-CWE-noinfo"] for source in ("nvd", "cna", "cisa_adp")}
    table = tmp_path / "t.jsonl"
    table.write_text(json.dumps(row | empty | labels) + "\n")
    result = CliRunner().invoke(main, ["lookup", *given, str(table)])
    assert "NVD-CWE-noinfo Insufficient Information (placeholder): NVD, CNA" in result.stdout
    assert "none in the record" in result.stdout
    assert "no weakness is known" in result.stdout
    assert "modified not stated, status not stated" in result.stdout
    line = CliRunner().invoke(main, ["lookup", *given, str(table), "--json"]).stdout
    assert "\u009b" not in line
    assert json.loads(line)["description"] == text


def test_what_is_nowhere_is_one_line_and_exit_status_1() -> None:
    arguments = ["lookup", "CVE-1999-0001", RECORDS[0].cve_id, "--records", str(FEED)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert result.stdout.startswith(RECORDS[0].cve_id)
    assert result.stderr.splitlines() == [
        f"cybersecqwen: {FEED}: CVE-1999-0001 is not in it (give other --records)"
    ]
