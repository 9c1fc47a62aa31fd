"""Find which benchmark items a text overlaps with, by seven rules, many texts at a time.

>>> from cybersecqwen.records import Benchmark, Item
>>> item = Item("cti-rcm", 0, "", "CWE-79", text="XSS in Foo 1.2 allows script injection.")
>>> index = BenchmarkIndex(Benchmark({"cti-rcm": (item,)}), Contamination())
>>> index.hits("CVE-2021-7", "Unlike before: xss in foo 1.2 allows script-injection")[0].rule
'normalised'

A text is only held against the items that may be near it: those of which it has the rarest run of
words, an n-gram, or enough of the words that tell them from others. What that leaves out, no rule
could have hit: a rule finds all that it is defined to find, whatever the number of texts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from cybersecqwen.config import Contamination
from cybersecqwen.contamination.hashing import Hashes, Integers
from cybersecqwen.contamination.hits import RUN, Hit, Row, held, strength
from cybersecqwen.contamination.ngrams import Grams
from cybersecqwen.contamination.passages import Passages
from cybersecqwen.contamination.similarity import Similarity
from cybersecqwen.contamination.words import Texts, encode
from cybersecqwen.cwe.identifiers import cve_ids
from cybersecqwen.records import Benchmark, Item

_BATCH = 2_000_000  # characters held at once, unless one text has more
_WHOLE = 5  # words in a row by which a passage that stands in a text is looked for

Scores = dict[str, float]


class BenchmarkIndex:
    """The items of a benchmark, ready to be asked about texts."""

    def __init__(self, benchmark: Benchmark, settings: Contamination) -> None:
        self._settings = settings
        self._gives_answer = benchmark.gives_answer
        self._passages = Passages(benchmark)
        self._ids: dict[str, list[Item]] = defaultdict(list)
        for item in (item for items in benchmark.values() for item in items):
            # An item that discusses a CVE gives its answer away as much as one that links to it.
            named = f"{item.url} {item.text} {' '.join(item.options)}"
            for cve_id in cve_ids(named):
                self._ids[cve_id].append(item)
        texts = self._passages.texts
        self._wholes = Grams(texts, _WHOLE).rarest()
        self._ngrams = Grams(texts.worded(), settings.ngram)
        self._masked = _alone(self._common(texts))
        self._runs = Grams(self._masked, RUN).rarest()
        least = min(settings.similarity, settings.similarity_with_answer)
        self._similarity = Similarity(self._passages, least)

    def hits(self, cve_id: str, text: str) -> list[Hit]:
        """List the items that one text overlaps with, the strongest rule first."""
        return next(self.hits_of([Row(text, (cve_id,))]))

    def hits_of(self, rows: Iterable[Row]) -> Iterator[list[Hit]]:
        """Yield for each row what `hits` lists; with an answer, answers are looked at too."""
        for batch in _batches(rows):
            texts = encode([row.text for row in batch])
            found: list[dict[int, Scores]] = [defaultdict(dict) for _ in batch]
            for text, passage, rule, score in self._scores(texts):
                scores = found[text][passage]
                scores[rule] = max(score, scores.get(rule, 0.0))
            yield from map(self._hits, batch, found)

    def seen(self) -> Integers:
        """List the numbers of the n-grams that rows had since this was last asked."""
        return self._ngrams.seen()

    def shares(self, seen: Iterable[int]) -> dict[tuple[str, int], float | None]:
        """Give for each task and item the share of its n-grams that were seen, None if too short.

        Of a question alone and with its options, the larger share counts.
        """
        found: dict[tuple[str, int], float | None] = {}
        for passage, share in zip(self._passages.all, self._ngrams.shares(seen), strict=True):
            for item in passage.items:
                before = found.get((item.task, item.index))
                known = [value for value in (before, share) if value is not None]
                found[item.task, item.index] = max(known) if known else None
        return found

    def _scores(self, texts: Texts) -> Iterator[tuple[int, int, str, float]]:
        """Yield a text, a passage, a rule and its score wherever the score may be enough."""
        for text, passage, score in self._similarity.find(texts):
            yield text, passage, "near-duplicate", score
        for text, passage in self._wholes.shared(texts):
            if _holds(texts.of(text), self._passages.all[passage].words):
                yield text, passage, "normalised", 1.0
        masked = self._common(texts)
        for text, passage in self._runs.shared(masked):
            if _holds(masked.of(text), self._masked.of(passage)):
                yield text, passage, "masked", 1.0
        worded, least = texts.worded(), self._settings.containment
        for text, passage, score in self._ngrams.containment(worded, least):
            yield text, passage, "ngram", score

    def _hits(self, row: Row, found: dict[int, Scores]) -> list[Hit]:
        """Put the passages' scores down to their items, and keep those that are enough."""
        by_item: dict[Item, Scores] = defaultdict(dict)
        for item in (item for name in row.cve_ids for item in self._ids.get(name.upper(), ())):
            by_item[item]["cve-id"] = 1.0
        for number, scores in found.items():
            passage = self._passages.all[number]
            if "normalised" in scores and any(text in row.text for text in passage.texts):
                scores["exact"] = 1.0
            for item in passage.items:
                own = by_item[item]
                own.update({r: max(score, own.get(r, 0.0)) for r, score in scores.items()})
        hits = (self._hit(row, item, scores) for item, scores in by_item.items())
        return sorted(filter(None, hits), key=strength)

    def _hit(self, row: Row, item: Item, scores: Scores) -> Hit | None:
        has_answer = self._has_answer(row, item)
        rules = held(scores, self._settings, has_answer=has_answer)
        if not rules:
            return None
        return Hit(rules[0][0], item.task, item.index, rules[0][1], rules, has_answer)

    def _has_answer(self, row: Row, item: Item) -> bool:
        gives = self._gives_answer.get(item.task)
        if gives is None or not row.answer or not item.gold:
            return False
        return gives(item, row.answer, row.text)

    def _common(self, texts: Texts) -> Texts:
        """Leave out what is no word of the language: numbers, names, identifiers."""
        return texts.kept(self._passages.is_common[self._passages.number(texts.words)])


def _alone(masked: Texts) -> Texts:
    """Empty what several passages share once they are masked: it is boilerplate, not a text."""
    own = [words.tobytes() for words in masked.split()]
    counts = Counter(own)
    is_alone = np.array([counts[words] == 1 for words in own])
    return masked.kept(is_alone[masked.row])


def _holds(words: Hashes, run: Hashes) -> bool:
    """Say whether a run of words stands in others."""
    haystack, needle = words.tobytes(), run.tobytes()
    place = haystack.find(needle)
    while place % words.itemsize and place >= 0:
        place = haystack.find(needle, place + 1)
    return place >= 0 and bool(needle)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    held = 0
    for row in rows:
        batch.append(row)
        held += len(row.text)
        if held >= _BATCH:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
