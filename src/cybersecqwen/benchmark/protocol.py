"""Evaluation protocols: prompt, shots, sampling, rows, extractor and spread as one frozen unit.

The same answers score differently under another extractor, and an extractor finds little in
the answers to another prompt, so none of these is set alone. A run names a protocol; what it
changes is recorded and shown as "modified".

>>> protocol = PROTOCOLS["model-card"]
>>> protocol.seeds, protocol.temperature, protocol.max_tokens
((42, 43, 44, 45, 46), 0.3, 512)

They stand in protocols.toml, and are never edited: what was measured under one stays what it
was. A correction is a new `version`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from cybersecqwen.benchmark.tasks.task import Shots, Task
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.files import Json


@dataclass(frozen=True)
class Protocol:
    """Everything that is fixed about an evaluation, whatever the model and the task.

    `covers` are the tasks of its source; any other is asked and read as the task itself says, and
    is an extension. `prompt` names the form of a chat model's question: "item" is the benchmark's
    own prompt. `exemplars` says how a base model's are drawn: anew for every item without the item,
    one set per trial, or one set per trial whose items are then not asked. `improper` says whether
    an answer in another form than asked for counts, and whether it is counted apart. `unstated` are
    settings that the source leaves open and that are ours. `extractor` stands in for that of the
    task. `limit` asks a part of a task only, the first so many items of its file.
    """

    name: str
    version: int
    source: str
    seeds: tuple[int, ...]  # one per trial
    temperature: float
    max_tokens: int
    concurrency: int
    covers: tuple[str, ...]
    extractor: str = ""
    top_p: float = 1.0
    system: str = ""
    prompt: Literal["item", "faith"] = "item"
    base_style: Literal["model-card", "paper", "faith", ""] = ""  # "": base models are not covered
    base_shots: int = 0  # exemplars for a base model; an instruct model gets none
    exemplars: Literal["per item", "per trial", "per trial, not asked"] = "per item"
    rows: Literal["all", "distinct"] = "all"
    improper: Literal["counts", "flagged", "lenient only"] = "counts"
    unparseable: Literal["wrong", "dropped"] = "wrong"
    ddof: int = 1  # of the spread between trials
    permutations: int = 0  # of the options of a multiple choice; 0: as they stand
    limit: int = 0  # 0: all items
    unstated: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()

    def extractor_of(self, task: Task) -> str:
        """Name the extractor that reads the responses to a task."""
        own = (name for name, e in task.extractors.items() if self.name in e.protocols)
        return self.extractor or next(own, next(iter(task.extractors)))

    def prompt_of(self, task: Task) -> str:
        """Name the form of a chat model's prompt in a task: the protocol's, or the item's own."""
        return self.prompt if self.prompt in task.prompts else "item"

    def shots_of(self, task: Task) -> Shots | None:
        """Return the few-shot form of a base model's prompt in a task; None where there is none."""
        if not self.base_style:
            return None
        return task.shots.get(self.base_style) or next(iter(task.shots.values()), None)

    def stop_of(self, task: Task, kind: str) -> tuple[str, ...]:
        """Return the texts at which a base model's completion ends; instruct models have none."""
        shots = self.shots_of(task) if kind == "base" else None
        return shots.stop if shots else ()

    def is_extension(self, task: Task) -> bool:
        """Tell whether the protocol's source does not cover a task."""
        return task.name not in self.covers

    def settings(self) -> Json:
        """Return every setting that holds for all tasks, as JSON-able values."""
        left_out = ("covers", "extractor", *(() if self.limit else ("limit",)))
        return {k: v for k, v in asdict(self).items() if k not in left_out}

    def settings_of(self, task: Task) -> Json:
        """Return every setting that holds for a task, as JSON-able values, for manifests."""
        return self.settings() | {
            "extractor": self.extractor_of(task),
            "stop": self.stop_of(task, "base"),
            "extension": self.is_extension(task),
        }


def make_protocol(settings: Mapping[str, Any]) -> Protocol:
    """Make a protocol of settings as TOML and JSON hold them, with lists where it has tuples."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
    }
    return Protocol(**values)


_FILE = Path(__file__).with_name("protocols.toml")
PROTOCOLS: dict[str, Protocol] = {
    name: make_protocol({"name": name, **settings})
    for name, settings in tomllib.loads(_FILE.read_text(encoding="utf-8")).items()
}


def narrow_settings(stored: Json, task: str) -> Json:
    """Narrow stored settings to those of a task: version 0.1 stored them for all tasks at once."""
    if "extractors" not in stored:
        return stored
    of_all = ("extractors", "extensions", "stop")
    return {name: value for name, value in stored.items() if name not in of_all} | {
        "extractor": stored["extractors"].get(task, ""),
        "extension": task in stored.get("extensions", ()),
        "stop": stored.get("stop", {}).get(task, []),
    }


def find_protocol(
    name: str,
    *,
    trials: int | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    permute: int | None = None,
    **others: int | None,
) -> Protocol:
    """Look a protocol up; what deviates from its own settings marks it modified.

    Further trials go on from the last seed; permutations of the options make as many trials.
    `others` are `concurrency` and `limit`. Raises CyberSecQwenError for an unknown name, and for
    what no server can be asked.
    """
    if name not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise CyberSecQwenError(f"unknown protocol {name!r}", tip=f"known are {known}")
    protocol = PROTOCOLS[name]
    if permute:
        if trials not in (None, permute):
            raise CyberSecQwenError(
                f"{trials} trials and {permute} permutations",
                tip="each permutation is a trial: leave --trials out",
            )
        seeds = _seeds(protocol, permute)
        protocol = _changed(protocol, permute=permute, permutations=permute, seeds=seeds)
    elif trials is not None and trials != len(protocol.seeds):
        protocol = _changed(protocol, trials=trials, seeds=_seeds(protocol, trials))
    if temperature is not None and not math.isfinite(temperature):
        raise CyberSecQwenError(f"a temperature of {temperature}", tip="give a number, as 0.3")
    given = {"temperature": temperature, "max_tokens": max_tokens, **others}
    for setting, value in given.items():
        if value is not None and value != getattr(protocol, setting):
            protocol = _changed(protocol, **{setting: value})
    return protocol


def _seeds(protocol: Protocol, trials: int) -> tuple[int, ...]:
    return tuple(protocol.seeds[0] + i for i in range(trials))


def _changed(protocol: Protocol, **settings: Any) -> Protocol:
    """Set what is a setting, and name the first of those given as the deviation."""
    said = next(f"{name.replace('_', '-')}={value}" for name, value in settings.items())
    names = {field.name for field in fields(protocol)}
    changes = {name: value for name, value in settings.items() if name in names}
    return replace(protocol, **changes, modified=(*protocol.modified, said))
