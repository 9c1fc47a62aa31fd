"""What the report counts, against records counted by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cybersecqwen.cwe.graph import CweGraph
from cybersecqwen.errors import InputError
from cybersecqwen.reports.dataset.label_counts import spread
from cybersecqwen.sources import read_vulnerabilities
from reports.dataset.conftest import CATALOGUE, measured, record

RECORDS = [
    record("CVE-2020-1", "One flaw.", "2021-01-01", nvd="CWE-787", cna="CWE-121"),
    record("CVE-2021-2", "One FLAW!", "2021-01-02", nvd="CWE-79", cna="CWE-79 CWE-80"),
    record("CVE-2021-3", "Two flaws.", "2022-01-03", nvd="CWE-119", cisa_adp="CWE-787"),
    record("CVE-2021-4", "Three.", "2022-01-04", nvd="NVD-CWE-noinfo", cna="CWE-20 CWE-79"),
    record("CVE-2021-5", "Four.", "", cna="CWE-79 CWE-20", cisa_adp="CWE-20 CWE-79"),
    record("CVE-2021-6", "", "2022-01-05", nvd="CWE-264"),
    record("CVE-2021-7", "Five.", "2022-01-05"),
    replace(record("CVE-2021-8", "Six.", nvd="CWE-79"), rejected=True),
]


def test_records_are_counted_with_what_they_lack() -> None:
    figures = measured(RECORDS).figures
    assert (figures["records"], figures["rejected"], figures["without_text"]) == (7, 1, 1)
    assert figures["labelled"] == {"count": 6, "share": 6 / 7}


def test_the_primary_label_is_nvds_else_the_cnas_and_no_placeholder() -> None:
    counts = measured(RECORDS).figures["classes"]["counts"]
    assert counts == {
        **{"CWE-79": 2, "CWE-119": 1, "CWE-20": 1, "CWE-264": 1, "CWE-787": 1},
    }


def test_years_are_those_of_the_id_and_of_publication() -> None:
    rows = {row["year"]: row for row in measured(RECORDS).figures["years"]}
    assert {y: (r["by_id"], r["published"]) for y, r in rows.items()} == {
        "2020": (1, 0),
        "2021": (6, 2),
        "2022": (0, 4),
        "unknown": (0, 1),
    }
    assert rows["2022"]["primary_label_from"] == {"nvd": 2, "cna": 1, "cisa_adp": 0, "none": 1}
    assert rows["2022"]["labelled_by"] == {"nvd": 2, "cna": 1, "cisa_adp": 1}
    assert rows["2022"]["first_label_usage"]["nvd"]["Discouraged"] == 1
    assert rows["2022"]["first_label_usage"]["nvd"]["Prohibited"] == 1


def test_coverage_counts_all_labels_and_their_kinds() -> None:
    figures = measured(RECORDS).figures["coverage"]
    nvd = figures["sources"]["nvd"]
    assert (nvd["count"], nvd["labels"]) == (4, 5)
    assert {kind: row["count"] for kind, row in nvd["kinds"].items()} == {
        "weakness": 3,
        "category": 1,
        "placeholder": 1,
    }
    together = {tuple(row["sources"]): row["count"] for row in figures["together"]}
    assert together == {
        ("nvd", "cna"): 2,
        ("nvd", "cisa_adp"): 1,
        ("cna", "cisa_adp"): 1,
        ("nvd",): 1,
        ("cna",): 1,
        (): 1,
    }


def test_sources_agree_on_first_labels_sets_and_in_the_hierarchy() -> None:
    pairs = {tuple(pair["sources"]): pair for pair in measured(RECORDS).figures["agreement"]}
    nvd_cna = pairs["nvd", "cna"]
    assert nvd_cna["records"] == 2
    assert nvd_cna["first_label"]["count"] == 1
    assert nvd_cna["or_parent_or_child"]["count"] == 2  # CWE-787 is above CWE-121
    assert nvd_cna["same_in_view_1003"]["count"] == 2
    assert nvd_cna["sets_equal"]["count"] == 0
    assert nvd_cna["sets_overlapping"]["count"] == 1
    cna_cisa = pairs["cna", "cisa_adp"]
    assert (cna_cisa["first_label"]["count"], cna_cisa["sets_equal"]["count"]) == (0, 1)
    assert nvd_cna["commonest_conflicts"] == [
        {"label": "CWE-787", "other_label": "CWE-121", "records": 1, "relation": "parent"}
    ]
    assert [(r["year"], r["records"]) for r in nvd_cna["by_year_of_id"]] == [
        ("2020", 1),
        ("2021", 1),
    ]


def test_every_conflict_is_listed_with_its_relation() -> None:
    assert [tuple(conflict) for conflict in measured(RECORDS).conflicts] == [
        ("CVE-2020-1", "nvd", "CWE-787", "cna", "CWE-121", "parent", False),
        ("CVE-2021-3", "nvd", "CWE-119", "cisa_adp", "CWE-787", "parent", False),
        ("CVE-2021-5", "cna", "CWE-79", "cisa_adp", "CWE-20", "same pillar", True),
    ]


@pytest.mark.parametrize(
    ("first", "second", "relation"),
    [
        ("CWE-79", "CWE-79", "equal"),
        ("CWE-74", "CWE-79", "parent"),
        ("CWE-79", "CWE-74", "child"),
        ("CWE-79", "CWE-89", "sibling"),  # in view 1003 alone
        ("CWE-79", "CWE-20", "same pillar"),
        ("CWE-787", "CWE-125", "sibling"),
        ("CWE-79", "CWE-787", "unrelated"),
        ("CWE-264", "CWE-79", "not a weakness"),
        ("CWE-79", "CWE-99999", "not in the catalogue"),
    ],
)
def test_the_relation_of_two_labels(first: str, second: str, relation: str) -> None:
    assert CweGraph(CATALOGUE).relation(first, second) == relation


def test_a_discouraged_label_gets_the_neighbour_that_other_sources_name() -> None:
    records = [
        record(f"CVE-2021-{n}", f"Text {n}.", nvd="CWE-119", cna="CWE-787") for n in range(5)
    ]
    records.append(record("CVE-2021-9", "Text 9.", nvd="CWE-79"))
    figures = measured(records).figures["discouraged"]
    assert figures["records"]["count"] == 5
    (row,) = figures["classes"]
    assert (row["cwe"], row["usage"], row["records"]) == ("CWE-119", "Discouraged", 5)
    assert row["better"]["cwe"] == "CWE-787"
    assert row["better"]["records_so_labelled_by_another_source"] == 5
    # What a single record says is no evidence: then the catalogue decides.
    (row,) = measured(records[:1]).figures["discouraged"]["classes"]
    assert row["better"]["cwe"] != "CWE-787"
    assert CATALOGUE[row["better"]["cwe"]].usage == "Allowed"


def test_texts_are_the_same_whatever_their_case_and_punctuation() -> None:
    figures = measured(RECORDS).figures["duplicates"]
    assert (figures["texts"], figures["groups"], figures["records"], figures["surplus"]) == (
        5,
        1,
        2,
        1,
    )
    assert figures["label_conflicts"]["groups"] == 1
    (group,) = figures["largest"]
    assert group["cve_ids"] == ["CVE-2020-1", "CVE-2021-2"]
    assert group["labels"] == {"CWE-787": 1, "CWE-79": 1}


def test_the_spread_of_equal_classes_is_their_number() -> None:
    counts = spread(Counter({f"CWE-{n}": 10 for n in (20, 79, 89, 787)}), CATALOGUE)
    assert counts["entropy_bits"] == pytest.approx(2)
    assert counts["effective_classes"] == pytest.approx(4)
    assert counts["needed_for"] == {"0.5": 2, "0.8": 4, "0.9": 4, "0.95": 4, "0.99": 4}
    assert [row["cumulative_share"] for row in counts["head"]] == [0.25, 0.5, 0.75, 1]
    assert {row["labels_at_most"]: row["classes"] for row in counts["tail"]} == {1: 0, 5: 0, 100: 4}
    assert counts["usages"]["Discouraged"]["classes"] == 1  # CWE-20


def test_records_without_any_label_are_measured_all_the_same() -> None:
    result = measured([record("CVE-2021-1"), record("CVE-2021-2", "Other.")])
    assert result.conflicts == ()
    assert result.figures["labelled"] == {"count": 0, "share": 0}
    assert result.figures["classes"]["labels"] == 0
    assert result.figures["agreement"] == []
    assert result.figures["discouraged"] == {"records": None, "classes": [], "other_classes": 0}


def test_no_records_are_nothing_to_measure() -> None:
    with pytest.raises(InputError, match="no records"):
        measured([])
    with pytest.raises(InputError, match="1 records, all of them rejected"):
        measured([RECORDS[-1]])


@pytest.mark.shared
def test_what_is_known_of_the_real_sample(shared: Path) -> None:
    archive = shared / "cvelist" / "cve-json5-sample.tar.gz"
    result = measured(read_vulnerabilities(archive))
    assert result.figures["records"] + result.figures["rejected"] == 400
    assert (
        result.figures["coverage"]["sources"]["nvd"]["count"] == 0
    )  # CVE JSON 5 has no NVD labels
    (pair,) = result.figures["agreement"]
    assert pair["sources"] == ["cna", "cisa_adp"]
    assert len(result.conflicts) == pair["records"] - pair["first_label"]["count"]
