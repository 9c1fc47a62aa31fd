"""Score stored responses: a pure function from items and raw texts to numbers.

Generation is another program with a file between, so any score can be made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cybersecqwen.benchmark.protocol import Protocol
from cybersecqwen.benchmark.statistics import mean, spread, wilson
from cybersecqwen.benchmark.tasks import TASKS
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.records import Item, Response, Scores


def score_trial(
    protocol: Protocol, items: Sequence[Item], responses: Iterable[Response], *, trial: int
) -> Scores:
    """Score one trial; an unparseable answer is wrong.

    Raises InputError for a response of another trial, a response to no item, two to one, or
    an item without any: what was not asked or not answered is never scored.
    """
    task = items[0].task
    extract = TASKS[task].extractors[protocol.extractors[task]]
    answers = _by_item(items, responses, trial=trial)
    predictions = [(item, extract(answers[item.index])) for item in items]
    return Scores(
        task=task,
        protocol=protocol.name,
        trial=trial,
        n=len(items),
        correct=sum(predicted == item.gold for item, predicted in predictions),
        parseable=sum(predicted is not None for _, predicted in predictions),
    )


def _by_item(items: Sequence[Item], responses: Iterable[Response], *, trial: int) -> dict[int, str]:
    known = {item.index for item in items}
    where = f"{items[0].task}, trial {trial}"
    answers: dict[int, str] = {}
    for response in responses:
        if response.item not in known:
            raise InputError(f"a response to item {response.item}, which is none", where=where)
        if response.trial != trial:
            raise InputError(f"a response of trial {response.trial}", where=where)
        if response.item in answers:
            raise InputError(f"two responses to item {response.item}", where=where)
        answers[response.item] = response.text
    missing = sorted(known - answers.keys())
    if missing:
        raise InputError(
            f"{len(missing)} items have no response, the first is {missing[0]}",
            where=where,
            tip="run the evaluation again, it goes on where it stopped",
        )
    return answers


def trial_row(scores: Scores, *, seed: int) -> Json:
    """Give one trial's scores as a JSON object."""
    return {
        "trial": scores.trial,
        "seed": seed,
        "n": scores.n,
        "correct": scores.correct,
        "parseable": scores.parseable,
        "strict_accuracy": scores.strict_accuracy,
        "parseable_rate": scores.parseable_rate,
    }


def summarise(protocol: Protocol, trials: Sequence[Scores]) -> Json:
    """Put the trials of one task together: mean, spread between trials, item-level interval."""
    accuracy = [t.strict_accuracy for t in trials]
    parseable = [t.parseable_rate for t in trials]
    return {
        "task": trials[0].task,
        "protocol": protocol.name,
        "protocol_version": protocol.version,
        "modified": list(protocol.modified),
        "items": trials[0].n,
        "trials": [trial_row(t, seed=protocol.seeds[t.trial]) for t in trials],
        "strict_accuracy": {
            "mean": mean(accuracy),
            "std": spread(accuracy, ddof=protocol.ddof),
            "item_interval_95": list(wilson(mean(accuracy), trials[0].n)),
        },
        "parseable_rate": {"mean": mean(parseable), "std": spread(parseable, ddof=protocol.ddof)},
    }
