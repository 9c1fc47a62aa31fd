"""The sample feed and benchmark: the smoke recipe and the first answers of a user rest on them."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.prompts import mcq_prompt, rcm_prompt
from cybersecqwen.sample import BENCHMARK, FEED
from cybersecqwen.sources import nvd_json

CISA_ADP = "134c704f-9b21-4f2e-91b3-4a467353bcc0"
CATEGORIES = {"CWE-264", "CWE-310", "CWE-399"}
PLACEHOLDERS = {"NVD-CWE-noinfo", "NVD-CWE-Other"}
NO_CWE = "CWE-99999"
Record = dict[str, Any]


@pytest.fixture(scope="module")
def feed() -> Record:
    content: Record = json.loads(FEED.read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def records(feed: Record) -> list[Record]:
    return [wrapped["cve"] for wrapped in feed["vulnerabilities"]]


def english(record: Record) -> str:
    return next((d["value"] for d in record["descriptions"] if d["lang"] == "en"), "")


def labels(record: Record) -> list[str]:
    return [d["value"] for w in record.get("weaknesses", []) for d in w["description"]]


def rejected(record: Record) -> bool:
    return bool(record["vulnStatus"] == "Rejected")


def rows(task: str) -> list[dict[str, str]]:
    # Split by hand: a quotation mark in these files is a character like any other.
    text = (BENCHMARK / f"{task}.tsv").read_text(encoding="utf-8")
    assert text.endswith("\n")
    head, *lines = (line.split("\t") for line in text.removesuffix("\n").split("\n"))
    return [dict(zip(head, line, strict=True)) for line in lines]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def thirteen_grams(text: str) -> set[tuple[str, ...]]:
    split = words(text)
    return {tuple(split[i : i + 13]) for i in range(len(split) - 12)}


def test_feed_has_the_layout_of_one_complete_nvd_answer(feed: Record) -> None:
    assert (feed["format"], feed["version"], feed["startIndex"]) == ("NVD_CVE", "2.0", 0)
    assert feed["resultsPerPage"] == feed["totalResults"] == len(feed["vulnerabilities"])


def test_shipped_data_stays_under_a_megabyte() -> None:
    assert sum(p.stat().st_size for p in (FEED, *BENCHMARK.iterdir())) < 1_000_000


def test_a_corpus_of_2021_has_enough_records_and_classes(records: list[Record]) -> None:
    usable = [
        record
        for record in records
        if record["id"].startswith("CVE-2021-")
        and not rejected(record)
        and english(record)
        and set(labels(record)) - CATEGORIES - PLACEHOLDERS - {NO_CWE}
    ]
    first = Counter(labels(record)[0] for record in usable)
    assert len(usable) >= 240 + 8
    assert len(first) >= 20
    assert [cwe for cwe, _ in first.most_common(2)] == ["CWE-79", "CWE-89"]
    outside = Counter(r["id"][4:8] for r in records if not r["id"].startswith("CVE-2021-"))
    assert outside == {"2020": 10, "2022": 10}


def test_some_2021_ids_were_published_later(records: list[Record]) -> None:
    # Otherwise `year_by = "published"` and `"cve_id"` would choose the same cohort.
    assert any(r["id"][4:8] != r["published"][:4] for r in records)


def test_awkward_records_for_the_ledger_are_there(records: list[Record]) -> None:
    of_cohort = [r for r in records if r["id"].startswith("CVE-2021-")]
    live = [r for r in of_cohort if not rejected(r)]
    only = Counter(labels(r)[0] if len(labels(r)) == 1 else "" for r in live)
    assert sum(rejected(r) for r in of_cohort) == 3
    assert sum(not english(r) for r in live) == 2
    assert sum(only[label] for label in PLACEHOLDERS) == 3
    assert {label: only[label] for label in CATEGORIES} == dict.fromkeys(CATEGORIES, 1)
    assert only[NO_CWE] == 1
    assert sum(not labels(r) for r in live) == 2
    assert [english(r) for r in live if 0 < len(english(r).split()) < 5] == ["XSS in Quillmere."]


def test_only_the_deliberate_id_stands_twice(records: list[Record]) -> None:
    by_id = defaultdict(list)
    for record in records:
        assert re.fullmatch(r"CVE-20(20|21|22)-9\d{6}", record["id"])
        by_id[record["id"]].append(english(record))
    repeated = [texts for texts in by_id.values() if len(texts) > 1]
    assert len(repeated) == 1
    assert len(set(repeated[0])) == 2


def test_repeated_texts_are_two_equal_pairs_and_one_conflict(records: list[Record]) -> None:
    by_text = defaultdict(list)
    for record in records:
        if english(record):
            by_text[english(record)].append(labels(record))
    repeated = [found for found in by_text.values() if len(found) > 1]
    assert sorted(len(found) for found in repeated) == [2, 2, 2]
    assert sorted(a == b for a, b in repeated) == [False, True, True]


def test_sources_of_labels_are_mixed(records: list[Record]) -> None:
    by_source = [
        {w["source"]: [d["value"] for d in w["description"]] for w in r.get("weaknesses", [])}
        for r in records
    ]
    givers = Counter("nvd@nist.gov" in s for s in by_source if s)
    assert givers[True] > givers[False] >= 20  # some records rest on the CNA or CISA-ADP alone
    assert sum(CISA_ADP in s for s in by_source) >= 20
    assert sum(len(set(map(tuple, s.values()))) > 1 for s in by_source) >= 10
    assert sum(any(len(given) > 1 for given in s.values()) for s in by_source) >= 5


def test_labels_are_well_formed(records: list[Record]) -> None:
    found = {label for r in records for label in labels(r)}
    assert found >= PLACEHOLDERS
    for label in found - PLACEHOLDERS:
        assert re.fullmatch(r"CWE-[1-9]\d*", label)


def test_descriptions_have_the_length_of_real_ones(records: list[Record]) -> None:
    ordinary = [english(r) for r in records if english(r) and not rejected(r)]
    short = [text for text in ordinary if not 15 <= len(text.split()) <= 70]
    assert short == ["XSS in Quillmere."]


def test_no_sentence_skeleton_carries_the_feed(records: list[Record]) -> None:
    # A model that learns one template has learned nothing: openings stay varied.
    openings = Counter(tuple(words(english(r))[:3]) for r in records if english(r))
    assert openings.most_common(1)[0][1] <= 6


def test_references_lead_nowhere_real(records: list[Record]) -> None:
    urls = [ref["url"] for record in records for ref in record["references"]]
    assert urls
    assert all(url.startswith("https://example.com/") for url in urls)


def test_rcm_items_are_well_formed() -> None:
    items = rows("cti-rcm")
    assert len(items) == len({row["URL"] for row in items}) == 60
    assert list(items[0]) == ["URL", "Description", "Prompt", "GT"]
    for row in items:
        assert row["Prompt"] == rcm_prompt(row["Description"])
        assert re.fullmatch(r"https://nvd\.nist\.gov/vuln/detail/CVE-20(21|24)-9\d{6}", row["URL"])


def test_rcm_classes_are_those_of_the_feed(records: list[Record]) -> None:
    gold = Counter(row["GT"] for row in rows("cti-rcm"))
    assert set(gold) <= {label for record in records for label in labels(record)}
    assert gold.most_common(1)[0][0] == "CWE-79"


def test_mcq_items_are_well_formed() -> None:
    items = rows("cti-mcq")
    names = ["Option A", "Option B", "Option C", "Option D"]
    assert list(items[0]) == ["URL", "Question", *names, "Prompt", "GT"]
    assert len(items) == len({row["Question"] for row in items}) == 40
    for row in items:
        options = [row[name] for name in names]
        assert len(set(options)) == 4
        assert row["Prompt"] == mcq_prompt(row["Question"], options)


def test_mcq_letters_and_lengths_give_nothing_away() -> None:
    items = rows("cti-mcq")
    letters = Counter(row["GT"] for row in items)
    assert set(letters) == set("ABCD")
    assert all(8 <= n <= 12 for n in letters.values())
    options = [[row[f"Option {letter}"] for letter in "ABCD"] for row in items]
    longest = sum(
        max(choice, key=len) == row[f"Option {row['GT']}"]
        for row, choice in zip(items, options, strict=True)
    )
    assert longest <= 14  # picking the longest option is no strategy


def test_exactly_eight_records_overlap_with_the_benchmark(records: list[Record]) -> None:
    items = [(row["URL"].rpartition("/")[2], row["Description"]) for row in rows("cti-rcm")]
    ids = {cve_id for cve_id, _ in items}
    texts = {tuple(words(text)) for _, text in items}
    masked = {re.sub(r"[\d.]+", "#", text) for _, text in items}
    grams = [thirteen_grams(text) for _, text in items]
    found = Counter()
    for record in records:
        text, own = english(record), thirteen_grams(english(record))
        shared = max(len(own & other) for other in grams)
        if record["id"] in ids:
            found["id"] += 1
            assert shared == 0  # nothing but the id gives it away
        elif tuple(words(text)) in texts:
            found["text"] += 1
        elif re.sub(r"[\d.]+", "#", text) in masked:
            found["version"] += 1
            assert shared == 0  # each 13-gram runs across a version number
        elif shared:
            found["passage"] += 1
            assert shared > len(own) / 2
    assert found == {"id": 2, "text": 2, "version": 2, "passage": 2}


def test_our_own_readers_take_the_sample(records: list[Record]) -> None:
    read = list(nvd_json.read(FEED))
    assert [v.cve_id for v in read] == [r["id"] for r in records]
    assert [v.description for v in read] == [english(r) for r in records]
    assert sum(v.rejected for v in read) == 3
    for task, size in (("cti-rcm", 60), ("cti-mcq", 40)):
        items = read_items(BENCHMARK, task)
        assert [item.gold for item in items] == [row["GT"] for row in rows(task)]
        assert len(items) == size


@pytest.mark.shared
def test_no_text_is_that_of_a_real_record(records: list[Record], shared: Path) -> None:
    import pyarrow.parquet as pq

    column = pq.read_table(shared / "cve.parquet", columns=["cve_id", "description"])
    real = {" ".join(words(text)) for text in column["description"].to_pylist() if text}
    ours = [english(r) for r in records] + [row["Description"] for row in rows("cti-rcm")]
    assert [text for text in ours if text and " ".join(words(text)) in real] == []
    assert {r["id"] for r in records}.isdisjoint(column["cve_id"].to_pylist())
