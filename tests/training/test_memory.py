"""The table of sizes is what transformers and PEFT count, and the formulas grow where they must."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from cybersecqwen.config import load_recipe
from cybersecqwen.files import write_json
from cybersecqwen.training import memory
from cybersecqwen.training.memory import (
    BASES,
    BITS,
    Size,
    base_of,
    merging_memory,
    serving_memory,
    training_memory,
)

SIZES = tomllib.loads(Path(memory.__file__).with_name("sizes.toml").read_text("utf-8"))
# What of Gemma 4 differs from layer to layer, which no formula here follows.
GEMMA: dict[str, Any] = {
    "global_head_dim": 512,
    "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 7,
    "num_kv_shared_layers": 20,
    "use_double_wide_mlp": True,
}


def config_of(name: str) -> Any:
    from transformers import AutoConfig

    sizes = dict(SIZES[name])
    family = sizes.pop("model_type")
    if family != "gemma4":
        return AutoConfig.for_model(family, **sizes)
    counted = ("parameters", "embedding", "cached", "adapted")
    text = {key: value for key, value in sizes.items() if key not in counted} | GEMMA
    return AutoConfig.for_model(family, text_config=text, vision_config={}, audio_config={})


@pytest.mark.long
@pytest.mark.parametrize("recipe", ["cybersecqwen-4b", "gemma4defense-2b", "smollm2-135m"])
def test_the_numbers_of_a_base_are_those_of_the_model(recipe: str) -> None:
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from cybersecqwen.training.sft import lora_config

    loaded = load_recipe(recipe)
    base = base_of(loaded.model)
    assert base
    name = next(name for name, known in BASES.items() if known == base)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config_of(name))
        looked_up = [m for m in model.modules() if isinstance(m, torch.nn.Embedding)]
        embedding = sum(m.weight.numel() for m in looked_up if m.weight.shape[0] > 100_000 // 4)
        assert (sum(p.numel() for p in model.parameters()), embedding) == base[:2]
        adapted = get_peft_model(model, lora_config(loaded, model))
    assert Size.of(adapted) == base.with_adapter(loaded.adapter)


def test_the_cache_of_a_token_has_the_keys_and_values_of_the_layers_that_keep_them() -> None:
    layers = GEMMA["layer_types"][: -GEMMA["num_kv_shared_layers"]]
    widths = {"sliding_attention": 256, "full_attention": GEMMA["global_head_dim"]}
    assert BASES["google/gemma-4-E2B-it"].cached == 2 * sum(widths[layer] for layer in layers)
    assert BASES["Qwen/Qwen3-4B-Instruct-2507"].cached == 2 * 36 * 8 * 128


def test_a_folder_of_a_dense_model_is_counted_and_others_are_not_guessed(tmp_path: Path) -> None:
    name = "HuggingFaceTB/SmolLM2-135M-Instruct"
    recipe = load_recipe("smollm2-135m", overrides=(f"model.base='{tmp_path}'",))
    assert base_of(recipe.model) is None
    write_json(tmp_path / "config.json", SIZES[name])
    assert base_of(recipe.model) == BASES[name]
    older = {**SIZES[name], "num_key_value_heads": SIZES[name]["num_attention_heads"]}
    write_json(tmp_path / "config.json", older)
    each_its_own = base_of(recipe.model)
    write_json(tmp_path / "config.json", {**older, "num_key_value_heads": None})
    assert base_of(recipe.model) == each_its_own != BASES[name]
    write_json(tmp_path / "config.json", {**SIZES[name], "model_type": "mamba"})
    assert base_of(recipe.model) is None


def test_memory_grows_with_precision_length_and_what_is_trained() -> None:
    recipe = load_recipe("cybersecqwen-4b")
    base = base_of(recipe.model)
    assert base
    size = base.with_adapter(recipe.adapter)

    def train(size: Size, tokens: int, **frozen: int) -> int:
        how: Any = {"dropout": True, "checkpointing": True, **frozen}
        return training_memory(size, tokens, "bfloat16", **how)

    lora = train(size, 4096)
    assert train(size, 4096, frozen=base.weights("int4")) < lora < train(base.trained_whole(), 4096)
    assert train(size, 8192) > lora
    served = [serving_memory(base, precision, 4096) for precision in BITS]
    assert served == sorted(served, reverse=True)
    # What the published model card says for 4 K tokens: some 8 GB of weights, 9 to 10 GB in all.
    assert base.weights("bfloat16") == pytest.approx(8e9, rel=0.01)
    assert 9e9 < serving_memory(base, "bfloat16", 4096) < 10.2e9
    assert merging_memory(base, size, "bfloat16") > 4 * base.parameters
