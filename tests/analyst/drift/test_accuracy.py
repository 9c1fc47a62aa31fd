"""The CUSUM beside a plain one that takes in answer by answer, and answers that are alike."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cybersecqwen.analyst.drift.accuracy import Cusum, alike


def plain_cusum(windows: list[np.ndarray], before: float, after: float, limit: float) -> list[bool]:
    """Page's sum over windows of independent answers, from the likelihood of each answer."""
    total, alarms = 0.0, []
    for answers in windows:
        for right in answers:
            was, now = (before, after) if right else (1 - before, 1 - after)
            total += math.log(now) - math.log(was)
        total = max(total, 0.0)
        alarms.append(total >= limit)
        total = 0.0 if alarms[-1] else total
    return alarms


def test_the_cusum_is_that_of_the_single_answers() -> None:
    source = np.random.default_rng(0)
    shares = [0.8] * 20 + [0.72] * 20
    windows = [source.random(source.integers(20, 200)) < share for share in shares]
    chart = Cusum(before=0.8, drop=0.05, limit=math.log(200))
    alarms = [chart.add(int(answers.sum()), len(answers)) for answers in windows]
    assert alarms == plain_cusum(windows, 0.8, 0.75, math.log(200))
    assert not any(alarms[:20])
    assert any(alarms[20:])


def test_independent_answers_are_not_alike_and_those_of_bulk_months_are() -> None:
    source = np.random.default_rng(1)
    windows = [(int(source.binomial(500, 0.8)), 500) for _ in range(200)]
    assert alike(windows) < 0.001
    shares = np.clip(source.normal(0.8, 0.05, size=200), 0, 1)
    bulk = [(int(source.binomial(500, share)), 500) for share in shares]
    assert alike(bulk) == pytest.approx(0.05**2 / (0.8 * 0.2), rel=0.25)
    assert alike([(5, 10)]) == alike([(10, 10), (20, 20)]) == 0.0


def test_answers_that_are_alike_count_less() -> None:
    charts = [Cusum(before=0.8, drop=0.05, limit=5, alike=rho) for rho in (0, 0.01)]
    for chart in charts:
        chart.add(150, 201)
    assert charts[1].sum == pytest.approx(charts[0].sum / 3)


@pytest.mark.parametrize("before", [0.0, 0.01, 1.0])
def test_a_share_at_the_edge_can_still_be_summed(before: float) -> None:
    chart = Cusum(before=before, drop=0.05, limit=5)
    chart.add(0, 10)
    assert math.isfinite(chart.sum)
