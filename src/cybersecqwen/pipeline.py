"""The stages in order, each from files to files; what a manifest proves done is skipped.

    run = open_run("smoke", Path("runs/smoke"))
    for stage in STAGES.values():
        stage(run)

A stage whose folder was made from other settings or inputs refuses and names what
changed; a killed one goes on where it stopped.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from cybersecqwen.benchmark.protocol import Protocol, find_protocol
from cybersecqwen.benchmark.run import benchmark_facts
from cybersecqwen.benchmark.run import evaluate as evaluate_task
from cybersecqwen.benchmark.subject import Subject, local
from cybersecqwen.config import Recipe, dump_recipe, load_recipe
from cybersecqwen.corpus.build import Inputs, build
from cybersecqwen.embedded.artifacts import FOLDER, load_catalogue
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, read_jsonl, sha256_tree, write_text
from cybersecqwen.manifest import (
    finished,
    made_from_of,
    make_stage,
    outputs_of,
    refuse_changes,
)
from cybersecqwen.reports.card import render
from cybersecqwen.reports.plots import loss_plot
from cybersecqwen.sample import BENCHMARK, FEED
from cybersecqwen.sources import read_vulnerabilities
from cybersecqwen.sources.ctibench import read_benchmark
from cybersecqwen.sources.fetch import default_cache

_log = logging.getLogger(__name__)

_PARITY_PROMPTS = 16


@dataclass(frozen=True)
class Run:
    """A recipe, the folder its stages write to, and the inputs they read."""

    recipe: Recipe
    out: Path
    given_records: tuple[Path, ...] = ()
    given_benchmark: Path | None = None

    @property
    def records(self) -> tuple[Path, ...]:
        """The files of records: those given, or what the recipe says; asked for by one stage."""
        return self.given_records or _records(self.recipe)

    @property
    def benchmark(self) -> Path:
        """The benchmark's folder: the one given, or what the recipe says."""
        return self.given_benchmark or _benchmark(self.recipe)


def open_run(
    recipe: str,
    out: Path | None,
    *,
    overrides: tuple[str, ...] = (),
    records: tuple[Path, ...] = (),
    benchmark: Path | None = None,
) -> Run:
    """Load a recipe and open its run folder, `runs/<name>` unless `out` says otherwise.

    Raises StageError, naming the keys, when a stage in it was made by other settings.
    """
    loaded = load_recipe(recipe, overrides=overrides)
    folder = out or Path("runs") / loaded.name
    run = Run(loaded, folder, records, benchmark)
    _refuse_other_settings(run)
    write_text(folder / "recipe.toml", dump_recipe(loaded))
    return run


def corpus(run: Run) -> None:
    """Choose the cohort, decontaminate it and write the corpus with its certificate."""
    checksums = {
        "records": _checksums(*run.records),
        "benchmark": benchmark_facts(run.benchmark)["sha256"],
        "cwe": _checksums(FOLDER / "cwe.json"),
    }

    def make(folder: Path) -> None:
        records = chain.from_iterable(read_vulnerabilities(path) for path in run.records)
        benchmark = read_benchmark(run.benchmark)
        build(run.recipe, Inputs(records, benchmark, load_catalogue(), checksums), folder)

    _stage(run, "corpus", checksums, make)


def train(run: Run) -> None:
    """Fine-tune the adapter on the corpus; goes on from the last checkpoint after a kill."""
    from cybersecqwen.tuning.base import prepare_base
    from cybersecqwen.tuning.sft import train as fine_tune

    source = _finished(run, "corpus", "corpus")

    def make(folder: Path) -> None:
        base = prepare_base(run.recipe, source / "train.jsonl", run.out / "base")
        fine_tune(run.recipe, source, folder, base=base)
        shutil.rmtree(folder / "checkpoints")  # what a resume needed, and many times the adapter
        loss_plot(folder / "training_log.jsonl", run.out / "report" / "plots" / "loss.svg")

    _stage(run, "adapter", {"corpus": outputs_of(source, "train.jsonl", "validation.jsonl")}, make)


def merge(run: Run) -> None:
    """Fold the adapter into the base model and prove that both answer alike."""
    from cybersecqwen.tuning.base import prepare_base
    from cybersecqwen.tuning.merge import merge as fold

    adapter, source = _finished(run, "adapter", "train"), _finished(run, "corpus", "corpus")

    def make(folder: Path) -> None:
        base = prepare_base(run.recipe, source / "train.jsonl", run.out / "base")
        rows = read_jsonl(source / "validation.jsonl")
        prompts = [row["prompt"] for row, _ in zip(rows, range(_PARITY_PROMPTS), strict=False)]
        fold(run.recipe, adapter, prompts, folder, base=base)

    _stage(run, "merged", {"adapter": outputs_of(adapter, "adapter_model.safetensors")}, make)


def evaluate(
    run: Run, *, tasks: tuple[str, ...] = (), protocol: str | None = None, trials: int | None = None
) -> None:
    """Put the recipe's tasks, or others, to the merged model under the recipe's protocol."""
    merged = _finished(run, "merged", "merge")
    evaluation = run.recipe.evaluation
    subject = local(
        merged,
        kind=run.recipe.model.kind,
        batch_size=evaluation.batch_size,
        outputs=outputs_of(merged),
    )
    found = find_protocol(protocol or evaluation.protocol, trials=trials)
    for task in tasks or evaluation.tasks:
        evaluate_task(subject, task, found, benchmark=run.benchmark, out=run.out)


def evaluate_model(
    subject: Subject,
    protocol: Protocol,
    *,
    tasks: tuple[str, ...],
    benchmark: Path | None,
    out: Path | None,
) -> Path:
    """Evaluate any model into a run folder of its own, `runs/<its name>`; returns the folder."""
    folder = out or Path("runs") / subject.name
    for task in tasks or tuple(protocol.extractors):
        evaluate_task(
            subject, task, protocol, benchmark=benchmark or default_benchmark(), out=folder
        )
    return folder


def card(run: Run) -> None:
    """Write the model card from what the run folder holds."""
    path = run.out / "report" / "MODEL_CARD.md"
    write_text(path, render(run.out))
    _log.info("%s: written", path)


STAGES: dict[str, Callable[[Run], None]] = {
    "corpus": corpus,
    "train": train,
    "merge": merge,
    "evaluate": evaluate,
    "card": card,
}

# What each stage's folder is made from, besides its inputs.
_CONFIG: dict[str, Callable[[Recipe], Json]] = {
    "corpus": lambda r: {
        "corpus": r.corpus.model_dump(mode="json"),
        "contamination": r.contamination.model_dump(mode="json"),
    },
    "adapter": lambda r: {
        "model": r.model.model_dump(mode="json"),
        "adapter": r.adapter.model_dump(mode="json"),
        "training": r.training.model_dump(mode="json"),
    },
    "merged": lambda r: {"model": r.model.model_dump(mode="json")},
}


def _stage(run: Run, name: str, inputs: Json, make: Callable[[Path], object]) -> None:
    made_from = {"config": _CONFIG[name](run.recipe), "inputs": inputs}
    make_stage(run.out / name, made_from, make)


def _refuse_other_settings(run: Run) -> None:
    """Compare the recipe with all that is made already before anything is touched."""
    for name, config in _CONFIG.items():
        made_from = made_from_of(run.out / name)
        if made_from:
            refuse_changes(run.out / name, made_from["config"], config(run.recipe))


def _finished(run: Run, name: str, stage: str) -> Path:
    command = f"cybersecqwen {stage} {run.recipe.name} --out {run.out}"
    return finished(run.out / name, tip=f"run it first: {command}")


def _records(recipe: Recipe) -> tuple[Path, ...]:
    if recipe.inputs.records == "sample":
        return (FEED,)
    first, last = recipe.corpus.years
    feeds = [default_cache() / "nvd" / f"nvdcve-2.0-{y}.json.gz" for y in range(first, last + 1)]
    missing = [feed for feed in feeds if not feed.is_file()]
    if missing:
        raise InputError(
            "not fetched yet",
            where=missing[0],
            tip="give --records FILE, or fetch it: cybersecqwen fetch nvd --years "
            + (f"{first}-{last}" if last > first else f"{first}"),
        )
    return tuple(feeds)


def _benchmark(recipe: Recipe) -> Path:
    if recipe.inputs.benchmark == "sample":
        return BENCHMARK
    return default_benchmark()


def default_benchmark() -> Path:
    """Give the folder that `cybersecqwen fetch cti-bench` fills; raises InputError without it."""
    folder: Path = default_cache() / "cti-bench"
    if not folder.is_dir():
        raise InputError(
            "CTI-Bench is not fetched yet",
            where=folder,
            tip="give --benchmark DIR, or fetch it: cybersecqwen fetch cti-bench",
        )
    return folder


def _checksums(*paths: Path) -> Json:
    found: Json = {}
    for path in paths:
        if not path.exists():
            raise InputError("no such file or folder", where=path, tip="check the path")
        tree = sha256_tree(path)
        found |= tree if path.is_file() else {f"{path.name}/{n}": s for n, s in tree.items()}
    return found
