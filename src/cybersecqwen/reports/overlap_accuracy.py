"""Accuracy by how much of an item the training corpus holds, beside an untrained control.

    found = overlap_report(answers, control, shares, benchmark)
    print(overlap_text(found))

Items that overlap with a corpus are often the easy ones: boilerplate. So accuracy rises with
overlap for models that never saw the corpus too, and only what a trained model gains beyond
such a control speaks of contamination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cybersecqwen.benchmark.paired import compare
from cybersecqwen.benchmark.responses import ResponseSet, clustered_by_trial, rescore
from cybersecqwen.benchmark.score import TaskScores
from cybersecqwen.benchmark.statistics import Interval, estimate, interval, paired_bootstrap
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.reports.markdown import table

if TYPE_CHECKING:
    from cybersecqwen.benchmark.statistics import Floats

BINS = ("too short to tell", "none", "up to a quarter", "a quarter to a half", "more than half")
_MANY, _NONE = (4,), (1,)  # the bins whose gains are held against each other


@dataclass(frozen=True)
class Bin:
    """The items of one range of overlap; the control's figures are None without a control."""

    overlap: str
    items: int
    accuracy: float
    interval_95: Interval
    control: float | None = None
    gain: float | None = None
    gain_interval_95: Interval | None = None


@dataclass(frozen=True)
class OverlapReport:
    """A model's accuracy by overlap; `extra` is the gain on overlapping items beyond the rest."""

    model: str
    control: str
    task: str
    corpus: str
    bins: tuple[Bin, ...]
    extra: float | None = None
    extra_interval_95: Interval | None = None

    def to_json(self) -> Json:
        """Return everything as JSON-able values."""
        return asdict(self)


def overlap_report(
    answers: ResponseSet,
    control: ResponseSet | None,
    shares: Sequence[float | None],
    benchmark: Path,
    *,
    corpus: str = "",
) -> OverlapReport:
    """Set accuracy beside overlap; `shares` are by item of the task, None for one too short.

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
    extra = _extra(scored, other, places, trials=sway) if other else None
    return OverlapReport(
        model=answers.name,
        control=control.name if control else "",
        task=answers.task,
        corpus=corpus,
        bins=tuple(
            _of_bin(places, number, scored, other, trials=sway)
            for number in range(5)
            if number in places
        ),
        extra=extra[0] if extra else None,
        extra_interval_95=extra[1] if extra else None,
    )


def bin_number(share: float | None) -> int:
    """Place an item in BINS by the share of its n-grams that a corpus holds, None for too short."""
    if share is None:
        return 0
    return 1 if share == 0 else 2 if share <= 0.25 else 3 if share <= 0.5 else 4


def _of_bin(
    places: Sequence[int],
    number: int,
    scored: TaskScores,
    other: TaskScores | None,
    *,
    trials: bool,
) -> Bin:
    ours = _rows(scored, places, (number,))
    found = estimate(*ours, ddof=scored.protocol.ddof)
    name, items = BINS[number], len(ours[0])
    if other is None:
        return Bin(name, items, found.mean, found.interval)
    theirs = _rows(other, places, (number,))
    against = compare(ours, theirs, trials=trials)
    return Bin(
        name,
        items,
        found.mean,
        found.interval,
        against.second,
        against.difference,
        against.interval,
    )


def _extra(
    scored: TaskScores, other: TaskScores, places: Sequence[int], *, trials: bool
) -> tuple[float, Interval] | None:
    """Return the gain on items that overlap by half and more, minus that on items without any."""
    if not {*_MANY, *_NONE} <= set(places):
        return None
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


def overlap_text(report: OverlapReport) -> str:
    """Render the table, and what it says of contamination."""
    header = ["share of the item's 13-grams in the corpus", "items", report.model, "95 % interval"]
    if report.control:
        header += [f"{report.control} (control)", "gain", "95 % interval of the gain"]
    rows = [_bin_row(found, control=bool(report.control)) for found in report.bins]
    said = [
        f"{report.task} against {report.corpus or 'the corpus'}",
        "",
        table(header, rows, right=range(1, len(header))),
    ]
    verdict = _verdict(report)
    return "\n".join([*said, *(["", verdict] if verdict else [])])


def _bin_row(found: Bin, *, control: bool) -> list[str]:
    row = [
        found.overlap,
        f"{found.items:,}",
        f"{found.accuracy:.3f}",
        f"{found.interval_95.low:.3f} to {found.interval_95.high:.3f}",
    ]
    if control and found.gain_interval_95 is not None:
        low, high = found.gain_interval_95
        row += [f"{found.control:.3f}", f"{found.gain:+.3f}", f"{low:+.3f} to {high:+.3f}"]
    return row


def _verdict(report: OverlapReport) -> str:
    if not report.control:
        return (
            "Without a control this says nothing of contamination: overlapping items are easier "
            "for models that never saw the corpus too."
        )
    if report.extra is None or report.extra_interval_95 is None:
        return "There are no items without overlap, or none with much, to hold the gains against."
    low, high = (100 * bound for bound in report.extra_interval_95)
    figures = f"{100 * report.extra:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}"
    if low > 0:
        return (
            f"{report.model} gains more over {report.control} on items that overlap by more than "
            f"half than on items without overlap ({figures}): overlap helped."
        )
    return (
        f"{report.model} does not gain more over {report.control} on items that overlap by more "
        f"than half than on items without overlap ({figures}): no sign that overlap helped."
    )
