r"""CTI-MCQ: answer a four-option CTI question with its letter (CTI-Bench, arXiv:2406.07599).

prompt    You are given a multiple-choice question (MCQ) […]
gold      B
response  Execution Prevention blocks unsigned code.\n\nB

Its prompt asks for the letter twice, and some models answer with two letters on two lines.
Which of them counts is the extractor's choice, and moves a score by many points.
"""

from __future__ import annotations

import re

from cybersecqwen.benchmark.tasks.task import NO_ANSWER, Extraction, Extractor, Task, plain

# Emphasis, quotes and brackets around a letter do not make it another answer. The letter is
# upper case except where it stands alone: in "the answer is a kind of", `a` is an article.
_OPEN = r"[\s*_`'\"(\[]*"
_LETTER = r"([A-D])(?![A-Za-z0-9])"
# After a colon a lower-case letter is an answer too, where nothing but its line's end follows.
_LOWER = r"([a-d])(?=[*_`'\")\].]*[ \t]*$)"
_COLON = re.compile(rf"(?i:answer)[*_`'\"]*\s*:{_OPEN}(?:{_LETTER}|{_LOWER})", re.MULTILINE)
_IS = re.compile(rf"(?i:answer\s+is)\s*:?{_OPEN}{_LETTER}")
_OPTION = re.compile(rf"(?i:option){_OPEN}{_LETTER}")
_LONE = re.compile(rf"{_OPEN}([A-Da-d])[*_`'\")\].:]*")

_FAITH_PROPER = re.compile(r"\banswer\s*:\s*\(?([A-D])\b", re.IGNORECASE)
# The improper forms in the order they are tried, and whether equal matches may repeat.
_FAITH_IMPROPER = (
    (re.compile(r"\banswer\s+is:?\s+(?:\(|\*\*)?([A-Z])\b", re.IGNORECASE), True),
    (re.compile(r"\(([A-Z])\)"), False),
    (re.compile(r"\boption\s+([A-Z])\b", re.IGNORECASE), False),
    (re.compile(r"\A\W*([A-Z])\W*\Z", re.IGNORECASE), False),
)
# A response "X" stands in the authors' files for a refusal, which is counted, and wrong.
_COUNTED = {"A", "B", "C", "D", "X"}


def cascade(text: str) -> Extraction:
    """Take the first of: `answer: X`, `answer is X`, a last line of one letter, `option X`.

    Only the first is the form that the paper asks for.
    """
    proper = _COLON.search(text)
    if proper:
        return Extraction((proper.group(1) or proper.group(2)).upper())
    lines = text.strip().splitlines() or [""]
    found = _IS.search(text) or _LONE.fullmatch(lines[-1].strip()) or _OPTION.search(text)
    return Extraction(found.group(1).upper(), proper=False) if found else NO_ANSWER


def unique_answer(text: str) -> Extraction:
    """Take `answer: X` if it names one letter only; other forms are improper (FAITH 0.3.2)."""
    letters = {letter.upper() for letter in _FAITH_PROPER.findall(text)}
    if len(letters) == 1:
        return Extraction(letters.pop())
    for pattern, may_repeat in _FAITH_IMPROPER:
        found = [letter.upper() for letter in pattern.findall(text)]
        if len(found) == 1 or (may_repeat and len(set(found)) == 1):
            return Extraction(found[0], proper=False)
    return NO_ANSWER


def last_line(text: str) -> str | None:
    """Read the last line as the authors' notebook does, else the whole text as a bare letter.

    The line begins with `X)`, or ends in a letter, or in `X**`; where it is empty, the line
    before is read in its place.
    """
    lines = [line.rstrip() for line in text.split("\n")]
    found = _of_line(lines[-1])
    if not found and not lines[-1] and len(lines) > 1:
        found = _of_line(lines[-2])
    letter = (found or " ".join(text.split("\n"))).upper()
    return letter if letter in _COUNTED else None


def _of_line(line: str) -> str:
    if line[:2] in ("A)", "B)", "C)", "D)"):
        return line[0]
    if line.endswith(("A", "B", "C", "D")):
        return line[-1]
    return line[-3:-2] if line.endswith("**") else ""


def first_letter(text: str) -> str | None:
    """Take the first line that is one letter; the other reading of a twice-given answer."""
    lone = (_LONE.fullmatch(line.strip()) for line in text.splitlines())
    return next((match.group(1).upper() for match in lone if match), None)


def last_letter(text: str) -> str | None:
    """Take the last line that is one letter."""
    return first_letter("\n".join(reversed(text.splitlines())))


TASK = Task(
    name="cti-mcq",
    summary="answer a four-option CTI question",
    extractors={
        "cascade": Extractor(
            "first `answer: X`; first `answer is X`; last line is a lone letter; first `option X`",
            cascade,
            ("item", "faith", "base", "faith-base"),
        ),
        "unique-answer": Extractor(
            "a unique `answer: X`; `answer is X`, `(X)`, `option X` and a lone letter are improper",
            unique_answer,
            ("faith", "faith-base"),
        ),
        "last-line": Extractor(
            "last line begins with `X)`, else ends in a letter, else the line before",
            plain(last_line),
        ),
        "first-letter": Extractor("first line that is a lone letter", plain(first_letter)),
        "last-letter": Extractor("last line that is a lone letter", plain(last_letter)),
    },
    answered=lambda gold, prompt: gold if prompt == "item" else f"Answer: {gold}",
)
