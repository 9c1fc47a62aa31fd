"""Argue for a CWE from the text itself, in the model card's answer form.

The corpus writes the completions to learn with it and the embedded model its answers: what the text
says of the cause, where that lies, how it is reached and what it leads to, in the text's own order,
and last the bare id. How a cause is introduced depends on what its words tell: a step that is
missing or done wrongly, an error at run time, an attack, the weakness's own name, or none of these.

>>> weakness = Weakness("CWE-79", "Cross-site Scripting", "weakness")
>>> print(rationale("A script flaw in Foo.", weakness, "script"))
The attack is "script flaw in Foo". What it exploits is Cross-site Scripting, CWE-79.
<BLANKLINE>
CWE-79
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from cybersecqwen.files import Json
from cybersecqwen.records import Weakness

# Words that tell nothing about a weakness, wherever they stand.
STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
    a an and any are as at be been before by can could due earlier for from has have in into is
    it its may might not of on or other prior some such than that the then there these this
    through to up used user users using version versions via was were when where which while
    will with within without allow allows attacker attackers vulnerability vulnerabilities issue
    issues affected affects product exists
    """,
    )
)

STEM = 5  # letters of a word that are compared

# These begin with one of some characters, not with a border, so that others are passed over fast.
_WHERE = re.compile(
    r"[io][nf](?<=\bin|\bof) (?:"
    r"(?:the )?(?!the |an? )((?:`[^`]{2,60}`|[\w.:/$-]{2,60}(?:\(\))?) "
    r"(?:function|method|component|module|plugin|parameter|endpoint|driver|handler|library|page|"
    r"subsystem|parser|interface|service|script|field))\b"
    r"|(?<=in )((?:[\w-]+/)*[\w-]+\."
    r"(?:c|cc|cpp|h|go|php|py|js|java|rb|asp|aspx|jsp|cgi|so|dll|sys))\b)"
)
_VIA = re.compile(r"\bvia (?!unspecified|unknown)((?:a |an |the )?\S.*)", re.DOTALL)
_IMPACT = re.compile(
    r"[acelmr](?<=\b.)(?:(?<=a)llow(?:s|ed|ing)?|(?<=e)nabl(?:es|ed|ing)|(?<=c)ould|(?<=c)an be|"
    r"(?<=m)ay|(?<=m)ight|(?<=l)ead(?:s|ing)? to|(?<=r)esult(?:s|ed|ing)? in|"
    r"(?<=c)aus(?:es|ed|ing)|(?<=l)ets) (?!be exploited (?!to))"
)
# Where a clause ends, and what is told of it: a quotation goes no further.
_END = re.compile(
    r"""[\s.;:!?,()\[\]{}<>"“”`](?:(?<=[,()\[\]{}<>"“”`])|(?<=[.;:!?])(?=\s|$)|"""
    r"""(?<=[a-z]\.)(?=[A-Z][a-z]+\s)|(?<=\s)(?:via|when|while|if|because|due to|by|which|that|"""
    r"""as demonstrated|and then|with no|-)\s)"""
)
_SHORTEST, _LONGEST = 2, 18  # words of a quotation
_KEPT = 1 << 13  # quotations, many of which are common: what was read of them is kept


class _Reading(NamedTuple):
    """A way to read some words: what they match, and how a sentence says so and concludes."""

    pattern: re.Pattern[str]
    opening: str
    named: str = ""
    conclusion: str = ""


def _readings(tables: Json) -> dict[str, _Reading]:
    return {
        name: _Reading(
            re.compile("|".join(table.get("words", ()))),
            table["opening"],
            table.get("named", ""),
            table.get("so", ""),
        )
        for name, table in tables.items()
    }


_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_CAUSES, _STAKES = _readings(_TABLES["cause"]), _readings(_TABLES["stake"])
_SO_NAMED = "That is"
_SHARED = 0.5  # of the words of a name, so that a quotation that holds them names it


def rationale(
    description: str, weakness: Weakness, quote: str, *, better: Weakness | None = None
) -> str:
    """Write an answer whose last line is the CWE id alone.

    `quote` is the part of the description that speaks for the weakness; where it is "", the
    opening words are quoted. `better` is the neighbour to name where MITRE does not want the
    weakness mapped to.
    """
    description = " ".join(description.split())
    quote = _widen(description, " ".join(quote.split()))
    cause = _cause(quote, weakness.name)
    # Without a telling phrase the opening words of the record are the evidence there is.
    quote = quote or " ".join(description.split(None, 10)[:10]).rstrip(".,;:")
    sentences = _told(description, quote, cause.opening)
    sentences.append(f"{cause.conclusion} {weakness.name}, {weakness.cwe_id}.")
    if better:
        sentences.append(f"MITRE advises against this entry; {better.name}, {better.cwe_id}, fits")
        sentences.append("better where it applies.")
    elif weakness.usage == "Discouraged":
        sentences.append("The entry is broad: MITRE prefers a more specific one where it fits.")
    return f"{' '.join(sentences)}\n\n{weakness.cwe_id}"


@lru_cache(maxsize=_KEPT)
def _cause(quote: str, name: str) -> _Reading:
    """Tell what the words of a quotation say of the cause."""
    if not quote:
        return _CAUSES["none"]
    cause = _first(_CAUSES.values(), quote) or _CAUSES["other"]
    if not _is_name(quote, name):
        return cause
    return cause._replace(opening=cause.named, conclusion=_SO_NAMED)


def is_name(quote: str, weakness: Weakness) -> bool:
    """Tell whether a quotation holds the words of a weakness's name, or consists of them."""
    return _is_name(quote, weakness.name)


def _is_name(quote: str, name: str) -> bool:
    named, words = _name_stems(name), stems(quote)
    return len(named & words) > _SHARED * min(len(named), len(words) + 1)


@cache
def _name_stems(name: str) -> frozenset[str]:
    return stems(name)


def _first(readings: Iterable[_Reading], text: str) -> _Reading | None:
    low = text.lower()
    return next((r for r in readings if r.pattern.pattern and r.pattern.search(low)), None)


def stems(text: str) -> frozenset[str]:
    """Return the beginnings of the words of a text; words that tell nothing are out."""
    words = re.findall(r"\w+", text.lower())
    return frozenset(word[:STEM] for word in words if word not in STOP_WORDS)


def _told(description: str, quote: str, opening: str) -> list[str]:
    """Say what points to the weakness, where and how, and what follows, in the text's order."""
    at = description.find(quote)
    where, via = _WHERE.search(description), _way(description)
    sentence = opening.format(quote=quote)
    if where and (place := _group(where)).lower() not in quote.lower():
        before = where.start() < at
        sentence = (
            f"In {place}, {sentence[0].lower()}{sentence[1:]}"
            if before
            else f"{sentence} in {place}"
        )
    if via and via.lower() not in quote.lower():
        sentence += f", reached via {via}"
    sentences = [f"{sentence}."]
    impact, stake = _consequence(description)
    if impact and quote not in impact and impact not in quote:
        sentences.insert(0 if description.find(impact) < at else 1, f"{stake}.")
    return sentences


def _group(match: re.Match[str]) -> str:
    return " ".join(next(filter(None, match.groups())).split())


def _way(description: str) -> str:
    """Find how the weakness is reached; "" where that is not told in so many words."""
    # Looking for the word itself first is many times faster than the expression.
    match = _VIA.search(description) if "via " in description else None
    return _clause(match.group(1)) if match else ""


def _consequence(description: str) -> tuple[str, str]:
    """Find the clause that tells what follows, and say what is at stake; "" where none does."""
    for match in _IMPACT.finditer(description):
        clause = _clause(description[match.start() :])
        if stake := _stake(clause):
            return clause, stake
    return "", ""


@lru_cache(maxsize=_KEPT)
def _stake(clause: str) -> str:
    """Say what is at stake in a clause; "" where nothing is."""
    stake = _first(_STAKES.values(), clause)
    return stake.opening.format(quote=clause) if stake else ""


def _clause(text: str) -> str:
    """Return a text's first clause, whole; "" where it is too long to quote, or breaks off."""
    end = _END.search(text)
    words = text[: end.start() if end else len(text)].split()
    whole = _SHORTEST <= len(words) <= _LONGEST and words[-1].lower() not in STOP_WORDS
    return " ".join(words) if whole else ""


# Up to three words and their spaces, right before a place or right after one.
_BEFORE = re.compile(r"(?:[\w/'-]+ ){0,3}\Z")
_AFTER = re.compile(r"(?: [\w/'-]+){0,3}")
_REACH = 200  # characters in which the three words before are looked for


def _widen(description: str, phrase: str) -> str:
    """Add up to three words on either side of a word, within its clause; "XSS" says enough."""
    if not phrase or " " in phrase or (phrase.isupper() and phrase.isalpha()):
        return phrase
    words = [phrase]
    start = _find_word(description, phrase)
    if start >= 0:
        near = description[max(0, start - _REACH) : start].rsplit(" ", 4)[-4:]
        before = _BEFORE.search(" ".join(near))
        after = _AFTER.match(description, start + len(phrase))
        words = [
            *(before.group().split() if before else ()),
            phrase,
            *(after.group().split() if after else ()),
        ]
    while words and (words[0].lower() in STOP_WORDS or words[0].isdigit()):
        words = words[1:]
    while words and words[-1].lower() in STOP_WORDS:
        words = words[:-1]
    return " ".join(words) or phrase


def _find_word(text: str, word: str) -> int:
    r"""Find a word between \b borders, -1 where there is none; one regex a word costs too much."""
    start = text.find(word)
    while start >= 0 and not (_border(text, start) and _border(text, start + len(word))):
        start = text.find(word, start + 1)
    return start


def _border(text: str, at: int) -> bool:
    before = at > 0 and (text[at - 1].isalnum() or text[at - 1] == "_")
    after = at < len(text) and (text[at].isalnum() or text[at] == "_")
    return before != after
