"""Tasks for lm-evaluation-harness 0.4.13: one YAML and one JSONL of documents per task.

    write_tasks(["cti-rcm"], Path("tasks"), trial=Trial(PROTOCOLS["model-card"], folder))

    lm_eval --include_path tasks --tasks cybersecqwen_cti_rcm --apply_chat_template …

The folder can be moved as a whole. Its one module of Python only calls this package, so that the
harness asks the protocol's requests and reads them by the protocol's extractor.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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

_SOURCE = Path(__file__).with_name("lm_eval_module.txt")


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
    write_text(out / f"{MODULE}.py", _SOURCE.read_text(encoding="utf-8"))


def config(trial: Trial, task: str) -> Json:
    """Return a task's configuration, in the words of the harness."""
    protocol = trial.protocol
    own = {
        "task": name_of(task),
        "tag": "cybersecqwen",
        "custom_dataset": _function("documents"),
        "dataset_kwargs": {"task": task},
        "process_results": _function("process_results"),
        "metadata": {
            "version": float(protocol.version),
            "protocol": protocol.name,
            "modified": list(protocol.modified),
            "trial": trial.number,
        },
    }
    return own | settings(trial, task)


def settings(trial: Trial, task: str) -> Json:
    """Return the part of a task's configuration that its results repeat."""
    measured = metrics(find_task(task), trial.protocol).items()
    shared: Json = {
        "test_split": "test",
        "output_type": "generate_until",
        "num_fewshot": 0,
        "doc_to_text": "prompt",
        "doc_to_target": "gold",
        "generation_kwargs": generation(trial, task),
        "metric_list": [
            {
                "metric": name,
                "aggregation": "mean" if is_mean(metric) else _function("ratio"),
                "higher_is_better": metric.better == "higher",
            }
            for name, metric in measured
        ],
    }
    if trial.protocol.system and trial.kind != "base":
        shared["description"] = "system"  # the column; the harness makes it the system message
    return shared


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
    _, sums_of = score_response(doc, answer, folder)
    measured = metrics(find_task(doc["task"]), find_protocol(doc["protocol"]))
    return {name: sums[0] if is_mean(measured[name]) else sums for name, sums in sums_of.items()}


def ratio(sums: Sequence[Ratio]) -> float:
    """Aggregate a metric that is a ratio of sums; nan where nothing was measured.

    >>> ratio([(2.0, 3.0), (0.0, 1.0)])
    0.5
    """
    below = math.fsum(denominator for _, denominator in sums)
    return math.fsum(numerator for numerator, _ in sums) / below if below else math.nan


def _function(name: str) -> str:
    """Name a function of the module beside a task file."""
    return f"!function {MODULE}.{name}"


def _yaml(configuration: Json) -> str:
    """Write a configuration as YAML: JSON is a part of it, but for the tags of functions."""
    text = json.dumps(configuration, indent=2, ensure_ascii=False)
    return re.sub(rf'"(!function {MODULE}\.\w+)"', r"\1", text) + "\n"
