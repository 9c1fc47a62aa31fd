"""Answer a question about CVEs from their records: one CVE's facts, two compared, or a table.

    answer_from_records("Is CVE-2021-44228 in KEV?", [Path("records.sqlite")]).answer
    answer_from_records("which F5 BIG-IP CVEs are in KEV?", []).answer

A CVE may be named by its id in any spelling or by the name under which it is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from cybersecqwen.analyst.vulnerabilities.nicknames import Nickname, take_nicknames
from cybersecqwen.analyst.vulnerabilities.products import fixed_versions
from cybersecqwen.analyst.vulnerabilities.wording import (
    CveQuestion,
    folded,
    listed,
    pattern,
    read,
    table,
)
from cybersecqwen.cwe.identifiers import cve_ids, unread_ids
from cybersecqwen.records import Answer

if TYPE_CHECKING:
    from cybersecqwen.analyst.vulnerabilities.facts import CveFacts
    from cybersecqwen.analyst.vulnerabilities.statements import Sentence

_MOST = 12  # CVEs that one question is answered of
_SPOKEN_OF = 5  # of them in sentences, the others as evidence
_NEEDS = frozenset({"interaction", "privileges", "reach", "complexity"})  # of exploitation
_OTHERS = frozenset({"actors", "detection"})  # what the knowledge base may know, and no record


def answer_from_records(text: str, records: Sequence[Path] = ()) -> Answer | None:
    """Answer a question about CVEs; None where it is about something else.

    `text` has its ids normalised. `records` are files of records, KEV or EPSS, without which the
    record store and the cached feeds count. What no feed at hand holds is not covered, and the
    answer says how to fetch it. Raises InputError for a file that cannot be read.
    """
    if unread_ids(text):
        return None
    ids = cve_ids(text)
    names, rest = take_nicknames(text)
    if ids or names:
        return _of_cves(read(rest), ids, names, records)
    from cybersecqwen.analyst.vulnerabilities.queries import parse

    query = parse(text)
    if query is None:
        return None
    from cybersecqwen.analyst.vulnerabilities.listing import answer_query

    return answer_query(query, records)


def _of_cves(
    question: CveQuestion, ids: Sequence[str], names: Sequence[Nickname], records: Sequence[Path]
) -> Answer | None:
    if _OTHERS & {*question.facets}:
        return None
    if names and ids and not question.facets and question.yes_no:
        return _same(names[0], ids[0])
    wanted = list(ids) or list(dict.fromkeys(cve for name in names for cve in name.cves))
    if not wanted:
        meaning = f"{names[0].name} has no CVE of its own: {names[0].meaning}."
        return Answer(meaning, _sure("name"), covered=True)
    from cybersecqwen.analyst.vulnerabilities.facts import collect

    facts = collect(wanted[:_MOST], records)
    two = ids or [name.cves[0] for name in names if name.cves]
    if len(two) == 2 and pattern("comparison", "words").search(folded(question.text)):
        return _compared(facts[two[0]], facts[two[1]], question, records)
    return _facts([*facts.values()], question, () if ids else names, records)


def _same(name: Nickname, cve_id: str) -> Answer:
    """Say whether a name is that of a CVE."""
    from cybersecqwen.analyst.vulnerabilities.facts import collect

    truth = cve_id in name.cves
    others = f" is {listed(name.cves)}" if name.cves else " has no CVE of its own"
    said = f"Yes, {name.name}{others}" if truth else f"No, {name.name}{others}, not {cve_id}"
    facts = collect(name.cves[:1] or [cve_id], ())
    return Answer(
        f"{said}: {name.meaning}.",
        _sure("name"),
        covered=True,
        evidence=tuple(one.evidence("name") for one in facts.values()),
    )


def _facts(
    facts: Sequence[CveFacts],
    question: CveQuestion,
    names: Sequence[Nickname],
    records: Sequence[Path],
) -> Answer:
    """Say of each CVE what is asked; of one that is known by its name, say first which it is."""
    from cybersecqwen.analyst.vulnerabilities import statements
    from cybersecqwen.analyst.vulnerabilities.facts import quote, sources

    facets = _facets(question, by_name=bool(names))
    called = [_called(name) for name in names if "name" in facets]
    wanted = [facet for facet in facets if facet != "name"] if called else facets
    said = [one for cve in facts[:_SPOKEN_OF] for one in _said(cve, wanted, question, records)]
    if not called and not any(one.known for one in said):
        return Answer(" ".join(one.text for one in said), 0.0, covered=False)
    about = {*facets}
    lines = [*called, " ".join(dict.fromkeys(one.text for one in said))]
    lines.append(quote(facts[0]) if len(facts) == 1 and statements.WITH_DESCRIPTION & about else "")
    lines.append(sources(facts, kev=bool(statements.OF_KEV & about), epss="epss" in about))
    return Answer(
        "\n".join(filter(None, lines)),
        min(_confidence(facts[0], facet) for facet in facets),
        covered=True,
        evidence=tuple(one.evidence(facets[0]) for one in facts),
    )


def _said(
    facts: CveFacts, facets: Sequence[str], question: CveQuestion, records: Sequence[Path]
) -> Iterator[Sentence]:
    """Yield a sentence for each thing that is asked for, and one for all that needs a record."""
    from cybersecqwen.analyst.vulnerabilities import statements

    for facet in facets:
        if facts.record is None and (facet not in statements.WITHOUT_RECORD or _is_future(facts)):
            yield statements.Sentence(_not_at_hand(facts.cve_id, records), known=False)
            return
        yield statements.SENTENCES[facet](facts, question)


def _facets(question: CveQuestion, *, by_name: bool) -> list[str]:
    """List what is asked for; without a telling word it is what the CVE is."""
    facets = [facet for facet in question.facets if facet != "same"]
    if "due" in facets and not pattern("facets", "versions").search(folded(question.text)):
        facets = [facet for facet in facets if facet != "fix"]
    if "ransomware" in facets or "due" in facets:
        facets = [facet for facet in facets if facet not in ("kev", "dates")]
    if _NEEDS & {*facets} and not pattern("polarity", "in_kev").search(folded(question.text)):
        facets = [facet for facet in facets if facet != "kev"]
    if "kev" in facets:
        facets = [facet for facet in facets if facet != "dates"]
    if "vector" in facets and "score" in facets and "score" not in folded(question.text):
        facets.remove("score")
    if by_name and (not facets or facets == ["summary"] or _wants_id(question)):
        facets = ["name", *(facet for facet in facets if facet != "name")]
        return facets if len(facets) > 1 else ["name", "summary"]
    return facets or ["summary"]


def _wants_id(question: CveQuestion) -> bool:
    return bool(pattern("queries", "certain").search(folded(question.text)))


def _called(name: Nickname) -> str:
    verb = "is" if len(name.cves) == 1 else "stands for"
    return f"{name.name} {verb} {listed(name.cves)}: {name.meaning}."


def _not_at_hand(cve_id: str, records: Sequence[Path]) -> str:
    """Say that no record of a CVE is at hand, and what would bring it."""
    from cybersecqwen.analyst.local_records import how_to_fetch

    if _year(cve_id) > date.today().year:
        return f"{cve_id} is not covered: no CVE of {_year(cve_id)} is published yet."
    where = f"in {listed([path.name for path in records])}" if records else "at hand"
    tip = "give other --records" if records else how_to_fetch(cve_id)
    return f"{cve_id} is not covered: no record of it is {where} ({tip})."


def _is_future(facts: CveFacts) -> bool:
    """Tell an id of a year to come, of which KEV lists nothing."""
    return facts.kev is None and _year(facts.cve_id) > date.today().year


def _year(cve_id: str) -> int:
    return int(cve_id.split("-")[1])


def _compared(
    one: CveFacts, other: CveFacts, question: CveQuestion, records: Sequence[Path]
) -> Answer:
    """Say which of two CVEs is rated higher, and what else tells them apart."""
    from cybersecqwen.analyst.vulnerabilities import statements
    from cybersecqwen.analyst.vulnerabilities.facts import sources

    pair = sorted((one, other), key=_weight, reverse=True)
    if pattern("comparison", "lower").search(folded(question.text)):
        pair.reverse()
    missing = [_not_at_hand(cve.cve_id, records) for cve in pair if cve.record is None]
    if missing:
        return Answer(" ".join(missing), 0.0, covered=False)
    if dated := _by_date(pair, question):
        lines = [dated, sources(pair, kev=False)]
        evidence = tuple(cve.evidence("dates") for cve in pair)
        return Answer("\n".join(lines), _sure("comparison"), covered=True, evidence=evidence)
    sentences = [_verdict(*pair, lower=_weight(pair[0]) < _weight(pair[1]))]
    sentences += [statements.SENTENCES["summary"](cve, question).text for cve in pair]
    lines = [" ".join(sentences), sources(pair, kev=True)]
    evidence = tuple(cve.evidence("score") for cve in pair)
    return Answer("\n".join(lines), _sure("comparison"), covered=True, evidence=evidence)


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
    from cybersecqwen.sources.severity import severity

    cvss = facts.cvss()
    return f"CVSS {cvss.version} {cvss.score:.1f} {severity(cvss)}" if cvss else "no CVSS score"


def _confidence(facts: CveFacts, facet: str) -> float:
    if facet == "weakness" and not facts.labels:
        return _sure("classified")
    if facet == "fix" and not fixed_versions(facts.text):
        return _sure("advice")
    return _sure(facet)


def _sure(kind: str) -> float:
    confidence: Mapping[str, float] = table()["confidence"]
    return confidence[kind]
