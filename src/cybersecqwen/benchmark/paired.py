"""Compare two models on the same items, and say what the comparison could have shown.

    found = compare(first.ratio("strict_accuracy"), second.ratio("strict_accuracy"))
    print(sentence(found, first="A", second="B", task="cti-rcm"))

>>> mcnemar_exact(5, 15)
0.04138946533203125
>>> holm([0.01, 0.04, 0.03])
[0.03, 0.06, 0.06]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from cybersecqwen.benchmark.statistics import (
    Interval,
    interval,
    mean,
    paired_bootstrap,
    trial_values,
    wilson,
)

if TYPE_CHECKING:
    from cybersecqwen.benchmark.statistics import Floats

MCNEMAR, BOOTSTRAP = "exact McNemar", "paired bootstrap"


@dataclass(frozen=True)
class Comparison:
    """The difference of two scores on the same items, first minus second.

    `detectable` is the smallest difference that items of this number and kind would show with
    80 % power at the 5 % level. The discordant counts are of one trial each, else None.
    """

    first: float
    second: float
    difference: float
    interval: Interval
    p_value: float
    test: str
    detectable: float
    items: int
    only_first: int | None = None
    only_second: int | None = None


def compare(
    first: tuple[Floats, Floats],
    second: tuple[Floats, Floats],
    *,
    samples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare two scores, each a numerator and a denominator of items x trials.

    One right-or-wrong trial each is tested exactly (McNemar 1947); otherwise the p-value comes
    from the paired bootstrap. Raises ValueError where the numbers of items differ.
    """
    import numpy as np

    if len(first[0]) != len(second[0]):
        raise ValueError(f"{len(first[0])} items against {len(second[0])}")
    scores = [_score(first), _score(second)]
    drawn = paired_bootstrap(first, second, samples=samples, seed=seed)
    kept = drawn[~np.isnan(drawn)]
    error = float(kept.std()) if len(kept) else math.nan
    discordant = _discordant(first, second)
    return Comparison(
        first=scores[0],
        second=scores[1],
        difference=scores[0] - scores[1],
        interval=interval(drawn),
        p_value=mcnemar_exact(*discordant) if discordant else _bootstrap_p(kept),
        test=MCNEMAR if discordant else BOOTSTRAP,
        detectable=minimum_detectable_difference(error),
        items=len(first[0]),
        only_first=discordant[0] if discordant else None,
        only_second=discordant[1] if discordant else None,
    )


def _score(ratio: tuple[Floats, Floats]) -> float:
    return mean([v for v in trial_values(*ratio) if not math.isnan(v)] or [math.nan])


def _discordant(
    first: tuple[Floats, Floats], second: tuple[Floats, Floats]
) -> tuple[int, int] | None:
    """Count the items that only one of two models has right; None for anything else."""
    import numpy as np

    one_each = first[0].shape[1] == second[0].shape[1] == 1
    asked = all((denominator == 1).all() for _, denominator in (first, second))
    binary = all(np.isin(numerator, (0, 1)).all() for numerator, _ in (first, second))
    if not (one_each and asked and binary):
        return None
    a, b = first[0][:, 0], second[0][:, 0]
    return int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())


def _bootstrap_p(drawn: Floats) -> float:
    """Give twice the share of draws on the rarer side of 0, one draw added to each."""
    if not len(drawn):
        return math.nan
    below, above = int((drawn <= 0).sum()), int((drawn >= 0).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (len(drawn) + 1))


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Give the two-sided exact p-value of two discordant counts (McNemar 1947, binomial)."""
    n, fewer = only_first + only_second, min(only_first, only_second)
    # Whole numbers of any size: no term is lost, whatever the counts.
    tail = term = 1
    for k in range(fewer):
        term = term * (n - k) // (k + 1)
        tail += term
    return float(min(1.0, 2 * tail / 2**n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for how many there are, step-down (Holm 1979); their order is kept."""
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def minimum_detectable_difference(
    standard_error: float, *, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Give the smallest true difference that a two-sided test finds with this power."""
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)) * standard_error


def unpaired(share: float, n: int, published: float, published_n: int) -> Interval:
    """Give the 95 % interval of a share minus a published one, item by item unknown.

    Newcombe's hybrid score interval for two independent samples (1998, method 10). The items
    are mostly the same, which it cannot know: it is wider than a paired one would be.
    """
    low, high = wilson(share, n)
    other_low, other_high = wilson(published, published_n)
    difference = share - published
    return Interval(
        difference - math.hypot(share - low, other_high - published),
        difference + math.hypot(high - share, published - other_low),
    )


def sentence(
    found: Comparison,
    *,
    first: str,
    second: str,
    task: str,
    metric: str = "strict_accuracy",
    adjusted: float | None = None,
    comparisons: int = 1,
) -> str:
    """Say a comparison in one sentence that can be quoted, and what it could not have shown.

    `adjusted` is the p-value after Holm's correction over so many comparisons.
    """
    decides = found.p_value if adjusted is None else adjusted
    after = (
        f", p {_p(adjusted)} after Holm over {comparisons} comparisons"
        if adjusted is not None and comparisons > 1
        else ""
    )
    scale, unit = (100, " points") if metric in _SHARES else (1, "")
    figures = (
        f"{found.first:.3f} against {found.second:.3f}; 95 % interval of the difference "
        f"{found.interval.low * scale:+.1f} to {found.interval.high * scale:+.1f}{unit}; "
        f"{found.test} p {_p(found.p_value)}{after}"
    )
    smallest = f"{found.detectable * scale:.1f}{unit}"
    if not decides < 0.05:
        return (
            f"{first} and {second} cannot be told apart on the {found.items:,} {task} items "
            f"({figures}); a difference of {smallest} would have been found four times in five."
        )
    size = f"{abs(found.difference) * scale:.1f}{unit}"
    way = "more" if found.difference > 0 else "fewer"
    if metric == "strict_accuracy":
        said = (
            f"{first} answers {size} {way} of the {found.items:,} {task} items correctly than "
            f"{second}"
        )
    else:
        way = "higher" if found.difference > 0 else "lower"
        said = (
            f"{first} scores {size} {way} than {second} in {metric} on the {found.items:,} {task} "
            "items"
        )
    return f"{said} ({figures}); a difference of {smallest} is found four times in five."


_SHARES = (
    "strict_accuracy",
    "parseable_rate",
    "plausible_rate",
    "micro_f1",
    "accuracy_of_parseable",
)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
