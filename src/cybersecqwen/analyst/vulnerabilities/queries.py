"""Questions for records: which CVEs of a product, of a time, with a weakness, that are exploited.

>>> query = parse("Which critical SQL injection CVEs in Foo Server since 2024-03 are in KEV?")
>>> query.words, query.since, query.cwes, query.severity, query.exploited
(('foo', 'server'), '2024-03-01', ('CWE-89',), (9.0, 10.0), True)
>>> parse("How do I prevent vulnerabilities?") is None
True

What is no filter and frames no question is the product, which the description or KEV has to name.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from cybersecqwen.analyst.vulnerabilities.wording import compiled, folded, pattern, table
from cybersecqwen.cwe.identifiers import entry_ids

_MONTHS = {name.lower(): n for n, name in enumerate(calendar.month_name) if name} | {
    name.lower(): n for n, name in enumerate(calendar.month_abbr) if name
}
_DAY = r"(?:19|20)\d\d(?:-\d\d(?:-\d\d)?)?"
_MONTH = rf"(?:{'|'.join(_MONTHS)})\.? (?:19|20)\d\d"
_TIME = rf"(?:{_DAY}|{_MONTH})"
_BETWEEN = re.compile(rf"\b(?:between|from) ({_TIME}) (?:and|to|until|till|through) ({_TIME})\b")
_BOUND = re.compile(
    rf"\b(since|after|from|before|until|till|up to|in|of|during|for|published in)? ?({_TIME})\b"
)
_RELATIVE = re.compile(
    r"\b(?:in |of |from |during )?(?:the )?(this|last|past|previous) (\d+ )?"
    r"(day|week|month|year)s?\b"
)
_SCORE = re.compile(
    r"\b(?:with )?(?:a )?(?:cvss|scored?|rated)(?: base)?(?: scores?)?"
    r"(?: v?[234](?:\.\d)? )?(?: of)?"
    r" ?(>=?|≥|at least|above|over|greater than|higher than|from|=|of)? ?(\d{1,2}(?:\.\d)?)"
    r"( or (?:more|higher|above)| and (?:above|higher)|\+)?"
)
_LONGEST = 2000  # characters of a question for records
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """What a question for records asks for; what is empty does not matter.

    `words` are the product's; `kind` is how the question calls the weakness. `table` says that
    all are asked for, not the one that is described.
    """

    table: bool
    certain: bool  # names CVEs, where "vulnerabilities" may mean something else
    words: tuple[str, ...] = ()
    product: str = ""  # the same as they were written
    all_words: tuple[str, ...] = ()  # with those that were read as a kind of weakness
    since: str = ""
    until: str = ""
    cwes: tuple[str, ...] = ()
    kind: str = ""
    severity: tuple[float, float] | None = None
    exploited: bool = False
    ransomware: bool = False
    added: bool = False  # the dates are those of KEV
    worst: bool = False  # the highest rated first, not the newest

    @property
    def filters(self) -> bool:
        """Whether anything but the product is asked for."""
        dated = self.since or self.until
        return bool(dated or self.cwes or self.kind or self.severity or self.exploited)


def parse(text: str) -> RecordQuery | None:
    """Read a question for records; None where it is no such question."""
    text = text[:_LONGEST]
    lower = f" {text.lower()} "
    words = folded(lower)
    plural, singular = (pattern("queries", name).search(words) for name in ("plural", "singular"))
    rest, cwes = _take_cwes(lower)
    if not (plural or singular) or pattern("queries", "other").search(folded(rest)):
        return None
    rest, since, until = _take_dates(rest)
    rest, severity = _take_severity(rest)
    rest = folded(rest)
    everything = _content(rest)
    rest, ransomware = _take(rest, "ransomware")
    rest, exploited = _take(rest, "exploited")
    rest, added = _take(rest, "added")
    rest, worst = _take(rest, "worst")
    rest, kind, labels = _take_kind(rest)
    named = _content(rest)
    if cwes:  # "Is CWE-79 allowed for a vulnerability?" asks for no record
        named = tuple(word for word in named if word not in table()["queries"]["mapping"])
        if not (plural or named):
            return None
    return RecordQuery(
        table=bool(plural) or worst,
        certain=bool(pattern("queries", "certain").search(words)),
        words=named,
        product=_written(named, text),
        all_words=everything,
        since=since,
        until=until,
        cwes=(*cwes, *labels),
        kind=kind,
        severity=severity,
        exploited=exploited or ransomware,
        ransomware=ransomware,
        added=added,
        worst=worst,
    )


def _take(text: str, name: str) -> tuple[str, bool]:
    rest = pattern("queries", name).sub(" ", text)
    return rest, rest != text


def _take_cwes(text: str) -> tuple[str, tuple[str, ...]]:
    cwes = tuple(one for one in entry_ids(text) if one.startswith("CWE-"))
    return re.sub(r"\bcwe[-_ ]?\d+", " ", text), cwes


def _take_kind(text: str) -> tuple[str, str, tuple[str, ...]]:
    """Take the kind of a flaw: the text without it, how it is called, and its labels."""
    for phrase, meanings in table()["types"].items():
        match = compiled(phrase).search(text)
        if match:
            labels = tuple(one for one in meanings if one.startswith("CWE-"))
            return f"{text[: match.start()]} {text[match.end() :]}", match[0], labels
    return text, "", ()


def _content(text: str) -> tuple[str, ...]:
    """List the words that say something, without those that frame a question."""
    left_out = _framing()
    bare = pattern("queries", "plural").sub(" ", text)
    bare = pattern("queries", "singular").sub(" ", bare)
    return tuple(word for word in bare.split() if word not in left_out)


def _written(words: Sequence[str], text: str) -> str:
    """Return words as a text has them, with the signs between them."""
    match = re.search(r"[\W_]+".join(map(re.escape, words)), text, re.IGNORECASE)
    return match[0] if words and match else " ".join(words)


def _framing() -> frozenset[str]:
    return frozenset(table()["queries"]["framing"])


def _take_severity(text: str) -> tuple[str, tuple[float, float] | None]:
    match = _SCORE.search(text)
    if match:
        low = min(float(match[2]), 10.0)
        exact = match[1] in ("=", "of", None) and not match[3]
        bounds = (low, low) if exact else (low, 10.0)
        return f"{text[: match.start()]} {text[match.end() :]}", bounds
    for word, (low, high) in table()["severities"].items():
        asked = re.search(rf"\b{word}(?: or (?:critical|higher))?(?:[- ]severity)?\b", text)
        if asked:
            bounds = (low, 10.0 if " or " in asked[0] else high)
            return f"{text[: asked.start()]} {text[asked.end() :]}", bounds
    return text, None


def _take_dates(text: str) -> tuple[str, str, str]:
    """Take the dates out of a text: the rest, and the first and the last day, "" without one."""
    if match := _BETWEEN.search(text):
        since, until = _first_day(match[1]), _last_day(match[2])
    elif match := _RELATIVE.search(text):
        since, until = _relative(match[1], match[2], match[3])
    elif match := _BOUND.search(text):
        since, until = _bounds(match[1] or "in", match[2])
    else:
        return text, "", ""
    return f"{text[: match.start()]} {text[match.end() :]}", since, until


def _bounds(word: str, when: str) -> tuple[str, str]:
    if word in ("since", "from"):
        return _first_day(when), ""
    if word == "after":
        return (date.fromisoformat(_last_day(when)) + timedelta(1)).isoformat(), ""
    if word == "before":
        return "", (date.fromisoformat(_first_day(when)) - timedelta(1)).isoformat()
    if word in ("until", "till", "up to"):
        return "", _last_day(when)
    return _first_day(when), _last_day(when)


def _relative(which: str, number: str | None, unit: str) -> tuple[str, str]:
    today = date.today()
    if unit == "year" and not number and which != "past":
        year = today.year - (which != "this")
        return f"{year}-01-01", f"{year}-12-31"
    days = _DAYS[unit] * int(number or 1)
    return (today - timedelta(days)).isoformat(), ""


def _first_day(when: str) -> str:
    year, month, day = _parts(when)
    return _day(year, month or 1, day or 1)


def _last_day(when: str) -> str:
    year, month, day = _parts(when)
    return _day(year, month or 12, day or 31)


def _day(year: int, month: int, day: int) -> str:
    """Write a date; one that the month does not have is its last day."""
    month = min(max(month, 1), 12)
    return date(year, month, min(max(day, 1), calendar.monthrange(year, month)[1])).isoformat()


def _parts(when: str) -> tuple[int, int, int]:
    if when[0].isalpha():
        name, _, number = when.replace(".", "").partition(" ")
        return int(number), _MONTHS[name], 0
    year, month, day, *_ = [*map(int, when.split("-")), 0, 0]
    return year, month, day


def describe(query: RecordQuery, product: str) -> str:
    """Say in words what was asked for: "of Foo Server, with sqli (CWE-89), published in 2024"."""
    return ", ".join(_described(query, product))


def _described(query: RecordQuery, product: str) -> Iterator[str]:
    if product:
        yield f"of {product}"
    if query.kind:
        labels = f" ({' or '.join(query.cwes)})" if query.cwes else ""
        yield f"with {query.kind}{labels}"
    elif query.cwes:
        yield f"labelled {' or '.join(query.cwes)}"
    if query.severity:
        low, high = query.severity
        yield f"with a CVSS score of {low:g}" + (f" to {high:g}" if high > low else "")
    verb = "added to KEV" if query.added else "published"
    if query.since and query.until:
        yield f"{verb} from {query.since} to {query.until}"
    elif query.since:
        yield f"{verb} since {query.since}"
    elif query.until:
        yield f"{verb} until {query.until}"
    if query.ransomware:
        yield "known to be used in ransomware campaigns"
    elif query.exploited:
        yield "in CISA's KEV"
