"""Whether a training row gives the gold answer of a benchmark item.

What counts as giving it goes by the task: the CWE id, the CVSS vector, the letter or the words of
the right option, the actor's name, all the technique ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cybersecqwen.contamination.hits import Row
from cybersecqwen.contamination.words import normalised
from cybersecqwen.records import Item

_CWE = re.compile(r"CWE-\d+", re.IGNORECASE)
_TECHNIQUE = re.compile(r"T\d{4}")
_LETTER = re.compile(r"\W*(?:answer\s*(?:is)?\W*)?([A-D])\W*", re.IGNORECASE)


def gives_answer(item: Item, row: Row) -> bool:
    """Say whether the row's answer is the item's gold."""
    return bool(item.gold) and _GIVES[item.task](item, row)


def _cwe(item: Item, row: Row) -> bool:
    named = _CWE.findall(row.answer)
    return bool(named) and named[-1].upper() == item.gold.upper()


def _option(item: Item, row: Row) -> bool:
    """Look for the words of the right option, also behind the letter that the answer gives."""
    gold = f" {normalised(item.options['ABCD'.index(item.gold)])} "
    lines = row.answer.strip().splitlines()
    letter = _LETTER.fullmatch(lines[-1]) if lines else None
    said = [row.answer]
    if letter:  # an instruction may name the letters too: any text behind this one counts
        option = rf"\b{letter[1].upper()}[).:]\s*(.*?)(?=\s[A-D][).:]|\n|$)"
        said = re.findall(option, row.text)
    return bool(gold.strip()) and any(gold in f" {normalised(text)} " for text in said)


def _contains(item: Item, row: Row) -> bool:
    return f" {normalised(item.gold)} " in f" {normalised(row.answer)} "


def _techniques(item: Item, row: Row) -> bool:
    return set(_TECHNIQUE.findall(item.gold)) <= set(_TECHNIQUE.findall(row.answer))


_GIVES: dict[str, Callable[[Item, Row], bool]] = {
    "cti-mcq": _option,
    "cti-rcm": _cwe,
    "cti-rcm-2021": _cwe,
    "cti-vsp": _contains,
    "cti-taa": _contains,
    "cti-ate": _techniques,
}
