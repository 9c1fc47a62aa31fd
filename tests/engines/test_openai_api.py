"""Every answer that a server finished is read as one, whatever its form."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cybersecqwen.engines.openai_api import (
    UnfinishedError,
    call,
    deviations,
    filtered,
    parse,
    response,
    status_of,
)
from cybersecqwen.records import Request, Response

Ask = Callable[..., Request]
TOOL = [{"id": "f", "function": {"name": "search"}}]


def read(ask: Ask, body: str, *, raw: bool = False) -> Response:
    return response(ask(0, raw=raw), parse(body))


def choice(message: Any, reason: str | None = "stop", **more: Any) -> str:
    return json.dumps({"choices": [{"message": message, "finish_reason": reason}], **more})


@pytest.mark.parametrize(
    ("message", "sent", "reason", "reasoning", "refusal"),
    [
        ({"content": None, "reasoning_content": "Hm"}, "length", "length", "Hm", ""),
        ({"content": "", "reasoning": "Hm"}, "length", "length", "Hm", ""),
        ({"reasoning": "Hm"}, "stop", "stop", "Hm", ""),
        ({"content": None}, "content_filter", "content_filter", "", ""),
        (None, "content_filter", "content_filter", "", ""),
        ({"content": None}, "SAFETY", "SAFETY", "", ""),
        ({"content": None, "refusal": "I cannot"}, "stop", "refusal", "", "I cannot"),
        ({"content": [{"type": "refusal", "refusal": "No"}]}, "stop", "refusal", "", "No"),
        ({"content": None, "tool_calls": TOOL}, "tool_calls", "tool_calls", "", ""),
        (
            {"content": "Is it CWE-79?", "tool_calls": TOOL},
            "stop",
            "tool_calls",
            "Is it CWE-79?",
            "",
        ),
        ({"content": None, "function_call": {"name": "f"}}, "stop", "tool_calls", "", ""),
        ({"content": []}, "stop", "stop", "", ""),
        ({"content": [{"type": "text"}]}, "stop", "stop", "", ""),
        ({"content": None}, "\x1b[2J and more", "other", "", ""),
        ({"content": None}, "no answer: HTTP 500", "other", "", ""),
    ],
)
def test_an_answer_without_a_text_is_one_and_its_finish_reason_says_of_which_kind(
    ask: Ask, message: Any, sent: str, reason: str, reasoning: str, refusal: str
) -> None:
    answer = read(ask, choice(message, sent))
    assert (answer.text, answer.finish_reason) == ("", reason)
    assert (answer.reasoning, answer.refusal) == (reasoning, refusal)


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        ([{"type": "text", "text": "CWE-"}, {"type": "text", "text": "79"}], "CWE-79", ""),
        (["CWE", "-79"], "CWE-79", ""),
        ([{"text": "CWE-79"}], "CWE-79", ""),
        ({"type": "text", "text": "CWE-79"}, "CWE-79", ""),
        ([{"type": "output_text", "text": "CWE-79"}], "CWE-79", ""),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "CWE-20?"}]}, "CWE-79"],
            *("CWE-79", "CWE-20?"),
        ),
        (
            [{"type": "thinking", "thinking": "CWE-20?"}, {"type": "text", "text": "B"}],
            "B",
            "CWE-20?",
        ),
        ([{"type": "image_url", "image_url": "x"}, {"type": "text", "text": "B"}], "B", ""),
    ],
)
def test_the_text_parts_of_a_content_are_joined(
    ask: Ask, content: Any, text: str, reasoning: str
) -> None:
    answer = read(ask, choice({"content": content}))
    assert (answer.text, answer.reasoning) == (text, reasoning)


@pytest.mark.parametrize(
    "body",
    [
        *("", "<html>It works!</html>", "[1, 2]", "[" * 100_000, '{"choices": []}'),
        *(
            '{"choices": null}',
            choice("text"),
            choice({"content": 5}),
            choice({"content": {"a": 1}}),
        ),
        *(choice({"content": [5]}), 'data: {"choices": [{"delta": "x"}]}\n\ndata: [DONE]'),
    ],
)
def test_what_is_no_completion_is_an_error(ask: Ask, body: str) -> None:
    with pytest.raises(ValueError, match="without a completion") as caught:
        read(ask, body)
    assert not isinstance(caught.value, UnfinishedError)


@pytest.mark.parametrize(
    "body",
    [
        choice({"content": "CWE"}, "abort"),
        choice({"content": "CWE"}, "error"),
        choice({"content": "CWE"}, "insufficient_system_resource"),
        choice({"content": ""}, None),
        choice({}, None),
        'data: {"choices": [{"delta": {"content": "CWE-7"}}]}\n\n',
    ],
)
def test_what_broke_off_is_told_apart(ask: Ask, body: str) -> None:
    with pytest.raises(UnfinishedError):
        read(ask, body)


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ('{"prompt_tokens": 5, "completion_tokens": 7}', (5, 7)),
        (f'{{"prompt_tokens": 5, "completion_tokens": {10**400}}}', (5, 0)),
        (f'{{"prompt_tokens": 5, "completion_tokens": {"9" * 5000}}}', (5, 0)),
        (f'{{"prompt_tokens": {"-" + "9" * 5000}, "completion_tokens": 7}}', (0, 7)),
        ('{"prompt_tokens": 1e999, "completion_tokens": -1}', (0, 0)),
        ('{"prompt_tokens": NaN, "completion_tokens": "12"}', (0, 0)),
        ('{"prompt_tokens": null, "completion_tokens": [1]}', (0, 0)),
        ("[1]", (0, 0)),
        ("null", (0, 0)),
    ],
)
def test_a_count_that_can_be_none_is_dropped_and_the_answer_kept(
    ask: Ask, usage: str, counts: tuple[int, int]
) -> None:
    answer = read(ask, choice({"content": "A"})[:-1] + f', "usage": {usage}}}')
    assert (answer.text, (answer.prompt_tokens, answer.completion_tokens)) == ("A", counts)


def stream(*pieces: Any, end: str = "data: [DONE]\n\n") -> str:
    return "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces) + end


def delta(reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": reason}]}


@pytest.mark.parametrize(
    ("body", "text", "reason", "reasoning"),
    [
        (
            stream(
                {"choices": [], "prompt_filter_results": []},  # Azure's first
                delta(role="assistant", content=""),
                *(delta(reasoning="Hm"), delta(reasoning="m"), delta(content="CWE-")),
                *(
                    delta(content="79"),
                    delta("stop"),
                    {"choices": [], "usage": {"prompt_tokens": 3}},
                ),
            ),
            *("CWE-79", "stop", "Hmm"),
        ),
        (
            ": OPENROUTER PROCESSING\n\n" + stream(delta("stop", content="A"), end=""),
            "A",
            "stop",
            "",
        ),
        (stream(delta(content="A")).replace("\n", "\r\n"), "A", "", ""),
        (stream(delta(content="a\u2028b"), delta("length")), "a\u2028b", "length", ""),
        (stream(delta("stop", content=[{"type": "text", "text": "A"}])), "A", "stop", ""),
        (stream(delta(content=None, tool_calls=TOOL), delta("tool_calls")), "", "tool_calls", ""),
        (stream(delta(refusal="I "), delta("stop", refusal="can't")), "", "refusal", ""),
        (stream(json.loads(choice({"content": "A"}))), "A", "stop", ""),
        ("data: \n\ndata: null\n\n" + stream(delta("stop", content="A")), "A", "stop", ""),
        ('{"choices": [{"text": "A", "finish_reason": "stop"}]}', "A", "stop", ""),
        (stream({"choices": [{"text": "A", "finish_reason": "stop"}]}), "A", "stop", ""),
    ],
)
def test_a_stream_is_put_together(
    ask: Ask, body: str, text: str, reason: str, reasoning: str
) -> None:
    answer = read(ask, body)
    assert (answer.text, answer.finish_reason, answer.reasoning) == (text, reason, reasoning)


def test_a_stream_of_raw_text_is_put_together(ask: Ask) -> None:
    pieces = [
        {"choices": [{"text": t, "finish_reason": r}]} for t, r in (("CWE-", None), ("79", "stop"))
    ]
    usage = {"usage": {"prompt_tokens": 4, "completion_tokens": 2}, "choices": []}
    answer = read(ask, stream(*pieces, usage), raw=True)
    assert (answer.text, answer.finish_reason, answer.completion_tokens) == ("CWE-79", "stop", 2)


AZURE = {"message": "The response was filtered", "code": "content_filter", "status": 400}
INNER = {"message": "filtered", "innererror": {"code": "ResponsibleAIPolicyViolation"}}
OPENROUTER = {
    "code": 403,
    "message": "flagged",
    "metadata": {"flagged_input": "x", "reasons": ["y"]},
}


OPENAI = {"message": "Invalid prompt", "code": "invalid_prompt", "type": "invalid_request_error"}


@pytest.mark.parametrize("error", [AZURE, INNER, OPENROUTER, OPENAI])
def test_the_error_of_a_filter_is_an_answer_without_a_text(ask: Ask, error: Any) -> None:
    answer = filtered(ask(3), {"error": error})
    assert answer is not None
    assert (answer.item, answer.text, answer.finish_reason) == (3, "", "content_filter")
    assert answer.refusal == error["message"]


@pytest.mark.parametrize(
    "answer",
    [None, [], {"error": "content_filter"}, {"error": {"code": "context_length_exceeded"}}, {}],
)
def test_any_other_error_is_none(ask: Ask, answer: Any) -> None:
    assert filtered(ask(0), answer) is None


def test_the_status_of_a_failure_inside_a_200_counts() -> None:
    assert status_of({"error": {"code": 429, "message": "slow down"}}, 200) == 429
    assert status_of(parse(stream({"error": {"code": 502}})), 200) == 502
    assert status_of({"error": {"code": "invalid"}}, 200) == 200
    assert status_of({"error": {"code": 502}}, 400) == 400


@pytest.mark.parametrize(
    ("fields", "gone", "there", "said"),
    [
        ({"seed": None}, {"seed"}, {}, ["seed="]),
        ({"max_completion_tokens": "max_tokens"}, {"max_tokens"}, {"max_completion_tokens": 8}, []),
        (
            {"max_tokens": None, "max_completion_tokens": "max_tokens"},
            *({"max_tokens"}, {"max_completion_tokens": 8}, []),
        ),
        (
            {"max_completion_tokens": 99},
            *({"max_tokens"}, {"max_completion_tokens": 99}, ["max_completion_tokens=99"]),
        ),
        (
            {"max_tokens": None, "max_completion_tokens": 99},
            *({"max_tokens"}, {"max_completion_tokens": 99}, ["max_completion_tokens=99"]),
        ),
        ({"reasoning_effort": "low"}, set(), {"reasoning_effort": "low"}, ["reasoning_effort=low"]),
        ({"temperature": 1}, set(), {"temperature": 1}, ["temperature=1"]),
        ({"stream": True}, set(), {"stream": True}, []),
        (
            {"provider": {"order": ["a"]}},
            set(),
            {"provider": {"order": ["a"]}},
            ["provider={'order': ['a']}"],
        ),
    ],
)
def test_fields_of_a_request_are_added_renamed_and_left_out(
    ask: Ask, fields: Any, gone: set[str], there: dict[str, Any], said: list[str]
) -> None:
    body = json.loads(call("m", ask(0), fields)[1])
    plain = json.loads(call("m", ask(0), {})[1])
    assert body == {name: value for name, value in plain.items() if name not in gone} | there
    assert deviations({k: "" if v is None else v for k, v in fields.items()}) == said
