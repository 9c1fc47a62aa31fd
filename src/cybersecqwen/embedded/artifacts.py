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
from cybersecqwen.files import Json, read_json, write_json, write_text
from cybersecqwen.records import Weakness

FOLDER = Path(__file__).parent / "data"
_CATALOGUE = "cwe.json"
_FIELDS = ("cwe_id", "name", "kind", "abstraction", "status", "usage")


@cache
def load_catalogue(folder: Path = FOLDER) -> dict[str, Weakness]:
    """Load the CWE facts: id, name, kind, abstraction, status, usage and parents by view.

    Raises InputError when the file is missing or differs from its certificate.
    """
    rows = json.loads(_verified(folder, _CATALOGUE))["entries"]
    return {
        cwe_id: Weakness(
            cwe_id,
            name,
            kind,
            abstraction,
            status,
            usage,
            {v: tuple(p) for v, p in parents.items()},
        )
        for cwe_id, name, kind, abstraction, status, usage, parents in rows
    }


def save_catalogue(
    catalogue: dict[str, Weakness], *, version: str, source_sha256: str, folder: Path = FOLDER
) -> Json:
    """Write the CWE facts and their certificate; the same catalogue gives the same bytes."""
    rows = [
        [
            *(getattr(entry, field) for field in _FIELDS),
            {v: list(p) for v, p in entry.parents.items()},
        ]
        for entry in catalogue.values()
    ]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    text = f'{{"version": {json.dumps(version)}, "entries": [\n{lines}\n]}}\n'
    certificate = {
        "artifact": _CATALOGUE,
        "command": "cybersecqwen embedded build --cwe FILE",
        "source": {"name": "CWE catalogue", "version": version, "sha256": source_sha256},
        "entries": len(rows),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    write_text(folder / _CATALOGUE, text)
    write_json(_certificate(folder, _CATALOGUE), certificate)
    return certificate


def _certificate(folder: Path, name: str) -> Path:
    return folder / f"{name}.certificate.json"


def _verified(folder: Path, name: str) -> bytes:
    """Read an artifact whose bytes match the certificate beside it."""
    path = folder / name
    expected = read_json(_certificate(folder, name))["sha256"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path, tip=_TIP) from error
    if hashlib.sha256(data).hexdigest() != expected:
        raise InputError("damaged: its checksum is not the certified one", where=path, tip=_TIP)
    return data


_TIP = "reinstall the package, or run: cybersecqwen embedded build --cwe FILE"
