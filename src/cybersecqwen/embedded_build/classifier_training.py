"""Train the embedded CWE classifier: n-gram vectors, averaged, and one layer on top.

    examples = labelled(records)
    model = train([e for e in examples if e.group >= 80], Hyperparameters())
    model.logits(Features.of(model.vocabulary, ["SQL injection in Foo"]))    # shape (1, classes)

Each word and n-gram has a vector; a text is the sum of its vectors over the square root of their
number, a rectifier and a linear layer make logits of it (fastText's supervised model, Joulin et
al., arXiv:1607.01759, with a rectifier).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cybersecqwen.contamination import normalised
from cybersecqwen.cwe.label import LABEL_SOURCES, Label, labels_of, primary_label
from cybersecqwen.embedded.tokenizer import Ints, Vocabulary, words
from cybersecqwen.errors import InputError, extra
from cybersecqwen.records import Vulnerability

Floats = npt.NDArray[np.float32]

Targets = tuple[tuple[str, float], ...]  # CWEs, each with its weight

SOURCES = tuple(LABEL_SOURCES)
_SPREAD = 0.3  # of the vectors before the first step
_LOG_EVERY = 100  # batches
_NOTHING = -1
_CHUNK = 10_000  # texts at once; the grid of all would take gigabytes


class Labelled(NamedTuple):
    """A record with labels: what it says, when, and what each source calls it."""

    cve_id: str
    date: str  # ISO; the end of the CVE id's year where the record states none
    text: str
    labels: tuple[tuple[str, ...], ...]  # by SOURCES
    group: int  # 0 to 999, the same for texts that read the same
    mapping: Targets = ()  # what MITRE would map it to, where that can be told

    @property
    def first(self) -> str:
        """The primary label."""
        return self._primary.cwe

    @property
    def every(self) -> frozenset[str]:
        """The labels of all sources."""
        return frozenset().union(*self.labels)

    @property
    def source(self) -> int:
        """The position in SOURCES of who gave the primary label."""
        return SOURCES.index(self._primary.source)

    @property
    def _primary(self) -> Label:
        label = primary_label(dict(zip(SOURCES, self.labels, strict=True)))
        if label is None:
            raise ValueError(f"{self.cve_id} has no label")
        return label


@dataclass(frozen=True)
class Hyperparameters:
    """Everything that decides what is trained; the defaults are what ships."""

    rarest: tuple[int, int, int] = (5, 8, 20)  # occurrences of a word, bigram, trigram to count
    rarest_class: int = 10  # records
    size: int = 128  # of a vector
    rectified: bool = True
    epochs: int = 4
    batch: int = 512
    rate: float = 0.4  # of Adagrad, falling to 0
    head_rate: float = 2e-3  # of Adam, falling to 0
    dropout: float = 0.3  # of the summed vector
    feature_dropout: float = 0.3  # of words and n-grams
    all_sources: bool = True  # learn each source's first label, not only the one that counts
    half_life: float = 5.0  # years after which a record counts half; 0: all count the same
    seed: int = 42


def labelled(records: Iterable[Vulnerability]) -> Iterator[Labelled]:
    """Take the records that have a description and a CWE; other labels do not count."""
    for record in records:
        given = labels_of(record)
        labels = tuple(tuple(c for c in given[s] if c.startswith("CWE-")) for s in SOURCES)
        if record.description and any(labels):
            date = record.published or f"{record.cve_id[4:8]}-12-31"
            yield Labelled(
                record.cve_id, date, record.description, labels, group_of(record.description)
            )


def group_of(text: str) -> int:
    """Return the group of a text, 0 to 999; texts that read the same are of one."""
    return int(hashlib.sha256(normalised(text).encode()).hexdigest()[:8], 16) % 1000


def learn_vocabulary(texts: Sequence[Sequence[str]], rarest: tuple[int, int, int]) -> Vocabulary:
    """Keep the words, bigrams and trigrams that occur often enough."""
    counts = Counter(word for text in texts for word in text)
    kept = tuple(sorted(word for word, count in counts.items() if count >= rarest[0]))
    none = np.array([], np.int64)
    column = _column(Vocabulary(kept, none, none), texts)
    bigrams = _frequent(column[:-1], column[1:], len(kept), rarest[1])
    pairs = Vocabulary(kept, bigrams, none).follow(bigrams, column[:-1], column[1:])
    trigrams = _frequent(pairs[:-1], column[2:], len(kept), rarest[2])
    return Vocabulary(kept, bigrams, trigrams)


def _column(vocabulary: Vocabulary, texts: Sequence[Sequence[str]]) -> Ints:
    chunks = (texts[i : i + _CHUNK] for i in range(0, len(texts), _CHUNK))
    column: Ints = np.concatenate([vocabulary.grid(chunk)[0][:, 0] for chunk in chunks])
    return column


def _frequent(first: Ints, last: Ints, words: int, rarest: int) -> Ints:
    known = (first >= 0) & (last >= 0)
    unique, counts = np.unique(first[known] * words + last[known], return_counts=True)
    frequent: Ints = unique[counts >= rarest]
    return frequent


class Features:
    """The numbered words and n-grams of many texts, one run of numbers per text."""

    def __init__(self, vocabulary: Vocabulary, texts: Sequence[Sequence[str]]) -> None:
        ids, lengths = [], []
        for i in range(0, len(texts), _CHUNK):
            chunk = texts[i : i + _CHUNK]
            grid, row_text = vocabulary.grid(chunk)
            known = grid >= 0
            ids.append(grid[known].astype(np.int32))
            lengths.append(np.bincount(row_text, known.sum(1), len(chunk)).astype(np.int64))
        self.ids = np.concatenate(ids)
        self.ends = np.cumsum(np.concatenate(lengths))
        self.starts = self.ends - np.concatenate(lengths)

    @classmethod
    def of(cls, vocabulary: Vocabulary, texts: Sequence[str]) -> Features:
        """Find the words and n-grams of descriptions."""
        return cls(vocabulary, [words(text) for text in texts])

    def take(self, rows: Ints) -> tuple[npt.NDArray[np.int32], Ints]:
        """Return the numbers of some texts in a row, and where each of them begins."""
        lengths = self.ends[rows] - self.starts[rows]
        begins = np.cumsum(lengths) - lengths
        places = np.repeat(self.starts[rows] - begins, lengths) + np.arange(lengths.sum())
        return self.ids[places], begins


class Head(NamedTuple):
    """A linear layer of its own on the vectors of texts."""

    classes: tuple[str, ...]
    weights: Floats  # (size, classes)
    bias: Floats


class Model(NamedTuple):
    """The trained weights, in float32; `classes` are in the order of the last axis."""

    vocabulary: Vocabulary
    classes: tuple[str, ...]
    vectors: Floats  # (words and n-grams, size)
    bias: Floats  # (size,)
    head: Floats  # (size, classes)
    head_bias: Floats
    rectified: bool
    mapping: Head | None = None  # how MITRE would map, where the examples tell

    def logits(self, features: Features) -> Floats:
        """Score texts, shape (texts, classes), without softmax."""
        out = [
            self._logits(features, np.arange(i, min(i + 1000, len(features.ends))))
            for i in range(0, len(features.ends), 1000)
        ]
        scores: Floats = np.concatenate(out)
        return scores

    def on(self, head: Head) -> Model:
        """Return the same model with another layer on top."""
        return self._replace(classes=head.classes, head=head.weights, head_bias=head.bias)

    def _logits(self, features: Features, rows: Ints) -> Floats:
        ids, begins = features.take(rows)
        lengths = features.ends[rows] - features.starts[rows]
        summed = np.zeros((len(rows), self.vectors.shape[1]), np.float32)
        full = lengths > 0
        summed[full] = np.add.reduceat(self.vectors[ids], begins[full], axis=0)
        hidden = summed / np.sqrt(np.maximum(lengths, 1))[:, None].astype(np.float32) + self.bias
        if self.rectified:
            hidden = np.maximum(hidden, 0)
        scores: Floats = hidden @ self.head + self.head_bias
        return scores


class _Targets(NamedTuple):
    """Training examples: arrays of one length, with an entry for each CWE that a text teaches.

    A column of -1 teaches nothing to that layer.
    """

    row: Ints
    label: Ints  # a column of the labels' layer
    weight: Floats
    mapping: Ints  # a column of the mapping's layer
    mapping_weight: Floats


def _targets(
    examples: Sequence[Labelled],
    classes: Sequence[str],
    settings: Hyperparameters,
    mapping: Sequence[str] = (),
) -> _Targets:
    number = {name: position for position, name in enumerate(classes)}
    column = {name: position for position, name in enumerate(mapping)}
    last = max(example.date for example in examples)
    entries: list[tuple[int, int, float, int, float]] = []
    for row, example in enumerate(examples):
        age = int(last[:4]) - int((example.date or last)[:4])
        fresh = 0.5 ** (age / settings.half_life) if settings.half_life else 1.0
        given = _given(example, settings)
        labels = [(number[c], fresh / len(given)) for c in given if c in number]
        mapped = [(column[c], fresh * share) for c, share in example.mapping if c in column]
        pairs = zip_longest(labels, mapped, fillvalue=(_NOTHING, 0.0))
        entries += [(row, *label, *target) for label, target in pairs]
    rows, *columns = (np.array(values) for values in zip(*entries, strict=True))
    label, weight, target, share = columns
    return _Targets(rows, label, weight.astype(np.float32), target, share.astype(np.float32))


def _given(example: Labelled, settings: Hyperparameters) -> list[str]:
    """List the first label of each source, or of the one that counts."""
    if not any(example.labels):
        return []
    sources = range(3) if settings.all_sources else (example.source,)
    return [example.labels[source][0] for source in sources if example.labels[source]]


class _Network:
    """The model while it is trained, in PyTorch."""

    def __init__(
        self, features: Features, entries: int, classes: Sequence[int], settings: Hyperparameters
    ) -> None:
        import torch

        self.features, self.settings = features, settings
        self.table = torch.nn.Embedding(entries, settings.size, sparse=True)
        torch.nn.init.normal_(self.table.weight, std=_SPREAD)
        self.bias = torch.nn.Parameter(torch.zeros(settings.size))
        self.head, self.mapping = (torch.nn.Linear(settings.size, n) for n in classes)
        # Adagrad keeps a rate per vector, as rare and frequent words need; the layer is dense.
        self.optimizers = (
            torch.optim.Adagrad(self.table.parameters(), lr=settings.rate),
            torch.optim.Adam(
                [self.bias, *self.head.parameters(), *self.mapping.parameters()],
                lr=settings.head_rate,
            ),
        )
        self.rates = (settings.rate, settings.head_rate)

    def step(self, targets: _Targets, batch: Ints, *, left: float) -> float:
        """Learn from one batch with the rates times `left`; returns its mean loss."""
        import torch
        from torch.nn import functional

        hidden = self._hidden(targets.row[batch])
        told = (
            (self.head, targets.label, targets.weight),
            (self.mapping, targets.mapping, targets.mapping_weight),
        )
        loss = torch.zeros(())
        for head, columns, weights in told:
            if head.out_features:
                losses = functional.cross_entropy(
                    head(hidden),
                    torch.from_numpy(columns[batch]),
                    reduction="none",
                    ignore_index=_NOTHING,
                )
                loss = loss + (losses * torch.from_numpy(weights[batch])).mean()
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * left
            optimizer.zero_grad()
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return float(loss.item())

    def _hidden(self, rows: Ints) -> Any:
        import torch
        from torch.nn import functional

        ids, begins = self.features.take(rows)
        lengths = np.diff(np.append(begins, len(ids)))
        scale = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
        keep = torch.rand(len(ids)) >= self.settings.feature_dropout
        hidden = self.bias + functional.embedding_bag(
            torch.from_numpy(ids.astype(np.int64)),
            self.table.weight,
            torch.from_numpy(begins),
            mode="sum",
            per_sample_weights=torch.from_numpy(scale) * keep / (1 - self.settings.feature_dropout),
            sparse=True,
        )
        if self.settings.rectified:
            hidden = functional.relu(hidden)
        return functional.dropout(hidden, self.settings.dropout)


def train(
    examples: Sequence[Labelled],
    settings: Hyperparameters,
    *,
    more: Sequence[Labelled] = (),
    cut: Callable[[str], list[str]] = words,
    log: Callable[[str], object] = print,
) -> Model:
    """Fit the model; the same examples and settings give the same one on the same machine.

    `more` are texts without labels, which teach the mapping alone. Raises InputError when no class
    has enough records.
    `cut` makes the words of a description; the model that ships is trained with `words`.
    """
    with extra("train"):
        import torch
    taught = [*examples, *more]
    texts = [cut(example.text) for example in taught]
    vocabulary = learn_vocabulary(texts, settings.rarest)
    counts = Counter(example.first for example in examples)
    classes = tuple(sorted(c for c, count in counts.items() if count >= settings.rarest_class))
    if not classes:
        raise InputError(
            f"no CWE has {settings.rarest_class} records to learn from", tip="give more records"
        )
    mapping = tuple(sorted({cwe for example in taught for cwe, _ in example.mapping}))
    targets = _targets(taught, classes, settings, mapping)
    sizes = (len(classes), len(mapping))
    torch.set_num_threads(1)  # a sum in another order is another number
    torch.manual_seed(settings.seed)
    network = _Network(Features(vocabulary, texts), len(vocabulary), sizes, settings)
    order = np.random.default_rng(settings.seed)
    batches = [
        (epoch, batch)
        for epoch in range(settings.epochs)
        for batch in _batches(order.permutation(len(targets.row)), settings.batch)
    ]
    for done, (epoch, batch) in enumerate(batches):
        loss = network.step(targets, batch, left=1 - done / len(batches))
        if done % _LOG_EVERY == 0:
            log(f"epoch {epoch + 1} of {settings.epochs}: loss {loss:.3f}")
    return _trained(network, vocabulary, classes, mapping)


def _batches(rows: Ints, size: int) -> list[Ints]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _trained(
    network: _Network,
    vocabulary: Vocabulary,
    classes: tuple[str, ...],
    mapping: tuple[str, ...],
) -> Model:
    def array(parameter: Any) -> Any:
        return parameter.detach().numpy()

    def layer(names: tuple[str, ...], linear: Any) -> Head:
        return Head(names, array(linear.weight).T.copy(), array(linear.bias))

    labels = layer(classes, network.head)
    return Model(
        vocabulary,
        classes,
        array(network.table.weight),
        array(network.bias),
        labels.weights,
        labels.bias,
        network.settings.rectified,
        layer(mapping, network.mapping) if mapping else None,
    )
