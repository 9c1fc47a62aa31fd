"""The CWE classifier that ships: a description in, CWE ids with calibrated confidence out.

>>> classifier = CweClassifier.load()
>>> [prediction] = classifier.predict(["SQL injection in the id parameter of login.php."], top=2)
>>> prediction.ranked[0][0], prediction.evidence[0].text
('CWE-89', 'SQL injection')

Each word, bigram and trigram has a vector of 4-bit numbers. A text is the sum of its vectors over
the square root of their number; a rectifier and a linear layer make scores of it. How it was
trained is told in `cybersecqwen.embedded_build.classifier_training`.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from cybersecqwen.artifacts import FOLDER, damaged, verified
from cybersecqwen.cwe.rationale import STOP_WORDS
from cybersecqwen.embedded.layer import Calibration, Layer, along
from cybersecqwen.embedded.quantisation import Floats, Quantised, VectorCache
from cybersecqwen.embedded.scope import out_of_scope
from cybersecqwen.embedded.tokenizer import Ints, Tokens, Vocabulary, tokens, words
from cybersecqwen.records import Prediction, Span

ARTIFACT = "cwe-classifier.npz"
FORMAT = 1

_BATCH = 256  # texts at once: their vectors fit into the cache of a processor
_NEAR = 0.35  # of the strongest word: its neighbours from here on belong to the evidence
_MOST = 3  # runs of words shown as evidence
# Classes of the ranking that was not asked for: a label is named, among mappings one is looked for.
_OTHERS = {"mapping": 1, "labels": 10}
_WEIGHED = 20  # classes against which the evidence weighs

Ranking = Literal["labels", "mapping"]


class Parameters(NamedTuple):
    """Everything the classifier knows, as arrays."""

    vocabulary: Vocabulary
    vectors: Quantised
    bias: Floats  # (size,)
    labels: Layer  # what feeds would label a text with
    mapping: Layer | None = None  # what MITRE would map it to

    def to_bytes(self) -> bytes:
        """Write the artifact; the same parameters give the same bytes."""
        facts = {
            "format": FORMAT,
            "classes": self.labels.classes,
            "words": self.vocabulary.words,
            "temperature": self.labels.calibration.temperature,
        }
        mapping: dict[str, Any] = {}
        if self.mapping:
            facts["mapping_classes"] = self.mapping.classes
            facts["mapping_temperature"] = self.mapping.calibration.temperature
            mapping = {
                "mapping": self.mapping.weights.astype(np.float16),
                "mapping_bias": self.mapping.bias,
                "mapping_knots": self.mapping.calibration.knots,
                "mapping_values": self.mapping.calibration.values,
            }
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            facts=np.frombuffer(json.dumps(facts, separators=(",", ":")).encode(), np.uint8),
            bigrams=self.vocabulary.bigrams.astype(np.uint32),
            trigrams=self.vocabulary.trigrams.astype(np.uint32),
            packed=self.vectors.packed,
            scale=self.vectors.scale,
            bias=self.bias,
            head=self.labels.weights.astype(np.float16),
            head_bias=self.labels.bias,
            knots=self.labels.calibration.knots,
            values=self.labels.calibration.values,
            **mapping,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Parameters:
        """Read the artifact back; raises ValueError and its like on other bytes."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            facts = json.loads(arrays["facts"].tobytes())
            if facts["format"] != FORMAT:
                raise ValueError(f"format {facts['format']}, not {FORMAT}")
            return cls(
                Vocabulary(
                    facts["words"],
                    arrays["bigrams"].astype(np.int64),
                    arrays["trigrams"].astype(np.int64),
                ),
                Quantised(arrays["packed"], arrays["scale"]),
                arrays["bias"],
                Layer(
                    tuple(facts["classes"]),
                    arrays["head"].astype(np.float32),
                    arrays["head_bias"],
                    Calibration(facts["temperature"], arrays["knots"], arrays["values"]),
                ),
                _mapping(facts, arrays) if "mapping_classes" in facts else None,
            )


def _mapping(facts: dict[str, Any], arrays: Mapping[str, Any]) -> Layer:
    knots, values = arrays["mapping_knots"], arrays["mapping_values"]
    return Layer(
        tuple(facts["mapping_classes"]),
        arrays["mapping"].astype(np.float32),
        arrays["mapping_bias"],
        Calibration(facts["mapping_temperature"], knots, values),
    )


class _Batch(NamedTuple):
    """The features of some texts: their grid, and the vectors of what is known of it, in order."""

    grid: Ints  # (rows, 3)
    rows: Ints  # (texts,), where the rows of each begin
    known: Ints  # (known features,), where they stand in the grid, read line by line
    vectors: Floats  # (known features, size)
    ends: Ints  # (texts + 1,), of each text's run of known features, 0 first


class CweClassifier:
    """Classify descriptions; made by `load`."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._vectors = VectorCache(parameters.vectors)
        self._labels = parameters.labels
        self._mapping = parameters.mapping or parameters.labels
        self._rows = [np.ascontiguousarray(x.weights.T) for x in (self._labels, self._mapping)]

    @classmethod
    def load(cls, folder: Path | None = None) -> CweClassifier:
        """Load the artifact of a folder, by default the one that ships.

        Raises InputError when it is missing, or not what its certificate says.
        """
        data = verified(folder or FOLDER, ARTIFACT)
        try:
            return cls(Parameters.from_bytes(data))
        except (
            *(ValueError, TypeError, KeyError, EOFError, AttributeError),
            *(zipfile.BadZipFile, zlib.error),
        ) as error:
            raise damaged((folder or FOLDER) / ARTIFACT, str(error)) from error

    @property
    def classes(self) -> tuple[str, ...]:
        """List the CWE ids that can be answered, in the order of the columns."""
        return self._labels.classes

    def confidence(self, probabilities: Floats) -> Floats:
        """Calibrate probabilities, in any shape."""
        return self._labels.calibration.confidence(probabilities)

    def predict(
        self, texts: Sequence[str], *, top: int = 5, ranking: Ranking = "labels"
    ) -> Iterator[Prediction]:
        """Yield what each text is likely to be, in order: the `top` classes, best first.

        "labels" ranks by what feeds would label the text with, "mapping" by what MITRE would map
        it to, which is rarely a class that it advises against. The first 20,000 characters of a
        text are read. The evidence are the words that speak for the first class and against the
        others, strongest first.
        """
        for start in range(0, len(texts), _BATCH):
            yield from self._predict(texts[start : start + _BATCH], top, ranking)

    def probabilities(self, texts: Sequence[str], *, ranking: Ranking = "labels") -> Floats:
        """Score texts, shape (texts, classes), before the calibration's curve; rows sum to 1."""
        layer = self._mapping if ranking == "mapping" else self._labels
        parts = [
            layer.probabilities(self._hidden(self._batch([words(text) for text in chunk])))
            for chunk in (texts[i : i + _BATCH] for i in range(0, len(texts), _BATCH))
        ]
        return np.concatenate(parts)

    def _predict(self, texts: Sequence[str], top: int, ranking: Ranking) -> Iterator[Prediction]:
        read = [tokens(text) for text in texts]
        batch = self._batch([one.words for one in read])
        hidden = self._hidden(batch)
        layers = [self._labels, self._mapping]
        chances = [layer.probabilities(hidden) for layer in layers]
        surest = chances[0].max(1).tolist()
        chosen = int(ranking == "mapping")
        order, ranked = layers[chosen].ranked(chances[chosen], max(top, _WEIGHED))
        _, others = layers[1 - chosen].ranked(chances[1 - chosen], _OTHERS[ranking])
        weights = self._weights(batch, hidden, self._slopes(chosen, chances[chosen], order))
        pairs = np.add.reduceat(batch.grid[:, 1] >= 0, batch.rows, dtype=np.int64).tolist()
        for i, (one, begin) in enumerate(zip(read, batch.rows.tolist(), strict=True)):
            count = len(one.words)
            share = pairs[i] / max(1, count - 1)
            reason = out_of_scope(one.words, pairs=share, chance=surest[i])
            if reason:
                yield Prediction((), out_of_scope=reason)
            else:
                evidence = _evidence(one, weights[begin : begin + count])
                yield Prediction(ranked[i][:top], evidence, others=others[i], words=one.words)

    def _batch(self, cut: Sequence[Sequence[str]]) -> _Batch:
        grid, _ = self._parameters.vocabulary.grid(cut)
        flat = grid.reshape(-1)
        known = np.flatnonzero(flat >= 0)
        rows = np.cumsum([0, *[len(one) + 1 for one in cut]])
        ends = np.searchsorted(known, rows * grid.shape[1])
        return _Batch(grid, rows[:-1], known, self._vectors.take(flat[known]), ends)

    def _hidden(self, batch: _Batch) -> Floats:
        """Sum the vectors of each text, before the rectifier; shape (texts, size)."""
        counts = np.diff(batch.ends)
        summed = np.zeros((len(counts), len(self._parameters.bias)), np.float32)
        ones = np.ones(counts.max(initial=0), np.float32)
        # One product of a vector and a matrix per text is several times faster than one
        # np.add.reduceat over the batch.
        for row, (begin, end) in zip(summed, pairwise(batch.ends.tolist()), strict=True):
            if end > begin:
                np.dot(ones[: end - begin], batch.vectors[begin:end], out=row)
        summed /= np.sqrt(np.maximum(counts, 1)).astype(np.float32)[:, None]
        return summed + self._parameters.bias

    def _slopes(self, layer: int, chances: Floats, order: Ints) -> Floats:
        """Return the gradient of each text's first log probability, shape (texts, size).

        It counts the classes of `order`, (texts, classes), for the others hardly weigh.
        """
        likely = along(chances, order)
        likely /= likely.sum(1, keepdims=True)
        likely[:, 0] -= 1
        slopes: Floats = -np.einsum("tc,tcs->ts", likely, self._rows[layer][order])
        return slopes

    def _weights(self, batch: _Batch, hidden: Floats, slopes: Floats) -> list[float]:
        """Weigh each row of the grid: how much its word moves the first class past the others.

        It is the gradient of the first class's log probability times the input; an n-gram
        counts for each of its words in equal parts.
        """
        gradient = slopes * (hidden > 0)
        carried = np.zeros(len(batch.vectors), np.float32)
        for row, (begin, end) in zip(gradient, pairwise(batch.ends.tolist()), strict=True):
            np.dot(batch.vectors[begin:end], row, out=carried[begin:end])
        parts = np.zeros(batch.grid.shape, np.float32)
        parts.reshape(-1)[batch.known] = carried
        weights = parts[:, 0] + parts[:, 1] / 2 + parts[:, 2] / 3
        weights[1:] += parts[:-1, 1] / 2 + parts[:-1, 2] / 3
        weights[2:] += parts[:-2, 2] / 3
        row_weights: list[float] = weights.tolist()
        return row_weights


def _evidence(read: Tokens, weights: list[float]) -> tuple[Span, ...]:
    """Take the strongest words with their strong neighbours, at most `_MOST` runs.

    A run neither begins nor ends with a stop word, unless it is nothing else.
    """
    strongest = highest = max(weights)
    if strongest <= 0:
        return ()
    cut, last_word = read.words, len(weights) - 1
    total = sum([weight for weight in weights if weight > 0])
    runs: list[tuple[int, int, float]] = []
    while highest >= _NEAR * strongest and len(runs) < _MOST:
        first = last = weights.index(highest)
        while first > 0 and weights[first - 1] >= _NEAR * highest:
            first -= 1
        while last < last_word and weights[last + 1] >= _NEAR * highest:
            last += 1
        share = sum(weights[first : last + 1]) / total
        begin, end = first, last
        while begin < end and cut[begin] in STOP_WORDS:
            begin += 1
        while begin < end and cut[end] in STOP_WORDS:
            end -= 1
        runs.append((begin, end, round(share, 3)))
        weights[first : last + 1] = [0.0] * (last + 1 - first)
        highest = max(weights)
    wanted = sorted({place for begin, end, _ in runs for place in (begin, end)})
    at = dict(zip(wanted, read.spans(wanted), strict=True))
    places = [(at[begin][0], at[end][1], share) for begin, end, share in runs]
    return tuple([Span(a, b, read.text[a:b], share) for a, b, share in places])
