"""How labels spread over the classes of CWE: head, tail, and what MITRE says of mapping to them.

>>> from cybersecqwen.cwe.catalogue import load_catalogue
>>> found = spread(Counter({"CWE-79": 3, "CWE-89": 1}), load_catalogue())
>>> found["classes"], found["labels"], round(found["effective_classes"], 3)
(2, 4, 1.755)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

from cybersecqwen.benchmark.breakdown import part
from cybersecqwen.cwe.mapping import mapping_usage
from cybersecqwen.files import Json
from cybersecqwen.records import Weakness
from cybersecqwen.reports.dataset.labels import KINDS, kind

USAGES = ("Allowed", "Allowed-with-Review", "Discouraged", "Prohibited", "not stated")
_ABSTRACTIONS = ("Pillar", "Class", "Base", "Variant", "Compound")
_HEAD = 25
_RARE = (1, 5, 100)
_SHARES = (0.5, 0.8, 0.9, 0.95, 0.99)


def usage(label: str, catalogue: Mapping[str, Weakness]) -> str:
    """Return which of USAGES a label has; of one outside the catalogue nothing is stated."""
    entry = catalogue.get(label)
    return mapping_usage(entry, unstated="not stated") if entry else "not stated"


def spread(counts: Counter[str], catalogue: Mapping[str, Weakness]) -> Json:
    """Describe how many labels each class has; `counts` are labels by class.

    `effective_classes` is two to the power of the entropy: as many classes of equal size are
    as hard to guess. `needed_for` says how many of the largest classes hold a share of the labels.
    """
    total = counts.total()
    ranked = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    sums = list(accumulate(count for _, count in ranked))
    entropy = -sum(n / total * math.log2(n / total) for n in counts.values()) if total else 0.0
    return {
        "labels": total,
        "classes": len(counts),
        "entropy_bits": entropy,
        "effective_classes": 2**entropy if total else 0.0,
        "head": [
            {
                "cwe": cwe,
                "name": _name(cwe, catalogue),
                "usage": usage(cwe, catalogue),
                **part(count, total),
                "cumulative_share": before / total,
            }
            for (cwe, count), before in zip(ranked[:_HEAD], sums, strict=False)
        ],
        "tail": [_rare(counts, most) for most in _RARE],
        "needed_for": {
            f"{share:g}": sum(held < share * total for held in sums) + 1 for share in _SHARES
        }
        if total
        else {},
        "kinds": grouped(counts, KINDS, lambda c: kind(c, catalogue)),
        "abstractions": grouped(
            counts, (*_ABSTRACTIONS, "none"), lambda c: _abstraction(c, catalogue)
        ),
        "usages": grouped(counts, USAGES, lambda c: usage(c, catalogue)),
        "counts": dict(ranked),
    }


def _name(cwe: str, catalogue: Mapping[str, Weakness]) -> str:
    return catalogue[cwe].name if cwe in catalogue else ""


def _abstraction(cwe: str, catalogue: Mapping[str, Weakness]) -> str:
    return (catalogue[cwe].abstraction if cwe in catalogue else "") or "none"


def _rare(counts: Counter[str], most: int) -> Json:
    found = [count for count in counts.values() if count <= most]
    return {"labels_at_most": most, "classes": len(found), "labels": sum(found)}


def grouped(counts: Counter[str], names: Sequence[str], name_of: Callable[[str], str]) -> Json:
    """Count classes and labels under each of `names` that has any."""
    labels: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    for cwe, count in counts.items():
        labels[name_of(cwe)] += count
        classes[name_of(cwe)] += 1
    return {
        name: {"classes": classes[name], **part(labels[name], counts.total())}
        for name in names
        if classes[name]
    }
