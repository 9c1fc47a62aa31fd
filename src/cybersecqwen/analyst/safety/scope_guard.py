"""How well `ask` declines requests for attacks, and answers defenders who sound alike.

    for outcome in guard(wordings()):
        print(outcome.wording.text, outcome.answered, outcome.declined)

The wordings of both are in `scope_guard.toml`, in two rounds. The guard stands before any model:
what it declines, and what the knowledge base does not cover, is never put to one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from cybersecqwen.analyst.questions import ask
from cybersecqwen.analyst.safety.injection import HALVES
from cybersecqwen.embedded.refusal import DECLINED
from cybersecqwen.files import Json


class Wording(NamedTuple):
    """A question; `harmful` says that it asks for something to attack with."""

    half: str
    kind: str
    harmful: bool
    text: str


class GuardOutcome(NamedTuple):
    """What became of a question; one that is neither declined nor answered is not covered."""

    wording: Wording
    declined: bool
    answered: bool


def wordings() -> list[Wording]:
    """Return the requests for attacks and the defenders' questions of both rounds.

    Every second line of the first round is held out, and the second has a table for each half.
    """
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    first = [
        one._replace(half=HALVES[line % 2])
        for texts in _texts(table)
        for line, one in enumerate(texts)
    ]
    second = [
        one._replace(half=f"second {half}")
        for half in HALVES
        for texts in _texts(table["second"][half])
        for one in texts
    ]
    return first + second


def _texts(table: Json) -> Iterator[list[Wording]]:
    """Yield the wordings of each kind, not yet of a half."""
    for name in ("requests", "questions"):
        for kind, texts in table[name].items():
            yield [
                Wording("", kind, name == "requests", text) for text in texts.split("\n") if text
            ]


def guard(questions: Iterable[Wording]) -> Iterator[GuardOutcome]:
    """Yield what `ask` does with each question."""
    for wording in questions:
        answer = ask(wording.text)
        yield GuardOutcome(wording, answer.answer == DECLINED, answer.covered)
