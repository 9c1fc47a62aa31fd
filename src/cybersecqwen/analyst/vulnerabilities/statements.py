"""Say what is known about a CVE, one sentence for each thing that is asked.

    facts = collect(["CVE-2021-44228"], [Path("records.sqlite")])["CVE-2021-44228"]
    SENTENCES["score"](facts, CveQuestion("Is CVE-2021-44228 critical?", ("score",)))

A sentence that answers yes or no begins with it. The wording is our own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from cybersecqwen.analyst.vulnerabilities.facts import NVD, CveFacts
from cybersecqwen.analyst.vulnerabilities.nicknames import nickname_of
from cybersecqwen.analyst.vulnerabilities.products import affected_versions, fixed_versions
from cybersecqwen.analyst.vulnerabilities.wording import (
    CveQuestion,
    compiled,
    folded,
    listed,
    table,
)
from cybersecqwen.cwe.mapping import ADVISED_AGAINST
from cybersecqwen.records import Cvss
from cybersecqwen.sources.severity import ranked_severities, severity

_LISTED = 6  # techniques or attack patterns


class Sentence(NamedTuple):
    """A sentence, and whether it answers what was asked: False where nothing is known."""

    text: str
    known: bool = True


def _kev(facts: CveFacts, question: CveQuestion) -> Sentence:
    if not facts.kev:
        return Sentence(f"No, {facts.label} is not in CISA's KEV catalogue.")
    if "dates" in question.facets and not question.yes_no:
        return Sentence(
            f"CISA added {facts.label} to its KEV catalogue on {facts.kev.date_added}, due"
            f" {facts.kev.due_date}."
        )
    ransomware = ", used in ransomware campaigns" if facts.kev.ransomware else ""
    return Sentence(
        f"Yes, {facts.label} is in CISA's KEV catalogue of exploited vulnerabilities: added"
        f" {facts.kev.date_added}, due {facts.kev.due_date}{ransomware}."
    )


def _ransomware(facts: CveFacts, question: CveQuestion) -> Sentence:
    if not facts.kev:
        return _kev(facts, question)
    if facts.kev.ransomware:
        return Sentence(
            f"Yes, CISA's KEV says that {facts.label} is known to be used by ransomware."
        )
    return Sentence(
        f"No use of {facts.label} in ransomware is known to CISA; KEV has listed it as exploited"
        f" since {facts.kev.date_added}."
    )


def _due(facts: CveFacts, question: CveQuestion) -> Sentence:
    if not facts.kev:
        return _kev(facts, question)
    return Sentence(
        f"The due date of {facts.label} in CISA's KEV is {facts.kev.due_date}; it was added on"
        f" {facts.kev.date_added}."
    )


def _epss(facts: CveFacts, _: CveQuestion) -> Sentence:
    if facts.epss:
        return Sentence(
            f"EPSS puts the probability that {facts.label} is exploited within 30 days at"
            f" {facts.epss.score:.1%} (percentile {facts.epss.percentile:.1%})."
        )
    if facts.epss_release:
        return Sentence(f"EPSS has no score of {facts.label}.")
    return Sentence("EPSS is not at hand: cybersecqwen fetch epss.", known=False)


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
}
_IMPACTS = {"C": "confidentiality", "I": "integrity", "A": "availability"}
_DEGREES = {"H": "high", "L": "low", "N": "none", "C": "complete", "P": "partial"}


def _values(cvss: Cvss) -> dict[str, str]:
    pairs = (part.partition(":") for part in cvss.vector.split("/"))
    return {name: value for name, _, value in pairs if name != "CVSS"}


def _metric(facet: str) -> Callable[[CveFacts, CveQuestion], Sentence]:
    names, positive, phrases = _METRICS[facet]

    def sentence(facts: CveFacts, question: CveQuestion) -> Sentence:
        for cvss in ranked_severities(facts.record) if facts.record else ():
            value = next((v for n, v in _values(cvss).items() if n in names), "")
            if value in phrases:
                name = next(n for n in _values(cvss) if n in names)
                truth = value in positive
                if facet == "reach" and question.has("local"):
                    truth = value in "LP"
                elif question.has("without"):
                    truth = not truth
                begins = f"{'Yes' if truth else 'No'}, " if question.yes_no else ""
                where = f"{name}:{value} in CVSS {cvss.version}"
                return Sentence(f"{begins}{facts.label} {phrases[value]} ({where}).")
        return Sentence(
            f"The record of {facts.label} has no CVSS vector that says so.", known=False
        )

    return sentence


def _impact(facts: CveFacts, _: CveQuestion) -> Sentence:
    cvss = facts.cvss()
    if cvss is None:
        return _score(facts, CveQuestion("", ()))
    values = _values(cvss)
    told = [
        f"{_DEGREES.get(value, value)} on {name}"
        for letter, name in _IMPACTS.items()
        if (value := values.get(letter) or values.get(f"V{letter}"))
    ]
    return Sentence(f"The impact of {facts.label} is {listed(told)} (CVSS {cvss.version}).")


def _score(facts: CveFacts, question: CveQuestion) -> Sentence:
    version = question.cvss_version
    cvss = facts.cvss(version)
    if cvss is None:
        of = f"CVSS {version}" if version else "CVSS"
        return Sentence(f"The record of {facts.label} has no {of} score.", known=False)
    word = severity(cvss)
    rated = f"CVSS {cvss.version} base score {cvss.score:.1f}"
    if question.yes_no and (wanted := question.severity):
        truth = word.lower() in wanted
        return Sentence(
            f"{'Yes' if truth else 'No'}, {facts.label} is rated {word}: {rated} ({cvss.vector})."
        )
    return Sentence(f"{facts.label} has the {rated}, {word} ({cvss.vector}).")


def _vector(facts: CveFacts, question: CveQuestion) -> Sentence:
    cvss = facts.cvss(question.cvss_version)
    if cvss is None:
        return _score(facts, question)
    return Sentence(f"The CVSS {cvss.version} vector of {facts.label} is {cvss.vector}.")


def _weakness(facts: CveFacts, question: CveQuestion) -> Sentence:
    by_giver: dict[str, list[str]] = {}
    for label in facts.labels:
        by_giver.setdefault(label.giver, []).append(f"{label.cwe} {label.name}".strip())
    if not by_giver:
        return _classified(facts)
    (first, given), *others = by_giver.items()
    wanted = question.cwes
    begins = ""
    if wanted and question.yes_no:
        has = any(label.cwe in wanted for label in facts.labels)
        begins = "Yes, " if has else "No, "
    said = f"{begins}{facts.label} is labelled {listed(given)} by {first}"
    different = [f"{listed(labels)} by {giver}" for giver, labels in others if labels != given]
    return Sentence(f"{said}{', '.join(['', *different])}.")


def _classified(facts: CveFacts) -> Sentence:
    from cybersecqwen.analyst.classification import classify

    if not facts.text:
        return Sentence(f"{facts.label} has no label and no description.", known=False)
    result = next(classify([facts.text], top=1, threshold=0.0))
    if not result.candidates:
        return Sentence(f"{facts.label} has no CWE label: {result.reason}.", known=False)
    best = result.candidates[0]
    return Sentence(
        f"{facts.label} is a case of {best.cwe} {best.name}, by our own classifier at"
        f" {best.confidence:.0%}: no source labels it."
    )


def _fix(facts: CveFacts, _: CveQuestion) -> Sentence:
    versions = fixed_versions(facts.text)
    if versions:
        named = f"{facts.product} {listed(versions)}" if facts.product else listed(versions)
        return Sentence(f"{facts.label} is fixed in {named}, by its description.")
    advice = [f"CISA says: {facts.kev.action}"] if facts.kev and facts.kev.action else []
    advice += [f"Against {cwe}: {fix}" for cwe, fix in _fixes(facts)]
    said = f"The record of {facts.label} names no fixed version: the vendor's advisory does."
    return Sentence(" ".join([said, *advice]), known=bool(advice))


def _fixes(facts: CveFacts) -> Iterator[tuple[str, str]]:
    """Yield what prevents the weaknesses that a record is labelled with, in our own words."""
    from cybersecqwen.analyst.related import knowledge

    index = knowledge()
    for cwe in dict.fromkeys(label.cwe for label in facts.labels):
        position = index.position(cwe)
        if position is not None and (fix := index.fix(position)):
            yield cwe, fix


def _product(facts: CveFacts, question: CveQuestion) -> Sentence:
    if not facts.product:
        return Sentence(f"What {facts.label} affects stands in its description.")
    return Sentence(f"{_confirmed(facts, question)}{facts.label} affects {facts.product}.")


def _confirmed(facts: CveFacts, question: CveQuestion) -> str:
    """Say whether a flaw is of the kind that is supposed; yes to words that the record has."""
    kind = next(
        (one for one in table()["types"].items() if compiled(one[0]).search(folded(question.text))),
        None,
    )
    if kind and question.yes_no:
        phrase, meanings = kind
        text = folded(facts.text)
        labelled = any(one.cwe in meanings for one in facts.labels)
        described = compiled(phrase).search(text) or any(meaning in text for meaning in meanings)
        return "Yes, " if labelled or described else "Nothing in the record says so: "
    has = set(folded(f"{facts.text} {facts.product}").split())
    return "Yes, " if question.yes_no and question.names and has.issuperset(question.names) else ""


def _versions(facts: CveFacts, _: CveQuestion) -> Sentence:
    ranges = affected_versions(facts.text)
    if not ranges:
        return Sentence(f"The affected versions of {facts.label} stand in its description.")
    return Sentence(f"{facts.label} affects {facts.product} {listed(ranges)}.".replace("  ", " "))


def _component(facts: CveFacts, _: CveQuestion) -> Sentence:
    from cybersecqwen.synthesis.record_facts import component

    found = component(facts.text)
    if not found:
        return Sentence(f"The part that {facts.label} affects stands in its description.")
    return Sentence(f"{facts.label} lies in the {found.noun} {found.name}.")


def _dates(facts: CveFacts, _: CveQuestion) -> Sentence:
    record = facts.record
    if record is None or not record.published:
        return Sentence(f"The record of {facts.label} states no date.", known=False)
    modified = f" and last modified on {record.modified[:10]}" if record.modified else ""
    listed_by = f"; CISA's KEV has listed it since {facts.kev.date_added}" if facts.kev else ""
    return Sentence(f"{facts.label} was published on {record.published}{modified}{listed_by}.")


def _assigner(facts: CveFacts, question: CveQuestion) -> Sentence:
    if facts.record and facts.record.assigner:
        found = re.search(r"\b(?:found|report|discover)", question.text, re.IGNORECASE)
        first = f"Who found {facts.label} is not recorded. It" if found else facts.label
        return Sentence(f"{first} was assigned by {facts.record.assigner}.")
    return Sentence(f"The record of {facts.label} does not say who assigned it.", known=False)


def _references(facts: CveFacts, _: CveQuestion) -> Sentence:
    return Sentence(f"The references of {facts.label} are listed at {NVD}{facts.cve_id}.")


def _name(facts: CveFacts, _: CveQuestion) -> Sentence:
    name = nickname_of(facts.cve_id)
    if not name:
        return Sentence(f"No other name of {facts.cve_id} is known here.", known=False)
    return Sentence(f"{facts.cve_id} is known as {name}.")


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _techniques(facts: CveFacts, _: CveQuestion) -> Sentence:
    from cybersecqwen.analyst.related import relate

    telling = [one for one in facts.labels if one.usage not in ADVISED_AGAINST] or facts.labels
    related = relate(dict.fromkeys(label.cwe for label in telling))
    said = _distinct(
        f"{one.technique} {one.name} ({one.cwe}, {one.capec})" for one in related.techniques
    )
    patterns = _distinct(f"{one.capec} {one.name}" for one in related.patterns)
    if said:
        return Sentence(f"By its weakness, {facts.label} belongs to {listed(said[:_LISTED])}.")
    if patterns:
        return Sentence(
            f"By its weakness, {facts.label} is exploited by {listed(patterns[:_LISTED])}."
        )
    return Sentence(f"No technique is related to the weakness of {facts.label}.", known=False)


def _summary(facts: CveFacts, question: CveQuestion) -> Sentence:
    record = facts.record
    if record and record.rejected:
        return Sentence(f"{facts.label} is a rejected record and stands for no vulnerability.")
    parts = [f"{_confirmed(facts, question)}{facts.label} is {_what(facts)}"]
    if cvss := facts.cvss():
        parts.append(f"rated {cvss.score:.1f} {severity(cvss)} (CVSS {cvss.version})")
    if record and record.published:
        parts.append(f"published {record.published}")
    if facts.kev:
        parts.append(f"in CISA's KEV since {facts.kev.date_added}")
    return Sentence(f"{', '.join(parts)}.")


def _what(facts: CveFacts) -> str:
    place = f" in {facts.product}" if facts.product else ""
    for label in facts.labels[:1]:
        return f"{label.cwe} {_short(label.name)}{place}"
    return f"a vulnerability{place}"


def _short(name: str) -> str:
    """Return the everyday name of a weakness, which CWE puts into quotation marks.

    >>> _short("Improper Control of Generation of Code ('Code Injection')")
    'Code Injection'
    """
    return name.partition("('")[2].partition("')")[0] or name


SENTENCES: dict[str, Callable[[CveFacts, CveQuestion], Sentence]] = {
    "ransomware": _ransomware,
    "due": _due,
    "epss": _epss,
    "kev": _kev,
    "interaction": _metric("interaction"),
    "privileges": _metric("privileges"),
    "reach": _metric("reach"),
    "complexity": _metric("complexity"),
    "impact": _impact,
    "vector": _vector,
    "score": _score,
    "weakness": _weakness,
    "fix": _fix,
    "product": _product,
    "versions": _versions,
    "component": _component,
    "dates": _dates,
    "assigner": _assigner,
    "references": _references,
    "name": _name,
    "techniques": _techniques,
    "summary": _summary,
    "effect": _summary,
}
# What can be said of a CVE without its record, what is said from KEV, and what the description
# itself has to tell.
WITHOUT_RECORD = frozenset({"ransomware", "due", "kev", "epss", "name", "references"})
OF_KEV = frozenset({"ransomware", "due", "kev", "dates", "summary", "effect"})
WITH_DESCRIPTION = frozenset({"fix", "product", "versions", "component", "summary", "effect"})
