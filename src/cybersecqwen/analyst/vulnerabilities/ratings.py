"""Conditions on CVSS that a question names: a range of scores, and parts of the vector.

>>> take_scores("foo cves with cvss below 7")[1]
(0.0, 6.9)
>>> take_severities("foo cves rated high or critical")[1]
(7.0, 10.0)
>>> take_metrics("over the network, no privs, zero click")[1]
(('AV', 'N'), ('UI', 'N'), ('PR', 'N'))
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cybersecqwen.analyst.vulnerabilities.negation import take_denial
from cybersecqwen.analyst.vulnerabilities.wording import compiled, listed, table
from cybersecqwen.records import Cvss

Scores = tuple[float, float]  # from … to, both inclusive
Metrics = tuple[tuple[str, str], ...]  # a part of the vector, and the letters it may have

# The values of a part, of all versions of CVSS, of which those that are not denied remain.
_LETTERS = {"AV": "NALP", "AC": "LMH", "PR": "NLHSM", "UI": "NRPA", "S": "UC"}
_STEP = 0.1  # between two scores
_HIGHEST = 10.0
_NUMBER = r"(10(?:\.0)?|\d(?:\.\d)?)(?![\d.]*\d)"
_OF_SCORE = (
    r"(?:with |a |an |the |having |whose |base )*(?:cvss|scor\w+|rat(?:ed|ings?)|severity)"
    r"(?: (?:cvss|base|scor\w+|rat(?:ed|ings?)|severity|v?[234](?:\.\d)?(?= )|is|are|of|a|at))*"
)
_AT_LEAST = "at least|minimum(?: of)?|min|no (?:less|lower) than|not below|from|≥|>="
_OVER = "above|over|greater than|higher than|more than|exceeding|>"
_AT_MOST = "at most|maximum(?: of)?|max|no (?:more|higher) than|not above|up to|≤|<="
_UNDER = "below|under|less than|lower than|smaller than|<"
_OPERATOR = rf"({_AT_LEAST}|{_OVER}|{_AT_MOST}|{_UNDER}|=|exactly)?"
_UP = r"or (?:more|higher|above|over|greater|up|worse)|and (?:above|higher|up|over|more)|plus\b|\+"
_DOWN = r"or (?:less|lower|below|under)|and (?:below|lower|under)"
_RANGE = rf"(?:between |from )?{_NUMBER} ?(?:and|to|-|–|through) ?{_NUMBER}"
_ONE = rf"{_OPERATOR} ?{_NUMBER}(?: ?({_UP}|{_DOWN}))?"
_PATTERNS = [
    re.compile(rf"\b{_OF_SCORE}[ :]*(?:{_RANGE}|{_ONE})(?: points?)?"),
    re.compile(
        rf"(?<![\w.-])(?<!top )(?<!first )(?<!worst )(?:{_RANGE}|{_ONE})"
        r"(?: (?:in|on|by))? (?:cvss|base score|scores?)\b"
    ),
    re.compile(rf"\bbetween {_NUMBER} and {_NUMBER}()()()"),  # dates are no longer there
]


# "A CVSS 4.0 score", which is none of 4.0.
_OF_VERSION = re.compile(
    r"\bcvss (?:v ?|version )?(?:[23]\.[01]|4\.0) (?:base )?(?:scores?|vectors?|ratings?)\b"
    rf"(?! ?(?:of|is|are|at|between|\d|[=:]|{_AT_LEAST}|{_OVER}|{_AT_MOST}|{_UNDER}))"
)
# "CVEs below 7", but not "versions below 7".
_BARE = re.compile(
    r"\b(?P<noun>cves|vuln\w*|bugs|flaws|issues|holes|ones|those)[ ,]+"
    r"(?:(?:that|which|are|rated) )*"
    rf"(?:({_AT_LEAST}|{_OVER}|{_AT_MOST}|{_UNDER})) ?{_NUMBER}(?! ?(?:%|[a-z]*day|of\b|\w+s\b))"
)


def take_scores(text: str) -> tuple[str, Scores | None]:
    """Take the range of scores out of a text in lower case: the rest, and the range."""
    if _OF_VERSION.search(text):
        return text, None
    for pattern in _PATTERNS:
        if match := pattern.search(text):
            low, high, operator, number, suffix = match.groups()
            bounds = (float(low), float(high)) if low else _bounds(operator, number, suffix)
            before, denied = take_denial(text[: match.start()])
            kept = _others(bounds) if denied else bounds
            return (f"{before} {text[match.end() :]}", kept) if kept else (text, None)
    return text, None


def take_bare_scores(text: str) -> tuple[str, Scores | None]:
    """Take a bound of scores that no word calls so, from behind what it is a bound of."""
    match = _BARE.search(text)
    if not match:
        return text, None
    rest = f"{text[: match.start()]}{match['noun']} {text[match.end() :]}"
    return rest, _bounds(match[2], match[3], None)


def _others(scores: Scores) -> Scores | None:
    """Return the scores outside of a range; None where they are two ranges."""
    low, high = scores
    if high >= _HIGHEST:
        return 0.0, round(low - _STEP, 1)
    return (round(high + _STEP, 1), _HIGHEST) if low <= _STEP else None


def _bounds(operator: str | None, number: str, suffix: str | None) -> Scores:
    value, word = float(number), operator or ""
    if suffix:
        return (value, _HIGHEST) if re.fullmatch(_UP, suffix) else (0.0, value)
    if re.fullmatch(_AT_LEAST, word):
        return value, _HIGHEST
    if re.fullmatch(_OVER, word):
        return round(value + _STEP, 1), _HIGHEST
    if re.fullmatch(_AT_MOST, word):
        return 0.0, value
    if re.fullmatch(_UNDER, word):
        return 0.0, round(value - _STEP, 1)
    return value, value


def take_severities(text: str) -> tuple[str, Scores | None]:
    """Take the names of severities out of folded text: one, several, or all above or below one.

    What is denied narrows the rest: "high or critical, but not critical".
    """
    scores: Scores | None = None
    while (found := _severities(text)) and (scores is None or found[2]):
        rest, bounds, denied = found
        low, high = scores or (0.0, _HIGHEST)
        others = _others(bounds) if denied else bounds
        if others is None:
            break
        text, scores = rest, (max(low, others[0]), min(high, others[1]))
    return text, scores


def _severities(text: str) -> tuple[str, Scores, bool] | None:
    """Take one range of severities: the rest, the range, and whether it is denied."""
    bounds = _named_severities()
    name = rf"(?:{'|'.join(bounds)})(?: (?:severity|rated|score[ds]?))?"
    match = re.search(
        rf"\b(?:(at least|at most|above|below) )?({name}(?: (?:or |and |to |nor )?{name})*)\b"
        r"( (?:or|and) (?:higher|above|up|worse|more)| (?:or|and) (?:lower|below|less)"
        r"| at (?:most|least|worst)| max(?:imum)?| min(?:imum)?)?",
        text,
    )
    if not match:
        return None
    ranges = [bounds[word] for word in match[2].split() if word in bounds]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    operator, suffix = match[1] or "", match[3] or ""
    if operator == "at least" or re.search("higher|above|up|worse|more|least|min", suffix):
        high = _HIGHEST
    elif operator == "at most" or suffix:
        low = 0.0
    elif operator == "above":
        low, high = round(high + _STEP, 1), _HIGHEST
    elif operator == "below":
        low, high = 0.0, round(low - _STEP, 1)
    before, denied = take_denial(text[: match.start()])
    return f"{before} {text[match.end() :]}", (low, high), denied


def _named_severities() -> dict[str, Scores]:
    names: dict[str, Scores] = {
        word: (low, high) for word, (low, high) in table()["severities"].items()
    }
    return names | {other: names[word] for other, word in table()["severity_names"].items()}


def take_metrics(text: str) -> tuple[str, Metrics]:
    """Take the conditions on the vector out of folded text: the rest, and the conditions."""
    metrics = []
    for condition, phrases in table()["metrics"].items():
        said = compiled(*phrases)
        if match := said.search(text):
            name, _, letters = condition.partition(":")
            before, denied = take_denial(text[: match.start()])
            if denied:
                letters = "".join(one for one in _LETTERS[name] if one not in letters)
                text = f"{before} {text[match.end() :]}"
            metrics.append((name, letters))
            text = said.sub(" ", text)
    return text, tuple(dict.fromkeys(metrics))


def has_metrics(cvss: Cvss, metrics: Metrics) -> bool:
    """Tell whether a vector meets all conditions; version 2 has Au in place of PR."""
    values = vector_values(cvss)
    if "Au" in values:
        values["PR"] = values["Au"]
    return all(values.get(name, "-") in letters for name, letters in metrics)


def vector_values(cvss: Cvss) -> dict[str, str]:
    """Return the letters of a vector by the names of its parts."""
    pairs = (part.partition(":") for part in cvss.vector.split("/"))
    return {name: value for name, _, value in pairs if name != "CVSS"}


def describe_metrics(metrics: Sequence[tuple[str, str]]) -> str:
    """Write conditions as they stand in a vector.

    >>> describe_metrics([("AV", "N"), ("PR", "LH")])
    'AV:N and PR:L or H'
    """
    return listed([f"{name}:{' or '.join(letters)}" for name, letters in metrics])
