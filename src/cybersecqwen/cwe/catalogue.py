"""The CWE catalogue that ships: what MITRE says of each entry, and what kind of entry a label is.

>>> catalogue = load_catalogue()
>>> catalogue["CWE-79"].usage
'Allowed'
>>> kind("CWE-264", catalogue)
'category'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from cybersecqwen.artifacts import FOLDER, save, verified
from cybersecqwen.files import Json
from cybersecqwen.records import Weakness

_CATALOGUE = "cwe.json"
_FIELDS = ("cwe_id", "name", "kind", "abstraction", "status", "usage")


@cache
def load_catalogue(folder: Path = FOLDER) -> dict[str, Weakness]:
    """Load the CWE facts: id, name, kind, abstraction, status, usage, parents by view, suggestions.

    Raises InputError when the file is missing or differs from its certificate.
    """
    rows = json.loads(verified(folder, _CATALOGUE))["entries"]
    return {
        cwe_id: Weakness(
            cwe_id,
            name,
            kind,
            abstraction,
            status,
            usage,
            {v: tuple(p) for v, p in parents.items()},
            tuple(suggestions),
        )
        for cwe_id, name, kind, abstraction, status, usage, parents, suggestions in rows
    }


def save_catalogue(
    catalogue: dict[str, Weakness], *, version: str, source_sha256: str, folder: Path = FOLDER
) -> Json:
    """Write the CWE facts and their certificate; the same catalogue gives the same bytes."""
    rows = [
        [
            *(getattr(entry, field) for field in _FIELDS),
            {v: list(p) for v, p in entry.parents.items()},
            list(entry.suggestions),
        ]
        for entry in catalogue.values()
    ]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    text = f'{{"version": {json.dumps(version)}, "entries": [\n{lines}\n]}}\n'
    facts = {
        "sources": [{"name": "CWE catalogue", "version": version, "sha256": source_sha256}],
        "entries": len(rows),
    }
    return save(folder, _CATALOGUE, text.encode(), facts)


# NVD's labels for a record whose weakness is not known, or is none that NVD labels with.
PLACEHOLDERS = frozenset({"NVD-CWE-noinfo", "NVD-CWE-Other"})
KINDS = ("weakness", "category", "view", "deprecated", "not in the catalogue", "placeholder")


def kind(label: str, catalogue: Mapping[str, Weakness]) -> str:
    """Return which of KINDS a label is."""
    if label in PLACEHOLDERS:
        return "placeholder"
    entry = catalogue.get(label)
    if entry is None:
        return "not in the catalogue"
    return "deprecated" if entry.status == "Deprecated" else entry.kind
