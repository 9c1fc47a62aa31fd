r"""The parts of tasks with lettered options: extractors, and how a row gives the answer away.

>>> cascade("ABCDE")("The flaw is in the parser.\n\nAnswer: E").answer
'E'
"""

from __future__ import annotations

import re
from collections.abc import Callable
from string import ascii_uppercase

from cybersecqwen.benchmark.tasks.lenient import LenientReader
from cybersecqwen.benchmark.tasks.task import NO_ANSWER, Extraction
from cybersecqwen.records import Item

# Emphasis, quotes and brackets around a letter do not make it another answer.
OPEN = r"[\s*_`'\"(\[]*"
CLOSE = r"[*_`'\")\].:]*"

# The improper forms in the order they are tried, and whether equal matches may repeat.
_FAITH_IMPROPER = (
    (re.compile(r"\banswer\s+is:?\s+(?:\(|\*\*)?([A-Z])\b", re.IGNORECASE), True),
    (re.compile(r"\(([A-Z])\)"), False),
    (re.compile(r"\boption\s+([A-Z])\b", re.IGNORECASE), False),
    (re.compile(r"\A\W*([A-Z])\W*\Z", re.IGNORECASE), False),
)


def lone(letters: str) -> re.Pattern[str]:
    """Return the pattern of a line that is one of the letters and nothing else."""
    return re.compile(rf"{OPEN}([{letters}{letters.lower()}]){CLOSE}")


def cascade(letters: str) -> Callable[[str], Extraction]:
    """Return the rule that takes the first of several forms, among the given letters.

    They are `answer: X`, `answer is X`, a last line of one letter, `option X`; only the first is
    the form that the paper asks for. The letter is upper case except where it stands alone: in
    "the answer is a kind of", `a` is an article.
    """
    letter = rf"([{letters}])(?![A-Za-z0-9])"
    # After a colon a lower-case letter is an answer too, where only its line's end follows.
    lower = rf"([{letters.lower()}])(?=[*_`'\")\].]*[ \t]*$)"
    colon = re.compile(rf"(?i:answer)[*_`'\"]*\s*:{OPEN}(?:{letter}|{lower})", re.MULTILINE)
    verb = re.compile(rf"(?i:answer\s+is)\s*:?{OPEN}{letter}")
    option = re.compile(rf"(?i:option){OPEN}{letter}")
    alone = lone(letters)

    def read(text: str) -> Extraction:
        proper = colon.search(text)
        if proper:
            return Extraction((proper.group(1) or proper.group(2)).upper())
        lines = text.strip().splitlines() or [""]
        match = verb.search(text) or alone.fullmatch(lines[-1].strip()) or option.search(text)
        return Extraction(match.group(1).upper(), proper=False) if match else NO_ANSWER

    return read


def unique_answer(letters: str) -> Callable[[str], Extraction]:
    """Return FAITH's rule (0.3.2): `answer: X` if it names one letter only.

    Other forms are improper.
    """
    colon = re.compile(rf"\banswer\s*:\s*\(?([{letters}])\b", re.IGNORECASE)

    def read(text: str) -> Extraction:
        named = {letter.upper() for letter in colon.findall(text)}
        if len(named) == 1:
            return Extraction(named.pop())
        for pattern, may_repeat in _FAITH_IMPROPER:
            matches = [letter.upper() for letter in pattern.findall(text)]
            if len(matches) == 1 or (may_repeat and len(set(matches)) == 1):
                return Extraction(matches[0], proper=False)
        return NO_ANSWER

    return read


_PLACES = ("first", "second", "third", "fourth", "fifth")


def lenient_letter(letters: str) -> LenientReader:
    """Return the lenient reader of a letter, also where it or its option is named in words."""
    upper = rf"\(?([{letters}])(?![^\W_]|['’-]\w)"
    lower = rf"\(?([{letters.lower()}])(?=[)*_`\"'.}}\]<\s]{{0,8}}(?:$|[<}},]))"
    chosen = re.compile(
        rf"(?i:\b(?:choose|select|pick|go with|opt for)\s+(?:option\s+)?)([{letters}])\b"
        rf"|\b([{letters}])\W{{0,4}}(?i:\s(?:is|would be|seems)\s+(?:the\s+)?"
        rf"(?:correct|right|best|most))"
        rf"|(?i:\b({'|'.join(_PLACES)})\s+(?:option|choice|answer|one)\b)"
        rf"|^\W{{0,4}}([{letters}])\)?\s?[:.)-]\s"
        rf"|\b([{letters}])(?=\s*(?:n?or|and|/|&)\s*[{letters}]\b)"
        rf"|(?:(?<=or )|(?<=and )|(?<=/)|(?<=& ))([{letters}])\b",
        re.MULTILINE,
    )

    def words(item: Item, text: str) -> set[str]:
        from cybersecqwen.contamination import normalised

        named = {next(filter(None, match)) for match in chosen.findall(text)}
        said = f" {normalised(text)} "
        options = dict(zip(letters, map(normalised, item.options), strict=False))
        named |= {letter for letter, option in options.items() if option and f" {option} " in said}
        places = dict(zip(_PLACES, letters, strict=False))
        return {places.get(name.lower(), name) for name in named}

    return LenientReader(upper, str.upper, stated=f"{upper}|{lower}", words=words)


def gives_option(item: Item, answer: str, text: str) -> bool:
    """Tell whether a training row says the right option's words, also behind its letter."""
    from cybersecqwen.contamination import normalised

    letters = ascii_uppercase[: len(item.options)]
    gold = f" {normalised(item.options[letters.index(item.gold)])} "
    lines = answer.strip().splitlines()
    pattern = rf"\W*(?:answer\s*(?:is)?\W*)?([{letters}])\W*"
    letter = re.fullmatch(pattern, lines[-1], re.IGNORECASE) if lines else None
    said = [answer]
    if letter:  # an instruction may name the letters too: any text behind this one counts
        option = rf"\b{letter[1].upper()}[).:]\s*(.*?)(?=\s[{letters}][).:]|\n|$)"
        said = re.findall(option, text)
    return bool(gold.strip()) and any(gold in f" {normalised(words)} " for words in said)
