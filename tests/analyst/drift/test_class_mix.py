"""Jensen-Shannon divergence by its definition, and what chance does to small samples."""

from __future__ import annotations

import numpy as np
import pytest

from cybersecqwen.analyst.drift.class_mix import class_distance, divergence, moved


def test_the_divergence_is_that_of_its_definition() -> None:
    source = np.random.default_rng(0)
    for _ in range(20):
        p, q = source.dirichlet(np.ones(6), size=2)
        middle = (p + q) / 2
        entropy = [-(x * np.log2(x)).sum() for x in (middle, p, q)]
        assert divergence(p, q) == pytest.approx(entropy[0] - (entropy[1] + entropy[2]) / 2)
        assert divergence(p, q) == pytest.approx(divergence(q, p))


@pytest.mark.parametrize("size", [100, 400, 1600])
def test_samples_of_one_mix_are_no_distance_apart_whatever_their_sizes(size: int) -> None:
    source = np.random.default_rng(size)
    mix = source.dirichlet(np.ones(30))
    distances = [
        class_distance(source.multinomial(5000, mix), source.multinomial(size, mix))
        for _ in range(20)
    ]
    assert abs(np.mean([d.value / d.noise for d in distances])) < 0.7


def test_a_class_that_is_ten_points_more_frequent_stands_out_and_is_named() -> None:
    before, now = np.array([500, 300, 200]), np.array([40, 40, 20])
    distance = class_distance(before, now * 5)
    assert distance.value > 3 * distance.noise
    names = ["CWE-79", "CWE-89", "CWE-20"]
    assert sorted(moved(before, now, names, 2)) == [("CWE-79", 0.5, 0.4), ("CWE-89", 0.3, 0.4)]
