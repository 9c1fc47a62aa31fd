"""Compare CVEs: which of several is so, how they rank, and which of two is rated higher or newer.

compare([facts[one], facts[other]], read("which of them needs no login?"), [])

"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cybersecqwen.analyst.vulnerabilities import statements
from cybersecqwen.analyst.vulnerabilities.facts import CveFacts, not_at_hand, sources
from cybersecqwen.analyst.vulnerabilities.wording import (
    CveQuestion,
    folded,
    listed,
    pattern,
    table,
)
from cybersecqwen.records import Answer
from cybersecqwen.sources.severity import severity

_PAIR = 2
# What is so of a CVE or is not, by which one of several is told.
_TELLING = (
    "ransomware",
    "kev",
    "interaction",
    "privileges",
    "reach",
    "scope",
    "complexity",
    "impact",
)
# Words of a denial that are a part of what is asked for.
_OPPOSITES = {"interaction": ("without",), "privileges": ("without",), "scope": ("unchanged",)}
_OF_KEV = frozenset({"ransomware", "kev"})


def compare(
    facts: Sequence[CveFacts], question: CveQuestion, records: Sequence[Path]
) -> Answer | None:
    """Compare CVEs as the question asks; None where it compares none."""
    telling = [facet for facet in _TELLING if facet in question.facets]
    if telling and _has(question, "choice"):
        return _chosen(facts, telling[0], question, records)
    if _has(question, "rank") or (len(facts) > _PAIR and _has(question, "most")):
        return _ranked(facts, question, records)
    if len(facts) == _PAIR and _has(question, "words"):
        return _pair(facts[0], facts[1], question, records)
    return None


def _has(question: CveQuestion, group: str) -> bool:
    return bool(pattern("comparison", group).search(folded(question.text)))


def _answer(lines: Sequence[str], facts: Sequence[CveFacts], facet: str) -> Answer:
    confidence = float(table()["confidence"]["comparison"])
    evidence = tuple(one.evidence(facet) for one in facts)
    return Answer("\n".join(filter(None, lines)), confidence, covered=True, evidence=evidence)


def _chosen(
    facts: Sequence[CveFacts], facet: str, question: CveQuestion, records: Sequence[Path]
) -> Answer:
    """Say of which CVEs it holds, and then of each how it is."""
    denied = _is_denied(facet, question)
    known = [one for one in facts if one.record or facet in statements.WITHOUT_RECORD]
    said = {one.cve_id: statements.SENTENCES[facet](one, question) for one in known}
    fitting = [one for one in known if said[one.cve_id].truth is (not denied)]
    others = [one for one in known if one not in fitting]
    missing = [not_at_hand(one.cve_id, records) for one in facts if one not in known]
    if not known:
        return Answer(" ".join(missing), 0.0, covered=False)
    told = [said[one.cve_id].text for one in (*fitting, *others)]
    told = [text.removeprefix("Yes, ").removeprefix("No, ") for text in told]
    told = [text[0].upper() + text[1:] for text in told]
    lines = [" ".join([_which(fitting, known), *told, *missing])]
    lines.append(sources(facts, kev=facet in _OF_KEV))
    return _answer(lines, [*fitting, *others], facet)


def _is_denied(facet: str, question: CveQuestion) -> bool:
    """Tell whether those are asked for of which it is not so.

    "Which needs no login?" denies nothing: that none is needed is what is asked.
    """
    words = folded(question.text)
    for opposite in _OPPOSITES.get(facet, ()):
        words = pattern("polarity", opposite).sub(" ", words)
    return bool(pattern("polarity", "negated").search(words))


def _which(fitting: Sequence[CveFacts], known: Sequence[CveFacts]) -> str:
    if not fitting:
        return "None of them."
    if len(fitting) == len(known):
        return "Both of them." if len(known) == _PAIR else f"All {len(known)} of them."
    labels = listed([one.label for one in fitting])
    return f"It is {labels}." if len(fitting) == 1 else f"They are {labels}."


def _ranked(
    facts: Sequence[CveFacts], question: CveQuestion, records: Sequence[Path]
) -> Answer | None:
    """List CVEs by CVSS, or by EPSS or date where one of these is asked."""
    missing = [not_at_hand(one.cve_id, records) for one in facts if one.record is None]
    known = [one for one in facts if one.record]
    if not known:
        return None
    by_epss = "epss" in question.facets and all(one.epss for one in known)
    by = "EPSS" if by_epss else "date" if "dates" in question.facets else "CVSS"
    lower = _has(question, "lower") or (by == "date" and not _has(question, "newer"))

    def key(one: CveFacts) -> tuple[float, str]:
        if by == "date":
            return 0.0, one.record.published if one.record else ""
        return (one.epss.score if by_epss and one.epss else _weight(one)), ""

    order = sorted(known, key=key, reverse=not lower)
    first = {"date": ("newest", "oldest")}.get(by, ("highest", "lowest"))[lower]
    lines = [f"By {by}, the {first} first:"]
    lines += [f"{place}. {one.label}: {_value(one, by)}" for place, one in enumerate(order, 1)]
    return _answer([*lines, *missing, sources(known, kev=False, epss=by_epss)], order, "score")


def _value(facts: CveFacts, by: str) -> str:
    if by == "EPSS" and facts.epss:
        return f"{facts.epss.score:.1%}"
    if by == "date":
        return (facts.record.published if facts.record else "") or "no date"
    return _rating(facts)


def _pair(one: CveFacts, other: CveFacts, question: CveQuestion, records: Sequence[Path]) -> Answer:
    """Say which of two CVEs is rated higher, and what else tells them apart."""
    pair = sorted((one, other), key=_weight, reverse=True)
    if pattern("comparison", "lower").search(folded(question.text)):
        pair.reverse()
    missing = [not_at_hand(cve.cve_id, records) for cve in pair if cve.record is None]
    if missing:
        return Answer(" ".join(missing), 0.0, covered=False)
    if dated := _by_date(pair, question):
        return _answer([dated, sources(pair, kev=False)], pair, "dates")
    sentences = [_verdict(*pair, lower=_weight(pair[0]) < _weight(pair[1]))]
    sentences += [statements.SENTENCES["summary"](cve, question).text for cve in pair]
    return _answer([" ".join(sentences), sources(pair, kev=True)], pair, "score")


def _by_date(pair: Sequence[CveFacts], question: CveQuestion) -> str:
    """Say which of two CVEs was published first, where that is asked; else ""."""
    words = folded(question.text)
    older = pattern("comparison", "older").search(words)
    dates = [cve.record.published if cve.record else "" for cve in pair]
    if not (older or pattern("comparison", "newer").search(words)) or not all(dates):
        return ""
    (early, one), (late, other) = sorted(zip(dates, pair, strict=True), key=lambda each: each[0])
    first, then = ((one, early), (other, late)) if older else ((other, late), (one, early))
    said = f"{first[0].label} is {'older' if older else 'newer'}: published on {first[1]}"
    return f"{said}, {then[0].label} on {then[1]}."


def _weight(facts: CveFacts) -> float:
    cvss = facts.cvss()
    return cvss.score if cvss and cvss.score is not None else -1.0


def _verdict(first: CveFacts, second: CveFacts, *, lower: bool) -> str:
    scores = [_rating(facts) for facts in (first, second)]
    if _weight(first) == _weight(second):
        return f"{first.label} and {second.label} are rated alike: {scores[0]}."
    word = "lower" if lower else "higher"
    return f"{first.label} is rated {word}: {scores[0]}, against {scores[1]} of {second.label}."


def _rating(facts: CveFacts) -> str:
    cvss = facts.cvss()
    return f"CVSS {cvss.version} {cvss.score:.1f} {severity(cvss)}" if cvss else "no CVSS score"
