"""Finished evaluations as the files that lm-evaluation-harness 0.4.13 writes itself.

    write_results(read_run(Path("runs/smoke")), Path("cti-bench"), Path("results"))

    results/<protocol>/<model>/results_<date>.json
    results/<protocol>/<model>/samples_<task>_<date>.jsonl     with --log_samples, there

A trial is a task; several are also a group, whose figure is the mean of the trials. What the
harness would know and a run does not, such as its machine, is "N/A" or null.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cybersecqwen import __version__
from cybersecqwen.benchmark.interop.lm_eval import (
    generation,
    name_of,
    ratio,
    sample_scores,
    settings,
)
from cybersecqwen.benchmark.interop.samples import Trial, trial_samples
from cybersecqwen.benchmark.responses import ResponseSet, rescore
from cybersecqwen.benchmark.statistics import mean, spread
from cybersecqwen.benchmark.tasks import find_task
from cybersecqwen.files import Json, write_json, write_jsonl

_FILTER = "none"
_KEYS = (
    *("results", "groups", "group_subtasks", "configs", "versions", "n-shot"),
    *("higher_is_better", "n-samples", "task_hashes"),
)


def write_results(evaluations: Iterable[ResponseSet], benchmark: Path, out: Path) -> list[Path]:
    """Write one results file for each model and protocol, and the samples of each trial.

    Raises InputError where answers are to other items than those in `benchmark`.
    """
    together: dict[tuple[str, str], list[ResponseSet]] = {}
    for answers in evaluations:
        together.setdefault((answers.scoring_protocol(None).name, answers.name), []).append(answers)
    return [
        _write(sets, benchmark, out / protocol / _sanitized(model))
        for (protocol, model), sets in together.items()
    ]


def _write(sets: Sequence[ResponseSet], benchmark: Path, folder: Path) -> Path:
    finished = max((answers.where / "scores.json").stat().st_mtime for answers in sets)
    date = datetime.fromtimestamp(finished).isoformat().replace(":", "-")
    total: Json = {key: {} for key in _KEYS}
    for answers in sets:
        # Refuses other items, and answers that are missing.
        rescore(answers, answers.scoring_protocol(None), benchmark)
        names = []
        for trial in _trials(answers, benchmark):
            samples = _samples(answers, trial)
            name = _name(answers, trial)
            names.append(name)
            write_jsonl(folder / f"samples_{name}_{date}.jsonl", samples)
            _add(total, name, answers, trial, samples)
        if len(names) > 1:
            _add_group(total, name_of(answers.task), names)
    if not total["groups"]:
        del total["groups"]
    path = folder / f"results_{date}.json"
    write_json(path, total | _about(sets[0], finished))
    return path


def _trials(answers: ResponseSet, benchmark: Path) -> list[Trial]:
    protocol = answers.scoring_protocol(None)
    numbers = range(len(protocol.seeds))
    return [Trial(protocol, benchmark, answers.kind, number) for number in numbers]


def _name(answers: ResponseSet, trial: Trial) -> str:
    several = len(trial.protocol.seeds) > 1
    return name_of(answers.task) + (f"_trial_{trial.number}" if several else "")


def _samples(answers: ResponseSet, trial: Trial) -> list[Json]:
    texts = {response.item: response.text for response in answers.responses[trial.number]}
    return [
        _sample(number, row, texts[row["index"]], trial)
        for number, row in enumerate(trial_samples(trial, answers.task))
    ]


def _sample(number: int, row: Json, text: str, trial: Trial) -> Json:
    """Return one answer in the words of the harness, hashes included."""
    asked, scores = _argument(row, trial), sample_scores(row, text, trial.benchmark)
    return {
        "doc_id": number,
        "doc": row,
        "target": row["gold"],
        "arguments": {
            "gen_args_0": {
                "arg_0": asked if trial.kind == "base" else [asked],
                "arg_1": generation(trial, row["task"]),
            }
        },
        "resps": [[text]],
        "filtered_resps": [text],
        "filter": _FILTER,
        "metrics": list(scores),
        "doc_hash": _sha256(json.dumps(row, indent=2, ensure_ascii=False)),
        "prompt_hash": _sha256(asked),
        "target_hash": _sha256(row["gold"]),
        **scores,
    }


def _argument(row: Json, trial: Trial) -> str:
    if trial.kind == "base":
        return str(row["prompt"])
    system = [{"role": "system", "content": row["system"]}] if row["system"] else []
    messages = [*system, {"role": "user", "content": row["prompt"]}]
    return json.dumps(messages, ensure_ascii=False)


def _add(
    total: Json, name: str, answers: ResponseSet, trial: Trial, samples: Sequence[Json]
) -> None:
    measured = settings(trial, answers.task)["metric_list"]
    total["results"][name] = {"name": name, "alias": name, "sample_len": len(samples)}
    for row in measured:
        values = [sample[row["metric"]] for sample in samples]
        total["results"][name] |= _aggregated(row["metric"], row["aggregation"], values)
    total["configs"][name] = _config(name, trial, answers.task)
    total["versions"][name] = float(trial.protocol.version)
    total["n-shot"][name] = 0  # the exemplars of a base model stand in its prompt
    total["higher_is_better"][name] = {r["metric"]: r["higher_is_better"] for r in measured}
    total["n-samples"][name] = {"original": len(samples), "effective": len(samples)}
    hashes = (s["doc_hash"] + s["prompt_hash"] + s["target_hash"] for s in samples)
    total["task_hashes"][name] = _sha256("".join(hashes))


def _aggregated(metric: str, aggregation: object, values: Sequence[Any]) -> Json:
    """Return a metric and its standard error, which the harness has for plain means only."""
    if aggregation != "mean":
        return {f"{metric},{_FILTER}": _number(ratio(values)), f"{metric}_stderr,{_FILTER}": "N/A"}
    deviation = spread(values, ddof=1)
    error = "N/A" if deviation is None else deviation / math.sqrt(len(values))
    return {f"{metric},{_FILTER}": mean(values), f"{metric}_stderr,{_FILTER}": error}


def _add_group(total: Json, name: str, names: Sequence[str]) -> None:
    """Add the mean over trials, of those in which a metric was measured."""
    tasks = [total["results"][inner] for inner in names]
    group: Json = {"name": name, "alias": name, "sample_len": sum(t["sample_len"] for t in tasks)}
    for metric in total["higher_is_better"][names[0]]:
        values = [v for t in tasks if (v := t[f"{metric},{_FILTER}"]) is not None]
        group[f"{metric},{_FILTER}"] = mean(values) if values else None
        group[f"{metric}_stderr,{_FILTER}"] = "N/A"
    total["results"][name] = total["groups"][name] = group
    total["group_subtasks"][name] = list(names)
    for key in ("versions", "n-shot", "higher_is_better"):
        total[key][name] = total[key][names[0]]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _config(name: str, trial: Trial, task: str) -> Json:
    protocol, shared = trial.protocol, settings(trial, task)
    for row in shared["metric_list"]:
        row["aggregation"] = "mean" if row["aggregation"] == "mean" else "ratio"
    return (
        {"description": ""}
        | shared
        | {
            "task": name,
            "repeats": 1,
            "should_decontaminate": False,
            "metadata": {
                "version": float(protocol.version),
                "protocol": protocol.settings_of(find_task(task)),
                "trial": trial.number,
                "seed": trial.seed,
            },
        }
    )


def _about(answers: ResponseSet, finished: float) -> Json:
    """Return the rest of a results file: the model, and what a run does not know."""
    protocol = answers.scoring_protocol(None)
    unknown = ("git_hash", "upper_git_hash", "system_instruction", "system_instruction_sha")
    return dict.fromkeys(unknown) | {
        "config": {
            "model": "cybersecqwen",
            "model_args": {"model": answers.name, "kind": answers.kind},
            "batch_size": None,
            "batch_sizes": [],
            "device": None,
            "use_cache": None,
            "limit": None,
            "bootstrap_iters": 0,
            "gen_kwargs": {},
            **dict.fromkeys(("random_seed", "numpy_seed", "torch_seed"), protocol.seeds[0]),
            "fewshot_seed": protocol.seeds[0],
        },
        "date": finished,
        "pretty_env_info": "N/A",
        "transformers_version": "N/A",
        "lm_eval_version": f"N/A, written by cybersecqwen {__version__}",
        "model_source": "cybersecqwen",
        "model_name": answers.name,
        "model_name_sanitized": _sanitized(answers.name),
        "fewshot_as_multiturn": False,
        "chat_template": None,
        "chat_template_sha": None,
        "total_evaluation_time_seconds": "N/A",
    }


def _sanitized(model: str) -> str:
    """Make a model's name that of a folder, as the harness does."""
    return re.sub(r"[\"<>:/|\\?*\[\]]+", "__", model)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
