"""How well a classifier of words tells the texts of one window from those of others.

    telling_apart(reference, current).value     # 0.5: not at all; 1: without an error

The texts are cut into words as the CWE classifier cuts them, so that what moves here is what that
model reads. A ridge regression over the words learns to tell in which of two samples a text stands,
and is tried on texts that it did not learn from: the area under its curve is 0.5 where both speak
alike. It is solved at once between texts, of which there are fewer than words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from cybersecqwen.analyst.drift.class_mix import Distance
from cybersecqwen.cwe.rationale import STOP_WORDS
from cybersecqwen.embedded.tokenizer import NUMBER, words

Words = frozenset[str]
_Floats = npt.NDArray[np.float64]

_FEATURES = 2000  # words, the most frequent ones
_FOLDS = 3
_PENALTY = 1.0  # on the squares of the weights, for texts of length 1


def words_of(text: str) -> Words:
    """Return the different words of a text, without its numbers."""
    return frozenset(words(text)) - {NUMBER}


def telling_apart(reference: Sequence[Words], current: Sequence[Words]) -> Distance:
    """Return the cross-validated area under the curve, and its noise where nothing differs.

    The noise is that of the rank sum (Mann and Whitney 1947). Each sample needs `_FOLDS` texts.
    """
    matrix = _matrix([*reference, *current], vocabulary(reference, current))
    alike = matrix @ matrix.T
    truth = np.repeat([0.0, 1.0], [len(reference), len(current)])
    fold = np.arange(len(truth)) % _FOLDS
    scores = np.zeros(len(truth))
    for held_out in range(_FOLDS):
        learnt = fold != held_out
        weights = _ridge(alike[np.ix_(learnt, learnt)], truth[learnt])
        scores[~learnt] = alike[np.ix_(~learnt, learnt)] @ weights
    pairs = 12.0 * len(reference) * len(current)
    return Distance(area(truth, scores), float(np.sqrt((len(truth) + 1) / pairs)))


def telling_words(reference: Sequence[Words], current: Sequence[Words], most: int = 5) -> list[str]:
    """List the words that speak most for the current texts, stop words left out."""
    names = vocabulary(reference, current)
    matrix = _matrix([*reference, *current], names)
    truth = np.repeat([0.0, 1.0], [len(reference), len(current)])
    weights = matrix.T @ _ridge(matrix @ matrix.T, truth)
    order = np.argsort(-weights, kind="stable")
    telling = [names[i] for i in order if weights[i] > 0 and names[i] not in STOP_WORDS]
    return [word for word in telling if len(word) > 1][:most]


def vocabulary(reference: Sequence[Words], current: Sequence[Words]) -> list[str]:
    """List the words that stand in most texts, at least in two; ties by the alphabet."""
    counts = Counter(chain.from_iterable([*reference, *current]))
    frequent = sorted((word for word in counts if counts[word] > 1), key=lambda w: (-counts[w], w))
    return frequent[:_FEATURES]


def _matrix(texts: Sequence[Words], names: Sequence[str]) -> _Floats:
    """Mark the words of each text; each row has the length 1, whatever that of the text."""
    place = {name: position for position, name in enumerate(names)}
    columns = [[place[word] for word in text if word in place] for text in texts]
    lengths = [len(own) for own in columns]
    matrix = np.zeros((len(texts), len(names)))
    rows = np.repeat(np.arange(len(texts)), lengths)
    matrix[rows, list(chain.from_iterable(columns))] = 1 / np.sqrt(np.repeat(lengths, lengths))
    return matrix


def _ridge(alike: _Floats, truth: _Floats) -> _Floats:
    """Weigh the texts that were learnt, from how alike they are; shape (texts,)."""
    weights: _Floats = np.linalg.solve(alike + _PENALTY * np.eye(len(truth)), truth - truth.mean())
    return weights


def area(truth: npt.NDArray[np.generic], scores: npt.NDArray[np.generic]) -> float:
    """Return the area under the curve: how often a 1 scores above a 0, ties counting half.

    >>> area(np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.3]))
    0.625
    """
    _, place, copies = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(copies) - (copies - 1) / 2)[place]
    ones = truth == 1
    n, m = int(ones.sum()), int((~ones).sum())
    return float((ranks[ones].sum() - n * (n + 1) / 2) / (n * m))
