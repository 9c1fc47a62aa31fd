"""Answers about CVEs: facts, comparisons, names and tables, and what is not at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analyst.conftest import put, stored
from cybersecqwen.analyst.vulnerabilities import index
from cybersecqwen.analyst.vulnerabilities.answers import answer_from_records
from cybersecqwen.cwe.identifiers import normalise_ids
from cybersecqwen.records import Answer, Cvss, Vulnerability
from cybersecqwen.sources import record_table
from cybersecqwen.sources.recordstore import database
from cybersecqwen.sources.recordstore.database import NAME
from sources.test_epss import scores
from sources.test_kev import catalogue, entry
from sources.test_record_table import ROW, write

VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:N"
RECORDS = (
    Vulnerability(
        "CVE-2021-0001",
        "2021-02-03",
        "SQL injection in Foo Server before 2.4.1 lets remote attackers read the database.",
        ("CWE-89",),
        ("CWE-20",),
        cvss=(Cvss("nvd", "3.1", VECTOR, 8.1), Cvss("nvd", "2.0", "AV:N/AC:L/Au:N", 6.4)),
        assigner="cve@mitre.org",
        modified="2021-03-04T00:00:00.000",
    ),
    Vulnerability(
        "CVE-2021-0002",
        "2021-02-04",
        "Bar Client 1.0 allows local users to gain privileges through a crafted file.",
        cvss3_vector="CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H",
    ),
    Vulnerability("CVE-2021-0003", "2021-02-05", "** REJECT ** Not used.", rejected=True),
    Vulnerability(
        "CVE-2022-0004",
        "2022-01-01",
        "The admin console of Foo Server 3.0 is open to path traversal in its setup.",
        ("CWE-22",),
    ),
)
KEV = json.dumps(
    catalogue(
        entry(
            "CVE-2021-0001",
            vendorProject="Foo",
            product="Server",
            knownRansomwareCampaignUse="Known",
        )
    )
).encode()

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    store = stored(tmp_path / "s.sqlite", RECORDS)
    epss = put(tmp_path / "e.csv", scores("CVE-2021-0001,0.97,0.99"))
    return [store, put(tmp_path / "k.json", KEV), epss]


def ask(question: str, files: list[Path]) -> Answer:
    answer = answer_from_records(normalise_ids(question), files)
    assert answer is not None
    return answer


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("Is CVE-2021-0001 in KEV?", "Yes, CVE-2021-0001 is in CISA's KEV catalogue"),
        ("is cve 2021 0002 exploited in the wild", "No, CVE-2021-0002 is not in CISA's KEV"),
        ("do ransomware gangs use CVE-2021-0001", "Yes, CISA's KEV says that CVE-2021-0001"),
        ("KEV due date of CVE-2021-0001", "The due date of CVE-2021-0001 in CISA's KEV is 2026-01"),
        ("how likely is CVE-2021-0001 to be exploited", "EPSS puts the probability that"),
        ("cvss of CVE-2021-0001", "CVE-2021-0001 has the CVSS 3.1 base score 8.1, High"),
        (
            "CVSS v2 score of CVE-2021-0001?",
            "CVE-2021-0001 has the CVSS 2.0 base score 6.4, Medium",
        ),
        ("is CVE-2021-0001 critical?", "No, CVE-2021-0001 is rated High: CVSS 3.1 base score 8.1"),
        ("Is CVE-2021-0001 serious?", "Yes, CVE-2021-0001 is rated High"),
        ("does CVE-2021-0001 need user interaction", "Yes, CVE-2021-0001 needs user interaction"),
        ("Is CVE-2021-0001 zero-click?", "No, CVE-2021-0001 needs user interaction (UI:R"),
        (
            "does CVE-2021-0001 work without authentication?",
            "Yes, CVE-2021-0001 needs no privileges",
        ),
        ("does CVE-2021-0002 require privileges?", "Yes, CVE-2021-0002 needs low privileges"),
        ("is CVE-2021-0002 remotely exploitable?", "No, CVE-2021-0002 is exploitable with local"),
        (
            "is local access enough for CVE-2021-0002?",
            "Yes, CVE-2021-0002 is exploitable with local",
        ),
        ("impact of CVE-2021-0001", "The impact of CVE-2021-0001 is high on confidentiality, high"),
        ("vector string of CVE-2021-0001", f"The CVSS 3.1 vector of CVE-2021-0001 is {VECTOR}"),
        ("which cwe has CVE-2021-0001", "CVE-2021-0001 is labelled CWE-89 Improper Neutralization"),
        ("Is CVE-2021-0001 a CWE-79?", "No, CVE-2021-0001 is labelled CWE-89"),
        ("kind of flaw behind CVE-2021-0002", "CVE-2021-0002 is a case of CWE-"),
        ("which version fixes CVE-2021-0001", "CVE-2021-0001 is fixed in Foo Server 2.4.1"),
        ("which product does CVE-2021-0002 affect", "CVE-2021-0002 affects Bar Client."),
        (
            "when did CISA add CVE-2021-0001 to KEV",
            "CISA added CVE-2021-0001 to its KEV catalogue on",
        ),
        ("until when does CISA want CVE-2021-0001 fixed", "The due date of CVE-2021-0001 in CISA"),
        ("when must we patch CVE-2021-0001", "The due date of CVE-2021-0001 in CISA's KEV is"),
        ("Does CVE-2021-0001 affect Foo Server?", "Yes, CVE-2021-0001 affects Foo Server."),
        ("Is CVE-2021-0001 in Foo Server?", "Yes, CVE-2021-0001 is CWE-89 SQL Injection in Foo"),
        ("Does CVE-2021-0001 affect Quux?", "CVE-2021-0001 affects Foo Server."),
        (
            "which versions of Foo are affected by CVE-2021-0001",
            "CVE-2021-0001 affects Foo Server be",
        ),
        ("what file is vulnerable in CVE-2021-0002", "The part that CVE-2021-0002 affects stands"),
        ("CVE-2021-0001はKEVに載っていますか", "Yes, CVE-2021-0001 is in CISA's KEV"),
        ("when was CVE-2021-0001 published", "CVE-2021-0001 was published on 2021-02-03 and last"),
        ("who assigned CVE-2021-0001", "CVE-2021-0001 was assigned by cve@mitre.org."),
        (
            "What is CVE-2021-0001?",
            "CVE-2021-0001 is CWE-89 SQL Injection in Foo Server, rated 8.1",
        ),
        ("CVE-2021-0003", "CVE-2021-0003 is a rejected record"),
        (
            "CVE-2021-0001 - when did the feds have to have it patched",
            "The due date of CVE-2021-0001 in CISA's KEV is 2026-01-26; it was added on 2026-01-05,"
            " 21 days before.",
        ),
        ("how long did agencies get to fix CVE-2021-0001?", "The due date of CVE-2021-0001 in"),
        ("what privs does an attacker need for CVE-2021-0002", "CVE-2021-0002 needs low priv"),
        ("CVE-2021-0001 scope?", "CVE-2021-0001 leaves the scope unchanged (S:U"),
        ("does CVE-2021-0001 change the scope", "No, CVE-2021-0001 leaves the scope unchanged"),
        ("how complex is the attack of CVE-2021-0001", "CVE-2021-0001 has a low attack complex"),
        ("CVE-2021-0001 - changed scope yes or no?", "No, CVE-2021-0001 leaves the scope"),
        ("does CVE-2021-0001 take any action by the recipient", "Yes, CVE-2021-0001 needs user"),
        ("how exactly is CVE-2021-0001 abused by attackers", "CVE-2021-0001 is CWE-89 SQL Inj"),
        ("is CVE-2021-0001 easy to exploit", "Yes, CVE-2021-0001 has a low attack complexity"),
        ("cve 2021 0002 atack vectr?", "CVE-2021-0002 is exploitable with local access"),
        ("Does CVE-2021-0001 affect availability at all?", "No, the impact of CVE-2021-0001 is hi"),
        ("is CVE-2021-0001 confidentiality only?", "No, the impact of CVE-2021-0001 is high on c"),
        ("do attackers actually use CVE-2021-0001", "Yes, CVE-2021-0001 is in CISA's KEV"),
        (
            "we're on Foo 2.4.0, does CVE-2021-0001 hit us?",
            "Yes, 2.4.0 is affected by CVE-2021-0001: the fix is in 2.4.1, by its description.",
        ),
        ("We have Foo 2.4.1. Still vulnerable to CVE-2021-0001?", "No, 2.4.1 is not affected by"),
        ("Is Foo 2.3 safe from CVE-2021-0001?", "No, 2.3 is affected by CVE-2021-0001"),
        ("running Foo 2.4 U3, is CVE-2021-0001 a problem?", "Yes, 2.4 U3 is affected by CVE-2021"),
        ("Is Foo 2.4.1 with Secure Mail affected by CVE-2021-0001?", "No, 2.4.1 is not affected"),
        ("is there a metasploit module for CVE-2021-0001?", "Whether exploit code for CVE-2021-0"),
        ("Did Foo fix CVE-2021-0001, and was it patched by them?", "CVE-2021-0001 is fixed in Foo"),
        ("When did the vendor patch CVE-2021-0001?", "CVE-2021-0001 is fixed in Foo Server 2.4.1"),
        (
            "How many days after its disclosure was CVE-2021-0001 listed in KEV?",
            "CISA added CVE-2021-0001 to its KEV catalogue on 2026-01-05, 1797 days after it was"
            " published on 2021-02-03.",
        ),
        ("How soon was CVE-2021-0001 added once it was published?", "CISA added CVE-2021-0001 to"),
        ("How soon was CVE-2021-0002 in KEV once it was published?", "No, CVE-2021-0002 is not in"),
        ("Is CVE-2021-0001 still an 8.1?", "CVE-2021-0001 is CWE-89"),
        ("Is the score of CVE-2021-0001 still 8.1 for us?", "CVE-2021-0001 has the CVSS 3.1 base"),
        ("Is our SSL 3.0 traffic affected by CVE-2021-0001?", "CVE-2021-0001 affects Foo Server."),
        ("Is our 192.168.7.9 box affected by CVE-2021-0001?", "CVE-2021-0001 affects Foo Server."),
        ("Is Foo 2.3.0.1 affected by CVE-2021-0001?", "Yes, 2.3.0.1 is affected by"),
        (
            "Is updating Foo from 2.3.0 to version 2.4.1 enough against CVE-2021-0001?",
            "Yes, 2.4.1 is not affected by CVE-2021-0001",
        ),
        ("Does CVE-2021-0001 affect Active Foo?", "CVE-2021-0001 affects Foo Server."),
        ("Is CVE-2021-0001 at least medium?", "Yes, CVE-2021-0001 is rated High"),
        ("is CVE-2021-0001 low or worse", "Yes, CVE-2021-0001 is rated High"),
        ("Is CVE-2021-0001 rated above high?", "No, CVE-2021-0001 is rated High"),
        ("Is CVE-2021-0001 not critical?", "Yes, CVE-2021-0001 is rated High"),
        ("Does CVE-2021-0001 touch availability or integrity?", "Yes, the impact of CVE-2021-0001"),
        ("Does CVE-2021-0001 touch availability and integrity?", "No, the impact of CVE-2021-0001"),
        (
            "We have to write a detection for CVE-2021-0001: how does the flaw work?",
            "CVE-2021-0001 is CWE-89 SQL Injection in Foo Server",
        ),
    ],
)
def test_the_first_sentence_answers(question: str, first: str, files: list[Path]) -> None:
    answer = ask(question, files)
    assert answer.answer.startswith(first)
    assert (answer.covered, answer.evidence[0].id) == (True, first and answer.evidence[0].id)
    assert answer.confidence >= 0.6


def test_an_answer_has_its_sources_and_the_description_as_evidence(files: list[Path]) -> None:
    answer = ask("is CVE-2021-0001 in KEV", files)
    assert "From s.sqlite with records up to 2022-01-01 and KEV 2026.01.05." in answer.answer
    assert answer.evidence[0].passage == RECORDS[0].description
    assert 'The record says: "SQL injection in Foo' in ask("what is CVE-2021-0001", files).answer
    assert 'The record says: "SQL injection in Foo' in ask("impact of CVE-2021-0001?", files).answer


def test_several_things_are_answered_in_one_go(files: list[Path]) -> None:
    answer = ask("CVE-2021-0002: affected product and CVSS score?", files).answer
    assert "affects Bar Client" in answer
    assert "base score 7.8, High" in answer


def test_that_a_version_cannot_be_told_is_said_with_less_confidence(files: list[Path]) -> None:
    answer = ask("our Foo runs 3.0, are we hit by CVE-2022-0004", files)
    assert answer.answer.startswith("Whether 3.0 is affected by CVE-2022-0004 cannot be told from")
    assert 0.0 < answer.confidence <= 0.5


def test_two_are_compared(files: list[Path]) -> None:
    answer = ask("Which is rated higher, CVE-2021-0002 or CVE-2021-0001?", files)
    assert answer.answer.startswith(
        "CVE-2021-0001 is rated higher: CVSS 3.1 8.1 High, against CVSS 3.1 7.8 High of"
        " CVE-2021-0002."
    )
    assert [one.id for one in answer.evidence] == ["CVE-2021-0001", "CVE-2021-0002"]
    lower = ask("which is less severe, CVE-2021-0001 or CVE-2021-0002", files).answer
    assert lower.startswith("CVE-2021-0002 is rated lower: CVSS 3.1 7.8 High")
    newer = ask("which is newer, CVE-2021-0001 or CVE-2022-0004", files).answer
    assert newer.startswith("CVE-2022-0004 is newer: published on 2022-")
    assert "CVE-2021-0001 on 2021-02-03" in newer


def test_names_stand_for_their_cves_also_without_any_record() -> None:
    assert ask("EternalBlue = CVE-?", []).answer.startswith("EternalBlue is CVE-2017-0144: remote")
    assert ask("is bluekeep in kev", []).answer.startswith("Yes, CVE-2019-0708 (BlueKeep) is in")
    assert ask("Is Log4Shell CVE-2021-44228?", []).answer.startswith("Yes, Log4Shell is CVE-2021")
    assert ask("Is Heartbleed CVE-2021-44228?", []).answer.startswith("No, Heartbleed is CVE-2014")
    assert ask("BlueKeep and CVE-2021-0001, same hole?", []).answer.startswith("No, BlueKeep is CV")
    assert ask("Is Zerologon the same bug as Heartbleed?", []).answer.startswith("No, Zerologon is")
    assert ask("are CVE-2021-0001 and CVE-2021-0002 the same bug?", []).answer.startswith(
        "No, CVE-"
    )
    assert ask("BadUSB cve?", []).answer.startswith("BadUSB has no CVE of its own")
    assert {e.id for e in ask("CVEs behind ProxyShell?", []).evidence} == {
        "CVE-2021-34473",
        "CVE-2021-34523",
        "CVE-2021-31207",
    }


def test_what_no_feed_holds_says_what_would_bring_it(files: list[Path]) -> None:
    answer = ask("cvss of CVE-2021-9999", [])
    assert not answer.covered
    assert "CVE-2021-9999 is not covered: no record of it is at hand (run: cyb" in answer.answer
    assert "in s.sqlite, k.json and e.csv (give other" in ask("CVE-2021-9999", files).answer
    for question in ("what is CVE-9021-0001", "Is CVE-9021-0001 in KEV?"):
        assert "no CVE of 9021 is published yet" in ask(question, files).answer
    compared = ask("Which is worse, CVE-2021-0001 or CVE-2021-9999?", files)
    assert "CVE-2021-9999 is not covered: no record of it is in s.sqlite, k.json" in compared.answer
    assert "cybersecqwen fetch epss" in ask("epss of CVE-2021-0002", files[:1]).answer


def test_a_table_of_a_product_with_all_rows_as_evidence(files: list[Path]) -> None:
    answer = ask("which Foo Server CVEs are there?", files)
    assert answer.answer.splitlines()[0] == "2 CVEs of Foo Server; the newest first:"
    assert answer.answer.splitlines()[2].startswith("CVE-2021-0001  2021-02-03  8.1 High  KEV 2026")
    assert (answer.listing, [e.id for e in answer.evidence]) == (
        True,
        ["CVE-2022-0004", "CVE-2021-0001"],
    )
    exploited = ask("Foo Server vulnerabilities known to be exploited since 2021", files)
    assert [e.id for e in exploited.evidence] == ["CVE-2021-0001"]
    assert [e.id for e in ask("CVEs with CWE-22 in 2022", files).evidence] == ["CVE-2022-0004"]
    worst = ask("worst Foo Server CVEs", files)
    assert worst.answer.startswith("2 CVEs of Foo Server; the highest rated first:\nCVE-2021-0001")
    assert [e.id for e in ask("high severity CVEs of Foo Server", files).evidence] == [
        "CVE-2021-0001"
    ]


def test_kev_alone_answers_for_what_is_exploited() -> None:
    answer = ask("which F5 BIG-IP CVEs are in KEV?", [])
    assert len(answer.evidence) > 5
    assert "KEV 20" in answer.answer


def test_a_description_finds_the_closest_record(files: list[Path]) -> None:
    answer = ask("cve of the path traversal in the admin console of foo?", files)
    assert answer.answer.startswith("The closest record is CVE-2022-0004:")


def test_no_record_of_a_product_is_not_covered(files: list[Path]) -> None:
    answer = ask("which CVEs affect Quux Widget?", files)
    assert (answer.covered, answer.answer.splitlines()[0]) == (
        False,
        "No record at hand names quux widget.",
    )
    assert "fetch records" in ask("which CVEs affect Quux Widget?", []).answer


@pytest.mark.parametrize(
    "question",
    [
        "What is PowerShell?",
        "Which groups exploited ProxyLogon?",
        "how do we detect exploitation of Log4Shell",
        "What vulnerabilities does APT28 exploit?",
        "Is CVE-2024-12 known?",
        "Is it ok to map a CVE to CWE-119?",
    ],
)
def test_other_questions_are_left_to_others(question: str, files: list[Path]) -> None:
    assert answer_from_records(normalise_ids(question), files) is None


def test_a_file_is_read_once_and_the_store_of_the_cache_is_used(
    files: list[Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        json.dumps({"cve_id": "CVE-2021-0001", "published": "2021-01-01", "description": "Foo."})
    ]
    table = put(cache.parent / "t.jsonl", "\n".join(rows).encode())
    from cybersecqwen import sources

    reads: list[Path] = []
    read = sources.read_vulnerabilities
    monkeypatch.setattr(
        sources,
        "read_vulnerabilities",
        lambda path, report: reads.append(path) or read(path, report),
    )
    for _ in range(3):
        ask("what is CVE-2021-0001", [table])
    assert reads == [table]
    cache.mkdir()
    files[0].rename(cache / NAME)
    assert ask("cvss of CVE-2021-0001", []).answer.startswith("CVE-2021-0001 has the CVSS 3.1")


def test_a_parquet_table_is_read_once_and_indexed_only_for_many_questions(
    files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = [{**ROW, "cve_id": one.cve_id, "description": one.description} for one in RECORDS]
    table = write(tmp_path, ".parquet", rows)
    reads: list[Path] = []
    read = record_table.parquet_table
    monkeypatch.setattr(
        record_table, "parquet_table", lambda path, names: reads.append(path) or read(path, names)
    )
    monkeypatch.setattr(database, "_MANY", 1)
    monkeypatch.setattr(index, "_FEW", 3)
    answers = []
    for _ in range(5):
        answers.append(ask("CVEs of Foo Server since 2021", [table]))
        assert ("indexing the words of 4 records" in caplog.text) == (len(answers) > 3)
    assert answers[0].answer.startswith("2 CVEs of Foo Server, published since 2021-01-01; the")
    assert answers == answers[:1] * 5
    assert reads == [table]


def test_what_is_exploited_by_ransomware_is_not_left_to_others(files: list[Path]) -> None:
    assert ask("Is CVE-2021-0001 used by ransomware?", files).answer.startswith("Yes, CISA's KEV")
    product = ask("what software is vulnerable to CVE-2021-0002", files).answer
    assert product.startswith("CVE-2021-0002 affects Bar Client.")


def test_without_a_record_a_name_still_says_what_it_stands_for() -> None:
    answer = ask("what is follina", [])
    assert answer.answer.startswith("Follina is CVE-2022-30190: remote code execution in the")
    assert "no record of it is at hand (run: cybersecqwen fetch nvd --years 2022)" in answer.answer
