"""Each row of a batch is drawn from its own distribution."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import pytest

from cybersecqwen.engines.batch_sampling import RowSampler
from cybersecqwen.records import Request

Ask = Callable[..., Request]

LOGITS = [2.0, 1.0, 0.5, 0.0, -0.5, -1.0, -3.0, -8.0]
DRAWS = 20_000


def draw(ask: Ask, **sampling: float) -> Counter[int]:
    """Draw one token for each of many items and count them."""
    import torch

    requests = [ask(item, **sampling) for item in range(DRAWS)]
    draws = RowSampler(requests, torch.device("cpu"))
    scores = torch.tensor(LOGITS).repeat(DRAWS, 1)
    tokens: list[int] = draws(torch.zeros(DRAWS, 1), scores).argmax(-1).tolist()
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
def test_draws_follow_the_distribution(
    ask: Ask, temperature: float, top_p: float, allowed: int
) -> None:
    counts = draw(ask, temperature=temperature, top_p=top_p)
    expected = [DRAWS * p for p in softmax(temperature, allowed)]
    assert set(counts) <= set(range(allowed))
    cells = [(counts[token], mean) for token, mean in enumerate(expected) if mean >= 5]
    statistic = sum((seen - mean) ** 2 / mean for seen, mean in cells)
    # The 99.9 % quantiles of chi-square with one degree of freedom less than cells.
    limit = [0.0, 1e-9, 10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32][len(cells)]
    assert statistic <= limit


def test_seed_trial_and_item_each_change_the_draw_and_nothing_else_does(ask: Ask) -> None:
    import torch

    def tokens(*requests: Request) -> list[int]:
        draws = RowSampler(list(requests), torch.device("cpu"))
        # A thousand equal logits: two draws agree by chance once in a thousand.
        steps = [draws(None, torch.zeros(len(requests), 1000)).argmax(-1) for _ in range(3)]
        return torch.stack(steps, 1).tolist()

    warm = {"temperature": 1.0, "seed": 42}
    a = ask(1, **warm)
    others = [ask(2, **warm), ask(1, trial=1, **warm), ask(1, temperature=1.0, seed=43)]
    rows = tokens(a, *others)
    assert len({tuple(row) for row in rows}) == 4
    # Alone, in another place, and next to rows that draw otherwise or not at all.
    assert tokens(a) == rows[:1]
    assert tokens(ask(9), others[0], ask(8, temperature=0.5, top_p=0.9), a)[3] == rows[0]
    assert tokens(ask(1, "another text", max_tokens=3, **warm)) == rows[:1]


def test_temperature_zero_leaves_the_scores_alone(ask: Ask) -> None:
    import torch

    scores = torch.tensor([LOGITS, LOGITS])
    made = RowSampler([ask(0), ask(1, temperature=1.0)], torch.device("cpu"))(None, scores)
    assert made[0].tolist() == LOGITS
    assert made[1].tolist() != LOGITS
