"""Records as advisories: CSAF 2.0 and CycloneDX VEX 1.6.

https://docs.oasis-open.org/csaf/csaf/v2.0/csaf-v2.0.html, https://cyclonedx.org/docs/1.6/json/

Products are affected where the record's sources say so; in CSAF that of a record that names none is
called unknown. A verdict says which weakness a record is of, not whether your product is affected:
in CycloneDX the analysis is in triage, or a false positive where a reviewer rejected the record.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator

from cybersecqwen import __version__
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.files import Json
from cybersecqwen.service.exports.export import NAME, Export, ExportedRecord, Trail, document

_PRODUCT = "unknown"
_METHODS = {"2.0": "CVSSv2", "3.0": "CVSSv3", "3.1": "CVSSv31", "4.0": "CVSSv4"}


def _csaf(records: Iterable[ExportedRecord], trail: Trail) -> Iterator[str]:
    at = trail.at
    before = {
        "document": {
            "category": "csaf_base",
            "csaf_version": "2.0",
            "lang": "en",
            "title": "Vulnerabilities with the weaknesses that reviewers decided on",
            "publisher": {
                "category": "user",
                "name": f"{NAME} workplace",
                "namespace": "urn:cybersecqwen:workplace",
            },
            "notes": [
                {
                    "category": "other",
                    "title": "Audit trail",
                    "text": f"The last of {trail.events} events is {trail.head}.",
                }
            ],
            "tracking": {
                "id": f"cybersecqwen-{trail.head[:16]}",
                "version": "1",
                "status": "final",
                "initial_release_date": at,
                "current_release_date": at,
                "revision_history": [{"number": "1", "date": at, "summary": "Exported"}],
                "generator": {"engine": {"name": NAME, "version": __version__}, "date": at},
            },
        },
    }
    products = Products()

    def tree() -> Json:
        unknown = {"product_id": _PRODUCT, "name": "The product is not stated by the record"}
        tree: Json = {"full_product_names": [unknown]}
        if products.ids:
            tree["branches"] = products.branches()
        return {"product_tree": tree}

    flaws = (_flaw(one, products) for one in records)
    yield from document(before, "vulnerabilities", flaws, after=tree)


class Products:
    """The affected products of all records of a document, each by an id of its own."""

    def __init__(self) -> None:
        self.ids: dict[tuple[str, str, str], str] = {}

    def id_of(self, product: Json) -> str:
        """Return the id of a product, which is then one of the document's."""
        key = (product["vendor"], product["product"], product["versions"])
        return self.ids.setdefault(key, f"product-{len(self.ids) + 1}")

    def branches(self) -> list[Json]:
        """Return the products as the branches of a product tree, by vendor, name and versions."""
        vendors: dict[str, dict[str, list[Json]]] = {}
        for (vendor, name, versions), number in self.ids.items():
            full = {"name": " ".join(filter(None, (vendor, name, versions))), "product_id": number}
            kind = "product_version_range" if versions else "product_version"
            leaf = {"category": kind, "name": versions or "any", "product": full}
            vendors.setdefault(vendor or "unknown", {}).setdefault(name, []).append(leaf)
        return [
            {
                "category": "vendor",
                "name": vendor,
                "branches": [
                    {"category": "product_name", "name": name, "branches": leaves}
                    for name, leaves in names.items()
                ],
            }
            for vendor, names in vendors.items()
        ]

    def components(self) -> list[Json]:
        """Return the products as components of a bill of materials."""
        return [
            {"bom-ref": number, "type": "application", "name": name}
            | ({"group": vendor} if vendor else {})
            | ({"version": versions} if versions else {})
            for (vendor, name, versions), number in self.ids.items()
        ]


def _flaw(one: ExportedRecord, products: Products) -> Json:
    record = one.record
    flaw: Json = {}
    affected = [products.id_of(product) for product in record.affected]
    if normalise_cve(record.name) == record.name:
        flaw["cve"] = record.name
    else:
        flaw["ids"] = [{"system_name": f"{NAME} workplace", "text": record.name}]
    if record.decided:
        flaw["cwe"] = {"id": record.decided, "name": load_catalogue()[record.decided].name}
    notes = {
        "Description": ("description", record.text),
        "Verdict": ("other", one.summary()),
        "Audit trail": ("other", json.dumps(one.trail(), ensure_ascii=False)),
    }
    cvss = one.record.cvss
    if cvss and cvss.version == "4.0":
        notes["CVSS 4.0"] = ("other", f"{cvss.vector} {cvss.score:g}")
    elif cvss and cvss.vector:
        flaw["scores"] = [{"products": affected or [_PRODUCT], **_score(one)}]
    if affected:
        flaw["product_status"] = {"known_affected": affected}
    flaw["notes"] = [
        {"category": category, "title": title, "text": text}
        for title, (category, text) in notes.items()
        if text
    ]
    if record.published:
        flaw["release_date"] = f"{record.published[:10]}T00:00:00Z"
    return flaw


def _score(one: ExportedRecord) -> Json:
    cvss = one.record.cvss
    if cvss is None:
        return {}
    facts = {"version": cvss.version, "vectorString": cvss.vector, "baseScore": cvss.score}
    if cvss.version == "2.0":
        return {"cvss_v2": facts}
    return {"cvss_v3": facts | {"baseSeverity": one.record.severity_word.upper()}}


def _cyclonedx(records: Iterable[ExportedRecord], trail: Trail) -> Iterator[str]:
    before = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, trail.head + trail.at)}",
        "version": 1,
        "metadata": {
            "timestamp": trail.at,
            "tools": {
                "components": [{"type": "application", "name": NAME, "version": __version__}]
            },
            "properties": _properties({"audit-head": trail.head, "audit-events": trail.events}),
        },
    }
    products = Products()

    def components() -> Json:
        return {"components": products.components()} if products.ids else {}

    flaws = (_vulnerability(one, products) for one in records)
    yield from document(before, "vulnerabilities", flaws, after=components)


def _vulnerability(one: ExportedRecord, products: Products) -> Json:
    record, cvss = one.record, one.record.cvss
    flaw: Json = {"bom-ref": f"record-{record.id}", "id": record.name}
    if cvss:
        rating = {
            "score": cvss.score,
            "severity": one.record.severity_word.lower() or "unknown",
            "method": _METHODS[cvss.version],
        }
        flaw["ratings"] = [rating | ({"vector": cvss.vector} if cvss.vector else {})]
    if record.decided:
        flaw["cwes"] = [int(record.decided.removeprefix("CWE-"))]
    flaw["description"] = record.text
    if record.published:
        flaw["published"] = f"{record.published[:10]}T00:00:00Z"
    if record.affected:
        flaw["affects"] = [{"ref": products.id_of(product)} for product in record.affected]
    state = "false_positive" if one.verdict == "reject" else "in_triage"
    flaw["analysis"] = {"state": state, "detail": one.summary()}
    if record.decided_at:
        flaw["analysis"]["lastUpdated"] = record.decided_at
    flaw["properties"] = _properties(
        {
            "state": record.state,
            "verdict": one.verdict,
            "suggested": record.suggested,
            "confidence": f"{record.confidence:g}",
            "engine": record.engine,
            "artifact": record.artifact,
            "events": json.dumps(one.trail(), ensure_ascii=False),
        }
    )
    return flaw


def _properties(values: Json) -> list[Json]:
    return [{"name": f"cybersecqwen:{name}", "value": str(value)} for name, value in values.items()]


CSAF = Export("a CSAF 2.0 document", ".csaf.json", "application/json", _csaf)
CYCLONEDX = Export(
    "a CycloneDX 1.6 document, also for Dependency-Track",
    ".cdx.json",
    "application/vnd.cyclonedx+json",
    _cyclonedx,
)
