"""The texts of a dataset: how long they are, in tokens too, and which of them repeat.

    lengths = Lengths(limit=4096)
    lengths.add("CVE-2021-1", "A buffer overflow.", rcm_prompt("A buffer overflow."), "CWE-120")
    lengths.to_json()["chat"]["over_limit"]      # 0

Tokens are counted by a tokenizer, or estimated where none is at hand:

>>> estimate("A buffer overflow in libfoo 1.2.3 lets attackers run code.")
15

The estimate was fitted to Qwen3's tokenizer on the texts of 142,010 CVE records, and tested on as
many others: half of them are off by less than 6.1 %, one in a hundred by more than 27 %, and the
sum by -1.6 % (docs/lab/data.md). It is not one for other languages or other tokenizers.

With a tokenizer every chat that could be over the limit is counted, and up to `_DRAWN` others:
counting all texts of a large store takes minutes. Where there are no more, all are counted.
"""

from __future__ import annotations

import hashlib
import random
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cybersecqwen.contamination import normalised
from cybersecqwen.errors import InputError, extra
from cybersecqwen.files import Json
from cybersecqwen.prompts import CHAT_TEMPLATES, END_OF_TURN, OWN_TEMPLATE

_PER_BYTE, _PER_DIGIT = 0.188, 1.363  # a digit is a token of its own
_TEMPLATE = 10  # tokens of the template's own: two turns and their roles
_TEMPLATE_BYTES = 100  # more than either template has of its own

_DRAWN = 10_000  # chats counted, beside those that could be over the limit
_SEED = 42
_LONGEST = 10  # chats over the limit that are listed
_QUANTILES = {"median": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
_EDGES = [round(2 ** (step / 4)) for step in range(8, 62)]  # 4 to 38,968 tokens, evenly in the log
_SHOWN, _IDS, _EXCERPT = 10, 3, 160  # groups, ids of a group, characters of its text


def estimate(text: str) -> int:
    """Estimate the tokens of an English text."""
    return round(_PER_BYTE * len(text.encode()) + _PER_DIGIT * sum(map(text.count, "0123456789")))


def estimate_chat(prompt: str, completion: str) -> int:
    """Estimate the tokens of a prompt and its completion under a chat template."""
    return estimate(prompt + completion) + _TEMPLATE


def most_tokens(prompt: str, completion: str) -> int:
    """Return a number of tokens that prompt and completion cannot exceed.

    A token of a byte-level or byte-fallback vocabulary is at least one byte.
    """
    return len(prompt.encode()) + len(completion.encode()) + _TEMPLATE_BYTES


@dataclass(frozen=True)
class TokenCounter:
    """A tokenizer with a chat template; `template` is one of CHAT_TEMPLATES or "own"."""

    name: str
    template: str
    tokenizer: Any

    def texts(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text."""
        if not texts:
            return []
        encoded = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return list(map(len, encoded))

    def chats(self, pairs: Sequence[tuple[str, str]]) -> list[int]:
        """Count the tokens of each prompt and completion as the chat that training sees.

        Without a completion it is the prompt and the opening of the answer.
        """
        return self.texts([self._render(*pair) for pair in pairs])

    def _render(self, prompt: str, completion: str) -> str:
        turns = [{"role": "user", "content": prompt}]
        if completion:
            turns.append({"role": "assistant", "content": completion})
        rendered: str = self.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=not completion
        )
        return rendered


def load_counter(reference: str, *, template: str = "qwen3") -> TokenCounter:
    """Load a tokenizer from a folder or by its hub id.

    The chat is rendered with `template`: a text, "own" for the tokenizer's, or one of
    CHAT_TEMPLATES, and then with another of these where only that one's turns end in a token of
    the vocabulary. Raises InputError where there is no tokenizer of that name.
    """
    with extra("train"):
        from transformers import AutoTokenizer
    try:
        tokenizer = AutoTokenizer.from_pretrained(reference)
    # What transformers raises for the hub, the network, the disk, and files that are no tokenizer.
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"cannot load the tokenizer: {str(error).strip().splitlines()[0]}",
            where=reference,
            tip="give a folder with a tokenizer.json, or leave --tokenizer out for an estimate",
        ) from error
    own = tokenizer.chat_template if template == OWN_TEMPLATE else template
    if template not in CHAT_TEMPLATES and own:
        tokenizer.chat_template = own
        return TokenCounter(Path(reference).name, OWN_TEMPLATE, tokenizer)
    names = [name for name in (template, *CHAT_TEMPLATES) if name in CHAT_TEMPLATES]
    fitting = (name for name in names if _ends_turns(tokenizer, END_OF_TURN[name]))
    chosen = next(fitting, names[0])
    tokenizer.chat_template = CHAT_TEMPLATES[chosen]
    return TokenCounter(Path(reference).name, chosen, tokenizer)


def own_tokenizer(run: Path) -> str | None:
    """Name the folder of a run that holds the tokenizer of its model; None where none does.

    Nor is there one where transformers is not installed: it has no other use here.
    """
    if find_spec("transformers") is None:
        return None
    folders = (run / stage for stage in ("merged", "adapter", "base"))
    return next((str(f) for f in folders if (f / "tokenizer.json").is_file()), None)


def _ends_turns(tokenizer: Any, token: str) -> bool:
    ids = tokenizer.encode(token, add_special_tokens=False)
    return len(ids) == 1 and ids[0] != tokenizer.unk_token_id


class _Text(NamedTuple):
    cve_id: str
    description: str
    prompt: str
    completion: str


class Lengths:
    """Lengths of descriptions, and of prompt and completion under the chat template."""

    def __init__(self, limit: int, counter: TokenCounter | None = None) -> None:
        self._limit = limit
        self._counter = counter
        self._characters, self._words = array("L"), array("L")
        self._tokens, self._chat = array("L"), array("L")  # estimates
        self._longest: list[tuple[int, str]] = []  # by estimate, of those over the limit
        self._drawn: list[_Text] = []
        self._suspects: list[_Text] = []  # that a tokenizer could find over the limit
        self._random = random.Random(_SEED)

    def add(self, cve_id: str, description: str, prompt: str, completion: str) -> None:
        """Add one text; without a completion the prompt alone is measured."""
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
        """Return quantiles, histograms, and what is over the limit."""
        lengths: Json = {
            "limit": self._limit,
            "texts": len(self._chat),
            "characters": _quantiles(self._characters),
            "words": _quantiles(self._words),
        }
        if not self._chat:
            return lengths
        return lengths | (self._counted(self._counter) if self._counter else self._estimated())

    def _estimated(self) -> Json:
        return {
            "tokens_by": {"estimate": "fitted to Qwen3's tokenizer"},
            "description": _measured(self._tokens),
            "chat": _measured(self._chat) | self._over(self._longest),
        }

    def _counted(self, counter: TokenCounter) -> Json:
        tokens, chat = _count(counter, self._drawn)
        long_tokens, long_chat = _count(counter, self._suspects)
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


def _count(counter: TokenCounter, texts: Sequence[_Text]) -> tuple[list[int], list[int]]:
    """Count the tokens of each description, and of each chat."""
    return (
        counter.texts([text.description for text in texts]),
        counter.chats([(text.prompt, text.completion) for text in texts]),
    )


def _quantiles(sizes: Sequence[int]) -> Json | None:
    if not sizes:
        return None
    values = np.asarray(sizes, dtype=np.float64)
    quantiles = {name: float(np.quantile(values, q)) for name, q in _QUANTILES.items()}
    return {"mean": float(values.mean()), **quantiles, "max": int(values.max())}


def _measured(sizes: Sequence[int]) -> Json:
    counts, _ = np.histogram(np.asarray(sizes), bins=_EDGES)
    return {**(_quantiles(sizes) or {}), "histogram": {"edges": _EDGES, "counts": counts.tolist()}}


def _error(estimates: Sequence[int], counted: Sequence[int]) -> Json:
    """Return how far the estimate is off, as shares of what was counted."""
    guessed, true = np.asarray(estimates, dtype=float), np.asarray(counted, dtype=float)
    relative = np.abs(guessed - true) / np.maximum(true, 1)
    return {
        "median": float(np.median(relative)),
        "p99": float(np.quantile(relative, 0.99)),
        "of_the_sum": float(guessed.sum() / true.sum() - 1),
    }


class _Group(NamedTuple):
    text: str
    cve_ids: list[str]
    labels: Counter[str]

    @property
    def size(self) -> int:
        return len(self.cve_ids)


class Duplicates:
    """Groups of records whose texts are the same once case, punctuation and white space are folded.

    A text that stands once costs its hash and its label.
    """

    def __init__(self) -> None:
        self._once: dict[bytes, tuple[str, str]] = {}
        self._groups: dict[bytes, _Group] = {}

    def add(self, cve_id: str, text: str, label: str) -> None:
        """Add one record's text and label, "" for none."""
        key = hashlib.blake2b(normalised(text).encode(), digest_size=16).digest()
        if key not in self._once:
            self._once[key] = (cve_id, label)
            return
        if key not in self._groups:
            first, first_label = self._once[key]
            self._groups[key] = _Group(text, [first], Counter([first_label] if first_label else []))
        self._groups[key].cve_ids.append(cve_id)
        self._groups[key].labels.update([label] if label else [])

    def to_json(self) -> Json:
        """Return the number of groups, the records in them, and the largest."""
        groups = sorted(self._groups.values(), key=lambda g: (-g.size, g.cve_ids[0]))
        torn = [group for group in groups if len(group.labels) > 1]
        return {
            "texts": len(self._once),
            "groups": len(groups),
            "records": sum(group.size for group in groups),
            "surplus": sum(group.size - 1 for group in groups),
            "label_conflicts": {
                "groups": len(torn),
                "records": sum(group.size for group in torn),
                "largest": list(map(_shown, torn[:_SHOWN])),
            },
            "largest": list(map(_shown, groups[:_SHOWN])),
        }


def _shown(group: _Group) -> Json:
    text = " ".join(group.text.split())
    return {
        "records": group.size,
        "text": text if len(text) <= _EXCERPT else f"{text[: _EXCERPT - 1]}…",
        "cve_ids": group.cve_ids[:_IDS],
        "labels": dict(sorted(group.labels.items())),
    }
