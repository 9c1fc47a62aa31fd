"""CAPEC: patterns, what is said about them, and how they relate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.records import Entry, Fact, Knowledge
from cybersecqwen.sources.capec import read_capec

URL = "https://capec.mitre.org/data/definitions/66.html"


def pattern(number: int, name: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "attack-pattern",
        "id": f"attack-pattern--{number}",
        "name": name,
        "external_references": [
            {
                "source_name": "capec",
                "external_id": f"CAPEC-{number}",
                "url": f"https://capec.mitre.org/data/definitions/{number}.html",
            },
            *more.pop("references", []),
        ],
        "x_capec_version": "3.9",
        **more,
    }


FLOW = (
    "<h2> Execution Flow </h2><div><h3>Explore</h3><ol><li> <p> <b>Survey: </b>Look around.</p>"
    "</li><table><tbody><tr><th>Techniques</th></tr><tr><td>Spider links</td></tr></tbody></table>"
    "<li> <p> <b>Probe: </b>Send a quote.</p></li></ol></div><div><h3>Exploit</h3><ol><li> <p> "
    "<b>Inject: </b>Run it.</p></li></ol></div>"
)
INJECTION = pattern(
    66,
    "SQL Injection",
    references=[
        {"source_name": "cwe", "external_id": "CWE-89"},
        {"source_name": "WASC", "external_id": "19"},
    ],
    description="Statements out of input.",
    x_capec_extended_description="<xhtml:p>More of it.</xhtml:p>",
    x_capec_prerequisites=["Input reaches a query."],
    x_capec_skills_required={"Low": "Basic SQL."},
    x_capec_consequences={"Access_Control": ["Gain Privileges", "Bypass"]},
    x_capec_execution_flow=FLOW,
    x_capec_child_of_refs=["attack-pattern--248", "attack-pattern--gone"],
    x_capec_alternate_terms=["SQLi"],
    x_capec_typical_severity="High",
)
PARENT = pattern(248, "Command Injection", x_capec_status="Stable")
GONE = pattern(3, "Old one", x_capec_status="Deprecated", description="Gone.")
MEASURE = {
    "type": "course-of-action",
    "id": "course-of-action--1",
    "description": "Bind variables.",
}
RELATION = {
    "type": "relationship",
    "id": "relationship--1",
    "relationship_type": "mitigates",
    "source_ref": MEASURE["id"],
    "target_ref": INJECTION["id"],
}


def read(tmp_path: Path, *objects: dict[str, Any]) -> Knowledge:
    path = tmp_path / "stix-capec.json"
    path.write_text(json.dumps({"type": "bundle", "objects": objects}))
    return read_capec(path)


def test_patterns_their_passages_and_facts(tmp_path: Path) -> None:
    knowledge = read(tmp_path, INJECTION, PARENT, GONE, MEASURE, RELATION)
    assert (knowledge.source, knowledge.version) == ("CAPEC", "3.9")
    assert knowledge.entries[0] == Entry(
        "CAPEC-66", "SQL Injection", "attack pattern", URL, ("SQLi",)
    )
    assert [entry.entry_id for entry in knowledge.entries] == ["CAPEC-66", "CAPEC-248"]
    assert [(p.section, p.text) for p in knowledge.passages] == [
        ("description", "Statements out of input."),
        ("description", "More of it."),
        ("prerequisite", "Input reaches a query."),
        ("skill", "Low skill level: Basic SQL."),
        ("consequence", "Access Control: Gain Privileges, Bypass"),
        ("execution flow", "Explore: Survey: Look around. Spider links"),
        ("execution flow", "Explore: Probe: Send a quote."),
        ("execution flow", "Exploit: Inject: Run it."),
        ("mitigation", "Bind variables."),
    ]
    assert set(knowledge.facts) == {
        Fact("CAPEC-66", "part of", "CAPEC-248"),
        Fact("CAPEC-66", "exploits", "CWE-89"),
        Fact("CAPEC-66", "severity", "High"),
        Fact("CAPEC-66", "scope", "Access Control"),
        Fact("CAPEC-66", "impact", "Gain Privileges"),
        Fact("CAPEC-66", "impact", "Bypass"),
        Fact("CAPEC-66", "consequence", "Access Control: Gain Privileges"),
        Fact("CAPEC-66", "consequence", "Access Control: Bypass"),
        Fact("CAPEC-66", "skill", "Low"),
    }


def test_a_bundle_without_patterns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no CAPEC pattern"):
        read(tmp_path, MEASURE)


@pytest.mark.shared
def test_real_bundle(shared: Path) -> None:
    knowledge = read_capec(shared / "stix-capec.json.gz")
    assert len(knowledge.entries) == 559
    assert Fact("CAPEC-66", "exploits", "CWE-89") in knowledge.facts
    assert not any("<" in p.text and "xhtml" in p.text for p in knowledge.passages)
