r"""CTI-RCM: map a CVE description to its CWE (CTI-Bench, arXiv:2406.07599).

prompt    Analyze the following CVE description and map it to the appropriate CWE. […]
gold      CWE-502
response  Untrusted data reaches destruct().\n\nCWE-502

CTI-RCM-2021 is the same task on CVEs of the years 2011 to 2021.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cache, partial

from cybersecqwen.benchmark.breakdown import by_class, confusion
from cybersecqwen.benchmark.hierarchy import hierarchy
from cybersecqwen.benchmark.tasks.cti_bench import CTI_BENCH, read_cti_bench
from cybersecqwen.benchmark.tasks.lenient import LenientReader, Reading
from cybersecqwen.benchmark.tasks.task import (
    NO_ANSWER,
    Extraction,
    Extractor,
    Predictions,
    Shots,
    Task,
    plain,
)
from cybersecqwen.cwe.catalogue import load_catalogue
from cybersecqwen.cwe.identifiers import normalise_ids
from cybersecqwen.files import Json
from cybersecqwen.prompts import FAITH
from cybersecqwen.records import Item

# The paper's preamble is in arXiv:2504.21039, figure 5; FAITH 0.3.2 has it too.
_PREAMBLE = "The following is a CVE description. Map it to the appropriate CWE ID.\n\n"
_LOOSE = ("cti-rcm", 391)  # the one item that FAITH cleans in a way of its own

_GOLD = re.compile(r"CWE-[1-9]\d*")
_CWE = re.compile(r"CWE-(\d+)", re.IGNORECASE)
_CWE_ID = re.compile(r"CWE-\d+", re.IGNORECASE)
_CWE_UPPER = re.compile(r"CWE-\d+")
# U+2011 is a hyphen at which no line breaks; some models write it.
_FAITH_PROPER = re.compile(r"\bcwe[-\u2011](\d+)\b", re.IGNORECASE)
_FAITH_IMPROPER = re.compile(r"\b(?:cwe|id):\s+(\d+)\b", re.IGNORECASE)


def last_cwe(text: str) -> str | None:
    """Take the last `CWE-NUMBER` anywhere in the response, any case."""
    numbers = _CWE.findall(text)
    # Leading zeros name the same entry: CWE-079 is CWE-79.
    return f"CWE-{numbers[-1].lstrip('0') or '0'}" if numbers else None


def last_upper_cwe(text: str) -> str | None:
    """Take the last `CWE-NUMBER` as the authors' notebook does, else a bare id of any case."""
    named = _CWE_UPPER.findall(text)
    if named:
        return str(named[-1])
    bare = " ".join(text.split("\n")).upper()
    return bare if bare.startswith("CWE-") else None


def unique_cwe(text: str) -> Extraction:
    """Take the CWE id if it is the only one; `id: 79` is improper (FAITH 0.3.2)."""
    for pattern, proper in ((_FAITH_PROPER, True), (_FAITH_IMPROPER, False)):
        numbers = set(pattern.findall(text))
        if len(numbers) == 1:
            return Extraction(f"CWE-{numbers.pop()}", proper)
    return NO_ANSWER


def weaknesses(item: Item, text: str) -> set[str]:
    """Find the weaknesses that a text names in words, or the number that it is.

    Where one name holds another, the longer one counts.
    """
    from cybersecqwen.contamination import normalised

    number = re.fullmatch(r"\W*0*([1-9][0-9]{0,3})\W*", text)
    if number:
        return {f"CWE-{number[1]}"}
    said = f" {normalised(text)} "
    begun = (_names().get(word, {}) for word in set(said.split()))
    named = {name: cwe_id for names in begun for name, cwe_id in names.items() if name in said}
    return {
        cwe_id
        for name, cwe_id in named.items()
        if not any(name != other and name in other for other in named)
    }


@cache
def _names() -> dict[str, dict[str, str]]:
    """Return the ids of the weaknesses by the first word of a name, and by the name.

    A name stands between spaces; the short one that is part of many counts too.
    """
    from cybersecqwen.contamination import normalised

    entries = [entry for entry in load_catalogue().values() if entry.kind == "weakness"]
    short = {name: e.cwe_id for e in entries for name in re.findall(r"\('(.+?)'\)", e.name)}
    names: dict[str, dict[str, str]] = defaultdict(dict)
    for name, cwe_id in (short | {entry.name: entry.cwe_id for entry in entries}).items():
        words = normalised(name)
        names[words.partition(" ")[0]][f" {words} "] = cwe_id
    return names


_NAMED = (
    r"CWE-([1-9][0-9]*)|(?i:(?:CWE|Common Weakness Enumeration)(?:\s\(CWE\))?"
    r"[\s-]*(?:(?:ID|number|no)\b\.?\s*[:#]?|[:#(-])?\s*0*([1-9][0-9]*))"
)
_LATEX_DASH = re.compile(r"\$-\$|\\text\{-\}|\\[-_]")  # CWE$-$79
_LENIENT = LenientReader(
    _NAMED,
    lambda digits: f"CWE-{digits}",
    stated=rf"{_NAMED}|0*([1-9][0-9]{{0,3}})(?=\W*(?:</\w+>\W*)?$)",
    mention=True,
    words=weaknesses,
)


def lenient(item: Item, text: str) -> Reading:
    """Read an id in any spelling, or a weakness that is named in words."""
    return _LENIENT(item, normalise_ids(_LATEX_DASH.sub("-", text)))


def faith_prompt(item: Item) -> str:
    """Write FAITH's prompt; two spaces in a description become a paragraph's end."""
    if (item.task, item.index) == _LOOSE:  # its words stand apart by runs of spaces
        text = item.text.strip().replace(" " * 6, " ").replace("  ", " ")
    else:
        text = _paragraphs(item.text)
    return FAITH["cti-rcm"].format(text=text)


def shot(item: Item, answer: str) -> str:
    """Write one exemplar, or the open question where the answer is ""."""
    return f"CVE Description: {item.text}\nAnswer: {answer}".rstrip()


def faith_shot(item: Item, answer: str) -> str:
    """Write one of FAITH's exemplars, which answer with the bare id."""
    return f"CVE Description: {_paragraphs(item.text)}\n{answer}".rstrip()


def _paragraphs(text: str) -> str:
    return re.sub(r"([^*])  (?: )*", r"\1\n\n", text.strip())


def gives_answer(item: Item, answer: str, text: str) -> bool:
    """Tell whether the last CWE id of a training row's answer is the gold."""
    named = _CWE_ID.findall(answer)
    return bool(named) and named[-1].upper() == item.gold.upper()


def details(predictions: Predictions, golds: Sequence[str]) -> Json:
    """Break predictions down by class, and by their place in the hierarchy of weaknesses."""
    return {
        "classes": by_class(predictions, golds),
        "confusion": confusion(predictions, golds),
        "hierarchy": hierarchy(predictions, golds, load_catalogue()),
    }


def _task(name: str, summary: str, published: str = "") -> Task:
    every = ("item", "faith", "base", "faith-base")
    return Task(
        name=name,
        summary=summary,
        suite=CTI_BENCH,
        file=f"{name}.tsv",
        read=partial(read_cti_bench, text="Description", gold=_GOLD),
        placeholder=Item(name, 0, "", "CWE-0", text="TEXT"),
        prompts={"faith": faith_prompt},
        shots={
            "model-card": Shots("", shot, stop=("\n\n", "\nCVE Description:")),
            "paper": Shots(_PREAMBLE, shot, stop=("\n\n",)),
            "faith": Shots(_PREAMBLE, faith_shot),
        },
        extractors={
            "last-cwe": Extractor(
                "last `CWE-NUMBER` anywhere, any case",
                plain(last_cwe),
                every,
                protocols=("model-card", "smoke"),
            ),
            "last-upper-cwe": Extractor(
                "last `CWE-NUMBER`, upper case",
                plain(last_upper_cwe),
                every,
                protocols=("paper", "cti-bench"),
            ),
            "unique-cwe": Extractor(
                "the CWE id if it is unique in the whole output, also with U+2011; `id: 79` is "
                "improper",
                unique_cwe,
                every,
                protocols=("faith",),
            ),
        },
        lenient=lenient,
        gives_answer=gives_answer,
        details=details,
        published=published,
    )


TASK = _task(
    "cti-rcm",
    "map a CVE description to its CWE",
    published="3d693a7a1a77351d864ecbd68ec06dd66d08a3455003b0b5bf123e2b6623d896",
)
TASK_2021 = _task("cti-rcm-2021", "map a CVE description of 2011 to 2021 to its CWE")
