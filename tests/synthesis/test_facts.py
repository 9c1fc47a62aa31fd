"""The facts of what ships, and of a feed that takes the place of its family."""

from __future__ import annotations

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.records import Entry, Fact, Knowledge, Passage
from cybersecqwen.synthesis.facts import FactBase


def test_what_ships_knows_the_relations_of_all_three(base: FactBase) -> None:
    assert set(base.releases) == {"ATT&CK", "CAPEC", "CWE"}
    assert base.targets["T1055.011", "tactic"] == ("TA0004", "TA0005")
    assert "M1038" in base.subjects["mitigates", "T1059.001"]
    assert base.name("T1059.001") == "T1059.001 Command and Scripting Interpreter: PowerShell"
    assert {"CWE-79", "CWE-74", "CWE-80"} <= base.kin("CWE-79")
    assert "CWE-89" not in base.kin("CWE-79")


def test_a_feed_takes_the_place_of_what_ships_of_its_family() -> None:
    entry = Entry("CWE-79", "Scripting", "weakness", "")
    passage = Passage("CWE-79", "Scripting", "weakness", "description", "A text.", "")
    fact = Fact("CWE-79", "impact", "Read Data")
    feed = Knowledge("CWE", "99.0", (entry,), (passage,), (fact,))
    base = FactBase.of([feed], KnowledgeIndex.load())
    assert base.releases["CWE"] == "CWE 99.0"
    assert base.of_kind("weakness") == ["CWE-79"]
    assert base.targets["CWE-79", "impact"] == ("Read Data",)
    assert base.passages["CWE-79", "description"] == ("A text.",)
    assert base.of_kind("tactic")  # still what ships
