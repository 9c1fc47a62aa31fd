"""Two models on the same items: exact tests against scipy and statsmodels, levels by simulation."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import normal_power
from statsmodels.stats.proportion import confint_proportions_2indep

from cybersecqwen.benchmark.paired import (
    BOOTSTRAP,
    ITEM_BOOTSTRAP,
    MCNEMAR,
    Comparison,
    compare,
    holm,
    mcnemar_exact,
    minimum_detectable_difference,
    sentence,
    unpaired,
)
from cybersecqwen.benchmark.statistics import Interval

Floats = NDArray[np.float64]
Ratio = tuple[Floats, Floats]


def over_all(numerator: Floats) -> Ratio:
    return numerator, np.ones_like(numerator)


def discordant(both: int, only_first: int, only_second: int, neither: int) -> tuple[Ratio, Ratio]:
    """Lay out one right-or-wrong trial of two models by what each has right."""
    counts = (both, only_first, only_second, neither)
    return (
        over_all(np.repeat([1.0, 1.0, 0.0, 0.0], counts)[:, None]),
        over_all(np.repeat([1.0, 0.0, 1.0, 0.0], counts)[:, None]),
    )


# McNemar, Holm, what can be detected, Newcombe


def test_mcnemar_agrees_with_scipy_and_statsmodels_over_a_grid() -> None:
    for first in range(13):
        for second in range(13):
            found = mcnemar_exact(first, second)
            if first + second:
                reference = scipy.stats.binomtest(first, first + second).pvalue
                assert found == pytest.approx(reference, rel=1e-12)
                table = mcnemar([[3, first], [second, 4]], exact=True)
                assert found == pytest.approx(table.pvalue, rel=1e-12)


@pytest.mark.parametrize(("first", "second"), [(2_400, 2_600), (1_000, 3), (9_000, 9_300)])
def test_mcnemar_is_exact_for_thousands(first: int, second: int) -> None:
    reference = scipy.stats.binomtest(first, first + second).pvalue
    assert mcnemar_exact(first, second) == pytest.approx(reference, rel=1e-9)


def test_mcnemar_by_hand() -> None:
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(5, 0) == 2 / 32
    assert mcnemar_exact(1, 4) == 2 * 6 / 32
    assert mcnemar_exact(20_000, 0) == 0.0  # far below the smallest float, no overflow


@pytest.mark.parametrize(
    "values",
    [[0.03], [0.01, 0.04, 0.03], [0.02] * 4, [1.0, 0.0, 0.5], [0.3, 0.2, 0.012, 0.011, 0.01, 0.9]],
)
def test_holm_agrees_with_statsmodels(values: list[float]) -> None:
    assert holm(values) == pytest.approx(multipletests(values, method="holm")[1].tolist())


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_never_helps_and_keeps_the_ranks(values: list[float]) -> None:
    adjusted = holm(values)
    assert all(before <= after <= 1 for before, after in zip(values, adjusted, strict=True))
    by_rank = [after for _, after in sorted(zip(values, adjusted, strict=True))]
    assert by_rank == sorted(by_rank)


def test_holm_leaves_out_what_could_not_be_compared() -> None:
    adjusted = holm([0.02, math.nan, 0.03])
    assert adjusted[::2] == [0.04, 0.04]
    assert math.isnan(adjusted[1])
    assert holm([]) == []


def test_the_detectable_difference_has_the_power_it_says() -> None:
    assert minimum_detectable_difference(1.0) == pytest.approx(1.959964 + 0.841621, abs=1e-6)
    for power, alpha in [(0.8, 0.05), (0.9, 0.01)]:
        size = minimum_detectable_difference(0.5, power=power, alpha=alpha) / 0.5
        assert normal_power(size, 1, alpha) == pytest.approx(power, abs=1e-4)


@pytest.mark.parametrize(
    ("right", "n", "other", "other_n"),
    [(667, 1_000, 640, 1_000), (0, 20, 3, 20), (50, 50, 26, 50), (1_467, 2_500, 1_183, 2_500)],
)
def test_newcombe_agrees_with_statsmodels(right: int, n: int, other: int, other_n: int) -> None:
    found = unpaired(right / n, n, other / other_n, other_n)
    reference = confint_proportions_2indep(right, n, other, other_n, method="newcomb")
    assert found.difference == right / n - other / other_n
    assert found.interval == pytest.approx(reference, abs=1e-12)


# Comparisons


def test_one_trial_of_right_or_wrong_is_tested_exactly() -> None:
    found = compare(*discordant(50, 20, 5, 25))
    assert (found.first, found.second, found.items) == (0.7, 0.55, 100)
    assert found.difference == pytest.approx(0.15)
    assert (found.only_first, found.only_second, found.test) == (20, 5, MCNEMAR)
    assert found.p_value == pytest.approx(scipy.stats.binomtest(5, 25).pvalue)
    assert found.interval.low < 0.15 < found.interval.high


def test_the_error_of_a_paired_difference_is_that_of_the_discordant_items() -> None:
    """The variance of a difference of 1, 0 or -1 is known: (b + c) / n less its square, over n."""
    found = compare(*discordant(500, 120, 80, 300), samples=40_000)
    error = math.sqrt((0.2 - 0.04**2) / 1_000)
    normal = NormalDist()
    size = (normal.inv_cdf(0.975) + normal.inv_cdf(0.8)) * error
    assert found.detectable == pytest.approx(size, rel=0.02)
    half = normal.inv_cdf(0.975) * error
    assert found.interval == pytest.approx((0.04 - half, 0.04 + half), abs=error / 10)


@pytest.mark.parametrize("other", ["three trials", "half marks", "not all asked"])
def test_anything_else_is_tested_by_the_bootstrap(other: str) -> None:
    first, second = discordant(50, 20, 5, 25)
    if other == "three trials":
        first = over_all(np.tile(first[0], 3))
    elif other == "half marks":
        first = over_all(first[0] / 2)
    else:
        first[1][:3] = 0
    found = compare(first, second, samples=500)
    assert (found.test, found.only_first, found.only_second) == (BOOTSTRAP, None, None)
    assert compare(first, second, samples=500, trials=False).test == ITEM_BOOTSTRAP


def test_the_p_value_of_the_bootstrap_counts_the_draws_beyond_0() -> None:
    """Of four items one speaks against: 0 or less is drawn as often as a small sum says."""
    differences = np.array([[1.0], [1.0], [1.0], [-2.0]])
    found = compare(over_all(differences), over_all(np.zeros((4, 1))), samples=40_000)
    # Sums of k times -2 and 4 - k times 1 are 0 or less for k of 2, 3, 4.
    below = sum(math.comb(4, k) * 0.25**k * 0.75 ** (4 - k) for k in (2, 3, 4))
    assert found.p_value == pytest.approx(2 * below, abs=0.015)


def test_a_p_value_of_the_bootstrap_is_never_0_nor_above_1() -> None:
    ahead, behind = over_all(np.full((30, 2), 0.9)), over_all(np.full((30, 2), 0.3))
    assert compare(ahead, behind, samples=999).p_value == 2 / 1_000
    assert compare(ahead, ahead, samples=999).p_value == 1.0


def test_ties_that_rounding_takes_apart_count_on_both_sides() -> None:
    """Summed in binary, 0.1, 0.2 and 0.3 are a little more than three times 0.2."""
    first, second = over_all(np.full((4, 1), 0.2)), over_all(np.tile([0.1, 0.2, 0.3], (4, 1)))
    found = compare(first, second, trials=False, samples=100)
    assert found.interval.high < 0
    assert found.p_value == 1.0


def test_a_side_without_a_value_leaves_nan() -> None:
    nothing, something = (np.zeros((4, 1)), np.zeros((4, 1))), over_all(np.ones((4, 1)))
    found = compare(nothing, something, samples=50)
    assert math.isnan(found.difference)
    assert all(map(math.isnan, (found.p_value, found.detectable, *found.interval)))


@pytest.mark.parametrize(("items", "other"), [(4, 5), (0, 0)])
def test_items_that_do_not_match_or_are_none_are_refused(items: int, other: int) -> None:
    with pytest.raises(ValueError, match="items"):
        compare(over_all(np.ones((items, 1))), over_all(np.ones((other, 1))))


tables = st.integers(2, 8).flatmap(
    lambda items: st.tuples(
        *(
            st.integers(1, 3).flatmap(
                lambda trials: st.lists(
                    st.lists(st.integers(0, 3), min_size=trials, max_size=trials),
                    min_size=items,
                    max_size=items,
                )
            )
            for _ in range(2)
        )
    )
)


@settings(deadline=None)
@given(tables)
def test_swapping_the_models_turns_the_difference_around(
    rows: tuple[list[list[int]], list[list[int]]],
) -> None:
    first, second = (over_all(np.array(table, dtype=np.float64)) for table in rows)
    one = compare(first, second, samples=2_000)
    other = compare(second, first, samples=2_000)
    assert one.difference == -other.difference
    assert (one.only_first, one.only_second) == (other.only_second, other.only_first)
    assert one.detectable == pytest.approx(other.detectable, rel=0.2)
    if one.test == MCNEMAR:
        assert one.p_value == other.p_value
    assert abs(one.p_value - other.p_value) < 0.15


def rejected(trials: int, sway: float, *, draw_trials: bool) -> float:
    """Return how often two models that are the same are told apart at the 5 % level."""
    source = np.random.default_rng(21)
    hits = 0
    for run in range(300):
        hard = source.beta(0.5, 0.5, size=(200, 1))
        first, second = (
            over_all(
                (source.random((200, trials)) < hard + source.normal(0, sway, size=trials)).astype(
                    np.float64
                )
            )
            for _ in range(2)
        )
        found = compare(first, second, samples=400, seed=run, trials=draw_trials)
        hits += found.p_value < 0.05
    return hits / 300


def test_two_equal_models_are_told_apart_no_more_than_in_1_of_20() -> None:
    assert rejected(1, 0.0, draw_trials=True) <= 0.06
    assert rejected(5, 0.0, draw_trials=True) <= 0.03  # conservative, as documented
    assert rejected(5, 0.0, draw_trials=False) == pytest.approx(0.05, abs=0.035)


def test_items_alone_tell_equal_models_apart_where_whole_trials_sway() -> None:
    assert rejected(5, 0.06, draw_trials=True) <= 0.1
    assert rejected(5, 0.06, draw_trials=False) > 0.2


# Sentences

FOUND = Comparison(
    first=0.790,
    second=0.759,
    difference=0.031,
    interval=Interval(0.008, 0.054),
    p_value=0.004,
    test=MCNEMAR,
    detectable=0.0333,
    items=1_000,
    only_first=80,
    only_second=49,
)


def said(found: Comparison, metric: str = "strict_accuracy", **more: float) -> str:
    return sentence(found, first="A", second="B", task="cti-rcm", metric=metric, **more)


def test_a_difference_that_is_found() -> None:
    assert said(FOUND, adjusted_p=0.012, comparisons=3) == (
        "A answers 3.1 points more of the 1,000 cti-rcm items correctly than B (0.790 against "
        "0.759; 95 % interval of the difference +0.8 to +5.4 points; exact McNemar p = 0.004, "
        "0.012 after Holm over 3 comparisons); a difference of 3.8 points is found four times in "
        "five."
    )


def test_a_difference_the_other_way_with_a_small_p_value() -> None:
    turned = replace(FOUND, difference=-0.031, interval=Interval(-0.054, -0.0001), p_value=4e-9)
    found = said(turned)
    assert found.startswith("A answers 3.1 points fewer of the 1,000 cti-rcm items correctly")
    assert "-5.4 to +0.0 points; exact McNemar p < 0.001)" in found
    assert "below 0.001 after Holm over 2" in said(turned, adjusted_p=8e-9, comparisons=2)


def test_the_adjusted_p_value_decides() -> None:
    assert said(FOUND, adjusted_p=0.06, comparisons=15) == (
        "A and B cannot be told apart on the 1,000 cti-rcm items (0.790 against 0.759; 95 % "
        "interval of the difference +0.8 to +5.4 points; exact McNemar p = 0.004, 0.060 after "
        "Holm over 15 comparisons); a difference of 4.5 points would have been found four times "
        "in five."
    )


def test_a_metric_of_its_own_unit_scores() -> None:
    found = replace(
        FOUND,
        first=1.29,
        second=1.31,
        difference=-0.02,
        interval=Interval(-0.03, -0.01),
        test=BOOTSTRAP,
        detectable=0.0142,
    )
    assert said(found, "mad") == (
        "A scores 0.020 lower than B in mad on the 1,000 cti-rcm items (1.290 against 1.310; "
        "95 % interval of the difference -0.030 to -0.010; paired bootstrap p = 0.004); a "
        "difference of 0.014 is found four times in five."
    )
    assert "cannot be told apart in mad on the" in said(replace(found, p_value=0.4), "mad")


def test_any_other_metric_is_told_in_points() -> None:
    assert said(FOUND, "recall").startswith("A scores 3.1 points higher than B in recall on the")


def test_items_that_never_differ_promise_no_power() -> None:
    found = said(compare(*discordant(6, 0, 0, 4)))
    assert found == (
        "A and B cannot be told apart on the 10 cti-rcm items (0.600 against 0.600; 95 % interval "
        "of the difference +0.0 to +0.0 points; exact McNemar p = 1.000)."
    )


def test_a_comparison_with_nothing_says_so() -> None:
    nothing = (np.zeros((4, 1)), np.zeros((4, 1)))
    found = said(compare(over_all(np.ones((4, 1))), nothing, samples=20), "mad")
    assert found == "A and B cannot be compared in mad on the 4 cti-rcm items: no value for B."
    assert said(compare(nothing, nothing, samples=20), "mad").endswith("no value for A and B.")


# Items that a score leaves out


def deviations(n: int, answered: int, size: float) -> tuple[Ratio, NDArray[np.bool_]]:
    """Lay out a model that answers the first items, each off by `size`, and none of the rest."""
    given = (np.arange(n) < answered)[:, None].astype(float)
    spread = 1 + (np.arange(n) % 7 - 3)[:, None] / 10
    return (given * spread * size, given), given > 0


def test_leaving_hard_items_out_wins_nothing() -> None:
    (first, fewer), (second, whole) = deviations(1000, 702, 0.9), deviations(1000, 1000, 1.1)
    found = compare(first, second, samples=200, answered=(fewer, whole))
    assert (found.items, found.asked, found.answered) == (702, 1000, (0.702, 1.0))
    assert found.withheld
    assert found.second == pytest.approx(1.1, abs=0.01)
    said = sentence(found, first="A", second="B", task="cti-vsp", metric="mad", adjusted_p=0.001)
    assert said.startswith(
        "No verdict in mad on the 1,000 cti-vsp items, of which A answered 70.2% and B answered "
        "100.0%; on the 702 that both answered: 0.899 against 1.099;"
    )


def test_models_that_answer_as_much_are_compared_on_what_both_answered() -> None:
    (first, fewer), (second, whole) = deviations(1000, 995, 0.9), deviations(1000, 1000, 1.1)
    found = compare(first, second, samples=200, answered=(fewer, whole))
    assert not found.withheld
    said = sentence(found, first="A", second="B", task="cti-vsp", metric="mad")
    assert "lower than B in mad on the 995 cti-vsp items that both answered" in said


def test_without_a_common_item_nothing_is_compared() -> None:
    ((first, mine), (second, _)) = deviations(10, 5, 0.9), deviations(10, 5, 1.1)
    second = (second[0][::-1], second[1][::-1])
    found = compare(first, second, samples=50, answered=(mine, ~mine))
    assert (found.items, found.first, found.withheld) == (0, pytest.approx(0.81), False)
    said = sentence(found, first="A", second="B", task="cti-vsp", metric="mad")
    assert said.endswith("on the 10 cti-vsp items: no item that both answered.")


@pytest.mark.parametrize("comparisons", [1, 6, 20])
def test_the_detectable_difference_is_found_four_times_in_five_after_the_correction(
    comparisons: int,
) -> None:
    found = compare(*discordant(400, 60, 60, 480), samples=500)
    size = found.detectable_after(comparisons)
    assert size >= found.detectable
    error = found.detectable / minimum_detectable_difference(1.0)
    level = NormalDist().inv_cdf(1 - 0.05 / comparisons / 2)
    assert 1 - NormalDist(size, error).cdf(level * error) == pytest.approx(0.8, abs=1e-6)
