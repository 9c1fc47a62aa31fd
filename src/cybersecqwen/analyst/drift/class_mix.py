"""How far two mixes of classes lie apart, beyond what chance makes of samples of their sizes.

>>> round(divergence(np.array([1, 1]), np.array([2, 2])), 3)
0.0
>>> round(divergence(np.array([3, 0]), np.array([0, 5])), 3)
1.0
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_PERMUTATIONS = 100


class Distance(NamedTuple):
    """How far two samples lie apart, less what a random split shows, and the noise of that."""

    value: float
    noise: float  # standard deviation over random splits


def count(classes: Iterable[str], names: Sequence[str]) -> Counts:
    """Count classes in the order of `names`, which hold them all."""
    place = {name: position for position, name in enumerate(names)}
    return np.bincount([place[one] for one in classes], minlength=len(names)).astype(np.int64)


def divergence(first: npt.NDArray[np.generic], second: npt.NDArray[np.generic]) -> float:
    """Return the Jensen-Shannon divergence of two mixes in bits, 0 to 1 (Lin 1991)."""
    return float(_divergences(np.asarray(first)[None], np.asarray(second)[None])[0])


def _divergences(first: npt.NDArray[np.generic], second: npt.NDArray[np.generic]) -> Floats:
    p, q = (x / x.sum(1, keepdims=True) for x in (first, second))
    middle = (p + q) / 2
    total = np.zeros(len(p))
    for share in (p, q):
        with np.errstate(divide="ignore", invalid="ignore"):
            total += np.where(share > 0, share * np.log2(share / middle), 0.0).sum(1)
    return total / 2


def class_distance(reference: Counts, current: Counts, seed: int = 0) -> Distance:
    """Return the Jensen-Shannon distance of two samples beyond that of random splits of both.

    Two samples of the same mix never look quite alike, the less so the smaller they are. What they
    are apart when their records are shuffled between them is taken off. The distance is the root
    of the divergence: it spreads alike whether it is small or large.
    """
    source = np.random.default_rng(seed)
    pooled = reference + current
    drawn = source.multivariate_hypergeometric(
        pooled, int(current.sum()), size=_PERMUTATIONS, method="marginals"
    )
    by_chance = np.sqrt(np.maximum(_divergences(pooled - drawn, drawn), 0))
    apart = np.sqrt(max(divergence(reference, current), 0.0))
    return Distance(float(apart - by_chance.mean()), float(by_chance.std()))


def moved(
    reference: Counts, current: Counts, names: Sequence[str], most: int = 3
) -> list[tuple[str, float, float]]:
    """List the classes whose shares moved most, each with its share before and now."""
    before, now = reference / reference.sum(), current / current.sum()
    order = np.argsort(-np.abs(now - before), kind="stable")[:most]
    return [(names[i], float(before[i]), float(now[i])) for i in order if now[i] != before[i]]
