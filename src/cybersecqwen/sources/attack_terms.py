r"""Single words that ATT&CK's texts tell and no field of a bundle holds.

>>> software_types("Ryuk", "Ryuk is a ransomware that has been used since 2018 by a loader.")
['ransomware']
>>> country("APT0 is a China-based group that has targeted Indian banks.")
'China'
>>> event_ids("EventCode=4624, 4648")
['4624', '4648']
>>> channel("EventCode=4769 with a ticket that is encrypted by a weak cipher")
'EventCode=4769'

The words looked for are data: attack_terms.toml.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_TERMS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
OTHER_NAMES: dict[str, list[str]] = _TERMS["names"]
_STOPS = re.compile(rf"\b(?:{'|'.join(_TERMS['stops'].split())})\b", re.IGNORECASE)
_TARGETS = re.compile(rf"\b(?:{_TERMS['targets']})", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[a-z0-9)\]\"”]\.)\s+(?=[A-Z])")
_TYPES = {
    name: re.compile(rf"\b(?:{words})s?\b", re.IGNORECASE)
    for name, words in _TERMS["types"].items()
}
_COUNTRIES = {
    name: re.compile(rf"(?<!\w)(?:{words})(?!\w|{_TERMS['language']})", re.IGNORECASE)
    for name, words in _TERMS["countries"].items()
}
_EVENT = re.compile(
    r"\bEvent(?:Code| ?ID)s?\s*[=:]?\s*\(?(\d{1,5}(?:(?:\s*(?:,|/|and|or)\s*)+\d{1,5})*)",
    re.IGNORECASE,
)
_CHANNEL_WORDS = 4  # a longer channel is a sentence on what to look for


def software_types(name: str, text: str) -> list[str]:
    """List the kinds of malware or tool that a name and the first sentence about it tell."""
    first = _SENTENCE.split(text, maxsplit=1)[0].removeprefix(name)
    told = f"{name} {_STOPS.split(first, maxsplit=1)[0]}"
    return [kind for kind, pattern in _TYPES.items() if pattern.search(told)]


def country(text: str) -> str:
    """Name the country that the first sentence about a group tells it to come from, or ""."""
    told = _TARGETS.split(_SENTENCE.split(text, maxsplit=1)[0], maxsplit=1)[0]
    places = {name: hit.start() for name, p in _COUNTRIES.items() if (hit := p.search(told))}
    return min(places, key=lambda name: places[name], default="")


def event_ids(text: str) -> list[str]:
    """List the numbers of Windows events that a text names, each once."""
    numbers = (number for hit in _EVENT.findall(text) for number in re.findall(r"\d+", hit))
    return list(dict.fromkeys(numbers))


def channel(text: str) -> str:
    """Reduce what a log is read for to a name or event ids; "" where it is a sentence."""
    if text.strip().lower() in ("", "none"):
        return ""
    if len(text.split()) <= _CHANNEL_WORDS:
        return text.strip()
    numbers = event_ids(text)
    return f"EventCode={', '.join(numbers)}" if numbers else ""
