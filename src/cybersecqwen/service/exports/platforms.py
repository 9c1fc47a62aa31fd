"""Records for platforms of vulnerability management, in their own formats.

DefectDojo imports generic findings; it refuses a field that it does not know, so what it has none
for stands in texts. What listens to OpenCVE's webhooks understands the notification that is written
here. Dependency-Track imports CycloneDX.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.files import Json
from cybersecqwen.service.exports.export import (
    NAME,
    Export,
    ExportedRecord,
    Trail,
    document,
    product_name,
)

_TITLE, _COMPONENT, _VERSION = 511, 500, 100  # characters that DefectDojo takes


def _defectdojo(records: Iterable[ExportedRecord], trail: Trail) -> Iterator[str]:
    before = {
        "name": f"{NAME} reviews",
        "type": f"{NAME} reviews",
        "description": f"The last of {trail.events} events of the audit trail is {trail.head}.",
    }
    yield from document(before, "findings", (_finding(one, trail) for one in records))


def _finding(one: ExportedRecord, trail: Trail) -> Json:
    record, cvss = one.record, one.record.cvss
    name = load_catalogue()[record.decided].name if record.decided else "no weakness decided"
    events = ", ".join(f"{event['sequence']} ({event['sha256']})" for event in one.trail())
    finding: Json = {
        "title": f"{record.name}: {name}"[:_TITLE],
        "description": record.text,
        "severity": record.severity_word if record.severity_word not in ("", "None") else "Info",
        "severity_justification": one.summary(),
        "references": f"Audit trail: events {events or 'none'}; the last one {trail.head}",
        "unique_id_from_tool": record.name,
        "active": one.verdict != "reject",
        "verified": one.verdict in ("accept", "correct"),
        "false_p": one.verdict == "reject",
        "static_finding": False,
        "dynamic_finding": False,
    }
    if record.decided:
        finding["cwe"] = int(record.decided.removeprefix("CWE-"))
    if normalise_cve(record.name) == record.name:
        finding["vulnerability_ids"] = [record.name]
    if cvss and cvss.version.startswith("3"):
        finding |= {"cvssv3": cvss.vector, "cvssv3_score": cvss.score}
    if cvss and cvss.version == "4.0":
        finding |= {"cvssv4": cvss.vector, "cvssv4_score": cvss.score}
    if record.affected:
        finding["impact"] = f"Affected: {' | '.join(map(product_name, record.affected))}"
    if len(record.affected) == 1:  # a finding has no more than one component
        [product] = record.affected
        finding["component_name"] = product_name(product | {"versions": ""})[:_COMPONENT]
        finding["component_version"] = product["versions"][:_VERSION]
    if record.published:
        finding["publish_date"] = record.published[:10]
    return finding


def _opencve(records: Iterable[ExportedRecord], trail: Trail) -> Iterator[str]:
    none: Json = {"raw": [], "human": []}
    before = {
        "organization": NAME,
        "project": "workplace",
        "notification": "export",
        "subscriptions": none,
        "matched_subscriptions": none,
        "title": "Records and verdicts",
        "period": {"start": trail.at, "end": trail.at},
        "audit_head": trail.head,
    }
    yield from document(before, "changes", map(_change, records))


def _change(one: ExportedRecord) -> Json:
    record, cvss = one.record, one.record.cvss
    score = cvss.score if cvss and cvss.version == "3.1" else None
    details = {"added": [record.decided], "removed": []}
    return {
        "cve": {
            "cve_id": record.name,
            "description": record.text,
            "cvss31": score,
            "subscriptions": {"raw": [], "human": []},
        },
        "events": [{"type": "weaknesses", "details": details}] if record.decided else [],
        "review": {"summary": one.summary(), "events": one.trail()},
    }


DEFECTDOJO = Export(
    "generic findings for DefectDojo", ".defectdojo.json", "application/json", _defectdojo
)
OPENCVE = Export(
    "a notification as OpenCVE sends it", ".opencve.json", "application/json", _opencve
)
