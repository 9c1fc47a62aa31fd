"""Say what CVSS tells of a CVE: its score, its vector, and each part of the vector.

A sentence that answers yes or no begins with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cybersecqwen.analyst.vulnerabilities.facts import CveFacts
from cybersecqwen.analyst.vulnerabilities.ratings import take_severities, vector_values
from cybersecqwen.analyst.vulnerabilities.wording import (
    CveQuestion,
    Sentence,
    folded,
    listed,
    table,
)
from cybersecqwen.sources.severity import ranked_severities, severity

# What a question for a part of the vector asks, the values by which the answer is yes, and how each
# value reads; of version 2 too, which has Au in place of PR.
_METRICS: dict[str, tuple[tuple[str, ...], str, dict[str, str]]] = {
    "interaction": (
        ("UI",),
        "RPA",
        {"N": "needs no user interaction"} | dict.fromkeys("RPA", "needs user interaction"),
    ),
    "privileges": (
        ("PR", "Au"),
        "LHSM",
        {
            "N": "needs no privileges or authentication",
            "L": "needs low privileges",
            "H": "needs high privileges",
            "S": "needs a login",
            "M": "needs several logins",
        },
    ),
    "reach": (
        ("AV",),
        "N",
        {
            "N": "is exploitable over a network",
            "A": "is exploitable from an adjacent network",
            "L": "is exploitable with local access",
            "P": "is exploitable with physical access",
        },
    ),
    "complexity": (
        ("AC",),
        "H",
        {
            "L": "has a low attack complexity",
            "M": "has a medium attack complexity",
            "H": "has a high attack complexity",
        },
    ),
    "scope": (
        ("S",),
        "C",
        {"C": "has a changed scope", "U": "leaves the scope unchanged"},
    ),
}
_IMPACTS = {"C": "confidentiality", "I": "integrity", "A": "availability"}
_DEGREES = {"H": "high", "L": "low", "N": "none", "C": "complete", "P": "partial"}


def metric(facet: str) -> Callable[[CveFacts, CveQuestion], Sentence]:
    """Return what says of a part of the vector how it is, and yes or no where that is asked."""
    names, positive, phrases = _METRICS[facet]

    def sentence(facts: CveFacts, question: CveQuestion) -> Sentence:
        for cvss in ranked_severities(facts.record) if facts.record else ():
            values = vector_values(cvss)
            name = next((name for name in names if values.get(name) in phrases), "")
            if name:
                value = values[name]
                truth = _is_true(facet, value, question, positive=value in positive)
                begins = f"{'Yes' if truth else 'No'}, " if question.asks_whether(facet) else ""
                where = f"{name}:{value} in CVSS {cvss.version}"
                return Sentence(f"{begins}{facts.label} {phrases[value]} ({where}).", truth=truth)
        return Sentence(
            f"The record of {facts.label} has no CVSS vector that says so.", known=False
        )

    return sentence


def _is_true(facet: str, value: str, question: CveQuestion, *, positive: bool) -> bool:
    """Tell whether a part is as the question supposes: local, easy, or without what it names."""
    if facet == "reach" and question.has("local"):
        return value in "LP"
    opposite = {"complexity": "easy", "scope": "unchanged"}.get(facet, "without")
    return not positive if question.has(opposite) else positive


def impact(facts: CveFacts, question: CveQuestion) -> Sentence:
    """Say what confidentiality, integrity and availability lose; yes or no of those named."""
    cvss = facts.cvss()
    if cvss is None:
        return score(facts, CveQuestion("", ()))
    values = vector_values(cvss)
    degrees = {
        name: value
        for letter, name in _IMPACTS.items()
        if (value := values.get(letter) or values.get(f"V{letter}"))
    }
    named = [name for name in degrees if name in question.text.lower()]
    either = any if re.search(r"\bor\b", question.text.lower()) else all
    truth = either(degrees[name] != "N" for name in named)
    if question.has("only"):
        truth = truth and all(degrees[name] == "N" for name in degrees if name not in named)
    begins = ("Yes, the" if truth else "No, the") if named and question.yes_no else "The"
    told = [f"{_DEGREES.get(value, value)} on {name}" for name, value in degrees.items()]
    return Sentence(
        f"{begins} impact of {facts.label} is {listed(told)} (CVSS {cvss.version}).",
        truth=truth if named else None,
    )


def score(facts: CveFacts, question: CveQuestion) -> Sentence:
    """Say the base score; yes or no where a severity is named."""
    version = question.cvss_version
    cvss = facts.cvss(version)
    if cvss is None:
        of = f"CVSS {version}" if version else "CVSS"
        return Sentence(f"The record of {facts.label} has no {of} score.", known=False)
    word = severity(cvss)
    rated = f"CVSS {cvss.version} base score {cvss.score:.1f}"
    if question.asks_whether("score") and (wanted := _wanted(question)):
        truth = word.lower() in wanted
        return Sentence(
            f"{'Yes' if truth else 'No'}, {facts.label} is rated {word}: {rated} ({cvss.vector})."
        )
    return Sentence(f"{facts.label} has the {rated}, {word} ({cvss.vector}).")


def _wanted(question: CveQuestion) -> set[str]:
    """Return the severities of which the question asks whether it is one: "at least medium"."""
    wanted: set[str] = set()
    rest, scores = take_severities(folded(question.text))
    while scores:
        low, high = scores
        bounds = table()["severities"].items()
        wanted |= {word for word, (first, last) in bounds if low <= first and last <= high}
        rest, scores = take_severities(rest)
    return wanted or {*question.severity}


def vector(facts: CveFacts, question: CveQuestion) -> Sentence:
    """Say the vector."""
    cvss = facts.cvss(question.cvss_version)
    if cvss is None:
        return score(facts, question)
    return Sentence(f"The CVSS {cvss.version} vector of {facts.label} is {cvss.vector}.")
