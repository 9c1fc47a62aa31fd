r"""CTI-ATE: name the ATT&CK techniques in a description of a malware (CTI-Bench).

prompt    Extract all MITRE Enterprise attack patterns from the following text […]
gold      T1071, T1573, T1083, T1070
response  It speaks HTTP, encrypted with DES. […]\n\nT1071, T1573, T1083

Sub-techniques count as their technique. Micro-F1 pools the techniques of all items, and an
answer that cannot be read has found none of them.
"""

from __future__ import annotations

import re

from cybersecqwen.benchmark.tasks.task import NO_ANSWER, Extraction, Extractor, Marks, Metric, Task
from cybersecqwen.records import Item

_TECHNIQUE = re.compile(r"\bT(\d{4})(?:\.\d{3})?\b", re.IGNORECASE)
_FAITH = re.compile(r"\banswer\s*:\s*((?:t\d+,\s*)*t\d+)\b", re.IGNORECASE)


def techniques(text: str) -> tuple[str, ...]:
    """Give the main techniques in a text, each once, sorted."""
    return tuple(sorted({f"T{number}" for number in _TECHNIQUE.findall(text)}))


def last_line(text: str) -> Extraction:
    """Take the techniques of the last line, else of the last line that names any."""
    lines = text.strip().splitlines()
    for line in reversed(lines):
        found = techniques(line)
        if found:
            return Extraction(", ".join(found), proper=line is lines[-1])
    return NO_ANSWER


def unique_answer(text: str) -> Extraction:
    """Take a unique `Answer: T1, T2, …` (FAITH 0.3.2)."""
    found = {", ".join(techniques(run)) for run in _FAITH.findall(text)} - {""}
    return Extraction(found.pop()) if len(found) == 1 else NO_ANSWER


def mark(item: Item, answer: str) -> Marks:
    """Mark the techniques that are right, wrong and missed."""
    gold, given = set(techniques(item.gold)), set(techniques(answer))
    return {
        "correct": float(gold == given),
        "tp": float(len(gold & given)),
        "fp": float(len(given - gold)),
        "fn": float(len(gold - given)),
    }


TASK = Task(
    name="cti-ate",
    summary="name the ATT&CK techniques in a description of a malware",
    extractors={
        "last-line-techniques": Extractor(
            "technique ids of the last line, else of the last line that names any",
            last_line,
            ("item", "faith"),
        ),
        "answer-techniques": Extractor("a unique `Answer: T…, T…`", unique_answer, ("faith",)),
    },
    mark=mark,
    unread=lambda item: {"fn": float(len(techniques(item.gold)))},
    metrics={
        "micro_f1": Metric(
            "F1 over the main techniques of all items together",
            {"tp": 2.0},
            {"tp": 2.0, "fp": 1.0, "fn": 1.0},
        ),
        "precision": Metric("techniques named that are right", {"tp": 1.0}, {"tp": 1.0, "fp": 1.0}),
        "recall": Metric(
            "techniques of the gold that are named", {"tp": 1.0}, {"tp": 1.0, "fn": 1.0}
        ),
    },
    headline="micro_f1",
    answered=lambda gold, prompt: gold if prompt == "item" else f"Answer: {gold}",
)
