"""Run folders as the stages leave them, made by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.artifacts import shipped_recipes

SHA = {name: f"{index:064x}" for index, name in enumerate(("rcm", "mcq", "feed", "train", "other"))}

CERTIFICATE: dict[str, Any] = {
    "tool": {"name": "cybersecqwen", "version": "0.1.0"},
    "inputs": {
        "records": {"nvdcve-2.0-2021.json.gz": SHA["feed"]},
        "benchmark": {"cti-rcm.tsv": SHA["rcm"], "cti-mcq.tsv": SHA["mcq"]},
    },
    "outputs": {"train.jsonl": SHA["train"]},
    "rules": {
        "cve-id": {"description": "the same CVE id"},
        "ngram": {"description": "a share of word n-grams", "n": 13, "containment": 0.5},
    },
    "counts": {
        "records": 20_000,
        "train": 6_640,
        "validation": 136,
        "dropped": {"no-label": 4_321, "contaminated-ngram": 51},
        "contaminated": {"cve-id": {}, "ngram": {"cti-rcm": 51}},
    },
    "benchmark_items": {"cti-rcm": 1_000, "cti-mcq": 2_500},
    "clean": True,
}

SUMMARY = {
    "steps": 1_290,
    "steps_per_epoch": 129,
    "examples": 6_640,
    "trainable_parameters": 132_120_576,
    "total_parameters": 4_154_588_672,
    "packed_sequences": None,
    "final_train_loss": 0.6123,
    "plan": {
        "micro_batch": 2,
        "checkpointing": False,
        "memory": 9,
        "reasons": {"checkpointing": "it fits"},
    },
    "world_size": 2,
    "device": "a test device",
    "versions": {"torch": "2.13.0", "trl": "1.16.0"},
}

PARITY = {
    "prompts": 8,
    "merge": {"max_abs_difference": 1.5e-6, "argmax_agreement": 1.0},
    "cast": {"precision": "bfloat16", "max_abs_difference": 0.012, "argmax_agreement": 0.998},
}


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def scores(task: str, items: int, mean: float, **changes: Any) -> dict[str, Any]:
    correct = round(mean * items)
    row = {
        "task": task,
        "protocol": "model-card",
        "protocol_version": 1,
        "modified": [],
        "kind": "instruct",
        "engine": {"engine": "transformers"},
        "benchmark": {"name": "cti-bench", "sha256": {f"{task}.tsv": SHA[task[4:]]}},
        "items": items,
        "trials": [{"trial": t, "seed": 42 + t, "n": items, "correct": correct} for t in range(5)],
        "strict_accuracy": {"mean": mean, "std": 0.0031},
        "parseable_rate": {"mean": 0.981, "std": 0.001},
    }
    return row | changes


MERGED = {"model.safetensors": "9" * 64}


def write_scores(run: Path, row: dict[str, Any], *, model: dict[str, str] = MERGED) -> None:
    folder = run / "evaluation" / row["task"] / row["protocol"]
    write(folder / "scores.json", row)
    made_from = {"config": {}, "inputs": {"model": {"files": model}}}
    write(folder / "manifest.json", {"made_from": made_from, "outputs": {}})
    merged = {"made_from": {"config": {}, "inputs": {}}, "outputs": MERGED}
    write(run / "merged" / "manifest.json", merged)


MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Give a function that makes a run folder, up to the stage asked for."""

    def make(recipe: str = "cybersecqwen-4b", *, complete: bool = True) -> Path:
        run = tmp_path / recipe
        run.mkdir()
        shutil.copy(shipped_recipes()[recipe], run / "recipe.toml")
        if complete:
            write(run / "corpus" / "certificate.json", CERTIFICATE)
            write(run / "adapter" / "summary.json", SUMMARY)
            write(run / "merged" / "parity.json", PARITY)
            write_scores(run, scores("cti-rcm", 1_000, 0.6512))
            write_scores(run, scores("cti-mcq", 2_500, 0.5934))
        return run

    return make
