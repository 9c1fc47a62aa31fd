"""Make confidences honest, and measure how honest they are.

>>> confidence = np.array([0.9, 0.8, 0.6, 0.4])
>>> right = np.array([True, True, False, False])
>>> coverage_at(confidence, right, precision=0.9)
0.5
>>> round(expected_calibration_error(confidence, right), 3)
0.325
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cybersecqwen.embedded.layer import Calibration
from cybersecqwen.errors import extra

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_TOP = 5  # candidates of each text that the curve is fitted to
_KNOTS = 40


def calibrate(logits: Floats, labels: Ints) -> Calibration:
    """Fit a temperature to logits of shape (texts, classes), then a monotone curve.

    `labels` are columns, or -1 where the label is none of the classes. The curve is an isotonic
    regression (Zadrozny and Elkan 2002, 10.1145/775047.775151) over the first five candidates
    of each text, read off at some quantiles.
    """
    with extra("build"):
        from scipy.optimize import minimize_scalar
        from sklearn.isotonic import IsotonicRegression
    known = labels >= 0

    def loss(temperature: float) -> float:
        chances = log_softmax(logits[known] / temperature)
        return -float(chances[np.arange(len(chances)), labels[known]].mean())

    temperature = float(minimize_scalar(loss, bounds=(0.2, 5), method="bounded").x)
    chances = np.exp(log_softmax(logits / temperature))
    top = np.argsort(-chances, axis=1)[:, :_TOP]
    chosen = np.take_along_axis(chances, top, 1).ravel()
    right = (top == labels[:, None]).ravel()
    curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(chosen, right)
    # Knots at equal numbers of first candidates: where decisions fall, the curve is fine.
    knots = np.quantile(chances.max(1), np.linspace(0, 1, _KNOTS))
    middle = (knots[1:] + knots[:-1]) / 2
    knots = np.unique(np.concatenate(([0.0, 0.02, 0.05, 0.1], middle, [1.0]))).astype(np.float32)
    values = curve.predict(knots)
    values[0] = 0.0
    # A flat step would make candidates equal that the model tells apart.
    values = np.maximum.accumulate(values) + 1e-4 * knots
    return Calibration(temperature, knots, np.minimum(values, 0.9999).astype(np.float32))


def log_softmax(logits: Floats) -> Floats:
    """Take log probabilities along the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    logarithms: Floats = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return logarithms


def expected_calibration_error(confidence: Floats, right: Flags, *, bins: int = 15) -> float:
    """Average |accuracy - confidence| over equal-width bins, weighted by their size.

    Source: Guo et al. 2017, arXiv:1706.04599.
    """
    return sum(
        share * abs(accuracy - mean)
        for share, mean, accuracy in reliability(confidence, right, bins)
    )


def reliability(
    confidence: Floats, right: Flags, bins: int = 15
) -> list[tuple[float, float, float]]:
    """List the filled bins: share of the texts, mean confidence, accuracy."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        (float(inside.mean()), float(confidence[inside].mean()), float(right[inside].mean()))
        for inside in (place == number for number in range(bins))
        if inside.any()
    ]


def abstention(confidence: Floats, right: Flags, *, points: int = 100) -> list[tuple[float, float]]:
    """Trace coverage and the accuracy of what is covered, from the surest text to all."""
    accuracy = _accuracy(confidence, right)
    counts = np.unique(np.linspace(1, len(right), points).astype(int))
    return [(float(n / len(right)), float(accuracy[n - 1])) for n in counts]


def coverage_at(confidence: Floats, right: Flags, *, precision: float) -> float:
    """Return the largest share of texts that can be answered at this precision, surest first."""
    accuracy = _accuracy(confidence, right)
    enough = np.flatnonzero(accuracy >= precision)
    return float((enough[-1] + 1) / len(right)) if len(enough) else 0.0


def _accuracy(confidence: Floats, right: Flags) -> npt.NDArray[np.float64]:
    """Return the accuracy of the surest text, of the two surest, and so on to all."""
    right = right[np.argsort(-confidence, kind="stable")]
    return np.cumsum(right) / np.arange(1, len(right) + 1)
