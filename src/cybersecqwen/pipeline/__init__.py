"""The stages in order, each from files to files; what a manifest proves done is skipped.

    run = open_run("smoke", Path("runs/smoke"))
    for stage in STAGES.values():
        stage(run)

A stage whose folder was made from other settings or inputs refuses and names what
changed; a killed one goes on where it stopped.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from cybersecqwen.benchmark.protocol import Protocol, find_protocol
from cybersecqwen.benchmark.run import benchmark_facts
from cybersecqwen.benchmark.run import evaluate as evaluate_task
from cybersecqwen.benchmark.subject import Subject, local
from cybersecqwen.benchmark.tasks import find_task
from cybersecqwen.config import Recipe, dump_recipe, load_recipe
from cybersecqwen.contamination import normalised
from cybersecqwen.corpus.build import Inputs, build
from cybersecqwen.embedded.artifacts import FOLDER, load_catalogue
from cybersecqwen.errors import InputError, StageError
from cybersecqwen.files import Json, read_jsonl, sha256_tree, write_json, write_text
from cybersecqwen.manifest import (
    finished,
    made_from_of,
    make_stage,
    outputs_of,
    refuse_changes,
    take_over,
)
from cybersecqwen.pipeline.inputs import (
    Asking,
    default_benchmark,
    knowledge,
    knowledge_read,
    read_records,
    recipe_benchmark,
    recipe_records,
    records_read,
)
from cybersecqwen.reports.embedded_scores import shipped
from cybersecqwen.reports.model_card import render
from cybersecqwen.reports.published import BASELINES, PUBLISHED
from cybersecqwen.reports.results import rows
from cybersecqwen.reports.run_folder import load_evidence
from cybersecqwen.reports.svg import loss_plot
from cybersecqwen.sources import read_vulnerabilities
from cybersecqwen.sources.ctibench import read_benchmark
from cybersecqwen.training.sft import TrainingFiles

if TYPE_CHECKING:
    pass

_log = logging.getLogger(__name__)

HEADLINE = ("cti-rcm", "cti-mcq")  # what a model is evaluated on where no task is named
_PARITY_PROMPTS = 16
_HELD_OUT = "validation.jsonl"
_LEARNED = {"synthesis": ("train.jsonl", _HELD_OUT), "distillation": ("train.jsonl",)}
_NO_TASK = "the recipe is evaluated on it: add the file, or --set evaluation.tasks"


_FACTS_ALONE = Asking()


@dataclass(frozen=True)
class Run:
    """A recipe, the folder its stages write to, and the inputs they read.

    `alike` are folders of other runs: a stage that one of them has made from the same is taken.
    """

    recipe: Recipe
    out: Path
    given_records: tuple[Path, ...] = ()
    given_benchmark: Path | None = None
    asking: Asking = _FACTS_ALONE
    alike: tuple[Path, ...] = ()

    @property
    def records(self) -> tuple[Path, ...]:
        """The files of records: those given, or what the recipe says; asked for by one stage."""
        return self.given_records or recipe_records(self.recipe)

    @property
    def benchmark(self) -> Path:
        """The benchmark's folder: the one given, or what the recipe says."""
        return self.given_benchmark or recipe_benchmark(self.recipe)


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
    find_protocol(loaded.evaluation.protocol)
    for task in loaded.evaluation.tasks:
        find_task(task)
    folder = out or Path("runs") / loaded.name
    run = Run(loaded, folder, records, benchmark)
    _refuse_other_settings(run)
    write_text(folder / "recipe.toml", dump_recipe(loaded))
    return run


def corpus(run: Run) -> None:
    """Choose the cohort, decontaminate it and write the corpus with its certificate."""
    checksums = {
        "records": records_read(run.records),
        "benchmark": benchmark_facts(run.benchmark)["sha256"],
        "cwe": sha256_tree(FOLDER / "cwe.json"),
    }

    def make(folder: Path) -> None:
        records = chain.from_iterable(map(read_records, run.records))
        benchmark = read_benchmark(run.benchmark)
        missing = [task for task in run.recipe.evaluation.tasks if task not in benchmark]
        if missing:  # said now, not after hours of training
            raise InputError(f"holds no {missing[0]}.tsv", where=run.benchmark, tip=_NO_TASK)
        build(run.recipe, Inputs(records, benchmark, load_catalogue(), checksums), folder)

    _stage(run, "corpus", checksums, make)


def synthesis(run: Run) -> None:
    """Make question-and-answer pairs beside the corpus, where the recipe asks for some."""
    if run.recipe.synthesis is None:
        return
    from cybersecqwen.synthesis.build import SynthesisInputs
    from cybersecqwen.synthesis.build import build as make_pairs

    source, teacher = _finished(run, "corpus", "corpus"), run.asking.teacher
    checksums = {
        "records": records_read(run.records),
        "benchmark": benchmark_facts(run.benchmark)["sha256"],
        "cwe": sha256_tree(FOLDER / "cwe.json"),
        "knowledge": knowledge_read(run.asking.feeds),
        **_made_from_corpus(run.out),
        **({"teacher": teacher.identity} if teacher else {}),
    }

    def make(folder: Path) -> None:
        held_out = (row["description"] for row in read_jsonl(source / "validation.jsonl"))
        sources = SynthesisInputs(
            chain.from_iterable(map(read_vulnerabilities, run.records)),
            read_benchmark(run.benchmark),
            load_catalogue(),
            knowledge(run.asking.feeds),
            checksums,
            taken=tuple(row["description"] for row in read_jsonl(source / "train.jsonl")),
            held_out=frozenset(map(normalised, held_out)),
        )
        make_pairs(run.recipe, sources, folder, teacher=teacher)

    _stage(run, "synthesis", checksums, make)


def distill(run: Run) -> None:
    """Let the recipe's teacher answer the corpus; nothing to do where the recipe names none."""
    if run.recipe.distillation is None:
        return
    from cybersecqwen.training.base import prepare_base
    from cybersecqwen.training.distill import DistillationData
    from cybersecqwen.training.distill import distill as ask_teacher

    train = _finished(run, "corpus", "corpus") / "train.jsonl"
    inputs = _made_from_corpus(run.out) | {"benchmark": benchmark_facts(run.benchmark)["sha256"]}

    def make(folder: Path) -> None:
        base = prepare_base(run.recipe, train, run.out / "base")
        ask_teacher(
            run.recipe, DistillationData(train, base, read_benchmark(run.benchmark)), folder
        )

    _stage(run, "distillation", inputs, make)


def train(run: Run) -> None:
    """Fine-tune the adapter on the corpus; goes on from the last checkpoint after a kill."""
    from cybersecqwen.training.base import prepare_base
    from cybersecqwen.training.sft import train as fine_tune

    source, data = _finished(run, "corpus", "corpus"), _data(run)

    def make(folder: Path) -> None:
        base = prepare_base(run.recipe, source / "train.jsonl", run.out / "base")
        fine_tune(run.recipe, data, folder, base=base)

    if os.environ.get("RANK", "0") != "0":  # of torchrun: the first process keeps the books
        if not (run.out / "adapter" / "manifest.json").is_file():
            make(run.out / "adapter")
        return
    _stage(run, "adapter", _made_from_data(run.out), make)
    # What a resume needed, and many times the adapter.
    shutil.rmtree(run.out / "adapter" / ".checkpoints", ignore_errors=True)


def merge(run: Run) -> None:
    """Fold the adapter into the base model and prove that both answer alike."""
    from cybersecqwen.training.base import prepare_base
    from cybersecqwen.training.merge import merge as fold

    adapter, source = _finished(run, "adapter", "train"), _finished(run, "corpus", "corpus")

    def make(folder: Path) -> None:
        base = prepare_base(run.recipe, source / "train.jsonl", run.out / "base")
        fold(run.recipe, adapter, _parity_prompts(_data(run).validation), folder, base=base)

    _stage(run, "merged", _made_from_adapter(run.out), make)


def evaluate(run: Run, *, tasks: tuple[str, ...] = (), protocol: Protocol | None = None) -> None:
    """Put the recipe's tasks, or others, to the merged model under the recipe's protocol."""
    merged = _finished(run, "merged", "merge")
    evaluation = run.recipe.evaluation
    subject = local(
        merged,
        kind=run.recipe.model.kind,
        batch_size=evaluation.batch_size,
        outputs=outputs_of(merged),
    )
    found = protocol or find_protocol(evaluation.protocol)
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
    """Evaluate any model into a run folder of its own, `runs/<its name>`; returns the folder.

    Raises StageError when that is a recipe's, unless the model is the one merged there.
    """
    folder = out or Path("runs") / subject.name
    merged = folder / "merged"
    known = outputs_of(merged) if (merged / "manifest.json").is_file() else {}
    if (folder / "recipe.toml").is_file() and subject.identity.get("files") != known:
        raise StageError(
            "is the run of a recipe, and this is not its merged model",
            where=folder,
            tip="choose another --out",
        )
    for task in tasks or HEADLINE:
        evaluate_task(
            subject, task, protocol, benchmark=benchmark or default_benchmark(), out=folder
        )
    return folder


def card(run: Run) -> None:
    """Write the model card, the loss plot and comparison.json from what the run folder holds.

    The card is also the README.md of the merged folder. Raises StageError when a stage was
    made from another one than now lies beside it.
    """
    _refuse_stale(run)
    report, merged = run.out / "report", run.out / "merged"
    log = run.out / "adapter" / "training_log.jsonl"
    folders = [report, merged] if merged.is_dir() else [report]
    for folder in folders if log.is_file() else []:
        loss_plot(log, folder / "plots" / "loss.svg")
    text = render(run.out)
    for path in (report / "MODEL_CARD.md", merged / "README.md")[: len(folders)]:
        write_text(path, text)
        _log.info("%s: written", path)
    published = [asdict(row) for row in (*shipped(), *PUBLISHED, *BASELINES)]
    own = rows(load_evidence(run.out).results)
    write_json(report / "comparison.json", {"results": own, "published": published})


STAGES: dict[str, Callable[[Run], None]] = {
    "corpus": corpus,
    "synthesis": synthesis,
    "distill": distill,
    "train": train,
    "merge": merge,
    "evaluate": evaluate,
    "card": card,
}

# Of a distillation, what has no effect on the answers.
_FREE = {"concurrency", "prompt_price", "completion_price"}

_TOKENIZER = {"base", "revision", "chat_template", "random"}

# What each stage's folder is made from, besides its inputs.
_CONFIG: dict[str, Callable[[Recipe], Json]] = {
    "corpus": lambda r: {
        "corpus": r.corpus.model_dump(mode="json"),
        "contamination": r.contamination.model_dump(mode="json"),
    },
    "synthesis": lambda r: {
        "synthesis": r.synthesis and r.synthesis.model_dump(mode="json"),
        "corpus": r.corpus.model_dump(mode="json"),
        "contamination": r.contamination.model_dump(mode="json"),
        "max_length": r.training.max_length,
    },
    "distillation": lambda r: {
        "distillation": r.distillation and r.distillation.model_dump(mode="json", exclude=_FREE),
        "contamination": r.contamination.model_dump(mode="json"),
        "tokenizer": r.model.model_dump(mode="json", include=_TOKENIZER),
        "max_length": r.training.max_length,
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

    def make_or_take(folder: Path) -> None:
        if not any(take_over(other / name, folder, made_from) for other in run.alike):
            make(folder)

    make_stage(run.out / name, made_from, make_or_take)


def _data(run: Run) -> TrainingFiles:
    """List the files that a run learns from and is validated on.

    A distillation stands in the corpus's place, and a synthesis beside it.
    """
    train, validation = [run.out / "corpus" / "train.jsonl"], [run.out / "corpus" / _HELD_OUT]
    if run.recipe.distillation is not None:
        train = [_finished(run, "distillation", "distill") / "train.jsonl"]
    if run.recipe.synthesis is not None:
        pairs = _finished(run, "synthesis", "synthesis")
        train.append(pairs / "train.jsonl")
        validation += [pairs / _HELD_OUT] if (pairs / _HELD_OUT).stat().st_size else []
    return TrainingFiles(tuple(train), tuple(validation))


def _parity_prompts(files: Sequence[Path]) -> list[str]:
    """Take prompts that nothing was trained on, as many of each file."""
    wanted = _PARITY_PROMPTS // len(files)
    return [row["prompt"] for path in files for row in islice(read_jsonl(path), wanted)]


def _made_from_corpus(out: Path) -> Json:
    return {"corpus": outputs_of(out / "corpus", "train.jsonl", _HELD_OUT)}


def _made_from_data(out: Path) -> Json:
    """Give the checksums of all that a run learns from."""
    found = _made_from_corpus(out)
    for name, files in _LEARNED.items():
        if (out / name / "manifest.json").is_file():
            found[name] = outputs_of(out / name, *files)
    return found


def _made_from_adapter(out: Path) -> Json:
    return {"adapter": outputs_of(out / "adapter", "adapter_model.safetensors")}


def _refuse_stale(run: Run) -> None:
    """Refuse to describe a run whose stages are not made from one another."""
    chain = (("corpus", "adapter", _made_from_data), ("adapter", "merged", _made_from_adapter))
    for source, target, inputs in chain:
        made_from = made_from_of(run.out / target)
        if made_from and (run.out / source / "manifest.json").is_file():
            refuse_changes(run.out / target, made_from["inputs"], inputs(run.out))


def _refuse_other_settings(run: Run) -> None:
    """Compare the recipe with all that is made already before anything is touched."""
    for name, config in _CONFIG.items():
        made_from = made_from_of(run.out / name)
        if made_from:
            refuse_changes(run.out / name, made_from["config"], config(run.recipe))


def _finished(run: Run, name: str, stage: str) -> Path:
    command = f"cybersecqwen {stage} {run.recipe.name} --out {run.out}"
    return finished(run.out / name, tip=f"run it first: {command}")
