"""Questions for records: which CVEs of a product, of a time, with a weakness, that are exploited.

>>> query = parse("Which critical SQL injection CVEs in Foo Server since 2024-03 are in KEV?")
>>> query.words, query.since, query.cwes, query.severity, query.exploited
(('foo', 'server'), '2024-03-01', ('CWE-89',), (9.0, 10.0), True)
>>> parse("How do I prevent vulnerabilities?") is None
True

What is no filter and frames no question is the product, which the description or KEV has to name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from cybersecqwen.analyst.vulnerabilities.periods import take_period
from cybersecqwen.analyst.vulnerabilities.ratings import (
    Metrics,
    describe_metrics,
    take_metrics,
    take_scores,
    take_severities,
)
from cybersecqwen.analyst.vulnerabilities.wording import compiled, folded, pattern, table
from cybersecqwen.cwe.identifiers import entry_ids

_LONGEST = 2000  # characters of a question for records
_NEGATED = 3  # words between "not" and what it denies
_AND_UP = re.compile(r"(?<=high|dium) ?\+(?=\s|$)")  # "high+"
_COUNT = re.compile(
    r"\b(more than|over|fewer than|less than|at least|at most|exactly|under) (\d{1,5})\b"
    r"(?= (?:[\w-]+ ){0,5}?(?:times|cves|vuln\w*|kev|entries|additions|bugs|flaws|holes|issues))"
)
_LIMIT = re.compile(
    r"\b(?:(?:last|latest|newest|most recent|top|first|oldest|earliest|worst) (\d{1,3})\b"
    r"|(\d{1,3}) (?=(?:latest|newest|most|oldest|earliest|worst|highest|last)\b))"
    r"(?! (?:day|week|month|year))"
)


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
    metrics: Metrics = ()
    exploited: bool | None = None  # False: not in KEV
    ransomware: bool | None = None  # False: not known to be used in ransomware campaigns
    added: bool = False  # the dates are those of KEV
    due: bool = False  # the dates are those by which KEV wants it fixed
    order: str = ""  # "oldest" or "worst" first, or "newest", as without one
    limit: int = 0  # rows that are asked for, 0 for all
    count: tuple[str, int] | None = None  # "more than", 30: whether there are so many
    part: RecordQuery | None = None  # the same with one more condition: how many of them are …
    share: str = ""  # whether "all" of them are, or "any"

    @property
    def filters(self) -> bool:
        """Whether anything but the product is asked for."""
        dated = self.since or self.until
        rated = self.severity or self.metrics
        exploited = self.exploited is not None or self.ransomware is not None
        return bool(dated or self.cwes or self.kind or rated or exploited)


def parse(text: str) -> RecordQuery | None:
    """Read a question for records; None where it is no such question."""
    text = text[:_LONGEST]
    clauses = pattern("queries", "of_them").split(text.lower(), maxsplit=1)
    query = _parse(clauses[0], text)
    if query is None or len(clauses) == 1:
        return query
    said = pattern("queries", "of_them").search(text.lower())
    whole = _parse(f"{clauses[0]} {clauses[1]}", text)
    if said is None or whole is None:
        return query
    return replace(query, part=replace(whole, words=query.words), share=_share(said[0]))


def _share(said: str) -> str:
    """Return what is asked of a part: "any", "all", or "" for how many or which it is."""
    if re.search(r"\b(?:any|some)\b", said):
        return "any"
    return "" if re.search(r"\b(?:how many|which)\b", said) else "all"


class _Signs(NamedTuple):
    """Which words that tell a question for records stand in it."""

    plural: bool
    singular: bool
    kev: bool
    weak: bool
    listing: bool
    certain: bool


def _parse(lower: str, text: str) -> RecordQuery | None:
    """Read one clause, in lower case, of a text."""
    lower = f" {lower} "
    words = folded(lower)
    signs = _Signs(*(bool(pattern("queries", name).search(words)) for name in _Signs._fields))
    if _is_for_others(lower, kev=signs.kev):
        return None
    query, added = _conditions(lower, text)
    if entry_ids(lower):  # "Is CWE-79 allowed for a vulnerability?" asks for no record
        framing = table()["queries"]["mapping"]
        query = replace(query, words=tuple(word for word in query.words if word not in framing))
        if not (signs.plural or query.words):
            return None
    query = replace(query, product=as_written(query.words, text))
    return _completed(_of_kev(query, lower, added=added, kev=signs.kev), signs)


def _is_for_others(lower: str, *, kev: bool) -> bool:
    """Tell a question about weaknesses, techniques or defence in general."""
    rest = _take(folded(_take_cwes(lower)[0]), "ransomware")[0]
    if kev:  # whose entries some call weaknesses
        rest = re.sub(r"\bweaknesses\b", " ", rest)
    return bool(pattern("queries", "other").search(rest))


def _conditions(lower: str, text: str) -> tuple[RecordQuery, bool]:
    """Read all conditions; what is left is the product. Return beside them whether "added" is said.

    Each takes its words out of the text before the next one looks.
    """
    rest, cwes = _take_cwes(lower)
    rest, count, limit = _take_numbers(rest)
    rest, since, until = take_period(rest)
    rest, scores = take_scores(rest)
    rest, _ = _take(folded(_AND_UP.sub(" or higher ", rest)), "aside")
    everything = _content(rest)
    rest, metrics = take_metrics(rest)
    rest, due = _take(rest, "due")
    rest, ransomware = _take_truth(rest, "ransomware")
    rest, order = _take_order(rest)
    rest, added = _take(rest, "added")
    rest, exploited = _take_truth(rest, "exploited")
    rest, severity = (rest, scores) if scores else take_severities(rest)
    rest, kind, labels = _take_kind(rest)
    query = RecordQuery(
        table=False,
        certain=False,
        words=_content(rest),
        all_words=everything,
        since=since,
        until=until,
        cwes=(*cwes, *labels),
        kind=kind,
        severity=severity,
        metrics=metrics,
        exploited=True if exploited is None and (ransomware or due) else exploited,
        ransomware=ransomware,
        due=due and bool(since or until),
        order=order,
        limit=limit,
        count=count,
    )
    return query, added


def _of_kev(query: RecordQuery, lower: str, *, added: bool, kev: bool) -> RecordQuery:
    """Tell whether dates, or the order, are those by which KEV was added to."""
    if not kev or query.exploited is False or query.due:
        return query
    exploited = True if added else query.exploited
    if not (query.since or query.until):
        return replace(query, exploited=exploited, added=bool(added and query.order))
    words = folded(lower)
    place = pattern("queries", "kev").search(words)
    published = pattern("queries", "published").search(words)
    behind = place and take_period(f" {words[place.start() :]} ")[1:] != ("", "")
    return replace(query, exploited=exploited, added=added or bool(behind and not published))


def _completed(query: RecordQuery, signs: _Signs) -> RecordQuery | None:
    """Tell whether all are asked for, and whether surely of CVEs; None for no such question."""
    named, dated = bool(query.words), bool(query.since or query.until)
    rated = bool(query.severity or query.metrics)
    narrowed = dated or rated or query.exploited is not None
    chosen = bool(query.order or query.count or query.severity or query.ransomware is not None)
    in_kev = signs.kev and (named or dated or chosen)
    of_kind = query.kind and (narrowed or signs.weak or signs.listing)
    flaws = named and bool(of_kind or (signs.weak and narrowed))
    if not (signs.plural or signs.singular or in_kev or flaws):
        return None
    one = bool(query.order) and signs.singular and not signs.plural
    several = signs.plural or bool(query.order or query.count) or in_kev
    return replace(
        query,
        table=several or (flaws and not signs.singular),
        certain=signs.certain or (dated and signs.kev) or (signs.plural and named and rated),
        limit=query.limit or int(one),
    )


def _take_numbers(text: str) -> tuple[str, tuple[str, int] | None, int]:
    """Take "more than 30 CVEs" and "the 5 newest": the rest, the condition and the limit."""
    count, limit = _COUNT.search(text), _LIMIT.search(text)
    wanted = (count[1], int(count[2])) if count else None
    if count:
        text = f"{text[: count.start()]} {text[count.end() :]}"
    elif limit:
        number = limit[1] or limit[2]
        text = f"{text[: limit.start()]} {limit[0].replace(number, '')} {text[limit.end() :]}"
        return text, None, int(number)
    return text, wanted, 0


def _take_order(text: str) -> tuple[str, str]:
    for name in ("worst", "oldest", "newest"):
        rest, taken = _take(text, name)
        if taken:
            return rest, name
    return text, ""


def _take_truth(text: str, name: str) -> tuple[str, bool | None]:
    """Take what is asked for or denied: the rest, and True or False, None where it is neither."""
    match = pattern("queries", name).search(text)
    if not match:
        return text, None
    before = text[: match.start()]
    words = before.split()
    near = " ".join(words[-_NEGATED:])
    denial = pattern("queries", "negation").search(f"{near} ")
    if denial:  # which denies nothing else
        before = " ".join([*words[:-_NEGATED], near[: denial.start()], near[denial.end() :]])
    rest = pattern("queries", name).sub(" ", f"{before} {text[match.start() :]}")
    return rest, not denial


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
            return f"{text[: match.start()]} {text[match.end() :]}", match[0].strip(), labels
    return text, "", ()


def _content(text: str) -> tuple[str, ...]:
    """List the words that say something, without those that frame a question."""
    left_out = _framing()
    bare = pattern("queries", "plural").sub(" ", text)
    bare = pattern("queries", "singular").sub(" ", bare)
    return tuple(word for word in bare.split() if word not in left_out)


def as_written(words: Sequence[str], text: str) -> str:
    """Return words as a text has them, with the signs between them where they stand together."""
    match = re.search(r"[\W_]+".join(map(re.escape, words)), text, re.IGNORECASE)
    if words and match:
        return match[0]
    spelled = {word.lower(): word for word in re.findall(r"\w+", text)}
    return " ".join(spelled.get(word, word) for word in words)


def _framing() -> frozenset[str]:
    return frozenset(table()["queries"]["framing"])


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
        bounds = f"{low:g} to {high:g}" if 0 < low < high else _bound(low, high)
        yield f"with a CVSS score of {bounds}"
    if query.metrics:
        yield f"with {describe_metrics(query.metrics)}"
    if query.since or query.until:
        yield _period(query)
    if query.ransomware:
        yield "known to be used in ransomware campaigns"
    elif query.exploited and not (query.added or query.due):
        yield "in CISA's KEV"
    elif query.exploited is False:
        yield "not in CISA's KEV"
    if query.ransomware is False:
        yield "not known to be used in ransomware campaigns"


def _bound(low: float, high: float) -> str:
    return f"{low:g}" if low else f"at most {high:g}"


def _period(query: RecordQuery) -> str:
    verb = "due in KEV" if query.due else "added to KEV" if query.added else "published"
    if query.since and query.since == query.until:
        return f"{verb} on {query.since}"
    if query.since and query.until:
        return f"{verb} from {query.since} to {query.until}"
    return f"{verb} since {query.since}" if query.since else f"{verb} until {query.until}"
