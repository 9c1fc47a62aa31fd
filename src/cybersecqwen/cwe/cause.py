"""Find the words of a description that tell the cause, as MITRE's analysts would quote them.

Each word has a weight: how much likelier it stands in a quotation of an analyst than beside one.
A word of the weakness's name weighs more. The run of words of one clause with the greatest sum is
the quotation. `benchmarks/quotes.py` learned the weights and measures them.

>>> cause("In Foo 1.2, a missing permission check allows local users to read files.")
'missing permission check'
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice, takewhile
from pathlib import Path
from typing import NamedTuple

from cybersecqwen.cwe.rationale import STEM, STOP_WORDS, is_name, rationale, stems
from cybersecqwen.records import Weakness

WEIGHTS = Path(__file__).with_name("cause_words.json")
_TOKEN = re.compile(r"[A-Za-z][\w'/-]*|\d[\w.]*|[^\w\s]|\n\s*\n")
_BORDERS = frozenset('.,;:()[]{}<>"“”`')
_LONGEST = 16  # words
_NEGATIONS = frozenset({"not", "no", "without"})
# Words after which a clause goes on, by up to so many tokens with the word itself.
_OPEN = _NEGATIONS | {
    "properly",
    "correctly",
    "sufficiently",
    "adequately",
    "missing",
    "lack",
    "lacks",
}
_FINISH = 4


class Token(NamedTuple):
    """A word, number or mark, and where it stands in its text."""

    start: int
    end: int
    text: str


def tokens(text: str) -> list[Token]:
    """Cut a text into words, numbers and marks."""
    return [Token(*match.span(), match.group()) for match in _TOKEN.finditer(text)]


def word_of(token: Token) -> str:
    """Return the word that a token is weighed as: in lower case, all numbers alike, code alike."""
    text = token.text
    if text[0].isdigit():
        return "#"
    return "_" if re.search(r"[_/]|\w[A-Z]", text) and not text.isupper() else text.lower()


def cause(description: str, name: str = "") -> str:
    """Return the words that tell the cause, verbatim, of a weakness of that name; "" if none do."""
    run = best_run(tokens(description), _weights(), stems(name))
    return description[run[0] : run[1]] if run else ""


def names(description: str, weakness: Weakness) -> bool:
    """Tell whether the words of the cause are those of a weakness's name.

    >>> name = "Improper Input Validation"
    >>> names("Improper validation of input in Foo.", Weakness("CWE-20", name, "weakness"))
    True
    """
    return is_name(cause(description, weakness.name), weakness)


def argue(description: str, weakness: Weakness) -> str:
    """Write the answer to learn: what the text says, what it maps to, last the bare CWE id."""
    return rationale(description, weakness, cause(description, weakness.name))


class Weights(NamedTuple):
    """What each word weighs, one that is not known, and a word of the weakness's name besides."""

    words: Mapping[str, float]
    unknown: float
    named: float

    def of(self, word: str, named: frozenset[str]) -> float:
        """Weigh a word where these are the stems of the weakness's name."""
        return self.words.get(word, self.unknown) + (word[:STEM] in named) * self.named


def best_run(
    found: Sequence[Token], weights: Weights, named: frozenset[str]
) -> tuple[int, int] | None:
    """Return start and end of the run of words of one clause that weighs most; None for none."""
    best, most = None, 0.0
    total, first = 0.0, 0
    for n, token in enumerate(found):
        if _is_border(token):
            total = 0.0
            continue
        if total <= 0 or n - first >= _LONGEST:
            total, first = 0.0, n
        total += weights.of(word_of(token), named)
        if total > most:
            best, most = (first, n), total
    return _trimmed(found, *best) if best else None


def _trimmed(found: Sequence[Token], first: int, last: int) -> tuple[int, int]:
    """Leave out what tells nothing at either end of a run, and finish what it breaks off."""
    while first < last and _is_empty(found[first]):
        first += 1
    if first and found[first - 1].text.lower() in _NEGATIONS:
        first -= 1
    telling = [n for n in range(first, last + 1) if not _is_empty(found[n])]
    if telling and found[telling[-1]].text.lower() in _OPEN:
        clause = takewhile(lambda n: not _is_border(found[n]), range(last, len(found)))
        last = max(islice(clause, _FINISH))
    while first < last and _is_empty(found[last]):
        last -= 1
    return found[first].start, found[last].end


def _is_border(token: Token) -> bool:
    return token.text in _BORDERS or token.text.isspace()


def _is_empty(token: Token) -> bool:
    word = token.text.lower()
    return not word[0].isalnum() or (word in STOP_WORDS and word not in _NEGATIONS)


@cache
def _weights() -> Weights:
    file = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    weights = {word: float(w) for w, words in file["weights"].items() for word in words.split()}
    return Weights(weights, file["unknown"], file["named"])
