"""A protocol is frozen, its requests are reproducible, and a deviation is marked."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from cybersecqwen.benchmark.protocol import PROTOCOLS, find_protocol, requests
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.records import Item
from cybersecqwen.sample import BENCHMARK
from cybersecqwen.sources.ctibench import read_items

ITEMS = read_items(BENCHMARK, "cti-rcm")
QUESTIONS = read_items(BENCHMARK, "cti-mcq")
CARD = PROTOCOLS["model-card"]


def test_the_model_cards_protocol_is_as_published() -> None:
    assert CARD.seeds == (42, 43, 44, 45, 46)
    assert (CARD.temperature, CARD.top_p, CARD.max_tokens) == (0.3, 1.0, 512)
    assert (CARD.concurrency, CARD.base_shots, CARD.ddof) == (32, 5, 1)
    with pytest.raises(FrozenInstanceError):
        CARD.temperature = 0.0


def test_an_instruct_model_gets_the_items_prompt_as_the_only_user_message() -> None:
    asked = requests(CARD, ITEMS, kind="instruct", trial=2)
    assert [request.item for request in asked] == list(range(len(ITEMS)))
    assert asked[7].messages == [{"role": "user", "content": ITEMS[7].prompt}]
    assert (asked[7].sampling.seed, asked[7].sampling.stop) == (44, ())


@pytest.mark.parametrize(
    ("items", "opening", "stop"),
    [
        (ITEMS, "CVE Description: ", ("\n\n", "\nCVE Description:")),
        (
            QUESTIONS,
            "The following are multiple choice questions about computer security.\n\nQuestion: ",
            ("\n\n", "\nQuestion:"),
        ),
    ],
)
def test_a_base_model_completes_five_exemplars_without_the_target(
    items: tuple[Item, ...], opening: str, stop: tuple[str, ...]
) -> None:
    asked = requests(CARD, items, kind="base", trial=0)
    for item, request in zip(items, asked, strict=True):
        prompt = request.prompt
        assert isinstance(prompt, str)
        assert prompt.startswith(opening)
        assert prompt.endswith("\nAnswer:")
        assert prompt.count("\nAnswer: ") == 5
        assert prompt.count(item.text) == 1  # the question, and no exemplar gives it away
        assert request.sampling.stop == stop


def test_exemplars_are_drawn_anew_for_each_item_and_trial_but_reproducibly() -> None:
    first, again = (requests(CARD, ITEMS, kind="base", trial=0) for _ in range(2))
    other = requests(CARD, ITEMS, kind="base", trial=1)
    assert first == again
    exemplars = [str(request.prompt).rsplit("\n\n", 1)[0] for request in first]
    assert len(set(exemplars)) == len(ITEMS)
    assert all(a.prompt != b.prompt for a, b in zip(first, other, strict=True))


def test_too_few_items_for_the_exemplars_is_said() -> None:
    with pytest.raises(CyberSecQwenError, match="need more"):
        requests(CARD, ITEMS[:5], kind="base", trial=0)


def test_another_number_of_trials_marks_the_protocol_modified() -> None:
    fewer = find_protocol("model-card", trials=2)
    assert (fewer.seeds, fewer.modified) == ((42, 43), ("trials=2",))
    assert find_protocol("model-card", trials=5) is CARD
    with pytest.raises(CyberSecQwenError, match=r"'modelcard'.*known are model-card"):
        find_protocol("modelcard")
