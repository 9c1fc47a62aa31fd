"""The names of vulnerabilities: found in any spelling, and not in other words."""

from __future__ import annotations

import pytest

from cybersecqwen.analyst.vulnerabilities.nicknames import (
    find_nicknames,
    nickname_of,
    take_nicknames,
)
from cybersecqwen.cwe.identifiers import normalise_cve
from cybersecqwen.embedded.knowledge import KnowledgeIndex


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("what is bluekeep", ["BlueKeep"]),
        ("Blue Keep vs. dejablue", ["BlueKeep", "DejaBlue"]),
        ("citrix bleed 2", ["CitrixBleed 2"]),
        ("Citrixbleed", ["CitrixBleed"]),
        ("GameOverlay on ubuntu", ["GameOver(lay)"]),
        ("s2 045", ["S2-045"]),
        ("the KRACK paper", ["KRACK"]),
        ("is GHOST patched", ["GHOST"]),
        ("the ghost vulnerability", ["GHOST"]),
        ("the inception bug in AMD", ["Inception"]),
        ("hartbleed", ["Heartbleed"]),
        ("Zerologin and petit potam", ["Zerologon", "PetitPotam"]),
        ("the looney tuneables thing", ["Looney Tunables"]),
    ],
)
def test_a_name_is_found_in_any_spelling(text: str, names: list[str]) -> None:
    assert [one.name for one in find_nicknames(text)] == names


@pytest.mark.parametrize(
    "text",
    [
        "a ghost in the machine",
        "organised crime groups",
        "the Inception group",
        "Berserk Bear",
        "MS17-011",
        "exfiltration over bluetooth",
        "shellcode and a heartbeat",
        "csv injection",
        "which entry in CWE is it",
        "the newest entry in KEV",
        "the vulnerability that was behind a large data breach",
    ],
)
def test_other_words_are_no_name(text: str) -> None:
    assert find_nicknames(text) == []


def test_the_rest_of_a_text_is_without_the_names() -> None:
    assert take_nicknames("is Dirty-COW, or dirty pipe, critical?")[1] == "is , or , critical?"


def test_every_name_has_a_meaning_and_whole_ids() -> None:
    from cybersecqwen.analyst.vulnerabilities.nicknames import _names, _table

    assert len(_names()) == len(_table()["names"]) > 280
    for name in _names().values():
        assert name.meaning
        assert all(normalise_cve(cve) == cve for cve in name.cves)
    assert nickname_of("CVE-2021-44228") == "Log4Shell"
    assert nickname_of("CVE-2021-0001") == ""


def test_no_group_software_or_weakness_is_taken_for_one() -> None:
    index = KnowledgeIndex.load()
    kinds = {"group", "malware", "tool", "technique", "mitigation", "weakness"}
    names = [name for e in index.entries if e.kind in kinds for name in (e.name, *e.aliases)]
    assert [name for name in names if find_nicknames(name)] == []
