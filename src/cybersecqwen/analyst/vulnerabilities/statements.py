"""Say what is known about a CVE, one sentence for each thing that is asked.

    facts = collect(["CVE-2021-44228"], [Path("records.sqlite")])["CVE-2021-44228"]
    SENTENCES["score"](facts, CveQuestion("Is CVE-2021-44228 critical?", ("score",)))

A sentence that answers yes or no begins with it. The wording is our own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from cybersecqwen.analyst.vulnerabilities import exploitation_statements, severity_statements
from cybersecqwen.analyst.vulnerabilities.facts import NVD, CveFacts
from cybersecqwen.analyst.vulnerabilities.nicknames import nickname_of
from cybersecqwen.analyst.vulnerabilities.versions import (
    affected_versions,
    exposure,
    fixed_versions,
)
from cybersecqwen.analyst.vulnerabilities.wording import (
    CveQuestion,
    Sentence,
    compiled,
    folded,
    listed,
    table,
)
from cybersecqwen.cwe.mapping import ADVISED_AGAINST
from cybersecqwen.sources.severity import severity

_LISTED = 6  # techniques or attack patterns


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


def _exposure(facts: CveFacts, question: CveQuestion) -> Sentence:
    """Say whether a version is affected, as far as the description or the record tells."""
    version = question.version
    found = exposure(version, facts.text, facts.affected, product=question.names)
    if found is None:
        ranges = listed(affected_versions(facts.text))
        told = f": it names {ranges}" if ranges else ""
        return Sentence(
            f"Whether {version} is affected by {facts.label} cannot be told from its record{told}."
        )
    # "Is 2.4 safe?" is answered the other way round.
    safe = question.has("safe") and not question.has("unsafe")
    begins = "Yes" if found.affected != safe else "No"
    verb = "is" if found.affected else "is not"
    return Sentence(
        f"{begins}, {version} {verb} affected by {facts.label}: {found.reason}, by its"
        f" {found.source}.",
        truth=found.affected,
    )


def _detection(facts: CveFacts, _: CveQuestion) -> Sentence:
    return Sentence(f"How exploitation of {facts.label} is detected is not recorded here.")


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
        return Sentence(f"The description of {facts.label} names no range of affected versions.")
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
    "exposure": _exposure,
    "mechanism": _summary,
    "detection": _detection,
    "exploit_code": exploitation_statements.exploit_code,
    "ransomware": exploitation_statements.ransomware,
    "delay": exploitation_statements.delay,
    "due": exploitation_statements.due,
    "epss": exploitation_statements.epss,
    "kev": exploitation_statements.kev,
    **{
        facet: severity_statements.metric(facet)
        for facet in ("interaction", "privileges", "reach", "complexity", "scope")
    },
    "impact": severity_statements.impact,
    "vector": severity_statements.vector,
    "score": severity_statements.score,
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
WITHOUT_RECORD = frozenset(
    {"ransomware", "delay", "due", "kev", "epss", "exploit_code", "name", "references"}
)
OF_KEV = frozenset(
    {"exploit_code", "ransomware", "delay", "due", "kev", "dates", "summary", "effect", "mechanism"}
)
WITH_DESCRIPTION = frozenset(
    {"exposure", "fix", "product", "versions", "component", "summary"}
    | {"effect", "mechanism", "impact"}
)
