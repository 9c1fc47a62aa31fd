"""The spreads of one result: between trials, and over the items that were asked.

A score is a ratio of sums, such as correct over asked, given as two tables of items x trials. A
trial's value is the ratio of its column sums; the score is the mean over trials.

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
_CELLS = 1 << 22  # of the counts that are drawn at once


class Interval(NamedTuple):
    """The lower and the upper bound."""

    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A score with its two spreads; `trial_std` is None for too few trials."""

    mean: float
    trial_std: float | None
    interval: Interval


def mean(values: Sequence[float]) -> float:
    """Average at least one value."""
    return math.fsum(values) / len(values)


def spread(values: Sequence[float], *, ddof: int) -> float | None:
    """Give the standard deviation with `ddof` degrees taken off; None for too few values."""
    if len(values) <= ddof:
        return None
    centre = mean(values)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in values) / (len(values) - ddof))


def wilson(share: float, n: int) -> tuple[float, float]:
    """Give the 95 % Wilson interval of a share of `n` items (Wilson 1927).

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
    """Estimate a score with the spread of its trials and the bootstrap interval.

    A score whose denominator is 0 in every trial, such as a deviation where nothing could be
    read, is nan.
    """
    values = [v for v in trial_values(numerator, denominator) if not math.isnan(v)]
    if not values:
        return Estimate(math.nan, None, Interval(math.nan, math.nan))
    drawn = bootstrap(numerator, denominator, samples=samples, seed=seed)
    return Estimate(mean(values), spread(values, ddof=ddof), interval(drawn))


def trial_values(numerator: Floats, denominator: Floats) -> list[float]:
    """Give each trial's ratio of sums; nan where its denominator is 0."""
    sums = zip(numerator.sum(axis=0).tolist(), denominator.sum(axis=0).tolist(), strict=True)
    return [n / d if d else math.nan for n, d in sums]


def interval(draws: Floats, *, level: float = 0.95) -> Interval:
    """Give the percentile interval of bootstrap draws, nan draws left out."""
    import numpy as np

    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return Interval(math.nan, math.nan)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def bootstrap(
    numerator: Floats, denominator: Floats, *, samples: int = 10_000, seed: int = 0
) -> Floats:
    """Draw the score anew `samples` times, items and trials each with replacement.

    Items are the clusters: one that is drawn brings its answers of every drawn trial. With one
    trial this is the bootstrap over items.
    """
    import numpy as np

    source = np.random.default_rng(seed)
    drawn = [
        _over_trials(sums[0], sums[1], source)
        for sums in _resampled((numerator, denominator), samples, source)
    ]
    return np.concatenate(drawn)


def paired_bootstrap(
    first: tuple[Floats, Floats],
    second: tuple[Floats, Floats],
    *,
    samples: int = 10_000,
    seed: int = 0,
) -> Floats:
    """Draw the difference of two scores anew; the same items for both, trials for each."""
    import numpy as np

    source = np.random.default_rng(seed)
    drawn = []
    for sums in _resampled((*first, *second), samples, source):
        one = _over_trials(sums[0], sums[1], source)
        drawn.append(one - _over_trials(sums[2], sums[3], source))
    return np.concatenate(drawn)


def _resampled(
    tables: Sequence[Floats], samples: int, source: np.random.Generator
) -> Iterator[list[Floats]]:
    """Draw items with replacement and give the column sums of each table, samples x trials.

    Items with the same values in every table are exchangeable. So the number of times that each
    of the distinct rows is drawn is multinomial, and 2,500 items with five right-or-wrong
    answers come down to 32 rows. What is drawn at once is bounded.
    """
    import numpy as np

    edges = np.cumsum([table.shape[1] for table in tables])[:-1]
    rows, counts = np.unique(np.concatenate(tables, axis=1), axis=0, return_counts=True)
    items = int(counts.sum())
    step = max(1, _CELLS // len(rows))
    for begin in range(0, samples, step):
        size = min(step, samples - begin)
        drawn = source.multinomial(items, counts / items, size=size)
        yield np.split(drawn.astype(np.float64) @ rows, edges, axis=1)


def _over_trials(numerator: Floats, denominator: Floats, source: np.random.Generator) -> Floats:
    """Average each draw over trials drawn with replacement; trials without items are left out."""
    import numpy as np

    trials = numerator.shape[1]
    weights = source.multinomial(trials, [1 / trials] * trials, size=len(numerator))
    weights = np.where(denominator > 0, weights, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(denominator > 0, numerator / denominator, 0.0)
        drawn: Floats = (weights * values).sum(axis=1) / weights.sum(axis=1)
    return drawn
