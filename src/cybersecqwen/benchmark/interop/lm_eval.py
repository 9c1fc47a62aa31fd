"""Tasks for lm-evaluation-harness 0.4.13: one YAML and one JSONL of documents per task.

    write_tasks(["cti-rcm"], Path("tasks"), trial=Trial(PROTOCOLS["model-card"], folder))

    lm_eval --include_path tasks --tasks cybersecqwen_cti_rcm --apply_chat_template …

The folder can be moved as a whole. Its one module of Python only calls this package, so that the
harness asks the protocol's requests and reads them by the protocol's extractor.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cybersecqwen.benchmark.interop.samples import (
    Ratio,
    Trial,
    is_mean,
    score_response,
    trial_samples,
)
from cybersecqwen.benchmark.protocol import find_protocol
from cybersecqwen.benchmark.score import metrics
from cybersecqwen.benchmark.tasks import find_task
from cybersecqwen.errors import extra
from cybersecqwen.files import Json, read_jsonl, write_bytes, write_jsonl, write_text

if TYPE_CHECKING:
    import datasets

MODULE = "cybersecqwen_tasks"

_SOURCE = '''\
"""Benchmark tasks, asked and scored as cybersecqwen does; written by its `export lm-eval`."""

from pathlib import Path

from cybersecqwen.benchmark.interop.lm_eval import ratio, read_documents, sample_scores

__all__ = ["documents", "process_results", "ratio"]
HERE = Path(__file__).parent


def documents(task, **_):
    return read_documents(HERE / f"{task}.jsonl")


def process_results(doc, results):
    return sample_scores(doc, results[0], HERE)
'''


@dataclass(frozen=True)
class _Function:
    """A function of the module beside a task file, in YAML `!function module.name`."""

    name: str


def name_of(task: str) -> str:
    """Return the name of a task in the harness.

    >>> name_of("cti-rcm")
    'cybersecqwen_cti_rcm'
    """
    return f"cybersecqwen_{task.replace('-', '_')}"


def write_tasks(tasks: Sequence[str], out: Path, *, trial: Trial) -> None:
    """Write the tasks of one trial of a protocol into a folder for `--include_path`."""
    for task in tasks:
        write_jsonl(out / f"{task}.jsonl", trial_samples(trial, task))
        write_text(out / f"{name_of(task)}.yaml", _yaml(config(trial, task)))
        for name in find_task(task).judging_files:
            write_bytes(out / name, (trial.benchmark / name).read_bytes())
    write_text(out / f"{MODULE}.py", _SOURCE)


def config(trial: Trial, task: str) -> Json:
    """Return a task's configuration, in the words of the harness."""
    protocol = trial.protocol
    found: Json = {
        "task": name_of(task),
        "tag": "cybersecqwen",
        "custom_dataset": _Function("documents"),
        "dataset_kwargs": {"task": task},
        "test_split": "test",
        "output_type": "generate_until",
        "num_fewshot": 0,
        "doc_to_text": "prompt",
        "doc_to_target": "gold",
        "process_results": _Function("process_results"),
        "generation_kwargs": generation(trial, task),
        "metric_list": metric_list(trial, task),
        "metadata": {
            "version": float(protocol.version),
            "protocol": protocol.name,
            "modified": list(protocol.modified),
            "trial": trial.number,
        },
    }
    if protocol.system and trial.kind != "base":
        found["description"] = "system"  # the column; the harness makes it the system message
    return found


def generation(trial: Trial, task: str) -> Json:
    """Return the sampling of a trial; its seed is an argument of the model there."""
    protocol = trial.protocol
    stop = protocol.stop_of(find_task(task), trial.kind)
    return {
        "until": list(stop),
        "do_sample": protocol.temperature > 0,
        "temperature": protocol.temperature,
        "top_p": protocol.top_p,
        "max_gen_toks": protocol.max_tokens,
    }


def metric_list(trial: Trial, task: str) -> list[Json]:
    """Return the metrics of a task: plain means, and ratios of sums over all documents."""
    return [
        {
            "metric": name,
            "aggregation": "mean" if is_mean(metric) else _Function("ratio"),
            "higher_is_better": metric.better == "higher",
        }
        for name, metric in metrics(find_task(task), trial.protocol).items()
    ]


def hint(tasks: Sequence[str], out: Path, *, trial: Trial) -> str:
    """Return the command that asks a served model; the harness sends seed 1234 if not told."""
    base = trial.kind == "base"
    model = "local-completions" if base else "local-chat-completions"
    path = "completions" if base else "chat/completions"
    arguments = [
        "model=NAME",
        f"base_url=http://localhost:8000/v1/{path}",
        f"num_concurrent={trial.protocol.concurrency}",
        f"seed={trial.seed}",
        *(["tokenizer_backend=none"] if base else []),
    ]
    words = [
        f"lm_eval --include_path {out} --tasks {','.join(map(name_of, tasks))}",
        f"--model {model} --model_args {','.join(arguments)}",
        *([] if base else ["--apply_chat_template"]),
    ]
    return " \\\n  ".join(words)


def read_documents(path: Path) -> dict[str, datasets.Dataset]:
    """Return the documents of a task in the form that the harness loads."""
    with extra("harnesses"):
        from datasets import Dataset

    return {"test": Dataset.from_list(list(read_jsonl(path)))}


def sample_scores(doc: Json, answer: str, folder: Path) -> dict[str, float | Ratio]:
    """Score one answer for the harness: a number, or what it adds to the two sums of a ratio."""
    _, found = score_response(doc, answer, folder)
    measured = metrics(find_task(doc["task"]), find_protocol(doc["protocol"]))
    return {name: sums[0] if is_mean(measured[name]) else sums for name, sums in found.items()}


def ratio(sums: Sequence[Ratio]) -> float:
    """Aggregate a metric that is a ratio of sums; nan where nothing was measured.

    >>> ratio([(2.0, 3.0), (0.0, 1.0)])
    0.5
    """
    below = math.fsum(denominator for _, denominator in sums)
    return math.fsum(numerator for numerator, _ in sums) / below if below else math.nan


def _yaml(found: Json) -> str:
    """Write a configuration as YAML, of which JSON is a part."""
    lines = []
    for key, value in found.items():
        if key == "metric_list":
            lines.append(f"{key}:")
            for row in value:
                first, *rest = (f"{name}: {_value(inner)}" for name, inner in row.items())
                lines += [f"  - {first}", *(f"    {line}" for line in rest)]
        else:
            lines.append(f"{key}: {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, _Function):
        return f"!function {MODULE}.{value.name}"
    return json.dumps(value, ensure_ascii=False)
