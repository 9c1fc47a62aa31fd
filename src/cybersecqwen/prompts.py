"""The prompts that models are trained and served with, and the chat templates.

The zero-shot prompts are CTI-Bench's own (arXiv:2406.07599), to the character: the
double space before "CVE Description" and the space at the end are part of them. A
model trained on them meets the same text in the evaluation, which asks with the `Prompt`
column itself. (Nine upstream prompts of cti-mcq differ from their own columns: five show an
empty option as "nan", four lost a space.)

>>> rcm_prompt("A buffer overflow.").endswith("CVE Description: A buffer overflow. ")
True

What a prompt asks can be read back, whichever form it has: for an engine that is no language
model.

>>> description_in(rcm_prompt("A buffer overflow."))
'A buffer overflow.'
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase
from typing import NamedTuple

_RCM = (
    "Analyze the following CVE description and map it to the appropriate CWE. "
    "Provide a brief justification for your choice. "
    "Ensure the last line of your response contains only the CWE ID.  "
    "CVE Description: {description} "
)

_MCQ = (
    "You are given a multiple-choice question (MCQ) from a Cyber Threat Intelligence (CTI) "
    "knowledge benchmark dataset. Your task is to choose the best option among the four provided. "
    "Return your answer as a single uppercase letter: A, B, C, or D.  "
    "**Question:** {question}  **Options:** {options}  "
    "**Important:** The last line of your answer should contain only the single letter "
    "corresponding to the best option, with no additional text. "
)

_VSP = (
    "Analyze the following CVE description and calculate the CVSS v3.1 Base Score. Determine the "
    "values for each base metric: AV, AC, PR, UI, S, C, I, and A. Summarize each metric's value "
    "and provide the final CVSS v3.1 vector string.   Valid options for each metric are as "
    "follows: - **Attack Vector (AV)**: Network (N), Adjacent (A), Local (L), Physical (P) - "
    "**Attack Complexity (AC)**: Low (L), High (H) - **Privileges Required (PR)**: None (N), "
    "Low (L), High (H) - **User Interaction (UI)**: None (N), Required (R) - **Scope (S)**: "
    "Unchanged (U), Changed (C) - **Confidentiality (C)**: None (N), Low (L), High (H) - "
    "**Integrity (I)**: None (N), Low (L), High (H) - **Availability (A)**: None (N), Low (L), "
    "High (H)  Summarize each metric's value and provide the final CVSS v3.1 vector string. "
    "Ensure the final line of your response contains only the CVSS v3 Vector String in the "
    "following format:  Example format: CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H  "
    "CVE Description: {description} "
)

# What a teacher is told before an example's own prompt. The label is in neither.
TEACHER = (
    "You are a vulnerability analyst who explains the root cause of a flaw to a colleague. Reason "
    "step by step in three to six sentences: what the description states, which mistake in the "
    "software it comes from, and why one weakness of the CWE list fits better than its nearest "
    "neighbours. Rest on nothing but the description, and write about the flaw, not about the task."
)

# Minimal templates, aligned with training: user and assistant turns and nothing else. A
# system turn is rendered only if a caller gives one.
CHAT_TEMPLATES = {
    "qwen3": (
        "{%- for message in messages %}"
        "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
        "{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
    ),
    "gemma4": (
        "{{- bos_token }}"
        "{%- for message in messages %}"
        "{%- set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
        "{{- '<|turn>' + role + '\\n' + message['content'] | trim + '<turn|>\\n' }}"
        "{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|turn>model\\n' }}{%- endif %}"
    ),
}

# The token that ends an assistant turn under each template.
END_OF_TURN = {"qwen3": "<|im_end|>", "gemma4": "<turn|>"}


def rcm_prompt(description: str) -> str:
    """Write the CTI-RCM prompt for a CVE description."""
    return _RCM.format(description=description)


def vsp_prompt(description: str) -> str:
    """Write the CTI-VSP prompt for a CVE description."""
    return _VSP.format(description=description)


def mcq_prompt(question: str, options: Sequence[str]) -> str:
    """Write the CTI-MCQ prompt for a question and its four options."""
    lettered = " ".join(f"{letter}) {text}" for letter, text in zip("ABCD", options, strict=True))
    return _MCQ.format(question=question, options=lettered)


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
    instruction, found, _ = prompt.partition("CVE Description:")
    return bool(found) and ("CWE" in instruction or _CWE_EXEMPLAR.search(prompt) is not None)


def description_in(prompt: str) -> str | None:
    """Read the CVE description that a prompt asks about, stripped; of a few-shot one the last."""
    shots = [match.end() for match in _SHOT_DESCRIPTION.finditer(prompt)]
    _, found, text = prompt.partition("CVE Description:")
    if not found:
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
