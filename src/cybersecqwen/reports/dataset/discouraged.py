"""The labels that MITRE advises against, and what the same records could carry instead.

    discouraged = Discouraged(catalogue, better=MappingAdvice(catalogue).better)
    discouraged.add({"nvd": ("CWE-119",), "cna": ("CWE-787",), "cisa_adp": ()})
    discouraged.to_json()["classes"][0]["better"]["cwe"]     # 'CWE-787'

`better` names the neighbour of a label, given other labels with their shares: here those that
other sources give to the same records, where they do so for some.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from cybersecqwen.benchmark.breakdown import part
from cybersecqwen.cwe.mapping import ADVISED_AGAINST
from cybersecqwen.files import Json
from cybersecqwen.records import Weakness
from cybersecqwen.reports.dataset.label_counts import usage
from cybersecqwen.reports.dataset.labels import SOURCES, Labels, primary

_SHOWN = 25
_FEWEST = 5  # records over which another source has to say so
Better = Callable[[str, Sequence[tuple[str, float]]], str]


class Discouraged:
    """Counts of primary labels that are Discouraged or Prohibited, and of what others say."""

    def __init__(self, catalogue: Mapping[str, Weakness], better: Better) -> None:
        self._catalogue = catalogue
        self._better = better
        self._labelled = 0
        self._counts: Counter[str] = Counter()
        self._others: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, labels: Labels) -> None:
        """Take in the labels of one record."""
        found = primary(labels)
        if found is None:
            return
        self._labelled += 1
        source, label = found
        if usage(label, self._catalogue) in ADVISED_AGAINST:
            self._counts[label] += 1
            others = {c for other in SOURCES if other != source for c in labels[other]}
            self._others[label].update(others - {label})

    def to_json(self) -> Json:
        """Give how many records carry such a label, and the commonest of them."""
        ranked = sorted(self._counts.items(), key=lambda row: (-row[1], row[0]))
        return {
            "records": part(self._counts.total(), self._labelled) if self._labelled else None,
            "classes": [self._class(cwe, count) for cwe, count in ranked[:_SHOWN]],
            "other_classes": len(ranked[_SHOWN:]),
        }

    def _class(self, cwe: str, count: int) -> Json:
        others = self._others[cwe]
        enough = [(other, n) for other, n in others.items() if n >= _FEWEST]
        ranked = sorted(enough, key=lambda row: (-row[1], row[0]))
        better = self._better(cwe, [(other, n / count) for other, n in ranked])
        return {
            "cwe": cwe,
            "name": self._catalogue[cwe].name,
            "usage": usage(cwe, self._catalogue),
            "records": count,
            "better": {
                "cwe": better,
                "name": self._catalogue[better].name,
                "records_so_labelled_by_another_source": others[better],
            }
            if better
            else None,
        }
