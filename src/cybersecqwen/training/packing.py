"""Batches of several examples in one row: attention within each, logits where the loss is.

    register_packed_attention()
    model.set_attn_implementation(PACKED)
    trainer.data_collator = PackedBatch(trainer.data_collator)
    predict_learned_only(model)

TRL's collator lays the examples of a batch end to end and says where each begins. The usual
attention then needs a mask over all pairs of tokens of the row, and the usual loss logits of every
token; here neither exists. The losses are the same to rounding.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

PACKED = "packed"  # the name that transformers knows the attention by
_IGNORED = -100


@dataclass(frozen=True)
class PackedBatch:
    """Add to a collator's packed row which of its positions predict, and what.

    `predicting` are positions, (n,); `shift_labels` the next tokens there, (1, n).
    """

    collator: Any

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Collate examples as the collator does."""
        batch: dict[str, Any] = self.collator(examples)
        targets = batch["labels"][:, 1:]
        batch["predicting"] = (targets[0] != _IGNORED).nonzero().flatten()
        batch["shift_labels"] = targets[:, batch["predicting"]]
        return batch


def predict_learned_only(model: Any) -> None:
    """Hand a causal model's head the states of a batch's `predicting` positions and no others."""

    def choose(_module: Any, _args: Any, options: dict[str, Any], output: Any) -> Any:
        if "predicting" in options:
            output.last_hidden_state = output.last_hidden_state[:, options["predicting"]]
        return output

    model.base_model.register_forward_hook(choose, with_kwargs=True)


def compile_layers(model: Any) -> None:
    """Compile the decoder's layers, which are alike: one graph serves all."""
    import torch

    torch._dynamo.config.recompile_limit = 64  # one for each kind and size of batch
    for name, layers in model.named_modules():
        if isinstance(layers, torch.nn.ModuleList) and name.endswith(".layers"):
            for layer in layers:
                layer.compile()


def register_packed_attention() -> None:
    """Make the attention within examples that suits the device known to transformers."""
    import torch
    from transformers import AttentionInterface

    on_gpu = torch.cuda.is_available()
    AttentionInterface.register(PACKED, _varlen if on_gpu else torch.compiler.disable(_by_example))


def _varlen(
    module: Any, query: Tensor, key: Tensor, value: Tensor, _mask: Any, **options: Any
) -> tuple[Tensor, None]:
    """Attend by PyTorch's kernel for sequences of varying length.

    Query, key and value are (1, heads, tokens, size); the output is (1, tokens, heads, size).
    """
    from torch.nn.attention.varlen import varlen_attn

    rows = [x[0].transpose(0, 1).contiguous() for x in (query, key, value)]
    bounds, longest = options["cu_seq_lens_q"], options["max_length_q"]
    # Heads that share keys: later versions ask to be told, 2.11 sees it itself.
    told = {"enable_gqa": True} if "enable_gqa" in _parameters(varlen_attn) else {}
    window = (options.get("sliding_window") or 0) - 1  # -1: all that came before
    out = varlen_attn(
        *rows,
        bounds,
        bounds,
        longest,
        longest,
        scale=options.get("scaling"),
        window_size=(window, 0),
        **told,
    )
    return out[None], None


def _parameters(function: Any) -> Any:
    return inspect.signature(function).parameters


def _by_example(
    module: Any, query: Tensor, key: Tensor, value: Tensor, _mask: Any, **options: Any
) -> tuple[Tensor, None]:
    """Attend example by example; shapes as for `_varlen`."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    shared = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(shared, dim=1) for x in (key, value))
    window = options.get("sliding_window")
    parts = []
    for start, end in pairwise(options["cu_seq_lens_q"].tolist()):
        q, k, v = (x[:, :, start:end] for x in (query, key, value))
        mask = _window_mask(end - start, window) if window and end - start > window else None
        out = scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=options.get("scaling")
        )
        parts.append(out)
    return torch.cat(parts, dim=2).transpose(1, 2), None


def _window_mask(length: int, window: int) -> Tensor:
    import torch

    allowed = torch.ones(length, length, dtype=torch.bool).tril()
    return allowed.triu(1 - window)
