r"""CTI-ATE: name the ATT&CK techniques in a description of malware (CTI-Bench).

prompt    Extract all MITRE Enterprise attack patterns from the following text […]
gold      T1071, T1573, T1083, T1070
response  It speaks HTTP, encrypted with DES. […]\n\nT1071, T1573, T1083

Sub-techniques count as their technique. Micro-F1 pools the techniques of all items, and an
answer that cannot be read has found none of them.
"""

from __future__ import annotations

import re
from functools import partial
from itertools import takewhile

from cybersecqwen.benchmark.tasks.cti_bench import CTI_BENCH, read_cti_bench
from cybersecqwen.benchmark.tasks.lenient import IN_RUNNING_TEXT, Reading
from cybersecqwen.benchmark.tasks.task import NO_ANSWER, Extraction, Extractor, Marks, Metric, Task
from cybersecqwen.prompts import FAITH
from cybersecqwen.records import Item

_LIST = re.compile(r"\*\*List of All MITRE (\w+) technique IDs\*\*(.*)", re.DOTALL)
_ENTRY = re.compile(r"(T\d{4})\s*:\s*(.*?)\s*(?=T\d{4}\s*:|\Z)", re.DOTALL)

_TECHNIQUE = re.compile(r"\bT(\d{4})(?:\.\d{3})?\b", re.IGNORECASE)
# A line of a list names its technique at the beginning, or in brackets at the end.
_LISTED = re.compile(
    r"^\W{0,9}(?:\d{1,2}[.)])?\W{0,9}T\d{4}|\(T\d{4}(?:\.\d{3})?\)\W{0,9}$", re.IGNORECASE
)
_MAIN = re.compile(r"T\d{4}")
_FAITH = re.compile(r"\banswer\s*:\s*((?:t\d+,\s*)*t\d+)\b", re.IGNORECASE)


def techniques(text: str) -> tuple[str, ...]:
    """Return the main techniques in a text, each once, sorted."""
    return tuple(sorted({f"T{number}" for number in _TECHNIQUE.findall(text)}))


def last_line(text: str) -> Extraction:
    """Take the techniques of the last line, else of the last line that names any."""
    lines = text.strip().splitlines()
    for line in reversed(lines):
        named = techniques(line)
        if named:
            return Extraction(", ".join(named), proper=line is lines[-1])
    return NO_ANSWER


def lenient(item: Item, text: str) -> Reading:
    """Read a list with a technique on each line, else as the last line says."""
    lines = [line for line in text.splitlines() if line.strip()]
    listed = list(takewhile(_is_listed, reversed(lines)))
    if len(listed) > 1:
        return Reading(", ".join(techniques("\n".join(listed))), "a line for each", stated=True)
    return Reading(last_line(text).answer, IN_RUNNING_TEXT)


def _is_listed(line: str) -> bool:
    return _LISTED.search(line) is not None and len(techniques(line)) == 1


def unique_answer(text: str) -> Extraction:
    """Take a unique `Answer: T1, T2, …` (FAITH 0.3.2)."""
    answers = {", ".join(techniques(run)) for run in _FAITH.findall(text)} - {""}
    return Extraction(answers.pop()) if len(answers) == 1 else NO_ANSWER


def mark(item: Item, answer: str) -> Marks:
    """Mark the techniques that are right, wrong and missed."""
    gold, given = set(techniques(item.gold)), set(techniques(answer))
    return {
        "correct": float(gold == given),
        "tp": float(len(gold & given)),
        "fp": float(len(given - gold)),
        "fn": float(len(gold - given)),
    }


def faith_prompt(item: Item) -> str:
    """Write FAITH's prompt, with the list of techniques that the item's own prompt has."""
    listed = _LIST.search(item.prompt)
    platform, entries = listed.groups() if listed else ("Enterprise", "")
    techniques_listed = "\n".join(
        f"- {number} : {name}" for number, name in _ENTRY.findall(entries)
    )
    return FAITH["cti-ate"].format(
        platform=platform, techniques=techniques_listed, text=item.text.strip()
    )


def gives_answer(item: Item, answer: str, text: str) -> bool:
    """Tell whether a training row's answer names all techniques of the gold."""
    return set(_MAIN.findall(item.gold)) <= set(_MAIN.findall(answer))


TASK = Task(
    name="cti-ate",
    summary="name the ATT&CK techniques in a description of malware",
    suite=CTI_BENCH,
    file="cti-ate.tsv",
    read=partial(read_cti_bench, text="Description"),
    placeholder=Item(
        "cti-ate",
        0,
        "**List of All MITRE Enterprise technique IDs** T0000 : NAME",
        "T0000",
        text="TEXT",
    ),
    prompts={"faith": faith_prompt},
    extractors={
        "last-line-techniques": Extractor(
            "technique ids of the last line, else of the last line that names any",
            last_line,
            ("item", "faith"),
        ),
        "answer-techniques": Extractor(
            "a unique `Answer: T…, T…`", unique_answer, ("faith",), protocols=("faith",)
        ),
    },
    lenient=lenient,
    gives_answer=gives_answer,
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
