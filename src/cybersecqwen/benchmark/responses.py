"""Responses that are on disk: those of a run folder, and recordings by others.

    for answers in read_run(Path("runs/smoke")):
        print(answers.task, answers.protocol.name, len(answers.responses))

They can be scored under any protocol. What was asked stays as it was, so an answer that is read
by another protocol's rules is marked as that protocol "modified".
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cybersecqwen.benchmark.matching import is_recording, match_recordings, whole_name
from cybersecqwen.benchmark.protocol import (
    PROTOCOLS,
    Protocol,
    find_protocol,
    make_protocol,
    narrow_settings,
)
from cybersecqwen.benchmark.score import TaskScores, extractor, score
from cybersecqwen.benchmark.tasks import TASKS, find_task, open_task, read_items
from cybersecqwen.benchmark.trial import protocol_items
from cybersecqwen.engines.reasoning import read_answer
from cybersecqwen.engines.response_files import read_response_file
from cybersecqwen.engines.response_log import read_responses
from cybersecqwen.errors import InputError
from cybersecqwen.files import read_json, sha256_file
from cybersecqwen.manifest import finished, made_from_of
from cybersecqwen.records import Item, Response

_log = logging.getLogger(__name__)

# How the names of logs begin: samples_cybersecqwen_cti_rcm_…, 2026-11-26T16-00-00_cti-rcm_….
_OF_A_HARNESS = re.compile(r"^(?:samples_|\d{4}-\d\d-\d\dT[\d+:-]+_)(?:cybersecqwen_)?")

# Settings that a run states of its task, which the task itself says.
_OF_TASKS = {"stop", "extension"}


@dataclass(frozen=True)
class ResponseSet:
    """One model's answers to one task, by trial.

    `protocol` is the one they were asked under; None where it is not known, as of a recording.
    `partial` allows for items without an answer, which are then left out, and the score is marked.
    """

    name: str
    task: str
    where: Path
    responses: Mapping[int, Sequence[Response]]
    protocol: Protocol | None = None
    kind: str = "instruct"
    benchmark_sha256: str = ""
    partial: bool = False

    @property
    def prompt(self) -> str:
        """Return the form of the prompt that was answered; "" where it is not known."""
        if self.protocol is None:
            return ""
        if self.kind == "base":
            return "faith-base" if self.protocol.base_style == "faith" else "base"
        return self.protocol.prompt_of(find_task(self.task))

    def scoring_protocol(self, name: str | None) -> Protocol:
        """Return the protocol to score by, marked with all that deviates from the one named.

        Only what was asked can be scored: the trials, orders and exemplars stay, and of the rows
        those that both ask. Raises InputError for a recording where none is named.
        """
        if name is None:
            if self.protocol is None:
                raise InputError("no protocol to score by", where=self.where, tip="--protocol NAME")
            return self.protocol
        if self.protocol is None:
            return find_protocol(name, trials=len(self.responses))
        asked = self.protocol
        named = find_protocol(name)
        if (asked.name, asked.version) == (name, named.version):
            return asked
        return replace(
            named,
            seeds=asked.seeds,
            permutations=asked.permutations,
            limit=asked.limit,
            exemplars=asked.exemplars,
            base_shots=asked.base_shots,
            rows="distinct" if "distinct" in (asked.rows, named.rows) else "all",
            modified=(f"answers of {asked.name} {asked.version}", *asked.modified),
        )


def read_run(run: Path, *, task: str | None = None) -> list[ResponseSet]:
    """Read the answers of every evaluation in a run folder, or of the one folder that is given.

    Raises InputError where there is none, and StageError where answers were changed since.
    """
    folders = [run] if _is_evaluation(run) else sorted(run.glob("evaluation/*/*"))
    sets = [_read(run, folder) for folder in folders if _is_evaluation(folder)]
    if not sets:
        raise InputError(
            "holds no evaluation", where=run, tip="give a run folder, made by `evaluate`"
        )
    if task is not None:
        sets = [answers for answers in sets if answers.task == find_task(task).name]
        if not sets:
            raise InputError(f"holds no answers to {task}", where=run, tip="check --task")
    return sets


def read_evaluation(run: Path, task: str) -> ResponseSet:
    """Read the only evaluation of a task in a run folder; raises InputError for several."""
    sets = read_run(run, task=task)
    if len(sets) > 1:
        names = ", ".join(str(answers.where) for answers in sets)
        raise InputError(f"answers {task} more than once", where=run, tip=f"give one of {names}")
    return sets[0]


def is_run(path: Path) -> bool:
    """Tell whether a path is a run folder, or one evaluation of it."""
    return _is_evaluation(path) or any(map(_is_evaluation, path.glob("evaluation/*/*")))


def _is_evaluation(folder: Path) -> bool:
    return folder.is_dir() and made_from_of(folder) is not None and _protocol_of(folder) != {}


def _protocol_of(folder: Path) -> dict[str, Any]:
    made_from = made_from_of(folder) or {}
    config = made_from.get("config", {})
    settings = config.get("protocol", {}) if isinstance(config, dict) else {}
    return settings if isinstance(settings, dict) else {}


def _read(run: Path, folder: Path) -> ResponseSet:
    if (folder / "manifest.json").is_file():
        finished(folder, tip="evaluate again")  # answers changed since are not the model's
    made_from = made_from_of(folder) or {}
    inputs = made_from.get("inputs")
    paths = {_trial(path): path for path in folder.glob("trial-*/responses.jsonl")}
    scores = folder / "scores.json"
    about = read_json(scores) if scores.is_file() else {}
    model = about.get("model") if isinstance(about, dict) else None
    return ResponseSet(
        name=str(model or run.name),
        task=folder.parent.name,
        where=folder,
        responses={trial: read_responses(paths[trial]) for trial in sorted(paths)},
        protocol=_read_protocol(folder),
        kind=str(made_from["config"].get("kind", "instruct")),
        benchmark_sha256=str(inputs.get("benchmark", "")) if isinstance(inputs, dict) else "",
    )


def _trial(path: Path) -> int:
    number = path.parent.name.removeprefix("trial-")
    if not re.fullmatch("[0-9]{1,6}", number):
        raise InputError("is not a trial", where=path.parent, tip="move it out of the run's folder")
    return int(number)


def _read_protocol(folder: Path) -> Protocol:
    """Make the protocol again that an evaluation was made under."""
    stored = narrow_settings(_protocol_of(folder), folder.parent.name)
    settings = {name: value for name, value in stored.items() if name not in _OF_TASKS}
    published = PROTOCOLS.get(str(stored.get("name")))
    covers = published.covers if published else ()
    try:
        return make_protocol(settings | {"covers": covers})
    except TypeError as error:
        raise InputError(
            f"its protocol is of another version of this program: {error}",
            where=folder,
            tip="evaluate again, into another --out",
        ) from error


def rescore(answers: ResponseSet, protocol: Protocol, benchmark: Path) -> TaskScores:
    """Score answers under a protocol; raises InputError where they are of other items."""
    path = benchmark / find_task(answers.task).file
    sha256 = answers.benchmark_sha256
    if sha256 and path.is_file() and sha256_file(path) != sha256:
        raise InputError(
            f"the answers in {answers.where} are to another file of that name",
            where=path,
            tip="give --benchmark the folder that was asked",
        )
    items = read_items(benchmark, answers.task)
    task, responses = open_task(answers.task, benchmark), answers.responses
    seeds, trials = protocol.seeds, len(responses)
    if answers.partial and trials < len(seeds):
        part = f"partial: {trials} of {len(seeds)} trials"
        protocol = replace(protocol, seeds=seeds[:trials], modified=(*protocol.modified, part))
    try:
        return score(task, protocol, items, responses, kind=answers.kind, partial=answers.partial)
    except InputError as error:
        raise InputError(
            error.what, where=f"{answers.where}: {error.where}", tip=error.tip
        ) from error


def notes(answers: ResponseSet, protocol: Protocol) -> list[str]:
    """Say what a reader has to know before trusting answers scored under a protocol."""
    said = []
    task = find_task(answers.task)
    if answers.prompt and answers.prompt not in extractor(task, protocol).fits:
        said.append(
            f"the extractor {protocol.extractor_of(task)!r} of {protocol.name} was written for "
            "another prompt than these answers were given to: a measure of how much the reading "
            "matters, no result"
        )
    asked = answers.protocol
    if asked and (asked.rows, find_protocol(protocol.name).rows) == ("distinct", "all"):
        said.append(f"over the rows that {asked.name} asks, which leaves out repeated ones")
    if asked is None:
        said.append("a recording: prompt and sampling are not known")
    if protocol.is_extension(task):
        said.append(f"{protocol.name} as published does not cover {answers.task}")
    return said


def clustered_by_trial(answers: ResponseSet, protocol: Protocol) -> bool:
    """Tell whether a whole trial has something in common, such as its exemplars.

    Where trials differ by their seed alone, drawing them too would count the noise of single
    answers three times, and hide differences that are there.
    """
    return answers.kind == "base" and protocol.exemplars != "per item"


def excluded_responses(answers: ResponseSet, items: Sequence[Item], protocol: Protocol) -> int:
    """Count the responses to rows that the protocol leaves out."""
    kept = {item.index for item in protocol_items(protocol, items)}
    return sum(r.item not in kept for trial in answers.responses.values() for r in trial)


def read_recordings(
    path: Path,
    task: str | None,
    benchmark: Path,
    *,
    column: str | None = None,
    partial: bool = False,
) -> list[ResponseSet]:
    """Read the recordings at a path as answers to a task.

    In a folder, a file whose name begins with that of a task answers it; `task` takes those of
    one. `partial` takes answers to a part of the items. Raises InputError for anything that is no
    answer to an item of the task.
    """
    if not path.exists():
        raise InputError("no such file or folder", where=path, tip="check the path")
    by_name = {} if path.is_file() else _by_task(path, task)
    if by_name:
        return [
            a
            for name, recordings in by_name.items()
            for files in recordings.values()
            for a in _recorded(files, name, benchmark, column, partial=partial)
        ]
    if task is None and path.is_file():
        rows = read_response_file(path, column=column, partial=partial)
        task = next((row.task for row in rows), "")
    if not task:
        raise InputError("which task does this answer?", where=path, tip="give --task")
    return _recorded([path], find_task(task).name, benchmark, column, partial=partial)


def _recorded(
    paths: Sequence[Path], task: str, benchmark: Path, column: str | None, *, partial: bool
) -> list[ResponseSet]:
    path, *more = paths
    items = read_items(benchmark, task)
    recorded = [
        ResponseSet(recording.name, task, path, recording.responses, partial=partial)
        for recording in match_recordings(path, items, column=column, partial=partial, more=more)
    ]
    for answers in recorded:
        _refuse_other_task(answers)
    return recorded


def _refuse_other_task(answers: ResponseSet) -> None:
    """Refuse answers of which none can be read, and most as those to another task can."""
    given = (response for trial in answers.responses.values() for response in trial)
    texts = [read_answer(response.text).text for response in given]
    rules = find_task(answers.task).extractors.values()
    if any(rule.read(text).answer is not None for text in texts for rule in rules):
        return
    for other, task in TASKS.items():
        if task.free_text:
            continue
        rule = extractor(task, find_protocol("model-card"))
        read = sum(rule.read(text).answer is not None for text in texts)
        if 2 * read > len(texts):
            raise InputError(
                f"no text in {answers.name!r} can be read as an answer to {answers.task}, and "
                f"{read:,} of {len(texts):,} as one to {other}",
                where=answers.where,
                tip="check --task",
            )


def _by_task(folder: Path, task: str | None) -> dict[str, dict[str, list[Path]]]:
    """Sort the entries of a folder by the task that their names begin with, longest name first.

    The samples of a task's trials are together.
    """
    names = sorted(TASKS, key=len, reverse=True)
    by_task: dict[str, dict[str, list[Path]]] = {}
    left: list[str] = []
    for entry in sorted(folder.iterdir()):
        said = _OF_A_HARNESS.sub("", entry.name).replace("_", "-")
        name = next((n for n in names if said.startswith(n)), None)
        if name and (task is None or name == task):
            by_task.setdefault(name, {}).setdefault(whole_name(entry), []).append(entry)
        if name is None and is_recording(entry, folder):
            left.append(entry.name)
    if by_task and left:
        _log.warning("%s: left out, no task begins their names: %s", folder, ", ".join(left))
    return by_task
