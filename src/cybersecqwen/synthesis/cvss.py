"""CVSS v3.1 base vectors: their metrics in words, score and severity, and questions about them.

>>> reading = read_vector("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")
>>> reading.vector, reading.score, reading.severity
('CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H', '9.8', 'Critical')
>>> makers = vector_drafts([reading.vector], random.Random(42))
>>> next(makers["cvss", "rating", False]()).subject == reading.vector
True

Scores are those of the `cvss` library, of the specification at https://www.first.org/cvss/v3.1.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from cybersecqwen.errors import InputError
from cybersecqwen.synthesis.distractors import Distractors
from cybersecqwen.synthesis.pair import Draft, Grounding, Maker, Makers
from cybersecqwen.synthesis.wording import fill, load_templates, say

SOURCE = "CVSS v3.1 specification"
_PREFIX = "CVSS:3.1/"

_WORDS = load_templates("cvss.toml")

# Each base metric: its name, and by value what that is called and means. The order is that of the
# specification.
METRICS: Mapping[str, Any] = {
    name: _WORDS["metrics"][name] for name in ("AV", "AC", "PR", "UI", "S", "C", "I", "A")
}
_VALUES = {metric: [key for key in words if key != "name"] for metric, words in METRICS.items()}


@dataclass(frozen=True, slots=True)
class Reading:
    """A base vector in the canonical order, its metrics, base score and severity."""

    vector: str
    metrics: tuple[tuple[str, str], ...]
    score: str
    severity: str

    def label(self, metric: str) -> str:
        """Name a metric with its value: "Attack Vector: Network (AV:N)"."""
        words, value = METRICS[metric], dict(self.metrics)[metric]
        return f"{words['name']}: {words[value]['name']} ({metric}:{value})"

    def meaning(self, metric: str) -> str:
        """Say what the value of a metric means."""
        meaning: str = METRICS[metric][dict(self.metrics)[metric]]["meaning"]
        return meaning

    def grounding(self) -> Grounding:
        """State the vector with all that is read from it."""
        values = "; ".join(self.label(name) for name, _ in self.metrics)
        text = f"{self.vector}; {values}; base score {self.score}, severity {self.severity}"
        return Grounding(SOURCE, self.vector, text)

    def changed(self, metric: str, value: str) -> Reading:
        """Read the vector with another value of one metric."""
        changed = dict(self.metrics) | {metric: value}
        return _known(_PREFIX + "/".join(f"{m}:{v}" for m, v in changed.items()))


@lru_cache(maxsize=8192)
def read_vector(text: str) -> Reading | None:
    """Read the base metrics of a CVSS v3.0 or v3.1 vector; None where it is none that is valid.

    Base scores under 3.0 and 3.1 are the same for every base vector.
    """
    from cvss import CVSS3
    from cvss.exceptions import CVSS3Error

    try:
        parsed = CVSS3(text.strip().upper().replace("CVSS:3.0/", _PREFIX))
    except CVSS3Error:
        return None
    metrics = tuple((name, str(parsed.metrics[name])) for name in METRICS)
    vector = _PREFIX + "/".join(f"{name}:{value}" for name, value in metrics)
    return Reading(vector, metrics, str(parsed.scores()[0]), parsed.severities()[0])


def _known(vector: str) -> Reading:
    reading = read_vector(vector)
    if reading is None:
        raise InputError(f"no CVSS v3 base vector: {vector!r}")
    return reading


def vector_drafts(vectors: Sequence[str], rng: random.Random) -> Makers:
    """Make drafts by topic, over the distinct base vectors of a feed."""
    readings = sorted(
        {r for r in map(read_vector, vectors) if r is not None}, key=lambda r: r.vector
    )
    scores, ratings, metrics = (Distractors(rng) for _ in range(3))
    drafts: dict[str, Callable[[Reading], Draft | None]] = {
        "score": lambda r: _score(r, readings, scores, rng),
        "severity": lambda r: _severity(r, ratings, rng),
        "metric": lambda r: _metric(r, metrics, rng),
        "more severe": lambda r: _more_severe(r, readings, rng),
        "reading": lambda r: _reading(r, rng),
        "what if": lambda r: _what_if(r, rng),
        "rating": lambda r: _rating(r, rng),
    }

    def over(make: Callable[[Reading], Draft | None]) -> Maker:
        return lambda: (
            draft for r in rng.sample(readings, len(readings)) if (draft := make(r)) is not None
        )

    return {("cvss", topic, "choice" in _WORDS[topic]): over(of) for topic, of in drafts.items()}


def metric_lines(reading: Reading, *, score: bool = False) -> list[str]:
    """Write a vector in words, one line per metric, and its score where `score` is set."""
    words = _WORDS["lines"]
    lines = [
        fill(words["metric"], metric=reading.label(name), meaning=reading.meaning(name))
        for name, _ in reading.metrics
    ]
    total = fill(words["score"], score=reading.score, severity=reading.severity)
    return [*lines, total] if score else lines


def _draft(
    reading: Reading, topic: str, rng: random.Random, answer: str = "", **values: str
) -> Draft:
    """Draw the question and answer of a topic; an answer that is passed is taken as it is."""
    (words,) = _WORDS[topic].values()
    given = {"score": reading.score, "severity": reading.severity, "vector": reading.vector}
    values = given | values
    return Draft(
        kind="cvss",
        topic=topic,
        subject=reading.vector,
        question=say(rng, words["question"], **values),
        answer=answer or say(rng, words["answer"], **values),
        grounding=(reading.grounding(),),
        support=(reading.score, reading.severity),
    )


def _score(
    reading: Reading, readings: Sequence[Reading], scores: Distractors, rng: random.Random
) -> Draft | None:
    others = {r.score for r in readings} | {"3.1", "5.4", "7.5", "9.8"}
    # Those next to the right score: a guess at the severity is not enough.
    near = sorted(others, key=lambda s: (abs(float(s) - float(reading.score)), s))[1:9]
    draft = _draft(reading, "score", rng)
    wrong = scores.draw(draft.question, reading.score, near)
    return replace(draft, options=(reading.score, *wrong)) if wrong else None


def _severity(reading: Reading, ratings: Distractors, rng: random.Random) -> Draft | None:
    names = _WORDS["ratings"]
    others = [name for name in names if name not in ("None", reading.severity)]
    draft = _draft(reading, "severity", rng)
    wrong = ratings.draw(draft.question, reading.severity, others, names.__getitem__)
    options = tuple(names[name] for name in (reading.severity, *wrong))
    support = (reading.severity, reading.score)
    return replace(draft, support=support, options=options) if wrong else None


def _metric(reading: Reading, metrics: Distractors, rng: random.Random) -> Draft | None:
    """Ask what one metric says; the wrong options are other values of this vector's metrics."""

    def value(metric: str, key: str) -> str:
        return f"{METRICS[metric]['name']}: {METRICS[metric][key]['name']}"

    held = {value(m, key): m for m, key in rng.sample(reading.metrics, len(reading.metrics))}
    right = min(held, key=metrics.owed)  # what was right least often where it was shown
    wrong = [value(m, key) for m, own in reading.metrics for key in _VALUES[m] if key != own]
    label, meaning = reading.label(held[right]), reading.meaning(held[right])
    draft = _draft(reading, "metric", rng, metric=label, meaning=meaning)
    drawn = metrics.draw(draft.question, right, wrong)
    return replace(draft, support=(label,), options=(right, *drawn)) if drawn else None


def _more_severe(reading: Reading, readings: Sequence[Reading], rng: random.Random) -> Draft:
    """Ask which of four vectors scores highest; the right one does, by a tenth at least."""
    lower = [r for r in readings if float(r.score) < float(reading.score)]
    top = reading
    if len(lower) < 3:
        top = max(readings, key=lambda r: (float(r.score), r.vector))
        lower = [r for r in readings if float(r.score) < float(top.score)]
    wrong = rng.sample(lower, 3) if len(lower) > 2 else []
    scores = sorted((r.score for r in wrong), key=float, reverse=True)
    draft = _draft(top, "more severe", rng, others=", ".join(scores))
    others = (Grounding(SOURCE, "options", f"base score {r.score}") for r in wrong)
    return replace(
        draft,
        grounding=(*draft.grounding, *others),
        support=(top.vector, top.score),
        options=(top.vector, *(r.vector for r in wrong)),
    )


def _reading(reading: Reading, rng: random.Random) -> Draft:
    """Ask what a vector says, metric by metric."""
    words, labels = _WORDS["reading"]["open"], map(reading.label, METRICS)
    opening = say(rng, words["answer"], score=reading.score, severity=reading.severity)
    draft = _draft(reading, "reading", rng, "\n".join([opening, *metric_lines(reading)]))
    return replace(draft, support=(*draft.support, *labels))


def _what_if(reading: Reading, rng: random.Random) -> Draft:
    """Ask how the score moves when one metric takes another value."""
    metric = rng.choice(list(METRICS))
    before = dict(reading.metrics)[metric]
    after = rng.choice([value for value in _VALUES[metric] if value != before])
    other = reading.changed(metric, after)
    change = round(float(other.score) - float(reading.score), 1)
    moved = "stays" if not change else "rises" if change > 0 else "falls"
    answer = fill(
        _WORDS["what if"]["open"][moved],
        score=reading.score,
        severity=reading.severity,
        score_after=other.score,
        severity_after=other.severity,
        vector_after=other.vector,
    )
    words = METRICS[metric]
    named = {"name": words["name"], "before": words[before]["name"], "after": words[after]["name"]}
    return replace(
        _draft(reading, "what if", rng, answer, **named),
        grounding=(reading.grounding(), other.grounding()),
        support=(other.score, other.severity),
    )


def _rating(reading: Reading, rng: random.Random) -> Draft:
    needs = {"reach": "AV", "rights": "PR", "help": "UI"}
    return _draft(
        reading, "rating", rng, **{name: reading.label(metric) for name, metric in needs.items()}
    )
