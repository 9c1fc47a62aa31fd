"""Months of made observations: quiet ones, and what shifts in them from a month on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
import pytest

from cybersecqwen.analyst.drift import Observation

RECORDS = 120  # of a month
REFERENCE = 6  # months
CLASSES = ("CWE-79", "CWE-89", "CWE-787", "CWE-416")
SHARES = (0.4, 0.3, 0.2, 0.1)
WORDS = [f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
NEW = [f"novel{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]

Shift = Callable[[Observation, np.random.Generator], Observation]


def month(number: int) -> date:
    """Return the first day of a month, counted from January 2024."""
    return date(2024 + number // 12, number % 12 + 1, 1)


def quiet(months: int, *, first: int = 0, seed: int = 0) -> Iterator[Observation]:
    """Yield months that are alike: one in five answers is wrong by NVD's label and the CNA's."""
    source = np.random.default_rng(seed)
    for number in range(first, first + months):
        classes = source.choice(CLASSES, p=SHARES, size=RECORDS)
        texts = source.choice(WORDS, size=(RECORDS, 8))
        right = source.random((RECORDS, 2)) < 0.8
        confidence = np.clip(source.normal(0.8, 0.1, size=RECORDS), 0, 1)
        for place, cwe in enumerate(map(str, classes)):
            labels = {
                name: cwe if ok else "CWE-20"
                for name, ok in zip(("nvd", "cna"), right[place], strict=True)
            }
            yield Observation(
                f"CVE-{number}-{place}",
                month(number),
                " ".join(texts[place]),
                cwe,
                float(confidence[place]),
                False,
                labels,
            )


@cache
def shifted(shift: Shift, *, months: int = 10, after: int = 7) -> tuple[Observation, ...]:
    """Return months of which those from `after` on are changed, record by record."""
    source = np.random.default_rng(1)
    return tuple(one if one.day < month(after) else shift(one, source) for one in quiet(months))


def other_class(one: Observation, source: np.random.Generator) -> Observation:
    return replace(one, cwe="CWE-416", labels={}) if source.random() < 0.4 else one


def other_words(one: Observation, source: np.random.Generator) -> Observation:
    return replace(one, text=" ".join(source.choice(NEW, size=8))) if source.random() < 0.4 else one


def less_sure(one: Observation, source: np.random.Generator) -> Observation:
    return replace(one, confidence=one.confidence * 0.8)


def corrupted(one: Observation, source: np.random.Generator) -> Observation:
    """Change a quarter of NVD's labels, so that a fifth of the answers turn wrong by them."""
    changed = {**one.labels, "nvd": "CWE-20"}
    return replace(one, labels=changed) if source.random() < 0.25 else one


def halted(one: Observation, source: np.random.Generator) -> Observation:
    return replace(one, labels={k: v for k, v in one.labels.items() if k != "nvd"})


@pytest.fixture(scope="session")
def months() -> list[Observation]:
    """Ten quiet months, the first six of which are the reference."""
    return list(quiet(10))
