"""Write the requests of a protocol: which rows are asked, and in which words.

    rows = trial_items(protocol, items, kind="instruct", trial=0)
    for request in trial_requests(protocol, rows, kind="instruct", trial=0):
        ...

What is asked follows from the protocol, the items and the trial alone, so that stored answers
can be scored again without anything else.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from cybersecqwen.benchmark.protocol import Protocol
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.prompts import (
    BASE_PREAMBLES,
    faith_ate_prompt,
    faith_mcq_prompt,
    faith_rcm_prompt,
    faith_taa_prompt,
    faith_vsp_prompt,
    mcq_prompt,
    mcq_shot,
    rcm_shot,
)
from cybersecqwen.records import Item, Request, Sampling

LETTERS = "ABCD"
_LOOSE = ("cti-rcm", 391)  # the one item that FAITH cleans in a way of its own

_FAITH: dict[str, Callable[[Item], str]] = {
    "cti-mcq": lambda item: faith_mcq_prompt(item.text, item.options),
    "cti-rcm": lambda item: faith_rcm_prompt(item.text, loose=(item.task, item.index) == _LOOSE),
    "cti-rcm-2021": lambda item: faith_rcm_prompt(item.text),
    "cti-vsp": lambda item: faith_vsp_prompt(item.text),
    "cti-taa": lambda item: faith_taa_prompt(item.text),
    "cti-ate": lambda item: faith_ate_prompt(item.text, item.prompt),
}


def protocol_items(protocol: Protocol, items: Sequence[Item]) -> tuple[Item, ...]:
    """Give the items that a protocol asks, in the order of the file.

    Where it asks distinct rows, the first of those with the same text and gold stays.
    """
    if protocol.rows == "all":
        return tuple(items)
    first: dict[tuple[str, str], Item] = {}
    for item in items:
        first.setdefault((item.text, item.gold), item)
    return tuple(first.values())


def trial_items(
    protocol: Protocol, items: Sequence[Item], *, kind: str, trial: int
) -> tuple[Item, ...]:
    """Give the items of one trial as they are asked, with the gold that then holds.

    Options may be permuted; the exemplars of a trial may be left out.
    """
    found = protocol_items(protocol, items)
    if kind == "base" and protocol.exemplars == "per trial, not asked":
        shown = {item.index for item in _trial_exemplars(protocol, found, trial)}
        found = tuple(item for item in found if item.index not in shown)
    if protocol.permutations:
        found = tuple(_permuted(item, protocol, trial) for item in found)
    return found


def trial_requests(
    protocol: Protocol, items: Sequence[Item], *, kind: str, trial: int
) -> list[Request]:
    """Write the requests of one trial, in the order of the rows that are asked.

    An instruct model gets the question as the only user message, after the protocol's system
    message if it has one. A base model gets exemplars of the same file and completes.
    """
    found = trial_items(protocol, items, kind=kind, trial=trial)
    task = items[0].task
    sampling = Sampling(
        protocol.temperature,
        protocol.top_p,
        protocol.max_tokens,
        protocol.seeds[trial],
        stop=protocol.stop.get(task, ()) if kind == "base" else (),
    )
    if kind != "base":
        return [Request(i.index, trial, _chat(protocol, i), sampling) for i in found]
    if not protocol.base_style or (protocol.base_style, _family(task)) not in BASE_PREAMBLES:
        raise CyberSecQwenError(
            f"the protocol {protocol.name!r} has no form for base models in {task}",
            tip="evaluate an instruct model, or choose another protocol or task",
        )
    shown = few_shots(protocol, protocol_items(protocol, items), found, trial=trial)
    return [
        Request(item.index, trial, text, sampling) for item, text in zip(found, shown, strict=True)
    ]


def chat_question(protocol: Protocol, item: Item) -> str:
    """Write the question that a chat model is asked about an item."""
    return item.prompt if protocol.prompt == "item" else _FAITH[item.task](item)


def _chat(protocol: Protocol, item: Item) -> tuple[tuple[str, str], ...]:
    user = ("user", chat_question(protocol, item))
    return (("system", protocol.system), user) if protocol.system else (user,)


def few_shots(
    protocol: Protocol, exemplars: Sequence[Item], found: Sequence[Item], *, trial: int
) -> list[str]:
    """Write the raw texts that a base model completes with the answers to `found`.

    Exemplars come from the protocol's rows; the question itself is never among them.
    """
    if len(exemplars) <= protocol.base_shots + (protocol.exemplars == "per trial"):
        raise CyberSecQwenError(
            f"{exemplars[0].task} has {len(exemplars)} items, {protocol.base_shots} exemplars "
            "and the question need more"
        )
    if protocol.exemplars == "per item":
        drawn = [_item_exemplars(protocol, exemplars, item, trial) for item in found]
    else:
        shared = _trial_exemplars(protocol, exemplars, trial)
        drawn = [
            [e for e in shared if e.index != item.index][: protocol.base_shots] for item in found
        ]
    preamble = BASE_PREAMBLES[protocol.base_style, _family(found[0].task)]
    return [
        preamble
        + "\n\n".join([*(_shot(protocol, e, e.gold) for e in shots), _shot(protocol, item, "")])
        for item, shots in zip(found, drawn, strict=True)
    ]


def _item_exemplars(
    protocol: Protocol, items: Sequence[Item], item: Item, trial: int
) -> list[Item]:
    others = [other for other in items if other.index != item.index]
    source = random.Random(f"{protocol.seeds[trial]}/{item.task}/{item.index}")
    return source.sample(others, protocol.base_shots)


def _trial_exemplars(protocol: Protocol, items: Sequence[Item], trial: int) -> list[Item]:
    """Draw the exemplars of a trial; one more where the question may be among them."""
    spare = protocol.exemplars == "per trial"
    source = random.Random(f"{protocol.seeds[trial]}/{items[0].task}")
    return source.sample(list(items), min(protocol.base_shots + spare, len(items)))


def _shot(protocol: Protocol, item: Item, answer: str) -> str:
    if item.task == "cti-mcq":
        return mcq_shot(item.text, item.options, answer, style=protocol.base_style)
    return rcm_shot(item.text, answer, style=protocol.base_style)


def _family(task: str) -> str:
    return "cti-rcm" if task == "cti-rcm-2021" else task


def permutation(item: Item, protocol: Protocol, trial: int) -> tuple[int, ...]:
    """Give the order in which a trial shows the options, as positions in the file.

    The trials rotate one shuffled order, so that over four of them each option stands at each
    letter once.
    """
    order = list(range(len(item.options)))
    random.Random(f"{protocol.seeds[0]}/{item.task}/{item.index}/options").shuffle(order)
    shift = trial % len(order)
    return tuple(order[shift:] + order[:shift])


def _permuted(item: Item, protocol: Protocol, trial: int) -> Item:
    if not item.options:
        raise CyberSecQwenError(
            f"{item.task} has no options to permute", tip="--permute is for cti-mcq"
        )
    order = permutation(item, protocol, trial)
    options = tuple(item.options[position] for position in order)
    gold = LETTERS[order.index(LETTERS.index(item.gold))]
    # The benchmark's own prompts show an empty cell so.
    prompt = mcq_prompt(item.text, [option or "nan" for option in options])
    return replace(item, options=options, gold=gold, prompt=prompt)
