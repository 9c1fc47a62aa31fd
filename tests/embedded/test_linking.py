"""Names in questions: as written, by alias, in another order, misspelled, and none."""

from __future__ import annotations

import pytest

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.linking import named, part_of_name, unknown_name
from cybersecqwen.embedded.phrases import tokens


@pytest.fixture(scope="module")
def index() -> KnowledgeIndex:
    return KnowledgeIndex.load()


@pytest.mark.parametrize(
    ("text", "way", "entry"),
    [
        ("Which tactic does T1059.001 serve?", "id", "T1059.001"),
        ("tell me of COZY BEAR", "name", "G0016"),
        ("unauthorized command messages to controllers", "name", "T0855"),
        ("somebody keeps dumping LSASS", "alias", "T1003.001"),
        ("une injection SQL", "order", "CWE-89"),
        ("is mimikats bad", "fuzzy", "S0002"),
        ("lazerus group", "fuzzy", "G0032"),
        ("push bombing", "alias", "T1621"),
        ("the 2FA of our staff", "alias", "M1032"),
        ("which groups have used Cobalt Strike", "name", "S0154"),
        ("which malware targets phones", "", ""),
        ("bread with rye", "", ""),
        ("which windows event ids show it", "", ""),
    ],
)
def test_a_name_is_linked(index: KnowledgeIndex, text: str, way: str, entry: str) -> None:
    subjects = [s for s in named(index, text) if s.way in ("id", "alias", way)]
    linked = [index.entries[s.positions[0]].entry_id for s in subjects]
    assert linked == ([entry] if entry else [])
    assert [s.way for s in subjects] == ([way] if entry else [])


@pytest.mark.parametrize("text", ["and which tactic does it serve?", "how is it served"])
def test_a_verb_is_no_name_of_what_does_it(index: KnowledgeIndex, text: str) -> None:
    assert named(index, text) == []
    assert named(index, "which tactic does a server have?")[0].said == "server"


@pytest.mark.parametrize("text", ["the group Crimson Walrus", "Does the Velvet Mongoose phish?"])
def test_a_name_that_nothing_has_is_told(index: KnowledgeIndex, text: str) -> None:
    assert [s.said for s in named(index, text) if s.said != "phish"] == []
    assert " " in unknown_name(index, tokens(text))


def test_another_number_is_no_typing_error(index: KnowledgeIndex) -> None:
    assert named(index, "what does APT997 use") == []


def test_a_part_of_names_may_mean_several(index: KnowledgeIndex) -> None:
    part = part_of_name(index, tokens("that bear again"))
    assert part is not None
    names = {index.entries[p].name for p in part.positions}
    assert {"APT28", "APT29"} <= names


def test_every_kind_of_entry_can_be_named(index: KnowledgeIndex) -> None:
    for kind in sorted({entry.kind for entry in index.entries}):
        entry = next(entry for entry in index.entries if entry.kind == kind)
        assert isinstance(named(index, f"Who uses {entry.name}?"), list)
