"""What a question for records asks for, and how it is said in words.

>>> query = RecordQuery(table=True, certain=True, kind="sqli", cwes=("CWE-89",), exploited=True)
>>> describe(query, "Foo Server")
"of Foo Server, with sqli (CWE-89), in CISA's KEV"
>>> describe(further(replace(query, severity=(9.0, 10.0)), query), "")
'with a CVSS score of 9 to 10'
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from cybersecqwen.analyst.vulnerabilities.ratings import Metrics, describe_metrics

# Conditions that are said together.
_CONDITIONS = (
    ("since", "until", "added", "due"),
    ("cwes", "kind"),
    ("without_cwes", "without_kind"),
    ("severity",),
    ("metrics",),
    ("exploited",),
    ("ransomware",),
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
    names: tuple[tuple[str, ...], ...] = ()  # of them those that stand together
    product: str = ""  # the same as they were written
    all_words: tuple[str, ...] = ()  # with those that were read as a kind of weakness
    since: str = ""
    until: str = ""
    cwes: tuple[str, ...] = ()
    kind: str = ""
    without_cwes: tuple[str, ...] = ()  # neither of these weaknesses
    without_kind: str = ""
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
    unclear: tuple[str, ...] = ()  # conditions that are not understood: all else would mislead
    ignored: tuple[str, ...] = ()  # what is asked besides and is not understood

    @property
    def filters(self) -> bool:
        """Whether anything but the product is asked for."""
        dated = self.since or self.until
        rated = self.severity or self.metrics
        exploited = self.exploited is not None or self.ransomware is not None
        of_kind = self.cwes or self.kind or self.without_cwes or self.without_kind
        return bool(dated or of_kind or rated or exploited)


def describe(query: RecordQuery, product: str) -> str:
    """Say in words what was asked for: "of Foo Server, with sqli (CWE-89), published in 2024"."""
    return ", ".join(_described(query, product))


def further(part: RecordQuery, whole: RecordQuery) -> RecordQuery:
    """Return the conditions of a part that the whole does not have."""
    none = RecordQuery(table=part.table, certain=part.certain)
    same: dict[str, Any] = {
        name: getattr(none, name)
        for names in _CONDITIONS
        if all(getattr(part, name) == getattr(whole, name) for name in names)
        for name in names
    }
    return replace(part, words=(), product="", **same)


def _described(query: RecordQuery, product: str) -> Iterator[str]:
    if product:
        yield f"of {product}"
    if query.kind:
        labels = f" ({' or '.join(query.cwes)})" if query.cwes else ""
        yield f"with {query.kind}{labels}"
    elif query.cwes:
        yield f"labelled {' or '.join(query.cwes)}"
    if query.without_kind or query.without_cwes:
        labels = " or ".join(query.without_cwes)
        in_brackets = f" ({labels})" if labels and query.without_kind else labels
        yield f"without {query.without_kind}{in_brackets}"
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
