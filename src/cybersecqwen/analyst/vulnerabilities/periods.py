"""Periods of time that a question names, as the first and the last day.

>>> take_period("foo cves since march 2024")[1:]
('2024-03-01', '')
>>> take_period("added on the 30th of july, 2024")[1:]
('2024-07-30', '2024-07-30')
>>> take_period("foo cves from 2024")[1:], take_period("foo cves from 2024 on")[1:]
(('2024-01-01', '2024-12-31'), ('2024-01-01', ''))
"""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta

_MONTHS = {name.lower(): n for n, name in enumerate(calendar.month_name) if name} | {
    name.lower(): n for n, name in enumerate(calendar.month_abbr) if name
}
_MONTHS["sept"] = 9
_NAMES = "|".join(sorted(_MONTHS, key=len, reverse=True))
_YEAR = r"(?:19|20)\d\d"
# A day as it is written in words, which becomes one in digits before anything else is read.
_DAY_FIRST = re.compile(
    rf"\b(?:the )?(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_NAMES})\.?,? ({_YEAR})\b"
)
_MONTH_FIRST = re.compile(rf"\b({_NAMES})\.? (?:the )?(\d{{1,2}})(?:st|nd|rd|th)?,? ({_YEAR})\b")
_SLASHED = re.compile(rf"\b({_YEAR})[/.](\d\d?)[/.](\d\d?)\b")
# "Between 1 and 14 February 2025": what the first of two days or months leaves out.
_AND = r"(and|to|until|till|through|-|–)"
_TWO_DAYS = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: ({_NAMES})\.?)? {_AND}"
    rf"(?= (?:the )?\d{{1,2}}(?:st|nd|rd|th)? ({_NAMES})\.?,? ({_YEAR})\b)"
)
_TWO_DATES = re.compile(
    rf"\b({_NAMES})\.? (\d{{1,2}})(?:st|nd|rd|th)? {_AND} (?:({_NAMES})\.? )?"
    rf"(\d{{1,2}})(?:st|nd|rd|th)?,? ({_YEAR})\b"
)
_TWO_MONTHS = re.compile(rf"\b({_NAMES})\.? {_AND}(?= (?:{_NAMES})\.? ({_YEAR})\b)")
_NAMED_QUARTER = re.compile(rf"\b(first|second|third|fourth|last) quarter (?:of )?({_YEAR})\b")
_QUARTERS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": 4}
_QUARTER = re.compile(rf"\b(?:(q[1-4])[ /-]?({_YEAR})|({_YEAR})[ /-]?(q[1-4]))\b")
_TIME = rf"(?:{_YEAR}(?:-\d\d(?:-\d\d)?|q[1-4])?|(?:{_NAMES})\.?,?(?: of)? {_YEAR})"
_BETWEEN = re.compile(
    rf"\b(?:(?:between|from) ({_TIME}) (?:and|to|until|till|through|-|–)"
    rf"|({_TIME}) ?(?:to|until|till|through|-|–)) ?({_TIME})(?![\d-])"
)
_BOUND = re.compile(
    rf"\b(?:(since|starting(?: in)?|after|later than|newer than|from|before|prior to|"
    rf"earlier than|older than|until|till|up to|no later than|by|in|on|of|during|for) )?"
    rf"(?:the year )?({_TIME})(?![\d-])"
    rf"((?: |-)?(?:on(?:wards?)?\b(?! the\b)|and (?:later|newer|after|up)|or (?:later|newer))|\+)?"
)
_TWO_BOUNDS = re.compile(
    rf"\b(since|after|later than|newer than) ({_TIME}),? (?:and |but )?"
    rf"(before|prior to|earlier than|older than|until|till|up to) ({_TIME})(?![\d-])"
)
_RELATIVE = re.compile(
    r"\b(?:in |of |from |during |within )?(?:the )?(this|last|past|previous) (\d{1,4} ?)?"
    r"(h|hr|hour|day|week|month|year)s?\b"
)
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_HOURS = 24  # of a day
_YEARS = re.compile(rf"\b(?<!between )({_YEAR})((?:(?: ?[,&/]| and| or)+ ?{_YEAR})+)(?![\d-])")
# "Which were added today", but not "how many are there today".
_TODAY = re.compile(
    r"\b((?:added|published|disclosed|released|listed|landed|put|appeared|came)(?: \w+){0,5}?"
    r"|from|since|of)"
    r" (today|yesterday)\b"
)


def take_period(text: str) -> tuple[str, str, str]:
    """Take the dates out of a text in lower case.

    Return the rest, with "|" where the period stood, and the first and the last day, "" where the
    period has none.
    """
    text = _in_digits(text)
    if match := _TWO_BOUNDS.search(text):
        since, until = _both_bounds(match)
    elif match := _BETWEEN.search(text):
        since, until = _first_day(match[1] or match[2]), _last_day(match[3])
    elif match := _RELATIVE.search(text):
        since, until = _relative(match[1], match[2], match[3])
    elif match := _bound(text):
        since, until = _bounds("since" if match[3] else match[1] or "in", match[2])
    else:
        return text, "", ""
    return f"{text[: match.start()]} | {text[match.end() :]}", since, until


def _bound(text: str) -> re.Match[str] | None:
    """Find a time; a bare year may belong to a name where another stands behind "in" or "since"."""
    found = [*_BOUND.finditer(text)]
    return next((match for match in found if match[1] or match[3]), found[0] if found else None)


def _both_bounds(match: re.Match[str]) -> tuple[str, str]:
    one, other = _bounds(match[1], match[2]), _bounds(match[3], match[4])
    return max(one[0], other[0]), one[1] or other[1]


def _in_digits(text: str) -> str:
    """Write days and quarters in one form."""
    text = _TWO_DAYS.sub(lambda m: f"{m[1]} {m[2] or m[4]} {m[5]} {m[3]}", text)
    text = _TWO_DATES.sub(
        lambda m: f"{m[2]} {m[1]} {m[6]} {m[3]} {m[5]} {m[4] or m[1]} {m[6]}", text
    )
    text = _TWO_MONTHS.sub(lambda m: f"{m[1]} {m[3]} {m[2]}", text)
    text = _TODAY.sub(lambda m: f"{m[1]} {_days_ago(m[2] == 'yesterday')}", text)
    text = _YEARS.sub(_as_range, text)
    text = _NAMED_QUARTER.sub(lambda m: f"{m[2]}q{_QUARTERS[m[1]]}", text)
    text = _DAY_FIRST.sub(lambda m: _written(m[3], _MONTHS[m[2]], m[1]), text)
    text = _MONTH_FIRST.sub(lambda m: _written(m[3], _MONTHS[m[1]], m[2]), text)
    text = _SLASHED.sub(lambda m: _written(m[1], int(m[2]), m[3]), text)
    return _QUARTER.sub(lambda m: (m[2] or m[3]) + (m[1] or m[4]), text)


def _as_range(match: re.Match[str]) -> str:
    """Write years that follow each other as a range; others stay as they are."""
    years = sorted({int(year) for year in re.findall(_YEAR, match[0])})
    whole = years[-1] - years[0] == len(years) - 1
    return f"{years[0]} to {years[-1]}" if whole else match[0]


def _days_ago(days: int) -> str:
    return (date.today() - timedelta(days)).isoformat()


def _written(year: str, month: int, day: str) -> str:
    return f"{year}-{month:02}-{int(day):02}"


def _bounds(word: str, when: str) -> tuple[str, str]:
    # "From 2024" is in that year, and "from 30 July 2024" begins with that day.
    if word in ("since", "starting", "starting in") or (word == "from" and _parts(when)[2]):
        return _first_day(when), ""
    if word in ("after", "later than", "newer than"):
        return (date.fromisoformat(_last_day(when)) + timedelta(1)).isoformat(), ""
    if word in ("before", "prior to", "earlier than", "older than"):
        return "", (date.fromisoformat(_first_day(when)) - timedelta(1)).isoformat()
    if word in ("until", "till", "up to", "no later than", "by"):
        return "", _last_day(when)
    return _first_day(when), _last_day(when)


def _relative(which: str, number: str | None, unit: str) -> tuple[str, str]:
    today = date.today()
    if unit == "year" and not number and which != "past":
        year = today.year - (which != "this")
        return f"{year}-01-01", f"{year}-12-31"
    if unit.startswith("h"):
        days = -(-int(number or 1) // _HOURS)
    else:
        days = min(_DAYS[unit] * int(number or 1), (today - date.min).days)
    return (today - timedelta(days)).isoformat(), ""


def _first_day(when: str) -> str:
    year, month, day = _parts(when)
    if "q" in when:
        return _day(year, month - 2, 1)
    return _day(year, month or 1, day or 1)


def _last_day(when: str) -> str:
    year, month, day = _parts(when)
    return _day(year, month or 12, day or 31)


def _day(year: int, month: int, day: int) -> str:
    """Write a date; one that the month does not have is its last day."""
    month = min(max(month, 1), 12)
    return date(year, month, min(max(day, 1), calendar.monthrange(year, month)[1])).isoformat()


def _parts(when: str) -> tuple[int, int, int]:
    """Split a time into year, month and day, 0 for what it lacks; a quarter is its last month."""
    if when[0].isalpha():
        name, *_, number = re.split(r"[., ]+", when)
        return int(number), _MONTHS[name], 0
    if "q" in when:
        return int(when[:4]), 3 * int(when[-1]), 0
    year, month, day, *_ = [*map(int, when.split("-")), 0, 0]
    return year, month, day
