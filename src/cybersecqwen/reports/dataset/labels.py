"""The labels of a record by who gave them, and the year of a CVE id."""

from __future__ import annotations

from cybersecqwen.cwe.catalogue import KINDS, kind
from cybersecqwen.cwe.identifiers import cve_year
from cybersecqwen.cwe.label import LABEL_SOURCES as SOURCES
from cybersecqwen.cwe.label import Labels, labels_of
from cybersecqwen.cwe.label import primary_label as primary

__all__ = ["KINDS", "NO_YEAR", "SOURCES", "Labels", "kind", "labels_of", "primary", "year_of"]

NO_YEAR = "unknown"


def year_of(cve_id: str) -> str:
    """Return the year that a CVE id names."""
    return cve_year(cve_id) or NO_YEAR
