"""Measure how often the paired bootstrap finds a difference that is not there.

    .venv/bin/python benchmarks/bootstrap.py

Two models of the same accuracy answer 1,000 items in five trials each. The share of comparisons
with p below 0.05 should be 0.05. Items have difficulties of their own, shared by both models;
`sway` is the standard deviation of what shifts a whole trial, in points.
"""

from __future__ import annotations

import argparse

import numpy as np

from cybersecqwen.benchmark.paired import compare
from cybersecqwen.reports.markdown import table

ITEMS, TRIALS, SAMPLES = 1000, 5, 1000


def answers(source: np.random.Generator, difficulty: np.ndarray, sway: float) -> np.ndarray:
    chance = difficulty[:, None] + source.normal(0, sway / 100, TRIALS)
    return (source.random((ITEMS, TRIALS)) < chance.clip(0, 1)).astype(float)


def is_significant(source: np.random.Generator, sway: float, *, trials: bool, seed: int) -> bool:
    difficulty = source.beta(1.2, 0.8, ITEMS)
    asked = np.ones((ITEMS, TRIALS))
    first, second = ((answers(source, difficulty, sway), asked) for _ in range(2))
    return compare(first, second, samples=SAMPLES, seed=seed, trials=trials).p_value < 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--comparisons", type=int, default=1000)
    n = parser.parse_args().comparisons
    rows = []
    for sway in (0.0, 1.0, 3.0):
        shares = []
        for trials in (True, False):
            source = np.random.default_rng(7)
            shares.append(
                sum(is_significant(source, sway, trials=trials, seed=i) for i in range(n)) / n
            )
        rows.append((f"{sway:g}", *(f"{share:.3f}" for share in shares)))
    print(table(("sway of a trial, points", "items and trials drawn", "items drawn"), rows))


if __name__ == "__main__":
    main()
