"""Turn marks into the numbers of a result: `scores.json`, and what `score --json` prints.

    summary = summarise(scored)
    summary["strict_accuracy"]["mean"], summary["strict_accuracy"]["interval_95"]

Two spreads stand beside each mean and are never mixed up: `std` is the one between trials, the
noise of drawing answers to the same items; `interval_95` is a cluster bootstrap over items and
trials, how far the figure for other items of the same kind may lie; `item_interval_95` is over
items alone.
"""

from __future__ import annotations

import math
from collections import Counter
from string import ascii_uppercase

from cybersecqwen.benchmark.breakdown import answers, permutation_report
from cybersecqwen.benchmark.score import TaskScores
from cybersecqwen.benchmark.statistics import estimate
from cybersecqwen.benchmark.trial import permutation
from cybersecqwen.benchmark.unread import unread_report
from cybersecqwen.files import Json

SAMPLES = 10_000
SEED = 0


def summarise(scored: TaskScores, *, samples: int = SAMPLES, seed: int = SEED) -> Json:
    """Return every metric of a scored task with both spreads, and the counts of each trial."""
    protocol, task = scored.protocol, scored.task
    measured = {
        name: _estimate(scored, name, samples=samples, seed=seed) for name in scored.metrics
    }
    return {
        "task": task.name,
        "protocol": protocol.name,
        "protocol_version": protocol.version,
        "modified": list(protocol.modified),
        "extension": protocol.is_extension(task),
        "extractor": protocol.extractor_of(task),
        "headline": task.headline,
        "items": len(scored.items),
        "of": scored.of or len(scored.items),
        "partial": bool(scored.of),
        "failed": sum(scored.failed),
        "trials": [_trial(scored, trial) for trial in range(len(protocol.seeds))],
        "strict_accuracy": _or_nothing(measured.pop("strict_accuracy")),
        "parseable_rate": measured.pop("parseable_rate"),
        "metrics": measured,
        "unread": unread_report(scored),
        "bootstrap": {"samples": samples, "seed": seed},
    }


def _estimate(scored: TaskScores, metric: str, *, samples: int, seed: int) -> Json:
    estimated = estimate(
        *scored.ratio(metric), ddof=scored.protocol.ddof, samples=samples, seed=seed
    )
    return {
        "mean": _number(estimated.mean),
        "std": estimated.trial_std,
        "interval_95": [_number(bound) for bound in estimated.interval],
        "item_interval_95": [_number(bound) for bound in estimated.item_interval],
        "better": scored.metrics[metric].better,
    }


def _or_nothing(accuracy: Json) -> Json:
    """Return an accuracy of 0 where a protocol drops what cannot be read, and nothing could be."""
    return (
        accuracy
        if accuracy["mean"] is not None
        else accuracy | {"mean": 0.0, "interval_95": [0.0, 0.0]}
    )


def _number(value: float) -> float | None:
    """Return None for what nothing was measured of: JSON has no nan."""
    return None if math.isnan(value) else value


def _trial(scored: TaskScores, trial: int) -> Json:
    counts = {name: int(scored.marks[name][:, trial].sum()) for name in _COUNTS}
    n = counts.pop("asked")
    own = {
        name: _of_trial(scored, name, trial)
        for name in scored.metrics
        if name not in ("strict_accuracy", "parseable_rate")
    }
    return {
        "trial": trial,
        "seed": scored.protocol.seeds[trial],
        "n": n,
        **counts,
        "failed": scored.failed[trial],
        "strict_accuracy": _of_trial(scored, "strict_accuracy", trial) or 0.0,
        "parseable_rate": counts["parseable"] / n,
        **own,
    }


_COUNTS = ("asked", "correct", "parseable")
_SETTINGS = (
    *("task", "protocol", "protocol_version", "modified", "extension", "extractor"),
    *("items", "of", "partial", "failed"),
)


def caveats(items: int, of: int, failed: int, warning: str = "") -> list[str]:
    """Say where much was left unread, a part of the task was asked, or requests failed."""
    said = [f"warning: {warning}"] if warning else []
    said += [f"partial: {items:,} of {of:,} items, not the task's score"] if items < of else []
    return said + ([f"failed requests, counted as wrong: {failed:,}"] if failed else [])


def _of_trial(scored: TaskScores, metric: str, trial: int) -> float | None:
    numerator, denominator = (float(table[:, trial].sum()) for table in scored.ratio(metric))
    return numerator / denominator if denominator else None


def result(scored: TaskScores, summary: Json) -> Json:
    """Return one flat object of the whole: the counts over all trials, each metric's mean.

    `n` counts answers: items times trials. Where a task marks plausible answers, `plausible`
    counts those that are correct or plausible.
    """
    total = {name: int(scored.marks[name].sum()) for name in _COUNTS}
    flat = {name: summary[name] for name in _SETTINGS} | {
        "trials": len(summary["trials"]),
        "n": total["asked"],
        "correct": total["correct"],
        "parseable": total["parseable"],
        "strict_accuracy": summary["strict_accuracy"]["mean"],
        "parseable_rate": summary["parseable_rate"]["mean"],
        "trial_std": summary["strict_accuracy"]["std"],
        "interval_95": summary["strict_accuracy"]["interval_95"],
    }
    if "plausible" in scored.marks:
        flat["plausible"] = int(scored.marks["plausible"].sum())
    flat["unread"] = summary["unread"]
    measured = summary["metrics"]
    flat |= {name: metric["mean"] for name, metric in measured.items()}
    flat["intervals_95"] = {name: metric["interval_95"] for name, metric in measured.items()}
    return flat


def details(scored: TaskScores) -> Json:
    """Report on the texts and, as the task does, on the predictions behind a score.

    It is over the items that every trial asks; {} where there is none.
    """
    kept = [i for i in range(len(scored.items)) if all(row[i] is not None for row in scored.golds)]
    if not kept:
        return {}
    predictions = [[row[i] for row in scored.predictions] for i in kept]
    responses = [[r for row in scored.responses if (r := row[i]) is not None] for i in kept]
    golds = [scored.items[i].gold for i in kept]
    own = (
        {"permutations": _permutations(scored, kept)}
        if scored.protocol.permutations
        else scored.task.details(predictions, golds)
    )
    return {"answers": answers(responses, predictions), **own}


def _permutations(scored: TaskScores, kept: list[int]) -> Json:
    """Map the letters of each trial back to the options, and say how far they agree."""
    trials = range(len(scored.protocol.seeds))
    items = [scored.items[i] for i in kept]
    orders = [[permutation(item, scored.protocol, trial) for trial in trials] for item in items]
    golds = [ascii_uppercase.index(item.gold) for item in items]
    chosen = [
        [_option(scored.predictions[t][i], shown[t]) for t in trials]
        for i, shown in zip(kept, orders, strict=True)
    ]
    stood = [
        [order.index(gold) for order in shown] for gold, shown in zip(golds, orders, strict=True)
    ]
    shown = Counter(ascii_uppercase[place] for places in stood for place in places)
    letter, count = shown.most_common(1)[0]
    constant = {"letter": letter, "accuracy": count / shown.total()}
    return permutation_report(chosen, golds, stood=stood) | {"constant": constant}


def _option(letter: str | None, order: tuple[int, ...]) -> int | None:
    return order[ascii_uppercase.index(letter)] if letter and letter in ascii_uppercase else None
