"""Texts that several records share once case, punctuation and white space are folded.

duplicates = Duplicates()
duplicates.add("CVE-2021-1", "A buffer overflow.", "CWE-120")
duplicates.add("CVE-2021-2", "a buffer overflow", "CWE-787")
duplicates.to_json()["label_conflicts"]["groups"]     # 1
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from cybersecqwen.contamination import normalised
from cybersecqwen.files import Json

_SHOWN, _IDS, _EXCERPT = 10, 3, 160


@dataclass
class _Group:
    text: str
    cve_ids: list[str]
    size: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, cve_id: str, label: str) -> None:
        self.size += 1
        if len(self.cve_ids) < _IDS:
            self.cve_ids.append(cve_id)
        if label:
            self.labels[label] += 1


class Duplicates:
    """Groups of records by text; a text that stands once costs its hash and its label."""

    def __init__(self) -> None:
        self._once: dict[bytes, tuple[str, str]] = {}
        self._groups: dict[bytes, _Group] = {}

    def add(self, cve_id: str, text: str, label: str) -> None:
        """Take in one record's text and label, "" for none."""
        key = hashlib.blake2b(normalised(text).encode(), digest_size=16).digest()
        if key not in self._once:
            self._once[key] = (cve_id, label)
            return
        if key not in self._groups:
            self._groups[key] = _Group(text, [])
            self._groups[key].add(*self._once[key])
        self._groups[key].add(cve_id, label)

    def to_json(self) -> Json:
        """Give the number of groups, the records in them, and the largest."""
        groups = sorted(self._groups.values(), key=lambda g: (-g.size, g.cve_ids[0]))
        torn = [group for group in groups if len(group.labels) > 1]
        return {
            "texts": len(self._once),
            "groups": len(groups),
            "records": sum(group.size for group in groups),
            "surplus": sum(group.size - 1 for group in groups),
            "label_conflicts": {
                "groups": len(torn),
                "records": sum(group.size for group in torn),
                "largest": list(map(_shown, torn[:_SHOWN])),
            },
            "largest": list(map(_shown, groups[:_SHOWN])),
        }


def _shown(group: _Group) -> Json:
    text = " ".join(group.text.split())
    return {
        "records": group.size,
        "text": text if len(text) <= _EXCERPT else f"{text[: _EXCERPT - 1]}…",
        "cve_ids": group.cve_ids,
        "labels": dict(sorted(group.labels.items())),
    }
