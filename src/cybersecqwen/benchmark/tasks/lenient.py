r"""Read an answer as a lenient reader does: any clear answer, whichever form it stands in.

No published score rests on it. It says how many points a model loses to the form of its answers.

>>> reader = LenientReader(r"(?:option )?\b([A-D])\b", str.upper)
>>> reader(Item("cti-mcq", 0, "", "B"), r"Hence \boxed{B}, not A.")
Reading(answer='B', form='boxed', stated=True)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple
from unicodedata import normalize

from cybersecqwen.records import Item

_CHOSEN = r"(?:(?:final|correct|selected|chosen|predicted|best)_?)?"
_KEY = (
    rf"{_CHOSEN}(?:answer|choice|option|letter|label)(?:_?(?:letter|option|label|id))?"
    r"|response|result|final|output|prediction|cwe(?:[_ -]?id)?|vector|cvss\w*|\w*vector"
)
_TAG = r"(?:final_?)?(?:answer|response)|ans|choice|option|solution|result|output|final"
_LABEL = (
    r"ans(?:wer)?|choice|correct(?: (?:option|letter))?|mapping|classification|solution|selected"
    r"|selection|pick|verdict|output|result|response|conclusion|prediction|cwe(?: id)?"
    r"|vector(?: string)?|respuesta(?: correcta)?|réponse|antwort|risposta|resposta|ответ"
    r"|(?:正确)?答案|正解|정답"
)
_VERB = r"\s(?:is|would be|should be|must be|to be|es)\b|[是は:=]|\s[-\u2013\u2014]\s"
# Forms that say: this is the answer. ANSWER is the pattern of the task's answers.
STATED = {
    "boxed": r"\\(?:boxed|fbox)\s*\{(?:\\\w+\s*\{)?\W{0,8}ANSWER",
    "tagged": rf"<\|?(?:{_TAG})\|?>\W{{0,8}}ANSWER",
    "JSON": rf"""["'](?:{_KEY})["']\s*:\s*[\["']{{0,2}}\s?ANSWER[^"\n]{{0,80}}?["']?\s*[,\]}}}}]""",
    # Behind a backslash the name of a LaTeX command may stand: \\text{B}.
    "stated": rf"\b(?:{_LABEL})\W{{0,4}}(?:{_VERB})[^\w\n]{{0,12}}(?:(?<=\\)\w+\s*\{{\W{{0,4}})?"
    r"(?:(?:option|letter)\s+)?ANSWER",
}
# Forms in which an answer is clear only where it is the only one.
UNSTATED = {
    "bold": r"(?:\*\*|__|\\(?:text|math)\w*\s*\{|<(?:b|strong|em|i|p|code)>)\W{0,8}ANSWER",
    "on a line of its own": r"^[^\w\n]{0,12}ANSWER[^\w\n]{0,12}$",
}
IN_RUNNING_TEXT, IN_WORDS, SEVERAL = "in running text", "in words", "several ids"


class Reading(NamedTuple):
    """An answer, None for none, the form that it stands in, and whether it says to be the answer.

    `form` is SEVERAL where there is more than one to choose from.
    """

    answer: str | None
    form: str = ""
    stated: bool = False


NOTHING = Reading(None)


def nothing(item: Item, text: str) -> Reading:
    """Read nothing, for a task that has no lenient reader."""
    return NOTHING


class LenientReader:
    """Reads the answers of a task that match a pattern, `normalise` makes them the gold's form.

    `stated` is a wider pattern for where the answer is said to be one. `mention` tells whether
    one in running text is an answer, `words` finds answers that name no id or letter.
    """

    def __init__(
        self,
        answer: str,
        normalise: Callable[[str], str | None],
        *,
        stated: str = "",
        mention: bool = False,
        words: Callable[[Item, str], Iterable[str]] = lambda item, text: (),
    ) -> None:
        self._answer, self._stated = answer, stated or answer
        self._normalise, self._mention, self._words = normalise, mention, words

    @cached_property
    def _patterns(self) -> tuple[dict[str, re.Pattern[str]], dict[str, re.Pattern[str]]]:
        unstated = UNSTATED | ({IN_RUNNING_TEXT: "ANSWER"} if self._mention else {})
        return _compiled(STATED, self._stated), _compiled(unstated, self._answer)

    def __call__(self, item: Item, text: str) -> Reading:
        """Read one answer: the only one that is stated, else the only one in another form."""
        text, several = normalize("NFKC", text), False
        for patterns in self._patterns:
            for form, pattern in patterns.items():
                named = self._named(pattern, text)
                if len(named) == 1:
                    return Reading(named.pop(), form, stated=patterns is self._patterns[0])
                several = several or bool(named)
        words = set(self._words(item, text))
        if len(words) == 1 and not several:
            return Reading(words.pop(), IN_WORDS)
        return Reading(None, SEVERAL) if several or words else NOTHING

    def _named(self, pattern: re.Pattern[str], text: str) -> set[str]:
        matches = (next(filter(None, match.groups()), "") for match in pattern.finditer(text))
        return {answer for answer in map(self._normalise, matches) if answer}


def _compiled(forms: dict[str, str], answer: str) -> dict[str, re.Pattern[str]]:
    """Put the pattern of an answer into each form; its groups are the answer, its case its own."""
    return {
        form: re.compile(
            "".join(
                f"(?:{answer})" if part == "ANSWER" else f"(?i:{part})" if part else ""
                for part in re.split("(ANSWER)", pattern)
            ),
            re.MULTILINE,
        )
        for form, pattern in forms.items()
    }
