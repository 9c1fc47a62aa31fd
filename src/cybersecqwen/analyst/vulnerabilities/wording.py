"""How a question about CVEs is worded: what it asks for, by phrases that are data.

>>> read("Is CVE-2021-44228 critical, and in KEV?").facets
('kev', 'score')
>>> read("which OpenEMR version fixes cve-2020-29139").facets
('fix',)
>>> read("What is CVE-2019-0708?").facets
()
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from cybersecqwen.cwe.identifiers import entry_ids

_FILE = Path(__file__).with_name("wording.toml")
_VERSION = re.compile(r"\b(?:cvss|v|version)\s*v?\.?\s*([234])(?:\.[01])?\b")
# Between letters of ASCII and those of scripts that set no spaces between words.
_SCRIPTS = re.compile(r"(?<=[a-z0-9])(?=[\u3040-\u9fff])|(?<=[\u3040-\u9fff])(?=[a-z0-9])")
_SERIOUS = re.compile(r"\b(?:severe|serious|dangerous|bad|urgent)")


# A version that somebody runs: 5.15.15, 22.7R2.4 or 1.9.5p1, and no score such as "CVSS 9.8".
_RUNNING = re.compile(
    r"(?<![\w.-])(?<!cvss )(?<!cvss v)v?(\d+\.\d[\w.]*(?:-(?:\d[\w.]*|[a-z]{1,6}\d+))?"
    r"(?: (?:u|sp|p|rc|update|patch) ?\d+\b)?)"
    r"|\b(?:version|release) (\d+)\b(?!\.\d)",
    re.IGNORECASE,
)
# What numbers stand behind that are no versions of a product: scores, bounds and protocols.
_OF_OTHERS = re.compile(
    r"(?:\b(?:scor\w+|cvss|epss|severity|percentile|probability|over|above|below|under|exceed\w*|than|"
    r"at least|at most|d?tls|ssl|smb|https?|snmp|ssh|usb|bluetooth|oauth|saml|ntlm|owasp)"
    r"(?: +(?:version|of|it|is|are|at|was|still|now|a|an)\b)*|[<>=≥≤])[ :/]*$",
    re.IGNORECASE,
)
_SCORE_LIKE = re.compile(r"(?:\d|10)\.\d")  # of which "a" or "still" makes a score
_ARTICLE = re.compile(r"\ban? $", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}")
_PRIVATE = re.compile(r"10\.|127\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.")
_BEFORE_ADDRESS = re.compile(
    r"\b(?:ip|host|hosts|address|server|at|our|the|my|from) $", re.IGNORECASE
)
_BEHIND_ADDRESS = re.compile(
    r"(?:/\d| (?:hosts?|ip|addresse?s?|servers?|box|boxes|machines?|nodes?|subnet|network)\b)",
    re.IGNORECASE,
)
# "Upgrading from 2.14.1 to 2.17.1": the second one is meant.
_UPGRADE = re.compile(r".*\bfrom (?:[\w-]+ ){0,3}v?[\w.-]+", re.IGNORECASE | re.DOTALL)
_TO = re.compile(r" to (?:[\w-]+ ){0,3}v?", re.IGNORECASE)
_ALIKE = 0.8  # of 1, from which on a word is one that is misspelled


class Sentence(NamedTuple):
    """What is said of a CVE.

    `known` is False where nothing is known. `truth` is whether what was asked for holds, None
    where it is nothing that holds or does not.
    """

    text: str
    known: bool = True
    truth: bool | None = None


@dataclass(frozen=True)
class CveQuestion:
    """A question and what it asks for, in the order of the facets."""

    text: str
    facets: tuple[str, ...]
    rest: str = ""  # what is left without the words of the facets

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The words that are left and frame no question, such as a product's."""
        framing = frozenset(table()["queries"]["framing"])
        return tuple(word for word in folded(self.rest).split() if word not in framing)

    def has(self, group: str) -> bool:
        """Tell whether the words of a group of polarity stand in the question."""
        return bool(pattern("polarity", group).search(self._words))

    @cached_property
    def _words(self) -> str:
        return folded(self.text)

    @cached_property
    def yes_no(self) -> bool:
        """Whether it is a question for yes or no."""
        opening = pattern("polarity", "yes_no")
        told = "yes or no" in self._words
        return told or any(opening.match(clause) for clause in self._clauses)

    def asks_whether(self, facet: str) -> bool:
        """Tell whether it is a question for yes or no, and not for how or which in this facet."""
        phrases, how = pattern("facets", facet), pattern("polarity", "how")
        told = any(phrases.search(clause) and how.match(clause) for clause in self._clauses)
        return self.yes_no and not told

    @cached_property
    def _clauses(self) -> list[str]:
        clauses = re.split(r"[,:;.]\s|\band\b", self.text.lower())
        return [folded(clause).strip() for clause in clauses]

    @cached_property
    def severity(self) -> tuple[str, ...]:
        """The severities of which the question asks whether it is one of them."""
        words = [word for word in table()["severities"] if re.search(rf"\b{word}\b", self._words)]
        return (*words,) or (("high", "critical") if _SERIOUS.search(self._words) else ())

    @cached_property
    def cvss_version(self) -> str:
        """The version of CVSS that is named, by its first digit; "" for any."""
        match = _VERSION.search(self.text.lower())
        return match[1] if match else ""

    @cached_property
    def version(self) -> str:
        """The version of a product of which the question asks whether it is affected, or ""."""
        text = _without_ids(self.text)
        matches = [match for match in _RUNNING.finditer(text) if _is_version(match, text)]
        if len(matches) > 1 and _UPGRADE.fullmatch(text[: matches[0].end()]):
            gap = text[matches[0].end() : matches[1].start()]
            matches = matches[1:] if _TO.fullmatch(gap) else matches
        version = (matches[0][1] or matches[0][2]).rstrip(".") if matches else ""
        return version if version.count(".") > 1 or self.has("exposure") else ""

    @cached_property
    def cwes(self) -> tuple[str, ...]:
        """The CWE ids that are named."""
        return tuple(one for one in entry_ids(self.text) if one.startswith("CWE-"))


def read(text: str) -> CveQuestion:
    """Read what a question asks for; nothing in particular where it has no telling words."""
    rest, facets = folded(_without_ids(text)), []
    asked = CveQuestion(text, ())
    if asked.version:
        facets.append("exposure")
    for facet in table()["facets"]:
        if facet == "due" and not asked.has("obliged"):
            continue
        taken = pattern("facets", facet).sub(" | ", rest)
        if taken != rest:
            facets.append(facet)
            rest = taken
    return CveQuestion(text, tuple(facets), rest)


def corrected(text: str) -> str:
    """Write the telling words of a question as they are spelled; a name has capitals and stays.

    >>> corrected("atack vectr of Atack, attached by a publisher")
    'attack vector of Atack, attached by a publisher'
    """
    return re.sub(r"\b[a-z]{5,}\b", lambda match: _corrected(match[0]), text)


@lru_cache(maxsize=1 << 12)
def _corrected(word: str) -> str:
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    right: list[str] = table()["spelling"]["words"]
    if any(word.startswith(one) or one.startswith(word) for one in right):
        return word
    if pattern("spelling", "right").fullmatch(word):
        return word
    best = process.extractOne(word, right, scorer=OSA.normalized_similarity, score_cutoff=_ALIKE)
    return best[0] if best and best[0][0] == word[0] else word


def _is_version(match: re.Match[str], text: str) -> bool:
    """Tell a version of a product from a score, a version of a protocol and an address."""
    number, before, behind = match[1] or "", text[: match.start()], text[match.end() :]
    if _OF_OTHERS.search(before):
        return False
    if _SCORE_LIKE.fullmatch(number) and _ARTICLE.search(before):
        return False
    if not _ADDRESS.fullmatch(number):
        return True
    named = _PRIVATE.match(number) and _BEFORE_ADDRESS.search(before)
    return not (named or _BEHIND_ADDRESS.match(behind))


def _without_ids(text: str) -> str:
    return re.sub(r"\bCVE-\d{4}-\d+", " it ", text)


def folded(text: str) -> str:
    """Write words in lower case with one space between them."""
    spaced = _SCRIPTS.sub(" ", text.lower().replace("ck&", "ck"))
    return " ".join(re.findall(r"[^\W_]+(?:&\w+)?", spaced))


@cache
def pattern(group: str, name: str) -> re.Pattern[str]:
    """Compile the phrases of a list."""
    return compiled(*table()[group][name])


def compiled(*phrases: str) -> re.Pattern[str]:
    """Compile phrases: whole words, of which "*" is the rest.

    >>> bool(compiled("ransom*").search("a ransomware gang"))
    True
    """
    written = "|".join(re.sub(r"(?<=\w|\))\*", r"\\w*", phrase) for phrase in phrases)
    return re.compile(rf"\b(?:{written})(?!\w)")


@cache
def table() -> dict[str, Any]:
    """Return the wording."""
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def listed(names: Sequence[str]) -> str:
    """Join names as a sentence does.

    >>> listed(["A", "B", "C"])
    'A, B and C'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""
