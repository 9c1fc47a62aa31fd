"""A test bed for the rules of contamination: rows of which it is known what they copy, or that
they copy nothing.

    for case in copies(items, seed=42):     # each made from one item, in one stated way
        ...
    for case in siblings(items, seed=42):   # another flaw, told in the item's own boilerplate
        ...

Every case is drawn with the seed: the same items give the same cases.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from cybersecqwen.contamination import Row, is_number, tokens
from cybersecqwen.prompts import mcq_prompt, rcm_prompt
from cybersecqwen.records import Item

_WORD = re.compile(r"[^\W_]+")
_NAMES = 3  # a word that fewer items have names a product, a file or a parameter

# How descriptions say the same thing otherwise; a match is replaced by the other side.
_PHRASES = (
    ("allows remote attackers to", "lets an attacker on the network"),
    ("allows an attacker to", "makes it possible for somebody to"),
    ("allow an attacker to", "make it possible for somebody to"),
    ("allows attackers to", "gives attackers the means to"),
    ("allow a remote attacker to", "enable an adversary elsewhere to"),
    ("an attacker could", "it is possible for an adversary to"),
    ("this vulnerability", "the flaw"),
    ("this issue", "the problem"),
    ("vulnerability", "weakness"),
    ("vulnerabilities", "weaknesses"),
    ("arbitrary code", "code of their choice"),
    ("arbitrary commands", "any command"),
    ("via a crafted", "by way of a specially made"),
    ("via the", "through the"),
    ("via", "by means of"),
    ("is vulnerable to", "suffers from"),
    ("was discovered to contain", "turned out to have"),
    ("leads to", "results in"),
    ("leading to", "which results in"),
    ("could lead to", "may end in"),
    ("execute", "run"),
    ("obtain", "get hold of"),
    ("sensitive information", "confidential data"),
    ("denial of service", "an outage"),
    ("prior to", "before"),
    ("improper", "incorrect"),
    ("exploit", "abuse"),
    ("affected by", "subject to"),
    ("has been", "was"),
    ("which of the following", "which one of these"),
    ("what is the", "name the"),
    ("used by", "employed by"),
    ("according to", "going by"),
)
_PHRASE = re.compile(r"\b(" + "|".join(re.escape(old) for old, _ in _PHRASES) + r")\b", re.I)
_OTHER = dict(_PHRASES)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


class Case(NamedTuple):
    """A row of which is known what it copies: `item`, or nothing where that is None."""

    kind: str
    row: Row
    item: Item | None


def copies(items: Sequence[Item], *, seed: int) -> Iterator[Case]:
    """Yield each item in each way of KINDS that changes its text, with its gold answer."""
    for item in items:
        rng = random.Random(f"{seed} {item.task} {item.index}")
        for kind, change in KINDS.items():
            text = change(item, rng)
            if text != item.text or kind == "verbatim":
                yield Case(kind, Row(text, answer=_answer(item)), item)


def siblings(items: Sequence[Item], *, seed: int) -> Iterator[Case]:
    """Yield for each description one that tells of another flaw in the same words.

    Every word that few items have (the product, its parts, files and parameters) is replaced by
    such a word of other items, every number by another. Only items with at least three such words
    have a sibling.
    """
    counts = Counter(word for item in items for word in set(tokens(item.text)))
    named = [[w for w in _WORD.findall(item.text) if _is_name(w, counts)] for item in items]
    pool = [word for words in named for word in words]
    for item, own in zip(items, named, strict=True):
        if len(set(own)) < _NAMES or item.options:
            continue
        rng = random.Random(f"{seed} sibling {item.task} {item.index}")
        other = {word: rng.choice(pool) for word in dict.fromkeys(own)}
        text = _WORD.sub(lambda m, other=other: other.get(m[0], m[0]), item.text)  # type: ignore[misc]
        yield Case("sibling", Row(_other_numbers(text, rng), answer=_answer(item)), None)


def _is_name(word: str, counts: Counter[str]) -> bool:
    return counts[word.casefold()] < _NAMES and not is_number(word.casefold()) and len(word) > 1


def _answer(item: Item) -> str:
    if item.options:
        return item.options["ABCD".index(item.gold)]
    return item.gold


def _prompted(item: Item) -> str:
    """Show the item as training data does: inside an instruction."""
    if item.options:
        return mcq_prompt(item.text, item.options)
    return rcm_prompt(item.text)


def _retyped(item: Item, rng: random.Random) -> str:
    text = item.text.lower() if rng.random() < 0.5 else item.text.upper()
    return re.sub(r"[,;:]\s", " - ", text).replace(". ", " / ")


def _other_numbers(text: str, rng: random.Random) -> str:
    return _WORD.sub(
        lambda m: str(rng.randrange(1, 60)) if is_number(m[0].casefold()) else m[0], text
    )


def _renamed(item: Item, rng: random.Random) -> str:
    """Give the product another name wherever it stands: its most frequent capitalised word."""
    words = [w for w in _WORD.findall(item.text)[1:] if w[0].isupper() and not w.isupper()]
    if not words or item.options:
        return item.text
    name = Counter(words).most_common(1)[0][0]
    other = rng.choice(("Quilltide", "Marrowgate", "Ostwell", "Fennimore", "Bracklane"))
    return _other_numbers(re.sub(rf"\b{re.escape(name)}\b", other, item.text), rng)


def _edited(share: float) -> Callable[[Item, random.Random], str]:
    """Drop, double, swap or misspell this share of the words."""

    def change(item: Item, rng: random.Random) -> str:
        words = item.text.split()
        for _ in range(max(1, round(share * len(words)))):
            i = rng.randrange(len(words) - 1)
            way = rng.randrange(4)
            if way == 0:
                del words[i]
            elif way == 1:
                words.insert(i, rng.choice(("also", "the", "certain", "some", "then")))
            elif way == 2:
                words[i], words[i + 1] = words[i + 1], words[i]
            else:
                words[i] = words[i][:-1] + rng.choice("aeiou")
        return " ".join(words)

    return change


def _cut(item: Item, rng: random.Random) -> str:
    words = item.text.split()
    keep = round(len(words) * 0.7)
    return " ".join(words[:keep] if rng.random() < 0.5 else words[-keep:])


def _padded(item: Item, rng: random.Random) -> str:
    more = (
        "This entry was imported from the vendor's advisory page and has not been reviewed.",
        "Administrators should apply the update as soon as their change window allows.",
        "No workaround is on record, and nobody has reported attacks so far.",
        "The reporter was credited in the release notes of the fixed build.",
    )
    return " ".join((rng.choice(more), item.text, *rng.sample(more, 3)))


def _paraphrased(item: Item, rng: random.Random) -> str:
    """Say it otherwise: idioms replaced, sentences in another order."""
    sentences = _SENTENCE.split(_PHRASE.sub(lambda m: _OTHER[m[0].lower()], item.text))
    rng.shuffle(sentences)
    return " ".join(sentences)


# How a copy may differ from its item, the slightest change first.
KINDS: dict[str, Callable[[Item, random.Random], str]] = {
    "verbatim": lambda item, _: item.text,
    "prompted": lambda item, _: _prompted(item),
    "retyped": _retyped,
    "other numbers": lambda item, rng: _other_numbers(item.text, rng),
    "renamed": _renamed,
    "padded": _padded,
    "cut": _cut,
    "edited 5 %": _edited(0.05),
    "edited 10 %": _edited(0.10),
    "edited 20 %": _edited(0.20),
    "paraphrased": _paraphrased,
}
