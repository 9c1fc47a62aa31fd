"""The pairs of the sample: certified, the same bytes again, and refused where they are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from cybersecqwen.benchmark.tasks import benchmark_of, read_items
from cybersecqwen.config import Recipe, load_recipe
from cybersecqwen.contamination import normalised
from cybersecqwen.errors import InputError, RecipeError, StageError
from cybersecqwen.files import Json, read_json, read_jsonl, sha256_file
from cybersecqwen.records import Item
from cybersecqwen.synthesis import build as module
from cybersecqwen.synthesis.build import SynthesisInputs, build
from cybersecqwen.synthesis.facts import FactBase
from cybersecqwen.synthesis.leakage import page_of
from cybersecqwen.synthesis.pair import KINDS

Make = Callable[..., SynthesisInputs]


@pytest.fixture(scope="module")
def made(
    recipe: Recipe, sources: Make, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Json]:
    folder = tmp_path_factory.mktemp("made")
    return folder, build(recipe, sources(), folder)


def rows(folder: Path) -> list[Json]:
    return [row for name in ("train", "validation") for row in read_jsonl(folder / f"{name}.jsonl")]


def test_what_is_wanted_is_made_and_certified(made: tuple[Path, Json]) -> None:
    folder, certificate = made
    assert read_json(folder / "certificate.json") == certificate
    counts = certificate["counts"]
    assert counts["train"] + counts["validation"] == counts["wanted"] == 120
    assert set(counts["kinds"]) == set(KINDS)
    assert counts["forms"]["choice"] == 50  # half of each kind but components
    assert certificate["clean"] is True
    for name, sha256 in certificate["outputs"].items():
        assert sha256_file(folder / name) == sha256
    found = rows(folder)
    assert Counter(row["kind"] for row in found) == counts["kinds"]
    for row in found:
        ground = "\n".join(one["text"] for one in row["grounding"])
        assert row["grounding"] and all(words in ground for words in row["support"])
        assert row["prompt"] and row["completion"]
    assert len({row["id"] for row in found}) == 120
    rejected = Counter(row["reason"] for row in read_jsonl(folder / "rejected.jsonl"))
    assert rejected == certificate["counts"]["rejected"]
    assert "120" not in (folder / "DATASET_CARD.md").read_text().splitlines()[0]


def test_the_same_input_gives_the_same_bytes(
    made: tuple[Path, Json], recipe: Recipe, sources: Make, tmp_path: Path
) -> None:
    folder, _ = made
    build(recipe, sources(), tmp_path / "again")
    names = ("train.jsonl", "validation.jsonl", "rejected.jsonl", "certificate.json")
    for name in (*names, "DATASET_CARD.md"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    other = load_recipe(
        "smoke",
        overrides=("synthesis.pairs=120", "synthesis.seed=43", "training.max_length=2048"),
    )
    build(other, sources(), tmp_path / "other")
    name = "train.jsonl"
    assert (folder / name).read_bytes() != (tmp_path / "other" / name).read_bytes()


def test_no_template_stands_for_many(made: tuple[Path, Json]) -> None:
    of = made[1]["diversity"]["all"]
    assert of["questions"] == 120
    assert of["commonest_opening"] <= 0.06
    assert of["distinct_3"] >= 0.6


def test_records_of_the_benchmark_and_of_the_validation_are_not_asked_about(
    made: tuple[Path, Json], recipe: Recipe, sources: Make, tmp_path: Path
) -> None:
    subjects = sorted({r["subject"] for r in rows(made[0]) if r["subject"].startswith("CVE")})
    texts = {r["grounding"][0]["id"]: r["grounding"][0]["text"] for r in rows(made[0])}
    hidden, asked = subjects[:3], subjects[3:6]
    items = tuple(
        Item(
            "cti-rcm",
            n,
            "",
            "CWE-79",
            f"https://nvd.nist.gov/vuln/detail/{cve_id}",
            "A text of its own.",
        )
        for n, cve_id in enumerate(asked)
    )
    changed = sources(
        benchmark=benchmark_of({"cti-rcm": items}),
        held_out=frozenset(normalised(texts[cve_id]) for cve_id in hidden),
    )
    build(recipe, changed, tmp_path / "b")
    assert not {row["subject"] for row in rows(tmp_path / "b")} & {*hidden, *asked}
    rejected = list(read_jsonl(tmp_path / "b" / "rejected.jsonl"))
    assert any(r["reason"] == "contaminated-cve-id" and r["item"] for r in rejected)


def test_a_file_that_fails_its_own_check_is_not_certified(
    recipe: Recipe, sources: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = module.write_jsonl

    def tampering(path: Path, found: object) -> int:
        changed = [row | {"support": ["nowhere"]} for row in found]  # type: ignore[attr-defined]
        return write(path, changed)

    monkeypatch.setattr(module, "write_jsonl", tampering)
    with pytest.raises(StageError, match=r"train-1: unsupported not in the grounding: nowhere"):
        build(recipe, sources(), tmp_path)
    assert not (tmp_path / "certificate.json").exists()


def test_where_nothing_can_be_asked_it_says_why(
    recipe: Recipe, sources: Make, tmp_path: Path
) -> None:
    short = load_recipe("smoke", overrides=("synthesis.pairs=8", "training.max_length=20"))
    empty = FactBase({}, {}, {}, {}, {})
    with pytest.raises(InputError, match="most were rejected as length"):
        build(short, sources(base=empty), tmp_path)
    with pytest.raises(RecipeError, match=r"no table \[synthesis\]"):
        build(load_recipe("smoke"), sources(), tmp_path)


@pytest.mark.shared
def test_facts_of_the_real_benchmark_are_kept_back(
    shared: Path, recipe: Recipe, sources: Make, tmp_path: Path
) -> None:
    tasks = {task: read_items(shared / "cti-bench", task) for task in ("cti-mcq", "cti-ate")}
    certificate = build(recipe, sources(benchmark=benchmark_of(tasks)), tmp_path)
    assert certificate["counts"]["rejected"]["benchmark-fact"] > 0
    software = {page_of(item.url) for item in tasks["cti-ate"]}
    assert len(software) == 60
    told = {end for row in rows(tmp_path) for fact in row["facts"] for end in fact}
    assert not told & software
