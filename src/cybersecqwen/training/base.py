"""The base model, from a hub or a folder: its revision, its tokenizer and its weights.

tokenizer = load_tokenizer(recipe, base)
model = load_model(recipe, base)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cybersecqwen.config import Recipe
from cybersecqwen.engines.threads import limit_threads
from cybersecqwen.engines.transformers import (
    attention_of,
    check_weights,
    load_errors,
    quiet_in_pipe,
)
from cybersecqwen.errors import CyberSecQwenError, RecipeError, extra
from cybersecqwen.files import read_json
from cybersecqwen.prompts import CHAT_TEMPLATES
from cybersecqwen.training.chat_template import chat_template, end_of_turn

_LARGEST_FLASH_HEAD = 256


def pin_revision(recipe: Recipe, source: str | Path) -> Recipe:
    """Replace the recipe's revision of a hub model by the commit that it names now.

    A folder has no revisions: for one the recipe is returned as it is.
    """
    if Path(source).is_dir():
        return recipe
    with extra("train"):
        from transformers.utils import cached_file, extract_commit_hash
    with _loading(source):
        config = cached_file(str(source), "config.json", revision=recipe.model.revision)
    return _at(recipe, extract_commit_hash(config, None))


def keep_revision(recipe: Recipe, adapter: Path) -> Recipe:
    """Replace the recipe's revision by the one that an adapter says it was trained on."""
    return _at(recipe, read_json(adapter / "adapter_config.json").get("revision"))


def _at(recipe: Recipe, revision: str | None) -> Recipe:
    if revision is None:
        return recipe
    model = recipe.model.model_copy(update={"revision": revision})
    return recipe.model_copy(update={"model": model})


def load_tokenizer(recipe: Recipe, source: str | Path) -> Any:
    """Load a tokenizer from a hub id or a folder and give it the recipe's chat template.

    Raises RecipeError when the token that ends a turn is not one token of its vocabulary.
    """
    with extra("train"):
        from transformers import AutoTokenizer
    with _loading(source):
        tokenizer = AutoTokenizer.from_pretrained(source, revision=recipe.model.revision)
    template = recipe.model.chat_template
    tokenizer.chat_template = chat_template(template, tokenizer, where=source)
    ids = end_of_turn_ids(recipe, tokenizer)
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        name = repr(template) if template in CHAT_TEMPLATES else "of the file or the model"
        raise RecipeError(
            f"{end_of_turn(template, tokenizer)!r}, which ends a turn of the template "
            f"{name}, is not one token of this model's vocabulary",
            where=source,
            tip="choose the model.chat_template of the model's family",
        )
    return tokenizer


def end_of_turn_ids(recipe: Recipe, tokenizer: Any) -> list[int]:
    """Tokenize what ends an assistant turn under the recipe's template."""
    text = end_of_turn(recipe.model.chat_template, tokenizer)
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def load_model(
    recipe: Recipe,
    source: str | Path,
    *,
    precision: str | None = None,
    attention: str | None = None,
    quantized: bool = False,
) -> Any:
    """Load a causal language model as the recipe says, or in another precision or attention.

    `quantized` takes the recipe's quantization, where it names one, for the linear layers.

    Raises RecipeError where the attention cannot run here, CyberSecQwenError where the
    weights cannot be had.
    """
    with extra("train"):
        from transformers import AutoConfig, AutoModelForCausalLM
    quiet_in_pipe()
    attention = attention or recipe.model.attention
    check_attention(attention)
    precision = precision or recipe.model.precision
    rounded = _nf4(precision) if quantized and recipe.model.quantization else {}
    with _loading(source):
        config = AutoConfig.from_pretrained(source, revision=recipe.model.revision)
    _check_heads(config, attention, source)
    with _loading(source):
        model, info = AutoModelForCausalLM.from_pretrained(
            source,
            revision=recipe.model.revision,
            dtype=precision,
            attn_implementation=attention_of(config, attention),
            output_loading_info=True,
            **rounded,
        )
    check_weights(info["missing_keys"], where=source)
    if rounded:
        _keep_layout(model)
    limit_threads(model.num_parameters())
    return model


def _keep_layout(model: Any) -> None:
    """Keep bitsandbytes from packing the weights for a CPU that multiplies bfloat16.

    It packs them where it first predicts, as at a validation. The product of packed weights has no
    gradient, so training that goes on would learn less without a word; it also rounds their scales
    once more, and cannot pack layers of fewer than 64 inputs.
    """
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False


def _nf4(precision: str) -> dict[str, Any]:
    """Say NF4 with quantised scales (https://arxiv.org/abs/2305.14314) in transformers' words."""
    with extra("qlora"):
        import bitsandbytes  # noqa: F401
    import torch
    from transformers import BitsAndBytesConfig

    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, precision),
    )
    # The kernels round on the GPU, so each process loads onto its own.
    place = {"device_map": {"": torch.cuda.current_device()}} if torch.cuda.is_available() else {}
    return {"quantization_config": settings, **place}


def check_attention(attention: str) -> None:
    """Refuse an attention that cannot run here, before anything is loaded."""
    with extra("train"):
        from transformers.utils import is_flash_attn_2_available
    if attention == "flash_attention_2" and not is_flash_attn_2_available():
        raise RecipeError(
            "flash_attention_2 needs a GPU and the package flash-attn, and one is missing here",
            tip='--set model.attention="sdpa"',
        )


def _check_heads(config: Any, attention: str, source: str | Path) -> None:
    """Refuse heads that fit neither one another nor the attention, before the first step does."""
    sizes = config.get_text_config().to_dict()  # as a dict: of some, sizes differ by layer
    heads = sizes.get("num_attention_heads") or 1
    shared = sizes.get("num_key_value_heads") or heads
    if heads % shared:
        raise RecipeError(f"{heads} heads cannot share {shared} of keys and values", where=source)
    usual = sizes.get("hidden_size", 0) // heads
    largest = max(sizes.get(name) or usual for name in ("head_dim", "global_head_dim"))
    if attention == "flash_attention_2" and largest > _LARGEST_FLASH_HEAD:
        raise RecipeError(
            f"flash_attention_2 runs heads of at most {_LARGEST_FLASH_HEAD}, and one has {largest}",
            where=source,
            tip='--set model.attention="sdpa"',
        )


@contextmanager
def _loading(source: str | Path) -> Iterator[None]:
    try:
        yield
    except load_errors() as error:
        raise CyberSecQwenError(
            f"cannot load the model: {str(error).strip().splitlines()[0]}",
            where=source,
            tip="check model.base, model.revision and the network, or give a folder: "
            '--set model.base="path/to/model"',
        ) from error
