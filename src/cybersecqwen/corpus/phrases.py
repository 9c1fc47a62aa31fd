"""Learn from a cohort the phrases that point to each weakness, for a question to quote.

A phrase is telling when it is frequent in records of that CWE and rare elsewhere.

>>> names = {"CWE-79": Weakness("CWE-79", "Cross-site Scripting", "weakness"),
...          "CWE-89": Weakness("CWE-89", "SQL Injection", "weakness")}
>>> labelled = [("stored cross-site scripting in Foo", "CWE-79")] * 3
>>> labelled += [("sql injection in Foo", "CWE-89")] * 3
>>> Phrases.learn(labelled, names).quote("Bar suffers from Cross-Site Scripting.", "CWE-79")
'Cross-Site Scripting'
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from cybersecqwen.cwe.rationale import STOP_WORDS
from cybersecqwen.records import Weakness

_WORD = re.compile(r"[A-Za-z][\w'/-]*[A-Za-z0-9]|[A-Za-z]")
_LONGEST = 4  # words of a phrase: "out of bounds write"
_RARE = 2  # a phrase seen once tells nothing
_TELLING = 0.5  # a phrase of less weight is chance
_SHORTEST = 3  # letters: "XSS" says something, "g" does not
_LEARN_FROM = 20_000  # records are enough to know the words of a weakness


@dataclass(frozen=True)
class Phrases:
    """For each CWE the phrases that speak for it, in lower case, the most telling first."""

    ranked: Mapping[str, tuple[str, ...]]

    @classmethod
    def learn(
        cls, labelled: Sequence[tuple[str, str]], catalogue: Mapping[str, Weakness]
    ) -> Phrases:
        """Rank the phrases of (description, CWE) pairs: share in the class times log odds.

        Of a large cohort evenly spaced records are looked at.
        """
        by_class: dict[str, Counter[str]] = defaultdict(Counter)
        records: Counter[str] = Counter()
        for description, cwe in labelled[:: len(labelled) // _LEARN_FROM + 1]:
            records[cwe] += 1
            by_class[cwe].update({phrase.lower() for phrase in _phrases(description)})
        overall: Counter[str] = Counter()
        for counts in by_class.values():
            overall.update(counts)
        ranked = {}
        for cwe, counts in by_class.items():
            weights = _weigh(counts, overall, of=records[cwe], total=records.total())
            ranked[cwe] = _rank(weights, catalogue[cwe].name.lower())
        return cls(ranked)

    def quote(self, description: str, cwe: str) -> str:
        """Return the words of the text that speak most for the CWE, verbatim; "" if none do."""
        text = description.lower()
        for phrase in self.ranked.get(cwe, ()):
            if phrase in text and (match := _whole_words(phrase).search(description)):
                return match.group()
        return ""


def _weigh(counts: Counter[str], overall: Counter[str], *, of: int, total: int) -> dict[str, float]:
    weights = {}
    for phrase, count in counts.items():
        if count < _RARE:
            continue
        inside = (count + 0.5) / (of + 1)
        outside = (overall[phrase] - count + 0.5) / (total - of + 1)
        # A longer phrase that is as telling says more: "use after free", not "free".
        weights[phrase] = inside * math.log(inside / outside) * (1 + 0.5 * phrase.count(" "))
    return weights


def _rank(weights: Mapping[str, float], name: str) -> tuple[str, ...]:
    """Order the telling phrases; sharing a word with the weakness's name counts threefold.

    What merely goes along with a weakness, such as a vendor's boilerplate, is frequent too.
    """
    ranked = {
        phrase: 3 * weight
        if any(w in name for w in phrase.split() if w not in STOP_WORDS)
        else weight
        for phrase, weight in weights.items()
        if weight > _TELLING and len(phrase) >= _SHORTEST
    }
    return tuple(sorted(ranked, key=lambda phrase: (-ranked[phrase], phrase)))


@cache
def _whole_words(phrase: str) -> re.Pattern[str]:
    """Match a phrase where it is no part of a word: "rce" is in "source" too."""
    return re.compile(rf"(?<![\w-]){re.escape(phrase)}(?![\w-])", re.IGNORECASE)


def _phrases(description: str) -> Iterator[str]:
    """Yield runs of up to four words of one clause, neither end of them an empty word."""
    words = [(*match.span(), match.group().lower()) for match in _WORD.finditer(description)]
    for first, (start, _, word) in enumerate(words):
        if word in STOP_WORDS:
            continue
        previous = start
        for begin, end, last in words[first : first + _LONGEST]:
            if description[previous:begin] not in ("", " "):
                break  # punctuation lies between: another clause begins
            previous = end
            if last not in STOP_WORDS:
                yield description[start:end]
