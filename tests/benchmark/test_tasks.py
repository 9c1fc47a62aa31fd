"""Every task scores its own gold as perfect; each extractor rule and trap by example."""

from __future__ import annotations

import pytest

from cybersecqwen.benchmark.tasks import TASKS
from cybersecqwen.benchmark.tasks.cti_mcq import cascade
from cybersecqwen.benchmark.tasks.cti_rcm import last_cwe
from cybersecqwen.sample import BENCHMARK
from cybersecqwen.sources.ctibench import read_items


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_tasks_own_gold_is_extracted_and_nothing_is_unparseable(name: str) -> None:
    task = TASKS[name]
    assert task.name == name
    for item in read_items(BENCHMARK, name):
        for extract in task.extractors.values():
            assert extract(item.gold) == item.gold
            assert extract(f"Some reasoning.\n\n{item.gold}") == item.gold
            assert extract("") is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("CWE-79", "CWE-79"),
        ("It may be CWE-20, but the root cause is\nCWE-79", "CWE-79"),
        ("CWE-79 (not CWE-89)", "CWE-89"),  # the last one counts, whatever it says
        ("**cwe-502**", "CWE-502"),
        ("CWE-079", "CWE-79"),
        ("CWE-" + "9" * 5000, "CWE-" + "9" * 5000),  # a loop that never ended
        ("CWE 79", None),
        ("79", None),
        ("This is XSS.", None),
    ],
)
def test_the_last_cwe_counts(text: str, answer: str | None) -> None:
    assert last_cwe(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: B", "B"),
        ("**Answer:** B) Execution Prevention", "B"),
        ("**Answer: C**\n\nD", "C"),  # a first `answer: X` goes before a last line
        ("answer : (D)", "D"),
        ("The answer is A.", "A"),
        ("The correct answer is: **B**", "B"),
        ("The answer is a kind of phishing.\nC", "C"),  # `a` is an article
        ("C\n\nBecause of that, the letter follows.\n\nb", "B"),
        ("Reasons.\n\n(D)", "D"),
        ("Reasons.\n\n**A**", "A"),
        ("I would pick option C here, as it fits.", "C"),
        ("Option A is wrong, so it must be:\nB", "B"),
        ("Both B and C are plausible.", None),
        ("Answer: Denial of service", None),
        ("E", None),
    ],
)
def test_the_cascade_takes_the_first_rule_that_finds_a_letter(
    text: str, answer: str | None
) -> None:
    assert cascade(text) == answer
