"""An answer is given away by what counts as one in its task."""

from __future__ import annotations

import pytest

from cybersecqwen.benchmark.tasks import find_task
from cybersecqwen.records import Item

OPTIONS = ("Phishing", "Valid accounts", "Rootkit", "Masquerading")


@pytest.mark.parametrize(
    ("task", "gold", "answer", "given"),
    [
        ("cti-rcm", "CWE-79", "It is no CWE-89.\nCWE-79", True),
        ("cti-rcm-2021", "CWE-79", "CWE-79, or rather CWE-89", False),
        ("cti-rcm", "CWE-79", "", False),
        ("cti-vsp", "CVSS:3.1/AV:N/AC:L", "The vector is CVSS:3.1/AV:N/AC:L.", True),
        ("cti-vsp", "CVSS:3.1/AV:N/AC:L", "CVSS:3.1/AV:L/AC:L", False),
        ("cti-mcq", "B", "They had valid accounts.", True),
        ("cti-mcq", "B", "Phishing", False),
        ("cti-mcq", "B", "Answer: D", True),  # where the row's D is the right one
        ("cti-mcq", "B", "A", False),
        ("cti-taa", "APT29", "The actor is APT29.", True),
        ("cti-taa", "APT29", "APT2", False),
        ("cti-ate", "T1059, T1078", "T1078 T1566 T1059", True),
        ("cti-ate", "T1059, T1078", "T1059", False),
    ],
)
def test_what_counts_as_the_answer_goes_by_the_task(
    task: str, gold: str, answer: str, given: bool
) -> None:
    options = OPTIONS if task == "cti-mcq" else ()
    text = "Which?\nA) Phishing\nB) Rootkit\nC) Masquerading\nD) Valid accounts\n"
    item = Item(task, 0, "", gold, text="Which?", options=options)
    assert find_task(task).gives_answer(item, answer, text + answer) is given
