"""How long texts are, in characters, words and tokens, and how many exceed the limit of training.

    lengths = Lengths(limit=4096)
    lengths.add("CVE-2021-1", "A buffer overflow.", rcm_prompt("A buffer overflow."), "CWE-120")
    lengths.to_json()["chat"]["over_limit"]      # 0

With a tokenizer every chat that could be over the limit is counted, and up to `_DRAWN` others:
counting all texts of a large store takes minutes. Where there are no more, all are counted.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cybersecqwen.files import Json
from cybersecqwen.reports.dataset.texts import (
    TokenCounter,
    estimate,
    estimate_chat,
    most_tokens,
)

_DRAWN = 10_000
_SEED = 42
_LONGEST = 10
_QUANTILES = {"median": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
_EDGES = [round(2 ** (step / 4)) for step in range(8, 62)]  # 4 to 38,968 tokens, evenly in the log


class _Text(NamedTuple):
    cve_id: str
    description: str
    prompt: str
    completion: str


class Lengths:
    """Lengths of descriptions, and of prompt and completion under the chat template."""

    def __init__(self, *, limit: int, counter: TokenCounter | None = None) -> None:
        self._limit = limit
        self._counter = counter
        self._characters, self._words = array("L"), array("L")
        self._tokens, self._chat = array("L"), array("L")  # estimates
        self._longest: list[tuple[int, str]] = []  # by estimate, of those over the limit
        self._drawn: list[_Text] = []
        self._suspects: list[_Text] = []  # that a tokenizer could find over the limit
        self._random = random.Random(_SEED)

    def add(self, cve_id: str, description: str, prompt: str, completion: str) -> None:
        """Take in one text; without a completion the prompt alone is measured."""
        self._characters.append(len(description))
        self._words.append(len(description.split()))
        self._tokens.append(estimate(description))
        self._chat.append(estimate_chat(prompt, completion))
        text = _Text(cve_id, description, prompt, completion)
        if self._counter is None:
            if self._chat[-1] > self._limit:
                self._longest.append((self._chat[-1], cve_id))
        else:
            self._draw(text)
            if most_tokens(prompt, completion) > self._limit:
                self._suspects.append(text)

    def _draw(self, text: _Text) -> None:
        """Keep each text with the same chance, however many follow (Vitter's algorithm R)."""
        if len(self._drawn) < _DRAWN:
            self._drawn.append(text)
        elif (place := self._random.randrange(len(self._chat))) < _DRAWN:
            self._drawn[place] = text

    def to_json(self) -> Json:
        """Give quantiles, histograms, and what is over the limit."""
        found: Json = {
            "limit": self._limit,
            "texts": len(self._chat),
            "characters": _quantiles(self._characters),
            "words": _quantiles(self._words),
        }
        if not self._chat:
            return found
        return found | (self._counted(self._counter) if self._counter else self._estimated())

    def _estimated(self) -> Json:
        return {
            "tokens_by": {"estimate": "fitted to Qwen3's tokenizer"},
            "description": _measured(self._tokens),
            "chat": _measured(self._chat) | self._over(self._longest),
        }

    def _counted(self, counter: TokenCounter) -> Json:
        tokens, chat = _counted(counter, self._drawn)
        long_tokens, long_chat = _counted(counter, self._suspects)
        sizes = zip(long_chat, (text.cve_id for text in self._suspects), strict=True)
        over = [(size, cve_id) for size, cve_id in sizes if size > self._limit]
        return {
            "tokens_by": {
                "tokenizer": counter.name,
                "template": counter.template,
                "texts_counted": len(self._drawn),
                "counted_for_the_limit": len(self._suspects),
                "estimate_error": {
                    "description": _error([estimate(t.description) for t in self._drawn], tokens),
                    "chat": _error(
                        [estimate_chat(t.prompt, t.completion) for t in self._drawn], chat
                    ),
                },
            },
            "description": _measured(tokens) | {"max": max(tokens + long_tokens)},
            "chat": _measured(chat) | {"max": max(chat + long_chat)} | self._over(over),
        }

    def _over(self, over: Sequence[tuple[int, str]]) -> Json:
        ranked = sorted(over, key=lambda row: (-row[0], row[1]))
        longest = [{"cve_id": cve_id, "tokens": size} for size, cve_id in ranked[:_LONGEST]]
        return {"over_limit": len(over), "longest_over_limit": longest}


def _counted(counter: TokenCounter, texts: Sequence[_Text]) -> tuple[list[int], list[int]]:
    """Count the tokens of each description, and of each chat."""
    return (
        counter.texts([text.description for text in texts]),
        counter.chats([(text.prompt, text.completion) for text in texts]),
    )


def _quantiles(sizes: Sequence[int]) -> Json | None:
    if not sizes:
        return None
    values = np.asarray(sizes, dtype=np.float64)
    found = {name: float(np.quantile(values, q)) for name, q in _QUANTILES.items()}
    return {"mean": float(values.mean()), **found, "max": int(values.max())}


def _measured(sizes: Sequence[int]) -> Json:
    counts, _ = np.histogram(np.asarray(sizes), bins=_EDGES)
    return {**(_quantiles(sizes) or {}), "histogram": {"edges": _EDGES, "counts": counts.tolist()}}


def _error(estimates: Sequence[int], counted: Sequence[int]) -> Json:
    """Say how far the estimate is off, as shares of what was counted."""
    guessed, true = np.asarray(estimates, dtype=float), np.asarray(counted, dtype=float)
    relative = np.abs(guessed - true) / np.maximum(true, 1)
    return {
        "median": float(np.median(relative)),
        "p99": float(np.quantile(relative, 0.99)),
        "of_the_sum": float(guessed.sum() / true.sum() - 1),
    }
