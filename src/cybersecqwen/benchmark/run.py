"""Put the items of a task to an engine, trial by trial, and keep every answer.

Answers are appended as they come, so a killed evaluation goes on where it stopped; an
engine's failure ends it without a score, never as wrong answers.

    evaluation/cti-rcm/model-card/trial-0/responses.jsonl   one answer a line
    evaluation/cti-rcm/model-card/trial-0/scores.json
    evaluation/cti-rcm/model-card/scores.json               the trials together
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from cybersecqwen.benchmark.probe import probe
from cybersecqwen.benchmark.protocol import Protocol, narrow_settings
from cybersecqwen.benchmark.score import is_correct, require_gold, score
from cybersecqwen.benchmark.summary import details, summarise
from cybersecqwen.benchmark.tasks import TASKS, find_task, open_task, read_items, tasks_in
from cybersecqwen.benchmark.tasks.task import Suite, Task, fingerprint
from cybersecqwen.benchmark.trial import trial_items, trial_requests
from cybersecqwen.engines import Model
from cybersecqwen.engines.http import HttpEngine
from cybersecqwen.engines.openai_api import deviations
from cybersecqwen.engines.progress_bar import ProgressBar
from cybersecqwen.engines.response_log import generate_missing
from cybersecqwen.engines.transformers import TransformersEngine
from cybersecqwen.files import Json, sha256_file, write_json
from cybersecqwen.manifest import made_from_of, make_stage
from cybersecqwen.records import Item, Response
from cybersecqwen.sample import BENCHMARK

_log = logging.getLogger(__name__)

_PROBED = 3  # items whose prompts a server is tried with


class TrialProgress(ProgressBar):
    """A progress bar that shows the accuracy so far; in a pipe nothing is shown or computed."""

    def __init__(self, label: str, total: int, is_correct: Callable[[Response], bool]) -> None:
        super().__init__(label, total, unit="item")
        self._is_correct = is_correct
        self._correct = self._answered = 0

    def note(self, response: Response) -> None:
        """Judge one response, where anybody looks."""
        if not self.hidden:
            self._answered += 1
            self._correct += self._is_correct(response)

    def shown(self, speed: float) -> str:
        """Write the accuracy so far and the speed."""
        accuracy = f"accuracy {self._correct / self._answered:.3f}"
        return accuracy + (f", {speed:,.0f} tokens/s" if speed else "")


def evaluate(
    model: Model,
    task: str,
    protocol: Protocol,
    *,
    benchmark: Path,
    out: Path,
    try_server: bool = True,
) -> None:
    """Answer and score every trial of a task into `out`/evaluation/<task>/<protocol>.

    A server is tried first, for what it honours. Raises EngineError when the model fails, with
    every answer so far kept: the same call goes on from there.
    """
    known = find_task(task)
    changed = deviations(model.identity.get("request", {}))
    protocol = replace(protocol, modified=(*protocol.modified, *changed))
    facts = benchmark_facts(benchmark, suite=known.suite)
    made_from = {
        "config": {"protocol": protocol.settings_of(known), "kind": model.kind},
        "inputs": {"model": model.identity, "benchmark": facts["sha256"].get(known.file)},
    }

    def make(folder: Path) -> None:
        opened, items = open_task(task, benchmark), read_items(benchmark, task)
        require_gold(items)  # now, not after every item was asked
        if try_server and isinstance(model.engine, HttpEngine):
            _probe(model, protocol, items, folder / "probe.json")
        trials = range(len(protocol.seeds))
        # In this process, a prompt is read once for all its trials. Failures are counted by trial.
        together = isinstance(model.engine, TransformersEngine)
        responses: dict[int, list[Response]] = {}
        for some in [trials] if together else [[trial] for trial in trials]:
            responses |= _trials(model, opened, items, protocol, trials=some, folder=folder)
        scored = score(opened, protocol, items, responses, kind=model.kind)
        summary = summarise(scored)
        for row in summary["trials"]:
            write_json(folder / f"trial-{row['trial']}" / "scores.json", row)
        facts_of_run = {
            "model": model.name,
            "kind": model.kind,
            "engine": model.engine.describe(),
            "benchmark": facts,
        }
        write_json(folder / "scores.json", summary | {"details": details(scored)} | facts_of_run)

    folder = out / "evaluation" / task / protocol.name
    make_stage(folder, _as_stored(folder, made_from, task), make)


def _as_stored(folder: Path, made_from: Json, task: str) -> Json:
    """Return what a folder was made from, in the form of version 0.1 where it means the same."""
    stored = made_from_of(folder) or {}
    config = stored.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("protocol"), dict):
        return made_from
    narrowed = stored | {"config": config | {"protocol": narrow_settings(config["protocol"], task)}}
    return stored if narrowed == json.loads(json.dumps(made_from)) else made_from


def _probe(model: Model, protocol: Protocol, items: Sequence[Item], path: Path) -> None:
    """Find out what a server honours before it is asked, by the first items' own prompts."""
    if path.exists():
        return
    wanted = trial_requests(protocol, items, kind=model.kind, trial=0)[:_PROBED]
    texts = [r.prompt if isinstance(r.prompt, str) else r.prompt[-1][1] for r in wanted]
    report = probe(model, texts)
    write_json(path, asdict(report))
    for check in report.failed:
        failure = (model.name, check.name, check.evidence)
        _log.warning("%s: the server fails the check of %s: %s", *failure)


def benchmark_facts(folder: Path, *, suite: Suite | None = None) -> Json:
    """Name what a benchmark's folder holds, or what it holds of a suite, and the checksums.

    The name is that of a suite where the folder holds items as they are published and no other
    ones; scores on anything else do not compare with published ones.
    """
    present = [TASKS[name] for name in tasks_in(folder)]
    present = [task for task in present if suite in (None, task.suite)]
    known = [task for task in present if task.published]
    published = [fingerprint(task.read(folder / task.file)) == task.published for task in known]
    if published and all(published):
        name = "+".join(dict.fromkeys(task.suite.name for task in known))
    else:
        name = "sample" if folder.resolve() == BENCHMARK else "custom"
    return {"name": name, "sha256": {t.file: sha256_file(folder / t.file) for t in present}}


def _trials(
    model: Model,
    task: Task,
    items: Sequence[Item],
    protocol: Protocol,
    *,
    trials: Sequence[int],
    folder: Path,
) -> dict[int, list[Response]]:
    """Ask trials for what they do not hold yet, and return all their responses."""
    path = {trial: folder / f"trial-{trial}" / "responses.jsonl" for trial in trials}
    wanted = {
        path[trial]: trial_requests(protocol, items, kind=model.kind, trial=trial)
        for trial in trials
    }
    shown = {
        (trial, item.index): item
        for trial in trials
        for item in trial_items(protocol, items, kind=model.kind, trial=trial)
    }
    which = "-".join(str(trial + 1) for trial in dict.fromkeys((trials[0], trials[-1])))
    progress = TrialProgress(
        f"{task.name} trial {which}/{len(protocol.seeds)}",
        len(shown),
        lambda r: is_correct(task, protocol, shown[r.trial, r.item], r.text),
    )
    responses = generate_missing(model, wanted, progress=progress)
    return {trial: responses[path[trial]] for trial in trials}
