"""MITRE ATT&CK bundles (enterprise, mobile, ics): entries, passages and facts.

    https://github.com/mitre/cti

    knowledge = read_attack(Path("enterprise-attack.json.gz"))
    knowledge.entries[0].entry_id           # 'T1055.011'

Every text that tells how one entry uses, mitigates or detects another is a passage
of both. What a text tells in a single word, such as the number of an event, is a fact
as well. Ids of revoked entries become aliases of what replaced them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field

from cybersecqwen.cwe.identifiers import ATTACK_SYNTAX, cve_ids
from cybersecqwen.errors import InputError
from cybersecqwen.formats.archives import Head
from cybersecqwen.records import Entry, Fact, Knowledge, Passage, Procedure
from cybersecqwen.sources.attack_terms import (
    OTHER_NAMES,
    channel,
    country,
    event_ids,
    software_types,
)
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
    "x-mitre-analytic": "analytic",
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
    first_seen: str = ""
    last_seen: str = ""
    version: str = Field(default="", alias="x_mitre_version")

    @property
    def logs(self) -> list[str]:
        """Name each log that is read, with its event ids or the like: "auditd:SYSCALL execve"."""
        read = (*self.log_references, *self.log_sources)
        named = (f"{log.name} {channel(log.channel)}".strip() for log in read)
        return list(dict.fromkeys(filter(None, named)))


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
        procedures=tuple(dict.fromkeys(bundle.procedures())),
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
            # What an analytic looks for is told with the technique that its strategy detects.
            for text in paragraphs(thing.description) if entry.kind != "analytic" else ():
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
                "analytic": [self._id(analytic) for analytic in thing.analytics],
                "reads": [self._id(log.component) for log in thing.log_references],
                "log source": thing.logs,
                # Months: the bundles give the first of one where no day is known.
                "first seen": [thing.first_seen[:7]],
                "last seen": [thing.last_seen[:7]],
                "status": ["Deprecated"] if thing.deprecated else [],
                **_told(entry, thing),
            }
            for name, values in literal.items():
                yield from (Fact(entry.entry_id, name, value) for value in values if value)
        for relation, source, target in self._related():
            name = _FACTS.get(relation.relation, relation.relation)
            yield Fact(source.entry_id, name, target.entry_id)
            for cve_id in cve_ids(relation.description) if relation.relation == "uses" else ():
                yield Fact(source.entry_id, "vulnerability", cve_id)
            if relation.relation == "detects":
                for component in self._components(relation.source):
                    yield Fact(component, "data for", target.entry_id)

    def procedures(self) -> Iterator[Procedure]:
        """Yield the software that a text names where a group or campaign uses a technique."""
        software = {
            entry.entry_id for entry in self.entries.values() if entry.kind in ("malware", "tool")
        }
        for relation, source, target in self._related():
            if source.kind in ("group", "campaign") and target.kind == "technique":
                for named in dict.fromkeys(_SOFTWARE.findall(relation.description)):
                    if named in software:
                        yield Procedure(source.entry_id, target.entry_id, named)

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
_SOFTWARE = re.compile(r"attack\.mitre\.org/software/(S\d{4})\b")
_FACTS = {"subtechnique-of": "part of", "attributed-to": "attributed to"}


def _passage(entry: Entry, section: str, text: str, other: Entry | None = None) -> Passage:
    return entry.passage(section, text, other=other.entry_id if other else "")


def _told(entry: Entry, thing: _Object) -> dict[str, list[str]]:
    """Return the relations that only an entry's text tells, as single words."""
    text = plain(thing.description)
    told = {"vulnerability": cve_ids(text)}
    if entry.kind in ("malware", "tool"):
        told["type"] = software_types(entry.name, text)
    if entry.kind == "group":
        told["country"] = [country(text)]
    if entry.kind in ("data component", "analytic"):
        told["event id"] = event_ids("; ".join((text, *thing.logs)))
    return told


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
    told = OTHER_NAMES.get(_entry_id(thing), ())
    names = dict.fromkeys((*thing.aliases, *thing.software_aliases, *told, *replaced))
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
