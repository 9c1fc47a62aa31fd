"""Put the items of a task to an engine, trial by trial, and keep every answer.

Answers are appended as they come, so a killed evaluation goes on where it stopped; an
engine's failure ends it without a score, never as wrong answers.

    evaluation/cti-rcm/model-card/trial-0/responses.jsonl   one answer a line, in item order
    evaluation/cti-rcm/model-card/trial-0/scores.json
    evaluation/cti-rcm/model-card/scores.json               the trials together
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Never

from tqdm import tqdm

from cybersecqwen.benchmark.protocol import Protocol, requests
from cybersecqwen.benchmark.score import score_trial, summarise, trial_row
from cybersecqwen.benchmark.subject import Subject
from cybersecqwen.benchmark.tasks import TASKS
from cybersecqwen.engines import Engine
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import Json, read_jsonl, sha256_file, write_json
from cybersecqwen.manifest import make_stage
from cybersecqwen.records import Item, Request, Response, Scores
from cybersecqwen.sample import BENCHMARK
from cybersecqwen.sources.ctibench import read_benchmark, read_items

# Of the published benchmark: a hash over links and golds, which no re-quoting of a TSV changes.
_PUBLISHED = {
    "cti-mcq": "87f4a0788de0d53eb84c658f75a69734a8c0e89bbab9271fa27b1f6ac86b014c",
    "cti-rcm": "a755b8d44b1654d0a857154b141f8b0927076b06593c41fffabe63f2314ddd24",
}


def evaluate(
    subject: Subject, task: str, protocol: Protocol, *, benchmark: Path, out: Path
) -> None:
    """Answer and score every trial of a task into `out`/evaluation/<task>/<protocol>.

    Raises EngineError when the model fails, with every answer so far kept: the same call
    goes on from there.
    """
    if task not in TASKS:
        raise CyberSecQwenError(f"unknown task {task!r}", tip=f"known are {', '.join(TASKS)}")
    if task not in protocol.extractors:
        raise CyberSecQwenError(f"the protocol {protocol.name!r} does not cover {task}")
    facts = benchmark_facts(benchmark)
    made_from = {
        "config": {"protocol": protocol.settings(), "kind": subject.kind},
        "inputs": {"model": subject.identity, "benchmark": facts["sha256"].get(f"{task}.tsv")},
    }

    def make(folder: Path) -> None:
        items = read_items(benchmark, task)
        asked = range(len(protocol.seeds))
        trials = [_trial(subject, items, protocol, folder / f"trial-{i}", i) for i in asked]
        facts_of_run = {
            "model": subject.name,
            "kind": subject.kind,
            "engine": subject.engine.describe(),
            "benchmark": facts,
        }
        write_json(folder / "scores.json", summarise(protocol, trials) | facts_of_run)

    make_stage(out / "evaluation" / task / protocol.name, made_from, make)


def benchmark_facts(folder: Path) -> Json:
    """Name a benchmark folder and the checksums of its task files.

    It is "cti-bench" when it holds the published items of cti-mcq or cti-rcm and no other
    ones; scores on anything else do not compare with published ones.
    """
    benchmark = read_benchmark(folder)
    known = [
        _fingerprint(benchmark[task]) == _PUBLISHED[task]
        for task in _PUBLISHED
        if task in benchmark
    ]
    published = bool(known) and all(known)
    name = "cti-bench" if published else "sample" if folder == BENCHMARK else "custom"
    checksums = {f"{task}.tsv": sha256_file(folder / f"{task}.tsv") for task in benchmark}
    return {"name": name, "sha256": checksums}


def _fingerprint(items: Sequence[Item]) -> str:
    lines = "".join(f"{item.url}\t{item.gold}\n" for item in items)
    return hashlib.sha256(lines.encode()).hexdigest()


def _trial(
    subject: Subject, items: Sequence[Item], protocol: Protocol, folder: Path, trial: int
) -> Scores:
    path = folder / "responses.jsonl"
    asked = requests(protocol, items, kind=subject.kind, trial=trial)
    answered = {response.item for response in read_responses(path)} if path.exists() else set()
    pending = [request for request in asked if request.item not in answered]
    if pending:
        label = f"{items[0].task} trial {trial + 1}/{len(protocol.seeds)}"
        done, total = len(answered), len(asked)
        with tqdm(total=total, initial=done, desc=label, unit="item", disable=None) as bar:
            _answer(subject.engine, pending, path, bar)
    scores = score_trial(protocol, items, read_responses(path), trial=trial)
    write_json(folder / "scores.json", trial_row(scores, seed=protocol.seeds[trial]))
    return scores


def _answer(engine: Engine, pending: list[Request], path: Path, bar: tqdm[Never]) -> None:
    """Append the answers to the pending requests, each one whole before the next."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("a", encoding="utf-8") as file:
            for response in engine.generate(pending):
                file.write(json.dumps(asdict(response), ensure_ascii=False) + "\n")
                file.flush()
                bar.update()
            os.fsync(file.fileno())
    except OSError as error:
        raise CyberSecQwenError(
            f"cannot write: {error.strerror}",
            where=path,
            tip="free some space and run the same command again, it goes on from here",
        ) from error


def read_responses(path: Path) -> list[Response]:
    """Read stored answers; a last line that a kill cut short is taken off the file first."""
    _cut_torn_line(path)
    responses = []
    for number, row in enumerate(read_jsonl(path), start=1):
        try:
            responses.append(Response(**row))
        except TypeError as error:
            raise InputError(f"no response: {error}", where=f"{path}:{number}") from error
    return responses


def _cut_torn_line(path: Path) -> None:
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        whole = end
        while whole > 0:
            file.seek(whole - 1)
            if file.read(1) == b"\n":
                break
            whole -= 1
        if whole < end:
            file.truncate(whole)
