"""The figures of a build, against a set small enough to count by hand, and scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cybersecqwen.embedded.classifier import CweClassifier, Parameters
from cybersecqwen.embedded.layer import Calibration, Layer
from cybersecqwen.embedded.quantisation import Quantised
from cybersecqwen.embedded.tokenizer import Vocabulary
from cybersecqwen.embedded_build.classifier_training import Labelled
from cybersecqwen.embedded_build.validation import measure

NONE = np.array([], np.int64)
CLASSES = ("CWE-1", "CWE-2", "CWE-3")
CHANCE = 0.8  # what `classifier` gives to the class whose word stands alone in a text


@pytest.fixture(scope="module")
def classifier() -> CweClassifier:
    """Know three words, each the sign of one class, and no calibration."""
    # The class of the word gets one logit, the others 0: e^x / (e^x + 2) is CHANCE.
    logit = math.log(2 * CHANCE / (1 - CHANCE))
    vectors = np.eye(3, 4, dtype=np.float32) * 7
    head = np.eye(4, 3, dtype=np.float32) * logit / 7
    identity = Calibration(1.0, np.array([0, 1], np.float32), np.array([0, 1], np.float32))
    return CweClassifier(
        Parameters(
            Vocabulary(("alpha", "beta", "gamma"), NONE, NONE),
            Quantised.of(vectors),
            np.zeros(4, np.float32),
            Layer(CLASSES, head, np.zeros(3, np.float32), identity),
        )
    )


def example(
    text: str, *, nvd: tuple[str, ...] = (), cna: tuple[str, ...] = (), cisa: tuple[str, ...] = ()
) -> Labelled:
    return Labelled("CVE-2021-1", "2021-01-01", text, (nvd, cna, cisa), 50)


HELD_OUT = [
    example("alpha", nvd=("CWE-1",)),  # right
    example("alpha", cna=("CWE-2",)),  # second of three
    example("beta", nvd=("CWE-2",)),  # right
    example("beta", nvd=("CWE-9",), cna=("CWE-2",)),  # the CNA's; NVD's is no class
    example("gamma", cisa=("CWE-3",)),  # right
    example("alpha", nvd=("CWE-3", "CWE-1")),  # NVD's second; NVD's first is third of three
]


def test_every_figure_is_the_one_counted_by_hand(classifier: CweClassifier) -> None:
    figures = measure(classifier, HELD_OUT, seen={"CWE-1": 5, "CWE-2": 40, "CWE-3": 41})
    assert figures == {
        "records": 6,
        "top1": 0.5,
        "top3": 0.8333,
        "top5": 0.8333,
        "top1_in_label_set": 0.8333,
        # 2 of 4, 2 of 4, 2 of 3, and 0 for the label that is no class.
        "macro_f1": 0.4167,
        "expected_calibration_error": 0.3,
        "coverage_at_90_precision": 0.1667,
        "coverage_at_90_precision_in_label_set": 0.1667,
        "by_source": {
            "nvd": {"records": 4, "top1": 0.5},
            "cna": {"records": 1, "top1": 0.0},
            "cisa-adp": {"records": 1, "top1": 1.0},
        },
        "by_training_records": [
            {"training_records": [0, 0], "classes": 1, "records": 1, "top1": 0.0, "top5": 0.0},
            {"training_records": [1, 5], "classes": 1, "records": 1, "top1": 1.0, "top5": 1.0},
            {"training_records": [30, 41], "classes": 2, "records": 4, "top1": 0.5, "top5": 1.0},
        ],
        "by_class": [
            ["CWE-2", 2, 0.5, 0.5],
            ["CWE-3", 2, 0.5, 1.0],
            ["CWE-1", 1, 1.0, 0.333],
            ["CWE-9", 1, 0.0, None],
        ],
        "reliability": [[1.0, 0.8, 0.5]],
        "abstention": [
            [0.1667, 1.0],
            [0.3333, 0.5],
            [0.5, 0.6667],
            [0.6667, 0.5],
            [0.8333, 0.6],
            [1.0, 0.5],
        ],
    }


def test_macro_f1_and_recall_are_those_of_scikit_learn(classifier: CweClassifier) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(3)
    word = {"CWE-1": "alpha", "CWE-2": "beta", "CWE-3": "gamma"}
    labels = draw.choice((*CLASSES, "CWE-8", "CWE-9"), 400, p=(0.5, 0.2, 0.15, 0.1, 0.05))
    # Two answers of three are right, or as near as a label that is no class allows.
    answers = [
        label if label in word and draw.random() < 0.67 else draw.choice(CLASSES)
        for label in labels
    ]
    held_out = [
        example(word[answer], nvd=(str(label),))
        for answer, label in zip(answers, labels, strict=True)
    ]
    figures = measure(classifier, held_out, seen={})
    present = sorted(set(labels))
    by_class = {name: (recall, precision) for name, _, recall, precision in figures["by_class"]}
    f1 = metrics.f1_score(labels, answers, labels=present, average="macro")
    recall = metrics.recall_score(labels, answers, labels=present, average=None)
    precision = metrics.precision_score(
        labels, answers, labels=present, average=None, zero_division=np.nan
    )
    assert figures["macro_f1"] == pytest.approx(f1, abs=5e-5)
    assert [by_class[name][0] for name in present] == pytest.approx(recall, abs=5e-4)
    assert [by_class[name][1] for name in CLASSES] == pytest.approx(precision[:3], abs=5e-4)
    assert by_class["CWE-8"][1] is None
    assert [count for _, count, *_ in figures["by_class"]] == sorted(
        (int((labels == name).sum()) for name in present), reverse=True
    )


def test_what_was_trained_on_falls_into_bands_without_gap_or_overlap(
    classifier: CweClassifier,
) -> None:
    counts = (0, 1, 29, 30, 99, 100, 299, 300, 999, 1000, 50_000)
    seen = {f"CWE-{100 + i}": count for i, count in enumerate(counts)}
    held_out = [example("alpha", nvd=(name,)) for name in seen]
    bands = measure(classifier, held_out, seen=seen)["by_training_records"]
    assert [band["training_records"] for band in bands] == [
        [0, 0],
        [1, 29],
        [30, 99],
        [100, 299],
        [300, 999],
        [1000, 50_000],
    ]
    assert [band["records"] for band in bands] == [1, 2, 2, 2, 2, 2]
