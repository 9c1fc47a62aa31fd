"""Tables of records: KEV's dates, order, shares, counts, and words that are no product's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analyst.conftest import put, stored
from cybersecqwen.analyst.vulnerabilities.answers import answer_from_records
from cybersecqwen.records import Answer, Cvss, Vulnerability
from sources.test_kev import catalogue, entry


def _record(cve_id: str, published: str, score: float, vector: str) -> Vulnerability:
    text = f"SQL injection in Acme Portal ({cve_id}) lets attackers read the database."
    cvss = (Cvss("nvd", "3.1", f"CVSS:3.1/{vector}", score),)
    return Vulnerability(cve_id, published, text, ("CWE-89",), cvss=cvss)


RECORDS = (
    _record("CVE-2019-1001", "2019-05-01", 9.8, "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
    _record("CVE-2020-1002", "2020-06-01", 7.2, "AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H"),
    _record("CVE-2021-1003", "2021-07-01", 5.4, "AV:N/AC:L/PR:L/UI:R/S:C/C:L/I:L/A:N"),
)
KEV = catalogue(
    entry(
        "CVE-2019-1001",
        vendorProject="Acme",
        product="Portal",
        dateAdded="2023-03-01",
        dueDate="2023-03-22",
        knownRansomwareCampaignUse="Known",
    ),
    entry(
        "CVE-2020-1002",
        vendorProject="Acme",
        product="Portal",
        dateAdded="2023-04-05",
        dueDate="2023-04-26",
        knownRansomwareCampaignUse="Unknown",
    ),
)

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    store = stored(tmp_path / "s.sqlite", RECORDS)
    return [store, put(tmp_path / "k.json", json.dumps(KEV).encode())]


def ask(question: str, files: list[Path]) -> Answer:
    answer = answer_from_records(question, files)
    assert answer is not None
    return answer


@pytest.mark.parametrize(
    ("question", "ids"),
    [
        ("what did CISA add to KEV on March 1st 2023?", ["CVE-2019-1001"]),
        ("Acme stuff in KEV since 1 Apr 2023", ["CVE-2020-1002"]),
        ("kev entries with a due date between 2023-04-20 and 2023-04-30", ["CVE-2020-1002"]),
        ("Acme Portal CVEs in KEV not tied to ransomware", ["CVE-2020-1002"]),
        ("Acme Portal vulns not in KEV", ["CVE-2021-1003"]),
        ("Acme Portal bugs with no privs needed", ["CVE-2019-1001"]),
        ("Acme Portal CVEs with changed scope", ["CVE-2021-1003"]),
        ("Acme Portal issues scoring 5 to 7.5", ["CVE-2021-1003", "CVE-2020-1002"]),
        ("most recent Acme Portal CVE you know of", ["CVE-2021-1003"]),
        ("oldest Acme Portal CVE?", ["CVE-2019-1001"]),
        ("oldest CVE in KEV", ["CVE-2019-1001"]),
        ("which CVE was first added to KEV", ["CVE-2019-1001"]),
        (
            "how many Acme CVEs are there and which of them are in KEV?",
            ["CVE-2020-1002", "CVE-2019-1001"],
        ),
        ("the 2 worst Acme Portal CVEs", ["CVE-2019-1001", "CVE-2020-1002"]),
        ("Any SQL injections in Acme Portal since 2021?", ["CVE-2021-1003"]),
        ("the Acme Portal CVE with CVSS 7.2", ["CVE-2020-1002"]),
        ("the Acme CVE?", ["CVE-2021-1003", "CVE-2020-1002", "CVE-2019-1001"]),
    ],
)
def test_the_rows_are_those_that_are_asked_for(
    question: str, ids: list[str], files: list[Path]
) -> None:
    assert [one.id for one in ask(question, files).evidence] == ids


@pytest.mark.parametrize(
    ("question", "first"),
    [
        (
            "How many Acme CVEs in KEV, and are they all ransomware related?",
            "No, 1 of the 2 CVEs of Acme, in CISA's KEV: known to be used in ransomware campaigns:",
        ),
        ("How many Acme CVEs are in KEV and are any of them critical?", "Yes, 1 of the 2 CVEs of"),
        ("Did Acme get more than 2 KEV additions in 2023?", "No, 2 CVEs of Acme, added to KEV"),
        ("are there at least 2 Acme CVEs in KEV?", "Yes, 2 CVEs of Acme, in CISA's KEV:"),
        ("newest Acme CVE", "The newest of 3 CVEs of Acme:"),
    ],
)
def test_the_first_line_answers(question: str, first: str, files: list[Path]) -> None:
    assert ask(question, files).answer.startswith(first)


def test_words_that_are_no_product_are_left_out_and_named(files: list[Path]) -> None:
    answer = ask("Which Acme Portal CVEs frobnicated since 2021?", files)
    assert [one.id for one in answer.evidence] == ["CVE-2021-1003"]
    assert "Not understood, and left out: frobnicated." in answer.answer
    assert answer.confidence < ask("Which Acme Portal CVEs since 2021?", files).confidence
    assert not ask("Which Quux Portal CVEs since 2021?", files).covered


@pytest.mark.parametrize(
    ("question", "ids"),
    [
        ("Acme Portal bugs in KEV, but not critical ones", ["CVE-2020-1002"]),
        ("Acme Portal CVEs that are no SQL injections", []),
        ("Acme Portal CVEs other than CWE-22", ["CVE-2021-1003", "CVE-2020-1002", "CVE-2019-1001"]),
        ("Acme Portal CVEs that do not change the scope", ["CVE-2020-1002", "CVE-2019-1001"]),
        ("Acme Portal CVEs under 6", ["CVE-2021-1003"]),
        ("Acme CVEs in KEV with ransomware use unknown", ["CVE-2020-1002"]),
        ("Acme CVEs listed in KEV that were published in 2019", ["CVE-2019-1001"]),
    ],
)
def test_what_is_denied_is_not_among_the_rows(
    question: str, ids: list[str], files: list[Path]
) -> None:
    assert [one.id for one in ask(question, files).evidence] == ids


def test_a_condition_that_is_not_understood_is_named_and_nothing_is_listed(
    files: list[Path],
) -> None:
    answer = ask("Acme Portal CVEs in KEV without a workaround", files)
    assert answer.answer.startswith('not covered: "without a workaround" is not understood')
    assert (answer.covered, answer.evidence) == (False, ())


def test_a_clause_that_adds_no_condition_is_named_and_not_answered(files: list[Path]) -> None:
    answer = ask("How many Acme CVEs are there and are they a nuisance?", files)
    assert answer.answer.startswith("3 CVEs of Acme; the newest first:")
    assert "Not understood, and left out: and are they a nuisance." in answer.answer


def test_a_further_condition_is_counted_over_the_few_that_are_asked_for(files: list[Path]) -> None:
    answer = ask("the 2 newest Acme CVEs, and are they all in KEV?", files)
    assert answer.answer.startswith("No, 1 of the 2 newest CVEs of Acme: in CISA's KEV:")
    assert [one.id for one in answer.evidence] == ["CVE-2021-1003", "CVE-2020-1002"]


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("How many of the 2 newest Acme CVEs are in KEV?", "1 of the 2 newest CVEs of Acme: in"),
        (
            "which of the 2 worst Acme CVEs since 2020 are in KEV?",
            "1 of the 2 CVEs of Acme, published since 2020-01-01: in CISA's KEV:",
        ),
        ("are all of the 2 oldest Acme CVEs in KEV?", "Yes, all of the 2 oldest CVEs of Acme: in"),
    ],
)
def test_a_condition_on_a_few_is_not_what_they_are_chosen_by(
    question: str, first: str, files: list[Path]
) -> None:
    assert ask(question, files).answer.startswith(first)


def test_a_word_beside_a_name_may_be_part_of_it(files: list[Path]) -> None:
    assert not ask("Which Acme portal server CVEs are there since 2021?", files).covered
