"""A corpus is deterministic, loses no record in silence, and its certificate holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.config import Recipe, load_recipe
from cybersecqwen.contamination import BenchmarkIndex, normalised
from cybersecqwen.contamination.certificate import recheck
from cybersecqwen.corpus.build import CorpusInputs, build
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.errors import InputError
from cybersecqwen.files import read_json, read_jsonl, sha256_file, write_json
from cybersecqwen.prompts import rcm_prompt
from cybersecqwen.records import Vulnerability
from cybersecqwen.sample import BENCHMARK, FEED
from cybersecqwen.sources import read_vulnerabilities

RECIPE = load_recipe("smoke")
FILES = ("train.jsonl", "validation.jsonl", "dropped.jsonl", "certificate.json", "DATASET_CARD.md")


def make(out: Path, *, recipe: Recipe = RECIPE, reverse: bool = False) -> dict[str, object]:
    records = list(read_vulnerabilities(FEED))
    inputs = CorpusInputs(
        reversed(records) if reverse else records,
        read_benchmark(BENCHMARK),
        load_catalogue(),
        {"records": {FEED.name: sha256_file(FEED)}},
    )
    return build(recipe, inputs, out)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus")
    make(out)
    return out


def test_the_same_input_gives_the_same_bytes(corpus: Path, tmp_path: Path) -> None:
    make(tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (corpus / name).read_bytes(), name


def test_the_order_of_the_feed_does_not_matter_to_the_examples(
    corpus: Path, tmp_path: Path
) -> None:
    make(tmp_path, reverse=True)
    for name in ("train.jsonl", "validation.jsonl"):
        here = [r["cve_id"] for r in read_jsonl(tmp_path / name)]
        assert here == [r["cve_id"] for r in read_jsonl(corpus / name)]


def test_every_record_of_the_cohort_is_an_example_or_in_the_ledger(corpus: Path) -> None:
    wanted = [v.cve_id for v in read_vulnerabilities(FEED) if v.cve_id.startswith("CVE-2021-")]
    found = [
        row["cve_id"]
        for name in ("train.jsonl", "validation.jsonl", "dropped.jsonl")
        for row in read_jsonl(corpus / name)
    ]
    assert Counter(found) == Counter(wanted)


def test_the_ledger_gives_each_planted_flaw_its_reason(corpus: Path) -> None:
    rows = list(read_jsonl(corpus / "dropped.jsonl"))
    assert Counter(row["reason"] for row in rows) == {
        "rejected": 3,
        "placeholder-label": 3,
        "category-label": 3,
        "no-english-text": 2,
        "no-label": 2,
        "duplicate-text": 2,
        "label-conflict": 2,
        "label-is-no-cwe": 1,
        "too-short": 1,
        "duplicate-id-other-text": 1,
        "contaminated-cve-id": 2,
        "contaminated-exact": 2,
        "contaminated-masked": 2,
        "contaminated-ngram": 2,
    }
    assert all(FEED.name in row["where"] for row in rows)
    contaminated = [row for row in rows if row["reason"].startswith("contaminated")]
    assert all(row["item"].startswith("cti-rcm/") for row in contaminated)


def test_examples_keep_id_label_and_the_benchmarks_prompt(corpus: Path) -> None:
    by_text = {v.description: v for v in read_vulnerabilities(FEED)}
    rows = list(read_jsonl(corpus / "train.jsonl"))
    for row in rows:
        record = by_text[row["description"]]
        assert row["prompt"] == rcm_prompt(row["description"])
        assert row["completion"].splitlines()[-1] == row["cwe"]
        assert row["cwe"] in getattr(record, f"cwe_{row['label_source']}")


def test_no_text_stands_in_training_and_validation(corpus: Path) -> None:
    train, validation = (
        {normalised(row["description"]) for row in read_jsonl(corpus / name)}
        for name in ("train.jsonl", "validation.jsonl")
    )
    assert validation
    assert not train & validation


def test_the_certificate_names_the_files_and_its_claim_can_be_checked(corpus: Path) -> None:
    certificate = read_json(corpus / "certificate.json")
    for name, checksum in certificate["outputs"].items():
        assert sha256_file(corpus / name) == checksum
    assert certificate["inputs"]["records"] == {FEED.name: sha256_file(FEED)}
    index = BenchmarkIndex(read_benchmark(BENCHMARK), RECIPE.contamination)
    rows = list(read_jsonl(corpus / "train.jsonl"))
    assert certificate["counts"]["train"] == len(rows)
    assert certificate["clean"]
    assert not any(index.hits(row["cve_id"], row["description"]) for row in rows)


def test_the_limit_draws_from_the_whole_cohort(tmp_path: Path) -> None:
    recipe = load_recipe("smoke", overrides=("corpus.max_examples=100",))
    certificate = make(tmp_path, recipe=recipe)
    counts = certificate["counts"]
    assert counts["train"] + counts["validation"] == 100
    ids = sorted(r["cve_id"] for r in read_jsonl(tmp_path / "train.jsonl"))
    assert ids[-1] > "CVE-2021-9000200"  # not the first hundred


def test_a_completion_may_be_the_id_alone(corpus: Path, tmp_path: Path) -> None:
    make(tmp_path, recipe=load_recipe("smoke", overrides=("corpus.completion=id",)))
    rows = list(read_jsonl(tmp_path / "train.jsonl"))
    assert all(row["completion"] == row["cwe"] for row in rows)
    assert [r["prompt"] for r in rows] == [r["prompt"] for r in read_jsonl(corpus / "train.jsonl")]
    assert "the CWE id alone" in (tmp_path / "DATASET_CARD.md").read_text()


def test_a_corpus_that_keeps_what_overlaps_says_so_everywhere(tmp_path: Path) -> None:
    recipe = load_recipe("smoke", overrides=("corpus.contaminated=keep",))
    certificate = make(tmp_path, recipe=recipe)
    dropped = Counter(row["reason"] for row in read_jsonl(tmp_path / "dropped.jsonl"))
    assert not any(reason.startswith("contaminated") for reason in dropped)
    counts = read_json(tmp_path / "certificate.json")["counts"]
    assert counts["overlapping"] > 0
    assert not certificate["clean"]
    card = (tmp_path / "DATASET_CARD.md").read_text()
    assert f"**{counts['overlapping']} of them overlap with a benchmark item: not clean.**" in card
    assert "Nothing was removed" in card
    benchmark = read_benchmark(BENCHMARK)
    [line] = recheck(tmp_path / "certificate.json", benchmark=benchmark)
    assert line.startswith("inputs benchmark: stated nothing")  # the test states none
    stated = read_json(tmp_path / "certificate.json")
    write_json(tmp_path / "certificate.json", stated | {"clean": True})
    lines = recheck(tmp_path / "certificate.json", benchmark=benchmark)
    assert "clean: stated true, found false" in lines


def test_a_cohort_without_records_says_what_to_look_at(tmp_path: Path) -> None:
    recipe = load_recipe("smoke", overrides=("corpus.years=[1999,1999]",))
    with pytest.raises(InputError, match="0 of 328 records are left"):
        make(tmp_path, recipe=recipe)
    assert not any(tmp_path.iterdir())


def test_texts_that_differ_only_in_case_are_one(tmp_path: Path) -> None:
    text = "A heap overflow in the PNG decoder of {} lets a crafted image crash the viewer."
    records = [
        Vulnerability(f"CVE-2021-{n}", "2021-01-01", text.format(name), cwe_nvd=("CWE-787",))
        for n, name in enumerate(["Foo", "FOO", "Bar", "Baz"], start=1000)
    ]
    recipe = load_recipe("smoke", overrides=("corpus.validation_fraction=0.4",))
    build(recipe, CorpusInputs(records, read_benchmark(BENCHMARK), load_catalogue(), {}), tmp_path)
    (dropped,) = read_jsonl(tmp_path / "dropped.jsonl")
    assert (dropped["cve_id"], dropped["reason"]) == ("CVE-2021-1001", "duplicate-text")
    assert dropped["detail"] == "CVE-2021-1000"


@pytest.mark.shared
def test_the_published_recipe_builds_its_corpus_clean_of_all_of_cti_bench(
    shared: Path, tmp_path: Path
) -> None:
    recipe = load_recipe("cybersecqwen-4b")
    benchmark = read_benchmark(shared / "cti-bench")
    records = read_vulnerabilities(shared / "cve.parquet")
    counts = build(recipe, CorpusInputs(records, benchmark, load_catalogue(), {}), tmp_path)[
        "counts"
    ]
    assert counts["records"] == 284_020
    assert counts["train"] + counts["validation"] == 6776
    # The CVEs of cti-rcm are of 2024, those of cti-rcm-2021 are not: the cohort holds some.
    assert counts["contaminated"]["cve-id"]["cti-rcm-2021"] > 200
    asked = {item.url.rsplit("/", 1)[-1] for item in benchmark["cti-rcm-2021"]}
    assert not asked & {row["cve_id"] for row in read_jsonl(tmp_path / "train.jsonl")}
