"""Draw the wrong options of a topic so that guessing without reading the facts stays at chance.

    distractors = Distractors(random.Random(42))
    distractors.draw(question, "TA0005", candidates, base.name)     # three of them, or ()

Two things would tell the right option. It shares more words with the question than the others: so
in a quarter of the questions it is made the one that shares the most, in a quarter the one that
shares the fewest, and in the others one of the middle; or none shares any. And it is right more
often than others: so what was right is offered as a wrong option until it was wrong three times as
often, and is not asked for before. A fact that allows neither is not asked about.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import islice

from cybersecqwen.contamination import normalised
from cybersecqwen.synthesis.giveaways import stems

WRONG = 3  # wrong options beside the right one
_RANKS = {"most": 0.25, "middle": 0.5, "fewest": 0.25}
_AHEAD = 2  # questions by which a rank may be ahead of its share


class Distractors:
    """Wrong options of one topic, with the memory of what was right and wrong before."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._owed: Counter[str] = Counter()  # times that an option still has to be wrong
        self._ranks: Counter[str] = Counter()

    def owed(self, option: str) -> int:
        """Return how often an option still has to be a wrong one, less than 0 if too often."""
        return self._owed[option]

    def draw(
        self,
        question: str,
        right: str,
        candidates: Iterable[str],
        label: Callable[[str], str] = str,
        *,
        near: Callable[[str], bool] = bool,
    ) -> tuple[str, ...]:
        """Return three of the candidates, none of which is right; () where guessing would help.

        `label` is how an option reads. Of two that serve alike one that is `near` is taken.
        """
        if self._owed[right] > 0 or f" {normalised(label(right))} " in f" {normalised(question)} ":
            return ()
        named = {label(one).casefold(): one for one in candidates}
        ordered = self._ordered(named.values(), near)
        asked = stems(question)
        shared = cache(lambda one: len(asked & stems(label(one))))
        for rank in self._open_ranks():
            drawn = _at_rank(rank, shared(right), ordered, shared)
            if len(drawn) == WRONG:
                self._ranks[rank] += rank != "none"
                self._owed.update(dict.fromkeys(drawn, -1) | {right: WRONG})
                return tuple(drawn)
        return ()

    def _ordered(self, candidates: Iterable[str], near: Callable[[str], bool]) -> list[str]:
        drawn = list(candidates)
        self._rng.shuffle(drawn)
        return sorted(drawn, key=lambda one: (-self._owed[one], not near(one)))

    def _open_ranks(self) -> list[str]:
        """List the ranks that are not ahead of their share, what lags most first."""
        total = self._ranks.total() + _AHEAD
        missing = {rank: share * total - self._ranks[rank] for rank, share in _RANKS.items()}
        behind = [rank for rank in missing if missing[rank] > 0]
        return ["none", *sorted(behind, key=lambda rank: -missing[rank])]


def _at_rank(
    rank: str, own: int, ordered: Sequence[str], shared: Callable[[str], int]
) -> list[str]:
    """Take what gives an option that shares `own` words its rank; too few where nothing does."""
    # No further than needed: there are hundreds of candidates.
    more = (one for one in ordered if shared(one) > own)
    fewer = (one for one in ordered if shared(one) < own)
    if rank == "none":
        return [] if own else list(islice((one for one in ordered if not shared(one)), WRONG))
    if rank == "most":
        return list(islice(fewer, WRONG))
    if rank == "fewest":
        return list(islice(more, WRONG))
    return [*islice(more, 1), *islice(fewer, WRONG - 1)]
