"""Turn a classifier's ranking into what an analyst can act on.

    for result in classify(["SQL injection in login.php.", "A cake recipe."]):
        print(json.dumps(as_row(result)))

The classifier is the embedded one unless another is given; see `open_classifier`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import NamedTuple

from cybersecqwen.analyst.classifiers import Classifier, open_classifier
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.mapping import MappingAdvice, mapping_usage
from cybersecqwen.cwe.rationale import rationale
from cybersecqwen.embedded.tokenizer import LONGEST, plain
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.records import Prediction, Span

_log = logging.getLogger(__name__)

THRESHOLD = 0.3  # below it the first candidate is wrong far more often than right
_RANKED = 20  # CWEs that are ranked: a better neighbour may stand below the candidates
_BATCH = 1000  # texts


class Given(NamedTuple):
    """A text to classify and its id; `refused` says why it is not to be classified, if so."""

    id: str | int
    text: str
    refused: str = ""


class Candidate(NamedTuple):
    """A CWE that a text may be mapped to; `better` is the id to prefer, "" where it may stay."""

    cwe: str
    name: str
    confidence: float
    usage: str  # Allowed, Allowed-with-Review, Discouraged, Prohibited
    abstraction: str  # Pillar, Class, Base, Variant, Compound; "" for a category
    better: str


class Classification(NamedTuple):
    """The CWEs that one text may be mapped to, and the argument for the first.

    `abstain` is true, and `reason` says why, where the text is out of scope (then without
    candidates) or where the first candidate's confidence is below the threshold. The
    rationale is then "needs review: " and the reason, else an argument whose last line is
    the CWE id alone. `evidence` refers to the text as it was given.
    """

    id: str | int
    candidates: tuple[Candidate, ...]
    abstain: bool
    reason: str
    rationale: str
    evidence: tuple[Span, ...]


def classify(
    texts: str | Iterable[str | Given],
    *,
    classifier: Classifier | None = None,
    top: int = 3,
    threshold: float = THRESHOLD,
    batch: int = _BATCH,
) -> Iterator[Classification]:
    """Yield a classification for each text, in their order, reading `batch` of them ahead.

    A text without an id gets its position, from 1. Of long texts the first LONGEST characters
    count. Raises InputError, at once, when `top` is below 1 or `threshold` is outside 0..1,
    and what the classifier raises when it fails.
    """
    if top < 1:
        raise InputError(f"top is {top}", tip="ask for 1 candidate or more")
    if not 0 <= threshold <= 1:  # NaN too
        raise InputError(f"the threshold is {threshold}", tip="give a confidence from 0 to 1")
    if classifier is None:
        classifier = open_classifier()
    given = [texts] if isinstance(texts, str) else texts
    return _in_batches(given, classifier, _Judge(top, threshold), batch)


def _in_batches(
    texts: Iterable[str | Given], classifier: Classifier, judge: _Judge, batch: int
) -> Iterator[Classification]:
    numbered = (
        Given(position, text) if isinstance(text, str) else text
        for position, text in enumerate(texts, start=1)
    )
    while some := list(islice(numbered, batch)):
        read = [_read(given) for given in some]
        predictions = classifier.predict(read, top=max(judge.top, _RANKED))
        for given, text, prediction in zip(some, read, predictions, strict=True):
            yield judge.classification(given, text, prediction)


def _read(given: Given) -> str:
    """Return the text that is classified, cut with a warning; "" for a refused one."""
    if given.refused:
        return ""
    if len(given.text) > LONGEST:
        _log.warning("%s: the first %d of %d characters count", given.id, LONGEST, len(given.text))
    return given.text[:LONGEST]


class _Judge:
    """Judges predictions by a threshold and by what MITRE says of the entries."""

    def __init__(self, top: int, threshold: float) -> None:
        self.top = top
        self._threshold = threshold
        self._catalogue = load_catalogue()
        self._advice = _advice()

    def classification(self, given: Given, text: str, prediction: Prediction) -> Classification:
        """Return the classification of one text."""
        candidates = self._candidates(prediction.ranked)
        out = given.refused or prediction.out_of_scope
        if out or not candidates:
            return _abstention(given, (), out or "no answer names a CWE of the catalogue", ())
        confidence = candidates[0].confidence
        if confidence < self._threshold:
            reason = f"the confidence {confidence:g} is below {self._threshold:g}"
            return _abstention(given, candidates, reason, prediction.evidence)
        argued = prediction.answer.strip() or self._argue(text, candidates[0], prediction.evidence)
        return Classification(given.id, candidates, False, "", argued, prediction.evidence)

    def _candidates(self, ranked: Sequence[tuple[str, float]]) -> tuple[Candidate, ...]:
        return tuple(
            [
                Candidate(
                    cwe,
                    entry.name,
                    round(confidence, 4),
                    mapping_usage(entry),
                    entry.abstraction,
                    self._advice.better(cwe, ranked),
                )
                for cwe, confidence in ranked[: self.top]
                for entry in (self._catalogue[cwe],)
            ]
        )

    def _argue(self, text: str, candidate: Candidate, evidence: Sequence[Span]) -> str:
        quote = plain(evidence[0].text) if evidence else ""
        better = self._catalogue.get(candidate.better)
        return rationale(plain(text), self._catalogue[candidate.cwe], quote, better=better)


def _abstention(
    given: Given, candidates: tuple[Candidate, ...], reason: str, evidence: tuple[Span, ...]
) -> Classification:
    return Classification(given.id, candidates, True, reason, f"needs review: {reason}", evidence)


@cache
def _advice() -> MappingAdvice:
    return MappingAdvice(load_catalogue())


def as_row(result: Classification) -> Json:
    """Return a classification as JSON-able values; what does not apply is null."""
    return {
        "id": result.id,
        "candidates": [
            c._asdict() | {"abstraction": c.abstraction or None, "better": c.better or None}
            for c in result.candidates
        ],
        "abstain": result.abstain,
        "reason": result.reason or None,
        "rationale": result.rationale,
        "evidence": [s._asdict() | {"weight": round(s.weight, 4)} for s in result.evidence],
    }


def name_of(cwe: str) -> str:
    """Name an entry of the catalogue."""
    return load_catalogue()[cwe].name
