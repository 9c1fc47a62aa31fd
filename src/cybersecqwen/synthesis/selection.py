"""Draw pairs from their makers: so many of each kind and form, checked one after another.

    drawn = select_pairs(makers, checks, recipe.synthesis)
    drawn.train, drawn.validation, drawn.rejected

The right options of each file stand at A, B, C and D equally often, within one: letters are given
out in drawn blocks of four, and what a late rejection upsets is put right at the end.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from cybersecqwen.config import Synthesis
from cybersecqwen.synthesis.checks import Checks, Rejection
from cybersecqwen.synthesis.pair import KINDS, LETTERS, Draft, Maker, Makers, Pair, arranged
from cybersecqwen.synthesis.record_questions import TURNS


def letters(rng: random.Random) -> Iterator[int]:
    """Yield positions of right options, each once in every block of four."""
    while True:
        yield from rng.sample(range(len(LETTERS)), len(LETTERS))


@dataclass
class Selection:
    """The pairs of both files, in a drawn order, and the rejected ones with their reasons."""

    train: list[Pair] = field(default_factory=list)
    validation: list[Pair] = field(default_factory=list)
    rejected: list[tuple[Pair, Rejection]] = field(default_factory=list)


def select_pairs(makers: Makers, checks: Checks, settings: Synthesis) -> Selection:
    """Draw the recipe's pairs; where a kind has too few, the others make up for it."""
    drawing = _Drawing(makers, checks, settings)
    for kind, wanted in apportion(settings.pairs, settings.shares.model_dump()).items():
        choices = round(wanted * settings.choices)
        missing = choices - drawing.take(kind, choices=True, wanted=choices)
        missing += wanted - choices - drawing.take(kind, choices=False, wanted=wanted - choices)
        for form in (True, False):
            missing -= drawing.take(kind, choices=form, wanted=missing)
    for kind, share in settings.shares.model_dump().items():
        for form in (True, False):
            missing = settings.pairs - drawing.made
            drawing.take(kind, choices=form, wanted=missing if share else 0)
    return drawing.finished()


def apportion(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Share a number out by weights, to the last one (largest remainders).

    >>> apportion(10, {"a": 1, "b": 2})
    {'a': 3, 'b': 7}
    """
    exact = {name: total * weight / sum(weights.values()) for name, weight in weights.items()}
    shares = {name: int(value) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: shares[name] - exact[name])
    for name in rest[: total - sum(shares.values())]:
        shares[name] += 1
    return shares


class _Drawing:
    def __init__(self, makers: Makers, checks: Checks, settings: Synthesis) -> None:
        self._checks, self._settings = checks, settings
        self._drawn = Selection()
        self._letters = [letters(random.Random(f"{settings.seed}/{name}")) for name in "tv"]
        self._streams = {
            (kind, form): _in_turn(
                [(m, TURNS.get(t, 1)) for (k, t, f), m in makers.items() if (k, f) == (kind, form)]
            )
            for kind in KINDS
            for form in (True, False)
        }

    @property
    def made(self) -> int:
        """How many pairs were accepted so far."""
        return len(self._drawn.train) + len(self._drawn.validation)

    def take(self, kind: str, *, choices: bool, wanted: int) -> int:
        """Accept up to so many pairs of a kind and form; returns how many there were."""
        before = self.made
        stream = self._streams[kind, choices]
        while (missing := wanted - self.made + before) > 0:
            drafts = list(islice(stream, missing))
            if not drafts:
                break
            self._keep([pair for draft in drafts if (pair := self._checked(draft))])
        return self.made - before

    def _checked(self, draft: Draft) -> Pair | None:
        """Arrange a draft and remember it, unless something but its overlap speaks against it."""
        pair = arranged(draft, next(self._letters[self._held_out(draft.subject)]))
        problem = self._checks.problem(pair)
        if problem:
            self._drawn.rejected.append((pair, problem))
            return None
        self._checks.accept(pair)
        return pair

    def _keep(self, pairs: list[Pair]) -> None:
        """Put pairs that overlap with no item into their files."""
        for pair, problem in zip(pairs, self._checks.overlaps(pairs), strict=True):
            if problem:
                self._drawn.rejected.append((pair, problem))
            elif self._held_out(pair.draft.subject):
                self._drawn.validation.append(pair)
            else:
                self._drawn.train.append(pair)

    def _held_out(self, subject: str) -> bool:
        """Decide by what a pair is about, so that nothing is asked about in both files."""
        drawn = random.Random(f"{self._settings.seed}/{subject}").random()
        return drawn < self._settings.validation_fraction

    def finished(self) -> Selection:
        """Return the pairs, their letters balanced and their kinds mixed."""
        rng = random.Random(self._settings.seed)
        for pairs in (self._drawn.train, self._drawn.validation):
            self._balance(pairs)
            rng.shuffle(pairs)
        return self._drawn

    def _balance(self, pairs: list[Pair]) -> None:
        """Move pairs of the commonest letter to the rarest one, until all stand equally often."""
        counts = Counter(dict.fromkeys(LETTERS, 0))
        counts.update(pair.letter for pair in pairs if pair.letter)
        for place, pair in enumerate(pairs):
            rarest = min(LETTERS, key=lambda letter: counts[letter])
            if not pair.letter or counts[pair.letter] - counts[rarest] < 2:
                continue
            moved = arranged(pair.draft, LETTERS.index(rarest))
            if self._checks.overlaps([moved]) == [None]:
                pairs[place] = moved
                counts.update({rarest: 1, pair.letter: -1})


def _in_turn(makers: list[tuple[Maker, int]]) -> Iterator[Draft]:
    """Take drafts of each maker in turn, as many as it has turns, until all have run out."""
    waiting = deque((make(), turns) for make, turns in makers)
    while waiting:
        stream, turns = waiting.popleft()
        drafts = list(islice(stream, turns))
        if drafts:
            waiting.append((stream, turns))
            yield from drafts
