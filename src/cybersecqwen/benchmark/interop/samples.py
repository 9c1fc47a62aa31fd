"""One trial of a protocol as plain rows, which any harness can ask, and the scores of an answer.

    rows = trial_samples(Trial(PROTOCOLS["model-card"], folder), "cti-rcm")
    rows[0]["prompt"], rows[0]["gold"]
    _, scores = score_response(rows[0], "CWE-79", folder)

A row holds all that judging its answer needs, beside the judging files of a task. Extractors and
marks are those of the evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cybersecqwen.benchmark.protocol import Protocol, find_protocol
from cybersecqwen.benchmark.score import mark, metrics
from cybersecqwen.benchmark.tasks import open_task, read_items
from cybersecqwen.benchmark.tasks.task import Marks, Metric, Task
from cybersecqwen.benchmark.trial import trial_items, trial_requests
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.records import Item

Ratio = tuple[float, float]  # what one answer adds to a metric's numerator and denominator


@dataclass(frozen=True)
class Trial:
    """One trial of a protocol over the items of a benchmark folder."""

    protocol: Protocol
    benchmark: Path
    kind: str = "instruct"
    number: int = 0

    @property
    def seed(self) -> int:
        """The seed of its requests."""
        return self.protocol.seeds[self.number]


def trial_samples(trial: Trial, task: str) -> list[Json]:
    """Return the rows of a trial in the order in which they are asked.

    `prompt` is the user message of an instruct model, or the raw text that a base model
    completes, and `system` the message before it, "" for none.
    """
    protocol, items = trial.protocol, read_items(trial.benchmark, task)
    open_task(task, trial.benchmark)  # refuses a folder by which no answer can be judged
    asked = trial_items(protocol, items, kind=trial.kind, trial=trial.number)
    written = trial_requests(protocol, items, kind=trial.kind, trial=trial.number)
    return [
        {
            "task": task,
            "index": item.index,
            "protocol": protocol.name,
            "protocol_version": protocol.version,
            "trial": trial.number,
            "system": "" if isinstance(request.prompt, str) else protocol.system,
            "prompt": request.prompt if isinstance(request.prompt, str) else request.prompt[-1][1],
            "gold": item.gold,
            "url": item.url,
            "text": item.text,
            "options": list(item.options),
        }
        for item, request in zip(asked, written, strict=True)
    ]


def score_response(row: Json, text: str, folder: Path) -> tuple[str | None, dict[str, Ratio]]:
    """Return the prediction in an answer, None for none, and what it adds to each metric.

    `folder` holds the judging files of the task. Raises InputError where the protocol is
    of another version than the row's.
    """
    task, protocol = _opened(row["task"], folder), find_protocol(row["protocol"])
    if protocol.version != row["protocol_version"]:
        raise InputError(
            f"written under {protocol.name} {row['protocol_version']}, this is "
            f"{protocol.name} {protocol.version}",
            where=f"{row['task']}, item {row['index']}",
            tip="export again",
        )
    prediction, marks = mark(task, protocol, _item(row), text)
    return prediction, {
        name: (_weigh(metric.numerator, marks), _weigh(metric.denominator, marks))
        for name, metric in metrics(task, protocol).items()
    }


def is_mean(metric: Metric) -> bool:
    """Tell whether a metric is a plain mean over all answers."""
    return dict(metric.denominator) == {"asked": 1.0}


def _weigh(weights: Marks, marks: Marks) -> float:
    return sum(weight * marks.get(name, 0.0) for name, weight in weights.items())


@lru_cache
def _opened(task: str, folder: Path) -> Task:
    return open_task(task, folder)


def _item(row: Json) -> Item:
    names = ("task", "index", "prompt", "gold", "url", "text")
    return Item(**{name: row[name] for name in names}, options=tuple(row["options"]))
