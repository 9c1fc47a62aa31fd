"""Measure a CWE classifier on held-out records: accuracy, calibration, abstention, the tail.

    measure(classifier, held_out, seen=Counter(e.first for e in training))["top1"]

The label that counts is the first of NVD's, else of the CNA's, else of CISA's. "In the label set"
takes any label of the record for right, which is what an analyst would accept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from cybersecqwen.embedded.classifier import CweClassifier
from cybersecqwen.embedded_build.calibration import (
    Flags,
    abstention,
    coverage_at,
    expected_calibration_error,
    reliability,
)
from cybersecqwen.embedded_build.classifier_training import Labelled
from cybersecqwen.embedded_build.mapping_examples import may_be_mapped_to
from cybersecqwen.embedded_build.mapping_layer import mapped_by_analyst
from cybersecqwen.files import Json

_TOP = 5
# Classes by how many records the model was trained on: the tail is where a model is weak.
_BANDS = ((0, 0), (1, 29), (30, 99), (100, 299), (300, 999), (1000, 10**9))


def measure(
    classifier: CweClassifier, held_out: Sequence[Labelled], *, seen: Mapping[str, int]
) -> Json:
    """Score held-out records; `seen` counts the training records of each class.

    Shares are from 0 to 1. `by_class` lists label, records, recall and precision.
    """
    names = np.array(classifier.classes, object)
    chances = classifier.probabilities([example.text for example in held_out])
    order = np.argsort(-chances, axis=1, kind="stable")[:, :_TOP]
    confidence = classifier.confidence(np.take_along_axis(chances, order[:, :1], 1))[:, 0]
    ranked = names[order]
    labels = np.array([example.first for example in held_out], object)
    right = ranked[:, 0] == labels
    in_set = np.array(
        [row[0] in example.every for row, example in zip(ranked, held_out, strict=True)]
    )
    return {
        "records": len(held_out),
        "top1": _share(right),
        "top3": _share((ranked[:, :3] == labels[:, None]).any(1)),
        "top5": _share((ranked == labels[:, None]).any(1)),
        "top1_in_label_set": _share(in_set),
        "macro_f1": _macro_f1(ranked[:, 0], labels),
        "expected_calibration_error": round(expected_calibration_error(confidence, right), 4),
        "coverage_at_90_precision": round(coverage_at(confidence, right, precision=0.9), 4),
        "coverage_at_90_precision_in_label_set": round(
            coverage_at(confidence, in_set, precision=0.9), 4
        ),
        "by_source": _by_source(held_out, right),
        "by_training_records": _by_band(ranked, labels, seen),
        "by_class": _by_class(ranked[:, 0], labels),
        "reliability": [[round(x, 4) for x in row] for row in reliability(confidence, right)],
        "abstention": [[round(x, 4) for x in row] for row in abstention(confidence, right)],
    }


def measure_mapping(classifier: CweClassifier, held_out: Sequence[Labelled]) -> Json:
    """Compare how records are mapped with what their examples teach, and with the analysts alone.

    `first` is the share mapped as an analyst chose, or as a label that may be mapped to; `chain`
    takes what follows from the cause too. `advised_against` is the share of all that are mapped
    to a class that MITRE discourages or prohibits.
    """
    answers, confidence = [], []
    for prediction in classifier.predict([e.text for e in held_out], top=1, ranking="mapping"):
        cwe, sure = prediction.ranked[0] if prediction.ranked else ("", 0.0)
        answers.append(cwe)
        confidence.append(sure)
    told = [i for i, example in enumerate(held_out) if example.mapping]
    golds = [dict(held_out[i].mapping) for i in told]
    roots = [max(gold, key=lambda cwe: gold[cwe]) for gold in golds]
    right = np.array([answers[i] == root for i, root in zip(told, roots, strict=True)], bool)
    chain = np.array([answers[i] in gold for i, gold in zip(told, golds, strict=True)], bool)
    analysts = np.array([mapped_by_analyst(held_out[i]) for i in told], bool)
    against = np.array([bool(cwe) and not may_be_mapped_to(cwe) for cwe in answers], bool)
    surest = np.array([confidence[i] for i in told], np.float32)
    return {
        "records": len(told),
        "first": _share(right),
        "chain": _share(chain),
        "expected_calibration_error": round(expected_calibration_error(surest, right), 4),
        "analysts": {
            "records": int(analysts.sum()),
            "first": _share(right[analysts]),
            "chain": _share(chain[analysts]),
        },
        "advised_against": _share(against),
    }


def _share(flags: Flags) -> float:
    return round(float(flags.mean()), 4) if len(flags) else 0.0


def _by_source(held_out: Sequence[Labelled], right: Flags) -> Json:
    sources = np.array([example.source for example in held_out])
    return {
        name: {"records": int((sources == i).sum()), "top1": _share(right[sources == i])}
        for i, name in enumerate(("nvd", "cna", "cisa-adp"))
    }


def _by_band(ranked: np.ndarray, labels: np.ndarray, seen: Mapping[str, int]) -> list[Json]:
    counts = np.array([seen.get(label, 0) for label in labels])
    bands = []
    for low, high in _BANDS:
        inside = (counts >= low) & (counts <= high)
        if inside.any():
            bands.append(
                {
                    "training_records": [low, min(high, int(counts[inside].max()))],
                    "classes": len(set(labels[inside])),
                    "records": int(inside.sum()),
                    "top1": _share((ranked[:, 0] == labels)[inside]),
                    "top5": _share((ranked == labels[:, None]).any(1)[inside]),
                }
            )
    return bands


def _by_class(predicted: np.ndarray, labels: np.ndarray) -> list[list[object]]:
    asked, given = Counter(labels), Counter(predicted)
    hits = Counter(labels[predicted == labels])
    return [
        [
            name,
            count,
            round(hits[name] / count, 3),
            round(hits[name] / given[name], 3) if given[name] else None,
        ]
        for name, count in sorted(asked.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def _macro_f1(predicted: np.ndarray, labels: np.ndarray) -> float:
    asked, given = Counter(labels), Counter(predicted)
    hits = Counter(labels[predicted == labels])
    return round(sum(2 * hits[c] / (asked[c] + given[c]) for c in asked) / len(asked), 4)
