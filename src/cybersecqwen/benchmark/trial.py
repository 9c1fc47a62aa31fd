"""Write the requests of a protocol: which rows are asked, and in which words.

    rows = trial_items(protocol, items, kind="instruct", trial=0)
    for request in trial_requests(protocol, rows, kind="instruct", trial=0):
        ...

What is asked follows from the protocol, the items and the trial alone, so that stored answers
can be scored again without anything else.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from string import ascii_uppercase

from cybersecqwen.benchmark.protocol import Protocol
from cybersecqwen.benchmark.tasks import find_task
from cybersecqwen.benchmark.tasks.task import Shots
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.records import Item, Request, Sampling


def protocol_items(protocol: Protocol, items: Sequence[Item]) -> tuple[Item, ...]:
    """Return the items that a protocol asks, in the order of the file.

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
    """Return the items of one trial as they are asked, with the gold that then holds.

    Options may be permuted; the exemplars of a trial may be left out, and all beyond a limit.
    """
    rows = protocol_items(protocol, items)
    if kind == "base" and protocol.exemplars == "per trial, not asked":
        shown = {item.index for item in _trial_exemplars(protocol, rows, trial)}
        rows = tuple(item for item in rows if item.index not in shown)
    if protocol.limit:
        rows = tuple(item for item in rows if item.index < protocol.limit)
    if protocol.permutations:
        rows = tuple(_permuted(item, protocol, trial) for item in rows)
    return rows


def trial_requests(
    protocol: Protocol, items: Sequence[Item], *, kind: str, trial: int
) -> list[Request]:
    """Write the requests of one trial, in the order of the rows that are asked.

    An instruct model gets the question as the only user message, after the protocol's system
    message if it has one. A base model gets exemplars of the same file and completes.
    """
    rows = trial_items(protocol, items, kind=kind, trial=trial)
    task = find_task(items[0].task)
    if not rows:
        raise CyberSecQwenError("no item is left to ask", where=task.name, tip="raise --limit")
    sampling = Sampling(
        protocol.temperature,
        protocol.top_p,
        protocol.max_tokens,
        protocol.seeds[trial],
        stop=protocol.stop_of(task, kind),
    )
    if kind != "base":
        return [Request(i.index, trial, _chat(protocol, i), sampling) for i in rows]
    if protocol.shots_of(task) is None:
        raise CyberSecQwenError(
            f"the protocol {protocol.name!r} has no form for base models in {task.name}",
            tip="evaluate an instruct model, or choose another protocol or task",
        )
    shown = few_shots(protocol, protocol_items(protocol, items), rows, trial=trial)
    return [
        Request(item.index, trial, text, sampling) for item, text in zip(rows, shown, strict=True)
    ]


def chat_question(protocol: Protocol, item: Item) -> str:
    """Write the question that a chat model is asked about an item."""
    task = find_task(item.task)
    form = protocol.prompt_of(task)
    return item.prompt if form == "item" else task.prompts[form](item)


def _chat(protocol: Protocol, item: Item) -> tuple[tuple[str, str], ...]:
    user = ("user", chat_question(protocol, item))
    return (("system", protocol.system), user) if protocol.system else (user,)


def few_shots(
    protocol: Protocol, exemplars: Sequence[Item], questions: Sequence[Item], *, trial: int
) -> list[str]:
    """Write the raw texts that a base model completes with the answers to `questions`.

    Exemplars come from the protocol's rows; the question itself is never among them.
    """
    if len(exemplars) <= protocol.base_shots + (protocol.exemplars == "per trial"):
        raise CyberSecQwenError(
            f"{exemplars[0].task} has {len(exemplars)} items, {protocol.base_shots} exemplars "
            "and the question need more"
        )
    if protocol.exemplars == "per item":
        drawn = [_item_exemplars(protocol, exemplars, item, trial) for item in questions]
    else:
        shared = _trial_exemplars(protocol, exemplars, trial)
        drawn = [
            [e for e in shared if e.index != item.index][: protocol.base_shots]
            for item in questions
        ]
    form = protocol.shots_of(find_task(questions[0].task))
    if form is None:
        raise ValueError(f"no few-shot form in {questions[0].task}")
    return [_few_shot(form, shots, item) for item, shots in zip(questions, drawn, strict=True)]


def _few_shot(form: Shots, exemplars: Sequence[Item], item: Item) -> str:
    shots = [*(form.write(e, e.gold) for e in exemplars), form.write(item, "")]
    return form.preamble + "\n\n".join(shots)


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


def permutation(item: Item, protocol: Protocol, trial: int) -> tuple[int, ...]:
    """Return the order in which a trial shows the options, as positions in the file.

    The trials rotate one shuffled order, so that over four of them each option stands at each
    letter once.
    """
    order = list(range(len(item.options)))
    random.Random(f"{protocol.seeds[0]}/{item.task}/{item.index}/options").shuffle(order)
    shift = trial % len(order)
    return tuple(order[shift:] + order[:shift])


def _permuted(item: Item, protocol: Protocol, trial: int) -> Item:
    write = find_task(item.task).prompts.get("item")
    if not item.options or write is None:
        raise CyberSecQwenError(
            f"{item.task} has no options to permute", tip="--permute is for multiple choice"
        )
    order = permutation(item, protocol, trial)
    options = tuple(item.options[position] for position in order)
    gold = ascii_uppercase[order.index(ascii_uppercase.index(item.gold))]
    moved = replace(item, options=options, gold=gold)
    return replace(moved, prompt=write(moved))
