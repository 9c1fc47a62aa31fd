"""A merged model folder as one GGUF file, which llama.cpp and Ollama run.

    write_gguf(run / "merged", folder / "model-Q8_0.gguf", weights="q8_0", about=about)

The package `gguf` has the format, the names of the tensors and the quantisation. What it has not is
here: the sizes that a family's configuration calls by other names, the kind of tokenizer, and
the order of the rows of Llama's queries and keys, whose rotary halves llama.cpp reads interleaved.
"""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cybersecqwen.errors import InputError, extra
from cybersecqwen.files import disk_errors
from cybersecqwen.training.chat_template import opening_of

Weights = Literal["f16", "q8_0"]

# Where a tokenizer cuts a text before it merges bytes: llama.cpp knows each way by a name.
_GPT2 = {"type": "ByteLevel", "use_regex": True}
_BYTES = {"type": "ByteLevel", "use_regex": False}
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CUTS: dict[str, list[dict[str, Any]]] = {
    "gpt-2": [_GPT2],
    "smollm": [{"type": "Digits", "individual_digits": True}, _GPT2],
    "qwen2": [{"type": "Split", "pattern": {"Regex": _QWEN2}}, _BYTES],
    "llama-bpe": [
        {"type": "Split", "pattern": {"Regex": _QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")}},
        _BYTES,
    ],
}
_TIP = "llama.cpp's convert_hf_to_gguf.py knows more architectures and tokenizers"
# Families whose tensors are named alike, by what transformers and GGUF call them.
_FAMILIES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}


class About(NamedTuple):
    """What the file says of the model: its name, its licence, and the base it was tuned from."""

    name: str
    license: str
    base: str


def write_gguf(merged: Path, file: Path, *, weights: Weights, about: About) -> None:
    """Write a merged model folder as a GGUF file, tensor by tensor; it appears when it is whole.

    Matrices are stored as `weights` says, vectors in float32. Raises InputError for an architecture
    or a tokenizer that cannot be written, and for weights that float16 cannot hold.
    """
    with extra("export"):
        import gguf
    with extra("train"):
        from transformers import AutoConfig, AutoTokenizer
    config = AutoConfig.from_pretrained(merged, local_files_only=True)
    if config.model_type not in _FAMILIES:
        known = ", ".join(_FAMILIES)
        raise InputError(
            f"architecture {config.model_type!r}: only {known} are written as GGUF",
            where=merged,
            tip=_TIP,
        )
    family = _FAMILIES[config.model_type]
    _refuse_unwritten(config, merged)
    logging.getLogger("gguf").setLevel(logging.WARNING)
    partial = file.with_name(f".{file.name}.partial")
    with disk_errors(file.parent):
        writer = gguf.GGUFWriter(None, family)
        _add_sizes(writer, config, about, weights)
        tokenizer = AutoTokenizer.from_pretrained(merged, local_files_only=True)
        _add_tokenizer(writer, tokenizer, config.vocab_size, merged)
        tensors = _tensors(merged, config, family)
        try:
            _write(writer, tensors, partial, weights)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)


def _refuse_unwritten(config: Any, where: Path) -> None:
    """Refuse what would be lost in the file: a stretched rotation, attention to a window alone."""
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type", "default") != "default":
        what = f"rotary embedding of type {rope['rope_type']!r} is not written as GGUF"
        raise InputError(what, where=where, tip=_TIP)
    if getattr(config, "sliding_window", None):
        raise InputError("sliding attention is not written as GGUF", where=where, tip=_TIP)


def _add_sizes(writer: Any, config: Any, about: About, weights: Weights) -> None:
    import gguf

    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    types = {"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(about.name)
    writer.add_license(about.license)
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, about.base)
    writer.add_file_type(types[weights])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(getattr(config, "num_key_value_heads", None) or heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def _add_tokenizer(writer: Any, tokenizer: Any, size: int, where: Path) -> None:
    """Add a byte-level BPE: its tokens with their kinds, its merges, special tokens and template.

    A text is to begin with the token for that only where the chat template says so, as in training.
    """
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens, kinds = _vocabulary(tokenizer, size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_cut(described, where))
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    merges = described["model"]["merges"]
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    named = {"bos": writer.add_bos_token_id, "eos": writer.add_eos_token_id}
    named |= {"unk": writer.add_unk_token_id, "pad": writer.add_pad_token_id}
    for name, add in named.items():
        token = getattr(tokenizer, f"{name}_token_id")
        if token is not None:
            add(token)
    start, _ = opening_of(tokenizer, where=where)
    writer.add_add_bos_token(bool(start))
    writer.add_add_eos_token(False)
    writer.add_chat_template(tokenizer.chat_template)


def _vocabulary(tokenizer: Any, size: int) -> tuple[list[str], list[int]]:
    """List the tokens by their ids and the kind of each; ids without a token are unused."""
    from gguf import TokenType

    known = {number: token for token, number in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    tokens, kinds = [], []
    for number in range(size):
        token = known.get(number)
        kind = TokenType.UNUSED if token is None else TokenType.NORMAL
        if number in added:  # a turn's mark that is not called special would be cut to pieces
            marks = added[number].special or (token or "").startswith("<|")
            kind = TokenType.CONTROL if marks else TokenType.USER_DEFINED
        tokens.append(f"[PAD{number}]" if token is None else token)
        kinds.append(int(kind))
    return tokens, kinds


def _cut(described: dict[str, Any], where: Path) -> str:
    """Return llama.cpp's name for how a tokenizer cuts a text; raises InputError for another."""
    pre = described.get("pre_tokenizer") or {}
    steps = pre.get("pretokenizers", [pre])
    if described["model"].get("type") == "BPE":
        for name, wanted in _CUTS.items():
            pairs = zip(steps, wanted, strict=False)
            if len(steps) == len(wanted) and all(w.items() <= s.items() for s, w in pairs):
                return name
    raise InputError(
        "the tokenizer cuts a text in a way that is not written as GGUF", where=where, tip=_TIP
    )


class _Tensor(NamedTuple):
    """A tensor on the disk, and its name in GGUF."""

    name: str
    path: Path
    key: str
    shape: tuple[int, ...]
    heads: int = 0  # whose rows are written in the order of llama.cpp; 0 where they stay


def _tensors(merged: Path, config: Any, family: str) -> list[_Tensor]:
    """List the tensors of a model folder; raises InputError for one that has no name in GGUF."""
    import gguf
    from safetensors import safe_open

    architecture = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}[family]
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    tensors = []
    for path in sorted(merged.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118  # no mapping
                name = names.get_name(key, try_suffixes=(".weight", ".bias"))
                if name is None:
                    what = f"the tensor {key} has no name in GGUF"
                    raise InputError(what, where=path, tip=_TIP)
                rotated = heads.get(key.split(".")[-2], 0) if family == "llama" else 0
                shape = tuple(file.get_slice(key).get_shape())
                tensors.append(_Tensor(name, path, key, shape, rotated))
    return tensors


def _kind(shape: tuple[int, ...], weights: Weights) -> Any:
    """Return how a tensor is stored: a row that does not divide into blocks of 32 in float16."""
    from gguf import GGMLQuantizationType

    if len(shape) == 1:
        return GGMLQuantizationType.F32
    blocks = weights == "q8_0" and shape[-1] % 32 == 0
    return GGMLQuantizationType.Q8_0 if blocks else GGMLQuantizationType.F16


def _write(writer: Any, tensors: list[_Tensor], file: Path, weights: Weights) -> None:
    """Write the head of a file, which lists all tensors, and then one after another."""
    import numpy as np
    from gguf.quants import quant_shape_to_byte_shape

    for tensor in tensors:
        kind = _kind(tensor.shape, weights)
        size = math.prod(quant_shape_to_byte_shape(tensor.shape, kind))
        writer.add_tensor_info(tensor.name, tensor.shape, np.dtype("float32"), size, kind)
    writer.write_header_to_file(file)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in tensors:
        writer.write_tensor_data(_stored(tensor, _kind(tensor.shape, weights)))
    writer.close()


def _stored(tensor: _Tensor, kind: Any) -> Any:
    """Read a tensor and return its bytes; raises InputError for a number out of float16's range."""
    import numpy as np
    from gguf.quants import quantize
    from safetensors import safe_open

    with safe_open(tensor.path, framework="pt") as file:
        numbers = file.get_tensor(tensor.key).float().numpy()
    if tensor.heads:  # halves that rotate together lie apart, and in llama.cpp side by side
        halves = numbers.reshape(tensor.heads, 2, -1, *tensor.shape[1:])
        numbers = halves.swapaxes(1, 2).reshape(tensor.shape)
    with np.errstate(over="ignore"):
        stored = quantize(numbers, kind)
    if stored.dtype == np.float16 and not np.isfinite(stored).all():
        what = f"the tensor {tensor.key} holds numbers that float16 cannot"
        raise InputError(what, where=tensor.path, tip="train in a smaller range, or export int8")
    return stored
