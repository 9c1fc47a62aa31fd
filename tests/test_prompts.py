"""The prompts are the benchmark's own, to the character."""

from __future__ import annotations

from pathlib import Path

import pytest

from cybersecqwen.prompts import mcq_prompt, mcq_shot, rcm_prompt, rcm_shot
from cybersecqwen.sources.ctibench import read_items


@pytest.mark.shared
def test_the_rcm_prompt_is_that_of_every_item(shared: Path) -> None:
    items = read_items(shared / "cti-bench", "cti-rcm")
    assert [rcm_prompt(item.text) for item in items] == [item.prompt for item in items]


@pytest.mark.shared
def test_the_mcq_prompt_is_that_of_every_item_but_upstreams_slips(shared: Path) -> None:
    items = read_items(shared / "cti-bench", "cti-mcq")
    other = [item for item in items if mcq_prompt(item.text, item.options) != item.prompt]
    # An empty option became "nan" in upstream's prompts; four cells begin or end with a space.
    lost = [item for item in other if "" in item.options]
    spaced = [item for item in other if item not in lost]
    assert (len(items), len(lost), len(spaced)) == (2500, 5, 4)
    assert all(") nan " in item.prompt for item in lost)
    for item in spaced:
        written = mcq_prompt(item.text, item.options)
        assert written.split() == item.prompt.split()


def test_an_open_question_ends_where_the_answer_begins() -> None:
    options = ("one", "two", "three", "four")
    assert mcq_shot("Q?", options) == "Question: Q?\nA. one\nB. two\nC. three\nD. four\nAnswer:"
    assert mcq_shot("Q?", options, "B").endswith("\nAnswer: B")
    assert rcm_shot("text") == "CVE Description: text\nAnswer:"
    assert rcm_shot("text", "CWE-79") == "CVE Description: text\nAnswer: CWE-79"
