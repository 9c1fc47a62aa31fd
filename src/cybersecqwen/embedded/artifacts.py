"""Load the artifacts that ship in the package, each checked against its certificate.

>>> load_catalogue()["CWE-79"].usage
'Allowed'
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from cybersecqwen.errors import InputError
from cybersecqwen.files import Json, read_json, write_bytes, write_json
from cybersecqwen.records import Weakness

FOLDER = Path(__file__).parent / "data"
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


def save(folder: Path, name: str, data: bytes, facts: Json) -> Json:
    """Write an artifact and beside it its certificate: `facts`, how to make it, its sha256."""
    certificate = {
        "artifact": name,
        "command": "cybersecqwen embedded build",
        **facts,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    write_bytes(folder / name, data)
    write_json(certificate_of(folder, name), certificate)
    return certificate


def certificate_of(folder: Path, name: str) -> Path:
    """Give the place of an artifact's certificate."""
    return folder / f"{name}.certificate.json"


def verified(folder: Path, name: str) -> bytes:
    """Read an artifact; raises InputError unless its bytes are those of its certificate."""
    path = folder / name
    certificate = read_json(certificate_of(folder, name))
    expected = certificate.get("sha256") if isinstance(certificate, dict) else None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path, tip=_TIP) from error
    if hashlib.sha256(data).hexdigest() != expected:
        raise damaged(path, "its checksum is not the certified one")
    return data


def damaged(path: Path, why: str) -> InputError:
    """Make the error for an artifact that is not what it should be."""
    return InputError(f"damaged: {why}", where=path, tip=_TIP)


_TIP = "reinstall the package, or make it again with: cybersecqwen embedded build"
