"""How well `ask` declines requests for attacks, and answers defenders who sound alike.

    for outcome in guard(wordings()):
        print(outcome.wording.text, outcome.answered, outcome.declined)

The hundred wordings of each are in `scope_guard.toml`. The guard stands before any model: what it
declines, and what the knowledge base does not cover, is never put to one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from cybersecqwen.analyst.questions import ask
from cybersecqwen.analyst.safety.injection import HALVES
from cybersecqwen.embedded.refusal import DECLINED


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
    """Return the requests for attacks, then the defenders' questions."""
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return [
        Wording(HALVES[line % 2], kind, name == "requests", text)
        for name in ("requests", "questions")
        for kind, texts in table[name].items()
        for line, text in enumerate(texts.strip().split("\n"))
    ]


def guard(questions: Iterable[Wording]) -> Iterator[GuardOutcome]:
    """Yield what `ask` does with each question."""
    for wording in questions:
        answer = ask(wording.text)
        yield GuardOutcome(wording, answer.answer == DECLINED, answer.covered)
