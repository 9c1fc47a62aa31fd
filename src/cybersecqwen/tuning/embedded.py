"""Build the artifacts that ship in the package, from upstream's own files."""

from __future__ import annotations

from pathlib import Path

from cybersecqwen.embedded.artifacts import FOLDER, save_catalogue
from cybersecqwen.files import Json, sha256_file
from cybersecqwen.sources.cwe import catalogue_version, read_catalogue


def build(cwe: Path, *, folder: Path = FOLDER) -> Json:
    """Make the CWE facts from the catalogue's XML; returns the certificate written beside them."""
    return save_catalogue(
        read_catalogue(cwe),
        version=catalogue_version(cwe),
        source_sha256=sha256_file(cwe),
        folder=folder,
    )
