"""Turn a classifier's ranking into what an analyst can act on.

    for result in classify(["SQL injection in login.php.", "A cake recipe."]):
        print(json.dumps(as_row(result)))

The classifier is the embedded one unless another is given; see `open_classifier`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import NamedTuple

from cybersecqwen.analyst.classifiers import Classifier, open_classifier
from cybersecqwen.analyst.labels import RecordLabel, difference, record_labels
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.mapping import MappingAdvice, mapping_usage
from cybersecqwen.cwe.rationale import STOP_WORDS, rationale
from cybersecqwen.embedded.tokenizer import LONGEST, plain, shown, words
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.records import Grounding, Prediction, Span, Vulnerability

_log = logging.getLogger(__name__)

THRESHOLD = 0.3  # below it the first candidate is wrong far more often than right
_RANKED = 20  # CWEs that are ranked: a better neighbour may stand below the candidates
_BATCH = 1000  # texts
# How often a word of the CWE's name may stand in a text, by number and by share, before it looks
# stuffed with it, as one description in a thousand does; and what is then left of the confidence.
_OFTEN, _SHARE, _DOUBT = 4, 0.08, 0.5


class Given(NamedTuple):
    """A text to classify, and its id; `refused` says why it is not to be classified, if so."""

    id: str | int
    text: str
    refused: str = ""
    record: Vulnerability | None = None  # whose description the text is


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
    candidates), where the first candidate's confidence is below the threshold, or where the text
    repeats the name of the first. The rationale is then "needs review: " and the reason, else an
    argument whose last line is the CWE id alone. `evidence` refers to the text as it was given.
    `labels` are those that the CVE record has, if it is one, and `difference` says why the first
    candidate is another. `grounding` says what became of the answers of a language model that chose
    among candidates, None where none did.
    """

    id: str | int
    candidates: tuple[Candidate, ...]
    abstain: bool
    reason: str
    rationale: str
    evidence: tuple[Span, ...]
    labels: tuple[RecordLabel, ...] = ()
    difference: str = ""
    grounding: Grounding | None = None


def classify(
    texts: str | Iterable[str | Given],
    *,
    classifier: Classifier | None = None,
    top: int = 3,
    threshold: float = THRESHOLD,
) -> Iterator[Classification]:
    """Yield a classification for each text, in their order, reading some of them ahead.

    A text without an id gets its position, from 1. Of long texts the first LONGEST characters
    count. Raises InputError, at once, when `top` is below 1 or `threshold` is outside 0..1,
    and what the classifier raises when it fails.
    """
    if top < 1:
        raise InputError(f"top is {top}", tip="ask for 1 candidate or more")
    if not 0 <= threshold <= 1:  # NaN too
        raise InputError(f"the threshold is {threshold}", tip="give a confidence from 0 to 1")
    given = [texts] if isinstance(texts, str) else texts
    return _in_batches(given, classifier or open_classifier(), top, threshold)


def _in_batches(
    texts: Iterable[str | Given], classifier: Classifier, top: int, threshold: float
) -> Iterator[Classification]:
    numbered = (
        Given(position, text) if isinstance(text, str) else text
        for position, text in enumerate(texts, start=1)
    )
    while some := list(islice(numbered, _BATCH)):
        read = [_read(given) for given in some]
        predictions = classifier.predict(read, top=max(top, _RANKED))
        for given, text, prediction in zip(some, read, predictions, strict=True):
            yield _classification(given, text, prediction, top=top, threshold=threshold)


def _read(given: Given) -> str:
    """Return the text that is classified, cut with a warning; "" for a refused one."""
    if given.refused:
        return ""
    if len(given.text) > LONGEST:
        _log.warning("%s: the first %d of %d characters count", given.id, LONGEST, len(given.text))
    text = shown(given.text[:LONGEST])
    if text != given.text[:LONGEST]:
        _log.warning("%s: what a page would not show is not read", given.id)
    return text


def _classification(
    given: Given, text: str, prediction: Prediction, *, top: int, threshold: float
) -> Classification:
    """Judge a prediction by the threshold and by what MITRE says of the entries."""
    repeated = _repeated(text, prediction.ranked)
    trust = _DOUBT if repeated else 1.0
    candidates = _candidates([(cwe, c * trust) for cwe, c in prediction.ranked], top)
    evidence, reason = prediction.evidence, given.refused or prediction.out_of_scope
    if reason or not candidates:
        candidates, evidence = (), ()
        reason = reason or "no answer names a CWE of the catalogue"
    elif candidates[0].confidence < threshold:
        reason = f"the confidence {candidates[0].confidence:g} is below {threshold:g}"
    if repeated and candidates and threshold:
        reason = (
            f"the text repeats {repeated!r} as descriptions do not, so the confidence is halved"
        )
    reason = reason or prediction.doubt
    if reason:
        argued = f"needs review: {reason}"
    else:
        argued = prediction.answer.strip() or _argue(text, candidates[0], evidence)
    labels = record_labels(given.record) if given.record else ()
    ranked = [(one.cwe, one.confidence) for one in candidates]
    differs = difference(labels, ranked, [plain(span.text) for span in evidence])
    return Classification(
        given.id,
        candidates,
        bool(reason),
        reason,
        argued,
        evidence,
        labels,
        differs,
        prediction.grounding,
    )


def _repeated(text: str, ranked: Sequence[tuple[str, float]]) -> str:
    """Return a word of the first CWE's name that stands too often in a text, or ""."""
    counts = Counter(words(text))
    named = {w for cwe, _ in ranked[:1] for w in words(load_catalogue()[cwe].name)} - STOP_WORDS
    often = max(_OFTEN, _SHARE * counts.total())
    return max((word for word in named if counts[word] >= often), default="")


def _candidates(ranked: Sequence[tuple[str, float]], top: int) -> tuple[Candidate, ...]:
    entries = [(load_catalogue()[cwe], confidence) for cwe, confidence in ranked[:top]]
    return tuple(
        [
            Candidate(
                entry.cwe_id,
                entry.name,
                round(confidence, 4),
                mapping_usage(entry),
                entry.abstraction,
                _advice().better(entry.cwe_id, ranked),
            )
            for entry, confidence in entries
        ]
    )


def _argue(text: str, candidate: Candidate, evidence: Sequence[Span]) -> str:
    quote = plain(evidence[0].text) if evidence else ""
    catalogue = load_catalogue()
    better = catalogue.get(candidate.better)
    return rationale(plain(text), catalogue[candidate.cwe], quote, better=better)


@cache
def _advice() -> MappingAdvice:
    return MappingAdvice(load_catalogue())


def as_row(result: Classification) -> Json:
    """Return a classification as JSON-able values; what does not apply is null.

    `grounding` is there where a language model chose among the candidates.
    """
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
        "labels": [
            {name: value or None for name, value in label._asdict().items()}
            for label in result.labels
        ],
        "difference": result.difference or None,
    } | ({"grounding": _grounding(result.grounding)} if result.grounding else {})


def _grounding(grounding: Grounding) -> Json:
    return {
        "model": grounding.model,
        "answers": grounding.written,
        "kept": grounding.kept,
        "refused": [{"answer": r.text, "reason": r.reason} for r in grounding.refused],
        "failure": grounding.failure or None,
    }
