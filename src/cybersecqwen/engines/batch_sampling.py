"""Draw and end the rows of one batch, each by its own request's sampling.

The library's own sampling has one generator and one setting for a whole batch. These two
objects go into its `generate(do_sample=False)` instead:

    model.generate(..., logits_processor=[RowSampler(requests, device)],
                   stopping_criteria=[StopCriteria(tokenizer, samplings, prompt_width)])
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from cybersecqwen.records import Request, Sampling

if TYPE_CHECKING:
    import torch

# Tokens looked at beyond the bytes of a stop string, for what decoding strips at the edge.
_MARGIN = 8


class RowSampler:
    """A logits processor whose argmax is a draw from each row's own distribution.

    Adding Gumbel noise to log-probabilities and taking the largest is an exact draw
    (Maddison et al., arXiv:1411.0030, section 3); the noise is minus the log of an
    exponential variate. Temperature comes first, then top-p; temperature 0 is untouched.
    """

    def __init__(self, requests: list[Request], device: torch.device) -> None:
        import torch

        def column(values: list[float]) -> torch.Tensor:
            return torch.tensor(values, device=device).unsqueeze(1)

        self._temperature = column([request.sampling.temperature for request in requests])
        self._top_p = column([request.sampling.top_p for request in requests])
        self._generators = [
            torch.Generator(device).manual_seed(_seed(request))
            if request.sampling.temperature
            else None
            for request in requests
        ]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Turn scores, rows by vocabulary, into ones whose argmax is each row's next token."""
        import torch

        if not any(self._generators):
            return scores
        greedy = self._temperature == 0
        warm = scores / self._temperature.masked_fill(greedy, 1.0)
        if (self._top_p < 1).any():
            warm = self._nucleus(warm)
        noise = torch.ones_like(warm)
        for row, generator in zip(noise, self._generators, strict=True):
            if generator is not None:
                row.exponential_(generator=generator)
        noise.clamp_(min=torch.finfo(noise.dtype).tiny)  # the log of 0 would win whatever the score
        return torch.where(greedy, scores, warm - noise.log())

    def _nucleus(self, warm: torch.Tensor) -> torch.Tensor:
        """Keep the likeliest tokens that reach top_p together, the one that crosses it included."""
        probability, order = warm.softmax(-1).sort(descending=True)
        before = probability.cumsum(-1) - probability
        dropped = (before >= self._top_p) & (self._top_p < 1)
        dropped[:, 0] = False
        return warm.masked_fill(dropped.scatter(1, order, dropped), float("-inf"))


class StopCriteria:
    """A stopping criterion that ends each row at its own max_tokens and stop strings.

    `lengths` holds, for the rows that ended so, how many tokens they had made.
    """

    def __init__(self, tokenizer: Any, samplings: list[Sampling], width: int) -> None:
        self._tokenizer = tokenizer
        self._samplings = samplings
        self._width = width
        self.lengths: dict[int, int] = {}

    def __call__(self, input_ids: torch.Tensor, scores: object, **_: object) -> torch.Tensor:
        """Return for each row whether it has ended."""
        import torch

        made = input_ids.shape[1] - self._width
        for row, sampling in enumerate(self._samplings):
            if row not in self.lengths and (
                made >= sampling.max_tokens
                or (sampling.stop and self._stopped(input_ids[row, self._width :], sampling.stop))
            ):
                self.lengths[row] = made
        ended = [row in self.lengths for row in range(len(self._samplings))]
        return torch.tensor(ended, device=input_ids.device)

    def _stopped(self, made: torch.Tensor, stop: tuple[str, ...]) -> bool:
        """Look for a stop string in the last tokens; one of n bytes spans n tokens at most."""
        window = max(len(text.encode()) for text in stop) + _MARGIN
        tail = decode(self._tokenizer, made[-window:].tolist())
        return any(text in tail for text in stop)


def decode(tokenizer: Any, tokens: list[int]) -> str:
    """Return the text of generated tokens, without the special ones and with every space kept."""
    text: str = tokenizer.decode(
        tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return text


def _seed(request: Request) -> int:
    """Mix seed, trial and item into 63 bits, so that neighbours share nothing."""
    key = f"{request.sampling.seed}/{request.trial}/{request.item}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1
