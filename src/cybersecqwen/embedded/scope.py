"""Tell a text that is none to classify: empty, not English, or about no vulnerability.

>>> out_of_scope([], pairs=0.0, chance=0.0)
'the text is empty'
>>> out_of_scope("le chat est dans la maison".split(), pairs=0.1, chance=0.05)
'the text is not English'
>>> out_of_scope("add two cups of flour".split(), pairs=0.0, chance=0.02)
'the text does not describe a vulnerability'

The limits were set on held-out CVE descriptions, see docs/lab/embedded.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from cybersecqwen.embedded.lexicon import word_set
from cybersecqwen.embedded.tokenizer import NUMBER

EMPTY = "the text is empty"
FOREIGN = "the text is not English"
UNRELATED = "the text does not describe a vulnerability"

_CHANCE = 0.2  # a first class from here on is a sign by itself
# Shares of neighbouring words known from descriptions, below which a text reads otherwise:
# with a word of a flaw in it, and without one.
_PAIRS, _BARE_PAIRS = 0.3, 0.5
_OTHER_SCRIPT = 0.3  # of the words that hold a letter beyond a to z

_FLAW = word_set("flaw")
_ENGLISH, _FOREIGN = word_set("english"), word_set("foreign")
_BEFORE_VERSION = frozenset({"before", "through", "to", "in"})  # "before 1.2", "prior to 3"


def out_of_scope(cut: Sequence[str], *, pairs: float, chance: float) -> str:
    """Say why a text, given as its words, is none to classify; "" where it is one.

    `pairs` is the share of its pairs of neighbouring words that the classifier knows, and
    `chance` the probability of its first class.
    """
    if not any(word != NUMBER for word in cut):
        return EMPTY
    if _foreign(cut):
        return FOREIGN
    if chance >= _CHANCE or pairs >= _BARE_PAIRS or (pairs >= _PAIRS and _signs(cut)):
        return ""
    return UNRELATED


def _foreign(cut: Sequence[str]) -> bool:
    if not "".join(cut).isascii():
        others = sum([not word.isascii() for word in cut])
        if others > _OTHER_SCRIPT * len(cut):
            return True
    if _FOREIGN.isdisjoint(cut):
        return False
    other = sum([word in _FOREIGN for word in cut])
    return other >= 2 and other > sum([word in _ENGLISH for word in cut])


def _signs(cut: Sequence[str]) -> bool:
    return not _FLAW.isdisjoint(cut) or any(
        word in _BEFORE_VERSION and following == NUMBER for word, following in pairwise(cut)
    )
