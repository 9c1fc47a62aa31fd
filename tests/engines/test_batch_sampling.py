"""Each row of a batch is drawn from its own distribution."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable

import pytest

from cybersecqwen.engines.batch_sampling import draw_tokens, seed_of
from cybersecqwen.records import Request, Sampling

Ask = Callable[..., Request]

LOGITS = [2.0, 1.0, 0.5, 0.0, -0.5, -1.0, -3.0, -8.0]
DRAWS = 20_000


def draw(**sampling: float) -> Counter[int]:
    """Draw many tokens for one row and count them."""
    import torch

    number = random.Random(0)
    numbers = [number.random() for _ in range(DRAWS)]
    setting = Sampling(**{"max_tokens": 8, "seed": 42} | sampling)
    (tokens,) = draw_tokens(torch.tensor([LOGITS]), [setting], [numbers])
    return Counter(tokens)


def softmax(temperature: float, allowed: int) -> list[float]:
    weights = [math.exp(logit / temperature) for logit in LOGITS[:allowed]]
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize(
    ("temperature", "top_p", "allowed"),
    [
        (1.0, 1.0, 8),
        (0.3, 1.0, 8),
        (2.0, 1.0, 8),
        # The nucleus holds the token that crosses top_p. At temperature 1 the first three
        # tokens have 0.54, 0.20 and 0.12 of the mass.
        (1.0, 0.5, 1),
        (1.0, 0.7, 2),
        (1.0, 0.8, 3),
        # Temperature comes first: 2 flattens the top three to 0.33, 0.20 and 0.16.
        (2.0, 0.5, 2),
        (1.0, 0.0, 1),
    ],
)
def test_draws_follow_the_distribution(temperature: float, top_p: float, allowed: int) -> None:
    counts = draw(temperature=temperature, top_p=top_p)
    expected = [DRAWS * p for p in softmax(temperature, allowed)]
    assert set(counts) <= set(range(allowed))
    cells = [(counts[token], mean) for token, mean in enumerate(expected) if mean >= 5]
    statistic = sum((seen - mean) ** 2 / mean for seen, mean in cells)
    # The 99.9 % quantiles of chi-square with one degree of freedom less than cells.
    limit = [0.0, 1e-9, 10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32][len(cells)]
    assert statistic <= limit


def test_seed_trial_and_item_each_change_the_draws_and_nothing_else_does(ask: Ask) -> None:
    warm = {"temperature": 1.0, "seed": 42}
    others = [ask(2, **warm), ask(1, trial=1, **warm), ask(1, temperature=1.0, seed=43)]
    assert len({seed_of(request) for request in (ask(1, **warm), *others)}) == 4
    assert seed_of(ask(1, "another text", max_tokens=3, **warm)) == seed_of(ask(1, **warm))


def test_a_row_is_drawn_alike_beside_any_others() -> None:
    import torch

    logits = torch.tensor([LOGITS, LOGITS[::-1], LOGITS])
    greedy, warm = Sampling(0.0, 1.0, 8, 42), Sampling(1.0, 1.0, 8, 42)
    numbers = [[0.9, 0.1], [0.3], [0.2, 0.999, 0.5]]
    first, second, third = draw_tokens(logits, [greedy, warm, warm], numbers)
    assert first == [0, 0]  # the likeliest, whatever the number
    assert (len(second), len(third)) == (1, 3)
    assert draw_tokens(logits[1:2], [warm], [numbers[1]]) == [second]
    assert draw_tokens(logits[2:], [Sampling(1.0, 0.99, 8, 7)], [[0.2]])[0][0] == third[0]


def test_the_ends_of_the_interval_draw_the_first_and_the_last_token_with_a_share() -> None:
    import torch

    logits = torch.tensor([[-math.inf, 1.0, 0.0, -math.inf]])
    ends = [[0.0, 1 - 2**-53]]  # of random.Random.random()
    assert draw_tokens(logits, [Sampling(1.0, 1.0, 8, 42)], ends) == [[1, 2]]
