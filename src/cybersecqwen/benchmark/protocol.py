"""Evaluation protocols: prompt, shots, sampling, extractor and spread as one frozen unit.

The same answers score differently under another extractor, so none of these is set alone.
A run names a protocol; what it changes is recorded and shown as "modified".

>>> protocol = PROTOCOLS["model-card"]
>>> protocol.seeds, protocol.temperature, protocol.max_tokens
((42, 43, 44, 45, 46), 0.3, 512)
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cybersecqwen.benchmark.tasks import TASKS
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.records import Item, Request, Sampling


@dataclass(frozen=True)
class Protocol:
    """Everything that is fixed about an evaluation, whatever the model."""

    name: str
    version: int
    source: str
    seeds: tuple[int, ...]  # one per trial
    temperature: float
    top_p: float
    max_tokens: int
    concurrency: int
    base_shots: int  # exemplars for a base model; an instruct model gets none
    extractors: Mapping[str, str]  # by task
    ddof: int  # of the spread between trials
    modified: tuple[str, ...] = ()

    def settings(self) -> dict[str, Any]:
        """Give every setting as JSON-able values, for manifests and reports."""
        return asdict(self)


_MODEL_CARD = Protocol(
    name="model-card",
    version=1,
    source="CyberSecQwen-4B model card, after arXiv:2504.21039 B.3-B.4",
    seeds=(42, 43, 44, 45, 46),
    temperature=0.3,
    top_p=1.0,
    max_tokens=512,
    concurrency=32,
    base_shots=5,
    extractors={"cti-rcm": "last-cwe", "cti-mcq": "cascade"},
    ddof=1,
)
# For a tiny model on a CPU. Its numbers compare with nothing published.
_SMOKE = replace(
    _MODEL_CARD,
    name="smoke",
    source="model-card, cut to one greedy trial of 96 tokens",
    seeds=(42,),
    temperature=0.0,
    max_tokens=96,
)

PROTOCOLS: dict[str, Protocol] = {p.name: p for p in (_MODEL_CARD, _SMOKE)}


def find_protocol(name: str, *, trials: int | None = None) -> Protocol:
    """Look a protocol up; another number of trials than its own marks it modified.

    Further trials go on from the last seed. Raises CyberSecQwenError for an unknown name.
    """
    if name not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise CyberSecQwenError(f"unknown protocol {name!r}", tip=f"known are {known}")
    protocol = PROTOCOLS[name]
    if trials is None or trials == len(protocol.seeds):
        return protocol
    seeds = tuple(protocol.seeds[0] + i for i in range(trials))
    return replace(protocol, seeds=seeds, modified=(*protocol.modified, f"trials={trials}"))


def requests(protocol: Protocol, items: Sequence[Item], *, kind: str, trial: int) -> list[Request]:
    """Write the requests of one trial, in the order of the items.

    An instruct model gets the item's own prompt as the only user message. A base model
    gets exemplars of the same file, drawn anew for every item and trial without the item.
    """
    seed = protocol.seeds[trial]
    task = TASKS[items[0].task]
    sampling = Sampling(
        protocol.temperature,
        protocol.top_p,
        protocol.max_tokens,
        seed,
        stop=task.stop if kind == "base" else (),
    )
    made = []
    for position, item in enumerate(items):
        if kind == "base":
            prompt: tuple[tuple[str, str], ...] | str = few_shot(
                items, position, shots=protocol.base_shots, seed=seed
            )
        else:
            prompt = (("user", item.prompt),)
        made.append(Request(item.index, trial, prompt, sampling))
    return made


def few_shot(items: Sequence[Item], position: int, *, shots: int, seed: int) -> str:
    """Write the raw text that a base model completes with the answer of items[position]."""
    item = items[position]
    task = TASKS[item.task]
    if len(items) <= shots:
        raise CyberSecQwenError(
            f"{item.task} has {len(items)} items, {shots} exemplars and the question need more"
        )
    others = [i for i in range(len(items)) if i != position]
    drawn = random.Random(f"{seed}/{item.task}/{item.index}").sample(others, shots)
    exemplars = [task.shot(items[i], True) for i in drawn]
    return task.preamble + "\n\n".join([*exemplars, task.shot(item, False)])
