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
from cybersecqwen.analyst.vulnerabilities.versions import fixed_versions
from cybersecqwen.analyst.vulnerabilities.wording import (
    CveQuestion,
    Sentence,
    corrected,
    folded,
    listed,
    pattern,
    read,
    table,
)
from cybersecqwen.cwe.identifiers import cve_ids, cve_year, unread_ids
from cybersecqwen.records import Answer

if TYPE_CHECKING:
    from cybersecqwen.analyst.vulnerabilities.facts import CveFacts

_MOST = 12  # CVEs that one question is answered of
_SPOKEN_OF = 5  # of them in sentences, the others as evidence
_NEEDS = frozenset({"interaction", "privileges", "reach", "complexity"})  # of exploitation
_TOLD_BY_VERSION = frozenset({"product", "versions", "summary", "kev"})
_PAIR = 2
_OTHERS = frozenset({"actors", "detection"})  # what the knowledge base may know, and no record


def answer_from_records(text: str, records: Sequence[Path] = ()) -> Answer | None:
    """Answer a question about CVEs; None where it is about something else.

    `text` has its ids normalised. `records` are files of records, KEV or EPSS, without which the
    record store and the cached feeds count. What no feed at hand holds is not covered, and the
    answer says how to fetch it. Raises InputError for a file that cannot be read.
    """
    if unread_ids(text):
        return None
    text = corrected(text)
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
    told = "mechanism" in question.facets  # a description helps whoever is to detect it
    if _OTHERS & {*question.facets} - ({"detection"} if told else set()):
        return None
    others = [name for name in names if not set(ids).intersection(name.cves)]
    subjects = [*ids, *(name.cves[0] for name in others if name.cves)]
    if _asks_whether_same(question, ids, names) and (ids or len(names) > 1):
        return _same(ids, names if len(ids) < _PAIR else others, records)
    wanted = list(dict.fromkeys([*ids, *(cve for name in others for cve in name.cves)]))
    if not wanted:
        meaning = f"{names[0].name} has no CVE of its own: {names[0].meaning}."
        return Answer(meaning, _sure("name"), covered=True)
    from cybersecqwen.analyst.vulnerabilities import comparison
    from cybersecqwen.analyst.vulnerabilities.facts import collect

    facts = collect(wanted[:_MOST], records)
    several = [facts[cve_id] for cve_id in subjects if cve_id in facts]
    if len(several) > 1 and (answer := comparison.compare(several, question, records)):
        return answer
    return _facts([*facts.values()], question, () if ids else names, records)


def _asks_whether_same(
    question: CveQuestion, ids: Sequence[str], names: Sequence[Nickname]
) -> bool:
    """Tell "is Log4Shell CVE-2021-44228?" and "are Meltdown and Spectre the same bug?"."""
    if "same" in question.facets:
        return len(ids) + len(names) >= _PAIR
    compared = pattern("comparison", "words").search(folded(question.text))
    return bool(names and ids and not question.facets and question.yes_no and not compared)


def _same(ids: Sequence[str], names: Sequence[Nickname], records: Sequence[Path]) -> Answer:
    """Say whether two names, two ids or a name and an id stand for one CVE."""
    from cybersecqwen.analyst.vulnerabilities import statements
    from cybersecqwen.analyst.vulnerabilities.facts import collect

    sets = [*({cve_id} for cve_id in ids), *(set(name.cves) for name in names)]
    truth = bool(set.intersection(*sets[:_PAIR]))
    said = listed([f"{name.name} {_is_cves(name)}" for name in names])
    if not names:
        said = f"{listed(ids)} are two vulnerabilities"
    elif not truth and ids:
        said += f", not {listed(ids)}"
    meaning = f": {names[0].meaning}" if len(names) == 1 else ""
    first = [*ids, *(name.cves[0] for name in names if name.cves)]
    facts = collect(list(dict.fromkeys(first)), records)
    told = [] if truth else [one for one in facts.values() if one.record]
    summaries = [statements.SENTENCES["summary"](one, CveQuestion("", ())).text for one in told]
    lines = [" ".join([f"{'Yes' if truth else 'No'}, {said}{meaning}.", *summaries])]
    return Answer(
        "\n".join(lines),
        _sure("name"),
        covered=True,
        evidence=tuple(one.evidence("name") for one in facts.values()),
    )


def _is_cves(name: Nickname) -> str:
    return f"is {listed(name.cves)}" if name.cves else "has no CVE of its own"


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
    sure = min(_confidence(facts[0], facet) for facet in facets)
    if "exposure" in facets and said[0].truth is None:  # that it cannot be told is half an answer
        sure = min(sure, _sure("advice"))
    return Answer(
        "\n".join(filter(None, lines)),
        sure,
        covered=True,
        evidence=tuple(one.evidence(facets[0]) for one in facts),
    )


def _said(
    facts: CveFacts, facets: Sequence[str], question: CveQuestion, records: Sequence[Path]
) -> Iterator[Sentence]:
    """Yield a sentence for each thing that is asked for, and one for all that needs a record."""
    from cybersecqwen.analyst.vulnerabilities import statements
    from cybersecqwen.analyst.vulnerabilities.facts import not_at_hand

    for facet in facets:
        if facts.record is None and (facet not in statements.WITHOUT_RECORD or _is_future(facts)):
            yield Sentence(not_at_hand(facts.cve_id, records), known=False)
            return
        yield statements.SENTENCES[facet](facts, question)


def _facets(question: CveQuestion, *, by_name: bool) -> list[str]:
    """List what is asked for; without a telling word it is what the CVE is."""
    facets = [facet for facet in question.facets if facet != "same"]
    if "exposure" in facets:
        facets = [facet for facet in facets if facet not in _TOLD_BY_VERSION]
    if "mechanism" in facets:  # first what it is, then that its detection is not recorded
        facets = [facet for facet in facets if facet not in ("summary", "effect")]
    if "due" in facets and not pattern("facets", "versions").search(folded(question.text)):
        facets = [facet for facet in facets if facet != "fix"]
    if "delay" in facets:
        facets = [facet for facet in facets if facet not in ("due", "kev", "dates")]
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


def _is_future(facts: CveFacts) -> bool:
    """Tell an id of a year to come, of which KEV lists nothing."""
    return facts.kev is None and cve_year(facts.cve_id) > str(date.today().year)


def _confidence(facts: CveFacts, facet: str) -> float:
    if facet == "weakness" and not facts.labels:
        return _sure("classified")
    if facet == "fix" and not fixed_versions(facts.text):
        return _sure("advice")
    return _sure(facet)


def _sure(kind: str) -> float:
    confidence: Mapping[str, float] = table()["confidence"]
    return confidence[kind]
