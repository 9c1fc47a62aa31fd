"""The stages of a recipe, each with what it is made from; `pipeline.STAGES` is their order.

records ─corpus─▶ examples ─synthesis, distill─▶ ─train─▶ adapter ─merge─▶ model ─evaluate─▶ card
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cybersecqwen.errors import InputError, StageError
from cybersecqwen.files import Json, read_jsonl, write_json, write_text
from cybersecqwen.manifest import MANIFEST, outputs_of
from cybersecqwen.pipeline.inputs import (
    BENCHMARK,
    CWE_CATALOGUE,
    KNOWLEDGE,
    RECORDS,
    SYNTHESIS_TEMPLATES,
    TEACHER,
    benchmark_folder,
    default_benchmark,
)
from cybersecqwen.pipeline.stage import Outputs, Run, Stage, refuse_stale

if TYPE_CHECKING:
    from cybersecqwen.benchmark.protocol import Protocol
    from cybersecqwen.engines import Model
    from cybersecqwen.training.sft import TrainingFiles

_log = logging.getLogger(__name__)

HEADLINE_TASKS = ("cti-rcm", "cti-mcq")  # what a model is evaluated on where no task is named
_PARITY_PROMPTS = 16  # that nothing was trained on, as many of each file
_TRAIN, _VALIDATION = "train.jsonl", "validation.jsonl"


def _build_corpus(run: Run, folder: Path, checksums: Json) -> None:
    """Choose the cohort, decontaminate it and write the examples with their certificate."""
    from cybersecqwen.corpus.build import CorpusInputs, build

    benchmark = BENCHMARK.read(run)
    missing = [task for task in run.recipe.evaluation.tasks if task not in benchmark]
    if missing:  # said now, not after hours of training
        raise InputError(
            f"holds no {missing[0]}.tsv",
            where=benchmark_folder(run),
            tip="the recipe is evaluated on it: add the file, or --set evaluation.tasks",
        )
    build(
        run.recipe,
        CorpusInputs(RECORDS.read(run), benchmark, CWE_CATALOGUE.read(run), checksums),
        folder,
        cluster=run.cluster,
    )


CORPUS = Stage(
    "corpus",
    "corpus",
    _build_corpus,
    config=("corpus", "contamination"),
    inputs=(RECORDS, BENCHMARK, CWE_CATALOGUE),
)
EXAMPLES = Outputs(CORPUS, (_TRAIN, _VALIDATION))


def _synthesize(run: Run, folder: Path, checksums: Json) -> None:
    """Make question-and-answer pairs beside the corpus, from facts or by a teacher."""
    from cybersecqwen.contamination import normalised
    from cybersecqwen.synthesis.build import SynthesisInputs, build

    corpus = EXAMPLES.read(run)
    held_out = (row["description"] for row in read_jsonl(corpus / _VALIDATION))
    sources = SynthesisInputs(
        RECORDS.read(run),
        BENCHMARK.read(run),
        CWE_CATALOGUE.read(run),
        KNOWLEDGE.read(run),
        checksums,
        trained_on=tuple(row["description"] for row in read_jsonl(corpus / _TRAIN)),
        held_out=frozenset(map(normalised, held_out)),
    )
    build(run.recipe, sources, folder, teacher=TEACHER.read(run), cluster=run.cluster)


SYNTHESIS = Stage(
    "synthesis",
    "synthesis",
    _synthesize,
    config=("synthesis", "corpus", "contamination", "training.max_length"),
    inputs=(
        *(RECORDS, BENCHMARK, CWE_CATALOGUE, KNOWLEDGE),
        *(SYNTHESIS_TEMPLATES, EXAMPLES, TEACHER),
    ),
    table="synthesis",
    table_tip="--set synthesis.pairs=8000",
)
PAIRS = Outputs(SYNTHESIS, (_TRAIN, _VALIDATION))


def _distill(run: Run, folder: Path, _checksums: Json) -> None:
    """Let the recipe's teacher answer the corpus, and keep what ends in the gold label."""
    from cybersecqwen.training.distill import DistillationData, distill

    train = EXAMPLES.read(run) / _TRAIN
    distill(run.recipe, DistillationData(train, base_model(run), BENCHMARK.read(run)), folder)


DISTILL = Stage(
    "distill",
    "distillation",
    _distill,
    config=(
        "distillation",
        "contamination",
        *("model.base", "model.revision", "model.chat_template", "model.random"),  # the tokenizer's
        "training.max_length",
    ),
    inputs=(EXAMPLES, BENCHMARK),
    table="distillation",
    table_tip="--set distillation.teacher=NAME --set distillation.url=URL",
    without_effect=("concurrency", "prompt_price", "completion_price"),
)
ANSWERS = Outputs(DISTILL, (_TRAIN,))


def _train(run: Run, folder: Path, _checksums: Json) -> None:
    """Fine-tune the adapter, in this process or many; goes on from the last checkpoint."""
    from cybersecqwen.training.launch import start, worker
    from cybersecqwen.training.sft import train

    base = base_model(run)  # made once for all the processes of a node
    if run.launch is not None:
        start(run.launch, run.out / "recipe.toml", run.out)
        return
    with worker():
        train(run.recipe, training_files(run), folder, base=base)


TRAIN = Stage(
    "train",
    "adapter",
    _train,
    config=("model", "adapter", "training"),
    inputs=(EXAMPLES, ANSWERS, PAIRS),
    distributed=True,
    scratch=".checkpoints",  # many times the adapter
)
ADAPTER = Outputs(TRAIN, ("adapter_model.safetensors",))


def _merge(run: Run, folder: Path, _checksums: Json) -> None:
    """Fold the adapter into the base model and prove that both answer alike."""
    from cybersecqwen.training.merge import merge

    TRAIN.checksums(run)  # the prompts come from what the adapter was made from, still unchanged
    files = training_files(run).validation
    each = _PARITY_PROMPTS // len(files)
    prompts = [row["prompt"] for path in files for row in islice(read_jsonl(path), each)]
    merge(run.recipe, ADAPTER.read(run), prompts, folder, base=base_model(run))


MERGE = Stage("merge", "merged", _merge, config=("model",), inputs=(ADAPTER,))
MODEL = Outputs(MERGE)


def evaluate_recipe(
    run: Run, *, tasks: tuple[str, ...] = (), protocol: Protocol | None = None
) -> None:
    """Evaluate the merged model on the recipe's tasks, or others, under its protocol or another."""
    from cybersecqwen.benchmark.protocol import find_protocol
    from cybersecqwen.benchmark.run import evaluate
    from cybersecqwen.engines import open_model

    MODEL.checksums(run)  # refuses one that is not merged yet, or was changed since
    settings, kind = run.recipe.evaluation, run.recipe.model.kind
    model = open_model(MODEL.read(run), kind=kind, batch_size=settings.batch_size)
    protocol = protocol or find_protocol(settings.protocol)
    for task in tasks or settings.tasks:
        evaluate(model, task, protocol, benchmark=benchmark_folder(run), out=run.out)


def evaluate_model(
    model: Model,
    protocol: Protocol,
    *,
    tasks: tuple[str, ...] = (),
    benchmark: Path | None = None,
    out: Path | None = None,
    try_server: bool = True,
) -> Path:
    """Evaluate any model into a run folder of its own, `runs/<its name>`; returns the folder.

    Raises StageError when that is a recipe's, unless the model is the one merged there.
    """
    from cybersecqwen.benchmark.run import evaluate

    folder = out or Path("runs") / model.name
    merged = folder / MERGE.folder
    own = outputs_of(merged) if (merged / "manifest.json").is_file() else {}
    if (folder / "recipe.toml").is_file() and model.identity.get("files") != own:
        raise StageError(
            "is the run of a recipe, and this is not its merged model",
            where=folder,
            tip="choose another --out",
        )
    items = benchmark or default_benchmark()
    for task in tasks or HEADLINE_TASKS:
        evaluate(model, task, protocol, benchmark=items, out=folder, try_server=try_server)
    return folder


EVALUATE = Stage(
    "evaluate",
    "evaluation",
    lambda run, _folder, _checksums: evaluate_recipe(run),
    inputs=(MODEL, BENCHMARK),
    manifest=False,  # each task under each protocol has one of its own
)


def _write_card(run: Run, report: Path, _checksums: Json) -> None:
    """Write the model card, the loss plot and comparison.json from what the run folder holds.

    The card is also the README.md of the merged folder and of each export. Raises StageError when a
    stage was made from another one than now lies beside it.
    """
    from cybersecqwen.reports.embedded_scores import embedded_rows
    from cybersecqwen.reports.published import BASELINES, PUBLISHED
    from cybersecqwen.reports.results import rows
    from cybersecqwen.reports.run_folder import load_evidence

    for stage in (SYNTHESIS, DISTILL, TRAIN, MERGE):
        refuse_stale(stage, run)
    write_card_to(run, report / "MODEL_CARD.md")
    for folder in (MODEL.read(run), *finished_exports(run)):
        if folder.is_dir():
            write_card_to(run, folder / "README.md")
    published = [asdict(row) for row in (*embedded_rows(), *PUBLISHED, *BASELINES)]
    own = rows(load_evidence(run.out).results)
    write_json(report / "comparison.json", {"results": own, "published": published})


def finished_exports(run: Run) -> list[Path]:
    """List the folders of the exports that are finished, in the order of their formats."""
    from cybersecqwen.training.export import FORMATS

    folders = (run.out / "exports" / form for form in FORMATS)
    return [folder for folder in folders if (folder / MANIFEST).is_file()]


def write_card_to(run: Run, path: Path) -> None:
    """Write the model card to a file, with the loss plot that it shows beside it."""
    from cybersecqwen.reports.model_card import render
    from cybersecqwen.reports.svg import loss_plot

    log = ADAPTER.read(run) / "training_log.jsonl"
    if log.is_file():
        loss_plot(log, path.parent / "plots" / "loss.svg")
    write_text(path, render(run.out))
    _log.info("%s: written", path)


CARD = Stage("card", "report", _write_card, manifest=False)  # always written anew


def base_model(run: Run) -> str:
    """Return what the base model loads from, made in the run's folder where it is a random one."""
    from cybersecqwen.training.random_base import prepare_base

    return prepare_base(run.recipe, EXAMPLES.read(run) / _TRAIN, run.out / "base")


def training_files(run: Run) -> TrainingFiles:
    """List the files that a run learns from and is validated on.

    A distillation stands in the corpus's place, and a synthesis beside it.
    """
    from cybersecqwen.training.sft import TrainingFiles

    corpus, pairs = EXAMPLES.read(run), PAIRS.read(run)
    learned = ANSWERS.read(run) if DISTILL.wanted(run.recipe) else corpus
    train, validation = [learned / _TRAIN], [corpus / _VALIDATION]
    if SYNTHESIS.wanted(run.recipe):
        train.append(pairs / _TRAIN)
        validation += [pairs / _VALIDATION] if (pairs / _VALIDATION).stat().st_size else []
    return TrainingFiles(tuple(train), tuple(validation))
