"""Compare ways to make the embedded classifier, on held-out texts and on later records.

    python benchmarks/selection.py --records FILE --benchmark FOLDER --cwe FILE [VARIANT …]

Every variant is trained on the records before 2025 that are neither contaminated nor held out,
and asked about held-out texts of that time and about all records from 2025 on. Prints one
Markdown row per variant: first candidate right, among five, first candidate in the label set.
The benchmark's items are used to leave their like out and for nothing else.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cybersecqwen.benchmark.tasks import read_benchmark
from cybersecqwen.config import Contamination
from cybersecqwen.contamination import BenchmarkIndex
from cybersecqwen.embedded.quantisation import Quantised
from cybersecqwen.embedded.tokenizer import words
from cybersecqwen.embedded_build.build import labelled_records
from cybersecqwen.embedded_build.calibration import log_softmax
from cybersecqwen.embedded_build.classifier_training import (
    Features,
    Hyperparameters,
    Labelled,
    Model,
    train,
)
from cybersecqwen.sources.cwe import read_catalogue

SPLIT = "2025-01-01"
HELD_OUT = 80  # groups of texts, of 1,000
NEVER = 10**9
Scores = Callable[[list[str]], np.ndarray]
Fitted = tuple[np.ndarray, Scores]  # class names, and texts -> (texts, classes)
Variant = Callable[[list[Labelled], Any], Fitted]


def characters(text: str, shortest: int = 3, longest: int = 5) -> list[str]:
    padded = [f" {word} " for word in words(text)]
    return [
        word[i : i + n]
        for word in padded
        for n in range(shortest, longest + 1)
        for i in range(len(word) - n + 1)
    ]


def of_model(model: Model, cut: Callable[[str], list[str]] = words) -> Fitted:
    def scores(texts: list[str]) -> np.ndarray:
        return log_softmax(model.logits(Features(model.vocabulary, [cut(t) for t in texts])))

    return np.array(model.classes, object), scores


def with_settings(**changes: Any) -> Variant:
    def fit(training: list[Labelled], _: Any) -> Fitted:
        return of_model(train(training, replace(Hyperparameters(), **changes), log=lambda _: None))

    return fit


def quantised(training: list[Labelled], _: Any) -> Fitted:
    model = train(training, Hyperparameters(), log=lambda _: None)
    rounded = Quantised.of(model.vectors).take(np.arange(len(model.vectors)))
    return of_model(model._replace(vectors=rounded))


def char_ngrams(training: list[Labelled], _: Any) -> Fitted:
    settings = replace(Hyperparameters(), rarest=(20, NEVER, NEVER))
    model = train(training, settings, cut=characters, log=lambda _: None)
    return of_model(model, characters)


def backed_off(training: list[Labelled], catalogue: Any) -> Fitted:
    """Train on the nearest entry of view 1003, NVD's own, where a label is outside of it."""

    def up(cwe: str) -> str:
        seen = cwe
        for _ in range(10):
            entry = catalogue.get(seen)
            if entry is None or "1003" in entry.parents or not entry.parents.get("1000"):
                break
            seen = entry.parents["1000"][0]
        return seen if seen in catalogue and "1003" in catalogue[seen].parents else cwe

    mapped = [
        e._replace(labels=tuple(tuple(map(up, labels)) for labels in e.labels)) for e in training
    ]
    return of_model(train(mapped, Hyperparameters(), log=lambda _: None))


def neighbours(training: list[Labelled], _: Any) -> Fitted:
    """Blend the model with the votes of the 15 nearest training texts."""
    model = train(training, Hyperparameters(), log=lambda _: None)
    number = {name: i for i, name in enumerate(model.classes)}
    kept = [e for e in training if e.first in number]
    labels = np.array([number[e.first] for e in kept])

    def vectors(texts: list[str]) -> np.ndarray:
        identity = model._replace(
            head=np.eye(len(model.bias), dtype=np.float32),
            head_bias=np.zeros(len(model.bias), np.float32),
        )
        hidden = identity.logits(Features.of(model.vocabulary, texts))
        return hidden / np.maximum(np.linalg.norm(hidden, axis=1, keepdims=True), 1e-6)

    base = vectors([e.text for e in kept])

    def scores(texts: list[str]) -> np.ndarray:
        chances = np.exp(log_softmax(model.logits(Features.of(model.vocabulary, texts))))
        for start in range(0, len(texts), 500):
            near = vectors(texts[start : start + 500]) @ base.T
            top = np.argpartition(-near, 15, axis=1)[:, :15]
            weight = np.exp(20 * (np.take_along_axis(near, top, 1) - 1))
            votes = np.zeros((len(near), len(model.classes)))
            np.add.at(votes, (np.arange(len(near))[:, None], labels[top]), weight)
            votes /= votes.sum(1, keepdims=True)
            chances[start : start + 500] = 0.7 * chances[start : start + 500] + 0.3 * votes
        return chances

    return np.array(model.classes, object), scores


def tfidf(training: list[Labelled], _: Any) -> Fitted:
    """Fit scikit-learn's own pipeline: TF-IDF of words and bigrams, one linear model a class."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True),
        SGDClassifier(alpha=1e-6, max_iter=8, tol=None, random_state=42),
    )
    pipeline.fit([e.text for e in training], [e.first for e in training])
    return pipeline.classes_.astype(object), pipeline.decision_function


VARIANTS: dict[str, tuple[str, Variant]] = {
    "shipped": (
        "1-3-grams, 128 numbers a vector, labels of all sources, half as much every 8 years",
        with_settings(),
    ),
    "4-bit": ("the same, vectors rounded to 4 bits, as it ships", quantised),
    "words": ("words alone", with_settings(rarest=(5, NEVER, NEVER))),
    "bigrams": ("words and bigrams", with_settings(rarest=(5, 8, NEVER))),
    "rarer": ("n-grams half as frequent too", with_settings(rarest=(3, 4, 10))),
    "characters": ("character 3-5-grams within words", char_ngrams),
    "linear": ("no rectifier", with_settings(rectified=False)),
    "small": ("32 numbers a vector", with_settings(size=32)),
    "large": ("256 numbers a vector", with_settings(size=256)),
    "3 epochs": ("3 epochs, not 4", with_settings(epochs=3)),
    "less dropout": (
        "dropout 0.1, of features 0.2",
        with_settings(dropout=0.1, feature_dropout=0.2),
    ),
    "more dropout": (
        "dropout 0.5, of features 0.4",
        with_settings(dropout=0.5, feature_dropout=0.4),
    ),
    "slower": ("a rate of 0.2, not 0.4", with_settings(rate=0.2)),
    "recency 4": ("half as much every 4 years", with_settings(half_life=4.0)),
    "no recency": ("records of all years weigh the same", with_settings(half_life=0.0)),
    "first label": (
        "only the label that counts, not those of NVD, CNA and CISA",
        with_settings(all_sources=False),
    ),
    "plain": (
        "only the label that counts, records of all years weigh the same",
        with_settings(all_sources=False, half_life=0.0),
    ),
    "view-1003": ("labels outside view 1003 backed off into it", backed_off),
    "neighbours": ("blended with 15 nearest neighbours", neighbours),
    "tf-idf": ("TF-IDF 1-2-grams, linear SVM (scikit-learn)", tfidf),
}


def measure(fitted: Fitted, records: list[Labelled]) -> str:
    names, scores = fitted
    top = np.argsort(-scores([e.text for e in records]), axis=1, kind="stable")[:, :5]
    ranked = names[top]
    labels = np.array([e.first for e in records], object)
    first = (ranked[:, 0] == labels).mean()
    five = (ranked == labels[:, None]).any(1).mean()
    in_set = np.mean([row[0] in e.every for row, e in zip(ranked, records, strict=True)])
    return f"{first:.4f} | {five:.4f} | {in_set:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=Path, action="append", required=True)
    parser.add_argument("--benchmark", type=Path, required=True)
    parser.add_argument("--cwe", type=Path, required=True)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=", ".join(VARIANTS))
    given = parser.parse_args()
    index = BenchmarkIndex(read_benchmark(given.benchmark), Contamination())
    examples = labelled_records(given.records, index).kept
    catalogue = read_catalogue(given.cwe)
    before = [e for e in examples if e.date < SPLIT]
    after = [e for e in examples if e.date >= SPLIT]
    training = [e for e in before if e.group >= HELD_OUT]
    held_out = [e for e in before if e.group < HELD_OUT]
    print(f"{len(training)} to train, {len(held_out)} held out, {len(after)} from {SPLIT} on\n")
    scores = "first | five | label set"
    print(f"| variant | what | held out: {scores} | later: {scores} | seconds |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in given.variants or VARIANTS:
        what, fit = VARIANTS[name]
        begun = time.perf_counter()
        fitted = fit(training, catalogue)
        seconds = time.perf_counter() - begun
        print(
            f"| {name} | {what} | {measure(fitted, held_out)} | {measure(fitted, after)} "
            f"| {seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
