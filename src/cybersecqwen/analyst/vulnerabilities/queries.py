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
from dataclasses import replace
from typing import NamedTuple

from cybersecqwen.analyst.vulnerabilities.counts import take_numbers
from cybersecqwen.analyst.vulnerabilities.negation import (
    denials_left,
    folded_pieces,
    take_denial,
)
from cybersecqwen.analyst.vulnerabilities.periods import take_period
from cybersecqwen.analyst.vulnerabilities.ratings import (
    take_bare_scores,
    take_metrics,
    take_scores,
    take_severities,
)
from cybersecqwen.analyst.vulnerabilities.record_query import RecordQuery, further
from cybersecqwen.analyst.vulnerabilities.wording import compiled, folded, pattern, table
from cybersecqwen.cwe.identifiers import entry_ids

_LONGEST = 2000  # characters of a question for records
_SHORT = 20  # characters of what is denied
_HIDDEN = "§"  # what stands for a name while dates are looked for
# "How many of the 3 latest Foo CVEs are": of them, and not the 3 latest of those that are.
_OF_FEW = re.compile(
    r"^\W*((?:are |is |were )?(?:how many|which|any|all)) of"
    r" (the (?:\d{1,3} (?:latest|newest|last|oldest|first|worst|highest|most)"
    r"|(?:latest|newest|last|oldest|first|worst|top) \d{1,3})\b"
    r".*?\b(?:cves|vulnerabilities|vulns|bugs|flaws)\b"
    # up to the verb, or in "are any of the 3 latest Foo CVEs in KEV" all the rest
    r"(?:.*?(?= (?:are|is|were|have|has|had|do|need|require)\b)|(?!.*\b(?:19|20)\d\d\b)))"
)
# "In 2019 and 2022", "since 2019 and in KEV since March 2022".
_OTHER_YEAR = re.compile(
    r"(?:\|(?: and| or)?|\b(?:in|since|after|before|until|by|during))"
    r" ((?:in )?(?:[a-z]+ )?(?:19|20)\d\d)\b"
)
_MOST_WORDS = 10  # that may be a product's
_AND_UP = re.compile(r"(?<=high|dium) ?\+(?=\s|$)")  # "high+"
_CWE = re.compile(r"\bcwe[-_ ]?(\d{1,6})\b")
_UNKNOWN = re.compile(r"\bransom\w*( \w+){0,3} unknown\b|\bunknown ransom")


def parse(text: str) -> RecordQuery | None:
    """Read a question for records; None where it is no such question."""
    text = text[:_LONGEST]
    lower = _OF_FEW.sub(r"\2, \1 of them", text.lower())
    clauses = pattern("queries", "of_them").split(lower, maxsplit=1)
    query = _parse(clauses[0], text)
    if query is None or len(clauses) == 1:
        return query
    said = pattern("queries", "of_them").search(lower)
    part = _parse(f"{clauses[0]} | {clauses[1]}", text)
    if said is None or part is None:
        return query
    more = tuple(word for word in part.words if word not in query.words)
    if not further(part, query).filters:  # it would be true of all, whatever was asked
        if part.order and part.order != query.order:  # "and which of them is the worst?"
            return replace(query, order=part.order, limit=part.limit, unclear=part.unclear)
        clause = " ".join(f"{said[0]}{clauses[1]}".strip(" ,;?-–").split())
        return replace(query, ignored=(clause,), unclear=part.unclear)
    part = replace(part, words=query.words)
    share = _share(said[0])
    return replace(query, part=part, share=share, unclear=part.unclear, ignored=more)


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
    if len(query.words) > _MOST_WORDS:
        return None  # a story, and a search for each of its words
    if entry_ids(lower):  # "Is CWE-79 allowed for a vulnerability?" asks for no record
        framing = table()["queries"]["mapping"]
        query = replace(query, words=tuple(word for word in query.words if word not in framing))
        if not (signs.plural or query.words):
            return None
    query = replace(
        query,
        product=as_written(query.words, text),
        names=tuple(_names(query.words, text)),
        unclear=tuple(_quoted(one, text) for one in query.unclear),
    )
    return _completed(_of_kev(query, lower, added=added, kev=signs.kev), signs)


def _is_for_others(lower: str, *, kev: bool) -> bool:
    """Tell a question about weaknesses, techniques or defence in general."""
    rest = _take(folded(_take_labels(lower)[0]), "ransomware")[0]
    if kev:  # whose entries some call weaknesses
        rest = re.sub(r"\bweaknesses\b", " ", rest)
    return bool(pattern("queries", "other").search(rest))


def _conditions(lower: str, text: str) -> tuple[RecordQuery, bool]:
    """Read all conditions; what is left is the product. Return beside them whether "added" is said.

    Each takes its words out of the text before the next one looks, and leaves "|" where words that
    did not stand together would.
    """
    rest, cwes, without_cwes = _take_labels(lower)
    rest, since, until = _take_period(rest)
    rest, scores = take_scores(rest)
    rest, count, limit = take_numbers(rest)
    if not scores:
        rest, scores = take_bare_scores(rest)
    rest = folded_pieces(_AND_UP.sub(" or higher ", rest))
    by_kev = _is_dated_by_kev(rest)
    rest, _ = _take(_take(rest, "idle")[0], "aside")
    rest, unclear = _take_unread(rest, dated=bool(since or until))
    everything = _content(rest)
    rest, metrics = take_metrics(rest)
    due = bool(since or until or pattern("queries", "agencies").search(folded(lower)))
    rest, due = _take(rest, "due") if due else (rest, False)
    rest, ransomware, unknown = _take_ransomware(rest)
    rest, order = _take_order(rest)
    rest, added = _take(rest, "added")
    rest, exploited = _take_truth(rest, "exploited")
    rest, severity = (rest, scores) if scores else take_severities(rest)
    rest, kind, labels, denied = _take_kind(rest)
    query = RecordQuery(
        table=False,
        certain=False,
        words=_content(rest),
        all_words=everything,
        since=since,
        until=until,
        cwes=cwes if denied else (*cwes, *labels),
        kind="" if denied else kind,
        without_cwes=(*without_cwes, *labels) if denied else without_cwes,
        without_kind=kind if denied else "",
        severity=severity,
        metrics=metrics,
        exploited=True if exploited is None and (ransomware or unknown or due) else exploited,
        ransomware=ransomware,
        due=due and bool(since or until),
        order=order,
        limit=limit,
        count=count,
        unclear=(*unclear, *denials_left(rest)),
    )
    return query, added if by_kev is None else by_kev


def _take_period(text: str) -> tuple[str, str, str]:
    """Take the dates, of which the year in a name such as Windows Server 2019 is none."""
    names: list[str] = []

    def hide(match: re.Match[str]) -> str:
        names.append(match[0])
        return _HIDDEN

    rest, since, until = take_period(pattern("queries", "year_names").sub(hide, text))
    for name in names:
        rest = rest.replace(_HIDDEN, name, 1)
    return rest, since, until


def _is_dated_by_kev(text: str) -> bool | None:
    """Tell whether the verb before the dates is KEV's, None where there is no such verb."""
    before, bar, _ = text.partition("|")
    found = [
        (match.end(), name == "added")
        for name in ("added", "published")
        for match in pattern("queries", name).finditer(before)
    ]
    return max(found)[1] if bar and found else None


def _take_unread(text: str, *, dated: bool) -> tuple[str, tuple[str, ...]]:
    """Take conditions that are not understood: the rest, and what they are."""
    unclear = [match[0].strip() for match in pattern("queries", "unread").finditer(text)]
    rest = pattern("queries", "unread").sub(" | ", text)
    if dated and (other := _OTHER_YEAR.search(rest)):
        unclear.append(other[1])
        rest = f"{rest[: other.start()]} | {rest[other.end() :]}"
    return rest, tuple(unclear)


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


def _take_order(text: str) -> tuple[str, str]:
    for name in ("worst", "oldest", "newest"):
        rest, taken = _take(text, name)
        if taken:
            return rest, name
    return text, ""


def _take_truth(text: str, name: str) -> tuple[str, bool | None]:
    """Take what is asked for or denied: the rest, and True or False, None where it is neither."""
    said: list[bool] = []
    while match := pattern("queries", name).search(text):
        before, denied = take_denial(text[: match.start()], absent=True)
        text = f"{before} {text[match.end() :]}"
        said.append(not denied)
    return text, all(said) if said else None


def _take_ransomware(text: str) -> tuple[str, bool | None, bool]:
    """Take the use in ransomware, and whether it is KEV's own "unknown", which is no use known."""
    unknown = bool(_UNKNOWN.search(text))
    rest, ransomware = _take_truth(text, "ransomware")
    return rest, False if unknown else ransomware, unknown


def _take(text: str, name: str) -> tuple[str, bool]:
    rest = pattern("queries", name).sub(" ", text)
    return rest, rest != text


def _take_labels(text: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Take the CWEs: the rest, those that are asked for, and those that are denied."""
    cwes: list[str] = []
    denied: list[str] = []
    while match := _CWE.search(text):
        before, is_denied = take_denial(text[: match.start()])
        (denied if is_denied else cwes).append(f"CWE-{match[1].lstrip('0')}")
        text = f"{before} {text[match.end() :]}"
    return text, (*dict.fromkeys(cwes),), (*dict.fromkeys(denied),)


def _take_kind(text: str) -> tuple[str, str, tuple[str, ...], bool]:
    """Take the kind of a flaw: the rest, how it is called, its labels, and whether it is denied."""
    for phrase, meanings in table()["types"].items():
        match = compiled(phrase).search(text)
        if match:
            labels = tuple(one for one in meanings if one.startswith("CWE-"))
            before, denied = take_denial(text[: match.start()])
            return f"{before} {text[match.end() :]}", match[0].strip(), labels, denied
    return text, "", (), False


def _content(text: str) -> tuple[str, ...]:
    """List the words that say something, without those that frame a question."""
    left_out = _framing()
    bare = pattern("queries", "plural").sub(" ", text)
    bare = pattern("queries", "singular").sub(" ", bare)
    return tuple(word for word in bare.split() if word not in left_out and word != "|")


def _names(words: Sequence[str], text: str) -> Iterator[tuple[str, ...]]:
    """Yield the words that stand side by side in a text, as those of one name do."""
    name: tuple[str, ...] = ()
    for word in words:
        both = rf"(?<!\w){re.escape(' '.join([*name[-1:], word]))}(?!\w)"
        if name and not re.search(both.replace(r"\ ", r"[\W_]+"), text, re.IGNORECASE):
            yield name
            name = ()
        name += (word,)
    if name:
        yield name


def _quoted(phrase: str, text: str) -> str:
    """Return a phrase as a text has it, a short denial with the next words, which tell more."""
    words = r"[\W_]+".join(map(re.escape, phrase.split()))
    short = len(phrase) < _SHORT and pattern("queries", "negation").match(phrase)
    more = r"(?:[\W_]+\w+){0,2}" if short else ""
    match = re.search(rf"(?<!\w){words}{more}(?!\w)", text, re.IGNORECASE)
    return match[0] if match else phrase


def as_written(words: Sequence[str], text: str) -> str:
    """Return words as a text has them, with the signs between them where they stand together."""
    match = re.search(r"[\W_]+".join(map(re.escape, words)), text, re.IGNORECASE)
    if words and match:
        return match[0]
    spelled = {word.lower(): word for word in re.findall(r"\w+", text)}
    return " ".join(spelled.get(word, word) for word in words)


def _framing() -> frozenset[str]:
    return frozenset(table()["queries"]["framing"])
