"""A completion quotes the cause, argues from its own record and ends with the bare CWE id."""

from __future__ import annotations

from collections import Counter

import pytest

from cybersecqwen.benchmark.tasks.cti_rcm import last_cwe
from cybersecqwen.config import load_recipe
from cybersecqwen.corpus.cohort import Candidate, in_cohort, select
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.cause import argue, cause
from cybersecqwen.records import Weakness
from cybersecqwen.sample import FEED
from cybersecqwen.sources import read_vulnerabilities


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        (
            "A flaw was found in Foo 1.2. A use-after-free in bar() lets users crash it.",
            "use-after-free",
        ),
        (
            "The 'name' parameter is not properly sanitized, allowing attackers to read files.",
            "not properly sanitized",
        ),
        (
            "Foo before 2.1 (a server) does not verify the certificate.",
            "does not verify the certificate",
        ),
        (
            "In Foo 1.2, there is a possible out of bounds write due to a missing bounds check. "
            "This could lead to remote code execution.",
            "out of bounds write due to a missing bounds check",
        ),
        ("", ""),
        ("1.2.3", ""),
    ],
)
def test_the_words_of_the_cause_are_quoted_whole_and_of_one_clause(text: str, quoted: str) -> None:
    assert cause(text) == quoted


def test_the_words_of_the_weaknesss_name_count_for_more() -> None:
    text = "A buffer overflow, and a race condition in the scheduler, affect Foo."
    assert cause(text, "Race Condition") == "race condition"
    assert "overflow" in cause(text, "Classic Buffer Overflow")


def test_place_way_and_consequence_are_taken_from_the_text() -> None:
    text = (
        "A cross-site scripting flaw in the render() function of Foo 1.2 allows remote attackers "
        "to execute arbitrary script code via a crafted comment."
    )
    written = argue(text, load_catalogue()["CWE-79"])
    assert "render() function" in written
    assert "a crafted comment" in written
    assert "execute arbitrary script code" in written
    assert written.splitlines()[-1] == "CWE-79"


def test_a_discouraged_weakness_is_said_to_be_broad() -> None:
    broad = Weakness("CWE-20", "Improper Input Validation", "weakness", usage="Discouraged")
    assert "broad" in argue("Some text about a flaw in a parser.", broad)


def test_no_sentence_serves_many_records_of_the_sample_and_every_quotation_is_in_the_text() -> None:
    catalogue, corpus = load_catalogue(), load_recipe("smoke").corpus
    chosen = [
        outcome
        for v in read_vulnerabilities(FEED)
        if in_cohort(v, corpus) and isinstance(outcome := select(v, corpus, catalogue), Candidate)
    ]
    written = [argue(c.vulnerability.description, catalogue[c.cwe]) for c in chosen]
    assert [last_cwe(text) for text in written] == [c.cwe for c in chosen]
    assert Counter(written).most_common(1)[0][1] <= 0.05 * len(written)
    openings = Counter(" ".join(text.split()[:3]) for text in written)
    assert openings.most_common(1)[0][1] <= 0.35 * len(written), openings
    for candidate, text in zip(chosen, written, strict=True):
        for quote in text.split('"')[1::2]:
            assert quote in " ".join(candidate.vulnerability.description.split())
