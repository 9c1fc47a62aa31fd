"""Our own words on the entries of ATT&CK, CWE and CAPEC, which the shipped index may hold.

    glossary = read_glossary()
    glossary["CWE-352"].fix                 # what prevents it, in one line

The files lie in `glossary/`, a JSON object a line: `id`, `text`, and where they apply `fix`,
`differs` and `terms`. No sentence of upstream stands there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cybersecqwen.embedded.knowledge import GLOSS
from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, read_jsonl
from cybersecqwen.records import Entry, Fact, Passage
from cybersecqwen.sources.attack_terms import software_types

GLOSSARY = Path(__file__).with_name("glossary")


class Gloss(NamedTuple):
    """What an entry is, what prevents it, and how it differs from its neighbours; "" is none.

    `terms` are words by which people tell of it, such as "change the id in the URL": they are
    searched and never shown.
    """

    text: str
    fix: str = ""
    differs: str = ""
    terms: str = ""


def read_glossary(folder: Path = GLOSSARY) -> dict[str, Gloss]:
    """Read every file of a folder, by the ids of the entries.

    Raises InputError, with its line, when a row is none or an id stands there twice.
    """
    glossary: dict[str, Gloss] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for number, row in enumerate(read_jsonl(path), 1):
            entry_id, gloss = _gloss(row, where=f"{path.name}:{number}")
            if entry_id in glossary:
                raise InputError(f"{entry_id} stands there twice", where=f"{path.name}:{number}")
            glossary[entry_id] = gloss
    return glossary


def _gloss(row: Json, *, where: str) -> tuple[str, Gloss]:
    unknown = sorted(row.keys() - {"id", *Gloss._fields})
    if unknown:
        known = ", ".join(("id", *Gloss._fields))
        raise InputError(f"has {unknown[0]!r}", where=where, tip=f"known: {known}")
    if not all(isinstance(value, str) for value in row.values()) or not row.get("text"):
        raise InputError("is no gloss", where=where, tip="give id and text, as strings")
    return row.get("id", ""), Gloss(*(row.get(field, "") for field in Gloss._fields))


def gloss_passages(glossary: Mapping[str, Gloss], entries: Iterable[Entry]) -> Iterator[Passage]:
    """Yield a gloss as a passage of its entry, so that a question in other words finds it."""
    for entry in entries:
        if gloss := glossary.get(entry.entry_id):
            yield entry.passage(GLOSS, " ".join(filter(None, gloss)))


def gloss_facts(glossary: Mapping[str, Gloss], entries: Iterable[Entry]) -> Iterator[Fact]:
    """Yield the types of malware and tools that glosses tell, such as ransomware."""
    for entry in entries:
        gloss = glossary.get(entry.entry_id)
        if gloss and entry.kind in ("malware", "tool"):
            for kind in software_types(entry.name, gloss.text):
                yield Fact(entry.entry_id, "type", kind)
