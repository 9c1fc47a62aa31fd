"""Find the overlap of a text with the items of a benchmark, by four rules.

Strongest first: the same CVE id, the same text once case and punctuation are
folded, the same text with versions and numbers masked out too, and n-gram
containment. The n-gram rule asks for a share of the n-grams, in either
direction, because CVE texts are boilerplate: one shared 13-gram alone hits 386 of the
1,000 cti-rcm items. It looks at the words without digits, since a version number in the
middle of a copy would break every n-gram across it.

>>> from cybersecqwen.records import Item
>>> item = Item("cti-rcm", 0, "", "CWE-79", text="XSS in Foo 1.2 allows script injection.")
>>> index = BenchmarkIndex({"cti-rcm": (item,)}, Contamination())
>>> index.hits("CVE-2021-7", "XSS in Foo 3 allows script injection")[0].rule
'masked'
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from cybersecqwen.config import Contamination
from cybersecqwen.records import Item

RULES = ("cve-id", "normalised", "masked", "ngram")

_CVE_ID = re.compile(r"CVE-\d{4}-\d+", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")


class Hit(NamedTuple):
    """One benchmark item that a text overlaps with, and by which rule."""

    rule: str
    task: str
    item: int
    score: float  # 1.0 for equality, the larger containment for n-grams


def tokens(text: str) -> tuple[str, ...]:
    """Split a text into case-folded words of letters and digits (Unicode NFKC)."""
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def normalised(text: str) -> str:
    """Fold case, punctuation and white space: texts that read the same become equal."""
    return " ".join(tokens(text))


def masked(words: Iterable[str]) -> tuple[str, ...]:
    """Leave out every word that holds a digit: texts that differ in versions become equal."""
    return tuple(filter(str.isalpha, words))


def ngrams(words: tuple[str, ...], n: int) -> set[tuple[str, ...]]:
    """List every run of `n` words once; empty for a text of fewer words."""
    return {words[i : i + n] for i in range(len(words) - n + 1)}


def outlines(words: tuple[str, ...], n: int) -> Iterator[tuple[str, str, str]]:
    """Yield the first, a middle and the last word of every n-gram, which is cheap."""
    return zip(words, words[n // 2 :], words[n - 1 :], strict=False)


class BenchmarkIndex:
    """The items of a benchmark, ready to be asked about one text after another."""

    def __init__(
        self, benchmark: Mapping[str, Iterable[Item]], contamination: Contamination
    ) -> None:
        self._settings = contamination
        self._ids: dict[str, list[Item]] = defaultdict(list)
        self._normalised: dict[tuple[str, ...], list[Item]] = defaultdict(list)
        self._masked: dict[tuple[str, ...], list[Item]] = defaultdict(list)
        self._ngrams: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self._seen: set[tuple[str, str, str]] = set()  # outlines of all these n-grams
        self._sizes: list[tuple[Item, int]] = []  # by position: the item and its n-gram count
        for items in benchmark.values():
            for item in items:
                self._add(item)

    def _add(self, item: Item) -> None:
        text = " ".join((item.text, *item.options))
        # An item that discusses a CVE gives its answer away as much as one that links to it.
        for cve_id in {c.upper() for c in _CVE_ID.findall(f"{item.url} {text}")}:
            self._ids[cve_id].append(item)
        words = tokens(text)
        self._normalised[words].append(item)
        self._masked[masked(words)].append(item)
        words = masked(words)
        self._seen.update(outlines(words, self._settings.ngram))
        grams = ngrams(words, self._settings.ngram)
        for gram in grams:
            self._ngrams[gram].append(len(self._sizes))
        self._sizes.append((item, len(grams)))

    def hits(self, cve_id: str, text: str) -> list[Hit]:
        """List every item the text overlaps with under the strongest rule that finds any."""
        words = tokens(text)
        equal = (
            ("cve-id", self._ids.get(cve_id.upper())),
            ("normalised", self._normalised.get(words)),
            ("masked", self._masked.get(masked(words))),
        )
        for rule, items in equal:
            if items:
                return [Hit(rule, item.task, item.index, 1.0) for item in items]
        return self._ngram_hits(masked(words))

    def _ngram_hits(self, words: tuple[str, ...]) -> list[Hit]:
        n = self._settings.ngram
        # Only an n-gram whose outline an item has too is worth cutting out and looking up.
        likely = [i for i, o in enumerate(outlines(words, n)) if o in self._seen]
        shared = self._ngrams.keys() & {words[i : i + n] for i in likely}
        if not shared:
            return []
        size = len(ngrams(words, n))
        found = []
        for position, count in Counter(i for gram in shared for i in self._ngrams[gram]).items():
            item, item_size = self._sizes[position]
            containment = count / min(size, item_size)
            if containment >= self._settings.containment:
                found.append(Hit("ngram", item.task, item.index, round(containment, 4)))
        return sorted(found, key=lambda hit: (-hit.score, hit.task, hit.item))


def describe_rules(settings: Contamination) -> dict[str, dict[str, object]]:
    """State each rule and its parameters, for the certificate."""
    return {
        "cve-id": {"description": "the item's link or text names the record's CVE id"},
        "normalised": {"description": "equal after NFKC, case folding and dropping punctuation"},
        "masked": {"description": "equal after leaving out words with digits too"},
        "ngram": {
            "description": "share of the record's or of the item's n-grams that both hold, "
            "of the words without digits",
            "n": settings.ngram,
            "containment": settings.containment,
        },
    }
