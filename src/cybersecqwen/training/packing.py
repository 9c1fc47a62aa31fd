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
_SHORTEST_OPENING = 16  # tokens


@dataclass(frozen=True)
class PackedBatch:
    """Add to a collator's packed row which of its positions predict, and what.

    `predicting` are positions, (n,); `shift_labels` the next tokens there, (1, n). `segments`,
    (m, 4), say where each example begins and ends, and where the opening does that it continues.
    With `share_openings` a row has the words once with which several of its prompts begin: their
    states are the same in each, as long as nothing is dropped at random.
    """

    collator: Any
    share_openings: bool = False

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Collate examples as the collator does."""
        from torch.nn.functional import pad

        batch: dict[str, Any] = self.collator(examples)
        targets = pad(batch["labels"][0, 1:], (0, 1), value=_IGNORED)
        kept, batch["segments"] = _segments(
            batch["input_ids"][0], targets, batch["cu_seq_lens_q"].tolist(), self.share_openings
        )
        for name in ("input_ids", "position_ids", "labels"):
            batch[name] = batch[name][:, kept]
        learned = targets[kept] != _IGNORED
        learned[0] |= not learned.any()  # one is kept of a row that predicts nothing: its loss is 0
        batch["predicting"] = learned.nonzero().flatten()
        batch["shift_labels"] = targets[kept][batch["predicting"]][None]
        return batch


def _segments(
    ids: Tensor, targets: Tensor, bounds: list[int], share: bool
) -> tuple[Tensor, Tensor]:
    """Choose the positions of a row to keep, and say which of them make an example."""
    import torch

    alike: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for start, end in pairwise(bounds):
        opening = ids[start : start + _SHORTEST_OPENING].tolist() if share else [start]
        alike.setdefault(tuple(opening), []).append((start, end))
    kept: list[int] = []
    segments = []
    for spans in alike.values():
        shared = _opening(ids, targets, spans) if len(spans) > 1 else 0
        first = len(kept)
        last = first + shared
        if shared:
            kept += range(spans[0][0], spans[0][0] + shared)
            segments.append((first, last, first, first))
        for start, end in spans:
            segments.append((len(kept), len(kept) + end - start - shared, first, last))
            kept += range(start + shared, end)
    return torch.tensor(kept), torch.tensor(segments)


def _opening(ids: Tensor, targets: Tensor, spans: list[tuple[int, int]]) -> int:
    """Count the tokens that all the examples begin with, before the first that predicts."""
    import torch

    learned = [(targets[start:end] != _IGNORED).nonzero() for start, end in spans]
    length = min(int(places[0]) if len(places) else 0 for places in learned)
    rows = torch.stack([ids[start : start + length] for start, _ in spans])
    return int((rows == rows[0]).all(dim=0).cumprod(dim=0).sum())


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
    _module: Any, query: Tensor, key: Tensor, value: Tensor, _mask: Any, **options: Any
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
    _module: Any, query: Tensor, key: Tensor, value: Tensor, _mask: Any, **options: Any
) -> tuple[Tensor, None]:
    """Attend example by example; shapes as for `_varlen`."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    copies = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(copies, dim=1) for x in (key, value))
    window = options.get("sliding_window")
    parts = []
    for start, end, first, last in options["segments"].tolist():
        q, k, v = (x[:, :, start:end] for x in (query, key, value))
        if first < last:
            k, v = (torch.cat([x[:, :, first:last], y], dim=2) for x, y in ((key, k), (value, v)))
        plain = first == last and not (window and window < end - start)
        mask = None if plain else _seen(q.shape[2], k.shape[2], window)
        out = scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=plain, scale=options.get("scaling")
        )
        parts.append(out)
    return torch.cat(parts, dim=2).transpose(1, 2), None


def _seen(queries: int, keys: int, window: int | None) -> Tensor:
    """Say which keys the last `queries` tokens see: those before each, within a window if any."""
    import torch

    allowed = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
    return allowed.triu(keys - queries + 1 - window) if window else allowed
