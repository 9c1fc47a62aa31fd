"""Questions for records: their filters, and what is no such question."""

from __future__ import annotations

from datetime import date

import pytest

from cybersecqwen.analyst.vulnerabilities.queries import describe, parse


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("which F5 BIG-IP CVEs are in KEV?", {"words": ("f5", "big", "ip"), "exploited": True}),
        ("exploited foo data protection CVEs", {"words": ("foo", "data", "protection")}),
        ("List all CVEs of Foo Server", {"words": ("foo", "server"), "table": True}),
        ("foo cves in 2024", {"since": "2024-01-01", "until": "2024-12-31"}),
        ("foo cves since March 2024", {"since": "2024-03-01", "until": ""}),
        ("foo cves after 2024-02-28", {"since": "2024-02-29", "until": ""}),
        ("foo cves before 2024", {"since": "", "until": "2023-12-31"}),
        ("foo cves between 2020 and 2021-06", {"since": "2020-01-01", "until": "2021-06-30"}),
        ("foo cves with CWE-79", {"cwes": ("CWE-79",), "words": ("foo",)}),
        ("Which CVEs are assigned CWE-79?", {"cwes": ("CWE-79",), "words": ()}),
        ("the CVE with CWE-79 in Foo", {"cwes": ("CWE-79",), "words": ("foo",)}),
        (
            "path traversal CVEs in Foo",
            {"cwes": ("CWE-22", "CWE-23", "CWE-24", "CWE-35", "CWE-36")},
        ),
        ("RCE vulnerabilities in Foo", {"kind": "rce", "cwes": (), "words": ("foo",)}),
        ("critical foo vulnerabilities", {"severity": (9.0, 10.0), "words": ("foo",)}),
        ("foo cves with cvss >= 8", {"severity": (8.0, 10.0), "words": ("foo",)}),
        ("foo cves with a score above 9.5", {"severity": (9.5, 10.0)}),
        ("foo bugs used by ransomware gangs", {"ransomware": True, "exploited": True}),
        ("KEV entries added in August 2025", {"added": True, "since": "2025-08-01"}),
        ("which cve is the path traversal in foo's console", {"table": False}),
        ("how many Foo Server CVEs are there", {"table": True, "words": ("foo", "server")}),
        ("Is Foo Server in the CISA KEV?", {"exploited": True, "words": ("foo", "server")}),
        ("the worst foo vulnerabilities", {"worst": True, "words": ("foo",)}),
        ("most severe CVE of foo", {"worst": True, "table": True, "words": ("foo",)}),
    ],
)
def test_the_filters_of_a_question(text: str, wanted: dict[str, object]) -> None:
    query = parse(text)
    assert query
    assert {name: getattr(query, name) for name in wanted} == wanted


@pytest.mark.parametrize(
    "text",
    [
        "What is PowerShell?",
        "is it ok to map a CVE to CWE-119?",
        "may I assign CWE-20 to a CVE?",
        "Is CWE-79 allowed for a vulnerability?",
        "What is a CVE?",
        "How do I prevent SQL injection vulnerabilities?",
        "Which mitigations address exploitation of vulnerabilities?",
        "which groups exploit vulnerabilities in VPNs",
        "what are the most exploited CVEs of 2022?",
    ],
)
def test_what_is_no_question_for_records(text: str) -> None:
    assert parse(text) is None


def test_relative_dates_count_from_today() -> None:
    query = parse("foo cves of this year")
    assert query
    assert query.since == f"{date.today().year}-01-01"


def test_what_was_asked_is_said_as_it_was_written() -> None:
    query = parse("critical SQL injection CVEs in Foo-Server in 2024, used by ransomware")
    assert query
    assert describe(query, query.product) == (
        "of Foo-Server, with sql injection (CWE-89), with a CVSS score of 9 to 10, published from"
        " 2024-01-01 to 2024-12-31, known to be used in ransomware campaigns"
    )
