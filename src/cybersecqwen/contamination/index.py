"""Find which benchmark items a text overlaps with, by seven rules, many texts at a time.

>>> from cybersecqwen.records import Benchmark, Item
>>> item = Item("cti-rcm", 0, "", "CWE-79", text="XSS in Foo 1.2 allows script injection.")
>>> index = BenchmarkIndex(Benchmark({"cti-rcm": (item,)}), Contamination())
>>> index.hits("CVE-2021-7", "Unlike before: xss in foo 1.2 allows script-injection")[0].rule
'normalised'

A text is only held against the items that may be near it: those of which it has the rarest run of
words, an n-gram, or enough of the words that tell them from others. What that leaves out, no rule
could have hit: a rule finds all that it is defined to find, whatever the number of texts. A text of
more than two million characters is judged in parts, and a rule finds what stands in one of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from cybersecqwen.config import Contamination
from cybersecqwen.contamination.hashing import Integers
from cybersecqwen.contamination.rule import Batch, Hit, ItemIndex, Row, batched_by_size
from cybersecqwen.contamination.rules import RULES, strength
from cybersecqwen.contamination.rules.ngram import item_ngrams
from cybersecqwen.records import Benchmark, Item

_BATCH = 2_000_000  # characters held at once; a longer text is judged in parts
_OVERLAP = 4  # of such parts, in lengths of the longest passage

Scores = dict[str, float]


class BenchmarkIndex:
    """The items of a benchmark, ready to be asked about texts."""

    def __init__(self, benchmark: Benchmark, settings: Contamination) -> None:
        self._items = ItemIndex(benchmark, settings)
        passages = self._items.passages.all
        longest = max((len(text) for p in passages for text in p.texts), default=0)
        self._overlap = min(_OVERLAP * longest, _BATCH // 2)

    def hits(self, cve_id: str, text: str) -> list[Hit]:
        """List the items that one text overlaps with, the strongest rule first."""
        return next(self.hits_of([Row(text, (cve_id,))]))

    def hits_of(self, rows: Iterable[Row]) -> Iterator[list[Hit]]:
        """Yield for each row what `hits` lists; with an answer, answers are looked at too."""
        for some in batched_by_size(rows, _BATCH, lambda row: len(row.text)):
            scores: list[dict[Item, Scores]] = [defaultdict(dict) for _ in some]
            parts = ((n, part) for n, row in enumerate(some) for part in self._parts(row))
            for batch in batched_by_size(parts, _BATCH, lambda part: len(part[1].text)):
                self._score(batch, scores)
            yield from map(self._hits, some, scores)

    def _parts(self, row: Row) -> Iterator[Row]:
        """Cut a very long text into parts that overlap by more than any passage."""
        step = _BATCH - self._overlap
        for start in range(0, max(1, len(row.text) - self._overlap), step):
            yield row._replace(text=row.text[start : start + _BATCH])

    def _score(self, parts: list[tuple[int, Row]], scores: list[dict[Item, Scores]]) -> None:
        """Put down the scores of parts of texts by the number of the text."""
        batch = Batch([part for _, part in parts])
        for name, rule in RULES.items():
            for number, item, score in rule.look(batch, self._items):
                own = scores[parts[number][0]][item]
                own[name] = max(score, own.get(name, 0.0))

    def seen(self) -> Integers:
        """List the numbers of the n-grams that rows had since this was last asked."""
        return self._items.prepared(item_ngrams).seen()

    def shares(self, seen: Iterable[int]) -> dict[tuple[str, int], float | None]:
        """Return for each task and item the share of its n-grams that were seen.

        It is None for an item that is too short. Of a question alone and with its options, the
        larger share counts.
        """
        shares: dict[tuple[str, int], float | None] = {}
        of_passages = self._items.prepared(item_ngrams).shares(seen)
        for passage, share in zip(self._items.passages.all, of_passages, strict=True):
            for item in passage.items:
                before = shares.get((item.task, item.index))
                known = [value for value in (before, share) if value is not None]
                shares[item.task, item.index] = max(known) if known else None
        return shares

    def _hits(self, row: Row, scores: dict[Item, Scores]) -> list[Hit]:
        hits = []
        for item, own in scores.items():
            held = tuple((name, round(own[name], 4)) for name in RULES if name in own)
            has_answer = self._items.gives_answer(row, item)
            hits.append(Hit(held[0][0], item.task, item.index, held[0][1], held, has_answer))
        return sorted(hits, key=strength)
