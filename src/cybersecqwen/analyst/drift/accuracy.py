"""Whether a share of right answers has fallen: a binomial CUSUM over windows.

>>> chart = Cusum(before=0.8, drop=0.1, limit=3.0)
>>> [chart.add(right, 50) for right in (40, 41, 33, 32, 30)]
[False, False, False, True, True]

A window's log-likelihood ratio says how much better its answers fit a share that is `drop` lower.
The sum of these, never below 0, remembers what single windows are too small to show (Page 1954).
Answers of one window resemble each other, for vendors publish in bulk, so that 500 of them tell
less than 500 independent ones. How much less is estimated from windows of the reference and taken
off as in a survey by clusters, by the design effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_LEAST_SHARE = 0.01  # that the lower share is; a share near 0 has nowhere to fall


class Cusum:
    """Sums up the evidence that the share of right answers is lower than it was.

    With an `alike` of 0, answers are independent and this is the binomial CUSUM. After an alarm
    the sum begins anew.
    """

    def __init__(self, *, before: float, drop: float, limit: float, alike: float = 0.0) -> None:
        self._before, self._drop = before, drop
        self._limit, self._alike = limit, alike
        self.sum = 0.0

    def add(self, right: int, answers: int) -> bool:
        """Take in a window, and tell whether it raises the alarm."""
        ratio = log_likelihood_ratio(right, answers, self._before, self._drop)
        self.sum = max(0.0, self.sum + ratio / (1 + max(answers - 1, 0) * self._alike))
        if self.sum < self._limit:
            return False
        self.sum = 0.0
        return True


def log_likelihood_ratio(right: int, answers: int, before: float, drop: float) -> float:
    """Return how much better the share `before - drop` explains the answers than `before` does."""
    high = min(max(before, 2 * _LEAST_SHARE), 1 - _LEAST_SHARE)
    low = max(high - drop, _LEAST_SHARE)
    wrong = answers - right
    return right * math.log(low / high) + wrong * math.log((1 - low) / (1 - high))


def alike(windows: Sequence[tuple[int, int]]) -> float:
    """Estimate how alike the answers of one window are, from (right, answers) of some windows.

    This is the intraclass correlation by analysis of variance, from 0 for answers that are
    independent to 1; 0 for fewer than two windows.
    """
    windows = [(right, answers) for right, answers in windows if answers]
    total = sum(answers for _, answers in windows)
    if len(windows) < 2 or total <= len(windows):
        return 0.0
    share = sum(right for right, _ in windows) / total
    between = sum(n * (right / n - share) ** 2 for right, n in windows) / (len(windows) - 1)
    within = sum(right * (1 - right / n) for right, n in windows) / (total - len(windows))
    size = (total - sum(n * n for _, n in windows) / total) / (len(windows) - 1)
    spread = between + (size - 1) * within
    return max(0.0, (between - within) / spread) if spread else 0.0
