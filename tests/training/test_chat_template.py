"""Chat templates of many families, each made free of a system prompt that nobody asked for."""

from __future__ import annotations

import logging
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.errors import RecipeError
from cybersecqwen.prompts import CHAT_TEMPLATES
from cybersecqwen.training.base import load_tokenizer
from cybersecqwen.training.chat_template import chat_template, end_of_turn
from cybersecqwen.training.examples import render_prompts

from .conftest import tiny

# Written for these tests in the manner of the families; the first adds who it is, the second the
# date, the others nothing.
CHATML_WHO = """\
{% for m in messages %}{% if loop.first and m.role != 'system' %}\
<|im_start|>system\nYou are Otter, a "kind" model.<|im_end|>\n{% endif %}\
<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}
"""
HEADERS_DATE = """\
{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}{% set s = messages[0]['content'] %}
    {%- set messages = messages[1:] %}
{%- else %}{% set s = '' %}{% endif -%}
<|head|>system<|body|>\n\nToday: {{ strftime_now('%d %b %Y') }}\n\n{{ s }}<|eot|>
{%- for m in messages %}<|head|>{{ m.role }}<|body|>\n\n{{ m.content | trim }}<|eot|>{% endfor %}
{%- if add_generation_prompt %}<|head|>assistant<|body|>\n\n{% endif %}"""
INST = """\
{{ bos_token }}{% for m in messages %}\
{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}{% endif %}\
{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]\
{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"""
TEXT_END = """\
{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}\
{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"""
# What it adds stands inside the question's own turn.
INSIDE = """\
{% for m in messages %}[{{ m.role }}] {% if loop.first %}Be kind. {% endif %}{{ m.content }}\
{{ eos_token }}{% endfor %}"""


@pytest.fixture(scope="module")
def tokenizer(run: Path) -> Any:
    loaded = load_tokenizer(tiny(), run / "base")
    loaded.add_special_tokens({"bos_token": "<s>"})
    loaded.add_tokens(["<|head|>", "<|body|>", "<|eot|>", "<|end|>"], special_tokens=True)
    return loaded


def own(tokenizer: Any, template: str | None) -> str:
    tokenizer.chat_template = template
    tokenizer.chat_template = chat_template("own", tokenizer, where="model")
    return str(tokenizer.chat_template)


def test_a_token_that_starts_texts_and_turns_alike_stands_there_once(tokenizer: Any) -> None:
    smollm2 = deepcopy(tokenizer)
    smollm2.bos_token = "<|im_start|>"
    own(smollm2, CHATML_WHO)
    prompt = "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n"
    assert render_prompts(smollm2, ["Q"]) == [prompt]


@pytest.mark.parametrize(
    ("template", "prompt", "end", "removed"),
    [
        (
            CHATML_WHO,
            "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n",
            "<|im_end|>",
            "Otter",
        ),
        (
            HEADERS_DATE,
            "<s><|head|>user<|body|>\n\nQ<|eot|><|head|>assistant<|body|>\n\n",
            "<|eot|>",
            "Today: ",
        ),
        (INST, "<s>[INST] Q [/INST]", "<|im_end|>", ""),
        (TEXT_END, "<|user|>\nQ<|end|>\n<|assistant|>\n", "<|end|>", ""),
        (CHAT_TEMPLATES["gemma4"], "<s><|turn>user\nQ<turn|>\n<|turn>model\n", "<turn|>", ""),
    ],
    ids=["who", "date", "inst", "end", "gemma"],
)
def test_a_models_own_template_comes_without_a_system_prompt(
    tokenizer: Any,
    caplog: pytest.LogCaptureFixture,
    template: str,
    prompt: str,
    end: str,
    removed: str,
) -> None:
    with caplog.at_level(logging.WARNING):
        text = own(tokenizer, template)
    assert render_prompts(tokenizer, ["Q"]) == [prompt]
    assert end_of_turn("own", tokenizer) == end
    assert own(tokenizer, text) == text, "what is clean stays as it is"
    if removed:
        assert removed in caplog.text
        assert "taken out" in caplog.text
    else:
        assert text == template
        assert not caplog.text


@pytest.mark.parametrize("template", [CHATML_WHO, HEADERS_DATE])
def test_a_system_prompt_that_is_asked_for_is_rendered(tokenizer: Any, template: str) -> None:
    chat = [{"role": r, "content": r.upper()} for r in ("system", "user", "assistant")]
    asked = tokenizer.apply_chat_template(chat, chat_template=template, tokenize=False)
    own(tokenizer, template)
    assert tokenizer.apply_chat_template(chat, tokenize=False) == asked


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "no chat template of its own"),
        (INSIDE, "'.*Be kind.*', which nobody asked for"),
        ("{{ raise_exception('never') }}", "cannot render a question.*never"),
        ("{{ messages[0]['content'] }}", "cannot render a question"),
    ],
    ids=["none", "inside", "raises", "no answer"],
)
def test_a_template_that_cannot_serve_is_refused_with_the_way_out(
    tokenizer: Any, template: str | None, message: str
) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        own(tokenizer, template)
    assert "--set model.chat_template=FILE" in str(caught.value)


def test_a_turn_that_ends_in_no_token_of_its_own_is_refused(run: Path) -> None:
    """The model would never learn to stop."""
    letters = "{% for m in messages %}{{ m.role }}: {{ m.content }} (over)\n{% endfor %}"
    with pytest.raises(RecipeError, match=r"'\(over\)', which ends a turn .* is not one token"):
        load_tokenizer(tiny(f"model.chat_template='''{letters}'''"), run / "base")


def test_chatml_is_the_template_of_qwen3() -> None:
    assert CHAT_TEMPLATES["chatml"] == CHAT_TEMPLATES["qwen3"]
