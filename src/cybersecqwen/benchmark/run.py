"""Put the items of a task to an engine, trial by trial, and keep every answer.

Answers are appended as they come, so a killed evaluation goes on where it stopped; an
engine's failure ends it without a score, never as wrong answers.

    evaluation/cti-rcm/model-card/trial-0/responses.jsonl   one answer a line
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

from pydantic import TypeAdapter, ValidationError
from tqdm import tqdm

from cybersecqwen.benchmark.protocol import Protocol, requests
from cybersecqwen.benchmark.score import score_trial, summarise, trial_row
from cybersecqwen.benchmark.subject import Subject
from cybersecqwen.benchmark.tasks import find_task
from cybersecqwen.engines import Engine
from cybersecqwen.errors import CyberSecQwenError, InputError
from cybersecqwen.files import Json, read_jsonl, sha256_file, write_json, write_jsonl
from cybersecqwen.manifest import make_stage
from cybersecqwen.records import Item, Request, Response, Scores
from cybersecqwen.sample import BENCHMARK
from cybersecqwen.sources.ctibench import read_benchmark, read_items

_RESPONSE = TypeAdapter(Response)

# Of the published benchmark: a hash over links, prompts and golds, which re-quoting a TSV or
# another white space does not change.
_PUBLISHED = {
    "cti-mcq": "a6b51d23debc8a111660a217e70f3b8c433cc31de55dc4aac710cba6615af960",
    "cti-rcm": "3d693a7a1a77351d864ecbd68ec06dd66d08a3455003b0b5bf123e2b6623d896",
}


def evaluate(
    subject: Subject, task: str, protocol: Protocol, *, benchmark: Path, out: Path
) -> None:
    """Answer and score every trial of a task into `out`/evaluation/<task>/<protocol>.

    Raises EngineError when the model fails, with every answer so far kept: the same call
    goes on from there.
    """
    find_task(task)
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
    name = "cti-bench" if published else "sample" if folder.resolve() == BENCHMARK else "custom"
    checksums = {f"{task}.tsv": sha256_file(folder / f"{task}.tsv") for task in benchmark}
    return {"name": name, "sha256": checksums}


def _fingerprint(items: Sequence[Item]) -> str:
    lines = "".join(f"{item.url}\t{' '.join(item.prompt.split())}\t{item.gold}\n" for item in items)
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
    responses = sorted(read_responses(path), key=lambda response: response.item)
    scores = score_trial(protocol, items, responses, trial=trial)
    # Engines answer in the order of their convenience; a whole trial is kept in that of the items.
    write_jsonl(path, map(asdict, responses))
    write_json(folder / "scores.json", trial_row(scores, seed=protocol.seeds[trial]))
    return scores


def _answer(engine: Engine, pending: list[Request], path: Path, bar: tqdm[Never]) -> None:
    """Append each answer as it comes, whole before the next."""
    for response in engine.generate(pending):
        _append(path, json.dumps(asdict(response), ensure_ascii=False) + "\n")
        bar.update()


def _append(path: Path, line: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line)
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
            responses.append(_RESPONSE.validate_python(row))
        except ValidationError as error:
            first = error.errors()[0]
            what = f"no response: {'.'.join(map(str, first['loc']))} {first['msg']}"
            raise InputError(what, where=f"{path}:{number}") from error
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
