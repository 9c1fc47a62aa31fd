"""Turn a classifier's ranking into what an analyst can act on.

    for result in classify(["SQL injection in login.php.", "A cake recipe."]):
        print(json.dumps(as_row(result)))

The classifier is the embedded one unless another is given; see `open_classifier`. It ranks by what
MITRE would map a text to, so that the first candidate is a class that may be mapped to wherever one
can be defended, and says beside it what feeds would label the text with. With `as_labelled` the
candidates stand in the order of likelihood of that label.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from cybersecqwen.analyst.classifiers import open_classifier
from cybersecqwen.analyst.description import missing, rating
from cybersecqwen.analyst.embedded_classifier import Classifier
from cybersecqwen.analyst.instructions import without_instructions, without_repetitions
from cybersecqwen.analyst.labels import RecordLabel, difference, record_labels
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.chains import chain
from cybersecqwen.cwe.mapping import MappingAdvice, mapping_usage
from cybersecqwen.cwe.rationale import STOP_WORDS, rationale
from cybersecqwen.embedded.tokenizer import LONGEST, plain, words
from cybersecqwen.embedded.visible_text import in_one_script, shown
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json
from cybersecqwen.records import Grounding, Prediction, Span, Vulnerability

if TYPE_CHECKING:
    from cybersecqwen.embedded.classifier import Ranking

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


class FeedLabel(NamedTuple):
    """What feeds would label a text with, however broad, and how likely."""

    cwe: str
    name: str
    confidence: float
    usage: str


class Classification(NamedTuple):
    """The CWEs that one text may be mapped to, and the argument for the first.

    `abstain` is true, and `reason` says why, where the text is out of scope (then without
    candidates), where the first candidate's confidence is below the threshold, or where the text
    repeats the name of the first. The rationale is then "needs review: " and the reason, else an
    argument whose last line is the CWE id alone. `evidence` refers to the text as it was given.
    `labels` are those that the CVE record has, if it is one, and `difference` says why the first
    candidate is another. `chain` are weaknesses that the text tells as leading to each other, the
    cause first, and `missing` is what it does not tell of what decides. `grounding` says what
    became of the answers of a language model that chose among candidates, None where none did.
    """

    id: str | int
    candidates: tuple[Candidate, ...]
    abstain: bool
    reason: str
    rationale: str
    evidence: tuple[Span, ...]
    labels: tuple[RecordLabel, ...] = ()
    difference: str = ""
    feed_label: FeedLabel | None = None
    chain: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    grounding: Grounding | None = None


def classify(
    texts: str | Iterable[str | Given],
    *,
    classifier: Classifier | None = None,
    top: int = 3,
    threshold: float = THRESHOLD,
    as_labelled: bool = False,
) -> Iterator[Classification]:
    """Yield a classification for each text, in their order, reading some of them ahead.

    With `as_labelled` the candidates stand by what feeds would label the text with, otherwise by
    what MITRE would map it to. A text without an id gets its position, from 1. Of long texts the
    first LONGEST characters count. Raises InputError, at once, when `top` is below 1 or `threshold`
    is outside 0..1, and what the classifier raises when it fails.
    """
    if top < 1:
        raise InputError(f"top is {top}", tip="ask for 1 candidate or more")
    if not 0 <= threshold <= 1:  # NaN too
        raise InputError(f"the threshold is {threshold}", tip="give a confidence from 0 to 1")
    given = [texts] if isinstance(texts, str) else texts
    judge = partial(_classification, top=top, threshold=threshold, as_labelled=as_labelled)
    ranking: Ranking = "labels" if as_labelled else "mapping"
    return _in_batches(given, classifier or open_classifier(ranking=ranking), top, judge)


def _in_batches(
    texts: Iterable[str | Given],
    classifier: Classifier,
    top: int,
    judge: Callable[[Given, str, Prediction], Classification],
) -> Iterator[Classification]:
    numbered = (
        Given(position, text) if isinstance(text, str) else text
        for position, text in enumerate(texts, start=1)
    )
    while some := list(islice(numbered, _BATCH)):
        read = [_read(given) for given in some]
        predictions = classifier.predict(read, top=max(top, _RANKED))
        for given, text, prediction in zip(some, read, predictions, strict=True):
            yield judge(given, text, prediction)


def _read(given: Given) -> str:
    """Return the text that is classified, cut with a warning; "" for a refused one."""
    if given.refused:
        return ""
    if len(given.text) > LONGEST:
        _log.warning("%s: the first %d of %d characters count", given.id, LONGEST, len(given.text))
    cut = given.text[:LONGEST]
    text = shown(cut)
    if text != cut:
        _log.warning("%s: what a page would not show is not read", given.id)
    latin = in_one_script(text)
    if latin != text:
        _log.warning("%s: letters that look Latin are read as what they look like", given.id)
    told = without_instructions(latin)
    if told != latin:
        _log.warning("%s: what tells the reader how to answer is not read", given.id)
    single = without_repetitions(told)
    if single != told:
        _log.warning("%s: what is said over and over is not read", given.id)
    return single


def _classification(
    given: Given,
    text: str,
    prediction: Prediction,
    *,
    top: int,
    threshold: float,
    as_labelled: bool,
) -> Classification:
    """Judge a prediction by the threshold and by what MITRE says of the entries."""
    cut = prediction.words or words(text)
    repeated = _repeated(cut, prediction.ranked)
    ranked: Sequence[tuple[str, float]] = prediction.ranked
    if repeated:
        ranked = [(cwe, confidence * _DOUBT) for cwe, confidence in ranked]
    mapped = prediction.others if as_labelled and prediction.others else ranked
    refused = given.refused or prediction.out_of_scope
    candidates = () if refused else _candidates(ranked[:top], mapped)
    evidence = prediction.evidence if candidates else ()
    reason = refused or _doubt(candidates, repeated, threshold) or prediction.doubt
    if reason:
        argued = f"needs review: {reason}"
    else:
        argued = prediction.answer.strip() or _argue(text, candidates[0], evidence)
    labels = record_labels(given.record) if given.record else ()
    feeds = ranked if as_labelled else prediction.others
    return Classification(
        given.id,
        candidates,
        bool(reason),
        reason,
        argued,
        evidence,
        labels,
        _differs(labels, candidates, evidence) if labels else "",
        _feed_label(*feeds[0]) if candidates and prediction.others else None,
        chain(mapped) if candidates and prediction.others else (),
        missing(text, cut) if candidates else (),
        prediction.grounding,
    )


def _differs(
    labels: Sequence[RecordLabel], candidates: Sequence[Candidate], evidence: Sequence[Span]
) -> str:
    shares = [(one.cwe, one.confidence) for one in candidates]
    return difference(labels, shares, [plain(span.text) for span in evidence])


def _doubt(candidates: Sequence[Candidate], repeated: str, threshold: float) -> str:
    """Say why the first candidate needs review; "" where it does not."""
    if not candidates:
        return "no answer names a CWE of the catalogue"
    if repeated and threshold:
        return f"the text repeats {repeated!r} as descriptions do not, so the confidence is halved"
    if candidates[0].confidence < threshold:
        return f"the confidence {candidates[0].confidence:g} is below {threshold:g}"
    return ""


def _feed_label(cwe: str, confidence: float) -> FeedLabel:
    name, usage, _ = _facts(cwe)
    return FeedLabel(cwe, name, round(confidence, 4), usage)


def _repeated(cut: Sequence[str], ranked: Sequence[tuple[str, float]]) -> str:
    """Return a word of the first CWE's name that stands too often among those of a text, or ""."""
    if not ranked:
        return ""
    often = max(_OFTEN, _SHARE * len(cut))
    named = _named(ranked[0][0]).intersection(cut)
    return max([word for word in named if cut.count(word) >= often], default="")


@cache
def _named(cwe: str) -> frozenset[str]:
    return frozenset(words(load_catalogue()[cwe].name)) - STOP_WORDS


def _candidates(
    ranked: Sequence[tuple[str, float]], mapped: Sequence[tuple[str, float]]
) -> tuple[Candidate, ...]:
    """List candidates; a better one is named by how likely texts are mapped to it."""
    better = _advice().better
    return tuple(
        [
            Candidate(cwe, name, round(confidence, 4), usage, abstraction, better(cwe, mapped))
            for cwe, confidence in ranked
            for name, usage, abstraction in [_facts(cwe)]
        ]
    )


@cache
def _facts(cwe: str) -> tuple[str, str, str]:
    entry = load_catalogue()[cwe]
    return entry.name, mapping_usage(entry), entry.abstraction


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
            {
                "cwe": one.cwe,
                "name": one.name,
                "confidence": one.confidence,
                "usage": one.usage,
                "abstraction": one.abstraction or None,
                "better": one.better or None,
            }
            for one in result.candidates
        ],
        "abstain": result.abstain,
        "reason": result.reason or None,
        "rationale": result.rationale,
        "evidence": [
            {"start": one.start, "end": one.end, "text": one.text, "weight": round(one.weight, 4)}
            for one in result.evidence
        ],
        "labels": [
            {name: value or None for name, value in label._asdict().items()}
            for label in result.labels
        ],
        "difference": result.difference or None,
        "feed_label": result.feed_label and result.feed_label._asdict(),
        "chain": result.chain,
        "description": {"rating": rating(result.missing), "missing": result.missing}
        if result.candidates
        else None,
    } | ({"grounding": _grounding(result.grounding)} if result.grounding else {})


def _grounding(grounding: Grounding) -> Json:
    return {
        "model": grounding.model,
        "answers": grounding.written,
        "kept": grounding.kept,
        "refused": [{"answer": r.text, "reason": r.reason} for r in grounding.refused],
        "failure": grounding.failure or None,
    }
