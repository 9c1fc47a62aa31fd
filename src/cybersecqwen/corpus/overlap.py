"""How much of each benchmark item stands in a training corpus: what a score is set beside.

    shares = overlap(items, training_texts(Path("runs/smoke/corpus/train.jsonl")))

An item's overlap is the share of its 13-grams of words that occur anywhere in the corpus. CVE
texts are boilerplate, so an overlap above 0 is no leak by itself: what tells is whether a model
gains more on overlapping items than one that never saw the corpus.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cybersecqwen.corpus.contamination import ngrams, outlines, tokens
from cybersecqwen.errors import InputError
from cybersecqwen.files import read_jsonl
from cybersecqwen.records import Item
from cybersecqwen.sources import read_vulnerabilities

NGRAM = 13
# Where a row of a training file keeps its text; the first that is there is read.
_FIELDS = (("description",), ("prompt", "completion"), ("prompt", "response"), ("text",))


def overlap(items: Sequence[Item], texts: Iterable[str], *, n: int = NGRAM) -> list[float | None]:
    """Give the share of each item's n-grams that the texts hold; None for fewer than n words."""
    wanted: dict[tuple[str, ...], set[int]] = defaultdict(set)
    seen: set[tuple[str, str, str]] = set()
    sizes = []
    for position, item in enumerate(items):
        words = tokens(" ".join((item.text, *item.options)))
        grams = ngrams(words, n)
        seen.update(outlines(words, n))
        sizes.append(len(grams))
        for gram in grams:
            wanted[gram].add(position)
    counts = [0] * len(items)
    for text in texts:
        words = tokens(text)
        for i, outline in enumerate(outlines(words, n)):
            if outline in seen:
                for position in wanted.pop(words[i : i + n], ()):  # counted once
                    counts[position] += 1
    return [count / size if size else None for count, size in zip(counts, sizes, strict=True)]


def training_texts(path: Path) -> Iterator[str]:
    """Yield the texts of a training file: JSONL of examples, or vulnerability records.

    Raises InputError for a row without a text that is known.
    """
    if path.suffix != ".jsonl":
        yield from (record.description for record in read_vulnerabilities(path))
        return
    for number, row in enumerate(read_jsonl(path), start=1):
        yield _text(row, f"{path}:{number}")


def _text(row: dict[str, Any], where: str) -> str:
    messages = row.get("messages")
    if isinstance(messages, list):
        return " ".join(str(m.get("content", "")) for m in messages if isinstance(m, dict))
    for fields in _FIELDS:
        if all(isinstance(row.get(field), str) for field in fields):
            return " ".join(row[field] for field in fields)
    raise InputError(
        "no text to compare",
        where=where,
        tip="a row has a description, a prompt with its completion or response, a text, or "
        "messages",
    )
