"""Honest confidences: the fit, and the figures that judge it."""

from __future__ import annotations

import numpy as np
import pytest

from cybersecqwen.embedded_build.calibration import (
    abstention,
    calibrate,
    coverage_at,
    expected_calibration_error,
    log_softmax,
    reliability,
)


def test_overconfident_scores_become_honest() -> None:
    draw = np.random.default_rng(0)
    true = draw.normal(size=(20_000, 6)) * 1.5
    chances = np.exp(log_softmax(true))
    labels = np.array([draw.choice(6, p=row / row.sum()) for row in chances])
    logits = (true * 4).astype(np.float32)  # four times as sure as it may be
    calibration = calibrate(logits[:10_000], labels[:10_000])
    assert calibration.temperature == pytest.approx(4, rel=0.1)
    shown = np.exp(log_softmax(logits[10_000:] / calibration.temperature))
    right = shown.argmax(1) == labels[10_000:]
    raw = np.exp(log_softmax(logits[10_000:])).max(1)
    assert expected_calibration_error(raw, right) > 0.1
    assert expected_calibration_error(calibration.confidence(shown.max(1)), right) < 0.03


def test_the_curve_keeps_the_order() -> None:
    draw = np.random.default_rng(1)
    calibration = calibrate(
        draw.normal(size=(500, 4)).astype(np.float32), draw.integers(-1, 4, 500)
    )
    confidence = calibration.confidence(np.linspace(0, 1, 1000, dtype=np.float32))
    assert (np.diff(confidence) >= 0).all()
    assert 0 <= confidence[0] <= confidence[-1] <= 1


def test_the_figures_are_those_counted_by_hand() -> None:
    confidence = np.array([0.95, 0.9, 0.4, 0.35])
    right = np.array([True, False, True, False])
    assert reliability(confidence, right, 2) == [
        (0.5, pytest.approx(0.375), 0.5),
        (0.5, pytest.approx(0.925), 0.5),
    ]
    error = expected_calibration_error(confidence, right, bins=2)
    assert error == pytest.approx(0.5 * 0.125 + 0.5 * 0.425)
    assert coverage_at(confidence, right, precision=0.9) == 0.25
    assert coverage_at(confidence, right, precision=0.6) == 0.75
    assert coverage_at(confidence, ~right, precision=0.9) == 0.0
    assert abstention(confidence, right, points=4) == [
        (0.25, 1.0),
        (0.5, 0.5),
        (0.75, pytest.approx(2 / 3)),
        (1.0, 0.5),
    ]
