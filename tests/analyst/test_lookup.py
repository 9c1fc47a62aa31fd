"""One view of a CVE: from the record store or from files, and what is not at hand is said."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from cybersecqwen.analyst.classification import Given
from cybersecqwen.analyst.lookup import as_row, look_up, record_files
from cybersecqwen.errors import InputError
from cybersecqwen.records import Cvss, EpssScore, Vulnerability
from cybersecqwen.sources.recordstore.database import NAME, open_for_update, transaction
from cybersecqwen.sources.recordstore.versions import NVD, apply
from cybersecqwen.sources.severity import severity
from sources.test_epss import scores
from sources.test_kev import catalogue, entry

from .conftest import put

RECORDS = (
    Vulnerability(
        "CVE-2021-0001",
        "2021-02-03",
        "Deserialization of untrusted data in Foo lets remote attackers execute arbitrary code.",
        cwe_nvd=("CWE-502",),
        cwe_cna=("CWE-20",),
        status="Analyzed",
        cvss=(Cvss("nvd", "3.1", "CVSS:3.1/AV:N", 9.8), Cvss("nvd", "2.0", "AV:N", 9.8)),
    ),
    Vulnerability(
        "CVE-2021-0002",
        "2021-02-04",
        "** REJECT ** Not used.",
        cwe_nvd=("CWE-798",),
        rejected=True,
        cvss3_vector="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    ),
)
KEV = json.dumps(catalogue(entry("CVE-2021-0001", knownRansomwareCampaignUse="Known"))).encode()
EPSS = scores("CVE-2021-0001,0.97,0.99")

pytestmark = pytest.mark.usefixtures("cache")


def store(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_for_update(path) as connection, transaction(connection):
        apply(connection, NVD, RECORDS, seen="2026-01-01T00:00:00")
    return path


def ids(*cve_ids: str) -> list[Given]:
    return [Given(cve_id, "") for cve_id in cve_ids]


def test_everything_of_a_record_in_one_view(tmp_path: Path) -> None:
    files = [
        put(tmp_path / "e.csv", EPSS),
        put(tmp_path / "k.json", KEV),
        store(tmp_path / "s.sqlite"),
    ]
    (view,) = look_up(ids("CVE-2021-0001"), records=files)
    assert isinstance(view, Vulnerability)
    assert (view.published, view.status, view.cvss) == ("2021-02-03", "Analyzed", RECORDS[0].cvss)
    assert [label.cwe for label in view.classification.labels] == ["CWE-502", "CWE-20"]
    assert view.conflict == "CNA's CWE-20 is unrelated to NVD's CWE-502"
    assert view.classification.candidates[0].cwe == "CWE-502"
    assert view.known_exploited
    assert (view.known_exploited.due_date, view.known_exploited.ransomware) == ("2026-01-26", True)
    assert (view.epss, view.epss_release) == (EpssScore(0.97, 0.99), "2026-01-05 v2025.03.14")
    # Only CWE-502: MITRE advises against the other.
    assert [m.cwe for m in view.related.mitigations] == ["CWE-502"]
    assert view.related.mitigations[0].number > 0
    assert [p.capec for p in view.related.patterns] == ["CAPEC-586"]
    assert view.missing == (
        "the texts of the mitigations are not at hand: cybersecqwen knowledge install",
    )
    row = json.loads(json.dumps(as_row(view)))
    assert row["cvss"][1] == {
        "source": "nvd",
        "version": "2.0",
        "vector": "AV:N",
        "score": 9.8,
        "severity": "High",
    }
    assert row["labels"][0]["usage"] == "Allowed"
    assert row["known_exploited"]["action"] == "Apply updates."


def test_a_rejected_record_is_not_classified_and_a_bare_vector_gets_its_score(
    cache: Path,
) -> None:
    store(cache / NAME)
    (view,) = look_up(ids("CVE-2021-0002"))
    assert view.classification.reason == "the CVE record is rejected"
    assert [(one.version, one.score, severity(one)) for one in view.cvss] == [
        ("3.1", 9.8, "Critical")
    ]
    assert view.missing[:2] == (
        "a newer KEV than what ships, with its actions, is not at hand: cybersecqwen fetch kev",
        "EPSS is not at hand: cybersecqwen fetch epss",
    )
    assert ("T1552.001", "CAPEC-191") in {(t.technique, t.capec) for t in view.related.techniques}


def test_what_fetch_left_in_the_cache_is_used_and_read_again_when_it_changes(cache: Path) -> None:
    store(cache / NAME)
    put(cache / "kev" / "known_exploited_vulnerabilities.json", KEV)
    path = put(cache / "epss" / "epss_scores-current.csv.gz", gzip.compress(EPSS))
    (view, other) = look_up(ids("CVE-2021-0001", "CVE-2021-0002"))
    assert view.epss == EpssScore(0.97, 0.99)
    assert view.known_exploited
    assert (other.epss, other.known_exploited, other.kev_release) == (None, None, "2026.01.05")
    put(path, gzip.compress(scores("CVE-2021-0001,0.5,0.6")))
    os.utime(path, (1, 1))
    (view,) = look_up(ids("CVE-2021-0001"))
    assert view.epss == EpssScore(0.5, 0.6)


def test_a_damaged_file_of_the_cache_is_passed_over_and_said_to_be_missing(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store(cache / NAME)
    put(cache / "epss" / "epss_scores-current.csv.gz", b"login page")
    (view,) = look_up(ids("CVE-2021-0001"))
    assert any("fetch epss" in line for line in view.missing)
    assert "passed over" in caplog.text


def test_what_is_nowhere_in_the_future_or_no_cve_is_reported_and_the_others_are_shown(
    cache: Path,
) -> None:
    store(cache / NAME)
    bad: list[InputError] = []
    wanted = ids("CVE-2021-0009", "CVE-2021-0001", "CVE-9021-0001", "hello")
    assert [view.cve_id for view in look_up(wanted, report=bad.append)] == ["CVE-2021-0001"]
    said = [str(error) for error in bad]
    assert any("CVE-2021-0009 is not in it (run: cybersecqwen fetch records" in s for s in said)
    assert any("CVE-9021-0001" in s and "no CVE of 9021 is published yet" in s for s in said)
    assert any("hello: is a text and no CVE record" in s for s in said)


def test_kev_is_the_record_of_a_cve_only_where_no_other_file_is(tmp_path: Path) -> None:
    files = [put(tmp_path / "k.json", KEV), put(tmp_path / "e.csv", EPSS)]
    records = [*files, store(tmp_path / "s.sqlite")]
    assert record_files(records) == [records[2], records[0]]
    (view,) = look_up(ids("CVE-2021-0001"), records=files)
    assert view.description == "Falls."


def test_a_store_that_is_being_written_shows_its_last_complete_state(cache: Path) -> None:
    path = store(cache / NAME)
    with open_for_update(path) as connection, transaction(connection):
        connection.execute("UPDATE records SET description = 'half done'")
        (view,) = look_up(ids("CVE-2021-0001"))
    assert view.description == RECORDS[0].description


@pytest.mark.parametrize(
    ("cvss", "score"),
    [
        (
            Cvss("cna", "4.0", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"),
            9.3,
        ),
        (Cvss("cna", "2.0", "AV:N/AC:L/Au:N/C:C/I:C/A:C"), 10.0),
        (Cvss("cna", "3.1", "CVSS:3.1/AV:N"), None),
    ],
)
def test_a_vector_without_a_score_gets_it_if_it_is_whole(cvss: Cvss, score: float | None) -> None:
    record = Vulnerability("CVE-2021-0003", "", "XSS", cvss=(cvss,))
    (view,) = look_up([Given(record.cve_id, record.description, record=record)])
    assert view.cvss == (cvss._replace(score=score),)
