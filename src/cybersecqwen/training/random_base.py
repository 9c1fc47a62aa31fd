"""A randomly initialised base model, for runs on a CPU, with a tokenizer learned from the corpus.

    base = prepare_base(recipe, run / "corpus" / "train.jsonl", run / "base")

It is written as an ordinary model folder, so that everything after it takes the path of a real
one. Another family is another function in _CONFIGS and its special tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cybersecqwen.config import RandomModel, Recipe
from cybersecqwen.engines import gguf
from cybersecqwen.engines.transformers import quiet_in_pipe
from cybersecqwen.errors import StageError, extra
from cybersecqwen.files import locked, read_json, read_jsonl, sha256_file, whole_folder, write_json
from cybersecqwen.training.base import end_of_turn_ids
from cybersecqwen.training.chat_template import chat_template

# The special tokens of a family: those with a role in the tokenizer, and the other ones.
_ROLES = {
    "qwen3": {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"},
    "gemma4": {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>"},
}
_OTHERS = {"qwen3": ["<|im_start|>"], "gemma4": ["<unk>", "<|turn>", "<turn|>"]}
# Ids at the end of the vocabulary that no text holds: Gemma 4 marks images and sound with some.
_ABSENT = {"qwen3": 0, "gemma4": 7}


def prepare_base(recipe: Recipe, train: Path, folder: Path) -> str:
    """Return what the base model loads from: a random one made in `folder`, a GGUF's in the cache.

    `train` holds the texts that a random base learns its tokenizer from. The same recipe
    and texts give the same bytes. Raises StageError where `folder` was made from others.
    """
    base = recipe.model.base
    if recipe.model.random is None:
        return str(gguf.model_folder(base)) if gguf.is_gguf(base) else base
    made_from = {
        "random": recipe.model.random.model_dump(),
        "chat_template": recipe.model.chat_template,
        "seed": recipe.training.seed,
        "train": sha256_file(train) if train.is_file() else None,
    }
    with locked(folder):
        if not folder.exists():
            _make(recipe, recipe.model.random, train, folder, made_from)
    if read_json(folder / "base.json") != made_from:
        raise StageError(
            "this random base was made from another recipe or corpus",
            where=folder,
            tip="delete the folder to make it again",
        )
    return str(folder)


def _make(
    recipe: Recipe, sizes: RandomModel, train: Path, folder: Path, made_from: dict[str, Any]
) -> None:
    """Write a random model and a tokenizer learned from the texts; complete or not at all."""
    with extra("train"):
        import torch
        from transformers import AutoModelForCausalLM, GenerationConfig
    quiet_in_pipe()
    texts = [text for row in read_jsonl(train) for text in (row["prompt"], row["completion"])]
    tokenizer = learn_tokenizer(sizes, texts)
    tokenizer.chat_template = chat_template(recipe.model.chat_template, tokenizer, where=folder)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.training.seed)
        model = AutoModelForCausalLM.from_config(_CONFIGS[sizes.architecture](sizes, tokenizer))
    model.generation_config = GenerationConfig(
        eos_token_id=end_of_turn_ids(recipe, tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with whole_folder(folder) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        write_json(partial / "base.json", made_from)


def learn_tokenizer(sizes: RandomModel, texts: list[str]) -> Any:
    """Learn a byte-level BPE, cut as Qwen's is, with the special tokens of the family."""
    from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer

    roles, others = _ROLES[sizes.architecture], _OTHERS[sizes.architecture]
    learned = Qwen2Tokenizer(**{**_ROLES["qwen3"], **roles}).train_new_from_iterator(
        texts,
        sizes.vocab_size - _ABSENT[sizes.architecture],
        new_special_tokens=others,
        show_progress=False,
    )
    if sizes.architecture == "qwen3":
        return learned
    return PreTrainedTokenizerFast(
        tokenizer_object=learned.backend_tokenizer,
        **roles,
        additional_special_tokens=others,
        model_input_names=["input_ids", "attention_mask"],
    )


def _text_sizes(sizes: RandomModel, tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": sizes.vocab_size,
        "hidden_size": sizes.hidden_size,
        "intermediate_size": sizes.intermediate_size,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.head_dim,
        "tie_word_embeddings": True,  # as in Qwen3-4B and Gemma 4
        # The usual 0.02 suits thousands of units; under it a narrow frozen model says nothing
        # that an adapter could build on.
        "initializer_range": sizes.hidden_size**-0.5,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
    }


def _qwen3(sizes: RandomModel, tokenizer: Any) -> Any:
    from transformers import Qwen3Config

    return Qwen3Config(**_text_sizes(sizes, tokenizer))


def _gemma4(sizes: RandomModel, tokenizer: Any) -> Any:
    """Configure the released layout: a language model with global layers of twice the head
    size and per-layer embeddings, and the smallest vision and audio towers beside it.
    """
    from transformers import Gemma4Config

    last = sizes.layers - 1
    tower = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    absent = {
        f"{name}_token_id": sizes.vocab_size - 1 - place
        for place, name in enumerate(("image", "video", "audio", "boi", "eoi", "boa"))
    }
    return Gemma4Config(
        text_config={
            **_text_sizes(sizes, tokenizer),
            "layer_types": ["sliding_attention"] * last + ["full_attention"],
            "global_head_dim": 2 * sizes.head_dim,
            "vocab_size_per_layer_input": sizes.vocab_size,
            "hidden_size_per_layer_input": 8,
        },
        vision_config={
            **tower,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "intermediate_size": 32,
            "position_embedding_size": 16,
        },
        audio_config={**tower, "subsampling_conv_channels": [4, 4], "output_proj_dims": 16},
        **absent,
        eoa_token_index=sizes.vocab_size - 7,
    )


_CONFIGS = {"qwen3": _qwen3, "gemma4": _gemma4}
