"""ATT&CK bundles: entries, passages and facts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.errors import InputError
from cybersecqwen.records import Entry, Fact, Knowledge, Procedure
from cybersecqwen.sources.attack import read_attack

Json = dict[str, Any]


def thing(kind: str, entry_id: str, name: str, **more: Any) -> Json:
    return {
        "type": kind,
        "id": f"{kind}--{entry_id}",
        "name": name,
        "external_references": [
            {
                "source_name": "mitre-attack",
                "external_id": entry_id,
                "url": f"https://attack.mitre.org/x/{entry_id}",
            },
            {"source_name": "Somebody", "description": "A report."},
        ],
        **more,
    }


def relation(name: str, source: Json, target: Json, description: str = "", **more: Any) -> Json:
    return {
        "type": "relationship",
        "id": f"relationship--{name}-{source['id']}-{target['id']}",
        "relationship_type": name,
        "source_ref": source["id"],
        "target_ref": target["id"],
        "description": description,
        **more,
    }


TACTIC = thing("x-mitre-tactic", "TA0002", "Execution", x_mitre_shortname="execution")
SHELL = thing(
    "attack-pattern",
    "T1059",
    "Command Interpreter",
    description="Runs commands.(Citation: A)\n\nSee [PowerShell](https://x/y).",
    kill_chain_phases=[{"kill_chain_name": "mitre-attack", "phase_name": "execution"}],
    x_mitre_platforms=["Linux"],
)
SUB = thing("attack-pattern", "T1059.001", "PowerShell", x_mitre_is_subtechnique=True)
OLD = thing("attack-pattern", "T1086", "PowerShell", revoked=True)
OLDER = thing("attack-pattern", "T1000", "Shell of Power", revoked=True)
GROUP = thing("intrusion-set", "G0016", "APT29", aliases=["APT29", "Cozy Bear"])
MEASURE = thing("course-of-action", "M1038", "Execution Prevention")
OWN_MEASURE = thing("course-of-action", "T1059", "Interpreter Mitigation", x_mitre_deprecated=True)
COMPONENT = thing("x-mitre-data-component", "DC0032", "Process Creation")
ANALYTIC = {
    "type": "x-mitre-analytic",
    "id": "x-mitre-analytic--1",
    "description": "Look for children of a shell.",
    "x_mitre_log_source_references": [
        {
            "x_mitre_data_component_ref": COMPONENT["id"],
            "name": "auditd:SYSCALL",
            "channel": "execve",
        }
    ],
}
STRATEGY = thing(
    "x-mitre-detection-strategy",
    "DET0001",
    "Detect shells",
    x_mitre_analytic_refs=[ANALYTIC["id"], "x-mitre-analytic--gone"],
)
MATRIX = thing("x-mitre-matrix", "enterprise-attack", "Enterprise")
OBJECTS = [
    TACTIC, SHELL, SUB, OLD, OLDER, GROUP, MEASURE, OWN_MEASURE, COMPONENT, ANALYTIC, STRATEGY,
    MATRIX,
    relation("subtechnique-of", SUB, SHELL),
    relation("revoked-by", OLD, SUB),
    relation("revoked-by", OLDER, OLD),
    relation("uses", GROUP, SHELL, "[APT29](https://x) ran `cmd`.(Citation: B)"),
    relation("uses", GROUP, SUB, "Taken back.", revoked=True),
    relation("mitigates", MEASURE, SHELL, "Allow only signed scripts."),
    relation("mitigates", OWN_MEASURE, SHELL, "Outdated."),
    relation("detects", STRATEGY, SHELL),
    {**SHELL, "type": "identity", "id": "identity--1", "modified": "2025-11-12T00:00:00.000Z"},
]  # fmt: skip


def read(tmp_path: Path, objects: list[Json]) -> Knowledge:
    path = tmp_path / "attack.json"
    path.write_text(json.dumps({"type": "bundle", "id": "bundle--1", "objects": objects}))
    return read_attack(path)


def test_entries_with_their_other_names(tmp_path: Path) -> None:
    knowledge = read(tmp_path, OBJECTS)
    by_name = {(e.entry_id, e.name, e.kind): e for e in knowledge.entries}
    assert list(by_name) == [
        ("TA0002", "Execution", "tactic"),
        ("T1059", "Command Interpreter", "technique"),
        ("T1059.001", "PowerShell", "technique"),
        ("G0016", "APT29", "group"),
        ("M1038", "Execution Prevention", "mitigation"),
        ("DC0032", "Process Creation", "data component"),
        ("DET0001", "Detect shells", "detection strategy"),
    ]
    assert by_name["T1059", "Command Interpreter", "technique"] == Entry(
        "T1059", "Command Interpreter", "technique", "https://attack.mitre.org/x/T1059"
    )
    assert by_name["G0016", "APT29", "group"].aliases == ("Cozy Bear",)
    # What was replaced is an alias of what stands, over two steps too.
    assert by_name["T1059.001", "PowerShell", "technique"].aliases == ("T1086", "T1000")
    assert (knowledge.source, knowledge.version) == ("ATT&CK enterprise", "2025-11-12")


def test_passages_of_the_entry_and_of_its_relations(tmp_path: Path) -> None:
    passages = read(tmp_path, OBJECTS).passages
    assert [(p.entry_id, p.section, p.text, p.other) for p in passages] == [
        ("T1059", "description", "Runs commands.", ""),
        ("T1059", "description", "See PowerShell.", ""),
        ("T1059", "procedure", "APT29 ran `cmd`.", "G0016"),
        ("T1059", "mitigation", "Allow only signed scripts.", "M1038"),
        ("T1059", "detection", "Look for children of a shell. Process Creation", "DET0001"),
        ("T1059", "detection logs", "Process Creation (auditd:SYSCALL: execve)", "DET0001"),
    ]


def test_facts(tmp_path: Path) -> None:
    assert set(read(tmp_path, OBJECTS).facts) == {
        Fact("T1059", "platform", "Linux"),
        Fact("T1059", "tactic", "TA0002"),
        Fact("T1059.001", "part of", "T1059"),
        Fact("G0016", "uses", "T1059"),
        Fact("M1038", "mitigates", "T1059"),
        Fact("DET0001", "detects", "T1059"),
        Fact("DC0032", "data for", "T1059"),
    }


def test_entries_that_replace_each_other_in_a_circle_do_not_hang(tmp_path: Path) -> None:
    knowledge = read(tmp_path, [SUB, relation("revoked-by", OLD, OLDER), OLD, OLDER,
                                relation("revoked-by", OLDER, OLD)])  # fmt: skip
    assert [entry.entry_id for entry in knowledge.entries] == ["T1059.001"]


def test_a_bundle_without_techniques_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no ATT&CK technique"):
        read(tmp_path, [GROUP])


LISTENER = thing(
    "x-mitre-analytic",
    "AN0007",
    "Analytic 0007",
    description="A sentence about shells.",
    x_mitre_platforms=["Windows"],
    x_mitre_log_source_references=[
        {
            "x_mitre_data_component_ref": COMPONENT["id"],
            "name": "WinEventLog:Security",
            "channel": "EventCode=4688, 4689",
        },
        {"name": "auditd:SYSCALL", "channel": "a whole sentence on what to look for there"},
    ],
)
WATCH = thing(
    "x-mitre-detection-strategy", "DET0007", "Watch", x_mitre_analytic_refs=[LISTENER["id"]]
)
BEAR = thing(
    "intrusion-set",
    "G0099",
    "Bear",
    description="[Bear](https://x) is a Russia-based group that attacks Chinese banks.",
)
LOCKER = thing(
    "malware", "S0099", "Locker", description="[Locker](https://x) is ransomware used by a loader."
)
RAID = thing(
    "campaign",
    "C0099",
    "Raid",
    first_seen="2024-03-01T05:00:00.000Z",
    last_seen="2024-05-01T05:00:00.000Z",
    description="It began with CVE-2024-0001.",
)
TELLING = [
    SHELL, COMPONENT, LISTENER, WATCH, BEAR, LOCKER, RAID,
    relation("detects", WATCH, SHELL),
    relation("attributed-to", RAID, BEAR),
    relation("uses", RAID, LOCKER),
    relation(
        "uses",
        BEAR,
        SHELL,
        "[Bear](https://x) ran [Locker](https://attack.mitre.org/software/S0099) by CVE-2024-0002.",
    ),
]  # fmt: skip


def test_a_strategy_leads_to_its_logs_and_the_numbers_of_their_events(tmp_path: Path) -> None:
    knowledge = read(tmp_path, TELLING)
    facts = {(s, r, t) for s, r, t in knowledge.facts}
    assert {
        ("DET0007", "analytic", "AN0007"),
        ("AN0007", "reads", "DC0032"),
        ("AN0007", "platform", "Windows"),
        ("AN0007", "log source", "WinEventLog:Security EventCode=4688, 4689"),
        ("AN0007", "log source", "auditd:SYSCALL"),
        ("AN0007", "event id", "4688"),
        ("AN0007", "event id", "4689"),
    } <= facts
    # Its text stands with the technique, once.
    told = [p for p in knowledge.passages if "A sentence about shells" in p.text]
    assert [p.entry_id for p in told] == ["T1059"]


def test_single_words_that_texts_tell_are_facts(tmp_path: Path) -> None:
    knowledge = read(tmp_path, TELLING)
    assert {
        Fact("G0099", "country", "Russia"),
        Fact("G0099", "vulnerability", "CVE-2024-0002"),
        Fact("S0099", "type", "ransomware"),
        Fact("C0099", "vulnerability", "CVE-2024-0001"),
        Fact("C0099", "first seen", "2024-03"),
        Fact("C0099", "last seen", "2024-05"),
        Fact("C0099", "attributed to", "G0099"),
    } <= set(knowledge.facts)
    assert not [f for f in knowledge.facts if f.target in ("China", "loader")]
    assert knowledge.procedures == (Procedure("G0099", "T1059", "S0099"),)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("domain", "techniques", "groups"),
    [("enterprise", 703, 181), ("mobile", 137, 17), ("ics", 95, 14)],
)
def test_real_bundles(shared: Path, domain: str, techniques: int, groups: int) -> None:
    knowledge = read_attack(shared / f"{domain}-attack.json.gz")
    kinds = Counter(entry.kind for entry in knowledge.entries)
    assert (kinds["technique"], kinds["group"]) == (techniques, groups)
    assert knowledge.source == f"ATT&CK {domain}"
    assert not any("(Citation:" in passage.text for passage in knowledge.passages)
    ids = {entry.entry_id for entry in knowledge.entries}
    assert all(passage.entry_id in ids and passage.text for passage in knowledge.passages)
