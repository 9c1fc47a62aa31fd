"""Read a CVSS v3.1 base vector: its metrics in words, its score, its severity.

>>> reading = read_vector("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")
>>> reading.vector, reading.score, reading.severity
('CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H', '9.8', 'Critical')

Scores are those of the `cvss` library, of the specification at https://www.first.org/cvss/v3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cybersecqwen.errors import InputError
from cybersecqwen.synthesis.pair import Grounding
from cybersecqwen.synthesis.wording import One, form, load_templates

SOURCE = "CVSS v3.1 specification"
_PREFIX = "CVSS:3.1/"

# Base metrics and their values in the order of the specification.
_VALUES = {
    **{"AV": "NALP", "AC": "LH", "PR": "NLH", "UI": "NR"},
    **{"S": "UC", "C": "NLH", "I": "NLH", "A": "NLH"},
}
_CHANGE = "score severity score_after! severity_after! vector_after"
WORDS = load_templates(
    "cvss.toml",
    {
        "score": {"choice": form("vector!", "score! severity")},
        "severity": {"choice": form("vector!", "score severity!")},
        "metric": {"choice": form("vector!", "metric! meaning!")},
        "more severe": {"choice": form("", "vector! score! severity others")},
        "reading": {"open": form("vector!", "score! severity!")},
        "what if": {
            "open": {
                "question": "vector! name! before after!",
                **dict.fromkeys(("rises", "falls", "stays"), _CHANGE),
            }
        },
        "rating": {"open": form("vector!", "score! severity! reach! rights! help!")},
        "lines": {"metric": One("metric! meaning!"), "score": One("score! severity!")},
        "ratings": dict.fromkeys(("None", "Low", "Medium", "High", "Critical"), One()),
        "metrics": {
            metric: {"name": One()} | {v: {"name": One(), "meaning": One()} for v in values}
            for metric, values in _VALUES.items()
        },
    },
)

# Each base metric: its name, what its values are called, and what they mean.
METRICS: Mapping[str, tuple[str, Mapping[str, tuple[str, str]]]] = {
    metric: (
        words["name"],
        {value: (words[value]["name"], words[value]["meaning"]) for value in _VALUES[metric]},
    )
    for metric, words in ((metric, WORDS["metrics"][metric]) for metric in _VALUES)
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A base vector in the canonical order, its metrics, base score and severity."""

    vector: str
    metrics: tuple[tuple[str, str], ...]
    score: str
    severity: str

    def label(self, metric: str) -> str:
        """Name a metric with its value: "Attack Vector: Network (AV:N)"."""
        name, values = METRICS[metric]
        value = dict(self.metrics)[metric]
        return f"{name}: {values[value][0]} ({metric}:{value})"

    def meaning(self, metric: str) -> str:
        """Say what the value of a metric means."""
        return METRICS[metric][1][dict(self.metrics)[metric]][1]

    def grounding(self) -> Grounding:
        """State the vector with all that is read from it."""
        values = "; ".join(self.label(name) for name, _ in self.metrics)
        text = f"{self.vector}; {values}; base score {self.score}, severity {self.severity}"
        return Grounding(SOURCE, self.vector, text)

    def changed(self, metric: str, value: str) -> Reading:
        """Read the vector with another value of one metric."""
        changed = dict(self.metrics) | {metric: value}
        return _known(_PREFIX + "/".join(f"{m}:{v}" for m, v in changed.items()))


@lru_cache(maxsize=8192)
def read_vector(text: str) -> Reading | None:
    """Read the base metrics of a CVSS v3.0 or v3.1 vector; None where it is none that is valid.

    Base scores under 3.0 and 3.1 are the same for every base vector.
    """
    from cvss import CVSS3
    from cvss.exceptions import CVSS3Error

    try:
        parsed = CVSS3(text.strip().upper().replace("CVSS:3.0/", _PREFIX))
    except CVSS3Error:
        return None
    metrics = tuple((name, str(parsed.metrics[name])) for name in METRICS)
    vector = _PREFIX + "/".join(f"{name}:{value}" for name, value in metrics)
    return Reading(vector, metrics, str(parsed.scores()[0]), parsed.severities()[0])


def _known(vector: str) -> Reading:
    reading = read_vector(vector)
    if reading is None:
        raise InputError(f"no CVSS v3 base vector: {vector!r}")
    return reading
