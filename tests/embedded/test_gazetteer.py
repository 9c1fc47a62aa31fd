"""Slips of spelling in what a question names and asks for."""

from __future__ import annotations

import pytest

from cybersecqwen.embedded.gazetteer import correct_spelling
from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.phrases import tokens


@pytest.fixture(scope="module")
def index() -> KnowledgeIndex:
    return KnowledgeIndex.load()


def test_slips_in_names_and_in_what_is_asked_for_are_corrected(index: KnowledgeIndex) -> None:
    cut, places = correct_spelling(
        index, tokens("mitigatons tehcniques of Kimsukey, sourdough, APT999")
    )
    assert [token.word for token in cut[:4]] == ["mitigations", "techniques", "of", "kimsuky"]
    assert [token.word for token in cut[4:]] == ["sourdough", "apt999"]
    assert places == {0, 1, 3}


def test_a_word_is_not_corrected_to_its_contrary(index: KnowledgeIndex) -> None:
    cut, places = correct_spelling(index, tokens("an initialised variable"))
    assert [token.text for token in cut] == ["an", "initialised", "variable"]
    assert places == set()
