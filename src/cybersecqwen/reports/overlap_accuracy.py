"""Accuracy by how much of an item the training corpus holds, beside an untrained control.

    report = overlap_report(answers, control, shares, benchmark)
    print(overlap_text(report))

Items that overlap with a corpus are often the easy ones: boilerplate. So accuracy rises with
overlap for models that never saw the corpus too, and only what a trained model gains beyond
such a control speaks of contamination.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cybersecqwen.benchmark.paired import compare
from cybersecqwen.benchmark.responses import ResponseSet, clustered_by_trial, rescore
from cybersecqwen.benchmark.score import TaskScores
from cybersecqwen.benchmark.statistics import Interval, estimate, interval, paired_bootstrap
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.reports.markdown import document

if TYPE_CHECKING:
    from cybersecqwen.benchmark.statistics import Floats

BINS = ("too short to tell", "none", "up to a quarter", "a quarter to a half", "more than half")
_MANY, _NONE = (4,), (1,)  # the bins whose gains are held against each other


def overlap_report(
    answers: ResponseSet,
    control: ResponseSet | None,
    shares: Sequence[float | None],
    benchmark: Path,
    *,
    corpus: str = "",
) -> Json:
    """Set accuracy beside overlap; `shares` are by item of the task, None for one too short.

    The control's figures are None without a control; `extra` is the gain on overlapping items
    beyond the rest.

    Raises InputError where the control answers another task, or was asked other rows.
    """
    scored = rescore(answers, answers.scoring_protocol(None), benchmark)
    other = None
    if control is not None:
        if control.task != answers.task:
            raise InputError(f"answers {control.task}, not {answers.task}", where=control.where)
        other = rescore(control, control.scoring_protocol(None), benchmark)
        if [i.index for i in other.items] != [i.index for i in scored.items]:
            raise InputError("was asked other rows", where=control.where, tip="one protocol")
    places = [bin_number(shares[item.index]) for item in scored.items]
    sway = any(clustered_by_trial(a, a.scoring_protocol(None)) for a in (answers, control) if a)
    extra, extra_interval = _extra(scored, other, places, trials=sway)
    return {
        "model": answers.name,
        "control": control.name if control else "",
        "task": answers.task,
        "corpus": corpus,
        "bins": [
            _bin(places, number, scored, other, trials=sway) for number in sorted(set(places))
        ],
        "extra": extra,
        "extra_interval_95": extra_interval,
    }


def bin_number(share: float | None) -> int:
    """Place an item in BINS by the share of its n-grams that a corpus holds, None for too short."""
    if share is None:
        return 0
    return 1 if share == 0 else 2 if share <= 0.25 else 3 if share <= 0.5 else 4


def _bin(
    places: Sequence[int],
    number: int,
    scored: TaskScores,
    other: TaskScores | None,
    *,
    trials: bool,
) -> Json:
    ours = _rows(scored, places, (number,))
    score = estimate(*ours, ddof=scored.protocol.ddof)
    against = compare(ours, _rows(other, places, (number,)), trials=trials) if other else None
    return {
        "overlap": BINS[number],
        "items": len(ours[0]),
        "accuracy": score.mean,
        "interval_95": score.interval,
        "control": against and against.second,
        "gain": against and against.difference,
        "gain_interval_95": against and against.interval,
    }


def _extra(
    scored: TaskScores, other: TaskScores | None, places: Sequence[int], *, trials: bool
) -> tuple[float, Interval] | tuple[None, None]:
    """Return the gain on items that overlap by half and more, minus that on items without any."""
    if other is None or not {*_MANY, *_NONE} <= set(places):
        return None, None
    draws, gains = [], []
    for seed, bins in enumerate((_MANY, _NONE)):
        pair = _rows(scored, places, bins), _rows(other, places, bins)
        gains.append(compare(*pair).difference)
        draws.append(paired_bootstrap(*pair, seed=seed, trials=trials))
    return gains[0] - gains[1], interval(draws[0] - draws[1])


def _rows(scored: TaskScores, places: Sequence[int], bins: Sequence[int]) -> tuple[Floats, Floats]:
    kept = [i for i, place in enumerate(places) if place in bins]
    # Over all answers: a bin where none can be read has an accuracy, of 0.
    dropped = "accuracy_of_all" in scored.metrics
    numerator, denominator = scored.ratio("accuracy_of_all" if dropped else "strict_accuracy")
    return numerator[kept], denominator[kept]


def overlap_text(report: Json) -> str:
    """Write the table, and what it says of contamination."""
    return document("reports/overlap_accuracy.md.jinja", report=report).strip()
