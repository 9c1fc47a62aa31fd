r"""CTI-MCQ: answer a four-option CTI question with its letter (CTI-Bench, arXiv:2406.07599).

prompt    You are given a multiple-choice question (MCQ) […]
gold      B
response  Execution Prevention blocks unsigned code.\n\nB

Its prompt asks for the letter twice, and some models answer with two letters on two lines.
Which of them counts is the extractor's choice, and moves a score by many points.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from cybersecqwen.benchmark.breakdown import positions
from cybersecqwen.benchmark.tasks.cti_bench import CTI_BENCH, read_cti_bench
from cybersecqwen.benchmark.tasks.multiple_choice import (
    cascade,
    gives_option,
    lenient_letter,
    lone,
    unique_answer,
)
from cybersecqwen.benchmark.tasks.task import Extractor, Predictions, Shots, Task, plain
from cybersecqwen.files import Json
from cybersecqwen.prompts import FAITH, mcq_prompt
from cybersecqwen.records import Item

# The paper's preamble is in arXiv:2504.21039, figure 4.
_PREAMBLE = "The following are multiple choice questions about computer security.\n\n"
_LETTERS = "ABCD"
_LONE = lone(_LETTERS)
# A response "X" stands in the authors' files for a refusal, which is counted, and wrong.
_COUNTED = {*_LETTERS, "X"}


def item_prompt(item: Item) -> str:
    """Write CTI-Bench's own prompt, which shows an empty option as "nan"."""
    return mcq_prompt(item.text, [option or "nan" for option in item.options])


def faith_prompt(item: Item) -> str:
    """Write FAITH's prompt."""
    return FAITH["cti-mcq"].format(question=_faith_question(item))


def shot(item: Item, answer: str) -> str:
    """Write one exemplar, or the open question where the answer is ""."""
    return f"Question: {paper_shot(item, answer)}"


def paper_shot(item: Item, answer: str) -> str:
    """Write one of the paper's exemplars, which leave out "Question:"."""
    return "\n".join([item.text, _lines(item.options), f"Answer: {answer}"]).rstrip()


def faith_shot(item: Item, answer: str) -> str:
    """Write one of FAITH's exemplars; the open question ends without "Answer:"."""
    question = _faith_question(item)
    return f"{question}\nAnswer: {answer}" if answer else question


def _faith_question(item: Item) -> str:
    """Write a question with a blank line before the options, of which an empty one reads "None"."""
    return f"{item.text.strip()}\n\n{_lines([option or 'None' for option in item.options])}"


def _lines(options: Sequence[str]) -> str:
    return "\n".join(f"{name}. {text}" for name, text in zip(_LETTERS, options, strict=True))


def last_line(text: str) -> str | None:
    """Read the last line as the authors' notebook does, else the whole text as a bare letter.

    The line begins with `X)`, or ends in a letter, or in `X**`; where it is empty, the line
    before is read in its place.
    """
    lines = [line.rstrip() for line in text.split("\n")]
    letter_of_line = _of_line(lines[-1])
    if not letter_of_line and not lines[-1] and len(lines) > 1:
        letter_of_line = _of_line(lines[-2])
    letter = (letter_of_line or " ".join(text.split("\n"))).upper()
    return letter if letter in _COUNTED else None


def _of_line(line: str) -> str:
    if line[:2] in ("A)", "B)", "C)", "D)"):
        return line[0]
    if line.endswith(("A", "B", "C", "D")):
        return line[-1]
    return line[-3:-2] if line.endswith("**") else ""


def first_letter(text: str) -> str | None:
    """Take the first line that is one letter; the other reading of a twice-given answer."""
    matches = (_LONE.fullmatch(line.strip()) for line in text.splitlines())
    return next((match.group(1).upper() for match in matches if match), None)


def last_letter(text: str) -> str | None:
    """Take the last line that is one letter."""
    return first_letter("\n".join(reversed(text.splitlines())))


def details(predictions: Predictions, golds: Sequence[str]) -> Json:
    """Set the letters that are chosen against those of gold."""
    return {"positions": positions(predictions, golds, letters=_LETTERS)}


TASK = Task(
    name="cti-mcq",
    summary="answer a four-option CTI question",
    suite=CTI_BENCH,
    file="cti-mcq.tsv",
    read=partial(
        read_cti_bench,
        text="Question",
        options=("Option A", "Option B", "Option C", "Option D"),
        gold=re.compile(f"[{_LETTERS}]"),
    ),
    placeholder=Item(
        "cti-mcq", 0, "", "B", text="QUESTION", options=tuple(f"OPTION {x}" for x in _LETTERS)
    ),
    prompts={"item": item_prompt, "faith": faith_prompt},
    shots={
        "model-card": Shots(_PREAMBLE, shot, stop=("\n\n", "\nQuestion:")),
        "paper": Shots(_PREAMBLE, paper_shot, stop=("\n\n",)),
        "faith": Shots("The following are multiple choice questions.\n\n", faith_shot),
    },
    extractors={
        "cascade": Extractor(
            "first `answer: X`; first `answer is X`; last line is a lone letter; first `option X`",
            cascade(_LETTERS),
            ("item", "faith", "base", "faith-base"),
            protocols=("model-card", "smoke", "paper"),
        ),
        "unique-answer": Extractor(
            "a unique `answer: X`; `answer is X`, `(X)`, `option X` and a lone letter are improper",
            unique_answer(_LETTERS),
            ("faith", "faith-base"),
            protocols=("faith",),
        ),
        "last-line": Extractor(
            "last line begins with `X)`, else ends in a letter, else the line before",
            plain(last_line),
            protocols=("cti-bench",),
        ),
        "first-letter": Extractor("first line that is a lone letter", plain(first_letter)),
        "last-letter": Extractor("last line that is a lone letter", plain(last_letter)),
    },
    lenient=lenient_letter(_LETTERS),
    gives_answer=gives_option,
    details=details,
    published="a6b51d23debc8a111660a217e70f3b8c433cc31de55dc4aac710cba6615af960",
    answered=lambda gold, prompt: gold if prompt == "item" else f"Answer: {gold}",
)
