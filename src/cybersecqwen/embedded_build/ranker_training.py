"""Fit the weights by which the knowledge index chooses an option of a question.

    build(Path("cti-bench"))      # a conditional logistic regression over the options

The items are those of cti-mcq at odd positions; the even ones stay unseen, so that an
accuracy on them is one on new questions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cybersecqwen.artifacts import save
from cybersecqwen.benchmark.tasks import read_items
from cybersecqwen.embedded.knowledge import SHIPPED, KnowledgeIndex
from cybersecqwen.embedded.option_ranker import (
    FEATURES,
    RANKER,
    QuestionContext,
    Ranker,
    contrast,
    is_negated,
)
from cybersecqwen.errors import extra
from cybersecqwen.files import Json, sha256_file
from cybersecqwen.records import Item

Floats = NDArray[np.float64]

TASK = "cti-mcq"
RIDGE = 0.001  # penalty on a squared weight, per item


def fit(index: KnowledgeIndex, items: Sequence[Item], *, ridge: float = RIDGE) -> Ranker:
    """Fit the ranker to items with four options each and the letters of their gold."""
    values = np.array([contrast(QuestionContext(index, i.text).features(i.options)) for i in items])
    negated = np.array([is_negated(item.text) for item in items])
    golds = np.array(["ABCD".index(item.gold) for item in items])
    return fit_weights(values, negated, golds, ridge=ridge)


def fit_weights(
    values: Floats, negated: NDArray[np.bool_], golds: NDArray[np.int64], *, ridge: float = RIDGE
) -> Ranker:
    """Fit to the contrasts of the items; `values` has the shape (items, options, FEATURES)."""
    with extra("build"):
        from scipy.optimize import minimize
    scales = values.reshape(-1, values.shape[2]).std(axis=0) + 1e-9
    flags = negated[:, None, None]
    inputs = np.concatenate([np.where(flags, 0, values), np.where(flags, values, 0)], axis=2)
    inputs = inputs / np.tile(scales, 2)

    def loss(weights: Floats) -> tuple[float, Floats]:
        logits = inputs @ weights
        logits -= logits.max(axis=1, keepdims=True)
        chances = np.exp(logits)
        chances /= chances.sum(axis=1, keepdims=True)
        rows = np.arange(len(golds))
        value = -np.log(chances[rows, golds]).mean() + ridge * (weights**2).sum()
        chances[rows, golds] -= 1
        slope = np.einsum("io,iof->f", chances, inputs) / len(golds)
        return float(value), slope + 2 * ridge * weights

    fitted = minimize(loss, np.zeros(inputs.shape[2]), jac=True, method="L-BFGS-B")
    rounded = [round(float(weight), 4) for weight in fitted.x]
    size = values.shape[2]
    return Ranker(
        tuple(rounded[:size]), tuple(rounded[size:]), tuple(round(float(s), 6) for s in scales)
    )


def build(benchmark: Path, *, index: Path = SHIPPED, target: Path = RANKER) -> Json:
    """Fit what ships to the odd items of the benchmark's folder; returns its certificate.

    The file says what it was fitted to; the same index and items give the same bytes.
    """
    items = read_items(benchmark, TASK)[1::2]
    ranker = fit(KnowledgeIndex.load(index), items)
    rows = {
        "features": list(FEATURES),
        **ranker._asdict(),
        "fitted_to": {
            "task": TASK,
            "positions": "odd",
            "items": len(items),
            "ridge": RIDGE,
            "index_sha256": sha256_file(index),
        },
    }
    text = json.dumps(rows, indent=1) + "\n"
    return save(target.parent, target.name, text.encode(), {"fitted_to": rows["fitted_to"]})
