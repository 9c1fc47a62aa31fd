"""What stands behind a top-1 score: classes, kinship of errors, refusals, positions, lengths.

    details(scored)["hierarchy"]["credit"]

They are taken over the items that every trial asks.
"""

from __future__ import annotations

from collections import Counter

from cybersecqwen.benchmark.breakdown import (
    answers,
    by_class,
    confusion,
    permutation_report,
    positions,
)
from cybersecqwen.benchmark.hierarchy import hierarchy
from cybersecqwen.benchmark.score import TaskScores
from cybersecqwen.benchmark.trial import LETTERS, permutation
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.files import Json


def details(scored: TaskScores) -> Json:
    """Give the reports that a task has, JSON-able; {} where no item is asked in every trial."""
    kept = [i for i in range(len(scored.items)) if all(row[i] is not None for row in scored.golds)]
    if not kept:
        return {}
    predictions = [[row[i] for row in scored.predictions] for i in kept]
    responses = [[r for row in scored.responses if (r := row[i]) is not None] for i in kept]
    golds = [scored.items[i].gold for i in kept]
    found: Json = {"answers": answers(responses, predictions)}
    if scored.task.name in ("cti-rcm", "cti-rcm-2021"):
        found["classes"] = by_class(predictions, golds)
        found["confusion"] = confusion(predictions, golds)
        found["hierarchy"] = hierarchy(predictions, golds, load_catalogue())
    elif scored.protocol.permutations:
        found["permutations"] = _permutations(scored, kept)
    elif scored.task.name == "cti-mcq":
        found["positions"] = positions(predictions, golds)
    return found


def _permutations(scored: TaskScores, kept: list[int]) -> Json:
    """Map the letters of each trial back to the options, and say how far they agree."""
    trials = range(len(scored.protocol.seeds))
    items = [scored.items[i] for i in kept]
    orders = [[permutation(item, scored.protocol, trial) for trial in trials] for item in items]
    golds = [LETTERS.index(item.gold) for item in items]
    chosen = [
        [_option(scored.predictions[t][i], shown[t]) for t in trials]
        for i, shown in zip(kept, orders, strict=True)
    ]
    stood = [
        [order.index(gold) for order in shown] for gold, shown in zip(golds, orders, strict=True)
    ]
    shown = Counter(LETTERS[place] for places in stood for place in places)
    letter, count = shown.most_common(1)[0]
    constant = {"letter": letter, "accuracy": count / shown.total()}
    return permutation_report(chosen, golds, stood=stood) | {"constant": constant}


def _option(letter: str | None, order: tuple[int, ...]) -> int | None:
    return order[LETTERS.index(letter)] if letter and letter in LETTERS else None
