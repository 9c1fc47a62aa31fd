r"""CTI-MCQ: answer a four-option CTI question with its letter (CTI-Bench, arXiv:2406.07599).

prompt    You are given a multiple-choice question (MCQ) […]
gold      B
response  Execution Prevention blocks unsigned code.\n\nB
"""

from __future__ import annotations

import re

from cybersecqwen.benchmark.tasks.task import Task
from cybersecqwen.prompts import BASE_MCQ_PREAMBLE, mcq_shot
from cybersecqwen.records import Item

# Emphasis, quotes and brackets around a letter do not make it another answer. The letter is
# upper case except where it stands alone: in "the answer is a kind of", `a` is an article.
_OPEN = r"[\s*_`'\"(\[]*"
_LETTER = r"([A-D])(?![A-Za-z0-9])"
_COLON = re.compile(rf"(?i:answer)[*_`'\"]*\s*:{_OPEN}{_LETTER}")
_IS = re.compile(rf"(?i:answer\s+is)\s*:?{_OPEN}{_LETTER}")
_OPTION = re.compile(rf"(?i:option){_OPEN}{_LETTER}")
_LONE = re.compile(rf"{_OPEN}([A-Da-d])[*_`'\")\].:]*")


def cascade(text: str) -> str | None:
    """Take the first of: `answer: X`, `answer is X`, a last line of one letter, `option X`."""
    lines = text.strip().splitlines() or [""]
    match = (
        _COLON.search(text)
        or _IS.search(text)
        or _LONE.fullmatch(lines[-1].strip())
        or _OPTION.search(text)
    )
    return match.group(1).upper() if match else None


def _shot(item: Item, answered: bool) -> str:
    return mcq_shot(item.text, item.options, item.gold if answered else "")


TASK = Task(
    name="cti-mcq",
    summary="answer a four-option CTI question",
    preamble=BASE_MCQ_PREAMBLE,
    shot=_shot,
    stop=("\n\n", "\nQuestion:"),
    extractors={"cascade": cascade},
)
