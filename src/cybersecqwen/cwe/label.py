"""The primary label of a record: the one CWE that counts where several are given.

>>> from cybersecqwen.records import Vulnerability
>>> record = Vulnerability("CVE-2021-1", "", "", ("NVD-CWE-noinfo",), ("CWE-79", "CWE-80"))
>>> primary_label(labels_of(record))
Label(source='cna', cwe='CWE-79')
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from cybersecqwen.cwe.catalogue import PLACEHOLDERS
from cybersecqwen.records import Vulnerability

# Who gives labels, in the order in which theirs count.
LABEL_SOURCES = {"nvd": "NVD", "cna": "CNA", "cisa_adp": "CISA-ADP"}
REVIEWED = "reviewed"  # a reviewer here, whose verdict counts before any label of a feed
GIVERS = {REVIEWED: "a reviewer", **LABEL_SOURCES}

Labels = Mapping[str, tuple[str, ...]]


class Label(NamedTuple):
    """A CWE id and the source that gives it, one of LABEL_SOURCES."""

    source: str
    cwe: str


def labels_of(record: Vulnerability, *, placeholders: bool = False) -> Labels:
    """Return the labels that each source gives a record, in its order.

    NVD's `placeholders` for a weakness that is not known are left out, unless they are asked for.
    """
    given: Labels = {s: getattr(record, f"cwe_{s}") for s in LABEL_SOURCES}
    if placeholders:
        return given
    return {
        source: labels
        if PLACEHOLDERS.isdisjoint(labels)
        else tuple(c for c in labels if c not in PLACEHOLDERS)
        for source, labels in given.items()
    }


def primary_label(
    labels: Labels,
    *,
    sources: Iterable[str] = tuple(LABEL_SOURCES),
    usable: Callable[[str], bool] | None = None,
) -> Label | None:
    """Return the first usable label of the first source that has one, or None.

    Reports and the embedded classifier take NVD's, else the CNA's, else CISA's. A corpus names
    its own order of `sources`, and which labels are `usable`, as its recipe says; by default
    every label is.
    """
    for source in sources:
        for label in labels[source]:
            if usable is None or usable(label):
                return Label(source, label)
    return None
