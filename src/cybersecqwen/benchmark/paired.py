"""Compare two models on the same items, and say what the comparison could have shown.

    comparison = compare(first.ratio("strict_accuracy"), second.ratio("strict_accuracy"))
    print(sentence(comparison, first="A", second="B", task="cti-rcm"))

>>> mcnemar_exact(5, 15)
0.04138946533203125
>>> holm([0.01, 0.04, 0.03])
[0.03, 0.06, 0.06]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from cybersecqwen.benchmark.statistics import (
    Interval,
    interval,
    mean,
    paired_bootstrap,
    trial_values,
    wilson,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cybersecqwen.benchmark.statistics import Floats

    Answered = NDArray[np.bool_]  # items x trials

MCNEMAR, BOOTSTRAP, ITEM_BOOTSTRAP = (
    "exact McNemar",
    "paired bootstrap",
    "paired bootstrap over items",
)
_LEVEL = 0.05
_SAME_SHARE = 0.01 + 1e-9  # answered shares that differ by more are no basis for a verdict
_NO_SHARES = ("mad",)  # metrics in units of their own; all others are shares, told in points


@dataclass(frozen=True)
class Comparison:
    """The difference of two scores on the same items, first minus second.

    All figures are over the `items` that both answered, of those `asked`; `answered` are the
    shares of its answers that count in each score. `detectable` is the smallest difference that
    items of this number and kind would show with 80 % power at the 5 % level, before any
    correction; 0 where the items do not differ enough to tell. The discordant counts are of one
    trial each, else None. Without any value of one side, or any item that both answered, all
    figures are nan.
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
    asked: int = 0
    answered: tuple[float, float] = (1.0, 1.0)

    @property
    def withheld(self) -> bool:
        """Tell whether one answered so much more that neither can be called better."""
        return abs(self.answered[0] - self.answered[1]) > _SAME_SHARE

    def detectable_after(self, comparisons: int) -> float:
        """Return the smallest difference found with 80 % power after Holm's correction.

        It is that of the strictest of its levels, the 5 % divided by all comparisons.
        """
        level = minimum_detectable_difference(1.0, alpha=_LEVEL / max(comparisons, 1))
        return self.detectable * level / minimum_detectable_difference(1.0, alpha=_LEVEL)


def compare(
    first: tuple[Floats, Floats],
    second: tuple[Floats, Floats],
    *,
    samples: int = 10_000,
    seed: int = 0,
    trials: bool = True,
    answered: tuple[Answered, Answered] | None = None,
) -> Comparison:
    """Compare two scores, each a numerator and a denominator of items x trials.

    Rows are the same items in the same order; the numbers of trials may differ. One
    right-or-wrong trial each is tested exactly (McNemar 1947); otherwise the p-value comes from
    the paired bootstrap. With several trials that one is conservative, as `bootstrap` says, but
    for `trials=False`, which draws items alone and holds where trials differ by the noise of
    single answers only. Where answers may be left out of a score, `answered` tells which count;
    items that either left out in any trial are then not compared. Raises ValueError where the
    tables do not fit.
    """
    import numpy as np

    if answered:
        both = np.flatnonzero(np.hstack(answered).all(axis=1))
        asked = len(answered[0])
        rows = both if len(both) else np.arange(asked)  # all, to say what each scored by itself
        pair = [(numerator[rows], denominator[rows]) for numerator, denominator in (first, second)]
        compared = compare(pair[0], pair[1], samples=samples, seed=seed, trials=trials)
        shares = float(answered[0].mean()), float(answered[1].mean())
        compared = replace(compared, asked=asked, answered=shares)
        return compared if len(both) else _without_items(compared)
    drawn = paired_bootstrap(first, second, samples=samples, seed=seed, trials=trials)
    kept = drawn[~np.isnan(drawn)]
    scores = [_score(first), _score(second)]
    error = float(kept.std()) if len(kept) else math.nan
    discordant = _discordant(first, second)
    bootstrapped = BOOTSTRAP if trials else ITEM_BOOTSTRAP
    return Comparison(
        first=scores[0],
        second=scores[1],
        difference=scores[0] - scores[1],
        interval=interval(drawn),
        p_value=mcnemar_exact(*discordant) if discordant else _bootstrap_p(kept),
        test=MCNEMAR if discordant else bootstrapped,
        detectable=minimum_detectable_difference(error),
        items=len(first[0]),
        only_first=discordant[0] if discordant else None,
        only_second=discordant[1] if discordant else None,
    )


def _without_items(compared: Comparison) -> Comparison:
    """Return what is left of a comparison where no item was answered by both."""
    nan = math.nan
    unknown = replace(compared, difference=nan, interval=Interval(nan, nan), p_value=nan, items=0)
    return replace(unknown, detectable=0.0, only_first=None, only_second=None)


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
    """Return twice the share of draws on the rarer side of 0, one draw added to each."""
    if not len(drawn):
        return math.nan
    drawn = drawn.round(12)  # a tie counts on both sides, also one that rounding took apart
    below, above = int((drawn <= 0).sum()), int((drawn >= 0).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (len(drawn) + 1))


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Return the two-sided exact p-value of two discordant counts (McNemar 1947, binomial)."""
    n, fewer = only_first + only_second, min(only_first, only_second)
    # Whole numbers of any size: no term is lost, whatever the counts.
    tail = term = 1
    for k in range(fewer):
        term = term * (n - k) // (k + 1)
        tail += term
    return float(min(1.0, 2 * tail / 2**n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for how many there are, step-down (Holm 1979); their order is kept.

    A nan, of a comparison that could not be made, stays one and does not count.
    """
    adjusted = list(p_values)
    order = sorted(
        (i for i, p in enumerate(p_values) if not math.isnan(p)), key=adjusted.__getitem__
    )
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def minimum_detectable_difference(
    standard_error: float, *, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Return the smallest true difference that a two-sided test finds with this power."""
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)) * standard_error


class Unpaired(NamedTuple):
    """The difference of two shares on items that cannot be matched, with its 95 % interval."""

    difference: float
    interval: Interval


def unpaired(share: float, n: int, published: float, published_n: int) -> Unpaired:
    """Compare a share of `n` items with a published one whose items are not at hand.

    Newcombe's hybrid score interval for two independent samples (1998, method 10). Both may
    stand on the same items, which it cannot know: it is mostly wider than a paired one. `n`
    counts items, however many trials each had.
    """
    low, high = wilson(share, n)
    other_low, other_high = wilson(published, published_n)
    difference = share - published
    return Unpaired(
        difference,
        Interval(
            difference - math.hypot(share - low, other_high - published),
            difference + math.hypot(high - share, published - other_low),
        ),
    )


def sentence(
    result: Comparison,
    *,
    first: str,
    second: str,
    task: str,
    metric: str = "strict_accuracy",
    adjusted_p: float | None = None,
    comparisons: int = 1,
) -> str:
    """Say a comparison in one sentence that can be quoted, and what it could have shown.

    `adjusted_p` is the p-value after Holm's correction over so many comparisons; it decides.
    """
    asked = result.asked or result.items
    items = f"the {asked:,} {task} items"
    if math.isnan(result.difference):
        without = [n for n, s in ((first, result.first), (second, result.second)) if math.isnan(s)]
        why = f"no value for {' and '.join(without)}" if without else "no item that both answered"
        return f"{first} and {second} cannot be compared in {metric} on {items}: {why}."
    figures = _figures(result, metric, adjusted_p, comparisons)
    if result.withheld:
        shares = " and ".join(
            f"{name} answered {share:.1%}"
            for name, share in zip((first, second), result.answered, strict=True)
        )
        return (
            f"No verdict in {metric} on {items}, of which {shares}; "
            f"on the {result.items:,} that both answered: {figures}."
        )
    if result.items < asked:
        items = f"the {result.items:,} {task} items that both answered"
    detectable = result.detectable_after(comparisons)
    smallest = _amount(detectable, metric) if detectable > 0 else ""
    if not (result.p_value if adjusted_p is None else adjusted_p) < _LEVEL:
        said = f"{first} and {second} cannot be told apart on {items}"
        if metric != "strict_accuracy":
            said = f"{first} and {second} cannot be told apart in {metric} on {items}"
        power = f"; a difference of {smallest} would have been found four times in five"
    else:
        said = _difference(result, first, second, items, metric)
        power = f"; a difference of {smallest} is found four times in five"
    return f"{said} ({figures}){power if smallest else ''}."


def _difference(result: Comparison, first: str, second: str, items: str, metric: str) -> str:
    size, up = _amount(abs(result.difference), metric), result.difference > 0
    if metric == "strict_accuracy":
        way = "more" if up else "fewer"
        return f"{first} answers {size} {way} of {items} correctly than {second}"
    return (
        f"{first} scores {size} {'higher' if up else 'lower'} than {second} in {metric} on {items}"
    )


def _figures(result: Comparison, metric: str, adjusted_p: float | None, comparisons: int) -> str:
    low, high = result.interval
    bounds = (
        f"{low:+z.3f} to {high:+z.3f}"
        if metric in _NO_SHARES
        else f"{100 * low:+z.1f} to {100 * high:+z.1f} points"
    )
    p = f"p = {result.p_value:.3f}" if result.p_value >= 0.001 else "p < 0.001"
    if adjusted_p is not None and comparisons > 1:
        after = f"{adjusted_p:.3f}" if adjusted_p >= 0.001 else "below 0.001"
        p += f", {after} after Holm over {comparisons} comparisons"
    return (
        f"{result.first:.3f} against {result.second:.3f}; "
        f"95 % interval of the difference {bounds}; {result.test} {p}"
    )


def _amount(value: float, metric: str) -> str:
    return f"{value:.3f}" if metric in _NO_SHARES else f"{100 * value:.1f} points"
