"""MITRE ATT&CK bundles (enterprise, mobile, ics): entries, passages and facts.

    https://github.com/mitre/cti

    knowledge = read_attack(Path("enterprise-attack.json.gz"))
    knowledge.entries[0].entry_id           # 'T1055.011'

Every text that tells how one entry uses, mitigates or detects another is a passage
of both. Ids of revoked entries become aliases of what replaced them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field

from cybersecqwen.cwe.identifiers import ATTACK_SYNTAX
from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head
from cybersecqwen.records import Entry, Fact, Knowledge, Passage
from cybersecqwen.sources.feed import Feed, knowledge_feed
from cybersecqwen.sources.schema import Schema
from cybersecqwen.sources.stix import (
    MITRE_CTI,
    Reference,
    StixObject,
    is_bundle,
    paragraphs,
    plain,
    read_bundle,
)

KINDS = {
    "attack-pattern": "technique",
    "x-mitre-tactic": "tactic",
    "intrusion-set": "group",
    "malware": "malware",
    "tool": "tool",
    "campaign": "campaign",
    "course-of-action": "mitigation",
    "x-mitre-data-source": "data source",
    "x-mitre-data-component": "data component",
    "x-mitre-detection-strategy": "detection strategy",
    "x-mitre-asset": "asset",
}


class _Phase(Schema):
    phase_name: str


class _LogSource(Schema):
    name: str = ""
    channel: str = ""
    component: str = Field(default="", alias="x_mitre_data_component_ref")


class _RelatedAsset(Schema):
    name: str
    description: str = ""


class _Object(StixObject):
    aliases: list[str] = Field(default=[])
    software_aliases: list[str] = Field(default=[], alias="x_mitre_aliases")
    phases: list[_Phase] = Field(default=[], alias="kill_chain_phases")
    platforms: list[str] = Field(default=[], alias="x_mitre_platforms")
    shortname: str = Field(default="", alias="x_mitre_shortname")
    detection: str = Field(default="", alias="x_mitre_detection")
    analytics: list[str] = Field(default=[], alias="x_mitre_analytic_refs")
    log_references: list[_LogSource] = Field(default=[], alias="x_mitre_log_source_references")
    log_sources: list[_LogSource] = Field(default=[], alias="x_mitre_log_sources")
    data_source: str = Field(default="", alias="x_mitre_data_source_ref")
    impact: list[str] = Field(default=[], alias="x_mitre_impact_type")
    sectors: list[str] = Field(default=[], alias="x_mitre_sectors")
    related_assets: list[_RelatedAsset] = Field(default=[], alias="x_mitre_related_assets")
    version: str = Field(default="", alias="x_mitre_version")


def read_attack(path: Path) -> Knowledge:
    """Read one ATT&CK bundle; raises InputError when it holds no ATT&CK technique."""
    bundle = _Bundle(read_bundle(path, _Object))
    if not any(entry.kind == "technique" for entry in bundle.entries.values()):
        raise InputError(
            "holds no ATT&CK technique", where=path, tip="give a bundle such as ics-attack.json"
        )
    return Knowledge(
        source=f"ATT&CK {bundle.domain}",
        version=bundle.version,
        entries=tuple(bundle.entries.values()),
        passages=tuple(bundle.passages()),
        facts=tuple(dict.fromkeys(bundle.facts())),
    )


class _Bundle:
    """The objects of one bundle by STIX id, and what follows from them."""

    def __init__(self, objects: list[_Object]) -> None:
        self.objects = {o.id: o for o in objects}
        self.relations = [o for o in objects if o.type == "relationship" and _stands(o)]
        replaced = _replaced(self.objects, self.relations)
        self.entries = {
            o.id: Entry(
                _entry_id(o), o.name, KINDS[o.type], _reference(o).url, _aliases(o, replaced[o.id])
            )
            for o in objects
            if o.type in KINDS and _entry_id(o) and _is_kept(o)
        }
        self.tactics = {o.shortname: _entry_id(o) for o in objects if o.shortname and _stands(o)}
        matrices = [o for o in objects if o.type == "x-mitre-matrix"]
        names = [_reference(o).external_id for o in matrices]
        self.domain = next((n.removesuffix("-attack") for n in names if n.endswith("-attack")), "")
        # A collection names the release; the bundles of mitre/cti have none, but their newest date.
        collections = (o.version for o in objects if o.type == "x-mitre-collection")
        self.version = next(collections, max((o.modified[:10] for o in objects), default=""))

    def passages(self) -> Iterator[Passage]:
        for stix_id, entry in self.entries.items():
            thing = self.objects[stix_id]
            for text in paragraphs(thing.description):
                yield _passage(entry, "description", text)
            for text in paragraphs(thing.detection):
                yield _passage(entry, "detection", text)
            if thing.log_sources:
                logs = (f"{log.name}: {log.channel}" for log in thing.log_sources)
                yield _passage(entry, "log sources", plain("; ".join(logs)))
            for asset in thing.related_assets:
                yield _passage(entry, "related assets", plain(f"{asset.name}. {asset.description}"))
        for relation, source, target in self._related():
            for text in paragraphs(relation.description):
                yield _passage(target, _SECTIONS.get(relation.relation, ""), text, source)
            if relation.relation == "detects":
                yield from self._detections(relation.source, source, target)

    def _detections(self, strategy: str, source: Entry, target: Entry) -> Iterator[Passage]:
        """Yield what the analytics of a strategy look for, with the names of what they read."""
        for analytic in self._analytics(strategy):
            components = dict.fromkeys(self._name(log.component) for log in analytic.log_references)
            logs = "; ".join(
                f"{self._name(log.component)} ({log.name}: {log.channel})"
                for log in analytic.log_references
            )
            text = f"{plain(analytic.description)} {', '.join(components)}"
            yield _passage(target, "detection", text.strip(), source)
            if logs:
                yield _passage(target, "detection logs", logs, source)

    def facts(self) -> Iterator[Fact]:
        for stix_id, entry in self.entries.items():
            thing = self.objects[stix_id]
            literal = {
                "platform": thing.platforms,
                "impact": thing.impact,
                "sector": thing.sectors,
                "tactic": [self.tactics.get(phase.phase_name, "") for phase in thing.phases],
                "part of": [self._id(thing.data_source)],
            }
            for name, values in literal.items():
                yield from (Fact(entry.entry_id, name, value) for value in values if value)
        for relation, source, target in self._related():
            name = _FACTS.get(relation.relation, relation.relation)
            yield Fact(source.entry_id, name, target.entry_id)
            if relation.relation == "detects":
                for component in self._components(relation.source):
                    yield Fact(component, "data for", target.entry_id)

    def _related(self) -> Iterator[tuple[_Object, Entry, Entry]]:
        for relation in self.relations:
            source = self.entries.get(relation.source)
            target = self.entries.get(relation.target)
            if source and target:
                yield relation, source, target

    def _components(self, strategy: str) -> Iterator[str]:
        for analytic in self._analytics(strategy):
            for log in analytic.log_references:
                if self._id(log.component):
                    yield self._id(log.component)

    def _analytics(self, strategy: str) -> Iterator[_Object]:
        for reference in self.objects[strategy].analytics:
            if reference in self.objects:
                yield self.objects[reference]

    def _id(self, stix_id: str) -> str:
        return self.entries[stix_id].entry_id if stix_id in self.entries else ""

    def _name(self, stix_id: str) -> str:
        return self.entries[stix_id].name if stix_id in self.entries else ""


_SECTIONS = {
    "uses": "procedure",
    "mitigates": "mitigation",
    "detects": "detection",
    "attributed-to": "attribution",
    "targets": "targets",
}
_FACTS = {"subtechnique-of": "part of", "attributed-to": "attributed to"}


def _passage(entry: Entry, section: str, text: str, other: Entry | None = None) -> Passage:
    return entry.passage(section, text, other=other.entry_id if other else "")


def _stands(thing: StixObject) -> bool:
    return not thing.revoked and not thing.deprecated


def _is_kept(thing: StixObject) -> bool:
    """Tell what becomes an entry: all that is not revoked, but for deprecated mitigations."""
    if thing.revoked:
        return False
    # Until 2019 each technique had a mitigation of its own, with the technique's id.
    return not thing.deprecated or thing.type != "course-of-action"


def _replaced(objects: Mapping[str, _Object], relations: list[_Object]) -> dict[str, list[str]]:
    """Map what stands to the ids of what it replaced, over several steps."""
    successors = {r.source: r.target for r in relations if r.relation == "revoked-by"}
    predecessors: dict[str, list[str]] = defaultdict(list)
    for revoked in successors:
        last, steps = revoked, 0
        while last in successors and steps < len(successors):
            last, steps = successors[last], steps + 1
        if revoked in objects and _entry_id(objects[revoked]):
            predecessors[last].append(_entry_id(objects[revoked]))
    return predecessors


def _aliases(thing: _Object, replaced: list[str]) -> tuple[str, ...]:
    names = dict.fromkeys((*thing.aliases, *thing.software_aliases, *replaced))
    return tuple(name for name in names if name not in (thing.name, _entry_id(thing)))


def _reference(thing: StixObject) -> Reference:
    own = (r for r in thing.references if r.source_name.startswith("mitre"))
    return next(own, Reference(source_name=""))


def _entry_id(thing: StixObject) -> str:
    entry_id = _reference(thing).external_id
    return entry_id if re.fullmatch(ATTACK_SYNTAX, entry_id) else ""


def _feed(domain: str) -> Feed:
    def recognise(head: Head) -> bool:
        named = Counter(_DOMAIN.findall(head.data)) if is_bundle(head) else Counter[bytes]()
        return bool(named) and named.most_common(1)[0][0] == domain.encode()

    return knowledge_feed(
        f"attack-{domain}",
        f"MITRE ATT&CK, {domain}",
        url=f"{MITRE_CTI}/{domain}-attack/{domain}-attack.json",
        recognise=recognise,
        read=read_attack,
    )


_DOMAIN = re.compile(rb'"(enterprise|mobile|ics)-attack"')
ENTERPRISE, MOBILE, ICS = (_feed(domain) for domain in ("enterprise", "mobile", "ics"))
