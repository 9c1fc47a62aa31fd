"""Draw pairs from their makers: so many of each kind and form, checked one after another.

    drawn = draw(makers, checks, recipe.synthesis)
    drawn.train, drawn.validation, drawn.rejected

The right options of each file stand at A, B, C and D equally often, within one: a letter is
given out when a pair is accepted, in drawn blocks of four.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from cybersecqwen.config import Synthesis
from cybersecqwen.corpus.synthesis.checks import Checks, Problem
from cybersecqwen.corpus.synthesis.pair import KINDS, LETTERS, Draft, Pair, arranged
from cybersecqwen.corpus.synthesis.vulnerabilities import TURNS

Maker = Callable[[], Iterator[Draft]]
Makers = Mapping[tuple[str, str, bool], Maker]  # by kind, topic and whether it gives options


class Letters:
    """Gives out the positions of right options, each equally often within one at any time."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._left: list[int] = []

    @property
    def next(self) -> int:
        """The position that is next; it stays so until it is used."""
        if not self._left:
            self._left = self._rng.sample(range(len(LETTERS)), len(LETTERS))
        return self._left[-1]

    def use(self) -> None:
        """Take the next position away."""
        self._left.pop()


@dataclass
class Drawn:
    """The pairs of both files, in a drawn order, and the rejected ones with their reasons."""

    train: list[Pair] = field(default_factory=list)
    validation: list[Pair] = field(default_factory=list)
    rejected: list[tuple[Pair, Problem]] = field(default_factory=list)


def draw(makers: Makers, checks: Checks, settings: Synthesis) -> Drawn:
    """Draw the recipe's pairs; where a kind has too few, the others make up for it."""
    drawing = _Drawing(makers, checks, settings)
    for kind, wanted in shared_out(settings.pairs, settings.shares.model_dump()).items():
        choices = round(wanted * settings.choices)
        missing = choices - drawing.take(kind, choices=True, wanted=choices)
        missing += wanted - choices - drawing.take(kind, choices=False, wanted=wanted - choices)
        for form in (True, False):
            missing -= drawing.take(kind, choices=form, wanted=missing)
    for kind, share in settings.shares.model_dump().items():
        for form in (True, False):
            missing = settings.pairs - drawing.made
            drawing.take(kind, choices=form, wanted=missing if share else 0)
    return drawing.shuffled()


def shared_out(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Share a number out by weights, to the last one (largest remainders).

    >>> shared_out(10, {"a": 1, "b": 2})
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
        self._drawn = Drawn()
        self._letters = [Letters(random.Random(f"{settings.seed}/{n}")) for n in ("t", "v")]
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
        taken = 0
        while taken < wanted:
            draft = next(self._streams[kind, choices], None)
            if draft is None:
                break
            taken += self._try(draft)
        return taken

    def _try(self, draft: Draft) -> bool:
        held_out = self._held_out(draft.subject)
        letters = self._letters[held_out]
        pair = arranged(draft, letters.next)
        problem = self._checks.problem(pair)
        if problem:
            self._drawn.rejected.append((pair, problem))
            return False
        self._checks.accept(pair)
        (self._drawn.validation if held_out else self._drawn.train).append(pair)
        if pair.options:
            letters.use()
        return True

    def _held_out(self, subject: str) -> bool:
        """Decide by what a pair is about, so that nothing is asked about in both files."""
        drawn = random.Random(f"{self._settings.seed}/{subject}").random()
        return drawn < self._settings.validation_fraction

    def shuffled(self) -> Drawn:
        """Give what was drawn, its kinds mixed."""
        rng = random.Random(self._settings.seed)
        for pairs in (self._drawn.train, self._drawn.validation):
            rng.shuffle(pairs)
        return self._drawn


def _in_turn(makers: list[tuple[Maker, int]]) -> Iterator[Draft]:
    """Take drafts of each maker in turn, as many as it has turns, until all have run out."""
    waiting = deque((make(), turns) for make, turns in makers)
    while waiting:
        stream, turns = waiting.popleft()
        drafts = list(islice(stream, turns))
        if drafts:
            waiting.append((stream, turns))
            yield from drafts
