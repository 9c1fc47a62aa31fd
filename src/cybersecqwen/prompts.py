"""The prompts and chat templates that models are trained and served with, from prompts.toml.

The zero-shot prompts are CTI-Bench's own (arXiv:2406.07599), to the character: the
double space before "CVE Description" and the space at the end are part of them. A
model trained on them meets the same text in the evaluation, which asks with the `Prompt`
column itself. (Nine upstream prompts of cti-mcq differ from their own columns: five show an
empty option as "nan", four lost a space.)

>>> rcm_prompt("A buffer overflow.").endswith("CVE Description: A buffer overflow. ")
True

For an engine that is no language model, the question can be read back from a prompt of any of
these forms.

>>> description_in(rcm_prompt("A buffer overflow."))
'A buffer overflow.'
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import NamedTuple

_PROMPTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_CTI_BENCH: dict[str, str] = _PROMPTS["cti-bench"]

FAITH: dict[str, str] = _PROMPTS["faith"]  # the prompts of Cisco's harness to chat models, by task
TEACHER: str = _PROMPTS["teacher"]["system"]
GROUNDED: dict[str, str] = _PROMPTS["grounded"]  # those with quoted passages, by command
_CHAT = {name: _PROMPTS["chat"][c.get("same_as", name)] for name, c in _PROMPTS["chat"].items()}
CHAT_TEMPLATES: dict[str, str] = {name: chat["template"] for name, chat in _CHAT.items()}
# The token that ends an assistant turn under each template.
END_OF_TURN: dict[str, str] = {name: chat["end"] for name, chat in _CHAT.items()}
OWN_TEMPLATE = "own"  # the name of the template that comes with a base model


def rcm_prompt(description: str) -> str:
    """Write the CTI-RCM prompt for a CVE description."""
    return _CTI_BENCH["cti-rcm"].format(description=description)


def vsp_prompt(description: str) -> str:
    """Write the CTI-VSP prompt for a CVE description."""
    return _CTI_BENCH["cti-vsp"].format(description=description)


def mcq_prompt(question: str, options: Sequence[str]) -> str:
    """Write the CTI-MCQ prompt for a question and its four options."""
    lettered = " ".join(f"{letter}) {text}" for letter, text in zip("ABCD", options, strict=True))
    return _CTI_BENCH["cti-mcq"].format(question=question, options=lettered)


class Question(NamedTuple):
    """A multiple-choice question as a prompt asks it; `options` belong to the letters from A on."""

    text: str
    options: tuple[str, ...]


# An exemplar begins its line, the zero-shot prompts have it behind their instruction.
_SHOT_DESCRIPTION = re.compile(r"^CVE Description:", re.MULTILINE)
_CWE_EXEMPLAR = re.compile(r"^Answer: CWE-\d+[ \t]*$", re.MULTILINE)
_OPEN_ANSWER = re.compile(r"\n[ \t]*Answer:\s*\Z")
_MCQ_PARTS = re.compile(
    r"\*\*Question:\*\*\s(.*?)\s\*\*Options:\*\*"
    r"\s+A\)(.*?)\sB\)(.*?)\sC\)(.*?)\sD\)(.*)\s\*\*Important:\*\*",
    re.DOTALL,
)
_MCQ_LINES = re.compile(
    r"^A[.)](.*?)\nB[.)](.*?)\nC[.)](.*?)\nD[.)]([^\n]*)", re.MULTILINE | re.DOTALL
)
_MCQ_INSTRUCTION = re.compile(r"multiple[- ]choice|candidate answers", re.IGNORECASE)


def asks_for_weakness(prompt: str) -> bool:
    """Tell whether a prompt asks for the CWE of a CVE description: by instruction or exemplars."""
    instruction, marker, _ = prompt.partition("CVE Description:")
    return bool(marker) and ("CWE" in instruction or _CWE_EXEMPLAR.search(prompt) is not None)


def description_in(prompt: str) -> str | None:
    """Read the CVE description that a prompt asks about, stripped; of a few-shot one the last."""
    shots = [match.end() for match in _SHOT_DESCRIPTION.finditer(prompt)]
    _, marker, text = prompt.partition("CVE Description:")
    if not marker:
        return None
    return _OPEN_ANSWER.sub("", prompt[shots[-1] :] if shots else text).strip()


def question_in(prompt: str) -> Question | None:
    """Read the multiple-choice question that a prompt asks, stripped; of a few-shot one the last.

    It reads CTI-Bench's own form, whose "nan" is an empty option, and four options or more on
    lines of their own, `A. text`, with or without exemplars before them.
    """
    parts = _MCQ_PARTS.search(prompt)
    if parts:
        text, *options = (part.strip() for part in parts.groups())
        return Question(text, tuple("" if option == "nan" else option for option in options))
    before, end = "", 0
    choices: tuple[str, ...] = ()
    for lines in _MCQ_LINES.finditer(prompt):
        further, after = _further_options(prompt, lines.end())
        before = prompt[end : lines.start()]
        choices, end = (*lines.groups(), *further), after
    if not choices:
        return None
    return Question(_bare(before), tuple(choice.strip() for choice in choices))


def _further_options(prompt: str, end: int) -> tuple[list[str], int]:
    """Read the options after D, each on its line, and where they end."""
    options: list[str] = []
    for letter in ascii_uppercase[4:]:
        line = re.compile(rf"\n{letter}[.)]([^\n]*)").match(prompt, end)
        if line is None:
            break
        options.append(line[1])
        end = line.end()
    return options, end


def _bare(text: str) -> str:
    """Take off what stands before a question: the last exemplar's answer, or the instruction."""
    text = re.sub(r"\A\s*Answer:[^\n]*\n", "", text).strip()
    first, _, rest = text.partition("\n\n")
    if rest and _MCQ_INSTRUCTION.search(first):
        text = rest.rpartition("\nQuestion:")[2]
    return text.strip().removeprefix("Question:").strip()
