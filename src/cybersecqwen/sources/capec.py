"""MITRE CAPEC as a STIX bundle: attack patterns, what is said about them, how they relate.

https://github.com/mitre/cti/tree/master/capec

    knowledge = read_capec(Path("stix-capec.json"))
    knowledge.entries[0].entry_id           # 'CAPEC-…'
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head
from cybersecqwen.records import Entry, Fact, Knowledge, Passage
from cybersecqwen.sources.feed import knowledge_feed
from cybersecqwen.sources.stix import (
    MITRE_CTI,
    StixObject,
    is_bundle,
    paragraphs,
    plain,
    read_bundle,
)

_PHASE = re.compile(r"<h3>(.*?)</h3>")
_STEP = re.compile(r"(?=<li>\s*<p>)")


class _Object(StixObject):
    abstraction: str = Field(default="", alias="x_capec_abstraction")
    parents: list[str] = Field(default=[], alias="x_capec_child_of_refs")
    followers: list[str] = Field(default=[], alias="x_capec_can_precede_refs")
    peers: list[str] = Field(default=[], alias="x_capec_peer_of_refs")
    consequences: dict[str, list[str]] = Field(default={}, alias="x_capec_consequences")
    domains: list[str] = Field(default=[], alias="x_capec_domains")
    examples: list[str] = Field(default=[], alias="x_capec_example_instances")
    flow: str = Field(default="", alias="x_capec_execution_flow")
    likelihood: str = Field(default="", alias="x_capec_likelihood_of_attack")
    prerequisites: list[str] = Field(default=[], alias="x_capec_prerequisites")
    resources: list[str] = Field(default=[], alias="x_capec_resources_required")
    skills: dict[str, str] = Field(default={}, alias="x_capec_skills_required")
    indicators: list[str] = Field(default=[], alias="x_capec_indicators")
    severity: str = Field(default="", alias="x_capec_typical_severity")
    status: str = Field(default="", alias="x_capec_status")
    version: str = Field(default="", alias="x_capec_version")
    extended: str = Field(default="", alias="x_capec_extended_description")
    terms: list[str] = Field(default=[], alias="x_capec_alternate_terms")


def read_capec(path: Path) -> Knowledge:
    """Read the CAPEC bundle; raises InputError when it holds no CAPEC pattern."""
    objects = {o.id: o for o in read_bundle(path, _Object)}
    entries = {stix_id: entry for stix_id, o in objects.items() if (entry := _entry(o))}
    if not entries:
        raise InputError("holds no CAPEC pattern", where=path, tip="give stix-capec.json")
    return Knowledge(
        source="CAPEC",
        version=next((objects[key].version for key in entries), ""),
        entries=tuple(entries.values()),
        passages=tuple(_passages(objects, entries)),
        facts=tuple(dict.fromkeys(_facts(objects, entries))),
    )


def _entry(thing: _Object) -> Entry | None:
    if thing.type != "attack-pattern" or thing.revoked or thing.status == "Deprecated":
        return None
    for reference in thing.references:
        if reference.source_name == "capec" and reference.external_id:
            terms = tuple(dict.fromkeys(plain(term) for term in thing.terms))
            return Entry(reference.external_id, thing.name, "attack pattern", reference.url, terms)
    return None


def _passages(objects: dict[str, _Object], entries: dict[str, Entry]) -> Iterator[Passage]:
    for stix_id, entry in entries.items():
        for section, text in _sections(objects[stix_id]):
            yield entry.passage(section, text)
    for relation in objects.values():
        if relation.relation == "mitigates" and relation.target in entries:
            entry, measure = entries[relation.target], objects.get(relation.source)
            for text in paragraphs(measure.description) if measure else ():
                yield entry.passage("mitigation", text)


def _sections(thing: _Object) -> Iterator[tuple[str, str]]:
    named = {
        "description": [thing.description, thing.extended],
        "prerequisite": thing.prerequisites,
        "resources": thing.resources,
        "indicator": thing.indicators,
        "example": thing.examples,
        "skill": [f"{level} skill level: {text}" for level, text in thing.skills.items()],
        "consequence": [
            f"{scope.replace('_', ' ')}: {', '.join(impacts)}"
            for scope, impacts in thing.consequences.items()
        ],
    }
    for section, texts in named.items():
        for text in texts:
            yield from ((section, part) for part in paragraphs(text))
    yield from (("execution flow", step) for step in _steps(thing.flow))


def _steps(flow: str) -> Iterator[str]:
    """Yield each step of an execution flow, with its techniques, under the name of its phase."""
    parts = _PHASE.split(flow)
    for phase, steps in zip(parts[1::2], parts[2::2], strict=True):
        for step in _STEP.split(steps):
            text = plain(step).replace(" Techniques ", " ")
            if text:
                yield f"{plain(phase)}: {text}"


def _facts(objects: dict[str, _Object], entries: dict[str, Entry]) -> Iterator[Fact]:
    for stix_id, entry in entries.items():
        thing = objects[stix_id]
        related = {"part of": thing.parents, "can precede": thing.followers, "peer": thing.peers}
        for relation, targets in related.items():
            for target in targets:
                if target in entries:
                    yield Fact(entry.entry_id, relation, entries[target].entry_id)
        for reference in thing.references:
            if reference.source_name in ("cwe", "ATTACK") and reference.external_id:
                relation = "exploits" if reference.source_name == "cwe" else "same as"
                yield Fact(entry.entry_id, relation, reference.external_id)
        words = {
            "likelihood": [thing.likelihood],
            "severity": [thing.severity],
            "abstraction": [thing.abstraction],
            "domain": thing.domains,
            "scope": [scope.replace("_", " ") for scope in thing.consequences],
            "impact": [impact for impacts in thing.consequences.values() for impact in impacts],
            "skill": list(thing.skills),
            "consequence": [
                f"{scope.replace('_', ' ')}: {impact}"
                for scope, impacts in thing.consequences.items()
                for impact in impacts
            ],
        }
        for relation, values in words.items():
            yield from (Fact(entry.entry_id, relation, value) for value in values if value)


def _recognise(head: Head) -> bool:
    return is_bundle(head) and b"capec.mitre.org" in head.data and b"mitre-attack" not in head.data


FEED = knowledge_feed(
    "capec",
    "MITRE CAPEC",
    url=f"{MITRE_CTI}/capec/2.1/stix-capec.json",
    recognise=_recognise,
    read=read_capec,
)
