"""Find in a text the entries that it names, and tell a name from an everyday word.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> [mention.name for mention in KnowledgeIndex.load().mentions("Did Cozy Bear use mimikatz?")]
['cozy bear', 'mimikatz']
>>> is_certain("bread", "How do I bake bread?")
False
>>> is_certain("bread", "What does the malware bread do?")
True
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cybersecqwen.embedded.lexicon import word_set
from cybersecqwen.embedded.terms import hashed, terms, words

LONGEST_NAME = 8  # words of a name that is looked for in a text
_SURE = 5.0  # inverse document frequency from which a word is no everyday one of this field

_EVERYDAY = word_set("everyday")
_SIGN = (
    r"(?:malware|ransomware|spyware|adware|trojan|backdoor|rootkit|botnet|worm|rat|loader|implant|"
    r"software|tool|framework|group|gang|actor|adversary|apt|campaign|techniques?|tactic|family)"
)


class Mention(NamedTuple):
    """A name that stands in a text, in lower case, and the positions of the entries it is of."""

    name: str
    positions: tuple[int, ...]


class Names:
    """The names of an index: hashes of all of them, sorted, and the position of the entry."""

    def __init__(
        self,
        codes: NDArray[np.uint32],
        entries: NDArray[np.uint16],
        rarity: Callable[[Sequence[str]], float],
    ) -> None:
        self._codes = codes
        self._entries = entries
        self._rarity = rarity

    def mentions(self, text: str, *, strict: bool) -> list[Mention]:
        """List the names in a text in their order; of those that overlap the longest counts."""
        cut = words(text)
        spans = [
            (start, start + size)
            for size in range(min(LONGEST_NAME, len(cut)), 0, -1)
            for start in range(len(cut) - size + 1)
        ]
        known = hashed(" ".join(cut[start:end]) for start, end in spans)
        first = np.searchsorted(self._codes, known)
        last = np.searchsorted(self._codes, known, side="right")
        mentions: dict[int, Mention] = {}
        taken: set[int] = set()
        for index in np.flatnonzero(last > first):
            start, end = spans[index]
            if taken.isdisjoint(range(start, end)) and (
                end - start > 1 or self._is_name(cut[start], text, strict)
            ):
                taken.update(range(start, end))
                named = self._entries[first[index] : last[index]].tolist()
                mentions[start] = Mention(" ".join(cut[start:end]), tuple(dict.fromkeys(named)))
        return [mentions[start] for start in sorted(mentions)]

    def _is_name(self, word: str, text: str, strict: bool) -> bool:
        if not strict:
            return len(word) > 3
        capital = any(not written.islower() for written in _inside(word, text))
        return capital or (len(word) > 3 and self._rarity(terms(word)) >= _SURE)


def is_certain(name: str, text: str) -> bool:
    """Tell whether what could be a name (in lower case) is surely meant as one in a text.

    An everyday word needs a sign beside it for that, such as "malware" or "the group".
    """
    return name not in _EVERYDAY or bool(
        re.search(rf"\b{_SIGN}\W+(?:\w+\W+)?{name}\b|\b{name}\W+{_SIGN}\b", text, re.IGNORECASE)
    )


def _inside(word: str, text: str) -> list[str]:
    """List how a word is written wherever it does not begin a sentence."""
    return re.findall(rf"(?<![.?!]\s)(?<!^)\b{re.escape(word)}\b", text, re.IGNORECASE)
