"""The memory that a model takes to be trained, merged and served, in bytes, by formula.

>>> base = BASES["HuggingFaceTB/SmolLM2-135M-Instruct"]
>>> base.parameters, round(serving_memory(base, "bfloat16", tokens=4096) / 1e9, 1)
(134515008, 1.9)

docs/doctor.md writes the formulas out and holds them against what was measured.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from cybersecqwen.config import Adapter, Model
from cybersecqwen.engines.gguf import hub_id, is_gguf
from cybersecqwen.files import Json, read_json

FIXED = 1_500_000_000  # bytes of libraries, kernels and data
# Bits of a weight. Those of int4 have a scale for each group; QLoRA's NF4 takes as many.
BITS = {"float32": 32.0, "bfloat16": 16.0, "int8": 8.0, "int4": 4.13}
_ADAM = 16  # bytes of a trained number: itself, its gradient and two moments in float32
_TILE = (4_096, 32_768, 16)  # tokens and words that TRL's loss has logits of at once; bytes of each
_PROOF = 16 * 150  # tokens of the prompts whose logits prove a merge
_DENSE = ("llama", "mistral", "qwen2", "qwen3")  # types of models whose numbers can be counted


class Size(NamedTuple):
    """The numbers of a model with its adapter that the memory of a training depends on."""

    parameters: int
    trained: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    head_size: int  # the largest

    @classmethod
    def of(cls, model: Any) -> Size:
        """Read the numbers off a model with its adapter."""
        trained, total = model.get_nb_trainable_parameters()
        # As a dict: of some models, sizes differ by layer.
        sizes = model.config.get_text_config().to_dict()
        heads = sizes["num_attention_heads"]
        usual = sizes["hidden_size"] // heads
        head = max(sizes.get(name) or usual for name in ("head_dim", "global_head_dim"))
        return cls(
            total, trained, sizes["num_hidden_layers"], sizes["hidden_size"],
            sizes["intermediate_size"], heads, head,
        )  # fmt: skip


class BaseSize(NamedTuple):
    """The numbers of a base model, told from its config.json without loading it."""

    parameters: int
    embedding: int  # how many of them are looked up or make logits, which no format rounds
    cached: int  # numbers that are kept for each token that was read: keys and values
    adapted: int  # inputs and outputs of all projections; a LoRA trains rank times as many
    vocabulary: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    head_size: int

    @classmethod
    def from_config(cls, config: Json) -> BaseSize:
        """Count a dense model's numbers; what `config` says itself under such a name stands."""
        words, hidden, inner, layers, heads = (
            int(config[name])
            for name in (
                "vocab_size",
                "hidden_size",
                "intermediate_size",
                "num_hidden_layers",
                "num_attention_heads",
            )
        )
        head = int(config.get("head_dim") or hidden // heads)
        # Older configs leave the heads of keys and values out where each head has its own.
        attended, kept = heads * head, int(config.get("num_key_value_heads") or heads) * head
        matrices = hidden * (2 * attended + 2 * kept + 3 * inner)
        norms = 2 * hidden + (2 * head if config["model_type"] == "qwen3" else 0)
        embedding = words * hidden * (1 if config.get("tie_word_embeddings") else 2)
        adapted = layers * (7 * hidden + 2 * attended + 2 * kept + 3 * inner)
        return cls(
            config.get("parameters", embedding + layers * (matrices + norms) + hidden),
            config.get("embedding", embedding),
            config.get("cached", 2 * layers * kept),
            config.get("adapted", adapted),
            words, layers, hidden, inner, heads, head,
        )  # fmt: skip

    def with_adapter(self, adapter: Adapter) -> Size:
        """Return the numbers with a LoRA on all projections and with what is trained whole."""
        trained = adapter.r * self.adapted + bool(adapter.modules_to_save) * self.embedding
        return self._size(self.parameters + trained, trained)

    def trained_whole(self) -> Size:
        """Return the numbers where there is no adapter and every number is trained."""
        return self._size(self.parameters, self.parameters)

    def _size(self, parameters: int, trained: int) -> Size:
        return Size(
            parameters, trained, self.layers, self.hidden,
            self.intermediate, self.heads, self.head_size,
        )  # fmt: skip

    def weights(self, precision: str) -> int:
        """Return the bytes of the weights; in fewer than 16 bits embeddings stay bfloat16."""
        bits = BITS[precision]
        looked_up = self.embedding * max(bits, BITS["bfloat16"])
        return round((looked_up + (self.parameters - self.embedding) * bits) / 8)


_TABLE = tomllib.loads(Path(__file__).with_name("sizes.toml").read_text(encoding="utf-8"))
BASES = {name: BaseSize.from_config(config) for name, config in _TABLE.items()}


def base_of(model: Model) -> BaseSize | None:
    """Return the numbers of a recipe's base: of the table, or of a dense model's folder."""
    name = (hub_id(model.base) if is_gguf(model.base) else None) or model.base
    config = Path(name) / "config.json"
    if name in BASES or not config.is_file():
        return BASES.get(name)
    own = read_json(config)
    return BaseSize.from_config(own) if own.get("model_type") in _DENSE else None


def training_memory(
    size: Size,
    tokens: int,
    precision: str,
    *,
    dropout: bool,
    checkpointing: bool,
    frozen: int | None = None,
) -> int:
    """Estimate the bytes that a step of `tokens` tokens at once takes at its highest.

    `frozen` are the bytes of the weights that are not trained, where they are not of the
    precision that is computed in. What a layer keeps for the backward pass was counted on Llama and
    Qwen3 layers with LoRA on all projections, see docs/lab/training.md.
    """
    width = int(BITS[precision]) // 8
    attended = size.heads * size.head_size
    kept = (
        (20 + 10 * width * dropout) * size.hidden
        + (4 + 2 * dropout) * width * size.intermediate
        + (5 + 2 * dropout) * width * attended
    )
    layers = size.layers * size.hidden * width + kept if checkpointing else size.layers * kept
    rows, words, each = _TILE
    head = min(tokens, rows) * words * each + tokens * size.hidden * 12
    if frozen is None:
        frozen = (size.parameters - size.trained) * width
    return frozen + size.trained * _ADAM + tokens * layers + head + FIXED


def merging_memory(base: BaseSize, size: Size, precision: str) -> int:
    """Estimate the bytes of a merge: in float32, then beside it what is read back from the disk.

    The logits of four models stay until the end, to be compared.
    """
    summed = size.parameters * 4
    read_back = 2 * base.weights(precision)
    return max(summed, read_back) + 4 * _PROOF * base.vocabulary * 4 + FIXED


def serving_memory(base: BaseSize, precision: str, tokens: int) -> int:
    """Estimate the bytes of a server whose requests have `tokens` tokens together at most."""
    width = 4 if precision == "float32" else 2
    return base.weights(precision) + tokens * base.cached * width + FIXED
