r"""The benchmark tasks for Inspect (inspect_ai 0.3.285), found by it as an entry point.

    inspect eval cybersecqwen/cti_rcm -T benchmark=cti-bench -T protocol=model-card \
      --model openai-api/local/NAME --model-base-url http://localhost:8000/v1

Dataset, sampling, seeds and scores are those of the protocol; a trial is an epoch. Base models
are not covered: their exemplars change with the trial, and an epoch asks the same again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cybersecqwen.benchmark.interop.samples import Ratio, Trial, score_response, trial_samples
from cybersecqwen.benchmark.protocol import Protocol, find_protocol
from cybersecqwen.benchmark.statistics import mean
from cybersecqwen.benchmark.tasks import TASKS
from cybersecqwen.errors import extra
from cybersecqwen.files import Json

with extra("harnesses"):
    from inspect_ai import Task, task
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser, GenerateConfig
    from inspect_ai.scorer import (
        CORRECT,
        INCORRECT,
        NOANSWER,
        Metric,
        SampleScore,
        Score,
        Scorer,
        Target,
        metric,
        scorer,
    )
    from inspect_ai.solver import Generate, Solver, TaskState, solver

_NOT_METADATA = ("prompt", "system", "trial")  # the input; and an epoch is a trial


def name_of(name: str) -> str:
    """Return the name of a task in Inspect.

    >>> name_of("cti-rcm")
    'cti_rcm'
    """
    return name.replace("-", "_")


def inspect_task(name: str, benchmark: Path, protocol: Protocol) -> Task:
    """Make the Inspect task of a benchmark task under a protocol."""
    rows = trial_samples(Trial(protocol, benchmark), name)
    return Task(
        dataset=MemoryDataset([sample(row) for row in rows], name=name),
        solver=ask_with_seed(protocol.seeds[0]),
        scorer=protocol_score(str(benchmark.resolve())),
        config=sampling(protocol),
        epochs=len(protocol.seeds),
        version=protocol.version,
        metadata={"protocol": protocol.name, "modified": list(protocol.modified)},
    )


def register_tasks() -> None:
    """Make every task known to Inspect, with the arguments that `-T` takes."""
    for name in TASKS:
        _register(name)


def _register(name: str) -> None:
    def make(benchmark: str, protocol: str = "model-card", trials: int | None = None) -> Task:
        return inspect_task(name, Path(benchmark), find_protocol(protocol, trials=trials))

    task(name=name_of(name))(make)


def sample(row: Json) -> Sample:
    """Return a row as a sample, with all that judging its answer needs as metadata."""
    rest = {name: value for name, value in row.items() if name not in _NOT_METADATA}
    return Sample(id=row["index"], input=messages(row), target=row["gold"], metadata=rest)


def messages(row: Json) -> list[ChatMessage]:
    """Return the messages that a chat model is asked with."""
    system = [ChatMessageSystem(content=row["system"])] if row["system"] else []
    return [*system, ChatMessageUser(content=row["prompt"])]


def sampling(protocol: Protocol) -> GenerateConfig:
    """Return a protocol's sampling, but for the seed, which belongs to the trial."""
    return GenerateConfig(
        temperature=protocol.temperature,
        top_p=protocol.top_p,
        max_tokens=protocol.max_tokens,
        max_connections=protocol.concurrency,
    )


@solver
def ask_with_seed(first: int) -> Solver:
    """Ask once, with the seed of the epoch: the first epoch's is `first`."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        return await generate(state, seed=first + state.epoch - 1)

    return solve


@metric(scores="unreduced")
def per_trial() -> Metric:
    """Average each metric of the protocol over the trials, each a ratio of sums over its items."""

    def measure(scores: list[SampleScore]) -> Mapping[str, float | None]:
        answers = [score.score.metadata for score in scores if score.score.metadata]
        names = answers[0]["ratios"] if answers else ()
        return {name: _mean(name, answers) for name in names}

    return measure


def _mean(name: str, answers: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the mean over trials; None where nothing was measured in any."""
    trials: dict[int, list[Ratio]] = {}
    for answer in answers:
        trials.setdefault(answer["trial"], []).append(answer["ratios"][name])
    sums = ([math.fsum(column) for column in zip(*rows, strict=True)] for rows in trials.values())
    values = [above / below for above, below in sums if below]
    return mean(values) if values else None


@scorer(metrics=[per_trial()])
def protocol_score(benchmark: str) -> Scorer:
    """Read and mark an answer as the protocol does; `benchmark` holds the judging files."""

    async def judge(state: TaskState, target: Target) -> Score:
        row = {**state.metadata, "prompt": state.input_text}
        return score_of(row, state.output.completion, Path(benchmark), trial=state.epoch - 1)

    return judge


def score_of(row: Json, text: str, folder: Path, *, trial: int) -> Score:
    """Score one answer: correct, incorrect or none, and what it adds to each metric."""
    prediction, ratios = score_response(row, text, folder)
    correct = INCORRECT if not ratios["strict_accuracy"][0] else CORRECT
    return Score(
        value=correct if prediction is not None else NOANSWER,
        answer=prediction,
        reason=None if prediction is not None else "invalid_response_format",
        metadata={"trial": trial, "ratios": {name: list(sums) for name, sums in ratios.items()}},
    )


register_tasks()
