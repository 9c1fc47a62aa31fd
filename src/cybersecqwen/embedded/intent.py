"""Tell from who acts, what is to come of it and whose it is that somebody prepares an attack.

>>> is_hostile("How do I read my flatmate's mails?")
True
>>> is_hostile("How do I check whether somebody reads my mails?")
False
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

from cybersecqwen.embedded.lexicon import read_lexicon
from cybersecqwen.embedded.phrases import Match, Phrases, tokens

_LONGEST = 400  # tokens
_SENTENCE = re.compile(r"[.!?;\n]+(?=\s|\Z)")
_GAPS = {"…": 7, "……": 30}  # the most tokens that they stand for
_ORDERS = ("order", "rework", "jailbreak")  # what counts at the beginning of a sentence
Spans = dict[str, list[Match]]


class _Step(NamedTuple):
    """A list of a rule, and the most tokens before it, which are of its sentence unless far."""

    name: str
    most: int
    far: bool


class _Lexicon(NamedTuple):
    lists: dict[str, Phrases]
    rules: dict[str, list[list[_Step]]]


def is_hostile(text: str, *, wants_product: bool = True) -> bool:
    """Tell whether a rule of intent.toml fits a text, and no word in it is a defender's.

    Without `wants_product` the text is known to ask for no malware, code or the like.
    """
    parts = [tokens(sentence) for sentence in _SENTENCE.split(text)]
    cut = list(chain.from_iterable(parts))[:_LONGEST]
    sentence = list(chain.from_iterable([number] * len(part) for number, part in enumerate(parts)))
    lexicon = _lexicon()
    spans = {name: phrases.find(cut) for name, phrases in lexicon.lists.items()}
    if _is_defended(spans):
        return False
    polite = {one.start for one in spans["polite"]}
    for name in _ORDERS:
        spans[name] = [one for one in spans[name] if _begins(one.start, sentence, polite)]
    return any(
        _fits(rule, spans, sentence)
        for name, rules in lexicon.rules.items()
        for rule in rules
        if wants_product or name != "product"
    )


@cache
def _lexicon() -> _Lexicon:
    table = read_lexicon("intent.toml")
    lists = {name: Phrases({name: phrases}) for name, phrases in table["lists"].items()}
    rules = {name: [_steps(rule) for rule in rules] for name, rules in table["rules"].items()}
    return _Lexicon(lists, rules)


def _steps(rule: str) -> list[_Step]:
    """Read a rule.

    >>> _steps("how … access owned")[1:]
    [_Step(name='access', most=7, far=False), _Step(name='owned', most=0, far=False)]
    """
    words = rule.split()
    before = ["", *words]
    return [
        _Step(name, _GAPS.get(gap, 0), gap == "……")
        for gap, name in zip(before, words, strict=False)
        if name not in _GAPS
    ]


def _fits(rule: Sequence[_Step], spans: Spans, sentence: Sequence[int]) -> bool:
    """Tell whether the lists of a rule stand in a text one behind the other."""
    first, *rest = rule
    ends = {one.end for one in spans[first.name]}
    for step in rest:
        ends = {
            one.end
            for one in spans[step.name]
            for end in ends
            if 0 <= one.start - end <= step.most
            and (step.far or sentence[one.start] == sentence[end - 1])
        }
    return bool(ends)


def _begins(place: int, sentence: Sequence[int], polite: Collection[int]) -> bool:
    """Tell whether a token begins a sentence, behind words of politeness or none."""
    while place and place - 1 in polite and sentence[place - 1] == sentence[place]:
        place -= 1
    return place == 0 or sentence[place - 1] != sentence[place]


def _is_defended(spans: Spans) -> bool:
    """Tell whether a text has a word of defence, other than one that is to be got past."""
    evaded = {one.end for one in spans["evade"]}
    return any(
        not evaded.intersection(range(one.start - 2, one.start + 1)) for one in spans["defence"]
    )
