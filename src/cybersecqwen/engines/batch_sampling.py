"""Draw the next token of each row of a batch by the row's own sampling, and see where texts stop.

    drawn = draw_tokens(logits, samplings, numbers)     # a list of tokens for each row

A draw turns one uniform number into a token, so the same logits and number give the same token on
any device and beside any neighbours. A generator for each request, seeded by `seed_of`, gives the
numbers. Several numbers for one row are several draws of its distribution.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cybersecqwen.records import Request, Sampling

if TYPE_CHECKING:
    import torch

# Tokens looked at beyond the bytes of a stop string, for what decoding strips at the edge.
_MARGIN = 8


def draw_tokens(
    logits: torch.Tensor, samplings: Sequence[Sampling], numbers: Sequence[Sequence[float]]
) -> list[list[int]]:
    """Draw a token for each number of each row; at temperature 0 it is the likeliest one.

    `logits` are rows by vocabulary, and `numbers` are uniform in [0, 1). Temperature comes first,
    then top-p. A number falls into one token's share of the row's probability: inversion, which
    is exact. The sums are made in double precision, in which no rare token is lost.
    """
    likeliest = logits.argmax(-1).tolist()
    drawn = [[token] * len(row) for token, row in zip(likeliest, numbers, strict=True)]
    warm = [row for row, sampling in enumerate(samplings) if sampling.temperature]
    if warm:
        tokens = _invert(logits[warm], [samplings[r] for r in warm], [numbers[r] for r in warm])
        for row, of_row in zip(warm, tokens, strict=True):
            drawn[row] = of_row[: len(numbers[row])]
    return drawn


def _invert(
    logits: torch.Tensor, samplings: list[Sampling], numbers: list[Sequence[float]]
) -> list[list[int]]:
    """Draw a token for each number, and some to be ignored where a row has fewer than others."""
    import torch

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, device=logits.device).unsqueeze(1)

    warm = logits.float() / column([sampling.temperature for sampling in samplings])
    top_p = column([sampling.top_p for sampling in samplings])
    if (top_p < 1).any():
        warm = _nucleus(warm, top_p)
    reached = warm.softmax(-1).cumsum(-1, dtype=torch.float64)
    most = max(map(len, numbers))
    padded = [[*row, *[0.0] * (most - len(row))] for row in numbers]
    targets = torch.tensor(padded, device=logits.device, dtype=torch.float64) * reached[:, -1:]
    tokens: list[list[int]] = torch.searchsorted(reached, targets, right=True).tolist()
    return tokens


def _nucleus(warm: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Keep the likeliest tokens that reach top_p together, the one that crosses it included."""
    probability, order = warm.softmax(-1).sort(descending=True)
    before = probability.cumsum(-1) - probability
    dropped = (before >= top_p) & (top_p < 1)
    dropped[:, 0] = False
    return warm.masked_fill(dropped.scatter(1, order, dropped), float("-inf"))


def stops(tokenizer: Any, made: list[int], stop: tuple[str, ...]) -> bool:
    """Tell whether the last tokens hold a stop string; one of n bytes spans n tokens at most."""
    if not stop:
        return False
    window = max(len(text.encode()) for text in stop) + _MARGIN
    tail = decode(tokenizer, made[-window:])
    return any(text in tail for text in stop)


def decode(tokenizer: Any, tokens: list[int]) -> str:
    """Return the text of generated tokens, without the special ones and with every space kept."""
    text: str = tokenizer.decode(
        tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return text


def seed_of(request: Request) -> int:
    """Mix seed, trial and item into 63 bits, so that neighbours share nothing."""
    key = f"{request.sampling.seed}/{request.trial}/{request.item}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1
