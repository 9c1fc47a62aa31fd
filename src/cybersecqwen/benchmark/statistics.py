"""The spreads of one result: between trials, and over the items that were asked.

A score is a ratio of sums, such as correct over asked, given as two tables of items x trials. A
trial's value is the ratio of its column sums; the score is the mean over trials. A trial whose
denominator is 0, where nothing could be read, has no value and is left out of the mean.

>>> import numpy as np
>>> correct = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
>>> estimate(correct, np.ones((4, 2)), ddof=1).mean
0.5
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_Z95 = 1.959963984540054  # 97.5 % quantile of the standard normal
_CELLS = 1 << 20  # of the counts that are drawn at once: 8 MB
_COST = 8  # a count from the multinomial costs about as much as this many drawn items


class Interval(NamedTuple):
    """The lower and the upper bound."""

    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A score with its spreads, which are of different things.

    `trial_std` is between trials over the same items, None for too few trials. `interval` is
    over items and trials, `item_interval` over items alone with the trials as they are.
    """

    mean: float
    trial_std: float | None
    interval: Interval
    item_interval: Interval


def mean(values: Sequence[float]) -> float:
    """Average at least one value."""
    return math.fsum(values) / len(values)


def spread(values: Sequence[float], *, ddof: int) -> float | None:
    """Return the standard deviation with `ddof` degrees taken off; None for too few values."""
    if len(values) <= ddof:
        return None
    centre = mean(values)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in values) / (len(values) - ddof))


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share of `n` items (Wilson 1927).

    It says how far the score of other items of the same kind may lie, which no number
    of trials over the same items can.
    """
    z2 = _Z95 * _Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def estimate(
    numerator: Floats, denominator: Floats, *, ddof: int, samples: int = 10_000, seed: int = 0
) -> Estimate:
    """Estimate a score with the spread of its trials and its 95 % bootstrap intervals.

    A score whose denominator is 0 in every trial, such as a deviation where nothing could be
    read, is nan. Raises ValueError where the tables differ in shape.
    """
    values = [v for v in trial_values(numerator, denominator) if not math.isnan(v)]
    if not values:
        nothing = Interval(math.nan, math.nan)
        return Estimate(math.nan, None, nothing, nothing)
    both, items = (
        interval(bootstrap(numerator, denominator, samples=samples, seed=seed, trials=trials))
        for trials in (True, False)
    )
    return Estimate(mean(values), spread(values, ddof=ddof), both, items)


def trial_values(numerator: Floats, denominator: Floats) -> list[float]:
    """Return each trial's ratio of sums; nan where its denominator is 0."""
    _check((numerator, denominator))
    sums = zip(numerator.sum(axis=0).tolist(), denominator.sum(axis=0).tolist(), strict=True)
    return [n / d if d else math.nan for n, d in sums]


def interval(draws: Floats, *, level: float = 0.95) -> Interval:
    """Return the percentile interval of bootstrap draws, nan draws left out."""
    import numpy as np

    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return Interval(math.nan, math.nan)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def bootstrap(
    numerator: Floats,
    denominator: Floats,
    *,
    samples: int = 10_000,
    seed: int = 0,
    trials: bool = True,
) -> Floats:
    """Draw the score anew `samples` times, items and trials each with replacement.

    Items are the clusters: one that is drawn brings its answers of every drawn trial. With one
    trial, or without `trials`, this is the bootstrap over items. A trial whose drawn items have
    a denominator of 0 is left out of its draw; a draw without any other is nan.

    Drawing both ways counts the noise of single answers about three times (Owen 2007, "The
    pigeonhole bootstrap"), so it errs on the wide side; over items alone that noise counts
    once, but what sways a whole trial is not seen.
    """
    import numpy as np

    source = np.random.default_rng(seed)
    drawn = [
        _over_trials(sums[0], sums[1], source if trials else None)
        for sums in _resampled((numerator, denominator), samples, source)
    ]
    return np.concatenate(drawn)


def paired_bootstrap(
    first: tuple[Floats, Floats],
    second: tuple[Floats, Floats],
    *,
    samples: int = 10_000,
    seed: int = 0,
    trials: bool = True,
) -> Floats:
    """Draw the difference of two scores anew; the same items for both, trials for each.

    Each score is drawn as in `bootstrap`.
    """
    import numpy as np

    source = np.random.default_rng(seed)
    over = source if trials else None
    drawn = []
    for sums in _resampled((*first, *second), samples, source):
        one = _over_trials(sums[0], sums[1], over)
        drawn.append(one - _over_trials(sums[2], sums[3], over))
    return np.concatenate(drawn)


def _check(tables: Sequence[Floats]) -> None:
    """Raise ValueError unless numerators and denominators in turn fit, with something in them."""
    shapes = [table.shape for table in tables]
    if shapes[::2] != shapes[1::2] or any(len(shape) != 2 for shape in shapes):
        raise ValueError(f"tables of items x trials do not fit: {shapes}")
    if len({items for items, _ in shapes}) > 1:
        raise ValueError(f"{shapes[0][0]} items against {shapes[-1][0]}")


def _resampled(
    tables: Sequence[Floats], samples: int, source: np.random.Generator
) -> Iterator[list[Floats]]:
    """Draw items with replacement and yield the column sums of each table, samples x trials.

    Items with the same values in every table are exchangeable, so what counts is how often each
    distinct row is drawn: 2,500 items with five right-or-wrong answers come down to 32 rows.
    What is drawn at once is bounded.
    """
    import numpy as np

    _check(tables)
    if not all(table.size for table in tables):
        raise ValueError("nothing to draw from: no items or no trials")
    edges = np.cumsum([table.shape[1] for table in tables])[:-1]
    rows, copies = np.unique(np.concatenate(tables, axis=1), axis=0, return_counts=True)
    step = max(1, _CELLS // len(tables[0]))
    for begin in range(0, samples, step):
        counts = _counts(copies, min(step, samples - begin), source)
        yield np.split(counts.astype(np.float64) @ rows, edges, axis=1)


def _counts(
    copies: NDArray[np.int64], samples: int, source: np.random.Generator
) -> NDArray[np.int64]:
    """Draw as many items as there are and count each distinct row, samples x rows.

    The counts are multinomial; with many distinct rows it is quicker to draw the items.
    """
    import numpy as np

    items, rows = int(copies.sum()), len(copies)
    if _COST * rows < items:
        return source.multinomial(items, copies / items, size=samples)
    drawn = np.repeat(np.arange(rows), copies)[source.integers(items, size=(samples, items))]
    drawn += rows * np.arange(samples)[:, None]
    return np.bincount(drawn.ravel(), minlength=samples * rows).reshape(samples, rows)


def _over_trials(
    numerator: Floats, denominator: Floats, source: np.random.Generator | None
) -> Floats:
    """Average each draw over its trials, drawn with replacement where there is a source."""
    import numpy as np

    trials = numerator.shape[1]
    asked = denominator > 0
    weights = asked.astype(np.float64)
    if source is not None:
        weights *= source.multinomial(trials, [1 / trials] * trials, size=len(numerator))
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(asked, numerator / denominator, 0.0)
        drawn: Floats = (weights * values).sum(axis=1) / weights.sum(axis=1)
    return drawn
