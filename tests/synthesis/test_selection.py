"""So many pairs of each kind, the right options at every letter equally often."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from cybersecqwen.benchmark.tasks import benchmark_of
from cybersecqwen.config import Contamination, Synthesis
from cybersecqwen.contamination import BenchmarkIndex
from cybersecqwen.records import Item
from cybersecqwen.synthesis.checks import Checks, LengthLimits
from cybersecqwen.synthesis.leakage import BenchmarkFacts
from cybersecqwen.synthesis.pair import Draft, Grounding
from cybersecqwen.synthesis.selection import apportion, letters, select_pairs

from .conftest import UNRELATED


def makers(
    draft: Callable[..., Draft], kinds: dict[str, int], *, options: bool
) -> dict[tuple[str, str, bool], Callable[[], Iterator[Draft]]]:
    def over(kind: str, count: int) -> Callable[[], Iterator[Draft]]:
        def drafts() -> Iterator[Draft]:
            for n in range(count):
                name = f"{kind}{'abcdefghij'[n % 10]}{'abcdefghij'[n // 10 % 10]}{n // 100 * 'x'}"
                yield draft(
                    kind=kind,
                    topic=f"about {kind}",
                    subject=name,
                    question=f"Which of these names is the {kind} called {name}?",
                    answer=f"It is {name}.",
                    grounding=(Grounding("source", name, f"the name is {name}"),),
                    support=(name,),
                    options=(name, "p", "q", "r") if options else (),
                )

        return drafts

    return {(kind, f"about {kind}", options): over(kind, count) for kind, count in kinds.items()}


def drawn(made: dict, settings: Synthesis):  # type: ignore[no-untyped-def, type-arg]
    index = BenchmarkIndex(benchmark_of(UNRELATED), Contamination())
    return select_pairs(made, Checks(index, BenchmarkFacts({}, {}), LengthLimits(2000)), settings)


def settings(pairs: int, **changes: object) -> Synthesis:
    return Synthesis(pairs=pairs, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("pairs", [1, 7, 100, 203])
def test_letters_are_balanced_to_within_one_in_each_file(
    draft: Callable[..., Draft], pairs: int
) -> None:
    made = makers(draft, {"weakness": 300, "cvss": 300}, options=True)
    found = drawn(made, settings(pairs, validation_fraction=0.2))
    assert len(found.train) + len(found.validation) == pairs
    for part in (found.train, found.validation):
        counts = [Counter(pair.letter for pair in part)[letter] for letter in "ABCD"]
        assert max(counts) - min(counts) <= 1


def test_kinds_have_their_shares_and_make_up_for_each_other(draft: Callable[..., Draft]) -> None:
    plain = makers(draft, {"weakness": 100, "cvss": 100}, options=False)
    shares = {"weakness": 3.0, "cvss": 1.0, "component": 0.0, "technique": 0.0}
    shares |= {"consequence": 0.0, "mitigation": 0.0}
    found = drawn(plain, settings(40, shares=shares))
    kinds = Counter(p.draft.kind for p in (*found.train, *found.validation))
    assert kinds == {"weakness": 30, "cvss": 10}
    few = makers(draft, {"weakness": 5, "cvss": 100}, options=False)
    found = drawn(few, settings(40, shares=shares))
    kinds = Counter(p.draft.kind for p in (*found.train, *found.validation))
    assert kinds == {"weakness": 5, "cvss": 35}


def test_a_subject_stands_in_one_file(draft: Callable[..., Draft]) -> None:
    made = makers(draft, {"weakness": 200}, options=True)
    made |= makers(draft, {"weakness": 200}, options=False)
    found = drawn(made, settings(300, validation_fraction=0.3))
    train, held_out = ({p.draft.subject for p in part} for part in (found.train, found.validation))
    assert train and held_out
    assert not train & held_out


def test_numbers_are_shared_out_to_the_last_one() -> None:
    assert apportion(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert sum(apportion(8000, {"a": 0.2, "b": 0.15, "c": 0.7}).values()) == 8000


def test_each_block_of_letters_holds_all_four() -> None:
    given = list(islice(letters(random.Random(1)), 12))
    assert all(sorted(given[n : n + 4]) == [0, 1, 2, 3] for n in (0, 4, 8))


def test_letters_are_balanced_where_an_item_takes_some_away(draft: Callable[..., Draft]) -> None:
    made = makers(draft, {"weakness": 300}, options=True)
    drafts = list(islice(made["weakness", "about weakness", True](), 60))
    items = tuple(
        Item("cti-mcq", n, "", "A", text=one.question, options=one.options)
        for n, one in enumerate(drafts[::3])
    )
    index = BenchmarkIndex(benchmark_of({"cti-mcq": items}), Contamination())
    checks = Checks(index, BenchmarkFacts({}, {}), LengthLimits(2000))
    found = select_pairs(made, checks, settings(100, validation_fraction=0.2))
    assert {problem.reason[:12] for _, problem in found.rejected} == {"contaminated"}
    for part in (found.train, found.validation):
        counts = [Counter(pair.letter for pair in part)[letter] for letter in "ABCD"]
        assert max(counts) - min(counts) <= 1
