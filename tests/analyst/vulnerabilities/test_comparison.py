"""Several CVEs: which of them is so, how they rank, and a name beside an id."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analyst.conftest import put, stored
from cybersecqwen.analyst.vulnerabilities.answers import answer_from_records
from cybersecqwen.records import Answer, Cvss, Vulnerability
from sources.test_kev import catalogue, entry

ONE, TWO, THREE = "CVE-2021-2001", "CVE-2022-2002", "CVE-2020-2003"


def _record(cve_id: str, score: float, vector: str) -> Vulnerability:
    cvss = (Cvss("nvd", "3.1", f"CVSS:3.1/{vector}", score),)
    return Vulnerability(cve_id, f"{cve_id[4:8]}-01-01", "A flaw in Foo.", cvss=cvss)


RECORDS = (
    _record(ONE, 8.2, "AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H"),
    _record(TWO, 9.8, "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
    _record(THREE, 5.5, "AV:L/AC:H/PR:H/UI:R/S:U/C:H/I:N/A:N"),
)

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    store = stored(tmp_path / "s.sqlite", RECORDS)
    kev = json.dumps(catalogue(entry(ONE), entry("CVE-2019-0708"))).encode()
    return [store, put(tmp_path / "k.json", kev)]


def ask(question: str, files: list[Path]) -> Answer:
    answer = answer_from_records(question, files)
    assert answer is not None
    return answer


@pytest.mark.parametrize(
    ("question", "first"),
    [
        (
            f"Out of {ONE}, {TWO} and {THREE}, which ones aren't in KEV?",
            f"They are {TWO} and {THREE}.",
        ),
        (f"{ONE} vs {TWO}, which one do attackers actually use?", f"It is {ONE}."),
        (f"which of these has a changed scope: {TWO}, {ONE}", f"It is {ONE}."),
        (f"Of {ONE} and {TWO}, which can be hit without any login?", f"It is {TWO}."),
        (f"which one is local, {ONE} or {THREE}", f"It is {THREE}."),
        (f"which of {ONE} and {TWO} is remotely exploitable", "Both of them."),
        (f"tell me which of {ONE} and {TWO} needs a click", "None of them."),
        (f"which of {ONE} and {TWO} doesn't require privileges?", f"It is {TWO}."),
        (f"which of {ONE} and {TWO} can't be used without a login?", f"It is {ONE}."),
        (f"which one does not need a click, {ONE} or {THREE}", f"It is {ONE}."),
        (f"which of {ONE} and {THREE} isn't local?", f"It is {ONE}."),
        (f"which access do {ONE} and {TWO} take?", f"{ONE} needs low privileges"),
        (f"which level of interaction do {ONE} and {THREE} need?", f"{ONE} needs no user inter"),
        (
            f"Rank by CVSS: {THREE}, {ONE}, {TWO}",
            f"By CVSS, the highest first:\n1. {TWO}: CVSS 3.1",
        ),
        (
            f"sort {ONE} {TWO} {THREE} by score, lowest first",
            f"By CVSS, the lowest first:\n1. {THREE}",
        ),
        (
            f"sort {ONE} and {TWO} by date, newest first",
            f"By date, the newest first:\n1. {TWO}: 2022",
        ),
        (f"which is the worst of {ONE}, {TWO}, {THREE}", "By CVSS, the highest first:"),
        (f"Which is rated higher, {ONE} or {TWO}?", f"{TWO} is rated higher"),
    ],
)
def test_the_first_words_name_the_one(question: str, first: str, files: list[Path]) -> None:
    answer = ask(question, files)
    assert answer.answer.startswith(first)
    assert answer.covered


def test_a_name_counts_beside_an_id(files: list[Path]) -> None:
    answer = ask(f"are BlueKeep and {TWO} in KEV", files).answer
    assert "Yes, CVE-2019-0708 (BlueKeep) is in CISA's KEV" in answer
    assert f"No, {TWO} is not in CISA's KEV" in answer
    chosen = ask(f"BlueKeep or {TWO}: which one is exploited?", files).answer
    assert chosen.startswith("It is CVE-2019-0708 (BlueKeep).")


def test_one_without_a_record_is_named(files: list[Path]) -> None:
    answer = ask(f"Rank {ONE}, {TWO} and CVE-2021-9999", files).answer
    assert answer.startswith("By CVSS")
    assert "CVE-2021-9999 is not covered" in answer
