"""How many CVEs a question asks for: whether there are more than so many, or the newest few.

>>> take_numbers("are there more than 30 foo cves")[1:]
(('more than', 30), 0)
>>> take_numbers("the 3 latest foo cves")[1:]
(None, 3)
"""

from __future__ import annotations

import re

_COUNT = re.compile(
    r"\b(?:(no|not) )?"
    r"(more than|over|fewer than|less than|at least|at most|exactly|under) (\d{1,5})\b"
    r"(?= (?:(?!(?:are|is|was|were|in|on|with|that|which|have|and)\b)[\w-]+ ){0,5}?"
    r"(?:times|cves|vuln\w*|kev|entries|additions|bugs|flaws|holes|issues))"
)
_OPPOSITE = {
    "more than": "at most",
    "over": "at most",
    "fewer than": "at least",
    "less than": "at least",
    "under": "at least",
    "at least": "fewer than",
    "at most": "more than",
    "exactly": "exactly",
}
_LIMIT = re.compile(
    r"(?:\b(?:last|latest|newest|most recent|top|first|oldest|earliest|worst) (\d{1,3})\b"
    # and no number that ends a name: "Windows 11 latest CVEs"
    r"|(?:^ *|[,.:;?!] |\b(?:the|show|list|me|us|give|get|find|name|what|which|are|were|of|and) )"
    r"(\d{1,3}) (?=(?:latest|newest|most|oldest|earliest|worst|highest|last)\b))"
    r"(?! (?:day|week|month|quarter|year|hour|minute))"
)


def take_numbers(text: str) -> tuple[str, tuple[str, int] | None, int]:
    """Take "more than 30 CVEs" and "the 5 newest": the rest, the condition and the limit."""
    count, limit = _COUNT.search(text), _LIMIT.search(text)
    wanted = (_OPPOSITE[count[2]] if count[1] else count[2], int(count[3])) if count else None
    if count:
        text = f"{text[: count.start()]} {text[count.end() :]}"
    elif limit:
        number = limit[1] or limit[2]
        text = f"{text[: limit.start()]} {limit[0].replace(number, '')} {text[limit.end() :]}"
        return text, None, int(number)
    return text, wanted, 0


def is_number(number: int, count: tuple[str, int]) -> bool:
    """Tell whether a number is as many as were asked for."""
    operator, wanted = count
    if operator in ("more than", "over"):
        return number > wanted
    if operator in ("fewer than", "less than", "under"):
        return number < wanted
    if operator == "exactly":
        return number == wanted
    return number >= wanted if operator == "at least" else number <= wanted
