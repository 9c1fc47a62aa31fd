"""A corpus of two dozen short examples, and models small enough to train in seconds."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cybersecqwen.config import Recipe, load_recipe
from cybersecqwen.prompts import rcm_prompt
from cybersecqwen.training.merge import merge
from cybersecqwen.training.random_base import prepare_base
from cybersecqwen.training.sft import TrainingFiles, train

KINDS = [
    ("CWE-79", "a script in the {} field runs in the browser of another user"),
    ("CWE-89", "the parameter {} reaches an SQL query without escaping"),
    ("CWE-787", "a long {} header makes the parser write past its buffer"),
]
PLACES = ["name", "title", "search", "login", "upload", "comment", "report", "profile"]

TINY = (
    "model.random.vocab_size=420",
    "model.random.hidden_size=32",
    "model.random.intermediate_size=64",
    "model.random.layers=2",
    "model.random.heads=2",
    "model.random.kv_heads=1",
    "model.random.head_dim=16",
    "adapter.r=4",
    "adapter.modules_to_save=['embed_tokens']",
    "training.learning_rate=1e-2",
    "training.per_device_batch_size=4",
    "training.epochs=10",
    "training.max_length=512",
    "training.packing=false",
    "training.checkpoint_steps=8",
    "training.log_steps=4",
)
GEMMA = (
    "adapter.modules_to_save=[]",
    'model.chat_template="gemma4"',
    'model.random.architecture="gemma4"',
    "training.epochs=0.34",
)


def row(place: str, cwe: str, text: str) -> dict[str, str]:
    description = text.format(place) + "."
    return {
        "cve_id": "CVE-2021-0001",
        "prompt": rcm_prompt(description),
        "completion": f"The {place} shows it\n\n{cwe}",
        "cwe": cwe,
    }


def write_rows(path: Path, rows: list[dict[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    return path


def tiny(*overrides: str) -> Recipe:
    return load_recipe("smoke", overrides=(*TINY, *overrides))


def gemma(*overrides: str) -> Recipe:
    pattern = load_recipe("gemma4defense-2b").adapter.target_modules
    return tiny(*GEMMA, f"adapter.target_modules='{pattern}'", *overrides)


@pytest.fixture(scope="session")
def rows() -> list[dict[str, str]]:
    return [row(place, cwe, text) for place in PLACES for cwe, text in KINDS]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]]) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_rows(folder / "train.jsonl", rows)
    write_rows(folder / "validation.jsonl", [row("chat", cwe, text) for cwe, text in KINDS])
    return folder


def files_of(corpus: Path) -> TrainingFiles:
    """List the files of a corpus; it may lack the held-out one."""
    held_out = corpus / "validation.jsonl"
    return TrainingFiles((corpus / "train.jsonl",), (held_out,) if held_out.is_file() else ())


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """Give a run folder with a base and an adapter trained without interruption."""
    folder = tmp_path_factory.mktemp("run")
    base = prepare_base(tiny(), corpus / "train.jsonl", folder / "base")
    train(tiny(), files_of(corpus), folder / "adapter", base=base)
    return folder


@pytest.fixture(scope="session")
def gemma_run(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """Give the same for two steps of a Gemma 4 in its released, multimodal layout."""
    folder = tmp_path_factory.mktemp("gemma")
    base = prepare_base(gemma(), corpus / "train.jsonl", folder / "base")
    train(gemma(), files_of(corpus), folder / "adapter", base=base)
    return folder


@pytest.fixture(scope="session")
def merged(run: Path, rows: list[dict[str, str]]) -> Path:
    prompts = [each["prompt"] for each in rows[:4]]
    merge(tiny(), run / "adapter", prompts, run / "merged", base=run / "base")
    return run / "merged"


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """Let no file of this process grow beyond `room` bytes, as a disk without space would."""
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
