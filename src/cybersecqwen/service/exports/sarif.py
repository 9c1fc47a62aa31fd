"""Records as the results of an analysis, in SARIF 2.1.0.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html

The rule of a result is the weakness that was decided, or `undecided`; what awaits a verdict is of
the kind `review`, and what a reviewer rejected is suppressed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from cybersecqwen import __version__
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.errors import escape
from cybersecqwen.files import Json
from cybersecqwen.service.exports.export import NAME, Export, ExportedRecord, Trail, line
from cybersecqwen.service.exports.tables import row

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {"Critical": "error", "High": "error", "Medium": "warning", "Low": "note"}
_UNDECIDED = "undecided"
_OWN = ("id", "text", "cwe", "audit_head")  # of a row, which stand elsewhere in a result


def _sarif(records: Iterable[ExportedRecord], trail: Trail) -> Iterator[str]:
    used: dict[str, None] = {}  # the weaknesses, which stand behind the results
    yield f'{{"$schema": "{_SCHEMA}", "version": "2.1.0", "runs": [{{"results": ['
    between = "\n"
    for one in records:
        used[one.record.decided] = None
        yield between + line(_result(one, trail))[:-1]
        between = ",\n"
    yield "\n], " + escape(json.dumps(_run(sorted(filter(None, used)), trail)))[1:] + "]}\n"


def _result(one: ExportedRecord, trail: Trail) -> Json:
    record = one.record
    level = _LEVELS.get(record.severity_word, "warning" if record.severity < 0 else "none")
    result: Json = {
        "ruleId": record.decided or _UNDECIDED,
        "kind": "fail" if one.verdict else "review",
        "level": level if one.verdict else "none",
        "message": {"text": record.text},
        "locations": [
            {"logicalLocations": [{"fullyQualifiedName": record.name, "kind": "vulnerability"}]}
        ],
        "partialFingerprints": {"text/v1": record.text_sha256},
        "properties": {k: v for k, v in row(one, trail).items() if k not in _OWN},
    }
    if record.decided:
        number = record.decided.removeprefix("CWE-")
        result["taxa"] = [{"id": number, "toolComponent": {"name": "CWE"}}]
    if one.verdict == "reject":
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": one.summary()}
        ]
    return result


def _run(used: list[str], trail: Trail) -> Json:
    catalogue = load_catalogue()
    rules = [{"id": cwe, "name": catalogue[cwe].name} for cwe in used]
    taxa = [{"id": cwe.removeprefix("CWE-"), "name": catalogue[cwe].name} for cwe in used]
    driver = {"name": NAME, "version": __version__, "rules": [*rules, {"id": _UNDECIDED}]}
    return {
        "tool": {"driver": driver},
        "taxonomies": [{"name": "CWE", "organization": "MITRE", "taxa": taxa}],
        "properties": {"audit_head": trail.head, "audit_events": trail.events},
    }


SARIF = Export("results in SARIF 2.1.0", ".sarif", "application/sarif+json", _sarif)
