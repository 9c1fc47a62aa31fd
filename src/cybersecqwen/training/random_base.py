"""The architectures and the tokenizer of a randomly initialised base model.

    tokenizer = learn_tokenizer(sizes, texts)
    config = CONFIGS[sizes.architecture](sizes, tokenizer)

Another family is another function in CONFIGS and its special tokens.
"""

from __future__ import annotations

from typing import Any

from cybersecqwen.config import RandomModel

# The special tokens of a family: those with a role in the tokenizer, and the other ones.
_ROLES = {
    "qwen3": {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"},
    "gemma4": {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>"},
}
_OTHERS = {"qwen3": ["<|im_start|>"], "gemma4": ["<unk>", "<|turn>", "<turn|>"]}
# Ids at the end of the vocabulary that no text holds: Gemma 4 marks images and sound with some.
_ABSENT = {"qwen3": 0, "gemma4": 7}


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


CONFIGS = {"qwen3": _qwen3, "gemma4": _gemma4}
