"""The labels of a record by who gave them, and what kind of CWE entry a label is.

>>> from cybersecqwen.embedded.artifacts import load_catalogue
>>> kind("CWE-264", load_catalogue())
'category'
>>> primary({"nvd": (), "cna": ("CWE-79", "CWE-80"), "cisa_adp": ("CWE-74",)})
('cna', 'CWE-79')
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cybersecqwen.corpus.cohort import PLACEHOLDERS
from cybersecqwen.records import Vulnerability, Weakness

# In the order in which a label counts.
SOURCES = {"nvd": "NVD", "cna": "CNA", "cisa_adp": "CISA-ADP"}
KINDS = ("weakness", "category", "view", "deprecated", "not in the catalogue", "placeholder")
NO_YEAR = "unknown"

_ID = re.compile(r"CVE-(\d{4})-\d+")

Labels = Mapping[str, tuple[str, ...]]


def labels_of(record: Vulnerability) -> dict[str, tuple[str, ...]]:
    """Give the labels of each source in its order, without NVD's placeholders."""
    given = {source: getattr(record, f"cwe_{source}") for source in SOURCES}
    return {
        source: labels
        if PLACEHOLDERS.isdisjoint(labels)
        else tuple(c for c in labels if c not in PLACEHOLDERS)
        for source, labels in given.items()
    }


def primary(labels: Labels) -> tuple[str, str] | None:
    """Name the source and the label that count: the first of NVD, else of the CNA, else CISA's."""
    return next(((source, labels[source][0]) for source in SOURCES if labels[source]), None)


def year_of(cve_id: str) -> str:
    """Give the year that a CVE id names."""
    match = _ID.fullmatch(cve_id)
    return match[1] if match else NO_YEAR


def kind(label: str, catalogue: Mapping[str, Weakness]) -> str:
    """Name which of KINDS a label is."""
    if label in PLACEHOLDERS:
        return "placeholder"
    entry = catalogue.get(label)
    if entry is None:
        return "not in the catalogue"
    return "deprecated" if entry.status == "Deprecated" else entry.kind
