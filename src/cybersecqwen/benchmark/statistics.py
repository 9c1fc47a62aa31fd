"""The two spreads of a result: between trials, and between the items that were asked."""

from __future__ import annotations

import math
from collections.abc import Sequence

_Z95 = 1.959963984540054  # 97.5 % quantile of the standard normal


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
