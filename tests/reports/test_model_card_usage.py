from __future__ import annotations

import json
import re
import shlex

import pytest

from cybersecqwen.config import load_recipe
from cybersecqwen.prompts import CHAT_TEMPLATES, rcm_prompt
from cybersecqwen.reports.model_card import usage


def block(text: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)\n```", text, re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("recipe", ["cybersecqwen-4b", "gemma4defense-2b", "smoke"])
def test_snippet_builds_the_prompt_of_the_training(recipe: str) -> None:
    source = block(usage(load_recipe(recipe)), "python")
    compile(source, "snippet", "exec")
    start, end = source.index("description ="), source.index("inputs =")
    names: dict[str, str] = {}
    exec(source[start:end], names)  # our own text: the two assignments before the model is used
    assert names["prompt"] == rcm_prompt(names["description"])


def test_served_request_is_valid_shell_and_json_with_the_protocols_sampling() -> None:
    bash = block(usage(load_recipe("cybersecqwen-4b")), "bash").replace("\\\n", " ")
    words = shlex.split(bash)
    body = json.loads(words[words.index("-d") + 1])
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.3, 1.0, 512)
    assert [message["role"] for message in body["messages"]] == ["user"]


def test_chat_template_is_shown_whole() -> None:
    shown = block(usage(load_recipe("gemma4defense-2b")), "jinja")
    assert shown == CHAT_TEMPLATES["gemma4"]


def test_greedy_protocol_samples_nothing() -> None:
    source = block(usage(load_recipe("smoke")), "python")
    assert "do_sample=False" in source
    assert "temperature" not in source
