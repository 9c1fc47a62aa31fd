"""Spreads of one score against scipy, statsmodels, a naive loop, and simulations of known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint

from cybersecqwen.benchmark.statistics import (
    Interval,
    bootstrap,
    estimate,
    interval,
    mean,
    paired_bootstrap,
    spread,
    trial_values,
    wilson,
)

Floats = NDArray[np.float64]
Ratio = tuple[Floats, Floats]


def over_all(numerator: Floats) -> Ratio:
    return numerator, np.ones_like(numerator)


def right_or_wrong(items: int, trials: int, seed: int = 1) -> Ratio:
    """Draw items of unlike difficulty, answered anew in each trial."""
    source = np.random.default_rng(seed)
    hard = source.beta(0.5, 0.5, size=(items, 1))
    return over_all((source.random((items, trials)) < hard).astype(np.float64))


def deviations(items: int, trials: int, seed: int = 1) -> Ratio:
    """Draw a deviation for those three in four answers that can be read."""
    source = np.random.default_rng(seed)
    read = (source.random((items, trials)) < 0.75).astype(np.float64)
    return read * source.exponential(1.5, size=(items, trials)), read


def naively(*ratios: Ratio, samples: int, trials: bool = True) -> Floats:
    """Draw items and trials one by one: the last score taken off the first where there are two."""
    source = np.random.default_rng(99)
    found = []
    for _ in range(samples):
        items = source.integers(len(ratios[0][0]), size=len(ratios[0][0]))
        scores = []
        for numerator, denominator in ratios:
            n = numerator.shape[1]
            chosen = source.integers(n, size=n) if trials else np.arange(n)
            values = [numerator[items, t].sum() / denominator[items, t].sum() for t in chosen]
            scores.append(math.fsum(values) / n)
        found.append(scores[0] - (scores[1] if len(scores) > 1 else 0.0))
    return np.array(found)


def assert_same_distribution(found: Floats, reference: Floats) -> None:
    """Compare by Kolmogorov and Smirnov; a jitter far below one item makes ties harmless."""
    jitter = np.random.default_rng(5).normal(0, 1e-6, size=(2, max(len(found), len(reference))))
    one, other = found + jitter[0, : len(found)], reference + jitter[1, : len(reference)]
    assert scipy.stats.ks_2samp(one, other).pvalue > 0.001
    assert found.std() == pytest.approx(reference.std(), rel=0.06)


def test_the_values_of_trials_and_their_spread_by_hand() -> None:
    numerator = np.array([[1.0, 0.0], [2.0, 4.0], [0.0, 1.0]])
    denominator = np.array([[1.0, 2.0], [2.0, 4.0], [1.0, 4.0]])
    assert trial_values(numerator, denominator) == [0.75, 0.5]
    found = estimate(numerator, denominator, ddof=1, samples=200)
    assert found.mean == 0.625
    assert found.trial_std == pytest.approx(0.125 * math.sqrt(2))
    assert estimate(numerator, denominator, ddof=0, samples=200).trial_std == 0.125
    one = estimate(numerator[:, :1], denominator[:, :1], ddof=1, samples=200)
    assert one.trial_std is None
    assert (mean([1.0, 2.0]), spread([1.0], ddof=1), spread([1.0], ddof=0)) == (1.5, None, 0.0)


def test_the_score_of_all_right_has_no_spread() -> None:
    found = estimate(*over_all(np.ones((7, 3))), ddof=1, samples=50)
    assert found.trial_std == 0.0
    assert found.interval == found.item_interval == Interval(1.0, 1.0)


def test_trials_without_a_denominator_are_left_out_and_a_score_without_any_is_nan() -> None:
    read = np.array([[1.0, 0.0], [1.0, 0.0]])
    found = estimate(np.array([[3.0, 0.0], [1.0, 0.0]]), read, ddof=1, samples=300)
    assert (found.mean, found.trial_std) == (2.0, None)
    assert found.interval == Interval(1.0, 3.0)
    nothing = estimate(np.zeros((2, 2)), np.zeros((2, 2)), ddof=1)
    assert math.isnan(nothing.mean)
    assert all(map(math.isnan, (*nothing.interval, *nothing.item_interval)))


def test_a_draw_without_a_denominator_is_nan_and_left_out_of_the_interval() -> None:
    """One item of three can be read: a draw of three misses it in 8 of 27 cases."""
    read = np.array([[1.0], [0.0], [0.0]])
    drawn = bootstrap(2 * read, read, samples=20_000)
    assert np.isnan(drawn).mean() == pytest.approx(8 / 27, abs=0.01)
    assert interval(drawn) == Interval(2.0, 2.0)


def test_the_interval_is_of_percentiles() -> None:
    draws = np.arange(101.0)
    assert interval(draws) == pytest.approx((2.5, 97.5))
    assert interval(draws[::-1], level=0.8) == pytest.approx((10, 90))


@pytest.mark.parametrize(
    ("numerator", "denominator"),
    [((4, 2), (4, 1)), ((4, 2), (5, 2)), ((4,), (4,)), ((0, 2), (0, 2)), ((4, 0), (4, 0))],
)
def test_tables_that_do_not_fit_or_are_empty_are_refused(
    numerator: tuple[int, ...], denominator: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"do not fit|nothing to draw"):
        bootstrap(np.ones(numerator), np.ones(denominator), samples=5)


@pytest.mark.parametrize("ratio", [right_or_wrong(300, 1), deviations(80, 1)])
def test_one_trial_agrees_with_scipy(ratio: Ratio) -> None:
    numerator, denominator = ratio[0][:, 0], ratio[1][:, 0]
    reference = scipy.stats.bootstrap(
        (numerator, denominator),
        lambda n, d, axis: n.sum(axis=axis) / d.sum(axis=axis),
        paired=True,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(3),
    )
    drawn = bootstrap(*ratio, samples=20_000)
    error = reference.standard_error
    assert interval(drawn) == pytest.approx(tuple(reference.confidence_interval), abs=error / 10)
    assert drawn.std() == pytest.approx(error, rel=0.03)


# The first is counted by the multinomial, the others item by item.
@pytest.mark.parametrize(
    "ratio", [right_or_wrong(100, 2), right_or_wrong(30, 5), deviations(40, 3)]
)
@pytest.mark.parametrize("trials", [True, False])
def test_several_trials_agree_with_a_naive_loop(ratio: Ratio, trials: bool) -> None:
    assert_same_distribution(
        bootstrap(*ratio, samples=20_000, trials=trials),
        naively(ratio, samples=4_000, trials=trials),
    )


@pytest.mark.parametrize("trials", [True, False])
@pytest.mark.parametrize("several", [1, 4])
def test_the_paired_bootstrap_agrees_with_a_naive_loop(several: int, trials: bool) -> None:
    """Both share the difficulty of the items, so unpaired draws would spread wider."""
    first, second = right_or_wrong(60, 3), right_or_wrong(60, several)
    assert_same_distribution(
        paired_bootstrap(first, second, samples=20_000, trials=trials),
        naively(first, second, samples=4_000, trials=trials),
    )


def test_draws_that_take_several_chunks_are_all_there_and_not_the_same() -> None:
    numerator, denominator = deviations(3_000, 2)
    drawn = bootstrap(numerator, denominator, samples=1_001)
    assert drawn.shape == np.unique(drawn).shape == (1_001,)
    exact = numerator.sum(axis=0) / denominator.sum(axis=0)
    assert drawn.mean() == pytest.approx(exact.mean(), abs=4 * drawn.std() / math.sqrt(1_001))


@pytest.mark.parametrize("ratio", [right_or_wrong(400, 2), deviations(50, 2)])
def test_a_seed_gives_the_same_draws_again_and_another_seed_others(ratio: Ratio) -> None:
    draws = [bootstrap(*ratio, samples=100, seed=seed) for seed in (4, 4, 5)]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def covered(sway: float, *, trials: int) -> tuple[float, float]:
    """Return how often the two intervals hold the true 0.5, over items and over items alone."""
    source = np.random.default_rng(11)
    hits = np.zeros(2)
    for run in range(300):
        share = source.beta(0.5, 0.5, size=(150, 1)) + source.normal(0, sway, size=trials)
        table = over_all((source.random((150, trials)) < share).astype(np.float64))
        found = estimate(*table, ddof=1, samples=400, seed=run)
        hits += [low <= 0.5 <= high for low, high in (found.interval, found.item_interval)]
    both, items = hits / 300
    return both, items


def test_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    both, items = covered(0.0, trials=1)
    assert both == items == pytest.approx(0.95, abs=0.035)
    both, items = covered(0.0, trials=5)
    assert both >= 0.93  # too wide here rather than too narrow
    assert items == pytest.approx(0.95, abs=0.035)


def test_only_the_interval_over_trials_too_sees_what_sways_a_whole_trial() -> None:
    both, items = covered(0.15, trials=6)
    assert both > 0.87
    assert items < 0.75


def test_the_interval_of_wilson_agrees_with_statsmodels() -> None:
    for right, n in [(0, 5), (5, 5), (1, 3), (763, 1_000), (1_467, 2_500), (1, 100_000)]:
        reference = proportion_confint(right, n, method="wilson")
        assert wilson(right / n, n) == pytest.approx(reference, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.integers(0, 1), min_size=2, max_size=12), st.integers(1, 3), st.integers(0, 99))
def test_draws_lie_where_the_score_can(marks: list[int], trials: int, seed: int) -> None:
    numerator = np.array([marks] * trials, dtype=np.float64).T
    drawn = bootstrap(*over_all(numerator), samples=20, seed=seed)
    assert np.allclose(drawn * len(marks), np.round(drawn * len(marks)))
    assert min(marks) <= drawn.min() <= drawn.max() <= max(marks)
