"""A linear layer that makes probabilities of vectors, and calibrated confidences of those.

>>> curve = Calibration(1.0, np.array([0, 1], np.float32), np.array([0, 0.5], np.float32))
>>> layer = Layer(("CWE-79", "CWE-89"), np.eye(2, dtype=np.float32), np.zeros(2, np.float32), curve)
>>> layer.ranked(layer.probabilities(np.array([[0, 9]], np.float32)), top=1)[1]
[(('CWE-89', 0.4999),)]
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cybersecqwen.embedded.quantisation import Floats
from cybersecqwen.embedded.tokenizer import Ints

Ranked = tuple[tuple[str, float], ...]


class Calibration(NamedTuple):
    """The worth of a probability: temperature, then a monotone curve through knots."""

    temperature: float
    knots: Floats  # probabilities, rising
    values: Floats  # the share that was right at them

    def confidence(self, probabilities: Floats) -> Floats:
        """Turn probabilities into confidences; the order of candidates stays."""
        return np.interp(probabilities, self.knots, self.values).astype(np.float32)


class Layer(NamedTuple):
    """A linear layer that makes probabilities of hidden vectors."""

    classes: tuple[str, ...]
    weights: Floats  # (size, classes)
    bias: Floats  # (classes,)
    calibration: Calibration

    def probabilities(self, hidden: Floats) -> Floats:
        """Score vectors, shape (texts, classes), before the calibration's curve."""
        logits = np.maximum(hidden, 0) @ self.weights + self.bias
        logits /= self.calibration.temperature
        logits -= logits.max(1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(1, keepdims=True)
        return logits

    def ranked(self, probabilities: Floats, top: int) -> tuple[Ints, list[Ranked]]:
        """Rank the `top` classes of each text: their columns, and their names with confidences."""
        order = _best(probabilities, min(top, len(self.classes)))
        chosen = along(probabilities, order)
        confidence = self.calibration.confidence(chosen).astype(np.float64).round(4).tolist()
        name = self.classes.__getitem__
        return order, [
            tuple(zip(map(name, columns), shares, strict=True))
            for columns, shares in zip(order.tolist(), confidence, strict=True)
        ]


def along(values: Any, columns: Ints) -> Any:
    """Take some columns of each row, as `np.take_along_axis` does with several times the calls."""
    return values[np.arange(len(values))[:, None], columns]


def _best(scores: Floats, top: int) -> Ints:
    """Order the `top` columns of each row, best first; equal ones by their place."""
    if top == 1:
        first: Ints = scores.argmax(1, keepdims=True)
        return first
    bar = np.partition(scores, -top, axis=1)[:, -top, None]
    # `np.nonzero` finds row and column of each in several times the time.
    order: Ints = np.flatnonzero(scores >= bar) % scores.shape[1]
    if len(order) > top * len(scores):  # several are the last of the best
        order = np.argpartition(-scores, top - 1, axis=1)[:, :top]
        order.sort(axis=1)
    order = order.reshape(-1, top)
    best: Ints = along(order, np.argsort(-along(scores, order), axis=1, kind="stable"))
    return best
