"""Query a language model several times for each of many texts, and weigh its answers.

    for texts in answers(engine.generate, protocol, {7: prompt}):
        print(texts)                # the answers to item 7, one for each seed of the protocol

>>> weighed({"CWE-79": 0.6, "CWE-80": 0.2}, {"CWE-80": 3})
{'CWE-79': 0.3, 'CWE-80': 0.6}
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cybersecqwen.records import Request, Response, Sampling, Span

if TYPE_CHECKING:
    from cybersecqwen.benchmark.protocol import Protocol

# How much likelier a model's choice is by its word: as of one that is right two times in three, and
# else names any of three others alike.
_ODDS = 6.0
_LEAST = 0.001  # what an entry is given of which the other model thinks nothing

# What an answer puts into quotation marks, of any kind.
_QUOTED = re.compile(r'"([^"\n]{3,200})"|“([^”\n]{3,200})”|`([^`\n]{3,200})`|\'([^\'\n]{3,200})\'')


def answers(
    generate: Callable[[Sequence[Request]], Iterable[Response]],
    settings: Protocol,
    prompts: Mapping[int, str],
) -> Iterator[list[str]]:
    """Yield the answers to each prompt, in the order of the prompts and of the protocol's seeds.

    It ends early where `generate` does. Taken to its end, so is `generate`: only then has an engine
    told of every failure and closed what it had open.
    """
    from cybersecqwen.engines.reasoning import read_answer

    requests = [
        Request(
            item,
            trial,
            (("user", prompt),),
            Sampling(settings.temperature, settings.top_p, settings.max_tokens, seed),
        )
        for item, prompt in prompts.items()
        for trial, seed in enumerate(settings.seeds)
    ]
    texts: dict[int, dict[int, str]] = defaultdict(dict)
    waiting = deque(prompts)
    for response in generate(requests):
        texts[response.item][response.trial] = read_answer(response.text).text
        while waiting and len(texts[waiting[0]]) == len(settings.seeds):
            by_trial = texts.pop(waiting.popleft())
            yield [by_trial[trial] for trial in sorted(by_trial)]


def weighed(
    shares: Mapping[str, float], votes: Mapping[str, int], *, odds: float = _ODDS
) -> dict[str, float]:
    """Return the probabilities of entries after a model has voted for some of them, by Bayes' rule.

    All votes together weigh as one word, for samples of one model are much alike. What `shares`
    leave to entries that are not there stays beside them.
    """
    cast = max(1, sum(votes.values()))
    floored = {entry: max(share, _LEAST) for entry, share in shares.items()}
    raised = {e: share * odds ** (votes.get(e, 0) / cast) for e, share in floored.items()}
    total = sum(raised.values()) + max(0.0, 1 - sum(floored.values()))
    return {entry: round(value / total, 4) for entry, value in raised.items()}


def outweighed(choice: str, winner: str, share: float) -> str:
    """Say that a choice is not taken, for another one stays likelier in spite of it."""
    return f"names {choice}, and {winner} of the embedded model stays likelier, at {share:.0%}"


def quotes(answer: str, text: str) -> tuple[Span, ...]:
    """List the places that the answer quotes from the text, each with the same weight."""
    lower = text.lower()
    if len(lower) != len(text):  # a letter whose lower case is two would shift the places
        lower = text
    quotes = dict.fromkeys(next(filter(None, m.groups())) for m in _QUOTED.finditer(answer))
    places = [(at, at + len(q)) for q in quotes if (at := lower.find(q.lower())) >= 0]
    return tuple(Span(start, end, text[start:end], 1 / len(places)) for start, end in places)
