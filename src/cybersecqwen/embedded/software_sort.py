"""Tell malware, tools and the sorts of malware apart by what their definitions call them.

>>> from cybersecqwen.embedded.knowledge import KnowledgeIndex
>>> index = KnowledgeIndex.load()
>>> sorted(sorts(index, index.position("S0366")))  # WannaCry
['ransomware', 'worm']
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cybersecqwen.embedded.knowledge import KnowledgeIndex
from cybersecqwen.embedded.question import Question


def of_a_kind_of_software(
    question: Question, targets: Sequence[int], *, tools: bool = False
) -> tuple[list[int], str]:
    """Keep the ransomware, the backdoors or the like, or the malware, where these are asked for.

    With `tools` the word tool is for tools alone; in "APT29's tools" it is for all software.
    """
    index, said = question.index, {token.base for token in question.cut}
    if not {index.entries[t].kind for t in targets if t < len(index.entries)} & {"malware", "tool"}:
        return list(targets), ""
    if "ransomware" in said:
        return [t for t in targets if _is_ransomware(index, t)], "ransomware"
    for sort, pattern in _SORTS.items():
        own = [t for t in targets if pattern.search(index.definition(t))] if sort in said else []
        if own:
            return own, plural_of_sort(sort)
    if said & _MALWARE and not said & _TOOLS:
        return [t for t in targets if index.entries[t].kind == "malware"], "malware"
    if tools and "tool" in said and not said & {"software", "malware"}:
        return [t for t in targets if index.entries[t].kind == "tool"], "tools"
    return list(targets), ""


def sorts(index: KnowledgeIndex, position: int) -> set[str]:
    """Return of which sorts malware or a tool is by its definition: "ransomware", "rat", …"""
    said = index.definition(position)
    own = {sort for sort, pattern in _SORTS.items() if pattern.search(said)}
    return own | ({"ransomware"} if _is_ransomware(index, position) else set())


def plural_of_sort(sort: str) -> str:
    """Name several pieces of a sort of malware: "RATs", "ransomware"."""
    same = sort.endswith("ware")
    return "RATs" if sort == "rat" else sort if same else f"{sort}s"


# Sorts of malware, by how definitions call them.
_SORTS = {
    sort: re.compile(rf"\b(?:{words})", re.IGNORECASE)
    for sort, words in {
        "backdoor": "backdoor",
        "wiper": "wiper",
        "loader": "loader|downloader|dropper",
        "stealer": "(?:info)?stealer",
        "worm": "worm",
        "rootkit": "rootkit",
        "rat": r"rat\b|remote access t",
    }.items()
}
SORTS = frozenset({"ransomware", *_SORTS})
_MALWARE = {"malware", "backdoor", "trojan", "implant", *_SORTS}
_TOOLS = {"tool", "software", "tooling", "toolset", "arsenal", "utility"}


def _is_ransomware(index: KnowledgeIndex, position: int) -> bool:
    if position >= len(index.entries) or index.entries[position].kind != "malware":
        return False
    entry, definition = index.entries[position], index.definition(position)
    if _BLACKMAIL.search(definition):
        return True
    encrypts = any(index.entries[t].entry_id == "T1486" for t in index.related(position, "uses"))
    return encrypts and "ransom" in " ".join((entry.name, *entry.aliases, definition)).lower()


# A loader that "brings ransomware" is none.
_BLACKMAIL = re.compile(r"\bransomware (?:that|of)\b")
