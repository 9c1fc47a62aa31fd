"""Lengths in tokens: estimated, or counted by a tokenizer made here."""

from __future__ import annotations

from pathlib import Path

import pytest

from cybersecqwen.config import RandomModel, load_recipe
from cybersecqwen.errors import InputError
from cybersecqwen.prompts import CHAT_TEMPLATES, rcm_prompt
from cybersecqwen.reports.dataset import text_statistics
from cybersecqwen.reports.dataset.text_statistics import (
    Lengths,
    TokenCounter,
    estimate,
    load_counter,
    most_tokens,
    own_tokenizer,
)
from cybersecqwen.training.random_base import learn_tokenizer

TEXTS = [f"A buffer overflow in libfoo 1.{n} lets attackers run code. " * n for n in range(1, 30)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Learn a tokenizer and save it as a model's folder has it."""
    sizes = load_recipe("smoke").model.random
    assert isinstance(sizes, RandomModel)
    tokenizer = learn_tokenizer(sizes, TEXTS)
    tokenizer.chat_template = CHAT_TEMPLATES["qwen3"]
    out = tmp_path_factory.mktemp("run") / "base"
    tokenizer.save_pretrained(out)
    return out


@pytest.fixture(scope="module")
def counter(folder: Path) -> TokenCounter:
    return load_counter(str(folder))


def of(texts: list[str], *, limit: int, counter: TokenCounter | None = None) -> Lengths:
    lengths = Lengths(limit=limit, counter=counter)
    for number, text in enumerate(texts):
        lengths.add(f"CVE-2021-{number}", text, rcm_prompt(text), "CWE-120")
    return lengths


def test_a_chat_has_the_tokens_that_training_sees(counter: TokenCounter) -> None:
    prompt, completion = rcm_prompt(TEXTS[3]), "CWE-120"
    chat = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
    rendered = counter.tokenizer.apply_chat_template(chat, tokenize=False)
    assert rendered.endswith("CWE-120<|im_end|>\n")
    expected = len(counter.tokenizer.encode(rendered, add_special_tokens=False))
    assert counter.chats([(prompt, completion)]) == [expected]
    opened = counter.tokenizer.apply_chat_template(
        chat[:1], tokenize=False, add_generation_prompt=True
    )
    expected = len(counter.tokenizer.encode(opened, add_special_tokens=False))
    assert counter.chats([(prompt, "")]) == [expected]


def test_what_is_over_the_limit_is_counted_and_named(counter: TokenCounter) -> None:
    sizes = counter.chats([(rcm_prompt(text), "CWE-120") for text in TEXTS])
    limit = sorted(sizes)[-3]
    lengths = of(TEXTS, limit=limit, counter=counter).to_json()
    assert lengths["chat"]["over_limit"] == sum(size > limit for size in sizes) == 2
    assert lengths["chat"]["longest_over_limit"][0] == {
        "cve_id": "CVE-2021-28",
        "tokens": max(sizes),
    }
    assert lengths["chat"]["max"] == max(sizes)
    assert sum(lengths["chat"]["histogram"]["counts"]) == len(TEXTS)


def test_a_text_over_the_limit_is_found_though_it_was_not_drawn(
    counter: TokenCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_statistics, "_DRAWN", 5)
    sizes = counter.chats([(rcm_prompt(text), "CWE-120") for text in TEXTS])
    limit = sorted(sizes)[-3]
    lengths = of(TEXTS, limit=limit, counter=counter).to_json()
    assert lengths["tokens_by"]["texts_counted"] == 5
    assert lengths["chat"]["over_limit"] == 2
    assert lengths["chat"]["max"] == max(sizes)


def test_no_text_has_more_tokens_than_its_bound(counter: TokenCounter) -> None:
    odd = ["漢字 \U0001f600", "x" * 50, "1.2.3.4 " * 9, *TEXTS]
    for text in odd:
        (size,) = counter.chats([(text, "CWE-1")])
        assert size <= most_tokens(text, "CWE-1")


def test_without_a_tokenizer_tokens_are_estimated_and_said_to_be() -> None:
    lengths = of(TEXTS, limit=400).to_json()
    assert lengths["tokens_by"] == {"estimate": "fitted to Qwen3's tokenizer"}
    assert lengths["words"]["max"] == len(TEXTS[-1].split())
    assert lengths["characters"]["max"] == len(TEXTS[-1])
    assert lengths["description"]["max"] == estimate(TEXTS[-1])
    assert 0 < lengths["chat"]["over_limit"] < len(TEXTS)


def test_a_runs_own_tokenizer_is_found(folder: Path, tmp_path: Path) -> None:
    assert own_tokenizer(folder.parent) == str(folder)
    assert own_tokenizer(tmp_path) is None


@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_a_tokenizer_that_cannot_be_loaded_is_one_line(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match="cannot load the tokenizer: ") as caught:
        load_counter(str(tmp_path))
    assert "\n" not in str(caught.value)
    assert "leave --tokenizer out" in str(caught.value)
