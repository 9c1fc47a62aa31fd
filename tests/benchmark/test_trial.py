"""Requests are reproducible, in the protocol's words, and ask the protocol's rows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cybersecqwen.benchmark.protocol import PROTOCOLS, find_protocol
from cybersecqwen.benchmark.tasks import TASKS, read_items
from cybersecqwen.benchmark.trial import permutation, protocol_items, trial_items, trial_requests
from cybersecqwen.errors import CyberSecQwenError
from cybersecqwen.records import Item
from cybersecqwen.sample import BENCHMARK

ITEMS = read_items(BENCHMARK, "cti-rcm")
QUESTIONS = read_items(BENCHMARK, "cti-mcq")
CARD, PAPER, FAITH = (PROTOCOLS[name] for name in ("model-card", "paper", "faith"))


def test_an_instruct_model_gets_the_items_prompt_as_the_only_user_message() -> None:
    wanted = trial_requests(CARD, ITEMS, kind="instruct", trial=2)
    assert [request.item for request in wanted] == list(range(len(ITEMS)))
    assert wanted[7].messages == [{"role": "user", "content": ITEMS[7].prompt}]
    assert (wanted[7].sampling.seed, wanted[7].sampling.stop) == (44, ())


def test_the_authors_speak_to_an_expert() -> None:
    [system, user] = trial_requests(PROTOCOLS["cti-bench"], ITEMS, kind="instruct", trial=0)[
        0
    ].messages
    assert system == {
        "role": "system",
        "content": "You are a cybersecurity expert specializing in cyberthreat intelligence.",
    }
    assert user["content"] == ITEMS[0].prompt


@pytest.mark.parametrize("name", sorted(n for n, t in TASKS.items() if FAITH.prompt in t.prompts))
def test_faith_asks_in_its_own_words(name: str, six_tasks: Path) -> None:
    item = read_items(six_tasks, name)[0]
    [message] = trial_requests(FAITH, [item], kind="instruct", trial=0)[0].messages
    text = message["content"]
    assert text != item.prompt
    assert item.text.strip() in text
    expected = {
        "cti-mcq": f"is one of A, B, C or D.\n\n{item.text}\n\nA. p one\nB. p two\nC. p three"
        "\nD. None",
        "cti-rcm": f"contains only the CWE ID.\n\nCVE Description: {item.text}",
        "cti-rcm-2021": f"contains only the CWE ID.\n\nCVE Description: {item.text}",
        "cti-vsp": f"S:U/C:H/I:H/A:H\n\nCVE Description: {item.text}",
        "cti-taa": f"Threat Report: {item.text}\n\nWho is the threat actor indicated by "
        "[PLACEHOLDER] in this report?",
        "cti-ate": "- T1071 : Application Layer Protocol\n- T1059 : Scripting\n"
        f"- T1027 : Obfuscation\n\n**Text**\n\n{item.text}",
    }
    assert text.endswith(expected[name])


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
    for item, request in zip(items, trial_requests(CARD, items, kind="base", trial=0), strict=True):
        prompt = request.prompt
        assert isinstance(prompt, str)
        assert prompt.startswith(opening)
        assert prompt.endswith("\nAnswer:")
        assert prompt.count("\nAnswer: ") == 5
        assert prompt.count(item.text) == 1  # the question, and no exemplar gives it away
        assert request.sampling.stop == stop


def test_exemplars_are_drawn_anew_for_each_item_and_trial_but_reproducibly() -> None:
    first, again = (trial_requests(CARD, ITEMS, kind="base", trial=0) for _ in range(2))
    other = trial_requests(CARD, ITEMS, kind="base", trial=1)
    assert first == again
    exemplars = [str(request.prompt).rsplit("\n\n", 1)[0] for request in first]
    assert len(set(exemplars)) == len(ITEMS)
    assert all(a.prompt != b.prompt for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("items", [ITEMS, QUESTIONS])
def test_the_papers_exemplars_are_one_set_per_trial_without_the_target(
    items: tuple[Item, ...],
) -> None:
    shown = Counter()
    for item, request in zip(
        items, trial_requests(PAPER, items, kind="base", trial=0), strict=True
    ):
        prompt = str(request.prompt)
        assert prompt.count("\nAnswer: ") == 5
        assert prompt.count(item.text) == 1
        shown.update(other.index for other in items if other.text in prompt and other is not item)
    assert len(shown) == 6  # five, and one that stands in where the question is among them
    assert trial_requests(PAPER, items, kind="base", trial=1)[0].prompt != (
        trial_requests(PAPER, items, kind="base", trial=0)[0].prompt
    )
    opening = str(trial_requests(PAPER, ITEMS, kind="base", trial=0)[0].prompt)
    assert opening.startswith("The following is a CVE description. Map it to the appropriate CWE")


def test_faith_does_not_ask_its_exemplars_and_answers_with_the_bare_id() -> None:
    found = trial_items(FAITH, ITEMS, kind="base", trial=0)
    assert len(found) == len(protocol_items(FAITH, ITEMS)) - 5
    prompt = str(trial_requests(FAITH, ITEMS, kind="base", trial=0)[0].prompt)
    [instruction, *exemplars, question] = prompt.split("\n\n")
    assert instruction.endswith("CWE ID.")
    assert [e.split("\n")[1][:4] for e in exemplars] == ["CWE-"] * 5
    assert question == f"CVE Description: {found[0].text}"
    mcq = str(trial_requests(FAITH, QUESTIONS, kind="base", trial=0)[0].prompt)
    assert mcq.startswith("The following are multiple choice questions.\n\n")
    assert mcq.count("\nAnswer: ") == 5


def test_too_few_items_for_the_exemplars_is_said() -> None:
    with pytest.raises(CyberSecQwenError, match="need more"):
        trial_requests(CARD, ITEMS[:5], kind="base", trial=0)


def test_a_base_model_is_refused_where_the_protocol_has_no_form_for_it(six_tasks: Path) -> None:
    with pytest.raises(CyberSecQwenError, match=r"'cti-bench' has no form for base models"):
        trial_requests(PROTOCOLS["cti-bench"], ITEMS, kind="base", trial=0)
    with pytest.raises(CyberSecQwenError, match="for base models in cti-vsp"):
        trial_requests(CARD, read_items(six_tasks, "cti-vsp"), kind="base", trial=0)


def test_faith_leaves_out_repeated_rows(six_tasks: Path) -> None:
    items = read_items(six_tasks, "cti-rcm")
    assert [item.index for item in protocol_items(FAITH, items)] == list(range(7))
    assert len(protocol_items(CARD, items)) == 8


@pytest.mark.shared
@pytest.mark.parametrize(("task", "left"), [("cti-rcm", 990), ("cti-vsp", 988), ("cti-mcq", 2500)])
def test_faith_asks_the_published_number_of_rows(task: str, left: int, shared: Path) -> None:
    items = read_items(shared / "cti-bench", task)
    kept = protocol_items(FAITH, items)
    assert len(kept) == left
    if task == "cti-rcm":
        repeats = [243, 453, 531, 600, 602, 681, 689, 691, 776, 788]
        assert sorted({i.index for i in items} - {i.index for i in kept}) == repeats
        text = trial_requests(FAITH, items, kind="instruct", trial=0)[391 - 1].messages[0][
            "content"
        ]
        assert "  " not in text


@pytest.mark.shared
def test_the_order_of_the_file_gives_the_benchmark_s_own_prompts(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = read_items(shared / "cti-bench", "cti-mcq")
    monkeypatch.setattr("random.Random.shuffle", lambda *_: None)
    found = trial_items(find_protocol("model-card", permute=4), items, kind="instruct", trial=0)
    # Four of the published prompts hold a stray space, which no table cell does.
    assert [i.prompt.split() for i in found] == [i.prompt.split() for i in items]
    assert [(i.gold, i.options) for i in found] == [(i.gold, i.options) for i in items]


def test_permuted_options_keep_the_answer_and_visit_every_letter() -> None:
    protocol = find_protocol("model-card", permute=4)
    original = {item.index: item for item in QUESTIONS}
    letters: dict[int, set[str]] = {}
    for trial in range(4):
        for item in trial_items(protocol, QUESTIONS, kind="instruct", trial=trial):
            old = original[item.index]
            right = old.options["ABCD".index(old.gold)]
            assert item.options["ABCD".index(item.gold)] == right
            assert sorted(item.options) == sorted(old.options)
            order = permutation(old, protocol, trial)
            assert tuple(old.options[position] for position in order) == item.options
            assert f"A) {item.options[0]}" in item.prompt
            letters.setdefault(item.index, set()).add(item.gold)
    assert all(found == set("ABCD") for found in letters.values())
    with pytest.raises(CyberSecQwenError, match="no options to permute"):
        trial_items(protocol, ITEMS, kind="instruct", trial=0)
