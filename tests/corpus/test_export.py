"""An exported dataset opens with `datasets.load_dataset` and holds the corpus, row by row."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.config import dump_recipe, load_recipe
from cybersecqwen.corpus.build import CorpusInputs, build
from cybersecqwen.corpus.export import export
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.errors import CyberSecQwenError, InputError, StageError
from cybersecqwen.files import read_json, read_jsonl, sha256_file, write_jsonl, write_text
from cybersecqwen.manifest import make_stage
from cybersecqwen.sample import BENCHMARK, FEED
from cybersecqwen.sources import read_vulnerabilities

RECIPE = load_recipe("smoke")
PAIRS = [
    {
        "prompt": f"Which weakness is {n}?",
        "completion": f"CWE-{n}",
        "kind": "weakness" if n % 2 else "mitigation",
        "grounding": {"cwe": f"CWE-{n}", "facts": [n]},
    }
    for n in range(20, 30)
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "smoke"
    inputs = CorpusInputs(
        read_vulnerabilities(FEED),
        read_benchmark(BENCHMARK),
        load_catalogue(),
        {"records": {FEED.name: sha256_file(FEED)}},
    )
    write_text(folder / "recipe.toml", dump_recipe(RECIPE))
    make_stage(folder / "corpus", {}, lambda out: build(RECIPE, inputs, out))
    return folder


@pytest.fixture
def with_questions(run: Path, tmp_path: Path) -> Path:
    """Make a run with synthetic questions, as their stage leaves them."""
    folder = tmp_path / "smoke"
    shutil.copytree(run, folder)

    def make(out: Path) -> None:
        write_jsonl(out / "train.jsonl", PAIRS[:8])
        write_jsonl(out / "validation.jsonl", PAIRS[8:])
        write_jsonl(out / "rejected.jsonl", [{"reason": "unsupported"}])

    make_stage(folder / "synthesis", {}, make)
    return folder


def load(folder: Path, cache: Path, name: str | None = None) -> Any:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    return datasets.load_dataset(str(folder), name, cache_dir=str(cache))


def corpus_rows(run: Path, split: str) -> list[dict[str, Any]]:
    return list(read_jsonl(run / "corpus" / f"{split}.jsonl"))


def test_every_row_of_the_corpus_is_loaded_in_its_split(run: Path, tmp_path: Path) -> None:
    counts = export(run, tmp_path / "out")
    loaded = load(tmp_path / "out", tmp_path / "cache")
    assert counts == {"cwe": {split: len(rows) for split, rows in loaded.items()}}
    for split in ("train", "validation"):
        assert loaded[split].to_list() == corpus_rows(run, split)


def test_chats_are_loaded_as_messages(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out", form="messages")
    loaded = load(tmp_path / "out", tmp_path / "cache")
    for row, example in zip(loaded["train"], corpus_rows(run, "train"), strict=True):
        assert row["messages"] == [
            {"role": "user", "content": example["prompt"]},
            {"role": "assistant", "content": example["completion"]},
        ]
        assert "prompt" not in row and row["cwe"] == example["cwe"]


def test_synthetic_questions_are_a_configuration_of_their_own(
    with_questions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert export(with_questions, out)["qa"] == {"train": 8, "validation": 2}
    pairs = load(out, tmp_path / "cache", "qa")["train"].to_list()
    assert [json.loads(row.pop("grounding")) for row in pairs] == [
        row["grounding"] for row in PAIRS[:8]
    ]
    assert pairs == [{k: v for k, v in row.items() if k != "grounding"} for row in PAIRS[:8]]
    # The corpus is what a name is not needed for.
    assert "cve_id" in load(out, tmp_path / "cache")["train"].column_names
    assert (out / "provenance" / "synthesis" / "rejected.jsonl").is_file()
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "| mitigation | 5 |" in card and "`qa` adds 8 training and 2 validation" in card


def test_the_card_names_each_split_s_file_and_its_facts_are_the_corpus_s(
    run: Path, tmp_path: Path
) -> None:
    export(run, tmp_path / "out")
    head, body = (tmp_path / "out" / "README.md").read_text().removeprefix("---\n").split("\n---\n")
    facts = yaml.safe_load(head)
    assert (facts["license"], facts["language"], facts["size_categories"]) == (
        *("other", "en", "n<1K"),
    )
    (config,) = facts["configs"]
    assert config["config_name"] == "cwe"
    assert config["data_files"] == [
        {"split": split, "path": f"cwe/{split}.parquet"} for split in ("train", "validation")
    ]
    rows = [row for split in ("train", "validation") for row in corpus_rows(run, split)]
    scripting = sum(row["cwe"] == "CWE-79" for row in rows)
    assert f"| CWE-79 | {scripting} |" in body
    assert f"{len({row['cwe'] for row in rows})} classes" in body
    assert "Invented records" in body
    for name in ("dropped.jsonl", "certificate.json"):
        assert f"`provenance/corpus/{name}`" in body
        original = run / "corpus" / name
        copied = tmp_path / "out" / "provenance" / "corpus" / name
        assert copied.read_bytes() == original.read_bytes()


def test_the_manifest_holds_the_checksum_of_every_file(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(run, out)
    checksums = read_json(out / "manifest.json")["outputs"]
    files = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    assert files == {*checksums, "manifest.json"}
    assert all(sha256_file(out / name) == sha256 for name, sha256 in checksums.items())


def test_the_same_corpus_gives_the_same_bytes_and_is_not_written_again(
    run: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        export(run, tmp_path / name)
    written = [read_json(tmp_path / name / "manifest.json") for name in ("one", "two")]
    assert written[0] == written[1]
    before = (tmp_path / "one" / "README.md").stat().st_mtime_ns
    assert export(run, tmp_path / "one") == export(run, tmp_path / "two")
    assert (tmp_path / "one" / "README.md").stat().st_mtime_ns == before


def test_a_corpus_that_changed_since_is_refused(with_questions: Path, tmp_path: Path) -> None:
    train = with_questions / "corpus" / "train.jsonl"
    train.write_text(train.read_text() + "\n")
    with pytest.raises(StageError, match=r"train\.jsonl: missing or changed since its manifest"):
        export(with_questions, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unfinished_stage_is_refused_and_named(with_questions: Path, tmp_path: Path) -> None:
    (with_questions / "synthesis" / "manifest.json").unlink()
    with pytest.raises(StageError, match="synthesis: this stage is not finished"):
        export(with_questions, tmp_path / "out")
    shutil.rmtree(with_questions / "corpus")
    with pytest.raises(StageError, match="run it first: cybersecqwen corpus smoke"):
        export(with_questions, tmp_path / "out")
    with pytest.raises(InputError, match="is not a run folder"):
        export(tmp_path, tmp_path / "out")


def test_a_folder_that_holds_something_else_is_left_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StageError, match="holds files of no stage"):
        export(run, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    export(run, tmp_path / "out")
    with pytest.raises(StageError, match="format was prompt-completion, is messages"):
        export(run, tmp_path / "out", form="messages")


def test_a_pair_without_an_answer_is_named(with_questions: Path, tmp_path: Path) -> None:
    shutil.rmtree(with_questions / "synthesis")
    make_stage(
        with_questions / "synthesis",
        {},
        lambda out: write_jsonl(out / "train.jsonl", [{"prompt": "Why?"}]),
    )
    with pytest.raises(InputError, match=r"train\.jsonl:1: no text under 'completion'"):
        export(with_questions, tmp_path / "out")


def test_without_the_extra_for_parquet_it_is_one_line(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CyberSecQwenError, match=r"pip install 'cybersecqwen\[parquet\]'"):
        export(run, tmp_path / "out")
