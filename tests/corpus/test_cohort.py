"""Each filter of a cohort, by the reason it gives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cybersecqwen.config import Corpus
from cybersecqwen.corpus.cohort import Candidate, in_cohort, select
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.records import Dropped, Vulnerability

CORPUS = Corpus(years=(2021, 2021))
GOOD = Vulnerability(
    "CVE-2021-0007",
    "2022-01-03",
    "A stored cross-site scripting flaw in the comment form of Example Blog.",
    cwe_nvd=("CWE-79",),
    where="feed.json:3",
)


def outcome(corpus: Corpus = CORPUS, **changes: object) -> Candidate | Dropped:
    return select(replace(GOOD, **changes), corpus, load_catalogue())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cve_id": "CVE-21-1"}, "bad-cve-id"),
        ({"rejected": True}, "rejected"),
        ({"description": "** REJECT ** Do not use this id, it was withdrawn."}, "rejected"),
        ({"description": "  "}, "no-english-text"),
        ({"description": "XSS in Blog"}, "too-short"),
        ({"cwe_nvd": ()}, "no-label"),
        ({"cwe_nvd": ("NVD-CWE-noinfo",)}, "placeholder-label"),
        ({"cwe_nvd": ("CWE-264",)}, "category-label"),
        ({"cwe_nvd": ("CWE-99999",)}, "label-is-no-cwe"),
        ({"cwe_nvd": ("CWE-XSS",)}, "label-is-no-cwe"),
        ({"cwe_nvd": ("CWE-1003",)}, "label-is-no-cwe"),  # a view
        ({"cwe_nvd": ("CWE-247",)}, "deprecated-label"),
    ],
)
def test_a_record_that_cannot_be_used_says_why_and_where(
    changes: dict[str, object], reason: str
) -> None:
    dropped = outcome(**changes)
    assert isinstance(dropped, Dropped)
    assert (dropped.reason, dropped.where) == (reason, "feed.json:3")


def test_the_label_is_the_first_usable_one_in_the_recipes_order_of_sources() -> None:
    labels = {
        "cwe_nvd": ("NVD-CWE-Other",),
        "cwe_cna": ("CWE-264", "CWE-89", "CWE-79"),
        "cwe_cisa_adp": ("CWE-20",),
    }
    assert outcome(**labels)[1:] == ("CWE-89", "cna")
    first_cisa = Corpus(years=(2021, 2021), label_sources=("cisa_adp", "cna"))
    assert outcome(first_cisa, **labels)[1:] == ("CWE-20", "cisa_adp")


def test_categories_and_discouraged_weaknesses_are_kept_or_dropped_as_the_recipe_says() -> None:
    keeps = Corpus(years=(2021, 2021), categories="keep")
    drops = Corpus(years=(2021, 2021), discouraged="drop")
    assert outcome(keeps, cwe_nvd=("CWE-264",))[1] == "CWE-264"
    assert outcome(cwe_nvd=("CWE-20",))[1] == "CWE-20"
    assert outcome(drops, cwe_nvd=("CWE-20",)).reason == "discouraged-label"
    assert outcome(drops, cwe_nvd=("CWE-20", "CWE-89"))[1] == "CWE-89"


def test_a_discouraged_weakness_may_be_kept_where_the_text_names_it() -> None:
    named = Corpus(years=(2021, 2021), discouraged="named")
    text = "Improper input validation in Example Blog lets users crash the server."
    assert outcome(named, cwe_nvd=("CWE-20",)).reason == "discouraged-label"
    assert outcome(named, cwe_nvd=("CWE-20",), description=text)[1] == "CWE-20"
    both = {"cwe_nvd": ("CWE-20",), "cwe_cna": ("CWE-400", "CWE-674")}
    assert outcome(named, description=text, **both)[1] == "CWE-674"


def test_a_label_other_than_the_cwe_that_the_text_names_is_not_taught() -> None:
    text = "A CWE-23: relative path traversal flaw in Example Blog reads any file."
    changes = {"description": text, "cwe_nvd": ("CWE-305",)}
    dropped = outcome(**changes)
    assert (dropped.reason, dropped.detail) == ("text-names-another-cwe", "CWE-305 CWE-23")
    assert outcome(**changes, cwe_cna=("CWE-79", "CWE-23"))[1:] == ("CWE-23", "cna")
    keeps = Corpus(years=(2021, 2021), contradicted="keep")
    assert outcome(keeps, **changes)[1] == "CWE-305"


def test_years_count_by_cve_id_or_by_publication() -> None:
    published = Corpus(years=(2021, 2021), year_by="published")
    assert in_cohort(GOOD, CORPUS)
    assert not in_cohort(GOOD, published)
    assert in_cohort(replace(GOOD, published="2021-12-31"), published)
    # Without a date it cannot be placed: it goes on to the ledger, not past it.
    undated = replace(GOOD, published="")
    assert in_cohort(undated, published)
    assert select(undated, published, load_catalogue()).reason == "no-publication-date"


def test_a_verdict_counts_before_every_label_of_a_feed() -> None:
    reviewed = outcome(CORPUS, cwe_reviewed=("CWE-80",))
    assert isinstance(reviewed, Candidate)
    assert (reviewed.cwe, reviewed.label_source) == ("CWE-80", "reviewed")
