"""Texts that come, part and go in one batch are those that the library generates one by one."""

from __future__ import annotations

from typing import Any

import pytest

from cybersecqwen.engines import decoding
from cybersecqwen.engines.decoding import Decoder, Prompt
from cybersecqwen.records import Request, Sampling

SIZES = {
    "vocab_size": 120,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
FAMILIES = {
    "llama": {},
    "mistral": {"sliding_window": 12},
    "gemma4_text": {  # layers that use another's keys, and a window beside full attention
        "num_hidden_layers": 4,
        "num_kv_shared_layers": 2,
        "global_head_dim": 16,
        "sliding_window": 12,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": 120,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    },
    "lfm2": {"layer_types": ["conv", "full_attention"], "block_ff_dim": 64},  # no row can join
}


def model_of(family: str) -> Any:
    """Make a model that is sure of itself, so that no two tokens tie."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    config = AutoConfig.for_model(family, **SIZES | FAMILIES[family])
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.generation_config = GenerationConfig(eos_token_id=[2, 3], pad_token_id=0)
    return model


def prompts_of(**sampling: Any) -> list[Prompt]:
    """Make two trials each of prompts of many lengths, to be answered with as many."""
    import torch

    random = torch.Generator().manual_seed(1)
    prompts = []
    for item, length in enumerate((30, 5, 1, 17, 40)):
        tokens = torch.randint(4, 120, (length,), generator=random).tolist()
        settings = {"temperature": 0.0, "top_p": 1.0, "max_tokens": (12, 4, 20)[item % 3]}
        for trial in range(2):
            asked = Sampling(**settings | sampling, seed=42 + trial)
            prompts.append(Prompt(Request(item, trial, "", asked), tokens))
    return prompts


def decoded(model: Any, prompts: list[Prompt], batch_size: int | None) -> dict[Any, list[int]]:
    decoder = Decoder(model, None, batch_size=batch_size)
    return {(p.request.item, p.request.trial): made for p, made in decoder.decode(prompts)}


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_tokens_are_the_librarys_own(family: str) -> None:
    import torch

    model, prompts = model_of(family), prompts_of()
    expected = {}
    for prompt in prompts[::2]:  # the trials of an item are alike
        tokens, most = torch.tensor([prompt.tokens]), prompt.request.sampling.max_tokens
        made = model.generate(tokens, max_new_tokens=most, do_sample=False)[0, tokens.shape[1] :]
        expected |= {(prompt.request.item, trial): made.tolist() for trial in range(2)}
    assert len({len(made) for made in expected.values()}) > 1
    assert decoded(model, prompts, None) == expected
    assert decoded(model, prompts, 4) == expected  # two items; where one ends, the next joins


@pytest.mark.parametrize("family", ["llama", "lfm2"])
def test_draws_do_not_depend_on_the_batch(family: str) -> None:
    model, prompts = model_of(family), prompts_of(temperature=2.0, top_p=0.95)
    together = decoded(model, prompts, None)
    assert decoded(model, prompts, 1) == together
    assert decoded(model, prompts[3:], 4).items() <= together.items()
    assert together[0, 0] != together[0, 1]


def test_a_batch_is_as_large_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = model_of("llama"), []
    model.generation_config.eos_token_id = None
    forward = model.forward

    def noted(**arguments: Any) -> Any:
        rows.append(len(arguments["input_ids"]))
        return forward(**arguments)

    monkeypatch.setattr(model, "forward", noted)
    sampling = Sampling(0.0, 1.0, 20, 42)
    prompts = [Prompt(Request(item, 0, "", sampling), [4 + item] * 40) for item in range(6)]
    token = 2 * 2 * 2 * 8 * 4  # layers, keys and values, heads, size, bytes
    # Each takes 60 tokens with its answer, and half of what is free is for them.
    for free, most in ((0, 1), (2 * 2 * 60 * token, 2), (10**9, 6)):
        rows.clear()
        monkeypatch.setattr(decoding, "free_memory", lambda device, free=free: free)
        assert len(decoded(model, prompts, None)) == 6
        assert max(rows) == most
    rows.clear()
    monkeypatch.setattr(decoding, "free_memory", lambda device: 0)
    decoded(model, prompts, 5)  # what is asked for is not questioned
    assert max(rows) == 5
