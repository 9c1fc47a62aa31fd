r"""The versions that a description says are affected or fixed, and whether one version is affected.

>>> fixed_versions("Foo 2.3.x before 2.3.32 and 2.5.x before 2.5.10.1 mishandles uploads.")
['2.3.32', '2.5.10.1']
>>> exposure("2.5.9", "Foo 2.3.x before 2.3.32 and 2.5.x before 2.5.10.1 mishandles uploads.")
Exposure(affected=True, reason='the fix is in 2.5.10.1', source='description')
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from cybersecqwen.records import AffectedProduct

# A part has no separator in it: else a description could be split in more ways than time allows.
_PART = r"[^\W_]+"
_VERSIONED = rf"v?\d+(?:\.{_PART})+(?:[-_]{_PART})*"
_NUMBER = rf"v?\d+(?:[._-](?:{_PART}|\*))*"  # also a date, a single number or a branch
_FIXED = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:before|prior to|earlier than|lower than|older than|below|less than)"
        rf"(?: versions?| releases?| builds?| v\.?)? ({_NUMBER})",
        rf"\b(?:fixed|patched|addressed|resolved|remediated|corrected|solved|mitigated)"
        rf"(?: \w+){{0,3}}? (?:in|by|with|starting with)"
        rf"(?: the| a)?(?: \w+){{0,3}}?(?: versions?| releases?| v\.?)? ({_VERSIONED})",
        rf"\bupgrad\w+(?: \w+){{0,6}}? to (?:\w+ ){{0,3}}?(?:versions? )?({_VERSIONED})",
        rf"\bversions? ({_VERSIONED})(?:,? (?:and|or) (?:later|above))? "
        rf"(?:fix|contain|include|patch|address|resolve|correct)",
        rf"\b(?:from|as of|since|starting with) (?:version )?({_VERSIONED})\b.{{0,90}}? "
        rf"(?:has|have|was|were|is|are) (?:been )?(?:\w+ )?(?:fixed|removed|resolved|corrected)",
    )
]
_RANGE = re.compile(
    rf"(?:{_VERSIONED} )?(?:before|prior to|through|up to|until|to)(?: and including)?"
    rf"(?: version)? {_VERSIONED}|{_VERSIONED} and (?:earlier|prior|below)"
)
_MORE = re.compile(
    rf"(?: ?\([^)]*\))?(?:\s*(?:,|and|or|&))+\s*(?:versions? )?"
    rf"({_VERSIONED})(?![\w.]*\s*(?:before|to|through))"
)
_HIGH = rf"(?:versions? |releases? |v\.?)?(?P<high{{0}}>{_NUMBER})"
_LIMITS = re.compile(
    # "2.1 through 2.4", "8.2.* before 8.2.20"
    rf"(?<![\w.-])(?P<low>{_NUMBER})(?:,? versions?)?,? "
    r"(?:(?P<before>before|prior to|earlier than|until|<(?!=))"
    rf"|(?:through|up to(?: and including)?|to|<=|≤|-|–)) ?{_HIGH.format(1)}"
    # "before 2.4", "prior to version 2.4"
    r"|(?P<only>before|prior to|earlier than|lower than|older than|below|less than|until|<(?!=)) ?"
    rf"{_HIGH.format(2)}"
    # "through 2.4", "2.4 and earlier"
    rf"|(?:\b(?:through|up to(?: and including)?)|<=|≤) ?{_HIGH.format(3)}"
    rf"|(?<![\w.-])(?P<high4>{_NUMBER}) (?:and|or) (?:earlier|prior|below|older|lower)",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?:19|20)\d\d(?:-\d\d){0,2}")
_EXCEPT = re.compile(rf"\b(?:excluding|except|excepting)((?:[^)\d]*{_NUMBER})+)", re.IGNORECASE)
_PARTS = re.compile(r"\d+|[a-z]+")
_EARLY = frozenset({"alpha", "beta", "rc", "pre", "dev", "preview", "milestone"})
_FILLING = frozenset({"and", "or", "versions", "version", "the", "all", "from", "in", "also", "x"})


class Exposure(NamedTuple):
    """Whether a version is affected, why, and what tells: the description or the record's list."""

    affected: bool
    reason: str
    source: str


class _Limit(NamedTuple):
    """A range of affected versions: from `low`, or of a branch such as 2.3.x, up to `high`."""

    low: str
    high: str
    inclusive: bool

    @property
    def branch(self) -> str:
        """The beginning that the versions of the branch have, "" where the range names none."""
        wild = re.fullmatch(r"(.+[._-])[x*]", self.low, re.IGNORECASE)
        return wild[1] if wild else ""

    def holds(self, version: str) -> bool:
        """Tell whether a version is in the range."""
        below = (
            _key(version) <= _key(self.high) if self.inclusive else _key(version) < _key(self.high)
        )
        return below and self.begins(version)

    def begins(self, version: str) -> bool:
        """Tell whether a version is of the branch, or not before the range."""
        if self.branch:
            return f"{version}.".startswith(self.branch)
        return not self.low or _key(version) >= _key(self.low)

    def reason(self, *, affected: bool) -> str:
        """Say why a version is affected, or is not."""
        if not self.inclusive:
            return f"the fix is in {self.high}" if affected else f"it is fixed in {self.high}"
        first = f"{self.low} through " if self.low else "up to "
        return f"affected is {first}{self.high}"


def affected_versions(text: str) -> list[str]:
    """List the ranges of versions that a description names, in its own words.

    >>> affected_versions("Foo 2.1 through 2.4 and 1.x before 1.9.2 crash.")
    ['2.1 through 2.4', '1.x before 1.9.2']
    """
    return list(dict.fromkeys(match[0] for match in _RANGE.finditer(text)))


def fixed_versions(text: str) -> list[str]:
    """List the versions that a description names as the first without the flaw."""
    for pattern in _FIXED:
        versions: list[str] = []
        for match in pattern.finditer(text):
            versions.append(match[1])
            end = match.end()
            while more := _MORE.match(text, end):
                versions.append(more[1])
                end = more.end()
        if versions:
            return list(dict.fromkeys(version.rstrip(".,") for version in versions))
    return []


def exposure(
    version: str,
    text: str,
    affected: Sequence[AffectedProduct] = (),
    *,
    product: Sequence[str] = (),
) -> Exposure | None:
    """Tell whether a version is affected, by a description or else by what a record lists.

    `product` are words of the product's name, for a description of several. None where neither
    tells.
    """
    version = version.lower().removeprefix("v")
    limits = _of_product(text, {word.lower() for word in product})
    limits = limits or [_Limit("", fixed, inclusive=False) for fixed in _fixed(text)]
    if any(_key(version) == _key(one) for one in _excluded(text)):
        return Exposure(False, f"{version} is excepted", "description")
    if found := _decide(version, limits):
        limit, truth = found
        return Exposure(truth, limit.reason(affected=truth), "description")
    return _by_list(version, affected)


def _decide(version: str, limits: Sequence[_Limit]) -> tuple[_Limit, bool] | None:
    """Tell by which range a version is affected or is not; None where that is not clear."""
    if own := next((one for one in limits if one.low and one.holds(version)), None):
        return own, True
    if branch := next((one for one in limits if one.branch and one.begins(version)), None):
        return branch, False
    # Of several versions that fix it, that of the branch decides: the one that begins alike.
    most = max((_shared(version, one.high) for one in limits), default=0)
    near = [one for one in limits if _shared(version, one.high) == most and one.begins(version)]
    verdicts = {one.holds(version) for one in near}
    if limits and not near and all(_key(version) > _key(one.high) for one in limits):
        near, verdicts = [*limits], {False}
    if len(verdicts) != 1:
        return None
    truth = verdicts.pop()
    nearest = min if truth else max
    return nearest(near, key=lambda one: _key(one.high)), truth


def _shared(one: str, other: str) -> int:
    """Count the parts with which two versions begin alike, the last one left aside."""
    pairs = zip(_parts(one)[:-1], _parts(other)[:-1], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _limits(text: str) -> Iterator[tuple[int, int, _Limit]]:
    """Yield the ranges that a description names, and where each stands."""
    for match in _LIMITS.finditer(text):
        high = next(filter(None, (match[f"high{place}"] for place in range(1, 5))))
        exclusive = bool(match["before"] or match["only"])
        low = match["low"] or ""
        if _key(low) > _key(high):  # it belongs to a name: "Windows 10 before 1.4"
            low = ""
        counted = high.isdigit() and not low and "ersion" not in match[0]  # "up to 8 bytes"
        if not counted and not _DATE.fullmatch(high):
            yield match.start(), match.end(), _Limit(low, high, not exclusive)
        end = match.end()
        while match["only"] and (more := _MORE.match(text, end)):
            yield more.start(), more.end(), _Limit("", more[1], inclusive=False)
            end = more.end()


def _of_product(text: str, product: set[str]) -> list[_Limit]:
    """List the ranges, of several products those of the one whose name has most of the words."""
    scored: list[tuple[int, _Limit]] = []
    end, number = 0, 0
    for start, stop, limit in _limits(text):
        words = set(re.findall(r"[a-z]\w*", text[end:start].lower()))
        if words - _FILLING:  # else it goes on about the product before
            number = len(words & product)
        scored.append((number, limit))
        end = stop
    most = max((number for number, _ in scored), default=0)
    return [limit for number, limit in scored if number == most]


def _fixed(text: str) -> Iterator[str]:
    return (version for version in fixed_versions(text) if not _DATE.fullmatch(version))


def _excluded(text: str) -> Iterator[str]:
    for match in _EXCEPT.finditer(text):
        yield from re.findall(_NUMBER, match[1])


def _by_list(version: str, affected: Sequence[AffectedProduct]) -> Exposure | None:
    """Tell by the list of a record, where all it lists are ranges of one product."""
    ranges = [one for each in affected for one in each.versions.split("; ") if one]
    for one in ranges:
        if all(_meets(version, part) for part in one.split(", ")):
            return Exposure(True, f"it lists {one}", "record")
    bounded = bool(ranges) and all("<" in one for one in ranges) and len(affected) == 1
    return Exposure(False, f"it lists {', '.join(ranges)}", "record") if bounded else None


def _meets(version: str, part: str) -> bool:
    operator, _, other = part.rpartition(" ")
    one, bound = _key(version), _key(other)
    return {"<": one < bound, "<=": one <= bound, ">": one > bound, ">=": one >= bound}.get(
        operator, one == bound
    )


def _parts(version: str) -> list[str]:
    return _PARTS.findall(version.lower().removeprefix("v"))


def _key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return what versions are sorted by: 1.0-rc1 < 1.0 = 1.0.0 < 1.0p1 < 1.0.1."""
    key = [
        # A number as its length and digits: one of any length is compared, and none is too long.
        (0, len(digits), digits)
        if (digits := part.lstrip("0")).isdigit() or not digits
        else (-1 if part in _EARLY else 0, 0, part)
        for part in _parts(version)
    ]
    padding = [(0, 0, "")] * (_LONGEST_KEY - len(key))
    return (*key, *padding)


_LONGEST_KEY = 10  # parts of a version that are compared
