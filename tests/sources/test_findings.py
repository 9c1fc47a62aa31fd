"""Results of scans and findings of platforms: SARIF, DefectDojo, Dependency-Track and OpenCVE."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.analyst.texts import read_file
from cybersecqwen.errors import InputError
from cybersecqwen.formats.rows import refuse
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources import read_vulnerabilities

CVE = "CVE-2024-0001"
TEXT = "A name reaches the template engine of Foo."
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"

SARIF: dict[str, Any] = {
    "version": "2.1.0",
    "runs": [
        {
            "tool": {
                "driver": {
                    "name": "Scan",
                    "rules": [
                        {"id": CVE, "properties": {"tags": ["security", "external/cwe/cwe-094"]}},
                        {
                            "id": "FOO1",
                            "fullDescription": {"text": "Input reaches a query."},
                            "messageStrings": {"default": {"text": "A query is built."}},
                        },
                    ],
                }
            },
            "results": [
                {
                    "ruleId": CVE,
                    "message": {"text": TEXT},
                    "taxa": [{"id": "1336", "toolComponent": {"name": "CWE"}}],
                }
            ],
        }
    ],
}
DEFECTDOJO: dict[str, Any] = {
    "name": "Scan",
    "findings": [
        {
            "title": "Template injection in Foo",
            "severity": "High",
            "description": TEXT,
            "cwe": 1336,
            "vulnerability_ids": [CVE, "GHSA-2c4m-59x9-abcd"],
            "cvssv3": VECTOR,
            "publish_date": "2024-01-31",
        }
    ],
}
DEPENDENCY_TRACK: dict[str, Any] = {
    "version": "1.2",
    "meta": {"application": "Dependency-Track", "version": "4.12.0"},
    "project": {"name": "Shop", "version": "1.0"},
    "findings": [
        {
            "component": {"name": component, "version": "2.3.0"},
            "vulnerability": {
                "source": "NVD",
                "vulnId": CVE,
                "severity": "CRITICAL",
                "cvssV3Vector": VECTOR,
                "cwes": [{"cweId": 1336, "name": "…"}, {"cweId": 94, "name": "…"}],
                "description": TEXT,
            },
            "analysis": {"state": "NOT_SET", "isSuppressed": False},
        }
        for component in ("foo", "foo-core")
    ],
}
OPENCVE: dict[str, Any] = {
    "organization": "shop",
    "project": "web",
    "notification": "high",
    "title": "1 change on Foo",
    "period": {"start": "2024-02-01T10:00:00+00:00", "end": "2024-02-01T11:00:00+00:00"},
    "changes": [
        {
            "cve": {"cve_id": CVE, "description": TEXT, "cvss31": 9.8},
            "events": [
                {"type": "weaknesses", "details": {"added": ["CWE-1336"], "removed": []}},
                {"type": "references", "details": {"added": ["https://foo.example"]}},
            ],
        }
    ],
}


def read(tmp_path: Path, data: Any, errors: list[InputError] | None = None) -> list[Vulnerability]:
    path = tmp_path / "findings.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    report = [] if errors is None else errors
    found = list(read_vulnerabilities(path, report.append))
    assert errors is not None or not report
    return found


@pytest.mark.parametrize(
    ("data", "labels", "vector"),
    [
        (SARIF, ("CWE-1336", "CWE-94"), None),
        (DEFECTDOJO, ("CWE-1336",), VECTOR),
        (DEPENDENCY_TRACK, ("CWE-1336", "CWE-94"), VECTOR),
        (OPENCVE, ("CWE-1336",), None),
    ],
)
def test_a_finding_is_one_record(
    data: Any, labels: tuple[str, ...], vector: str | None, tmp_path: Path
) -> None:
    [one] = read(tmp_path, data)
    text = f"Template injection in Foo\n\n{TEXT}" if data is DEFECTDOJO else TEXT
    assert (one.cve_id, one.description, one.cwe_cna, one.cvss3_vector) == (
        *(CVE, text, labels, vector),
    )


def test_what_is_about_no_cve_keeps_a_name_of_its_own(tmp_path: Path) -> None:
    place = {"artifactLocation": {"uri": "src/login.py"}, "region": {"startLine": 7}}
    results = [
        {
            "ruleId": "FOO1/2",
            "message": {"id": "default"},
            "locations": [{"physicalLocation": place}],
        },
        {"ruleId": "BAR", "message": {"text": "Bad."}, "locations": [{"logicalLocations": [{
            "fullyQualifiedName": "Shop.login"}]}]},
        {"ruleIndex": 1, "message": {}},
        {"ruleId": "BAR", "message": {"text": ""}},
        {"ruleId": 3},
    ]  # fmt: skip
    run = SARIF["runs"][0] | {"results": results}
    errors: list[InputError] = []
    named = read(tmp_path, SARIF | {"runs": [run]}, errors)
    assert [(one.cve_id, one.description) for one in named] == [
        ("FOO1/2@src/login.py:7", "A query is built.\n\nInput reaches a query."),
        ("BAR@Shop.login", "Bad."),
        (f"{tmp_path / 'findings.json'}:1:3", "Input reaches a query."),
    ]
    assert [str(error.where).rpartition(":")[2] for error in errors] == ["4", "5"]

    finding = {"title": "Open port", "severity": "Info", "description": ""}
    [one] = read(tmp_path, {"findings": [finding | {"unique_id_from_tool": "p1", "cwe": 0}]})
    assert (one.cve_id, one.description, one.cwe_cna) == ("p1", "Open port", ())


def test_the_rule_of_an_extension_is_not_taken_for_one_of_the_tool(tmp_path: Path) -> None:
    tool = SARIF["runs"][0]["tool"]
    rules = [{"id": "js/sqli", "properties": {"tags": ["external/cwe/cwe-089"]}}]
    place = {"id": "js/sqli", "index": 0, "toolComponent": {"index": 0}}
    run = {
        "tool": tool | {"extensions": [{"name": "queries", "rules": rules}, {"name": "model"}]},
        "results": [{"ruleId": "js/sqli", "rule": place, "message": {"text": "A query."}}],
    }
    [one] = read(tmp_path, SARIF | {"runs": [run]})
    assert one.cwe_cna == ("CWE-89",)


def test_what_a_notification_adds_is_a_list_or_nothing(tmp_path: Path) -> None:
    change = OPENCVE["changes"][0]
    for added in (5, "CWE-79", None):
        event = {"type": "weaknesses", "details": {"added": added}}
        [one] = read(tmp_path, OPENCVE | {"changes": [change | {"events": [event]}]})
        assert (one.cve_id, one.cwe_cna) == (CVE, ())


def test_a_finding_that_is_wrong_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    for data, key in ((DEFECTDOJO, "findings"), (OPENCVE, "changes")):
        errors: list[InputError] = []
        broken = {"title": 3, "cve": {"cve_id": "none"}}
        [one] = read(tmp_path, data | {key: [broken, *data[key]]}, errors)
        assert (one.cve_id, [str(error.where)[-2:] for error in errors]) == (CVE, [":1"])


def test_a_table_of_findings_is_read_with_its_labels(tmp_path: Path) -> None:
    path = tmp_path / "findings.csv"
    path.write_text(
        "id,title,severity,description,cwe,cvssv3,vulnerability_ids\n"
        f'7,Template injection,High,"{TEXT}",1336,{VECTOR},"{CVE}, GHSA-2c4m-59x9-abcd"\n'
        "8,Open port,Info,,0,,\n"
    )
    first, second = read_file(path, report=refuse)
    assert first.record and second.record
    assert (first.id, first.text) == (CVE, f"Template injection\n\n{TEXT}")
    assert (first.record.cwe_cna, first.record.cvss3_vector) == (("CWE-1336",), VECTOR)
    assert (second.id, second.text, second.record.cwe_cna) == ("finding 8", "Open port", ())
    path.write_text(f"Date,Title,CweId,Severity,Description\n01/31/2024,Injection,94,High,{TEXT}\n")
    [one] = read_file(path, report=refuse)
    assert one.record and one.record.cwe_cna == ("CWE-94",)
    assert one.id == f"{path}:2"
    path.write_text(f"CVE,Description\n{CVE},{TEXT}\n")  # as lists of CVEs often are
    [one] = read_file(path, report=refuse)
    assert (one.id, one.text) == (CVE, TEXT)
