"""Questions about reading a CVSS v3.1 base vector.

makers = vector_drafts(vectors, random.Random(42))
next(makers["what if"]())
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from cybersecqwen.synthesis.cvss import METRICS, SOURCE, Reading, read_vector
from cybersecqwen.synthesis.pair import Draft, Grounding
from cybersecqwen.synthesis.wording import lead, say

# The qualitative ratings of the specification, and the scores that they are for.
_RATINGS = {
    "None": "None (0.0)",
    "Low": "Low (0.1 to 3.9)",
    "Medium": "Medium (4.0 to 6.9)",
    "High": "High (7.0 to 8.9)",
    "Critical": "Critical (9.0 to 10.0)",
}


def vector_drafts(
    vectors: Sequence[str], rng: random.Random
) -> dict[str, Callable[[], Iterator[Draft]]]:
    """Give a maker of drafts by topic, over the distinct base vectors of a feed."""
    readings = sorted(
        {r for r in map(read_vector, vectors) if r is not None}, key=lambda r: r.vector
    )

    def over(make: Callable[[Reading], Draft]) -> Callable[[], Iterator[Draft]]:
        return lambda: map(make, rng.sample(readings, len(readings)))

    return {
        "score": over(lambda r: _score(r, readings, rng)),
        "severity": over(lambda r: _severity(r, rng)),
        "metric": over(lambda r: _metric(r, rng)),
        "more severe": over(lambda r: _more_severe(r, readings, rng)),
        "reading": over(lambda r: _reading(r, rng)),
        "what if": over(lambda r: _what_if(r, rng)),
        "rating": over(lambda r: _rating(r, rng)),
    }


def _score(reading: Reading, readings: Sequence[Reading], rng: random.Random) -> Draft:
    scores = sorted({r.score for r in readings} | {"3.1", "5.4", "7.5", "9.8"})
    scores.remove(reading.score)
    # Those next to the right score: a guess at the severity is not enough.
    near = sorted(scores, key=lambda s: (abs(float(s) - float(reading.score)), s))[:8]
    return Draft(
        kind="cvss",
        topic="score",
        subject=reading.vector,
        question=lead(rng, say(rng, _SCORE_ASKS, vector=reading.vector)),
        answer=say(rng, _SCORE_REASONS, score=reading.score, severity=reading.severity),
        grounding=(reading.grounding(),),
        support=(reading.score, reading.severity),
        options=(reading.score, *rng.sample(near, 3)),
    )


def _severity(reading: Reading, rng: random.Random) -> Draft:
    others = [name for name in _RATINGS if name != reading.severity]
    return Draft(
        kind="cvss",
        topic="severity",
        subject=reading.vector,
        question=lead(rng, say(rng, _SEVERITY_ASKS, vector=reading.vector)),
        answer=say(rng, _SEVERITY_REASONS, score=reading.score, severity=reading.severity),
        grounding=(reading.grounding(),),
        support=(reading.severity, reading.score),
        options=tuple(_RATINGS[s] for s in (reading.severity, *rng.sample(others, 3))),
    )


def _metric(reading: Reading, rng: random.Random) -> Draft:
    """Ask what one metric says; the wrong options are other values of this vector's metrics."""
    metric = rng.choice(list(METRICS))
    wrong = [
        f"{METRICS[m][0]}: {name}"
        for m, value in reading.metrics
        for v, (name, _) in METRICS[m][1].items()
        if v != value
    ]
    right = reading.called(metric)
    return Draft(
        kind="cvss",
        topic="metric",
        subject=reading.vector,
        question=lead(rng, say(rng, _METRIC_ASKS, vector=reading.vector)),
        answer=f"The vector holds {right}: {reading.means(metric)}.",
        grounding=(reading.grounding(),),
        support=(right,),
        options=(right.partition(" (")[0], *rng.sample(wrong, 3)),
    )


def _more_severe(reading: Reading, readings: Sequence[Reading], rng: random.Random) -> Draft:
    """Ask which of four vectors scores highest; the right one does, by a tenth at least."""
    lower = [r for r in readings if float(r.score) < float(reading.score)]
    top = reading
    if len(lower) < 3:
        top = max(readings, key=lambda r: (float(r.score), r.vector))
        lower = [r for r in readings if float(r.score) < float(top.score)]
    wrong = rng.sample(lower, 3) if len(lower) > 2 else []
    return Draft(
        kind="cvss",
        topic="more severe",
        subject=top.vector,
        question=lead(rng, say(rng, _MORE_ASKS)),
        answer=f"{top.vector} has the highest base score of the four, {top.score} "
        f"({top.severity}); the others score "
        f"{', '.join(sorted((r.score for r in wrong), key=float, reverse=True))}.",
        grounding=(
            top.grounding(),
            *(
                Grounding(SOURCE, "options", f"base score {r.score}")
                for i, r in enumerate(wrong, start=1)
            ),
        ),
        support=(top.vector, top.score),
        options=(top.vector, *(r.vector for r in wrong)),
    )


def _reading(reading: Reading, rng: random.Random) -> Draft:
    lines = [f"- {reading.called(name)}: {reading.means(name)}." for name, _ in reading.metrics]
    called = tuple(reading.called(name) for name, _ in reading.metrics)
    opening = say(rng, _READING_OPENINGS, score=reading.score, severity=reading.severity)
    return Draft(
        kind="cvss",
        topic="reading",
        subject=reading.vector,
        question=lead(rng, say(rng, _READING_ASKS, vector=reading.vector)),
        answer="\n".join([opening, *lines]),
        grounding=(reading.grounding(),),
        support=(reading.score, reading.severity, *called),
    )


def _what_if(reading: Reading, rng: random.Random) -> Draft:
    """Ask how the score moves when one metric takes another value."""
    metric = rng.choice(list(METRICS))
    name, values = METRICS[metric]
    before = dict(reading.metrics)[metric]
    after = rng.choice([value for value in values if value != before])
    other = reading.with_(metric, after)
    change = round(float(other.score) - float(reading.score), 1)
    moved = "stays where it is" if not change else "rises" if change > 0 else "falls"
    answer = (
        f"The base score {moved}: from {reading.score} ({reading.severity}) to {other.score} "
        f"({other.severity}). The vector becomes {other.vector}."
    )
    if not change:
        answer = f"The base score {moved}, at {other.score} ({other.severity})."
    return Draft(
        kind="cvss",
        topic="what if",
        subject=reading.vector,
        question=lead(
            rng,
            say(
                rng,
                _WHAT_IF_ASKS,
                vector=reading.vector,
                name=name,
                before=values[before][0],
                after=values[after][0],
            ),
        ),
        answer=answer,
        grounding=(reading.grounding(), other.grounding()),
        support=(other.score, other.severity),
    )


def _rating(reading: Reading, rng: random.Random) -> Draft:
    return Draft(
        kind="cvss",
        topic="rating",
        subject=reading.vector,
        question=lead(rng, say(rng, _RATING_ASKS, vector=reading.vector)),
        answer=say(
            rng,
            _RATING_ANSWERS,
            score=reading.score,
            severity=reading.severity,
            reach=reading.called("AV"),
            rights=reading.called("PR"),
            help=reading.called("UI"),
        ),
        grounding=(reading.grounding(),),
        support=(reading.score, reading.severity),
    )


_SCORE_ASKS = (
    "What is the CVSS v3.1 base score of {vector}?",
    "A finding carries the vector {vector}. Which base score follows from it?",
    "Which base score belongs to {vector}?",
    "The score field of a ticket is empty, its vector is {vector}. Which score goes in?",
    "Compute the base score of {vector}.",
    "By the CVSS v3.1 equations, how does {vector} score?",
    "What number from 0 to 10 does {vector} come to?",
    "An exported report lost its scores. Which one does {vector} have?",
)
_SCORE_REASONS = (
    "The metrics give a base score of {score}, which is {severity}.",
    "By the CVSS v3.1 equations this vector scores {score} ({severity}).",
    "The base score of this vector is {score}, in the {severity} range.",
)
_SEVERITY_ASKS = (
    "Which severity does the CVSS v3.1 vector {vector} have?",
    "How severe is a vulnerability rated {vector}?",
    "A dashboard sorts by qualitative severity. Where does {vector} go?",
    "Into which qualitative rating does {vector} fall?",
)
_SEVERITY_REASONS = (
    "The base score is {score}, which is {severity}.",
    "With {score} the vector falls into the range called {severity}.",
    "It scores {score}; the rating scale calls that {severity}.",
)
_METRIC_ASKS = (
    "Which statement is true of the CVSS v3.1 vector {vector}?",
    "Read {vector}. Which of these does it say?",
    "Which of these metric values is part of {vector}?",
    "A vulnerability is rated {vector}. Which option describes it correctly?",
    "Which reading of {vector} is correct?",
    "One of these holds for {vector}. Which?",
    "What does a reader of {vector} learn about the vulnerability?",
)
_MORE_ASKS = (
    "Four findings wait for a patch window. Which vector has the highest CVSS v3.1 base score?",
    "Which of these CVSS v3.1 vectors is the most severe by base score?",
    "By base score alone, which of these findings comes first?",
    "Which of the following vectors scores highest under CVSS v3.1?",
    "One of these vectors has a higher base score than the other three. Which?",
)
_READING_ASKS = (
    "Explain the CVSS vector {vector} to someone who has never read one.",
    "What does {vector} say about the vulnerability?",
    "Read {vector} metric by metric, and give the base score.",
    "Translate {vector} into plain words.",
    "Break down {vector} for a report.",
    "Decode the vector {vector} and state how severe it is.",
)
_READING_OPENINGS = (
    "Base score {score}, severity {severity}. Metric by metric:",
    "The vector scores {score} ({severity}) and says this:",
    "This is a vulnerability of {severity} severity, base score {score}:",
)
_WHAT_IF_ASKS = (
    "A vulnerability is rated {vector}. How does the base score change if {name} is {after} "
    "and not {before}?",
    "{name} of {vector} is corrected from {before} to {after}. What is the base score then?",
    "The vendor says that {name} should be {after} in {vector}. What would that do to the score?",
    "Suppose {vector} had {name} {after}. Would it still be as severe?",
)
_RATING_ASKS = (
    "How urgent is a finding with {vector}, by its score and by what an attacker needs?",
    "Give score, severity and preconditions of {vector}.",
    "A patch is being planned for {vector}. What are the score and the preconditions?",
    "What does an attacker need to exploit a vulnerability rated {vector}, and how severe is it?",
)
_RATING_ANSWERS = (
    "It scores {score}, which is {severity}. Preconditions: {reach}; {rights}; {help}.",
    "The base score is {score} ({severity}). What an attacker needs is told by {reach}, {rights} "
    "and {help}.",
    "Severity {severity}, base score {score}. What it takes: {reach}; {rights}; {help}.",
)
