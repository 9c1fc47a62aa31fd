"""Reasoning and special tokens are no part of an answer, and everything else is."""

from __future__ import annotations

import pytest

from cybersecqwen.engines.reasoning import Answer, read_answer


@pytest.mark.parametrize(
    "token",
    [
        *("<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end_of_text|>", "<|end|>", "<|return|>"),
        *("</s>", "<s>", "<eos>", "<pad>", "<end_of_turn>", "<turn|>", "<｜end▁of▁sentence｜>"),
        *("[EOS]", "[|endofturn|]", "<|END_OF_TURN_TOKEN|>", "\n<|im_end|>\n<|endoftext|>\n"),
    ],
)
def test_special_tokens_at_the_end_are_cut(token: str) -> None:
    assert read_answer(f"It fits.\nC{token}") == Answer("It fits.\nC")


@pytest.mark.parametrize(
    "response",
    [
        "<|im_start|>assistant\nB<|im_end|>",
        "<s> B</s>",
        "<|assistant|>B",
        "B<|im_end|>\n<|im_start|>user\nAnd A?<|im_end|>",
        "<think>A?</think>B<|eot_id|><|start_header_id|>user<|end_header_id|>A",
        "B<end_of_turn>\n<start_of_turn>user\nNext",
    ],
)
def test_an_answer_ends_where_its_turn_ends(response: str) -> None:
    assert read_answer(response).text == "B"


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("<think>A or B?</think>\n\nB", "B"),
        ("<THINKING>A?</THINKING>B", "B"),
        ("<reasoning>A</reasoning>\nB<|im_end|>", "B"),
        ("A or B?\n</think>\nB", "B"),  # the template opens the tag in the prompt
        ("<think>\n\n</think>\n\nB", "B"),
        ("<think>A <think>B</think> C</think>D", "D"),
        ("B\n<reflection>Or A?</reflection>", "B"),
        ("<antThinking>A?</antThinking>B", "B"),
        ('<think time="3 s">A?</think>B', "B"),
        ("<chain_of_thought>A?</chain_of_thought><0x0A>B<0x0A>", "B"),
        ("[THINK]A?[/THINK]B", "B"),
        ("<seed:think>A?</seed:think>B", "B"),
        ("<|START_THINKING|>A?<|END_THINKING|>B", "B"),
        ("<|channel>thought\nA?<channel|>B<turn|>", "B"),
        (
            "<|channel|>analysis<|message|>A?<|end|><|start|>assistant"
            "<|channel|>final<|message|>B<|return|>",
            "B",
        ),
        ("analysisIs it A?assistantfinalB", "B"),
    ],
)
def test_reasoning_is_kept_apart(response: str, answer: str) -> None:
    found = read_answer(response)
    assert (found.text, found.cut) == (answer, False)


@pytest.mark.parametrize(
    "response",
    ["<think>It may be A", "A <think>", "<|channel|>analysis<|message|>A", "<|channel>thought\nA"],
)
def test_a_response_that_ends_in_its_reasoning_holds_no_answer(response: str) -> None:
    found = read_answer(response)
    assert (found.text, found.cut) == ("", True)


@pytest.mark.parametrize(
    "response",
    [
        *("B", "  B \n", "", "I think it is <b>B</b>.", "The tag </script> ends it"),
        *("Analysis: it is B.", "B stands before <|im_end|> and more", "A vector <img src=x>"),
    ],
)
def test_every_other_response_is_the_answer_as_it_is(response: str) -> None:
    assert read_answer(response) == Answer(response)


def test_long_responses_are_split_in_linear_time() -> None:
    assert read_answer("<think>" * 100_000 + "</think>B").text == "B"
    assert read_answer("</s>" * 20_000 + "B" + "</s>" * 2_000).text.endswith("B")
