"""SARIF 2.1.0: the results of code scans and of other analyses.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html

    for vulnerability in FEED.read(Path("scan.sarif"), refuse):
        print(vulnerability.cve_id, vulnerability.description)

A result is a record: its message and what its rule says are the text. Its id is the CVE that it is
about, or the logical place where that is a vulnerability, or else the rule and where it was found.
The labels, which stand in the taxa of a result and in the tags of its rule, count as a CNA's. The
rules are those of the tool and of its extensions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head
from cybersecqwen.formats.rows import Report
from cybersecqwen.records import Vulnerability
from cybersecqwen.sources.feed import advisory_feed
from cybersecqwen.sources.schema import Schema, each, inside, labels_of, parse, validated

_TAG = re.compile(r"(?:external/cwe/)?cwe-0*(\d+)", re.IGNORECASE)
_PLACE = re.compile(r"[\x00-\x20]+")


class _Message(Schema):
    text: str = ""
    id: str = ""


class _Rule(Schema):
    id: str
    short: str = inside("shortDescription", "text")
    full: str = inside("fullDescription", "text")
    strings: Mapping[str, _Message] = Field(default={}, alias="messageStrings")
    tags: list[Any] = inside("properties", "tags", default=[])


class _Taxon(Schema):
    id: str = ""
    component: str = inside("toolComponent", "name")


class _Location(Schema):
    uri: str = inside("physicalLocation", "artifactLocation", "uri")
    line: int = inside("physicalLocation", "region", "startLine", default=0)
    name: str = inside("logicalLocations", 0, "fullyQualifiedName")
    kind: str = inside("logicalLocations", 0, "kind")


class _Result(Schema, title="a result of SARIF"):
    rule_id: str = Field(default="", alias="ruleId")
    rule_index: int = Field(default=-1, alias="ruleIndex")
    inner_id: str = inside("rule", "id")
    inner_index: int = inside("rule", "index", default=-1)
    message: _Message = _Message()
    locations: list[_Location] = Field(default=[])
    taxa: list[_Taxon] = Field(default=[])


class _Extension(Schema):
    rules: list[_Rule] = Field(default=[])


class _Run(Schema):
    rules: list[_Rule] = inside("tool", "driver", "rules", default=[])
    extensions: list[_Extension] = inside("tool", "extensions", default=[])
    results: list[Any] | None = None


class _Log(Schema, title="SARIF"):
    runs: list[_Run] = Field(min_length=1)


def _records(data: bytes, where: str, report: Report) -> Iterator[Vulnerability]:
    for number, run in enumerate(parse(_Log, data, where).runs, start=1):
        extensions = (rule for extension in run.extensions for rule in extension.rules)
        by_id = {rule.id: rule for rule in (*extensions, *run.rules)}

        def read(
            item: Any,
            place: str,
            rules: Sequence[_Rule] = run.rules,
            named: Mapping[str, _Rule] = by_id,
        ) -> Vulnerability:
            return _record(item, place, rules, named)

        yield from each(run.results or (), read, f"{where}:{number}", report)


def _record(
    item: Any, where: str, rules: Sequence[_Rule], by_id: Mapping[str, _Rule]
) -> Vulnerability:
    result = validated(_Result, item, where)
    rule = _rule(result, rules, by_id)
    rule_id = result.rule_id or result.inner_id or (rule.id if rule else "")
    text = _text(result, rule)
    if not text:
        raise InputError("has no message", where=where, tip="fix the scan")
    tags = [f"CWE-{match[1]}" for tag in (rule.tags if rule else ()) if (match := _tag(tag))]
    taxa = [f"CWE-{one.id}" for one in result.taxa if one.component == "CWE" and one.id.isdigit()]
    return Vulnerability(
        cve_id=_identity(rule_id, result.locations, where),
        published="",
        description=text,
        cwe_cna=labels_of([*taxa, *tags]),
        description_source="sarif",
        where=where,
    )


def _tag(tag: object) -> re.Match[str] | None:
    return _TAG.fullmatch(tag) if isinstance(tag, str) else None


def _rule(result: _Result, rules: Sequence[_Rule], by_id: Mapping[str, _Rule]) -> _Rule | None:
    """Return the rule of a result; an id may go deeper, as CA1000/1 of the rule CA1000.

    The index counts the rules of the tool, or those of an extension, where the id is another.
    """
    index = result.rule_index if result.rule_index >= 0 else result.inner_index
    rule_id = result.rule_id or result.inner_id
    if 0 <= index < len(rules):
        rule = rules[index]
        if not rule_id or f"{rule_id}/".startswith(f"{rule.id}/"):
            return rule
    return by_id.get(rule_id) or by_id.get(rule_id.rpartition("/")[0])


def _text(result: _Result, rule: _Rule | None) -> str:
    message = result.message.text
    if rule and not message and result.message.id in rule.strings:
        message = rule.strings[result.message.id].text
    about = (rule.full or rule.short) if rule else ""
    return "\n\n".join(dict.fromkeys(filter(None, (message, about))))


def _identity(rule_id: str, locations: Sequence[_Location], where: str) -> str:
    first = locations[0] if locations else _Location()
    for text in (rule_id, first.name):
        if cve_id := normalise_cve(text):
            return cve_id
    if first.kind == "vulnerability" and first.name:
        return first.name
    place = _PLACE.sub(" ", first.uri) + (f":{first.line}" if first.line else "")
    place = place or first.name
    return f"{rule_id}@{place}" if place and rule_id else where


def _recognise(head: Head) -> bool:
    return head.keys().issuperset(("version", "runs"))


FEED = advisory_feed("sarif", "a scan in SARIF", recognise=_recognise, records=_records)
